// SPDX-License-Identifier: MIT
// Where a step goes: per world size one bar of the categories of timeline_breakdown(), measured,
// and beside it the simulated one. A bar sums to the mean step.
#include "viz/figures_internal.h"

#include <math.h>

// Names in the key, in the order of TIME_CATEGORY_LIST.
static const char *const category_names[TIME_COUNT] = {
    "compute", "contended", "exposed comm", "bubble", "waiting", "host", "idle"};

enum { SIZES_MOST = 32 };
typedef struct {
    Series measured, simulated;
    int ranks[SIZES_MOST], sizes;  // ascending: the groups of bars
    double tallest_ms;
    bool shown[TIME_COUNT];
    bool left_out;  // there were more sizes
    bool dropped;   // some steps had no room for their spans
} Breakdown;

// The reports of one list that kept spans.
static Status keep_broken_down(ReportList *out, Arena *a, const ReportList *list) {
    const Report **kept = ARENA_NEW(a, const Report *, list->count);
    if (!kept) FAIL(ERR_MEMORY, "no memory for %d reports", list->count);
    *out = (ReportList){.reports = kept};
    for (int i = 0; i < list->count; i++) {
        double total = 0;
        for (int b = 0; b < TIME_COUNT; b++) total += list->reports[i]->breakdown_ms[b];
        if (list->reports[i]->breakdown_steps && isfinite(total) && total > 0)
            kept[out->count++] = list->reports[i];
    }
    return OK;
}

static void add_group(Breakdown *b, int ranks) {
    int at = b->sizes;
    for (int i = 0; i < b->sizes; i++)
        if (b->ranks[i] == ranks) return;
    if (b->sizes == SIZES_MOST) {
        b->left_out = true;
        return;
    }
    for (; at > 0 && b->ranks[at - 1] > ranks; at--) b->ranks[at] = b->ranks[at - 1];
    b->ranks[at] = ranks;
    b->sizes++;
}

static void add_series(Breakdown *b, const Series *s) {
    for (int i = 0; i < s->count; i++) {
        const SizePoint *p = &s->points[i];
        add_group(b, p->ranks);
        b->tallest_ms = fmax(b->tallest_ms, p->total_ms);
        for (int k = 0; k < TIME_COUNT; k++)
            b->shown[k] |= p->breakdown_ms[k] > 0.001 * p->total_ms;
        for (int k = 0; k < p->repeats; k++)
            b->dropped |= p->reports[k]->breakdown_steps <
                          p->reports[k]->steps - p->reports[k]->warm_up_steps;
    }
}

static Status gather(Breakdown *b, Arena *a, const FigureOptions *o, FigureNotes *notes) {
    ReportList measured, simulated;
    *b = (Breakdown){0};
    TRY(keep_broken_down(&measured, a, &o->measured));
    TRY(keep_broken_down(&simulated, a, &o->simulated));
    TRY(series_make(&b->measured, a, &measured, notes));
    TRY(series_make(&b->simulated, a, &simulated, notes));
    add_series(b, &b->measured);
    add_series(b, &b->simulated);
    if (b->left_out)
        figure_note(notes, "breakdown shows %d world sizes, and leaves others out", SIZES_MOST);
    return OK;
}

static void write_block(Figure *f, const Breakdown *b, const Series *s, bool measured) {
    const Series *other = measured ? &b->simulated : &b->measured;
    const char *name = measured ? "measured" : "simulated";
    if (!s->count) return;
    figure_block(f, name);
    for (int i = 0; i < b->sizes; i++) {
        const SizePoint *p = series_at(s, b->ranks[i]);
        double beside = series_at(other, b->ranks[i]) ? 0.19 : 0;
        if (!p) continue;
        fprintf(f->data.stream, "%s\t%d\t%g", name, p->ranks, measured ? i - beside : i + beside);
        for (int k = 0; k < TIME_COUNT; k++) fprintf(f->data.stream, "\t%.6g", p->breakdown_ms[k]);
        fprintf(f->data.stream, "\t%.6g\t%d\n", p->total_ms, p->breakdown_steps);
    }
}

static void write_lists(Figure *f, const Breakdown *b) {
    FILE *out = f->settings.stream;
    int shown = 0;
    fputs("array CATEGORY[7] = [", out);
    for (int k = 0; k < TIME_COUNT; k++) fprintf(out, "%s\"%s\"", k ? ", " : "", category_names[k]);
    for (int k = 0; k < TIME_COUNT; k++) shown += b->shown[k];
    fprintf(out, "]\narray SHOWN[%d] = [", shown);
    for (int k = 0, n = 0; k < TIME_COUNT; k++)
        if (b->shown[k]) fprintf(out, n++ ? ", %d" : "%d", k + 1);
    fputs("]\nXTICS = '", out);
    for (int i = 0; i < b->sizes; i++) fprintf(out, "%s\"%d\" %d", i ? ", " : "", b->ranks[i], i);
    fputs("'\n", out);
}

static void write_caption(Figure *f, const Breakdown *b) {
    char ms[CAPTION_MS];
    FILE *out = f->caption.stream;
    const Series *first = b->measured.count ? &b->measured : &b->simulated;
    const SizePoint *base = &first->points[0];
    if (b->measured.count) caption_series(out, f->options, &b->measured, true);
    if (b->simulated.count) caption_series(out, f->options, &b->simulated, false);
    fprintf(out, "Mean over %ss%s%s; a bar sums to the mean step. Base: ", caption_rank(f->options),
            b->measured.count ? " and steps" : "",
            b->measured.count && b->dropped ? " whose spans were kept" : "");
    caption_ranks(out, f->options, base->ranks);
    fprintf(out, ", %s a step. ", caption_ms(ms, base->total_ms, 4));
    fprintf(out,
            "Rule: an instant of a %s belongs to the first that applies: compute (an operation has "
            "the processor); contended (%s); exposed comm (all members have arrived); bubble "
            "(blocked on a receive); waiting (a member has not arrived); host; idle.",
            caption_rank(f->options),
            f->options->devices ? "it takes longer beside a collective"
                                : "one was started but has it not");
}

static Status add_facts(Figure *f, const Breakdown *b) {
    const Series *first = b->measured.count ? &b->measured : &b->simulated;
    json_t *base = json_object();
    int failed = json_object_set_new(base, "ranks", json_integer(first->points[0].ranks));
    failed |= json_object_set_new(base, "kind",
                                  json_string(b->measured.count ? "measured" : "simulated"));
    failed |= json_object_set_new(base, "step_ms", json_number(first->points[0].total_ms));
    failed |= json_object_set_new(f->facts, "base", base);
    failed |=
        json_object_set_new(f->facts, "sizes", series_size_facts(&b->measured, &b->simulated));
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static Status write_figure(Figure *f, const Breakdown *b) {
    TRY(figure_open(f, "series\tranks\tposition\tcompute (ms)\tcontended (ms)\texposed_comm (ms)\t"
                       "bubble (ms)\twaiting (ms)\thost (ms)\tidle (ms)\tstep (ms)\tsteps"));
    write_block(f, b, &b->measured, true);
    write_block(f, b, &b->simulated, false);
    figure_set(f, "MEASURED", b->measured.count > 0);
    figure_set(f, "SIMULATED", b->simulated.count > 0);
    figure_set_names(f, "SERIES", b->measured.count ? "measured" : NULL,
                     b->simulated.count ? "simulated" : NULL);
    figure_set(f, "TALLEST", b->tallest_ms);
    // A bar alone stays a bar.
    figure_set(f, "XMIN", b->sizes < 3 ? -1.0 : -0.6);
    figure_set(f, "XMAX", b->sizes < 3 ? b->sizes : b->sizes - 0.4);
    write_lists(f, b);
    TRY(figure_set_title(f, "Where a step goes:", &b->measured, &b->simulated));
    write_caption(f, b);
    return add_facts(f, b);
}

Status figures_breakdown(const FigureOptions *o, FigureNotes *notes) {
    static const char *const parts[] = {"breakdown", NULL};
    Arena a = {0};
    Breakdown b;
    FigureDirectory d;
    Status s = o->directory ? gather(&b, &a, o, notes) : OK;
    if (s == OK && o->directory && !b.sizes)
        figure_note(notes, "breakdown is not drawn: no report kept spans");
    else if (s == OK && o->directory && (s = figure_enter_directory(&d, o)) == OK) {
        const Series *first = b.measured.count ? &b.measured : &b.simulated;
        Figure f = {.options = o, .notes = notes, .arena = &a, .directory = d.path};
        f.run = first->points[0].reports[0];
        f.name = "breakdown";
        f.width = 560 + 70 * (b.sizes > 2 ? b.sizes - 2 : 0);
        f.width = f.width > 1100 ? 1100 : f.width < 680 ? 680 : f.width;
        f.height = 540;
        s = figure_close(&f, write_figure(&f, &b), parts, false);
        figure_leave_directory(&d);
    }
    arena_finish(&a);
    return s;
}
