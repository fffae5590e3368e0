// SPDX-License-Identifier: MIT
// Ranks for a lesson: the trainer's communicators, each rank a thread that runs one function.
#ifndef LESSONS_ENGINE_RANKS_H
#define LESSONS_ENGINE_RANKS_H

#include "parallel/comm/comm.h"

#include <stdint.h>

// What each rank does; group 0 has all ranks in order.
typedef Status RanksBody(Comm *c, void *context);

// Run it on 1 to COMM_RANKS ranks with pools of so many bytes each. The failure of the first rank
// that fails; ERR_MEMORY.
Status ranks_run(int ranks, int64_t pool_bytes, RanksBody *body, void *context) MUST_USE;

// The same, where a rank that waits longer than so many ns for a peer gives up: ERR_PEER.
Status ranks_run_within(int ranks, int64_t pool_bytes, int64_t timeout_ns, RanksBody *body,
                        void *context) MUST_USE;

// Do a call that is prepared, and wait until it is complete on this rank.
Status ranks_do(Comm *c, const CommCall *call) MUST_USE;

// The call of an all-reduce of f32 in place, for comm_prepare() and then ranks_do(), any number of
// times. It borrows the array.
CommCall ranks_all_reduce_call(Algorithm algorithm, const CommSegment *array);

// The same once, of `count` f32 at the beginning of every rank's pool, whose sum takes their place.
Status ranks_all_reduce(Comm *c, Algorithm algorithm, int64_t count) MUST_USE;

#endif
