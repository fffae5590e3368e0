// SPDX-License-Identifier: MIT
// Memory that tensors share one after the other: nobody overwrites what is still read, and nothing
// that could be executed before lowering waits for anything more after it.
#include "core/plan/check.h"
#include "core/plan/lower.h"
#include "tests/support/adversary.h"
#include "tests/support/plan_maker.h"

#include <stdlib.h>

static const DeviceTraits plain = {.name = "plain"};

static void make_buffer(Program *p, const char *name, int elements) {
    make_tensor(p, name, ROLE_BUFFER, PLACEMENT_SUM, SHAPE(elements), DTYPE_F32);
}

static int make_fold(Program *p, Plan *plan, const char *name, const char *y, const char *x) {
    return make_op(p, plan, (OpSpec){.name = name, .kind = KIND_FOLD}, y, x);
}

// A send to the next rank or a receive from the one before, around the ring of group 0.
static int make_message(Program *p, Plan *plan, const char *name, Kind kind, int lane, int tag,
                        const char *tensor) {
    int64_t attrs[1] = {tag};
    return make_op(p, plan,
                   (OpSpec){.name = name,
                            .kind = kind,
                            .lane = lane,
                            .peer = kind == KIND_SEND ? 1 : -1,
                            .attrs = attrs},
                   kind == KIND_SEND ? "" : tensor, kind == KIND_SEND ? tensor : "");
}

static int64_t end_of(const Program *p, int tensor) {
    return p->tensors[tensor].offset + p->tensors[tensor].bytes;
}

static bool share(const Program *p, const char *a, const char *b) {
    int i = program_find_tensor(p, a), j = program_find_tensor(p, b);
    return p->tensors[i].pool == p->tensors[j].pool && p->tensors[i].offset < end_of(p, j) &&
           p->tensors[j].offset < end_of(p, i);
}

// reach[a * op_count + b]: does operation b begin only after a has ended? By brute force.
static uint8_t *find_reach(const Plan *plan, Arena *a) {
    int n = plan->op_count;
    uint8_t *reach = ARENA_NEW(a, uint8_t, n * n);
    for (int b = 0; b < n; b++) {
        for (int i = 0; i < b; i++)
            if (plan->ops[i].lane == plan->ops[b].lane) reach[i * n + b] = 1;
        for (int d = 0; d < plan->ops[b].dep_count; d++) {
            const Dep *dep = &plan->deps[plan->ops[b].dep_first + d];
            if (dep->distance == 0) reach[dep->op * n + b] = 1;
        }
    }
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++)
            for (int j = 0; reach[i * n + k] && j < n; j++) reach[i * n + j] |= reach[k * n + j];
    return reach;
}

// Run what lower() made of a program under many adversaries, each step by itself and overlapping.
static void check_executions(Adversary *a, const Program *lowered, int runs) {
    for (int seed = 0; seed < runs; seed++) {
        const char *wrong = adversary_run(a, lowered, false, seed % 2, (uint64_t)seed);
        ck_assert_msg(!wrong, "seed %d: %s", seed, wrong);
    }
}

// --- neighbours

// Send what was computed to the next rank, receive from the one before, on two lanes. Where the
// received tensor took the memory of the one that is sent, each rank's receive would wait for its
// send, which waits for the receive of the next.
static void check_ring(int ranks) {
    Program p = {0};
    Adversary a;
    Plan *plan = make_program(&p, ranks);
    int lane;
    ck_assert_ok(program_add_lane(&p, "receive", LANE_COMMUNICATION, 0, &lane));
    make_tensor(&p, "w", ROLE_OPTIMISER, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
    make_buffer(&p, "mine", 64);
    make_buffer(&p, "got", 64);
    make_fold(&p, plan, "make", "mine", "w");
    int send = make_message(&p, plan, "send", KIND_SEND, 2, 0, "mine");
    int receive = make_message(&p, plan, "receive", KIND_RECEIVE, lane, 0, "got");
    make_fold(&p, plan, "use", "w", "got");
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert(adversary_init(&a, &p, 2));
    ck_assert_ok(program_lower(&p, &plain));
    ck_assert(!share(&p, "mine", "got"));
    ck_assert(!depends(plan, receive, send, 0));
    check_executions(&a, &p, 40);
    adversary_finish(&a);
    program_finish(&p);
}

START_TEST(a_receive_waits_for_no_send_whose_memory_it_could_have) {
    for (int ranks = 2; ranks <= 4; ranks++) check_ring(ranks);
}
END_TEST

// The last stage of a pipeline under 1F1B: activations come in, gradients go back, micro-batch
// after micro-batch. Where they shared memory, a receive waited for the send of the micro-batch
// before, and the next micro-batch was late by a message.
START_TEST(receives_of_a_pipeline_run_ahead_of_its_sends) {
    enum { MICRO_BATCHES = 6 };
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    Arena arena = {0};
    int lane, send[MICRO_BATCHES], receive[MICRO_BATCHES];
    ck_assert_ok(program_add_lane(&p, "receive", LANE_COMMUNICATION, 0, &lane));
    make_tensor(&p, "w", ROLE_PARAMETER, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
    for (int m = 0; m < MICRO_BATCHES; m++) {
        char in[8], out[8], both[16];
        snprintf(in, sizeof in, "x%d", m);
        snprintf(out, sizeof out, "dx%d", m);
        snprintf(both, sizeof both, "%s w", in);
        make_tensor(&p, in, ROLE_ACTIVATION, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
        make_tensor(&p, out, ROLE_ACTIVATION, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
        receive[m] = make_message(&p, plan, "receive", KIND_RECEIVE, lane, 0, in);
        make_fold(&p, plan, "compute", out, both);
        send[m] = make_message(&p, plan, "send", KIND_SEND, 2, 1, out);
    }
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_ok(program_lower(&p, &plain));
    const uint8_t *reach = find_reach(plan, &arena);
    for (int m = 0; m < MICRO_BATCHES; m++)
        for (int k = 0; k < MICRO_BATCHES; k++)
            ck_assert(!reach[send[k] * plan->op_count + receive[m]]);
    arena_finish(&arena);
    program_finish(&p);
}
END_TEST

// A strategy that wants two buffers says so, by an order of its own: then two it is.
START_TEST(a_receive_that_waits_for_the_one_before_last_takes_its_buffer) {
    enum { MICRO_BATCHES = 8 };
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    int use[MICRO_BATCHES];
    make_tensor(&p, "w", ROLE_OPTIMISER, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
    for (int m = 0; m < MICRO_BATCHES; m++) {
        char in[8];
        snprintf(in, sizeof in, "x%d", m);
        make_buffer(&p, in, 64);
        int receive = make_message(&p, plan, "receive", KIND_RECEIVE, 2, 0, in);
        if (m > 1) ck_assert_ok(plan_add_dep(plan, receive, use[m - 2], DEP_ORDER, 0));
        use[m] = make_fold(&p, plan, "use", "w", in);
    }
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_ok(program_lower(&p, &plain));
    ck_assert_int_eq(p.role_bytes[POOL_SHARED][ROLE_BUFFER], 2 * 256);
    program_finish(&p);
}
END_TEST

// The memory of a micro-batch's rows is taken over by the next one's: the load waits for those who
// read them, which holds up no communication that did not wait for them anyway.
START_TEST(a_load_waits_for_those_who_read_the_rows_before) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    int load[3], use[3];
    make_tensor(&p, "w", ROLE_OPTIMISER, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
    ck_assert_ok(program_add_scalar(&p, "first", DTYPE_I64, 1, NULL));
    for (int m = 0; m < 3; m++) {
        char x[8], labels[8], both[16];
        snprintf(x, sizeof x, "x%d", m);
        snprintf(labels, sizeof labels, "t%d", m);
        snprintf(both, sizeof both, "%s %s", x, labels);
        make_tensor(&p, x, ROLE_INPUT, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
        make_tensor(&p, labels, ROLE_INPUT, PLACEMENT_SUM, SHAPE(64), DTYPE_I32);
        load[m] = make_op(&p, plan, (OpSpec){.name = "load", .kind = KIND_LOAD, .lane = 1}, both,
                          "first");
        use[m] = make_fold(&p, plan, "use", "w", both);
    }
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert_ok(program_lower(&p, &plain));
    ck_assert_int_eq(p.role_bytes[POOL_LOCAL][ROLE_INPUT], 2 * 256);
    ck_assert(depends(plan, load[1], use[0], 0));
    ck_assert(depends(plan, load[0], use[2], 1));  // and the next step's first for this step's last
    program_finish(&p);
}
END_TEST

// x is sent when it was used, and a receive on another lane waits for a load that could have its
// memory: the load must not wait for the send then, because the peer sends only when it got x.
START_TEST(a_load_that_a_communication_waits_for_is_not_held_up) {
    Program p = {0};
    Adversary a;
    Plan *plan = make_program(&p, 2);
    int lane;
    ck_assert_ok(program_add_lane(&p, "receive", LANE_COMMUNICATION, 0, &lane));
    ck_assert_ok(program_add_scalar(&p, "first", DTYPE_I64, 1, NULL));
    make_tensor(&p, "w", ROLE_OPTIMISER, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
    for (int i = 0; i < 2; i++) {
        make_tensor(&p, i ? "x1" : "x0", ROLE_INPUT, PLACEMENT_SUM, SHAPE(64), DTYPE_F32);
        make_tensor(&p, i ? "t1" : "t0", ROLE_INPUT, PLACEMENT_SUM, SHAPE(64), DTYPE_I32);
    }
    make_buffer(&p, "got", 64);
    make_op(&p, plan, (OpSpec){.name = "load", .kind = KIND_LOAD, .lane = 1}, "x0 t0", "first");
    int send = make_message(&p, plan, "send", KIND_SEND, 2, 0, "x0");
    int load =
        make_op(&p, plan, (OpSpec){.name = "load", .kind = KIND_LOAD, .lane = 1}, "x1 t1", "first");
    int receive = make_message(&p, plan, "receive", KIND_RECEIVE, lane, 0, "got");
    ck_assert_ok(plan_add_dep(plan, receive, load, DEP_ORDER, 0));
    make_fold(&p, plan, "use", "w", "got x1");
    make_op(&p, plan, (OpSpec){.name = "sum", .kind = KIND_ALL_REDUCE, .lane = 2}, "x1", "x1");
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert(adversary_init(&a, &p, 2));
    ck_assert_ok(program_lower(&p, &plain));
    ck_assert(!depends(plan, load, send, 0));
    ck_assert(!share(&p, "x0", "x1"));
    check_executions(&a, &p, 40);
    adversary_finish(&a);
    program_finish(&p);
}
END_TEST

// Two linear layers whose activations are received: fused with relu, the first would wait for the
// receive that relu waits for, which comes only when the peer has what the first makes.
START_TEST(a_chain_begins_no_later_than_its_first_member) {
    Program p = {0};
    Adversary a;
    Plan *plan = make_program(&p, 2);
    int lane;
    ck_assert_ok(program_add_lane(&p, "receive", LANE_COMMUNICATION, 0, &lane));
    make_tensor(&p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4, 4), DTYPE_F32);
    make_tensor(&p, "x", ROLE_OPTIMISER, PLACEMENT_SHARD(0), SHAPE(4, 4), DTYPE_F32);
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_SHARD(0), SHAPE(4, 4), DTYPE_F32);
    make_tensor(&p, "z", ROLE_ACTIVATION, PLACEMENT_SHARD(0), SHAPE(4, 4), DTYPE_F32);
    make_buffer(&p, "mine", 16);
    make_buffer(&p, "got", 16);
    int receive = make_message(&p, plan, "receive", KIND_RECEIVE, lane, 0, "got");
    int linear = make_op(&p, plan, (OpSpec){.name = "linear", .kind = KIND_LINEAR}, "y", "x w");
    int relu = make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, "z", "y");
    int send = make_message(&p, plan, "send", KIND_SEND, 2, 0, "mine");
    make_fold(&p, plan, "make", "mine", "x");
    ck_assert_ok(plan_select(plan, (int[]){0, 4, 1, 2, 3}, (uint8_t[]){1, 1, 1, 1, 1}));
    ck_assert_ok(plan_add_dep(plan, relu + 1, receive, DEP_ORDER, 0));
    ck_assert_ok(plan_add_dep(plan, send + 1, linear + 1, DEP_ORDER, 0));
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert(adversary_init(&a, &p, 1));
    ck_assert_ok(program_lower(&p, &(DeviceTraits){.name = "fusing", .fusions = ~0u}));
    ck_assert_int_eq(plan->op_count, 5);  // nothing was fused
    check_executions(&a, &p, 10);
    adversary_finish(&a);
    program_finish(&p);
}
END_TEST

// --- any plan

enum { TENSORS = 14 };

typedef struct {
    Program p;
    Plan *plan;
    uint64_t random;
    int lanes[2];  // two more of communication
    bool written[TENSORS];
} Maker;

static int pick(Maker *m, int n) {
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (int)((m->random >> 33) % (uint64_t)n);
}

static void name_of(char out[8], int tensor) { snprintf(out, 8, "b%d", tensor); }

static int pick_written(Maker *m) {
    int t = pick(m, TENSORS);
    while (!m->written[t]) t = (t + 1) % TENSORS;
    return t;
}

// One operation: a computation on one of two lanes, a load, half of a message, or a collective.
static void make_any(Maker *m, int i, int *tag) {
    char y[8], x[8], z[8], all[32], name[16];
    int kind = pick(m, 10), t = pick(m, TENSORS);
    name_of(y, t);
    name_of(x, pick_written(m));
    name_of(z, pick_written(m));
    snprintf(all, sizeof all, "%s %s", x, z);
    snprintf(name, sizeof name, "op%d", i);
    if (kind < 5) {
        int flags = m->written[t] && pick(m, 4) == 0 ? OP_ACCUMULATE : 0;
        make_op(
            &m->p, m->plan,
            (OpSpec){.name = name, .kind = KIND_FOLD, .lane = pick(m, 4) ? 0 : 3, .flags = flags},
            y, all);
    } else if (kind == 5)
        make_op(&m->p, m->plan, (OpSpec){.name = name, .kind = KIND_LOAD, .lane = 1}, y, "first");
    else if (kind == 6)
        make_op(&m->p, m->plan, (OpSpec){.name = name, .kind = KIND_ALL_REDUCE, .lane = 2}, x, x);
    else if (*tag < 3) {
        bool sends = pick(m, 2);
        make_message(&m->p, m->plan, name, sends ? KIND_SEND : KIND_RECEIVE, m->lanes[!sends], *tag,
                     sends ? x : y);
        // The other half, some operations later or at once.
        char late[8];
        name_of(late, sends ? pick(m, TENSORS) : pick_written(m));
        make_message(&m->p, m->plan, name, sends ? KIND_RECEIVE : KIND_SEND, m->lanes[sends], *tag,
                     late);
        if (sends) m->written[atoi(late + 1)] = true;
        if (sends) t = -1;
        ++*tag;
    } else
        t = -1;
    if (t >= 0 && kind != 6) m->written[t] = true;
}

// A plan of some thirty operations on five lanes, whose tensors are of three sizes and two roles.
static void make_plan(Maker *m, int seed, int ranks) {
    int tag = 0;
    *m = (Maker){.random = (uint64_t)seed * 7919 + 17};
    m->plan = make_program(&m->p, ranks);
    ck_assert_ok(program_add_lane(&m->p, "side", LANE_COMPUTE, NONE, NULL));
    ck_assert_ok(program_add_lane(&m->p, "send", LANE_COMMUNICATION, 0, &m->lanes[0]));
    ck_assert_ok(program_add_lane(&m->p, "receive", LANE_COMMUNICATION, 0, &m->lanes[1]));
    ck_assert_ok(program_add_scalar(&m->p, "first", DTYPE_I64, 1, NULL));
    for (int t = 0; t < TENSORS; t++) {
        char name[8];
        name_of(name, t);
        make_tensor(&m->p, name,
                    t < 2   ? ROLE_OPTIMISER
                    : t % 3 ? ROLE_BUFFER
                            : ROLE_ACTIVATION,
                    PLACEMENT_SUM, SHAPE(16 * (1 + t % 3)), DTYPE_F32);
        m->written[t] = t < 2;
    }
    for (int i = 0; i < 24; i++) make_any(m, i, &tag);
    for (int k = 0; k < 3; k++) {  // orders that a strategy asks for
        int a = pick(m, m->plan->op_count), b = pick(m, m->plan->op_count);
        if (a < b) ck_assert_ok(plan_add_dep(m->plan, b, a, DEP_ORDER, 0));
    }
    ck_assert_ok(plan_derive_deps(&m->p, m->plan));
}

static bool is_load(const Program *p, const Plan *plan, int i) {
    return op_kind(p, &plan->ops[i]) == KIND_LOAD;
}

// Whatever waits for more than before waits for it through a load; no communication does.
static void check_nothing_added(const Maker *m, const uint8_t *before, Arena *a) {
    const Plan *plan = m->plan;
    const uint8_t *after = find_reach(plan, a);
    int n = plan->op_count;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            ck_assert_int_ge(after[i * n + j], before[i * n + j]);
            if (after[i * n + j] == before[i * n + j]) continue;
            ck_assert_msg(!op_communicates(&m->p, &plan->ops[j]), "%s waits for %s now",
                          op_name(&m->p, &plan->ops[j]), op_name(&m->p, &plan->ops[i]));
            bool through = is_load(&m->p, plan, j);
            for (int k = 0; k < n; k++)
                through =
                    through || (is_load(&m->p, plan, k) && after[i * n + k] && after[k * n + j]);
            ck_assert(through);
        }
}

static int reuse_deps(const Plan *plan) {
    int count = 0;
    for (int d = 0; d < plan->dep_count; d++) count += plan->deps[d].kind == DEP_REUSE;
    return count;
}

START_TEST(lowering_changes_nothing_that_can_be_executed) {
    int plans = 0, shared = 0, deadlocks = 0;
    for (int seed = 0; plans < 300; seed++) {
        Maker m;
        Adversary a;
        Arena arena = {0};
        make_plan(&m, seed, 2 + seed % 3);
        bool runs = adversary_init(&a, &m.p, 2);
        deadlocks += !runs;
        if (runs) {
            const uint8_t *before = find_reach(m.plan, &arena);
            // Data dependencies alone keep overlapping steps apart.
            for (int i = 0; i < 4; i++) {
                const char *wrong = adversary_run(&a, &m.p, true, true, (uint64_t)i);
                ck_assert_msg(!wrong, "plan %d: %s", seed, wrong);
            }
            int64_t bytes = m.p.tensor_bytes;
            ck_assert_ok(program_lower(&m.p, &plain));
            check_nothing_added(&m, before, &arena);
            for (int i = 0; i < 12; i++) {
                const char *wrong = adversary_run(&a, &m.p, false, i % 2, (uint64_t)i);
                ck_assert_msg(!wrong, "plan %d, run %d: %s", seed, i, wrong);
            }
            ck_assert_int_le(reuse_deps(m.plan), 4 * m.p.tensor_count);
            shared += m.p.pool_bytes[POOL_LOCAL] + m.p.pool_bytes[POOL_SHARED] < bytes;
            plans++;
        }
        adversary_finish(&a);
        arena_finish(&arena);
        program_finish(&m.p);
    }
    ck_assert_int_gt(shared, 50);  // plans in which tensors share memory
    ck_assert_int_lt(deadlocks, 2000);
}
END_TEST

SUITE("reuse", a_receive_waits_for_no_send_whose_memory_it_could_have,
      receives_of_a_pipeline_run_ahead_of_its_sends,
      a_receive_that_waits_for_the_one_before_last_takes_its_buffer,
      a_load_waits_for_those_who_read_the_rows_before,
      a_load_that_a_communication_waits_for_is_not_held_up,
      a_chain_begins_no_later_than_its_first_member, lowering_changes_nothing_that_can_be_executed)
