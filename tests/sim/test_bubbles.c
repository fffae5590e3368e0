// SPDX-License-Identifier: MIT
// Bubbles of pipelines whose stages cost the same, in the simulator, from the plans that ranks
// execute. With p stages and m micro-batches GPipe and 1F1B keep a rank waiting for (p - 1) of
// (m + p - 1) passes (Narayanan et al., 2021, section 2.2); stages that interleave V times for a
// V-th of that; weights' gradients that fill the gaps (Qi et al., 2024) for less still. Every step
// is also held against the schedule timed by itself, before there is a plan.
#include "core/base/text.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "sim/job.h"
#include "sim/simulate.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

enum { TF = 1000, TB = 2000, STAGES = 4 };

typedef struct {
    Arena arena;
    ProgramSet set;
    Costs costs[STAGES];
    const Costs *cost_of[STAGES];
    Timeline lines[STAGES], *line_of[STAGES];
    int plan;
} Pipeline;

// One linear layer and its ReLU for each stage; the first flattens the image, and the last has the
// logits and the loss.
static void lower(Pipeline *s, const PipelineShape *shape) {
    char model[64], cut[128] = "0:3";
    const int stages = shape->ranks * shape->chunks;
    snprintf(model, sizeof model, "mlp:hidden=8,layers=%d", stages);
    for (int k = 1; k < stages; k++)
        text_append(cut, sizeof cut, ",%d:%d", 2 * k + 1, 2 * k + 3 + (k + 1 == stages));
    SimJob job = {.spec = job_spec_default()};
    job.spec.model = model;
    job.spec.device = "timed:laptop";
    job.spec.ranks = job.spec.mesh.pipe = shape->ranks;
    job.spec.micro_batches = shape->micro_batches;
    job.spec.batch = 2 * shape->micro_batches;
    job.spec.strategy.schedule.word = (int)shape->kind;
    job.spec.strategy.schedule.number = shape->kind == SCHEDULE_INTERLEAVED ? shape->chunks : 0;
    job.spec.strategy.stages = cut;
    ck_assert_ok(sim_job_lowered(&s->set, &s->arena, &job));
    ck_assert_int_eq(s->set.count, shape->ranks);
}

static void take(Costs *c, int plan, int op, int64_t ps) { c->ops[plan][op].ps = ps; }

// The operation that writes what another reads.
static int writer_of(const Program *p, const Plan *plan, int reader) {
    int root = program_root(p, op_inputs(plan, &plan->ops[reader])[0]);
    for (int i = reader - 1; i >= 0; i--)
        for (int k = 0; k < plan->ops[i].outputs; k++)
            if (program_root(p, op_outputs(plan, &plan->ops[i])[k]) == root) return i;
    ck_abort_msg("nobody writes what %s sends", op_name(p, &plan->ops[reader]));
    return NONE;
}

// A pass takes its time in the operation whose output leaves the stage; the last stage's forward in
// the loss, the first one's backward in the gradient of its ReLU's input.
static void set_costs(Costs *c, int plan_index, const PipelineCosts *of) {
    const Program *p = c->program;
    const Plan *plan = &p->plans[plan_index];
    bool weighed[64] = {0};
    for (int i = 0; i < plan->op_count; i++)
        c->ops[plan_index][i] = (OpCost){0, SOURCE_REPLAYED, true};
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const char *name = op_name(p, op);
        bool forward = op_work(p, op)->phase == PHASE_FORWARD;
        if (op_kind(p, op) == KIND_SEND)
            take(c, plan_index, writer_of(p, plan, i), forward ? of->forward : of->backward_input);
        if (!strcmp(name, "cross_entropy.forward")) take(c, plan_index, i, of->forward);
        if (!strcmp(name, "relu1.backward_input")) take(c, plan_index, i, of->backward_input);
        if (strstr(name, ".backward_weight") && !weighed[op->micro_batch]) {
            weighed[op->micro_batch] = true;
            take(c, plan_index, i, of->backward_weight);
        }
    }
}

// The duration of a step, simulated, and checked against the schedule's own.
static int64_t step_of(const PipelineShape *shape, const PipelineCosts *costs) {
    Pipeline s = {0};
    PipelineSchedule schedule;
    PipelineTimes times;
    lower(&s, shape);
    s.plan = program_find_when(&s.set.programs[0], WHEN_EACH_STEP, 0);
    for (int r = 0; r < shape->ranks; r++) {
        const Program *p = program_set_program(&s.set, r);
        ck_assert_ok(costs_init(&s.costs[r], &s.arena, p));
        set_costs(&s.costs[r], s.plan, costs);
        ck_assert_ok(timeline_create(&s.lines[r], r, 1, p->plans[s.plan].op_count + 1));
        s.cost_of[r] = &s.costs[r];
        s.line_of[r] = &s.lines[r];
    }
    const SimulateOptions o = {.costs = s.cost_of, .plan = s.plan, .ranks = shape->ranks};
    ck_assert_ok(simulate_devices(s.line_of, &o, NULL));
    int64_t last = 0;
    for (int r = 0; r < shape->ranks; r++) {
        if (s.lines[r].steps[0].end_ps > last) last = s.lines[r].steps[0].end_ps;
        timeline_destroy(&s.lines[r]);
    }
    ck_assert_ok(pipeline_schedule_create(&schedule, &s.arena, shape));
    ck_assert_ok(pipeline_schedule_time(&times, &schedule, costs));
    ck_assert_msg(last == times.step, "%d ranks, %d micro-batches, schedule %d: %lld, not %lld",
                  shape->ranks, shape->micro_batches, (int)shape->kind, (long long)last,
                  (long long)times.step);
    program_set_finish(&s.set);
    arena_finish(&s.arena);
    return last;
}

START_TEST(gpipe_and_1f1b_wait_for_p_minus_1_of_m_plus_p_minus_1_passes) {
    for (int p = 2; p <= STAGES; p++)
        for (int m = 1; m <= 8; m += m < 4 ? 1 : 4)
            for (int kind = SCHEDULE_GPIPE; kind <= SCHEDULE_1F1B; kind++) {
                const PipelineShape shape = {(ScheduleKind)kind, p, 1, m};
                int64_t step = step_of(&shape, &(PipelineCosts){TF, TB, 0, 0});
                ck_assert_int_eq(step, (int64_t)(m + p - 1) * (TF + TB));
                ck_assert_int_eq((step - (int64_t)m * (TF + TB)) * (m + p - 1), (p - 1) * step);
            }
}
END_TEST

// A stage of V on a rank takes a V-th of the time.
START_TEST(stages_that_interleave_wait_for_a_part_of_that) {
    for (int p = 2; p <= STAGES; p++)
        for (int m = p; m <= 2 * p; m += p) {
            const PipelineShape shape = {SCHEDULE_INTERLEAVED, p, 2, m};
            int64_t step = step_of(&shape, &(PipelineCosts){TF / 2, TB / 2, 0, 0});
            ck_assert_int_eq(step - (int64_t)m * (TF + TB), (p - 1) * (TF + TB) / 2);
        }
}
END_TEST

// ZB-H1 with equal passes waits for a third: (p - 1) (TF + TI - TW), not (p - 1) (TF + TI + TW).
START_TEST(gradients_of_weights_fill_the_bubble) {
    for (int p = 2; p <= STAGES; p++) {
        int m = 2 * p;
        const PipelineCosts thirds = {TF, TF, TF, 0};
        int64_t busy = (int64_t)m * 3 * TF;
        int64_t zero_bubble = step_of(&(PipelineShape){SCHEDULE_ZERO_BUBBLE, p, 1, m}, &thirds);
        int64_t interleaved = step_of(&(PipelineShape){SCHEDULE_INTERLEAVED, p, 2, m},
                                      &(PipelineCosts){TF / 2, TF, 0, 0});
        ck_assert_int_eq(interleaved - busy, (p - 1) * 3 * TF / 2);
        ck_assert_int_eq(zero_bubble - busy, (p - 1) * TF);
    }
}
END_TEST

SUITE("bubbles", gpipe_and_1f1b_wait_for_p_minus_1_of_m_plus_p_minus_1_passes,
      stages_that_interleave_wait_for_a_part_of_that, gradients_of_weights_fill_the_bubble)
