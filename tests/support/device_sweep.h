// SPDX-License-Identifier: MIT
// Kernels of sequences, (rows, T, C), over swept shapes: against the reference, and their gradients
// against differences. A test builds the same operations for any Shape.
#ifndef TESTS_SUPPORT_DEVICE_SWEEP_H
#define TESTS_SUPPORT_DEVICE_SWEEP_H

#include "tests/support/device_hand.h"
#include "tests/support/device_near.h"
#include "tests/support/gradient.h"

typedef struct {
    int64_t rows, capacity, T, C, heads, V;
    bool accumulate;  // gradients of weights are added to what is there
} Shape;
typedef void (*Build)(Case *c, const Shape *s);

static inline int sequence(Case *c, const Shape *s, const char *name, Fill fill) {
    return case_tensor(c, name, REAL(c), fill, SHAPE(ROWS, s->T, s->C));
}

static inline Fill sum_fill(const Shape *s) { return s->accumulate ? FILL_RANDOM : FILL_OUTPUT; }

static inline void set_named(Case *c, const char *name, const double *values) {
    case_set(c, gradient_tensor(c, name), values);
}
#define SET(c, name, ...) set_named(c, name, (const double[]){__VA_ARGS__})

// Every device in both types, with all rows in use, some and none; accumulating where T is odd.
static inline void agree(Build build, Shape s, double roundings) {
    static const int64_t rows[][2] = {{1, 1}, {2, 3}, {0, 2}};
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 2 * 3 * count; i++) {
        Case c;
        s.rows = rows[i % 3][0];
        s.capacity = rows[i % 3][1];
        s.accumulate = s.T % 2;
        case_init(&c, i / 3 % 2 ? DTYPE_F64 : DTYPE_F32, s.capacity, s.rows);
        build(&c, &s);
        snprintf(c.text, sizeof c.text, "%s %s %s: T %lld, C %lld, heads %lld, V %lld",
                 devices[i / 6]->name, dtype_name(REAL(&c)), op_name(&c.p, &c.plan->ops[0]),
                 (long long)s.T, (long long)s.C, (long long)s.heads, (long long)s.V);
        near_agree(&c, devices[i / 6], roundings);
        case_finish(&c);
    }
}

// Pairs of a tensor and its gradient, then NULL, of a loss that weights "y" by "dy".
static inline void check_gradients(Build build, const char *const pairs[][2]) {
    const Shape s = {.rows = 2, .capacity = 3, .T = 3, .C = 6, .heads = 3, .V = 5};
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++) {
        Case c;
        case_init(&c, DTYPE_F64, s.capacity, s.rows);
        build(&c, &s);
        ck_assert_ok(program_lower(&c.p, devices[d]->traits));
        for (int i = 0; pairs[i][0]; i++)
            gradient_check(&c, devices[d], pairs[i][0], pairs[i][1], "y",
                           c.before[gradient_tensor(&c, "dy")]);
        case_finish(&c);
    }
}

#endif
