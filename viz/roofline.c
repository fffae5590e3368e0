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

static bool is_near(double a, double b) { return fabs(log10(a / b)) < 0.06; }

// Would the numbers of two stand on each other?
static bool share_a_place(const RooflineKernel *a, const RooflineKernel *b) {
    if ((a->flops > 0) != (b->flops > 0)) return false;
    if (!(a->flops > 0)) return is_near(a->bytes, b->bytes) && is_near(a->ms, b->ms);
    return is_near(a->flops / a->bytes, b->flops / b->bytes) &&
           is_near(a->flops / a->ms, b->flops / b->ms);
}

// The numbers of the largest, of those in one place in one row.
static void write_named(Figure *f, const Points *p, bool computing) {
    int named = p->count < ROOFLINE_NAMED ? p->count : ROOFLINE_NAMED;
    bool done[ROOFLINE_NAMED] = {false};
    figure_block(f, computing ? "named computing" : "named moving");
    for (int i = 0; i < named; i++) {
        const RooflineKernel *k = p->kernels[i];
        char numbers[4 * ROOFLINE_NAMED] = "";
        if ((k->flops > 0) != computing || done[i]) continue;
        for (int j = i; j < named; j++) {
            if (done[j] || !share_a_place(k, p->kernels[j])) continue;
            text_append(numbers, sizeof numbers, *numbers ? " %d" : "%d", j + 1);
            done[j] = true;
        }
        write_row(f, k, numbers);
    }
}

// Which of the two blocks has rows, since gnuplot fails at one without.
static bool names(const Points *p, bool computing) {
    for (int i = 0; i < p->count && i < ROOFLINE_NAMED; i++)
        if ((p->kernels[i]->flops > 0) == computing) return true;
    return false;
}

static void write_settings(Figure *f, const Points *p) {
    const Roofline *r = p->roofline;
    FILE *out = f->settings.stream;
    int named = p->count < ROOFLINE_NAMED ? p->count : ROOFLINE_NAMED;
    double low = HUGE_VAL, high = 0, least = HUGE_VAL, most = 0;
    for (int i = 0; i < p->count; i++) {
        const RooflineKernel *k = p->kernels[i];
        if (k->flops > 0) low = fmin(low, k->flops / k->bytes);
        if (k->flops > 0) high = fmax(high, k->flops / k->bytes);
        if (!(k->flops > 0)) least = fmin(least, k->bytes);
        if (!(k->flops > 0)) most = fmax(most, k->bytes);
    }
    // The ridge is in sight, and some of the roof on both sides of it.
    double ridge = r->reached_flops / r->reached_bytes;
    figure_set(f, "XMIN", fmin(low, ridge) / 4);
    figure_set(f, "XMAX", fmax(high, ridge) * 4);
    figure_set(f, "LEAST", p->moving ? least / 2 : 0);
    figure_set(f, "MOST", p->moving ? most * 2 : 0);
    figure_set(f, "PEAK_FLOPS", r->peak_flops);
    figure_set(f, "REACHED_FLOPS", r->reached_flops);
    figure_set(f, "PEAK_BYTES", r->peak_bytes);
    figure_set(f, "REACHED_BYTES", r->reached_bytes);
    figure_set(f, "COMPUTING", p->computing);
    figure_set(f, "MOVING", p->moving);
    figure_set(f, "NAMED_COMPUTING", names(p, true));
    figure_set(f, "NAMED_MOVING", names(p, false));
    fprintf(out, "array NAMED[%d] = [", named);
    for (int i = 0; i < named; i++)
        fprintf(out, "%s'%d  %s, %.1f %%'", i ? ", " : "", i + 1, p->kernels[i]->kind,
                100 * p->kernels[i]->share);
    fputs("]\n", out);
}

static void write_caption(Figure *f, const Points *p) {
    FILE *out = f->caption.stream;
    const Roofline *r = p->roofline;
    caption_job(out, f->options, r->run);
    fprintf(out,
            "Points: operations of one kind and shape, as large as their share of the step of %.4g "
            "ms: what computes %.1f %% of it, what moves memory alone %.1f %%. ",
            r->run->step_ms.median, 100 * p->computing_share, 100 * p->moving_share);
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
    if (names(p, true)) write_named(f, p, true);
    if (names(p, false)) write_named(f, p, false);
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
