// SPDX-License-Identifier: MIT
// What lesson 6 draws and computes: a step's plan, the time of its operations and their memory. Its
// texts and questions are in device.c.
#ifndef LESSONS_06_DEVICE_ROOFLINE_H
#define LESSONS_06_DEVICE_ROOFLINE_H

#include "core/plan/kind.h"
#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum { PIXELS = 784, CLASSES = 10, MOST_KERNELS = 32 };

// Three operations of the step that are looked at.
typedef enum { KERNEL_PRODUCT, KERNEL_LAST, KERNEL_UPDATE, KERNEL_ASKED } KernelAsked;

typedef struct {
    const char *name;  // in the arena
    int64_t flops, bytes;
    double modelled_s, measured_s;  // on the described laptop; here, 0: not measured
} RooflineKernel;

// mlp:hidden=..,layers=2 with Adam, on one device.
typedef struct {
    int hidden, rows;
    int64_t counted_flops;         // of the plan
    int64_t memory[MEMORY_COUNT];  // as the plan lays it out
    RooflineKernel asked[KERNEL_ASKED];
    RooflineKernel kernels[MOST_KERNELS];  // all that compute
    int kernel_count;
    double flops_per_s, bytes_per_s;  // that this device's kernels and memory reach
    double laptop_share;              // of its peak on paper that its kernels reach
    bool planned, measured;
} Roofline;

// Flops of a step by formula: of the forward pass; of the gradients of weights, and of inputs.
double roofline_forward(const Roofline *x);
double roofline_backward_input(const Roofline *x);
double roofline_weights(const Roofline *x);  // and biases: how many

Status roofline_draw(const LessonRun *run, void *state) MUST_USE;

// Make the plan, and measure its operations on this host unless time is virtual.
Status roofline_run(const LessonRun *run, void *state) MUST_USE;

#endif
