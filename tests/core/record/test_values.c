// SPDX-License-Identifier: MIT
// Which tensors of which steps are kept, and in which files.
#include "core/record/values.h"
#include "tests/support/allocations.h"
#include "tests/support/testing.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A writer that keeps what it was given last, as text: "key dtype [shape] = values".
typedef struct {
    char path[256], text[1024];
    int calls;
    Status result;
} Written;

static Status keep(void *context, const char *path, const ValueEntry *entries, int count) {
    Written *w = context;
    FILE *f = fmemopen(w->text, sizeof w->text, "w");
    for (int i = 0; i < count; i++) {
        const ValueEntry *e = &entries[i];
        fprintf(f, "%s %s [", e->key, dtype_name(e->dtype));
        for (int d = 0; d < e->dims; d++) fprintf(f, d ? ",%d" : "%d", (int)e->shape[d]);
        fprintf(f, "] =");
        for (int64_t x = 0; x < e->bytes / 4; x++)
            fprintf(f, " %g", (double)((const float *)e->data)[x]);
        fprintf(f, "; ");
    }
    fclose(f);
    snprintf(w->path, sizeof w->path, "%s", path);
    w->calls++;
    return w->result;
}

static const int64_t two_by_two[] = {2, 2}, three[] = {3}, zero_rows[] = {0, 4};

static void create(ValueRecorder *r, Written *w, const char *pattern) {
    static char directory[300];
    snprintf(directory, sizeof directory, "%s/values", test_directory());
    *w = (Written){0};
    ck_assert_ok(values_create(r, &(ValueOptions){.directory = directory,
                                                  .rank = 3,
                                                  .first_step = 2,
                                                  .last_step = 4,
                                                  .pattern = pattern,
                                                  .write = keep,
                                                  .context = w}));
}

START_TEST(a_step_is_written_under_its_keys_to_a_file_of_its_own) {
    ValueRecorder r;
    Written w;
    create(&r, &w, NULL);
    float y[] = {1, 2, 3, 4}, g[] = {5, 6, 7};
    ck_assert_ok(values_add(&r, "step", "fc1", "fc1.y", DTYPE_F32, 2, two_by_two, y));
    y[0] = 99;  // the recorder has its own copy
    ck_assert_ok(values_add(&r, "step", "fc1.backward", "fc1.bias.grad", DTYPE_F32, 1, three, g));
    ck_assert_ok(values_finish_step(&r, 2));
    ck_assert_str_eq(w.text, "step/fc1/fc1.y f32 [2,2] = 1 2 3 4; "
                             "step/fc1.backward/fc1.bias.grad f32 [3] = 5 6 7; ");
    ck_assert_str_eq(strrchr(w.path, '/'), "/rank3.step2.safetensors");
    struct stat s;
    *strrchr(w.path, '/') = '\0';
    ck_assert_int_eq(stat(w.path, &s), 0);  // the directory was made

    ck_assert_ok(values_add(&r, "step", "fc1", "fc1.y", DTYPE_F32, 1, three, g));
    ck_assert_ok(values_finish_step(&r, 3));  // nothing is left of step 2
    ck_assert_str_eq(w.text, "step/fc1/fc1.y f32 [3] = 5 6 7; ");
    values_destroy(&r);
    values_destroy(&r);
}
END_TEST

START_TEST(what_is_written_again_in_a_step_is_numbered) {
    ValueRecorder r;
    Written w;
    create(&r, &w, NULL);
    for (int i = 0; i < 3; i++) {
        float g[] = {(float)i, 0, 0};
        ck_assert_ok(values_add(&r, "step", "b", "g", DTYPE_F32, 1, three, g));
    }
    ck_assert_ok(values_finish_step(&r, 2));
    ck_assert_str_eq(w.text, "step/b/g f32 [3] = 0 0 0; step/b/g#2 f32 [3] = 1 0 0; "
                             "step/b/g#3 f32 [3] = 2 0 0; ");
    values_destroy(&r);
}
END_TEST

START_TEST(a_pattern_chooses_keys) {
    ValueRecorder r;
    Written w;
    create(&r, &w, "step/*.grad");
    const float g[4] = {1};
    ck_assert_ok(values_add(&r, "step", "fc1", "y", DTYPE_F32, 1, three, g));
    ck_assert_ok(values_add(&r, "step", "fc1", "w.grad", DTYPE_F32, 1, three, g));
    ck_assert_ok(values_add(&r, "evaluate", "fc1", "w.grad", DTYPE_F32, 1, three, g));
    ck_assert_ok(values_finish_step(&r, 2));
    ck_assert_str_eq(w.text, "step/fc1/w.grad f32 [3] = 1 0 0; ");
    values_destroy(&r);
}
END_TEST

START_TEST(a_tensor_without_rows_in_use_is_recorded_as_empty) {
    ValueRecorder r;
    Written w;
    create(&r, &w, NULL);
    ck_assert_ok(values_add(&r, "step", "fc1", "y", DTYPE_F32, 2, zero_rows, NULL));
    ck_assert_ok(values_finish_step(&r, 2));
    ck_assert_str_eq(w.text, "step/fc1/y f32 [0,4] =; ");
    values_destroy(&r);
}
END_TEST

START_TEST(steps_outside_the_range_are_not_wanted_and_cost_no_memory) {
    ValueRecorder r, none = {0};
    Written w;
    create(&r, &w, NULL);
    int before = allocations(), wanted = 0;
    for (int step = 0; step < 10; step++) wanted += values_wants(&r, step) << step;
    int after = allocations();
    ck_assert_int_eq(after, before);
    ck_assert_int_eq(wanted, 1 << 2 | 1 << 3 | 1 << 4);
    ck_assert(!values_wants(&none, 0));
    values_destroy(&r);
}
END_TEST

START_TEST(a_step_with_nothing_to_record_leaves_no_file) {
    ValueRecorder r;
    Written w;
    create(&r, &w, "nothing");
    ck_assert_ok(values_add(&r, "step", "fc1", "y", DTYPE_F32, 2, zero_rows, NULL));
    ck_assert_ok(values_finish_step(&r, 2));
    ck_assert_int_eq(w.calls, 0);
    values_destroy(&r);
}
END_TEST

START_TEST(a_failure_of_the_writer_is_passed_on) {
    ValueRecorder r;
    Written w;
    create(&r, &w, NULL);
    w.result = ERR_IO;
    ck_assert_ok(values_add(&r, "step", "fc1", "y", DTYPE_F32, 2, zero_rows, NULL));
    ck_assert_int_eq(values_finish_step(&r, 2), ERR_IO);
    values_destroy(&r);
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_an_error) {
    ValueRecorder r;
    ck_assert_fails(values_create(&r, &(ValueOptions){.directory = "/proc/values"}), ERR_IO,
                    "/proc");
}
END_TEST

START_TEST(step_ranges_are_read_with_both_ends) {
    int first, last;
    ck_assert_ok(values_parse_steps(&first, &last, "3:5"));
    ck_assert(first == 3 && last == 5);
    ck_assert_ok(values_parse_steps(&first, &last, "7"));
    ck_assert(first == 7 && last == 7);
    ck_assert_ok(values_parse_steps(&first, &last, ":5"));
    ck_assert(first == 0 && last == 5);
    ck_assert_ok(values_parse_steps(&first, &last, "5:"));
    ck_assert(first == 5 && last == INT_MAX);
    const char *const bad[] = {"", ":", "x", "1:x", "1:2:3", "-1:2", "1 :2", "99999999999", "1x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_fails(values_parse_steps(&first, &last, bad[i]), ERR_USAGE, "expected A:B");
    ck_assert_fails(values_parse_steps(&first, &last, "5:3"), ERR_USAGE, "swap");
}
END_TEST

static void put(const char *directory, const char *name, const char *bytes, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "w");
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

START_TEST(values_of_earlier_runs_go_and_other_files_stay) {
    static const char header[] = "\x08\0\0\0\0\0\0\0{}      ";
    static const char *const names[] = {"rank0.step2.safetensors",  "rank0.step3.safetensors",
                                        "rank0.step1.safetensors",  "rank1.step2.safetensors",
                                        "rank0.step04.safetensors", "model.safetensors"};
    char directory[128], path[256];
    int removed;
    snprintf(directory, sizeof directory, "%s", test_directory());
    for (int i = 0; i < 6; i++) put(directory, names[i], header, sizeof header - 1);
    put(directory, "rank7.step7.safetensors", "mine, in spite of its name", 26);
    ck_assert_ok(values_remove_stale(&removed, directory, 1, 2, 2));  // rank 0, step 2
    ck_assert_int_eq(removed, 3);
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        ck_assert_msg((access(path, F_OK) == 0) == (i == 0 || i > 3), "%s", names[i]);
    }
    snprintf(path, sizeof path, "%s/rank7.step7.safetensors", directory);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

SUITE("values", a_step_is_written_under_its_keys_to_a_file_of_its_own,
      what_is_written_again_in_a_step_is_numbered, a_pattern_chooses_keys,
      a_tensor_without_rows_in_use_is_recorded_as_empty,
      steps_outside_the_range_are_not_wanted_and_cost_no_memory,
      a_step_with_nothing_to_record_leaves_no_file, a_failure_of_the_writer_is_passed_on,
      a_directory_that_cannot_be_made_is_an_error, step_ranges_are_read_with_both_ends,
      values_of_earlier_runs_go_and_other_files_stay)
