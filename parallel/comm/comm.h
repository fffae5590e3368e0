// SPDX-License-Identifier: MIT
// Communicators: how ranks exchange data. One interface; serial (all ranks in one thread), thread
// and shm (ranks are threads or processes that see each other's memory) implement it.
//
// A rank is one thread. Operations are asynchronous: comm_start() announces that the rank has
// arrived, comm_test() does this rank's share of the work as far as its peers allow and says whether
// the operation is complete, comm_idle() waits until that may have changed. A lane carries one
// operation at a time, in order.
#ifndef PARALLEL_COMM_COMM_H
#define PARALLEL_COMM_COMM_H

#include "core/base/status.h"
#include "core/plan/program.h"
#include "parallel/collective/collective.h"

#include <stdbool.h>
#include <stdint.h>

enum { COMM_RANKS = 64, COMM_LANES = 16 };

// A piece of the payload in this rank's shared pool. All members of a group lay out their pools
// alike, so a peer's piece lies at the same offset of its own pool.
typedef struct {
    int64_t offset, elements;  // offset: bytes into the shared pool
} CommSegment;

// One communication, prepared before the first step; borrowed by the communicator while in flight.
// The payload is the concatenation of segments. Reductions fold `parts` inputs per member, part
// after part: input segments are parts * segment_count, part-major; the result goes to `output`
// (which may be the first part).
typedef struct {
    CollectiveKind kind;  // or, with point_to_point, a send or a receive
    ScheduleKind schedule;
    Reduce reduce;
    Dtype dtype;
    bool point_to_point, receive;
    int group, lane;      // lane: index of the communication lane, < COMM_LANES
    int root;             // position in the group; of a point-to-point, the peer's position
    int tag;
    int parts, segment_count;
    const CommSegment *input, *output;
    const int *ranks;     // members of the group, in order
    int ranks_count, position;  // position: ours
    const char *name;     // of the operation, for messages
} CommCall;

// State of a call in flight; written by the communicator.
typedef struct {
    const CommCall *call;
    uint64_t sequence;     // of this lane and group
    int64_t round;
    int64_t start_ns;      // when this rank arrived
    int64_t arrival_ns;    // when the last member arrived, on the monotonic clock; 0 until known
    int stage;
} CommRequest;

typedef struct Comm Comm;
typedef struct {
    const char *name;
    Status (*start)(Comm *c, const CommCall *call, CommRequest *r);
    Status (*test)(Comm *c, CommRequest *r, bool *done);
    Status (*idle)(Comm *c, const CommRequest *const r[], int count);
    Status (*agree)(Comm *c, uint64_t value);
    void (*abandon)(Comm *c, Status s, const char *message);
} CommMethods;

struct Comm {
    const CommMethods *methods;
    int rank, ranks;
    void *pool;            // this rank's shared pool, borrowed
    struct CommWorld *world;
    uint64_t sequence[COMM_LANES];
    uint32_t doorbell;     // value last seen
};

// Announce the arrival at a communication. *r stays valid until it is done.
static inline MUST_USE Status comm_start(Comm *c, const CommCall *call, CommRequest *r) { return c->methods->start(c, call, r); }

// Progress; *done says whether the operation is complete on this rank (its outputs valid, its inputs
// free). ERR_PEER when a peer was lost or the time-out passed: the message names rank and operation.
static inline MUST_USE Status comm_test(Comm *c, CommRequest *r, bool *done) { return c->methods->test(c, r, done); }

// Wait (spin, then sleep) until one of the requests may have progressed. The serial communicator
// returns at once: its caller runs another rank.
static inline MUST_USE Status comm_idle(Comm *c, const CommRequest *const r[], int count) { return c->methods->idle(c, r, count); }

// Compare a value over all ranks: ERR_PLAN, naming the first rank that differs, when it is not
// everywhere equal. Blocks (in serial: the last caller decides).
static inline MUST_USE Status comm_agree(Comm *c, uint64_t value) { return c->methods->agree(c, value); }

// This rank gives up: its peers' operations fail with the message of the first rank that did.
static inline void comm_abandon(Comm *c, Status s, const char *message) { c->methods->abandon(c, s, message); }

// How ranks wait and how long.
typedef struct {
    int64_t timeout_ns;  // of one operation; 0: 30 s
    int64_t spin_ns;     // before sleeping; 0: 50 us when ranks fit the cores, else none
    int cores;           // cores that the ranks share; 0: all of the machine
} CommOptions;

typedef enum { COMM_SERIAL, COMM_THREAD, COMM_SHM } CommKind;

// All ranks' shared pools and the control block they meet at. Created once by the launcher, before
// threads or processes start; for shm the memory is mapped before fork(), so that a pool has one
// address in every rank, and has no name from the start: nothing remains whoever is killed.
typedef struct CommWorld CommWorld;
Status comm_world_create(CommWorld **out, CommKind kind, int ranks, int64_t pool_bytes,
                         const CommOptions *options) MUST_USE;
void comm_world_destroy(CommWorld *w);  // safe on NULL
Status comm_join(Comm *out, CommWorld *w, int rank) MUST_USE;  // this rank's end

// Called by whoever watches the ranks: rank `rank` is gone. Wakes every waiter, whose operations fail.
void comm_world_lost(CommWorld *w, int rank, const char *message);

// The first failure of any rank: its status (OK: none), rank and message.
Status comm_world_failure(const CommWorld *w, int *rank, const char **message);

// Where a rank is, for messages when it is lost: written by the executor before each operation
// (plan and op index, step), read by the launcher.
void comm_note_position(Comm *c, int plan, int op, int64_t step);
void comm_world_position(const CommWorld *w, int rank, int *plan, int *op, int64_t *step);

#endif
