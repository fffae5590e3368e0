// SPDX-License-Identifier: MIT
// The table of exercises, in order of number.
#include "lessons/build/exercises.h"

static const Exercise *const all[] = {
    &exercise_softmax,
    &exercise_mlp,
    &exercise_ring_all_reduce,
    &exercise_tree,
    &exercise_buckets,
    &exercise_overlap,
    &exercise_zero_step,
    &exercise_linear_split,
    &exercise_one_forward_one_backward,
    &exercise_alpha_beta,
};

const Exercise *const *exercises_all(int *count) {
    *count = sizeof all / sizeof *all;
    return all;
}
