// SPDX-License-Identifier: MIT
// Plans on the command line: what --print-plan shows, and what --plan refuses.
#include "tests/support/command.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#define SMALL "--model linear --data digits:count=300 --steps 3"

static Command it;

static void print_plan(const char *directory, const char *name, const char *words) {
    ck_assert_int_eq(command_run(&it, "train --print-plan file %s > %s/%s", words, directory, name),
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
                 {"evaluation", "plan evaluate: its result evaluate.loss is D along data"},
                 {"ring", "does not add in the order of the ranks; write order=schedule"}};
    for (int i = 0; i < 3; i++) {
        refused("train --ranks 3 --batch 66 " SMALL, dir, cases[i].file, cases[i].message);
        refused("sim --gpus 3 --point --batch 66 --model linear", dir, cases[i].file,
                cases[i].message);
    }
}
END_TEST

// --- the table

static int longest_line(const char *text) {
    int longest = 0;
    for (const char *end; *text; text = end + (*end == '\n')) {
        end = text + strcspn(text, "\n");
        if (end - text > longest) longest = (int)(end - text);
    }
    return longest;
}

START_TEST(the_table_of_net_on_two_ranks_is_the_known_one) {
    const char *path = test_source("tests/data/plan_table.txt");
    ck_assert_ptr_nonnull(path);
    ck_assert_int_eq(command_run(&it,
                                 "train --ranks 2 --print-plan step > a && diff %s a && "
                                 "sim --ranks 2 --print-plan step > b && cmp a b",
                                 path),
                     0);
    command_finish(&it);
}
END_TEST

START_TEST(tables_fit_80_columns) {
    static const char *const words[] = {
        "--ranks 2 --print-plan step", "--ranks 2 --print-plan lowered",
        "--ranks 2 --print-plan lowered --accumulate 3 --shards 6",
        "--ranks 64 --print-plan lowered --model mlp:hidden=4096 --batch 65536 --accumulate 16"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(command_run(&it, "train %s", words[i]), 0);
        ck_assert_int_le(longest_line(it.out), 80);
        ck_assert_int_gt(longest_line(it.out), 70);
        command_finish(&it);
    }
}
END_TEST

SUITE("plan_cli", the_table_of_net_on_two_ranks_is_the_known_one, tables_fit_80_columns,
      a_plan_whose_results_are_parts_is_refused)
