// SPDX-License-Identifier: MIT
// What kernels of every device use to read their call.
#ifndef CORE_DEVICE_KERNEL_H
#define CORE_DEVICE_KERNEL_H

#include "core/device/device.h"

static inline const Operand *output(const KernelCall *c, int i) { return &c->operand[i]; }
static inline const Operand *input(const KernelCall *c, int i) { return &c->operand[c->outputs + i]; }

// The data of an operand; NULL when the operand is absent.
static inline void *output_data(const KernelCall *c, int i) { return i < c->outputs ? output(c, i)->data : NULL; }
static inline void *input_data(const KernelCall *c, int i) { return i < c->inputs ? input(c, i)->data : NULL; }

// Elements of an operand in use.
static inline int64_t live_elements(const Operand *o) {
    int64_t n = operand_rows(o);
    for (int i = 1; i < o->dims; i++) n *= o->shape[i];
    return n;
}

// Element i of the attributes, a real.
static inline double attr_as_real(const KernelCall *c, int i) {
    double value;
    __builtin_memcpy(&value, &c->attr[i], sizeof value);
    return value;
}

#endif
