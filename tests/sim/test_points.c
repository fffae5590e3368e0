// SPDX-License-Identifier: MIT
// Points on threads: each as predict_job() makes it alone, refused ones beside others, and the
// first error of several.
#include "sim/points.h"
#include "tests/support/testing.h"

#include <stdatomic.h>
#include <string.h>

static Arena arena;
static Machine machine;
enum { COUNT = 12, NOBODY = -1 };
static Point points[COUNT];

// Which points fail how, and after how many the rest is stopped.
typedef struct {
    int refused, failed[2];
    int stop_after;
    atomic_int made;
    int followed, all;
} Script;

static SimJob job_of(int i) {
    SimJob job = {.spec = job_spec_default()};
    job.spec.model = "linear";
    job.spec.device = "timed:dgx-a100";
    job.spec.ranks = 1 + i % 4;
    job.spec.batch = 64 * job.spec.ranks;
    return job;
}

static Status make(void *context, PointInput *out, Arena *a, int i) {
    Script *s = context;
    SimJob *job = ARENA_NEW(a, SimJob, 1);
    if (!job) FAIL(ERR_MEMORY, "out of memory");
    atomic_fetch_add(&s->made, 1);
    if (i == s->refused) FAIL(ERR_USAGE, "point %d is refused", i);
    if (i == s->failed[0] || i == s->failed[1]) FAIL(ERR_INPUT, "point %d cannot be read", i);
    *job = job_of(i);
    out->job = job;
    out->setting = (SimSetting){.machine = &machine, .devices = true};
    return OK;
}

static void follow(void *context, int ended, int all_ended) {
    Script *s = context;
    ck_assert_int_ge(ended, s->followed);
    ck_assert_int_ge(all_ended, s->all);
    ck_assert_int_le(ended, all_ended);
    s->followed = ended;
    s->all = all_ended;
}

static bool go_on(void *context) {
    Script *s = context;
    return atomic_load(&s->made) < s->stop_after;
}

static Status run(Script *s, int threads) {
    const PointWork work = {s, make, follow, go_on};
    if (!machine.name) ck_assert_ok(machine_read(&machine, &arena, "dgx-a100"));
    return points_run(points, COUNT, threads, &work);
}

static Script script(void) {
    return (Script){.refused = NOBODY, .failed = {NOBODY, NOBODY}, .stop_after = 1000};
}

START_TEST(a_point_is_what_it_is_alone_on_any_number_of_threads) {
    for (int threads = 0; threads <= 4; threads++) {
        Script s = script();
        s.refused = 5;
        ck_assert_ok(run(&s, threads));
        ck_assert_int_eq(s.followed, COUNT);
        for (int i = 0; i < COUNT; i++) {
            Prediction p;
            const SimJob job = job_of(i);
            const SimSetting setting = {.machine = &machine, .devices = true, .unkept = true};
            ck_assert_ok(predict_job(&p, &arena, &job, &setting));
            ck_assert_int_eq(points[i].state, i == 5 ? POINT_REFUSED : POINT_DONE);
            if (i == 5) continue;
            ck_assert_double_eq(points[i].step_ms, p.step_ms);
            ck_assert_int_eq(points[i].ranks, 1 + i % 4);
            ck_assert_int_eq(points[i].memory_bytes, p.memory_bytes);
            ck_assert(point_fits(&points[i]));
        }
        ck_assert_str_eq(points[5].why, "point 5 is refused");
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(the_first_of_several_errors_is_reported) {
    Script s = script();
    s.failed[0] = 3;
    s.failed[1] = 0;
    ck_assert_fails(run(&s, 1), ERR_INPUT, "point 0 cannot be read");
    ck_assert_int_eq(points[1].state, POINT_OPEN);
    s.failed[1] = NOBODY;  // now it is 3
    for (int threads = 1; threads <= 3; threads++) {
        s.followed = s.all = 0;
        ck_assert_fails(run(&s, threads), ERR_INPUT, "point 3 cannot be read");
        ck_assert_int_eq(points[3].state, POINT_OPEN);
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(what_ended_before_an_interruption_is_kept) {
    Script s = script();
    s.stop_after = 4;  // the fourth is stopped while it is simulated, or was done
    ck_assert_fails(run(&s, 1), ERR_INTERRUPTED, "interrupted");
    for (int i = 0; i < 3; i++) ck_assert_int_eq(points[i].state, POINT_DONE);
    for (int i = 4; i < COUNT; i++) ck_assert_int_eq(points[i].state, POINT_OPEN);
    arena_finish(&arena);
}
END_TEST

SUITE("points", a_point_is_what_it_is_alone_on_any_number_of_threads,
      the_first_of_several_errors_is_reported, what_ended_before_an_interruption_is_kept)
