// SPDX-License-Identifier: MIT
// ZeRO-1 (Rajbhandari et al., 2020) from a plan: each rank updates its share inside the whole
// weight, which an all_gather in place completes. The weights are those of data parallelism.
#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "parallel/strategy/collective_work.h"
#include "tests/support/comm_job.h"
#include "tests/support/plan_ranks.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

enum { ELEMENTS = 21, STEPS = 3 };  // 3 x 7

static const char head[] = "tandem plan 2\n"
                           "mesh data=%d\n"
                           "group data  axes=data\n"
                           "lane compute  compute\n"
                           "lane data     communication  group=data\n"
                           "logical w   f32 3x7  parameter\n"
                           "logical v   f32 3x7  optimiser\n"
                           "logical x   f32 %dx7  optimiser\n"
                           "logical dy  f32 %dx3  optimiser\n"
                           "logical dw  f32 3x7  gradient\n"
                           "logical lr  f64 1  scalar\n"
                           "tensor w   f32 3x7  parameter\n"
                           "tensor x   f32 2x7  optimiser  place=S0\n"
                           "tensor dy  f32 2x3  optimiser  place=S0\n"
                           "tensor dw  f32 3x7  gradient  place=P+\n"
                           "tensor lr  f64 1  scalar  source=learning_rate\n";

static const char replicated[] =
    "tensor v   f32 3x7  optimiser\n"
    "plan step  when=each_step\n"
    "backward linear_backward_weight @compute dw <- x dy\n"
    "sum all_reduce @data dw <- dw\n"
    "update sgd @compute w v <- dw lr  momentum=0.9 weight_decay=0.01 nesterov=0\n";

static const char sharded[] =
    "tensor v   f32 %d  optimiser  place=S:flat/%d\n"
    "tensor w.own   f32 %d  parameter  of=w  place=S:flat/%d  alias=w\n"
    "tensor dw.own  f32 %d  gradient  of=dw  place=S:flat/%d%s\n"
    "plan step  when=each_step\n"
    "backward linear_backward_weight @compute dw <- x dy\n"
    "scatter reduce_scatter @data dw.own <- dw  unit=%d\n"
    "update sgd @compute w.own v <- dw.own lr  momentum=0.9 weight_decay=0.01 nesterov=0\n"
    "gather all_gather @data w <- w.own  unit=%d\n";

typedef struct {
    float (*w)[ELEMENTS];  // [rank], in memory that processes share
} Weights;

static void bring(Executor *e, int64_t step, void *context) {
    float *x = plan_ranks_data(e, "x"), *dy = plan_ranks_data(e, "dy");
    float *w = plan_ranks_data(e, "w");
    for (int i = 0; i < 14; i++) x[i] = 0.1F * (float)(e->rank + 1) + 0.37F * (float)(i + step);
    for (int i = 0; i < 6; i++) dy[i] = 0.03F * (float)(i - 2 * e->rank) + 0.01F * (float)step;
    for (int i = 0; i < ELEMENTS && step == 0; i++) w[i] = 0.5F / (float)(i + 1);
    *(double *)plan_ranks_data(e, "lr") = 0.07;
}

static void keep(Executor *e, int64_t step, void *context, char *failure) {
    const Weights *k = context;
    memcpy(k->w[e->rank], plan_ranks_data(e, "w"), sizeof *k->w);
}

static void check(int ranks, int unit, const char *gradient, CommKind kind) {
    char text[4096], want[4096];
    Weights got = {job_memory(PLAN_RANKS * ELEMENTS * sizeof(float))};
    Weights whole = {job_memory(PLAN_RANKS * ELEMENTS * sizeof(float))};
    int units = (ELEMENTS + unit - 1) / unit, room = (units + ranks - 1) / ranks * unit;
    if (room > ELEMENTS) room = ELEMENTS;
    int n = snprintf(text, sizeof text, head, ranks, 2 * ranks, 2 * ranks);
    snprintf(text + n, sizeof text - (size_t)n, sharded, room, unit, room, unit, room, unit,
             gradient, unit, unit);
    n = snprintf(want, sizeof want, head, ranks, 2 * ranks, 2 * ranks);
    snprintf(want + n, sizeof want - (size_t)n, "%s", replicated);
    plan_ranks_run(&(PlanRanks){text, STEPS, &got, bring, keep, NULL}, kind);
    plan_ranks_run(&(PlanRanks){want, STEPS, &whole, bring, keep, NULL}, COMM_SERIAL);
    for (int r = 0; r < ranks; r++)
        ck_assert_msg(!memcmp(got.w[r], whole.w[0], sizeof *got.w),
                      "%d ranks, unit %d: rank %d has other weights", ranks, unit, r);
}

// 21 elements: in units of 8 and 16 the last share is cut off; of 32 two of three ranks get none.
static void check_all(const char *gradient) {
    static const int units[] = {1, 7, 8, 16, 32};
    for (int kind = 0; kind < COMM_KINDS; kind++)
        for (int ranks = 2; ranks <= 3; ranks++)
            for (int u = 0; u < 5; u++) check(ranks, units[u], gradient, (CommKind)kind);
}

START_TEST(a_share_is_updated_inside_the_whole_parameter) { check_all(""); }
END_TEST

START_TEST(a_share_of_the_gradient_may_lie_inside_the_whole_too) { check_all("  alias=dw"); }
END_TEST

// Unit 8 on two ranks, with one edit.
static void check_refused(const char *gradient, const char *from, const char *to,
                          const char *says) {
    char text[4096], edited[4096];
    ProgramSet set;
    int n = snprintf(text, sizeof text, head, 2, 4, 4);
    snprintf(text + n, sizeof text - (size_t)n, sharded, 16, 8, 16, 8, 16, 8, gradient, 8, 8);
    const char *at = strstr(text, from);
    ck_assert_ptr_nonnull(at);
    snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    ck_assert_ok(plan_text_parse(&set, edited, strlen(edited), "test"));
    ck_assert_fails(plan_check(&set), ERR_PLAN, says);
    program_set_finish(&set);
}

START_TEST(shares_that_are_not_there_or_lie_elsewhere_are_refused) {
    check_refused("", "gather all_gather @data w <- w.own  unit=8", "copy copy @compute dw <- w",
                  "reads w, but since this rank wrote w.own, a share");
    check_refused("  alias=dw", "scatter reduce_scatter @data dw.own <- dw  unit=8\n", "",
                  "dw.own is a share of dw, which is P+ along data, not R");
    check_refused("", "w <- w.own  unit=8", "w <- w.own  unit=16",
                  "unit= of the collective is not the N of S:flat/N");
    check_refused("", "dw.own <- dw  unit=8", "dw.own <- dw  unit=16",
                  "unit= of the collective is not the N of S:flat/N");
}
END_TEST

// A last share with room for 20 elements that begins at element 20 of 21 needs memory for 40.
START_TEST(the_whole_has_room_for_the_largest_share) {
    char text[4096];
    ProgramSet set;
    int n = snprintf(text, sizeof text, head, 2, 4, 4);
    snprintf(text + n, sizeof text - (size_t)n, sharded, 20, 20, 20, 20, 20, 20, "  alias=dw", 20,
             20);
    ck_assert_ok(plan_text_parse(&set, text, strlen(text), "test"));
    ck_assert_ok(plan_check(&set));
    ck_assert_ok(collective_work_lower(&set, &(DeviceTraits){.name = "plain"}));
    ck_assert_int_eq(set.programs[0].role_bytes[POOL_SHARED][ROLE_PARAMETER], 192);
    ck_assert_int_eq(set.programs[0].role_bytes[POOL_SHARED][ROLE_GRADIENT], 192);
    program_set_finish(&set);
}
END_TEST

SUITE("share_views", a_share_is_updated_inside_the_whole_parameter,
      a_share_of_the_gradient_may_lie_inside_the_whole_too,
      shares_that_are_not_there_or_lie_elsewhere_are_refused,
      the_whole_has_room_for_the_largest_share)
