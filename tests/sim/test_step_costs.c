// SPDX-License-Identifier: MIT
// A step's own costs, by hand and from simulated runs, whose costs are known.
#include "sim/step_costs.h"

#include "core/base/rng.h"
#include "sim/predict.h"
#include "sim/step_delays.h"
#include "tests/support/simulate_case.h"

enum { NS = 1000, STEPS = 40, MOST_OPS = 8 };
enum { WORK, BUCKET, MORE, USE };  // operations of the plan

// A gradient, its all-reduce, a work beside it, and one that needs the sum.
static void setup(Setup *s, int ranks) {
    memset(s, 0, sizeof *s);
    s->ranks = ranks;
    s->plan = make_program(&s->p, ranks);
    s->host = (HostModel){.cores = ranks, .spin_ps = INT64_MAX, .poll_ps = 7 * NS};
    make_tensor(&s->p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
    make_tensor(&s->p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&s->p, "h", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_op(&s->p, s->plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
    make_op(&s->p, s->plan, (OpSpec){.name = "bucket", .kind = KIND_ALL_REDUCE, .lane = 2}, "g",
            "g");
    make_op(&s->p, s->plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "h", "w");
    make_op(&s->p, s->plan, (OpSpec){.name = "use", .kind = KIND_FOLD}, "w", "g");
    prepare(s);
    for (int r = 0; r < ranks; r++) timeline_destroy(&s->lines[r]);
    for (int r = 0; r < ranks; r++)
        ck_assert_ok(timeline_create(&s->lines[r], r, STEPS, STEPS * MOST_OPS));
}

static void span(Timeline *t, int op, int64_t start_ns, int64_t end_ns, int64_t wait_ns,
                 int64_t cpu_ns) {
    timeline_add_span(t, &(Span){.start_ps = start_ns * NS,
                                 .end_ps = end_ns * NS,
                                 .op = op,
                                 .lane = op == BUCKET ? 2 : 0,
                                 .wait_ns = wait_ns,
                                 .cpu_ns = cpu_ns});
}

// Work from 10 to 110. The bucket is in flight from 112 on, the other rank comes at 122; before
// more begins at 175, the rank did its share of 50 and was busy with the executor for 15. The
// bucket ends at 290, and use begins 4 later. Behind it the step takes 6 more.
START_TEST(time_between_operations_is_the_executors_but_for_shares) {
    Setup s;
    setup(&s, 2);
    Timeline *t = &s.lines[0];
    timeline_begin_step(t, 0, 0, 0);
    span(t, WORK, 10, 110, 0, 90);
    span(t, MORE, 175, 275, 0, 200);
    span(t, BUCKET, 112, 290, 10, 50);
    span(t, USE, 294, 300, 0, 6);
    timeline_end_step(t, 306 * NS);
    StepCosts c;
    ck_assert_ok(step_costs_read(&c, &s.arena, &s.p, 0, t, &(int){0}, 1));
    ck_assert_int_eq(c.ps[WORK], 100 * NS);
    ck_assert_int_eq(c.busy_ps[WORK], 90 * NS);
    ck_assert_int_eq(c.busy_ps[MORE], 100 * NS);  // no more than it took
    ck_assert_int_eq(c.ps[BUCKET], 50 * NS);
    ck_assert_int_eq(c.gap_ps[WORK], 0);
    ck_assert_int_eq(c.gap_ps[MORE], (175 - 110 - 50) * NS);
    ck_assert_int_eq(c.gap_ps[USE], 4 * NS);
    ck_assert_int_eq(c.turn_ps[0], (10 + 6) * NS);
    finish(&s);
}
END_TEST

// The rank comes last: its share follows at once, and what is before it is the executor's. In the 3
// before more the share, of 20, cannot have been done.
START_TEST(a_rank_that_comes_last_begins_with_its_share) {
    Setup s;
    setup(&s, 2);
    Timeline *t = &s.lines[0];
    timeline_begin_step(t, 0, 0, 0);
    span(t, WORK, 0, 100, 0, 100);
    span(t, MORE, 108, 130, 0, 22);
    span(t, BUCKET, 105, 160, 0, 20);
    span(t, USE, 160, 200, 0, 40);
    timeline_end_step(t, 200 * NS);
    StepCosts c;
    ck_assert_ok(step_costs_read(&c, &s.arena, &s.p, 0, t, &(int){0}, 1));
    ck_assert_int_eq(c.gap_ps[BUCKET], 5 * NS);
    ck_assert_int_eq(c.gap_ps[MORE], 3 * NS);
    ck_assert_int_eq(c.gap_ps[USE], 0);
    ck_assert_int_eq(c.turn_ps[0], 0);
    finish(&s);
}
END_TEST

// Random costs, of every step by itself. What is before the first operation counts as the turn.
static void draw(Setup *s, StepCosts *c, Rng *rng) {
    int ops = s->plan->op_count;
    int64_t *ps = ARENA_NEW(&s->arena, int64_t, STEPS * ops);
    int64_t *gap_ps = ARENA_NEW(&s->arena, int64_t, STEPS * ops);
    int64_t *turn_ps = ARENA_NEW(&s->arena, int64_t, STEPS);
    for (int i = 0; i < STEPS * ops; i++) {
        ps[i] = (int64_t)(1 + rng_below(rng, 900)) * NS;
        gap_ps[i] = i % ops == BUCKET || i % ops == WORK ? 0 : (int64_t)rng_below(rng, 20) * NS;
    }
    for (int i = 0; i < STEPS; i++) turn_ps[i] = (int64_t)rng_below(rng, 50) * NS;
    *c = (StepCosts){
        .count = STEPS, .ops = ops, .ps = ps, .busy_ps = ps, .gap_ps = gap_ps, .turn_ps = turn_ps};
}

static void simulate(Setup *s) {
    const SimulateOptions o = {.costs = s->cost_of, .ranks = s->ranks, .steps = STEPS};
    for (int r = 0; r < s->ranks; r++) {
        s->lines[r].step_count = s->lines[r].span_count = 0;
        for (int i = 0; i < s->plan->op_count; i++) cost(s, r, i, 1);
    }
    ck_assert_ok(simulate_host(s->line_of, &o, &s->host));
}

// What the timelines of a simulated run say is what it was simulated with; simulated again it gives
// the same run.
START_TEST(a_simulated_run_is_read_and_replayed_exactly) {
    static StepRecord first[RANKS_MOST][STEPS];
    for (int ranks = 1; ranks <= 4; ranks++) {
        Setup s;
        setup(&s, ranks);
        Rng rng;
        rng_init(&rng, 7, RNG_TEST, (uint32_t)ranks, 0);
        for (int r = 0; r < ranks; r++) draw(&s, &s.costs[r].steps, &rng);
        simulate(&s);
        int rows[STEPS];
        for (int i = 0; i < STEPS; i++) rows[i] = i;
        for (int r = 0; r < ranks; r++) {
            StepCosts drawn = s.costs[r].steps, *read = &s.costs[r].steps;
            memcpy(first[r], s.lines[r].steps, sizeof first[r]);
            ck_assert_ok(step_costs_read(read, &s.arena, &s.p, 0, &s.lines[r], rows, STEPS));
            for (int i = 0; i < STEPS * drawn.ops; i++) {
                ck_assert_int_eq(read->ps[i], drawn.ps[i]);
                ck_assert_msg(read->gap_ps[i] == drawn.gap_ps[i],
                              "%d ranks, rank %d, operation %d of step %d: %lld instead of %lld ps",
                              ranks, r, i % drawn.ops, i / drawn.ops, (long long)read->gap_ps[i],
                              (long long)drawn.gap_ps[i]);
            }
            for (int i = 0; i < STEPS; i++) ck_assert_int_eq(read->turn_ps[i], drawn.turn_ps[i]);
        }
        simulate(&s);
        for (int r = 0; r < ranks; r++)
            for (int i = 0; i < STEPS; i++)
                ck_assert_int_eq(s.lines[r].steps[i].end_ps, first[r][i].end_ps);
        finish(&s);
    }
}
END_TEST

static void read_delays(Costs *costs, Arena *a, const Trace traces[2], int64_t poll_ns) {
    static const int row = 0;
    for (int r = 0; r < 2; r++)
        ck_assert_ok(
            step_costs_read(&costs[r].steps, a, costs[r].program, 0, &traces[r].timeline, &row, 1));
    const StepDelays d = {
        .traces = traces, .costs = costs, .ranks = 2, .rows = &row, .poll_ps = poll_ns * NS};
    ck_assert_ok(step_delays_read(&d, a));
}

// Rank 1 comes last, at 200, does its share at once and more behind it. Rank 0, which waits, does
// its share from 270 to 300: it was late by 70, of which 7 are seen in every run. Then all is done;
// rank 1 has had nothing to do since 250, but sees it at 340. Rank 1's clock began 5 later.
static void find_late(Kind kind) {
    Setup s;
    setup(&s, 2);
    Work *bucket = &s.p.works[s.plan->ops[BUCKET].work];
    bucket->kind = kind;
    if (kind == KIND_REDUCE) bucket->peer = 0;
    for (int r = 0; r < 2; r++) timeline_begin_step(&s.lines[r], 0, 0, 0);
    span(&s.lines[0], WORK, 0, 100, 0, 100);
    span(&s.lines[0], BUCKET, 100, 300, 100, 30);
    span(&s.lines[0], MORE, 300, 310, 0, 10);
    span(&s.lines[0], USE, 310, 320, 0, 10);
    span(&s.lines[1], WORK, 0, 195, 0, 195);
    span(&s.lines[1], MORE, 225, 245, 0, 20);
    span(&s.lines[1], BUCKET, 195, 335, 0, 30);
    span(&s.lines[1], USE, 335, 345, 0, 10);
    for (int r = 0; r < 2; r++) timeline_end_step(&s.lines[r], 345 * NS);
    Trace traces[2] = {{.timeline = s.lines[0], .origin_ns = 1000},
                       {.timeline = s.lines[1], .origin_ns = 1005}};
    read_delays(s.costs, &s.arena, traces, 7);
    ck_assert_int_eq(s.costs[0].steps.gap_ps[BUCKET], (270 - 200 - 7) * NS);
    ck_assert_int_eq(s.costs[0].steps.notice_ps[BUCKET], 0);
    ck_assert_int_eq(s.costs[1].steps.gap_ps[BUCKET], 0);
    ck_assert_int_eq(s.costs[1].steps.notice_ps[BUCKET], (340 - 300 - 7) * NS);
    traces[1].origin_ns = INT64_MAX;  // another machine's
    read_delays(s.costs, &s.arena, traces, 7);
    ck_assert_int_eq(s.costs[0].steps.gap_ps[BUCKET], 0);
    finish(&s);
}

START_TEST(threads_that_go_on_late_are_found) { find_late(KIND_ALL_REDUCE); }
END_TEST

// Rank 0 is the root of a reduction: it adds, and rank 1 has no share.
START_TEST(so_is_one_without_a_share_of_a_collective) { find_late(KIND_REDUCE); }
END_TEST

// The message is there at 110, when the sender's share of it is done; the receiver takes it from
// 130 to 150, and the sender sees that at 180.
START_TEST(the_ends_of_a_message_are_late_for_each_other) {
    Program stages[2] = {0};
    Costs costs[2];
    Timeline lines[2];
    Arena arena = {0};
    const int64_t tag = 0;
    for (int r = 0; r < 2; r++) {
        Program *p = &stages[r];
        int group;
        ck_assert_ok(program_add_axis(p, "pipe", 2, NULL));
        ck_assert_ok(program_add_group(p, "pipe", 1, &group));
        ck_assert_ok(program_add_lane(p, "next", LANE_COMMUNICATION, group, NULL));
        ck_assert_ok(program_add_plan(p, "step", NULL));
        make_tensor(p, "x", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        make_op(p, &p->plans[0],
                (OpSpec){.name = "message",
                         .kind = r ? KIND_RECEIVE : KIND_SEND,
                         .peer = r ? -1 : 1,
                         .attrs = &tag},
                r ? "x" : "", r ? "" : "x");
        ck_assert_ok(costs_init(&costs[r], &arena, p));
        ck_assert_ok(timeline_create(&lines[r], r, 1, 1));
        timeline_begin_step(&lines[r], 0, 0, 0);
        timeline_add_span(&lines[r], &(Span){.start_ps = (r ? 0 : 100) * NS,
                                             .end_ps = (r ? 150 : 180) * NS,
                                             .wait_ns = r ? 100 : 0,
                                             .cpu_ns = r ? 20 : 10});
        timeline_end_step(&lines[r], 200 * NS);
    }
    read_delays(costs, &arena, (const Trace[]){{.timeline = lines[0]}, {.timeline = lines[1]}}, 7);
    ck_assert_int_eq(costs[1].steps.gap_ps[0], (130 - 110 - 7) * NS);
    ck_assert_int_eq(costs[0].steps.notice_ps[0], (180 - 150 - 7) * NS);
    for (int r = 0; r < 2; r++) {
        timeline_destroy(&lines[r]);
        program_finish(&stages[r]);
    }
    arena_finish(&arena);
}
END_TEST

// A rank that sees late that a communication has ended goes on so much later.
START_TEST(what_is_seen_late_makes_a_step_longer) {
    Setup s;
    int64_t ends[2];
    setup(&s, 2);
    for (int late = 0; late < 2; late++) {
        Rng rng;
        rng_init(&rng, 9, RNG_TEST, 0, 0);
        for (int r = 0; r < 2; r++) {
            draw(&s, &s.costs[r].steps, &rng);
            int64_t *notice_ps = ARENA_NEW(&s.arena, int64_t, STEPS * s.plan->op_count);
            notice_ps[(STEPS - 1) * s.plan->op_count + BUCKET] = late * 500 * NS;
            s.costs[r].steps.notice_ps = notice_ps;
        }
        simulate(&s);
        ends[late] = end_of(&s, 0);
    }
    ck_assert_int_eq(ends[1] - ends[0], 500 * NS);
    finish(&s);
}
END_TEST

// Work takes 100 and 300 ns in turn, on one rank when on the other it takes 300 and 100: the ranks,
// which meet in every step, always wait for the slower. Medians of 200 know nothing of that, but
// where the ranks share a core they are executed one after the other.
static void take_turns(Setup *s, Recording *r, bool each) {
    *r = (Recording){.ranks = 2, .costs = s->costs};
    r->traces = ARENA_NEW(&s->arena, Trace, 2);
    ck_assert_ptr_nonnull(r->traces);
    for (int k = 0; k < 2; k++) {
        StepCosts c;
        Rng rng;
        rng_init(&rng, 1, RNG_TEST, 0, 0);
        draw(s, &c, &rng);
        int64_t *ps = (int64_t *)c.ps, *gap_ps = c.gap_ps, *turn_ps = (int64_t *)c.turn_ps;
        for (int i = 0; i < STEPS * c.ops; i++) {
            ps[i] = i % c.ops == WORK ? ((i / c.ops + k) % 2 ? 300 : 100) * NS : 0;
            gap_ps[i] = 0;
        }
        for (int i = 0; i < STEPS; i++) turn_ps[i] = 0;
        if (each) s->costs[k].steps = c;
        for (int i = 0; i < c.ops; i++) cost(s, k, i, i == WORK ? 200 * NS : 0);
        r->traces[k] = (Trace){
            .program = s->p,
            .run = {.model = "x", .device = "cpu", .dtype = "f32", .ranks = 2, .batch = 64}};
    }
}

START_TEST(ranks_that_fall_out_of_step_wait_for_each_other) {
    for (int i = 0; i < 4; i++) {
        Setup s;
        Recording r;
        Prediction p;
        bool each = i % 2, one_core = i / 2;
        double median = one_core ? 400e-6 : 200e-6;
        setup(&s, 2);
        take_turns(&s, &r, each);
        r.has_machine = r.machine.is_host = one_core;
        r.machine.host.cores = 1;
        ck_assert_ok(predict_replay(&p, &s.arena, &r, NULL));
        ck_assert_int_eq(p.steps, each ? STEPS : 0);
        ck_assert_double_eq_tol(p.step_ms, each ? 300e-6 : median, 1e-12);
        ck_assert_double_eq_tol(p.report.step_ms.median, p.step_ms, 1e-12);
        if (each || !one_core)
            ck_assert_double_eq_tol(p.report.breakdown_ms[TIME_WAITING], each ? 100e-6 : 0, 1e-12);
        finish(&s);
    }
}
END_TEST

SUITE("step_costs", time_between_operations_is_the_executors_but_for_shares,
      a_rank_that_comes_last_begins_with_its_share, a_simulated_run_is_read_and_replayed_exactly,
      threads_that_go_on_late_are_found, so_is_one_without_a_share_of_a_collective,
      the_ends_of_a_message_are_late_for_each_other,
      what_is_seen_late_makes_a_step_longer, ranks_that_fall_out_of_step_wait_for_each_other)
