// SPDX-License-Identifier: MIT
// A learner's file: made from a stub, compiled, loaded and tested in a process of its own, so that
// whatever it does ends there.
#ifndef LESSONS_BUILD_BUILD_H
#define LESSONS_BUILD_BUILD_H

#include "lessons/build/exercise.h"

#include <signal.h>
#include <stdio.h>

enum { BUILD_PATH = 4096, BUILD_CPU_SECONDS = 5, BUILD_SECONDS = 60 };

// By number or name. ERR_USAGE with what there is.
Status exercise_find(const Exercise **out, const char *word) MUST_USE;

// FOLDER/NN_NAME.c, and whether it exists.
void exercise_path(char out[BUILD_PATH], const char *folder, const Exercise *e);
bool exercise_exists(const char *path);

// Write the stub to a path where there is nothing. ERR_IO.
Status exercise_begin(const Exercise *e, const char *path) MUST_USE;

// The official solution.
void exercise_show_solution(const Exercise *e, FILE *out);

// Compile the file, whose compiler writes to standard error, run the checker and say to `out` what
// comes out. ERR_FAILED: it does not compile or a case fails; ERR_UNAVAILABLE: there is no C
// compiler; ERR_IO, ERR_MEMORY.
Status exercise_run(const Exercise *e, Arena *a, const char *path, uint64_t seed,
                    FILE *out) MUST_USE;

// Wait until a file is another one than before. False: `stop` was set.
typedef struct {
    char path[BUILD_PATH];
    int events;  // of its folder, by inotify; -1: none, and it is looked at several times a second
    int64_t changed_ns, bytes;
    uint64_t inode;
} BuildWatch;
void exercise_watch_open(BuildWatch *w, const char *path);
bool exercise_watch_wait(BuildWatch *w, const volatile sig_atomic_t *stop);
void exercise_watch_close(BuildWatch *w);

#endif
