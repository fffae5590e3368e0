// SPDX-License-Identifier: MIT
// The bill of a critical path: its stretches by operation, and for the longest, what a step gains
// when the operation is free, found by simulating that step.
#ifndef SIM_CRITICAL_BILL_H
#define SIM_CRITICAL_BILL_H

#include "core/report/report_critical.h"
#include "sim/simulate.h"

// The name of what a host takes to issue operations.
#define CRITICAL_LAUNCHES "host launches"

// A computation is an item for each program that has it, a communication one for all, and what
// hosts take one for each program. An item that is free costs all ranks with it nothing.
//
// On a network a free collective also leaves its links, and computation its full speed, to others:
// then the gain may exceed the item's time on the path; without that it never does, and what is not
// on the path gains nothing. The `freed` longest items are simulated again. Texts are in the
// arena, copies. Errors are critical_path_find()'s and simulate_devices()'s.
Status critical_bill_make(ReportCritical *out, Arena *a, const SimulateOptions *o,
                          const TopologyOptions *topology, Timeline *const timelines[],
                          int freed) MUST_USE;

#endif
