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
};

const char *fusion_name(Fusion f) {
#define X(constant, name) name,
    static const char *const names[] = {FUSION_LIST(X)};
#undef X
    return names[f];
}

typedef struct {
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
    for (int k = 0; k < c->p->plan_count; k++) {
        const Plan *plan = &c->p->plans[k];
        for (int i = 0; i < plan->op_count; i++)
            if (!(plan == c->plan && is_member(c, i)) &&
                (reads(plan, i, tensor) || writes(plan, i, tensor)))
                return true;
    }
    for (int t = 0; t < c->p->tensor_count; t++)
        if (c->p->tensors[t].alias == tensor) return true;
    return false;
}

static int next_on_lane(const Plan *plan, int op) {
    for (int i = op + 1; i < plan->op_count; i++)
        if (plan->ops[i].lane == plan->ops[op].lane) return i;
    return NONE;
}

static Kind kind_of(const Chain *c, int op) { return op_kind(c->p, &c->plan->ops[op]); }

// May `op` follow the chain? It works on the last member's result, and nothing
// between them feeds it.
static bool follows(const Chain *c, int op) {
    int last = c->ops[c->count - 1];
    const Op *a = &c->plan->ops[last], *b = &c->plan->ops[op];
    if (a->shard != b->shard || a->micro_batch != b->micro_batch || b->guard != NONE) return false;
    bool halves = kind_of(c, op) ==
                  KIND_CONV2D_BACKWARD_INPUT;  // reads the gradient that the weight's half read
    int link = halves ? op_inputs(c->plan, a)[1] : op_outputs(c->plan, a)[0];
    if (!reads(c->plan, op, link)) return false;
    for (int between = c->ops[0] + 1; between < op; between++) {
        if (is_member(c, between)) continue;
        for (int k = 0; k < b->inputs; k++)
            if (writes(c->plan, between, op_inputs(c->plan, b)[k])) return false;
        for (int d = 0; d < b->dep_count; d++)
            if (c->plan->deps[b->dep_first + d].op == between) return false;
    }
    return true;
}

// What one member hands to the next is stored nowhere, so nobody else may use it.
static bool links_are_private(const Chain *c) {
    for (int i = 0; i + 1 < c->count; i++)
        if (kind_of(c, c->ops[i]) != KIND_CONV2D_BACKWARD_WEIGHT &&
            touched_outside(c, op_outputs(c->plan, &c->plan->ops[c->ops[i]])[0]))
            return false;
    return true;
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
            int next = next_on_lane(c->plan, c->ops[c->count - 1]);
            if (next == NONE || kind_of(c, next) != patterns[k].kinds[c->count] ||
                !follows(c, next))
                break;
            c->ops[c->count++] = next;
        }
        if (c->count == patterns[k].count && links_are_private(c)) return true;
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

// Explicit dependencies of members become the chain's; those on members point to it.
static Status move_deps(Chain *c) {
    int first = c->ops[0];
    for (int i = 1; i < c->count; i++)
        for (int d = 0; d < c->plan->ops[c->ops[i]].dep_count; d++) {
            Dep dep = c->plan->deps[c->plan->ops[c->ops[i]].dep_first + d];
            if (!is_member(c, dep.op))
                TRY(plan_add_dep(c->plan, first, dep.op, (DepKind)dep.kind, dep.distance));
        }
    for (int d = 0; d < c->plan->dep_count; d++)
        if (is_member(c, c->plan->deps[d].op)) c->plan->deps[d].op = first;
    return OK;
}

static Status fuse_chain(Chain *c) {
    Program *p = c->p;
    Plan *plan = c->plan;
    int32_t outputs[CHAIN * OPERANDS], inputs[CHAIN * OPERANDS];
    int output_count, input_count;
    char name[256];
    chain_name(c, name, sizeof name);
    chain_operands(c, outputs, &output_count, inputs, &input_count);
    TRY(move_deps(c));
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
    plan->ops[c->ops[0]] = fused;
    return OK;
}

Status fuse_plan(Program *p, Plan *plan, uint32_t fusions) {
    Arena scratch = {0};
    uint8_t *keep = ARENA_NEW(&scratch, uint8_t, plan->op_count + 1);
    if (!keep) FAIL(ERR_MEMORY, "out of memory for fusing %d operations", plan->op_count);
    memset(keep, 1, (size_t)plan->op_count);
    Status s = OK;
    for (int i = 0; i < plan->op_count && s == OK; i++) {
        Chain c = {.p = p, .plan = plan};
        if (!keep[i] || plan->ops[i].member_count || !match(&c, fusions, i)) continue;
        s = fuse_chain(&c);
        for (int k = 1; k < c.count; k++) keep[c.ops[k]] = 0;
        if (s == OK) s = plan_select(plan, NULL, keep);
        memset(keep, 1, (size_t)plan->op_count);
    }
    arena_finish(&scratch);
    return s;
}
