// SPDX-License-Identifier: MIT
// The costs of reading clocks, of waiting, and of an almost empty collective.
#include "parallel/calibrate/calibrate_internal.h"

#include "core/base/clock.h"

static int repeats(const Bench *b) { return b->options->quick ? 30 : 200; }

// --- clocks

// The median of what lies between two readings, one after the other.
static Status gap_of(int64_t *out_ns, Arena *a, int64_t (*read)(void)) {
    Samples gaps;
    TRY(samples_init(&gaps, a, 1001));
    for (int i = 0; i < gaps.capacity; i++) {
        int64_t first = read();
        samples_add(&gaps, (double)(read() - first));
    }
    *out_ns = samples_measured(&gaps, 1).median;
    return OK;
}

// One call out of many.
static Status cost_of(Measured *out_ps, const Bench *b, int64_t (*call)(void)) {
    enum { CALLS = 200 };
    Samples s;
    TRY(samples_init(&s, b->arena, repeats(b)));
    for (int k = 0; k < s.capacity; k++) {
        int64_t start = clock_ns();
        for (int i = 0; i < CALLS; i++) call();
        samples_add(&s, (double)(clock_ns() - start - b->clock_empty_ns) / CALLS);
    }
    *out_ps = samples_measured(&s, 1000);
    return bench_check(b);
}

static int64_t offer_core(void) { return sched_yield(); }

Status calibrate_clocks(Bench *b) {
    TRY(gap_of(&b->clock_empty_ns, b->arena, clock_ns));
    TRY(gap_of(&b->cpu_empty_ns, b->arena, clock_thread_cpu_ns));
    TRY(cost_of(&b->out->clock_ps, b, clock_ns));
    TRY(cost_of(&b->out->cpu_clock_ps, b, clock_thread_cpu_ns));
    return cost_of(&b->out->yield_ps, b, offer_core);
}

// --- waiting

static Status echo(SharedPeer *w, const Bench *b, const void *context) {
    for (uint64_t seen = 0, next; (next = peer_next(w, seen)) != seen; seen = next)
        atomic_store(&w->answer, next);
    return OK;
}

// On our core: whoever waits offers it to the other.
static Status echo_in_turn(SharedPeer *w, const Bench *b, const void *context) {
    for (uint64_t seen = 0; !atomic_load(&w->stop);) {
        while (atomic_load(&w->ask) == seen && !atomic_load(&w->stop)) sched_yield();
        seen = atomic_load(&w->ask);
        atomic_store(&w->answer, seen);
    }
    return OK;
}

static Status echo_asleep(SharedPeer *w, const Bench *b, const void *context) {
    for (uint64_t seen = 0, next; (next = peer_next_asleep(w, seen)) != seen; seen = next)
        atomic_store(&w->answer, next);
    return OK;
}

// There and back, half of it.
static Status there_and_back(Peer *p, const Bench *b, bool yield, Measured *out_ps) {
    enum { ROUNDS = 50 };
    Samples s;
    uint64_t ask = 1;
    TRY(samples_init(&s, b->arena, repeats(b)));
    peer_ask(p, ask);
    TRY(peer_await(p, ask++, yield));  // it has started
    for (int k = 0; k < s.capacity; k++) {
        int64_t start = clock_ns();
        for (int i = 0; i < ROUNDS; i++, ask++) {
            atomic_store(&p->words->ask, ask);
            TRY(peer_await(p, ask, yield));
        }
        samples_add(&s, (double)(clock_ns() - start - b->clock_empty_ns) / (2 * ROUNDS));
    }
    *out_ps = samples_measured(&s, 1000);
    return bench_check(b);
}

// Until the peer sleeps, and its core has nothing to do.
static Status await_sleep(Peer *p, bool same_core) {
    static const int64_t SETTLE_NS = 100000;
    if (same_core) clock_sleep_ns(SETTLE_NS);
    for (int i = 0; !atomic_load(&p->words->asleep); i++) {
        TRY(bench_check(p->bench));
        if (i > 10000) FAIL(ERR_PEER, "a process to calibrate with does not go to sleep");
        clock_sleep_ns(SETTLE_NS);
    }
    if (same_core) return OK;
    for (int64_t end = clock_ns() + SETTLE_NS; clock_ns() < end;) clock_pause();
    return OK;
}

static Status wakes(Peer *p, const Bench *b, bool same_core, Measured *out_ps) {
    Samples s;
    TRY(samples_init(&s, b->arena, repeats(b)));
    for (int k = 1; k <= s.capacity; k++) {
        TRY(await_sleep(p, same_core));
        int64_t start = clock_ns();
        peer_ask(p, (uint64_t)k);
        if (same_core) clock_sleep_ns(20000);
        TRY(peer_await(p, (uint64_t)k, same_core));
        int64_t woke = atomic_load(&p->words->woke_ns);
        if (woke > start) samples_add(&s, (double)(woke - start));
    }
    *out_ps = samples_measured(&s, 1000);
    return bench_check(b);
}

typedef Status (*PeerMeasure)(Peer *p, const Bench *b, bool same_core, Measured *out_ps);

static Status with_peer(const Bench *b, bool same_core, PeerMain main, PeerMeasure measure,
                        Measured *out_ps) {
    Peer p = {0};
    Status s = peer_start(&p, b, same_core ? 0 : 1, main, NULL);
    if (s == OK) s = measure(&p, b, same_core, out_ps);
    Status end = peer_stop(&p);
    return s == OK ? end : s;
}

Status calibrate_waiting(Bench *b) {
    Calibration *c = b->out;
    TRY(with_peer(b, true, echo_in_turn, there_and_back, &c->switch_ps));
    TRY(with_peer(b, true, echo_asleep, wakes, &c->wake_same_core_ps));
    if (b->core_count < 2) return OK;
    TRY(with_peer(b, false, echo, there_and_back, &c->ping_ps));
    return with_peer(b, false, echo_asleep, wakes, &c->wake_ps);
}

// --- a collective of almost nothing: two ranks of the real communicator

enum { NUMBERS = 2, POOL_BYTES = 4096 };

typedef struct {
    CommWorld *world;
    int count;       // of all-reduces
    Samples *spent;  // NULL: not measured
    int64_t empty_ns;
} Reducing;

// As the executor counts it (parallel/run/executor.c): what arriving takes, and testing
// where something moved.
static Status reduce_once(Comm *c, const CommCall *call, const Reducing *how) {
    CommRequest r;
    const CommRequest *waiting = &r;
    int64_t start = clock_ns(), spent = 0;
    TRY(comm_start(c, call, &r, start));
    spent += clock_ns() - start - how->empty_ns;
    for (bool done = false; !done;) {
        int64_t round = r.round, stage = r.stage;
        start = clock_ns();
        TRY(comm_test(c, &r, &done));
        bool moved = done || r.round != round || r.stage != stage;
        if (moved) spent += clock_ns() - start - how->empty_ns;
        if (!done && !moved) TRY(comm_idle(c, &waiting, 1, INT64_MAX));
    }
    if (how->spent) samples_add(how->spent, (double)spent);
    return OK;
}

static Status reduce_often(const Reducing *how, int rank) {
    static const int ranks[] = {0, 1};
    const CommSegment both = {0, NUMBERS};
    CommCall call = {.kind = COLLECTIVE_ALL_REDUCE,
                     .algorithm = ALGORITHM_DIRECT,
                     .dtype = DTYPE_F64,
                     .parts = 1,
                     .input_count = 1,
                     .output_count = 1,
                     .input = &both,
                     .output = &both,
                     .name = "calibration"};
    Comm c;
    TRY(comm_join(&c, how->world, rank));
    TRY(comm_group(&c, 0, ranks, 2));
    TRY(comm_prepare(&c, &call));
    for (int i = 0; i < how->count; i++) TRY(reduce_once(&c, &call, how));
    return OK;
}

static Status reducing_peer(SharedPeer *w, const Bench *b, const void *context) {
    return reduce_often(context, 1);
}

Status calibrate_collective(Bench *b) {
    if (b->core_count < 2) return OK;
    Samples s;
    Reducing peers = {.count = 20 * repeats(b), .empty_ns = b->clock_empty_ns};
    TRY(samples_init(&s, b->arena, peers.count));
    const CommOptions options = {.cores = 2, .timeout_ns = 5000000000};
    const CommRoom room = {.pool_bytes = POOL_BYTES, .calls = 1, .segments = 2 + COMM_OWN_SEGMENTS},
                   rooms[] = {room, room};
    TRY(comm_world_create(&peers.world, COMM_SHM, 2, rooms, &options));
    Reducing ours = peers;
    ours.spent = &s;
    Peer p = {0};
    Status status = peer_start(&p, b, 1, reducing_peer, &peers);
    if (status == OK) status = reduce_often(&ours, 0);
    Status end = peer_stop(&p);
    comm_world_destroy(peers.world);
    b->out->collective_ps = samples_measured(&s, 1000);
    return status == OK ? end : status;
}
