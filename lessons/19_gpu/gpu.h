// SPDX-License-Identifier: MIT
// The numbers of lesson 19, all simulated: two steps of a GPT on one H100, a small one that the
// host holds up and a larger one that the device does, and an all-reduce within a DGX H100.
#ifndef LESSONS_19_GPU_GPU_H
#define LESSONS_19_GPU_GPU_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { GPU_SHOWN = 12 };  // operations of a drawing

// What might make a step shorter.
typedef enum { CHANGE_FASTER_GPU, CHANGE_GRAPH, CHANGE_HALF_BATCH, CHANGE_COUNT } GpuChange;

// A step; times in seconds.
typedef struct {
    char model[64];
    int batch, operations;
    double issue, issued;  // of a launch; of all of them
    double kernels;        // the sum of their durations
    double step;           // until the last has ended
    double idle;           // the share of it in which the device waits for the host
    double start[GPU_SHOWN], end[GPU_SHOWN];  // of the first ones on the device
} GpuStep;

typedef struct {
    GpuStep small, large;
    double changed[CHANGE_COUNT];  // steps of `small` with one change
    bool ran;
    int ranks;
    double bytes, seconds;  // of the all-reduce
    double bus_factor;      // as nccl-tests has it
    double link_rate;       // of a device's NVLink, one direction
} Gpu;

Status gpu_draw(const LessonRun *run, void *state) MUST_USE;
Status gpu_change(const LessonRun *run, void *state) MUST_USE;

GpuChange gpu_best_change(const Gpu *x);

#endif
