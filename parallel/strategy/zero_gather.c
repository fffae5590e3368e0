// SPDX-License-Identifier: MIT
// ZeRO-3: each layer gathers its parameters into buffers of its own before its forward and again
// before its backward, of every micro-batch. One such need is a use. Buffers of two uses share
// memory where the first is surely read before the second is filled: the dependencies that are
// collected here make it sure, and program_lower() finds the places.
#include "core/base/array.h"
#include "core/plan/build.h"
#include "core/plan/mesh.h"
#include "core/plan/piece.h"
#include "parallel/strategy/zero_internal.h"

#include <stdio.h>
#include <string.h>

// What one layer gathers in one pass over one micro-batch.
typedef struct {
    int first_op, last_op;      // that read its buffers
    int first_buffer, buffers;  // in Gathers.buffers
} Use;

typedef struct {
    int32_t tensor, whole;  // the buffer, and the parameter that fills it
} Buffer;

typedef struct {
    Zero *z;
    Plan *plan;
    Use *uses;  // in the arena, as all arrays; in the order of their first operations
    Buffer *buffers;
    int32_t *last;  // [1 + name] of a layer: the last of its uses, or NONE
    int use_count, buffer_count;
    int converted;  // the last operation that writes a copy of a parameter, or NONE
    bool several;   // shards or micro-batches
} Gathers;

static Status gathers_init(Gathers *g, Zero *z, Plan *plan) {
    const Program *p = z->join.p;
    Arena *a = &z->join.arena;
    int reads = 0;
    *g = (Gathers){.z = z, .plan = plan, .converted = NONE};
    for (int i = 0; i < plan->op_count; i++) {
        reads += plan->ops[i].inputs;
        g->several |= plan->ops[i].shard > 0 || plan->ops[i].micro_batch > 0;
    }
    g->uses = ARENA_NEW(a, Use, reads + 1);
    g->buffers = ARENA_NEW(a, Buffer, reads + 1);
    g->last = ARENA_NEW(a, int32_t, p->name_bytes + 1);
    if (!g->uses || !g->buffers || !g->last)
        FAIL(ERR_MEMORY, "out of memory for the gathering of parameters");
    for (int i = 0; i <= p->name_bytes; i++) g->last[i] = NONE;
    return OK;
}

// Its name: "fc1.weight.forward/0.1"; where another layer has that already, as with tied
// parameters, "fc1.weight.head.forward/0.1".
static void name_buffer(const Gathers *g, int whole, const Op *op, char *out, size_t size) {
    const Program *p = g->z->join.p;
    const Work *w = op_work(p, op);
    const char *phase = phase_name((Phase)w->phase), *name = tensor_name(p, whole);
    char pass[32] = "";
    if (g->several) snprintf(pass, sizeof pass, "/%d.%d", op->shard, op->micro_batch);
    snprintf(out, size, "%s.%s%s", name, phase, pass);
    if (program_find_tensor(p, out) == NONE) return;
    const char *layer = w->layer == NONE ? op_name(p, op) : program_name(p, w->layer);
    snprintf(out, size, "%s.%s.%s%s", name, layer, phase, pass);
}

static Status add_buffer(Gathers *g, Use *u, int whole, const Op *op) {
    Program *p = g->z->join.p;
    int32_t shard;
    TRY(zero_shard_of(g->z, whole, &shard));
    Tensor piece = p->tensors[whole];
    Buffer *b = &g->buffers[g->buffer_count];
    char name[320];
    int dims;
    mesh_place(piece.placement, zero_axes(g->z, whole), PLACEMENT_REPLICATED);
    TensorSpec spec = {.name = name,
                       .logical = piece.logical,
                       .dtype = (Dtype)piece.dtype,
                       .role = ROLE_BUFFER,
                       .shard = op->shard,
                       .micro_batch = op->micro_batch};
    name_buffer(g, whole, op, name, sizeof name);
    memcpy(spec.placement, piece.placement, sizeof spec.placement);
    TRY(piece_capacity(p, &piece, spec.shape, &dims));
    TRY(program_add_tensor(p, &spec, &b->tensor));
    b->whole = shard;
    g->buffer_count++;
    u->buffers++;
    return OK;
}

static bool same_pass(const Gathers *g, int a, int b) {
    const Op *x = &g->plan->ops[a], *y = &g->plan->ops[b];
    return op_work(g->z->join.p, x)->phase == op_work(g->z->join.p, y)->phase &&
           x->shard == y->shard && x->micro_batch == y->micro_batch;
}

static const Buffer *find_buffer(const Gathers *g, const Use *u, int whole) {
    for (const Buffer *b = &g->buffers[u->first_buffer];
         b < &g->buffers[u->first_buffer + u->buffers]; b++)
        if (b->whole == whole) return b;
    return NULL;
}

// The buffer from which operation i reads a parameter. A use that is not the newest gets no more
// buffers: then its layer begins another one.
static Status buffer_of(Gathers *g, int i, int whole, int32_t *out) {
    const Op *op = &g->plan->ops[i];
    int32_t *last = &g->last[1 + op_work(g->z->join.p, op)->layer];
    Use *u = *last == NONE ? NULL : &g->uses[*last];
    const Buffer *b;
    if (u && !same_pass(g, u->first_op, i)) u = NULL;
    b = u ? find_buffer(g, u, whole) : NULL;
    if (!b && (!u || *last != g->use_count - 1)) {
        *last = g->use_count++;
        u = &g->uses[*last];
        *u = (Use){.first_op = i, .first_buffer = g->buffer_count};
    }
    u->last_op = i;
    if (!b) {
        b = &g->buffers[g->buffer_count];
        TRY(add_buffer(g, u, whole, op));
    }
    *out = b->tensor;
    return OK;
}

static bool writes_copy(const Program *p, const Plan *plan, const Op *op) {
    return op->outputs && p->tensors[op_outputs(plan, op)[0]].role == ROLE_COPY;
}

static Status shard_copies(Gathers *g) {
    for (int i = 0; i < g->plan->op_count; i++) {
        if (!writes_copy(g->z->join.p, g->plan, &g->plan->ops[i])) continue;
        TRY(zero_shard_op(g->z, g->plan, i));
        g->converted = i;
    }
    return OK;
}

static Status read_buffers(Gathers *g) {
    const Program *p = g->z->join.p;
    for (int i = 0; i < g->plan->op_count; i++) {
        const Op *op = &g->plan->ops[i];
        int32_t *inputs = &g->plan->operands[op->operand_first + op->outputs];
        if (op_work(p, op)->phase == PHASE_UPDATE || writes_copy(p, g->plan, op)) continue;
        for (int k = 0; k < op->inputs; k++) {
            Role role = (Role)p->tensors[inputs[k]].role;
            if ((role == ROLE_PARAMETER || role == ROLE_COPY) && zero_axes(g->z, inputs[k]))
                TRY(buffer_of(g, i, inputs[k], &inputs[k]));
        }
    }
    return OK;
}

// The operation after which a use may be gathered: the last one of the use `prefetch` + 1 before
// it, if that comes before its own first one, else the one that the same lane does before that;
// the last conversion, or NONE: the first of all.
static int gathered_after(const Gathers *g, int use) {
    const StrategyOptions *options = g->z->join.options;
    const Op *ops = g->plan->ops;
    int first = g->uses[use].first_op, before = use - 1 - options->prefetch, at = first - 1;
    if (!options->no_overlap && before < 0) return g->converted;
    if (!options->no_overlap && g->uses[before].last_op < first) return g->uses[before].last_op;
    while (at != NONE && ops[at].lane != ops[first].lane) at--;
    return at;
}

static Status add_gather(Gathers *g, const Buffer *b, Phase phase, int after) {
    const Zero *z = g->z;
    const Program *p = z->join.p;
    char name[320];
    snprintf(name, sizeof name, "all_gather.%s", tensor_name(p, b->tensor));
    return join_add(&g->z->join, g->plan,
                    &(OpSpec){.name = name,
                              .kind = KIND_ALL_GATHER,
                              .phase = phase,
                              .dtype = (Dtype)p->tensors[b->tensor].dtype,
                              .lane = zero_lane(z, b->whole, true),
                              .group = zero_group(z, b->whole),
                              .algorithm = z->join.options->algorithm,
                              .order = algorithm_order(z->join.options->algorithm),
                              .unit = ZERO_BLOCK,
                              .outputs = &b->tensor,
                              .inputs = &b->whole,
                              .output_count = 1,
                              .input_count = 1,
                              .shard = p->tensors[b->tensor].shard,
                              .micro_batch = p->tensors[b->tensor].micro_batch},
                    after);
}

// The others of its lane wait for the first of a use.
static bool is_first_of_lane(const Gathers *g, const Use *u, int buffer) {
    const Buffer *of = &g->buffers[u->first_buffer];
    for (int b = 0; b < buffer; b++)
        if (zero_group(g->z, of[b].whole) == zero_group(g->z, of[buffer].whole)) return false;
    return true;
}

static Status add_gathers(Gathers *g, DepList *deps) {
    for (int k = 0; k < g->use_count; k++) {
        const Use *u = &g->uses[k];
        int after = gathered_after(g, k);
        const Phase phase = (Phase)op_work(g->z->join.p, &g->plan->ops[u->first_op])->phase;
        for (int b = 0; b < u->buffers; b++) {
            if (after != NONE && is_first_of_lane(g, u, b))
                TRY(dep_list_add(deps, g->plan->op_count, after, DEP_ORDER, 0));
            TRY(add_gather(g, &g->buffers[u->first_buffer + b], phase, after));
        }
    }
    return OK;
}

Status zero_add_gathers(Zero *z, Plan *plan, DepList *deps) {
    Gathers g;
    TRY(gathers_init(&g, z, plan));
    TRY(shard_copies(&g));
    TRY(read_buffers(&g));
    return add_gathers(&g, deps);
}
