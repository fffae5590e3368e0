// SPDX-License-Identifier: MIT
// Forwards until the stage behind can answer, then one forward and one backward in turn.
void schedule_1f1b(int *tasks, int stage, int stages, int micro_batches) {
    int first = stages - 1 - stage, forward = 0, backward = 0;
    if (first > micro_batches) first = micro_batches;
    while (forward < first) *tasks++ = forward++;
    while (forward < micro_batches) {
        *tasks++ = forward++;
        *tasks++ = -1 - backward++;
    }
    while (backward < micro_batches) *tasks++ = -1 - backward++;
}
