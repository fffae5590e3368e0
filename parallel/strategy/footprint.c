// SPDX-License-Identifier: MIT
// Closed forms of memory and traffic, and the same of a plan. See footprint.h.
#include "parallel/strategy/footprint.h"

#include "parallel/strategy/collective_work.h"

#include <string.h>

static int64_t logical_elements(const Logical *l) {
    int64_t n = 1;
    for (int d = 0; d < l->dims; d++) n *= l->shape[d];
    return n;
}

static const Plan *step_of(const Program *p) {
    int k = program_find_when(p, WHEN_EACH_STEP, 0);
    return k == NONE ? NULL : &p->plans[k];
}

static int data_ranks(const Program *p) {
    for (int a = 0; a < p->axis_count; a++)
        if (!strcmp(p->axes[a].name, "data")) return p->axes[a].size;
    return 1;
}

// Every pass has its own shard and micro-batch.
static int count_passes(const Plan *plan) {
    int shards = 0, micro_batches = 0;
    for (int i = 0; plan && i < plan->op_count; i++) {
        if (plan->ops[i].shard > shards) shards = plan->ops[i].shard;
        if (plan->ops[i].micro_batch > micro_batches) micro_batches = plan->ops[i].micro_batch;
    }
    return (shards + 1) * (micro_batches + 1);
}

FootprintModel footprint_model(const Program *p) {
    FootprintModel m = {.ranks = data_ranks(p), .passes = count_passes(step_of(p))};
    for (int i = 0; i < p->logical_count; i++) {
        const Logical *l = &p->logicals[i];
        int64_t n = logical_elements(l), bytes = n * dtype_bytes((Dtype)l->dtype);
        if (l->role == ROLE_PARAMETER) m.parameter_bytes += bytes;
        if (l->role == ROLE_PARAMETER) m.parameters += n;
        if (l->role == ROLE_OPTIMISER && dtype_is_real((Dtype)l->dtype)) m.optimiser_bytes += bytes;
    }
    return m;
}

Footprint footprint_closed(const FootprintModel *m, int stage) {
    double whole = (double)m->parameter_bytes, n = m->ranks;
    return (Footprint){.parameters = stage == 3 ? whole / n : whole,
                       .gradients = stage >= 2 ? whole / n : whole,
                       .optimiser =
                           stage >= 1 ? (double)m->optimiser_bytes / n : (double)m->optimiser_bytes,
                       .sent = (stage == 3 ? 2 * m->passes + 1 : 2) * whole * (n - 1) / n};
}

static bool carries(const Program *p, const Plan *plan, const Op *op) {
    Role role = (Role)p->tensors[op_outputs(plan, op)[0]].role;
    return role == ROLE_GRADIENT || role == ROLE_PARAMETER || role == ROLE_BUFFER;
}

Footprint footprint_planned(const Program *p) {
    const Plan *plan = step_of(p);
    Footprint f = {.parameters = (double)program_memory(p, MEMORY_PARAMETERS),
                   .gradients = (double)program_memory(p, MEMORY_GRADIENTS),
                   .optimiser = (double)program_memory(p, MEMORY_OPTIMISER)};
    for (int i = 0; plan && i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Work *w = op_work(p, op);
        if (!work_communicates(w) || work_is_message(w) || !op->outputs) continue;
        if (!carries(p, plan, op)) continue;
        Collective c = collective_work_collective(p, w);
        f.sent += (double)collective_bytes_total(&c, dtype_bytes((Dtype)w->dtype)) / c.ranks;
    }
    return f;
}
