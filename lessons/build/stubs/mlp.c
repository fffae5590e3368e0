// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
void mlp_backward(float *dweight1, float *dbias1, float *dweight2, float *dbias2, float *dhidden,
                  const float *dy, const float *x, const float *hidden, const float *weight2,
                  int rows, int in, int width, int out) {
    // Your code.
}
