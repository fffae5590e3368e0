// SPDX-License-Identifier: MIT
// Lines of phrases, broken between them.
#include "programs/sweep_phrases.h"

#include "core/base/printable.h"
#include "core/base/text.h"
#include "core/report/report.h"

#include <stdio.h>

void sweep_phrase(SweepPhrases *p, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printable_make(text);
    int gap = p->column ? 2 : 0;
    if (p->column && p->column + gap + text_width(text) > p->width) {
        printf("\n  ");
        p->column = 2;
        gap = 0;
    }
    p->column += printf("%*s", gap, "") + text_width(text);
    fputs(text, stdout);
}

const char *sweep_phrase_part(int part, bool launches) {
    if (part == REPORT_LAUNCH) return "launch";
    if (part == TIME_COMPUTE && launches) return "work";
    return part == TIME_EXPOSED_COMM ? "exposed" : time_category_name((TimeCategory)part);
}
