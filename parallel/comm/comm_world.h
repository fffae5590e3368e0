// SPDX-License-Identifier: MIT
// What ranks meet in, made by the launcher before they start.
//
//     TRY(comm_world_create(&world, COMM_SHM, ranks, rooms, &options));
//     ... start threads or fork; each rank then does
//     TRY(comm_join(&comm, world, rank));              // and goes on as in comm.h
#ifndef PARALLEL_COMM_COMM_WORLD_H
#define PARALLEL_COMM_COMM_WORLD_H

#include "parallel/collective/star.h"
#include "parallel/comm/comm.h"

#define COMM_TIMEOUT_NS INT64_C(30000000000)
#define COMM_SPIN_NS INT64_C(50000)  // before sleeping, when ranks fit the cores
enum { COMM_YIELDS = 32 };  // before sleeping, when ranks share cores: offers to the others

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

// What one rank needs: its shared pool, and the calls that it prepares with all their segments, and
// COMM_OWN_SEGMENTS more for each call (working memory, counts).
enum { COMM_OWN_SEGMENTS = 2 };
typedef struct {
    int64_t pool_bytes;
    int32_t calls, segments;
    void *pool;  // borrowed: the shared pool as a device has made it, for ranks of one process.
                 // NULL: it is made here
} CommRoom;

// All ranks' shared pools and the control block they meet at. Created once by the launcher, before
// threads or processes start; for shm the memory is mapped before fork(), so that a pool has one
// address in every rank, and has no name from the start: nothing remains whoever is killed.
// rooms[ranks]; nothing is allocated later. ERR_MEMORY or ERR_IO says how much was asked for, how
// much is free and what to do.
typedef struct CommWorld CommWorld;
Status comm_world_create(CommWorld **out, CommKind kind, int ranks, const CommRoom rooms[],
                         const CommOptions *options) MUST_USE;
void comm_world_destroy(CommWorld *w);                         // safe on NULL
Status comm_join(Comm *out, CommWorld *w, int rank) MUST_USE;  // this rank's end

// Called by whoever watches the ranks: rank `rank` is gone. Wakes every waiter,
// whose operations fail.
void comm_world_lost(CommWorld *w, int rank, const char *message);

// The first failure of any rank: its status (OK: none), the rank at fault and the message.
Status comm_world_failure(const CommWorld *w, int *rank, const char **message);

// The position that a rank noted last (comm_note_position()).
void comm_world_position(const CommWorld *w, int rank, int *plan, int *op, int64_t *step);

// The launcher's word: comm_peek(c, NONE).
void comm_world_post(CommWorld *w, uint64_t word);

// Serial only: what every rank waits for, "rank 0 waits at all_reduce bucket0 for rank 1; …", for a
// caller that finds no rank able to go on.
void comm_world_explain(const CommWorld *w, char *text, size_t size);

#endif
