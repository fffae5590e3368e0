// SPDX-License-Identifier: MIT
// What a learner predicted beside what came out, as Markdown. Results are computed again from the
// seed that is kept; of predictions that were not compared yet nothing is shown.
#ifndef LESSONS_ENGINE_SUMMARY_H
#define LESSONS_ENGINE_SUMMARY_H

#include "lessons/engine/saved.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct {
    int right, wrong, shown, hints;
    int intervals, held;  // predictions that were intervals; those that contain the value
} Summary;

void summary_begin(FILE *out);

// Nothing for a lesson that was not begun. ERR_FORMAT, and what a computation fails with.
Status summary_lesson(FILE *out, Summary *sum, const Saved *saved, const Lesson *lesson,
                      bool virtual_time) MUST_USE;
void summary_end(FILE *out, const Summary *sum);

#endif
