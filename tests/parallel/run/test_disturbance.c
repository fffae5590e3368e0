// SPDX-License-Identifier: MIT
// A run beside a process that wants one of its cores.
#include "core/base/clock.h"
#include "parallel/run/process.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Some milliseconds of computing before every operation, so that the run takes long enough.
static void compute(void *context, Executor *e, int plan, int op) {
    for (int64_t end = clock_thread_cpu_ns() + 1500000; clock_thread_cpu_ns() < end;) {
    }
}

static pid_t start_hog(void) {
    cpu_set_t cores;
    pid_t pid = fork();
    if (pid) return pid;
    process_cores(&cores);
    process_pin(&cores, 0);
    for (;;) {
    }
}

static double end_hog(pid_t pid) {
    struct rusage use;
    kill(pid, SIGKILL);
    ck_assert_int_eq(wait4(pid, NULL, 0, &use), pid);
    return (double)use.ru_utime.tv_sec + (double)use.ru_utime.tv_usec * 1e-6;
}

START_TEST(what_another_process_used_of_the_cores_is_recorded) {
    static const struct {
        CommKind comm;
        int ranks;
    } kinds[] = {{COMM_SHM, 1}, {COMM_SHM, 2}, {COMM_THREAD, 2}, {COMM_SERIAL, 2}};
    for (int k = 0; k < 4; k++) {
        Outcome run;
        JobOptions o = training_options();
        o.comm = kinds[k].comm;
        o.spec.ranks = kinds[k].ranks;
        o.steps = 8;
        pid_t hog = start_hog();
        Status s = training_run(&run, &o, &(TrainingProbe){.before = compute});
        double hog_s = end_hog(hog);
        ck_assert_ok(s);
        for (int r = 0; r < o.spec.ranks; r++) {
            const HostUse *u = &run.training.shared->results[r].disturbed;
            ck_assert(u->seconds > 0.2 && u->seconds < (double)run.training.wall_ns * 1e-9);
            // The other process began a little before and ended a little after.
            ck_assert_msg(u->others_cores * u->seconds > 0.5 * hog_s,
                          "%d ranks, %s: others used %g of %d cores for %g s, but one process "
                          "%g s",
                          o.spec.ranks, comm_kind_name(o.comm), u->others_cores, u->cores,
                          u->seconds, hog_s);
            ck_assert_int_eq(u->threads, o.comm == COMM_SERIAL || u->cores == 1 ? 1 : o.spec.ranks);
        }
        outcome_finish(&run);
    }
}
END_TEST

SUITE("disturbance", what_another_process_used_of_the_cores_is_recorded)
