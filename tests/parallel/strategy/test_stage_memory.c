// SPDX-License-Identifier: MIT
// How many micro-batches' activations a stage holds at once: as many as its schedule says, in the
// plan and in the memory that lowering gives them (Narayanan et al., SC 2021, section 2.2: 1F1B
// holds those of p - s micro-batches on stage s of p, GPipe those of all).
#include "core/plan/check.h"
#include "core/plan/lower.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "parallel/strategy/strategy.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>

enum { LAYERS = 8, UNITS_MOST = 64, ROW_BYTES = 4 * 16 * 4 };  // of an activation: a micro-batch

static Arena arena;  // finished by each test

static void make_programs(ProgramSet *out, const PipelineShape *shape) {
    static const DeviceTraits plain = {.name = "plain"};
    char text[2000];
    Model m;
    int length = snprintf(text, sizeof text,
                          "model even\ninput tokens 4\nclasses 16\nembedding e out=16 std=0.1\n");
    for (int i = 0; i < LAYERS; i++)
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "linear l%d out=16 bias=false\n", i);
    ck_assert_ok(model_parse(&m, &arena, text, "even", NULL));
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

// When an activation is in use: from its first operation to its last, of all that the plan has or
// of those that compute.
typedef struct {
    int *first, *last;  // [tensor]
} Uses;

static Uses find_uses(const Program *p, const Plan *plan, bool computing) {
    Uses u = {ARENA_NEW(&arena, int, p->tensor_count), ARENA_NEW(&arena, int, p->tensor_count)};
    for (int t = 0; t < p->tensor_count; t++) u.first[t] = u.last[t] = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (computing && op_communicates(p, op)) continue;
        for (int k = 0; k < op->outputs + op->inputs; k++) {
            int root = program_root(p, op_outputs(plan, op)[k]);
            if (p->tensors[root].role != ROLE_ACTIVATION) continue;
            if (u.first[root] == NONE) u.first[root] = i;
            u.last[root] = i;
        }
    }
    return u;
}

// Micro-batches of which a computation of the stage has left something that a later one reads.
static int held_at_once(const Program *p, const Plan *plan) {
    Uses u = find_uses(p, plan, true);
    int most = 0;
    for (int i = 0; i < plan->op_count; i++) {
        bool held[UNITS_MOST] = {false};
        int count = 0;
        for (int t = 0; t < p->tensor_count; t++)
            if (u.first[t] != NONE && u.first[t] <= i && i <= u.last[t] && u.first[t] != u.last[t])
                held[p->tensors[t].micro_batch] = true;
        for (int m = 0; m < UNITS_MOST; m++) count += held[m];
        if (count > most) most = count;
    }
    return most;
}

static void use(Uses *u, int tensor, int from, int to) {
    if (u->first[tensor] == NONE || from < u->first[tensor]) u->first[tensor] = from;
    if (to > u->last[tensor]) u->last[tensor] = to;
}

// A message may come as soon as the operation that it waits for has ended, and leave until another
// operation waits for it.
static void stretch_messages(Uses *u, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Work *w = op_work(p, op);
        int from = 0, to = plan->op_count;
        if (!work_is_message(w)) continue;
        for (int d = 0; d < op->dep_count; d++) {
            const Dep *dep = &plan->deps[op->dep_first + d];
            if (!dep->distance && dep->op >= from) from = dep->op + 1;
        }
        for (int k = i + 1; k < to; k++)
            for (int d = 0; d < plan->ops[k].dep_count; d++) {
                const Dep *dep = &plan->deps[plan->ops[k].dep_first + d];
                if (!dep->distance && dep->op == i && k < to) to = k;
            }
        int tensor =
            program_root(p, *(work_is_send(w) ? op_inputs(plan, op) : op_outputs(plan, op)));
        if (p->tensors[tensor].role != ROLE_ACTIVATION) continue;
        use(u, tensor, work_is_send(w) ? i : from, work_is_send(w) ? to - 1 : i);
    }
}

// The most bytes that are in use at once, at any operation.
static int64_t used_at_once(const Program *p, const Plan *plan) {
    Uses u = find_uses(p, plan, false);
    int64_t most = 0;
    stretch_messages(&u, p, plan);
    for (int i = 0; i < plan->op_count; i++) {
        int64_t bytes = 0;
        for (int t = 0; t < p->tensor_count; t++)
            if (u.first[t] != NONE && u.first[t] <= i && i <= u.last[t])
                bytes += p->tensors[t].bytes;
        if (bytes > most) most = bytes;
    }
    return most;
}

static int64_t allocated(const Program *p) {
    int64_t bytes = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++) bytes += p->role_bytes[pool][ROLE_ACTIVATION];
    return bytes;
}

static const Plan *step_of(const Program *p) {
    return &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
}

static int least(int a, int b) { return a < b ? a : b; }

START_TEST(a_stage_holds_as_many_micro_batches_as_its_schedule_says) {
    for (int p = 2; p <= 4; p++)
        for (int m = p; m <= 2 * p + 1; m += p + 1)
            for (int k = SCHEDULE_GPIPE; k <= SCHEDULE_1F1B; k++) {
                const PipelineShape shape = {(ScheduleKind)k, p, 1, m};
                const PipelineCosts one = {1, 1, 1, 0};
                PipelineSchedule schedule;
                PipelineTimes t;
                ProgramSet set;
                ck_assert_ok(pipeline_schedule_create(&schedule, &arena, &shape));
                ck_assert_ok(pipeline_schedule_time(&t, &schedule, &one));
                make_programs(&set, &shape);
                for (int s = 0; s < p; s++) {
                    int is = held_at_once(&set.programs[s], step_of(&set.programs[s]));
                    ck_assert_int_eq(is, k == SCHEDULE_GPIPE ? m : least(m, p - s));
                    ck_assert_int_eq(is, t.peak[s]);
                }
                program_set_finish(&set);
            }
    arena_finish(&arena);
}
END_TEST

// With messages in flight, and but for gaps of first fit (core/plan/region.c) nothing besides.
START_TEST(memory_is_what_is_in_use_at_once) {
    for (int k = SCHEDULE_GPIPE; k <= SCHEDULE_ZERO_BUBBLE; k++) {
        const PipelineShape shape = {(ScheduleKind)k, 4, k == SCHEDULE_INTERLEAVED ? 2 : 1, 8};
        ProgramSet set;
        make_programs(&set, &shape);
        for (int s = 0; s < 4; s++) {
            const Program *p = &set.programs[s];
            int64_t gaps = (k == SCHEDULE_INTERLEAVED ? 2 : 1) * ROW_BYTES;
            int64_t used = used_at_once(p, step_of(p)), has = allocated(p);
            ck_assert_msg(has >= used && has <= used + gaps,
                          "schedule %d, stage %d: %lld bytes in use at once, %lld allocated", k, s,
                          (long long)used, (long long)has);
        }
        program_set_finish(&set);
    }
    arena_finish(&arena);
}
END_TEST

// 16 micro-batches of the same rows as 8 need more memory with GPipe alone: what is saved of 8.
START_TEST(only_gpipe_needs_memory_for_all_micro_batches) {
    for (int k = SCHEDULE_GPIPE; k <= SCHEDULE_ZERO_BUBBLE; k++) {
        int64_t bytes[2][4];
        for (int i = 0; i < 2; i++) {
            const PipelineShape shape = {(ScheduleKind)k, 4, k == SCHEDULE_INTERLEAVED ? 2 : 1,
                                         8 << i};
            ProgramSet set;
            make_programs(&set, &shape);
            for (int s = 0; s < 4; s++) bytes[i][s] = allocated(&set.programs[s]);
            program_set_finish(&set);
        }
        for (int s = 0; s < 4; s++) {
            int saved = s == 3 ? 3 : 2;  // inputs of two layers; the last has probabilities, too
            int64_t more = k == SCHEDULE_GPIPE ? 8 * saved * ROW_BYTES : 0;
            int64_t gap = k > SCHEDULE_1F1B ? ROW_BYTES : 0;
            ck_assert_int_ge(bytes[1][s], bytes[0][s] + more);
            ck_assert_int_le(bytes[1][s], bytes[0][s] + more + gap);
        }
    }
    arena_finish(&arena);
}
END_TEST

SUITE("stage_memory", a_stage_holds_as_many_micro_batches_as_its_schedule_says,
      memory_is_what_is_in_use_at_once, only_gpipe_needs_memory_for_all_micro_batches)
