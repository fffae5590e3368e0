// SPDX-License-Identifier: MIT
// What the communicators share: the memory that ranks meet at, and segmented arrays in it.
#ifndef PARALLEL_COMM_COMM_INTERNAL_H
#define PARALLEL_COMM_COMM_INTERNAL_H

#include "parallel/comm/comm.h"

#include <stdatomic.h>

// --- the control block. Words that several ranks poll have cache lines of their own. A comment
// names who writes; everyone may read. Plain fields are published by the atomic word named beside
// them.

// What a member brings to a collective.
typedef struct {
    uint64_t signature;  // call_signature(): must be equal at all members
    int64_t start_ns;
} Arrival;

typedef struct {
    // The rank's own. Its collective's number << 32, plus 1 for having arrived, plus rounds ended.
    _Alignas(64) _Atomic uint64_t progress;
    // Published by `progress`. Of even and odd numbers: a member that starts the next collective
    // must not overwrite what its peers still read of this one. (They have ended it when the next
    // one ends.)
    Arrival arrival[2];

    // A message that waits to be fetched. The sender's own, but for `taken` and `taken_start_ns`.
    _Alignas(64) _Atomic uint64_t address;  // mail.c: whom it is for, tag and number
    uint64_t post;  // published by `address`, as the following: the sender's how manyth
    Dtype dtype;
    int segment_count;
    int64_t start_ns;
    CommSegment segments[COMM_MESSAGE_SEGMENTS];
    _Alignas(64) _Atomic uint64_t taken;  // the receiver's: the last post that was fetched
    int64_t taken_start_ns;               // published by `taken`
} LaneWords;

typedef struct {
    _Alignas(64) _Atomic uint32_t bell;    // a futex: counts how often peers woke this rank
    _Atomic uint32_t asleep;               // the rank's own
    _Alignas(64) _Atomic uint64_t posts;   // the rank's own: messages sent
    _Atomic uint64_t agreements;           // the rank's own
    uint64_t agree_value[2];               // published by `agreements`; even and odd, as above
    _Alignas(64) _Atomic int64_t at_step;  // the rank's own: its position
    _Atomic int32_t at_plan, at_op;
    uint32_t sent[COMM_RANKS][COMM_TAGS], received[COMM_RANKS][COMM_TAGS];  // seen by the rank only
    LaneWords lanes[COMM_LANES];
} RankWords;

typedef struct {
    _Alignas(64) _Atomic uint32_t failure;  // 0, WRITING + the rank that writes, or WRITTEN
    Status status;                          // published by `failure`, as the following
    int rank;
    char message[STATUS_TEXT];
    RankWords ranks[];
} Control;

struct CommWorld {
    CommKind kind;
    int ranks;
    bool crowded;  // more ranks than cores: nobody spins
    int64_t timeout_ns, spin_ns;
    int64_t pool_bytes, pool_stride;
    char *pools;       // rank r's begins at r * pool_stride; page-aligned, in `memory`
    Control *control;  // in `memory`
    void *memory;      // owned mapping
    size_t memory_bytes;
    Comm *ends[COMM_RANKS];  // serial: who has joined
    uint64_t agree_value[COMM_RANKS];
};

extern const CommMethods serial_methods, thread_methods, shm_methods;

// Record a failure of `rank` unless there is one, and wake everyone. writer: the rank that reports;
// whoever reports a rank that is gone does so in its stead, and completes what it half wrote.
void world_fail(CommWorld *w, Status s, int writer, int rank, const char *message);
Status world_check(const CommWorld *w);  // ERR_PEER with the recorded message, or OK

// Wake a rank if it sleeps: to be called after the (sequentially consistent) store it may wait for.
void world_ring(CommWorld *w, int rank);

static inline RankWords *rank_words(const Comm *c, int rank) {
    return &c->world->control->ranks[rank];
}
static inline LaneWords *lane_words(const Comm *c, const CommCall *call, int position) {
    return &rank_words(c, call->ranks[position])->lanes[call->lane];
}

// --- calls

// "all_reduce bucket0", for messages.
enum { CALL_TEXT = 160 };
const char *call_text(char out[CALL_TEXT], const CommCall *call);

Collective call_collective(const CommCall *call);  // what the schedule needs to know of it
uint64_t call_signature(const CommCall *call);     // what members must agree in
Status call_disagree(Comm *c, const CommCall *call, int position,
                     uint64_t theirs);  // tells everyone; ERR_PLAN
Status message_disagree(Comm *c, const CommCall *receive, int sender, Dtype dtype,
                        int64_t elements);                     // OK if they agree; as above
Status agree_fail(int rank, uint64_t theirs, uint64_t first);  // rank differs from rank 0; ERR_PLAN
int64_t segments_elements(const CommSegment *s, int count);

// "rank 1", "ranks 1, 3": the ranks whose bit is set.
enum { RANKS_TEXT = 280 };
const char *ranks_text(char out[RANKS_TEXT], uint64_t set);

// A segmented array in some rank's pool, described by our own segments. Where shares differ, a
// peer's last segment may be longer than ours (all-gather): the last one has no end here.
typedef struct {
    char *pool;
    const CommSegment *segments;
    int count;
} Array;

// The address of an element, and how many elements lie there side by side.
char *array_at(Array a, int64_t element, int64_t element_bytes, int64_t *run);

static inline char *world_pool(const CommWorld *w, int rank) {
    return w->pools + rank * w->pool_stride;
}

// --- the shared engine (thread and shm)

// A chunk of an array, or of `parts` arrays whose segments follow each other.
typedef struct {
    Array array;
    int64_t at;  // element where the chunk begins
    int parts;
} Term;

// outs = term 0 + term 1 + …, each with its parts in order, for `count` elements. parts_first: the
// parts of a term are added up before they join. Every output may be one of the terms.
void fold_terms(Dtype d, Reduce reduce, bool parts_first, const Term outs[], int out_count,
                const Term terms[], int term_count, int64_t count);

void collective_arrive(Comm *c, CommRequest *r);
Status collective_advance(Comm *c, CommRequest *r, bool *done);
uint32_t mail_number(Comm *c, const CommCall *call);  // of the next message with this peer and tag
void mail_post(Comm *c, CommRequest *r);
Status mail_advance(Comm *c, CommRequest *r, bool *done);

// Has a peer's word reached a value? If not, that is what the request waits for.
static inline bool request_await(CommRequest *r, const _Atomic uint64_t *word, uint64_t value) {
    if (atomic_load(word) >= value) return true;
    r->awaited = (const void *)word;
    r->awaited_value = value;
    return false;
}

#endif
