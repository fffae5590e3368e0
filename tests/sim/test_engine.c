// SPDX-License-Identifier: MIT
#include "core/base/rng.h"
#include "sim/engine.h"
#include "tests/support/allocations.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

// What came out: an event's `a`, and when; a settling as -1.
typedef struct {
    Engine engine;
    int16_t actor;
    int count;
    struct {
        int64_t time_ps;
        int32_t a;
    } log[4096];
} Diary;

static void note(Diary *d, int32_t a) {
    ck_assert_int_lt(d->count, 4096);
    d->log[d->count].time_ps = d->engine.now_ps;
    d->log[d->count++].a = a;
}

// kind 1: settle this instant; 2: add event a+1 to this instant; 3: fail.
static Status diary_handle(void *context, Event event) {
    Diary *d = context;
    note(d, event.a);
    if (event.kind == 1) engine_settle(&d->engine, d->actor);
    if (event.kind == 2)
        TRY(engine_push(&d->engine, NULL, 0, (Event){d->actor, 0, event.a + 1, 0}));
    if (event.kind == 3) FAIL(ERR_FAILED, "event %d", event.a);
    return OK;
}

static Status diary_settle(void *context) {
    Diary *d = context;
    note(d, -1);
    return OK;
}

static void diary_init(Diary *d) {
    memset(d, 0, sizeof *d);
    ck_assert_ok(engine_init(&d->engine));
    ck_assert_ok(engine_add_actor(&d->engine, &d->actor, d, diary_handle, diary_settle));
}

static EventId push(Diary *d, int64_t delay_ps, int kind, int32_t a) {
    EventId id;
    ck_assert_ok(engine_push(&d->engine, &id, delay_ps, (Event){d->actor, (int16_t)kind, a, 0}));
    return id;
}

static void ck_assert_log(const Diary *d, int i, int64_t time_ps, int32_t a) {
    ck_assert_int_lt(i, d->count);
    ck_assert_int_eq(d->log[i].time_ps, time_ps);
    ck_assert_int_eq(d->log[i].a, a);
}

START_TEST(equal_times_come_out_in_insertion_order) {
    Diary d;
    diary_init(&d);
    for (int32_t i = 0; i < 100; i++) push(&d, i % 2 ? 7000000 : 64, 0, i);
    ck_assert_ok(engine_run(&d.engine));
    ck_assert_int_eq(d.count, 100);
    for (int i = 0; i < 50; i++) {
        ck_assert_log(&d, i, 64, 2 * i);
        ck_assert_log(&d, 50 + i, 7000000, 2 * i + 1);
    }
    engine_finish(&d.engine);
}
END_TEST

START_TEST(a_moved_event_comes_after_those_that_were_there) {
    Diary d;
    diary_init(&d);
    EventId first = push(&d, 10, 0, 1), later = push(&d, 900, 0, 2);
    push(&d, 50, 0, 3);
    ck_assert_ok(engine_move(&d.engine, first, 50));
    ck_assert_ok(engine_move(&d.engine, later, 5));
    ck_assert_ok(engine_run(&d.engine));
    ck_assert_int_eq(d.count, 3);
    ck_assert_log(&d, 0, 5, 2);
    ck_assert_log(&d, 1, 50, 3);
    ck_assert_log(&d, 2, 50, 1);
    engine_finish(&d.engine);
}
END_TEST

START_TEST(a_cancelled_event_never_comes) {
    Diary d;
    diary_init(&d);
    EventId only = push(&d, 1000, 0, 1);
    engine_cancel(&d.engine, only);
    ck_assert_ok(engine_run(&d.engine));
    ck_assert_int_eq(d.count, 0);
    ck_assert_int_eq(d.engine.now_ps, 0);
    push(&d, 2000, 0, 2);
    EventId other = push(&d, 2000, 0, 3);
    push(&d, 2000, 0, 4);
    engine_cancel(&d.engine, other);
    ck_assert_ok(engine_run(&d.engine));
    ck_assert_int_eq(d.count, 2);
    ck_assert_log(&d, 0, 2000, 2);
    ck_assert_log(&d, 1, 2000, 4);
    engine_finish(&d.engine);
}
END_TEST

// 1000 and 1020 ps are in one list; nothing happens at the time that was the earliest of it.
START_TEST(time_does_not_stop_where_an_event_was_cancelled) {
    Diary d;
    diary_init(&d);
    EventId first = push(&d, 1000, 0, 1), moved = push(&d, 1001, 0, 2);
    push(&d, 1020, 0, 3);
    engine_cancel(&d.engine, first);
    ck_assert_ok(engine_move(&d.engine, moved, 1022));
    ck_assert_ok(engine_run_until(&d.engine, 1010));
    ck_assert_int_eq(d.engine.now_ps, 0);
    ck_assert_ok(engine_run(&d.engine));
    ck_assert_int_eq(d.count, 2);
    ck_assert_log(&d, 0, 1020, 3);
    ck_assert_log(&d, 1, 1022, 2);
    engine_finish(&d.engine);
}
END_TEST

START_TEST(an_instant_is_settled_after_all_its_events) {
    Diary d;
    diary_init(&d);
    push(&d, 5, 1, 10);  // wants to settle
    push(&d, 5, 2, 20);  // adds 21 to the instant
    push(&d, 5, 1, 30);  // wants to settle too
    push(&d, 6, 0, 40);
    ck_assert_ok(engine_run(&d.engine));
    const int32_t want[] = {10, 20, 30, 21, -1, 40};
    ck_assert_int_eq(d.count, 6);
    for (int i = 0; i < 6; i++) ck_assert_log(&d, i, i < 5 ? 5 : 6, want[i]);
    engine_finish(&d.engine);
}
END_TEST

// Two actors settle one instant; what the first one adds is applied before the second one settles.
static Status settle_and_add(void *context) {
    Diary *d = context;
    note(d, -2);
    return engine_push(&d->engine, NULL, 0, (Event){d->actor, 0, 99, 0});
}

START_TEST(what_settling_adds_to_the_instant_is_applied_before_others_settle) {
    Diary d;
    memset(&d, 0, sizeof d);
    int16_t adder;
    ck_assert_ok(engine_init(&d.engine));
    ck_assert_ok(engine_add_actor(&d.engine, &adder, &d, diary_handle, settle_and_add));
    ck_assert_ok(engine_add_actor(&d.engine, &d.actor, &d, diary_handle, diary_settle));
    push(&d, 3, 1, 1);
    engine_settle(&d.engine, d.actor);  // of the instant 0
    engine_settle(&d.engine, adder);
    ck_assert_ok(engine_run(&d.engine));
    const int32_t want[] = {-2, 99, -1, 1, -1};
    ck_assert_int_eq(d.count, 5);
    for (int i = 0; i < 5; i++) ck_assert_log(&d, i, i < 3 ? 0 : 3, want[i]);
    engine_finish(&d.engine);
}
END_TEST

START_TEST(running_until_a_time_includes_it) {
    Diary d;
    diary_init(&d);
    for (int32_t i = 1; i <= 5; i++) push(&d, i * 1000, 0, i);
    ck_assert_ok(engine_run_until(&d.engine, 2999));
    ck_assert_int_eq(d.count, 2);
    ck_assert_int_eq(d.engine.now_ps, 2000);
    ck_assert_ok(engine_run_until(&d.engine, 3000));
    ck_assert_int_eq(d.count, 3);
    push(&d, 10, 0, 6);  // 10 after the last event, before those that wait
    ck_assert_ok(engine_run(&d.engine));
    ck_assert_log(&d, 3, 3010, 6);
    ck_assert_log(&d, 5, 5000, 5);
    engine_finish(&d.engine);
}
END_TEST

START_TEST(the_last_picosecond_is_2_to_the_63) {
    Diary d;
    diary_init(&d);
    push(&d, INT64_MAX, 0, 1);
    push(&d, 1, 0, 2);
    ck_assert_ok(engine_run_until(&d.engine, 1));
    Event event = {.actor = d.actor};
    ck_assert_fails(engine_push(&d.engine, NULL, INT64_MAX, event), ERR_FAILED, "106 days");
    push(&d, INT64_MAX - 1, 0, 3);
    ck_assert_ok(engine_run(&d.engine));
    ck_assert_int_eq(d.count, 3);
    ck_assert_log(&d, 1, INT64_MAX, 1);
    ck_assert_log(&d, 2, INT64_MAX, 3);
    engine_finish(&d.engine);
}
END_TEST

START_TEST(an_error_ends_the_run) {
    Diary d;
    diary_init(&d);
    push(&d, 1, 3, 17);
    push(&d, 2, 0, 18);
    ck_assert_fails(engine_run(&d.engine), ERR_FAILED, "event 17");
    ck_assert_int_eq(d.count, 1);
    engine_finish(&d.engine);
    engine_finish(&d.engine);
}
END_TEST

START_TEST(the_number_of_actors_is_limited) {
    Diary d;
    int16_t actor;
    diary_init(&d);
    for (int i = 1; i < ENGINE_ACTORS; i++)
        ck_assert_ok(engine_add_actor(&d.engine, &actor, &d, diary_handle, NULL));
    ck_assert_int_eq(actor, ENGINE_ACTORS - 1);
    ck_assert_fails(engine_add_actor(&d.engine, &actor, &d, diary_handle, NULL), ERR_FAILED, "32");
    engine_finish(&d.engine);
}
END_TEST

// The specification: an unordered list, of which the least (time, sequence) comes next.
enum { PENDING = 300, ACTIONS = 20000 };
typedef struct {
    int64_t time_ps, sequence;
    EventId id;
    int32_t a;
} Model;

typedef struct {
    Engine engine;
    int16_t actor;
    Rng rng;
    Model pending[PENDING];
    int count, actions;
    int64_t sequence;
} Random;

// Delays of every magnitude, and many equal ones.
static int64_t random_delay(Random *r) {
    int bits = (int)rng_below(&r->rng, 40);
    uint64_t random = rng_u32(&r->rng) | (uint64_t)rng_u32(&r->rng) << 32;
    return bits < 8 ? bits * 1000 : (int64_t)(random & ((UINT64_C(1) << bits) - 1));
}

static void random_push(Random *r) {
    if (r->count == PENDING) return;
    Model *m = &r->pending[r->count++];
    int64_t delay_ps = random_delay(r);
    *m = (Model){r->engine.now_ps + delay_ps, r->sequence++, 0, (int32_t)rng_u32(&r->rng)};
    ck_assert_ok(
        engine_push(&r->engine, &m->id, delay_ps, (Event){r->actor, 0, m->a, ~m->sequence}));
}

static void random_change(Random *r) {
    if (r->count == 0) return;
    Model *m = &r->pending[rng_below(&r->rng, (uint32_t)r->count)];
    if (rng_below(&r->rng, 3) == 0) {
        engine_cancel(&r->engine, m->id);
        *m = r->pending[--r->count];
        return;
    }
    int64_t delay_ps = random_delay(r);
    m->time_ps = r->engine.now_ps + delay_ps;
    m->sequence = r->sequence++;
    ck_assert_ok(engine_move(&r->engine, m->id, delay_ps));
}

static Status random_handle(void *context, Event event) {
    Random *r = context;
    Model *least = &r->pending[0];
    ck_assert_int_gt(r->count, 0);
    for (Model *m = least; m < r->pending + r->count; m++)
        if (m->time_ps < least->time_ps ||
            (m->time_ps == least->time_ps && m->sequence < least->sequence))
            least = m;
    ck_assert_int_eq(r->engine.now_ps, least->time_ps);
    ck_assert_int_eq(event.a, least->a);
    *least = r->pending[--r->count];
    for (uint32_t i = rng_below(&r->rng, 4); i > 0 && r->actions > 0; i--, r->actions--) {
        if (rng_below(&r->rng, 2))
            random_push(r);
        else
            random_change(r);
    }
    if (r->count == 0 && r->actions > 0) random_push(r);
    return OK;
}

START_TEST(random_pushes_moves_and_cancels_come_out_like_a_sorted_list) {
    for (uint32_t seed = 1; seed <= 5; seed++) {
        Random *r = calloc(1, sizeof *r);
        ck_assert_ptr_nonnull(r);
        r->actions = ACTIONS;
        rng_init(&r->rng, seed, RNG_TEST, 0, 0);
        ck_assert_ok(engine_init(&r->engine));
        ck_assert_ok(engine_add_actor(&r->engine, &r->actor, r, random_handle, NULL));
        for (int i = 0; i < PENDING / 2; i++) random_push(r);
        ck_assert_ok(engine_run(&r->engine));
        ck_assert_int_eq(r->count, 0);
        ck_assert_int_eq(r->actions, 0);
        engine_finish(&r->engine);
        free(r);
    }
}
END_TEST

// Check's assertions allocate, so that nothing is asserted while it is counted.
static Status add_another(void *context, Event event) {
    Engine *e = context;
    if (event.a == 0) return OK;
    return engine_push(e, NULL, event.a % 7 * 100, (Event){event.actor, 0, event.a - 1, 0});
}

START_TEST(a_running_engine_allocates_nothing) {
    Engine e;
    int16_t actor;
    ck_assert_ok(engine_init(&e));
    ck_assert_ok(engine_add_actor(&e, &actor, &e, add_another, NULL));
    for (int round = 0; round < 3; round++) {
        int before = allocations(), failed = 0;
        for (int i = 0; i < 5000; i++)
            failed += engine_push(&e, NULL, i % 17 * 1000, (Event){actor, 0, 9, 0}) != OK;
        failed += engine_run(&e) != OK;
        int after = allocations();
        ck_assert_int_eq(failed, 0);
        ck_assert_int_eq(e.event_count, (round + 1) * 50000);
        if (round > 0) ck_assert_int_eq(after, before);
    }
    engine_finish(&e);
}
END_TEST

SUITE("engine", equal_times_come_out_in_insertion_order,
      a_moved_event_comes_after_those_that_were_there, a_cancelled_event_never_comes,
      time_does_not_stop_where_an_event_was_cancelled, an_instant_is_settled_after_all_its_events,
      what_settling_adds_to_the_instant_is_applied_before_others_settle,
      running_until_a_time_includes_it, the_last_picosecond_is_2_to_the_63, an_error_ends_the_run,
      the_number_of_actors_is_limited, random_pushes_moves_and_cancels_come_out_like_a_sorted_list,
      a_running_engine_allocates_nothing)
