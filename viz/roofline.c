// SPDX-License-Identifier: MIT
// Kernels under the roofs of a device. Read write_figure().
#include "viz/roofline.h"

#include "core/base/text.h"
#include "viz/figures_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    const Roofline *roofline;
    const RooflineKernel **kernels;  // that take time, the largest share first
    int count, computing, moving;
    double computing_share, moving_share;
} Points;

static int by_share(const void *left, const void *right) {
    const RooflineKernel *a = *(const RooflineKernel *const *)left,
                         *b = *(const RooflineKernel *const *)right;
    if (a->share != b->share) return a->share < b->share ? 1 : -1;
    return (a > b) - (a < b);  // as they were given
}

static Status gather(Points *p, Arena *a, const Roofline *r) {
    *p = (Points){.roofline = r};
    p->kernels = ARENA_NEW(a, const RooflineKernel *, r->count);
    if (!p->kernels) FAIL(ERR_MEMORY, "no memory for %d kernels", r->count);
    for (int i = 0; i < r->count; i++) {
        const RooflineKernel *k = &r->kernels[i];
        if (!(k->ms > 0) || !(k->bytes > 0)) continue;
        p->kernels[p->count++] = k;
        *(k->flops > 0 ? &p->computing : &p->moving) += 1;
        *(k->flops > 0 ? &p->computing_share : &p->moving_share) += k->share;
    }
    qsort(p->kernels, (size_t)p->count, sizeof *p->kernels, by_share);
    return OK;
}

static double per_s(double work, double ms) { return work / (ms * 1e-3); }

static void write_row(Figure *f, const RooflineKernel *k, const char *number) {
    fprintf(f->data.stream, "%s\t%s\t%.6g\t%.6g\t%.6g\t%.6g\t%.4g\t%s\n", k->kind, k->phase,
            k->flops / k->bytes, k->bytes, per_s(k->flops, k->ms), per_s(k->bytes, k->ms),
            100 * k->share, number);
}

static void write_kernels(Figure *f, const Points *p, bool computing) {
    figure_block(f, computing ? "computing" : "moving memory");
    for (int i = 0; i < p->count; i++)
        if ((p->kernels[i]->flops > 0) == computing) write_row(f, p->kernels[i], "");
}

static const double PEAK_ROOM = 2.5;  // the axis ends at so many times the peak

// --- numbers beside the largest points. Those of points that lie side by side stand in one row
// under the lowest, or above the highest where the next row would be in the way.

typedef struct {
    char numbers[4 * ROOFLINE_NAMED];
    double x, low, high;  // logarithms, base 10: of the middle, of the lowest and highest point
    const RooflineKernel *first;
    bool above;
} Place;

// Logarithms of where a kernel is drawn.
static double place_x(const RooflineKernel *k) {
    return log10(k->flops > 0 ? k->flops / k->bytes : k->bytes);
}
static double place_y(const RooflineKernel *k) {
    return log10(per_s(k->flops > 0 ? k->flops : k->bytes, k->ms));
}

// The least and the most flops per byte or bytes of points, and the extent of the panel in decades.
typedef struct {
    double least, most, wide, high;
} Extent;

// The ridge is in sight, and some of the roof on both sides of it.
static Extent extent(const Points *p, bool computing) {
    const Roofline *r = p->roofline;
    const double ridge = r->reached_flops / r->reached_bytes, margin = computing ? 4 : 2;
    Extent e = {computing ? ridge : HUGE_VAL, computing ? ridge : 0, 0, 0};
    double slowest = HUGE_VAL;
    for (int i = 0; i < p->count; i++) {
        const RooflineKernel *k = p->kernels[i];
        if ((k->flops > 0) != computing) continue;
        e.least = fmin(e.least, pow(10, place_x(k)));
        e.most = fmax(e.most, pow(10, place_x(k)));
        slowest = fmin(slowest, place_y(k));
    }
    e.least /= margin;
    e.most *= margin;
    e.wide = log10(e.most / e.least);
    e.high = log10(PEAK_ROOM * (computing ? r->peak_flops : r->peak_bytes)) - floor(slowest);
    return e;
}

// Would the numbers of two stand on each other? Of the panel a number takes a share of 0.05.
static bool are_near(const RooflineKernel *a, const RooflineKernel *b, const Extent *e) {
    return fabs(place_x(a) - place_x(b)) < 0.05 * e->wide &&
           fabs(place_y(a) - place_y(b)) < 0.05 * e->high;
}

// group[i]: the first of those that kernel i is near to, also by way of others.
static void find_groups(int group[ROOFLINE_NAMED], const Points *p, int named, bool computing) {
    const Extent e = extent(p, computing);
    for (int i = 0; i < named; i++) {
        group[i] = (p->kernels[i]->flops > 0) == computing ? i : -1;
        for (int j = 0; j < i && group[i] >= 0; j++) {
            if (group[j] < 0 || !are_near(p->kernels[i], p->kernels[j], &e))
                continue;
            int one = group[i] < group[j] ? group[i] : group[j],
                other = group[i] + group[j] - one;
            for (int k = 0; k <= i; k++)
                if (group[k] == other) group[k] = one;
        }
    }
}

// Is the row of `upper`, under its points, where those of `lower` are?
static bool is_right_under(const Place *lower, const Place *upper, const Extent *e) {
    double gap = upper->low - lower->high;
    return fabs(lower->x - upper->x) < 0.12 * e->wide && gap > 0 && gap < 0.12 * e->high;
}

static int find_places(Place out[ROOFLINE_NAMED], const Points *p, bool computing) {
    int named = p->count < ROOFLINE_NAMED ? p->count : ROOFLINE_NAMED, count = 0;
    int group[ROOFLINE_NAMED];
    const Extent e = extent(p, computing);
    find_groups(group, p, named, computing);
    for (int i = 0; i < named; i++) {
        if (group[i] != i) continue;
        Place place = {.first = p->kernels[i], .low = HUGE_VAL, .high = -HUGE_VAL};
        double least = HUGE_VAL, most = -HUGE_VAL;
        for (int j = i; j < named; j++) {
            const RooflineKernel *k = p->kernels[j];
            if (group[j] != i) continue;
            text_append(place.numbers, sizeof place.numbers, *place.numbers ? " %d" : "%d", j + 1);
            least = fmin(least, place_x(k));
            most = fmax(most, place_x(k));
            place.low = fmin(place.low, place_y(k));
            place.high = fmax(place.high, place_y(k));
        }
        place.x = (least + most) / 2;
        out[count++] = place;
    }
    for (int i = 0; i < count; i++) {
        bool below = false, over = false;
        for (int j = 0; j < count; j++) {
            below |= is_right_under(&out[j], &out[i], &e);
            over |= is_right_under(&out[i], &out[j], &e);
        }
        out[i].above = below && !over;
    }
    return count;
}

// Rows with their numbers on that side: columns as those of kernels, but for the place. No block
// where there is none, at which gnuplot would fail; how many.
static int write_named(Figure *f, const Points *p, bool computing, bool above) {
    Place places[ROOFLINE_NAMED];
    int count = find_places(places, p, computing), rows = 0;
    char name[64];
    snprintf(name, sizeof name, "named %s%s", computing ? "computing" : "moving",
             above ? " above" : "");
    for (int i = 0; i < count; i++) {
        const Place *at = &places[i];
        const RooflineKernel *k = at->first;
        double x = pow(10, at->x), y = pow(10, above ? at->high : at->low);
        if (at->above != above) continue;
        if (!rows++) figure_block(f, name);
        fprintf(f->data.stream, "%s\t%s\t%.6g\t%.6g\t%.6g\t%.6g\t%.4g\t%s\n", k->kind, k->phase,
                computing ? x : 0, computing ? k->bytes : x, computing ? y : 0, computing ? 0 : y,
                100 * k->share, at->numbers);
    }
    return rows;
}

static void write_settings(Figure *f, const Points *p) {
    const Roofline *r = p->roofline;
    FILE *out = f->settings.stream;
    int named = p->count < ROOFLINE_NAMED ? p->count : ROOFLINE_NAMED;
    const Extent computing = extent(p, true), moving = extent(p, false);
    figure_set(f, "XMIN", computing.least);
    figure_set(f, "XMAX", computing.most);
    figure_set(f, "LEAST", p->moving ? moving.least : 0);
    figure_set(f, "MOST", p->moving ? moving.most : 0);
    figure_set(f, "PEAK_ROOM", PEAK_ROOM);
    figure_set(f, "PEAK_FLOPS", r->peak_flops);
    figure_set(f, "REACHED_FLOPS", r->reached_flops);
    figure_set(f, "PEAK_BYTES", r->peak_bytes);
    figure_set(f, "REACHED_BYTES", r->reached_bytes);
    figure_set(f, "COMPUTING", p->computing);
    figure_set(f, "MOVING", p->moving);
    fprintf(out, "array NAMED[%d] = [", named);
    for (int i = 0; i < named; i++)
        fprintf(out, "%s'%d  %s, %.1f %%'", i ? ", " : "", i + 1, p->kernels[i]->kind,
                100 * p->kernels[i]->share);
    fputs("]\n", out);
}

static void write_caption(Figure *f, const Points *p) {
    char ms[CAPTION_MS];
    FILE *out = f->caption.stream;
    const Roofline *r = p->roofline;
    caption_job(out, f->options, r->run);
    fprintf(out,
            "Points: operations of one kind and shape, as large as their share of the step of %s: "
            "what computes %.1f %% of it, what moves memory alone %.1f %%. ",
            caption_ms(ms, r->run->step_ms.median, 4), 100 * p->computing_share,
            100 * p->moving_share);
    fprintf(
        out,
        "Roofs: what kernels reach at best, %.4g Tflop/s and %.4g GB/s; dotted: the peaks, %.4g "
        "and %.4g. Launches are in the times. Simulated steps have no spread.",
        r->reached_flops * 1e-12, r->reached_bytes * 1e-9, r->peak_flops * 1e-12,
        r->peak_bytes * 1e-9);
}

static Status write_figure(Figure *f, const void *data) {
    const Points *p = data;
    TRY(figure_open(f, "kind\tphase\tintensity (flop/byte)\tsize (bytes)\trate (flop/s)\t"
                       "bandwidth (bytes/s)\tshare of the step (%)\tnumber"));
    if (p->computing) write_kernels(f, p, true);
    if (p->moving) write_kernels(f, p, false);
    figure_set(f, "COMPUTING_BELOW", write_named(f, p, true, false));
    figure_set(f, "COMPUTING_ABOVE", write_named(f, p, true, true));
    figure_set(f, "MOVING_BELOW", write_named(f, p, false, false));
    figure_set(f, "MOVING_ABOVE", write_named(f, p, false, true));
    figure_set_text(f, "TITLE", "Roofline of %s on %s", p->roofline->run->run.model,
                    f->options->platform);
    write_settings(f, p);
    write_caption(f, p);
    return OK;
}

Status figures_roofline(const FigureOptions *o, const Roofline *r, FigureNotes *notes) {
    static const char *const parts[] = {"roofline", NULL};
    Arena a = {0};
    Points p;
    Status s = gather(&p, &a, r);
    if (s == OK && !(p.computing && r->peak_flops > 0 && r->peak_bytes > 0))
        figure_note(notes, "roofline is not drawn: no operation computes");
    else if (s == OK)
        s = figure_make(o, notes,
                        &(FigureForm){.name = "roofline",
                                      .width = 1180,
                                      .height = 500,
                                      .run = r->run,
                                      .write = write_figure,
                                      .data = &p,
                                      .parts = parts});
    arena_finish(&a);
    return s;
}
