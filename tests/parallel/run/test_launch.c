// SPDX-License-Identifier: MIT
// Runs that do not begin, and how runs end: ranks that never do.
#include "core/base/clock.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

START_TEST(a_type_that_no_device_computes_in_is_refused_before_the_run) {
    Job job;
    JobOptions o = training_options();
    o.spec.device = "cpu";
    o.spec.dtype = DTYPE_BF16;
    ck_assert_fails(job_create(&job, &o), ERR_UNAVAILABLE, "device cpu has no kernel for");
    ck_assert(strstr(status_message(), "in bf16") != NULL);
    ck_assert(strstr(status_message(), "give --device reference") != NULL);
    job_destroy(&job);
}
END_TEST

// --- a rank that never ends

typedef struct {
    int rank;
    volatile bool forever;
} Spinner;

static void spin(void *context, Executor *e, int plan, int op) {
    const Spinner *s = context;
    while (s->forever && e->rank == s->rank && e->step == 2) clock_sleep_ns(1000000);
}

START_TEST(a_rank_whose_thread_never_ends_is_named_and_not_waited_for) {
    static Spinner spinner = {.rank = 1, .forever = true};
    Outcome run;
    JobOptions o = training_options();
    o.comm = COMM_THREAD;
    o.spec.ranks = 3;
    o.comm_options.timeout_ns = 200000000;
    int64_t start_ns = clock_ns();
    ck_assert_fails(training_run(&run, &o, &(TrainingProbe){.context = &spinner, .before = spin}),
                    ERR_PEER, "rank 1 does not end");
    // A time-out of 0.2 s, and a second to end in.
    ck_assert_int_lt(clock_ns() - start_ns, 20000000000);
    ck_assert_int_eq(status_exit(ERR_PEER), 4);
}
END_TEST

SUITE("launch", a_type_that_no_device_computes_in_is_refused_before_the_run,
      a_rank_whose_thread_never_ends_is_named_and_not_waited_for)
