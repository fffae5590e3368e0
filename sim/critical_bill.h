// SPDX-License-Identifier: MIT
// The bill of a critical path: its stretches by operation, and for the longest, what a step gains
// when the operation is free, found by simulating that step.
#ifndef SIM_CRITICAL_BILL_H
#define SIM_CRITICAL_BILL_H

#include "core/report/report_critical.h"
#include "sim/simulate.h"

// The name of what a host takes to issue operations.
#define CRITICAL_LAUNCHES "host launches"

typedef struct {
    int freed;       // the longest items that are simulated again, free
    int operations;  // with more items than that, kinds of work are billed instead; 0: never
} CriticalBillForm;

// An operation that computes is an item for each program that has it, one that communicates an item
// for all, and what hosts take one for each program; or each kind of work in a phase is an item, of
// all programs. An item that is free costs all ranks that have it nothing.
//
// On a network a free collective also leaves its links, and computation its full speed, to others:
// then the gain may exceed the item's time on the path; without that it never does, and what is not
// on the path gains nothing. Texts are in the arena, copies. Errors are critical_path_find()'s and
// simulate_devices()'s.
Status critical_bill_make(ReportCritical *out, Arena *a, const SimulateOptions *o,
                          const TopologyOptions *topology, Timeline *const timelines[],
                          const CriticalBillForm *form) MUST_USE;

#endif
