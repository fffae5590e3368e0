// SPDX-License-Identifier: MIT
// Models whose layers say place=, in every sequence of R, S0 and S1. They train as one rank does.
#ifndef TESTS_SUPPORT_PLACED_H
#define TESTS_SUPPORT_PLACED_H

#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static Arena arena;

enum { STEPS = 10, PLACES = 3 };

static const char *const places[PLACES] = {"R", "S0", "S1"};

// Digit `i` of a number to the base of three: how the i-th layer's weight lies.
static inline const char *placed_word(int sequence, int i) {
    while (i-- > 0) sequence /= PLACES;
    return places[sequence % PLACES];
}

static inline bool placed_is(int sequence, int i, const char *place) {
    return !strcmp(placed_word(sequence, i), place);
}

static inline JobOptions placed_options(const char *model, const char *data) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 4;
    o.spec.optimizer.momentum = 0.9;
    o.data = data;
    o.steps = STEPS;
    return o;
}

// Every sequence of so many layers, or each `step`-th, over so many ranks, as one rank does it.
typedef const char *(*PlacedModel)(int sequence, bool says);
typedef struct {
    int layers, tensor, step;
    bool positions;  // --sequence-parallel
    int context;     // 0: not cut
    ContextKind kind;
} PlacedRun;

static inline void placed_check(PlacedModel write, const char *data, PlacedRun run) {
    int count = 1;
    for (int i = 0; i < run.layers; i++) count *= PLACES;
    JobOptions o = placed_options(write(0, false), data);
    Ending one;
    ending_run(&one, &arena, &o);
    o.spec.mesh.tensor = run.tensor;
    o.spec.mesh.context = run.context;
    o.spec.ranks = run.tensor * (run.context ? run.context : 1);
    o.spec.strategy.sequence_parallel = run.positions;
    o.spec.strategy.context = run.kind;
    for (int s = 0; s < count; s += run.step) {
        o.spec.model = write(s, true);
        o.comm = s % 9 ? COMM_SERIAL : COMM_THREAD;
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}

// A line of a model file, which says how the i-th weight of the sequence lies.
static inline void placed_line(char *text, size_t size, const char *line, int sequence, int i,
                               bool says) {
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s%s\n", line, says ? " place=" : "",
             says ? placed_word(sequence, i) : "");
}

#endif
