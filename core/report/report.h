// SPDX-License-Identifier: MIT
// The report of a run: what was run, how fast it was, where the time went, how the loss fell.
// Written as JSON ("tandem.report.v1", docs/formats.md, "Reports"), Markdown or HTML, and
// read back for comparison.
#ifndef CORE_REPORT_REPORT_H
#define CORE_REPORT_REPORT_H

#include "core/base/arena.h"
#include "core/base/clock.h"
#include "core/base/host.h"
#include "core/base/statistics.h"
#include "core/record/run_info.h"
#include "core/record/timeline.h"
#include "core/report/report_answers.h"
#include "core/report/report_critical.h"
#include "core/report/report_failures.h"

#include <stdio.h>

typedef struct {
    int64_t planned[MEMORY_COUNT];
    int64_t unplanned;  // what libraries took besides; NONE when it was not measured
} MemoryUse;

typedef struct {
    int32_t epoch, step;  // epoch: in which it was made, from 1; step: training steps before it
    int64_t samples;
    double loss, accuracy;  // loss: mean per sample, or per token; accuracy: 0 to 1
    double perplexity;      // exp(loss) of a model of tokens, at least 1; 0: of another model
} Evaluation;

// An operation of the training step, over the steps of the breakdown. Times are the mean over the
// ranks that execute it of each rank's median (or p10, p90, mean). Texts are in the arena.
typedef struct {
    const char *name, *kind, *phase, *lane;
    int32_t shard, micro_batch;  // of its rank
    int32_t ranks;               // that execute it
    double executions;           // in a step, mean; less than 1 when a guard skips it
    Spread duration_ms;
    double wait_ms, cpu_ms;  // wait: until the last member arrived; cpu: of the thread or device
    double start_ms;         // since the step began
} OperationTimes;

// Arrays are in the arena of the caller that made or read it. Times are those of the training steps
// without the first, the warm-up (unless it is the only one).
typedef struct {
    RunInfo run;
    int32_t steps, epochs, warm_up_steps;
    int32_t unrecorded_steps;          // the last ones, for which there was no room: they count in
                                       // `steps` and last_loss alone
    int32_t breakdown_steps;           // those of the breakdown: all ranks kept their spans
    Spread samples_per_s;              // mean: all samples over all time
    Spread step_ms;                    // of a step, the mean of its ranks' durations
    Tails step_tails_ms;               // of the same; NaN in reports of before they were kept
    double breakdown_ms[TIME_COUNT];   // mean over ranks and steps; the sum is step_ms.mean
    const OperationTimes *operations;  // in the order of the plan that most of the steps executed
    int32_t operation_count;           // 0: no spans were kept
    double coverage;                   // share inside spans, of the rank with the least, or NaN
    const MemoryUse *memory;           // per rank
    const ReportAnswers *answers;      // of a simulation; NULL: of a run, or of a replay
    const ReportCritical *critical;    // the critical path of a simulated step; NULL: not asked for
    const ReportFailures *failures;    // of its devices; NULL: not asked for
    int64_t device_bytes;              // memory of a rank's described device; 0: not known
    const int64_t *comm_bytes;         // per rank: payload of its communication in a step (mean)
    const double *loss;                // per recorded step, of the global batch
    const double *gradient_norm;       // per step of loss, before clipping; NULL: not computed
    const double *dropped, *fullest;  // of experts, as a step's record (core/record/timeline.h) has
                                      // them, per step of loss; NULL: there are none
    int64_t skipped_steps;            // that found something not finite and updated nothing
    double last_loss;                 // of the last step; NaN when it has none
    const double *step_end_s;         // per step of loss: on rank 0, since the first's start; NULL
                                      // when unknown. Evaluations between steps are in it
    const int64_t *step_samples;      // per step of loss: rows trained on so far; NULL: unknown
    const Evaluation *evaluations;
    int32_t loss_count, evaluation_count;
    uint64_t parameters_hash;  // of all parameters at the end; 0 when it was not made
    double tracing_overhead;   // share of a step; NaN when it was not measured
    char started[CLOCK_TEXT];  // when the first step began, "2026-01-31T12:00:00.000Z", or empty
    double wall_s;             // of the whole run; NaN when it was not measured
    HostInfo machine;
} Report;

// Fill in what timelines know: everything but run, evaluations, tracing_overhead, started, wall_s,
// machine and unplanned memory, which become empty or unknown. programs[r] and timelines[r]: of
// rank r; all must have recorded the same steps. ERR_FAILED, ERR_MEMORY.
Status report_from_timelines(Report *r, Arena *a, const Program *const programs[],
                             const Timeline *const timelines[], int ranks) MUST_USE;

// Time of the operations of a phase ("forward") in a step, mean over ranks: the sum of their
// medians. Lanes overlap: phases may sum to more than a step. NaN when none is executed.
double report_phase_ms(const Report *r, const char *phase);

// Of the last evaluation; NaN without one, and the perplexity of a model that has none.
double report_accuracy(const Report *r);
double report_perplexity(const Report *r);

// The error of a simulation, the one definition of it: its median step time relative to the
// measured one, minus 1. +0.05: the simulated step takes 5 % longer.
double report_error(double simulated_step_ms, double measured_step_ms);

// Is it a name that report_write() takes? For who wants to know before the work. ERR_USAGE.
Status report_check_name(const char *path) MUST_USE;

// Write a report in the format that the name asks for: .json (or .json.gz), .md or .html. The file
// appears when it is complete. ERR_USAGE for another name, ERR_IO.
Status report_write(const Report *r, const char *path) MUST_USE;

// Several reports of one job, in increasing order of ranks, in one file: a list of them as JSON, a
// table and a figure of how the job scales as a document. One report alone is written as
// report_write() does. Errors as above.
Status report_write_all(const Report *const reports[], int count, const char *path) MUST_USE;

// The .json report on a stream, whose errors are the caller's. ERR_MEMORY.
Status report_write_json(const Report *r, FILE *out) MUST_USE;

// The main figures under names that stay ("step_ms", units included): CSV of two lines, names and
// values, empty when unknown; or a line "NAME VALUE UNIT" each, "-" when unknown. Format:
// docs/formats.md, "Summaries". Errors are the stream's.
void report_write_csv(const Report *r, FILE *out);
void report_write_plain(const Report *r, FILE *out);

// Read a .json report; unknown members are skipped. What is read can be relied on: medians of step
// time and samples/s are positive and times at most 50 days, names can be printed. ERR_INPUT,
// ERR_FORMAT with the place.
Status report_read(Report *r, Arena *a, const char *path) MUST_USE;

// The essential on a terminal: at most 16 lines of 80 columns; with colour or without.
void report_print(const Report *r, FILE *out, bool color);

#endif
