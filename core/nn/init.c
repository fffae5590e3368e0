// SPDX-License-Identifier: MIT
// Initial values: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), which is what PyTorch's Conv2d and Linear
// start from (kaiming_uniform with a = sqrt 5), for weights and biases alike.
//
// Element i of logical tensor l is (2u - 1) / sqrt(fan_in), u the 24-bit uniform at place i of the
// stream (seed; RNG_INIT, l): its place alone decides its value, on every device and in every
// division over ranks. The arithmetic is done in double and rounded once to float; in f64 the same
// float's value is used, so that f32 and f64 runs start from the same point; in bf16 the nearest.
#include "core/base/bf16.h"
#include "core/base/rng.h"
#include "core/nn/model.h"

#include <math.h>
#include <string.h>

void model_initialise(const Program *p, int logical, uint64_t seed, Dtype dtype, void *data) {
    const Logical *l = &p->logicals[logical];
    int64_t count = 1;
    for (int i = 0; i < l->dims; i++) count *= l->shape[i];
    if (l->fan_in == 0) {
        memset(data, 0, (size_t)(count * dtype_bytes(dtype)));
        return;
    }
    Rng rng;
    rng_init(&rng, seed, RNG_INIT, (uint32_t)logical, 0);
    double root = sqrt((double)l->fan_in);
    for (int64_t i = 0; i < count; i++) {
        double u = (double)rng_float(&rng);
        float value = (float)((2 * u - 1) / root);
        switch (dtype) {
        case DTYPE_F64: ((double *)data)[i] = (double)value; break;
        case DTYPE_BF16: ((Bf16 *)data)[i] = bf16_from_f32(value); break;
        default: ((float *)data)[i] = value;
        }
    }
}
