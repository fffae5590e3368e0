// SPDX-License-Identifier: MIT
// The critical path of a simulated step as a bill: what the step is made of, and what it would gain
// if an item were free (sim/critical_bill.c makes it).
#ifndef CORE_REPORT_REPORT_CRITICAL_H
#define CORE_REPORT_REPORT_CRITICAL_H

#include "core/base/json.h"

// A stretch of the path: an operation of a rank, or what its host takes to issue one.
typedef struct {
    const char *name;
    int32_t rank, stands_for;  // the rank, and how many are like it, itself among them
    int64_t start_ps, ps;      // start: since the step began
} ReportCriticalStretch;

// Stretches with one name, of ranks that execute one program. Texts are borrowed.
typedef struct {
    const char *name, *ranks;  // ranks: "0..7", those for which it would be free
    int32_t times;             // stretches of the path
    int64_t ps;
    bool freed;        // was a step simulated in which it is free? Then:
    int64_t gain_ps;   // so much shorter is that step
    const char *next;  // whose time on the path grew most then; NULL: of none
    int64_t next_ps;   // by so much
} ReportCriticalItem;

typedef struct {
    int64_t step_ps;                         // the sum of all items, and of all stretches
    const ReportCriticalItem *items;         // the longest first
    const ReportCriticalStretch *stretches;  // in the order of time
    int32_t item_count, stretch_count;
    bool by_kind;  // items are kinds of work in a phase; else operations
} ReportCritical;

// The object `critical_path` of a report; nothing without a path. ERR as jansson's: not 0.
int report_set_critical(json_t *report, const ReportCritical *c);

#endif
