// SPDX-License-Identifier: MIT
// Rotary positions; core/device/reference/rotary.c has the formulas. The angle of a position
// t = ROTARY_FINE u + v is the sum of those of ROTARY_FINE u and of v. Sines and cosines are
// computed for these alone, in f64, and the rest follows from
//   cos(a + b) = cos a cos b - sin a sin b          sin(a + b) = sin a cos b + cos a sin b
#include "core/device/cpu/cpu_internal.h"
#include "core/device/index.h"

typedef struct {
    int64_t B, T, heads, half;
    double *fine, *coarse;  // [position][cosine, sine][half]; coarse: of one position
    double *frequency;      // [half] of the pairs: what a position turns them by
    real *cosine, *sine;    // of one position
} Rotary;

static Rotary rotary_of(const KernelCall *call) {
    const Operand *x = input(call, 0);
    Rotary r = {operand_rows(x), x->shape[1], call->attr[0], x->shape[2] / call->attr[0] / 2};
    const RotaryScratch s = rotary_scratch(r.half, sizeof(real));
    r.fine = scratch_at(call, s.fine);
    r.coarse = scratch_at(call, s.coarse);
    r.frequency = scratch_at(call, s.frequency);
    r.cosine = scratch_at(call, s.cosine);
    r.sine = scratch_at(call, s.sine);
    for (int64_t i = 0; i < r.half; i++)
        r.frequency[i] = pow(attr_as_real(call, 1), -(double)i / (double)r.half);
    return r;
}

// Cosines and sines of `count` positions from `first` on.
static void fill(const Rotary *r, int64_t first, int64_t count, double *table) {
    for (int64_t i = 0; i < r->half; i++) {
        for (int64_t u = 0; u < count; u++) {
            double angle = (double)(first + u) * r->frequency[i];
            table[2 * u * r->half + i] = cos(angle);
            table[(2 * u + 1) * r->half + i] = sin(angle);
        }
    }
}

static void add_angles(const Rotary *r, int64_t t, double sign) {
    const double *a = r->coarse, *b = &r->fine[t % ROTARY_FINE * 2 * r->half];
    for (int64_t i = 0; i < r->half; i++) {
        double ca = a[i], sa = a[r->half + i], cb = b[i], sb = b[r->half + i];
        r->cosine[i] = (real)(ca * cb - sa * sb);
        r->sine[i] = (real)(sign * (sa * cb + ca * sb));
    }
}

static void turn(const Rotary *r, const real *restrict x, real *restrict y) {
    const real *restrict c = r->cosine, *restrict s = r->sine;
    int64_t half = r->half;
    for (int64_t i = 0; i < half; i++) {
        y[i] = x[i] * c[i] - x[i + half] * s[i];
        y[i + half] = x[i + half] * c[i] + x[i] * s[i];
    }
}

// Positions ascend, of cut sequences in two intervals or more; -1 is none.
static void turn_all(const KernelCall *call, double sign) {
    const Rotary r = rotary_of(call);
    const real *x = input_data(call, 0);
    real *y = output_data(call, 0);
    const int64_t *positions = input_data(call, 1);
    int64_t row = input(call, 0)->shape[2], coarse = -1;
    fill(&r, 0, ROTARY_FINE, r.fine);
    for (int64_t t = 0; t < r.T; t++) {
        int64_t position = index_at(positions, t) < 0 ? 0 : index_at(positions, t);
        if (position / ROTARY_FINE != coarse) {
            coarse = position / ROTARY_FINE;
            fill(&r, coarse * ROTARY_FINE, 1, r.coarse);
        }
        add_angles(&r, position, sign);
        for (int64_t i = 0; i < r.B * r.heads; i++) {
            int64_t at = (i / r.heads * r.T + t) * row + i % r.heads * 2 * r.half;
            turn(&r, &x[at], &y[at]);
        }
    }
}

void NAME(cpu_rotary)(const KernelCall *call) { turn_all(call, 1); }
void NAME(cpu_rotary_backward)(const KernelCall *call) { turn_all(call, -1); }
