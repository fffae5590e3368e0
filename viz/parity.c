// SPDX-License-Identifier: MIT
// Simulated against measured step time, for every world size that has both: how far the points lie
// from the diagonal is what the simulator is worth. Errors are report_error()'s, of the step time,
// as in the text of `sim --compare`.
#include "viz/figures_internal.h"

#include <math.h>
#include <string.h>

typedef struct {
    const SizePoint *measured, *simulated;
    bool known;
    double error, low, high;  // of the simulation, in %; from the ends of the measured interval
} Pair;

typedef struct {
    Series measured, simulated;
    Pair *pairs;
    int count, known, judged;  // judged: pairs of `mape` and `worst`: held out, or all if none is
    double mape, top;          // in %; ms
    const Pair *worst;
} Parity;

static bool is_known(const FigureOptions *o, int ranks) {
    for (int i = 0; i < o->known_count; i++)
        if (o->known_ranks[i] == ranks) return true;
    return false;
}

static double percent_off(double simulated_ms, double measured_ms) {
    return 100 * report_error(simulated_ms, measured_ms);
}

static void pair_up(Parity *p, const FigureOptions *o) {
    for (int i = 0; i < p->measured.count; i++) {
        const SizePoint *m = &p->measured.points[i], *s = series_at(&p->simulated, m->ranks);
        if (!s) continue;
        Pair *pair = &p->pairs[p->count++];
        *pair = (Pair){m,
                       s,
                       is_known(o, m->ranks),
                       percent_off(s->step_ms, m->step_ms),
                       percent_off(s->step_ms, m->step_high),
                       percent_off(s->step_ms, m->step_low)};
        p->known += pair->known;
        p->top = fmax(p->top, fmax(s->step_ms, m->step_high));
    }
}

static void judge(Parity *p) {
    bool all = p->known == p->count;
    for (int i = 0; i < p->count; i++) {
        const Pair *pair = &p->pairs[i];
        if (pair->known && !all) continue;
        p->mape += fabs(pair->error);
        p->judged++;
        if (!p->worst || fabs(pair->error) > fabs(p->worst->error)) p->worst = pair;
    }
    if (p->judged) p->mape /= p->judged;
}

static Status gather(Parity *p, Arena *a, const FigureOptions *o, FigureNotes *notes) {
    *p = (Parity){0};
    TRY(series_make(&p->measured, a, &o->measured, notes));
    TRY(series_make(&p->simulated, a, &o->simulated, notes));
    p->pairs = ARENA_NEW(a, Pair, p->measured.count);
    if (!p->pairs) FAIL(ERR_MEMORY, "no memory to compare %d world sizes", p->measured.count);
    pair_up(p, o);
    judge(p);
    if (p->count && strcmp(p->pairs[0].measured->reports[0]->run.model,
                           p->pairs[0].simulated->reports[0]->run.model))
        FAIL(ERR_USAGE, "measured and simulated reports are of different models; give one model");
    return OK;
}

static void write_block(Figure *f, const Parity *p, const char *name, bool known) {
    figure_block(f, name);
    for (int i = 0; i < p->count; i++) {
        const Pair *c = &p->pairs[i];
        if (c->known == known)
            fprintf(f->data.stream, "%d\t%d\t%.10g\t%.10g\t%.10g\t%.10g\t%.4g\t%.4g\t%.4g\t%s\n", i,
                    c->measured->ranks, c->measured->step_ms, c->measured->step_low,
                    c->measured->step_high, c->simulated->step_ms, c->error, c->low, c->high, name);
    }
}

static void write_rows(Figure *f, const Parity *p, double most) {
    if (p->known) write_block(f, p, "known", true);
    if (p->known < p->count) write_block(f, p, "held out", false);
    figure_block(f, "diagonal");
    for (int i = 0; i < 2; i++)
        fprintf(f->data.stream, "\t\t%.10g\t\t\t%.10g\t\t\t\tdiagonal\n", i * most, i * most);
}

static void write_caption(Figure *f, const Parity *p) {
    char ms[CAPTION_MS];
    FILE *out = f->caption.stream;
    caption_series(out, f->options, &p->measured, true);
    caption_series(out, f->options, &p->simulated, false);
    fputs("Dotted: equal; shaded: within 10 %. ", out);
    caption_bars(out, &p->measured);
    fputs("Base: ", out);
    caption_ranks(out, f->options, p->measured.points[0].ranks);
    fprintf(out, " measured, %.0f samples/s (%s a step). ", p->measured.points[0].rate,
            caption_ms(ms, p->measured.points[0].step_ms, 4));
    fprintf(out,
            "Error: of the step time, simulated / measured - 1. Mean absolute error of the %d "
            "%sworld size%s: %.1f %%; worst: %+.1f %% at ",
            p->judged, p->known == p->count ? "" : "held-out ", p->judged == 1 ? "" : "s", p->mape,
            p->worst->error);
    caption_ranks(out, f->options, p->worst->measured->ranks);
    fputs(".", out);
    if (p->known) fprintf(out, " Known to the simulation, and not held out: %d.", p->known);
}

static Status add_facts(Figure *f, const Parity *p) {
    json_t *base = json_object(), *errors = json_array();
    const SizePoint *first = &p->measured.points[0];
    int failed = json_object_set_new(base, "ranks", json_integer(first->ranks));
    failed |= json_object_set_new(base, "kind", json_string("measured"));
    failed |= json_object_set_new(base, "samples_per_s", json_number(first->rate));
    failed |= json_object_set_new(base, "step_ms", json_number(first->step_ms));
    for (int i = 0; i < p->count; i++) {
        json_t *item = json_object();
        failed |= json_object_set_new(item, "ranks", json_integer(p->pairs[i].measured->ranks));
        failed |= json_object_set_new(item, "error_percent", json_number(p->pairs[i].error));
        failed |= json_object_set_new(item, "held_out", json_boolean(!p->pairs[i].known));
        failed |= json_array_append_new(errors, item);
    }
    failed |= json_object_set_new(f->facts, "base", base);
    failed |=
        json_object_set_new(f->facts, "sizes", series_size_facts(&p->measured, &p->simulated));
    failed |= json_object_set_new(f->facts, "errors", errors);
    failed |= json_object_set_new(f->facts, "mean_absolute_error_percent", json_number(p->mape));
    failed |= json_object_set_new(f->facts, "worst_error_percent", json_number(p->worst->error));
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static Status write_figure(Figure *f, const Parity *p) {
    double most = 1.08 * p->top, errors = 12;
    TRY(figure_open(f, "position\tranks\tmeasured step (ms)\tlow (ms)\thigh (ms)\t"
                       "simulated step (ms)\terror of the step time (%)\tlow (%)\thigh (%)\tset"));
    for (int i = 0; i < p->count; i++)
        errors = fmax(errors, fmax(fabs(p->pairs[i].low), fabs(p->pairs[i].high)));
    write_rows(f, p, most);
    figure_set(f, "MOST", most);
    figure_set_names(f, "SETS", p->known ? "known" : NULL, p->known < p->count ? "held out" : NULL);
    figure_set(f, "SIZES", p->count);
    figure_set(f, "ERROR_MOST", 5 * ceil(errors * 1.1 / 5));
    write_caption(f, p);
    return add_facts(f, p);
}

Status figures_parity(const FigureOptions *o, FigureNotes *notes) {
    static const char *const parts[] = {"parity", NULL};
    Arena a = {0};
    Parity parity;
    FigureDirectory d;
    Status s = gather(&parity, &a, o, notes);
    if (s == OK && !parity.count)
        figure_note(notes, "parity is not drawn: no world size was both simulated and measured");
    else if (s == OK && (s = figure_enter_directory(&d, o)) == OK) {
        Figure f = {.options = o, .notes = notes, .arena = &a, .directory = d.path};
        f.run = parity.measured.points[0].reports[0];
        f.name = "parity";
        f.width = 1000;
        f.height = 520;
        s = figure_close(&f, write_figure(&f, &parity), parts, true);
        figure_leave_directory(&d);
    }
    arena_finish(&a);
    return s;
}
