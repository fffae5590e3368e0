// SPDX-License-Identifier: MIT
// What the communicators share: calls, segmented arrays, and the engine of thread and shm.
#ifndef PARALLEL_COMM_COMM_INTERNAL_H
#define PARALLEL_COMM_COMM_INTERNAL_H

#include "parallel/comm/world_internal.h"

// --- calls

// "all_reduce bucket0", for messages.
enum { CALL_TEXT = 160 };
const char *call_text(char out[CALL_TEXT], const CommCall *call);

// The part of it that the schedule needs; `members` of the group.
Collective call_collective(const CommCall *call, int members);
// A hash of what must be equal at all members: all but the segments and what is the rank's own.
uint64_t call_signature(const CommCall *call, const CommGroup *g);

// What every communicator does when a call starts: *r is filled in, its counts are checked.
Status call_begin(Comm *c, const CommCall *call, CommRequest *r, int64_t start_ns);

// The rank's counts of such calls; and that it has taken elements from another member.
CommCount *call_count(Comm *c, const CommCall *call);
void call_note_taken(Comm *c, const CommCall *call, int64_t elements);
// By the schedule, the elements that a member takes from others.
int64_t call_schedule_taken(const Collective *what, int member);

// Calls that do not fit each other: ERR_PLAN, recorded for all ranks. call_message_disagree() looks
// first, and returns OK when they fit.
Status call_disagree(Comm *c, const CommRequest *r, int position, const Published *theirs);
Status call_message_disagree(Comm *c, const CommRequest *receive, int sender, Dtype dtype,
                             int64_t elements);

// A rank that brings `theirs` bytes to an exchange of `ours`. Returns OK when they are equal.
#define EXCHANGE "exchange between all ranks"
Status call_exchange_disagree(Comm *c, int rank, uint64_t theirs, uint64_t ours);

int64_t call_segments_elements(const CommSegment *s, int count);

// "rank 1", "ranks 1, 3", "ranks 0, 4-63": the ranks whose bit is set.
enum { RANKS_TEXT = 280 };
const char *call_ranks_text(char out[RANKS_TEXT], uint64_t set);

// A segmented array in some rank's pool, whose last segment has no end here.
typedef struct {
    char *pool;
    const CommSegment *segments;
    int count;
} Array;

// The address of an element, and how many elements lie there side by side.
char *call_array_at(Array a, int64_t element, int64_t element_bytes, int64_t *run);

// --- pieces.c: an all-to-all whose pieces are of any size

// Do the counts that this member brings fit its input? ERR_PLAN otherwise, recorded for all.
Status pieces_check(Comm *c, const CommRequest *r, const int64_t *counts);
// The pieces of member m are counts[m][...]; do those for `member` fit its output?
Status pieces_check_room(Comm *c, const CommRequest *r, int member, const int64_t *const counts[],
                         int64_t room);

// In a published call: the counts of a member that has arrived, or ours.
const int64_t *pieces_counts(const Comm *c, const CommRequest *r, int member);
Status pieces_pull(Comm *c, CommRequest *r, bool *ended);
int64_t pieces_sent(const Comm *c, const CommRequest *r);  // elements for other members
int64_t pieces_received(const Comm *c, const CommRequest *r, int source);

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

// What a member that has arrived (or ourselves) published, and its arrays.
const Published *perform_published(const Comm *c, const CommRequest *r, int member);
Array perform_input(const Comm *c, const CommRequest *r, int member);
Array perform_output(const Comm *c, const CommRequest *r, int member);

// Arrival, with its signature and handle, in the words of this rank's lane: to be published.
void perform_note_arrival(Comm *c, CommRequest *r);
void perform_arrive(Comm *c, CommRequest *r);
Status perform_advance(Comm *c, CommRequest *r, bool *done);
// Has a member arrived and ended `rounds` rounds? It must have brought the same call.
Status perform_await(Comm *c, CommRequest *r, int member, int64_t rounds, bool *there);
// Go on with the `steps` steps of the current round as far as sources allow; *ended: all are done.
Status perform_pull(Comm *c, CommRequest *r, int steps, bool *ended);

// The same on an emulated link. link_message() sets the end of a message that both have started.
void link_arrive(Comm *c, CommRequest *r);
Status link_advance(Comm *c, CommRequest *r, bool *done);
void link_message(const Comm *c, CommRequest *r);
uint32_t p2p_number(Comm *c, const CommRequest *r);  // next sequence number for this peer and tag
void p2p_post(Comm *c, CommRequest *r);
Status p2p_advance(Comm *c, CommRequest *r, bool *done);

// Has a peer's word reached a value? If not, that is what the request waits for.
static inline bool request_await(CommRequest *r, const _Atomic uint64_t *word, uint64_t value) {
    if (atomic_load(word) >= value) return true;
    r->awaited = (const void *)word;
    r->awaited_value = value;
    return false;
}

#endif
