// SPDX-License-Identifier: MIT
// The control plane: what ranks tell all others besides their communication.
#include "parallel/comm/comm_internal.h"

Status comm_exchange(Comm *c, const void *mine, size_t size, void *all) {
    return c->methods->exchange(c, mine, size, all);
}

void comm_post(Comm *c, uint64_t word) { atomic_store(&shared_rank(c, c->rank)->word, word); }

uint64_t comm_peek(const Comm *c, int rank) {
    return atomic_load(rank == NONE ? &c->world->control->word : &shared_rank(c, rank)->word);
}

void comm_world_post(CommWorld *w, uint64_t word) { atomic_store(&w->control->word, word); }
