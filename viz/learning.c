// SPDX-License-Identifier: MIT
// How a network learns: the same runs against steps, samples, epochs and seconds. What is faster
// per step need not be per second.
#include "viz/figures_internal.h"

#include <math.h>
#include <string.h>

enum { STEPS, SAMPLES, EPOCHS, SECONDS, AXIS_COUNT };

typedef struct {
    const Report *reports[FIGURE_RUNS];
    double epoch_samples[FIGURE_RUNS];  // of one epoch; NaN: unknown
    int count, longest;                 // longest: steps
    int window, every;                  // steps of the running mean; of one that is drawn
    bool has[AXIS_COUNT], evaluated;    // evaluated: a run more than once
    double least_accuracy;
} Learning;

// An epoch ends with an evaluation; only when another has begun is it known to have been whole.
static double samples_of_epoch(const Report *r) {
    bool whole = r->epochs > 1 && r->evaluation_count && r->evaluations[0].epoch == 1 &&
                 !r->run.resumed_step;
    int step = whole ? r->evaluations[0].step : 0;
    if (!r->step_samples || step < 1 || step > r->loss_count) return (double)NAN;
    return (double)r->step_samples[step - 1];
}

// x of a run after so many of its steps; NaN when it is not known. Those of a run that was resumed
// are counted from where it began, as its evaluations are; its samples and seconds are its own.
static double position(const Learning *l, int run, int axis, int steps) {
    const Report *r = l->reports[run];
    if (steps < 0 || steps > r->loss_count) return (double)NAN;
    switch (axis) {
    case STEPS: return (double)(steps + r->run.resumed_step);
    case SAMPLES:
        return !r->step_samples ? (double)NAN : steps ? (double)r->step_samples[steps - 1] : 0;
    case EPOCHS: return position(l, run, SAMPLES, steps) / l->epoch_samples[run];
    default: return !r->step_end_s ? (double)NAN : steps ? r->step_end_s[steps - 1] : 0;
    }
}

static Status gather(Learning *l, const FigureOptions *o, FigureNotes *notes) {
    *l = (Learning){.has = {true, true, true, true}, .least_accuracy = 1};
    int left_out = 0;
    for (int i = 0; i < o->measured.count; i++) {
        const Report *r = o->measured.reports[i];
        if (!r->loss_count) continue;
        if (l->count == FIGURE_RUNS) {
            left_out++;
            continue;
        }
        int run = l->count++;
        if (strcmp(l->reports[0] ? l->reports[0]->run.model : r->run.model, r->run.model))
            FAIL(ERR_USAGE,
                 "reports of the models %s and %s cannot share a figure; give those of one",
                 l->reports[0]->run.model, r->run.model);
        l->reports[run] = r;
        l->epoch_samples[run] = samples_of_epoch(r);
        if (r->loss_count > l->longest) l->longest = r->loss_count;
        for (int axis = 0; axis < AXIS_COUNT; axis++)
            l->has[axis] &= isfinite(position(l, run, axis, r->loss_count));
        for (int k = 0; k < r->evaluation_count; k++)
            l->least_accuracy = fmin(l->least_accuracy, r->evaluations[k].accuracy);
        l->evaluated |= r->evaluation_count > 1;
    }
    if (left_out)
        figure_note(notes, "learning shows the first %d runs; %d more are left out", FIGURE_RUNS,
                    left_out);
    l->window = l->longest > 80 ? l->longest / 40 : 1;
    l->every = 1 + (l->longest - 1) / 1500;
    return OK;
}

static void note_missing(const Learning *l, FigureNotes *notes) {
    if (!l->has[SAMPLES])
        figure_note(notes, "learning against samples is not drawn: a report lacks step_samples");
    if (l->has[SAMPLES] && !l->has[EPOCHS])
        figure_note(notes, "learning against epochs is not drawn: a run ended in its first epoch, "
                           "and how long one is shows in the second");
    if (!l->has[SECONDS])
        figure_note(notes, "learning against seconds is not drawn: a report lacks step_end_s");
}

// Mean of the last `window` losses up to step i.
static double running_mean(const Learning *l, const Report *r, int i) {
    int first = i + 1 < l->window ? 0 : i + 1 - l->window;
    double sum = 0;
    for (int k = first; k <= i; k++) sum += r->loss[k];
    return sum / (i + 1 - first);
}

static void write_positions(Figure *f, const Learning *l, int run, int steps) {
    fprintf(f->data.stream, "%d", run + 1);
    for (int axis = 0; axis < AXIS_COUNT; axis++)
        fprintf(f->data.stream, "\t%.10g", position(l, run, axis, steps));
}

static void write_run(Figure *f, const Learning *l, int run) {
    const Report *r = l->reports[run];
    char name[32];
    snprintf(name, sizeof name, "run %d", run + 1);
    figure_block(f, name);
    for (int i = 0; i < r->loss_count; i++) {
        write_positions(f, l, run, i + 1);
        fprintf(f->data.stream, "\t%.8g\t%.8g\t\n", r->loss[i], running_mean(l, r, i));
    }
    snprintf(name, sizeof name, "evaluations %d", run + 1);
    figure_block(f, name);
    for (int k = 0; k < r->evaluation_count; k++) {
        const Evaluation *e = &r->evaluations[k];
        write_positions(f, l, run, e->step - (int)r->run.resumed_step);
        fprintf(f->data.stream, "\t%.8g\t\t%.6g\n", e->loss, e->accuracy);
    }
}

static bool has_twin(const Learning *l, int run) {
    for (int i = 0; i < l->count; i++)
        if (i != run && l->reports[i]->run.ranks == l->reports[run]->run.ranks &&
            l->reports[i]->run.batch == l->reports[run]->run.batch)
            return true;
    return false;
}

static void write_names(Figure *f, const Learning *l) {
    FILE *out = f->settings.stream;
    fprintf(out, "array RUN[%d] = [", l->count);
    for (int run = 0; run < l->count; run++) {
        const RunInfo *info = &l->reports[run]->run;
        fprintf(out, "%s\"%d rank%s, batch %lld", run ? ", " : "", info->ranks,
                info->ranks == 1 ? "" : "s", (long long)info->batch);
        fprintf(out, has_twin(l, run) ? ", run %d\"" : "\"", run + 1);
    }
    fputs("]\n", out);
}

// The smallest 1, 2 or 5 times a power of ten that leaves at most five ticks.
static double tick_of(double most) {
    double power = pow(10, floor(log10(most / 5)));
    static const double steps[] = {1, 2, 5};
    for (int i = 0; i < 3; i++)
        if (most / 5 <= steps[i] * power) return steps[i] * power;
    return 10 * power;
}

typedef struct {
    double scale, most;  // most: of all runs, in units of `scale`
    const char *label;
} TimeAxis;

static TimeAxis axis_of(const Learning *l, int axis) {
    static const char *const labels[AXIS_COUNT] = {"steps", "samples", "epochs", "seconds"};
    static const char *const thousands[AXIS_COUNT] = {"thousand steps", "thousand samples",
                                                      "thousand epochs", "thousand seconds"};
    double most = 0;
    for (int run = 0; run < l->count; run++)
        most = fmax(most, position(l, run, axis, l->reports[run]->loss_count));
    if (most >= 5000) return (TimeAxis){1000, most / 1000, thousands[axis]};
    return (TimeAxis){1, most > 0 ? most : 1, labels[axis]};
}

// One list per property, an item for each axis that all runs have.
static void write_axes(Figure *f, const Learning *l) {
    FILE *out = f->settings.stream;
    static const char *const names[] = {"AXIS", "AXIS_SCALE", "AXIS_MOST", "AXIS_TICK",
                                        "AXIS_LABEL"};
    int count = 0;
    for (int axis = 0; axis < AXIS_COUNT; axis++) count += l->has[axis];
    for (int list = 0; list < 5; list++) {
        fprintf(out, "array %s[%d] = [", names[list], count);
        for (int axis = 0, n = 0; axis < AXIS_COUNT; axis++) {
            if (!l->has[axis]) continue;
            const TimeAxis a = axis_of(l, axis);
            const double values[] = {axis + 2, a.scale, a.most, tick_of(a.most)};  // 2: its column
            fputs(n++ ? ", " : "", out);
            if (list < 4)
                fprintf(out, "%.6g", values[list]);
            else
                fprintf(out, "\"%s\"", a.label);
        }
        fputs("]\n", out);
    }
}

static void write_caption(Figure *f, const Learning *l) {
    char ms[CAPTION_MS];
    FILE *out = f->caption.stream;
    const Report *r = l->reports[0];
    char first[RUN_DEGREES], own[RUN_DEGREES];
    bool alike = true;
    run_info_degrees(first, &r->run, true);
    for (int i = 1; i < l->count; i++)
        alike &= !strcmp(run_info_degrees(own, &l->reports[i]->run, true), first);
    fputs("Measured: ", out);
    caption_machine(out, r);
    fprintf(out, ", %s, %s, ", r->run.device, r->run.dtype);
    if (!alike || *first) fprintf(out, "%s, ", alike ? first : "ranks divided in several ways");
    fprintf(out, "%d run%s. ", l->count, l->count == 1 ? "" : "s");
    if (l->window > 1)
        fprintf(out, "Lines: mean loss of the last %d steps; points: single steps", l->window);
    else
        fputs("Loss of each step, of the global batch", out);
    if (l->every > 1) fprintf(out, ", every %d-th drawn", l->every);
    fputs(". ", out);
    if (!l->evaluated && isfinite(report_accuracy(r)))
        fprintf(out, "Held-out accuracy at the end%s: %.2f %%. ",
                l->count > 1 ? " of the first run" : "", 100 * report_accuracy(r));
    if (l->evaluated) fputs("Accuracy of held-out samples after each epoch and at the end. ", out);
    if (l->has[SECONDS])
        fprintf(out,
                "Seconds on the clock of rank 0 since the first step began, evaluations "
                "included; base: %d rank%s, %s a step.",
                r->run.ranks, r->run.ranks == 1 ? "" : "s", caption_ms(ms, r->step_ms.median, 4));
}

static Status add_facts(Figure *f, const Learning *l) {
    json_t *runs = json_array(), *base = json_object();
    const Report *first = l->reports[0];
    int failed = json_object_set_new(base, "ranks", json_integer(first->run.ranks));
    failed |= json_object_set_new(base, "kind", json_string("measured"));
    failed |= json_object_set_new(base, "step_ms", json_number(first->step_ms.median));
    for (int i = 0; i < l->count; i++) {
        const Report *r = l->reports[i];
        json_t *run = json_object();
        failed |= json_object_set_new(run, "ranks", json_integer(r->run.ranks));
        failed |= json_object_set_new(run, "batch", json_integer(r->run.batch));
        failed |= json_object_set_new(run, "seed", json_integer(r->run.seed));
        failed |= json_object_set_new(run, "steps", json_integer(r->loss_count));
        failed |= json_array_append_new(runs, run);
    }
    failed |= json_object_set_new(f->facts, "base", base);
    failed |= json_object_set_new(f->facts, "runs", runs);
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static Status write_figure(Figure *f, const Learning *l) {
    char mean[96];
    snprintf(mean, sizeof mean,
             "run\tsteps\tsamples\tepochs\tseconds (s)\tloss\tmean loss of %d step%s\taccuracy",
             l->window, l->window == 1 ? "" : "s");
    TRY(figure_open(f, mean));
    for (int run = 0; run < l->count; run++) write_run(f, l, run);
    figure_set_text(f, "TITLE", "Learning: %s, %s, seed %lld", f->run->run.model, f->run->run.dtype,
                    (long long)f->run->run.seed);
    figure_set(f, "RUNS", l->count);
    figure_set(f, "EVERY", l->every);
    figure_set(f, "EVALUATED", l->evaluated);
    figure_set(f, "ACCURACY_LEAST", fmin(90, floor(l->least_accuracy * 10) * 10));
    write_names(f, l);
    write_axes(f, l);
    write_caption(f, l);
    return add_facts(f, l);
}

Status figures_learning(const FigureOptions *o, FigureNotes *notes) {
    static const char *const parts[] = {"learning", NULL};
    Arena a = {0};
    Learning l;
    FigureDirectory d;
    Status s = gather(&l, o, notes);
    if (s == OK && !l.count)
        figure_note(notes, "learning is not drawn: no report of training has losses");
    else if (s == OK && (s = figure_enter_directory(&d, o)) == OK) {
        Figure f = {.options = o, .notes = notes, .arena = &a, .directory = d.path};
        note_missing(&l, notes);
        f.run = l.reports[0];
        f.name = "learning";
        f.width = 1160;
        f.height = l.evaluated ? 560 : 380;
        s = figure_close(&f, write_figure(&f, &l), parts, true);
        figure_leave_directory(&d);
    }
    arena_finish(&a);
    return s;
}
