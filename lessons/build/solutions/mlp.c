// SPDX-License-Identifier: MIT
// The last layer first: gradients of its weights, then of its input, then the layer before.
static void weights(float *dweight, float *dbias, const float *dy, const float *x, int rows, int in,
                    int out) {
    for (int o = 0; o < out; o++) {
        dbias[o] = 0;
        for (int i = 0; i < in; i++) dweight[o * in + i] = 0;
        for (int r = 0; r < rows; r++) {
            dbias[o] += dy[r * out + o];
            for (int i = 0; i < in; i++) dweight[o * in + i] += dy[r * out + o] * x[r * in + i];
        }
    }
}

void mlp_backward(float *dweight1, float *dbias1, float *dweight2, float *dbias2, float *dhidden,
                  const float *dy, const float *x, const float *hidden, const float *weight2,
                  int rows, int in, int width, int out) {
    weights(dweight2, dbias2, dy, hidden, rows, width, out);
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < width; h++) {
            float sum = 0;
            for (int o = 0; o < out; o++) sum += dy[r * out + o] * weight2[o * width + h];
            dhidden[r * width + h] = hidden[r * width + h] > 0 ? sum : 0;
        }
    weights(dweight1, dbias1, dhidden, x, rows, in, width);
}
