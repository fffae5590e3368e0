// SPDX-License-Identifier: MIT
// Schedules of pipelines: complete, free of deadlock, with the bubbles and the memory of their
// papers' closed forms; and schedules that are wrong, which the check names.
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/testing.h"

#include <string.h>

enum { F = 100, I = 90, W = 110 };  // costs of the passes; a whole backward takes 200

static Arena arena;

static PipelineSchedule make(ScheduleKind kind, int ranks, int chunks, int micro_batches) {
    PipelineSchedule s;
    ck_assert_ok(
        pipeline_schedule_create(&s, &arena, &(PipelineShape){kind, ranks, chunks, micro_batches}));
    ck_assert_ok(pipeline_schedule_check(&s));
    return s;
}

static PipelineTimes time_of(const PipelineSchedule *s, int64_t message) {
    PipelineTimes t;
    const PipelineCosts costs = {F, I, W, message};
    ck_assert_ok(pipeline_schedule_time(&t, s, &costs));
    return t;
}

static void assert_order(const PipelineSchedule *s, int rank, const char *want) {
    char text[1024] = "", one[PIPELINE_TASK_TEXT];
    for (int i = 0; i < s->count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, pipeline_task_print(one, &s->tasks[rank * s->count + i]));
    }
    ck_assert_str_eq(text, want);
}

START_TEST(the_orders_are_those_of_the_papers) {
    PipelineSchedule s = make(SCHEDULE_GPIPE, 2, 1, 3);
    assert_order(&s, 0, "F0.0 F0.1 F0.2 B0.0 B0.1 B0.2");
    s = make(SCHEDULE_1F1B, 3, 1, 4);
    assert_order(&s, 0, "F0.0 F0.1 F0.2 B0.0 F0.3 B0.1 B0.2 B0.3");
    assert_order(&s, 2, "F2.0 B2.0 F2.1 B2.1 F2.2 B2.2 F2.3 B2.3");
    s = make(SCHEDULE_INTERLEAVED, 2, 2, 2);
    assert_order(&s, 0, "F0.0 F0.1 F2.0 F2.1 B2.0 B2.1 B0.0 B0.1");
    assert_order(&s, 1, "F1.0 F1.1 F3.0 B3.0 F3.1 B3.1 B1.0 B1.1");
    s = make(SCHEDULE_ZERO_BUBBLE, 3, 1, 3);
    assert_order(&s, 0, "F0.0 F0.1 F0.2 I0.0 W0.0 I0.1 W0.1 I0.2 W0.2");
    assert_order(&s, 2, "F2.0 I2.0 F2.1 I2.1 F2.2 I2.2 W2.0 W2.1 W2.2");
}
END_TEST

// Two ranks, passes of 100 and 200, a message of 10. Rank 0: F0 0-100, F1 100-200, and B0 when
// that of rank 1 has come: rank 1 does F0 110-210, B0 210-410, F1 410-510, B1 510-710.
START_TEST(tasks_end_as_worked_out_by_hand) {
    PipelineSchedule s = make(SCHEDULE_1F1B, 2, 1, 2);
    const int64_t want[] = {100, 200, 620, 920, 210, 410, 510, 710};
    int64_t ends[8];
    ck_assert_ok(pipeline_schedule_ends(ends, &s, &(PipelineCosts){F, I, W, 10}));
    for (int i = 0; i < 8; i++) ck_assert_int_eq(ends[i], want[i]);
}
END_TEST

// With P ranks, M >= P micro-batches, bubbles of every rank: GPipe and 1F1B (P-1)(F+B); interleaved
// that over the chunks, whose passes are so much shorter; ZB-H1 (P-1)(F+I-W) of equal passes.
START_TEST(bubbles_are_those_of_the_closed_forms) {
    for (int ranks = 1; ranks <= 8; ranks++)
        for (int rounds = 1; rounds <= 3; rounds++) {
            int m = ranks * rounds;
            for (int r = 0; r < ranks; r++) {
                PipelineSchedule s = make(SCHEDULE_GPIPE, ranks, 1, m);
                ck_assert_int_eq(time_of(&s, 0).bubble[r], (ranks - 1) * (F + I + W));
                s = make(SCHEDULE_1F1B, ranks, 1, m);
                ck_assert_int_eq(time_of(&s, 0).bubble[r], (ranks - 1) * (F + I + W));
                for (int v = 2; v <= 4; v++) {
                    s = make(SCHEDULE_INTERLEAVED, ranks, v, m);
                    ck_assert_int_eq(time_of(&s, 0).bubble[r], (ranks - 1) * (F + I + W));
                }
                s = make(SCHEDULE_ZERO_BUBBLE, ranks, 1, m);
                PipelineTimes t;
                ck_assert_ok(pipeline_schedule_time(&t, &s, &(PipelineCosts){F, F, F, 0}));
                ck_assert_int_eq(t.bubble[r], (ranks - 1) * F);
            }
        }
}
END_TEST

// 1F1B holds P - s micro-batches at most, GPipe all of them, ZB-H1 no more than 1F1B's first rank,
// interleaved the forwards of its warm-up and one more.
START_TEST(activations_are_those_of_the_closed_forms) {
    for (int ranks = 1; ranks <= 8; ranks++) {
        int m = 2 * ranks;
        PipelineSchedule all[] = {
            make(SCHEDULE_GPIPE, ranks, 1, m), make(SCHEDULE_1F1B, ranks, 1, m),
            make(SCHEDULE_INTERLEAVED, ranks, 3, m), make(SCHEDULE_ZERO_BUBBLE, ranks, 1, m)};
        for (int r = 0; r < ranks; r++) {
            int warm = 2 * (ranks - 1 - r) + 2 * ranks;
            ck_assert_int_eq(time_of(&all[0], 0).peak[r], m);
            ck_assert_int_eq(time_of(&all[1], 0).peak[r], ranks - r);
            ck_assert_int_eq(time_of(&all[2], 0).peak[r], warm + 1 < 3 * m ? warm + 1 : 3 * m);
            ck_assert_int_le(time_of(&all[3], 0).peak[r], ranks);
        }
    }
}
END_TEST

// A message makes its way at least twice over all ranks.
START_TEST(messages_take_their_time) {
    PipelineSchedule s = make(SCHEDULE_1F1B, 4, 1, 1);
    ck_assert_int_eq(time_of(&s, 7).step, 4 * (F + I + W) + 2 * 3 * 7);
    s = make(SCHEDULE_INTERLEAVED, 1, 4, 1);  // between stages of one rank nothing is sent
    ck_assert_int_eq(time_of(&s, 7).step, 4 * (F + I + W));
}
END_TEST

// Any shape, also fewer micro-batches than ranks.
START_TEST(every_shape_can_be_done) {
    for (int ranks = 1; ranks <= 6; ranks++)
        for (int m = 1; m <= 13; m++) {
            make(SCHEDULE_GPIPE, ranks, 1, m);
            make(SCHEDULE_1F1B, ranks, 1, m);
            make(SCHEDULE_ZERO_BUBBLE, ranks, 1, m);
            for (int v = 1; v <= 4 && m % ranks == 0; v++) make(SCHEDULE_INTERLEAVED, ranks, v, m);
        }
}
END_TEST

static void swap(PipelineTask *a, PipelineTask *b) {
    PipelineTask t = *a;
    *a = *b;
    *b = t;
}

START_TEST(wrong_schedules_are_named) {
    PipelineSchedule s = make(SCHEDULE_1F1B, 2, 1, 3);  // F0.0 F0.1 B0.0 F0.2 B0.1 B0.2
    swap(&s.tasks[1], &s.tasks[2]);                     // may as well be, but for the time
    ck_assert_ok(pipeline_schedule_check(&s));
    swap(&s.tasks[0], &s.tasks[1]);
    ck_assert_fails(pipeline_schedule_check(&s), ERR_PLAN, "rank 0 waits for ever before B0.0");
    s = make(SCHEDULE_1F1B, 2, 1, 3);
    swap(&s.tasks[2], &s.tasks[4]);
    ck_assert_fails(pipeline_schedule_check(&s), ERR_PLAN, "B0.1 does not follow micro-batch -1");
    s = make(SCHEDULE_1F1B, 2, 1, 3);
    s.tasks[3] = s.tasks[0];
    ck_assert_fails(pipeline_schedule_check(&s), ERR_PLAN, "rank 0 does F0.0 twice");
    s = make(SCHEDULE_1F1B, 2, 1, 3);
    s.tasks[3] = s.tasks[s.count];
    ck_assert_fails(pipeline_schedule_check(&s), ERR_PLAN, "rank 0 has F1.0, which is not its");
    s = make(SCHEDULE_ZERO_BUBBLE, 2, 1, 2);
    s.tasks[s.count - 1].pass = PASS_BACKWARD;
    ck_assert_fails(pipeline_schedule_check(&s), ERR_PLAN, "rank 0 does B0.1 twice");
    s = make(SCHEDULE_GPIPE, 2, 1, 2);
    s.count = 4;
    s.tasks[3] = (PipelineTask){0, 1, PASS_BACKWARD_INPUT};
    ck_assert_fails(pipeline_schedule_check(&s), ERR_PLAN, "stage 0 lacks a pass of micro-batch 1");
}
END_TEST

START_TEST(shapes_that_make_no_schedule_are_refused_with_what_would_do) {
    PipelineSchedule s;
    static const struct {
        PipelineShape shape;
        const char *message;
    } cases[] = {
        {{SCHEDULE_INTERLEAVED, 4, 2, 6}, "6 = 1 × 4 + 2; give 8"},
        {{SCHEDULE_INTERLEAVED, 4, 2, 3}, "3 = 0 × 4 + 3; give 4"},
        {{SCHEDULE_INTERLEAVED, 8, 2, 9}, "9 = 1 × 8 + 1; give 8"},
        {{SCHEDULE_1F1B, 4, 2, 8}, "2 stages on each rank need the schedule interleaved"},
        {{SCHEDULE_GPIPE, 4, 1, 0}, "0 micro-batches"},
        {{SCHEDULE_GPIPE, 65, 1, 8}, "a pipeline of 65 ranks; at most 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(pipeline_schedule_create(&s, &arena, &cases[i].shape), ERR_USAGE,
                        cases[i].message);
}
END_TEST

SUITE("pipeline_schedule", the_orders_are_those_of_the_papers, tasks_end_as_worked_out_by_hand,
      bubbles_are_those_of_the_closed_forms, activations_are_those_of_the_closed_forms,
      messages_take_their_time, every_shape_can_be_done, wrong_schedules_are_named,
      shapes_that_make_no_schedule_are_refused_with_what_would_do)
