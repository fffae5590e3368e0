// SPDX-License-Identifier: MIT
// ZeRO-3: each unit, a block of the model or a layer outside of blocks, gathers its parameters into
// buffers of its own before its forward and again before its backward, of every micro-batch. One
// such need is a use. Buffers of two uses share memory where the first is surely read before the
// second is filled: the dependencies that are collected here make it sure, and program_lower()
// finds the places.
#include "core/base/array.h"
#include "core/plan/build.h"
#include "core/plan/mesh.h"
#include "core/plan/piece.h"
#include "parallel/strategy/zero_internal.h"

#include <stdio.h>
#include <string.h>

// What one unit gathers in one pass over one micro-batch.
typedef struct {
    int first_op, last_op;  // that read its buffers
    int first, last;        // of its buffers, a chain in the order of their first readers
} Use;

typedef struct {
    int32_t tensor, whole;  // the buffer, and the parameter that fills it
    int next;               // buffer of the same use, or NONE
} Buffer;

typedef struct {
    Zero *z;
    Plan *plan;
    Use *uses;  // in the arena, as all arrays; in the order of their first operations
    Buffer *buffers;
    int32_t *unit;    // [slot of a layer] that of the first layer of its unit
    int32_t *common;  // [slot of a first layer] the length of what all names of the unit begin with
    int32_t *open;    // [slot of a first layer][phase] the last use of the unit, or NONE
    int use_count, buffer_count;
    int converted;  // the last operation that writes a copy of a parameter, or NONE
    bool several;   // shards or micro-batches
} Gathers;

// --- units

static int slot_of(int layer) { return layer == NONE ? 0 : 1 + layer / NAME_ALIGN; }
static const char *first_layer(const Gathers *g, int slot) {
    return program_name(g->z->join.p, slot ? (slot - 1) * NAME_ALIGN : NONE);
}

// Of "h.0.ln_1" and "h.0.mlp.fc": that of "h.0".
static int common_length(const char *a, int length, const char *b) {
    int n = 0;
    while (n < length && b[n] == a[n]) n++;
    if (n == length && (b[n] == '.' || !b[n])) return n;
    while (n > 0 && a[--n] != '.') {}
    return n;
}

// Layers of one block that follow each other are a unit, as FSDP wraps them; so is any other layer.
static void find_units(Gathers *g, int slots) {
    const Model *m = g->z->model;
    int first = NONE, block = NONE;
    for (int s = 0; s < slots; s++) g->unit[s] = s;
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        int name = program_find_name(g->z->join.p, l->name);
        if (!l->used || name == NONE) continue;
        if (l->block == NONE || l->block != block) {
            first = slot_of(name);
            g->common[first] = (int32_t)strlen(l->name);
        }
        block = l->block;
        g->unit[slot_of(name)] = first;
        g->common[first] = common_length(first_layer(g, first), g->common[first], l->name);
    }
}

static Status gathers_init(Gathers *g, Zero *z, Plan *plan) {
    const Program *p = z->join.p;
    Arena *a = &z->join.arena;
    int reads = 0, slots = slot_of(p->name_bytes);
    *g = (Gathers){.z = z, .plan = plan, .converted = NONE};
    for (int i = 0; i < plan->op_count; i++) {
        reads += plan->ops[i].inputs;
        g->several |= plan->ops[i].shard > 0 || plan->ops[i].micro_batch > 0;
    }
    g->uses = ARENA_NEW(a, Use, reads + 1);
    g->buffers = ARENA_NEW(a, Buffer, reads + 1);
    g->unit = ARENA_NEW(a, int32_t, slots);
    g->common = ARENA_NEW(a, int32_t, slots);
    g->open = ARENA_NEW(a, int32_t, (int64_t)slots * PHASE_COUNT);
    if (!g->uses || !g->buffers || !g->unit || !g->common || !g->open)
        FAIL(ERR_MEMORY, "out of memory for the gathering of parameters");
    for (int i = 0; i < slots * PHASE_COUNT; i++) g->open[i] = NONE;
    find_units(g, slots);
    return OK;
}

// --- uses

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
    b->next = NONE;
    *(u->first == NONE ? &u->first : &g->buffers[u->last].next) = g->buffer_count;
    u->last = g->buffer_count++;
    return OK;
}

static bool same_pass(const Op *a, const Op *b) {
    return a->shard == b->shard && a->micro_batch == b->micro_batch;
}

// The buffer from which operation i reads a parameter. Where a phase comes back to a unit, between
// operations of another, it is the same use: a recomputation and its backward may alternate.
static Status buffer_of(Gathers *g, int i, int whole, int32_t *out) {
    const Op *op = &g->plan->ops[i];
    const Work *w = op_work(g->z->join.p, op);
    int32_t *open = &g->open[g->unit[slot_of(w->layer)] * PHASE_COUNT + w->phase];
    if (*open == NONE || !same_pass(&g->plan->ops[g->uses[*open].first_op], op)) {
        *open = g->use_count++;
        g->uses[*open] = (Use){.first_op = i, .first = NONE, .last = NONE};
    }
    Use *u = &g->uses[*open];
    int b = u->first;
    while (b != NONE && g->buffers[b].whole != whole) b = g->buffers[b].next;
    u->last_op = i;
    if (b == NONE) {
        b = g->buffer_count;
        TRY(add_buffer(g, u, whole, op));
    }
    *out = g->buffers[b].tensor;
    return OK;
}

static Status shard_copies(Gathers *g) {
    for (int i = 0; i < g->plan->op_count; i++) {
        if (!zero_writes_copy(g->z->join.p, g->plan, &g->plan->ops[i])) continue;
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
        if (op_work(p, op)->phase == PHASE_UPDATE || zero_writes_copy(p, g->plan, op)) continue;
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

// "h.0.forward/0.1"
static void name_use(const Gathers *g, const Op *op, char *out, size_t size) {
    const Program *p = g->z->join.p;
    const Work *w = op_work(p, op);
    int slot = g->unit[slot_of(w->layer)], length = g->common[slot];
    const char *name = slot ? first_layer(g, slot) : op_name(p, op);
    char pass[32] = "";
    if (g->several) snprintf(pass, sizeof pass, "/%d.%d", op->shard, op->micro_batch);
    snprintf(out, size, "%.*s.%s%s", length ? length : (int)strlen(name), name,
             phase_name((Phase)w->phase), pass);
}

static Status add_use(Gathers *g, const Use *u, ZeroPair *pairs, int after, DepList *deps) {
    const Op *op = &g->plan->ops[u->first_op];
    char name[256];
    ZeroCut cut = {.kind = KIND_ALL_GATHER,
                   .phase = (Phase)op_work(g->z->join.p, op)->phase,
                   .name = name,
                   .parts = 1,
                   .shard = op->shard,
                   .micro_batch = op->micro_batch};
    int count = 0, added = g->plan->op_count;
    name_use(g, op, name, sizeof name);
    for (int b = u->first; b != NONE; b = g->buffers[b].next)
        pairs[count++] = (ZeroPair){g->buffers[b].whole, &g->buffers[b].tensor};
    TRY(zero_add_collectives(g->z, g->plan, &cut, pairs, count, after));
    for (int i = added; after != NONE && i < g->plan->op_count; i++)
        TRY(dep_list_add(deps, i, after, DEP_ORDER, 0));
    return OK;
}

// In the order of the uses. None waits for an operation behind its own first one, so that nothing
// waits in a circle.
static Status add_gathers(Gathers *g, DepList *deps) {
    ZeroPair *pairs = ARENA_NEW(&g->z->join.arena, ZeroPair, g->buffer_count + 1);
    if (!pairs) FAIL(ERR_MEMORY, "out of memory for the gathering of parameters");
    for (int k = 0, after = NONE; k < g->use_count; k++) {
        int free = gathered_after(g, k);
        if (free > after) after = free;
        TRY(add_use(g, &g->uses[k], pairs, after, deps));
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
