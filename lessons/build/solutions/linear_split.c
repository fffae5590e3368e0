// SPDX-License-Identifier: MIT
// The rank's hidden units are whole; its y are the terms that these bring, and rank 0 adds bias2.
void mlp_shard(float *y, float *hidden, const float *x, const float *weight1, const float *bias1,
               const float *weight2, const float *bias2, int rows, int in, int width, int out,
               int rank, int ranks) {
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < width; h++) {
            float sum = bias1[h];
            for (int i = 0; i < in; i++) sum += x[r * in + i] * weight1[h * in + i];
            hidden[r * width + h] = sum > 0 ? sum : 0;
        }
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < out; o++) {
            float sum = rank == 0 ? bias2[o] : 0;
            for (int h = 0; h < width; h++) sum += hidden[r * width + h] * weight2[o * width + h];
            y[r * out + o] = sum;
        }
}
