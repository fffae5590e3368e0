// SPDX-License-Identifier: MIT
// What goes from one member to another: messages, and an all-to-all whose pieces are of any size.
// Each of 0 to 1025 elements in all types, between the members of groups in any order, in worlds of
// 1 to 8 ranks. Whole pools are compared, so that a byte too many is seen as well.
#include "core/base/clock.h"
#include "tests/support/comm_case.h"
#include "tests/support/comm_delays.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

#ifdef __SANITIZE_THREAD__
enum { STEP = 5 };  // it looks at accesses rather than at sizes
#else
enum { STEP = 1 };
#endif
enum { MOST = 1025, SEGMENTS = 3, GROUPS = 2, LANES = 3, ROOM = 1 << 16 };

typedef struct {
    CommKind kind;
    int64_t step;
    uint32_t delays;
} Sweep;

// Group 0: all ranks, each the third after the one before where that reaches all, else in reverse.
// Group 1: even or odd ranks, backwards.
static void join_groups(Comm *c) {
    int all[JOB_RANKS], some[JOB_RANKS], count = 0, P = c->ranks;
    for (int i = 0; i < P; i++) all[i] = P % 3 ? (3 * i + 1) % P : P - 1 - i;
    for (int r = P - 1; r >= 0; r--)
        if (r % 2 == c->rank % 2) some[count++] = r;
    ck_assert_ok(comm_group(c, 0, all, P));
    ck_assert_ok(comm_group(c, 1, some, count));
}

// What `from` has for `to` as element e.
static CaseValue sent(Dtype d, int from, int to, int64_t size, int64_t e) {
    return case_value(d, case_hash((uint32_t)from, (uint32_t)to, (uint32_t)size, 3) + (uint64_t)e);
}

// A rank's arrays, and the bytes of its pool as they must be in the end.
typedef struct {
    Dtype dtype;
    int64_t size, end;
    const CommGroup *group;
    CommSegment input[SEGMENTS], output[SEGMENTS], counts, received;
    CommCall call, receive;
    CommRequest request[2];
    char image[ROOM];
} Delivery;

static void lay_out(Delivery *x, const Comm *c, int64_t size, int64_t inputs, int64_t outputs) {
    uint32_t h = case_hash((uint32_t)size, (uint32_t)c->rank, 1, 2);
    int segments = 1 + (int)(h % SEGMENTS);
    x->dtype = (Dtype)(size % DTYPE_COUNT);
    x->size = size;
    x->group = &c->groups[size / DTYPE_COUNT % GROUPS];
    x->end = case_lay_out(x->input, segments, inputs, x->dtype, 0, h);
    x->end = case_lay_out(x->output, segments, outputs, x->dtype, x->end, h + 1);
    x->counts = (CommSegment){x->end + 8, x->group->count};
    x->received = (CommSegment){x->counts.offset + 8 * JOB_RANKS, x->group->count};
    x->end = x->received.offset + 8 * JOB_RANKS + 8;
    ck_assert_int_le(x->end, ROOM);
    x->call = (CommCall){.group = (int)(size / DTYPE_COUNT % GROUPS),
                         .dtype = x->dtype,
                         .parts = 1,
                         .input_count = segments,
                         .output_count = segments,
                         .input = x->input,
                         .output = x->output,
                         .name = "delivery"};
    x->call.lane = LANES * x->call.group;
    memset(c->pool, 0xA5, (size_t)x->end);
}

static void put(const Delivery *x, void *pool, const CommSegment *s, int64_t at, CaseValue v) {
    memcpy(case_element(pool, s, at, x->dtype), &v, (size_t)dtype_bytes(x->dtype));
}

static void verify(const Delivery *x, const Comm *c, char *failure) {
    int64_t i = 0;
    if (*failure || !memcmp(x->image, c->pool, (size_t)x->end)) return;
    while (x->image[i] == ((char *)c->pool)[i]) i++;
    snprintf(failure, STATUS_TEXT,
             "rank %d of %d, group %d, %lld elements of %s: byte %lld, the output begins at %lld",
             c->rank, c->ranks, x->call.group, (long long)x->size, dtype_name(x->dtype),
             (long long)i, (long long)x->output->offset);
}

// --- messages: every member sends to the one `hop` after it, and receives from the one before

static void prepare_messages(Delivery *x, Comm *c, int64_t size) {
    lay_out(x, c, size, size, size);
    const CommGroup *g = x->group;
    int hop = g->count > 1 ? 1 + (int)(size % (g->count - 1)) : 0,
        to = (g->position + hop) % g->count, from = (g->position + g->count - hop) % g->count;
    for (int64_t e = 0; e < size; e++)
        put(x, c->pool, x->input, e, sent(x->dtype, c->rank, g->ranks[to], size, e));
    memcpy(x->image, c->pool, (size_t)x->end);
    for (int64_t e = 0; e < size && hop; e++)
        put(x, x->image, x->output, e, sent(x->dtype, g->ranks[from], c->rank, size, e));
    x->call.point_to_point = true;
    x->call.tag = (int)(size % COMM_TAGS);
    x->receive = x->call;
    x->receive.receive = true;
    x->receive.lane++;
    x->call.root = to;
    x->receive.root = from;
}

static Status start_messages(Delivery *x, Comm *c) {
    if (x->group->count == 1) return OK;  // nobody to send to
    TRY(comm_prepare(c, &x->call));
    TRY(comm_prepare(c, &x->receive));
    TRY(comm_start(c, &x->call, &x->request[0], clock_ns()));
    return comm_start(c, &x->receive, &x->request[1], clock_ns());
}

static Status end_messages(Delivery *x, Comm *c) {
    if (x->group->count == 1) return OK;
    TRY(job_complete(c, &x->request[1]));
    TRY(job_complete(c, &x->request[0]));
    job_release(c, &x->call);
    return OK;
}

// --- an all-to-all whose pieces are of any size, some of them empty

static int64_t units_of(const CommGroup *g, int from, int to, int64_t size) {
    uint32_t h = case_hash((uint32_t)g->ranks[from], (uint32_t)g->ranks[to], (uint32_t)size, 5);
    return h % 4 ? h % (uint32_t)(2 * size / g->count + 1) : 0;
}

static int64_t unit_of(int64_t size) { return 1 + size % 3; }

static void prepare_pieces(Delivery *x, Comm *c, int64_t size) {
    const CommGroup *g = &c->groups[size / DTYPE_COUNT % GROUPS];
    int64_t out = 0, in = 0, unit = unit_of(size), units = size / unit;
    for (int m = 0; m < g->count; m++) {
        out += units_of(g, g->position, m, units) * unit;
        in += units_of(g, m, g->position, units) * unit;
    }
    lay_out(x, c, size, out + size % 5, in + size % 7);  // room for more than there is
    int64_t *counts = (int64_t *)(void *)((char *)c->pool + x->counts.offset);
    for (int64_t m = 0, at = 0; m < g->count; m++) {
        counts[m] = units_of(g, g->position, (int)m, units);
        for (int64_t e = 0; e < counts[m] * unit; e++)
            put(x, c->pool, x->input, at++, sent(x->dtype, c->rank, g->ranks[m], size, e));
    }
    memcpy(x->image, c->pool, (size_t)x->end);
    int64_t *received = (int64_t *)(void *)(x->image + x->received.offset);
    for (int64_t m = 0, at = 0; m < g->count; m++) {
        received[m] = units_of(g, (int)m, g->position, units);
        for (int64_t e = 0; e < received[m] * unit; e++)
            put(x, x->image, x->output, at++, sent(x->dtype, g->ranks[m], c->rank, size, e));
    }
    x->call.kind = COLLECTIVE_ALL_TO_ALL;
    x->call.unit = unit;
    x->call.lane += LANES - 1;
    x->call.counts = &x->counts;
    x->call.received = &x->received;
}

static Status start_pieces(Delivery *x, Comm *c) {
    TRY(comm_prepare(c, &x->call));
    return comm_start(c, &x->call, &x->request[0], clock_ns());
}

static Status end_pieces(Delivery *x, Comm *c) {
    TRY(job_complete(c, &x->request[0]));
    job_release(c, &x->call);
    return OK;
}

// --- sweeps

static const struct {
    void (*prepare)(Delivery *x, Comm *c, int64_t size);
    Status (*start)(Delivery *x, Comm *c);
    Status (*end)(Delivery *x, Comm *c);
} ways[] = {{prepare_messages, start_messages, end_messages},
            {prepare_pieces, start_pieces, end_pieces}};
enum { WAYS = sizeof ways / sizeof *ways };

// Each size is for one number of ranks.
static bool is_here(const Sweep *s, const Comm *c, int way, int64_t size) {
    return (size / s->step + 3 * way) % JOB_RANKS == c->ranks - 1;
}

static void sweep_body(Comm *c, void *context, char *failure) {
    const Sweep *s = context;
    Delivery x;
    join_groups(c);
    comm_delays_set(s->delays, (uint32_t)c->rank);
    for (int64_t size = 0; size <= MOST && !*failure; size += s->step)
        for (int way = 0; way < WAYS && !*failure; way++) {
            if (!is_here(s, c, way, size)) continue;
            ways[way].prepare(&x, c, size);
            Status status = ways[way].start(&x, c);
            if (status == OK) status = ways[way].end(&x, c);
            if (status != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
            verify(&x, c, failure);
            if (*failure) comm_abandon(c, ERR_FAILED, failure);
        }
    if (s->delays && c->ranks > 1 && !comm_delays_count())
        snprintf(failure, STATUS_TEXT, "nothing was delayed");
    comm_delays_set(0, 0);
}

static void sweep(Sweep s) {
    for (int ranks = 1; ranks <= JOB_RANKS; ranks++) {
        CommWorld *w = job_world(s.kind, ranks, 0);
        job_run(w, s.kind, ranks, sweep_body, &s);
        comm_world_destroy(w);
    }
}

START_TEST(every_size_reaches_its_member_in_serial) {
    static Delivery x[JOB_RANKS];
    const Sweep s = {.step = 1};
    for (int ranks = 1; ranks <= JOB_RANKS; ranks++) {
        CommWorld *w = job_world(COMM_SERIAL, ranks, 0);
        Comm c[JOB_RANKS];
        for (int r = 0; r < ranks; r++) {
            ck_assert_ok(comm_join(&c[r], w, r));
            join_groups(&c[r]);
        }
        for (int64_t size = 0; size <= MOST; size++)
            for (int way = 0; way < WAYS; way++) {
                char failure[STATUS_TEXT] = "";
                if (!is_here(&s, &c[0], way, size)) continue;
                for (int r = 0; r < ranks; r++) ways[way].prepare(&x[r], &c[r], size);
                for (int k = 0; k < ranks; k++) {
                    int r = (int)(size + k) % ranks;
                    ck_assert_ok(ways[way].start(&x[r], &c[r]));
                }
                for (int r = 0; r < ranks; r++) ck_assert_ok(ways[way].end(&x[r], &c[r]));
                for (int r = 0; r < ranks; r++) verify(&x[r], &c[r], failure);
                ck_assert_msg(!*failure, "%s", failure);
            }
        comm_world_destroy(w);
    }
}
END_TEST

START_TEST(every_size_reaches_its_member_between_threads) {
    sweep((Sweep){.kind = COMM_THREAD, .step = STEP});
}
END_TEST

START_TEST(every_size_reaches_its_member_between_processes) {
    sweep((Sweep){.kind = COMM_SHM, .step = STEP});
}
END_TEST

START_TEST(a_delay_at_any_hand_over_loses_nothing) {
    sweep((Sweep){.kind = COMM_THREAD, .step = 11, .delays = 4});
    sweep((Sweep){.kind = COMM_SHM, .step = 13, .delays = 4});
}
END_TEST

SUITE("comm_pieces", every_size_reaches_its_member_in_serial,
      every_size_reaches_its_member_between_threads,
      every_size_reaches_its_member_between_processes, a_delay_at_any_hand_over_loses_nothing)
