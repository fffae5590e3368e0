// SPDX-License-Identifier: MIT
// plan_check()'s walk over the ranks: how it grows with them, and that leaving out ranks that do
// the same changes no verdict.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/rng.h"
#include "core/plan/check.h"
#include "tests/support/plan_maker.h"

static Status check_one(const Program *p) {
    const ProgramSet set = program_set_of_one(p);
    return plan_check(&set);
}

// A mesh data x pipe with a group and a lane each along data, along pipe, and one along pipe on a
// second lane; tensors a to d, all alike.
static Plan *make_mesh(Program *p, int data, int pipe) {
    Plan *plan;
    int groups[2];
    ck_assert_ok(program_add_axis(p, "data", data, NULL));
    ck_assert_ok(program_add_axis(p, "pipe", pipe, NULL));
    ck_assert_ok(program_add_group(p, "data", 1, &groups[0]));
    ck_assert_ok(program_add_group(p, "pipe", 2, &groups[1]));
    ck_assert_ok(program_add_lane(p, "compute", LANE_COMPUTE, NONE, NULL));
    ck_assert_ok(program_add_lane(p, "data", LANE_COMMUNICATION, groups[0], NULL));
    ck_assert_ok(program_add_lane(p, "pipe", LANE_COMMUNICATION, groups[1], NULL));
    ck_assert_ok(program_add_lane(p, "back", LANE_COMMUNICATION, groups[1], NULL));
    ck_assert_ok(program_add_plan(p, "step", &plan));
    for (int t = 0; t < 4; t++)
        make_tensor(p, (char[]){(char)('a' + t), '\0'}, ROLE_PARAMETER, PLACEMENT_REPLICATED,
                    SHAPE(4), DTYPE_F32);
    return plan;
}

// Each rank a class of its own, so that none is left out; rank r executes p[of[r]].
static Status check_each(const Program *p, const uint8_t *of) {
    enum { MOST = 9 };
    Program programs[MOST];
    RankClass classes[MOST] = {0};
    int ranks = program_ranks(p);
    for (int r = 0; r < ranks; r++) {
        programs[r] = p[of[r]];
        snprintf(classes[r].name, sizeof classes[r].name, "rank%d", r);
        for (int a = 0; a < p->axis_count; a++) {
            int at = r / p->axes[a].stride % p->axes[a].size;
            rank_class_confine(&classes[r], a, at, at);
        }
    }
    return plan_check(&(ProgramSet){.programs = programs, .classes = classes, .count = ranks});
}

enum { COMPUTE, DATA, PIPE, BACK };

static void spread(Program *p, Plan *plan, int lane, const char *tensor) {
    make_op(
        p, plan,
        (OpSpec){
            .name = "spread", .kind = KIND_BROADCAST, .lane = lane, .group = lane == DATA ? 0 : 1},
        tensor, tensor);
}

static void give(Program *p, Plan *plan, int lane, int peer, int64_t tag) {
    make_op(p, plan,
            (OpSpec){.name = "give",
                     .kind = KIND_SEND,
                     .lane = lane,
                     .group = 1,
                     .peer = peer,
                     .attrs = &tag},
            "", "a");
}

static void take(Program *p, Plan *plan, int lane, int peer, int64_t tag) {
    make_op(p, plan,
            (OpSpec){.name = "take",
                     .kind = KIND_RECEIVE,
                     .lane = lane,
                     .group = 1,
                     .peer = peer,
                     .attrs = &tag},
            "b", "");
}

// One after the other they would take longer than the test may.
START_TEST(ranks_that_do_the_same_are_checked_as_one) {
    Program p = {0};
    Plan *plan = make_mesh(&p, 1 << 21, 2);
    for (int i = 0; i < 32; i++) spread(&p, plan, i % 2 ? DATA : PIPE, "a");
    clock_t start = clock();
    ck_assert_ok(check_one(&p));
    ck_assert_int_lt(clock() - start, CLOCKS_PER_SEC / 2);
    program_finish(&p);
}
END_TEST

// A step that looked at every rank for each rank would take 10^10 looks.
START_TEST(ranks_that_exchange_with_their_neighbours_are_checked_in_linear_time) {
    Program p = {0};
    Plan *plan = make_mesh(&p, 1, 100000);
    for (int i = 0; i < 4; i++) {
        give(&p, plan, PIPE, 1, i);
        take(&p, plan, BACK, -1, i);
    }
    spread(&p, plan, PIPE, "c");
    ck_assert_ok(check_one(&p));
    program_finish(&p);
}
END_TEST

START_TEST(a_message_that_goes_the_wrong_way_is_no_exchange) {
    Program p = {0};
    Plan *plan = make_mesh(&p, 2, 3);
    give(&p, plan, PIPE, 1, 0);
    take(&p, plan, BACK, 1, 0);
    ck_assert_fails(check_one(&p), ERR_PLAN,
                    "deadlock: rank 0: give waits for rank 2; rank 1: give waits for rank 3;");
    program_finish(&p);
}
END_TEST

START_TEST(only_members_communicate_in_a_group_at_positions) {
    Program p = {0};
    Plan *plan = make_mesh(&p, 2, 3);
    int embed, lane;
    ck_assert_ok(program_add_group_at(&p, "embed", 2, 1, (int[]){0, 2}, 2, &embed));
    ck_assert_ok(program_add_lane(&p, "embed", LANE_COMMUNICATION, embed, &lane));
    make_op(&p, plan,
            (OpSpec){.name = "tied", .kind = KIND_BROADCAST, .lane = lane, .group = embed}, "a",
            "a");
    ck_assert_fails(check_one(&p), ERR_PLAN, "plan step: tied: rank 2 is not in group embed");
    program_finish(&p);
}
END_TEST

START_TEST(a_lane_carries_one_group_on_all_ranks) {
    Program p[2] = {0};
    for (int c = 0; c < 2; c++) {
        Plan *plan = make_mesh(&p[c], 2, 2);
        p[c].lanes[PIPE].group = NONE;
        make_op(&p[c], plan,
                (OpSpec){.name = "spread", .kind = KIND_BROADCAST, .lane = PIPE, .group = c}, "a",
                "a");
    }
    ck_assert_fails(check_each(p, (uint8_t[]){0, 1, 1, 0}), ERR_PLAN,
                    "lane pipe carries group data on rank 0, but group pipe on rank 2");
    for (int c = 0; c < 2; c++) program_finish(&p[c]);
}
END_TEST

// --- facts that the ranks of a run compare before its first step, too

// Both contribute 16 bytes: one member folds two parts into one, the other brings one part.
START_TEST(members_of_a_reduction_fold_as_many_parts) {
    Program p[2] = {0};
    for (int c = 0; c < 2; c++) {
        Plan *plan = make_mesh(&p[c], 2, 1);
        make_tensor(&p[c], "two", ROLE_PARAMETER, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
        make_tensor(&p[c], "one", ROLE_PARAMETER, PLACEMENT_SUM, SHAPE(4), DTYPE_F32);
        make_tensor(&p[c], "sum", ROLE_BUFFER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        make_op(&p[c], plan,
                (OpSpec){.name = "fold", .kind = KIND_ALL_REDUCE, .lane = DATA, .parts = c ? 1 : 2},
                "sum", c ? "one" : "one two");
        ck_assert_ok(check_each(p, (uint8_t[]){(uint8_t)c, (uint8_t)c}));
    }
    ck_assert_fails(check_each(p, (uint8_t[]){0, 1}), ERR_PLAN,
                    "rank 0 issues all_reduce fold (direct, 16 bytes) where rank 1 issues "
                    "all_reduce fold (direct, 16 bytes); they differ in parts=");
    for (int c = 0; c < 2; c++) program_finish(&p[c]);
}
END_TEST

// One after the other, each fact of the second member's collective is changed.
START_TEST(what_members_issue_differently_is_named) {
    static const char *const facts[] = {
        "kind", "bytes", "dtype=", "unit=", "reduce=", "algorithm=", "order=", "peer=", NULL};
    for (int i = 0; facts[i]; i++) {
        Program p[2] = {0};
        char want[32];
        for (int c = 0; c < 2; c++) {
            Plan *plan = make_mesh(&p[c], 2, 1);
            bool sums = strcmp(facts[i], "peer=");
            Placement place = !sums         ? PLACEMENT_REPLICATED
                              : c && i == 4 ? PLACEMENT_MAX
                                            : PLACEMENT_SUM;
            make_tensor(&p[c], "x", ROLE_PARAMETER, place, SHAPE(4), DTYPE_F32);
            make_tensor(&p[c], "wide", ROLE_PARAMETER, place, SHAPE(8), DTYPE_F32);
            make_tensor(&p[c], "real", ROLE_PARAMETER, place, SHAPE(2), DTYPE_F64);
            OpSpec op = {.name = "sum",
                         .kind = sums ? KIND_ALL_REDUCE : KIND_BROADCAST,
                         .lane = DATA,
                         .order = ORDER_SCHEDULE};
            if (c && i == 0) op.kind = KIND_REDUCE;
            if (c && i == 2) op.dtype = DTYPE_F64;
            if (c && i == 3) op.unit = 2;
            if (c && i == 4) op.reduce = REDUCE_MAX;
            if (c && i == 5) op.algorithm = ALGORITHM_RING;
            if (c && i == 6) op.order = ORDER_RANK;
            if (c && i == 7) op.peer = 1;
            const char *x = c && i == 1 ? "wide" : c && i == 2 ? "real" : "x";
            make_op(&p[c], plan, op, x, x);
            Status s = check_each(p, (uint8_t[]){(uint8_t)c, (uint8_t)c});
            ck_assert_msg(s == OK, "%s: %s", facts[i], status_message());
        }
        snprintf(want, sizeof want, "they differ in %s", facts[i]);
        ck_assert_fails(check_each(p, (uint8_t[]){0, 1}), ERR_PLAN, want);
        for (int c = 0; c < 2; c++) program_finish(&p[c]);
    }
}
END_TEST

// Both gather 48 bytes, of tensors of 8 and 4 elements, but one in the other order.
START_TEST(members_gather_tensors_of_equal_sizes) {
    Program p[2] = {0};
    for (int c = 0; c < 2; c++) {
        Plan *plan = make_mesh(&p[c], 2, 1);
        make_tensor(&p[c], "four", ROLE_PARAMETER, PLACEMENT_SHARD(0), SHAPE(4), DTYPE_F32);
        make_tensor(&p[c], "two", ROLE_PARAMETER, PLACEMENT_SHARD(0), SHAPE(2), DTYPE_F32);
        make_tensor(&p[c], "all_four", ROLE_BUFFER, PLACEMENT_REPLICATED, SHAPE(8), DTYPE_F32);
        make_tensor(&p[c], "all_two", ROLE_BUFFER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
        make_op(&p[c], plan, (OpSpec){.name = "join", .kind = KIND_ALL_GATHER, .lane = DATA},
                c ? "all_two all_four" : "all_four all_two", c ? "two four" : "four two");
        ck_assert_ok(check_each(p, (uint8_t[]){(uint8_t)c, (uint8_t)c}));
    }
    ck_assert_fails(check_each(p, (uint8_t[]){0, 1}), ERR_PLAN,
                    "they differ in the sizes of their tensors");
    for (int c = 0; c < 2; c++) program_finish(&p[c]);
}
END_TEST

// Two groups with the same members carry messages of their own.
START_TEST(a_message_is_received_in_the_group_in_which_it_is_sent) {
    for (int same = 0; same < 2; same++) {
        Program p = {0};
        Plan *plan = make_mesh(&p, 1, 2);
        int64_t tag = 0;
        int all, lane;
        ck_assert_ok(program_add_group(&p, "all", 3, &all));
        ck_assert_ok(program_add_lane(&p, "all", LANE_COMMUNICATION, all, &lane));
        give(&p, plan, PIPE, 1, tag);
        make_op(&p, plan,
                (OpSpec){.name = "take",
                         .kind = KIND_RECEIVE,
                         .lane = same ? BACK : lane,
                         .group = same ? 1 : all,
                         .peer = -1,
                         .attrs = &tag},
                "b", "");
        if (same)
            ck_assert_ok(check_one(&p));
        else
            ck_assert_fails(check_one(&p), ERR_PLAN, "deadlock: rank 0: give waits for rank 1");
        program_finish(&p);
    }
}
END_TEST

// Four numbers of 8 bytes are no eight numbers of 4.
START_TEST(a_message_has_one_type_at_both_ends) {
    for (int same = 0; same < 2; same++) {
        Program p = {0};
        Plan *plan = make_mesh(&p, 1, 2);
        int64_t tag = 0;
        Dtype received = same ? DTYPE_F64 : DTYPE_F32;
        make_tensor(&p, "sent", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F64);
        make_tensor(&p, "got", ROLE_BUFFER, PLACEMENT_REPLICATED, SHAPE(same ? 4 : 8), received);
        make_op(&p, plan,
                (OpSpec){.name = "give",
                         .kind = KIND_SEND,
                         .lane = PIPE,
                         .group = 1,
                         .peer = 1,
                         .dtype = DTYPE_F64,
                         .attrs = &tag},
                "", "sent");
        make_op(&p, plan,
                (OpSpec){.name = "take",
                         .kind = KIND_RECEIVE,
                         .lane = BACK,
                         .group = 1,
                         .peer = -1,
                         .dtype = received,
                         .attrs = &tag},
                "got", "");
        if (same)
            ck_assert_ok(check_one(&p));
        else
            ck_assert_fails(check_one(&p), ERR_PLAN,
                            "rank 1 sends f64 in give, rank 0 expects f32 in take");
        program_finish(&p);
    }
}
END_TEST

static void add_random_op(Program *p, Plan *plan, Rng *rng) {
    static const char *const tensors[] = {"a", "b", "c", "d"};
    int what = (int)rng_below(rng, 5), peer = rng_below(rng, 2) ? 1 : -1;
    if (what == 0) spread(p, plan, DATA, tensors[rng_below(rng, 4)]);
    if (what == 1) spread(p, plan, PIPE, tensors[rng_below(rng, 4)]);
    if (what == 2)
        make_op(p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, tensors[rng_below(rng, 4)],
                tensors[rng_below(rng, 4)]);
    if (what < 3) return;
    int64_t tag = (int64_t)rng_below(rng, 2);
    bool turned = rng_below(rng, 4) == 0;
    give(p, plan, turned ? BACK : PIPE, peer, tag);
    take(p, plan, turned ? PIPE : BACK, rng_below(rng, 8) ? -peer : peer, tag);
}

// Of one class with the same plan, ranks are left out.
START_TEST(leaving_ranks_out_changes_no_verdict) {
    Rng rng;
    rng_init(&rng, 7, RNG_TEST, 0, 0);
    int accepted = 0, refused = 0;
    for (int trial = 0; trial < 2000; trial++) {
        Program p = {0};
        Plan *plan = make_mesh(&p, 3, 1 + (int)rng_below(&rng, 3));
        for (int i = 0; i < 5; i++) add_random_op(&p, plan, &rng);
        ck_assert_ok(plan_derive_deps(&p, plan));
        for (int i = 0; i < 2; i++) {
            int op = (int)rng_below(&rng, (uint32_t)plan->op_count - 1);
            ck_assert_ok(plan_add_dep(plan, op + 1, op, DEP_ORDER, 0));
        }
        Status one = check_one(&p), all = check_each(&p, (uint8_t[9]){0});
        ck_assert_int_eq(one, all);
        *(one == OK ? &accepted : &refused) += 1;
        program_finish(&p);
    }
    ck_assert_int_gt(accepted, 200);
    ck_assert_int_gt(refused, 200);
}
END_TEST

SUITE("check_ranks", ranks_that_do_the_same_are_checked_as_one,
      ranks_that_exchange_with_their_neighbours_are_checked_in_linear_time,
      a_message_that_goes_the_wrong_way_is_no_exchange,
      only_members_communicate_in_a_group_at_positions, a_lane_carries_one_group_on_all_ranks,
      members_of_a_reduction_fold_as_many_parts, what_members_issue_differently_is_named,
      members_gather_tensors_of_equal_sizes,
      a_message_is_received_in_the_group_in_which_it_is_sent, a_message_has_one_type_at_both_ends,
      leaving_ranks_out_changes_no_verdict)
