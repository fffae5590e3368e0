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

// A peer waits in vain, and the launcher adds the class that this peer does not know.
START_TEST(a_stage_that_is_waited_for_in_vain_is_named) {
    static Spinner spinner = {.rank = 1, .forever = true};
    Outcome run;
    JobOptions o = training_options();
    o.comm = COMM_THREAD;
    o.spec.ranks = 2;
    o.spec.mesh.pipe = 2;
    o.spec.batch = 60;
    o.spec.micro_batches = 4;
    o.comm_options.timeout_ns = 200000000;
    ck_assert_fails(training_run(&run, &o, &(TrainingProbe){.context = &spinner, .before = spin}),
                    ERR_PEER, "rank 1 did not answer send");
    ck_assert_msg(strstr(status_message(), "; rank 1 is of class stage1; rank 1 does not end"),
                  "%s", status_message());
}
END_TEST

SUITE("launch", a_type_that_no_device_computes_in_is_refused_before_the_run,
      a_rank_whose_thread_never_ends_is_named_and_not_waited_for,
      a_stage_that_is_waited_for_in_vain_is_named)
