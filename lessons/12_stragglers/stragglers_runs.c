// SPDX-License-Identifier: MIT
// Ranks that compute for as long as they are told, by sleeping, and then meet in an all-reduce of
// the trainer's communicator.
#include "lessons/12_stragglers/stragglers.h"

#include "core/base/clock.h"
#include "core/platform/machine.h"
#include "lessons/engine/ranks.h"
#include "lessons/engine/translate.h"

#include <math.h>
#include <time.h>

enum { ELEMENTS = 500000, TRIES = 20 };

// --- simulated

Status stragglers_simulate(const LessonRun *run, Stragglers *x) {
    double last = 0, sum = 0;
    Machine *m = ARENA_NEW(run->arena, Machine, 1);
    if (!m) FAIL(ERR_MEMORY, "out of memory for a machine");
    TRY(machine_read(m, run->arena, "laptop"));
    // Each rank reads and writes the bytes of the array.
    double transfer = 2.0 * ELEMENTS * 4 / (double)m->host.fold_bytes_per_s;
    for (int r = 0; r < STRAGGLERS_RANKS; r++) {
        x->arrive_s[r] = x->compute_s[r];
        last = fmax(last, x->arrive_s[r]);
    }
    for (int r = 0; r < STRAGGLERS_RANKS; r++) x->end_s[r] = last + transfer;
    for (int k = 0; k < STRAGGLERS_STEPS; k++) {
        double most = 0;
        for (int r = 0; r < x->ranks; r++) {
            x->taken_s[r][k] = x->drawn_s[r][k];
            most = fmax(most, x->taken_s[r][k]);
        }
        sum += most;
    }
    x->step_s = sum / STRAGGLERS_STEPS;
    return OK;
}

// --- measured

static double now_s(void) { return 1e-9 * (double)clock_ns(); }

static void compute(double seconds) {
    struct timespec t = {(time_t)seconds, (long)(1e9 * fmod(seconds, 1))};
    nanosleep(&t, NULL);
}

// All begin together; what each rank notes is its own.
static Status meet(Comm *c) {
    char all[STRAGGLERS_MOST];
    return comm_exchange(c, "", 1, all);
}

static Status slow_step(Comm *c, void *context) {
    Stragglers *x = context;
    const CommSegment array = {0, ELEMENTS};
    CommCall call = ranks_all_reduce_call(ALGORITHM_DIRECT, &array);
    TRY(comm_prepare(c, &call));
    // Once to touch all memory: that is not what is measured.
    TRY(ranks_do(c, &call));
    TRY(meet(c));
    compute(x->compute_s[c->rank]);
    x->arrive_s[c->rank] = now_s();
    TRY(ranks_do(c, &call));
    x->end_s[c->rank] = now_s();
    return OK;
}

// Since the first rank would have begun, had it taken what it was told.
static void take_origin(Stragglers *x) {
    double origin = HUGE_VAL;
    for (int r = 0; r < STRAGGLERS_RANKS; r++)
        origin = fmin(origin, x->arrive_s[r] - x->compute_s[r]);
    for (int r = 0; r < STRAGGLERS_RANKS; r++) {
        x->arrive_s[r] -= origin;
        x->end_s[r] -= origin;
    }
}

Status stragglers_run_slow(const LessonRun *run, void *state) {
    Stragglers *x = state;
    if (x->simulated) return OK;
    for (int i = 0; i < TRIES; i++) {
        TRY(ranks_run(STRAGGLERS_RANKS, ELEMENTS * 4 + 4096, slow_step, x));
        take_origin(x);
        if (!question_muddled(&stragglers_who, x)) return OK;
    }
    FAIL(ERR_FAILED, _("this host is too busy to time its ranks: stop what else runs on it, or "
                       "take --virtual-time"));
}

static Status jitter_steps(Comm *c, void *context) {
    Stragglers *x = context;
    const CommSegment array = {0, 1};
    CommCall call = ranks_all_reduce_call(ALGORITHM_DIRECT, &array);
    TRY(comm_prepare(c, &call));
    TRY(meet(c));
    double first = now_s();
    for (int k = 0; k < STRAGGLERS_STEPS; k++) {
        double begin = now_s();
        compute(x->drawn_s[c->rank][k]);
        x->taken_s[c->rank][k] = now_s() - begin;
        TRY(ranks_do(c, &call));
    }
    if (c->rank == 0) x->step_s = (now_s() - first) / STRAGGLERS_STEPS;
    return OK;
}

Status stragglers_run_jitter(const LessonRun *run, void *state) {
    Stragglers *x = state;
    if (!x->simulated) TRY(ranks_run(x->ranks, 4096, jitter_steps, x));
    x->stepped = true;
    return OK;
}
