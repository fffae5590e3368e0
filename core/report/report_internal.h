// SPDX-License-Identifier: MIT
// The parts of a report and its formats.
#ifndef CORE_REPORT_REPORT_INTERNAL_H
#define CORE_REPORT_REPORT_INTERNAL_H

#include "core/report/report_alike.h"

// Training steps whose spans all ranks kept, as indices into the timelines' steps, which are the
// same on all ranks.
typedef struct {
    const ReportTimelines *of;
    const int *records;
    int count;
} MeasuredSteps;

// Ranks that a timeline stands for.
static inline int report_timeline_ranks(const ReportTimelines *of, int line) {
    return of->multiplicities ? of->multiplicities[line] : 1;
}

// Fill in the operations. ERR_MEMORY.
Status report_add_operations(Report *r, Arena *a, const MeasuredSteps *m) MUST_USE;

// --- what documents and the terminal ask

bool report_is_simulated(const Report *r);
bool report_is_described(const Report *r);  // simulated on devices that nobody has to own

// Steps that the times are of: 1 has no spread that were worth showing, nor has a simulation.
int report_timed_steps(const Report *r);
bool report_has_spread(const Report *r);

// "rank", or "GPU" where each rank is a device of a machine that is only described.
const char *report_rank_word(const Report *r);

// --- documents: one text, written as Markdown or as a page of HTML that needs nothing else

typedef struct {
    FILE *out;
    bool html;
} Markup;

void markup_begin(const Markup *m, const char *title);  // the head, up to the heading
void markup_end(const Markup *m);
void markup_section(const Markup *m, const char *title);
void markup_paragraph(const Markup *m, const char *fmt, ...) PRINTF_LIKE(2, 3);

// A table begins with its head, and has rows of as many cells. A table of facts has two columns;
// the second may hold a long text.
void markup_table(const Markup *m, int columns, const char *const head[]);
void markup_facts(const Markup *m);
void markup_end_table(const Markup *m);
void markup_begin_row(const Markup *m);
void markup_end_row(const Markup *m);

// Cells; what is not known (NaN, NONE, an empty text) is a dash.
void markup_text(const Markup *m, const char *text);  // escaped, without control characters
void markup_number(const Markup *m, double value);
void markup_count(const Markup *m, int64_t value);
void markup_size(const Markup *m, int64_t bytes);
void markup_percent(const Markup *m, double share);
void markup_fact(const Markup *m, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

// Figures are of HTML alone: between these two, a figure wider than the screen can be moved.
void markup_begin_figure(const Markup *m);
void markup_end_figure(const Markup *m);

void report_write_document(const Report *r, const Markup *m);
void report_write_sweep(const Report *const reports[], int count, const Markup *m);

// Sections that both have.
void report_document_facts(const Report *r, const Markup *m, bool one_size);
void report_document_breakdown(const Report *r, const Markup *m);
void report_document_failures(const Report *r, const Markup *m);  // nothing without
void report_document_operations(const Report *r, const Markup *m);
void report_document_memory(const Report *r, const Markup *m);

// --- figures, as SVG elements that are legible without colours

void report_svg_breakdown(const Report *r, FILE *out);
void report_svg_loss(const Report *r, FILE *out);

// Speed-up against the number of ranks, and the ideal one; reports in increasing order of ranks.
void report_svg_scaling(const Report *const reports[], int count, FILE *out);

#endif
