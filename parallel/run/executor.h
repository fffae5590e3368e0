// SPDX-License-Identifier: MIT
// The executor: a dispatch loop over a lowered program. It knows kinds, lanes and dependencies, and
// no strategy. One executor is one rank; it runs in one thread.
//
//     Executor e;
//     TRY(executor_create(&e, &arena, &program, rank, device, &comm, &hooks));
//     executor_set_f64(&e, learning_rate, 0.1);        // scalars that the host writes
//     TRY(executor_run(&e, plan, step));               // one plan, to its end
//     TRY(executor_read(&e, tensor, weight));          // bytes of a tensor
//     executor_destroy(&e);
//
// On a device that is only described (device->model) operations are not run but waited for: all
// lanes work at once, and times follow from each other as they do on a GPU that is kept supplied
// with work. executor_modelled.c has the rules.
//
// On a device that works beside the host (device->queue) a plan is done when all of it has been
// given to the device; what reads a tensor waits. executor_stream.c has the rules.
#ifndef PARALLEL_RUN_EXECUTOR_H
#define PARALLEL_RUN_EXECUTOR_H

#include "core/base/arena.h"
#include "core/device/device.h"
#include "core/record/timeline.h"
#include "parallel/comm/comm_world.h"

// A load: write rows [first_row, first_row + rows) of the batch, or, evaluating, of the test set.
// What it does not write has no data.
typedef struct {
    int64_t first_row, rows;
    Operand x, labels;
    Dtype dtype;               // of x
    const int64_t *positions;  // of a text: which tokens of a row are wanted; NULL: all
    bool evaluate;
} LoadCall;

// The host's part of a plan (loading data), and observers for tests and recordings. Each may be
// NULL. Operations that a guard skips are not observed.
typedef struct {
    void *context;
    void (*load)(void *context, const LoadCall *call);
    void (*before)(void *context, int rank, int plan, int op);   // about to run or start
    Status (*after)(void *context, int rank, int plan, int op);  // its outputs are complete
} ExecutorHooks;

typedef struct BoundPlan BoundPlan;
typedef struct Stream Stream;
typedef struct LaneState LaneState;

typedef struct {
    const Program *program;  // lowered; borrowed, as all pointers here
    const Device *device;
    Comm *comm;          // NULL: the program has no communication
    Timeline *timeline;  // NULL: no spans are recorded
    // Read the thread's CPU clock around every operation, for the cost of each by itself: traces
    // and calibration want it. Else it is read around what runs without a wait in between, which is
    // as exact for a step and much cheaper; see settle() in executor.c.
    bool cpu_of_each;
    ExecutorHooks hooks;
    unsigned char *pools[POOL_COUNT];
    BoundPlan *plans;  // in the arena, as the lanes
    LaneState *lanes;
    void *local;              // owned: the local pool, and without a communicator the shared one
    Stream *stream;           // on a device with lanes (device->queue); else NULL
    int rank, plan;           // plan: at work, or NONE
    int remaining;            // operations of it that have not ended
    int64_t step, origin_ns;  // origin: of the run, on the monotonic clock
    int64_t begin_ns;         // when the plan began, on the monotonic clock
    // What runs now without a wait: both clocks when its first operation began, and the span of
    // that one; stretch_ns 0: nothing has run since the last wait.
    int64_t stretch_ns, stretch_cpu_ns;
    int stretch_span;
} Executor;

// What a rank that executes this lowered program needs of a communicator.
CommRoom executor_room(const Program *p);

// Bind every operation of the program to memory: pools are allocated (the shared one is the
// communicator's), zeroed. Nothing is allocated later. ERR_USAGE: a modelled device has no rate
// for an operation.
Status executor_create(Executor *e, Arena *a, const Program *p, int rank, const Device *device,
                       Comm *comm, const ExecutorHooks *hooks) MUST_USE;
void executor_destroy(Executor *e);  // safe on a zeroed executor

// Copy all bytes of a tensor out or in, once what ran before has ended. The tensor has memory:
// lower() has not made it virtual.
Status executor_read(Executor *e, int tensor, void *to) MUST_USE;
Status executor_write(Executor *e, int tensor, const void *from) MUST_USE;
// The same to look at, without a copy where the host shares the device's memory. Valid until the
// next call on this executor; NULL for a virtual tensor.
Status executor_view(Executor *e, int tensor, const void **out) MUST_USE;
// Scalars that the host writes before a plan begins.
void executor_set_f64(Executor *e, int scalar, double value);
void executor_set_i64(Executor *e, int scalar, int64_t value);
void executor_set_index(Executor *e, int scalar);  // source=index: what this rank has

// Memory of a tensor on a device whose memory the host shares; NULL when lower() made it virtual.
// For tests and tools: a run reads and writes as above.
void *executor_data(const Executor *e, int tensor);

// Execute one plan: begin, then advance until *done. advance() runs what it can without waiting;
// when it comes back without being done, idle() waits until a peer may have moved (the serial
// communicator: it returns, and another rank's advance() must be called). *moved: something ran.
Status executor_begin(Executor *e, int plan, int64_t step) MUST_USE;
Status executor_advance(Executor *e, bool *done, bool *moved) MUST_USE;
Status executor_idle(Executor *e) MUST_USE;
Status executor_run(Executor *e, int plan, int64_t step) MUST_USE;  // all of it

#endif
