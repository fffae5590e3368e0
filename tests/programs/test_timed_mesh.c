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
    bool tokens = strstr(job, "gpt") || strstr(job, "mixtral");
    int status = command_run(
        &it,
        "J='%s --dilate %d' && "
        "train -q $J --data %s --ranks %d --device timed:laptop --comm thread --steps 3 "
        "--tail drop --report r.json > log && "
        "sim $J --gpus %d --point --platform laptop %s --predictions none --compare r.json",
        job, dilate, tokens ? "text:count=20000" : "digits:count=600", ranks, ranks,
        strstr(job, "--plan") ? "" : "--bucket-kib 4,32");  // as train has them
    ck_assert_msg(status == 0, "%s on %d ranks: %s", job, ranks, it.err);
    const char *at = strstr(it.out, " simulated: ");
    ck_assert_msg(at != NULL, "%s", it.out);
    double percent = strtod(at + strlen(" simulated: "), NULL);
    command_finish(&it);
    return percent;
}

static void agree(const char *job, int ranks) {
    double percent = (double)INFINITY;
    for (int dilate = 40; dilate <= 2560 && fabs(percent) > 2; dilate *= 4)
        percent = error_of(job, ranks, dilate);
    ck_assert_msg(fabs(percent) <= 2, "%s on %d ranks: the simulated step is %+.1f %%", job, ranks,
                  percent);
}

START_TEST(data_parallel_ranks_agree) {
    agree("--model linear --batch-per-rank 4 --link 1GB/s,50us --all-reduce ring", 8);
    agree("--model linear --batch-per-rank 4 --link 1GB/s,50us --zero 1", 16);
    agree("--model linear --batch-per-rank 4 --link 1GB/s,50us", 64);
}
END_TEST

START_TEST(a_pipeline_from_a_plan_agrees) {
    char job[512];
    snprintf(job, sizeof job,
             "--model mlp:hidden=32,layers=2 --accumulate 4 --link 1GB/s,50us --plan %s",
             test_source("docs/pipeline.plan"));
    agree(job, 2);
}
END_TEST

// Latencies are longer than what flows: the emulation lets collectives of several lanes pass a link
// side by side, which the simulator has share it.
#define GPT "--model gpt:hidden=32,heads=4,seq=8,layers=2 --link 10GB/s,50us --accumulate 4 "
#define STAGES "--stages 0:7,7:12,12:17,17:24 "

START_TEST(products_of_data_tensor_and_pipeline_agree) {
    agree(GPT "--tp 2 --pp 2 --batch 16", 8);
    agree(GPT "--tp 2 --pp 2 --batch 32 --zero 1", 16);
    agree(GPT STAGES "--tp 2 --pp 2 --batch 32 --schedule interleaved", 16);
    agree(GPT STAGES "--tp 4 --pp 4 --batch 64", 64);
}
END_TEST

#define MOE \
    "--model mixtral:hidden=32,mlp=32,seq=8,layers=2,experts=8,capacity=125 --link 10GB/s,50us "

START_TEST(ranks_that_share_experts_agree) {
    agree(MOE "--ep 8 --batch 16", 8);
    agree(MOE "--ep 2 --tp 2 --batch 16", 16);
    agree(MOE "--ep 4 --pp 2 --accumulate 4 --batch 32 --zero 1", 16);
}
END_TEST

SUITE_SECONDS("timed_mesh", 120, data_parallel_ranks_agree, a_pipeline_from_a_plan_agrees,
              products_of_data_tensor_and_pipeline_agree, ranks_that_share_experts_agree)
