// SPDX-License-Identifier: MIT
// The program sim, run as a user would, on runs recorded just before.
#include "programs/sim_options.h"
#include "tests/command.h"

#include <string.h>

#define RECORD "train -q --device reference --model linear --data digits:count=2000 --steps 12 "

static void expect(const Command *c, const char *text) {
    ck_assert_msg(strstr(c->out, text) != NULL, "\"%s\" lacks \"%s\"", c->out, text);
}

START_TEST(the_option_table_is_sound) { ck_assert_ok(option_check(&sim_options)); }
END_TEST

START_TEST(a_recorded_run_is_replayed) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD "--ranks 2 --trace run && sim --trace run"), 0);
    expect(&c, "replay of linear on 2 ranks, batch 64");
    expect(&c, "ms simulated");
    expect(&c, "ms measured (median)");
    command_finish(&c);
}
END_TEST

START_TEST(other_numbers_of_ranks_are_predicted_and_the_same_each_time) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD "--trace run && sim --trace run --ranks 1,2,4 > a && "
                                            "sim --trace run --ranks 1,2,4 > b && "
                                            "cmp a b && cat a"),
                     0);
    expect(&c, "weak scaling: 64 samples a rank, on 4 cores of laptop");
    expect(&c, "1.00x");
    expect(&c, "256");  // the batch of four ranks
    command_finish(&c);
}
END_TEST

START_TEST(the_plan_is_the_one_that_train_prints) {
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c,
                    RECORD "--trace run && sim --trace run --ranks 2 --print-plan > a && " RECORD
                           "--ranks 2 --batch 128 --print-plan step > b && cmp a b"),
        0);
    command_finish(&c);
}
END_TEST

START_TEST(a_report_is_written_and_printed) {
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c, RECORD
                    "--trace run > log && sim --trace run --report sim.json --json | head -c 400"),
        0);
    expect(&c, "\"kind\": \"sim\"");
    ck_assert(command_wrote(&c, "sim.json"));
    command_finish(&c);
}
END_TEST

static void refuse(const char *line, const char *message) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "%s", line), 2);
    ck_assert_msg(!strncmp(c.err, "sim: ", 5) && strstr(c.err, message), "\"%s\" lacks \"%s\"",
                  c.err, message);
    ck_assert_ptr_eq(strchr(c.err, '\n'), c.err + strlen(c.err) - 1);  // one line
    command_finish(&c);
}

START_TEST(what_cannot_be_simulated_is_refused_in_one_line) {
    refuse("sim", "give --trace DIR");
    refuse("sim --trase run", "did you mean --trace?");
    refuse("sim --trace nowhere", "nowhere");
    refuse("mkdir run && echo '{' > run/rank0.json && sim --trace run", "run/rank0.json");
    refuse(RECORD "--ranks 2 --trace run > log && rm run/rank1.json && sim --trace run",
           "run/rank1.json: there is no such file");
    refuse(RECORD "--trace run > log && sim --trace run --ranks 2 --platform laptob",
           "did you mean laptop?");
    refuse(RECORD "--trace run > log && sim --trace run --ranks 2 --platform dgx-a100",
           "give a machine file with a host");
    refuse(RECORD "--trace run > log && sim --trace run --ranks 0", "--ranks");
}
END_TEST

SUITE_SECONDS("sim_cli", 120, the_option_table_is_sound, a_recorded_run_is_replayed,
              other_numbers_of_ranks_are_predicted_and_the_same_each_time,
              the_plan_is_the_one_that_train_prints, a_report_is_written_and_printed,
              what_cannot_be_simulated_is_refused_in_one_line)
