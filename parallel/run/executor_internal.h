// SPDX-License-Identifier: MIT
// What binding makes and the dispatch loop reads.
#ifndef PARALLEL_RUN_EXECUTOR_INTERNAL_H
#define PARALLEL_RUN_EXECUTOR_INTERNAL_H

#include "parallel/run/executor.h"

#include <assert.h>

// An extent, and the operand that has room for the least of it.
typedef struct {
    const int64_t *value;
    int64_t room;
    int32_t extent, tensor, op;
} ExtentRoom;

typedef struct {
    const ExtentRoom *rooms;
    int count;
} Extents;

// A bound operation: its class says which member of the union is used.
typedef struct {
    WorkClass class;
    bool guard_is_i64;
    const void *guard;         // the scalar, or NULL
    const int64_t *first_row;  // of a load
    int64_t modelled_ns;       // its duration on a modelled device
    Extents extents;           // of its operands, that an operation of the plan writes
    union {
        KernelCall call;
        CommCall comm;
        LoadCall load;
    };
} BoundOp;

struct BoundPlan {
    BoundOp *ops;
    uint8_t *done;
    int64_t *end_ns;      // on a modelled device, when each operation ended
    int32_t *lane_ops;    // operations lane by lane, in plan order
    int32_t *lane_first;  // where each lane begins in lane_ops; then the end of the last
    Extents extents;      // of all operands, that the run writes
};

// How far a lane has come. A communication lane, and any lane of a modelled device, has at most one
// operation in flight.
struct LaneState {
    int32_t at;  // index into lane_ops
    bool in_flight;
    CommRequest request;
    int64_t start_ns, cpu_ns;
    int64_t end_ns;  // modelled device: end of the operation in flight, else of the last one
};

// --- bind_comm.c, for bind.c

Status executor_make_groups(Executor *e) MUST_USE;  // those of the program that this rank is in
Status executor_bind_comm(Executor *e, Arena *a, const Plan *plan, const Op *op,
                          CommCall *call) MUST_USE;

// --- executor.c, for executor_modelled.c and executor_stream.c

static inline const Plan *plan_of(const Executor *e) { return &e->program->plans[e->plan]; }

int executor_leader(const Executor *e, int lane);    // the operation to start next, or NONE
bool executor_may_start(const Executor *e, int op);  // have its dependencies ended?
bool executor_guarded_off(const BoundOp *b);         // is its guard zero?
void executor_leave(Executor *e, int lane, int op);  // it has ended, or is skipped
Status executor_end_op(Executor *e, int lane, int op) MUST_USE;  // it has ended: call hook, leave
typedef struct {
    int64_t start_ns, end_ns, wait_ns, cpu_ns;  // start and end: on the monotonic clock
} SpanTimes;
void executor_record_span(Executor *e, int lane, int op, SpanTimes t);

// Start the communication that leads a lane; do this rank's share of the one in flight there.
Status executor_start_communication(Executor *e, int lane, int op) MUST_USE;
Status executor_progress(Executor *e, int lane, bool *moved) MUST_USE;

// --- bind.c

// Where the host reads and writes a scalar that no operation writes; NULL for another tensor of a
// device with lanes.
void *executor_scalar(const Executor *e, int tensor);

// Where a tensor of this rank begins in its pool, in bytes; NONE when it is virtual. A share inside
// the whole begins at another place on each rank.
int64_t executor_offset(const Executor *e, int tensor);

// --- bind_extents.c: rows in use, which kernels trust

// Fill in the extents of a bound plan and of its operations.
Status executor_bind_extents(Executor *e, Arena *a, const Plan *plan, BoundPlan *b) MUST_USE;

// Does every tensor have room for the rows in use? ERR_FAILED names operation, tensor and value.
Status executor_check_extents(const Executor *e, const Extents *x) MUST_USE;

// --- executor_modelled.c, as executor_advance() and executor_idle()

Status executor_modelled_advance(Executor *e, bool *done, bool *moved) MUST_USE;
Status executor_modelled_idle(Executor *e) MUST_USE;

#endif
