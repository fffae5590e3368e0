// SPDX-License-Identifier: MIT
// What the child process of exercise_run() does.
#ifndef LESSONS_BUILD_CHILD_H
#define LESSONS_BUILD_CHILD_H

#include "lessons/build/exercise.h"

// Load a library, look up the exercise's function and run the checker; the report says what came
// out. It limits its own processor time and ends itself.
void exercise_child(const Exercise *e, Arena *a, const char *library, uint64_t seed,
                    BuildReport *report) __attribute__((noreturn));

#endif
