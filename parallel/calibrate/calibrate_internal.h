// SPDX-License-Identifier: MIT
// Shared by the parts of a calibration: samples, and peer processes that are told what to do.
#ifndef PARALLEL_CALIBRATE_CALIBRATE_INTERNAL_H
#define PARALLEL_CALIBRATE_CALIBRATE_INTERNAL_H

#include "parallel/calibrate/calibrate.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/types.h>

// Memory that a peer shares with the process that measures. Words that are polled have cache lines
// of their own.
typedef struct {
    _Alignas(64) _Atomic uint64_t ask;     // ours: what the peer is to do, always another number
    int64_t bytes;                         // published by `ask`, as the following
    bool fold;                             //
    _Alignas(64) _Atomic uint64_t answer;  // the peer's: the last `ask` that it has done
    _Atomic int64_t woke_ns;               // the peer's: when it ran after a sleep
    _Alignas(64) _Atomic uint32_t stop;    // ours
    _Alignas(64) _Atomic uint32_t bell;    // a futex; ours
    _Atomic uint32_t asleep;               // the peer's
    char message[STATUS_TEXT];             // the peer's, when it failed
} SharedPeer;

typedef struct {
    const Job *job;  // borrowed, as options
    const CalibrateOptions *options;
    Arena *arena;
    Calibration *out;
    cpu_set_t cores;
    int core_count;
    SharedPeer *words;  // one per core, shared with peers
    char *memory[2];    // buffers of buffer_bytes, shared with peers
    size_t words_bytes, buffer_bytes;
    int64_t clock_empty_ns;  // between two readings of a clock with nothing between them
    int64_t cpu_empty_ns;
} Bench;

// ERR_INTERRUPTED after Ctrl-C.
Status bench_check(const Bench *b) MUST_USE;

// Values of one quantity, in the arena; what is added beyond its capacity is not kept.
typedef struct {
    double *values;
    int count, capacity;
} Samples;

Status samples_init(Samples *s, Arena *a, int capacity) MUST_USE;
void samples_add(Samples *s, double value);
// Median and middle 80 % of the values times `scale`, none below 0; without values not known.
// Sorts the values.
Measured samples_measured(Samples *s, double scale);

// A child process on a core, which does `main` until words->stop is set.
typedef struct {
    pid_t pid;
    SharedPeer *words;
    const Bench *bench;
} Peer;

typedef Status (*PeerMain)(SharedPeer *words, const Bench *b, const void *context);
// turn: counts cores; this thread is on core 0.
Status peer_start(Peer *p, const Bench *b, int turn, PeerMain main, const void *context) MUST_USE;
Status peer_stop(Peer *p) MUST_USE;  // safe on a zeroed Peer

// Let the peer do what number `ask` says (waking it if it sleeps), and wait until it has: spinning,
// or, when the peer needs our core, yielding. ERR_PEER when it is lost or takes a minute.
void peer_ask(Peer *p, uint64_t ask);
Status peer_await(Peer *p, uint64_t answer, bool yield) MUST_USE;

// The peer's side: the next number that is not `seen`, or `seen` when it is to stop.
uint64_t peer_next(SharedPeer *w, uint64_t seen);         // spins
uint64_t peer_next_asleep(SharedPeer *w, uint64_t seen);  // sleeps; sets woke_ns

// The parts.
Status calibrate_clocks(Bench *b) MUST_USE;  // first: the others subtract what clocks cost
Status calibrate_waiting(Bench *b) MUST_USE;
Status calibrate_collective(Bench *b) MUST_USE;
Status calibrate_memory(Bench *b) MUST_USE;
Status calibrate_step(Bench *b, int64_t rows) MUST_USE;  // the first time also the step as a whole
Status calibrate_dispatch(Bench *b, const Job *one_rank) MUST_USE;

int64_t calibrate_job_rows(const Job *job);    // of a rank's batch
int64_t calibrate_least_rows(const Job *job);  // one for each shard and micro-batch of a rank

#endif
