// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
#include <math.h>

void softmax_backward(float *dlogits, const float *logits, const int *labels, int rows,
                      int classes) {
    // Your code.
}
