// SPDX-License-Identifier: MIT
// What --pp makes, simulated with costs given by hand: with equal stages and a network that takes
// no time a step takes what the schedule says (pipeline_schedule_time()), and the bubbles are those
// of the closed forms. Of p stages and m micro-batches, where a pass forward and back takes t, a
// rank waits (p-1) t with GPipe and 1F1B (Narayanan et al., SC 2021, section 2.2), a V-th of that
// where stages interleave, and (p-1) (tf + tb - tw) in ZB-H1, tb and tw being the gradients of
// input and weights (Qi et al., 2024, section 2.2).
#include "core/plan/check.h"
#include "core/plan/lower.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "parallel/strategy/strategy.h"
#include "sim/simulate.h"
#include "tests/support/testing.h"

#include <stdio.h>

enum { LAYERS = 16, STAGES_MOST = 4, FORWARD = 1000, INPUT = 900, WEIGHT = 800 };

static Arena arena;  // finished by each test

// Equal layers behind one without arithmetic, so that all of them send gradients back.
static void read_model(Model *out) {
    char text[2000];
    int length = snprintf(text, sizeof text,
                          "model even\ninput tokens 4\nclasses 8\nembedding e out=8 std=0.1\n");
    for (int i = 0; i < LAYERS; i++)
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "linear l%d out=8 bias=false\n", i);
    ck_assert_ok(model_parse(out, &arena, text, "even", NULL));
}

static void make_programs(ProgramSet *out, const PipelineShape *shape) {
    static const DeviceTraits plain = {.name = "plain"};
    Model m;
    read_model(&m);
    const StepSpec spec = {.batch = shape->micro_batches,
                           .shards = 1,
                           .local_shards = 1,
                           .micro_batches = shape->micro_batches,
                           .evaluation_rows = 1,
                           .mesh = {.pipe = shape->ranks}};
    const StrategyOptions o = {.schedule = {(int)shape->kind, shape->chunks}};
    ck_assert_ok(strategy_programs(out, &m, &spec, &o));
    ck_assert_ok(plan_check(out));
    ck_assert_ok(program_set_lower(out, &plain));
}

static int64_t cost_of(Kind k) {
    return k == KIND_LINEAR                   ? FORWARD
           : k == KIND_LINEAR_BACKWARD_INPUT  ? INPUT
           : k == KIND_LINEAR_BACKWARD_WEIGHT ? WEIGHT
                                              : 0;
}

static void give_costs(Costs *c, const Program *p, int k) {
    ck_assert_ok(costs_init(c, &arena, p));
    costs_of_network(c);
    for (int i = 0; i < p->plans[k].op_count; i++)
        if (!op_communicates(p, &p->plans[k].ops[i]))
            c->ops[k][i] =
                (OpCost){cost_of(op_kind(p, &p->plans[k].ops[i])), SOURCE_REPLAYED, true};
}

// The time of the second of two steps.
static int64_t simulate(const ProgramSet *set) {
    Costs costs[STAGES_MOST];
    const Costs *cost_of_rank[STAGES_MOST];
    Timeline lines[STAGES_MOST], *line_of[STAGES_MOST];
    int k = program_find_when(&set->programs[0], WHEN_EACH_STEP, 0);
    for (int r = 0; r < set->count; r++) {
        give_costs(&costs[r], &set->programs[r], k);
        ck_assert_ok(timeline_create(&lines[r], r, 3, 2 * set->programs[r].plans[k].op_count + 1));
        cost_of_rank[r] = &costs[r];
        line_of[r] = &lines[r];
    }
    const SimulateOptions o = {.costs = cost_of_rank, .plan = k, .ranks = set->count, .steps = 2};
    ck_assert_ok(simulate_devices(line_of, &o, NULL));
    int64_t end[2] = {0, 0};
    for (int r = 0; r < set->count; r++)
        for (int step = 0; step < 2; step++)
            if (lines[r].steps[step].end_ps > end[step]) end[step] = lines[r].steps[step].end_ps;
    for (int r = 0; r < set->count; r++) timeline_destroy(&lines[r]);
    return end[1] - end[0];
}

static int64_t time_of(const PipelineShape *shape) {
    ProgramSet set;
    make_programs(&set, shape);
    int64_t is = simulate(&set);
    program_set_finish(&set);
    return is;
}

static int64_t scheduled(const PipelineShape *shape) {
    int64_t layers = LAYERS / (shape->ranks * shape->chunks);
    const PipelineCosts c = {layers * FORWARD, layers * INPUT, layers * WEIGHT, 0};
    PipelineSchedule s;
    PipelineTimes t;
    ck_assert_ok(pipeline_schedule_create(&s, &arena, shape));
    ck_assert_ok(pipeline_schedule_time(&t, &s, &c));
    return t.step;
}

START_TEST(bubbles_are_those_of_the_closed_forms) {
    const int64_t all = LAYERS * (FORWARD + INPUT + WEIGHT);
    for (int p = 2; p <= STAGES_MOST; p += 2)
        for (int m = p; m <= 3 * p; m += p) {
            const int64_t t = all / p, work = m * t;
            const PipelineShape gpipe = {SCHEDULE_GPIPE, p, 1, m}, f1b1 = {SCHEDULE_1F1B, p, 1, m},
                                halves = {SCHEDULE_INTERLEAVED, p, 2, m},
                                quarters = {SCHEDULE_INTERLEAVED, p, 4, m},
                                zero = {SCHEDULE_ZERO_BUBBLE, p, 1, m};
            ck_assert_int_eq(time_of(&gpipe), work + (p - 1) * t);
            ck_assert_int_eq(time_of(&f1b1), work + (p - 1) * t);
            ck_assert_int_eq(time_of(&halves), work + (p - 1) * t / 2);
            ck_assert_int_eq(time_of(&quarters), work + (p - 1) * t / 4);
            int64_t zero_bubble = time_of(&zero);
            ck_assert_int_eq(zero_bubble, scheduled(&zero));
            ck_assert_int_lt(zero_bubble, work + (p - 1) * t / 2);
            ck_assert_int_eq(zero_bubble, work + (p - 1) * LAYERS / p * (FORWARD + INPUT - WEIGHT));
        }
    arena_finish(&arena);
}
END_TEST

// Where the number of micro-batches is no multiple of the stages', too.
START_TEST(a_step_takes_what_its_schedule_says) {
    for (int p = 2; p <= STAGES_MOST; p += 2)
        for (int m = p; m <= p + 3; m++)
            for (int k = SCHEDULE_GPIPE; k <= SCHEDULE_ZERO_BUBBLE; k++) {
                const PipelineShape s = {(ScheduleKind)k, p, 1, m};
                if (k == SCHEDULE_INTERLEAVED) continue;
                ck_assert_int_eq(time_of(&s), scheduled(&s));
            }
    arena_finish(&arena);
}
END_TEST

SUITE("stage_times", bubbles_are_those_of_the_closed_forms, a_step_takes_what_its_schedule_says)
