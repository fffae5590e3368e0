// SPDX-License-Identifier: MIT
// Kernels in bf16: the specification of every device that computes in it.
//
// Operands that are bf16 are widened to f32, which is exact; the f32 kernel computes, with its
// order of sums; what it leaves in outputs that are bf16 is rounded once, to the nearest, of two
// equally near the even one. So nothing is rounded in between: sums, statistics and softmax are f32
// or what the f32 kernel has for them. Operands that KIND_LIST calls `wide` (gradients of
// parameters, statistics that the backward reads) are f32 in memory, too, and never rounded.
#include "core/platform/widened.h"
#include "core/base/bf16.h"
#include "core/device/kernel.h"
#include "core/device/reference/reference.h"
#include "core/plan/build.h"

static bool is_bf16(const KernelCall *call, int i) {
    return kind_operand_dtype(call->kind, call->dtype, call->outputs, i) == DTYPE_BF16;
}

// An operand with its live elements in f32, at *at, which moves behind it.
static Operand widen(const Operand *o, char **at) {
    Operand wide = *o;
    float *to = (float *)(void *)*at;
    int64_t n = live_elements(o);
    for (int64_t e = 0; e < n; e++) to[e] = bf16_to_f32(((const Bf16 *)o->data)[e]);
    wide.data = to;
    *at += widened_bytes(n);
    return wide;
}

static void narrow(const Operand *wide, const Operand *o) {
    int64_t n = live_elements(o);
    for (int64_t e = 0; e < n; e++)
        ((Bf16 *)o->data)[e] = bf16_from_f32(((const float *)wide->data)[e]);
}

// Outputs are widened as well: updates and left folds go on from what is there.
void reference_widened(const KernelCall *call) {
    Operand operand[OPERANDS];
    KernelCall wide = *call;
    char *at = call->scratch;
    wide.dtype = DTYPE_F32;
    wide.operand = operand;
    for (int i = 0; i < call->outputs + call->inputs; i++)
        operand[i] = is_bf16(call, i) ? widen(&call->operand[i], &at) : call->operand[i];
    device_reference.kernel[call->kind][DTYPE_F32](&wide);
    for (int i = 0; i < call->outputs; i++)
        if (is_bf16(call, i)) narrow(&operand[i], &call->operand[i]);
}
