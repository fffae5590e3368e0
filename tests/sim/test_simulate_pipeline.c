// SPDX-License-Identifier: MIT
// Pipelines: ranks of different classes, each with a program of its own, in both simulators. With
// equal stages and a network that takes no time, a step of P stages and M micro-batches takes
// (M + P - 1) (tf + tb), by either schedule (Narayanan et al., "Efficient large-scale language
// model training on GPU clusters using Megatron-LM", SC 2021, section 2.2).
#include "sim/simulate.h"
#include "tests/support/plan_maker.h"

#include <stdlib.h>

enum { STAGES = 4, MICRO_BATCHES = 8, TF = 1000, TB = 2000 };
enum { COMPUTE, DOWN_IN, DOWN_OUT, UP_IN, UP_OUT };  // lanes
typedef enum { GPIPE, ONE_F_ONE_B } Schedule;

typedef struct {
    Program stages[STAGES];
    Costs costs[STAGES];
    const Costs *cost_of[STAGES];
    Timeline lines[STAGES], *line_of[STAGES];
    Arena arena;
    int count, micro_batches;
} Pipeline;

static void name_of(char out[16], const char *what, int m) {
    out[0] = '\0';
    if (*what) snprintf(out, 16, "%s%d", what, m);
}

// "what<m>": a work on a lane from one tensor of the micro-batch to another; "" for none.
static void add(Program *p, const char *what, Kind kind, int lane, int m, const char *output,
                const char *input) {
    char name[16], out[16], in[16];
    int64_t tag = 0;
    name_of(name, what, m);
    name_of(out, output, m);
    name_of(in, input, m);
    OpSpec s = {.name = name, .kind = kind, .lane = lane, .micro_batch = m, .attrs = &tag};
    if (kind == KIND_SEND) s.peer = lane == DOWN_OUT ? 1 : -1;
    if (kind == KIND_RECEIVE) s.peer = lane == DOWN_IN ? -1 : 1;
    make_op(p, &p->plans[0], s, out, in);
}

static void add_forward(Program *p, int stage, int stages, int m) {
    if (stage > 0) add(p, "take", KIND_RECEIVE, DOWN_IN, m, "x", "");
    add(p, "forward", KIND_RELU, COMPUTE, m, "y", "x");
    if (stage + 1 < stages) add(p, "give", KIND_SEND, DOWN_OUT, m, "", "y");
}

static void add_backward(Program *p, int stage, int stages, int m) {
    if (stage + 1 < stages) add(p, "take_back", KIND_RECEIVE, UP_IN, m, "g", "");
    add(p, "backward", KIND_RELU, COMPUTE, m, "d", stage + 1 < stages ? "g" : "y");
    if (stage > 0) add(p, "give_back", KIND_SEND, UP_OUT, m, "", "d");
}

static void make_stage(Program *p, int stage, int stages, int micro_batches, Schedule schedule,
                       bool shares) {
    static const char *const lanes[] = {"compute", "down_in", "down_out", "up_in", "up_out"};
    int group, warm = schedule == GPIPE ? micro_batches : stages - 1 - stage;
    if (warm > micro_batches) warm = micro_batches;
    ck_assert_ok(program_add_axis(p, "pipe", stages, NULL));
    ck_assert_ok(program_add_group(p, "pipe", 1, &group));
    for (int i = 0; i < 5; i++)
        ck_assert_ok(program_add_lane(p, lanes[i], i ? LANE_COMMUNICATION : LANE_COMPUTE,
                                      i ? group : NONE, NULL));
    ck_assert_ok(program_add_plan(p, "step", NULL));
    for (int m = 0; m < micro_batches; m++)
        for (const char *c = "xygd"; *c; c++) {
            char name[16];
            name_of(name, (char[]){*c, '\0'}, m);
            make_tensor(p, name, *c == 'x' && stage == 0 ? ROLE_PARAMETER : ROLE_ACTIVATION,
                        PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        }
    for (int m = 0; m < warm; m++) add_forward(p, stage, stages, m);
    for (int m = warm; m < micro_batches; m++) {
        add_forward(p, stage, stages, m);
        add_backward(p, stage, stages, m - warm);
    }
    for (int m = micro_batches - warm; m < micro_batches; m++) add_backward(p, stage, stages, m);
    if (shares)  // on a lane on which the stages have had different numbers of messages
        make_op(p, &p->plans[0],
                (OpSpec){.name = "share",
                         .kind = KIND_BROADCAST,
                         .lane = DOWN_OUT,
                         .peer = stages - 1,
                         .micro_batch = micro_batches},
                "x0", "x0");
    ck_assert_ok(plan_derive_deps(p, &p->plans[0]));
}

static Pipeline *pipeline_create(int stages, int micro_batches, Schedule schedule, bool shares) {
    Pipeline *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    s->count = stages;
    s->micro_batches = micro_batches;
    for (int r = 0; r < stages; r++) {
        Program *p = &s->stages[r];
        make_stage(p, r, stages, micro_batches, schedule, shares);
        ck_assert_ok(costs_init(&s->costs[r], &s->arena, p));
        costs_of_network(&s->costs[r]);
        for (int i = 0; i < p->plans[0].op_count; i++)
            if (!op_communicates(p, &p->plans[0].ops[i]))
                s->costs[r].ops[0][i] = (OpCost){
                    op_name(p, &p->plans[0].ops[i])[0] == 'f' ? TF : TB, SOURCE_REPLAYED, true};
        ck_assert_ok(timeline_create(&s->lines[r], r, 2, 2 * p->plans[0].op_count + 1));
        s->cost_of[r] = &s->costs[r];
        s->line_of[r] = &s->lines[r];
    }
    return s;
}

static void pipeline_destroy(Pipeline *s) {
    for (int r = 0; r < s->count; r++) {
        timeline_destroy(&s->lines[r]);
        program_finish(&s->stages[r]);
    }
    arena_finish(&s->arena);
    free(s);
}

// Until the last stage's gradients have come back to the first.
static void check_step(const Pipeline *s) {
    int64_t want = (int64_t)(s->micro_batches + s->count - 1) * (TF + TB), last = 0;
    for (int r = 0; r < s->count; r++) {
        ck_assert_int_eq(s->lines[r].step_count, 1);
        ck_assert_int_eq(s->lines[r].span_count, s->stages[r].plans[0].op_count);
        if (s->lines[r].steps[0].end_ps > last) last = s->lines[r].steps[0].end_ps;
    }
    ck_assert_int_eq(last, want);
}

START_TEST(both_schedules_take_the_same_on_devices) {
    for (int stages = 1; stages <= STAGES; stages++)
        for (int m = 1; m <= MICRO_BATCHES; m++)
            for (int schedule = 0; schedule < 2; schedule++) {
                Pipeline *s = pipeline_create(stages, m, (Schedule)schedule, false);
                const SimulateOptions o = {.costs = s->cost_of, .ranks = stages};
                ck_assert_ok(simulate_devices(s->line_of, &o, NULL));
                check_step(s);
                pipeline_destroy(s);
            }
}
END_TEST

START_TEST(both_schedules_take_the_same_on_the_cores_of_a_host) {
    for (int stages = 1; stages <= STAGES; stages++)
        for (int m = 1; m <= MICRO_BATCHES; m++)
            for (int schedule = 0; schedule < 2; schedule++) {
                Pipeline *s = pipeline_create(stages, m, (Schedule)schedule, false);
                const HostModel host = {.cores = stages, .spin_ps = INT64_MAX};
                const SimulateOptions o = {.costs = s->cost_of, .ranks = stages};
                ck_assert_ok(simulate_host(s->line_of, &o, &host));
                check_step(s);
                pipeline_destroy(s);
            }
}
END_TEST

// Collectives of a lane are counted apart from its messages, of which each stage has others.
START_TEST(a_collective_on_a_lane_of_messages_meets_its_members_in_every_step) {
    for (int host = 0; host < 2; host++) {
        Pipeline *s = pipeline_create(STAGES, 4, ONE_F_ONE_B, true);
        const HostModel cores = {.cores = STAGES, .spin_ps = INT64_MAX};
        const SimulateOptions o = {.costs = s->cost_of, .ranks = STAGES, .steps = 2};
        ck_assert_ok(host ? simulate_host(s->line_of, &o, &cores)
                          : simulate_devices(s->line_of, &o, NULL));
        for (int r = 0; r < STAGES; r++) ck_assert_int_eq(s->lines[r].step_count, 2);
        pipeline_destroy(s);
    }
}
END_TEST

// A message of 16 bytes takes 16 ns and twice 1 ns. With 2 stages, 1 micro-batch: down, and up.
START_TEST(messages_between_stages_take_their_time_on_the_network) {
    Pipeline *s = pipeline_create(2, 1, GPIPE, false);
    const TopologyOptions network = {1, 2, {INT64_C(1000000000), 1000}, {0, 0}, false};
    const SimulateOptions o = {.costs = s->cost_of, .ranks = 2};
    ck_assert_ok(simulate_devices(s->line_of, &o, &network));
    ck_assert_int_eq(s->lines[0].steps[0].end_ps, 2 * (TF + TB) + 2 * (16000 + 2000));
    ck_assert_int_eq(s->lines[1].spans[0].wait_ns, TF / 1000);  // `take` waits for `give`
    pipeline_destroy(s);
}
END_TEST

// At NCCL's price: a send with LL on NVLink takes 6.6 + 0.6 us and 16 bytes at half the bus.
START_TEST(messages_between_stages_take_the_price_of_a_send) {
    Pipeline *s = pipeline_create(2, 1, GPIPE, false);
    Machine machine;
    NcclPrice price;
    ck_assert_ok(machine_read(&machine, &s->arena, "dgx-h100"));
    const TopologyOptions network = {.nodes = 1,
                                     .devices_per_node = 8,
                                     .link = machine.link,
                                     .pricing = {.constants = &machine.collectives}};
    const SimulateOptions o = {.costs = s->cost_of, .ranks = 2};
    ck_assert_ok(simulate_devices(s->line_of, &o, &network));
    ck_assert_ok(nccl_price_message(&price, &(NcclMemo){0}, &machine.collectives, 16, false));
    ck_assert_int_eq(price.latency_ps, 7200000);
    ck_assert_int_eq(s->lines[0].steps[0].end_ps, 2 * (TF + TB) + 2 * price.time_ps);
    pipeline_destroy(s);
}
END_TEST

// A stage that sends less than the next expects to receive never ends: who waits is told.
START_TEST(a_stage_that_sends_too_little_is_a_deadlock) {
    Pipeline *s = pipeline_create(2, 1, GPIPE, false),
             *longer = pipeline_create(2, 2, GPIPE, false);
    s->cost_of[1] = longer->cost_of[1];
    s->line_of[1] = longer->line_of[1];
    const SimulateOptions o = {.costs = s->cost_of, .ranks = 2};
    ck_assert_fails(simulate_devices(s->line_of, &o, NULL), ERR_FAILED,
                    "rank 1 waits at take1 for rank 0");
    pipeline_destroy(s);
    pipeline_destroy(longer);
}
END_TEST

SUITE("simulate_pipeline", both_schedules_take_the_same_on_devices,
      both_schedules_take_the_same_on_the_cores_of_a_host,
      a_collective_on_a_lane_of_messages_meets_its_members_in_every_step,
      messages_between_stages_take_their_time_on_the_network,
      messages_between_stages_take_the_price_of_a_send, a_stage_that_sends_too_little_is_a_deadlock)
