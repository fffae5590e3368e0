// SPDX-License-Identifier: MIT
// A tornado: by how much a step changes with each number of a platform, the largest on top.
#ifndef VIZ_TORNADO_H
#define VIZ_TORNADO_H

#include "viz/figures.h"

// Everything is borrowed.
typedef struct {
    const char *name, *value;  // "flops", and what it is: "19.5T/s"
    double less_ms, more_ms;   // the step with 10 % less of it, and 10 % more
} TornadoBar;

typedef struct {
    const Report *run;  // what is simulated; of its times step_ms.median, above 0
    const TornadoBar *bars;
    int count;
} Tornado;

// tornado.*: the TORNADO_BARS with the largest effect, in that order; the caption counts the
// others. Without any effect a note says so. ERR_IO; ERR_MEMORY.
enum { TORNADO_BARS = 16 };
Status figures_tornado(const FigureOptions *o, const Tornado *t, FigureNotes *notes) MUST_USE;

#endif
