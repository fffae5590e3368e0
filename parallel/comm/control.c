// SPDX-License-Identifier: MIT
// The control plane: what ranks tell all others besides their communication.
#include "parallel/comm/comm_internal.h"

Status comm_exchange(Comm *c, const void *mine, size_t size, void *all) {
    return c->methods->exchange(c, "exchange between all ranks", mine, size, all);
}

Status comm_agree(Comm *c, uint64_t value) {
    TRY(c->methods->exchange(c, "comparison of plans", &value, sizeof value, c->agreed));
    for (int m = 0; m < c->ranks && c->world->kind == COMM_SERIAL; m++)
        if (!c->world->ends[m] || c->world->ends[m]->exchanges < c->exchanges) return OK;
    for (int m = 1; m < c->ranks; m++)
        if (c->agreed[m] != c->agreed[0])
            FAIL(ERR_PLAN,
                 "rank %d would communicate otherwise than rank 0 (%016llx, not %016llx): all "
                 "ranks must run one program, model and strategy",
                 m, (unsigned long long)c->agreed[m], (unsigned long long)c->agreed[0]);
    return OK;
}

void comm_post(Comm *c, uint64_t word) { atomic_store(&shared_rank(c, c->rank)->word, word); }

uint64_t comm_peek(const Comm *c, int rank) {
    return atomic_load(rank == NONE ? &c->world->control->word : &shared_rank(c, rank)->word);
}

void comm_world_post(CommWorld *w, uint64_t word) { atomic_store(&w->control->word, word); }
