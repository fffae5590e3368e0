// SPDX-License-Identifier: MIT
#include "core/base/clock.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// Everyone sends to the next and receives from the one before, a hundred times.
static void shift_body(Comm *c, void *context, char *failure) {
    int P = c->ranks, next = (c->rank + 1) % P, before = (c->rank + P - 1) % P;
    job_everyone(c);
    for (int i = 0; i < 100 && !*failure; i++) {
        Message out, in;
        message(&out, next, false, 0, 5, 0, 1001);
        message(&in, before, true, 1, 5, 65536, 1001);
        write_message(c, &out, 10000 * c->rank + i);
        Status s = comm_prepare(c, &out.call);
        if (s == OK) s = comm_prepare(c, &in.call);
        if (s == OK) s = comm_start(c, &out.call, &out.request, clock_ns());
        if (s == OK) s = comm_start(c, &in.call, &in.request, clock_ns());
        if (s == OK) s = job_complete(c, &in.request);
        if (s == OK) s = job_complete(c, &out.request);
        job_release(c, &out.call);
        if (s != OK)
            snprintf(failure, STATUS_TEXT, "%s", status_message());
        else if (!is_message(c, &in, 10000 * before + i))
            snprintf(failure, STATUS_TEXT, "wrong message %d", i);
        else if (in.request.arrival_ns < in.request.start_ns)
            snprintf(failure, STATUS_TEXT, "no arrival");
    }
}

// Three messages of one tag, and one of another: the n-th receive takes the n-th send of its tag,
// whatever lanes they use and whichever is tested first.
static void order_body(Comm *c, void *context, char *failure) {
    static const int lanes[] = {3, 1, 2, 0}, tags[] = {7, 7, 7, 8};
    job_everyone(c);
    for (int round = 0; round < 50 && !*failure; round++) {
        Message m[4];
        Status s = OK;
        for (int i = 0; i < 4 && s == OK; i++) {
            message(&m[i], !c->rank, c->rank == 1, c->rank == 0 ? lanes[i] : i, tags[i], 4096 * i,
                    9);
            if (c->rank == 0) write_message(c, &m[i], 1000 * i + round);
            s = comm_prepare(c, &m[i].call);
            if (s == OK) s = comm_start(c, &m[i].call, &m[i].request, clock_ns());
        }
        for (int i = 3; i >= 0 && s == OK; i--) s = job_complete(c, &m[i].request);
        job_release(c, &m[0].call);
        if (s != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
        for (int i = 0; i < 4 && c->rank == 1; i++)
            if (!is_message(c, &m[i], 1000 * i + round))
                snprintf(failure, STATUS_TEXT, "round %d: wrong message %d", round, i);
    }
}

START_TEST(messages_go_round_a_ring) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int ranks = 2; ranks <= 4; ranks++) {
            CommWorld *w = job_world(kind, ranks, 0);
            job_run(w, kind, ranks, shift_body, NULL);
            comm_world_destroy(w);
        }
}
END_TEST

START_TEST(messages_of_one_tag_arrive_in_order) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 2, 0);
        job_run(w, kind, 2, order_body, NULL);
        comm_world_destroy(w);
    }
}
END_TEST

START_TEST(serial_messages_arrive_in_order) {
    static const int lanes[] = {3, 1, 2, 0}, tags[] = {7, 7, 7, 8};
    CommWorld *w = job_world(COMM_SERIAL, 2, 0);
    Comm c[2];
    for (int r = 0; r < 2; r++) {
        ck_assert_ok(comm_join(&c[r], w, r));
        job_everyone(&c[r]);
    }
    Message out[4], in[4];
    bool done;
    for (int i = 0; i < 4; i++) {
        message(&out[i], 1, false, lanes[i], tags[i], 4096 * i, 9);
        message(&in[i], 0, true, i, tags[i], 4096 * i, 9);
        ck_assert_ok(comm_prepare(&c[0], &out[i].call));
        ck_assert_ok(comm_prepare(&c[1], &in[i].call));
        write_message(&c[0], &out[i], 1000 * i);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_ok(comm_start(&c[0], &out[i].call, &out[i].request, clock_ns()));
    for (int i = 0; i < 4; i++)
        ck_assert_ok(comm_start(&c[1], &in[i].call, &in[i].request, clock_ns()));
    for (int i = 2; i < 4; i++)
        ck_assert_ok(comm_start(&c[0], &out[i].call, &out[i].request, clock_ns()));
    for (int i = 0; i < 4; i++) {
        ck_assert_ok(comm_test(&c[1], &in[i].request, &done));
        ck_assert(done);
        ck_assert_ok(comm_test(&c[0], &out[i].request, &done));
        ck_assert(done);
        ck_assert(is_message(&c[1], &in[i], 1000 * i));
    }
    comm_world_destroy(w);
}
END_TEST

static void size_body(Comm *c, void *context, char *failure) {
    Message m;
    job_everyone(c);
    message(&m, !c->rank, c->rank == 1, 0, 3, 0, c->rank ? 10 : 12);
    Status s = job_call_once(c, &m.call, &m.request);
    if (s == OK ||
        !strstr(status_message(),
                "receive message: rank 0 sends 12 i32 with tag 3, rank 1 receives 10 i32"))
        snprintf(failure, STATUS_TEXT, "unexpected: %s", status_message());
}

START_TEST(messages_of_different_sizes_are_an_error_of_both) {
    CommWorld *w = job_world(COMM_THREAD, 2, 0);
    job_run(w, COMM_THREAD, 2, size_body, NULL);
    int rank;
    const char *text;
    ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PLAN);
    comm_world_destroy(w);
}
END_TEST

SUITE("comm_message", messages_go_round_a_ring, messages_of_one_tag_arrive_in_order,
      serial_messages_arrive_in_order, messages_of_different_sizes_are_an_error_of_both)
