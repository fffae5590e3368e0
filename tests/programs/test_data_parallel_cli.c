// SPDX-License-Identifier: MIT
// --data-parallel on the command line: both programs print the same plans and memory of its two
// classes of ranks; its runs are of threads, and are replayed.
#include "tests/support/command.h"

#include <stdlib.h>
#include <string.h>

static Command it;

static int longest_line(const char *text) {
    int longest = 0;
    for (const char *end; *text; text = end + (*end == '\n')) {
        end = text + strcspn(text, "\n");
        if (end - text > longest) longest = (int)(end - text);
    }
    return longest;
}

// Both classes, in 80 columns; device 0 holds weights, and more in all.
START_TEST(data_parallel_is_printed_by_both_programs) {
    static const char *const forms[] = {"--print-plan step", "--print-plan file --accumulate 2",
                                        "--print-plan lowered-file --shards 8", "--print-memory"};
    for (int k = 0; k < 4; k++) {
        char *first;
        ck_assert_int_eq(command_run(&it, "train --data-parallel --ranks 4 %s", forms[k]), 0);
        if (k != 1 && k != 2) ck_assert_int_le(longest_line(it.out), 80);
        if (k == 3) ck_assert_ptr_nonnull(strstr(it.out, "class device0, DataParallel, batch 64"));
        if (k == 3) ck_assert_ptr_nonnull(strstr(it.out, "\nfor rows "));
        if (!k) ck_assert_ptr_nonnull(strstr(it.out, "\nclass devices: data=1..3\n"));
        if (!k) ck_assert_ptr_nonnull(strstr(it.out, " reduce.gradients "));
        ck_assert_ptr_nonnull(first = strdup(it.out));
        command_finish(&it);
        ck_assert_int_eq(command_run(&it, "sim --data-parallel --ranks 4 %s", forms[k]), 0);
        ck_assert_str_eq(it.out, first);
        command_finish(&it);
        free(first);
    }
}
END_TEST

START_TEST(data_parallel_runs_as_threads_and_is_replayed) {
    ck_assert_int_eq(command_run(&it, "train --data-parallel --ranks 2 --steps 6 --trace dp -q && "
                                      "grep -q '\"name\": *\"data_parallel\"' dp/* && "
                                      "grep -q 'scatter.x' dp/* && grep -q replicate dp/* && "
                                      "sim --trace dp && rm -r dp"),
                     0);
    ck_assert_ptr_nonnull(strstr(it.out, "replay of net on 2 ranks"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --data-parallel --ranks 2 --steps 2"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "(cpu, f32, thread)"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --data-parallel --ranks 2 --steps 2 --comm shm"), 0);
    ck_assert_ptr_nonnull(strstr(it.err, "nn.DataParallel's are threads"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --data-parallel --ranks 2 --prefetch 2"), 2);
    ck_assert_ptr_nonnull(strstr(it.err, "--prefetch belongs to DDP and ZeRO"));
    command_finish(&it);
}
END_TEST

SUITE("data_parallel_cli", data_parallel_is_printed_by_both_programs,
      data_parallel_runs_as_threads_and_is_replayed)
