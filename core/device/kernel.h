// SPDX-License-Identifier: MIT
// Reading a KernelCall: helpers for the kernels of every device.
#ifndef CORE_DEVICE_KERNEL_H
#define CORE_DEVICE_KERNEL_H

#include "core/device/device.h"

#include <string.h>

// Output or input i of a call. The last ones may be absent: their data is NULL then.
static inline const Operand *output(const KernelCall *c, int i) { return &c->operand[i]; }
static inline const Operand *input(const KernelCall *c, int i) {
    return &c->operand[c->outputs + i];
}
static inline void *output_data(const KernelCall *c, int i) {
    return i < c->outputs ? output(c, i)->data : NULL;
}
static inline const void *input_data(const KernelCall *c, int i) {
    return i < c->inputs ? input(c, i)->data : NULL;
}

// Attribute i as the double that build_attr_real() packed.
static inline double attr_as_real(const KernelCall *c, int i) {
    double value;
    memcpy(&value, &c->attr[i], sizeof value);
    return value;
}

// The factor of a clipped gradient, input i of an update; 1 where there is none.
static inline double clip_factor(const KernelCall *c, int i) {
    const double *factor = (const double *)input_data(c, i);
    return factor ? *factor : 1;
}

// The scale of the loss: input i, or attribute j where it is the same in all steps; 1 without both.
static inline double loss_scale(const KernelCall *c, int i, int j) {
    const double *scale = (const double *)input_data(c, i);
    double by = scale ? *scale : attr_as_real(c, j);
    return by > 0 ? by : 1;
}

// Elements in use: those of the live rows.
static inline int64_t live_elements(const Operand *o) {
    int64_t n = operand_rows(o);
    for (int i = 1; i < o->dims; i++) n *= o->shape[i];
    return n;
}

// Operands (B,..,C): the size of the last dimension, and how many vectors of it are in use.
static inline int64_t vector_length(const Operand *o) { return o->shape[o->dims - 1]; }
static inline int64_t live_vectors(const Operand *o) {
    int64_t n = operand_rows(o);
    for (int i = 1; i + 1 < o->dims; i++) n *= o->shape[i];
    return n;
}

#endif
