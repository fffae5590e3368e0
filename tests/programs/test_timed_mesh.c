// SPDX-License-Identifier: MIT
// Many ranks whose devices and links are only described, run by the real executor and communicators
// and simulated with the same words: what starts when, who waits for whom and which bytes go where
// must agree. Threads of a run that are late, for there are few cores, make its steps longer by
// that, whatever the device: where it is more than may be, all modelled times are made longer and
// the run is repeated.
#include "tests/support/command.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

// The error of the simulated step, in percent.
static double error_of(const char *job, int ranks, int dilate) {
    int status = command_run(
        &it,
        "J='%s --link 1GB/s,50us --dilate %d' && "
        "train -q $J --data digits:count=600 --ranks %d --device timed:laptop --comm thread "
        "--steps 4 --tail drop --report r.json > log && "
        "sim $J --gpus %d --platform laptop --predictions none --compare r.json",
        job, dilate, ranks, ranks);
    ck_assert_msg(status == 0, "%s on %d ranks: %s", job, ranks, it.err);
    const char *at = strstr(it.out, " simulated: ");
    ck_assert_msg(at != NULL, "%s", it.out);
    double percent = strtod(at + strlen(" simulated: "), NULL);
    command_finish(&it);
    return percent;
}

static void agree(const char *job, int ranks) {
    double percent = INFINITY;
    for (int dilate = 100; dilate <= 6400 && fabs(percent) > 2; dilate *= 4)
        percent = error_of(job, ranks, dilate);
    ck_assert_msg(fabs(percent) <= 2, "%s on %d ranks: the simulated step is %+.1f %%", job, ranks,
                  percent);
}

START_TEST(data_parallel_ranks_agree) {
    agree("--model linear --batch-per-rank 4 --all-reduce ring", 8);
    agree("--model linear --batch-per-rank 4 --zero 1", 16);
    agree("--model linear --batch-per-rank 4", 64);
}
END_TEST

START_TEST(a_pipeline_from_a_plan_agrees) {
    char job[512];
    snprintf(job, sizeof job, "--model mlp:hidden=32,layers=2 --accumulate 4 --plan %s",
             test_source("docs/pipeline.plan"));
    agree(job, 2);
}
END_TEST

SUITE_SECONDS("timed_mesh", 120, data_parallel_ranks_agree, a_pipeline_from_a_plan_agrees)
