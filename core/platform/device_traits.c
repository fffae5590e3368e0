// SPDX-License-Identifier: MIT
#include "core/platform/device_traits.h"

#include <stddef.h>
#include <string.h>

const DeviceTraits device_traits_reference = {.name = "reference"};

static int64_t align_up(int64_t elements, Dtype dtype) {
    int64_t bytes = elements * dtype_bytes(dtype);
    return (bytes + 63) / 64 * 64;
}

// One image at a time: its columns (C kernel², OH OW), its layer output or the gradient of that (K,
// OH OW), and the weight and bias gradients of the micro-batch. core/device/cpu/conv2d.h cuts it up
// the same way.
static int64_t conv_scratch(const Tensor *x, const Tensor *y, int64_t kernel, Dtype dtype) {
    int64_t columns = x->shape[1] * kernel * kernel, positions = y->shape[2] * y->shape[3],
            K = y->shape[1];
    return align_up(columns * positions, dtype) + align_up(K * positions, dtype) +
           align_up(K * columns, dtype) + align_up(K, dtype);
}

static int64_t scratch_of(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = &p->works[op->work];
    const Tensor *t[4] = {0};
    for (int i = 0; i < op->outputs + op->inputs && i < 4; i++)
        t[i] = &p->tensors[op_outputs(plan, op)[i]];
    const Tensor *first_input = t[op->outputs < 4 ? op->outputs : 3];
    Dtype dtype = (Dtype)w->dtype;
    switch ((Kind)w->kind) {
    case KIND_CONV2D: return conv_scratch(first_input, t[0], work_attr(p, w, 0), dtype);
    case KIND_CONV2D_BACKWARD_INPUT:
        return conv_scratch(t[0], first_input, work_attr(p, w, 0), dtype);
    case KIND_CONV2D_BACKWARD_WEIGHT:
        return conv_scratch(first_input, &p->tensors[op_inputs(plan, op)[1]], work_attr(p, w, 0),
                            dtype);
    case KIND_LINEAR_BACKWARD_WEIGHT:
        return align_up(tensor_elements(t[0]), dtype) + align_up(t[0]->shape[0], dtype);
    default: return 0;
    }
}

static int64_t cpu_scratch(const Program *p, const Plan *plan, const Op *members, int count) {
    int64_t most = 0;
    for (int i = 0; i < count; i++) {
        int64_t bytes = scratch_of(p, plan, &members[i]);
        if (bytes > most) most = bytes;
    }
    return most;
}

const DeviceTraits device_traits_cpu = {
    .name = "cpu",
    .fusions = 1u << FUSION_CONV2D_RELU_MAX_POOL | 1u << FUSION_CONV2D_RELU |
               1u << FUSION_LINEAR_RELU | 1u << FUSION_POOLED_CONV2D_BACKWARD |
               1u << FUSION_CONV2D_BACKWARD,
    .scratch_bytes = cpu_scratch,
};

const DeviceTraits *device_traits(const char *name) {
    const DeviceTraits *const all[] = {&device_traits_reference, &device_traits_cpu};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name)) return all[i];
    return NULL;
}
