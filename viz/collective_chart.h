// SPDX-License-Identifier: MIT
// A collective over its sizes: time, and bandwidth of algorithm and bus, of each algorithm, of the
// one that is chosen, and as it was measured.
#ifndef VIZ_COLLECTIVE_CHART_H
#define VIZ_COLLECTIVE_CHART_H

#include "viz/figures.h"

// NaN: not known at that size.
typedef struct {
    const char *name;  // "Ring"; "chosen"; "measured"
    const double *us;  // of each size
} CollectiveSeries;

// Everything is borrowed.
enum { COLLECTIVE_SERIES = 8 };
typedef struct {
    const Report *run;  // its model is the collective
    const double *bytes;
    int count;                                       // sizes
    double bus_factor;                               // busbw is algbw times this
    CollectiveSeries algorithms[COLLECTIVE_SERIES];  // that the platform has
    int algorithm_count;
    CollectiveSeries chosen;
    const double *measured_us;  // NULL: not measured
    const char *table;          // what they were read from
} CollectiveChart;

// collective.*: time on the left, bandwidth on the right, with the line alpha + bytes / beta
// through what was measured, else through what is chosen, and the sizes where two algorithms cross.
// A note where there are fewer than two sizes. ERR_IO; ERR_MEMORY.
Status figures_collective(const FigureOptions *o, const CollectiveChart *c,
                          FigureNotes *notes) MUST_USE;

#endif
