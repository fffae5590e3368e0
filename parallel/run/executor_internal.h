// SPDX-License-Identifier: MIT
// What binding makes and the dispatch loop reads.
#ifndef PARALLEL_RUN_EXECUTOR_INTERNAL_H
#define PARALLEL_RUN_EXECUTOR_INTERNAL_H

#include "parallel/run/executor.h"

#include <assert.h>

// One operation, bound: the part that its class uses.
typedef struct {
    WorkClass class;
    bool guard_is_i64;
    const void *guard;         // the scalar, or NULL
    const int64_t *first_row;  // of a load
    union {
        KernelCall call;
        CommCall comm;
        LoadCall load;
    };
} BoundOp;

struct BoundPlan {
    BoundOp *ops;
    uint8_t *done;
    int32_t *lane_ops;    // operations lane by lane, in plan order
    int32_t *lane_first;  // of each lane, and the end of the last
};

// Where a lane is; a communication lane has at most one operation in flight.
struct LaneState {
    int32_t at;  // index into lane_ops
    bool in_flight;
    CommRequest request;
    int64_t start_ns, cpu_ns;
};

#endif
