// SPDX-License-Identifier: MIT
// One source for both types, and on the cpu device for several instruction sets: each kernel file
// is compiled once for each (core/device/meson.build). `real` is the type of the arithmetic,
// TYPED(x) is x_f32 or x_f64, and NAME(x) that with the instruction set, such as x_f32_avx2.
#ifndef CORE_DEVICE_REAL_H
#define CORE_DEVICE_REAL_H

#include <math.h>

#if REAL_IS_F64
typedef double real;
#define TYPED(x) x##_f64
static inline real real_exp(real x) { return exp(x); }
static inline real real_sqrt(real x) { return sqrt(x); }
#else
typedef float real;
#define TYPED(x) x##_f32
static inline real real_exp(real x) { return expf(x); }
static inline real real_sqrt(real x) { return sqrtf(x); }
#endif

// INSTRUCTION_SET is empty for the kernels of every processor.
#define NAME_JOINED(x, set) x##set
#define NAME_IN(x, set) NAME_JOINED(x, set)
#define NAME(x) NAME_IN(TYPED(x), INSTRUCTION_SET)

#endif
