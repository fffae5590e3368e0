// SPDX-License-Identifier: MIT
// What happened: one span per operation, measured and simulated alike.
#ifndef CORE_RECORD_TIMELINE_H
#define CORE_RECORD_TIMELINE_H

#include "core/base/status.h"
#include "core/plan/program.h"

#include <stdint.h>

typedef enum { SOURCE_MEASURED, SOURCE_REPLAYED, SOURCE_CALIBRATED, SOURCE_ROOFLINE } SpanSource;

typedef struct {
    int64_t start_ps, end_ps;   // since the run's origin
    int32_t op, step, rank;     // op: index in the plan
    uint32_t wait_ns, cpu_ns;   // wait: from the start until the last member arrived; cpu: CPU time of the thread
    uint8_t plan, lane, source, flags;
} Span;

// One execution of a plan by a rank: from the end of the one before it to its own end.
typedef struct {
    int64_t start_ps, end_ps;
    int32_t step, span_first, span_count;
    int32_t epoch, rows;        // rows: of the global batch (0: no batch)
    double loss;                // of the global batch
    uint8_t plan;
} StepRecord;

// A rank's record. Both arrays have fixed capacity, so that nothing is allocated while it runs; when
// they are full the rest is counted in `dropped` and said aloud.
typedef struct {
    Span *spans;          // owned, as steps
    StepRecord *steps;
    int span_count, span_capacity, step_count, step_capacity;
    int64_t dropped;      // steps that did not fit
    int32_t rank;
} Timeline;

Status timeline_create(Timeline *t, int rank, int step_capacity, int span_capacity) MUST_USE;
void timeline_destroy(Timeline *t);

// How a step's time is billed: each instant to the first that applies (DESIGN, The simulator).
#define BILL_LIST(X)                                                                          \
    X(COMPUTE, "compute") X(CONTENDED, "contended") X(EXPOSED_COMM, "exposed_comm")           \
    X(BUBBLE, "bubble") X(WAITING, "waiting") X(HOST, "host") X(IDLE, "idle")
typedef enum {
#define X(constant, name) BILL_##constant,
    BILL_LIST(X)
#undef X
        BILL_COUNT
} Bill;
const char *bill_name(Bill b);

// Bill one step: ps per Bill, summing to end_ps - start_ps exactly. Spans are in order of their end.
void timeline_bill(const Program *p, const Timeline *t, const StepRecord *s, int64_t out_ps[BILL_COUNT]);

// Share (0 to 1) of a step that lies inside at least one span.
double timeline_coverage(const Timeline *t, const StepRecord *s);

#endif
