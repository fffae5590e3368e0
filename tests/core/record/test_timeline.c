// SPDX-License-Identifier: MIT
// Spans are kept whole or not at all, and every instant of a step belongs to one category.
#include "core/base/rng.h"
#include "core/record/timeline.h"
#include "tests/support/allocations.h"
#include "tests/support/testing.h"

// A plan with one operation of each class that the breakdown treats differently; the index
// is the operation.
enum { COMPUTE, SECOND_COMPUTE, ALL_REDUCE, RECEIVE, LOAD, OPS };
static Work works[OPS] = {{.kind = KIND_LINEAR},
                          {.kind = KIND_SGD},
                          {.kind = KIND_ALL_REDUCE},
                          {.kind = KIND_RECEIVE},
                          {.kind = KIND_LOAD}};
static Op ops[OPS] = {{.work = 0}, {.work = 1}, {.work = 2}, {.work = 3}, {.work = 4}};
static const Program program = {
    .works = works, .work_count = OPS, .plans = {{.ops = ops, .op_count = OPS}}, .plan_count = 1};

// Times of these tests are nanoseconds.
static void add(Timeline *t, int op, int start, int end, int wait, int cpu) {
    timeline_add_span(t, &(Span){.op = op,
                                 .start_ps = start * 1000,
                                 .end_ps = end * 1000,
                                 .wait_ns = wait,
                                 .cpu_ns = cpu});
}

static void check_breakdown(const Timeline *t, int step, const int64_t want_ns[TIME_COUNT]) {
    int64_t got[TIME_COUNT];
    timeline_breakdown(&program, t, &t->steps[step], got);
    for (int b = 0; b < TIME_COUNT; b++)
        ck_assert_msg(got[b] == want_ns[b] * 1000, "%s is %lld ps, not %lld ns",
                      time_category_name((TimeCategory)b), (long long)got[b],
                      (long long)want_ns[b]);
}

START_TEST(an_instant_counts_for_the_first_cause_that_applies) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 1, 8));
    timeline_begin_step(&t, 0, 0, 0);
    // load 0..10; compute 10..40, of which 25 on the CPU; all-reduce 30..80, the last member
    // arrives at 60; receive 70..95, the sender arrives at 90; the step ends at 100.
    add(&t, LOAD, 0, 10, 0, 10);
    add(&t, COMPUTE, 10, 40, 0, 25);
    add(&t, ALL_REDUCE, 30, 80, 30, 0);
    add(&t, RECEIVE, 70, 95, 20, 0);
    timeline_end_step(&t, 100 * 1000);
    // 0..10 host, 10..40 compute 25 + contended 5, 40..60 waiting, 60..80 all-reduce in
    // progress (70..80 also a bubble, which comes later), 80..90 bubble, 90..95 receive in
    // progress, 95..100 idle.
    check_breakdown(&t, 0, (int64_t[TIME_COUNT]){25, 5, 20 + 5, 10, 20, 10, 5});
    ck_assert_close(timeline_coverage(&t, &t.steps[0]), 0.95, 1e-15);
    timeline_destroy(&t);
}
END_TEST

START_TEST(a_wait_is_hidden_by_computation) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 1, 8));
    timeline_begin_step(&t, 0, 0, 0);
    add(&t, ALL_REDUCE, 0, 20, 15, 0);
    add(&t, COMPUTE, 0, 30, 0, 30);
    timeline_end_step(&t, 30 * 1000);
    check_breakdown(&t, 0, (int64_t[TIME_COUNT]){30, 0, 0, 0, 0, 0, 0});
    timeline_destroy(&t);
}
END_TEST

START_TEST(waits_and_cpu_times_beyond_the_span_are_cut_to_it) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 1, 8));
    timeline_begin_step(&t, 0, 0, 0);
    add(&t, COMPUTE, 0, 10, 0, 99);
    add(&t, ALL_REDUCE, 10, 30, 99, 0);
    timeline_end_step(&t, 30 * 1000);
    check_breakdown(&t, 0, (int64_t[TIME_COUNT]){10, 0, 0, 0, 20, 0, 0});
    timeline_destroy(&t);
}
END_TEST

START_TEST(what_reaches_beyond_the_step_is_cut_off) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 1, 8));
    timeline_begin_step(&t, 0, 0, 50 * 1000);
    add(&t, LOAD, 20, 40, 0, 0);        // before the step
    add(&t, ALL_REDUCE, 30, 60, 0, 0);  // 50..60 lies in it
    add(&t, LOAD, 90, 120, 0, 0);       // 90..100
    add(&t, COMPUTE, 110, 130, 0, 20);  // after it
    timeline_end_step(&t, 100 * 1000);
    check_breakdown(&t, 0, (int64_t[TIME_COUNT]){0, 0, 10, 0, 0, 10, 30});
    ck_assert_close(timeline_coverage(&t, &t.steps[0]), 20.0 / 50, 1e-15);
    timeline_destroy(&t);
}
END_TEST

START_TEST(a_step_without_spans_is_idle) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 2, 1));
    timeline_begin_step(&t, 0, 0, 7 * 1000);
    timeline_end_step(&t, 9 * 1000);
    timeline_begin_step(&t, 0, 1, 9 * 1000);
    timeline_end_step(&t, 9 * 1000);
    check_breakdown(&t, 0, (int64_t[TIME_COUNT]){[TIME_IDLE] = 2});
    check_breakdown(&t, 1, (int64_t[TIME_COUNT]){0});
    ck_assert_close(timeline_coverage(&t, &t.steps[0]), 0, 0);
    ck_assert_close(timeline_coverage(&t, &t.steps[1]), 1, 0);
    timeline_destroy(&t);
}
END_TEST

START_TEST(spans_are_kept_in_order_of_their_end) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 3, 2, 8));
    timeline_begin_step(&t, 0, 4, 0);
    add(&t, COMPUTE, 0, 50, 0, 0);
    timeline_end_step(&t, 50 * 1000);
    timeline_begin_step(&t, 0, 5, 50 * 1000);
    add(&t, COMPUTE, 0, 30, 0, 0);
    add(&t, ALL_REDUCE, 0, 10, 0, 0);
    add(&t, RECEIVE, 5, 30, 0, 0);
    add(&t, LOAD, 0, 20, 0, 0);
    timeline_end_step(&t, 60 * 1000);
    const int order[] = {COMPUTE, ALL_REDUCE, LOAD, COMPUTE,
                         RECEIVE};  // an earlier step stays in front
    for (int i = 0; i < 5; i++) ck_assert_int_eq(t.spans[i].op, order[i]);
    ck_assert_int_eq(t.steps[1].span_first, 1);
    ck_assert_int_eq(t.steps[1].span_count, 4);
    ck_assert_int_eq(t.spans[4].step, 5);
    ck_assert_int_eq(t.spans[4].rank, 3);
    timeline_destroy(&t);
}
END_TEST

START_TEST(a_step_that_does_not_fit_is_dropped_whole_and_counted) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 4, 5));
    for (int step = 0; step < 5; step++) {  // 2 spans, 4 (2 too many), 1 (would fit), 1, 1
        StepRecord *s = timeline_begin_step(&t, 0, step, step * 1000);
        s->loss = step;
        for (int i = 0; i < (step == 0 ? 2 : step == 1 ? 4 : 1); i++)
            add(&t, COMPUTE, step, step + 1, 0, 0);
        timeline_end_step(&t, (step + 1) * 1000);
    }
    ck_assert_int_eq(t.span_count, 2);
    ck_assert_int_eq(t.step_count, 4);  // the fifth has no room even for its record
    ck_assert_int_eq(t.dropped, 4);
    ck_assert(t.steps[0].complete && !t.steps[1].complete && !t.steps[2].complete);
    ck_assert_int_eq(t.steps[1].span_count, 0);
    ck_assert_close(t.steps[3].loss, 3, 0);  // what is known of a step is kept
    ck_assert_int_eq(t.steps[3].end_ps, 4000);
    timeline_destroy(&t);
}
END_TEST

START_TEST(recording_and_breaking_down_allocate_nothing) {
    Timeline t;
    ck_assert_ok(timeline_create(&t, 0, 10, 100));
    int before = allocations();
    for (int step = 0; step < 12; step++) {
        timeline_begin_step(&t, 0, step, step * 10);
        for (int i = 0; i < 12; i++) add(&t, i % OPS, i, 20 - i, 1, 1);
        timeline_end_step(&t, step * 10 + 10);
    }
    int64_t times[TIME_COUNT];
    timeline_breakdown(&program, &t, &t.steps[0], times);
    int after = allocations();
    ck_assert_int_eq(after, before);
    timeline_destroy(&t);
}
END_TEST

// What is running during nanosecond `x`, straight from the definition: the first category that
// any span asks for.
static TimeCategory category_of_instant(const Timeline *t, const StepRecord *s, int x) {
    int best = TIME_IDLE;
    int64_t contended = 0;
    for (int i = s->span_first; i < s->span_first + s->span_count; i++) {
        const Span *span = &t->spans[i];
        int64_t start = span->start_ps / 1000, end = span->end_ps / 1000;
        if (x < start && x >= start - span->issue_ps / 1000 && best > TIME_HOST) best = TIME_HOST;
        if (x < start || x >= end) continue;
        bool arrived = x >= start + span->wait_ns;
        int category = TIME_HOST;
        switch (span->op) {
        case COMPUTE:
        case SECOND_COMPUTE:
            contended = end - start - span->cpu_ns;
            category = x < start + contended ? TIME_CONTENDED : TIME_COMPUTE;
            break;
        case ALL_REDUCE: category = arrived ? TIME_EXPOSED_COMM : TIME_WAITING; break;
        case RECEIVE: category = arrived ? TIME_EXPOSED_COMM : TIME_BUBBLE; break;
        }
        if (category < best) best = category;
    }
    return (TimeCategory)best;
}

START_TEST(random_steps_are_broken_down_as_instant_by_instant) {
    Rng r;
    rng_init(&r, 7, RNG_TEST, 0, 0);
    for (int trial = 0; trial < 2000; trial++) {
        Timeline t;
        ck_assert_ok(timeline_create(&t, 0, 1, 16));
        int begin = (int)rng_below(&r, 30), end = begin + (int)rng_below(&r, 90);
        timeline_begin_step(&t, 0, 0, begin * 1000);
        for (int n = (int)rng_below(&r, 17); n > 0; n--) {
            int start = (int)rng_below(&r, 110), duration = (int)rng_below(&r, 40);
            int issue = (int)rng_below(&r, 2) ? (int)rng_below(&r, 20) : 0;
            timeline_add_span(&t, &(Span){.op = (int)rng_below(&r, OPS),
                                          .start_ps = start * 1000,
                                          .end_ps = (start + duration) * 1000,
                                          .wait_ns = (int)rng_below(&r, 50),
                                          .cpu_ns = (int)rng_below(&r, 50),
                                          .issue_ps = issue * 1000});
        }
        timeline_end_step(&t, end * 1000);

        int64_t want[TIME_COUNT] = {0}, got[TIME_COUNT], sum = 0;
        for (int x = begin; x < end; x++) want[category_of_instant(&t, &t.steps[0], x)] += 1000;
        timeline_breakdown(&program, &t, &t.steps[0], got);
        for (int b = 0; b < TIME_COUNT; b++) {
            ck_assert_msg(got[b] == want[b], "trial %d: %s is %lld ps, not %lld", trial,
                          time_category_name((TimeCategory)b), (long long)got[b],
                          (long long)want[b]);
            sum += got[b];
        }
        ck_assert_int_eq(sum, (end - begin) * 1000);
        if (end > begin)
            ck_assert_close(timeline_coverage(&t, &t.steps[0]),
                            1 - (double)want[TIME_IDLE] / (1000.0 * (end - begin)), 1e-12);
        timeline_destroy(&t);
    }
}
END_TEST

START_TEST(names_of_sources_and_categories_are_those_of_the_files) {
    ck_assert_str_eq(time_category_name(TIME_EXPOSED_COMM), "exposed_comm");
    ck_assert_str_eq(span_source_name(SOURCE_CALIBRATED), "calibrated");
    ck_assert_int_eq(span_source_find("roofline"), SOURCE_ROOFLINE);
    ck_assert_int_eq(span_source_find("guessed"), -1);
}
END_TEST

SUITE("timeline", an_instant_counts_for_the_first_cause_that_applies,
      a_wait_is_hidden_by_computation, waits_and_cpu_times_beyond_the_span_are_cut_to_it,
      what_reaches_beyond_the_step_is_cut_off, a_step_without_spans_is_idle,
      spans_are_kept_in_order_of_their_end, a_step_that_does_not_fit_is_dropped_whole_and_counted,
      recording_and_breaking_down_allocate_nothing,
      random_steps_are_broken_down_as_instant_by_instant,
      names_of_sources_and_categories_are_those_of_the_files)
