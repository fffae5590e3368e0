// SPDX-License-Identifier: MIT
// The critical path of a simulated step across ranks with devices: the chain of operations of which
// each started at the instant at which the one before it ended, from the step's end back to its
// beginning. The step is the last one that was simulated, from the last rank's end of the step
// before to the last rank's end.
//
// What lets an operation start is a dependency, the operation before it on its lane, or the host
// that issues it, which has been issuing since the rank's step began. A communication takes its
// time from the arrival of its last member on: the path goes on with that member.
//
//   rank 0   a [0,4]   all_reduce [4,9], of which it waits 3
//   rank 1   b [0,7]   all_reduce [7,9]
//
//   The path is b on rank 1 for 7, all_reduce for 2. Without a the step is as long as before.
#ifndef SIM_CRITICAL_PATH_H
#define SIM_CRITICAL_PATH_H

#include "sim/simulate.h"

// `rank` is the index of a simulated rank. A message is its sender's operation.
typedef struct {
    int32_t rank, op;  // op NONE: the rank's host issues operations
    int64_t start_ps, end_ps;
} CriticalStretch;

// Stretches lie one behind the other, without gaps, from start_ps to end_ps.
typedef struct {
    int64_t start_ps, end_ps;    // the step
    CriticalStretch *stretches;  // in the arena, in the order of time
    int count;
} CriticalPath;

// `timelines` are what simulate_devices() made of the options, on a network where a communication
// has a price, or without one; messages of a collective that go one by one leave no record. Of
// several critical paths it is one. ERR_FAILED, with the operation, where nothing in the record
// ends when it starts. ERR_MEMORY.
Status critical_path_find(CriticalPath *out, Arena *a, const SimulateOptions *o,
                          Timeline *const timelines[]) MUST_USE;

#endif
