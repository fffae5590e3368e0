// SPDX-License-Identifier: MIT
#include "core/base/clock.h"
#include "parallel/comm/comm_internal.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

typedef struct {
    unsigned absent;  // bit r: rank r takes part in `rounds` all-reduces only
    int rounds;
    const char *says;  // what the others must be told
} Accident;

static void accident_body(Comm *c, void *context, char *failure) {
    const Accident *a = context;
    Scalar s;
    CommRequest r;
    job_everyone(c);
    Status status = comm_prepare(c, scalar_call(&s, "bucket0"));
    for (int i = 0; status == OK && i < 1000000; i++) {
        if (a->absent >> c->rank & 1 && i == a->rounds) return;
        status = job_call(c, &s.call, &r);
    }
    if (status != ERR_PEER || !strstr(status_message(), a->says))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(status),
                 status_message());
}

static void desert(unsigned absent, int rounds, const char *says) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 4, 200);
        Accident a = {.absent = absent, .rounds = rounds, .says = says};
        job_run(w, kind, 4, accident_body, &a);
        int rank = -1;
        const char *text = NULL;
        ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PEER);
        ck_assert_int_eq(rank, 1);
        ck_assert_ptr_nonnull(strstr(text, says));
        comm_world_destroy(w);
    }
}

START_TEST(a_rank_that_never_arrives_is_named) {
    desert(1 << 1, 0, "rank 1 did not arrive at all_reduce bucket0 within 0.2 s (rank ");
}
END_TEST

START_TEST(all_ranks_that_do_not_arrive_are_named) {
    desert(1 << 1 | 1 << 3, 3,
           "ranks 1, 3 did not arrive at all_reduce bucket0 within 0.2 s (rank ");
}
END_TEST

// Rank 2 of 3 is killed or stopped in the middle of a million all-reduces. lost: somebody watches
// and says so, long before the time-out.
static void strike(int signal, bool lost) {
    CommWorld *w = job_world(COMM_SHM, 3, lost ? 600000 : 300);
    Accident a = {.says = lost ? "rank 2 was killed" : "rank 2 did not "};
    Job job;
    job_start(&job, w, COMM_SHM, 3, accident_body, &a);
    const pid_t pids[] = {job.rank[0].pid, job.rank[1].pid, job.rank[2].pid};
    clock_sleep_ns(20000000);
    ck_assert_int_eq(kill(pids[2], signal), 0);
    if (lost) {
        ck_assert_int_eq(waitpid(pids[2], NULL, 0), pids[2]);
        comm_world_lost(w, 2, "rank 2 was killed");
    }
    for (int r = 0; r < 2; r++) ck_assert_int_eq(waitpid(pids[r], NULL, 0), pids[r]);
    for (int r = 0; r < 2; r++)
        ck_assert_msg(!job.failures[r][0], "rank %d: %s", r, job.failures[r]);
    int rank = -1;
    const char *text = NULL;
    ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PEER);
    ck_assert_int_eq(rank, 2);
    if (!lost) {
        kill(pids[2], SIGKILL);
        waitpid(pids[2], NULL, 0);
    }
    comm_world_destroy(w);
}

START_TEST(a_killed_process_ends_the_others_after_the_time_out) { strike(SIGKILL, false); }
END_TEST
START_TEST(a_stopped_process_ends_the_others_after_the_time_out) { strike(SIGSTOP, false); }
END_TEST
START_TEST(a_lost_process_ends_the_others_at_once) { strike(SIGKILL, true); }
END_TEST

// Rank 0 waits for rank 1, which waits for rank 2, which does not come: whoever looks first after
// its time-out, rank 2 is named. Times of waiting are set here, so that the order does not depend
// on the machine.
typedef struct {
    bool exchange;    // rank 1 waits at an exchange; else for a message
    bool rank_0_long;  // rank 0 has waited for the time-out before rank 1 begins; rank 1 never has
    const char *says;
} Chain;

static Status wait_in_vain(Comm *c, CommRequest *r, bool patient) {
    for (;;) {
        bool done;
        TRY(comm_test(c, r, &done));
        if (done) FAIL(ERR_FAILED, "the message has come");
        if (patient) r->waited_ns = c->world->timeout_ns / 2;
        comm_post(c, 1);
        TRY(comm_idle(c, &(const CommRequest *){r}, 1, INT64_MAX));
    }
}

static Status wait_for_next(Comm *c, const Chain *chain) {
    Message m;
    int all[3];
    if (c->rank == 1 && chain->exchange) {
        comm_post(c, 1);
        return comm_exchange(c, &c->rank, sizeof c->rank, all);
    }
    TRY(comm_prepare(c, message(&m, c->rank + 1, true, 0, 0, 0, 2)));
    while (c->rank == 0 && !comm_peek(c, 1)) clock_sleep_ns(1000000);
    TRY(comm_start(c, &m.call, &m.request, clock_ns()));
    if (c->rank == 0) m.request.waited_ns = c->world->timeout_ns;
    return wait_in_vain(c, &m.request, c->rank == 1 && chain->rank_0_long);
}

static void chain_body(Comm *c, void *context, char *failure) {
    const Chain *chain = context;
    job_everyone(c);
    if (c->rank == 2) return;
    Status status = wait_for_next(c, chain);
    if (status != ERR_PEER || !strstr(status_message(), chain->says))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(status),
                 status_message());
}

START_TEST(who_waits_itself_is_not_the_one_that_is_lost) {
    static const Chain chains[] = {
        {false, false, "rank 2"},
        {true, false, "rank 2"},
        {false, true,
         "rank 1 did not answer receive message within 1 s (rank 0 waits) but waits itself, in the "
         "end for rank 2"}};
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++)
        for (int i = 0; i < 3; i++) {
            CommWorld *w = job_world(kind, 3, 500);
            Chain chain = chains[i];
            job_run(w, kind, 3, chain_body, &chain);
            int rank = -1;
            const char *text = NULL;
            ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PEER);
            ck_assert_int_eq(rank, 2);
            comm_world_destroy(w);
        }
}
END_TEST

// Ranks 0 and 1 wait for each other's message: nobody is silent, and the wait ends nevertheless.
static void circle_body(Comm *c, void *context, char *failure) {
    Message m;
    job_everyone(c);
    Status status = comm_prepare(c, message(&m, 1 - c->rank, true, 0, 0, 0, 2));
    if (status == OK) status = job_call(c, &m.call, &m.request);
    if (status != ERR_PEER || !strstr(status_message(), "answer receive message within 0.4 s"))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(status),
                 status_message());
}

START_TEST(ranks_that_wait_for_each_other_end_after_twice_the_time_out) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 2, 200);
        job_run(w, kind, 2, circle_body, NULL);
        comm_world_destroy(w);
    }
}
END_TEST

static void abandon_body(Comm *c, void *context, char *failure) {
    Scalar s;
    CommRequest r;
    job_everyone(c);
    if (c->rank == 1) {
        clock_sleep_ns(5000000);
        comm_abandon(c, ERR_FAILED, "loss is not a number at step 3");
        comm_abandon(c, ERR_IO, "a second thought");
        return;
    }
    Status status = job_call_once(c, scalar_call(&s, "x"), &r);
    if (status != ERR_PEER || strcmp(status_message(), "loss is not a number at step 3"))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(status),
                 status_message());
}

START_TEST(the_first_rank_that_gives_up_is_heard_by_all) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 2, 0);
        job_run(w, kind, 2, abandon_body, NULL);
        int rank = -1;
        const char *text = NULL;
        ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_FAILED);
        ck_assert_int_eq(rank, 1);
        ck_assert_str_eq(text, "loss is not a number at step 3");
        comm_world_destroy(w);
    }
}
END_TEST

static void mismatch_body(Comm *c, void *context, char *failure) {
    Scalar s;
    CommRequest r;
    job_everyone(c);
    scalar_call(&s, "bucket0");
    if (c->rank) s.call.kind = COLLECTIVE_BROADCAST;
    Status status = job_call_once(c, &s.call, &r);
    if (status == OK ||
        !strstr(status_message(), "brings all_reduce (direct, 1 part(s) of 1 f64, root 0)") ||
        !strstr(status_message(), "brings broadcast (direct, 1 part(s) of 1 f64, root 0)"))
        snprintf(failure, STATUS_TEXT, "unexpected: \"%s\"", status_message());
}

// Rank 1 is away for more than twice the time-out, then arrives.
static void away_body(Comm *c, void *context, char *failure) {
    const bool *says = context;
    Scalar s;
    CommRequest r;
    int all[3];
    job_everyone(c);
    Status status = comm_prepare(c, scalar_call(&s, "bucket0"));
    for (int i = 0; i < 2 && status == OK; i++) {
        if (c->rank == 1) {
            if (*says) comm_set_away(c, true);
            clock_sleep_ns(500000000);
            comm_set_away(c, false);
        }
        status = i ? comm_exchange(c, &c->rank, sizeof c->rank, all) : job_call(c, &s.call, &r);
    }
    if (status != (*says ? OK : ERR_PEER))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(status),
                 status_message());
}

START_TEST(a_rank_that_says_that_it_is_away_is_waited_for) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        for (int says = 0; says < 2; says++) {
            CommWorld *w = job_world(kind, 3, 200);
            job_run(w, kind, 3, away_body, &(bool){says});
            comm_world_destroy(w);
        }
    }
}
END_TEST

START_TEST(different_collectives_on_one_lane_are_an_error) {
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, 2, 0);
        job_run(w, kind, 2, mismatch_body, NULL);
        int rank;
        const char *text;
        ck_assert_int_eq(comm_world_failure(w, &rank, &text), ERR_PLAN);
        comm_world_destroy(w);
    }
}
END_TEST

START_TEST(the_serial_communicator_says_who_waits_for_whom) {
    CommWorld *w = job_world(COMM_SERIAL, 3, 0);
    Comm c[3];
    Scalar s[3];
    CommRequest r[3];
    char text[512];
    for (int i = 0; i < 3; i++) {
        ck_assert_ok(comm_join(&c[i], w, i));
        job_everyone(&c[i]);
        scalar_call(&s[i], i == 2 ? "bucket1" : "bucket0");
        s[i].call.lane = i == 2;
        ck_assert_ok(comm_prepare(&c[i], &s[i].call));
        if (i != 1) ck_assert_ok(comm_start(&c[i], &s[i].call, &r[i], clock_ns()));
    }
    comm_world_explain(w, text, sizeof text);
    ck_assert_str_eq(text, "rank 0 waits at all_reduce bucket0 for ranks 1, 2; rank 2 waits at "
                           "all_reduce bucket1 for ranks 0, 1");
    comm_world_explain(w, text, 10);
    ck_assert_str_eq(text, "rank 0 wa");
    comm_world_destroy(w);
}
END_TEST

START_TEST(lists_of_ranks_are_short) {
    static const struct {
        uint64_t set;
        const char *text;
    } lists[] = {{1 << 3, "rank 3"},
                 {3, "ranks 0, 1"},
                 {7 << 1, "ranks 1-3"},
                 {1 | 1 << 2 | 15 << 5 | 3 << 10, "ranks 0, 2, 5-8, 10, 11"},
                 {UINT64_MAX, "ranks 0-63"},
                 {UINT64_MAX << 1, "ranks 1-63"},
                 {UINT64_C(1) << 63, "rank 63"}};
    char text[RANKS_TEXT];
    for (int i = 0; i < 7; i++)
        ck_assert_str_eq(call_ranks_text(text, lists[i].set), lists[i].text);
    // The longest has every second rank.
    call_ranks_text(text, UINT64_C(0x5555555555555555));
    ck_assert_str_eq(text + strlen(text) - 12, ", 58, 60, 62");
}
END_TEST

SUITE("comm_fault", lists_of_ranks_are_short, a_rank_that_never_arrives_is_named,
      all_ranks_that_do_not_arrive_are_named, a_killed_process_ends_the_others_after_the_time_out,
      a_stopped_process_ends_the_others_after_the_time_out, a_lost_process_ends_the_others_at_once,
      the_first_rank_that_gives_up_is_heard_by_all, different_collectives_on_one_lane_are_an_error,
      a_rank_that_says_that_it_is_away_is_waited_for, who_waits_itself_is_not_the_one_that_is_lost,
      ranks_that_wait_for_each_other_end_after_twice_the_time_out,
      the_serial_communicator_says_who_waits_for_whom)
