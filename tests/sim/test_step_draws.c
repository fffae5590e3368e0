// SPDX-License-Identifier: MIT
// Steps drawn from recorded ones: the draws, what ranks have in common, and recordings of which the
// distribution of the step is known.
#include "sim/step_draws.h"

#include "sim/predict.h"
#include "tests/support/simulate_case.h"

#include <math.h>

enum { NS = 1000, ROWS = 5, SERIES = 9, DRAWS = 20000 };
enum { WORK, BUCKET };

// A rank with one operation, of so many ns in each step.
static StepCosts costs_of(Arena *a, const int ns[], int count) {
    int64_t *ps = ARENA_NEW(a, int64_t, count), *none = ARENA_NEW(a, int64_t, count);
    ck_assert(ps && none);
    for (int i = 0; i < count; i++) ps[i] = (int64_t)ns[i] * NS;
    return (StepCosts){
        .count = count, .ops = 1, .ps = ps, .busy_ps = ps, .gap_ps = none, .turn_ps = none};
}

// Each of the 4 rows after the first has 5,000 of 20,000 draws: within 4 standard errors, 245.
START_TEST(steps_are_drawn_evenly_without_the_first) {
    static const int ns[ROWS] = {9, 1, 2, 3, 4};
    Arena a = {0};
    StepCosts one = costs_of(&a, ns, ROWS), same = one, other = one, seed = one;
    ck_assert_ok(step_draws_make(&one, &a, 1, 0, DRAWS));
    ck_assert_ok(step_draws_make(&same, &a, 1, 0, DRAWS));
    ck_assert_ok(step_draws_make(&other, &a, 1, 1, DRAWS));
    ck_assert_ok(step_draws_make(&seed, &a, 2, 0, DRAWS));
    int counts[ROWS] = {0}, equal = 0, equal_seed = 0;
    for (int i = 0; i < DRAWS; i++) {
        counts[one.drawn[i]]++;
        ck_assert_int_eq(one.drawn[i], same.drawn[i]);
        equal += one.drawn[i] == other.drawn[i];
        equal_seed += one.drawn[i] == seed.drawn[i];
    }
    ck_assert_int_eq(counts[0], 0);
    for (int i = 1; i < ROWS; i++) ck_assert_int_le(abs(counts[i] - DRAWS / 4), 245);
    ck_assert_int_le(abs(equal - DRAWS / 4), 245);  // streams are independent
    ck_assert_int_le(abs(equal_seed - DRAWS / 4), 245);
    StepCosts alone = costs_of(&a, ns, 1);
    ck_assert_ok(step_draws_make(&alone, &a, 1, 0, 3));
    for (int i = 0; i < 3; i++) ck_assert_int_eq(alone.drawn[i], 0);
    arena_finish(&a);
}
END_TEST

// Of 1 2 1 2 .. and: itself, its opposite, 1 1 2 2 .., twice as much and 3 more, and of three ranks
// of which two agree and one opposes: (1 - 1 - 1) / 3. The first step does not count.
START_TEST(correlation_is_that_of_the_ranks_own_times) {
    static const int turns[SERIES] = {9, 1, 2, 1, 2, 1, 2, 1, 2},
                     flat[SERIES] = {1, 5, 5, 5, 5, 5, 5, 5, 5};
    static const int against[SERIES] = {7, 2, 1, 2, 1, 2, 1, 2, 1},
                     slow[SERIES] = {1, 1, 1, 2, 2, 1, 1, 2, 2},
                     more[SERIES] = {1, 5, 7, 5, 7, 5, 7, 5, 7};
    Arena a = {0};
    const StepCosts c[] = {costs_of(&a, turns, SERIES), costs_of(&a, against, SERIES),
                           costs_of(&a, slow, SERIES),  costs_of(&a, more, SERIES),
                           costs_of(&a, flat, SERIES),  costs_of(&a, turns, 3)};
    const struct {
        int ranks, of[3];
        double want;
    } cases[] = {
        {2, {0, 0}, 1}, {2, {0, 1}, -1}, {2, {0, 2}, 0}, {2, {0, 3}, 1}, {3, {0, 3, 1}, -1.0 / 3}};
    double r;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const StepCosts *ranks[3];
        for (int k = 0; k < 3; k++) ranks[k] = &c[cases[i].of[k]];
        ck_assert_ok(step_draws_correlation(&r, ranks, cases[i].ranks));
        ck_assert_double_eq_tol(r, cases[i].want, 1e-12);
    }
    const StepCosts *unknown[][2] = {{&c[0], &c[4]}, {&c[5], &c[5]}};
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(step_draws_correlation(&r, unknown[i], 2));
        ck_assert(isnan(r));
    }
    ck_assert_ok(step_draws_correlation(&r, unknown[0], 1));
    ck_assert(isnan(r));
    arena_finish(&a);
}
END_TEST

// Two ranks that work for 100 or 200 ns, as the rows say, and then meet.
static void record(Setup *s, Recording *r, const int ns[2][ROWS]) {
    memset(s, 0, sizeof *s);
    s->ranks = 2;
    s->plan = make_program(&s->p, 2);
    make_tensor(&s->p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
    make_tensor(&s->p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_op(&s->p, s->plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
    make_op(&s->p, s->plan, (OpSpec){.name = "bucket", .kind = KIND_ALL_REDUCE, .lane = 2}, "g",
            "g");
    prepare(s);
    *r = (Recording){.ranks = 2, .costs = s->costs, .steps = ROWS - 1};
    r->traces = ARENA_NEW(&s->arena, Trace, 2);
    ck_assert_ptr_nonnull(r->traces);
    for (int k = 0; k < 2; k++) {
        int64_t *ps = ARENA_NEW(&s->arena, int64_t, 2 * ROWS);
        int64_t *none = ARENA_NEW(&s->arena, int64_t, 2 * ROWS);
        ck_assert(ps && none);
        for (int i = 0; i < ROWS; i++) ps[2 * i + WORK] = (int64_t)ns[k][i] * NS;
        s->costs[k].steps = (StepCosts){
            .count = ROWS, .ops = 2, .ps = ps, .busy_ps = ps, .gap_ps = none, .turn_ps = none};
        cost(s, k, WORK, 0);
        cost(s, k, BUCKET, 0);
        r->traces[k] = (Trace){
            .program = s->p,
            .run = {.model = "x", .device = "cpu", .dtype = "f32", .ranks = 2, .batch = 64}};
    }
}

typedef struct {
    int ns[2][ROWS];
    double recorded_ns, drawn_ns, apart_ns;  // means of the step
    double slow_apart;                       // how many steps take 200 ns, ranks apart
} Case;

static const Case cases[] = {
    // Both slow in the same step, one in two. Apart the slower of two independent draws counts:
    // 200 ns but where both are fast, 100 * 1/4 + 200 * 3/4.
    {{{100, 100, 200, 100, 200}, {100, 100, 200, 100, 200}}, 150, 150, 175, 0.75},
    // In turn: always one is slow.
    {{{100, 100, 200, 100, 200}, {200, 200, 100, 200, 100}}, 200, 200, 175, 0.75},
    // One step in four, both: 200 * (1 - (3/4)^2) + 100 * (3/4)^2.
    {{{100, 100, 100, 100, 200}, {100, 100, 100, 100, 200}}, 125, 125, 143.75, 0.4375},
};

START_TEST(a_drawn_step_has_the_distribution_of_the_slowest_of_its_ranks) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Case *c = &cases[i];
        const double want[] = {c->recorded_ns, c->drawn_ns, c->apart_ns};
        for (int k = 0; k < 3; k++) {
            Setup s;
            Recording r;
            Prediction p;
            const StepDraws draws = {.seed = 5, .apart = k == 2, .steps = DRAWS};
            record(&s, &r, c->ns);
            ck_assert_ok(predict_replay(&p, &s.arena, &r, k ? &draws : NULL));
            int steps = p.report.steps - p.report.warm_up_steps;
            ck_assert_int_eq(steps, k ? DRAWS : ROWS - 1);
            // 4 standard errors of a mean of steps that take 100 or 200 ns.
            double slow = want[k] / 100 - 1, error = 4 * 100 * sqrt(slow * (1 - slow) / DRAWS);
            ck_assert_double_eq_tol(p.report.step_ms.mean * 1e6, want[k], k ? error + 1e-9 : 1e-9);
            ck_assert_double_eq(p.step_ms, p.report.step_ms.median);
            ck_assert(p.drawn == (k > 0) && p.apart == (k == 2));
            finish(&s);
        }
    }
}
END_TEST

// Ranks apart: 200 ns in 7 of 16 steps, 100 in the others: quantiles below and above 9/16.
START_TEST(quantiles_of_drawn_steps_are_those_of_their_distribution) {
    Setup s;
    Recording r;
    Prediction p, again, other;
    const StepDraws draws = {.seed = 5, .apart = true, .steps = DRAWS},
                    seed = {.seed = 6, .apart = true, .steps = DRAWS};
    record(&s, &r, cases[2].ns);
    ck_assert_ok(predict_replay(&p, &s.arena, &r, &draws));
    ck_assert_ok(predict_replay(&again, &s.arena, &r, &draws));
    ck_assert_ok(predict_replay(&other, &s.arena, &r, &seed));
    const Report *report = &p.report;
    const double got[] = {report->step_tails_ms.p5,  report->step_ms.p10,
                          report->step_ms.median,    report->step_ms.p90,
                          report->step_tails_ms.p95, report->step_tails_ms.p99};
    const double want_ns[] = {100, 100, 100, 200, 200, 200};
    for (int i = 0; i < 6; i++) ck_assert_double_eq_tol(got[i] * 1e6, want_ns[i], 1e-9);
    ck_assert_double_eq_tol(p.correlation, 1, 1e-12);
    ck_assert(again.report.step_ms.mean == report->step_ms.mean && again.inputs == p.inputs);
    ck_assert(other.report.step_ms.mean != report->step_ms.mean && other.inputs != p.inputs);
    finish(&s);
}
END_TEST

START_TEST(as_many_steps_are_drawn_as_were_recorded_and_no_more_than_fit) {
    Setup s;
    Recording r;
    Prediction p;
    record(&s, &r, cases[0].ns);
    ck_assert_ok(predict_replay(&p, &s.arena, &r, &(StepDraws){.seed = 1}));
    ck_assert_int_eq(p.report.steps - p.report.warm_up_steps, ROWS - 1);
    ck_assert_fails(predict_replay(&p, &s.arena, &r, &(StepDraws){.steps = 10000000}), ERR_USAGE,
                    "a step of 2 ranks has 4 operations; give at most 6710885 steps");
    for (int k = 0; k < 2; k++) s.costs[k].steps = (StepCosts){0};
    ck_assert_fails(predict_replay(&p, &s.arena, &r, &(StepDraws){.seed = 1}), ERR_INPUT,
                    "no recorded step has the durations of all operations");
    finish(&s);
}
END_TEST

SUITE("step_draws", steps_are_drawn_evenly_without_the_first,
      correlation_is_that_of_the_ranks_own_times,
      a_drawn_step_has_the_distribution_of_the_slowest_of_its_ranks,
      quantiles_of_drawn_steps_are_those_of_their_distribution,
      as_many_steps_are_drawn_as_were_recorded_and_no_more_than_fit)
