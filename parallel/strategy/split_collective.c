// SPDX-License-Identifier: MIT
// The collectives that a split puts between operations. They are collected and take their places at
// the end of a plan: a collective goes right behind what made its operand, so that it runs while
// the operations up to its reader do. Pieces of a dimension that is not the first do not follow one
// another in memory; copies of them do (core/device/reference/chunks.c).
#include "core/base/array.h"
#include "core/plan/placement_rules.h"
#include "core/plan/program_copy.h"
#include "core/plan/share.h"
#include "parallel/strategy/split_convert.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 320 };

// The reduction of a gradient belongs to the pass and the layer that complete it, not to those of
// the update that needs it: each use of a tied weight is reduced with its own layer.
static Status end_backward(Split *x, int after, OpSpec *s) {
    const Op *op = &x->out->ops[after];
    int32_t layer = op_work(x->to, op)->layer;
    s->phase = PHASE_BACKWARD;
    s->shard = op->shard;
    s->micro_batch = op->micro_batch;
    if (layer == NONE) return OK;
    s->layer = arena_string(&x->arena, program_name(x->to, layer));
    if (!s->layer) FAIL(ERR_MEMORY, "out of memory for a conversion");
    return OK;
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
    if (x->to->tensors[operands[0]].role == ROLE_GRADIENT) TRY(end_backward(x, after, &s));
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

// How many sections a dimension has side by side of which each rank has a share.
static int64_t sections_of(Placement p) { return p.cut == CUT_INTERLEAVED ? p.block : 0; }

// Elements of the dimension that is cut in the largest piece.
static int64_t largest_piece(const Split *x, const Tensor *t, Placement how) {
    int64_t sections = sections_of(how) ? sections_of(how) : 1;
    const Shares cut = {.elements = t->shape[how.dim] / sections, .count = split_ranks(x)};
    return sections * share_capacity(cut);
}

// Elements of a chunk: those of the largest piece.
static int64_t chunk_elements(const Split *x, const Tensor *t, Placement how) {
    return tensor_elements(t) / t->shape[how.dim] * largest_piece(x, t, how);
}

// The chunks of a tensor: one for each rank, or this rank's. Along axes that cut the rows each rank
// has those of its own rows. Those of one size serve several dimensions; others have a `tag`.
static Status take_chunks(Split *x, int32_t of, int64_t elements, const char *what, const char *tag,
                          Placement how, int32_t *out) {
    const Tensor t = x->to->tensors[of];
    int64_t ranks = split_ranks(x);
    char name[NAME], suffix[NAME];
    snprintf(name, sizeof name, "%s.chunks%s", tensor_name(x->to, of), tag);
    snprintf(suffix, sizeof suffix, "%s%s", what, tag);
    LogicalSpec l = {.name = name,
                     .shape = {ranks, elements},
                     .dims = 2,
                     .dtype = (Dtype)t.dtype,
                     .role = ROLE_BUFFER};
    TensorSpec s = {.shape = {ranks, elements},
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
    return take_named(x, of, suffix, s, out);
}

// "x:S1", and "x:S2.interleaved.3": a slash is for what shards and micro-batches have.
static void piece_suffix(Placement p, char out[PLACEMENT_TEXT + 1]) {
    out[0] = ':';
    placement_text(p, out + 1);
    for (char *c = out + 1; *c; c++)
        if (*c == ':' || *c == '/') *c = '.';
}

// The tensor as it shall lie; of `view`, if that is not NONE.
static Status take_piece(Split *x, int tensor, int32_t home, Placement want, int view,
                         int32_t *out) {
    const Tensor *t = &x->from->tensors[tensor];
    char what[PLACEMENT_TEXT + 1];
    int32_t extent = NONE;
    TensorSpec s = program_copy_spec(x->from, t);
    if (t->extent != NONE) TRY(split_take(x, t->extent, &extent));
    memcpy(s.placement, x->to->tensors[home].placement, sizeof s.placement);
    s.placement[x->axis] = want;
    TRY(split_cut_shape(x, &s, t));
    s.extent = TENSOR_REF(extent);
    s.alias = TENSOR_REF(view);
    piece_suffix(want, what);
    return take_named(x, home, what, s, out);
}

static Status add_unary(Split *x, const Op *op, Kind kind, const int64_t *attrs, int32_t from,
                        int32_t to, int after) {
    return add(x, op,
               (OpSpec){.kind = kind,
                        .attrs = attrs,
                        .outputs = &to,
                        .inputs = &from,
                        .output_count = 1,
                        .input_count = 1},
               after);
}

static int32_t *used_of(const Split *x, int tensor) {
    int holder = x->state.holder[program_root(x->from, tensor)];
    return &x->used[holder == NONE ? tensor : holder];
}

Status split_repartition(Split *x, const Op *op, int tensor, int32_t home, Placement is,
                         Placement want, int32_t *out) {
    bool scatters = placement_is_partial(is);
    int32_t *used = used_of(x, tensor), from, to;
    int64_t elements = chunk_elements(x, &x->from->tensors[tensor], scatters ? want : is);
    int64_t *cut = ARENA_NEW(&x->arena, int64_t, 2);
    int made = *used, read = x->out->op_count - 1;
    char tag[16] = "";
    if (!cut) FAIL(ERR_MEMORY, "out of memory for a conversion");
    cut[0] = scatters ? want.dim : is.dim;
    cut[1] = sections_of(scatters ? want : is);
    bool even = elements * split_ranks(x) == tensor_elements(&x->from->tensors[tensor]);
    if (!even) snprintf(tag, sizeof tag, ".%d", (int)cut[0]);
    TRY(take_chunks(x, home, elements, scatters ? ".sums" : ".own", tag,
                    scatters ? is : PLACEMENT_SHARD(0), &from));
    TRY(take_chunks(x, home, elements, scatters ? ".sum" : ".all", tag,
                    scatters ? PLACEMENT_SHARD(0) : PLACEMENT_REPLICATED, &to));
    TRY(take_piece(x, tensor, home, want, NONE, out));
    TRY(add_unary(x, op, KIND_TO_CHUNKS, cut, home, from, made));
    TRY(add_unary(x, op, scatters ? KIND_REDUCE_SCATTER : KIND_ALL_GATHER, NULL, from, to, made));
    *used = read;
    return add_unary(x, op, KIND_FROM_CHUNKS, cut, to, *out, read);
}

// A chunk of this rank's piece goes to each, and what comes is put together.
Status split_exchange(Split *x, const Op *op, int tensor, int32_t home, Placement is,
                      Placement want, int32_t *out) {
    const Tensor *t = &x->from->tensors[tensor];
    int32_t *used = used_of(x, tensor), from, to;
    int64_t elements = chunk_elements(x, t, is) / t->shape[want.dim] * largest_piece(x, t, want);
    int64_t *cut = ARENA_NEW(&x->arena, int64_t, 4);
    int made = *used, read = x->out->op_count - 1;
    char tag[32];
    if (!cut) FAIL(ERR_MEMORY, "out of memory for a conversion");
    memcpy(cut, (int64_t[]){want.dim, sections_of(want), is.dim, sections_of(is)}, 4 * sizeof *cut);
    snprintf(tag, sizeof tag, ".%d.%d", is.dim, want.dim);
    TRY(take_chunks(x, home, elements, ".sent", tag, PLACEMENT_DIFFERS, &from));
    TRY(take_chunks(x, home, elements, ".received", tag, PLACEMENT_DIFFERS, &to));
    TRY(take_piece(x, tensor, home, want, NONE, out));
    TRY(add_unary(x, op, KIND_TO_CHUNKS, cut, home, from, made));
    TRY(add_unary(x, op, KIND_ALL_TO_ALL, NULL, from, to, made));
    *used = read;
    return add_unary(x, op, KIND_FROM_CHUNKS, cut + 2, to, *out, read);
}

Status split_slice(Split *x, const Op *op, int tensor, int32_t home, Placement want, int32_t *out) {
    int64_t *dim = ARENA_NEW(&x->arena, int64_t, 1);
    int32_t index, *used = used_of(x, tensor);
    if (!dim) FAIL(ERR_MEMORY, "out of memory for a conversion");
    *dim = want.dim;
    TRY(split_index_of(x, tensor, want.dim, want, &index));
    TRY(take_piece(x, tensor, home, want, NONE, out));
    *used = x->out->op_count - 1;
    return add(x, op,
               (OpSpec){.kind = KIND_SLICE,
                        .attrs = dim,
                        .outputs = out,
                        .inputs = (int32_t[]){home, index},
                        .output_count = 1,
                        .input_count = 2},
               *used);
}

Status split_view(Split *x, int tensor, int32_t home, int32_t *out) {
    return take_piece(x, tensor, home, PLACEMENT_REPLICATED, home, out);
}
