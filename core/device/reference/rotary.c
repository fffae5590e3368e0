// SPDX-License-Identifier: MIT
// Rotary positions (Su et al., arXiv:2104.09864): in each head of D channels, at position t, the
// i-th channel of the first half and of the second are the coordinates of a point, which is turned
// by an angle:
//   a        = t theta^(-2 i / D)
//   y[i]     = x[i] cos a - x[i + D/2] sin a
//   y[i+D/2] = x[i + D/2] cos a + x[i] sin a
// t counts from the beginning of the whole sequence: of one that is cut, the index of its positions
// says (core/device/index.h). The gradient is turned back. The arithmetic is in f64 for f32 as
// well, and rounded once.
#include "core/device/index.h"
#include "core/device/real.h"
#include "core/device/reference/reference.h"

// To a head at one position.
static void turn(int64_t half, double angle, int64_t i, const real *x, real *y) {
    double a = (double)x[i], b = (double)x[i + half], c = cos(angle), s = sin(angle);
    y[i] = (real)(a * c - b * s);
    y[i + half] = (real)(b * c + a * s);
}

static void turn_all(const KernelCall *call, double sign) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    const int64_t *positions = input_data(call, 1);
    int64_t B = operand_rows(input(call, 0)), T = input(call, 0)->shape[1], heads = call->attr[0],
            D = input(call, 0)->shape[2] / heads;
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t < T; t++)
            for (int64_t h = 0; h < heads; h++, x += D, y += D)
                for (int64_t i = 0; i < D / 2; i++)
                    turn(D / 2,
                         sign * (double)index_at(positions, t) *
                             pow(attr_as_real(call, 1), -2.0 * (double)i / (double)D),
                         i, x, y);
}

void NAME(reference_rotary)(const KernelCall *call) { turn_all(call, 1); }
void NAME(reference_rotary_backward)(const KernelCall *call) { turn_all(call, -1); }
