// SPDX-License-Identifier: MIT
// Recomputation of activations (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016;
// selective: Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models",
// 2022) as a transformation of a program: a backward operation that reads what the forward made
// reads what was made again just before it. Begin at recompute_apply().
//
// The network is cut into segments: its blocks, and what lies between them. What another segment
// reads is kept; of the rest of a segment, what the backward reads is made again, and with it what
// that is made from, back to what is kept. So nothing is computed again for nobody: of a GPT's
// block all but its last product and sum. What is little beside what it is made of (statistics),
// what was sent or reduced, and what outlives the step are kept: so running statistics are updated
// once, and no rank waits for a reduction twice.
#include "core/base/array.h"
#include "core/plan/build.h"
#include "parallel/strategy/strategy_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const recompute_words[RECOMPUTE_COUNT] = {"none",      "selective", "full",
                                                      "attention", "gathers",   "block"};

enum { NAME = 320, CONDENSED = 16 };  // CONDENSED: times as much is read as is made

typedef struct {
    Program *p;
    Plan *plan;
    Arena arena;
    Recompute how;
    int32_t *segment;  // [operation] or NONE: of what is not recomputed; in the arena, as all
                       // arrays but `after`
    int32_t *root;     // [tensor] program_root()
    int32_t *writer;   // [tensor] a root's only writer, or NONE; with `block` the first of those in
                       // place, if nobody else reads it before the last
    int32_t *first;    // [tensor] where a root's writers in place begin, or NONE; ops: they do not
    int32_t *last;     // [tensor] the last operation that writes a root, or NONE
    uint8_t *redo;     // [tensor] a root that can be made again
    uint8_t *needed;   // [tensor] a root that the backward reads
    int32_t *again;    // [tensor] where it is made again, or NONE
    uint8_t *done;     // [operation] it is computed again
    int32_t *list;     // [operation] those that one tensor needs again
    int *after;        // owned; per new operation the one that it goes behind
    int tensors, ops;  // of the program and plan as they were
    int added, capacity;
} Recomputation;

// --- segments

// Segments begin where the block changes; cut[i]: one does with the i-th layer of the list.
static bool cut_at_blocks(const Model *m, const int *list, int count, uint8_t *cut) {
    bool blocks = false;
    for (int i = 0; i < count; i++) {
        blocks |= m->layers[list[i]].block != NONE;
        cut[i] = i && m->layers[list[i]].block != m->layers[list[i - 1]].block;
    }
    return blocks;
}

// Without blocks, of n layers about sqrt(n) segments of as many: what is kept, n/k tensors between
// segments of k and the k of the segment at work, is least then. If there is one near, each begins
// with a layer that has parameters: its activation, with which it may be fused, stays with it.
static void cut_evenly(const Model *m, const int *list, int count, uint8_t *cut) {
    int length = (int)ceil(sqrt(count)), reach = length / 2;
    for (int place = length; place < count; place += length) {
        int best = place, far = reach + 1;
        for (int i = place - reach + 1; i <= place + reach && i < count; i++)
            if (m->layers[list[i]].parameter_count && abs(i - place) < far) {
                best = i;
                far = abs(i - place);
            }
        cut[best] = 1;
    }
}

// The segment of each layer, by its name; NONE of the last, whose backward follows its forward at
// once, so that it is not recomputed.
static Status find_layer_segments(Recomputation *r, const Model *m, int32_t **out) {
    Program *p = r->p;
    int count = 0, number = 0, last = 0;
    int *list = ARENA_NEW(&r->arena, int, m->layer_count + 1);
    uint8_t *cut = ARENA_NEW(&r->arena, uint8_t, m->layer_count + 1);
    *out = ARENA_NEW(&r->arena, int32_t, p->name_bytes + 2);
    if (!*out || !list || !cut)
        FAIL(ERR_MEMORY, "out of memory for the segments of %d layers", m->layer_count);
    for (int i = 0; i <= p->name_bytes; i++) (*out)[i] = NONE;
    for (int i = 0; i < m->layer_count; i++)
        if (m->layers[i].used) list[count++] = i;
    if (!cut_at_blocks(m, list, count, cut)) cut_evenly(m, list, count, cut);
    for (int i = 0; i < count; i++) last += cut[i];
    for (int i = 0; i < count; i++) {
        int name = program_find_name(p, m->layers[list[i]].name);
        number += cut[i];
        if (name != NONE && number < last) (*out)[1 + name] = number;
    }
    return OK;
}

// What an operation that belongs to no layer reads decides, such as of a gather.
static Status find_segments(Recomputation *r, const Model *m) {
    int32_t *of_layer, *writer = ARENA_NEW(&r->arena, int32_t, r->tensors + 1);
    TRY(find_layer_segments(r, m, &of_layer));
    r->segment = ARENA_NEW(&r->arena, int32_t, r->ops + 1);
    if (!writer || !r->segment) FAIL(ERR_MEMORY, "out of memory for %d operations", r->ops);
    for (int t = 0; t < r->tensors; t++) writer[t] = NONE;
    for (int i = 0; i < r->ops; i++) {
        const Op *op = &r->plan->ops[i];
        int layer = op_work(r->p, op)->layer, from = NONE;
        if (layer == NONE && op->inputs) from = writer[r->root[op_inputs(r->plan, op)[0]]];
        r->segment[i] = layer != NONE  ? of_layer[1 + layer]
                        : from != NONE ? r->segment[from]
                                       : NONE;
        for (int o = 0; o < op->outputs; o++) writer[r->root[op_outputs(r->plan, op)[o]]] = i;
    }
    return OK;
}

// --- what is made again

static bool is_intermediate(const Recomputation *r, int t) {
    const Tensor *tensor = &r->p->tensors[t];
    return (tensor->role == ROLE_ACTIVATION || tensor->role == ROLE_BUFFER) &&
           tensor->alias == NONE && !tensor->result;
}

// What passes through memory that others use later.
static bool is_passing(const Recomputation *r, int root) {
    Memory m = role_memory((Role)r->p->tensors[root].role);
    return m == MEMORY_ACTIVATIONS || m == MEMORY_COMMUNICATION;
}

// Does it make little of much, as statistics of a batch are? Keeping that costs next to nothing.
static bool condenses(const Recomputation *r, const Op *op) {
    int64_t made = 0, read = 0;
    for (int o = 0; o < op->outputs; o++) made += r->p->tensors[op_outputs(r->plan, op)[o]].bytes;
    for (int k = 0; k < op->inputs; k++) {
        int t = op_inputs(r->plan, op)[k];
        if (is_passing(r, r->root[t])) read += r->p->tensors[t].bytes;
    }
    return made < read / CONDENSED;
}

static bool writes(const Recomputation *r, const Op *op, int root) {
    for (int o = 0; o < op->outputs; o++)
        if (r->root[op_outputs(r->plan, op)[o]] == root) return true;
    return false;
}

// Collectives that may be repeated: a gather, where pieces are kept instead of the whole that they
// make on every rank; with `block` the sums of tensor parallelism and all-to-all exchanges, too.
static bool may_communicate(const Recomputation *r, Kind kind) {
    bool messages =
        kind == KIND_ALL_REDUCE || kind == KIND_REDUCE_SCATTER || kind == KIND_ALL_TO_ALL;
    return (kind == KIND_ALL_GATHER && r->how != RECOMPUTE_SELECTIVE) ||
           (messages && r->how == RECOMPUTE_BLOCK);
}

// A plain computation of the forward, of values that it alone writes, from values that stay: a
// buffer of messages may have the next one by then. Or one of those collectives.
static bool can_repeat(const Recomputation *r, int i) {
    const Op *op = &r->plan->ops[i];
    const Work *w = op_work(r->p, op);
    bool plain = w->phase == PHASE_FORWARD && op->guard == NONE &&
                 (may_communicate(r, work_kind(w)) || kind_class(work_kind(w)) == CLASS_COMPUTE) &&
                 !(op->flags & OP_ACCUMULATE) && r->segment[i] != NONE;
    for (int o = 0; o < op->outputs && plain; o++) {
        int t = op_outputs(r->plan, op)[o];
        plain = is_intermediate(r, t) && r->writer[t] != NONE;
    }
    for (int k = 0; k < op->inputs && plain; k++) {
        int t = r->root[op_inputs(r->plan, op)[k]];
        plain = !is_passing(r, t) || r->last[t] < i || (r->writer[t] != NONE && writes(r, op, t));
    }
    return plain && op->outputs && (r->how == RECOMPUTE_BLOCK || !condenses(r, op));
}

// Arithmetic that is cheap has no products, and pays where what it reads is there anyway.
static bool is_cheap(const Recomputation *r, const Op *op) {
    if (op_work(r->p, op)->flops) return false;
    for (int i = 0; i < op->inputs; i++) {
        int t = r->root[op_inputs(r->plan, op)[i]];
        if (is_passing(r, t) && !r->redo[t] && !r->needed[t]) return false;
    }
    return true;
}

// The scores of an unfused attention, their softmax and its dropout: 5 a s² b bytes of a layer, and
// products that are few beside those of its weights.
static bool is_of_scores(const Recomputation *r, const Op *op) {
    Kind kind = op_kind(r->p, op);
    int writer = op->inputs ? r->writer[r->root[op_inputs(r->plan, op)[0]]] : NONE;
    return kind == KIND_ATTENTION_SCORES || kind == KIND_ATTENTION_SOFTMAX ||
           (kind == KIND_DROPOUT && writer != NONE &&
            op_kind(r->p, &r->plan->ops[writer]) == KIND_ATTENTION_SOFTMAX);
}

// Which of what can be made again is, `how` says.
static bool is_chosen(const Recomputation *r, const Op *op) {
    Kind kind = op_kind(r->p, op);
    bool joins = kind == KIND_FROM_CHUNKS && r->redo[r->root[op_inputs(r->plan, op)[0]]];
    bool gathers = kind == KIND_ALL_GATHER || joins;
    switch (r->how) {
    case RECOMPUTE_FULL:
    case RECOMPUTE_BLOCK: return true;
    case RECOMPUTE_SELECTIVE: return is_cheap(r, op);
    case RECOMPUTE_ATTENTION: return gathers || is_of_scores(r, op);
    case RECOMPUTE_GATHERS: return gathers;
    default: return false;
    }
}

// A tensor may be written in place, as a product is that is summed over ranks before its bias is
// added: what makes it are all its writers, if all others read it after the last.
static void find_writers_in_place(Recomputation *r) {
    for (int i = 0; i < r->ops; i++) {
        const Op *op = &r->plan->ops[i];
        bool forward = op_work(r->p, op)->phase == PHASE_FORWARD;
        for (int k = 0; k < op->inputs; k++) {
            int t = r->root[op_inputs(r->plan, op)[k]];
            bool own = writes(r, op, t);
            if (own ? r->first[t] == NONE || !forward : i < r->last[t]) r->first[t] = r->ops;
        }
        for (int o = 0; o < op->outputs; o++) {
            int t = r->root[op_outputs(r->plan, op)[o]];
            bool reads = false;
            for (int k = 0; k < op->inputs; k++) reads |= r->root[op_inputs(r->plan, op)[k]] == t;
            if (r->first[t] == NONE && !reads && forward)
                r->first[t] = i;
            else if (!reads)
                r->first[t] = r->ops;
        }
    }
    for (int t = 0; t < r->tensors; t++)
        if (r->writer[t] == NONE && r->first[t] != NONE && r->first[t] < r->ops)
            r->writer[t] = r->first[t];
}

static void find_touches(Recomputation *r) {
    for (int i = 0; i < r->ops; i++) {
        const Op *op = &r->plan->ops[i];
        bool backward = op_work(r->p, op)->phase == PHASE_BACKWARD;
        for (int o = 0; o < op->outputs; o++) {
            int t = r->root[op_outputs(r->plan, op)[o]];
            r->writer[t] = r->writer[t] == NONE ? i : r->ops;
            r->last[t] = i;
        }
        for (int k = 0; k < op->inputs && backward; k++)
            r->needed[r->root[op_inputs(r->plan, op)[k]]] = 1;
    }
    for (int t = 0; t < r->tensors; t++)
        if (r->writer[t] == r->ops) r->writer[t] = NONE;  // by several
    if (r->how == RECOMPUTE_BLOCK) find_writers_in_place(r);
}

// What is read by another segment, or by anything but forward and backward, is kept.
static void keep_what_leaves(Recomputation *r, uint8_t *leaves) {
    for (int i = 0; i < r->ops; i++) {
        const Op *op = &r->plan->ops[i];
        Phase phase = (Phase)op_work(r->p, op)->phase;
        for (int k = 0; k < op->inputs && phase != PHASE_BACKWARD; k++) {
            int t = r->root[op_inputs(r->plan, op)[k]];
            bool inside = phase == PHASE_FORWARD && r->writer[t] != NONE &&
                          r->segment[i] == r->segment[r->writer[t]];
            if (!inside) leaves[t] = 1;
        }
    }
}

static Status choose(Recomputation *r) {
    uint8_t *leaves = ARENA_NEW(&r->arena, uint8_t, r->tensors + 1);
    if (!leaves) FAIL(ERR_MEMORY, "out of memory for %d tensors", r->tensors);
    keep_what_leaves(r, leaves);
    for (int i = 0; i < r->ops; i++) {
        const Op *op = &r->plan->ops[i];
        bool redo = can_repeat(r, i) && is_chosen(r, op);
        for (int o = 0; o < op->outputs; o++) redo &= !leaves[r->root[op_outputs(r->plan, op)[o]]];
        for (int o = 0; o < op->outputs; o++) {
            int t = op_outputs(r->plan, op)[o];
            bool first = r->writer[r->root[t]] == i;
            if (redo && first) r->redo[t] = 1;
            if (!redo && !first) r->redo[r->root[t]] = 0;  // its last writers cannot be repeated
        }
    }
    return OK;
}

// --- making it again

// "fc1.y/0.1.again": the same piece of the same logical tensor, or the same view of one.
static Status add_tensor(Recomputation *r, int t, int alias, int32_t *out) {
    const Tensor from = r->p->tensors[t];
    char name[NAME];
    TensorSpec spec = {.name = name,
                       .logical = from.logical,
                       .extent = TENSOR_REF(from.extent),
                       .extent_times = from.extent_times,
                       .alias = TENSOR_REF(alias),
                       .shard = from.shard,
                       .micro_batch = from.micro_batch,
                       .dtype = (Dtype)from.dtype,
                       .role = (Role)from.role};
    int index;
    memcpy(spec.shape, from.shape, sizeof spec.shape);
    memcpy(spec.placement, from.placement, sizeof spec.placement);
    snprintf(name, sizeof name, "%s.again", tensor_name(r->p, t));
    TRY(program_add_tensor(r->p, &spec, &index));
    *out = index;
    return OK;
}

// Where a tensor lies that an operation made again, or the backward, reads.
static Status find_again(Recomputation *r, int t, int32_t *out) {
    int32_t alias;
    *out = t;
    if (!r->redo[r->root[t]]) return OK;
    if (r->again[t] == NONE) {  // a view
        TRY(find_again(r, r->p->tensors[t].alias, &alias));
        TRY(add_tensor(r, t, alias, &r->again[t]));
    }
    *out = r->again[t];
    return OK;
}

// "fc1.forward" becomes "fc1.recompute".
static void name_again(const Recomputation *r, const Work *w, char out[NAME]) {
    static const char forward[] = ".forward";
    const char *name = program_name(r->p, w->name);
    size_t length = strlen(name), end = sizeof forward - 1;
    bool plain = length > end && !strcmp(name + length - end, forward);
    snprintf(out, NAME, "%.*s.%s", (int)(length - (plain ? end : 0)), name,
             phase_name(PHASE_RECOMPUTE));
}

static Status repeat(Recomputation *r, int i, int before) {
    const Op op = r->plan->ops[i];
    const Work w = *op_work(r->p, &op);
    int32_t *operands = ARENA_NEW(&r->arena, int32_t, op.outputs + op.inputs + 1);
    int64_t attrs[ATTRIBUTES];
    char name[NAME], layer[NAME];
    if (!operands) FAIL(ERR_MEMORY, "out of memory for %s", op_name(r->p, &op));
    for (int o = 0; o < op.outputs; o++) {
        int t = op_outputs(r->plan, &op)[o];
        if (r->again[t] == NONE) TRY(add_tensor(r, t, NONE, &r->again[t]));
        operands[o] = r->again[t];
    }
    for (int k = 0; k < op.inputs; k++)
        TRY(find_again(r, op_inputs(r->plan, &op)[k], &operands[op.outputs + k]));
    for (int k = 0; k < kind_attribute_count(work_kind(&w)); k++) attrs[k] = work_attr(r->p, &w, k);
    name_again(r, &w, name);
    snprintf(layer, sizeof layer, "%s", program_name(r->p, w.layer));
    TRY(ARRAY_RESERVE(r->after, r->capacity, r->added + 1));
    r->after[r->added++] = before - 1;
    return plan_add_op(r->p, r->plan,
                       &(OpSpec){.name = name,
                                 .layer = layer,
                                 .kind = work_kind(&w),
                                 .phase = PHASE_RECOMPUTE,
                                 .dtype = (Dtype)w.dtype,
                                 .lane = op.lane,
                                 .group = w.group,
                                 .algorithm = (Algorithm)w.algorithm,
                                 .order = (Order)w.order,
                                 .parts = w.parts,
                                 .unit = w.unit,
                                 .attrs = w.attr_count ? attrs : NULL,
                                 .outputs = operands,
                                 .inputs = operands + op.outputs,
                                 .output_count = op.outputs,
                                 .input_count = op.inputs,
                                 .shard = op.shard,
                                 .micro_batch = op.micro_batch,
                                 .flags = op.flags | OP_RECOMPUTE},
                       NULL);
}

static int ascending(const void *left, const void *right) {
    const int32_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void need(Recomputation *r, int root, int *count) {
    if (!r->redo[root] || r->done[r->writer[root]]) return;
    for (int i = r->writer[root]; i <= r->last[root]; i++) {
        if (r->done[i] || !writes(r, &r->plan->ops[i], root)) continue;
        r->done[i] = 1;
        r->list[(*count)++] = i;
    }
}

// The rest of the forward of that operation's segment and micro-batch, wanted or not.
static void need_segment(Recomputation *r, int of, int *count) {
    const Op *like = &r->plan->ops[of];
    for (int i = 0; i < r->ops; i++) {
        const Op *op = &r->plan->ops[i];
        if (r->segment[i] == r->segment[of] && op->shard == like->shard &&
            op->micro_batch == like->micro_batch && op->outputs)
            need(r, r->root[op_outputs(r->plan, op)[0]], count);
    }
}

// Before operation `before`, repeat what makes this tensor, in the order of the forward.
static Status make_again(Recomputation *r, int root, int before) {
    int count = 0;
    need(r, root, &count);
    if (count && r->how == RECOMPUTE_BLOCK) need_segment(r, r->list[0], &count);
    for (int i = 0; i < count; i++) {
        const Op *op = &r->plan->ops[r->list[i]];
        for (int k = 0; k < op->inputs; k++) need(r, r->root[op_inputs(r->plan, op)[k]], &count);
    }
    qsort(r->list, (size_t)count, sizeof *r->list, ascending);
    for (int i = 0; i < count; i++) TRY(repeat(r, r->list[i], before));
    return OK;
}

static Status read_again(Recomputation *r) {
    for (int i = 0; i < r->ops; i++) {
        const Op op = r->plan->ops[i];
        if (op_work(r->p, &op)->phase != PHASE_BACKWARD) continue;
        for (int k = 0; k < op.inputs; k++) {
            int32_t t = op_inputs(r->plan, &op)[k], again;
            TRY(make_again(r, r->root[t], i));
            TRY(find_again(r, t, &again));
            r->plan->operands[op.operand_first + op.outputs + k] = again;
        }
    }
    return OK;
}

// --- the whole

static Status init(Recomputation *r, const Model *m) {
    Arena *a = &r->arena;
    int n = r->tensors + 1;
    r->root = ARENA_NEW(a, int32_t, n);
    r->writer = ARENA_NEW(a, int32_t, n);
    r->first = ARENA_NEW(a, int32_t, n);
    r->last = ARENA_NEW(a, int32_t, n);
    r->redo = ARENA_NEW(a, uint8_t, n);
    r->needed = ARENA_NEW(a, uint8_t, n);
    r->again = ARENA_NEW(a, int32_t, n);
    r->done = ARENA_NEW(a, uint8_t, r->ops + 1);
    r->list = ARENA_NEW(a, int32_t, r->ops + 1);
    if (!r->root || !r->writer || !r->first || !r->last || !r->redo || !r->needed || !r->again ||
        !r->done || !r->list)
        FAIL(ERR_MEMORY, "out of memory for a plan of %d operations", r->ops);
    for (int t = 0; t < r->tensors; t++) {
        r->root[t] = program_root(r->p, t);
        r->writer[t] = r->first[t] = r->last[t] = r->again[t] = NONE;
    }
    find_touches(r);
    return find_segments(r, m);
}

static Status apply(Recomputation *r, const Model *m) {
    TRY(init(r, m));
    TRY(choose(r));
    TRY(read_again(r));
    TRY(strategy_place_after(r->plan, r->after, r->added, &r->arena));
    return plan_derive_deps(r->p, r->plan);
}

Status recompute_apply(Program *p, const Model *m, Recompute how) {
    int step = program_find_when(p, WHEN_EACH_STEP, 0);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    if (how == RECOMPUTE_NONE) return OK;
    Recomputation r = {.p = p,
                       .plan = &p->plans[step],
                       .how = how,
                       .tensors = p->tensor_count,
                       .ops = p->plans[step].op_count};
    Status s = apply(&r, m);
    free(r.after);
    arena_finish(&r.arena);
    return s;
}
