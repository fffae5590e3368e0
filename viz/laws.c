// SPDX-License-Identifier: MIT
// The laws of scaling (viz/law.h) through throughputs of several numbers of ranks: measured ones
// where there are three sizes of them, else simulated ones. Read write_figure().
#include "viz/figures_internal.h"
#include "viz/law.h"

#include <math.h>

// Curves go so many times as far as the data, and that is said.
enum { FARTHEST = 4, CURVE_POINTS = 120 };

// Two sizes are met by any law of two parameters, whatever it says of a third.
enum { LEAST_SIZES = 3 };

typedef struct {
    Series series;
    bool measured;
    double *ranks, *rates;  // of each report
    int count, sizes;
    double least, most;  // ranks
    Law laws[LAWS];
    bool fitted[LAWS];
} Laws;

static Status take_values(Laws *l, Arena *a, const ReportList *list) {
    l->ranks = ARENA_NEW(a, double, list->count);
    l->rates = ARENA_NEW(a, double, list->count);
    if (!l->ranks || !l->rates) FAIL(ERR_MEMORY, "no memory for %d reports", list->count);
    for (int i = 0; i < l->series.count; i++)
        for (int k = 0; k < l->series.points[i].repeats; k++) {
            l->ranks[l->count] = l->series.points[i].ranks;
            l->rates[l->count++] = l->series.points[i].reports[k]->samples_per_s.median;
        }
    l->sizes = l->series.count;
    if (!l->sizes) return OK;
    l->least = l->series.points[0].ranks;
    l->most = l->series.points[l->sizes - 1].ranks;
    return OK;
}

static Status gather(Laws *l, Arena *a, const FigureOptions *o, FigureNotes *notes) {
    *l = (Laws){.measured = true};
    TRY(series_make(&l->series, a, &o->measured, notes));
    l->measured = l->series.count >= LEAST_SIZES;
    if (!l->measured) TRY(series_make(&l->series, a, &o->simulated, notes));
    TRY(take_values(l, a, l->measured ? &o->measured : &o->simulated));
    for (int k = 0; k < LAWS && l->sizes >= LEAST_SIZES; k++) {
        Status s = law_fit(&l->laws[k], (LawKind)k, l->ranks, l->rates, l->count);
        l->fitted[k] = s == OK;
        if (s != OK && s != ERR_USAGE) return s;
        if (s == ERR_USAGE) figure_note(notes, "laws: %s", status_message());
    }
    return OK;
}

static void write_values(Figure *f, const Laws *l) {
    figure_block(f, l->measured ? "measured" : "simulated");
    for (int i = 0; i < l->count; i++) {
        fprintf(f->data.stream, "%s\t%.0f\t%.10g", l->measured ? "measured" : "simulated",
                l->ranks[i], l->rates[i]);
        for (int k = 0; k < LAWS; k++) {
            fputs("\t", f->data.stream);
            if (l->fitted[k])
                fprintf(f->data.stream, "%.5g",
                        100 * (law_at(&l->laws[k], l->ranks[i]) / l->rates[i] - 1));
        }
        putc('\n', f->data.stream);
    }
}

// Evenly on a logarithmic axis; first as far as the data, then farther.
static void write_curve(Figure *f, const Laws *l, LawKind k, bool farther) {
    double from = farther ? l->most : l->least, to = farther ? FARTHEST * l->most : l->most;
    char name[64];
    snprintf(name, sizeof name, "%s%s", farther ? "beyond " : "", law_name(k));
    figure_block(f, name);
    for (int i = 0; i <= CURVE_POINTS; i++) {
        double n = from * pow(to / from, i / (double)CURVE_POINTS);
        fprintf(f->data.stream, "%s\t%.6g\t%.6g\t\t\t\n", name, n, law_at(&l->laws[k], n));
    }
}

static double most_error(const Laws *l) {
    double most = 1;
    for (int k = 0; k < LAWS; k++)
        if (l->fitted[k]) most = fmax(most, 100 * l->laws[k].worst_error);
    return most;
}

static void write_settings(Figure *f, const Laws *l) {
    const char *unit;
    double top = 0;
    FILE *out = f->settings.stream;
    int shown = 0;
    for (int i = 0; i < l->count; i++) top = fmax(top, l->rates[i]);
    for (int k = 0; k < LAWS; k++)
        if (l->fitted[k]) top = fmax(top, law_at(&l->laws[k], FARTHEST * l->most));
    for (int k = 0; k < LAWS; k++) shown += l->fitted[k];
    figure_set(f, "SCALE", figure_readable_scale(top, &unit));
    figure_set_text(f, "UNIT", "%s", unit);
    figure_set_text(f, "SERIES", "%s", l->measured ? "measured" : "simulated");
    figure_set(f, "MOST", l->most);
    figure_set(f, "XMIN", l->least / 1.2);
    figure_set(f, "XMAX", FARTHEST * l->most * 1.15);
    figure_set(f, "ERROR_MOST", most_error(l) * 1.25);
    fprintf(out, "array LAW[%d] = [", shown);
    for (int k = 0, n = 0; k < LAWS; k++)
        if (l->fitted[k]) fprintf(out, "%s'%s'", n++ ? ", " : "", law_name((LawKind)k));
    fprintf(out, "]\narray COLUMN[%d] = [", shown);
    for (int k = 0, n = 0; k < LAWS; k++)
        if (l->fitted[k]) fprintf(out, "%s%d", n++ ? ", " : "", 4 + k);
    fputs("]\n", out);
}

// "3.21 % (95 %: 2.9 to 3.6)".
static void say_share(FILE *out, const Law *l, const LawNumber *n) {
    fprintf(out, "%.3g %%", 100 * n->value);
    if (l->has_intervals) fprintf(out, " (95 %%: %.3g to %.3g)", 100 * n->low, 100 * n->high);
}

static void say_limit(FILE *out, const Laws *l, const Law *law) {
    if (law->kind == LAW_AMDAHL && law->share.value > 0)
        fprintf(out, ", so at most %.4g times one however many there are", 1 / law->share.value);
    double peak = law_peak(law);
    if (law->kind != LAW_USL || isinf(peak)) return;
    if (peak <= FARTHEST * l->most)
        fprintf(out, ", highest at %.0f%s", peak, peak > l->most ? " (extrapolated)" : "");
    else
        fprintf(out, ", highest beyond %d times the data, which do not tell where", FARTHEST);
}

static void say_law(FILE *out, const Laws *l, const Law *law) {
    fprintf(out, "%s: %s ", law_name(law->kind),
            law->kind == LAW_USL ? "contention" : "serial share");
    say_share(out, law, &law->share);
    if (law->kind == LAW_USL) {
        fputs(", coherency ", out);
        say_share(out, law, &law->coherency);
    }
    say_limit(out, l, law);
    fprintf(out, "; mean error %.2g %%. ", 100 * law->mean_error);
}

static void write_caption(Figure *f, const Laws *l) {
    FILE *out = f->caption.stream;
    bool intervals = false;
    caption_series(out, f->options, &l->series, l->measured);
    for (int k = 0; k < LAWS; k++) {
        if (l->fitted[k]) say_law(out, l, &l->laws[k]);
        intervals |= l->fitted[k] && l->laws[k].has_intervals;
    }
    if (intervals) fputs("Intervals: bootstrap of the errors. ", out);
    fprintf(out, "Dotted: extrapolated, as far as %d times the data.", FARTHEST);
}

static int set_number(json_t *out, const char *key, const Law *l, const LawNumber *n) {
    json_t *number = json_object();
    int failed = json_object_set_new(number, "value", json_number(n->value));
    failed |=
        json_object_set_new(number, "low", json_number(l->has_intervals ? n->low : (double)NAN));
    failed |=
        json_object_set_new(number, "high", json_number(l->has_intervals ? n->high : (double)NAN));
    return failed | json_object_set_new(out, key, number);
}

static Status add_facts(Figure *f, const Laws *l) {
    json_t *laws = json_object();
    int failed = 0;
    for (int k = 0; k < LAWS; k++) {
        const Law *law = &l->laws[k];
        if (!l->fitted[k]) continue;
        json_t *out = json_object();
        failed |= set_number(out, "samples_per_s_of_one", law, &law->rate);
        failed |= set_number(out, k == LAW_USL ? "contention" : "serial_share", law, &law->share);
        if (k == LAW_USL) failed |= set_number(out, "coherency", law, &law->coherency);
        failed |= json_object_set_new(out, "mean_error", json_number(law->mean_error));
        failed |= json_object_set_new(out, "worst_error", json_number(law->worst_error));
        failed |= json_object_set_new(laws, law_name((LawKind)k), out);
    }
    failed |= json_object_set_new(f->facts, "laws", laws);
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static Status write_figure(Figure *f, const void *data) {
    const Laws *l = data;
    const Series none = {0};
    TRY(figure_open(f, "series\tranks\tthroughput (samples/s)\terror of Amdahl (%)\t"
                       "error of Gustafson (%)\terror of USL (%)"));
    TRY(figure_set_title(f, "Laws of scaling through", &l->series, &none));
    write_values(f, l);
    for (int k = 0; k < LAWS; k++) {
        if (!l->fitted[k]) continue;
        write_curve(f, l, (LawKind)k, false);
        write_curve(f, l, (LawKind)k, true);
    }
    write_settings(f, l);
    write_caption(f, l);
    return add_facts(f, l);
}

Status figures_laws(const FigureOptions *o, FigureNotes *notes) {
    static const char *const parts[] = {"laws", NULL};
    Arena a = {0};
    Laws l;
    Status s = o->directory ? gather(&l, &a, o, notes) : OK;
    if (s == OK && o->directory && l.sizes >= LEAST_SIZES)
        s = figure_make(o, notes,
                        &(FigureForm){.name = "laws",
                                      .width = 1080,
                                      .height = 540,
                                      .run = l.series.points[0].reports[0],
                                      .write = write_figure,
                                      .data = &l,
                                      .parts = parts});
    else if (s == OK && o->directory)
        figure_note(notes, "laws are not drawn: they need three world sizes, and there %s %d",
                    l.sizes == 1 ? "is" : "are", l.sizes);
    arena_finish(&a);
    return s;
}
