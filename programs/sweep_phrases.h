// SPDX-License-Identifier: MIT
// Phrases two spaces apart, on lines of the terminal's width, and what parts of a step are called.
#ifndef PROGRAMS_SWEEP_PHRASES_H
#define PROGRAMS_SWEEP_PHRASES_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

// All zero but the width to begin.
typedef struct {
    int width, column;
} SweepPhrases;
void sweep_phrase(SweepPhrases *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

// A sentence broken between words, and ended; every line begins at column `at`, where the cursor is
// now. The others: from the beginning of a line; "not for 2 devices: WHY".
void sweep_print_words(int width, int at, const char *text);
void sweep_say(int width, int at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void sweep_print_not_for(int width, int at, int64_t ranks, bool devices, const char *why);

// A TimeCategory or REPORT_LAUNCH; compute is called work where launches stand beside it.
const char *sweep_phrase_part(int part, bool launches);

#endif
