// SPDX-License-Identifier: MIT
// What binding makes for a device that works beside the host (bind_stream.c), and what
// executor_stream.c does with it.
#ifndef PARALLEL_RUN_EXECUTOR_STREAM_H
#define PARALLEL_RUN_EXECUTOR_STREAM_H

#include "parallel/run/executor_internal.h"

// What the two halves of some host memory take in turns: a copy out of one is under way while the
// other is written. `offset` bytes into the host pool, `bytes` each.
typedef struct {
    int64_t offset, bytes;
} Halves;

// An operation there: what it waits for, and what marks its end.
typedef struct {
    void *prepared;                  // of a kernel
    int32_t wait_first, wait_count;  // in StreamPlan.waits
    int32_t event;                   // at its end; NONE: nothing waits for it
    int32_t load_event;              // of a load: the first of two, one a half
    int64_t loads;                   // how often it has loaded
    Halves rows;                     // of a load: x, then labels
} StreamOp;

typedef struct {
    StreamOp *ops;
    int32_t *waits;  // operations of other lanes
    // [lane] Does it wait at the head of a turn, and is it waited for at the head of the next? Not
    // where its operations and their waits say so already.
    bool *begins, *ends;
} StreamPlan;

// Scalars that the host writes, side by side in a pool: to `mirror`, of which a copy goes to the
// device at the head of a turn.
typedef struct {
    unsigned char *device, *mirror;
    Halves copies;
} ScalarRange;

struct Stream {
    const QueueMethods *methods;
    DeviceQueue *queue;
    StreamPlan *plans;    // in the arena, as the other arrays
    ScalarRange *ranges;  // by address
    int range_count;
    unsigned char *host;  // owned host pool
    int64_t host_bytes, view_at, guard_at;
    int events, begun, lane_end, span;  // how many; the first of each use. span: two an operation
    int first_lane;                     // copies the scalars; it computes, if any lane does
    int64_t turns;
    int last_plan;  // of the turn before, or NONE
    bool settled;   // everything of the turns before has been seen to have ended
};

// executor_create()'s part before operations are bound and after, and executor_destroy()'s.
Status stream_allocate(Executor *e, Arena *a) MUST_USE;
Status stream_bind(Executor *e, Arena *a) MUST_USE;
void stream_destroy(Executor *e);

// executor_view(), executor_write() and executor_scalar().
Status stream_view(Executor *e, int tensor, const void **out) MUST_USE;
Status stream_write(Executor *e, int tensor, const void *from) MUST_USE;
void *stream_scalar(const Executor *e, int tensor);

static inline int64_t stream_aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

Status executor_stream_begin(Executor *e) MUST_USE;
Status executor_stream_advance(Executor *e, bool *done, bool *moved) MUST_USE;

#endif
