// SPDX-License-Identifier: MIT
// What every operation of a program costs on its own: CPU time of a computation, or of a rank's
// share of a communication. Where the number comes from is kept beside it.
#ifndef SIM_COSTS_H
#define SIM_COSTS_H

#include "core/base/arena.h"
#include "core/platform/machine.h"
#include "core/record/timeline.h"
#include "core/record/trace.h"

typedef struct {
    int64_t ps;
    uint8_t source;  // SpanSource
    bool known;
} OpCost;

// Costs of one class of ranks.
typedef struct {
    const Program *program;  // borrowed
    OpCost *ops[PLANS];      // per plan, per operation, in the arena
    int64_t dispatch_ps;     // the executor's own time per operation
} Costs;

Status costs_init(Costs *c, Arena *a, const Program *p) MUST_USE;

// From a recorded timeline of the same program: the median of each operation over the recorded
// executions of its plan but the first (the warm-up, unless it is the only one). Computations and
// host work: their duration, or with `cpu_time` (ranks shared cores) the CPU time of the thread;
// communication: the CPU time of the rank's share. Start times are not read. dispatch_ps: the
// median step's time outside all spans, per operation.
Status costs_from_timeline(Costs *c, const Timeline *t, bool cpu_time) MUST_USE;

// For operations still unknown: computations of another program with the same cost key.
void costs_share(Costs *c, const Costs *from);

// For operations still unknown: device_model_ps(). What the device has no rate for stays unknown.
void costs_from_roofline(Costs *c, const DeviceModel *d);

// For communication still unknown, in the memory of a host: a rank's share of the bytes that its
// schedule reads and writes, at the host's rate.
void costs_from_host(Costs *c, const HostModel *h);

// Is every operation of a plan known? ERR_FAILED names the first that is not.
Status costs_complete(const Costs *c, int plan) MUST_USE;

#endif
