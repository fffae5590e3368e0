// SPDX-License-Identifier: MIT
// Several reports of one job in one document: how it scales with the number of ranks, then the
// details of the largest size.
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/report/report_internal.h"

#include <math.h>

static double speed_up(const Report *r, const Report *base) {
    return r->samples_per_s.median / base->samples_per_s.median;
}

// Share of the samples/s that as many ranks would reach at the base's speed each.
static double efficiency(const Report *r, const Report *base) {
    return speed_up(r, base) * base->run.ranks / r->run.ranks;
}

static bool takes_time(const Report *const reports[], int count, TimeCategory b) {
    for (int i = 0; i < count; i++)
        if (reports[i]->breakdown_ms[b] > 0.0005 * reports[i]->step_ms.median) return true;
    return false;
}

static bool have_answers(const Report *const reports[], int count) {
    for (int i = 0; i < count; i++)
        if (!reports[i]->answers || !isfinite(reports[i]->answers->mfu)) return false;
    return true;
}

// A column for each category of the breakdown that takes time anywhere, and of a simulation of
// devices for their use and what a size lost.
static void write_sizes(const Report *const reports[], int count, const Markup *m) {
    enum { FIXED = 6, ANSWERS = 2 };
    const char *head[FIXED + TIME_COUNT + ANSWERS] = {"",          "batch",    "step, ms",
                                                      "samples/s", "speed-up", "efficiency"};
    int columns = FIXED;
    char ranks[16];
    snprintf(ranks, sizeof ranks, "%ss", report_rank_word(reports[0]));
    head[0] = ranks;
    for (int b = 0; b < TIME_COUNT; b++)
        if (takes_time(reports, count, (TimeCategory)b))
            head[columns++] = time_category_name((TimeCategory)b);
    bool answers = have_answers(reports, count);
    if (answers) head[columns++] = "MFU";
    if (answers) head[columns++] = "lost to";
    markup_table(m, columns, head);
    for (int i = 0; i < count; i++) {
        const Report *r = reports[i];
        char times[32];
        snprintf(times, sizeof times, "%.2fx", speed_up(r, reports[0]));
        markup_begin_row(m);
        markup_count(m, r->run.ranks);
        markup_count(m, r->run.batch);
        markup_number(m, r->step_ms.median);
        markup_number(m, r->samples_per_s.median);
        markup_text(m, times);
        markup_percent(m, efficiency(r, reports[0]));
        for (int b = 0; b < TIME_COUNT; b++)
            if (takes_time(reports, count, (TimeCategory)b)) markup_number(m, r->breakdown_ms[b]);
        if (answers) markup_percent(m, r->answers->mfu);
        if (answers)
            markup_text(m,
                        r->answers->lost_to == NONE ? "" : report_part_name(r->answers->lost_to));
        markup_end_row(m);
    }
    markup_end_table(m);
}

static bool equal_batches(const Report *const reports[], int count, bool per_rank) {
    for (int i = 1; i < count; i++) {
        const RunInfo *a = &reports[0]->run, *b = &reports[i]->run;
        if (per_rank ? a->batch * b->ranks != b->batch * a->ranks : a->batch != b->batch)
            return false;
    }
    return true;
}

void report_write_sweep(const Report *const reports[], int count, const Markup *m) {
    const Report *base = reports[0], *largest = reports[count - 1];
    const char *rank = report_rank_word(base);
    char title[256], details[64];
    snprintf(title, sizeof title, "%s %s on %d to %d %ss",
             report_is_simulated(base) ? "Simulating" : "Training", base->run.model,
             base->run.ranks, largest->run.ranks, rank);
    markup_begin(m, title);
    report_document_facts(base, m, false);
    markup_section(m, "Scaling");
    write_sizes(reports, count, m);
    if (m->html) {
        markup_begin_figure(m);
        report_svg_scaling(reports, count, m->out);
        markup_end_figure(m);
    }
    markup_paragraph(m,
                     "%sSpeed-up and efficiency are of samples/s, against %d %s%s; the parts of a "
                     "step are in ms, mean over %ss.",
                     equal_batches(reports, count, false)  ? "Strong scaling: every size has the "
                                                             "same global batch. "
                     : equal_batches(reports, count, true) ? "Weak scaling: the batch grows with "
                                                             "the size. "
                                                           : "",
                     base->run.ranks, rank, base->run.ranks == 1 ? "" : "s", rank);
    snprintf(details, sizeof details, "In detail: %d %s%s", largest->run.ranks, rank,
             largest->run.ranks == 1 ? "" : "s");
    markup_section(m, details);
    markup_paragraph(m, "The largest size; all of them are in the .json report.");
    report_document_breakdown(largest, m);
    report_document_failures(largest, m);
    report_document_operations(largest, m);
    report_document_memory(largest, m);
    markup_end(m);
}
