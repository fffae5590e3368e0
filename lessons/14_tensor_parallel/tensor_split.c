// SPDX-License-Identifier: MIT
// A split MLP of the trainer, and a small one that ranks compute by hand.
#include "lessons/14_tensor_parallel/tensor_split.h"

#include "lessons/engine/ranks.h"
#include "lessons/engine/trial.h"
#include "parallel/strategy/footprint.h"
#include "parallel/strategy/traffic.h"
#include "sim/closed_form.h"
#include "sim/nccl_model.h"

#include <math.h>
#include <string.h>

enum { STEPS = 3, CLASSES = 10, EACH = 2 };  // EACH: hidden units, and inputs, of a rank

// --- the trainer's

static JobOptions options_of(const TensorSplit *x, int ranks) {
    JobOptions o = trial_options();
    o.spec.model = x->model;
    o.spec.ranks = o.spec.mesh.tensor = ranks;
    o.spec.batch = x->batch;
    o.data = "digits:count=128";
    o.test_fraction = 0;
    o.steps = STEPS;
    return o;
}

static bool is_hidden_result(const Program *p, const Tensor *t) {
    const char *name = program_name(p, t->name), *end = strrchr(name, '.');
    return t->role == ROLE_ACTIVATION && end && strcmp(end, ".y") == 0 &&
           strncmp(name, "relu", 4) == 0;
}

// What the plan of a step has of hidden layers' results, and joins.
static Status plan_ranks(TensorSplit *x, int ranks, double *bytes, const LessonRun *run) {
    ProgramSet set = {0};
    Traffic *traffic;
    int count;
    const JobOptions o = options_of(x, ranks);
    Status s = sim_job_step(&set, run->arena, &(SimJob){.spec = o.spec});
    if (s == OK) s = traffic_of_step(&set.programs[0], 0, run->arena, &traffic, &count);
    if (s == OK) {
        const Program *p = &set.programs[0];
        for (int i = 0; i < p->tensor_count; i++)
            if (is_hidden_result(p, &p->tensors[i])) *bytes += (double)p->tensors[i].bytes;
        x->planned_joins = 0;
        for (int i = 0; i < count; i++) x->planned_joins += (int)traffic[i].count;
        if (ranks == 1) x->weights = (double)footprint_model(p).parameter_bytes;
    }
    program_set_finish(&set);
    return s;
}

// What a step sends is what a run of one step more sends more.
Status tensor_split_train(const LessonRun *run, void *state) {
    TensorSplit *x = state;
    Trial dense, longer, shorter;
    JobOptions o = options_of(x, 1);
    TRY(trial_train(&dense, run, &o));
    o = options_of(x, x->ranks);
    TRY(trial_train(&longer, run, &o));
    o.steps--;
    TRY(trial_train(&shorter, run, &o));
    x->dense_loss = dense.loss[dense.steps - 1];
    x->loss = longer.loss[longer.steps - 1];
    x->sent = (double)(longer.taken_bytes - shorter.taken_bytes);
    x->ran = true;
    return OK;
}

// --- an all-reduce, within a node and with each rank on a node of its own

static Status price_places(TensorSplit *x, Rng *r, const LessonRun *run) {
    Machine *m = ARENA_NEW(run->arena, Machine, 1);
    if (!m) FAIL(ERR_MEMORY, "out of memory for a machine");
    TRY(machine_read(m, run->arena, "dgx-h100"));
    int64_t tokens = 2048 * (2 + rng_below(r, 3)), width = 4096;
    const Collective ring = {.kind = COLLECTIVE_ALL_REDUCE,
                             .algorithm = ALGORITHM_RING,
                             .ranks = x->ranks,
                             .elements = tokens * width};
    // A path has two hops of a link's latency.
    const ClosedForm f = {.model = CLOSED_ALPHA_BETA,
                          .within = {m->link.bytes_per_s, 2 * m->link.latency_ps},
                          .across = {m->rail.bytes_per_s, 2 * m->rail.latency_ps}};
    NcclCall call = {.kind = COLLECTIVE_ALL_REDUCE, .ranks = x->ranks, .nodes = 1};
    NcclPrice near, far;
    int64_t within, across;
    TRY(closed_form_collective(&within, &f, &ring, 2, &(GroupSpread){1, x->ranks, x->ranks}));
    TRY(closed_form_collective(&across, &f, &ring, 2, &(GroupSpread){x->ranks, 1, 1}));
    call.bytes = 2 * ring.elements;
    TRY(nccl_price(&near, &m->collectives, &call));
    call.nodes = x->ranks;
    TRY(nccl_price(&far, &m->collectives, &call));
    x->reduced = (double)call.bytes;
    x->link_rate = (double)m->link.bytes_per_s;
    x->rail_rate = (double)m->rail.bytes_per_s;
    x->link_latency = (double)m->link.latency_ps * 2e-12;
    x->rail_latency = (double)m->rail.latency_ps * 2e-12;
    x->formula_ratio = (double)across / (double)within;
    x->nccl_ratio = (double)far.time_ps / (double)near.time_ps;
    return OK;
}

// --- the small MLP

static float relu(float v) { return v > 0 ? v : 0; }

// What a rank has of the result before the sum. Cut by hidden units: the rows of W1 and the columns
// of W2 that are its own. With FAULT_RELU also the inputs that are its own, and the sum of what
// all ranks have of the hidden units is taken too late.
static void part_of(float out[SPLIT_OUTPUTS], const TensorSplit *x, int rank, int ranks) {
    const SmallMlp *m = &x->mlp;
    int units = EACH * x->ranks, first = units / ranks * rank, last = units / ranks * (rank + 1);
    for (int o = 0; o < SPLIT_OUTPUTS; o++) out[o] = 0;
    for (int u = first; u < last; u++) {
        float h = m->b1[u];
        for (int i = 0; i < units; i++) h += m->w1[u][i] * m->x[i];
        for (int o = 0; o < SPLIT_OUTPUTS; o++) out[o] += m->w2[o][u] * relu(h);
    }
}

// The hidden units as one rank's inputs give them, with ReLU already; the bias is on rank 0.
static void early_units(float out[SPLIT_UNITS], const TensorSplit *x, int rank) {
    const SmallMlp *m = &x->mlp;
    for (int u = 0; u < EACH * x->ranks; u++) {
        float h = rank == 0 ? m->b1[u] : 0;
        for (int i = EACH * rank; i < EACH * (rank + 1); i++) h += m->w1[u][i] * m->x[i];
        out[u] = relu(h);
    }
}

static void second_layer(float out[SPLIT_OUTPUTS], const TensorSplit *x, const float *hidden) {
    for (int o = 0; o < SPLIT_OUTPUTS; o++) {
        out[o] = x->mlp.b2[o];
        for (int u = 0; u < EACH * x->ranks; u++) out[o] += x->mlp.w2[o][u] * hidden[u];
    }
}

void tensor_split_expect(double out[SPLIT_OUTPUTS], const TensorSplit *x, SplitFault fault) {
    float sum[SPLIT_OUTPUTS], units[SPLIT_UNITS] = {0}, early[SPLIT_UNITS];
    int ranks = fault == FAULT_NO_SUM ? x->ranks : 1;
    part_of(sum, x, 0, ranks);
    for (int o = 0; o < SPLIT_OUTPUTS; o++)
        out[o] = (double)sum[o] + (fault == FAULT_BIAS ? x->ranks : 1) * (double)x->mlp.b2[o];
    if (fault != FAULT_RELU) return;
    for (int r = 0; r < x->ranks; r++) {
        early_units(early, x, r);
        for (int u = 0; u < EACH * x->ranks; u++) units[u] += early[u];
    }
    second_layer(sum, x, units);
    for (int o = 0; o < SPLIT_OUTPUTS; o++) out[o] = (double)sum[o];
}

static double distance(const TensorSplit *x, SplitFault fault, const double *from) {
    double expected[SPLIT_OUTPUTS], most = 0;
    tensor_split_expect(expected, x, fault);
    for (int o = 0; o < SPLIT_OUTPUTS; o++) most = fmax(most, fabs(expected[o] - from[o]));
    return most;
}

SplitFault tensor_split_diagnose(const TensorSplit *x, const float out[SPLIT_OUTPUTS]) {
    double from[SPLIT_OUTPUTS];
    SplitFault best = FAULT_NONE;
    for (int o = 0; o < SPLIT_OUTPUTS; o++) from[o] = (double)out[o];
    for (int f = 0; f < FAULT_COUNT; f++)
        if (distance(x, (SplitFault)f, from) < distance(x, best, from)) best = (SplitFault)f;
    return best;
}

typedef struct {
    TensorSplit *x;
    SplitFault fault;
    float *out;
} Ranks;

static Status compute_rank(Comm *c, void *context) {
    const Ranks *k = context;
    TensorSplit *x = k->x;
    float *pool = c->pool;
    if (k->fault == FAULT_RELU) {
        early_units(pool, x, c->rank);
        TRY(ranks_all_reduce(c, ALGORITHM_DIRECT, EACH * x->ranks));
        if (c->rank == 0) second_layer(k->out, x, pool);
        return OK;
    }
    part_of(pool, x, c->rank, x->ranks);
    if (k->fault == FAULT_NONE) memcpy(x->partial[c->rank], pool, sizeof x->partial[c->rank]);
    for (int o = 0; k->fault == FAULT_BIAS && o < SPLIT_OUTPUTS; o++) pool[o] += x->mlp.b2[o];
    if (k->fault != FAULT_NO_SUM) TRY(ranks_all_reduce(c, ALGORITHM_DIRECT, SPLIT_OUTPUTS));
    if (c->rank != 0) return OK;
    for (int o = 0; o < SPLIT_OUTPUTS; o++)
        k->out[o] = pool[o] + (k->fault == FAULT_BIAS ? 0 : x->mlp.b2[o]);
    return OK;
}

static int ulps_between(float a, float b) {
    int n = 0;
    for (; a != b && n < 1000; n++) a = nextafterf(a, b);
    return n;
}

Status tensor_split_compute(const LessonRun *run, void *state) {
    TensorSplit *x = state;
    enum { POOL = 4096 };
    TRY(ranks_run(x->ranks, POOL, compute_rank, &(Ranks){x, FAULT_NONE, x->right}));
    TRY(ranks_run(x->ranks, POOL, compute_rank, &(Ranks){x, x->fault, x->wrong}));
    part_of(x->dense, x, 0, 1);
    for (int o = 0; o < SPLIT_OUTPUTS; o++) {
        x->dense[o] += x->mlp.b2[o];
        int ulps = ulps_between(x->dense[o], x->right[o]);
        if (ulps > x->ulps) x->ulps = ulps;
    }
    x->computed = true;
    return OK;
}

// --- drawing

static float number(Rng *r) { return (float)(round(20 * (double)rng_float(r) - 10) / 10); }

static void draw_mlp(TensorSplit *x, Rng *r) {
    SmallMlp *m = &x->mlp;
    for (int u = 0; u < SPLIT_UNITS; u++) {
        m->x[u] = number(r);
        m->b1[u] = number(r) + 1;
        for (int i = 0; i < SPLIT_UNITS; i++) m->w1[u][i] = number(r);
        for (int o = 0; o < SPLIT_OUTPUTS; o++) m->w2[o][u] = number(r);
    }
    for (int o = 0; o < SPLIT_OUTPUTS; o++) m->b2[o] = number(r) + 0.35F;
}

// Can the outcomes be told apart, the right one among them? And has each rank a unit that is not 0?
static bool outcomes_differ(const TensorSplit *x) {
    for (int r = 0; r < x->ranks; r++) {
        float part[SPLIT_OUTPUTS];
        part_of(part, x, r, x->ranks);
        if (part[0] == 0) return false;
    }
    for (int f = 0; f <= FAULT_COUNT; f++)
        for (int g = 0; g < f; g++) {
            double expected[SPLIT_OUTPUTS];
            tensor_split_expect(expected, x, (SplitFault)g);
            if (distance(x, (SplitFault)f, expected) < 0.2) return false;
        }
    return true;
}

Status tensor_split_draw(const LessonRun *run, void *state) {
    TensorSplit *x = state;
    Rng r = lesson_rng(run, 0);
    x->ranks = 2 + (int)rng_below(&r, SPLIT_RANKS - 1);
    x->hidden = 12 * (4 + (int)rng_below(&r, 5));
    x->pairs = 2 + (int)rng_below(&r, 2);
    x->batch = 16 + 8 * (int)rng_below(&r, 4);
    snprintf(x->model, sizeof x->model, "mlp:hidden=%d,layers=%d", x->hidden, 2 * x->pairs - 1);
    x->joined = 4.0 * x->batch * (2.0 * (x->pairs - 1) * x->hidden + CLASSES);
    x->fault = (SplitFault)rng_below(&r, FAULT_COUNT);
    do draw_mlp(x, &r);
    while (!outcomes_differ(x));
    TRY(plan_ranks(x, 1, &x->dense_bytes, run));
    TRY(plan_ranks(x, x->ranks, &x->split_bytes, run));
    return price_places(x, &r, run);
}
