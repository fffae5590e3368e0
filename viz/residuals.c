// SPDX-License-Identifier: MIT
// Residuals against sizes of messages, and by model. Read write_figure().
#include "viz/residuals.h"

#include "core/base/units.h"
#include "viz/figures_internal.h"

#include <math.h>

typedef struct {
    const Residuals *all;
    Spread spread[RESIDUAL_SERIES];  // p10 and p90 are the 5th and 95th percentile here
    double mean[RESIDUAL_SERIES];    // of absolute errors
    int worst[RESIDUAL_SERIES];      // place
    double most;                     // %
} Judged;

static double error_at(const Residuals *r, int series, int i) {
    return 100 * (r->series[series].modelled[i] / r->measured[i] - 1);
}

static Status judge(Judged *j, Arena *a, const Residuals *r) {
    *j = (Judged){.all = r, .most = 1};
    double *errors = ARENA_NEW(a, double, r->count);
    if (!errors) FAIL(ERR_MEMORY, "no memory for %d residuals", r->count);
    for (int s = 0; s < r->series_count; s++) {
        int known = 0;
        for (int i = 0; i < r->count; i++) {
            double error = error_at(r, s, i);
            if (isnan(error)) continue;
            errors[known++] = error;
            j->mean[s] += fabs(error);
            j->most = fmax(j->most, fabs(error));
            if (known == 1 || fabs(error) > fabs(error_at(r, s, j->worst[s]))) j->worst[s] = i;
        }
        if (!known) continue;
        j->mean[s] /= known;
        j->spread[s] = statistics_spread(errors, known);  // sorts them
        j->spread[s].p10 = statistics_quantile(errors, known, 0.05);
        j->spread[s].p90 = statistics_quantile(errors, known, 0.95);
    }
    return OK;
}

static void write_rows(Figure *f, const Residuals *r) {
    for (int s = 0; s < r->series_count; s++) {
        figure_block(f, r->series[s].name);
        for (int i = 0; i < r->count; i++)
            if (!isnan(error_at(r, s, i)))
                fprintf(f->data.stream, "%s\t%.0f\t%.6g\t%.6g\t%.5g\n", r->series[s].name,
                        r->bytes[i], r->measured[i], r->series[s].modelled[i], error_at(r, s, i));
    }
}

static void extent(const Residuals *r, double *low, double *high) {
    *low = *high = r->bytes[0];
    for (int i = 0; i < r->count; i++) {
        *low = fmin(*low, r->bytes[i]);
        *high = fmax(*high, r->bytes[i]);
    }
}

// Every power of 16 between the sizes.
static void write_ticks(FILE *out, double low, double high) {
    char size[UNITS_TEXT];
    int count = 0;
    fputs("XTICS = '", out);
    for (double x = 1; x <= high * 1.01; x *= 16)
        if (x >= low * 0.99)
            fprintf(out, "%s\"%s\" %.0f", count++ ? ", " : "", units_print_size(size, (int64_t)x),
                    x);
    fputs("'\n", out);
}

static void write_settings(Figure *f, const Judged *j) {
    const Residuals *r = j->all;
    FILE *out = f->settings.stream;
    double low, high;
    extent(r, &low, &high);
    write_ticks(out, low, high);
    figure_set(f, "XMIN", low / 1.4);
    figure_set(f, "XMAX", high * 1.4);
    figure_set(f, "MOST", 5 * ceil(j->most * 1.1 / 5));
    figure_set(f, "SIZES", r->count);
    fprintf(out, "array SERIES[%d] = [", r->series_count);
    for (int s = 0; s < r->series_count; s++) {
        fputs(s ? ", " : "", out);
        figure_write_quoted(out, r->series[s].name);
    }
    fprintf(out, "]\narray LOW[%d] = [", r->series_count);
    for (int s = 0; s < r->series_count; s++)
        fprintf(out, "%s%.5g", s ? ", " : "", j->spread[s].p10);
    fprintf(out, "]\narray HIGH[%d] = [", r->series_count);
    for (int s = 0; s < r->series_count; s++)
        fprintf(out, "%s%.5g", s ? ", " : "", j->spread[s].p90);
    fprintf(out, "]\narray MEDIAN[%d] = [", r->series_count);
    for (int s = 0; s < r->series_count; s++)
        fprintf(out, "%s%.5g", s ? ", " : "", j->spread[s].median);
    fputs("]\n", out);
}

static void write_caption(Figure *f, const Judged *j) {
    const Residuals *r = j->all;
    FILE *out = f->caption.stream;
    char size[UNITS_TEXT];
    fprintf(out, "Measured: %s, %d size%s. ", r->table, r->count, r->count == 1 ? "" : "s");
    for (int s = 0; s < r->series_count; s++)
        fprintf(out,
                "%s: mean absolute error %.1f %%, 9 of 10 sizes %+.1f to %+.1f %% (band), "
                "worst %+.1f %% at %s. ",
                r->series[s].name, j->mean[s], j->spread[s].p10, j->spread[s].p90,
                error_at(r, s, j->worst[s]),
                units_print_size(size, (int64_t)r->bytes[j->worst[s]]));
    fputs("Error: modelled / measured - 1, of the time. Right: the same by model, with the band "
          "and the median of each.",
          out);
}

static Status write_figure(Figure *f, const void *data) {
    const Judged *j = data;
    TRY(figure_open(f, "model\tsize (bytes)\tmeasured (us)\tmodelled (us)\terror (%)"));
    write_rows(f, j->all);
    figure_set_text(f, "TITLE", "Residuals of %s", j->all->what);
    write_settings(f, j);
    write_caption(f, j);
    return OK;
}

Status figures_residuals(const FigureOptions *o, const Residuals *r, FigureNotes *notes) {
    static const char *const parts[] = {"residuals", NULL};
    Arena a = {0};
    Judged j;
    Status s = judge(&j, &a, r);
    if (s == OK && (r->count < 2 || !r->series_count))
        figure_note(notes, "residuals are not drawn: they need two sizes that were measured");
    else if (s == OK)
        s = figure_make(o, notes,
                        &(FigureForm){.name = "residuals",
                                      .width = 980,
                                      .height = 480,
                                      .run = r->run,
                                      .write = write_figure,
                                      .data = &j,
                                      .parts = parts});
    arena_finish(&a);
    return s;
}
