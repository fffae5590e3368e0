// SPDX-License-Identifier: MIT
// How fast memory is copied and added up, by size and by who has written it.
#include "parallel/calibrate/calibrate_internal.h"

#include "core/base/clock.h"

#include <string.h>

#define KIB INT64_C(1024)
static const int64_t sizes[] = {4 * KIB,    16 * KIB,   64 * KIB,   256 * KIB,
                                1024 * KIB, 4096 * KIB, 16384 * KIB};
enum { QUICK_SIZES = 5, SIZES = sizeof sizes / sizeof *sizes };

typedef enum { COPY, REDUCE } Task;

// Bytes read and written, see MemoryRate.
static int64_t moved(Task t, int64_t bytes) { return (t == COPY ? 2 : 4) * bytes; }

static int repeats(const Bench *b, int64_t bytes) {
    if (b->options->quick) return bytes > 256 * KIB ? 5 : 15;
    return bytes > 4096 * KIB ? 15 : bytes > 256 * KIB ? 50 : 200;
}

// Arrays of both ranks are twice as long: each adds up a half of them.
static void own_work(const Bench *b, Task t, int64_t bytes) {
    char *own = b->memory[0], *other = b->memory[1];
    if (t == COPY)
        memcpy(own, other, (size_t)bytes);
    else
        comm_fold_pair(DTYPE_F32, own, other, bytes / 4);
}

// Writes its buffer when asked with an odd number; then, with the next, does its half.
static Status write_and_fold(SharedPeer *w, const Bench *b, const void *context) {
    for (uint64_t seen = 0, next; (next = peer_next(w, seen)) != seen; seen = next) {
        if (next & 1)
            memset(b->memory[1], 0, (size_t)(2 * w->bytes));
        else if (w->fold)
            comm_fold_pair(DTYPE_F32, b->memory[1] + w->bytes, b->memory[0] + w->bytes,
                           w->bytes / 4);
        atomic_store(&w->answer, next);
    }
    return OK;
}

static Status once(Peer *peer, const Bench *b, Task t, int64_t bytes, uint64_t ask,
                   int64_t *out_ns) {
    memset(b->memory[0], 0, (size_t)(peer ? 2 * bytes : bytes));
    if (peer) {
        peer_ask(peer, ask);
        TRY(peer_await(peer, ask, false));
        peer_ask(peer, ask + 1);
    } else {
        memset(b->memory[1], 0, (size_t)bytes);
    }
    int64_t start = clock_ns();
    own_work(b, t, bytes);
    *out_ns = clock_ns() - start - b->clock_empty_ns;
    return peer ? peer_await(peer, ask + 1, false) : OK;
}

static Status rate(Measured *out, Peer *peer, const Bench *b, Task t, int64_t bytes) {
    Samples s;
    uint64_t ask = peer ? atomic_load(&peer->words->ask) + 1 : 0;
    TRY(samples_init(&s, b->arena, repeats(b, bytes)));
    if (peer) {
        peer->words->bytes = bytes;
        peer->words->fold = t == REDUCE;
    }
    for (int k = -1; k < s.capacity; k++, ask += 2) {
        int64_t ns;
        TRY(once(peer, b, t, bytes, ask, &ns));
        if (k >= 0 && ns > 0) samples_add(&s, (double)moved(t, bytes) / (double)ns);
    }
    *out = samples_measured(&s, 1e9);
    return bench_check(b);
}

static Status all_sizes(Bench *b, Peer *peer, Task t, MemoryRate *rates, int count) {
    for (int i = 0; i < count; i++) {
        rates[i].bytes = sizes[i];
        TRY(rate(&rates[i].own, NULL, b, t, sizes[i]));
        if (peer) TRY(rate(&rates[i].peer, peer, b, t, sizes[i]));
    }
    return OK;
}

Status calibrate_memory(Bench *b) {
    Calibration *c = b->out;
    int count = b->options->quick ? QUICK_SIZES : SIZES;
    c->copy = ARENA_NEW(b->arena, MemoryRate, count + 1);
    c->reduce = ARENA_NEW(b->arena, MemoryRate, count);
    if (!c->copy || !c->reduce) FAIL(ERR_MEMORY, "out of memory for rates");
    Peer peer = {0}, *other = b->core_count > 1 ? &peer : NULL;
    Status s = other ? peer_start(other, b, 1, write_and_fold, NULL) : OK;
    if (s == OK) s = all_sizes(b, other, COPY, c->copy, count);
    if (s == OK) s = all_sizes(b, other, REDUCE, c->reduce, count);
    Status end = peer_stop(&peer);
    if (s == OK) s = end;
    // Past most caches, for what the memory itself gives.
    c->copy[count].bytes = (int64_t)b->buffer_bytes;
    if (s == OK) s = rate(&c->copy[count].own, NULL, b, COPY, c->copy[count].bytes);
    c->copy_count = count + 1;
    c->reduce_count = count;
    return s;
}
