// SPDX-License-Identifier: MIT
// The command line of `lesson`.
#ifndef PROGRAMS_LESSON_OPTIONS_H
#define PROGRAMS_LESSON_OPTIONS_H

#include "core/cli/option.h"

#include <stdbool.h>
#include <stdint.h>

// Values as the table in lesson_options.c fills them.
typedef struct {
    const char *state, *answers, *automatic, *seed_from, *inject, *work;
    IntList only;
    int64_t seed;
    int color, verbose, hint;
    bool all, todo, force, no_input, no_skip, json, plain, virtual_time, measured;
    bool watch, solution;
    bool quiet, version;
} LessonOptions;

extern const OptionTable lesson_options;

#endif
