// SPDX-License-Identifier: MIT
// The parts of a report and its formats.
#ifndef CORE_REPORT_REPORT_INTERNAL_H
#define CORE_REPORT_REPORT_INTERNAL_H

#include "core/report/report.h"

// Training steps whose spans all ranks kept, as indices into the timelines' steps, which are the
// same on all ranks.
typedef struct {
    const Program *const *programs;
    const Timeline *const *timelines;
    int ranks;
    const int *records;
    int count;
} MeasuredSteps;

// Fill in the operations. ERR_MEMORY.
Status report_add_operations(Report *r, Arena *a, const MeasuredSteps *m) MUST_USE;

// Markdown, or a page of HTML that needs nothing else, with figures.
void report_write_document(const Report *r, FILE *out, bool html);

// The figures, as SVG elements that are legible without colours.
void report_svg_breakdown(const Report *r, FILE *out);
void report_svg_loss(const Report *r, FILE *out);

#endif
