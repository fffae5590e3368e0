// SPDX-License-Identifier: MIT
// all_to_all_v from a plan: rank r has (2 r + 3 to + step) % 5 tokens for rank `to`, so that
// some have none.
#include "core/plan_text/plan_text.h"
#include "parallel/strategy/collective_work.h"
#include "tests/support/plan_ranks.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

enum { UNIT = 3, ROOM = 16 };

static int64_t tokens(int from, int to, int64_t step) { return (2 * from + 3 * to + step) % 5; }
static float element(int from, int to, int64_t i) {
    return (float)(10000 * from + 100 * to + (int)i);
}

// `received`: tokens that the output has room for.
static const char *plan_text(int ranks, int received) {
    static char text[2048];
    snprintf(text, sizeof text,
             "tandem plan 2\n"
             "mesh data=%d\n"
             "group data  axes=data\n"
             "lane compute  compute\n"
             "lane experts  communication  group=data\n"
             "logical x  f32 %dx3  optimiser\n"
             "logical y  f32 %dx3  optimiser\n"
             "logical counts    i64 %d  optimiser\n"
             "logical received  i64 %d  optimiser\n"
             "tensor x  f32 %dx3  optimiser  place=D\n"
             "tensor y  f32 %dx3  optimiser  place=D\n"
             "tensor counts    i64 %d  optimiser  place=D\n"
             "tensor received  i64 %d  optimiser  place=D\n"
             "plan step  when=each_step\n"
             "dispatch all_to_all_v @experts y received <- x counts  unit=3\n",
             ranks, ROOM, received, ranks, ranks, ROOM, received, ranks, ranks);
    return text;
}

static void bring(Executor *e, int64_t step, void *context) {
    float *x = plan_ranks_data(e, "x");
    int64_t *counts = plan_ranks_data(e, "counts");
    for (int to = 0; to < program_ranks(e->program); to++) {
        counts[to] = tokens(e->rank, to, step);
        for (int64_t i = 0; i < counts[to] * UNIT; i++) *x++ = element(e->rank, to, i);
    }
}

static void expect(Executor *e, int64_t step, void *context, char *failure) {
    const float *y = plan_ranks_data(e, "y");
    const int64_t *received = plan_ranks_data(e, "received");
    for (int from = 0; from < program_ranks(e->program); from++) {
        if (received[from] != tokens(from, e->rank, step))
            snprintf(failure, STATUS_TEXT, "step %lld: %lld tokens of rank %d, not %lld",
                     (long long)step, (long long)received[from], from,
                     (long long)tokens(from, e->rank, step));
        for (int64_t i = 0; i < received[from] * UNIT; i++, y++)
            if (*y != element(from, e->rank, i) && !*failure)
                snprintf(failure, STATUS_TEXT, "step %lld: element %lld of rank %d is %g",
                         (long long)step, (long long)i, from, (double)*y);
    }
}

START_TEST(tokens_reach_the_ranks_that_counts_name) {
    for (int kind = 0; kind < COMM_KINDS; kind++)
        for (int ranks = 2; ranks <= PLAN_RANKS; ranks++)
            plan_ranks_run(&(PlanRanks){plan_text(ranks, ROOM), 7, NULL, bring, expect, NULL},
                           (CommKind)kind);
}
END_TEST

static void bring_too_much(Executor *e, int64_t step, void *context) {
    bring(e, step, context);
    ((int64_t *)plan_ranks_data(e, "counts"))[1] = ROOM + 1;
}

START_TEST(more_tokens_than_the_input_has_room_for_are_refused) {
    for (int kind = 0; kind < COMM_KINDS; kind++)
        plan_ranks_run(&(PlanRanks){plan_text(2, ROOM), 1, NULL, bring_too_much, NULL,
                                    "but its input has room for 16"},
                       (CommKind)kind);
}
END_TEST

static void bring_all_to_one(Executor *e, int64_t step, void *context) {
    int64_t *counts = plan_ranks_data(e, "counts");
    counts[0] = 6;
    counts[1] = 1;
}

START_TEST(more_tokens_than_the_output_has_room_for_are_refused) {
    for (int kind = 0; kind < COMM_KINDS; kind++)
        plan_ranks_run(&(PlanRanks){plan_text(2, 10), 1, NULL, bring_all_to_one, NULL,
                                    "rank 0 receives 12 units of 3 from the ranks up to 1, but its "
                                    "output has room for 10"},
                       (CommKind)kind);
}
END_TEST

START_TEST(it_costs_as_if_all_that_there_is_room_for_were_sent) {
    ProgramSet set;
    const char *text = plan_text(4, 2 * ROOM);
    ck_assert_ok(plan_text_parse(&set, text, strlen(text), "test"));
    const Program *p = &set.programs[0];
    const Work *w = op_work(p, &p->plans[0].ops[0]);
    Collective what = collective_work_collective(p, w);
    ck_assert_int_eq(w->payload_bytes, ROOM * UNIT * 4);
    ck_assert_int_eq(what.kind, COLLECTIVE_ALL_TO_ALL);
    ck_assert_int_eq(what.elements, ROOM * UNIT);
    ck_assert_int_eq(what.unit, UNIT);
    program_set_finish(&set);
}
END_TEST

SUITE("all_to_all_v", tokens_reach_the_ranks_that_counts_name,
      more_tokens_than_the_input_has_room_for_are_refused,
      more_tokens_than_the_output_has_room_for_are_refused,
      it_costs_as_if_all_that_there_is_room_for_were_sent)
