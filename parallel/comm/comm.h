// SPDX-License-Identifier: MIT
// Communicators: how ranks exchange data. One interface; serial (all ranks in one thread), thread
// and shm (ranks are threads or processes that see each other's memory) implement it.
//
//     CommWorld *world;                                // the launcher, once
//     TRY(comm_world_create(&world, COMM_SHM, ranks, pool_bytes, &options));
//     ... fork; each rank then does
//     TRY(comm_join(&comm, world, rank));
//     TRY(comm_check(&comm, &call));                   // once per prepared call
//     TRY(comm_start(&comm, &call, &request, clock_ns()));
//     for (bool done = false; !done;) {
//         TRY(comm_test(&comm, &request, &done));
//         if (!done) TRY(comm_idle(&comm, &(const CommRequest *){&request}, 1, INT64_MAX));
//     }
//
// A rank is one thread. Operations are asynchronous: comm_start() announces that the rank has
// arrived, comm_test() does this rank's share of the work as far as its peers allow and says
// whether the operation is complete, comm_idle() waits until that may have changed. A lane carries
// one operation at a time, in order.
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
#include "parallel/collective/star.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COMM_RANKS = 64,
    COMM_LANES = 16,
    COMM_TAGS = 16,             // a tag is less
    COMM_MESSAGE_SEGMENTS = 16  // most segments of a send
};
#define COMM_TIMEOUT_NS INT64_C(30000000000)
#define COMM_SPIN_NS INT64_C(50000)  // before sleeping, when ranks fit the cores
enum { COMM_YIELDS = 32 };  // before sleeping, when ranks share cores: offers to the others

// A piece of the payload in this rank's shared pool. The members of a collective lay out their
// pools alike, so that a peer's piece lies at the same offset of its own pool. (In an all-gather of
// uneven shares the last segment differs in length.)
typedef struct {
    int64_t offset, elements;  // offset: bytes into the shared pool
} CommSegment;

// One communication, prepared before the first step; borrowed by the communicator while in flight.
// The payload is the concatenation of segments; what lies between them is not touched. Reductions
// fold `parts` inputs a member, part after part: input segments are parts * segment_count,
// part-major. The result goes to `output`; in an all-reduce, broadcast or reduce it may be the
// input (with parts: the first), otherwise they are apart. A reduce leaves the outputs of others
// than the root undefined.
typedef struct {
    CollectiveKind kind;  // or, with point_to_point, a send or a receive
    Algorithm algorithm;
    Reduce reduce;
    Dtype dtype;
    bool point_to_point, receive;
    int group;  // index in the program; not used here
    int lane;   // the same number at all members; one lane, one group
    int root;   // position in the group; of a point-to-point, the peer's position
    int tag;    // of a point-to-point: messages of one sender, receiver and tag arrive in order
    int parts, segment_count;
    const CommSegment *input, *output;
    const CommSegment
        *work;  // collective_work_elements() of working memory, where the schedule asks for it
    const int *ranks;           // members of the group, in order
    int ranks_count, position;  // position: ours
    const char *name;           // of the operation, for messages
} CommCall;

// State of a call in flight; written by the communicator.
typedef struct {
    const CommCall *call;
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

typedef struct Comm Comm;
typedef struct {
    const char *name;
    Status (*start)(Comm *c, const CommCall *call, CommRequest *r, int64_t start_ns);
    Status (*test)(Comm *c, CommRequest *r, bool *done);
    Status (*idle)(Comm *c, const CommRequest *const r[], int count, int64_t until_ns);
    Status (*agree)(Comm *c, uint64_t value);
} CommMethods;

// One rank's end. It stays where comm_join() wrote it.
struct Comm {
    const CommMethods *methods;
    int rank, ranks;
    void *pool;  // this rank's shared pool, borrowed
    struct CommWorld *world;
    uint64_t sequence[COMM_LANES];     // collectives started on each lane
    CommRequest *pending[COMM_LANES];  // in flight, or NULL
    uint64_t agreements;
};

// Can this call be executed? Everything that would fail or touch memory that is not its own fails
// here: ERR_PLAN. To be called once, when a call is prepared; comm_start() relies on it.
Status comm_check(const Comm *c, const CommCall *call) MUST_USE;

// Announce the arrival at a communication, at start_ns on the monotonic clock: now, or, where times
// are modelled, a moment that may have passed. *r stays where it is until it is done.
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

// Compare a value over all ranks: ERR_PLAN, naming the first rank that differs from rank 0, when it
// is not everywhere equal. Blocks (in serial: the last caller decides).
static inline MUST_USE Status comm_agree(Comm *c, uint64_t value) {
    return c->methods->agree(c, value);
}

// This rank gives up: its peers' operations fail with the message of the first rank that did.
void comm_abandon(Comm *c, Status s, const char *message);

// How ranks wait and how long.
typedef struct {
    int64_t timeout_ns;  // of one operation; 0: COMM_TIMEOUT_NS
    int64_t spin_ns;     // before sleeping; 0: COMM_SPIN_NS when ranks fit the cores, else none
    int cores;           // cores that the ranks share; 0: those this process may use
    StarLink link;       // to emulate; bytes_per_s 0: none. Not in serial: ERR_USAGE
} CommOptions;

// Fill in the defaults for `ranks` ranks. spin_ns stays 0 when ranks share cores.
CommOptions comm_options_resolve(const CommOptions *options, int ranks);

typedef enum { COMM_SERIAL, COMM_THREAD, COMM_SHM, COMM_KINDS } CommKind;
const char *comm_kind_name(CommKind k);
int comm_kind_find(const char *name);  // or -1

// All ranks' shared pools and the control block they meet at. Created once by the launcher, before
// threads or processes start; for shm the memory is mapped before fork(), so that a pool has one
// address in every rank, and has no name from the start: nothing remains whoever is killed.
// ERR_MEMORY or ERR_IO says how much was asked for, how much is free and what to do.
typedef struct CommWorld CommWorld;
Status comm_world_create(CommWorld **out, CommKind kind, int ranks, int64_t pool_bytes,
                         const CommOptions *options) MUST_USE;
void comm_world_destroy(CommWorld *w);                         // safe on NULL
Status comm_join(Comm *out, CommWorld *w, int rank) MUST_USE;  // this rank's end

// Called by whoever watches the ranks: rank `rank` is gone. Wakes every waiter,
// whose operations fail.
void comm_world_lost(CommWorld *w, int rank, const char *message);

// The first failure of any rank: its status (OK: none), the rank at fault and the message.
Status comm_world_failure(const CommWorld *w, int *rank, const char **message);

// Where a rank is, for messages when it is lost: written by the executor before each operation
// (plan and op index, step), read by the launcher.
// Plan NONE: before the first operation (step 0), or after the last.
void comm_note_position(Comm *c, int plan, int op, int64_t step);
void comm_world_position(const CommWorld *w, int rank, int *plan, int *op, int64_t *step);

// A rank's share of a direct all-reduce of two, for whoever wants to time it: `count` elements of
// its own array and of its peer's both become their sum.
void comm_fold_pair(Dtype d, void *own, void *peer, int64_t count);

// Serial only: what every rank waits for, "rank 0 waits at all_reduce bucket0 for rank 1; …", for a
// caller that finds no rank able to go on.
void comm_world_explain(const CommWorld *w, char *text, size_t size);

#endif
