// SPDX-License-Identifier: MIT
// sim --advise: what it advises is a line that gives the step it promises; options of the line
// stay, and where nothing fits it says so.
#include "tests/support/command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

enum { TEXT = 256 };

START_TEST(the_advised_line_gives_the_promised_step) {
    char options[TEXT] = "";
    const char *base = "--model mlp --gpus 6 --batch 240";
    ck_assert_int_eq(command_run(&it, "sim --advise %s", base), 0);
    ck_assert_int_le(command_columns(it.out), 80);
    const char *best = strstr(it.out, "\nbest: "), *rows = strstr(it.out, "\nstep ms ");
    ck_assert(best && rows);
    ck_assert_int_eq(sscanf(best, "\nbest: %255[^\n]", options), 1);
    double promised = strtod(strchr(rows + 1, '\n') + 1, NULL);
    ck_assert_ptr_nonnull(strstr(it.out, "\naround the best, with one option changed\n"));
    ck_assert_ptr_nonnull(strstr(it.out, "  degrees do not divide the devices\n"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim %s %s --point --csv | tail -1 | cut -d, -f4", base,
                                 strstr(options, "--") ? options : ""),
                     0);
    double step = strtod(it.out, NULL);
    ck_assert_msg(promised > 0.9999 * step && promised < 1.0001 * step, "%s: %g ms, not %g ms",
                  options, step, promised);
    command_finish(&it);
}
END_TEST

// Its best has several options: the line without any is a row of its own, and says what it costs.
START_TEST(the_line_as_it_is_stands_beside_the_best) {
    const char *base = "--model mlp --gpus 16 --batch 64";
    double more = -1;
    ck_assert_int_eq(command_run(&it, "sim --advise %s", base), 0);
    ck_assert_int_le(command_columns(it.out), 80);
    const char *row = strstr(it.out, "\nnone of these options "), *rows;
    ck_assert_ptr_nonnull(row);
    ck_assert_int_eq(sscanf(row, "\nnone of these options %lf%%", &more), 1);
    ck_assert_ptr_nonnull(rows = strstr(it.out, "\nstep ms "));
    double best = strtod(strchr(rows + 1, '\n') + 1, NULL);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim %s --point --csv | tail -1 | cut -d, -f4", base), 0);
    double step = strtod(it.out, NULL);
    ck_assert_msg(step > best && fabs(100 * (step / best - 1) - more) < 0.2, "%g ms, %g ms, %g %%",
                  best, step, more);
    command_finish(&it);
}
END_TEST

START_TEST(options_of_the_line_stay) {
    ck_assert_int_eq(
        command_run(&it, "sim --advise --model mlp --gpus 8 --tp 2 --zero 1 --batch 256 --json"),
        0);
    ck_assert_ptr_nonnull(strstr(it.out, "\"schema\": \"tandem.advice.v1\""));
    for (const char *at = it.out; (at = strstr(at, "\"tp\": ")); at++)
        ck_assert_int_eq(strncmp(at, "\"tp\": \"2\"", 9), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "\"tp\": \"2\""));
    ck_assert_ptr_null(strstr(it.out, "\"zero\": \"no\""));
    command_finish(&it);
}
END_TEST

// They have none where no rank has gradients of the same weights.
START_TEST(buckets_are_tried_where_they_have_an_effect) {
    static const char *const jobs[] = {"--tp 8", "--zero 1", "--zero 1 --no-overlap"};
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(
            command_run(&it, "sim --advise --model mlp --gpus 8 --batch 256 %s", jobs[k]), 0);
        ck_assert_int_eq(strstr(it.out, "\n--bucket-kib 4096,102400 ") != NULL, k > 0);
        command_finish(&it);
    }
}
END_TEST

START_TEST(every_way_to_recompute_stays_and_is_named) {
    static const char *const words[] = {"none",      "selective", "full",
                                        "attention", "gathers",   "block"};
    for (size_t how = 0; how < sizeof words / sizeof *words; how++) {
        char field[64];
        ck_assert_int_eq(command_run(&it,
                                     "sim --advise --model gpt --gpus 2 --tp 2 --batch 4 "
                                     "--recompute %s --json",
                                     words[how]),
                         0);
        snprintf(field, sizeof field, "\"recompute\": \"%s\"", words[how]);
        ck_assert_msg(strstr(it.out, field) != NULL, "%s: %.300s", field, it.out);
        command_finish(&it);
    }
}
END_TEST

START_TEST(a_memory_in_which_nothing_fits_is_an_error_with_counts) {
    ck_assert_int_eq(command_run(&it, "sim --advise --model mlp --gpus 2 --memory 1MiB"), 2);
    ck_assert_ptr_nonnull(strstr(it.out, "weights and states alone are larger than the memory"));
    ck_assert_ptr_null(strstr(it.out, "best:"));
    ck_assert_ptr_nonnull(strstr(it.err, "combinations fits: weights and states take "));
    command_finish(&it);
}
END_TEST

static void refuses(const char *line, const char *why) {
    ck_assert_int_eq(command_run(&it, "sim %s", line), 2);
    ck_assert_msg(strstr(it.err, why) != NULL, "\"%s\" lacks \"%s\"", it.err, why);
    ck_assert_str_eq(it.out, "");
    command_finish(&it);
}

START_TEST(what_it_cannot_be_asked_with_is_refused) {
    refuses("--advise --gpus 1,2", "one number of devices");
    refuses("--advise --dp 2", "leave out --dp");
    refuses("--advise --csv", "leave out --csv");
    refuses("--advise --memory 80", "do you mean 80GiB?");
    refuses("--advise --memory 81559", "do you mean 81559MiB?");
    refuses("--advise --ranks 2", "leave out --ranks");
    refuses("--memory 1GiB", "--memory is of --advise");
}
END_TEST

// The framed cell has the advised step; degrees that 6 devices do not have are refused.
START_TEST(the_map_has_the_best_of_each_pair_of_degrees) {
    ck_assert_int_eq(
        command_run(&it, "sim --advise --model mlp --gpus 6 --batch 240 --json --plot p && grep "
                         "^LEAST p/layout.gp && grep -c '^[0-9]' p/layout.dat"),
        0);
    const char *step = strstr(it.out, "\"step_ms\": "), *least = strstr(it.out, "\nLEAST = ");
    ck_assert(step && least);
    double advised = strtod(step + strlen("\"step_ms\": "), NULL),
           drawn = strtod(least + strlen("\nLEAST = "), NULL);
    ck_assert_msg(drawn > 0.9999 * advised && drawn < 1.0001 * advised, "%g ms, not %g ms", drawn,
                  advised);
    ck_assert_int_ge(atoi(strrchr(it.out, '=') + strcspn(strrchr(it.out, '='), "\n") + 1), 2);
    command_finish(&it);
}
END_TEST

// Wherever it is, in plans of which some take seconds; what it has found by then, if anything, is
// printed. On a busy machine a signal may come before the program looks out for it, which its
// status says as well.
static bool is_told(const char *job, const char *what) {
    bool told = false;
    for (int after = 1; after < 60 && !told; after *= 2) {
        int ended = command_run(
            &it, "timeout --foreground -s INT -k 10 --preserve-status %d sim --advise %s", after,
            job);
        ck_assert_msg(ended == 130, "after %d s: exit status %d, %s", after, ended, it.err);
        told = strstr(it.err, what) != NULL;
        ck_assert_int_eq(strstr(it.out, "the best so far") != NULL,
                         strstr(it.err, "the best of these is printed") != NULL);
        ck_assert_int_eq(strstr(it.out, "\nbest: ") != NULL, strstr(it.out, "so far") != NULL);
        command_finish(&it);
    }
    return told;
}

START_TEST(an_interrupt_does_not_wait_for_plans) {
    ck_assert(is_told("--model llama-3-405b --gpus 1024 --batch 1024 --dtype bf16",
                      "sim: interrupted "));
}
END_TEST

START_TEST(predictions_may_be_kept_nowhere) {
    const char *line = "sim --model linear --gpus 2 --predictions none";
    ck_assert_int_eq(command_run(&it, "%s --advise", line), 0);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "%s --sweep batch=64,128", line), 0);
    command_finish(&it);
    refuses("--advise --gpus 2 --predictions p.jsonl", "leave out --predictions");
}
END_TEST

SUITE("sim_advise", the_advised_line_gives_the_promised_step,
      the_line_as_it_is_stands_beside_the_best, options_of_the_line_stay,
      buckets_are_tried_where_they_have_an_effect, every_way_to_recompute_stays_and_is_named,
      a_memory_in_which_nothing_fits_is_an_error_with_counts,
      what_it_cannot_be_asked_with_is_refused, the_map_has_the_best_of_each_pair_of_degrees,
      an_interrupt_does_not_wait_for_plans, predictions_may_be_kept_nowhere)
