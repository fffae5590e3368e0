// SPDX-License-Identifier: MIT
// Synchronised batch normalisation (as PyTorch's SyncBatchNorm) as a transformation of a program:
// every shard normalises with the statistics of all shards' rows. Statistics are gathered, since
// counts may differ; the sums of the backward are reduced; the gradients of weight and bias stay a
// shard's own, for the strategy to sum. Operations are ordered anew: of each micro-batch those of
// all shards up to the next statistics, which are joined before the first shard reads them. Tensors
// may be cut along other axes; what is joined is cut as its parts are, and as its readers need it.
#include "core/base/array.h"
#include "core/plan/build.h"
#include "core/plan/mesh.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Program *p;
    Plan *plan;
    Arena arena;
    uint16_t axes;      // "data", and "expert" where ranks along it have parts of the batch
    int shards, ranks;  // of a rank; along those axes
    int compute, group, lane;
    int32_t *joined;  // [tensor] what all shards know together in its place, or NONE
    uint8_t *joins;   // [operation] what it writes that is joined: STATISTICS or SUMS, or 0
    int32_t *parts;   // [shards] what they have written so far of one layer and micro-batch
    int *order;       // owned: the operations so far in the new order
    int count, capacity;
} Sync;

// --- order

typedef struct {
    int micro_batch, segment, shard, op;
} Key;

static int by_key(const void *left, const void *right) {
    const Key *a = left, *b = right;
    if (a->micro_batch != b->micro_batch) return a->micro_batch < b->micro_batch ? -1 : 1;
    if (a->segment != b->segment) return a->segment < b->segment ? -1 : 1;
    if (a->shard != b->shard) return a->shard < b->shard ? -1 : 1;
    return (a->op > b->op) - (a->op < b->op);
}

static int count_micro_batches(const Plan *plan) {
    int most = 0;
    for (int i = 0; i < plan->op_count; i++)
        if (plan->ops[i].micro_batch > most) most = plan->ops[i].micro_batch;
    return most + 1;
}

enum { STATISTICS = 1, SUMS };  // that are joined

// Whether it reads statistics and sums of all shards.
static bool normalises_with(Kind k) {
    return k == KIND_BATCH_NORM || k == KIND_BATCH_NORM_REDUCE || k == KIND_BATCH_NORM_UPDATE ||
           k == KIND_BATCH_NORM_BACKWARD_INPUT;
}

// What an operation writes that is joined, or is cut otherwise from that: `what` of its input.
static uint8_t what_is_written(const Sync *s, const Op *op, const uint8_t *what) {
    Kind k = op_kind(s->p, op);
    if (k == KIND_BATCH_NORM_STATISTICS) return STATISTICS;
    if (k == KIND_BATCH_NORM_REDUCE) return SUMS;
    if (normalises_with(k) || k == KIND_BATCH_NORM_BACKWARD_WEIGHT || !op->inputs) return 0;
    return what[op_inputs(s->plan, op)[0]];
}

// The operations whose output is joined: those that write statistics and sums; or, where a norm
// reads these cut otherwise or put together along another axis, the last that does so. Until then
// sums are each shard's part of a sum.
static Status find_joins(Sync *s) {
    int32_t *writer = ARENA_NEW(&s->arena, int32_t, s->p->tensor_count + 1);
    uint8_t *what = ARENA_NEW(&s->arena, uint8_t, s->p->tensor_count + 1);
    s->joins = ARENA_NEW(&s->arena, uint8_t, s->plan->op_count + 1);
    if (!writer || !what || !s->joins)
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", s->plan->op_count);
    for (int i = 0; i < s->plan->op_count; i++) {
        const Op *op = &s->plan->ops[i];
        const int32_t *in = op_inputs(s->plan, op), *out = op_outputs(s->plan, op);
        uint8_t written = what_is_written(s, op, what);
        for (int k = 0; k < op->inputs && normalises_with(op_kind(s->p, op)); k++)
            if (what[in[k]]) s->joins[writer[in[k]]] = what[in[k]];
        if (!written) continue;
        writer[out[0]] = i;
        what[out[0]] = written;
        if (written == SUMS) mesh_place(s->p->tensors[out[0]].placement, s->axes, PLACEMENT_SUM);
    }
    return OK;
}

// A segment of a micro-batch ends with what is joined. Updates come last, in their order.
static Status find_order(Sync *s, Key **out) {
    int n = s->plan->op_count, micro_batches = count_micro_batches(s->plan);
    int *segment = ARENA_NEW(&s->arena, int, s->shards *micro_batches);
    *out = ARENA_NEW(&s->arena, Key, n + 1);
    if (!*out || !segment) FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", n);
    for (int i = 0; i < n; i++) {
        const Op *op = &s->plan->ops[i];
        int *now = &segment[op->shard * micro_batches + op->micro_batch];
        bool last = op_work(s->p, op)->phase == PHASE_UPDATE;
        (*out)[i] =
            last ? (Key){micro_batches, 0, 0, i} : (Key){op->micro_batch, *now, op->shard, i};
        *now += s->joins[i] != 0;
    }
    qsort(*out, (size_t)n, sizeof **out, by_key);
    return OK;
}

static Status put_next(Sync *s, int op) {
    TRY(ARRAY_RESERVE(s->order, s->capacity, s->count + 1));
    s->order[s->count++] = op;
    return OK;
}

// --- operations

// An operation reads what is joined. It keeps its place and its explicit dependencies.
static Status read_joined(Sync *s, int i) {
    const Op op = s->plan->ops[i];
    const Work w = *op_work(s->p, &op);
    int32_t operands[2 * OPERANDS];
    int64_t attrs[ATTRIBUTES];
    char name[256], layer[256] = "";
    int made;
    for (int k = 0; k < op.outputs + op.inputs; k++) {
        int32_t t = op_outputs(s->plan, &op)[k], all = s->joined[t];
        operands[k] = k < op.outputs || all == NONE ? t : all;
    }
    if (w.kind == KIND_BATCH_NORM_UPDATE)  // from what everybody knows
        for (int o = 0; o < op.outputs; o++)
            mesh_place(s->p->tensors[operands[o]].placement, s->axes, PLACEMENT_REPLICATED);
    for (int k = 0; k < w.attr_count; k++) attrs[k] = work_attr(s->p, &w, k);
    snprintf(name, sizeof name, "%s", program_name(s->p, w.name));
    if (w.layer != NONE) snprintf(layer, sizeof layer, "%s", program_name(s->p, w.layer));
    TRY(plan_add_op(s->p, s->plan,
                    &(OpSpec){.name = name,
                              .layer = layer,
                              .kind = work_kind(&w),
                              .phase = (Phase)w.phase,
                              .dtype = (Dtype)w.dtype,
                              .lane = op.lane,
                              .attrs = attrs,
                              .outputs = operands,
                              .inputs = operands + op.outputs,
                              .output_count = op.outputs,
                              .input_count = op.inputs},
                    &made));
    s->plan->ops[i].work = s->plan->ops[made].work;
    s->plan->ops[i].operand_first = s->plan->ops[made].operand_first;
    s->plan->op_count = made;
    return OK;
}

// The gradients of weight and bias are of a shard's own rows, and so is what is cut otherwise.
static bool reads_joined(const Sync *s, const Op *op) {
    if (!normalises_with(op_kind(s->p, op))) return false;
    for (int k = 0; k < op->inputs; k++)
        if (s->joined[op_inputs(s->plan, op)[k]] != NONE) return true;
    return false;
}

// "bn1.statistics.all" beside shard 0's "bn1.statistics", with room for so many sets; 0: for one
// sum. Along other axes it lies as its parts do.
static Status add_tensor(Sync *s, const char *what, int64_t sets, Placement place, int32_t *out) {
    const Tensor t = s->p->tensors[s->parts[0]];
    const Logical of = s->p->logicals[t.logical];
    char name[300], whole[300];
    int index;
    snprintf(whole, sizeof whole, "%s.%s", program_name(s->p, of.name), what);
    snprintf(name, sizeof name, "%s.%s", program_name(s->p, t.name), what);
    LogicalSpec l = {.name = whole, .dims = of.dims, .dtype = (Dtype)t.dtype, .role = ROLE_BUFFER};
    TensorSpec piece = {
        .name = name, .dtype = l.dtype, .role = l.role, .micro_batch = t.micro_batch};
    memcpy(l.shape, of.shape, sizeof l.shape);
    memcpy(piece.shape, t.shape, sizeof piece.shape);
    memcpy(piece.placement, t.placement, sizeof piece.placement);
    if (sets) l.shape[0] = piece.shape[0] = sets;
    mesh_place(piece.placement, s->axes, place);
    piece.logical = program_find_logical(s->p, whole);
    if (piece.logical == NONE) TRY(program_add_logical(s->p, &l, &piece.logical));
    TRY(program_add_tensor(s->p, &piece, &index));
    *out = index;
    return OK;
}

// An operation that joins: of phase and micro-batch of what it joins, and named after that.
static Status add_join(Sync *s, Kind kind, const Op *like, int32_t out, const int32_t *inputs,
                       int count, int flags) {
    char name[300];
    bool communicates = kind_communicates(kind);
    snprintf(name, sizeof name, "%s.%s", kind_name(kind), tensor_name(s->p, inputs[0]));
    TRY(put_next(s, s->plan->op_count));
    return plan_add_op(s->p, s->plan,
                       &(OpSpec){.name = name,
                                 .kind = kind,
                                 .phase = (Phase)op_work(s->p, like)->phase,
                                 .dtype = DTYPE_F64,
                                 .lane = communicates ? s->lane : s->compute,
                                 .group = communicates ? s->group : 0,
                                 .parts = kind == KIND_ALL_REDUCE ? count : 1,
                                 .outputs = &out,
                                 .inputs = inputs,
                                 .output_count = 1,
                                 .input_count = count,
                                 .micro_batch = like->micro_batch,
                                 .flags = flags},
                       NULL);
}

// Statistics of all shards, one set after the other: this rank's, then all ranks'.
static Status join_statistics(Sync *s, const Op *like, int32_t *all) {
    int32_t local = s->parts[0];
    bool alone = s->ranks == 1;
    Placement place = alone ? PLACEMENT_REPLICATED : PLACEMENT_DIFFERS;
    if (s->shards > 1) {
        TRY(add_tensor(s, alone ? "all" : "local", s->shards, place, &local));
        TRY(add_join(s, KIND_CONCATENATE, like, local, s->parts, s->shards, 0));
    }
    *all = local;
    if (alone) return OK;
    TRY(add_tensor(s, "all", (int64_t)s->shards * s->ranks, PLACEMENT_REPLICATED, all));
    return add_join(s, KIND_ALL_GATHER, like, *all, &local, 1, 0);
}

// The sum over all shards, folded in their order (docs/contract.md, 3).
static Status join_sums(Sync *s, const Op *like, int32_t *all) {
    TRY(add_tensor(s, "all", 0, PLACEMENT_REPLICATED, all));
    if (s->ranks > 1) return add_join(s, KIND_ALL_REDUCE, like, *all, s->parts, s->shards, 0);
    for (int i = 0; i < s->shards; i++)
        TRY(add_join(s, KIND_FOLD, like, *all, &s->parts[i], 1, i ? OP_ACCUMULATE : 0));
    return OK;
}

// Once the last shard has written its part, all know the whole.
static Status join_parts(Sync *s, int i) {
    const Op op = s->plan->ops[i];
    int32_t all;
    if (!s->joins[i]) return OK;
    s->parts[op.shard] = op_outputs(s->plan, &op)[0];
    if (op.shard + 1 < s->shards) return OK;
    TRY(s->joins[i] == SUMS ? join_sums(s, &op, &all) : join_statistics(s, &op, &all));
    for (int k = 0; k < s->shards; k++) s->joined[s->parts[k]] = all;
    return OK;
}

// --- the whole

static Status find_lanes(Sync *s) {
    Program *p = s->p;
    s->compute = program_find_lane(p, "compute");
    s->group = program_find_group(p, "data");
    if (s->ranks == 1) return OK;
    if (s->group == NONE) TRY(program_add_group(p, "data", s->axes, &s->group));
    return program_add_lane(p, "statistics", LANE_COMMUNICATION, s->group, &s->lane);
}

static Status rewrite(Sync *s) {
    Key *keys;
    int n = s->plan->op_count, tensors = s->p->tensor_count;
    TRY(find_lanes(s));
    TRY(find_joins(s));
    TRY(find_order(s, &keys));
    s->joined = ARENA_NEW(&s->arena, int32_t, tensors + 1);
    s->parts = ARENA_NEW(&s->arena, int32_t, s->shards);
    if (!s->joined || !s->parts) FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", n);
    for (int t = 0; t < tensors; t++) s->joined[t] = NONE;
    for (int k = 0; k < n; k++) {
        int i = keys[k].op;
        if (reads_joined(s, &s->plan->ops[i])) TRY(read_joined(s, i));
        TRY(put_next(s, i));
        TRY(join_parts(s, i));
    }
    uint8_t *keep = ARENA_NEW(&s->arena, uint8_t, s->count);
    if (!keep) FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", n);
    memset(keep, 1, (size_t)s->count);
    TRY(plan_select(s->plan, s->order, keep));
    return plan_derive_deps(s->p, s->plan);
}

static bool normalises(const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(p, &plan->ops[i]) == KIND_BATCH_NORM_STATISTICS) return true;
    return false;
}

Status sync_batch_norm_apply(Program *p, const StrategyOptions *options) {
    int step = program_find_when(p, WHEN_EACH_STEP, 0);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    Sync s = {.p = p,
              .plan = &p->plans[step],
              .axes = mesh_batch_axes(p),
              .shards = options->local_shards,
              .ranks = mesh_batch_ranks(p)};
    if (!normalises(p, s.plan))
        FAIL(ERR_USAGE, "--sync-batchnorm: the model has no batch_norm layer; leave it out");
    if (s.shards * s.ranks == 1) return OK;  // its statistics are of the whole batch
    Status status = rewrite(&s);
    free(s.order);
    arena_finish(&s.arena);
    return status;
}
