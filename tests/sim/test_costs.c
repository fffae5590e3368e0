// SPDX-License-Identifier: MIT
// What operations cost, from what a machine says: by hand.
#include "sim/costs.h"

#include "core/base/units.h"
#include "core/plan/lower.h"
#include "tests/support/plan_maker.h"

typedef struct {
    Program p;
    Plan *plan;
    Arena arena;
    Costs costs;
} Setup;

static const DeviceTraits plain = {.name = "plain"};

enum { WORK, BUCKET, MORE };  // operations of the plan

// A fold of 1000 f32 and their all-reduce between two ranks; and another fold.
static void setup_plan(Setup *s, bool more) {
    memset(s, 0, sizeof *s);
    s->plan = make_program(&s->p, 2);
    make_tensor(&s->p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(1000), DTYPE_F32);
    make_tensor(&s->p, "h", ROLE_ACTIVATION, PLACEMENT_SUM, SHAPE(1000), DTYPE_F32);
    make_tensor(&s->p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(1000), DTYPE_F32);
    make_op(&s->p, s->plan, (OpSpec){.name = "work", .kind = KIND_FOLD, .flops = 1000}, "g", "w");
    make_op(&s->p, s->plan, (OpSpec){.name = "bucket", .kind = KIND_ALL_REDUCE, .lane = 2}, "g",
            "g");
    if (more) make_op(&s->p, s->plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "h", "w");
    ck_assert_ok(plan_derive_deps(&s->p, s->plan));
    ck_assert_ok(program_lower(&s->p, &plain));
    ck_assert_ok(costs_init(&s->costs, &s->arena, &s->p));
}

static void setup(Setup *s) { setup_plan(s, false); }

static void finish(Setup *s) {
    program_finish(&s->p);
    arena_finish(&s->arena);
}

static const OpCost *cost(const Setup *s, int op) { return &s->costs.ops[0][op]; }

static Measured known(int64_t median) { return (Measured){median, median, median, true}; }

static OperationTime operation(const Setup *s) {
    return (OperationTime){.cost_key = op_work(&s->p, &s->plan->ops[WORK])->cost_key,
                           .solo_ps = known(500),
                           .co_run_ps = known(550),
                           .oversubscribed_ps = known(600)};
}

// 8000 bytes at 4 GB/s are 2 us, 1000 flops at 1 G/s are 1 us; and 3 us for the launch.
START_TEST(without_measurements_the_peaks_of_the_device_count) {
    Setup s;
    setup(&s);
    DeviceModel d = {.flops_per_s = {[DTYPE_F32] = 1000000000},
                     .memory_bytes_per_s = 4000000000,
                     .launch_ps = 3000000,
                     .flops_permille = 1000,
                     .memory_permille = 1000};
    ck_assert_ok(costs_from_roofline(&s.costs, &d));
    ck_assert_int_eq(cost(&s, WORK)->ps, 5000000);
    ck_assert_int_eq(cost(&s, WORK)->source, SOURCE_ROOFLINE);
    ck_assert(!cost(&s, BUCKET)->known);
    costs_slow_down(&s.costs, 2500);
    ck_assert_int_eq(cost(&s, WORK)->ps, 12500000);
    s.costs.ops[0][WORK].known = false;
    d.flops_per_s[DTYPE_F32] = 0;
    ck_assert_fails(costs_from_roofline(&s.costs, &d), ERR_USAGE, "has no rate for work");
    finish(&s);
}
END_TEST

// In the plan's order, an operation after 5 us of the host each; as a graph all after the first 5.
START_TEST(a_host_issues_operation_by_operation_or_a_step_at_once) {
    Setup s;
    setup(&s);
    DeviceModel d = {.issue_ps = 5000000};
    ck_assert_ok(costs_issue(&s.costs, &s.arena, 0, &d));
    for (int i = 0; i < s.plan->op_count; i++)
        ck_assert_int_eq(s.costs.issued_ps[i], 5000000 * (i + 1));
    costs_slow_down(&s.costs, 2500);
    ck_assert_int_eq(s.costs.issued_ps[BUCKET], 12500000 * (BUCKET + 1));
    d.graph = true;
    ck_assert_ok(costs_issue(&s.costs, &s.arena, 0, &d));
    for (int i = 0; i < s.plan->op_count; i++) ck_assert_int_eq(s.costs.issued_ps[i], 5000000);
    finish(&s);
}
END_TEST

// A fold, an all-reduce, a fold; the host takes 5 us for each. Issued from the beginning of a step
// on, folds of 4 and 30 us end at 45, though the device alone needs 34: hosts that go on are 11 us
// ahead. Folds of 1 and 2 us end at 17, and the host needs 15.
START_TEST(a_host_that_goes_on_hides_behind_its_device_or_hides_it) {
    static const struct {
        int64_t first_us, second_us, lead_us;
    } cases[] = {{4, 30, 11}, {30, 4, 5}, {1, 2, 2}, {1, 0, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        Setup s;
        DeviceModel d = {.issue_ps = 5 * PS_PER_US, .ahead = true};
        setup_plan(&s, true);
        s.costs.ops[0][WORK].ps = cases[k].first_us * PS_PER_US;
        s.costs.ops[0][MORE].ps = cases[k].second_us * PS_PER_US;
        ck_assert_ok(costs_issue(&s.costs, &s.arena, 0, &d));
        for (int i = 0; i < 3; i++) {
            int64_t at = (5 * (i + 1) - cases[k].lead_us) * PS_PER_US;
            ck_assert_int_eq(s.costs.issued_ps[i], at > 0 ? at : 0);
        }
        finish(&s);
    }
}
END_TEST

START_TEST(what_was_calibrated_counts_before_the_peaks_and_after_the_record) {
    Setup s;
    setup(&s);
    OperationTime t = operation(&s);
    const Calibration m = {.operations = &t, .operation_count = 1};
    costs_from_calibration(&s.costs, &m);
    ck_assert_int_eq(cost(&s, WORK)->ps, 500);
    ck_assert_int_eq(cost(&s, WORK)->source, SOURCE_CALIBRATED);
    s.costs.ops[0][WORK] = (OpCost){700, SOURCE_REPLAYED, true};
    costs_from_calibration(&s.costs, &m);
    ck_assert_int_eq(cost(&s, WORK)->ps, 700);
    finish(&s);
}
END_TEST

// Half the flops of what was measured as "work+more" in 500 ps; of two sizes the nearer one counts,
// and beside busy cores what that one was slower. What has another name is not known.
START_TEST(an_operation_in_another_size_costs_in_proportion) {
    Setup s;
    setup(&s);
    OperationTime t[] = {operation(&s), operation(&s), operation(&s)};
    const char *const names[] = {"works", "work", "work"};
    const int64_t flops[] = {1000, 8000, 2000};
    for (int i = 0; i < 3; i++) {
        t[i].cost_key++;
        t[i].name = names[i];
        t[i].flops = flops[i];
    }
    t[1].solo_ps = known(900);
    const Calibration m = {.operations = t, .operation_count = 3};
    costs_from_calibration(&s.costs, &m);
    ck_assert(!cost(&s, WORK)->known);
    costs_from_sizes(&s.costs, &m);
    ck_assert_int_eq(cost(&s, WORK)->ps, 250);
    ck_assert_int_eq(cost(&s, WORK)->source, SOURCE_SCALED);
    ck_assert(!cost(&s, BUCKET)->known);
    costs_co_run(&s.costs, &(HostModel){.co_run_permille = 9000}, &m, false);
    ck_assert_int_eq(cost(&s, WORK)->ps, 275);
    finish(&s);
}
END_TEST

START_TEST(names_of_fused_operations_are_like_those_of_their_first) {
    OperationTime t[] = {{.name = "fc2+relu2.forward", .bytes = 100, .solo_ps = known(7)},
                         {.name = "fc2.backward_input", .bytes = 100, .solo_ps = known(8)},
                         {.name = "sgd.fc2.weight", .bytes = 100, .solo_ps = known(9)}};
    const Calibration m = {.operations = t, .operation_count = 3};
    ck_assert_ptr_eq(calibration_find_like(&m, "fc2.forward", 0, 50), &t[0]);
    ck_assert_ptr_eq(calibration_find_like(&m, "fc2+gelu2.forward", 0, 50), &t[0]);
    ck_assert_ptr_eq(calibration_find_like(&m, "fc2.backward_input", 0, 50), &t[1]);
    ck_assert_ptr_eq(calibration_find_like(&m, "sgd.fc2.weight", 0, 50), &t[2]);
    ck_assert_ptr_null(calibration_find_like(&m, "fc2.backward_weight", 0, 50));
    ck_assert_ptr_null(calibration_find_like(&m, "fc20.forward", 0, 50));
    ck_assert_ptr_null(calibration_find_like(&m, "sgd.fc2.bias", 0, 50));
    ck_assert_int_eq(calibration_work_permille(&t[0], 1000, 50), 500);
}
END_TEST

// A recorded 1000 ps become 1100 beside a busy core and 1200 where ranks share one; of an operation
// that was not calibrated 1050 and 1300, by the host's factors.
START_TEST(busy_and_oversubscribed_cores_cost_what_was_measured) {
    for (int calibrated = 0; calibrated < 2; calibrated++)
        for (int oversubscribed = 0; oversubscribed < 2; oversubscribed++) {
            Setup s;
            setup(&s);
            OperationTime t = operation(&s);
            const Calibration m = {.operations = &t, .operation_count = 1};
            const HostModel h = {.co_run_permille = 1050, .oversubscribed_permille = 1300};
            s.costs.ops[0][WORK] = (OpCost){1000, SOURCE_REPLAYED, true};
            s.costs.ops[0][BUCKET] = (OpCost){1000, SOURCE_REPLAYED, true};
            costs_co_run(&s.costs, &h, calibrated ? &m : NULL, oversubscribed);
            const int64_t want[2][2] = {{1050, 1300}, {1100, 1200}};
            ck_assert_int_eq(cost(&s, WORK)->ps, want[calibrated][oversubscribed]);
            ck_assert_int_eq(cost(&s, BUCKET)->ps, 1000);
            finish(&s);
        }
}
END_TEST

// 4000 bytes, of which a rank adds up 2000: it reads them twice and writes them twice, 8000 in all.
// At 3 GB/s, half way between the rates for 1000 and 3000 bytes, that is 2,666,667 ps.
START_TEST(a_share_of_an_all_reduce_has_the_rate_of_its_size) {
    Setup s;
    setup(&s);
    MemoryRate rates[] = {{.bytes = 1000, .peer = known(2000000000)},
                          {.bytes = 3000, .peer = known(4000000000)}};
    const Calibration m = {.reduce = rates, .reduce_count = 2, .collective_ps = known(900)};
    const HostModel h = {.fold_bytes_per_s = 8000000000, .dispatch_ps = 50, .turn_ps = 60};
    costs_from_host(&s.costs, &h, &m);
    ck_assert_int_eq(cost(&s, BUCKET)->ps, 900 + 2666667);
    ck_assert_int_eq(s.costs.dispatch_ps, 50);
    ck_assert_int_eq(s.costs.turn_ps, 60);
    s.costs.ops[0][BUCKET].known = false;
    costs_from_host(&s.costs, &h, NULL);
    ck_assert_int_eq(cost(&s, BUCKET)->ps, 50 + 1000000);
    s.costs.ops[0][BUCKET].known = false;
    s.p.works[s.plan->ops[BUCKET].work].payload_bytes = INT64_C(1) << 57;
    costs_from_host(&s.costs, &(HostModel){.fold_bytes_per_s = 1, .dispatch_ps = 50}, NULL);
    ck_assert_int_eq(cost(&s, BUCKET)->ps, INT64_MAX);
    finish(&s);
}
END_TEST

SUITE("costs", without_measurements_the_peaks_of_the_device_count,
      a_host_issues_operation_by_operation_or_a_step_at_once,
      a_host_that_goes_on_hides_behind_its_device_or_hides_it,
      what_was_calibrated_counts_before_the_peaks_and_after_the_record,
      an_operation_in_another_size_costs_in_proportion,
      names_of_fused_operations_are_like_those_of_their_first,
      busy_and_oversubscribed_cores_cost_what_was_measured,
      a_share_of_an_all_reduce_has_the_rate_of_its_size)
