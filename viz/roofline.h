// SPDX-License-Identifier: MIT
// A roofline (Williams, Waterman and Patterson, "Roofline", 2009): what each kernel of a step
// reaches, beside what a device could do and what its best kernels reach.
#ifndef VIZ_ROOFLINE_H
#define VIZ_ROOFLINE_H

#include "viz/figures.h"

// Operations of the same kind, type and shapes.
typedef struct {
    const char *kind, *phase;  // "linear", "forward"
    double flops, bytes;       // of one; flops 0: it moves memory alone
    double ms;                 // of one, mean
    double share;              // of all of them, of the step of all devices: 0 to 1
} RooflineKernel;

typedef struct {
    const Report *run;
    double peak_flops, reached_flops;  // per second: of the device, of its best kernels
    double peak_bytes, reached_bytes;  // the same of its memory
    const RooflineKernel *kernels;     // borrowed, in any order
    int count;
} Roofline;

// roofline.*: what computes, against flops per byte; beside it what moves memory alone, against
// bytes. Points are as large as their share of the step; ROOFLINE_NAMED of them are named. A note
// where no operation takes time. ERR_IO; ERR_MEMORY.
enum { ROOFLINE_NAMED = 9 };
Status figures_roofline(const FigureOptions *o, const Roofline *r, FigureNotes *notes) MUST_USE;

#endif
