// SPDX-License-Identifier: MIT
// Fusion: chains of operations that the device executes as one kernel.
//
// Members lie next to each other on one lane and belong to one micro-batch. Each reads the first
// output of the one before it, or the same gradient (the two halves of a backward). A tensor that
// only members touch is virtual: it gets no memory. Forward and backward never meet in one chain,
// so a gradient is ready no later than its layer's backward.
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/plan/build.h"
#include "core/plan/lower_internal.h"

#include <stdio.h>
#include <string.h>

enum { CHAIN = 4 };

static const struct {
    Fusion fusion;
    uint8_t count;
    Kind kinds[CHAIN];
} patterns[] = {
    // longest first
    {FUSION_POOLED_CONV2D_BACKWARD,
     4,
     {KIND_RELU_BACKWARD, KIND_MAX_POOL_BACKWARD, KIND_CONV2D_BACKWARD_WEIGHT,
      KIND_CONV2D_BACKWARD_INPUT}},
    {FUSION_POOLED_CONV2D_BACKWARD,
     3,
     {KIND_RELU_BACKWARD, KIND_MAX_POOL_BACKWARD, KIND_CONV2D_BACKWARD_WEIGHT}},
    {FUSION_CONV2D_RELU_MAX_POOL, 3, {KIND_CONV2D, KIND_RELU, KIND_MAX_POOL}},
    {FUSION_CONV2D_RELU, 2, {KIND_CONV2D, KIND_RELU}},
    {FUSION_LINEAR_RELU, 2, {KIND_LINEAR, KIND_RELU}},
    {FUSION_CONV2D_BACKWARD, 2, {KIND_CONV2D_BACKWARD_WEIGHT, KIND_CONV2D_BACKWARD_INPUT}},
    {FUSION_LAYER_NORM_BACKWARD,
     2,
     {KIND_LAYER_NORM_BACKWARD_WEIGHT, KIND_LAYER_NORM_BACKWARD_INPUT}},
};

// Of the first half of a backward, which input is the gradient that the other half reads as well;
// NONE: of any other kind.
static int shared_gradient(Kind kind) {
    switch (kind) {
    case KIND_CONV2D_BACKWARD_WEIGHT: return 1;
    case KIND_LAYER_NORM_BACKWARD_WEIGHT: return 0;
    default: return NONE;
    }
}

const char *fusion_name(Fusion f) {
#define X(constant, name) name,
    static const char *const names[] = {FUSION_LIST(X)};
#undef X
    return names[f];
}

// What is known of a plan while its chains are replaced. An operation that became part of a chain
// stays where it is, dropped, until all chains are found: places change once, at the end.
typedef struct {
    Program *p;
    Plan *plan;
    const PlanOrder *order;  // before any chain was replaced
    int32_t *touches;        // [tensor] how often an operation of any plan has it as operand
    uint8_t *viewed;         // [tensor] another tensor is an alias of it
    int32_t *next;           // [operation] the next on its lane that is not dropped, or NONE
    int32_t *into;           // [operation] where its chain is: itself, or the chain's first member
    uint8_t *keep;           // [operation] 0: dropped
    DepList moved;           // dependencies of later members, which the chain takes over
} Fuse;

typedef struct {
    Fuse *fuse;
    Program *p;
    Plan *plan;
    int ops[CHAIN], count;
    Fusion fusion;
} Chain;

static bool reads(const Plan *plan, int op, int tensor) {
    for (int i = 0; i < plan->ops[op].inputs; i++)
        if (op_inputs(plan, &plan->ops[op])[i] == tensor) return true;
    return false;
}

static bool writes(const Plan *plan, int op, int tensor) {
    for (int i = 0; i < plan->ops[op].outputs; i++)
        if (op_outputs(plan, &plan->ops[op])[i] == tensor) return true;
    return false;
}

static bool is_member(const Chain *c, int op) {
    for (int i = 0; i < c->count; i++)
        if (c->ops[i] == op) return true;
    return false;
}

// Does anything but a member touch the tensor, in any plan of the program?
static bool touched_outside(const Chain *c, int tensor) {
    int inside = 0;
    for (int i = 0; i < c->count; i++) {
        const Op *op = &c->plan->ops[c->ops[i]];
        for (int k = 0; k < op->outputs + op->inputs; k++)
            inside += op_outputs(c->plan, op)[k] == tensor;
    }
    return c->fuse->touches[tensor] > inside || c->fuse->viewed[tensor];
}

static Kind kind_of(const Chain *c, int op) { return op_kind(c->p, &c->plan->ops[op]); }

// The chain begins when its first member could: what a later one waits for has ended then. A chain
// that waited for more might wait for a peer that waits for its first member.
static bool waits_for_no_more(const Chain *c, const Op *b) {
    for (int d = 0; d < b->dep_count; d++) {
        const Dep *dep = &c->plan->deps[b->dep_first + d];
        if (dep->distance == 0 && !is_member(c, dep->op) &&
            !plan_order_holds(c->fuse->order, dep->op, c->ops[0]))
            return false;
    }
    return true;
}

// May `op` follow the chain? It works on the last member's result, and nothing that lies between
// them feeds it.
static bool follows(const Chain *c, int op) {
    int last = c->ops[c->count - 1];
    const Op *a = &c->plan->ops[last], *b = &c->plan->ops[op];
    if (a->shard != b->shard || a->micro_batch != b->micro_batch || b->guard != NONE) return false;
    int shared = shared_gradient(kind_of(c, last));
    int link = shared == NONE ? op_outputs(c->plan, a)[0] : op_inputs(c->plan, a)[shared];
    if (!reads(c->plan, op, link)) return false;
    for (int between = c->ops[0] + 1; between < op; between++) {
        if (is_member(c, between) || !c->fuse->keep[between]) continue;
        for (int k = 0; k < b->inputs; k++)
            if (writes(c->plan, between, op_inputs(c->plan, b)[k])) return false;
    }
    return waits_for_no_more(c, b);
}

// What one member hands to the next is stored nowhere, so nobody else may use it.
static bool links_are_private(const Chain *c) {
    for (int i = 0; i + 1 < c->count; i++)
        if (shared_gradient(kind_of(c, c->ops[i])) == NONE &&
            touched_outside(c, op_outputs(c->plan, &c->plan->ops[c->ops[i]])[0]))
            return false;
    return true;
}

// What is computed again is made by the kernels that made it first (docs/contract.md, 1): is a
// member's output the again of one that an operation outside of any chain has written?
static bool first_was_stored(const Chain *c) {
    const Plan *plan = c->plan;
    if (!(plan->ops[c->ops[0]].flags & OP_RECOMPUTE)) return false;
    for (int i = 0; i + 1 < c->count; i++) {
        const Op *again = &plan->ops[c->ops[i]];
        int logical = c->p->tensors[op_outputs(plan, again)[0]].logical;
        for (int j = 0; j < c->ops[0]; j++) {
            const Op *op = &plan->ops[j];
            if (!op->outputs || op->flags & OP_RECOMPUTE || op->member_count || !c->fuse->keep[j] ||
                op->shard != again->shard || op->micro_batch != again->micro_batch)
                continue;
            if (c->p->tensors[op_outputs(plan, op)[0]].logical == logical) return true;
        }
    }
    return false;
}

static bool match(Chain *c, uint32_t fusions, int first) {
    for (size_t k = 0; k < sizeof patterns / sizeof *patterns; k++) {
        if (!(fusions >> patterns[k].fusion & 1) || kind_of(c, first) != patterns[k].kinds[0])
            continue;
        if (c->plan->ops[first].guard != NONE) continue;
        c->ops[0] = first;
        c->count = 1;
        c->fusion = patterns[k].fusion;
        while (c->count < patterns[k].count) {
            int next = c->fuse->next[c->ops[c->count - 1]];
            if (next == NONE || kind_of(c, next) != patterns[k].kinds[c->count] ||
                !follows(c, next))
                break;
            c->ops[c->count++] = next;
        }
        if (c->count == patterns[k].count && links_are_private(c) && !first_was_stored(c))
            return true;
    }
    return false;
}

// "conv1+relu1+pool1.forward": the layers in order, each once, and the phase.
static void chain_name(const Chain *c, char *out, size_t size) {
    const char *last = "";
    *out = '\0';
    for (int i = 0; i < c->count; i++) {
        const Work *w = op_work(c->p, &c->plan->ops[c->ops[i]]);
        const char *layer =
            w->layer == NONE ? kind_name(work_kind(w)) : program_name(c->p, w->layer);
        if (strcmp(layer, last)) text_append(out, size, "%s%s", *last ? "+" : "", layer);
        last = layer;
    }
    text_append(out, size, ".%s",
                phase_name((Phase)op_work(c->p, &c->plan->ops[c->ops[0]])->phase));
}

static bool handed_on(const Chain *c, int tensor) {
    for (int i = 0; i < c->count; i++)
        if (reads(c->plan, c->ops[i], tensor)) return true;
    return false;
}

// The chain's operands: what it leaves in memory, and what it takes from outside; each once.
static void chain_operands(const Chain *c, int32_t *outputs, int *output_count, int32_t *inputs,
                           int *input_count) {
    *output_count = *input_count = 0;
    for (int i = 0; i < c->count; i++) {
        const Op *op = &c->plan->ops[c->ops[i]];
        for (int k = 0; k < op->outputs; k++) {
            int tensor = op_outputs(c->plan, op)[k];
            if (!handed_on(c, tensor) || touched_outside(c, tensor))
                outputs[(*output_count)++] = tensor;
        }
    }
    for (int i = 0; i < c->count; i++) {
        const Op *op = &c->plan->ops[c->ops[i]];
        for (int k = 0; k < op->inputs; k++) {
            int tensor = op_inputs(c->plan, op)[k];
            bool known = false;
            for (int m = 0; m < c->count; m++) known = known || writes(c->plan, c->ops[m], tensor);
            for (int m = 0; m < *input_count; m++) known = known || inputs[m] == tensor;
            if (!known) inputs[(*input_count)++] = tensor;
        }
    }
}

static int32_t chain_layer(const Chain *c) {
    for (int i = 0; i < c->count; i++) {
        const Work *w = op_work(c->p, &c->plan->ops[c->ops[i]]);
        Kind k = work_kind(w);
        if (k == KIND_CONV2D || k == KIND_LINEAR || k == KIND_CONV2D_BACKWARD_WEIGHT)
            return w->layer;
    }
    return op_work(c->p, &c->plan->ops[c->ops[0]])->layer;
}

// The dependencies of later members become the chain's, and the first member stands for all.
static Status move_deps(Chain *c) {
    int first = c->ops[0];
    for (int i = 1; i < c->count; i++) {
        const Op *op = &c->plan->ops[c->ops[i]];
        for (int d = 0; d < op->dep_count; d++) {
            Dep dep = c->plan->deps[op->dep_first + d];
            if (!is_member(c, dep.op))
                TRY(dep_list_add(&c->fuse->moved, first, dep.op, (DepKind)dep.kind, dep.distance));
        }
        c->fuse->into[c->ops[i]] = first;
    }
    return OK;
}

static void count_touches(Fuse *f, const Plan *plan, const Op *op, int by) {
    for (int k = 0; k < op->outputs + op->inputs; k++) f->touches[op_outputs(plan, op)[k]] += by;
}

static Status fuse_chain(Chain *c) {
    Program *p = c->p;
    Plan *plan = c->plan;
    int32_t outputs[CHAIN * OPERANDS], inputs[CHAIN * OPERANDS];
    int output_count, input_count;
    char name[256];
    chain_name(c, name, sizeof name);
    chain_operands(c, outputs, &output_count, inputs, &input_count);
    Op first = plan->ops[c->ops[0]];
    int64_t flops = 0, attr = c->fusion;
    uint64_t key = HASH_START;
    uint8_t flags = 0;
    TRY(ARRAY_RESERVE(plan->members, plan->member_capacity, plan->member_count + c->count));
    int member_first = plan->member_count;
    for (int i = 0; i < c->count; i++) {
        Op member = plan->ops[c->ops[i]];
        member.dep_count = 0;
        plan->members[plan->member_count++] = member;
        flops += op_work(p, &member)->flops;
        key = hash_u64(key, op_work(p, &member)->cost_key);
        flags |= member.flags;
    }
    int32_t layer = chain_layer(c);
    char layer_name[128];
    snprintf(layer_name, sizeof layer_name, "%s", program_name(p, layer));
    const Work *w = op_work(p, &first);
    TRY(plan_add_op(p, plan,
                    &(OpSpec){.name = name,
                              .layer = layer_name,
                              .kind = KIND_FUSED,
                              .phase = (Phase)w->phase,
                              .dtype = (Dtype)w->dtype,
                              .lane = first.lane,
                              .attrs = &attr,
                              .outputs = outputs,
                              .inputs = inputs,
                              .output_count = output_count,
                              .input_count = input_count,
                              .shard = first.shard,
                              .micro_batch = first.micro_batch,
                              .flags = flags,
                              .flops = flops,
                              .cost_key = key},
                    NULL));
    Op fused = plan->ops[--plan->op_count];
    fused.dep_first = plan->ops[c->ops[0]].dep_first;
    fused.dep_count = plan->ops[c->ops[0]].dep_count;
    fused.member_first = member_first;
    fused.member_count = c->count;
    for (int i = 0; i < c->count; i++) {
        count_touches(c->fuse, plan, &plan->ops[c->ops[i]], -1);
        c->fuse->keep[c->ops[i]] = i == 0;
    }
    count_touches(c->fuse, plan, &fused, 1);
    c->fuse->next[c->ops[0]] = c->fuse->next[c->ops[c->count - 1]];
    plan->ops[c->ops[0]] = fused;
    return OK;
}

static Status fuse_init(Fuse *f, Arena *a, Program *p, Plan *plan, const PlanOrder *order) {
    int n = plan->op_count, last[UINT8_MAX + 1];
    *f = (Fuse){.p = p,
                .plan = plan,
                .order = order,
                .touches = ARENA_NEW(a, int32_t, p->tensor_count + 1),
                .viewed = ARENA_NEW(a, uint8_t, p->tensor_count + 1),
                .next = ARENA_NEW(a, int32_t, n + 1),
                .into = ARENA_NEW(a, int32_t, n + 1),
                .keep = ARENA_NEW(a, uint8_t, n + 1)};
    if (!f->touches || !f->viewed || !f->next || !f->into || !f->keep)
        FAIL(ERR_MEMORY, "out of memory for fusing %d operations", n);
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            count_touches(f, &p->plans[k], &p->plans[k].ops[i], 1);
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].alias != NONE) f->viewed[p->tensors[t].alias] = 1;
    for (int lane = 0; lane <= UINT8_MAX; lane++) last[lane] = NONE;
    for (int i = n - 1; i >= 0; i--) {
        f->next[i] = last[plan->ops[i].lane];
        last[plan->ops[i].lane] = i;
        f->into[i] = i;
        f->keep[i] = 1;
    }
    return OK;
}

static Status fuse_chains(Fuse *f, uint32_t fusions) {
    for (int i = 0; i < f->plan->op_count; i++) {
        Chain c = {.fuse = f, .p = f->p, .plan = f->plan};
        if (!f->keep[i] || f->plan->ops[i].member_count || !match(&c, fusions, i)) continue;
        TRY(move_deps(&c));
        TRY(fuse_chain(&c));
    }
    TRY(plan_add_deps(f->plan, &f->moved));
    for (int d = 0; d < f->plan->dep_count; d++) f->plan->deps[d].op = f->into[f->plan->deps[d].op];
    return plan_select(f->plan, NULL, f->keep);
}

Status fuse_plan(Program *p, Plan *plan, const PlanOrder *order, uint32_t fusions) {
    Arena scratch = {0};
    Fuse f;
    Status s = fuse_init(&f, &scratch, p, plan, order);
    if (s == OK) s = fuse_chains(&f, fusions);
    dep_list_finish(&f.moved);
    arena_finish(&scratch);
    return s;
}
