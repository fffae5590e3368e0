// SPDX-License-Identifier: MIT
// lesson build: the list of exercises, and one of them compiled and tested.
#ifndef PROGRAMS_LESSON_BUILD_H
#define PROGRAMS_LESSON_BUILD_H

#include "core/cli/log.h"
#include "lessons/engine/saved.h"
#include "programs/lesson_options.h"

#include <signal.h>

typedef struct {
    const LessonOptions *o;
    Log *log;
    Saved *saved;
    const volatile sig_atomic_t *interrupted;
} LessonBuild;

// The words behind "build", of which either may be NULL: an exercise, and "reset". ERR_USAGE,
// ERR_FAILED and what lessons/build/build.h says.
Status lesson_build(const LessonBuild *b, const char *word, const char *more) MUST_USE;

// All exercises begin anew. Files that are there are kept under other
// names, which are said. ERR_IO, ERR_MEMORY.
Status lesson_build_forget(const LessonBuild *b) MUST_USE;

#endif
