// SPDX-License-Identifier: MIT
// Measurements of a host by `train --calibrate`: the section `calibration` of a machine file
// (docs/formats.md, "Machine files").
#ifndef CORE_PLATFORM_CALIBRATION_H
#define CORE_PLATFORM_CALIBRATION_H

#include "core/base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// A quantity that was measured several times; the unit stands in the name of the field.
typedef struct {
    int64_t median, low, high;  // low to high: the middle 80 % of the repeats
    bool known;                 // false: not measured (the host has one core, say); the rest is 0
} Measured;

// CPU time of one operation of the step of one rank.
typedef struct {
    uint64_t cost_key;  // as Work.cost_key; occurs once
    const char *name;   // of an operation with that key
    int64_t rows;       // of the rank's batch, in the step that it was measured in
    int64_t flops, bytes;
    Measured solo_ps, co_run_ps;  // the other cores idle; all of them busy with the same step
    Measured oversubscribed_ps;   // that, and a second rank of the same step on this core
} OperationTime;

// Bytes read and written per second. `own`: memory that this core wrote last; `peer`: memory that
// another core has just written.
//   copy    `bytes` are copied; they count twice. peer: the source is the peer's
//   reduce  two arrays of `bytes`, a and b, both become a + b, which is a rank's share of a direct
//           all-reduce of two; `bytes` count four times. peer: b is the peer's, and the peer does
//           the same with the other halves at the same time
typedef struct {
    int64_t bytes;
    Measured own, peer;
} MemoryRate;

// Strings and arrays are in the arena of whoever read or measured them.
typedef struct {
    const char *model, *device, *dtype;  // of the job whose operations were measured
    const char *cpu, *when;              // model of the processor; UTC, "2026-11-26T11:31:07Z"
    bool quick;                          // few repeats, made beside a trace in under a second
    int64_t rows;                        // of the job's batch per rank
    OperationTime *operations;
    MemoryRate *copy, *reduce;  // by increasing size
    int operation_count, copy_count, reduce_count;
    Measured step_ps;  // of one rank that records no spans, from one step's end to the next: its
                       // spread is the noise of this host
    Measured turn_ps;  // a rank's work per step besides its plan
    Measured dispatch_ps;        // the executor's own time per operation
    Measured span_ps;            // recording one span
    Measured clock_ps;           // one reading of clock_ns()
    Measured cpu_clock_ps;       // one reading of clock_thread_cpu_ns()
    Measured ping_ps;            // from a store until a core that spins has seen it
    Measured wake_ps;            // from waking a rank that sleeps until it runs, on another core
    Measured wake_same_core_ps;  // the same on the waker's core, which the waker leaves at once
    Measured switch_ps;          // a core passing from one rank to another that waits for it
    Measured yield_ps;           // sched_yield() when nobody else wants the core
    Measured collective_ps;      // CPU time of a rank of two for an all-reduce of two numbers
} Calibration;

// Write it, so that it reads back equal. Errors are those of the stream.
void calibration_write(FILE *f, const Calibration *c);

// Print the main values as a table: at most 20 lines of 80 columns. ERR_MEMORY.
Status calibration_print(FILE *f, const Calibration *c) MUST_USE;

// The cost of work with that key; NULL when it was not measured.
const OperationTime *calibration_find(const Calibration *c, uint64_t cost_key);

// Of what was measured under that name, fused with others or not, in the same direction
// ("fc2+relu2.forward" for "fc2.forward"), the one with the nearest work; NULL: there is none.
const OperationTime *calibration_find_like(const Calibration *c, const char *name, int64_t flops,
                                           int64_t bytes);

// How many times the work of `t` that is, in thousandths: flops where both have them, else bytes.
int64_t calibration_work_permille(const OperationTime *t, int64_t flops, int64_t bytes);

#endif
