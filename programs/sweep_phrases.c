// SPDX-License-Identifier: MIT
// Lines of phrases, broken between them.
#include "programs/sweep_phrases.h"

#include "core/base/printable.h"
#include "core/base/text.h"
#include "core/report/report.h"

#include <stdio.h>
#include <string.h>

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

void sweep_print_words(int width, int at, const char *text) {
    char words[STATUS_TEXT + 64];
    int column = at;
    char *end;
    snprintf(words, sizeof words, "%s", text);
    printable_make(words);
    for (char *word = strtok_r(words, " ", &end); word; word = strtok_r(NULL, " ", &end)) {
        bool first = column == at;
        if (!first && column + 1 + text_width(word) > width) {
            printf("\n%*s", at, "");
            column = at;
            first = true;
        }
        printf("%s%s", first ? "" : " ", word);
        column += !first + text_width(word);
    }
    putchar('\n');
}

void sweep_say(int width, int at, const char *fmt, ...) {
    char text[STATUS_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printf("%*s", at, "");
    sweep_print_words(width, at, text);
}

void sweep_print_not_for(int width, int at, int64_t ranks, bool devices, const char *why) {
    char text[STATUS_TEXT + 64];
    snprintf(text, sizeof text, "not for %lld %s%s: %s", (long long)ranks,
             devices ? "device" : "rank", ranks == 1 ? "" : "s", why);
    sweep_print_words(width, at, text);
}

const char *sweep_phrase_part(int part, bool launches) {
    if (part == REPORT_LAUNCH) return "launch";
    if (part == TIME_COMPUTE && launches) return "work";
    return part == TIME_EXPOSED_COMM ? "exposed" : time_category_name((TimeCategory)part);
}
