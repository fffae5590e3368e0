// SPDX-License-Identifier: MIT
// Initial values: uniform within 1/sqrt(fan_in) of zero, which is what PyTorch's Conv2d and Linear
// start from (kaiming_uniform with a = sqrt 5), for weights and biases alike; normal, as those of
// its Embedding; or a constant.
//
// Numbers come from the stream (seed; RNG_INIT, init), init being what the logical tensor states.
// Element i of a uniform one is (2u - 1) / sqrt(fan_in), u the 24-bit uniform at place i. Element i
// of a normal one is normal · sqrt(-2 ln u) cos(2π v) (Box and Muller, 1958), u and v being
// (w + 1/2) / 2^32 of the numbers w at places 2i and 2i + 1. So an element's place alone decides
// its value, on every device and in every division over ranks. The arithmetic is done in double and
// rounded once to float; in f64 the same float's value is used, so that f32 and f64 runs start from
// the same point; in bf16 the nearest.
#include "core/base/bf16.h"
#include "core/base/rng.h"
#include "core/nn/model.h"
#include "core/plan/piece.h"

#include <math.h>
#include <string.h>

static double draw_normal(Rng *rng) {
    const double two_pi = 6.283185307179586;
    double u = ((double)rng_u32(rng) + 0.5) / 4294967296.0;
    double v = ((double)rng_u32(rng) + 0.5) / 4294967296.0;
    return sqrt(-2 * log(u)) * cos(two_pi * v);
}

bool model_initialises(const Logical *l) { return l->fan_in || l->normal != 0 || l->constant != 0; }

// `count` values of logical tensor l from element `first` on, to the places from `to` on.
static void fill(const Logical *l, uint64_t seed, int64_t first, int64_t count, Dtype dtype,
                 void *data, int64_t to) {
    Rng rng;
    rng_init(&rng, seed, RNG_INIT, (uint32_t)l->init, 0);
    rng_seek(&rng, (uint64_t)first * (l->normal != 0 ? 2 : 1));
    double root = sqrt((double)l->fan_in);
    for (int64_t i = to; i < to + count; i++) {
        float value = (float)l->constant;
        if (l->fan_in) value = (float)((2 * (double)rng_float(&rng) - 1) / root);
        if (l->normal != 0) value = (float)(l->normal * draw_normal(&rng));
        switch (dtype) {
        case DTYPE_F64: ((double *)data)[i] = (double)value; break;
        case DTYPE_BF16: ((Bf16 *)data)[i] = bf16_from_f32(value); break;
        default: ((float *)data)[i] = value;
        }
    }
}

void model_initialise(const Program *p, int logical, uint64_t seed, Dtype dtype, void *data) {
    const Logical *l = &p->logicals[logical];
    int64_t count = 1;
    for (int i = 0; i < l->dims; i++) count *= l->shape[i];
    memset(data, 0, (size_t)(count * dtype_bytes(dtype)));
    if (model_initialises(l)) fill(l, seed, 0, count, dtype, data, 0);
}

void model_initialise_piece(const Program *p, const Tensor *t, int rank, uint64_t seed,
                            void *data) {
    const Logical *l = &p->logicals[t->logical];
    int coordinate[AXES];
    PieceWalk walk;
    PieceRun run;
    program_coordinates(p, rank, coordinate);
    memset(data, 0, (size_t)t->bytes);
    if (!model_initialises(l)) return;
    piece_walk(&walk, p, t, coordinate);
    while (piece_next(&walk, &run))
        fill(l, seed, run.whole, run.count, (Dtype)t->dtype, data, run.local);
}
