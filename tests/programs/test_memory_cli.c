// SPDX-License-Identifier: MIT
// --print-memory, as a table and as JSON.
#include "core/base/json.h"
#include "tests/support/command.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

static Command it;

// 1,024 ranks are more than train starts.
START_TEST(the_memory_of_any_number_of_ranks_is_printed) {
    static const char job[] = "--batch-per-rank 1 --model mlp:hidden=4096,layers=12 --zero 3 "
                              "--clip 1";
    char *first;
    ck_assert_int_eq(command_run(&it, "train --ranks 1024 --print-memory %s", job), 0);
    ck_assert_int_le(command_columns(it.out), 80);
    ck_assert_ptr_nonnull(strstr(it.out, "1024 ranks, ZeRO 3, batch 1024\n"));
    ck_assert_ptr_nonnull(strstr(it.out, "\nsent a step "));
    ck_assert_ptr_nonnull(strstr(it.out, "\nfor the norm "));
    ck_assert_ptr_nonnull(first = strdup(it.out));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --ranks 1024 --print-memory %s", job), 0);
    ck_assert_str_eq(it.out, first);
    command_finish(&it);
    free(first);
}
END_TEST

// A step of full recomputation needs less memory than one of none; evaluation, here of more rows,
// the same. DDP sends gradients along data.
START_TEST(planned_memory_is_printed_as_json) {
    static const char job[] = "--print-memory --json --model gpt:layers=2 --batch 32 --recompute";
    int64_t step[2], all[2], batch, ranks, count;
    for (int full = 0; full < 2; full++) {
        json_t *root;
        ck_assert_int_eq(command_run(&it, "train --ranks 2 %s %s", job, full ? "full" : "none"), 0);
        ck_assert_ptr_nonnull(root = json_loads(it.out, 0, NULL));
        ck_assert_ok(
            json_get_int(&step[full], root, "out", "classes[0].step_memory_bytes.activations"));
        ck_assert_ok(json_get_int(&all[full], root, "out", "classes[0].memory_bytes.activations"));
        ck_assert_ok(json_get_int(&ranks, root, "out", "classes[0].ranks"));
        ck_assert_ok(json_get_int(&count, root, "out", "classes[0].communications[0].count"));
        ck_assert_ok(json_get_int(&batch, root, "out", "batch"));
        ck_assert_int_eq(batch, 32);
        json_decref(root);
        command_finish(&it);
    }
    ck_assert_int_eq(ranks, 2);
    ck_assert_int_gt(count, 0);
    ck_assert_int_lt(step[1], step[0]);
    ck_assert_int_lt(step[0], all[0]);
    ck_assert_int_eq(all[0], all[1]);
}
END_TEST

// The formulas are about what a stage holds: of 784 x 64 + 64 parameters the first, 64 x 64 + 64 +
// 10 x 64 + 10 the second. It sends 64 rows of 64 numbers.
START_TEST(the_formulas_of_a_stage_are_of_its_parameters) {
    const char *at;
    ck_assert_int_eq(command_run(&it, "train --print-memory --model mlp:hidden=64,layers=2 --pp 2 "
                                      "--dp 2 --stages 0:3,3:6"),
                     0);
    ck_assert_ptr_nonnull(
        at = strstr(it.out, "4 ranks: pipe 2 × data 2, class stage0, DDP, batch 64\n"));
    ck_assert_ptr_nonnull(at = strstr(at, "\nparameters        196KiB  196KiB   196KiB"));
    ck_assert_ptr_nonnull(at = strstr(at, "\nfor activations     8KiB\n"));
    ck_assert_ptr_nonnull(
        at = strstr(at, "4 ranks: pipe 2 × data 2, class stage1, DDP, batch 64\n"));
    ck_assert_ptr_nonnull(strstr(at, "\nparameters       18.8KiB  18.8KiB  18.8KiB"));
    command_finish(&it);
}
END_TEST

// The columns of a line behind its name: "planned" and "DDP" are 0 and 1.
static void read_columns(const char *name, char out[5][16]) {
    const char *at = strstr(it.out, name);
    ck_assert_msg(at != NULL, "%s is not in %s", name, it.out);
    int read = sscanf(at + strlen(name), "%15s %15s %15s %15s %15s", out[0], out[1], out[2], out[3],
                      out[4]);
    ck_assert_int_eq(read, 5);
}

// Ranks of other positions sum gradients, at once with data parallel ranks or before ZeRO; where
// they share experts, nobody sums over them.
START_TEST(sums_over_positions_are_in_the_formulas) {
    static const struct {
        const char *degrees, *title;
        int zero;
        bool norm;
    } cases[] = {
        {"--cp 2 --dp 2", "4 ranks: data 2 × context 2, DDP", 0, false},
        {"--cp 4 --clip 1 --zero 1 --dp 2", "8 ranks: data 2 × context 4, ZeRO 1", 1, true},
        {"--cp 2 --dp 4 --ep 2 --zero 2 --clip 1 --shards 8", "8 ranks: data 4", 2, true},
        {"--cp 2 --dp 2 --ep 2 --zero 1 --shards 4", "4 ranks: data 2", 1, false},
        {"--cp 2 --dp 3 --ep 2 --clip 1", "6 ranks: data 3", 0, true},
        {"--cp 2 --dp 3 --ep 2 --zero 2 --clip 1 --shards 6", "6 ranks: data 3", 2, true},
        {"--cp 2 --dp 2 --ep 4 --tp 2 --zero 1 --clip 1",
         "8 ranks: data 2 × context 2 × tensor 2, ZeRO 1", 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sent[5][16], norm[5][16];
        ck_assert_int_eq(command_run(&it,
                                     "train --print-memory --model mixtral:layers=2,seq=24 --data "
                                     "text %s",
                                     cases[i].degrees),
                         0);
        ck_assert_ptr_nonnull(strstr(it.out, cases[i].title));
        read_columns("\nsent a step", sent);
        ck_assert_str_eq(sent[0], sent[1 + cases[i].zero]);
        if (cases[i].norm) {
            read_columns("\nfor the norm", norm);
            ck_assert_str_eq(norm[0], norm[1 + cases[i].zero]);
        }
        command_finish(&it);
    }
}
END_TEST

// An evaluation takes 256 rows of 32 x 64 numbers, a step 32: a half and the whole of them.
START_TEST(buffers_of_a_step_are_told_from_those_of_an_evaluation) {
    ck_assert_int_eq(command_run(&it, "train --print-memory --model gpt --data text --tp 2 --dp 2 "
                                      "--sequence-parallel"),
                     0);
    ck_assert_ptr_nonnull(strstr(it.out, "\ncommunication       3MiB\n  in a step       384KiB\n"));
    ck_assert_ptr_nonnull(strstr(it.out, "\nin a step: without evaluations, which take up to 256 "
                                         "rows at once\n"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --print-memory --batch 512"), 0);
    ck_assert_ptr_null(strstr(it.out, "in a step"));
    command_finish(&it);
}
END_TEST

SUITE("memory_cli", the_memory_of_any_number_of_ranks_is_printed, planned_memory_is_printed_as_json,
      the_formulas_of_a_stage_are_of_its_parameters, sums_over_positions_are_in_the_formulas,
      buffers_of_a_step_are_told_from_those_of_an_evaluation)
