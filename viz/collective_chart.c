// SPDX-License-Identifier: MIT
// Times and bandwidths of a collective over its sizes. Read write_figure().
#include "viz/collective_chart.h"

#include "core/base/units.h"
#include "core/plan/program.h"
#include "viz/alpha_beta.h"
#include "viz/figures_internal.h"

#include <math.h>
#include <string.h>

enum { CROSSINGS = 4 };

typedef struct {
    const CollectiveChart *chart;
    AlphaBeta fit;
    double crossings[CROSSINGS];  // sizes at which Ring and Tree take as long
    int crossing_count;
    double fits_cross;  // where the lines of the two do; NaN: nowhere
} Plotted;

static const CollectiveSeries *series_of(const CollectiveChart *c, const char *name) {
    for (int i = 0; i < c->algorithm_count; i++)
        if (!strcmp(c->algorithms[i].name, name)) return &c->algorithms[i];
    return NULL;
}

// Between two sizes where one becomes faster than the other: by the logarithm of their ratio. A
// size at which both take the same is itself such a place, if the faster changes there.
static void find_crossings(Plotted *p, const double *ring, const double *tree) {
    const double *x = p->chart->bytes;
    double before = 0;
    int last = 0, equal = NONE;
    for (int i = 0; i < p->chart->count && p->crossing_count < CROSSINGS; i++) {
        double now = log(ring[i] / tree[i]);
        if (now == 0) {
            equal = i;
            continue;
        }
        if (before * now < 0)
            p->crossings[p->crossing_count++] =
                equal != NONE ? x[equal] : x[last] * pow(x[i] / x[last], before / (before - now));
        before = now;
        last = i;
        equal = NONE;
    }
}

// alpha_r + x / beta_r = alpha_t + x / beta_t.
static Status cross_fits(Plotted *p, const double *ring, const double *tree) {
    AlphaBeta r, t;
    TRY(alpha_beta_fit(&r, p->chart->bytes, ring, p->chart->count));
    TRY(alpha_beta_fit(&t, p->chart->bytes, tree, p->chart->count));
    double x = (r.alpha_us - t.alpha_us) / (1 / t.beta - 1 / r.beta);
    p->fits_cross = isfinite(x) && x > 0 ? x : (double)NAN;
    return OK;
}

// The line needs all times; a collective of one rank, or of no bytes, has none.
static bool is_complete(const double *us, int count) {
    for (int i = 0; i < count; i++)
        if (!(us[i] > 0)) return false;
    return true;
}

static Status gather(Plotted *p, const CollectiveChart *c) {
    *p = (Plotted){.chart = c, .fits_cross = (double)NAN};
    const CollectiveSeries *ring = series_of(c, "Ring"), *tree = series_of(c, "Tree");
    TRY(alpha_beta_fit(&p->fit, c->bytes, c->measured_us ? c->measured_us : c->chosen.us,
                       c->count));
    if (!ring || !tree || !is_complete(ring->us, c->count) || !is_complete(tree->us, c->count))
        return OK;
    find_crossings(p, ring->us, tree->us);
    return cross_fits(p, ring->us, tree->us);
}

static void write_series(Figure *f, const CollectiveChart *c, const char *name, const double *us) {
    figure_block(f, name);
    for (int i = 0; i < c->count; i++) {
        double algorithm = c->bytes[i] / us[i] * 1e-3;
        if (!isnan(us[i]))
            fprintf(f->data.stream, "%s\t%.0f\t%.6g\t%.6g\t%.6g\n", name, c->bytes[i], us[i],
                    algorithm, algorithm * c->bus_factor);
    }
}

static void write_rows(Figure *f, const Plotted *p) {
    const CollectiveChart *c = p->chart;
    for (int i = 0; i < c->algorithm_count; i++)
        write_series(f, c, c->algorithms[i].name, c->algorithms[i].us);
    write_series(f, c, c->chosen.name, c->chosen.us);
    if (c->measured_us) write_series(f, c, "measured", c->measured_us);
    figure_block(f, "line");
    for (int i = 0; i < c->count; i++) {
        double us = p->fit.alpha_us + c->bytes[i] / p->fit.beta;
        fprintf(f->data.stream, "line\t%.0f\t%.6g\t%.6g\t%.6g\n", c->bytes[i], us,
                c->bytes[i] / us * 1e-3, c->bytes[i] / us * 1e-3 * c->bus_factor);
    }
}

// Every power of 16 between the sizes.
static void write_ticks(Figure *f, const CollectiveChart *c) {
    FILE *out = f->settings.stream;
    char size[UNITS_TEXT];
    int count = 0;
    fputs("XTICS = '", out);
    for (double x = 1; x <= c->bytes[c->count - 1] * 1.01; x *= 16)
        if (x >= c->bytes[0] * 0.99)
            fprintf(out, "%s\"%s\" %.0f", count++ ? ", " : "", units_print_size(size, (int64_t)x),
                    x);
    fputs("'\n", out);
}

static void write_settings(Figure *f, const Plotted *p) {
    const CollectiveChart *c = p->chart;
    FILE *out = f->settings.stream;
    fprintf(out, "array ALGORITHM[%d] = [", c->algorithm_count);
    for (int i = 0; i < c->algorithm_count; i++)
        fprintf(out, "%s'%s'", i ? ", " : "", c->algorithms[i].name);
    fputs("]\n", out);
    figure_set(f, "SIZES", c->count);
    figure_set_text(f, "CROSSED", "Ring = Tree");
    figure_set(f, "MEASURED", c->measured_us != NULL);
    figure_set(f, "XMIN", c->bytes[0] / 1.4);
    figure_set(f, "XMAX", c->bytes[c->count - 1] * 1.4);
    fprintf(out, "array CROSSING[%d] = [", p->crossing_count + 1);
    for (int i = 0; i < p->crossing_count; i++) fprintf(out, "%.0f, ", p->crossings[i]);
    fputs("0]\n", out);  // an array of gnuplot has at least one
    write_ticks(f, c);
}

static void caption_errors(FILE *out, const CollectiveChart *c) {
    double sum = 0, worst = 0;
    for (int i = 0; i < c->count; i++) {
        double error = c->chosen.us[i] / c->measured_us[i] - 1;
        sum += fabs(error);
        worst = fabs(error) > fabs(worst) ? error : worst;
    }
    fprintf(out, "The model against %s: mean error %.1f %%, at most %+.1f %%. ", c->table,
            100 * sum / c->count, 100 * worst);
}

static void write_caption(Figure *f, const Plotted *p) {
    const CollectiveChart *c = p->chart;
    FILE *out = f->caption.stream;
    char size[UNITS_TEXT];
    fprintf(out,
            "Simulated: %s on %d devices of %s by NCCL's model, of which the fastest is chosen. ",
            c->run->run.model, c->run->run.ranks, f->options->platform);
    fprintf(
        out,
        "Line through what %s: %.4g us (95 %% %.4g to %.4g) + bytes / %.4g GB/s (%.4g to %.4g), "
        "mean error %.0f %%; intervals by bootstrap over the sizes. ",
        c->measured_us ? "was measured" : "is chosen", p->fit.alpha_us, p->fit.alpha_low,
        p->fit.alpha_high, p->fit.beta * 1e-3, p->fit.beta_low * 1e-3, p->fit.beta_high * 1e-3,
        100 * p->fit.mean_error);
    if (c->measured_us) caption_errors(out, c);
    for (int i = 0; i < p->crossing_count; i++)
        fprintf(out, "%s%s", i == 0 ? "Ring and Tree cross at " : ", ",
                units_print_size(size, (int64_t)p->crossings[i]));
    if (p->crossing_count && !isnan(p->fits_cross))
        fprintf(out, "; lines through each would at %s",
                units_print_size(size, (int64_t)p->fits_cross));
    if (p->crossing_count) fputs(". ", out);
    fputs("Algbw: bytes / time; busbw: what a link carries of it.", out);
}

static Status add_facts(Figure *f, const Plotted *p) {
    json_t *fit = json_object(), *crossings = json_array();
    int failed = json_object_set_new(fit, "alpha_us", json_number(p->fit.alpha_us));
    failed |= json_object_set_new(fit, "beta_gb_per_s", json_number(p->fit.beta * 1e-3));
    failed |= json_object_set_new(fit, "mean_error", json_number(p->fit.mean_error));
    failed |= json_object_set_new(fit, "worst_error", json_number(p->fit.worst_error));
    for (int i = 0; i < p->crossing_count; i++)
        failed |= json_array_append_new(crossings, json_number(p->crossings[i]));
    failed |= json_object_set_new(f->facts, "line", fit);
    failed |= json_object_set_new(f->facts, "crossings_bytes", crossings);
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static Status write_figure(Figure *f, const void *data) {
    const Plotted *p = data;
    TRY(figure_open(f, "series\tsize (bytes)\ttime (us)\talgbw (GB/s)\tbusbw (GB/s)"));
    write_rows(f, p);
    figure_set_text(f, "TITLE", "%s on %d devices of %s", p->chart->run->run.model,
                    p->chart->run->run.ranks, f->options->platform);
    write_settings(f, p);
    write_caption(f, p);
    return add_facts(f, p);
}

Status figures_collective(const FigureOptions *o, const CollectiveChart *c, FigureNotes *notes) {
    static const char *const parts[] = {"collective", NULL};
    Plotted p;
    const double *us = c->measured_us ? c->measured_us : c->chosen.us;
    if (c->count < 2 || !is_complete(us, c->count)) {
        figure_note(notes, "collective is not drawn: it needs two sizes that take time");
        return OK;
    }
    TRY(gather(&p, c));
    return figure_make(o, notes,
                       &(FigureForm){.name = "collective",
                                     .width = 1080,
                                     .height = 500,
                                     .run = c->run,
                                     .write = write_figure,
                                     .data = &p,
                                     .parts = parts});
}
