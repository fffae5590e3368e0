// SPDX-License-Identifier: MIT
// sim --sweep: a row is what its line gives by itself, on any number of threads; what cannot be
// made is a row that says why.
#include "tests/support/command.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

enum { TEXT = 512 };

// Field number `field`, from 0, of line number `line` of comma-separated output, as a number.
static double csv_number(const char *text, int line, int field) {
    for (; line; line--) {
        text = strchr(text, '\n');
        ck_assert_ptr_nonnull(text);
        text++;
    }
    for (; field; field--) {
        text = strchr(text, ',');
        ck_assert_ptr_nonnull(text);
        text++;
    }
    return strtod(text, NULL);
}

// The step that the options give alone, in milliseconds.
static double step_of(const char *options) {
    ck_assert_int_eq(command_run(&it, "sim %s --point --csv", options), 0);
    double step = csv_number(it.out, 1, 3);
    command_finish(&it);
    return step;
}

START_TEST(a_row_is_what_its_line_gives_alone) {
    static const char *const lines[] = {"--gpus 4 --dtype f32 --overlap", "--gpus 4 --no-overlap",
                                        "--gpus 4 --dtype bf16",
                                        "--gpus 4 --dtype bf16 --no-overlap"};
    double steps[4];
    steps[0] = step_of("--gpus 4");
    for (int i = 1; i < 4; i++) steps[i] = step_of(lines[i]);
    ck_assert_int_eq(command_run(&it, "sim --gpus 4 --sweep dtype=f32,bf16,overlap=yes,no --csv"),
                     0);
    for (int i = 0; i < 4; i++) {
        double step =
            csv_number(it.out, 1 + i, 6);  // schema, dtype, overlap, state, devices, batch
        ck_assert_msg(step == steps[i], "row %d has %.12g, not %.12g", i, step, steps[i]);
        for (int k = 0; k < i; k++) ck_assert(steps[k] != steps[i]);
    }
    ck_assert_ptr_null(strstr(it.out, "refused"));
    command_finish(&it);
}
END_TEST

START_TEST(factors_and_doubled_numbers_are_values) {
    double slow = step_of("--gpus 4 --link 100MB/s,50us"),
           fast = step_of("--gpus 4 --link 200MB/s,50us");
    ck_assert_int_eq(
        command_run(&it, "sim --link 100MB/s,50us --sweep gpus=1..4,bandwidth=x1,x2 --csv"), 0);
    ck_assert_double_eq(csv_number(it.out, 5, 6), slow);  // 1, 1, 2, 2, 4, 4
    ck_assert_double_eq(csv_number(it.out, 6, 6), fast);
    ck_assert(csv_number(it.out, 6, 4) == 4 && csv_number(it.out, 3, 4) == 2);
    command_finish(&it);
    // schema, flops, state, devices, batch, step: not as if 0.0015 were 0.002.
    ck_assert_int_eq(command_run(&it, "sim --gpus 1 --sweep flops=x0.0015,x0.003 --csv"), 0);
    ck_assert_double_eq_tol(csv_number(it.out, 1, 5) / csv_number(it.out, 2, 5), 2, 0.01);
    command_finish(&it);
}
END_TEST

START_TEST(the_output_is_the_same_bytes_on_any_number_of_threads) {
    static const char *const forms[] = {"", "--csv", "--json"};
    for (int f = 0; f < 3; f++) {
        char *one = NULL;
        for (int threads = 1; threads <= 5; threads += 2) {
            ck_assert_int_eq(
                command_run(&it, "sim --model mlp --sweep tp=1,2,3,gpus=1..8 --threads %d %s",
                            threads, forms[f]),
                0);
            if (one)
                ck_assert_str_eq(it.out, one);
            else
                one = strdup(it.out);
            command_finish(&it);
        }
        ck_assert(strlen(one) > 200);
        free(one);
    }
}
END_TEST

// 2 devices are no multiple of 4; the other three rows are made.
START_TEST(a_row_that_cannot_be_made_says_why_and_the_others_are_made) {
    ck_assert_int_eq(command_run(&it, "sim --model mlp --sweep gpus=2,4,tp=2,4"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "refused: --tp 4 "));
    ck_assert_ptr_nonnull(strstr(it.out, "refused: 1 of 4 "));
    ck_assert_ptr_nonnull(strstr(it.out, "fastest: gpus="));
    ck_assert_int_le(command_columns(it.out), 80);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --model mlp --sweep gpus=2,4,tp=2,4 --json"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "\"schema\": \"tandem.points.v1\""));
    ck_assert_ptr_nonnull(strstr(it.out, "\"step\": null"));
    ck_assert_ptr_nonnull(strstr(it.out, "\"refused\": \"--tp 4 "));
    command_finish(&it);
}
END_TEST

// As many rows as take some ten seconds on an idle machine.
START_TEST(an_interrupted_sweep_keeps_its_rows) {
    command_start(&it, "sim --csv --threads 2 --model resnet50 --sweep "
                       "gpus=1..64,dtype=f32,bf16,zero=no,1,2,3,bandwidth=x1,x2,x3,x4,x5,x6,x7,x8,"
                       "latency=x1,x2,x3,x4,x5,x6,x7,x8");
    sleep_seconds(1.5);
    ck_assert_int_eq(kill(it.pid, SIGINT), 0);
    command_wait(&it, 30);
    ck_assert_int_eq(it.status, 130);
    ck_assert_ptr_nonnull(strstr(it.err, " of 3584 rows are done and kept: interrupted"));
    ck_assert_int_eq(strncmp(it.out, "schema,gpus,", 12), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "\ntandem.points.v1,1,f32,no,x1,x1,done,"));
    ck_assert_int_eq(it.out[strlen(it.out) - 1], '\n');
    command_finish(&it);
}
END_TEST

static void refuses(const char *line, const char *why) {
    ck_assert_int_eq(command_run(&it, "sim %s", line), 2);
    ck_assert_msg(strstr(it.err, why) != NULL, "\"%s\" lacks \"%s\"", it.err, why);
    ck_assert_str_eq(it.out, "");
    command_finish(&it);
}

START_TEST(what_cannot_be_swept_is_refused) {
    refuses("--sweep tp", "expected KEY=A,B, such as tp=1,2,4");
    refuses("--sweep tp=1,,2", "a value is empty");
    refuses("--sweep tp=1,tp=2", "tp is given twice");
    refuses("--sweep json=yes", "expected an option of the job");
    refuses("--sweep dtype=f32,f8", "\"f8\" is not one of");
    refuses("--sweep speed=x2", "a factor changes bandwidth, latency");
    refuses("--sweep batch=1..1048576,seed=1..1048576,pp=1..32,dp=1..64,cp=1..64",
            "combinations; at most 100000");
    refuses("--no-overlap --sweep overlap=yes,no", "leave out --no-overlap");
    refuses("--gpus 1,2 --sweep tp=1", "give --sweep gpus=1,2,4");
    refuses("--sweep tp=1 --ranks 2", "leave out --ranks");
    refuses("--sweep tp=1 --what-if flops=x2", "leave out --what-if");
    refuses("--sweep tp=1 --json --csv", "give one");
    refuses("--threads 2", "--threads are of --sweep");
    ck_assert_int_eq(command_run(&it, "sim --csv --sweep tp=3"), 2);
    ck_assert_ptr_nonnull(strstr(it.err, "no row can be made: 8 ranks are not a multiple of"));
    command_finish(&it);
}
END_TEST

START_TEST(a_number_of_a_pair_stands_for_both) {
    double small = step_of("--gpus 8 --bucket-kib 16,16"),
           large = step_of("--gpus 8 --bucket-kib 512,512");
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --sweep bucket-kib=16..512 --csv"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, ",\"16,16\",done,"));
    ck_assert_double_eq(csv_number(it.out, 1, 6), small);  // the pair's comma is a field more
    ck_assert_double_eq(csv_number(it.out, 6, 6), large);
    ck_assert(small != large);
    command_finish(&it);
}
END_TEST

START_TEST(figures_have_the_numbers_of_the_rows) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --sweep bucket-kib=16..512 --csv --plot p && "
                                      "grep '^simulated.512' p/sweep.dat | cut -f 4 && ls p"),
                     0);
    char line[64];
    double step = csv_number(it.out, 6, 6);
    snprintf(line, sizeof line, "\n%.9g\n", step);
    ck_assert_msg(strstr(it.out, line) != NULL, "no %s in %s", line, it.out);
    ck_assert(command_wrote(&it, "p/memory.dat") && !command_wrote(&it, "p/layout.dat"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --sweep pp=1,2,tp=1,2 --plot p"), 0);
    ck_assert(command_wrote(&it, "p/layout.dat") && !command_wrote(&it, "p/sweep.dat"));
    command_finish(&it);
}
END_TEST

START_TEST(runs_with_the_same_options_are_drawn_beside_their_row) {
    ck_assert_int_eq(
        command_run(&it,
                    "train -q --ranks 2 --zero 1 --steps 3 --report 1.json >t1 && train -q "
                    "--ranks 2 --zero 2 --clip 1 --steps 3 --report 2.json >t2 && sim --gpus 2 "
                    "--batch 64 --bucket-kib 4,32 --sweep zero=no,1,2 --compare 1.json,2.json "
                    "--plot p && grep -c ^measured p/sweep.dat && grep '^measured.1' p/sweep.dat"),
        0);
    // One run has its row, and is the least of one; the other clips, which the rows do not.
    ck_assert_ptr_nonnull(strstr(it.out, "\n2\nmeasured\t1\t1\t"));
    ck_assert_ptr_nonnull(strstr(it.err, "report 2 of 2 is of no point"));
    command_finish(&it);
    refuses("--sweep tp=1 --compare r.json", "leave out --compare");
}
END_TEST

// A row says of which batch it is where that changes: as many samples on each of more devices.
START_TEST(the_batch_of_a_row_is_told_where_it_changes) {
    ck_assert_int_eq(command_run(&it, "sim --sweep gpus=1,2"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "\ngpus    batch     step ms"));
    ck_assert_ptr_nonnull(strstr(it.out, "\n   2      128  "));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --sweep gpus=1,2 --batch 256"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "  batch 256 in all  2 rows"));
    ck_assert_ptr_nonnull(strstr(it.out, "\ngpus     step ms"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --sweep tp=1,2 --batch-per-rank 4"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "\n 2       8       16  "));  // of 4 data parallel ranks
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --sweep overlap=yes,no"), 0);
    ck_assert_ptr_null(strstr(it.out, "batch"));
    command_finish(&it);
}
END_TEST

SUITE("sim_grid", the_batch_of_a_row_is_told_where_it_changes, a_row_is_what_its_line_gives_alone,
      factors_and_doubled_numbers_are_values,
      the_output_is_the_same_bytes_on_any_number_of_threads,
      a_row_that_cannot_be_made_says_why_and_the_others_are_made,
      an_interrupted_sweep_keeps_its_rows, what_cannot_be_swept_is_refused,
      a_number_of_a_pair_stands_for_both, figures_have_the_numbers_of_the_rows,
      runs_with_the_same_options_are_drawn_beside_their_row)
