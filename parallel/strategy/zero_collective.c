// SPDX-License-Identifier: MIT
// ZeRO's collectives: of all tensors that go together, each of which is cut by itself. Experts go
// among fewer ranks, and types do not mix: of these there are collectives apart.
#include "core/plan/build.h"
#include "parallel/strategy/zero_internal.h"

#include <stdio.h>

static Dtype dtype_of(const Zero *z, const ZeroPair *pair) {
    return (Dtype)z->join.p->tensors[pair->whole[0]].dtype;
}

int zero_bucket_end(const Zero *z, const ZeroPair *pairs, int count, int first) {
    int64_t bytes = 0, cap = z->join.options->bucket_bytes[first > 0];
    int end = first;
    for (; end < count && (end == first || bytes < cap); end++)
        bytes += z->join.p->tensors[pairs[end].whole[0]].bytes;
    return end;
}

static bool go_together(const Zero *z, const ZeroPair *a, const ZeroPair *b) {
    return zero_group(z, a->share) == zero_group(z, b->share) && dtype_of(z, a) == dtype_of(z, b);
}

// "reduce_scatter.bucket0"; of experts "all_gather.experts.bucket0"; a second type is named.
static void name_collective(const Zero *z, const ZeroCut *c, const ZeroPair *pair, bool second_type,
                            char *out, size_t size) {
    bool of_experts = zero_group(z, pair->share) != z->join.group;
    snprintf(out, size, "%s.%s%s%s%s", kind_name(c->kind), of_experts ? "experts." : "", c->name,
             second_type ? "." : "", second_type ? dtype_name(dtype_of(z, pair)) : "");
}

// Those of pairs[first ..) that go with the first, part after part.
static int take_operands(const Zero *z, const ZeroCut *c, const ZeroPair *pairs, int first,
                         int count, int32_t *shares, int32_t *wholes) {
    int taken = 0;
    for (int part = 0, n = 0; part < c->parts; part++, taken = n, n = 0)
        for (int i = first; i < count; i++) {
            if (!go_together(z, &pairs[first], &pairs[i])) continue;
            shares[n++] = pairs[i].share;
            *wholes++ = pairs[i].whole[part];
        }
    return taken;
}

static Status add_one(Zero *z, Plan *plan, const ZeroCut *c, const ZeroPair *pairs, int first,
                      int count, int after) {
    Join *j = &z->join;
    const ZeroPair *pair = &pairs[first];
    bool gathers = c->kind == KIND_ALL_GATHER;
    int32_t *shares = ARENA_NEW(&j->arena, int32_t, count + 1);
    int32_t *wholes = ARENA_NEW(&j->arena, int32_t, (int64_t)count * c->parts + 1);
    char name[320];
    if (!shares || !wholes) FAIL(ERR_MEMORY, "out of memory for a collective of %d tensors", count);
    int taken = take_operands(z, c, pairs, first, count, shares, wholes);
    name_collective(z, c, pair, dtype_of(z, pair) != dtype_of(z, pairs), name, sizeof name);
    return join_add(j, plan,
                    &(OpSpec){.name = name,
                              .kind = c->kind,
                              .phase = c->phase,
                              .dtype = dtype_of(z, pair),
                              .lane = zero_lane(z, pair->share, gathers),
                              .group = zero_group(z, pair->share),
                              .algorithm = j->options->algorithm,
                              .order = algorithm_order(j->options->algorithm),
                              .parts = c->parts,
                              .unit = ZERO_BLOCK,
                              .outputs = gathers ? wholes : shares,
                              .inputs = gathers ? shares : wholes,
                              .output_count = taken,
                              .input_count = taken * c->parts,
                              .shard = c->shard,
                              .micro_batch = c->micro_batch},
                    after);
}

Status zero_add_collectives(Zero *z, Plan *plan, const ZeroCut *c, const ZeroPair *pairs, int count,
                            int after) {
    for (int i = 0; i < count; i++) {
        bool taken = false;
        for (int k = 0; k < i && !taken; k++) taken = go_together(z, &pairs[k], &pairs[i]);
        if (!taken) TRY(add_one(z, plan, c, pairs, i, count, after));
    }
    return OK;
}
