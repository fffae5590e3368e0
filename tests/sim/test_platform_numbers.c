// SPDX-License-Identifier: MIT
// Each number of a platform changes alone, by what is asked; and what a prediction makes of the
// same programs for another platform is what it makes of its own.
#include "sim/platform_numbers.h"
#include "sim/predict.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;

static const char *const machines[] = {"dgx-a100",         "dgx-h100",    "dgx-v100",
                                       "ethernet-cluster", "gb200-nvl72", "pcie-8"};
static const LinkModel no_link, link_given = {100000000, 50000000};

static void check_alone(const char *name, const LinkModel *given, int permille) {
    Machine m, changed;
    PlatformNumber before[PLATFORM_NUMBERS], after[PLATFORM_NUMBERS];
    ck_assert_ok(machine_read(&m, &arena, name));
    int count = platform_numbers_list(before, &m, given, DTYPE_BF16);
    ck_assert_int_ge(count, 6);
    for (int i = 0; i < count; i++) {
        LinkModel link = *given;
        changed = m;
        platform_number_scale(&changed, &link, before[i].id, permille);
        ck_assert_int_eq(platform_numbers_list(after, &changed, &link, DTYPE_BF16), count);
        for (int k = 0; k < count; k++) {
            double want = (double)before[k].value * (k == i ? permille / 1000.0 : 1);
            // A slowdown is in thousandths, which are 1,000 of its units.
            double least = !strncmp(before[k].name, "slowed", 6) && k == i ? 500 : 0.5;
            ck_assert_str_eq(after[k].name, before[k].name);
            ck_assert_close(after[k].value, want, least + 1e-9 * want);
        }
    }
}

START_TEST(each_number_changes_alone) {
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        check_alone(machines[i], &no_link, 900);
        check_alone(machines[i], &no_link, 1100);
        check_alone(machines[i], &link_given, 1100);
    }
    arena_finish(&arena);
}
END_TEST

static const PlatformNumber *find(const PlatformNumber *list, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(list[i].name, name)) return &list[i];
    return NULL;
}

// machines/dgx-a100.yaml has these.
START_TEST(a_number_is_printed_as_a_machine_file_has_it) {
    Machine m;
    char text[UNITS_TEXT];
    PlatformNumber list[PLATFORM_NUMBERS];
    ck_assert_ok(machine_read(&m, &arena, "dgx-a100"));
    int count = platform_numbers_list(list, &m, &no_link, DTYPE_BF16);
    ck_assert_str_eq(platform_number_print(text, find(list, count, "flops")), "312T/s");
    ck_assert_str_eq(platform_number_print(text, find(list, count, "issue of a launch")), "5us");
    ck_assert_str_eq(platform_number_print(text, find(list, count, "link bandwidth")), "300GB/s");
    ck_assert_str_eq(platform_number_print(text, find(list, count, "slowed: products")), "x1.18");
    ck_assert_ptr_null(find(list, count, "slowed: other work"));  // is not slowed
    ck_assert_ptr_null(find(list, count, "--link bandwidth"));
    count = platform_numbers_list(list, &m, &link_given, DTYPE_F32);
    ck_assert_str_eq(platform_number_print(text, find(list, count, "flops")), "19.5T/s");
    ck_assert_str_eq(platform_number_print(text, find(list, count, "--link latency")), "50us");
    ck_assert_ptr_null(find(list, count, "rail bandwidth"));
    arena_finish(&arena);
}
END_TEST

START_TEST(programs_that_are_made_before_give_the_same_prediction) {
    Machine m;
    Prediction own, shared;
    ProgramSet set = {0};
    SimJob job = {.spec = job_spec_default()};
    job.spec.device = "timed:dgx-a100";
    job.spec.ranks = 4;
    job.spec.mesh.pipe = 2;
    job.spec.micro_batches = 4;
    ck_assert_ok(machine_read(&m, &arena, "dgx-a100"));
    platform_number_scale(&m, &(LinkModel){0}, 0, 900);
    SimSetting setting = {.machine = &m, .devices = true};
    ck_assert_ok(predict_job(&own, &arena, &job, &setting));
    ck_assert_ok(sim_job_step(&set, &arena, &job));
    setting.programs = &set;
    for (int twice = 0; twice < 2; twice++) {
        ck_assert_ok(predict_job(&shared, &arena, &job, &setting));
        ck_assert_double_eq(shared.step_ms, own.step_ms);
        ck_assert(shared.inputs == own.inputs && own.inputs);
        ck_assert_int_eq(shared.memory_bytes, own.memory_bytes);
    }
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

SUITE("platform_numbers", each_number_changes_alone, a_number_is_printed_as_a_machine_file_has_it,
      programs_that_are_made_before_give_the_same_prediction)
