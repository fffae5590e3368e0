// SPDX-License-Identifier: MIT
// Two halves of ranks - 1 rounds: chunks are added up on their way, then whole sums go around.
typedef struct {
    int rank, ranks;
    void *network;
    void (*send)(void *network, int to, const float *values, int count);
    void (*receive)(void *network, int from, float *values, int count);
} Ring;

static int begin_of(int chunk, int elements, int ranks) {
    return (int)((long)chunk * elements / ranks);
}

void ring_all_reduce(float *values, float *scratch, int elements, const Ring *ring) {
    int ranks = ring->ranks, next = (ring->rank + 1) % ranks;
    int before = (ring->rank + ranks - 1) % ranks;
    for (int round = 0; round < 2 * (ranks - 1); round++) {
        int out = (ring->rank - round + 2 * ranks) % ranks, in = (out + ranks - 1) % ranks;
        int from = begin_of(out, elements, ranks), to = begin_of(in, elements, ranks);
        int count = begin_of(in + 1, elements, ranks) - to;
        ring->send(ring->network, next, values + from, begin_of(out + 1, elements, ranks) - from);
        if (round >= ranks - 1) {  // complete sums go around
            ring->receive(ring->network, before, values + to, count);
            continue;
        }
        ring->receive(ring->network, before, scratch, count);
        for (int i = 0; i < count; i++) values[to + i] += scratch[i];
    }
}
