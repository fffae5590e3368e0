// SPDX-License-Identifier: MIT
// A device with lanes for tests: the kernels of `reference`, run some time after they were given,
// in one of many orders that lanes and events allow.
//
// It also watches: every command knows which bytes it reads and writes, and a vector clock a lane
// says which commands are ordered. Two that touch the same bytes, one of them writing, and that
// nothing orders, are reported whatever the order of this run was; so are memory of the host that
// changes while a copy of it is under way, and a wait for an event that was never recorded. Local
// pools are mapped only while a command runs: a host that touches one dies of it.
#ifndef TESTS_SUPPORT_QUEUED_H
#define TESTS_SUPPORT_QUEUED_H

#include "core/device/device.h"

// EAGER: at once. LATE: when the host waits, and then no more than it waits for. SHUFFLED: whenever
// something is given, as many as are drawn, from lanes that are drawn.
typedef enum { QUEUED_EAGER, QUEUED_LATE, QUEUED_SHUFFLED } QueuedOrder;

typedef struct {
    QueuedOrder order;
    uint32_t seed;
    int dropped_wait;  // of every rank: the number of the wait() that is left out; or NONE
} QueuedOptions;

enum { QUEUED_TEXT = 320 };

typedef struct {
    int64_t runs, waits, writes, reads, pools;  // calls of all ranks; pools: not destroyed
    int64_t unordered;                          // what was reported
    char first[QUEUED_TEXT];                    // the first report
} QueuedReport;

// The device, and what it saw since this call. One test at a time.
const Device *queued_device(const QueuedOptions *options);
QueuedReport queued_report(void);

#endif
