// SPDX-License-Identifier: MIT
// All exercises, one line each, in order of number.
#ifndef LESSONS_BUILD_EXERCISES_H
#define LESSONS_BUILD_EXERCISES_H

#include "lessons/build/exercise.h"

extern const Exercise exercise_softmax;                   // 1
extern const Exercise exercise_mlp;                       // 2
extern const Exercise exercise_ring_all_reduce;           // 3
extern const Exercise exercise_tree;                      // 4
extern const Exercise exercise_buckets;                   // 5
extern const Exercise exercise_overlap;                   // 6
extern const Exercise exercise_zero_step;                 // 7
extern const Exercise exercise_linear_split;              // 8
extern const Exercise exercise_one_forward_one_backward;  // 9
extern const Exercise exercise_alpha_beta;                // 10

#endif
