// SPDX-License-Identifier: MIT
// Predictions whose operations vary as recorded ones did.
#include "sim/predict_internal.h"
#include "tests/support/simulate_case.h"

#include <math.h>

enum { NS = 1000, ROWS = 5, DRAWS = 4000 };
enum { WORK, MORE, BUCKET, OPS };

// What the recorded rank took in each step, the first warming up; then what is predicted: 1,000 ns
// for each work, of which the recorded medians are 100 and 20, and 4 ns between operations.
static const int work_ns[ROWS] = {900, 100, 200, 100, 100}, more_ns[ROWS] = {90, 10, 10, 30, 30},
                 gap_ns[ROWS] = {1, 2, 2, 6, 2}, turn_ns[ROWS] = {1, 5, 5, 5, 10};

static void setup(Setup *s, Recording *r, Run *run) {
    memset(s, 0, sizeof *s);
    s->ranks = 2;
    s->plan = make_program(&s->p, 2);
    make_tensor(&s->p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
    make_tensor(&s->p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_op(&s->p, s->plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
    make_op(&s->p, s->plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "g", "w");
    make_op(&s->p, s->plan, (OpSpec){.name = "bucket", .kind = KIND_ALL_REDUCE, .lane = 2}, "g",
            "g");
    prepare(s);
    for (int k = 0; k < 2; k++) {
        for (int op = 0; op < OPS; op++) cost(s, k, op, op == BUCKET ? 50 * NS : 1000 * NS);
        s->costs[k].dispatch_ps = 4 * NS;
        s->costs[k].turn_ps = 7 * NS;
    }
    int64_t *ps = ARENA_NEW(&s->arena, int64_t, OPS * ROWS);
    int64_t *gaps = ARENA_NEW(&s->arena, int64_t, OPS * ROWS);
    int64_t *turns = ARENA_NEW(&s->arena, int64_t, ROWS);
    Costs *recorded = ARENA_NEW(&s->arena, Costs, 1);
    ck_assert(ps && gaps && turns && recorded);
    for (int i = 0; i < ROWS; i++) {
        ps[OPS * i + WORK] = (int64_t)work_ns[i] * NS;
        ps[OPS * i + MORE] = (int64_t)more_ns[i] * NS;
        ps[OPS * i + BUCKET] = 77 * NS;
        gaps[OPS * i + MORE] = (int64_t)gap_ns[i] * NS;
        turns[i] = (int64_t)turn_ns[i] * NS;
    }
    *recorded = s->costs[0];
    recorded->steps = (StepCosts){
        .count = ROWS, .ops = OPS, .ps = ps, .busy_ps = ps, .gap_ps = gaps, .turn_ps = turns};
    *r = (Recording){.ranks = 1, .costs = recorded, .steps = ROWS - 1};
    *run = (Run){.costs = s->cost_of, .class_count = 1, .ranks = 2};
    // Both ranks are of one class.
    s->cost_of[1] = &s->costs[0];
}

static void draw(Run *run, Setup *s, const Recording *r, bool apart, int steps) {
    const StepDraws draws = {.seed = 3, .apart = apart, .steps = steps};
    const SimSetting setting = {.recording = r, .draws = &draws};
    ck_assert_ok(predict_draws(run, &s->arena, &setting));
    ck_assert(run->differ && run->steps == 1 + (steps ? steps : ROWS - 1) && run->class_count == 2);
}

// Of two operations with one key each varies as its own; a communication does not, and nothing is
// before it; gaps follow the step's, 4 ns times 2, 2, 6 and 2 over 2.
START_TEST(operations_vary_as_their_own_did) {
    Setup s;
    Recording r;
    Run run;
    setup(&s, &r, &run);
    draw(&run, &s, &r, true, 200);
    bool seen[ROWS] = {false};
    for (int rank = 0; rank < 2; rank++)
        for (int i = 0; i < 201; i++) {
            const Costs *c = run.costs[rank];
            int row = c->steps.drawn[i];
            seen[row] = true;
            ck_assert_int_eq(costs_op_ps(c, 0, WORK, i), 1000 * NS * (int64_t)work_ns[row] / 100);
            ck_assert_int_eq(costs_op_ps(c, 0, MORE, i), 1000 * NS * (int64_t)more_ns[row] / 20);
            ck_assert_int_eq(costs_op_ps(c, 0, BUCKET, i), 50 * NS);
            ck_assert_int_eq(costs_dispatch_ps(c, WORK, i), 4 * NS * (int64_t)gap_ns[row] / 2);
            ck_assert_int_eq(costs_dispatch_ps(c, MORE, i), 4 * NS * (int64_t)gap_ns[row] / 2);
            ck_assert_int_eq(costs_dispatch_ps(c, BUCKET, i), 0);
            ck_assert_int_eq(costs_turn_ps(c, i), 7 * NS * (int64_t)turn_ns[row] / 5);
        }
    for (int i = 0; i < ROWS; i++) ck_assert(seen[i] == (i > 0));
    finish(&s);
}
END_TEST

// Both work for 1,000 or 2,000 ns, one step in four, and meet: 1,250 in the mean where they draw
// together, 1,000 * 9/16 + 2,000 * 7/16 apart; each within four standard errors.
START_TEST(the_mean_is_that_of_the_slowest_rank) {
    for (int apart = 0; apart < 2; apart++) {
        Setup s;
        Recording r;
        Run run;
        double sum = 0, slow = apart ? 7.0 / 16 : 0.25;
        setup(&s, &r, &run);
        s.costs[0].dispatch_ps = s.costs[0].turn_ps = 0;
        cost(&s, 0, MORE, 0);
        cost(&s, 0, BUCKET, 0);
        draw(&run, &s, &r, apart, DRAWS);
        s.host = (HostModel){.cores = 2, .spin_ps = INT64_MAX};
        for (int k = 0; k < 2; k++) {
            timeline_destroy(&s.lines[k]);
            ck_assert_ok(timeline_create(&s.lines[k], k, DRAWS + 1, (DRAWS + 1) * OPS));
        }
        const SimulateOptions o = {.costs = run.costs, .ranks = 2, .steps = run.steps};
        ck_assert_ok(simulate_host(s.line_of, &o, &s.host));
        for (int i = 1; i <= DRAWS; i++) {
            const StepRecord *step = &s.lines[0].steps[i];
            sum += (double)(step->end_ps - step->start_ps) / NS / DRAWS;
        }
        ck_assert_double_eq_tol(sum, 1000 * (1 + slow), 4 * 1000 * sqrt(slow * (1 - slow) / DRAWS));
        finish(&s);
    }
}
END_TEST

// Work of which nothing was recorded keeps its cost in every step.
START_TEST(what_was_not_recorded_does_not_vary) {
    Setup s, other;
    Recording r, unused;
    Run run, none;
    setup(&s, &r, &run);
    setup(&other, &unused, &none);
    for (int i = 0; i < OPS; i++) other.p.works[other.plan->ops[i].work].cost_key ^= 1;
    r.costs[0].program = &other.p;
    draw(&run, &s, &r, false, 0);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(costs_op_ps(run.costs[1], 0, WORK, i), 1000 * NS);
    ck_assert_ptr_eq(run.costs[0]->steps.ps, run.costs[1]->steps.ps);  // they share them
    finish(&s);
    finish(&other);
}
END_TEST

START_TEST(without_steps_that_can_be_drawn_nothing_is_predicted) {
    Setup s;
    Recording r;
    Run run;
    const StepDraws draws = {.seed = 1}, many = {.steps = 100000000};
    setup(&s, &r, &run);
    SimSetting setting = {.recording = &r, .draws = &many};
    ck_assert_fails(predict_draws(&run, &s.arena, &setting), ERR_USAGE, "give at most");
    setting.draws = &draws;
    r.costs[0].steps.count = 0;
    ck_assert_fails(predict_draws(&run, &s.arena, &setting), ERR_INPUT, "none can be drawn");
    setting.recording = NULL;
    ck_assert_fails(predict_draws(&run, &s.arena, &setting), ERR_INPUT, "none can be drawn");
    finish(&s);
}
END_TEST

SUITE("predict_draws", operations_vary_as_their_own_did, the_mean_is_that_of_the_slowest_rank,
      what_was_not_recorded_does_not_vary, without_steps_that_can_be_drawn_nothing_is_predicted)
