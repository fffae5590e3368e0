// SPDX-License-Identifier: MIT
// Plans on the command line: what --print-plan shows, and what --plan refuses.
#include "tests/support/command.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#define SMALL "--model linear --data digits:count=300 --steps 3"

static Command it;

static void print_plan(const char *directory, const char *name, const char *words) {
    ck_assert_int_eq(command_run(&it, "train --print-plan step %s > %s/%s", words, directory, name),
                     0);
    command_finish(&it);
}

static void refused(const char *words, const char *directory, const char *file,
                    const char *message) {
    ck_assert_int_eq(command_run(&it, "%s --plan %s/%s", words, directory, file), 2);
    ck_assert_msg(strstr(it.err, message) != NULL, "\"%s\" lacks \"%s\"", it.err, message);
    command_finish(&it);
}

// Without one collective each rank would report its part of the loss or of the evaluation.
START_TEST(a_plan_whose_results_are_parts_is_refused) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 3 --batch 66 --all-reduce ring " SMALL);
    command_run(&it,
                "cd %s && grep -v '  all_reduce.loss' p > loss && "
                "grep -v '  all_gather.evaluation' p > evaluation && "
                "sed 's/order=schedule/order=rank/' p > ring",
                dir);
    ck_assert_int_eq(it.status, 0);
    command_finish(&it);
    static const struct {
        const char *file, *message;
    } cases[] = {{"loss", "plan step: its result loss is P+ along data"},
                 {"evaluation", "plan evaluate: its result evaluate.loss is P+ along data"},
                 {"ring", "does not add in the order of the ranks; write order=schedule"}};
    for (int i = 0; i < 3; i++) {
        refused("train --ranks 3 --batch 66 " SMALL, dir, cases[i].file, cases[i].message);
        refused("sim --gpus 3 --point --batch 66 --model linear", dir, cases[i].file,
                cases[i].message);
    }
}
END_TEST

SUITE("plan_cli", a_plan_whose_results_are_parts_is_refused)
