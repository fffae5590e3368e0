// SPDX-License-Identifier: MIT
// The CPU time of operations, read around each of them or around what runs without a wait: either
// way a step's breakdown is the same. Kernels here burn CPU time, or sleep as one does that has
// lost its core to somebody else.
#include "core/base/clock.h"
#include "tests/support/lockstep.h"
#include "tests/support/plan_maker.h"
#include "tests/support/testing.h"

static const int64_t MS = 1000000;  // in ns
enum { BURN_MS = 10, SLEEP_MS = 30 };

// Burns; where the first element is negative, sleeps.
static void burn_or_sleep(const KernelCall *call) {
    const float *x = call->operand[1].data;
    int64_t start = clock_thread_cpu_ns();
    if (*x < 0)
        clock_sleep_ns(SLEEP_MS * MS);
    else
        while (clock_thread_cpu_ns() - start < BURN_MS * MS) continue;
}

static Device burning_device(void) {
    Device d = device_reference;
    d.kernel[KIND_FOLD][0] = burn_or_sleep;
    return d;
}

static void make_fold(Program *p, Plan *plan, const char *name, const char *x) {
    make_op(p, plan, (OpSpec){.name = name, .kind = KIND_FOLD, .flags = OP_ACCUMULATE}, "sum", x);
}
static void make_tensors(Program *p, Placement place) {
    make_tensor(p, "busy", ROLE_OPTIMISER, place, SHAPE(2), DTYPE_F32);
    make_tensor(p, "lost", ROLE_OPTIMISER, place, SHAPE(2), DTYPE_F32);
    make_tensor(p, "sum", ROLE_OPTIMISER, place, SHAPE(2), DTYPE_F32);
}

// One recorded step of all ranks; the breakdown of rank 0's, in ns.
static void run_step(Lockstep *m, Timeline *t, bool cpu_of_each, int64_t category_ns[TIME_COUNT]) {
    ck_assert_ok(timeline_create(t, 0, 1, 16));
    m->executors[0].timeline = t;
    m->executors[0].cpu_of_each = cpu_of_each;
    m->executors[0].origin_ns = clock_ns();
    timeline_begin_step(t, 0, 0, 0);
    lockstep_step(m, 0);
    timeline_end_step(t, (clock_ns() - m->executors[0].origin_ns) * 1000);
    timeline_breakdown(&m->program, t, &t->steps[0], category_ns);
    for (int b = 0; b < TIME_COUNT; b++) category_ns[b] /= 1000;
}

static void check_alone(bool cpu_of_each) {
    Lockstep m = {.logged = 0};
    const Device device = burning_device();
    Timeline t;
    int64_t category_ns[TIME_COUNT], sum = 0;
    Plan *plan = make_program(&m.program, 1);
    make_tensors(&m.program, PLACEMENT_REPLICATED);
    make_fold(&m.program, plan, "first", "busy");
    make_fold(&m.program, plan, "second", "lost");
    make_fold(&m.program, plan, "third", "busy");
    ck_assert_ok(plan_derive_deps(&m.program, plan));
    lockstep_start(&m, &device, &lockstep_plain, NULL);
    lockstep_set(&m, 0, "busy", 1, 1);
    lockstep_set(&m, 0, "lost", -1, 1);
    run_step(&m, &t, cpu_of_each, category_ns);
    ck_assert_int_eq(t.span_count, 3);
    for (int i = 0; i < 3; i++) sum += t.spans[i].cpu_ns;
    // What others took of the core meanwhile is contended too; the CPU time is what was burnt.
    ck_assert_int_ge(category_ns[TIME_CONTENDED], SLEEP_MS * MS);
    ck_assert_int_ge(category_ns[TIME_COMPUTE], 2 * BURN_MS * MS);
    ck_assert_int_le(category_ns[TIME_COMPUTE], 2 * BURN_MS * MS + 5 * MS);
    ck_assert_int_le(sum - category_ns[TIME_COMPUTE], 1000);
    // Alone the sleeper's own time is known, together a share: 30 of 50 ms, so 12 of the 20.
    ck_assert(cpu_of_each ? t.spans[1].cpu_ns < MS : t.spans[1].cpu_ns > MS);
    timeline_destroy(&t);
    lockstep_stop(&m);
}

START_TEST(a_lost_core_is_contended_however_the_clock_is_read) {
    check_alone(true);
    check_alone(false);
}
END_TEST

// Rank 1 sleeps before it joins the all-reduce; both ranks are this thread. Rank 0, which computes
// before and after, waits for it and has lost nothing.
static void check_wait(bool cpu_of_each) {
    Lockstep m = {.logged = 0};
    const Device device = burning_device();
    Timeline t;
    int64_t category_ns[TIME_COUNT];
    Plan *plan = make_program(&m.program, 2);
    make_tensors(&m.program, PLACEMENT_SUM);
    make_fold(&m.program, plan, "before", "busy");
    make_op(&m.program, plan, (OpSpec){.name = "bucket", .kind = KIND_ALL_REDUCE, .lane = 2}, "sum",
            "sum");
    make_tensor(&m.program, "after", ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
    make_op(&m.program, plan, (OpSpec){.name = "after", .kind = KIND_FOLD, .flags = OP_ACCUMULATE},
            "after", "sum");
    ck_assert_ok(plan_derive_deps(&m.program, plan));
    lockstep_start(&m, &device, &lockstep_plain, NULL);
    lockstep_set(&m, 0, "busy", 1, 1);
    lockstep_set(&m, 1, "busy", -1, 1);
    run_step(&m, &t, cpu_of_each, category_ns);
    ck_assert_int_eq(t.span_count, 3);
    ck_assert_int_ge(category_ns[TIME_WAITING], SLEEP_MS * MS);
    ck_assert_int_ge(category_ns[TIME_COMPUTE], 2 * BURN_MS * MS);
    ck_assert_int_le(category_ns[TIME_COMPUTE], 2 * BURN_MS * MS + 5 * MS);
    timeline_destroy(&t);
    lockstep_stop(&m);
}

START_TEST(a_wait_between_operations_is_not_taken_for_a_lost_core) {
    check_wait(true);
    check_wait(false);
}
END_TEST

SUITE("cpu_time", a_lost_core_is_contended_however_the_clock_is_read,
      a_wait_between_operations_is_not_taken_for_a_lost_core)
