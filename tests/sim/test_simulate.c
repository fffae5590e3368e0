// SPDX-License-Identifier: MIT
#include "tests/support/simulate_case.h"

#include <stdio.h>
#include <string.h>

static void setup(Setup *s, int ranks, int cores) {
    memset(s, 0, sizeof *s);
    s->ranks = ranks;
    s->plan = make_program(&s->p, ranks);
    s->host = (HostModel){
        .cores = cores, .spin_ps = 1000, .poll_ps = 10, .wake_ps = 500, .wake_same_core_ps = 50};
    make_tensor(&s->p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
    make_tensor(&s->p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
}

static Status simulate(Setup *s) {
    const SimulateOptions o = {.costs = s->cost_of, .ranks = s->ranks};
    return simulate_host(s->line_of, &o, &s->host);
}

START_TEST(operations_of_one_rank_follow_each_other) {
    Setup s;
    setup(&s, 1, 1);
    for (int i = 0; i < 3; i++)
        make_op(&s.p, s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD, .micro_batch = i}, "g",
                "w");
    prepare(&s);
    for (int i = 0; i < 3; i++) cost(&s, 0, i, 100 * (i + 1));
    s.costs[0].dispatch_ps = 7;
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(end_of(&s, 0), 600 + 3 * 7);
    ck_assert_int_eq(s.lines[0].spans[1].start_ps, 100 + 2 * 7);  // dispatching is outside of spans
    ck_assert_int_eq(s.lines[0].spans[1].end_ps, 300 + 2 * 7);
    finish(&s);
}
END_TEST

// Each needs 600 ps of CPU. Ranks 0 and 2 share core 0 and are through at 1200; rank 1 has core 1.
START_TEST(three_ranks_share_two_cores) {
    Setup s;
    setup(&s, 3, 2);
    make_op(&s.p, s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
    prepare(&s);
    for (int r = 0; r < 3; r++) cost(&s, r, 0, 600);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(end_of(&s, 0), 1200);
    ck_assert_int_eq(end_of(&s, 1), 600);
    ck_assert_int_eq(end_of(&s, 2), 1200);
    finish(&s);
}
END_TEST

// On one core: 100 and 300 ps of CPU. Both at half speed until 200, when the first is through; the
// other has 200 left and ends at 400.
START_TEST(who_ends_leaves_its_share_to_the_others) {
    Setup s;
    setup(&s, 2, 1);
    make_op(&s.p, s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
    prepare(&s);
    cost(&s, 0, 0, 100);
    cost(&s, 1, 0, 300);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(end_of(&s, 0), 200);
    ck_assert_int_eq(end_of(&s, 1), 400);
    finish(&s);
}
END_TEST

static void make_reduced(Setup *s) {
    make_op(&s->p, s->plan, (OpSpec){.name = "work", .kind = KIND_FOLD, .phase = PHASE_BACKWARD},
            "g", "w");
    make_op(&s->p, s->plan, (OpSpec){.name = "bucket", .kind = KIND_ALL_REDUCE, .lane = 2}, "g",
            "g");
}

// Rank 0 has its gradient at 100 and waits; rank 1 at 400, which rank 0, spinning, sees 10 later.
// Shares take 30: rank 1 from 400 to 430, rank 0 from 410 to 440; rank 1 sees that at 450.
START_TEST(an_all_reduce_waits_for_its_last_member) {
    Setup s;
    setup(&s, 2, 2);
    make_reduced(&s);
    prepare(&s);
    for (int r = 0; r < 2; r++) cost(&s, r, 0, r ? 400 : 100), cost(&s, r, 1, 30);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(end_of(&s, 0), 440);
    ck_assert_int_eq(end_of(&s, 1), 450);
    const Span *span = &s.lines[0].spans[1];
    ck_assert_int_eq(span->start_ps, 100);
    ck_assert_int_eq(span->end_ps, 440);
    finish(&s);
}
END_TEST

// The same with 2000 ps of work: rank 0 has spun for 1000 and sleeps; waking it takes 500.
START_TEST(a_rank_that_waits_long_has_to_be_woken) {
    Setup s;
    setup(&s, 2, 2);
    make_reduced(&s);
    prepare(&s);
    for (int r = 0; r < 2; r++) cost(&s, r, 0, r ? 2000 : 100), cost(&s, r, 1, 30);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(end_of(&s, 0), 2000 + 500 + 30);
    ck_assert_int_eq(end_of(&s, 1), 2000 + 500 + 30 + 10);  // it spins since 2030
    finish(&s);
}
END_TEST

// While rank 0 computes (500) it cannot serve the communication that rank 1 (100) waits for.
START_TEST(communication_moves_on_between_operations_only) {
    Setup s;
    setup(&s, 2, 2);
    make_reduced(&s);
    make_tensor(&s.p, "h", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_op(&s.p, s.plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "h", "w");
    prepare(&s);
    for (int r = 0; r < 2; r++)
        cost(&s, r, 0, r ? 120 : 100), cost(&s, r, 1, 30), cost(&s, r, 2, 500);
    ck_assert_ok(simulate(&s));
    // Rank 0 computes until 600, then does its share: 630. Rank 1 comes at 120, does its share at
    // once (150), computes until 650 and finds everything done.
    ck_assert_int_eq(end_of(&s, 0), 630);
    ck_assert_int_eq(end_of(&s, 1), 650);
    finish(&s);
}
END_TEST

// The second waits on a lane before that of the first. Rank 1 comes last to the first: its share is
// done at 30, that of rank 0, which sees it 10 later, at 40. Rank 1 sees that at 50 and comes to
// the second, where the same begins anew.
START_TEST(a_communication_that_ends_lets_one_on_a_lane_before_begin) {
    Setup s;
    setup(&s, 2, 2);
    int group = s.p.lanes[2].group;
    ck_assert_ok(program_add_lane(&s.p, "more", LANE_COMMUNICATION, group, NULL));
    make_tensor(&s.p, "k", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
    make_op(&s.p, s.plan, (OpSpec){.name = "a", .kind = KIND_ALL_REDUCE, .lane = 3}, "g", "g");
    make_op(&s.p, s.plan, (OpSpec){.name = "b", .kind = KIND_ALL_REDUCE, .lane = 2}, "k", "k");
    ck_assert_ok(plan_add_dep(s.plan, 1, 0, DEP_ORDER, 0));
    prepare(&s);
    for (int r = 0; r < 2; r++) cost(&s, r, 0, 30), cost(&s, r, 1, 30);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(end_of(&s, 0), 90);
    ck_assert_int_eq(end_of(&s, 1), 100);
    finish(&s);
}
END_TEST

// 25 ps before anything, also before a communication that nothing precedes.
START_TEST(a_step_begins_with_the_ranks_own_time) {
    Setup s;
    setup(&s, 2, 2);
    make_op(&s.p, s.plan, (OpSpec){.name = "gather", .kind = KIND_ALL_REDUCE, .lane = 2}, "g", "g");
    prepare(&s);
    for (int r = 0; r < 2; r++) {
        cost(&s, r, 0, 30);
        s.costs[r].turn_ps = 25;
    }
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(s.lines[0].spans[0].start_ps, 25);
    ck_assert_int_ge(end_of(&s, 0), 25 + 30);
    finish(&s);
}
END_TEST

START_TEST(an_unknown_cost_is_named) {
    Setup s;
    setup(&s, 1, 1);
    make_op(&s.p, s.plan, (OpSpec){.name = "mystery", .kind = KIND_FOLD}, "g", "w");
    prepare(&s);
    ck_assert_fails(simulate(&s), ERR_FAILED, "the cost of mystery in plan step");
    finish(&s);
}
END_TEST

START_TEST(a_deadlock_names_who_waits_where) {
    Setup s;
    setup(&s, 1, 1);
    make_op(&s.p, s.plan, (OpSpec){.name = "first", .kind = KIND_FOLD}, "g", "w");
    make_op(&s.p, s.plan, (OpSpec){.name = "second", .kind = KIND_FOLD}, "w", "g");
    prepare(&s);
    for (int i = 0; i < 2; i++) cost(&s, 0, i, 10);
    ck_assert_ok(plan_add_dep(s.plan, 0, 1, DEP_ORDER, 0));
    ck_assert_fails(simulate(&s), ERR_FAILED, "deadlock: rank 0 cannot begin first before second");
    finish(&s);
}
END_TEST

START_TEST(time_that_does_not_end_is_refused) {
    Setup s;
    setup(&s, 1, 1);
    for (int i = 0; i < 2; i++)
        make_op(&s.p, s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD, .micro_batch = i}, "g",
                "w");
    prepare(&s);
    for (int i = 0; i < 2; i++) cost(&s, 0, i, INT64_MAX);
    s.costs[0].dispatch_ps = 7;
    ck_assert_fails(simulate(&s), ERR_FAILED, "106 days");
    finish(&s);
}
END_TEST

SUITE("simulate", operations_of_one_rank_follow_each_other, three_ranks_share_two_cores,
      who_ends_leaves_its_share_to_the_others, an_all_reduce_waits_for_its_last_member,
      a_rank_that_waits_long_has_to_be_woken, communication_moves_on_between_operations_only,
      a_communication_that_ends_lets_one_on_a_lane_before_begin,
      a_step_begins_with_the_ranks_own_time, an_unknown_cost_is_named,
      a_deadlock_names_who_waits_where, time_that_does_not_end_is_refused)
