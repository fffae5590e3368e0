// SPDX-License-Identifier: MIT
// What communicators count, against closed forms: N bytes over P members, of which each has a share
// of N / P.
#include "core/base/clock.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>

enum { ELEMENTS = 840, N = 4 * ELEMENTS, INPUT = 0, OUTPUT = 16384, WORK = 65536, COUNTS = 98304 };

// How many bytes member m of P takes, with the last one as the root.
typedef int64_t ClosedForm(int64_t P, int64_t m);
static int64_t shares(int64_t P, int64_t m) { return (P - 1) * N / P; }
static int64_t shares_twice(int64_t P, int64_t m) { return 2 * (P - 1) * N / P; }
static int64_t up(int64_t P, int64_t m) { return m > 0 ? N : 0; }
static int64_t up_and_down(int64_t P, int64_t m) { return up(P, m) + (m < P - 1 ? N : 0); }
static int64_t from_root(int64_t P, int64_t m) { return m < P - 1 ? N : 0; }
static int64_t to_root(int64_t P, int64_t m) { return m == P - 1 ? (P - 1) * N : 0; }
static int64_t share_from_root(int64_t P, int64_t m) { return m < P - 1 ? N / P : 0; }
static int64_t shares_to_root(int64_t P, int64_t m) { return m == P - 1 ? (P - 1) * N / P : 0; }
static int64_t nothing(int64_t P, int64_t m) { return 0; }

static const struct {
    CollectiveKind kind;
    Algorithm algorithm;
    ClosedForm *bytes;
} forms[] = {
    {COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, shares_twice},
    {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, shares_twice},
    {COLLECTIVE_ALL_REDUCE, ALGORITHM_CHAIN, up_and_down},
    {COLLECTIVE_REDUCE_SCATTER, ALGORITHM_DIRECT, shares},
    {COLLECTIVE_REDUCE_SCATTER, ALGORITHM_RING, shares},
    {COLLECTIVE_ALL_GATHER, ALGORITHM_DIRECT, shares},
    {COLLECTIVE_ALL_GATHER, ALGORITHM_RING, shares},
    {COLLECTIVE_BROADCAST, ALGORITHM_DIRECT, from_root},
    {COLLECTIVE_BROADCAST, ALGORITHM_CHAIN, from_root},
    {COLLECTIVE_BROADCAST, ALGORITHM_RING, from_root},
    {COLLECTIVE_REDUCE, ALGORITHM_DIRECT, to_root},
    {COLLECTIVE_REDUCE, ALGORITHM_CHAIN, up},
    {COLLECTIVE_SCATTER, ALGORITHM_DIRECT, share_from_root},
    {COLLECTIVE_GATHER, ALGORITHM_DIRECT, shares_to_root},
    {COLLECTIVE_ALL_TO_ALL, ALGORITHM_DIRECT, shares},
    {COLLECTIVE_BARRIER, ALGORITHM_DIRECT, nothing},
};
enum { FORMS = sizeof forms / sizeof *forms };

typedef struct {
    CommSegment input, output, work, counts, received;
    CommCall call;
    CommRequest request;
} Arrays;

static CommCall *collective(Arrays *x, const Comm *c, int form, int group) {
    const CommGroup *g = &c->groups[group];
    Collective what = {.kind = forms[form].kind,
                       .algorithm = forms[form].algorithm,
                       .ranks = g->count,
                       .root = g->count - 1,
                       .elements = forms[form].kind == COLLECTIVE_BARRIER ? 0 : ELEMENTS};
    x->input = (CommSegment){INPUT, collective_input_elements(&what, g->position)};
    x->output = (CommSegment){OUTPUT, collective_result_elements(&what, g->position)};
    x->work = (CommSegment){WORK, ELEMENTS};
    x->call = (CommCall){.kind = what.kind,
                         .algorithm = what.algorithm,
                         .dtype = DTYPE_F32,
                         .group = group,
                         .lane = group,
                         .root = what.root,
                         .parts = 1,
                         .input_count = 1,
                         .output_count = 1,
                         .input = &x->input,
                         .output = &x->output,
                         .work = &x->work,
                         .name = "counted"};
    return &x->call;
}

// Member m has m + to units of 5 for member `to`: in all (m + 0) + ... + (m + P-1), of which
// 2 m are for itself. As many come.
static CommCall *pieces(Arrays *x, const Comm *c) {
    enum { UNIT = 5 };
    int P = c->ranks, m = c->groups[0].position;
    int64_t units = (int64_t)P * m + P * (P - 1) / 2;
    collective(x, c, FORMS - 2, 0);
    x->input.elements = x->output.elements = units * UNIT;
    x->counts = (CommSegment){COUNTS, P};
    x->received = (CommSegment){COUNTS + 512, P};
    for (int to = 0; to < P; to++) ((int64_t *)(void *)((char *)c->pool + COUNTS))[to] = m + to;
    x->call.unit = UNIT;
    x->call.counts = &x->counts;
    x->call.received = &x->received;
    return &x->call;
}

static int64_t pieces_bytes(int64_t P, int64_t m) {
    return (P * m + P * (P - 1) / 2 - 2 * m) * 5 * 4;
}

// Group 0: all ranks, backwards. Group 1: the first and the last.
static void join_groups(Comm *c) {
    int all[JOB_RANKS], ends[] = {0, c->ranks - 1};
    for (int r = 0; r < c->ranks; r++) all[r] = c->ranks - 1 - r;
    ck_assert_ok(comm_group(c, 0, all, c->ranks));
    if (c->ranks > 1) ck_assert_ok(comm_group(c, 1, ends, 2));
}

static bool in_pair(const Comm *c) {
    return c->ranks > 1 && (c->rank == 0 || c->rank == c->ranks - 1);
}

// --- what is called, as rounds of which every rank takes one after the other

enum { ROUNDS = FORMS + 3 };
// The round's call of this rank, or NULL: it has none.
static CommCall *round_call(Arrays *x, const Comm *c, int round) {
    if (round < FORMS) return collective(x, c, round, 0);
    if (round == FORMS) return pieces(x, c);
    if (!in_pair(c)) return NULL;
    collective(x, c, 0, 1);
    if (round == FORMS + 1) return &x->call;
    x->call.point_to_point = true;
    x->call.receive = c->rank == 0;
    x->call.root = c->rank == 0;
    return &x->call;
}

static void expect(const Comm *c, int group, int operation, int64_t calls, int64_t bytes,
                   char *failure) {
    CommCount is = c->counts[group][operation];
    if (is.calls == calls && is.bytes == bytes) return;
    snprintf(failure, STATUS_TEXT,
             "rank %d of %d, group %d, operation %d: %lld calls and %lld bytes, not %lld and %lld",
             c->rank, c->ranks, group, operation, (long long)is.calls, (long long)is.bytes,
             (long long)calls, (long long)bytes);
}

// `turns` times all rounds.
static void expect_all(const Comm *c, int64_t turns, char *failure) {
    int64_t P = c->ranks, m = c->groups[0].position, pair = in_pair(c) ? turns : 0,
            bytes[COLLECTIVE_COUNT] = {0}, calls[COLLECTIVE_COUNT] = {0};
    for (int f = 0; f < FORMS; f++) {
        calls[forms[f].kind] += turns;
        bytes[forms[f].kind] += turns * forms[f].bytes(P, m);
    }
    for (int k = 0; k < COLLECTIVE_COUNT; k++) {
        bool second = k == COLLECTIVE_ALL_REDUCE;
        expect(c, 0, k, calls[k], bytes[k], failure);
        expect(c, 1, k, second * pair, second * pair * N, failure);
    }
    expect(c, 0, COMM_ALL_TO_ALL_V, turns, turns * pieces_bytes(P, m), failure);
    expect(c, 1, COMM_SEND, c->rank ? pair : 0, c->rank ? pair * N : 0, failure);
    expect(c, 1, COMM_RECEIVE, c->rank ? 0 : pair, c->rank ? 0 : pair * N, failure);
}

static void body(Comm *c, void *context, char *failure) {
    join_groups(c);
    for (int64_t turn = 0; turn < 3 && !*failure; turn++) {
        for (int round = 0; round < ROUNDS; round++) {
            Arrays x = {.call = {.kind = 0}};
            CommCall *call = round_call(&x, c, round);
            if (call && job_call_once(c, call, &x.request) != OK)
                snprintf(failure, STATUS_TEXT, "round %d: %s", round, status_message());
        }
        if (!*failure) expect_all(c, turn + 1, failure);
    }
}

static void serial(int ranks) {
    CommWorld *w = job_world(COMM_SERIAL, ranks, 0);
    Comm c[JOB_RANKS];
    Arrays x[JOB_RANKS];
    char failure[STATUS_TEXT] = "";
    for (int r = 0; r < ranks; r++) {
        ck_assert_ok(comm_join(&c[r], w, r));
        join_groups(&c[r]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        CommCall *calls[JOB_RANKS];
        for (int r = 0; r < ranks; r++) {
            calls[r] = round_call(&x[r], &c[r], round);
            if (calls[r]) ck_assert_ok(comm_prepare(&c[r], calls[r]));
            if (calls[r]) ck_assert_ok(comm_start(&c[r], calls[r], &x[r].request, 0));
        }
        for (int r = 0; r < ranks; r++)
            if (calls[r]) job_release(&c[r], calls[r]);
    }
    for (int r = 0; r < ranks; r++) expect_all(&c[r], 1, failure);
    ck_assert_msg(!*failure, "%s", failure);
    comm_world_destroy(w);
}

START_TEST(a_rank_counts_what_it_takes_by_operation_and_group) {
    const StarLink fast = {INT64_C(100000000000), 1000000, 1000};
    for (int ranks = 1; ranks <= JOB_RANKS; ranks++) {
        serial(ranks);
        for (int kind = COMM_THREAD; kind <= COMM_SHM; kind++)
            for (int linked = 0; linked < 2; linked++) {
                CommWorld *w = linked ? job_linked_world((CommKind)kind, ranks, JOB_POOL, &fast)
                                      : job_world((CommKind)kind, ranks, 0);
                job_run(w, (CommKind)kind, ranks, body, NULL);
                comm_world_destroy(w);
            }
    }
}
END_TEST

SUITE("comm_count", a_rank_counts_what_it_takes_by_operation_and_group)
