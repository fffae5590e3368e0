// SPDX-License-Identifier: MIT
// Each fault has a signature by which it is found, in numbers of real runs and in times.
#include "lessons/faults/fault.h"
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

static Arena arena;

static FaultNumbers numbers_of(FaultKind kind, uint64_t seed) {
    FaultNumbers n;
    Fault f = fault_draw(kind, seed);
    ck_assert_ok(fault_train(&n, &(LessonRun){.arena = &arena}, &f));
    return n;
}

static FaultTimes times_of(FaultKind kind, uint64_t seed, bool pipeline) {
    FaultTimes t;
    Fault f = fault_draw(kind, seed);
    ck_assert_ok(fault_predict(&t, &(LessonRun){.arena = &arena}, &f, pipeline, NONE));
    return t;
}

// What shows in time alone leaves every bit of the numbers as it is.
START_TEST(numbers_tell_which_fault_it_is) {
    for (int kind = FAULT_NONE; kind < FAULT_COUNT; kind++) {
        FaultNumbers n = numbers_of((FaultKind)kind, 3);
        FaultKind found = fault_of_numbers(&n);
        FaultKind expected = fault_is_of_numbers((FaultKind)kind) ? (FaultKind)kind : FAULT_NONE;
        ck_assert_msg(found == expected, "%s is taken for %s", fault_word((FaultKind)kind),
                      fault_word(found));
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(faults_are_as_large_as_they_should_be) {
    FaultNumbers sum = numbers_of(FAULT_SUM, 1), dtype = numbers_of(FAULT_DTYPE, 1),
                 order = numbers_of(FAULT_ORDER, 3), shuffle = numbers_of(FAULT_SHUFFLE, 1);
    ck_assert_double_gt(sum.first_update, 3);  // four ranks, of 1 and 2 rows
    ck_assert_double_lt(sum.first_update, 6);
    ck_assert(dtype.apart > 1.0 / 2048 && dtype.apart < 1.0 / 256);  // bf16 has 8 bits
    ck_assert_ptr_nonnull(strstr(order.refused, "rank 3 would communicate otherwise than rank 0"));
    ck_assert(isnan(order.loss[0]) && !isnan(sum.loss[0]));
    ck_assert_double_eq(shuffle.repeated, 1);
    arena_finish(&arena);
}
END_TEST

START_TEST(times_tell_which_fault_it_is) {
    for (int kind = FAULT_NONE; kind < FAULT_COUNT; kind++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            bool pipeline = kind == FAULT_STAGES, shows = kind >= FAULT_DTYPE;
            FaultTimes healthy = times_of(FAULT_NONE, 1, pipeline),
                       seen = times_of((FaultKind)kind, seed, pipeline);
            FaultKind found = fault_of_times(&healthy, &seen);
            ck_assert_msg((int)found == (shows ? kind : FAULT_NONE), "%s is taken for %s",
                          fault_word((FaultKind)kind), fault_word(found));
        }
    arena_finish(&arena);
}
END_TEST

// A device that is twice as fast helps only where it is the one that the others wait for.
START_TEST(one_faster_device_helps_the_slow_rank_alone) {
    FaultTimes now, with;
    Fault f = fault_draw(FAULT_SLOW_RANK, 2);
    const LessonRun run = {.arena = &arena};
    ck_assert_ok(fault_predict(&now, &run, &f, false, NONE));
    ck_assert_ok(fault_predict(&with, &run, &f, false, (f.rank + 1) % FAULT_RANKS));
    ck_assert_double_eq_tol(with.step_ms, now.step_ms, 0.01 * now.step_ms);
    ck_assert_ok(fault_predict(&with, &run, &f, false, f.rank));
    ck_assert_double_lt(with.step_ms, 0.9 * now.step_ms);
    arena_finish(&arena);
}
END_TEST

// The trainer really does it; how long that takes is not asked here.
START_TEST(the_trainer_executes_steps_with_faults) {
    FaultTimes healthy, small;
    const LessonRun run = {.arena = &arena};
    ck_assert_ok(fault_execute(&healthy, &run, &(Fault){.kind = FAULT_NONE}, false));
    ck_assert_ok(fault_execute(&small, &run, &(Fault){.kind = FAULT_BUCKETS}, false));
    ck_assert(healthy.measured && healthy.step_ms > 0);
    ck_assert_int_eq(healthy.collectives, times_of(FAULT_NONE, 1, false).collectives);
    ck_assert_int_eq(small.collectives, times_of(FAULT_BUCKETS, 1, false).collectives);
    ck_assert_int_gt(small.collectives, healthy.collectives);
    arena_finish(&arena);
}
END_TEST

START_TEST(words_name_faults) {
    Fault f;
    ck_assert_ok(fault_parse(&f, "slow_rank:3"));
    ck_assert_int_eq(f.kind, FAULT_SLOW_RANK);
    ck_assert_int_eq(f.rank, fault_draw(FAULT_SLOW_RANK, 3).rank);
    ck_assert_fails(fault_parse(&f, "slow_rnak:3"), ERR_USAGE, "do you mean slow_rank?");
    ck_assert_fails(fault_parse(&f, "none:3"), ERR_USAGE, "is no fault");
    ck_assert_fails(fault_parse(&f, "sum"), ERR_USAGE, "a fault and a seed");
    ck_assert_fails(fault_parse(&f, "sum:x"), ERR_USAGE, "a fault and a seed");
}
END_TEST

SUITE("fault", faults_are_as_large_as_they_should_be, numbers_tell_which_fault_it_is,
      one_faster_device_helps_the_slow_rank_alone, the_trainer_executes_steps_with_faults,
      times_tell_which_fault_it_is, words_name_faults)
