// SPDX-License-Identifier: MIT
// GELU without a branch, so that vectors and what is left over of them give the same bits. The
// reference has the formulas; here the tail of the normal distribution, for a = |x| and
// t = a / sqrt(2), is
//   Phi(-a) = erfc(t) / 2 = exp(-a^2 / 2) erfcx(t) / 2
// where (1 + 2 t) erfcx(t) is a polynomial in q = (t - K) / (t + K), as Shepherd and Laframboise
// have it, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity" (1981). The
// exponent is taken in two parts, because exp() would magnify the rounding of a^2.
//
// y is within 4 units in the last place of the exact one, in the far tail too.
#include "core/device/cpu/cpu_internal.h"
#include "core/device/cpu/exponential.h"

#if REAL_IS_F64
enum { LOW_BITS = 27 };
static const real K = 4, LARGEST = 39;  // of LARGEST, the tail is 0
// The coefficients of erfcx in q, from the highest power on.
#define ERFCX_TERMS(X)                                                                         \
    X(-1.857394701795606e-09)                                                                  \
    X(-1.378979324370449e-08)                                                                  \
    X(-7.7473457341391063e-09) X(1.1561626187794266e-07) X(6.2939250259129321e-08)             \
        X(-8.3539027018472639e-07) X(3.0103650384573902e-07) X(5.7179687781991867e-06)         \
            X(-1.1224578636524388e-05) X(-2.440316832011165e-05) X(0.00015062216193162362)     \
                X(-0.00019925551826854835) X(-0.00075777332199033034) X(0.0050319697596388942) \
                    X(-0.01619773406189106) X(0.037167515561896652) X(-0.066330365811302014)   \
                        X(0.093732834996840722) X(-0.10103906603636162) X(0.06809705425473575) \
                            X(0.015379652102620897) X(-0.13962111684056289) X(1.2329951186255526)
#else
enum { LOW_BITS = 12 };
static const real K = 2, LARGEST = 15;
#define ERFCX_TERMS(X)                                                                          \
    X(3.05563517e-05f)                                                                          \
    X(-0.000354802294f)                                                                         \
    X(-0.00124932348f) X(0.00126691838f) X(0.00863330439f) X(-0.00804372225f) X(-0.0542037226f) \
        X(0.164053231f) X(-0.16603148f) X(-0.0927639082f) X(1.27697837f)
#endif

// exp(-x^2 / 2), and the probability Phi(x) that a standard normal variable is below x.
typedef struct {
    real bell, below;
} Normal;

static inline Normal normal_at(real x) {
    real a = x < 0 ? -x : x;
    a = a < LARGEST ? a : LARGEST;  // a NaN too
    // a = high + rest, where high^2 is exact; rest (a + high) / 2 is small.
    Bits bits;
    real high;
    memcpy(&bits, &a, sizeof bits);
    bits &= ~(((Bits)1 << LOW_BITS) - 1);
    memcpy(&high, &bits, sizeof high);
    real d = (a - high) * (a + high) * (real)0.5;
    real bell = exp_of_negative(high * high * (real)0.5);
    bell -= bell * (d - d * d * ((real)0.5 - d * (real)(1.0 / 6)));
    real t = a * (real)0.70710678118654752, at = (t - K) / (t + K), sum = 0;
    ERFCX_TERMS(HORNER)
    real tail = bell * (sum / (1 + 2 * t)) * (real)0.5;
    return (Normal){bell, x < 0 ? tail : 1 - tail};
}

void NAME(cpu_gelu)(const KernelCall *call) {
    real *restrict y = output_data(call, 0);
    const real *restrict x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * normal_at(x[i]).below;
}

void NAME(cpu_gelu_backward)(const KernelCall *call) {
    real *restrict dx = output_data(call, 0);
    const real *restrict dy = input_data(call, 0), *restrict x = input_data(call, 1);
    int64_t n = live_elements(input(call, 1));
    const real inverse_root = (real)0.39894228040143268;  // 1 / sqrt(2 pi)
    for (int64_t i = 0; i < n; i++) {
        Normal normal = normal_at(x[i]);
        dx[i] = dy[i] * (normal.below + x[i] * (normal.bell * inverse_root));
    }
}
