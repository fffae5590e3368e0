// SPDX-License-Identifier: MIT
// What sim prints of predictions for several numbers of ranks, the first of which is the base of
// speed-up: row by row as they are made, and what is known of all of them at the end.
#ifndef PROGRAMS_SIM_SWEEP_H
#define PROGRAMS_SIM_SWEEP_H

#include "programs/sim_options.h"
#include "sim/predict.h"

// Everything is borrowed.
typedef struct {
    const SimOptions *options;
    const SimSetting *setting;
    const SimJob *asked;     // one a size
    int size_count;          // rows that are asked for, and that the options suit
    const SimJob *jobs;      // one a row, as simulated
    const Prediction *rows;  // the first `count` are there
    int count;
    bool tokens;  // the model is one of language
    bool strong;  // the global batch is the same in all rows
    int width;    // of the terminal
} Sweep;

// Before the first row: title and heads of the table; of CSV and plain text what comes first.
void sweep_begin(const Sweep *s);

// The row that came last, rows[count - 1].
void sweep_row(const Sweep *s);

// Instead of a row, why there is none; false where programs read the rows.
bool sweep_refused(const Sweep *s, int64_t ranks, const char *why);

// After the last row, which may be before all were made: where the steps go, and where the numbers
// come from. The arena is for scratch. ERR_MEMORY.
Status sweep_end(const Sweep *s, Arena *a) MUST_USE;

// How far recorded steps lie apart, and whether that bounds what a prediction can say.
void sweep_print_noise(const Recording *r);

#endif
