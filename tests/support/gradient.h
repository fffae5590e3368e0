// SPDX-License-Identifier: MIT
// A gradient against central differences in f64.
//
// For L = sum of dy[i] y[i] the backward of a layer must give dL/dx = (L(x + h) - L(x - h)) / 2h.
// The difference is off by h²/6 times the third derivative, and by the rounding of L, about 1e-16
// of what it is added up from, over h. The sum of both is least near the cube root of 3·2^-53,
// 7e-6: h = 2^-17, which leaves about 1e-11 of each. (x + h is exact: x has 24 bits.) So the
// tolerance, 1e-8 of the largest, leaves room for sums of hundreds of terms, while a term that is
// missing or misplaced is off by far more.
#ifndef TESTS_SUPPORT_GRADIENT_H
#define TESTS_SUPPORT_GRADIENT_H

#include "tests/support/device_case.h"

// A tensor of that name, which there must be.
int gradient_tensor(const Case *c, const char *name);

// Fails unless tensor `dx` holds the gradient of sum weights[i] y[i] with respect to every x[i].
void gradient_check(Case *c, const Device *d, const char *x, const char *dx, const char *y,
                    const double *weights);

#endif
