// SPDX-License-Identifier: MIT
#include "sim/compare.h"

#include <math.h>
#include <string.h>

#include "tests/support/testing.h"

static Report report(const char *kind, double step_ms) {
    return (Report){.run = {.kind = kind,
                            .model = "net",
                            .device = "cpu",
                            .dtype = "f32",
                            .ranks = 2,
                            .batch = 128},
                    .step_ms = {step_ms, step_ms, step_ms, step_ms}};
}

static OperationTimes operation(const char *name, int micro_batch, double ms) {
    return (OperationTimes){.name = name,
                            .kind = "linear",
                            .phase = "forward",
                            .lane = "compute",
                            .micro_batch = micro_batch,
                            .ranks = 2,
                            .executions = 1,
                            .duration_ms = {ms, ms, ms, ms}};
}

// Measured: mean 10.5 (8 compute + 2.5 exposed), median 10. Simulated: 9 (8.5 + 0.5). The
// difference of the medians, -1, is what the breakdowns differ, +0.5 and -2, and the noise of 0.5.
START_TEST(the_difference_is_explained_without_a_rest) {
    Arena a = {0};
    Comparison c;
    Report measured = report("train", 10), simulated = report("sim", 9);
    measured.step_ms.mean = 10.5;
    measured.breakdown_ms[TIME_COMPUTE] = 8;
    measured.breakdown_ms[TIME_EXPOSED_COMM] = 2.5;
    simulated.breakdown_ms[TIME_COMPUTE] = 8.5;
    simulated.breakdown_ms[TIME_EXPOSED_COMM] = 0.5;
    ck_assert_ok(compare_reports(&c, &a, &measured, &simulated));
    ck_assert_close(c.error, -0.1, 1e-12);
    ck_assert_close(c.difference_ms, -1, 1e-12);
    ck_assert_close(c.noise_ms, 0.5, 1e-12);
    double sum = 0;
    for (int b = 0; b < TIME_COUNT; b++)
        sum += c.breakdown[b].simulated_ms - c.breakdown[b].measured_ms;
    ck_assert_close(sum + c.noise_ms, c.difference_ms, 1e-12);
    arena_finish(&a);
}
END_TEST

START_TEST(operations_meet_by_name_and_part_the_furthest_first) {
    Arena a = {0};
    Comparison c;
    Report measured = report("train", 10), simulated = report("sim", 10);
    const OperationTimes m[] = {operation("a", 0, 1), operation("a", 1, 2),
                                operation("only", 0, 3)};
    const OperationTimes s[] = {operation("a", 1, 2.5), operation("a", 0, 1.1),
                                operation("other", 0, 0.2)};
    measured.operations = m;
    simulated.operations = s;
    measured.operation_count = simulated.operation_count = 3;
    ck_assert_ok(compare_reports(&c, &a, &measured, &simulated));
    ck_assert_int_eq(c.operation_count, 4);
    ck_assert_str_eq(c.operations[0].name, "only");
    ck_assert(isnan(c.operations[0].simulated_ms));
    ck_assert_int_eq(c.operations[1].micro_batch, 1);
    ck_assert_close(c.operations[1].simulated_ms, 2.5, 0);
    ck_assert_str_eq(c.operations[2].name, "other");
    ck_assert(isnan(c.operations[2].measured_ms));
    ck_assert_close(c.operations[3].measured_ms, 1, 0);
    ck_assert_int_eq(c.phase_count, 1);
    ck_assert_close(c.phases[0].measured_ms, 6, 1e-12);
    arena_finish(&a);
}
END_TEST

START_TEST(reports_of_other_jobs_are_refused) {
    Arena a = {0};
    Comparison c;
    Report measured = report("train", 10), simulated = report("sim", 10);
    measured.run.kind = "sim";
    ck_assert_fails(compare_reports(&c, &a, &measured, &simulated), ERR_USAGE, "of kind \"sim\"");
    measured.run.kind = "train";
    measured.run.model = "mlp";
    ck_assert_fails(compare_reports(&c, &a, &measured, &simulated), ERR_USAGE, "of model mlp");
    measured.run.model = "net";
    measured.run.batch = 64;
    ck_assert_fails(compare_reports(&c, &a, &measured, &simulated), ERR_USAGE,
                    "give --ranks 2 --batch 64");
    arena_finish(&a);
}
END_TEST

START_TEST(devices_are_compared_and_advice_is_worded_by_the_option_given) {
    Arena a = {0};
    Comparison c;
    Report measured = report("train", 10), simulated = report("sim", 10);
    simulated.run.device = "timed:dgx-a100";
    ck_assert_fails(compare_reports(&c, &a, &measured, &simulated), ERR_USAGE,
                    "of device cpu, simulated is timed:dgx-a100; give --ranks 2");
    measured.run.device = "timed:laptop";
    ck_assert_fails(compare_reports(&c, &a, &measured, &simulated), ERR_USAGE,
                    "give --gpus 2 --platform laptop");
    simulated.run.device = "timed:machines/laptop";  // a file is known by its name
    ck_assert_ok(compare_reports(&c, &a, &measured, &simulated));
    measured.run.batch = 65;
    ck_assert_fails(compare_reports(&c, &a, &measured, &simulated), ERR_USAGE,
                    "give --gpus 2 --batch 65");
    simulated.run.device = "reference";
    measured.run.device = "cpu";
    ck_assert_fails(compare_reports(&c, &a, &measured, &simulated), ERR_USAGE, "same device");
    arena_finish(&a);
}
END_TEST

START_TEST(settings_that_differ_are_told) {
    Arena a = {0};
    Comparison c;
    Report measured = report("train", 10), simulated = report("sim", 10);
    static const RunSetting m[] = {{"dp", "2"}, {"all_reduce", "ring"}, {"link", "1GB/s,5us"}},
                            s[] = {{"dp", "2"}, {"all_reduce", "direct"}, {"plan", "p"}};
    measured.run.strategy = m;
    simulated.run.strategy = s;
    measured.run.strategy_count = simulated.run.strategy_count = 3;
    measured.run.shards = 4;
    simulated.run.shards = 2;
    ck_assert_ok(compare_reports(&c, &a, &measured, &simulated));
    ck_assert_str_eq(c.settings,
                     "all_reduce ring instead of direct, link 1GB/s,5us instead of none, "
                     "plan none instead of p, 4 shards instead of 2");
    ck_assert_str_eq(c.disturbances, "");
    arena_finish(&a);
}
END_TEST

// A measured run varies by itself, and has no such setting.
START_TEST(what_only_a_simulation_is_asked_for_is_no_setting_of_the_run) {
    Arena a = {0};
    Comparison c;
    Report measured = report("train", 10), simulated = report("sim", 10);
    static const RunSetting m[] = {{"dp", "2"}},
                            s[] = {{"dp", "2"}, {"straggler", "1=2"}, {"jitter", "recorded"}};
    measured.run.strategy = m;
    measured.run.strategy_count = 1;
    simulated.run.strategy = s;
    simulated.run.strategy_count = 3;
    ck_assert_ok(compare_reports(&c, &a, &measured, &simulated));
    ck_assert_str_eq(c.settings, "");
    ck_assert_str_eq(c.disturbances, "straggler 1=2, jitter recorded");
    arena_finish(&a);
}
END_TEST

SUITE("compare", the_difference_is_explained_without_a_rest,
      operations_meet_by_name_and_part_the_furthest_first, reports_of_other_jobs_are_refused,
      devices_are_compared_and_advice_is_worded_by_the_option_given, settings_that_differ_are_told,
      what_only_a_simulation_is_asked_for_is_no_setting_of_the_run)
