// SPDX-License-Identifier: MIT
// Measured beside simulated: where they differ, and what the difference is made of.
#ifndef SIM_COMPARE_H
#define SIM_COMPARE_H

#include "core/report/report.h"

enum { COMPARE_TEXT = 512 };

typedef struct {
    const char *name, *phase;
    int32_t shard, micro_batch;
    double measured_ms, simulated_ms;  // NaN: only the other has it
} ComparedTime;

// Everything is in the arena, or borrowed from the reports.
typedef struct {
    const Report *measured, *simulated;
    char settings[COMPARE_TEXT];  // of the strategy, that the measured run had otherwise; or empty
    char disturbances[COMPARE_TEXT];  // that only a simulation has, "jitter 0.1"; or empty
    double error;                     // of the simulated median step, relative to the measured one
    ComparedTime breakdown[TIME_COUNT];
    double noise_ms;       // measured mean above measured median: what no model of a step has
    double difference_ms;  // simulated median minus measured median: the sum of the breakdown's
                           // differences, the noise, and what the simulated steps differ
    ComparedTime *phases, *operations;  // operations: the largest difference first
    int phase_count, operation_count;
} Comparison;

// ERR_USAGE, with what to give, when they are not of one job: model, type, device, ranks, batch.
Status compare_reports(Comparison *out, Arena *a, const Report *measured,
                       const Report *simulated) MUST_USE;

#endif
