// SPDX-License-Identifier: MIT
// Recorded values: chosen tensors of chosen steps, kept for the views and the lessons. A tensor is
// copied when the operation that wrote it has ended; the copies of a step go to one file,
// DIR/rank<N>.step<S>.safetensors (docs/formats.md, "Recorded values").
#ifndef CORE_RECORD_VALUES_H
#define CORE_RECORD_VALUES_H

#include "core/base/arena.h"
#include "core/plan/program.h"

// One tensor of a step.
typedef struct {
    const char *key;  // "plan/op/tensor"; "plan/op/tensor#2" when written a second time in the step
    Dtype dtype;
    int dims;
    int64_t shape[DIMS];  // rows in use, not the capacity
    int64_t bytes;
    const void *data;  // C order; the recorder's copy
} ValueEntry;

// Writes `count` tensors to a safetensors file that appears when it is complete. Given by the
// caller, because files of tensors are core/data's business.
typedef Status (*ValueWriter)(void *context, const char *path, const ValueEntry *entries,
                              int count);

typedef struct {
    const char *directory;  // borrowed, as the other pointers
    int rank;
    int first_step, last_step;  // both recorded
    const char *pattern;        // keys to record, as a shell matches, '*' also '/'; NULL: all
    ValueWriter write;
    void *context;  // of `write`
} ValueOptions;

typedef struct {
    ValueOptions options;
    ValueEntry *entries;  // owned
    int count, capacity;
    Arena copies;  // keys and data of the open step
} ValueRecorder;

// Create the directory. ERR_IO, ERR_MEMORY.
Status values_create(ValueRecorder *r, const ValueOptions *options) MUST_USE;
void values_destroy(ValueRecorder *r);  // safe on a zeroed recorder

// Is this step recorded? Cheap: asked in every step.
static inline bool values_wants(const ValueRecorder *r, int step) {
    return r->options.write && step >= r->options.first_step && step <= r->options.last_step;
}

// Copy a tensor, unless the pattern excludes it. Steps that are recorded allocate, others do not.
Status values_add(ValueRecorder *r, const char *plan, const char *op, const char *tensor,
                  Dtype dtype, int dims, const int64_t shape[], const void *data) MUST_USE;

// Write what was added as the values of `step`, and forget it. Without any no file is written, and
// one that an earlier run left is removed.
Status values_finish_step(ValueRecorder *r, int step) MUST_USE;

// Remove the values of other ranks and steps that earlier runs left in a directory in which this
// run recorded steps first .. last of ranks 0 .. ranks - 1. Only safetensors files of their names
// are touched. *removed: how many were. ERR_IO.
Status values_remove_stale(int *removed, const char *directory, int ranks, int first,
                           int last) MUST_USE;

// The steps of --record-steps: "A:B" (both included), "A" (one step), ":B", "A:"
// (open ends). ERR_USAGE.
Status values_parse_steps(int *first, int *last, const char *text) MUST_USE;

#endif
