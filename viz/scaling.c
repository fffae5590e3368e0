// SPDX-License-Identifier: MIT
// Throughput and efficiency against ranks. Efficiency is samples/s per rank over those of the base,
// the smallest world size measured (or simulated, when none was measured).
#include "core/base/text.h"
#include "viz/figures_internal.h"

#include <math.h>
#include <string.h>

typedef struct {
    Series measured, simulated;
    const SizePoint *base;
    bool base_is_measured;
    int least, most;  // ranks
    double top_rate, top_efficiency;
    const Report *run;
} Scale;

static double base_rate(const Scale *s) { return s->base->rate / s->base->ranks; }

static double efficiency(const Scale *s, int ranks, double rate) {
    return 100 * rate / ranks / base_rate(s);
}

static void add_extent(Scale *s, const Series *series) {
    for (int i = 0; i < series->count; i++) {
        const SizePoint *p = &series->points[i];
        if (!s->least || p->ranks < s->least) s->least = p->ranks;
        if (p->ranks > s->most) s->most = p->ranks;
        s->top_rate = fmax(s->top_rate, fmax(p->rate, p->high));
        s->top_efficiency =
            fmax(s->top_efficiency, efficiency(s, p->ranks, fmax(p->rate, p->high)));
        for (int k = 0; k < p->repeats; k++)
            s->top_efficiency = fmax(s->top_efficiency,
                                     efficiency(s, p->ranks, p->reports[k]->samples_per_s.median));
    }
}

static Status gather(Scale *s, Arena *a, const FigureOptions *o, FigureNotes *notes) {
    *s = (Scale){0};
    TRY(series_make(&s->measured, a, &o->measured, notes));
    TRY(series_make(&s->simulated, a, &o->simulated, notes));
    s->base_is_measured = s->measured.count > 0;
    const Series *first = s->base_is_measured ? &s->measured : &s->simulated;
    if (!first->count) return OK;
    s->base = &first->points[0];
    s->run = s->base->reports[0];
    if (s->measured.count && s->simulated.count &&
        strcmp(s->run->run.model, s->simulated.points[0].reports[0]->run.model))
        FAIL(ERR_USAGE, "measured %s and simulated %s cannot share a figure; give one model",
             s->run->run.model, s->simulated.points[0].reports[0]->run.model);
    add_extent(s, &s->measured);
    add_extent(s, &s->simulated);
    return OK;
}

// --- data

static const char columns[] = "series\tranks\tthroughput (samples/s)\tlow (samples/s)\t"
                              "high (samples/s)\tefficiency (%)\tlow (%)\thigh (%)\truns";

static void write_row(const Figure *f, const Scale *s, const char *series, int ranks, double rate,
                      double low, double high, int runs) {
    fprintf(f->data.stream, "%s\t%d\t%.10g\t%.10g\t%.10g\t%.6g\t%.6g\t%.6g\t%d\n", series, ranks,
            rate, low, high, efficiency(s, ranks, rate), efficiency(s, ranks, low),
            efficiency(s, ranks, high), runs);
}

static void write_measured(Figure *f, const Scale *s) {
    const Series *series = &s->measured;
    if (!series->count) return;
    figure_block(f, "measured");
    for (int i = 0; i < series->count; i++) {
        const SizePoint *p = &series->points[i];
        write_row(f, s, "measured", p->ranks, p->rate, p->low, p->high, p->repeats);
    }
    figure_block(f, "runs measured");
    for (int i = 0; i < series->count; i++)
        for (int k = 0; k < series->points[i].repeats; k++) {
            const Spread *spread = &series->points[i].reports[k]->samples_per_s;
            write_row(f, s, "runs measured", series->points[i].ranks, spread->median, spread->p10,
                      spread->p90, 1);
        }
}

// A simulation has neither runs nor an interval.
static void write_simulated(Figure *f, const Scale *s) {
    if (!s->simulated.count) return;
    figure_block(f, "simulated");
    for (int i = 0; i < s->simulated.count; i++) {
        const SizePoint *p = &s->simulated.points[i];
        fprintf(f->data.stream, "simulated\t%d\t%.10g\t\t\t%.6g\t\t\t\n", p->ranks, p->rate,
                efficiency(s, p->ranks, p->rate));
    }
}

// Two points would make the line, but not where the axes are logarithmic and cut it.
static void write_ideal(Figure *f, const Scale *s) {
    figure_block(f, "ideal");
    for (int64_t ranks = s->least; ranks < s->most; ranks *= 2)
        fprintf(f->data.stream, "ideal\t%lld\t%.10g\t\t\t100\t\t\t\n", (long long)ranks,
                (double)ranks * base_rate(s));
    fprintf(f->data.stream, "ideal\t%d\t%.10g\t\t\t100\t\t\t\n", s->most, s->most * base_rate(s));
}

// --- what the scripts need to know

static void write_ticks(Figure *f, const Scale *s) {
    char text[1024] = "";
    const Series *both[] = {&s->measured, &s->simulated};
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < both[m]->count && strlen(text) < sizeof text - 16; i++)
            if (m == 0 || !series_at(&s->measured, both[m]->points[i].ranks))
                text_append(text, sizeof text, *text ? ", %d" : "%d", both[m]->points[i].ranks);
    figure_set_text(f, "XTICS", "%s", text);
}

enum { LINEAR_RANKS = 16 };  // more are drawn on logarithmic axes

// Halfway between the last world size whose ranks have a core each and the next; 0: none is larger.
static double shade_from(int cores, int most, bool logarithmic) {
    if (cores <= 0 || cores >= most) return 0;
    return logarithmic ? sqrt((double)cores * (cores + 1)) : cores + 0.5;
}

static void write_settings(Figure *f, const Scale *s) {
    const char *unit;
    bool logarithmic = s->most > LINEAR_RANKS;
    double most = fmax(s->top_rate, s->most * base_rate(s));
    figure_set(f, "SCALE", figure_readable_scale(most, &unit));
    figure_set_text(f, "UNIT", "%s", unit);
    figure_set(f, "LOG", logarithmic);
    figure_set_names(f, "SERIES", s->measured.count ? "measured" : NULL,
                     s->simulated.count ? "simulated" : NULL);
    figure_set(f, "INTERVALS", s->measured.has_intervals);
    figure_set(f, "REPEATS", s->measured.most_repeats);
    figure_set(f, "XMIN", logarithmic ? s->least / 1.2 : s->least - 0.05 * s->most);
    figure_set(f, "XMAX", s->most * (logarithmic ? 1.2 : 1.05));
    figure_set(f, "YMAX", 20 * ceil(fmax(s->top_efficiency, 100) * 1.05 / 20));
    figure_set(f, "SHADE_FROM", shade_from(f->options->oversubscribed_from, s->most, logarithmic));
    write_ticks(f, s);
}

static void write_caption(Figure *f, const Scale *s) {
    char ms[CAPTION_MS];
    FILE *out = f->caption.stream;
    if (s->measured.count) caption_series(out, f->options, &s->measured, true);
    if (s->simulated.count) caption_series(out, f->options, &s->simulated, false);
    caption_bars(out, &s->measured);
    const char *rank = caption_rank(f->options);
    fputs("Base: ", out);
    caption_ranks(out, f->options, s->base->ranks);
    fprintf(out,
            " %s, %.0f samples/s (%s a step). Ideal: the base's samples/s per %s, times %ss; "
            "efficiency: share of the ideal.",
            s->base_is_measured ? "measured" : "simulated", s->base->rate,
            caption_ms(ms, s->base->step_ms, 4), rank, rank);
    if (f->options->oversubscribed_from > 0 && f->options->oversubscribed_from < s->most) {
        fputs(" Shaded: more than ", out);
        caption_ranks(out, f->options, f->options->oversubscribed_from);
        fputs(" share cores.", out);
    }
}

static Status add_facts(Figure *f, const Scale *s) {
    json_t *base = json_object();
    int failed = json_object_set_new(base, "ranks", json_integer(s->base->ranks));
    failed |= json_object_set_new(base, "kind",
                                  json_string(s->base_is_measured ? "measured" : "simulated"));
    failed |= json_object_set_new(base, "samples_per_s", json_number(s->base->rate));
    failed |= json_object_set_new(base, "step_ms", json_number(s->base->step_ms));
    failed |= json_object_set_new(f->facts, "base", base);
    failed |=
        json_object_set_new(f->facts, "sizes", series_size_facts(&s->measured, &s->simulated));
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static Status write_figure(Figure *f, const Scale *s, const char *what) {
    TRY(figure_open(f, columns));
    TRY(figure_set_title(f, what, &s->measured, &s->simulated));
    write_measured(f, s);
    write_simulated(f, s);
    write_ideal(f, s);
    write_settings(f, s);
    write_caption(f, s);
    return add_facts(f, s);
}

// The picture with both: its left half, and its right half.
static const char left_half[] = "if (!DUMB) { set multiplot; set rmargin at screen 0.48 }";
static const char right_half[] = "if (!DUMB) {\n"
                                 "    do for [i = 1:|CAPTION|] { unset label 100 + i }\n"
                                 "    LEFT = 0.5 + LEFT\n"
                                 "    set lmargin at screen LEFT\n"
                                 "    set rmargin at screen RIGHT\n"
                                 "}\n"
                                 "unset logscale\n"
                                 "TITLE = 'Efficiency'";

static Status draw_all(Figure *f, const Scale *s) {
    static const char *const throughput[] = {"throughput", NULL};
    static const char *const efficient[] = {"efficiency", NULL};
    static const char *const both[] = {
        left_half, "throughput", right_half, "efficiency", "if (!DUMB) { unset multiplot }", NULL};
    const Figure empty = *f;
    f->name = "throughput";
    TRY(figure_close(f, write_figure(f, s, "Throughput of"), throughput, true));
    if (!f->options->directory) return OK;
    *f = empty;
    f->name = "efficiency";
    TRY(figure_close(f, write_figure(f, s, "Efficiency of"), efficient, false));
    *f = empty;
    f->name = "scaling";
    f->width = 1080;
    return figure_close(f, write_figure(f, s, "Throughput of"), both, false);
}

Status figures_scaling(const FigureOptions *o, FigureNotes *notes) {
    Arena a = {0};
    Scale scale;
    FigureDirectory d;
    Status s = gather(&scale, &a, o, notes);
    if (s == OK && scale.least == scale.most)
        figure_note(notes, "throughput and efficiency are not drawn: reports of %s",
                    scale.least ? "one world size only" : "no run");
    else if (s == OK && (s = figure_enter_directory(&d, o)) == OK) {
        Figure f = {.options = o, .notes = notes, .arena = &a, .directory = d.path};
        f.run = scale.run;
        f.width = 720;
        f.height = 480;
        s = draw_all(&f, &scale);
        figure_leave_directory(&d);
    }
    arena_finish(&a);
    return s;
}
