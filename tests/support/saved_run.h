// SPDX-License-Identifier: MIT
// Runs that save a file and go on from it, in a directory of the test's own.
#ifndef TESTS_SUPPORT_SAVED_RUN_H
#define TESTS_SUPPORT_SAVED_RUN_H

#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 1 << 17, PATH = 300 };  // bytes of a file, and of its path

// Names of files, once name_files() has been called.
static char whole[PATH], part[PATH], resumed[PATH], scratch[PATH];

static inline void name_files(void) {
    const char *d = test_directory();
    snprintf(whole, PATH, "%s/whole.safetensors", d);
    snprintf(part, PATH, "%s/part.safetensors", d);
    snprintf(resumed, PATH, "%s/resumed.safetensors", d);
    snprintf(scratch, PATH, "%s/scratch.safetensors", d);
}

static inline size_t read_whole(const char *path, char *out) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "no file %s", path);
    size_t n = fread(out, 1, MOST, f);
    ck_assert_uint_lt(n, MOST);
    fclose(f);
    return n;
}

static inline void assert_same_bytes(const char *a, const char *b, const char *what) {
    static char x[MOST], y[MOST];
    size_t n = read_whole(a, x), m = read_whole(b, y);
    ck_assert_msg(n == m, "%s: %zu and %zu bytes", what, n, m);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(x[i] == y[i], "%s: byte %zu of %zu differs", what, i, n);
}

// Batches of 61 of 170: an epoch has 3 steps, so that no multiple of 10 is its end.
static inline JobOptions options_of(int steps, const char *save, int shards) {
    JobOptions o = training_options();
    o.steps = steps;
    o.save = save;
    o.spec.shards = shards;
    return o;
}

static inline void run(const JobOptions *o) {
    Outcome out;
    ck_assert_ok(training_run(&out, o, NULL));
    outcome_finish(&out);
}

#endif
