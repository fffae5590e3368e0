// SPDX-License-Identifier: MIT
// What ranks tell each other besides collectives, and all-to-alls with pieces of any size.
#include "core/base/clock.h"
#include "tests/support/comm_case.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// --- exchanges: 8 KiB take one round

enum { ROUND = 8192, LONG = 2 * ROUND + 600 };

static void fill(unsigned char *out, size_t size, int rank, int round) {
    uint32_t value = case_hash((uint32_t)rank, (uint32_t)round, 0, 8);
    for (size_t i = 0; i < size; i++) out[i] = (unsigned char)((value += 2654435769u) >> 24);
}

static bool is_filled(const unsigned char *all, size_t size, int ranks, int round) {
    unsigned char want[LONG];
    for (int r = 0; r < ranks; r++) {
        fill(want, size, r, round);
        if (memcmp(want, all + (size_t)r * size, size) != 0) return false;
    }
    return true;
}

static void exchange_body(Comm *c, void *context, char *failure) {
    static const size_t sizes[] = {1, 8, ROUND, ROUND + 1, LONG};
    unsigned char mine[LONG], all[LONG * JOB_RANKS];
    for (int i = 0; i < 200 && !*failure; i++) {
        size_t size = sizes[i % 5];
        fill(mine, size, c->rank, i);
        if (case_hash((uint32_t)i, (uint32_t)c->rank, 0, 0) % 16 == 0) clock_sleep_ns(200000);
        if (comm_exchange(c, mine, size, all) != OK)
            snprintf(failure, STATUS_TEXT, "%s", status_message());
        else if (!is_filled(all, size, c->ranks, i))
            snprintf(failure, STATUS_TEXT, "exchange %d is wrong", i);
    }
}

START_TEST(an_exchange_brings_everything_to_everyone) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int ranks = 1; ranks <= JOB_RANKS; ranks++) {
            CommWorld *w = job_world(kind, ranks, 0);
            job_run(w, kind, ranks, exchange_body, NULL);
            comm_world_destroy(w);
        }
}
END_TEST

START_TEST(a_serial_exchange_is_complete_when_the_last_rank_has_called) {
    unsigned char mine[LONG], all[3][LONG * 3];
    CommWorld *w = job_world(COMM_SERIAL, 3, 0);
    Comm c[3];
    for (int r = 0; r < 3; r++) ck_assert_ok(comm_join(&c[r], w, r));
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 3; k++) {
            int r = (k + i) % 3;
            fill(mine, LONG, r, i);
            ck_assert_ok(comm_exchange(&c[r], mine, LONG, all[r]));
        }
        for (int r = 0; r < 3; r++) ck_assert(is_filled(all[r], LONG, 3, i));
    }
    comm_world_destroy(w);
}
END_TEST

static void size_body(Comm *c, void *context, char *failure) {
    char mine[16] = "", all[2 * 16];
    Status s = comm_exchange(c, mine, c->rank ? 16 : 8, all);
    if (s == OK || !strstr(status_message(), "exchange between all ranks: rank "))
        snprintf(failure, STATUS_TEXT, "unexpected: %s", status_message());
}

START_TEST(exchanges_of_different_sizes_are_refused) {
    CommWorld *w = job_world(COMM_THREAD, 2, 0);
    job_run(w, COMM_THREAD, 2, size_body, NULL);
    comm_world_destroy(w);
}
END_TEST

static void absent_body(Comm *c, void *context, char *failure) {
    uint64_t all[4], mine = 1;
    if (c->rank % 2) return;
    if (comm_exchange(c, &mine, sizeof mine, all) != ERR_PEER ||
        !strstr(status_message(),
                "ranks 1, 3 did not arrive at the exchange between all ranks within 0.2 s"))
        snprintf(failure, STATUS_TEXT, "unexpected: \"%s\"", status_message());
}

START_TEST(ranks_that_stay_away_from_an_exchange_are_named) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 4, 200);
        job_run(w, kind, 4, absent_body, NULL);
        comm_world_destroy(w);
    }
}
END_TEST

// A word posted before a meeting is seen after it.
static void post_body(Comm *c, void *context, char *failure) {
    Scalar s;
    CommRequest r;
    job_everyone(c);
    if (comm_prepare(c, scalar_call(&s, "x"))) snprintf(failure, STATUS_TEXT, "not prepared");
    for (uint64_t i = 1; i <= 200 && !*failure; i++) {
        comm_post(c, 1000 * i + (uint64_t)c->rank);
        if (job_call(c, &s.call, &r) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        for (int m = 0; m < c->ranks; m++)
            if (comm_peek(c, m) < 1000 * i + (uint64_t)m)
                snprintf(failure, STATUS_TEXT, "rank %d shows an old word", m);
    }
    if (comm_peek(c, NONE) != 77) snprintf(failure, STATUS_TEXT, "the launcher's word is lost");
}

START_TEST(a_posted_word_is_seen_by_whoever_meets_the_rank) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 3, 0);
        comm_world_post(w, 77);
        job_run(w, kind, 3, post_body, NULL);
        comm_world_destroy(w);
    }
}
END_TEST

// --- pieces of any size

enum { ROOM = 400, UNIT = 3, BASE = 4096 };  // units of an array; a rank's arrays lie elsewhere

typedef struct {
    CommSegment input, output, counts, received;
    CommCall call;
} Pieces;

static int64_t piece(int from, int to, int round) {
    return case_hash((uint32_t)from, (uint32_t)to, (uint32_t)round, 3) % (ROOM / JOB_RANKS + 1);
}

// Element i of what `from` has for `to`.
static int32_t element(int from, int to, int64_t i) {
    return (int32_t)case_hash((uint32_t)from, (uint32_t)to, (uint32_t)i, 4);
}

static CommCall *pieces_call(Pieces *p, int rank) {
    int64_t base = BASE * (1 + rank % 3);
    p->counts = (CommSegment){base, JOB_RANKS};
    p->received = (CommSegment){base + 512, JOB_RANKS};
    p->input = (CommSegment){base + 1024, ROOM * UNIT};
    p->output = (CommSegment){base + 65536 * (1 + rank), ROOM * UNIT};
    p->call = (CommCall){.kind = COLLECTIVE_ALL_TO_ALL,
                         .dtype = DTYPE_I32,
                         .unit = UNIT,
                         .parts = 1,
                         .input_count = 1,
                         .output_count = 1,
                         .input = &p->input,
                         .output = &p->output,
                         .counts = &p->counts,
                         .received = &p->received,
                         .name = "experts"};
    return &p->call;
}

static void *at(const Comm *c, const CommSegment *s) { return (char *)c->pool + s->offset; }

static void write_pieces(const Comm *c, const Pieces *p, int round) {
    int32_t *x = at(c, &p->input);
    int64_t *counts = at(c, &p->counts);
    for (int to = 0; to < c->ranks; to++) {
        counts[to] = piece(c->rank, to, round);
        for (int64_t i = 0; i < counts[to] * UNIT; i++) *x++ = element(c->rank, to, i);
    }
}

static bool are_pieces(const Comm *c, const Pieces *p, int round) {
    const int32_t *x = at(c, &p->output);
    const int64_t *received = at(c, &p->received);
    for (int from = 0; from < c->ranks; from++) {
        if (received[from] != piece(from, c->rank, round)) return false;
        for (int64_t i = 0; i < received[from] * UNIT; i++)
            if (*x++ != element(from, c->rank, i)) return false;
    }
    return true;
}

static void pieces_body(Comm *c, void *context, char *failure) {
    Pieces p;
    CommRequest r;
    job_everyone(c);
    pieces_call(&p, c->rank);
    p.counts.elements = p.received.elements = c->ranks;
    if (comm_prepare(c, &p.call)) snprintf(failure, STATUS_TEXT, "%s", status_message());
    for (int i = 0; i < 50 && !*failure; i++) {
        write_pieces(c, &p, i);
        if (job_call(c, &p.call, &r))
            snprintf(failure, STATUS_TEXT, "%s", status_message());
        else if (!are_pieces(c, &p, i))
            snprintf(failure, STATUS_TEXT, "round %d is wrong", i);
    }
}

START_TEST(pieces_of_any_size_reach_their_ranks) {
    const StarLink link = {INT64_C(100000000000), 1000000, 1000};
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int ranks = 1; ranks <= JOB_RANKS; ranks++) {
            CommWorld *w = ranks % 3 ? job_world(kind, ranks, 0)
                                     : job_linked_world(kind, ranks, JOB_POOL, &link);
            job_run(w, kind, ranks, pieces_body, NULL);
            comm_world_destroy(w);
        }
}
END_TEST

START_TEST(serial_pieces_reach_their_ranks) {
    CommWorld *w = job_world(COMM_SERIAL, 4, 0);
    Comm c[4];
    Pieces p[4];
    CommRequest r[4];
    for (int m = 0; m < 4; m++) {
        ck_assert_ok(comm_join(&c[m], w, m));
        job_everyone(&c[m]);
        pieces_call(&p[m], m);
        p[m].counts.elements = p[m].received.elements = 4;
        ck_assert_ok(comm_prepare(&c[m], &p[m].call));
        write_pieces(&c[m], &p[m], 9);
    }
    for (int m = 0; m < 4; m++) ck_assert_ok(comm_start(&c[m], &p[m].call, &r[m], clock_ns()));
    for (int m = 0; m < 4; m++) ck_assert(are_pieces(&c[m], &p[m], 9));
    comm_world_destroy(w);
}
END_TEST

// Rank 1 has too much for its input, or more comes to rank 0 than its output has room for.
typedef struct {
    bool output;
    const char *says;
} Excess;

static void excess_body(Comm *c, void *context, char *failure) {
    const Excess *e = context;
    Pieces p;
    CommRequest r;
    job_everyone(c);
    pieces_call(&p, c->rank);
    p.counts.elements = p.received.elements = c->ranks;
    if (e->output && c->rank == 0) p.output.elements = 100 * UNIT;
    if (comm_prepare(c, &p.call)) snprintf(failure, STATUS_TEXT, "%s", status_message());
    int64_t *counts = at(c, &p.counts);
    counts[0] = e->output ? 60 : 300;
    counts[1] = c->rank == 1 && !e->output ? 101 : 5;
    Status s = job_call(c, &p.call, &r);
    if (s == OK || !strstr(status_message(), e->says))
        snprintf(failure, STATUS_TEXT, "unexpected: \"%s\"", status_message());
}

START_TEST(pieces_without_room_are_refused_with_the_numbers) {
    Excess cases[] = {
        {false, "all_to_all experts: rank 1 has 101 units of 3 for rank 1 after 300 for "
                "those before it, but its input has room for 400"},
        {true, "all_to_all experts: rank 0 receives 120 units of 3 from the ranks up to "
               "1, but its output has room for 100"}};
    for (int i = 0; i < 2; i++) {
        CommWorld *w = job_world(COMM_THREAD, 2, 0);
        job_run(w, COMM_THREAD, 2, excess_body, &cases[i]);
        comm_world_destroy(w);
    }
}
END_TEST

SUITE("comm_control", an_exchange_brings_everything_to_everyone,
      a_serial_exchange_is_complete_when_the_last_rank_has_called,
      exchanges_of_different_sizes_are_refused, ranks_that_stay_away_from_an_exchange_are_named,
      a_posted_word_is_seen_by_whoever_meets_the_rank, pieces_of_any_size_reach_their_ranks,
      serial_pieces_reach_their_ranks, pieces_without_room_are_refused_with_the_numbers)
