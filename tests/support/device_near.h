// SPDX-License-Identifier: MIT
// Results of a device near those of the reference, where these are what remains of larger sums and
// the bound of device_case.h, of absolute values, says nothing.
#ifndef TESTS_SUPPORT_DEVICE_NEAR_H
#define TESTS_SUPPORT_DEVICE_NEAR_H

#include "tests/support/device_case.h"

static inline double near_largest(const Case *c, int t, const Values *v) {
    double most = 0;
    for (int64_t i = 0; i < case_elements(c, t); i++) most = fmax(most, fabs(v->of[t][i]));
    return most;
}

// Each element within `roundings` of the largest of its tensor, or of 1.
static inline void near_compare(const Case *c, int t, const Values *got, const Values *want,
                                double roundings) {
    double u = c->dtype == DTYPE_F32 ? 0x1p-24 : 0x1p-53,
           most = roundings * u * (1 + near_largest(c, t, want));
    for (int64_t i = 0; i < case_elements(c, t); i++) {
        double a = got->of[t][i], b = want->of[t][i];
        if (fabs(a - b) <= most || (isnan(a) && isnan(b))) continue;
        ck_abort_msg("%s: %s[%lld] is %.17g, the reference has %.17g, at most %.3g apart", c->text,
                     tensor_name(&c->p, t), (long long)i, a, b, most);
    }
}

// Runs the operations with the reference, and on the device from two kinds of junk: all outputs
// must be near, and the same bits both times. The case is lowered for the device then.
static inline void near_agree(Case *c, const Device *d, double roundings) {
    Values want = case_run(c, &device_reference, (CaseRun){.junk = JUNK_NAN});
    ck_assert_ok(program_lower(&c->p, d->traits));
    Values got = case_run(c, d, (CaseRun){.junk = JUNK_NAN}),
           again = case_run(c, d, (CaseRun){.junk = JUNK_NUMBER});
    for (int t = 0; t < c->p.tensor_count; t++) {
        if (!case_is_output(c, t)) continue;
        near_compare(c, t, &got, &want, roundings);
        case_compare_bits(c, t, &again, &got);
    }
}

#endif
