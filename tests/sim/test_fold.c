// SPDX-License-Identifier: MIT
// Folding: which ranks are alike, by hand; and that one of each colour, simulated, does what every
// rank of that colour does when all are, to the picosecond, for every strategy.
#include "core/platform/machine.h"
#include "core/report/report_alike.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "sim/predict.h"
#include "tests/support/mesh_job.h"
#include "tests/support/plan_maker.h"
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

enum { RANKS_MOST = 64, CLASSES_MOST = 64, STEPS = 2 };

static Arena arena;  // finished by each test

// A job, simulated twice.
typedef struct {
    ProgramSet set;
    int plan, ranks;
    Costs costs[CLASSES_MOST];
    const Costs *cost_of[RANKS_MOST];
    Machine machine;
    TopologyOptions topology;
    const TopologyOptions *network;  // NULL: communication takes a cost of its own
    Timeline all[RANKS_MOST], one[RANKS_MOST];
} Simulated;

// Costs that differ from one kind of work and one class to the next, so that nobody arrives where
// others do by chance. On a network computation takes about as long as what is sent.
static void give_costs(Simulated *x, int class) {
    const Program *p = &x->set.programs[class];
    Costs *c = &x->costs[class];
    ck_assert_ok(costs_init(c, &arena, p));
    for (int i = 0; i < p->plans[x->plan].op_count; i++) {
        const Work *w = op_work(p, &p->plans[x->plan].ops[i]);
        int64_t ps = 1000 + (int64_t)(w->cost_key % 7919) + class;
        if (work_communicates(w)) ps = x->network ? 0 : 5000 + w->payload_bytes / 3;
        c->ops[x->plan][i] = (OpCost){x->network ? 1000 * ps : ps, SOURCE_REPLAYED, true};
    }
}

static void run(Simulated *x, Timeline *lines, const Fold *fold) {
    Timeline *line_of[RANKS_MOST];
    const SimulateOptions o = {
        .costs = x->cost_of, .plan = x->plan, .ranks = x->ranks, .steps = STEPS, .fold = fold};
    for (int i = 0; i < fold_count(fold, x->ranks); i++) {
        int rank = fold_rank(fold, i), ops = x->cost_of[rank]->program->plans[x->plan].op_count;
        ck_assert_ok(timeline_create(&lines[i], rank, STEPS, STEPS * ops + 1));
        line_of[i] = &lines[i];
    }
    ck_assert_ok(simulate_devices(line_of, &o, x->network));
}

// What ends at one instant may be recorded in any order.
static const Span *find_span(const Timeline *t, int step, int op) {
    for (int i = 0; i < t->steps[step].span_count; i++)
        if (t->spans[t->steps[step].span_first + i].op == op)
            return &t->spans[t->steps[step].span_first + i];
    ck_abort_msg("no span of operation %d in step %d", op, step);
    return NULL;
}

static void check_equal(const Timeline *all, const Timeline *one) {
    ck_assert_int_eq(all->span_count, one->span_count);
    ck_assert_int_eq(all->step_count, one->step_count);
    for (int i = 0; i < all->step_count; i++) {
        ck_assert_int_eq(all->steps[i].start_ps, one->steps[i].start_ps);
        ck_assert_int_eq(all->steps[i].end_ps, one->steps[i].end_ps);
    }
    for (int i = 0; i < all->span_count; i++) {
        const Span *a = &all->spans[i], *b = find_span(one, i / (all->span_count / STEPS), a->op);
        ck_assert_int_eq(a->start_ps, b->start_ps);
        ck_assert_int_eq(a->end_ps, b->end_ps);
        ck_assert_int_eq(a->wait_ns, b->wait_ns);
        ck_assert_int_eq(a->issue_ps, b->issue_ps);
    }
}

static void report_of(Report *out, Simulated *x, Timeline *lines, const Fold *fold) {
    const Timeline *line_of[RANKS_MOST];
    const Program *programs[RANKS_MOST];
    for (int i = 0; i < fold_count(fold, x->ranks); i++) {
        line_of[i] = &lines[i];
        programs[i] = x->cost_of[fold_rank(fold, i)]->program;
        for (int k = 0; k < STEPS; k++) lines[i].steps[k].rows = 1;
    }
    const ReportTimelines of = {programs,
                                line_of,
                                fold_count(fold, x->ranks),
                                x->ranks,
                                fold ? fold->multiplicities : NULL,
                                fold ? fold->colours : NULL};
    ck_assert_ok(report_from_alike(out, &arena, &of));
}

static void check_near(double a, double b) {
    if (isnan(a) && isnan(b)) return;
    ck_assert_msg(fabs(a - b) <= 1e-12 * fabs(a), "%.17g and %.17g", a, b);
}

static void check_reports_equal(Simulated *x, const Fold *fold) {
    Report all, one;
    report_of(&all, x, x->all, NULL);
    report_of(&one, x, x->one, fold);
    ck_assert_int_eq(one.run.ranks, x->ranks);
    check_near(all.step_ms.median, one.step_ms.median);
    for (int b = 0; b < TIME_COUNT; b++) check_near(all.breakdown_ms[b], one.breakdown_ms[b]);
    ck_assert_int_eq(all.operation_count, one.operation_count);
    for (int i = 0; i < all.operation_count; i++) {
        const OperationTimes *a = &all.operations[i], *b = &one.operations[i];
        ck_assert_str_eq(a->name, b->name);
        ck_assert_int_eq(a->ranks, b->ranks);
        check_near(a->duration_ms.median, b->duration_ms.median);
        check_near(a->wait_ms, b->wait_ms);
        check_near(a->start_ms, b->start_ms);
    }
    for (int r = 0; r < x->ranks; r++) {
        ck_assert_int_eq(all.comm_bytes[r], one.comm_bytes[r]);
        ck_assert(!memcmp(&all.memory[r], &one.memory[r], sizeof *all.memory));
    }
}

static void check_simulated(Simulated *x, const Fold *fold) {
    for (int c = 0; c < x->set.count; c++) give_costs(x, c);
    run(x, x->all, NULL);
    run(x, x->one, fold);
    for (int r = 0; r < x->ranks; r++) check_equal(&x->all[r], &x->one[fold_index(fold, r)]);
    check_reports_equal(x, fold);
    for (int r = 0; r < x->ranks; r++) timeline_destroy(&x->all[r]);
    for (int i = 0; i < fold->count; i++) timeline_destroy(&x->one[i]);
}

static void place(Simulated *x, int per_node) {
    ck_assert_ok(machine_read(&x->machine, &arena, "dgx-a100"));
    x->topology = (TopologyOptions){.nodes = (x->ranks + per_node - 1) / per_node,
                                    .devices_per_node = per_node,
                                    .link = x->machine.link,
                                    .rail = x->machine.rail,
                                    .pricing = {.constants = &x->machine.collectives}};
}

// How many ranks are simulated instead of all: with costs for communication, and with prices on a
// network of nodes of so many devices.
static int check_folded(const SimJob *job, int per_node) {
    static Simulated x;
    Fold fold;
    int multiplicity = 0;
    x.ranks = job->spec.ranks;
    ck_assert_ok(sim_job_lowered(&x.set, &arena, job));
    ck_assert_int_le(x.set.count, CLASSES_MOST);
    x.plan = program_find_when(&x.set.programs[0], WHEN_EACH_STEP, 0);
    for (int r = 0; r < x.ranks; r++) x.cost_of[r] = &x.costs[program_set_class(&x.set, r)];
    for (int c = 0; c < x.set.count; c++) x.costs[c].program = &x.set.programs[c];
    ck_assert_ok(fold_init(&fold, &arena, &(FoldInput){x.cost_of, x.plan, x.ranks, per_node}));
    for (int i = 0; i < fold.count; i++) multiplicity += fold_multiplicity(&fold, i);
    ck_assert_int_eq(multiplicity, x.ranks);
    place(&x, per_node);
    for (int k = 0; k < 2; k++) {
        x.network = k ? &x.topology : NULL;
        check_simulated(&x, &fold);
    }
    program_set_finish(&x.set);
    return fold.count;
}

// --- strategies

START_TEST(data_parallel_ranks_are_one) {
    for (int ranks = 4; ranks <= RANKS_MOST; ranks *= 4)
        for (int zero = 0; zero <= 3; zero++) {
            SimJob job = mesh_job("mlp:hidden=16,layers=2", (Mesh){.data = ranks});
            job.spec.strategy.zero = zero;
            ck_assert_int_eq(check_folded(&job, 8), 1);
            job.spec.micro_batches = 2;
            job.spec.strategy.no_overlap = true;
            ck_assert_int_eq(check_folded(&job, 8), 1);
            job.spec.dtype = DTYPE_BF16;  // of which copies are gathered
            ck_assert_int_eq(check_folded(&job, 8), 1);
            job.spec.strategy.no_overlap = false;
            ck_assert_int_eq(check_folded(&job, 8), 1);
        }
    arena_finish(&arena);
}
END_TEST

// One device has batch and weights; the others do all the same.
START_TEST(one_device_of_data_parallel_is_unlike_the_others) {
    SimJob job = mesh_job("mlp:hidden=16,layers=2", (Mesh){.data = 8});
    job.spec.strategy.data_parallel = true;
    ck_assert_int_eq(check_folded(&job, 8), 2);
    arena_finish(&arena);
}
END_TEST

START_TEST(tensor_and_context_parallel_ranks_are_one) {
    SimJob tensor = mesh_job(SMALL_GPT, (Mesh){.data = 4, .tensor = 4});
    ck_assert_int_eq(check_folded(&tensor, 8), 1);
    tensor.spec.strategy.sequence_parallel = true;
    ck_assert_int_eq(check_folded(&tensor, 8), 1);
    tensor.spec.mesh_order = "tensor,pipe,data,context";
    ck_assert_int_eq(check_folded(&tensor, 8), 1);
    SimJob context = mesh_job(SMALL_GPT, (Mesh){.data = 2, .context = 4});
    ck_assert_int_eq(check_folded(&context, 8), 1);
    context.spec.strategy.context = CONTEXT_ALL_TO_ALL;
    ck_assert_int_eq(check_folded(&context, 8), 1);
    SimJob both = mesh_job(SMALL_GPT, (Mesh){.data = 4, .context = 4, .tensor = 4});
    ck_assert_int_eq(check_folded(&both, 64), 1);
    arena_finish(&arena);
}
END_TEST

// A colour for each stage, whatever the schedule.
START_TEST(ranks_of_a_stage_are_one) {
    for (int k = 0; k <= SCHEDULE_ZERO_BUBBLE; k++) {
        SimJob job = mesh_job(SMALL_GPT, (Mesh){.pipe = 2, .data = 4, .tensor = 2});
        job.spec.strategy.schedule = (OptionForm){k, k == SCHEDULE_INTERLEAVED ? 2 : 0};
        ck_assert_int_eq(check_folded(&job, 4), 2);
        job.spec.mesh = (Mesh){.pipe = 4, .data = 2, .context = 2, .tensor = 4};
        job.spec.ranks = 64;
        job.spec.strategy.schedule.number = 0;
        if (k != SCHEDULE_INTERLEAVED) ck_assert_int_eq(check_folded(&job, 8), 4);
    }
    SimJob zero = mesh_job(SMALL_GPT, (Mesh){.pipe = 4, .data = 8, .tensor = 2});
    zero.spec.strategy.zero = 1;
    zero.spec.strategy.recompute = RECOMPUTE_FULL;
    ck_assert_int_eq(check_folded(&zero, 8), 4);
    zero.spec.dtype = DTYPE_BF16;
    ck_assert_int_eq(check_folded(&zero, 8), 4);
    arena_finish(&arena);
}
END_TEST

START_TEST(ranks_that_share_experts_are_one) {
    SimJob job = mesh_job("mixtral:layers=2,hidden=16", (Mesh){.data = 8});
    job.spec.strategy.experts = 4;
    ck_assert_int_eq(check_folded(&job, 8), 1);
    job.spec.strategy.experts = 2;
    ck_assert_int_eq(check_folded(&job, 4), 1);
    arena_finish(&arena);
}
END_TEST

START_TEST(stages_and_tensor_ranks_that_share_experts_are_one) {
    SimJob pipe = mesh_job("mixtral:layers=2,hidden=16", (Mesh){.pipe = 2, .data = 8});
    pipe.spec.strategy.experts = 4;
    ck_assert_int_eq(check_folded(&pipe, 8), 2);
    SimJob tensor = mesh_job("mixtral:layers=2,hidden=16", (Mesh){.data = 16, .tensor = 2});
    tensor.spec.strategy.experts = 4;
    ck_assert_int_eq(check_folded(&tensor, 8), 1);
    arena_finish(&arena);
}
END_TEST

// ZeRO beside each other axis; all 64 ranks.
START_TEST(ranks_that_share_weights_in_a_mesh_are_one) {
    for (int zero = 1; zero <= 3; zero++) {
        SimJob tensor = mesh_job(SMALL_GPT, (Mesh){.data = 16, .tensor = 4});
        tensor.spec.strategy.zero = zero;
        tensor.spec.strategy.sequence_parallel = true;
        ck_assert_int_eq(check_folded(&tensor, 8), 1);
        SimJob context = mesh_job(SMALL_GPT, (Mesh){.data = 32, .context = 2});
        context.spec.strategy.zero = zero;
        ck_assert_int_eq(check_folded(&context, 8), 1);
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(ranks_that_compress_gradients_are_one) {
    for (int k = 1; k <= COMPRESS_TOPK; k++) {
        SimJob job = mesh_job("mlp:hidden=16,layers=2", (Mesh){.data = 64});
        job.spec.strategy.compress = (OptionForm){k, 0};
        ck_assert_int_eq(check_folded(&job, 8), 1);
    }
    arena_finish(&arena);
}
END_TEST

// 12 ranks on nodes of 8: the tensor groups of two lie in a node, but data groups have four members
// on the first node and two on the second.
START_TEST(a_node_that_is_not_full_is_unlike_the_others) {
    SimJob job = mesh_job(SMALL_GPT, (Mesh){.data = 6, .tensor = 2});
    ck_assert_int_eq(check_folded(&job, 8), 2);
    ck_assert_int_eq(check_folded(&job, 6), 1);
    ck_assert_int_eq(check_folded(&job, 12), 1);
    arena_finish(&arena);
}
END_TEST

// --- predictions

static void predict(Prediction *out, const SimJob *job, const Machine *m, bool unfolded,
                    SimNetwork network) {
    const SimSetting setting = {
        .machine = m, .devices = true, .unfolded = unfolded, .network = network};
    ck_assert_ok(predict_job(out, &arena, job, &setting));
}

START_TEST(a_prediction_is_the_same_with_all_ranks_simulated) {
    Machine m;
    Prediction one, all;
    ck_assert_ok(machine_read(&m, &arena, "dgx-a100"));
    SimJob job = mesh_job(SMALL_GPT, (Mesh){.pipe = 2, .data = 4, .tensor = 4});
    predict(&one, &job, &m, false, SIM_NETWORK_AUTO);
    predict(&all, &job, &m, true, SIM_NETWORK_AUTO);
    ck_assert_int_eq(one.simulated, 2);
    ck_assert_ptr_null(one.not_folded);
    ck_assert_int_eq(all.simulated, 32);
    check_near(all.step_ms, one.step_ms);
    check_near(all.comm_ms, one.comm_ms);
    check_near(all.launch_ms, one.launch_ms);
    ck_assert_int_eq(all.comm_bytes, one.comm_bytes);
    ck_assert_uint_ne(one.inputs, 0);
    ck_assert_uint_eq(all.inputs, one.inputs);
    for (int b = 0; b < TIME_COUNT; b++)
        check_near(all.report.breakdown_ms[b], one.report.breakdown_ms[b]);
    arena_finish(&arena);
}
END_TEST

// What a port carries then differs from member to member.
START_TEST(collectives_that_go_message_by_message_are_not_folded) {
    Machine m;
    Prediction p;
    ck_assert_ok(machine_read(&m, &arena, "dgx-a100"));
    SimJob job = mesh_job("mlp:hidden=16,layers=2", (Mesh){.data = 4});
    predict(&p, &job, &m, false, SIM_NETWORK_FLOW);
    ck_assert_int_eq(p.simulated, 4);
    ck_assert_str_eq(p.not_folded, "collectives go message by message");
    arena_finish(&arena);
}
END_TEST

START_TEST(a_hundred_thousand_ranks_fold_as_soon_as_a_hundred) {
    Machine m;
    Prediction p;
    ck_assert_ok(machine_read(&m, &arena, "dgx-a100"));
    SimJob job = mesh_job(SMALL_GPT, (Mesh){.pipe = 4, .data = 6144, .tensor = 4});
    predict(&p, &job, &m, false, SIM_NETWORK_AUTO);
    ck_assert_int_eq(p.simulated, 4);
    ck_assert_int_eq(p.report.operations[0].ranks % (4 * 6144), 0);
    arena_finish(&arena);
}
END_TEST

// --- by hand

// 2 x 4 ranks with an all-reduce along the inner axis; rank 5 alone has other costs: its group
// differs from the other, and it from the others of its group.
START_TEST(who_has_other_costs_is_unlike_and_so_is_who_waits_for_it) {
    Program p = {0};
    Plan *plan;
    int group;
    Costs usual, slow;
    const Costs *cost_of[8];
    Fold f;
    ck_assert_ok(program_add_axis(&p, "tensor", 4, NULL));
    ck_assert_ok(program_add_axis(&p, "data", 2, NULL));
    ck_assert_ok(program_add_group(&p, "tensor", 1, &group));
    ck_assert_ok(program_add_lane(&p, "compute", LANE_COMPUTE, NONE, NULL));
    ck_assert_ok(program_add_lane(&p, "tensor", LANE_COMMUNICATION, group, NULL));
    ck_assert_ok(program_add_plan(&p, "step", &plan));
    make_tensor(&p, "g", ROLE_GRADIENT, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "sum", .kind = KIND_ALL_REDUCE, .lane = 1, .group = group},
            "g", "g");
    usual = slow = (Costs){.program = &p};
    for (int r = 0; r < 8; r++) cost_of[r] = r == 5 ? &slow : &usual;
    ck_assert_ok(fold_init(&f, &arena, &(FoldInput){cost_of, 0, 8, 0}));
    static const int32_t colours[] = {0, 0, 0, 0, 1, 2, 1, 1};
    ck_assert_int_eq(f.count, 3);
    for (int r = 0; r < 8; r++) ck_assert_int_eq(f.colours[r], colours[r]);
    ck_assert_int_eq(f.representatives[1], 4);
    ck_assert_int_eq(f.multiplicities[1], 3);
    ck_assert_int_eq(fold_members(&f, 0, group).count, 1);
    for (int c = 1; c < 3; c++) {
        ck_assert_int_eq(fold_members(&f, c, group).count, 2);
        ck_assert_int_eq(fold_members(&f, c, group).colours[0], 1);
        ck_assert_int_eq(fold_members(&f, c, group).colours[1], 2);
    }
    program_finish(&p);
    arena_finish(&arena);
}
END_TEST

// Groups of three on nodes of four: one lies in a node, one has one member on the first of two
// nodes, one has two there.
START_TEST(groups_that_lie_on_nodes_in_other_ways_are_unlike) {
    Program p = {0};
    Plan *plan;
    int group;
    Costs usual;
    const Costs *cost_of[9];
    Fold f;
    ck_assert_ok(program_add_axis(&p, "tensor", 3, NULL));
    ck_assert_ok(program_add_axis(&p, "data", 3, NULL));
    ck_assert_ok(program_add_group(&p, "tensor", 1, &group));
    ck_assert_ok(program_add_lane(&p, "tensor", LANE_COMMUNICATION, group, NULL));
    ck_assert_ok(program_add_plan(&p, "step", &plan));
    make_tensor(&p, "g", ROLE_GRADIENT, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "sum", .kind = KIND_ALL_REDUCE, .group = group}, "g", "g");
    usual = (Costs){.program = &p};
    for (int r = 0; r < 9; r++) cost_of[r] = &usual;
    ck_assert_ok(fold_init(&f, &arena, &(FoldInput){cost_of, 0, 9, 4}));
    static const int32_t colours[] = {0, 0, 0, 1, 2, 2, 3, 3, 4};
    for (int r = 0; r < 9; r++) ck_assert_int_eq(f.colours[r], colours[r]);
    program_finish(&p);
    arena_finish(&arena);
}
END_TEST

// Around a ring rank 2 has other costs: its neighbours differ by the side on which it is, and the
// rank across from it from both.
START_TEST(who_has_messages_with_others_is_unlike) {
    Program p = {0};
    Plan *plan = make_program(&p, 4);
    Costs usual, slow;
    const Costs *cost_of[4];
    Fold f;
    make_tensor(&p, "x", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "to", .kind = KIND_SEND, .lane = 2, .peer = 1}, "", "x");
    make_op(&p, plan, (OpSpec){.name = "from", .kind = KIND_RECEIVE, .lane = 2, .peer = -1}, "y",
            "");
    usual = slow = (Costs){.program = &p};
    for (int r = 0; r < 4; r++) cost_of[r] = r == 2 ? &slow : &usual;
    ck_assert_ok(fold_init(&f, &arena, &(FoldInput){cost_of, 0, 4, 0}));
    ck_assert_int_eq(f.count, 4);
    cost_of[2] = &usual;
    ck_assert_ok(fold_init(&f, &arena, &(FoldInput){cost_of, 0, 4, 0}));
    ck_assert_int_eq(f.count, 1);
    ck_assert_ok(fold_init(&f, &arena, &(FoldInput){cost_of, 0, 4, 2}));
    ck_assert_int_eq(f.count, 2);  // one sends to the other node, one receives from there
    program_finish(&p);
    arena_finish(&arena);
}
END_TEST

SUITE("fold", a_prediction_is_the_same_with_all_ranks_simulated,
      collectives_that_go_message_by_message_are_not_folded,
      a_hundred_thousand_ranks_fold_as_soon_as_a_hundred,
      groups_that_lie_on_nodes_in_other_ways_are_unlike, who_has_messages_with_others_is_unlike,
      data_parallel_ranks_are_one, one_device_of_data_parallel_is_unlike_the_others,
      tensor_and_context_parallel_ranks_are_one, ranks_of_a_stage_are_one,
      ranks_that_share_experts_are_one, stages_and_tensor_ranks_that_share_experts_are_one,
      ranks_that_share_weights_in_a_mesh_are_one, ranks_that_compress_gradients_are_one,
      a_node_that_is_not_full_is_unlike_the_others,
      who_has_other_costs_is_unlike_and_so_is_who_waits_for_it)
