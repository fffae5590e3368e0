// SPDX-License-Identifier: MIT
#include "core/platform/cpu_scratch.h"
#include "core/platform/device_traits.h"

static const Tensor *operand(const Program *p, const Plan *plan, const Op *op, int i) {
    return &p->tensors[op_outputs(plan, op)[i]];
}

// y, or in a backward dy, is the wide side's other end: operand `wide` is (B,C,H,W), `narrow` (B,K,OH,OW).
static int64_t conv_bytes(const Program *p, const Plan *plan, const Op *op, int wide, int narrow) {
    const Work *w = &p->works[op->work];
    const Tensor *x = operand(p, plan, op, wide), *y = operand(p, plan, op, narrow);
    int64_t kernel = work_attr(p, w, 0);
    return cpu_conv_scratch(x->shape[1] * kernel * kernel, y->shape[2] * y->shape[3], y->shape[1],
                            dtype_bytes((Dtype)w->dtype)).bytes;
}

static int64_t op_bytes(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = &p->works[op->work];
    const Tensor *first = operand(p, plan, op, 0), *x;
    switch ((Kind)w->kind) {
    case KIND_CONV2D: return conv_bytes(p, plan, op, op->outputs, 0);
    case KIND_CONV2D_BACKWARD_INPUT: return conv_bytes(p, plan, op, 0, op->outputs);
    case KIND_CONV2D_BACKWARD_WEIGHT: return conv_bytes(p, plan, op, op->outputs, op->outputs + 1);
    case KIND_LINEAR_BACKWARD_WEIGHT: return cpu_linear_scratch(first->shape[1], first->shape[0], dtype_bytes((Dtype)w->dtype)).bytes;
    case KIND_MAX_POOL:
        x = operand(p, plan, op, op->outputs);
        return cpu_pool_scratch(x->shape[2] * x->shape[3], dtype_bytes((Dtype)w->dtype));
    case KIND_MAX_POOL_BACKWARD: return cpu_pool_scratch(first->shape[2] * first->shape[3], dtype_bytes((Dtype)w->dtype));
    default: return 0;
    }
}

// Members of a fused operation share one area, laid out for the convolution among them.
static int64_t scratch_bytes(const Program *p, const Plan *plan, const Op *members, int count) {
    int64_t most = 0;
    for (int i = 0; i < count; i++) {
        int64_t bytes = op_bytes(p, plan, &members[i]);
        if (bytes > most) most = bytes;
    }
    return most;
}

const DeviceTraits device_traits_cpu = {
    .name = "cpu",
    .fusions = 1u << FUSION_CONV2D_RELU_MAX_POOL | 1u << FUSION_CONV2D_RELU | 1u << FUSION_LINEAR_RELU |
               1u << FUSION_POOLED_CONV2D_BACKWARD | 1u << FUSION_CONV2D_BACKWARD,
    .scratch_bytes = scratch_bytes,
};
