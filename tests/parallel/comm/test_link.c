// SPDX-License-Identifier: MIT
// Emulated links: when an operation ends, to the nanosecond, against the rules of
// parallel/collective/star.h applied to the list of all steps.
#include "core/base/clock.h"
#include "tests/support/comm_case.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

// Neither a round number of bytes a nanosecond nor of nanoseconds.
static const StarLink slow = {INT64_C(700000001), 20000300, 1500};

// --- what must come out

static int64_t elements_of(const Collective *c, int64_t chunk) {
    int64_t begin, count;
    collective_chunk(c, chunk, &begin, &count);
    return count;
}

// bytes / (0.700000001 GB/s) * 1.5, rounded up; 20,000.3 ns * 1.5 = 30,000.45.
static int64_t expected_round_ns(int64_t bytes) {
    __int128 scaled = (__int128)bytes * 1500000000, rate = 700000001;
    return 30001 + (int64_t)((scaled + rate - 1) / rate);
}

// Round by round: who sends how much, then who receives from whom.
static void expected_ends(const Collective *c, int64_t element_bytes, const int64_t *start_ns,
                          int64_t *end_ns) {
    Arena a = {0};
    CollectiveStep *steps;
    int64_t count, before[COMM_RANKS];
    ck_assert_ok(collective_list(c, &steps, &count, &a));
    memcpy(end_ns, start_ns, (size_t)c->ranks * sizeof *end_ns);
    for (int64_t i = 0, last; i < count; i = last) {
        int64_t sent[COMM_RANKS] = {0}, received[COMM_RANKS] = {0}, busiest[COMM_RANKS] = {0};
        bool moved[COMM_RANKS] = {false};
        memcpy(before, end_ns, (size_t)c->ranks * sizeof *before);
        for (last = i; last < count && steps[last].round == steps[i].round; last++) {
            if (steps[last].source == steps[last].destination) continue;
            int64_t bytes = elements_of(c, steps[last].chunk) * element_bytes;
            sent[steps[last].source] += bytes;
            received[steps[last].destination] += bytes;
        }
        for (int64_t k = i; k < last; k++) {
            int s = steps[k].source, d = steps[k].destination;
            if (s == d) continue;
            moved[d] = true;
            if (end_ns[d] < before[s]) end_ns[d] = before[s];
            if (busiest[d] < sent[s]) busiest[d] = sent[s];
        }
        for (int d = 0; d < c->ranks; d++) {
            if (busiest[d] < received[d]) busiest[d] = received[d];
            if (moved[d]) end_ns[d] += expected_round_ns(busiest[d]);
        }
    }
    arena_finish(&a);
}

// --- collectives

typedef struct {
    int ranks;
    int64_t origin_ns, end_ns[CASES][JOB_RANKS], arrival_ns[CASES][JOB_RANKS];
} Sweep;

// Members are up to 300 us apart, and say so half a millisecond too late or too early.
static int64_t drawn_start_ns(const Sweep *s, int i, int rank) {
    return s->origin_ns + i * INT64_C(200000) +
           case_hash((uint32_t)i, (uint32_t)rank, 3, 4) % 300000;
}

static void sweep_body(Comm *c, void *context, char *failure) {
    Sweep *s = context;
    job_everyone(c);
    for (int i = 0; i < CASES && !*failure; i++) {
        Case t;
        Part x;
        case_draw(&t, i, s->ranks, 7);
        part_prepare(&x, &t, c->rank, c->pool);
        Status status = comm_prepare(c, &x.call);
        if (status == OK)
            status = comm_start(c, &x.call, &x.request, drawn_start_ns(s, i, c->rank));
        if (status == OK) status = job_complete(c, &x.request);
        job_release(c, &x.call);
        if (status != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        if (clock_ns() < x.request.end_ns) snprintf(failure, STATUS_TEXT, "case %d ends early", i);
        s->end_ns[i][c->rank] = x.request.end_ns;
        s->arrival_ns[i][c->rank] = x.request.arrival_ns;
        if (!part_verify(&x, c->pool, failure, STATUS_TEXT) || status != OK)
            comm_abandon(c, ERR_FAILED, failure);
    }
}

static void check_case(const Sweep *s, int i) {
    Case t;
    int64_t start_ns[JOB_RANKS], end_ns[JOB_RANKS], last_ns = 0;
    case_draw(&t, i, s->ranks, 7);
    Collective c = {t.kind,     t.algorithm, s->ranks, t.root,
                    t.elements, t.unit,      t.sizes,  t.size_count};
    for (int r = 0; r < s->ranks; r++) {
        start_ns[r] = drawn_start_ns(s, i, r);
        if (start_ns[r] > last_ns) last_ns = start_ns[r];
    }
    expected_ends(&c, dtype_bytes(t.dtype), start_ns, end_ns);
    for (int r = 0; r < s->ranks; r++) {
        ck_assert_msg(s->end_ns[i][r] == end_ns[r],
                      "%s %s of %lld, %d ranks: rank %d ends after %lld ns, not %lld",
                      algorithm_name(t.algorithm), collective_name(t.kind), (long long)t.elements,
                      s->ranks, r, (long long)(s->end_ns[i][r] - start_ns[r]),
                      (long long)(end_ns[r] - start_ns[r]));
        ck_assert_int_eq(s->arrival_ns[i][r], last_ns);
    }
}

START_TEST(every_collective_ends_when_its_rounds_say) {
    static const int ranks[] = {1, 2, 3, 7};
    for (int k = 0; k < 4; k++)
        for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
            Sweep *s = job_memory(sizeof *s);
            CommWorld *w = job_linked_world(kind, ranks[k], JOB_POOL, &slow);
            s->ranks = ranks[k];
            s->origin_ns = clock_ns();
            job_run(w, kind, ranks[k], sweep_body, s);
            for (int i = 0; i < CASES; i++) check_case(s, i);
            comm_world_destroy(w);
            munmap(s, sizeof *s);
        }
}
END_TEST

// 201 rounds, which a root could run through before the others begin: it must not lose the moments
// that they have not read.
enum { PIECES = 200, PIECE = 8192, MEMBERS = 3 };

typedef struct {
    int64_t origin_ns, end_ns[MEMBERS];
} Pipeline;

static void pipeline_body(Comm *c, void *context, char *failure) {
    Pipeline *p = context;
    const CommSegment whole = {0, PIECES * PIECE};
    CommCall call = {.kind = COLLECTIVE_BROADCAST,
                     .algorithm = ALGORITHM_CHAIN,
                     .dtype = DTYPE_F32,
                     .parts = 1,
                     .input_count = 1,
                     .output_count = 1,
                     .input = &whole,
                     .output = &whole,
                     .name = "pipeline"};
    job_everyone(c);
    float *x = c->pool;
    CommRequest r;
    for (int64_t i = 0; i < PIECES * PIECE && c->rank == 0; i++) x[i] = (float)i;
    Status s = comm_prepare(c, &call);
    if (s == OK) s = comm_start(c, &call, &r, p->origin_ns + 1000 * c->rank);
    if (s == OK) s = job_complete(c, &r);
    if (s != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
    for (int64_t i = 0; i < PIECES * PIECE; i++)
        if (x[i] != (float)i) snprintf(failure, STATUS_TEXT, "element %lld", (long long)i);
    p->end_ns[c->rank] = r.end_ns;
}

START_TEST(a_long_pipeline_keeps_its_moments) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        Pipeline *p = job_memory(sizeof *p);
        CommWorld *w = job_linked_world(kind, MEMBERS, PIECES * PIECE * 4, &slow);
        p->origin_ns = clock_ns();
        job_run(w, kind, MEMBERS, pipeline_body, p);
        const Collective c = {COLLECTIVE_BROADCAST, ALGORITHM_CHAIN, MEMBERS, 0, PIECES * PIECE, 0};
        int64_t start_ns[MEMBERS], end_ns[MEMBERS];
        for (int r = 0; r < MEMBERS; r++) start_ns[r] = p->origin_ns + 1000 * r;
        expected_ends(&c, 4, start_ns, end_ns);
        for (int r = 0; r < MEMBERS; r++) ck_assert_int_eq(p->end_ns[r], end_ns[r]);
        comm_world_destroy(w);
        munmap(p, sizeof *p);
    }
}
END_TEST

// --- messages

typedef struct {
    int64_t start_ns[2], end_ns[2], arrival_ns[2];
    int late;
} Pair;

static void pair_body(Comm *c, void *context, char *failure) {
    Pair *p = context;
    Message m;
    job_everyone(c);
    message(&m, !c->rank, c->rank == 1, 0, 5, 0, 1001);
    if (c->rank == 0) write_message(c, &m, 77);
    if (c->rank == p->late) clock_sleep_ns(2000000);
    Status s = comm_prepare(c, &m.call);
    if (s == OK) s = comm_start(c, &m.call, &m.request, p->start_ns[c->rank]);
    if (s == OK) s = job_complete(c, &m.request);
    if (s != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
    if (clock_ns() < m.request.end_ns) snprintf(failure, STATUS_TEXT, "it ends early");
    if (c->rank == 1 && !is_message(c, &m, 77)) snprintf(failure, STATUS_TEXT, "wrong message");
    p->end_ns[c->rank] = m.request.end_ns;
    p->arrival_ns[c->rank] = m.request.arrival_ns;
}

START_TEST(a_message_ends_a_latency_and_its_bytes_after_both_have_started) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int i = 0; i < 4; i++) {
            Pair *p = job_memory(sizeof *p);
            CommWorld *w = job_linked_world(kind, 2, JOB_POOL, &slow);
            p->start_ns[0] = clock_ns();
            p->start_ns[1] = p->start_ns[0] + (i & 1 ? 40000 : -40000);
            p->late = i >> 1;
            job_run(w, kind, 2, pair_body, p);
            int64_t last_ns = p->start_ns[i & 1];
            for (int r = 0; r < 2; r++) {
                ck_assert_int_eq(p->arrival_ns[r], last_ns);
                ck_assert_int_eq(p->end_ns[r], last_ns + expected_round_ns(4 * 1001));
            }
            comm_world_destroy(w);
            munmap(p, sizeof *p);
        }
}
END_TEST

START_TEST(the_serial_communicator_has_no_links) {
    CommWorld *w;
    const CommRoom rooms[2] = {{.pool_bytes = 64}, {.pool_bytes = 64}};
    ck_assert_fails(comm_world_create(&w, COMM_SERIAL, 2, rooms, &(CommOptions){.link = slow}),
                    ERR_USAGE, "--comm thread or shm");
}
END_TEST

SUITE_SECONDS("link", 120, every_collective_ends_when_its_rounds_say,
              a_long_pipeline_keeps_its_moments,
              a_message_ends_a_latency_and_its_bytes_after_both_have_started,
              the_serial_communicator_has_no_links)
