// SPDX-License-Identifier: MIT
// Kernels against numbers worked out by hand: a case is built once, run on every device of this
// build in both types, and what its tensors hold is compared exactly.
#ifndef TESTS_SUPPORT_DEVICE_HAND_H
#define TESTS_SUPPORT_DEVICE_HAND_H

#include "tests/support/device_case.h"

static const double none = (double)NAN, infinite = (double)INFINITY;

typedef void (*HandTest)(Case *c, const Device *d);

static inline void by_hand(int64_t rows, HandTest test) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (int k = 0; k < 2; k++) {
            Case c;
            Dtype dtype = k ? DTYPE_F64 : DTYPE_F32;
            case_init(&c, dtype, rows, rows);
            snprintf(c.text, sizeof c.text, "%s %s", devices[d]->name, dtype_name(dtype));
            test(&c, devices[d]);
            case_finish(&c);
        }
}

#define TENSOR(c, name, dtype, shape, ...) \
    case_set(c, case_tensor(c, name, dtype, FILL_OUTPUT, shape), (const double[]){__VA_ARGS__})
#define OUTPUT(c, name, dtype, shape) case_tensor(c, name, dtype, FILL_OUTPUT, shape)
#define REAL(c) (c)->dtype

static inline void expect(const Case *c, const Values *got, const char *name, const double *want) {
    int t = program_find_tensor(&c->p, name);
    for (int64_t i = 0; i < case_elements(c, t); i++) {
        double g = got->of[t][i];
        if (g == want[i] || (isnan(g) && isnan(want[i]))) continue;
        ck_abort_msg("%s: %s[%lld] is %.17g, not %.17g", c->text, name, (long long)i, g, want[i]);
    }
}
#define EXPECT(c, got, name, ...) expect(c, got, name, (const double[]){__VA_ARGS__})

static inline Values run_lowered(Case *c, const Device *d) {
    if (!c->p.lowered) ck_assert_ok(program_lower(&c->p, d->traits));
    return case_run(c, d, (CaseRun){.junk = JUNK_NAN});
}

#endif
