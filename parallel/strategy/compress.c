// SPDX-License-Identifier: MIT
// Gradients that are sent in two bytes (the hooks bf16_compress and fp16_compress of PyTorch): each
// local shard's is rounded to the type, all are added up in f32 and rounded once
// (docs/contract.md, 3), and the sum becomes the type of the arithmetic again before the update.
// Read compress_buckets() at the end first.
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <string.h>

static const struct {
    Dtype dtype;
    Kind to, from;
} forms[] = {
    [COMPRESS_BF16] = {DTYPE_BF16, KIND_TO_BF16, KIND_FROM_BF16},
    [COMPRESS_FP16] = {DTYPE_F16, KIND_TO_F16, KIND_FROM_F16},
};

// A bucket on its way: the gradients, and what is sent of them.
typedef struct {
    const Gradient *g;
    Gradient *sent;
    int count, after;
    char name[32];
} Bucket;

// A tensor that lies as a gradient, but along the axes over which that is summed: its copy in
// another type, or the sum.
static Status add_like(Join *j, const Gradient *g, const char *suffix, Dtype dtype, Role role,
                       int shard, Placement placement, int32_t *out) {
    const Tensor *t = &j->p->tensors[g->part[shard]];
    uint16_t summed = join_summed_axes(j, g);
    const Logical *whole = &j->p->logicals[t->logical];
    char name[256], local[288];
    LogicalSpec l = {.name = name, .dims = whole->dims, .dtype = dtype, .role = role};
    TensorSpec piece = {.name = local, .dtype = dtype, .role = role, .shard = shard};
    memcpy(l.shape, whole->shape, sizeof l.shape);
    memcpy(piece.shape, t->shape, sizeof piece.shape);
    for (int a = 0; a < j->p->axis_count; a++)  // a part of a sum has been reduced in place
        if (!placement_is_partial(t->placement[a])) piece.placement[a] = t->placement[a];
    snprintf(name, sizeof name, "%s.%s", program_name(j->p, whole->name), suffix);
    snprintf(local, sizeof local, shard ? "%s/%d" : "%s", name, shard);
    for (int a = 0; a < j->p->axis_count; a++)
        if (summed >> a & 1) piece.placement[a] = placement;
    piece.logical = program_find_logical(j->p, name);
    if (piece.logical == NONE) TRY(program_add_logical(j->p, &l, &piece.logical));
    int index;
    TRY(program_add_tensor(j->p, &piece, &index));
    *out = index;
    return OK;
}

// One conversion; `real` is the operand in the type of the arithmetic.
static Status convert(Join *j, Plan *plan, const char *what, Kind kind, const int32_t *to,
                      const int32_t *from, int32_t real, int shard, int after) {
    char name[256];
    snprintf(name, sizeof name, "%s.%s", what, tensor_name(j->p, *from));
    return join_add(j, plan,
                    &(OpSpec){.name = name,
                              .kind = kind,
                              .phase = PHASE_SYNC,
                              .dtype = (Dtype)j->p->tensors[real].dtype,
                              .lane = program_find_lane(j->p, "compute"),
                              .outputs = to,
                              .inputs = from,
                              .output_count = 1,
                              .input_count = 1,
                              .shard = shard},
                    after);
}

// Round the gradients of a bucket and all-reduce what comes out.
static Status send(Join *j, Plan *plan, Bucket *b) {
    Compress form = (Compress)j->options->compress.word;
    int parts = j->options->local_shards;
    for (int i = 0; i < b->count; i++) {
        b->sent[i].part = ARENA_NEW(&j->arena, int32_t, parts);
        if (!b->sent[i].part) FAIL(ERR_MEMORY, "out of memory for a bucket");
        for (int s = 0; s < parts; s++) {
            int32_t *to = &b->sent[i].part[s], from = b->g[i].part[s];
            TRY(add_like(j, &b->g[i], dtype_name(forms[form].dtype), forms[form].dtype, ROLE_BUFFER,
                         s, PLACEMENT_SUM, to));
            TRY(convert(j, plan, "compress", forms[form].to, to, &from, from, s, b->after));
        }
    }
    return join_all_reduce(j, plan, b->name, b->sent, b->count, j->options->algorithm, b->after);
}

int compress_read_sum(Plan *plan, const Gradient *g, int32_t sum, int original) {
    int first = NONE;
    for (int i = g->complete + 1; i < original; i++) {
        int32_t *inputs = plan->operands + plan->ops[i].operand_first + plan->ops[i].outputs;
        for (int k = 0; k < plan->ops[i].inputs; k++) {
            if (inputs[k] != g->part[0]) continue;
            inputs[k] = sum;
            if (first == NONE) first = i;
        }
    }
    return first;
}

Status compress_add_sum(Join *j, const Gradient *g, int32_t *out) {
    return add_like(j, g, "reduced", (Dtype)j->p->tensors[g->part[0]].dtype, ROLE_GRADIENT, 0,
                    PLACEMENT_REPLICATED, out);
}

static Status receive(Join *j, Plan *plan, const Bucket *b, int original) {
    Compress form = (Compress)j->options->compress.word;
    for (int i = 0; i < b->count; i++) {
        const Gradient *g = &b->g[i];
        int32_t sum;
        TRY(compress_add_sum(j, g, &sum));
        int first = compress_read_sum(plan, g, sum, original);
        if (first != NONE)
            TRY(convert(j, plan, "expand", forms[form].from, &sum, &b->sent[i].part[0], sum, 0,
                        first - 1));
    }
    return OK;
}

// All are sent before the first is awaited, so that the backward goes on.
Status compress_buckets(Join *j, Plan *plan, const Gradient *g, int count, int last_backward,
                        int original) {
    Bucket *buckets = ARENA_NEW(&j->arena, Bucket, count + 1);
    int n = 0;
    if (!buckets) FAIL(ERR_MEMORY, "out of memory for %d buckets", count);
    for (int first = 0, end; first < count; first = end, n++) {
        Bucket *b = &buckets[n];
        end = gradients_bucket(j->p, j->options, g, count, first, &b->after);
        b->g = &g[first];
        b->count = end - first;
        b->sent = ARENA_NEW(&j->arena, Gradient, b->count);
        if (!b->sent) FAIL(ERR_MEMORY, "out of memory for a bucket of %d gradients", b->count);
        b->after = join_after(j, b->after, last_backward);
        snprintf(b->name, sizeof b->name, "%sbucket%d",
                 join_is_of_experts(j, &g[first]) ? "experts." : "", n);
        TRY(send(j, plan, b));
    }
    for (int i = 0; i < n; i++) TRY(receive(j, plan, &buckets[i], original));
    return OK;
}
