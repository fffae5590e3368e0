// SPDX-License-Identifier: MIT
// A few operations run on a device in guarded memory, without an executor.
//
// A Case is a small program and what its tensors hold beforehand, as doubles. case_run() gives
// each tensor memory of its own between canaries, runs the operations and returns what the
// tensors hold. It fails the test when a kernel touched anything but the live rows of its
// outputs and its scratch.
//
// How far may two correct results be apart? A sum of n products, in any order, with or without
// FMA, differs from the exact one by at most gamma(n) M, gamma(n) = n u / (1 - n u), u half the
// spacing of numbers at 1, M the sum of the absolute values of the terms (Higham, "Accuracy and
// Stability of Numerical Algorithms", section 3.1), plus half the smallest number per product
// that underflows. So two of them differ by twice that. M is what the reference computes in f64
// from absolute values.
#ifndef TESTS_SUPPORT_DEVICE_CASE_H
#define TESTS_SUPPORT_DEVICE_CASE_H

#include "core/base/arena.h"
#include "core/base/rng.h"
#include "core/device/device.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/plan_maker.h"

typedef enum {
    FILL_OUTPUT,   // nothing: a kernel writes it
    FILL_RANDOM,   // uniform in [-1, 1)
    FILL_INTEGER,  // -4 ... 4: sums are exact in any order, maxima are often equal
    FILL_EDGE,     // zeros of both signs, denormals, tiny and huge numbers
    FILL_NAN,      // integers, some infinities, some that are none
    FILL_COUNT
} Fill;

// What stands for a tensor's values when M is computed.
typedef enum { MAGNITUDE_ABSOLUTE, MAGNITUDE_SAME, MAGNITUDE_NEGATED } Magnitude;

enum { ROWS = 0, CASE_TENSORS = 256, DEVICES = 4 };  // ROWS: as shape[0], the rows of the case

typedef struct {
    Program p;
    Plan *plan;
    Dtype dtype;                   // of the arithmetic
    int64_t capacity, rows;        // rows there are, and in use
    double *before[CASE_TENSORS];  // in the arena; NULL: junk
    Magnitude magnitude[CASE_TENSORS];
    int64_t terms;   // n of the largest sum; 0: results are exact
    char text[256];  // for messages
    Rng rng;
    Arena arena;
} Case;

typedef struct {
    double *of[CASE_TENSORS];  // live elements; NULL for what has no memory
} Values;

// Bytes that fill canaries, outputs and scratch beforehand: 0xffff... is a NaN, 0xc0c0...
// a number below 0.
typedef enum { JUNK_NAN = 0xff, JUNK_NUMBER = 0xc0 } Junk;

typedef struct {
    Junk junk;
    bool magnitude;  // compute M: f64 arithmetic on absolute values
} CaseRun;

// The devices of this build; their number.
int case_devices(const Device *out[DEVICES]);

void case_init(Case *c, Dtype dtype, int64_t capacity, int64_t rows);
void case_finish(Case *c);

int case_tensor(Case *c, const char *name, Dtype dtype, Fill fill, int dims, const int64_t *shape);
void case_fill(Case *c, int tensor, Fill fill);
void case_set(Case *c, int tensor, const double *values);  // all live elements
void case_op(Case *c, Kind kind, bool accumulate, const int64_t *attrs, const char *outputs,
             const char *inputs);
int64_t case_elements(const Case *c, int tensor);  // live ones
bool case_is_output(const Case *c, int tensor);    // an operation writes it, and no fusion hides it

Values case_run(Case *c, const Device *d, CaseRun how);

// Elements of one tensor within the bound above, bit for bit equal when c->terms is 0
// or it is not real.
void case_compare(const Case *c, int tensor, const Values *got, const Values *want,
                  const Values *magnitude);
void case_compare_bits(const Case *c, int tensor, const Values *got, const Values *want);

#endif
