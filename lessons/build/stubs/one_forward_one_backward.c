// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
void schedule_1f1b(int *tasks, int stage, int stages, int micro_batches) {
    // Your code.
}
