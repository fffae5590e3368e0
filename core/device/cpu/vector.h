// SPDX-License-Identifier: MIT
// Sixteen bytes at a time: what every x86-64 and arm64 has in one register.
#ifndef CORE_DEVICE_CPU_VECTOR_H
#define CORE_DEVICE_CPU_VECTOR_H

#include "core/device/real.h"

typedef real Vector __attribute__((vector_size(16)));
typedef Vector Unaligned __attribute__((aligned(sizeof(real)), may_alias));

enum { LANES = 16 / sizeof(real) };

#define VECTOR_AT(p) (*(const Unaligned *)(p))
#define VECTOR_SET(p, v) (*(Unaligned *)(p) = (v))

#endif
