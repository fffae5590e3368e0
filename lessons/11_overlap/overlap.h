// SPDX-License-Identifier: MIT
// Lesson 11: what its runs fill in and its texts show. Times are seconds since the step began.
#ifndef LESSONS_11_OVERLAP_OVERLAP_H
#define LESSONS_11_OVERLAP_OVERLAP_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

enum {
    OVERLAP_RANKS = 4,
    OVERLAP_LAYERS = 5,
    OVERLAP_CAPS = 4,
    OVERLAP_BUCKETS = 12,
    OVERLAP_BY_LAYER = 1  // the cap whose step is looked at
};
extern const int overlap_cap_kib[OVERLAP_CAPS];

// Each gradient layer by layer, in the order in which the backward computes them.
typedef struct {
    char name[16];
    double begin_s, end_s;  // of computing it
} OverlapLayer;

typedef struct {
    double ready_s;         // when its last gradient is computed
    double takes_s;         // on the link
    double begin_s, end_s;  // when it travels, with overlap
} OverlapBucket;

typedef struct {
    double bytes_per_s, latency_s;  // of a rank's link
    OverlapLayer layers[OVERLAP_LAYERS];
    int layer_count;
    OverlapBucket buckets[OVERLAP_BUCKETS];
    int bucket_count;
    double backward_begin_s, backward_end_s;
    double exposed_s[2];          // simulated: without overlap, with it
    double step_s[OVERLAP_CAPS];  // simulated, with overlap
    // By the trainer, on devices that are only described; 0: not yet.
    double measured_exposed_s[2], measured_step_s[OVERLAP_CAPS];
} Overlap;

// Simulate the step with every cap, and what is needed of it.
Status overlap_simulate(const LessonRun *run, Overlap *x) MUST_USE;

Status overlap_run_step(const LessonRun *run, void *state) MUST_USE;
Status overlap_run_caps(const LessonRun *run, void *state) MUST_USE;

// What is left of the communication after the backward, from when buckets are ready and what each
// takes, one after the other.
double overlap_exposed_s(const Overlap *x);
double overlap_total_s(const Overlap *x);  // of all buckets

int overlap_best(const double step_s[OVERLAP_CAPS]);

#endif
