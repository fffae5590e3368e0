// SPDX-License-Identifier: MIT
// The vocabulary over ranks (Megatron-LM, Shoeybi et al. 2019, 3): the table of an embedding is cut
// by its rows, the product that gives the logits by its outputs, and the loss is computed from a
// few numbers of each row that are reduced; logits are never gathered. One rank's operations
// become those whose rules know cut classes (placement_vocabulary.c), which need the numbers of
// the rows that a rank has. Begin with split_vocabulary().
#include "core/plan/piece.h"
#include "core/plan/placement_rules.h"
#include "core/plan/program_copy.h"
#include "parallel/strategy/split_internal.h"
#include "parallel/strategy/split_place.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 320 };

typedef struct {
    Split *x;
    Program *p;
    Plan *plan;
    int32_t *sums;           // [tensor, before] of a kept softmax: the sums of its rows
    int *after;              // [added] the operation behind which it goes
    int added, table, head;  // logical tensors that are cut, or NONE
    int rows, classes;       // their indices
} Vocabulary;

static int logical_of(const Vocabulary *v, int tensor) { return v->p->tensors[tensor].logical; }

// The product that wrote a tensor, from an operation back; NULL: another kind.
static const Op *find_product(const Vocabulary *v, int from, int tensor) {
    for (int i = from; i >= 0; i--) {
        const Op *op = &v->plan->ops[i];
        if (!op->outputs || op_outputs(v->plan, op)[0] != tensor) continue;
        return op_kind(v->p, op) == KIND_LINEAR ? op : NULL;
    }
    return NULL;
}

// Is a weight read as a table and as the head alone, so that its rows may be apart?
static bool is_used_otherwise(const Vocabulary *v, int logical) {
    for (int i = 0; i < v->plan->op_count; i++) {
        const Op *op = &v->plan->ops[i];
        Kind k = op_kind(v->p, op);
        if (op_work(v->p, op)->phase != PHASE_FORWARD || k == KIND_TO_BF16) continue;
        for (int n = 0; n < op->inputs; n++) {
            bool table = k == KIND_EMBEDDING && n == 1;
            bool head = k == KIND_LINEAR && n == 1 && logical == v->head;
            if (logical_of(v, op_inputs(v->plan, op)[n]) == logical && !table && !head) return true;
        }
    }
    return false;
}

static void find_weights(Vocabulary *v) {
    v->table = v->head = NONE;
    for (int i = 0; i < v->plan->op_count; i++) {
        const Op *op = &v->plan->ops[i];
        const int32_t *in = op_inputs(v->plan, op);
        Kind k = op_kind(v->p, op);
        if (op_work(v->p, op)->phase != PHASE_FORWARD) continue;
        if (k == KIND_EMBEDDING) v->table = logical_of(v, in[1]);
        const Op *head = k == KIND_CROSS_ENTROPY ? find_product(v, i, in[0]) : NULL;
        if (head) v->head = logical_of(v, op_inputs(v->plan, head)[1]);
    }
    bool asked = v->head != NONE && !split_may_place(v->x, v->head, PLACEMENT_SHARD(0));
    if (asked) v->head = NONE;
    if (v->table == NONE) v->head = NONE;  // classes of images are few
    if (v->head != NONE && is_used_otherwise(v, v->head)) v->head = NONE;
    if (v->table != NONE && is_used_otherwise(v, v->table)) v->table = NONE;
}

static Status add_index(Vocabulary *v, const char *name, int logical, int *out) {
    const Placement whole[AXES] = {0};
    *out = NONE;
    if (logical == NONE) return OK;
    return piece_add_index(v->p, name, v->p->logicals[logical].shape[0], whole, out);
}

// --- operations

// What a new operation has of the one that it stands for; `inputs` and `outputs` are the caller's.
static OpSpec spec_like(const Vocabulary *v, const Op *op, Kind kind, const char *name) {
    const Work *w = op_work(v->p, op);
    return (OpSpec){.name = name,
                    .layer = program_name(v->p, w->layer),
                    .kind = kind,
                    .phase = (Phase)w->phase,
                    .dtype = (Dtype)w->dtype,
                    .lane = op->lane,
                    .shard = op->shard,
                    .micro_batch = op->micro_batch};
}

static Status replace(Vocabulary *v, int i, const OpSpec *spec) {
    Plan *plan = v->plan;
    int made;
    TRY(plan_add_op(v->p, plan, spec, &made));
    Op op = plan->ops[made];
    op.dep_first = plan->ops[i].dep_first;
    op.dep_count = plan->ops[i].dep_count;
    plan->ops[i] = op;
    plan->op_count--;
    return OK;
}

// The same with the index of rows behind its inputs.
static Status add_rows(Vocabulary *v, int i) {
    const Op op = v->plan->ops[i];
    int32_t operands[4];
    int count = op.outputs + op.inputs;
    memcpy(operands, op_outputs(v->plan, &op), (size_t)count * sizeof *operands);
    operands[count] = v->rows;
    OpSpec s = spec_like(v, &op, op_kind(v->p, &op), op_name(v->p, &op));
    s.outputs = operands;
    s.output_count = op.outputs;
    s.inputs = operands + op.outputs;
    s.input_count = op.inputs + 1;
    s.flags = op.flags;
    return replace(v, i, &s);
}

// A number, or several, for each row of logits: "cross_entropy.WHAT", of the same pass.
static Status add_row_numbers(Vocabulary *v, int logits, const char *what, int columns,
                              int32_t *out) {
    Program *p = v->p;
    const Tensor t = p->tensors[logits];
    const Logical whole = p->logicals[t.logical];
    const char *of = program_name(p, whole.name), *suffix = tensor_name(p, logits) + strlen(of);
    char logical[NAME], name[NAME + 32];
    bool evaluates = !strncmp(of, "evaluate.", 9);
    snprintf(logical, sizeof logical, "%scross_entropy.%s", evaluates ? "evaluate." : "", what);
    snprintf(name, sizeof name, "%s%s", logical, suffix);
    LogicalSpec l = {.name = logical,
                     .dims = whole.dims - !columns,
                     .dtype = dtype_wide((Dtype)t.dtype),
                     .role = ROLE_ACTIVATION};
    TensorSpec s = program_copy_spec(p, &t);
    memcpy(l.shape, whole.shape, sizeof l.shape);
    l.shape[whole.dims - 1] = s.shape[whole.dims - 1] = columns;
    s.name = name;
    s.dtype = l.dtype;
    s.extent = t.extent == NONE ? 0 : TENSOR_REF(t.extent);
    s.logical = program_find_logical(p, logical);
    if (s.logical == NONE) TRY(program_add_logical(p, &l, &s.logical));
    int index;
    TRY(program_add_tensor(p, &s, &index));
    *out = index;
    return OK;
}

static Status add_before(Vocabulary *v, int i, const OpSpec *spec) {
    v->after[v->added++] = i - 1;
    return plan_add_op(v->p, v->plan, spec, NULL);
}

typedef struct {
    int32_t logits, labels, count, loss, probability, largest, sums;
} Loss;

// Maximum and sums of the rows, for `loss`, which stands at place i.
static Status add_reductions(Vocabulary *v, const Op *op, int i, const Loss *l) {
    OpSpec max = spec_like(v, op, KIND_VOCABULARY_MAX, "cross_entropy.max");
    max.outputs = &l->largest;
    max.output_count = 1;
    max.inputs = (int32_t[]){l->logits, v->classes};
    max.input_count = 2;
    TRY(add_before(v, i, &max));
    OpSpec sums = spec_like(v, op, KIND_VOCABULARY_SUMS, "cross_entropy.sums");
    sums.outputs = (int32_t[]){l->sums, l->probability};
    sums.output_count = op->outputs;
    sums.inputs = (int32_t[]){l->logits, l->largest, l->labels, v->classes};
    sums.input_count = 4;
    return add_before(v, i, &sums);
}

static Status cut_loss(Vocabulary *v, int i) {
    const Op op = v->plan->ops[i];
    const int32_t *out = op_outputs(v->plan, &op), *in = op_inputs(v->plan, &op);
    Loss l = {.logits = in[0],
              .labels = in[1],
              .count = in[2],
              .loss = out[0],
              .probability = op.outputs > 1 ? out[1] : NONE};
    int64_t smoothing = work_attr(v->p, op_work(v->p, &op), 0);
    int64_t attrs[] = {v->p->logicals[v->head].shape[0], smoothing};
    TRY(add_row_numbers(v, l.logits, "largest", 0, &l.largest));
    TRY(add_row_numbers(v, l.logits, "sums", smoothing ? 4 : 3, &l.sums));
    if (l.probability != NONE) v->sums[l.probability] = l.sums;
    OpSpec loss = spec_like(v, &op, KIND_VOCABULARY_LOSS, op_name(v->p, &op));
    loss.attrs = attrs;
    loss.flags = op.flags;
    loss.outputs = &l.loss;
    loss.output_count = 1;
    loss.inputs = (int32_t[]){l.sums, l.labels, l.count};
    loss.input_count = 3;
    TRY(replace(v, i, &loss));
    return add_reductions(v, &op, i, &l);
}

static Status cut_loss_backward(Vocabulary *v, int i) {
    const Op op = v->plan->ops[i];
    const int32_t *in = op_inputs(v->plan, &op);
    int64_t smoothing = work_attr(v->p, op_work(v->p, &op), 0);
    OpSpec s = spec_like(v, &op, KIND_VOCABULARY_LOSS_BACKWARD, op_name(v->p, &op));
    int32_t dlogits = op_outputs(v->plan, &op)[0];
    s.attrs = (int64_t[]){v->p->logicals[v->head].shape[0], smoothing};
    s.outputs = &dlogits;
    s.output_count = 1;
    s.inputs = (int32_t[]){in[0], v->sums[in[0]], in[1], in[2], v->classes};
    s.input_count = 5;
    return replace(v, i, &s);
}

static Status cut_plan(Vocabulary *v, int k) {
    v->plan = &v->p->plans[k];
    int count = v->plan->op_count;
    v->added = 0;
    v->after = ARENA_NEW(&v->x->arena, int, 2 * count + 1);
    if (!v->after) FAIL(ERR_MEMORY, "out of memory for %d operations", count);
    // Operations that are added lie behind those that there are, which keep their places.
    for (int i = 0; i < count; i++) {
        const Op *op = &v->plan->ops[i];
        Kind kind = op_kind(v->p, op);
        bool looks_up = kind == KIND_EMBEDDING || kind == KIND_EMBEDDING_BACKWARD;
        if (looks_up && v->table != NONE) TRY(add_rows(v, i));
        if (kind == KIND_CROSS_ENTROPY && v->head != NONE) TRY(cut_loss(v, i));
        if (kind == KIND_CROSS_ENTROPY_BACKWARD && v->head != NONE) TRY(cut_loss_backward(v, i));
    }
    return strategy_place_after(v->plan, v->after, v->added, &v->x->arena);
}

Status split_vocabulary(Split *x) {
    Program *p = x->from;
    Vocabulary v = {.x = x, .p = p};
    int step = program_find_when(p, WHEN_EACH_STEP, 0);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    v.plan = &p->plans[step];
    find_weights(&v);
    v.sums = ARENA_NEW(&x->arena, int32_t, p->tensor_count + 1);
    if (!v.sums) FAIL(ERR_MEMORY, "out of memory for the vocabulary");
    TRY(add_index(&v, "vocabulary.rows", v.table, &v.rows));
    TRY(add_index(&v, "vocabulary.classes", v.head, &v.classes));
    for (int k = 0; k < p->plan_count; k++) TRY(cut_plan(&v, k));
    return OK;
}

// --- where they lie

static void cut(Split *x, int tensor) {
    x->parameter[x->from->tensors[tensor].logical] = PLACEMENT_SHARD(0);
}

void split_place_vocabulary(Split *x) {
    Plan *plan = &x->from->plans[program_find_when(x->from, WHEN_EACH_STEP, 0)];
    Vocabulary v = {.x = x, .p = x->from, .plan = plan};
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const int32_t *in = op_inputs(plan, op);
        Kind kind = op_kind(x->from, op);
        if (kind == KIND_EMBEDDING && op->inputs > 2)
            for (int n = 1; n < 3; n++) cut(x, in[n]);
        if (kind != KIND_VOCABULARY_MAX) continue;
        const Op *head = find_product(&v, i, in[0]);
        cut(x, in[1]);
        for (int n = 1; head && n < head->inputs; n++) cut(x, op_inputs(plan, head)[n]);
    }
}
