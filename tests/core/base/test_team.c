// SPDX-License-Identifier: MIT
// Pieces of work on several threads: each is done once, and threads do not show in what is told.
#include "core/base/team.h"
#include "tests/support/testing.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { PIECES = 1000 };

static atomic_int done[PIECES];

static Status count_piece(void *context, int i) {
    (void)context;
    atomic_fetch_add(&done[i], 1);
    return OK;
}

START_TEST(each_piece_is_done_once) {
    ck_assert_ok(team_each(PIECES, count_piece, NULL));
    for (int i = 0; i < PIECES; i++) ck_assert_int_eq(atomic_load(&done[i]), 1);
    ck_assert_ok(team_each(0, count_piece, NULL));
}
END_TEST

static bool has_cores(void) {
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) > 1;
}

// Both fail; where there are helpers both have begun then, and piece `late` takes longer.
typedef struct {
    atomic_int begun;
    int late;
} Failing;

static Status fail_piece(void *context, int i) {
    Failing *f = context;
    atomic_fetch_add(&f->begun, 1);
    while (has_cores() && atomic_load(&f->begun) < 2) sched_yield();
    for (int k = 0; i == f->late && k < 200; k++) sched_yield();
    FAIL(ERR_PLAN, "piece %d", i);
}

START_TEST(the_error_of_the_lowest_piece_is_told) {
    for (int k = 0; k < 100; k++) {
        Failing f = {.late = k % 2};
        ck_assert_int_eq(team_each(2, fail_piece, &f), ERR_PLAN);
        ck_assert_str_eq(status_message(), "piece 0");
    }
}
END_TEST

// Ends only when both have begun.
static Status meet(void *context, int i) {
    atomic_int *begun = context;
    (void)i;
    atomic_fetch_add(begun, 1);
    while (atomic_load(begun) < 2) sched_yield();
    return OK;
}

START_TEST(two_pieces_are_done_at_once_where_there_are_two_cores) {
    atomic_int begun = 0;
    if (has_cores()) ck_assert_ok(team_each(2, meet, &begun));
}
END_TEST

typedef struct {
    pthread_t caller;
    int next;  // piece that may come; without helpers no lock is needed
} Alone;

static Status check_alone(void *context, int i) {
    Alone *a = context;
    ck_assert(pthread_equal(pthread_self(), a->caller));
    ck_assert_int_eq(i, a->next++);
    return OK;
}

static Status call_again(void *context, int i) {
    (void)context;
    (void)i;
    Alone a = {.caller = pthread_self()};
    return team_each(PIECES, check_alone, &a);
}

START_TEST(a_piece_that_has_pieces_does_them_itself) {
    ck_assert_ok(team_each(8, call_again, NULL));
}
END_TEST

static void *busy_thread(void *context) {
    (void)context;
    team_keep_alone();
    ck_assert_ok(call_again(NULL, 0));
    return NULL;
}

START_TEST(a_thread_that_asks_for_it_gets_no_helpers) {
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, busy_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

SUITE("team", each_piece_is_done_once, the_error_of_the_lowest_piece_is_told,
      two_pieces_are_done_at_once_where_there_are_two_cores,
      a_piece_that_has_pieces_does_them_itself, a_thread_that_asks_for_it_gets_no_helpers)
