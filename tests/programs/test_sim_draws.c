// SPDX-License-Identifier: MIT
// sim --trace DIR --jitter recorded|apart, as a user types it.
#include "tests/support/command.h"

#include <stdio.h>
#include <string.h>

#define RECORD "train -q --device reference --model linear --data digits:count=2000 --steps 12 "

// Drawn from the recorded steps, the same each time; more steps, or another seed, are others.
START_TEST(recorded_steps_are_drawn) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD
                                 "--ranks 2 --trace run --report m.json > log && "
                                 "sim --trace run --jitter recorded > a && cat a && "
                                 "sim --trace run --jitter recorded --seed 1 | cmp a - && "
                                 "! sim --trace run --jitter recorded --seed 2 | cmp -s a - && "
                                 "sim --trace run --jitter apart --steps 300 --report r.json "
                                 "--compare m.json && grep jitter r.json"),
                     0);
    test_has(c.out, "replay of linear on 2 ranks, batch 64, seed 1  [11 drawn from 11 steps]\n"
                    "  each is a recorded one, of all ranks at once\n");
    test_has(c.out, "\n  p99 ");
    test_has(c.out, "[300 drawn from 11 steps]\n  each rank draws whole steps of its own record");
    test_has(c.out, "\nstep, p99 ");
    test_has(c.out, "\"jitter\": \"apart\"");
    test_has(c.out, "correlation of the ranks' own times in a recorded step: ");
    command_finish(&c);
}
END_TEST

// Of other numbers of ranks; a row is the mean of the steps that follow below.
START_TEST(predictions_vary_as_recorded_steps_did) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 RECORD "--trace run > log && "
                                        "sim --trace run --ranks 2,4 --jitter apart "
                                        "--steps 30 --report r.json > a && cat a && "
                                        "sim --trace run --ranks 2,4 --jitter apart "
                                        "--steps 30 --seed 1 | cmp a - && grep jitter r.json && "
                                        "sim --trace run --ranks 2 --jitter recorded"),
                     0);
    test_has(c.out, "\n30 steps, last row: mean ");
    test_has(c.out,
             "with operations that vary as in recorded steps, each rank by itself; seed 1\n");
    test_has(c.out, "\"jitter\": \"apart\"");
    test_has(c.out, "\n11 steps, last row: mean ");
    test_has(c.out, "with operations that vary as in recorded steps, all ranks alike; seed 1\n");
    command_finish(&c);
}
END_TEST

START_TEST(draws_that_suit_no_replay_are_refused) {
    static const struct {
        const char *words, *message;
    } lines[] = {
        {"--jitter 0.1", "are of devices, not of ranks that share a host"},
        {"--jitter recorded --gpus 2", "for devices a number, such as 0.1"},
        {"--jitter apart --straggler 1=2", "--straggler are of devices, not of ranks"},
        {"--steps 5", "--steps 5: steps differ only with --jitter"},
    };
    char script[1024] = "";
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t used = strlen(script);
        snprintf(script + used, sizeof script - used, " && { sim --trace run %s; test $? = 2; }",
                 lines[i].words);
    }
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD "--trace run > log%s", script), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(c.err, lines[i].message), "%s: %s", lines[i].words, c.err);
    command_finish(&c);
}
END_TEST

SUITE("sim_draws", recorded_steps_are_drawn, predictions_vary_as_recorded_steps_did,
      draws_that_suit_no_replay_are_refused)
