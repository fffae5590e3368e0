// SPDX-License-Identifier: MIT
// Communicators: how ranks exchange data. One interface; serial (all ranks in one thread), thread
// and shm (ranks are threads or processes that see each other's memory) implement it.
//
//     TRY(comm_join(&comm, world, rank));              // comm_world.h
//     TRY(comm_group(&comm, group, ranks, count));     // each group once
//     TRY(comm_prepare(&comm, &call));                 // each call once: checked and published
//     TRY(comm_start(&comm, &call, &request, clock_ns()));
//     for (bool done = false; !done;) {
//         TRY(comm_test(&comm, &request, &done));
//         if (!done) TRY(comm_idle(&comm, &(const CommRequest *){&request}, 1, INT64_MAX));
//     }
//
// A rank is one thread. Operations are asynchronous: comm_start() announces that the rank has
// arrived, comm_test() does this rank's share of the work as far as its peers allow and says
// whether the operation is complete, comm_idle() waits until that may have changed. A lane carries
// one operation of one group at a time, in order.
//
// With an emulated link (CommOptions.link) data move as they always do, but an operation is
// complete only when the clock has reached the moment at which such links would have brought
// the last of it. These moments follow from the times at which the members arrive, and from
// each other: an operation may be said to have started at a time that has passed, and whoever
// is late loses nothing.
#ifndef PARALLEL_COMM_COMM_H
#define PARALLEL_COMM_COMM_H

#include "core/base/status.h"
#include "core/plan/program.h"
#include "parallel/collective/collective.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COMM_RANKS = 64,
    COMM_GROUPS = 64,
    COMM_LANES = COMMUNICATION_LANES,
    COMM_TAGS = MESSAGE_TAGS
};

// A piece of the payload in this rank's shared pool. Members may lay out their pools as each likes:
// comm_prepare() publishes where a rank's pieces lie.
typedef struct {
    int64_t offset, elements;  // offset: bytes into the shared pool
} CommSegment;

// One communication, prepared before the first step; borrowed by the communicator while in flight.
// The payload is the concatenation of segments; what lies between them is not touched. Reductions
// fold `parts` inputs a member, part after part: there are parts * input_count input segments,
// part-major. The result goes to `output`. It may be the input segment by segment (with parts: the
// first part) in an all-reduce, broadcast or reduce; in an all-gather the input may be this
// member's place in the output. Otherwise they are apart. A reduce leaves the outputs of others
// than the root undefined.
//
// With `counts` an all-to-all takes pieces of any size: counts[i], an i64 for each member in one
// segment and read when the call starts, is how many units the input has for member i, one piece
// after the other; the pieces that come lie in the output one after the other in the order of the
// members, and `received` (as counts) says how large they are.
typedef struct {
    CollectiveKind kind;  // or, with point_to_point, a send or a receive
    Algorithm algorithm;
    Reduce reduce;
    Dtype dtype;
    bool point_to_point, receive;
    int group;     // of comm_group()
    int lane;      // the same number at all members
    int root;      // position in the group; of a point-to-point, the peer's position
    int tag;       // of a point-to-point: messages of one sender, receiver and tag arrive in order
    int64_t unit;  // of elements, where shares are cut (Collective.unit); of counts. 0: 1
    const int64_t *sizes;  // of several arrays that are cut (Collective.sizes); borrowed; or NULL
    int size_count;
    int parts, input_count, output_count;  // counts of segments: of one part, of the result
    const CommSegment *input, *output;
    const CommSegment
        *work;  // collective_work_elements() of working memory, where the schedule asks for it
    const CommSegment *counts, *received;  // or NULL
    const char *name;                      // of the operation, for messages
    int32_t handle;                        // set by comm_prepare()
} CommCall;

// The members of a group, in order.
typedef struct {
    int32_t count, position;  // position: ours, or NONE. count 0: not made
    int32_t ranks[COMM_RANKS];
} CommGroup;

// State of a call in flight; written by the communicator.
typedef struct {
    const CommCall *call;
    const CommGroup *group;
    Collective what;    // of a collective
    uint64_t sequence;  // of a collective: its number on this lane; else the number of the message
    int64_t round;      // the next step of the schedule
    int step, stage;
    int64_t start_ns;        // when this rank arrived, or says that it did
    int64_t looked_ns;       // when it last looked whether to go on
    int64_t waited_ns;       // for how long it has done so
    int64_t arrival_ns;      // when the last member arrived, on the monotonic clock; 0 until known
    const void *awaited;     // a peer's word; nothing goes on before it has reached
    uint64_t awaited_value;  // this value. awaited NULL: it may go on now
    bool complete;           // all of it has been done, and at most the clock is awaited
    int64_t end_ns;          // on an emulated link, once complete: when it ends here. Else 0
} CommRequest;

// What a rank has done over a group: calls that it has started, by CollectiveKind or one of these,
// and bytes that it has taken from other members, as its engine moved them (of a send: that the
// peer takes). The parts of a reduction count once, as in schedules (collective_bytes_total()).
enum { COMM_ALL_TO_ALL_V = COLLECTIVE_COUNT, COMM_SEND, COMM_RECEIVE, COMM_OPERATIONS };
typedef struct {
    int64_t calls, bytes;
} CommCount;

typedef struct Comm Comm;
typedef struct {
    const char *name;
    Status (*start)(Comm *c, const CommCall *call, CommRequest *r, int64_t start_ns);
    Status (*test)(Comm *c, CommRequest *r, bool *done);
    Status (*idle)(Comm *c, const CommRequest *const r[], int count, int64_t until_ns);
    Status (*exchange)(Comm *c, const void *mine, size_t size, void *all);
} CommMethods;

// One rank's end. It stays where comm_join() wrote it.
struct Comm {
    const CommMethods *methods;
    int rank, ranks;
    void *pool;  // this rank's shared pool, borrowed
    struct CommWorld *world;
    CommGroup groups[COMM_GROUPS];
    CommCount counts[COMM_GROUPS][COMM_OPERATIONS];  // since it joined
    int lane_group[COMM_LANES];        // the group whose calls the lane carries, or NONE
    int32_t calls, segments;           // published
    uint64_t sequence[COMM_LANES];     // collectives started on each lane
    CommRequest *pending[COMM_LANES];  // in flight, or NULL
    uint64_t exchanges;
};

// Make a group, once, before its first call and in the same order at all members: `ranks` (absolute
// ones, copied) in the order of their positions. ERR_PLAN: out of range, or a rank twice.
Status comm_group(Comm *c, int group, const int *ranks, int count) MUST_USE;

// Can this call be executed? ERR_PLAN: it would fail, or touch memory that is not its own. Calls of
// a checked plan can; this is the library's own boundary, for callers without a plan.
Status comm_check(const Comm *c, const CommCall *call) MUST_USE;

// Check a call and publish where its segments lie, which its peers read when they meet; the call
// gets a handle. ERR_PLAN: it cannot be executed, or the world has no room for it (CommRoom).
Status comm_prepare(Comm *c, CommCall *call) MUST_USE;

// Announce the arrival at a prepared communication, at start_ns on the monotonic clock: now, or,
// where times are modelled, a moment that may have passed. *r stays where it is until it is done.
// ERR_PLAN: counts that do not fit the input.
static inline MUST_USE Status comm_start(Comm *c, const CommCall *call, CommRequest *r,
                                         int64_t start_ns) {
    return c->methods->start(c, call, r, start_ns);
}

// Progress; *done says whether the operation is complete on this rank (its outputs valid,
// its inputs free). ERR_PEER when a peer was lost or the time-out passed: the message names
// rank and operation.
static inline MUST_USE Status comm_test(Comm *c, CommRequest *r, bool *done) {
    return c->methods->test(c, r, done);
}

// Wait (spin, then sleep) until one of the requests, each tested before, may go on, the clock has
// reached until_ns (INT64_MAX: does not matter), a rank has failed, or some milliseconds have
// passed. The serial communicator returns at once: its caller runs another rank.
static inline MUST_USE Status comm_idle(Comm *c, const CommRequest *const r[], int count,
                                        int64_t until_ns) {
    return c->methods->idle(c, r, count, until_ns);
}

// --- the control plane: small and seldom, of all ranks

// Every rank brings `size` bytes; all[rank * size] has those of each in the end. Blocks; ERR_PEER
// names the ranks that do not come within the time-out, ERR_PLAN a rank that brings another size.
// In serial, `all` is complete when the last rank has called, and must stay where it is until then.
Status comm_exchange(Comm *c, const void *mine, size_t size, void *all) MUST_USE;

// A word that a rank shows to all others, 0 at first; and the word of a rank, or with NONE that of
// the launcher (comm_world_post()). Nobody waits; who meets a rank after it posted sees the word.
void comm_post(Comm *c, uint64_t word);
uint64_t comm_peek(const Comm *c, int rank);

// This rank gives up: its peers' operations fail with the message of the first rank that did.
void comm_abandon(Comm *c, Status s, const char *message);

// This rank is about to work on something that has no bound in time, such as writing to a disk, and
// then no longer: peers that wait for it meanwhile do not time out.
void comm_set_away(Comm *c, bool away);

// Where a rank is, for messages when it is lost: written by the executor before each operation
// (plan and op index, step), read by the launcher.
// Plan NONE: before the first operation (step 0), or after the last.
void comm_note_position(Comm *c, int plan, int op, int64_t step);

// A rank's share of a direct all-reduce of two, for whoever wants to time it: `count` elements of
// its own array and of its peer's both become their sum.
void comm_fold_pair(Dtype d, void *own, void *peer, int64_t count);

#endif
