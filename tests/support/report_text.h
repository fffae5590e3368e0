// SPDX-License-Identifier: MIT
// A report as a user finds it.
#ifndef TESTS_SUPPORT_REPORT_TEXT_H
#define TESTS_SUPPORT_REPORT_TEXT_H

#include "core/report/report.h"

// Written as the file `name`, whose ending says how, in the test's directory; its text.
char *report_text(Arena *a, const Report *r, const char *name);
char *reports_text(Arena *a, const Report *const reports[], int count, const char *name);

#endif
