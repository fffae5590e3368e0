// SPDX-License-Identifier: MIT
// Figures of a scan: one job with some of its options varied, a point for each value or for each
// combination of values, as `sim --sweep` simulates them.
#ifndef VIZ_SCAN_H
#define VIZ_SCAN_H

#include "viz/figures.h"

// TOO_LARGE: simulated, but its memory does not fit the device. OPEN: not simulated.
typedef enum { SCAN_OPEN, SCAN_DONE, SCAN_TOO_LARGE, SCAN_REFUSED, SCAN_STATES } ScanState;

typedef struct {
    ScanState state;
    int ranks, data_ranks;  // data_ranks: that hold other samples
    int64_t batch;
    double step_ms;                                    // above 0
    int64_t memory_bytes[MEMORY_COUNT], device_bytes;  // as planned on the rank that needs most;
                                                       // device_bytes 0: not known
    ReportList measured;  // of the same job with the same options; several are repeats
} ScanPoint;

typedef struct {
    const char *key;            // "tp"
    const char *const *values;  // as they were typed
    int count;
} ScanAxis;

// Everything is borrowed. Points: all combinations, the last axis changes fastest.
enum { SCAN_AXES = 6 };
typedef struct {
    const Report *run;  // the job as it is without the options that vary
    ScanAxis axes[SCAN_AXES];
    int axis_count;
    const ScanPoint *points;
    int count;
    int advised;  // 0; or each is the best that was found, of so many combinations in all
} Scan;

// Each is left out, with a note, where there is too little to draw. ERR_IO; ERR_MEMORY.

// sweep.*: the step against the values of the only axis, numbers on a logarithmic axis where they
// double, with the least marked, and the range around it.
Status figures_sweep(const FigureOptions *o, const Scan *s, FigureNotes *notes) MUST_USE;

// memory.*: what each point needs, by class; at most SCAN_BARS of them.
enum { SCAN_BARS = 24 };
Status figures_memory(const FigureOptions *o, const Scan *s, FigureNotes *notes) MUST_USE;

// layout.*: a map of two axes or more, the last across and the others up, coloured by the time of
// a step; at most SCAN_CELLS cells either way.
enum { SCAN_CELLS = 24 };
Status figures_layout(const FigureOptions *o, const Scan *s, FigureNotes *notes) MUST_USE;

#endif
