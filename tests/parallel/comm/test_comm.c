// SPDX-License-Identifier: MIT
// One body of tests over serial, thread and shm. Results are compared bit by bit with folds written
// in comm_case.c; whole pools are compared, so that a byte too many is seen as well.
#include "core/base/clock.h"
#include "tests/support/comm_case.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <sys/mman.h>

typedef struct {
    int ranks, delays;
    uint32_t salt;
} Sweep;

static void delay(const Sweep *s, int rank, int i, int where) {
    uint32_t h = case_hash(s->salt, (uint32_t)rank, (uint32_t)i, (uint32_t)(100 + where));
    if (s->delays && h % 4 == 0) clock_sleep_ns(h % 400000);
}

// Nothing but the collectives themselves keeps the ranks together: a rank prepares the next case,
// in the same memory, while others may be in the middle of this one.
static void sweep_body(Comm *c, void *context, char *failure) {
    const Sweep *s = context;
    job_everyone(c);
    for (int i = 0; i < CASES && !*failure; i++) {
        Case t;
        Part x;
        case_draw(&t, i, s->ranks, s->salt);
        delay(s, c->rank, i, 0);
        part_prepare(&x, &t, c->rank, c->pool);
        Status status = comm_prepare(c, &x.call);
        if (status == OK) status = comm_start(c, &x.call, &x.request, clock_ns());
        delay(s, c->rank, i, 1);
        if (status == OK) status = job_complete(c, &x.request);
        job_release(c, &x.call);
        if (status != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        if (!part_verify(&x, c->pool, failure, STATUS_TEXT) || status != OK)
            comm_abandon(c, ERR_FAILED, failure);
    }
}

// The serial communicator, ranks starting in another order each time.
static void sweep_serial(Sweep *s) {
    CommWorld *w = job_world(COMM_SERIAL, s->ranks, 0);
    Comm c[JOB_RANKS];
    for (int r = 0; r < s->ranks; r++) {
        ck_assert_ok(comm_join(&c[r], w, r));
        job_everyone(&c[r]);
    }
    for (int i = 0; i < CASES; i++) {
        Case t;
        Part x[JOB_RANKS];
        case_draw(&t, i, s->ranks, s->salt);
        for (int r = 0; r < s->ranks; r++) part_prepare(&x[r], &t, r, c[r].pool);
        for (int k = 0; k < s->ranks; k++) {
            int r = (k * (i % 2 ? 1 : s->ranks - 1) + i) % s->ranks;
            if (s->ranks == 1) r = 0;
            ck_assert_ok(comm_prepare(&c[r], &x[r].call));
            ck_assert_ok(comm_start(&c[r], &x[r].call, &x[r].request, clock_ns()));
            ck_assert_ok(comm_test(&c[r], &x[r].request, &x[r].done));
            ck_assert_int_eq(x[r].done, k == s->ranks - 1);
        }
        for (int r = 0; r < s->ranks; r++) {
            char failure[STATUS_TEXT];
            ck_assert_ok(comm_test(&c[r], &x[r].request, &x[r].done));
            ck_assert(x[r].done);
            job_release(&c[r], &x[r].call);
            ck_assert_msg(part_verify(&x[r], c[r].pool, failure, sizeof failure), "%s", failure);
        }
    }
    comm_world_destroy(w);
}

// Where a link is emulated, what it does with the data.
static const StarLink fast = {INT64_C(100000000000), 1000000, 1000};

static void sweep_linked(CommKind kind, int delays, uint32_t salt) {
    for (int ranks = 1; ranks <= 7; ranks += ranks < 3 ? 1 : 4) {
        Sweep s = {.ranks = ranks, .delays = delays, .salt = salt};
        CommWorld *w = job_linked_world(kind, ranks, JOB_POOL, &fast);
        job_run(w, kind, ranks, sweep_body, &s);
        comm_world_destroy(w);
    }
}

static void sweep(CommKind kind, int delays, uint32_t salt) {
    static const int ranks[] = {1, 2, 3, 4, 7, 8};
    for (int i = 0; i < 6; i++) {
        Sweep s = {.ranks = ranks[i], .delays = delays, .salt = salt};
        if (kind == COMM_SERIAL) {
            sweep_serial(&s);
            continue;
        }
        CommWorld *w = job_world(kind, s.ranks, 0);
        job_run(w, kind, s.ranks, sweep_body, &s);
        comm_world_destroy(w);
    }
}

START_TEST(every_collective_is_right_in_serial) {
    sweep(COMM_SERIAL, 0, 1);
    sweep(COMM_SERIAL, 0, 2);
}
END_TEST

START_TEST(every_collective_is_right_between_threads) {
    sweep(COMM_THREAD, 0, 1);
    sweep(COMM_THREAD, 0, 2);
}
END_TEST

START_TEST(every_collective_is_right_between_processes) {
    sweep(COMM_SHM, 0, 1);
    sweep(COMM_SHM, 0, 2);
}
END_TEST

START_TEST(delays_change_nothing_between_threads) { sweep(COMM_THREAD, 1, 3); }
END_TEST

START_TEST(delays_change_nothing_between_processes) { sweep(COMM_SHM, 1, 4); }
END_TEST

START_TEST(an_emulated_link_changes_no_result) {
    sweep_linked(COMM_THREAD, 1, 5);
    sweep_linked(COMM_SHM, 0, 6);
}
END_TEST

// --- lanes, groups, order

// Four collectives in flight on four lanes, in an order of testing that differs between ranks.
static void lanes_body(Comm *c, void *context, char *failure) {
    job_everyone(c);
    for (int round = 0; round < 50 && !*failure; round++) {
        Part x[CASE_LANES];
        int64_t base = 0;
        for (int l = 0; l < CASE_LANES; l++) {
            Case t;
            case_draw(&t, (int)(case_hash((uint32_t)round, (uint32_t)l, 0, 5) % CASES), c->ranks,
                      9);
            if (t.elements == CASE_MANY) {  // one array, as sizes would add up to more
                t.elements = 2000;
                t.size_count = 0;
            }
            t.lane = l;
            t.base = base;
            part_prepare(&x[l], &t, c->rank, c->pool);
            base = x[l].end;
        }
        Status status = OK;
        for (int l = 0; l < CASE_LANES && status == OK; l++) status = comm_prepare(c, &x[l].call);
        for (int l = 0; l < CASE_LANES && status == OK; l++)
            status = comm_start(c, &x[l].call, &x[l].request, clock_ns());
        for (int left = CASE_LANES; left > 0 && status == OK;) {
            const CommRequest *waiting[CASE_LANES];
            int count = 0;
            for (int k = 0; k < CASE_LANES && status == OK; k++) {
                int l = (k + c->rank) % CASE_LANES;
                if (x[l].done) continue;
                status = comm_test(c, &x[l].request, &x[l].done);
                if (x[l].done)
                    left--;
                else
                    waiting[count++] = &x[l].request;
            }
            if (count && status == OK) status = comm_idle(c, waiting, count, INT64_MAX);
        }
        if (status != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        job_release(c, &x[0].call);
        for (int l = 0; l < CASE_LANES; l++)
            if (!part_verify(&x[l], c->pool, failure, STATUS_TEXT)) break;
        if (*failure) comm_abandon(c, ERR_FAILED, failure);
    }
}

START_TEST(several_lanes_are_in_flight_at_once) {
    for (int ranks = 2; ranks <= 4; ranks++)
        for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
            for (int linked = 0; linked < 2; linked++) {
                CommWorld *w = linked ? job_linked_world(kind, ranks, JOB_POOL, &fast)
                                      : job_world(kind, ranks, 0);
                job_run(w, kind, ranks, lanes_body, NULL);
                comm_world_destroy(w);
            }
}
END_TEST

// Even and odd ranks each by themselves, on one lane; the two groups do different
// numbers of rounds.
static void groups_body(Comm *c, void *context, char *failure) {
    const int members[2][2] = {{0, 2}, {3, 1}};  // position 0 is rank 3: an order of its own
    int odd = c->rank & 1;
    Scalar s;
    CommRequest r;
    CommCall *call = scalar_call(&s, "group");
    double *x = c->pool;
    call->group = 3;
    if (comm_group(c, 3, members[odd], 2) || comm_prepare(c, call))
        snprintf(failure, STATUS_TEXT, "%s", status_message());
    for (int i = 0; i < 100 + 50 * odd; i++) {
        *x = c->rank + 10;
        if (job_call(c, call, &r) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        if (*x != (odd ? 24 : 22)) snprintf(failure, STATUS_TEXT, "sum %g", *x);
    }
}

START_TEST(groups_on_one_lane_do_not_meet) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 4, 0);
        job_run(w, kind, 4, groups_body, NULL);
        comm_world_destroy(w);
    }
}
END_TEST

// One rank comes 30 ms late: everyone sees its arrival as the last.
typedef struct {
    int late;
    int64_t start_ns[3], arrival_ns[3];
} Arrivals;

static void arrival_body(Comm *c, void *context, char *failure) {
    Arrivals *a = context;
    Scalar s;
    CommRequest r;
    job_everyone(c);
    if (c->rank == a->late) clock_sleep_ns(30000000);
    if (job_call_once(c, scalar_call(&s, "x"), &r) != OK)
        snprintf(failure, STATUS_TEXT, "%s", status_message());
    a->start_ns[c->rank] = r.start_ns;
    a->arrival_ns[c->rank] = r.arrival_ns;
}

START_TEST(the_last_arrival_is_known_to_all) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int late = 0; late < 3; late++) {
            CommWorld *w = job_world(kind, 3, 0);
            Arrivals *a = job_memory(sizeof *a);
            a->late = late;
            job_run(w, kind, 3, arrival_body, a);
            for (int r = 0; r < 3; r++) {
                ck_assert_int_le(a->start_ns[r], a->start_ns[late]);
                ck_assert_int_eq(a->arrival_ns[r], a->start_ns[late]);
            }
            munmap(a, sizeof *a);
            comm_world_destroy(w);
        }
}
END_TEST

// Ranks that sleep at once. Were a wake-up lost, the sleep would end by itself 20 ms later, and
// 1,000 exchanges would take 20 s; with wake-ups they take some 60 ms.
static void sleep_body(Comm *c, void *context, char *failure) {
    Scalar s;
    CommRequest r;
    job_everyone(c);
    if (comm_prepare(c, scalar_call(&s, "x")))
        snprintf(failure, STATUS_TEXT, "%s", status_message());
    for (int i = 0; i < 1000; i++)
        if (job_call(c, &s.call, &r) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
}

START_TEST(sleepers_are_woken) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world_with(kind, 2, JOB_POOL, &(CommOptions){.spin_ns = 1, .cores = 2});
        int64_t start = clock_ns();
        job_run(w, kind, 2, sleep_body, NULL);
        ck_assert_int_lt(clock_ns() - start, INT64_C(10000000000));
        comm_world_destroy(w);
    }
}
END_TEST

// Between a NaN and a number the maximum is the NaN, wherever it stands.
static void nan_body(Comm *c, void *context, char *failure) {
    job_everyone(c);
    for (int where = 0; where < 3; where++) {
        Scalar s;
        CommRequest r;
        scalar_call(&s, "x");
        s.call.reduce = REDUCE_MAX;
        *(double *)c->pool = c->rank == where ? (double)NAN : 1.0;
        if (job_call_once(c, &s.call, &r) != OK)
            snprintf(failure, STATUS_TEXT, "%s", status_message());
        if (!isnan(*(double *)c->pool))
            snprintf(failure, STATUS_TEXT, "the NaN of rank %d is lost", where);
    }
}

START_TEST(a_maximum_keeps_a_nan) {
    CommWorld *w = job_world(COMM_THREAD, 3, 0);
    job_run(w, COMM_THREAD, 3, nan_body, NULL);
    comm_world_destroy(w);
}
END_TEST

SUITE_SECONDS("comm", 120, every_collective_is_right_in_serial,
              every_collective_is_right_between_threads,
              every_collective_is_right_between_processes, delays_change_nothing_between_threads,
              delays_change_nothing_between_processes, an_emulated_link_changes_no_result,
              several_lanes_are_in_flight_at_once, groups_on_one_lane_do_not_meet,
              the_last_arrival_is_known_to_all, sleepers_are_woken, a_maximum_keeps_a_nan)
