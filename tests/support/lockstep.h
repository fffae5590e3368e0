// SPDX-License-Identifier: MIT
// A hand-made program at work: checked, lowered, and executed by one rank, or by up to four that
// advance in turn in this thread. What fails, fails the test.
#ifndef TESTS_SUPPORT_LOCKSTEP_H
#define TESTS_SUPPORT_LOCKSTEP_H

#include "parallel/run/executor.h"
#include "tests/support/testing.h"

enum { LOCKSTEP_RANKS = 4 };

typedef struct {
    Program program;  // to be made by the test
    Arena arena;
    CommWorld *world;
    Comm comms[LOCKSTEP_RANKS];
    Executor executors[LOCKSTEP_RANKS];
    int ranks, logged;  // logged: the rank whose log is kept
    char log[512];      // "+op " when it is about to start, "-op " when it has ended
} Lockstep;

extern const DeviceTraits lockstep_plain;  // no fusion, no scratch

void lockstep_start(Lockstep *l, const Device *device, const DeviceTraits *traits,
                    void (*load)(void *context, const LoadCall *call));
void lockstep_step(Lockstep *l, int64_t step);  // of plan 0, on all ranks
void lockstep_stop(Lockstep *l);

// Memory of a rank's tensor, by name.
void *lockstep_data(const Lockstep *l, int rank, const char *name);
float *lockstep_floats(const Lockstep *l, int rank, const char *name);
void lockstep_set(const Lockstep *l, int rank, const char *name, float x, float y);

#define ck_assert_exact(got, want) ck_assert_close(got, want, 0.0)
#define ck_assert_pair(l, rank, name, x, y)                          \
    do {                                                             \
        ck_assert_exact(lockstep_floats((l), (rank), (name))[0], x); \
        ck_assert_exact(lockstep_floats((l), (rank), (name))[1], y); \
    } while (0)

#endif
