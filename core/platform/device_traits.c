// SPDX-License-Identifier: MIT
// Bytes of scratch that devices need for an operation, and the list of devices.
#include "core/platform/device_traits.h"

#include "core/platform/cpu_scratch_sequence.h"
#include "core/platform/widened.h"

#include <stddef.h>
#include <string.h>

const char device_traits_default[] = DEVICE_DEFAULT;  // set by the build

// Room to widen the operands of two bytes; copies and conversions compute in no such type.
static int64_t reference_scratch(const Program *p, const Plan *plan, const Op *members, int count) {
    int64_t most = 0;
    for (int m = 0; m < count; m++) {
        const Op *op = &members[m];
        const Work *w = op_work(p, op);
        int64_t bytes = 0;
        if (!dtype_is_half((Dtype)w->dtype) || w->kind == KIND_COPY) continue;
        for (int i = 0; i < op->outputs + op->inputs; i++)
            if (kind_operand_dtype(work_kind(w), (Dtype)w->dtype, op->outputs, i) == w->dtype)
                bytes += widened_bytes(tensor_elements(&p->tensors[op_outputs(plan, op)[i]]));
        if (bytes > most) most = bytes;
    }
    return most;
}

const DeviceTraits device_traits_reference = {.name = "reference",
                                              .scratch_bytes = reference_scratch};
const DeviceTraits device_traits_timed = {.name = "timed"};

const char *device_traits_default_for(Dtype dtype) {
    return dtype_is_half(dtype) ? device_traits_reference.name : device_traits_default;
}

// Scratch of a convolution whose operand `x` is (B,C,H,W) and `y` (B,K,OH,OW).
static int64_t conv_bytes(const Program *p, const Plan *plan, const Op *op, int x, int y) {
    const Work *w = op_work(p, op);
    const Tensor *wide = &p->tensors[op_outputs(plan, op)[x]],
                 *narrow = &p->tensors[op_outputs(plan, op)[y]];
    return conv_scratch(wide->shape[1], narrow->shape[1], narrow->shape[2], narrow->shape[3],
                        work_attr(p, w, 0), work_attr(p, w, 1), dtype_bytes((Dtype)w->dtype))
        .end;
}

static int64_t pool_bytes(const Program *p, const Work *w, int32_t plane) {
    const Tensor *t = &p->tensors[plane];
    return pool_scratch(0, t->shape[2] * t->shape[3], dtype_bytes((Dtype)w->dtype)).end;
}

static int64_t attention_bytes(const Program *p, const Work *w, int32_t y) {
    return attention_scratch(p->tensors[y].shape[1], dtype_bytes((Dtype)w->dtype)).end;
}

static int64_t rotary_bytes(const Program *p, const Work *w, int32_t x) {
    const Tensor *t = &p->tensors[x];
    int64_t half = t->shape[2] / work_attr(p, w, 0) / 2;
    return rotary_scratch(half, dtype_bytes((Dtype)w->dtype)).end;
}

static int64_t op_bytes(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    const int32_t *output = op_outputs(plan, op), *input = op_inputs(plan, op);
    const Tensor *dweight = &p->tensors[output[0]];
    int first = op->outputs;
    switch (work_kind(w)) {
    case KIND_CONV2D: return conv_bytes(p, plan, op, first, 0);
    case KIND_CONV2D_BACKWARD_INPUT: return conv_bytes(p, plan, op, 0, first);
    case KIND_CONV2D_BACKWARD_WEIGHT: return conv_bytes(p, plan, op, first, first + 1);
    case KIND_MAX_POOL: return pool_bytes(p, w, input[0]);
    case KIND_MAX_POOL_BACKWARD: return pool_bytes(p, w, output[0]);
    case KIND_LINEAR_BACKWARD_WEIGHT:
        return linear_scratch(dweight->shape[1], dweight->shape[0], dtype_bytes((Dtype)w->dtype))
            .end;
    case KIND_EXPERT_LINEAR_BACKWARD_WEIGHT:
        return expert_scratch(dweight->shape[2], dweight->shape[1], dtype_bytes((Dtype)w->dtype))
            .end;
    case KIND_ATTENTION:
    case KIND_ATTENTION_BLOCK:
    case KIND_ATTENTION_PACKED: return attention_bytes(p, w, output[0]);
    case KIND_ATTENTION_BACKWARD:
    case KIND_ATTENTION_BLOCK_BACKWARD:
    case KIND_ATTENTION_PACKED_BACKWARD: return attention_bytes(p, w, input[0]);
    case KIND_ROTARY:
    case KIND_ROTARY_BACKWARD: return rotary_bytes(p, w, input[0]);
    case KIND_EMBEDDING_BACKWARD:
        return embedding_scratch(dweight->shape[0], dweight->shape[1],
                                 tensor_elements(&p->tensors[input[0]]),
                                 dtype_bytes((Dtype)w->dtype))
            .end;
    case KIND_LAYER_NORM_BACKWARD_WEIGHT:
        return 2 * tensor_elements(dweight) * dtype_bytes((Dtype)w->dtype);
    case KIND_POSITIONS_BACKWARD:
    case KIND_SEGMENTS_BACKWARD:
    case KIND_RMS_NORM_BACKWARD_WEIGHT:
        return tensor_elements(dweight) * dtype_bytes((Dtype)w->dtype);
    case KIND_BATCH_NORM:
    case KIND_BATCH_NORM_INFERENCE:
    case KIND_BATCH_NORM_REDUCE:
    case KIND_BATCH_NORM_BACKWARD_INPUT:
        return batch_norm_scratch(p->tensors[input[0]].shape[1], BATCH_NORM_PIECES);
    default: return 0;
    }
}

// A fused operation uses the layout of the largest among its members.
static int64_t cpu_scratch(const Program *p, const Plan *plan, const Op *members, int count) {
    int64_t most = 0;
    for (int i = 0; i < count; i++) {
        int64_t bytes = op_bytes(p, plan, &members[i]);
        if (bytes > most) most = bytes;
    }
    return most;
}

const DeviceTraits device_traits_cpu = {
    .name = "cpu",
    .fusions = 1u << FUSION_CONV2D_RELU_MAX_POOL | 1u << FUSION_CONV2D_RELU |
               1u << FUSION_LINEAR_RELU | 1u << FUSION_POOLED_CONV2D_BACKWARD |
               1u << FUSION_CONV2D_BACKWARD | 1u << FUSION_LAYER_NORM_BACKWARD,
    .scratch_bytes = cpu_scratch,
};

const char *device_traits_platform(const char *name) {
    static const char prefix[] = "timed:";
    return strncmp(name, prefix, sizeof prefix - 1) ? NULL : name + sizeof prefix - 1;
}

const DeviceTraits *device_traits(const char *name) {
    static const struct {
        const char *name;
        const DeviceTraits *traits;
    } all[] = {
#define X(device, form, traits, missing, help) {#device, traits},
        DEVICE_LIST(X)
#undef X
    };
    if (device_traits_platform(name)) return &device_traits_timed;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, name)) return all[i].traits;
    return NULL;
}
