// SPDX-License-Identifier: MIT
// The record of a rank: one span per operation, measured and simulated alike, and the categories
// into which the time of a step is broken down.
#ifndef CORE_RECORD_TIMELINE_H
#define CORE_RECORD_TIMELINE_H

#include "core/base/status.h"
#include "core/plan/program.h"

#include <stdbool.h>
#include <stdint.h>

// Where the duration of a span comes from.
#define SOURCE_LIST(X)          \
    X(MEASURED, "measured")     \
    X(REPLAYED, "replayed")     \
    X(CALIBRATED, "calibrated") \
    X(SCALED, "scaled")         \
    X(ROOFLINE, "roofline")
typedef enum {
#define X(constant, name) SOURCE_##constant,
    SOURCE_LIST(X)
#undef X
        SOURCE_COUNT
} SpanSource;
const char *span_source_name(SpanSource s);
int span_source_find(const char *name);  // -1: none of that name

// The latest time that a record may hold, 50 days: sums of two times do not overflow.
#define TIMELINE_LAST_PS (INT64_C(50) * 86400 * 1000000000000)

// One execution of an operation. start_ps <= end_ps.
typedef struct {
    int64_t start_ps, end_ps;  // since the run's origin
    int64_t wait_ns, cpu_ns;   // wait: from the start until the last member arrived; cpu: CPU time
                               // of the thread, or of the device that computed
    int64_t issue_ps;          // how long before start_ps it could have started on its device, had
                               // the host issued it; simulated only
    int32_t op, step, rank;    // op: index in the plan
    uint8_t plan, lane, source, flags;
} Span;

// One execution of a plan by a rank: from the end of the one before it to its own end.
typedef struct {
    int64_t start_ps, end_ps;
    double loss;           // of the global batch; NaN when the plan has none
    double gradient_norm;  // of all gradients before they were clipped, where `normed`
    // Where `routed`, of the step's tokens and all layers of experts: the share of choices that
    // were dropped, and how many times its fair share the most chosen expert of a layer got.
    double dropped, fullest;
    int32_t step, span_first, span_count;
    int32_t epoch, rows;  // rows: of the global batch that was trained on; 0: nothing was trained
    uint8_t plan;
    bool normed;    // the step computed the norm of its gradients
    bool routed;    // its tokens chose experts
    bool skipped;   // the step found something not finite and updated nothing
    bool complete;  // its spans were kept; otherwise span_count is 0
} StepRecord;

// A rank's record. Both arrays have fixed capacity, so that nothing is allocated while it runs;
// when one is full the rest is counted in `dropped` and reported. A Timeline may also be made
// on memory of the caller's, such as memory that ranks in other processes share.
typedef struct {
    Span *spans;  // owned, as steps. Within a step in order of their end
    StepRecord *steps;
    int span_count, span_capacity, step_count, step_capacity;
    int64_t dropped;  // steps whose spans (or even whose record) did not fit
    int32_t rank;
    int32_t unrecorded;          // training steps without a record, after the last one that has one
    StepRecord last_unrecorded;  // the last of these
    StepRecord open;             // between timeline_begin_step() and timeline_end_step()
} Timeline;

Status timeline_create(Timeline *t, int rank, int step_capacity, int span_capacity) MUST_USE;
void timeline_destroy(Timeline *t);  // safe on a zeroed Timeline

// Recording; the caller reads the clock. Nothing here allocates. begin returns the record, so that
// the caller can set epoch, rows and loss before end.
StepRecord *timeline_begin_step(Timeline *t, int plan, int step, int64_t start_ps);
void timeline_add_span(Timeline *t, const Span *span);  // its plan, step and rank are set here
void timeline_end_step(Timeline *t, int64_t end_ps);

// The breakdown of a step (TimeCategory): each instant belongs to the first category that applies.
//   compute       a compute operation has the CPU or GPU
//   contended     one was started but does not have it
//   exposed_comm  a communication all of whose members have arrived is in progress
//   bubble        blocked on a receive whose sender has not arrived
//   waiting       blocked on another communication whose last member has not arrived
//   host          work of the host, such as loading a batch; or an operation could run on the
//                 device, and the host has not issued it yet
//   idle          nothing
// A compute span of duration D with CPU time c is compute for min(c, D) and contended for the rest.
// The issue_ps before a span are host.
#define TIME_CATEGORY_LIST(X)       \
    X(COMPUTE, "compute")           \
    X(CONTENDED, "contended")       \
    X(EXPOSED_COMM, "exposed_comm") \
    X(BUBBLE, "bubble")             \
    X(WAITING, "waiting")           \
    X(HOST, "host")                 \
    X(IDLE, "idle")
typedef enum {
#define X(constant, name) TIME_##constant,
    TIME_CATEGORY_LIST(X)
#undef X
        TIME_COUNT
} TimeCategory;
const char *time_category_name(TimeCategory b);

// Break one step down: ps per category, summing to end_ps - start_ps exactly. Parts of spans beyond
// the step are cut off. Allocates nothing; takes time in proportion to the spans of the step.
void timeline_breakdown(const Program *p, const Timeline *t, const StepRecord *s,
                        int64_t out_ps[TIME_COUNT]);

// Share (0 to 1) of a step that lies inside at least one span, or in the issue_ps before it; 1 for
// a step of no duration.
double timeline_coverage(const Timeline *t, const StepRecord *s);

#endif
