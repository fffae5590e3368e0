// SPDX-License-Identifier: MIT
// sim --critical-path: the table, the same as JSON, and what it is not of.
#include "core/base/json.h"
#include "tests/support/command.h"

#include <stdio.h>
#include <string.h>

static Command it;

static void fits_80_columns(const char *text) {
    for (const char *end; (end = strchr(text, '\n')); text = end + 1)
        ck_assert_msg(end - text <= 80, "too wide: %.*s", (int)(end - text), text);
}

START_TEST(a_bill_says_what_a_step_is_made_of) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --point --critical-path"), 0);
    test_has(it.out, "\nthe critical path of a step, ");
    test_has(it.out, "\nranks of all that is shown: 0..7\n");
    test_has(it.out, "\noperation               x       ms     %  gain ms  then critical\n");
    test_has(it.out, "\nconv2.backward_input    1  ");
    test_has(it.out, "\nhost launches           1  ");
    test_has(it.out, " more: -v ");
    fits_80_columns(it.out);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 16 --point --model gpt2 --pp 4 --tp 2 --batch 64 "
                                      "--accumulate 8 --critical-path"),
                     0);
    test_has(it.out, "kind of work");
    test_has(it.out, "linear forward ");
    test_has(it.out, "  attent..");
    fits_80_columns(strstr(it.out, "the critical path"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 1 --critical-path -v"), 0);
    ck_assert_ptr_null(strstr(it.out, " more: -v"));
    command_finish(&it);
}
END_TEST

// The sum of what is billed is the step, to the picosecond.
START_TEST(as_json_items_sum_to_the_step) {
    int64_t step, ps, sum = 0, gain;
    ck_assert_int_eq(command_run(&it, "sim --gpus 8 --point --critical-path --json"), 0);
    json_t *all = json_loads(it.out, 0, NULL), *path = json_object_get(all, "critical_path");
    ck_assert_ptr_nonnull(path);
    ck_assert_ok(json_get_int(&step, path, "it", "step_ps"));
    for (size_t i = 0; i < json_array_size(json_object_get(path, "items")); i++) {
        ck_assert_ok(json_get_int(&ps, path, "it", "items[%zu].ps", i));
        if (i == 0) ck_assert_ok(json_get_int(&gain, path, "it", "items[0].gain_ps"));
        if (i == 0) ck_assert(gain > ps / 2 && gain < step);
        sum += ps;
    }
    ck_assert_int_gt(step, 0);
    ck_assert_int_eq(sum, step);
    const char *name;
    ck_assert_ok(json_get_string(&name, path, "it", "items[0].operation"));
    ck_assert_str_eq(name, "conv2.backward_input");
    ck_assert_ok(json_get_string(&name, path, "it", "path[0].operation"));
    ck_assert_str_eq(name, "host launches");
    sum = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(path, "path")); i++) {
        ck_assert_ok(json_get_int(&ps, path, "it", "path[%zu].start_ps", i));
        ck_assert_int_eq(ps, sum);
        ck_assert_ok(json_get_int(&ps, path, "it", "path[%zu].ps", i));
        sum += ps;
    }
    ck_assert_int_eq(sum, step);
    json_decref(all);
    command_finish(&it);
}
END_TEST

// Layers are gathered sooner when what comes before them is free, and share links with others.
START_TEST(a_gain_below_0_is_explained) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 4 --point --model mlp --zero 3 --batch 32 "
                                      "--recompute selective --platform pcie-8 --critical-path"),
                     0);
    test_has(it.out, "\na gain below 0: what comes sooner then shares links with what is urgent\n");
    const char *row = strstr(it.out, "logits.forward");
    ck_assert_msg(row && strstr(row, "  -0.00"), "no gain below 0: %s", it.out);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 4 --point --critical-path"), 0);
    ck_assert_ptr_null(strstr(it.out, "below 0"));
    command_finish(&it);
}
END_TEST

static void refuses(const char *line, const char *why) {
    ck_assert_int_eq(command_run(&it, "sim --critical-path %s", line), 2);
    ck_assert_msg(strstr(it.err, why) != NULL, "\"%s\" lacks \"%s\"", it.err, why);
    command_finish(&it);
}

START_TEST(one_number_of_devices_is_taken_alone) {
    static char alone[16384];
    ck_assert_int_eq(command_run(&it, "sim --critical-path --gpus 8 --point"), 0);
    snprintf(alone, sizeof alone, "%s", it.out);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --critical-path --gpus 8"), 0);
    ck_assert_str_eq(it.out, alone);
    command_finish(&it);
}
END_TEST

START_TEST(what_has_no_critical_path_is_refused) {
    refuses("--gpus 4,8", "--critical-path is of one number of devices; give --gpus one");
    refuses("--ranks 2", "--critical-path is of simulated devices; give --gpus N");
    refuses("--gpus 8 --point --csv", "leave out --csv");
    refuses("--gpus 8 --point --link 1GB/s,5us", "needs communication by NCCL's model");
    refuses("--gpus 8 --point --network flow", "needs communication by NCCL's model");
    refuses("--gpus 8 --point --print-memory", "--critical-path is of a simulated step");
    refuses("--gpus 8 --collective all_reduce", "leave out --critical-path");
}
END_TEST

SUITE("sim_critical", a_bill_says_what_a_step_is_made_of, as_json_items_sum_to_the_step,
      a_gain_below_0_is_explained, one_number_of_devices_is_taken_alone,
      what_has_no_critical_path_is_refused)
