// SPDX-License-Identifier: MIT
// One source for both types: each kernel file is compiled twice, with REAL_IS_F64 0 and 1
// (core/device/meson.build). `real` is the type of the arithmetic; NAME(x) is x_f32 or x_f64.
#ifndef CORE_DEVICE_REAL_H
#define CORE_DEVICE_REAL_H

#include <math.h>

#if REAL_IS_F64
typedef double real;
#define NAME(x) x##_f64
static inline real real_exp(real x) { return exp(x); }
#else
typedef float real;
#define NAME(x) x##_f32
static inline real real_exp(real x) { return expf(x); }
#endif

#endif
