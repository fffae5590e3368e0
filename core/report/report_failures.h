// SPDX-License-Identifier: MIT
// What failures and checkpoints leave of a run's time (sim/failures.h): goodput.
#ifndef CORE_REPORT_REPORT_FAILURES_H
#define CORE_REPORT_REPORT_FAILURES_H

#include "core/base/json.h"

typedef struct {
    double device_mtbf_s, mtbf_s;        // between failures of one device, of the run
    double checkpoint_s, restart_s;      // what each takes
    double young_s, daly_s, best_s;      // intervals of work between checkpoints: of the formulas,
    int64_t best_steps;                  // and of the best simulated run, also in steps
    double goodput, goodput_error;       // of that run: the share of time that is work and is kept
    double checkpoint, redo, restart;    // the rest of its time
    double expected;                     // goodput by the formula, at that interval
    double young_goodput, daly_goodput;  // simulated at their intervals
    double step_ms;                      // a step's share of the run's time; NaN: no progress
    int32_t failures;                    // that were simulated
    uint64_t seed;
} ReportFailures;

// The object `failures` of a report; nothing without them. ERR as jansson's: not 0.
int report_set_failures(json_t *report, const ReportFailures *f);

#endif
