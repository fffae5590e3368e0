// SPDX-License-Identifier: MIT
// A step against the values of one option. Numbers that double lie on a logarithmic axis, words
// side by side; values that are refused have no point. Read write_figure().
#include "core/base/text.h"
#include "viz/figures_internal.h"
#include "viz/scan_internal.h"
#include "viz/scan_least.h"

#include <math.h>
#include <stdlib.h>

// Simulated steps this near the least one are as good.
static const double as_good = 0.01;

typedef struct {
    const Scan *scan;
    Arena *arena;
    int *order;        // points by x
    double *x, *ms;    // in that order; NaN: not simulated, not measured
    double *measured;  // medians
    double **repeats;  // of counts[i]
    int *counts;
    int made, has_measured, least_repeats;
    bool numbers, logarithmic;
    ScanLeast simulated_least, measured_least;
} Line;

static Status new_line(Line *l, Arena *a, const Scan *s) {
    *l = (Line){.scan = s, .arena = a};
    l->order = ARENA_NEW(a, int, s->count);
    l->x = ARENA_NEW(a, double, s->count);
    l->ms = ARENA_NEW(a, double, s->count);
    l->measured = ARENA_NEW(a, double, s->count);
    l->repeats = ARENA_NEW(a, double *, s->count);
    l->counts = ARENA_NEW(a, int, s->count);
    if (!l->order || !l->x || !l->ms || !l->measured || !l->repeats || !l->counts)
        FAIL(ERR_MEMORY, "no memory to draw %d values", s->count);
    return OK;
}

// Ascending by number where all are; else as they were given.
static void place(Line *l) {
    const ScanAxis *axis = &l->scan->axes[0];
    double low = HUGE_VAL, high = 0;
    l->numbers = true;
    for (int i = 0; i < axis->count; i++) {
        double number = scan_number(axis->values[i]);
        l->numbers &= !isnan(number);
        low = fmin(low, number);
        high = fmax(high, number);
    }
    l->logarithmic = l->numbers && low > 0 && high / low >= 8;
    for (int i = 0; i < axis->count; i++) {
        int at = i;
        double number = l->numbers ? scan_number(axis->values[i]) : i;
        for (; at > 0 && l->x[at - 1] > number; at--) {
            l->x[at] = l->x[at - 1];
            l->order[at] = l->order[at - 1];
        }
        l->x[at] = number;
        l->order[at] = i;
    }
}

static const ScanPoint *point_at(const Line *l, int i) { return &l->scan->points[l->order[i]]; }

static Status take_times(Line *l) {
    bool one_batch = scan_has_one_batch(l->scan);
    l->least_repeats = INT32_MAX;
    for (int i = 0; i < l->scan->count; i++) {
        const ScanPoint *p = point_at(l, i);
        l->ms[i] = scan_is_made(p) ? scan_time_ms(l->scan, l->order[i]) : (double)NAN;
        l->made += scan_is_made(p);
        l->measured[i] = (double)NAN;
        l->counts[i] = p->measured.count;
        if (!l->counts[i]) continue;
        l->repeats[i] = ARENA_NEW(l->arena, double, l->counts[i]);
        if (!l->repeats[i]) FAIL(ERR_MEMORY, "no memory to draw %d values", l->scan->count);
        for (int k = 0; k < l->counts[i]; k++) {
            const Report *r = p->measured.reports[k];
            l->repeats[i][k] = r->step_ms.median * (one_batch ? 1 : 1000 / (double)r->run.batch);
        }
        l->measured[i] = statistics_spread(l->repeats[i], l->counts[i]).median;
        l->has_measured++;
        if (l->counts[i] < l->least_repeats) l->least_repeats = l->counts[i];
    }
    return OK;
}

enum { REPEATS_LEAST = 3 };  // fewer have no interval

static Status gather(Line *l, Arena *a, const Scan *s) {
    TRY(new_line(l, a, s));
    place(l);
    TRY(take_times(l));
    l->simulated_least = scan_least_flat(l->ms, s->count, as_good);
    l->measured_least = scan_least_flat(l->measured, s->count, 0);
    if (l->has_measured && l->least_repeats >= REPEATS_LEAST)
        TRY(scan_least_bootstrap(&l->measured_least, (const double *const *)l->repeats, l->counts,
                                 s->count));
    return OK;
}

static void write_rows(Figure *f, const Line *l) {
    FILE *out = f->data.stream;
    figure_block(f, "simulated");
    for (int i = 0; i < l->scan->count; i++)
        if (!isnan(l->ms[i]))
            fprintf(out, "simulated\t%s\t%.10g\t%.10g\t\t\t\n",
                    l->scan->axes[0].values[l->order[i]], l->x[i], l->ms[i]);
    if (!l->has_measured) return;
    figure_block(f, "measured");
    for (int i = 0; i < l->scan->count; i++)
        if (l->counts[i])  // sorted by its median
            fprintf(out, "measured\t%s\t%.10g\t%.10g\t%.10g\t%.10g\t%d\n",
                    l->scan->axes[0].values[l->order[i]], l->x[i], l->measured[i], l->repeats[i][0],
                    l->repeats[i][l->counts[i] - 1], l->counts[i]);
}

static void write_least(Figure *f, const Line *l) {
    figure_block(f, "least");
    for (int side = 0; side < 2; side++) {
        const ScanLeast *least = side ? &l->measured_least : &l->simulated_least;
        const double *ms = side ? l->measured : l->ms;
        if (least->at == NONE) continue;
        fprintf(f->data.stream, "%s\t%s\t%.10g\t%.10g\t%.10g\t%.10g\t\n",
                side ? "measured" : "simulated", l->scan->axes[0].values[l->order[least->at]],
                l->x[least->at], ms[least->at], l->x[least->low], l->x[least->high]);
    }
}

static void write_ticks(Figure *f, const Line *l) {
    FILE *out = f->settings.stream;
    fprintf(out, "array TICKS[%d] = [", l->scan->count);
    for (int i = 0; i < l->scan->count; i++) {
        fputs(i ? ", " : "", out);
        figure_write_quoted(out, l->scan->axes[0].values[l->order[i]]);
    }
    fprintf(out, "]\narray PLACES[%d] = [", l->scan->count);
    for (int i = 0; i < l->scan->count; i++) fprintf(out, "%s%.10g", i ? ", " : "", l->x[i]);
    fputs("]\n", out);
}

static void write_settings(Figure *f, const Line *l) {
    const int last = l->scan->count - 1;
    const double width = l->x[last] - l->x[0];
    const bool batches = !scan_has_one_batch(l->scan);
    figure_set_text(f, "TITLE", "A step of %s against --%s", l->scan->run->run.model,
                    l->scan->axes[0].key);
    figure_set_text(f, "KEY", "%s", l->scan->axes[0].key);
    figure_set_text(f, "YLABEL", "%s", batches ? "time of 1000 samples (ms)" : "step (ms)");
    figure_set(f, "LOG", l->logarithmic);
    figure_set(f, "NUMBERS", l->numbers);
    figure_set(f, "XMIN", l->logarithmic ? l->x[0] / 1.3 : l->x[0] - (width ? 0.06 * width : 1));
    figure_set(f, "XMAX",
               l->logarithmic ? l->x[last] * 1.3 : l->x[last] + (width ? 0.06 * width : 1));
    figure_set_names(f, "SERIES", l->has_measured ? "measured" : NULL, "simulated");
    figure_set(f, "LOW", l->simulated_least.low == NONE ? 0 : l->x[l->simulated_least.low]);
    figure_set(f, "HIGH", l->simulated_least.low == NONE ? 0 : l->x[l->simulated_least.high]);
    figure_set(f, "MEASURED_LOW", l->measured_least.low == NONE ? 0 : l->x[l->measured_least.low]);
    figure_set(f, "MEASURED_HIGH",
               l->measured_least.low == NONE ? 0 : l->x[l->measured_least.high]);
    write_ticks(f, l);
}

static const char *value_at(const Line *l, int position) {
    return l->scan->axes[0].values[l->order[position]];
}

static void caption_least(FILE *out, const Line *l) {
    char ms[CAPTION_MS];
    const ScanLeast *s = &l->simulated_least, *m = &l->measured_least;
    if (s->at != NONE) {
        fprintf(out, "Least simulated: %s at %s", caption_ms(ms, l->ms[s->at], 5),
                value_at(l, s->at));
        if (s->low < s->high)
            fprintf(out, "; shaded, %s to %s: within 1 %% of it", value_at(l, s->low),
                    value_at(l, s->high));
        fputs(". ", out);
    }
    if (m->at == NONE) return;
    fprintf(out, "Least measured: %s at %s", caption_ms(ms, l->measured[m->at], 5),
            value_at(l, m->at));
    if (l->least_repeats >= REPEATS_LEAST)
        fprintf(out, ", 95 %% bootstrap interval %s to %s. ", value_at(l, m->low),
                value_at(l, m->high));
    else
        fprintf(out, ", without an interval: fewer than %d runs a value. ", REPEATS_LEAST);
}

static void caption_measured(FILE *out, const Line *l) {
    int i = 0, most = 0;
    while (!l->counts[i]) i++;
    const Report *first = point_at(l, i)->measured.reports[0];
    for (i = 0; i < l->scan->count; i++) most = l->counts[i] > most ? l->counts[i] : most;
    fputs("Measured: ", out);
    caption_machine(out, first);
    fprintf(out, ", %s, ", first->run.device);
    if (l->least_repeats < most) fprintf(out, "%d to ", l->least_repeats);
    fprintf(out, "%d run%s a value; points: medians; bars: the range of the runs. ", most,
            most == 1 ? "" : "s");
}

static Status write_figure(Figure *f, const void *data) {
    const Line *l = data;
    FILE *out;
    TRY(figure_open(f,
                    "series\tvalue\tx\ttime (ms)\tlow (ms; of least: x)\thigh (ms; of least: x)\t"
                    "runs"));
    write_rows(f, l);
    write_least(f, l);
    write_settings(f, l);
    out = f->caption.stream;
    scan_caption(out, f->options, l->scan);
    if (l->has_measured) caption_measured(out, l);
    caption_least(out, l);
    if (l->made < l->scan->count)
        fprintf(out, "Refused, and without a point: %d of %d. ", l->scan->count - l->made,
                l->scan->count);
    fputs("Simulated steps have no spread.", out);
    return OK;
}

Status figures_sweep(const FigureOptions *o, const Scan *s, FigureNotes *notes) {
    static const char *const parts[] = {"sweep", NULL};
    Arena a = {0};
    Line line;
    if (s->axis_count != 1) return OK;  // a map shows it
    Status status = gather(&line, &a, s);
    if (status == OK && line.made < 2)
        figure_note(notes, "sweep is not drawn: %s point was simulated, and a line needs two",
                    line.made ? "one" : "no");
    else if (status == OK)
        status = figure_make(o, notes,
                             &(FigureForm){.name = "sweep",
                                           .width = 720,
                                           .height = 500,
                                           .run = s->run,
                                           .write = write_figure,
                                           .data = &line,
                                           .parts = parts});
    arena_finish(&a);
    return status;
}
