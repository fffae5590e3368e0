// SPDX-License-Identifier: MIT
// The mean over rows of softmax and cross-entropy: dz = (p - target) / rows.
#include <math.h>

void softmax_backward(float *dlogits, const float *logits, const int *labels, int rows,
                      int classes) {
    for (int r = 0; r < rows; r++) {
        const float *z = logits + r * classes;
        float *dz = dlogits + r * classes, max = z[0], sum = 0;
        for (int c = 1; c < classes; c++)
            if (z[c] > max) max = z[c];
        for (int c = 0; c < classes; c++) sum += dz[c] = expf(z[c] - max);
        for (int c = 0; c < classes; c++) dz[c] = (dz[c] / sum - (c == labels[r])) / (float)rows;
    }
}
