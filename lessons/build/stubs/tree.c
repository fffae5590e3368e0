// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
void tree_sum(float *parts, int ranks, int elements) {
    // Your code.
}
