// SPDX-License-Identifier: MIT
// Short vectors of `real` (gcc's and clang's vector extensions), for what compilers do not vectorise by
// themselves: taking neighbours apart and putting them together. On a machine with shorter
// registers the compiler uses several.
#ifndef CORE_DEVICE_CPU_VECTOR_H
#define CORE_DEVICE_CPU_VECTOR_H

#include "core/device/real.h"

#include <stdint.h>
#include <string.h>

#if REAL_IS_F64
typedef int64_t lane;
#else
typedef int32_t lane;
#endif

typedef real Real8 __attribute__((vector_size(8 * sizeof(real))));
typedef lane Lane8 __attribute__((vector_size(8 * sizeof(real))));
typedef real Real4 __attribute__((vector_size(4 * sizeof(real))));
typedef lane Lane4 __attribute__((vector_size(4 * sizeof(real))));
typedef uint8_t Byte8 __attribute__((vector_size(8)));
typedef uint8_t Byte4 __attribute__((vector_size(4)));

#define EVEN8 0, 2, 4, 6, 8, 10, 12, 14
#define ODD8 1, 3, 5, 7, 9, 11, 13, 15
#define LOW8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH8 4, 12, 5, 13, 6, 14, 7, 15
#define EVEN4 0, 2, 4, 6
#define ODD4 1, 3, 5, 7
#define LOW4 0, 4, 1, 5
#define HIGH4 2, 6, 3, 7

#endif
