// SPDX-License-Identifier: MIT
// `sim` interrupted while it makes a plan, before there is anything to keep.
#include "tests/support/command.h"

#include <signal.h>
#include <string.h>

// Its plan has 4.4 million operations, which take half a minute; no machine makes them before the
// line has been there for an instant.
#define LARGE                                                                    \
    "sim --model gpt:layers=96,hidden=12288,heads=96,seq=2048,vocabulary=51200 " \
    "--platform dgx-h100 --gpus 3072 --tp 8 --pp 16 --accumulate 512 --batch-per-rank 512 --point"

START_TEST(a_plan_that_is_made_is_shown_and_can_be_interrupted) {
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        Command c = {0};
        command_start_on_terminal(&c, LARGE);
        command_wait_for(&c, "making the plan, ", 60);
        ck_assert_int_eq(kill(c.pid, signals[i]), 0);
        command_wait(&c, 60);
        ck_assert_int_eq(c.status, 130);
        ck_assert_ptr_nonnull(strstr(c.out, "sim: interrupted before anything was simulated"));
        ck_assert_ptr_null(strstr(c.out, "step ms"));
        command_finish(&c);
    }
}
END_TEST

// Both threads of a sweep are at their first plan, which they do not leave on the way.
START_TEST(so_can_the_plans_of_a_sweep) {
    Command c = {0};
    command_start_on_terminal(&c, LARGE " --threads 2 --sweep zero=no,1");
    command_wait_for(&c, " 0 %", 60);
    ck_assert_int_eq(kill(c.pid, SIGINT), 0);
    command_wait(&c, 60);
    ck_assert_int_eq(c.status, 130);
    ck_assert_ptr_nonnull(strstr(c.out, "sim: interrupted before anything was simulated"));
    command_finish(&c);
}
END_TEST

START_TEST(quiet_shows_no_plan) {
    Command c = {0};
    command_start_on_terminal(&c, LARGE " --quiet");
    sleep_seconds(2);
    ck_assert_int_eq(kill(c.pid, SIGINT), 0);
    command_wait(&c, 60);
    ck_assert_int_eq(c.status, 130);
    ck_assert_ptr_null(strstr(c.out, "making the plan"));
    command_finish(&c);
}
END_TEST

SUITE_SECONDS("sim_interrupt", 120, a_plan_that_is_made_is_shown_and_can_be_interrupted,
              so_can_the_plans_of_a_sweep, quiet_shows_no_plan)
