// SPDX-License-Identifier: MIT
// What a learner begins with; the task goes before it.
typedef struct {
    int rank, ranks;
    void *network;
    void (*send)(void *network, int to, const float *values, int count);
    void (*receive)(void *network, int from, float *values, int count);
} Ring;

// scratch has room for `elements` numbers.
void ring_all_reduce(float *values, float *scratch, int elements, const Ring *ring) {
    // Your code, such as
    // ring->send(ring->network, (ring->rank + 1) % ring->ranks, values, elements);
}
