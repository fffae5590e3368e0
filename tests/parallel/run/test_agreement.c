// SPDX-License-Identifier: MIT
// Ranks of unlike programs, side by side: those that fit each other pass, of the others the first
// operation that differs is named.
#include "core/plan/build.h"
#include "parallel/run/agreement.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

// Two stages of a pipeline, of two ranks each: data is the lower axis.
typedef struct {
    const char *name;
    Kind kind;
    int lane, peer, elements;
    int64_t tag;
} Issue;
enum { RANKS = 4, DATA = 0, PIPE = 1, SUMS = 0, DOWN = 1, UP = 2, ISSUES = 8 };
typedef Issue Stage[ISSUES];  // name NULL: the end

static void build(Program *p, const Issue *issues) {
    static const char *const lanes[] = {"sums", "down", "up"};
    Plan *plan;
    ck_assert_ok(program_add_axis(p, "data", 2, NULL));
    ck_assert_ok(program_add_axis(p, "pipe", 2, NULL));
    ck_assert_ok(program_add_group(p, "data", 1 << 0, NULL));
    ck_assert_ok(program_add_group(p, "pipe", 1 << 1, NULL));
    for (int i = 0; i < 3; i++)
        ck_assert_ok(
            program_add_lane(p, lanes[i], LANE_COMMUNICATION, i == SUMS ? DATA : PIPE, NULL));
    ck_assert_ok(program_add_plan(p, "step", &plan));
    for (const Issue *x = issues; x->name; x++) {
        int logical, tensor;
        ck_assert_ok(program_add_logical(
            p,
            &(LogicalSpec){
                .name = x->name, .shape = {x->elements}, .dims = 1, .role = ROLE_GRADIENT},
            &logical));
        ck_assert_ok(program_add_tensor(
            p, &(TensorSpec){.name = x->name, .logical = logical, .role = ROLE_GRADIENT}, &tensor));
        bool receives = x->kind == KIND_RECEIVE, sends = x->kind == KIND_SEND;
        ck_assert_ok(plan_add_op(p, plan,
                                 &(OpSpec){.name = x->name,
                                           .kind = x->kind,
                                           .lane = x->lane,
                                           .group = x->lane == SUMS ? DATA : PIPE,
                                           .peer = x->peer,
                                           .attrs = &x->tag,
                                           .outputs = &tensor,
                                           .inputs = &tensor,
                                           .output_count = !sends,
                                           .input_count = !receives},
                                 NULL));
    }
}

// What both stages do when they fit: the first has a bucket more, and they send both ways.
static const Stage first = {{"y", KIND_SEND, DOWN, 1, 64, 0},
                            {"bucket0", KIND_ALL_REDUCE, SUMS, 0, 10, 0},
                            {"dy", KIND_RECEIVE, UP, 1, 32, 1},
                            {"bucket1", KIND_ALL_REDUCE, SUMS, 0, 20, 0}},
                   last = {{"bucket2", KIND_ALL_REDUCE, SUMS, 0, 7, 0},
                           {"dx", KIND_SEND, UP, -1, 32, 1},
                           {"x", KIND_RECEIVE, DOWN, -1, 64, 0}};

typedef struct {
    Program programs[RANKS];
    const char *says;  // NULL: they fit
} Trial;

static Status compare(Comm *c, const Program *p) {
    Agreement a;
    agreement_init(&a, c, p);
    for (bool more = true; more;) {
        TRY(agreement_bring(&a));
        TRY(agreement_look(&a, &more));
    }
    return OK;
}

static void compare_body(Comm *c, void *context, char *failure) {
    const Trial *t = context;
    Status s = compare(c, &t->programs[c->rank]);
    if (!t->says ? s != OK : s != ERR_PLAN || !strstr(status_message(), t->says))
        snprintf(failure, STATUS_TEXT, "unexpected: %s, \"%s\"", status_name(s),
                 s ? status_message() : "");
}

static void compare_in_serial(const Trial *t) {
    CommWorld *w = job_world(COMM_SERIAL, RANKS, 0);
    Comm c[RANKS];
    Agreement a[RANKS];
    Status s = OK;
    for (int r = 0; r < RANKS; r++) {
        ck_assert_ok(comm_join(&c[r], w, r));
        agreement_init(&a[r], &c[r], &t->programs[r]);
    }
    for (bool more = true; more && s == OK;) {
        for (int r = 0; r < RANKS; r++) ck_assert_ok(agreement_bring(&a[r]));
        for (int r = 0; r < RANKS && s == OK; r++) s = agreement_look(&a[r], &more);
    }
    ck_assert_int_eq(s, t->says ? ERR_PLAN : OK);
    if (t->says) ck_assert_msg(strstr(status_message(), t->says) != NULL, "%s", status_message());
    comm_world_destroy(w);
}

// Ranks 0 and 1 are the first stage, 2 and 3 the last, but rank `odd` (NONE: none) has its own.
static void try(int odd, const Issue *own, const char *says) {
    Trial t = {.says = says};
    for (int r = 0; r < RANKS; r++) build(&t.programs[r], r == odd ? own : r < 2 ? first : last);
    compare_in_serial(&t);
    for (CommKind kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        CommWorld *w = job_world(kind, RANKS, 0);
        job_run(w, kind, RANKS, compare_body, &t);
        comm_world_destroy(w);
    }
    for (int r = 0; r < RANKS; r++) program_finish(&t.programs[r]);
}

START_TEST(stages_that_fit_each_other_agree) { try(NONE, NULL, NULL); }
END_TEST

// The same as the others of its stage, but for one number, or one operation.
START_TEST(a_collective_that_differs_is_named) {
    Stage own;
    memcpy(own, first, sizeof own);
    own[3].elements = 21;
    try(1, own,
        "rank 1 would communicate otherwise than rank 0 in group data: its collective 1 is "
        "all_reduce bucket1 (84 bytes of f32) in plan step, that of rank 0 all_reduce bucket1 (80 "
        "bytes of f32) in plan step");
    memcpy(own, last, sizeof own);
    own[0] = (Issue){"other", KIND_BROADCAST, SUMS, 0, 7, 0};
    try(2, own, "rank 3 would communicate otherwise than rank 2 in group data: its collective 0");
    memcpy(own, first, sizeof own);
    own[3].name = NULL;
    try(0, own, "all_reduce bucket1 (80 bytes of f32) in plan step, that of rank 0 nothing more");
}
END_TEST

START_TEST(a_message_that_differs_is_named) {
    Stage own;
    memcpy(own, last, sizeof own);
    own[2].elements = 63;
    try(2, own,
        "rank 0 would send to rank 2 otherwise than that receives in group pipe: message 0 is "
        "send y (256 bytes of f32) in plan step, there receive x (252 bytes of f32) in plan step");
    own[2] = (Issue){"x", KIND_RECEIVE, DOWN, -1, 64, 2};
    try(3, own, "rank 1 would send to rank 3 otherwise than that receives in group pipe");
    own[1] = last[2];
    own[2].name = NULL;
    try(3, own,
        "rank 3 would send to rank 1 otherwise than that receives in group pipe: message 0 is "
        "nothing more, there receive dy");
}
END_TEST

// Which of two lanes comes first in the plan is a rank's own affair.
START_TEST(the_order_across_lanes_may_differ) {
    const Stage own = {{"dx", KIND_SEND, UP, -1, 32, 1},
                       {"x", KIND_RECEIVE, DOWN, -1, 64, 0},
                       {"bucket2", KIND_ALL_REDUCE, SUMS, 0, 7, 0}};
    try(3, own, NULL);
}
END_TEST

SUITE("agreement", stages_that_fit_each_other_agree, a_collective_that_differs_is_named,
      a_message_that_differs_is_named, the_order_across_lanes_may_differ)
