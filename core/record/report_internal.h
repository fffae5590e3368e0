// SPDX-License-Identifier: MIT
// The formats of a report.
#ifndef CORE_RECORD_REPORT_INTERNAL_H
#define CORE_RECORD_REPORT_INTERNAL_H

#include "core/record/report.h"

// Markdown, or a page of HTML that needs nothing else, with figures.
void report_write_document(const Report *r, FILE *out, bool html);

// The figures, as SVG elements that are legible without colours.
void figure_breakdown(const Report *r, FILE *out);
void figure_loss(const Report *r, FILE *out);

#endif
