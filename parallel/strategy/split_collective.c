// SPDX-License-Identifier: MIT
// The collectives that a split puts between operations. They are collected and take their places at
// the end of a plan: a collective goes right behind what made its operand, so that it runs while
// the operations up to its reader do. Pieces of a dimension that is not the first do not follow one
// another in memory; copies of them do (core/device/reference/chunks.c).
#include "core/base/array.h"
#include "core/plan/placement_rules.h"
#include "core/plan/program_copy.h"
#include "parallel/strategy/split_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 320 };

// The reduction of a gradient belongs to the pass that completes it, not to the update that asks.
static void end_backward(const Split *x, const Op *op, int after, OpSpec *s) {
    int32_t layer = op_work(x->from, op)->layer;
    s->phase = PHASE_BACKWARD;
    s->layer = layer == NONE ? NULL : program_name(x->from, layer);
    s->shard = x->out->ops[after].shard;
    s->micro_batch = x->out->ops[after].micro_batch;
}

// What all new operations for `op` say; their operands are copied.
static Status add(Split *x, const Op *op, OpSpec s, int after) {
    char name[NAME];
    int32_t *operands = ARENA_NEW(&x->arena, int32_t, s.output_count + s.input_count);
    snprintf(name, sizeof name, "%s.%s", kind_name(s.kind), tensor_name(x->to, s.inputs[0]));
    s.name = arena_string(&x->arena, name);
    if (!operands || !s.name) FAIL(ERR_MEMORY, "out of memory for a conversion");
    memcpy(operands, s.outputs, (size_t)s.output_count * sizeof *operands);
    memcpy(operands + s.output_count, s.inputs, (size_t)s.input_count * sizeof *operands);
    s.outputs = operands;
    s.inputs = operands + s.output_count;
    s.phase = (Phase)op_work(x->from, op)->phase;
    s.dtype = (Dtype)x->to->tensors[operands[0]].dtype;
    s.lane = kind_communicates(s.kind) ? x->lane : op->lane;
    s.group = kind_communicates(s.kind) ? x->group : 0;
    s.shard = op->shard;
    s.micro_batch = op->micro_batch;
    if (x->to->tensors[operands[0]].role == ROLE_GRADIENT) end_backward(x, op, after, &s);
    TRY(ARRAY_RESERVE(x->added, x->added_capacity, x->added_count + 1));
    TRY(ARRAY_RESERVE(x->after, x->after_capacity, x->added_count + 1));
    x->after[x->added_count] = after;
    x->added[x->added_count++] = s;
    return OK;
}

Status split_all_reduce(Split *x, const Op *op, const int32_t *tensors, int count) {
    bool largest = split_now(x, &x->state, tensors[0])->place == PLACE_PARTIAL_MAX;
    int32_t *operands = ARENA_NEW(&x->arena, int32_t, count);
    int after = NONE;
    if (!operands) FAIL(ERR_MEMORY, "out of memory for a conversion");
    for (int i = 0; i < count; i++) {
        operands[i] = x->taken[tensors[i]];
        if (x->used[tensors[i]] > after) after = x->used[tensors[i]];
    }
    const OpSpec s = {.kind = KIND_ALL_REDUCE,
                      .reduce = largest ? REDUCE_MAX : REDUCE_SUM,
                      .outputs = operands,
                      .inputs = operands,
                      .output_count = count,
                      .input_count = count};
    return add(x, op, s, after);
}

// --- to another placement

// A tensor of `to` that is named after another one; there already, if it was needed before.
static Status take_named(Split *x, int32_t of, const char *what, TensorSpec s, int32_t *out) {
    char name[NAME];
    snprintf(name, sizeof name, "%s%s", tensor_name(x->to, of), what);
    int index = program_find_tensor(x->to, name);
    s.name = name;
    if (index == NONE) TRY(program_add_tensor(x->to, &s, &index));
    *out = index;
    return OK;
}

// The chunks of a tensor: one for each rank, or this rank's. Along axes that cut the rows each rank
// has those of its own rows.
static Status take_chunks(Split *x, int32_t of, int64_t elements, const char *what, Placement how,
                          int32_t *out) {
    const Tensor t = x->to->tensors[of];
    int64_t ranks = split_ranks(x);
    char name[NAME];
    snprintf(name, sizeof name, "%s.chunks", tensor_name(x->to, of));
    LogicalSpec l = {.name = name,
                     .shape = {ranks, elements / ranks},
                     .dims = 2,
                     .dtype = (Dtype)t.dtype,
                     .role = ROLE_BUFFER};
    TensorSpec s = {.shape = {ranks, elements / ranks},
                    .shard = t.shard,
                    .micro_batch = t.micro_batch,
                    .dtype = (Dtype)t.dtype,
                    .role = ROLE_BUFFER,
                    .logical = program_find_logical(x->to, name)};
    if (s.logical == NONE) TRY(program_add_logical(x->to, &l, &s.logical));
    for (int a = 0; a < x->to->axis_count; a++)
        s.placement[a] = placement_is_cut(t.placement[a], 0) ? PLACEMENT_DIFFERS : t.placement[a];
    s.placement[x->axis] = how;
    if (how.place == PLACE_SHARD) s.shape[0] = 1;
    return take_named(x, of, what, s, out);
}

// The tensor as it shall lie.
static Status take_piece(Split *x, int tensor, Placement want, int32_t *out) {
    const Tensor *t = &x->from->tensors[tensor];
    int32_t home = x->taken[tensor];
    char what[PLACEMENT_TEXT + 1] = ":";
    TensorSpec s = program_copy_spec(x->from, t);
    memcpy(s.placement, x->to->tensors[home].placement, sizeof s.placement);
    s.placement[x->axis] = want;
    if (want.place == PLACE_SHARD) s.shape[want.dim] /= split_ranks(x);
    s.extent = t->extent == NONE ? 0 : TENSOR_REF(x->taken[t->extent]);
    placement_text(want, what + 1);
    return take_named(x, home, what, s, out);
}

Status split_repartition(Split *x, const Op *op, int tensor, Placement is, Placement want,
                         int32_t *out) {
    bool scatters = placement_is_partial(is);
    int32_t home = x->taken[tensor], from, to;
    int64_t elements = tensor_elements(&x->from->tensors[tensor]);
    int64_t *dim = ARENA_NEW(&x->arena, int64_t, 1);
    int made = x->used[tensor], read = x->out->op_count - 1;
    if (!dim) FAIL(ERR_MEMORY, "out of memory for a conversion");
    *dim = scatters ? want.dim : is.dim;
    TRY(take_chunks(x, home, elements, scatters ? ".sums" : ".own",
                    scatters ? is : PLACEMENT_SHARD(0), &from));
    TRY(take_chunks(x, home, elements, scatters ? ".sum" : ".all",
                    scatters ? PLACEMENT_SHARD(0) : PLACEMENT_REPLICATED, &to));
    TRY(take_piece(x, tensor, want, out));
    OpSpec s = {.kind = KIND_TO_CHUNKS,
                .attrs = dim,
                .outputs = &from,
                .inputs = &home,
                .output_count = 1,
                .input_count = 1};
    TRY(add(x, op, s, made));
    s = (OpSpec){.kind = scatters ? KIND_REDUCE_SCATTER : KIND_ALL_GATHER,
                 .outputs = &to,
                 .inputs = &from,
                 .output_count = 1,
                 .input_count = 1};
    TRY(add(x, op, s, made));
    s = (OpSpec){.kind = KIND_FROM_CHUNKS,
                 .attrs = dim,
                 .outputs = out,
                 .inputs = &to,
                 .output_count = 1,
                 .input_count = 1};
    x->used[tensor] = read;
    return add(x, op, s, read);
}
