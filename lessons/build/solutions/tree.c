// SPDX-License-Identifier: MIT
// Level by level, each over the one before.
void tree_sum(float *parts, int ranks, int elements) {
    for (int width = ranks; width > 1; width = (width + 1) / 2)
        for (int i = 0; i < (width + 1) / 2; i++) {
            float *to = parts + (long)i * elements;
            const float *left = parts + 2L * i * elements, *right = left + elements;
            int alone = 2 * i + 1 == width;
            for (int e = 0; e < elements; e++) to[e] = alone ? left[e] : left[e] + right[e];
        }
}
