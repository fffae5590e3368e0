// SPDX-License-Identifier: MIT
// The rank's shard is updated by its own moments; an all-gather makes the weights whole again.
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
    int part = (count + group->ranks - 1) / group->ranks;
    int first = group->rank * part < count ? group->rank * part : count;
    int shard = count - first < part ? count - first : part;
    float beta1 = (float)adam->beta1, beta2 = (float)adam->beta2, eps = (float)adam->eps;
    float step_size = (float)(adam->learning_rate / (1 - pow(adam->beta1, step)));
    float correction = (float)sqrt(1 - pow(adam->beta2, step));
    for (int i = 0; i < shard; i++) {
        float g = gradient[i];
        exp_avg[i] = beta1 * exp_avg[i] + (1 - beta1) * g;
        exp_avg_sq[i] = beta2 * exp_avg_sq[i] + (1 - beta2) * g * g;
        float root = sqrtf(exp_avg_sq[i]) / correction + eps;
        weight[first + i] -= step_size * exp_avg[i] / root;
    }
    group->all_gather(group->network, weight, first, shard);
}
