// SPDX-License-Identifier: MIT
// The linker sends calls of these functions here (-Wl,--wrap).
#include "tests/support/comm_delays.h"

#include "core/base/clock.h"
#include "parallel/comm/comm_internal.h"

enum { LONGEST_NS = 100000 };

static _Thread_local struct {
    uint32_t one_in, draws;
    int count;
} delays;

void comm_delays_set(uint32_t one_in, uint32_t seed) {
    delays.one_in = one_in;
    delays.draws = seed;
    delays.count = 0;
}

int comm_delays_count(void) { return delays.count; }

// Marsaglia's constants of a linear congruential generator; its upper bits are used.
static void delay(void) {
    if (!delays.one_in) return;
    delays.draws = delays.draws * 69069 + 1;
    if ((delays.draws >> 16) % delays.one_in) return;
    delays.count++;
    clock_sleep_ns(delays.draws % LONGEST_NS);
}

void __real_fold_terms(Dtype d, Reduce reduce, bool parts_first, const Term outs[], int out_count,
                       const Term terms[], int term_count, int64_t count);
void __wrap_fold_terms(Dtype d, Reduce reduce, bool parts_first, const Term outs[], int out_count,
                       const Term terms[], int term_count, int64_t count);
void __wrap_fold_terms(Dtype d, Reduce reduce, bool parts_first, const Term outs[], int out_count,
                       const Term terms[], int term_count, int64_t count) {
    delay();
    __real_fold_terms(d, reduce, parts_first, outs, out_count, terms, term_count, count);
    delay();
}

void __real_world_ring(CommWorld *w, int rank);
void __wrap_world_ring(CommWorld *w, int rank);
void __wrap_world_ring(CommWorld *w, int rank) {
    delay();
    __real_world_ring(w, rank);
}

void __real_world_ring_for(CommWorld *w, int rank, const void *word);
void __wrap_world_ring_for(CommWorld *w, int rank, const void *word);
void __wrap_world_ring_for(CommWorld *w, int rank, const void *word) {
    delay();
    __real_world_ring_for(w, rank, word);
}
