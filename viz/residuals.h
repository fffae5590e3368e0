// SPDX-License-Identifier: MIT
// Residuals: how far a model is from what was measured, against what it was measured at.
#ifndef VIZ_RESIDUALS_H
#define VIZ_RESIDUALS_H

#include "viz/figures.h"

typedef struct {
    const char *name;        // of the model
    const double *modelled;  // at each place; NaN: not known
} ResidualSeries;

// Everything is borrowed.
enum { RESIDUAL_SERIES = 4 };
typedef struct {
    const Report *run;
    const char *what, *table;  // "all_reduce on 8 devices of dgx-a100"; what was measured is from
    const double *bytes;       // sizes of messages, above 0
    const double *measured;    // times, above 0
    int count;
    ResidualSeries series[RESIDUAL_SERIES];
    int series_count;
} Residuals;

// residuals.*: modelled / measured - 1 of each size, with bands of their 5th to 95th percentile
// over all sizes; beside them the same for each model, with its median. A note where there is one
// size or none. ERR_IO; ERR_MEMORY.
Status figures_residuals(const FigureOptions *o, const Residuals *r, FigureNotes *notes) MUST_USE;

#endif
