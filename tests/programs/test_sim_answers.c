// SPDX-License-Identifier: MIT
// What sim tells of a row besides its times: use of devices, what it lost, and what would fit.
#include "tests/support/command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Command it;

// All that a slow link costs is exposed communication. Tokens stand where samples did.
START_TEST(a_row_says_how_well_devices_are_used_and_what_it_lost) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 4 --link 1MB/s,5us"), 0);
    test_has(it.out, "  speed-up   eff.    MFU   memory  lost to\n");
    test_has(it.out, "MiB  exposed\n");
    test_has(it.out, "sent by a device, last row: 159KiB within its node\n");
    test_has(it.out, "memory, last row: parameters 106KiB  gradients 106KiB");
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --model gpt2 --gpus 16 --recompute full"), 0);
    test_has(it.out, " tokens/s  ");
    test_has(it.out, "% of their peak (HFU), last row\n");
    test_has(it.out, " to other nodes\n");
    ck_assert_ptr_null(strstr(it.out, "samples/s"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "COLUMNS=100 sim --model gpt2 --gpus 2"), 0);
    test_has(it.out, "samples/s   tokens/s");
    command_finish(&it);
}
END_TEST

// All-reduces are hidden behind long backward passes, but for less than 0.5 % of a step: not 100 %,
// and the part has a column, however little it is.
START_TEST(a_little_that_is_lost_is_not_rounded_away) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 1,8 --model resnet50"), 0);
    test_has(it.out, "   1.00x   100% ");
    test_has(it.out, "   7.99x  99.9% ");
    test_has(it.out, "  contended\n");
    test_has(it.out, "gpus    work  launch  contended  ");
    command_finish(&it);
}
END_TEST

// 12 devices are a node and a half, around which a ring goes over one rail; 24 are three nodes,
// with a ring for each of the eight devices. So the first row is the slow one.
START_TEST(an_efficiency_above_100_percent_has_a_reason) {
    ck_assert_int_eq(command_run(&it, "sim --model mlp --gpus 12,24 --network alpha-beta "
                                      "--hierarchical"),
                     0);
    test_has(it.out, "above 100%: with 24 devices exposed is ");
    test_has(it.out, " ms less than in proportion to the\nfirst row\n");
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 8"), 0);
    ck_assert_ptr_null(strstr(it.out, "above 100%"));
    command_finish(&it);
}
END_TEST

static double figure_of(const char *name) {
    double value;
    const char *at = strstr(it.out, name);
    ck_assert_msg(at && sscanf(at + strlen(name), " %lf", &value) == 1, "no %s in %s", name,
                  it.out);
    return value;
}

// Stages begin their second step at other times than their first, so that only the last one is
// as long as a step of a long run: it is the one that all numbers are of.
START_TEST(the_parts_of_a_step_sum_to_it_before_ranks_are_in_step) {
    static const char *const parts[] = {"compute", "contended", "exposed_comm", "bubble",
                                        "waiting", "host",      "idle"};
    static const char *const lines[] = {"--gpus 4 --dp 2 --pp 2 --schedule interleaved --zero 2 "
                                        "--network flow --model llama:layers=4",
                                        "--gpus 8 --dp 2 --pp 4 --zero 1 --straggler 0=1.5"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        double sum = 0;
        char name[64];
        ck_assert_int_eq(
            command_run(&it, "sim --point --batch 256 --platform dgx-h100 --plain %s", lines[i]),
            0);
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
            snprintf(name, sizeof name, ".%s_ms", parts[k]);
            sum += figure_of(name);
        }
        double step = figure_of(".step_ms");
        ck_assert_msg(fabs(sum - step) < 1e-7 * step, "%s: %.9g of %.9g", lines[i], sum, step);
        ck_assert(figure_of(".step_p50_ms") == step);
        command_finish(&it);
    }
}
END_TEST

// Its plan is in the trace.
START_TEST(a_replay_needs_no_model) {
    ck_assert_int_eq(
        command_run(&it, "printf 'model tiny\\ninput 1 28 28\\nclasses 10\\nflatten\\n"
                         "linear out=10\\n' > tiny.model && train --model tiny.model --steps 4 "
                         "--data digits:count=200 --trace run > log && rm tiny.model && "
                         "sim --trace run --csv"),
        0);
    test_has(it.out, "tandem.sweep.v1,1,64,");
    test_has(it.out, ",,,,,,,,,,");  // device_bytes to lost_ms are empty: without answers
    ck_assert_ptr_null(strstr(it.out, ",,,,,,,,,,,"));  // but quantiles of its steps follow
    command_finish(&it);
}
END_TEST

// What is proposed is tried.
START_TEST(a_step_that_does_not_fit_would_with_the_options_that_are_named) {
    static const char *const lines[] = {"--model gpt2-xl --gpus 8",
                                        "--model llama-3-8b --dtype bf16 --batch 8 --gpus 8",
                                        "--model bert-large --tp 4 --batch 256 --gpus 4",
                                        "--model gpt2-xl --pp 4 --batch 256 --gpus 4"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char with[64] = "";
        ck_assert_int_eq(command_run(&it, "sim --point %s", lines[i]), 0);
        const char *found = strstr(it.out, "\nDOES NOT FIT on ");
        ck_assert_ptr_nonnull(found);
        ck_assert_ptr_nonnull(found = strstr(found, "with --"));
        snprintf(with, sizeof with, "%.*s", (int)(strstr(found, " it would") - found) - 5,
                 found + 5);
        command_finish(&it);
        ck_assert_int_eq(command_run(&it, "sim --point %s %s", lines[i], with), 0);
        ck_assert_msg(!strstr(it.out, "DOES NOT FIT"), "%s %s: %s", lines[i], with, it.out);
        command_finish(&it);
    }
    ck_assert_int_eq(command_run(&it, "sim --model llama-3-405b --gpus 8 --point"), 0);
    test_has(it.out, "\n  none of --zero, --recompute, --accumulate and --tp alone makes it fit,\n"
                     "  nor those tried together; --advise tries more, with --pp\n");
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --point %s", lines[3]), 0);
    test_has(it.out, "GiB on stage0;");
    test_has(it.out, "memory on stage0: ");
    command_finish(&it);
}
END_TEST

SUITE("sim_answers", a_little_that_is_lost_is_not_rounded_away,
      an_efficiency_above_100_percent_has_a_reason,
      the_parts_of_a_step_sum_to_it_before_ranks_are_in_step, a_replay_needs_no_model,
      a_row_says_how_well_devices_are_used_and_what_it_lost,
      a_step_that_does_not_fit_would_with_the_options_that_are_named)
