// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
#include <math.h>

typedef struct {
    double learning_rate, beta1, beta2, eps;
} Adam;

typedef struct {
    int rank, ranks;
    void *network;
    void (*all_gather)(void *network, float *weight, int first, int shard);
} Ranks;

void zero_step(float *weight, float *exp_avg, float *exp_avg_sq, const float *gradient, int count,
               int step, const Adam *adam, const Ranks *group) {
    // Your code, which ends with
    // group->all_gather(group->network, weight, first, shard);
}
