// SPDX-License-Identifier: MIT
// sim on a plan with a program for each class of ranks: two stages of a pipeline. It is predicted
// from its file and from the trace of a run, and the run is replayed.
#include "tests/support/command.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#define MODEL "--model mlp:hidden=16,layers=1 "
#define LINK "--link 100MB/s,2ms "
#define TRAIN                                                                                  \
    "train -q " MODEL "--ranks 2 --data digits:count=400 --batch 16 --accumulate 2 --plan %s " \
    "--device timed:laptop " LINK "--steps 8 "

static const char *plan(void) { return test_source("tests/data/pipeline.plan"); }

// A number behind a word, as --csv and tables have them.
static double number_behind(const char *text, const char *word) {
    const char *at = strstr(text, word);
    ck_assert_msg(at != NULL, "\"%s\" lacks \"%s\"", text, word);
    return strtod(at + strlen(word), NULL);
}

START_TEST(a_plan_of_two_classes_is_predicted_from_its_file) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --plan %s " MODEL "--csv", plan()), 0);
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,2,16,"));
    ck_assert_ptr_null(strstr(c.out, "\ntandem.sweep.v1,1,"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --plan %s " MODEL "--ranks 2 -v", plan()), 0);
    ck_assert_ptr_nonnull(strstr(c.out, "logits.backward_input"));
    ck_assert_ptr_nonnull(strstr(c.out, "fc1.backward_weight"));
    command_finish(&c);
}
END_TEST

// The first stage computes longest, the second waits for it: 2 ms of latency twice each way is most
// of a step. Devices that are modelled take what they were predicted to take.
START_TEST(a_run_of_two_classes_is_replayed_and_predicted) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 TRAIN "--trace run --report r.json > log && sim --trace run && "
                                       "sim --trace run --platform laptop --gpus 2 " LINK
                                       "--csv > a; sim --plan %s " MODEL
                                       "--platform laptop --gpus 2 " LINK
                                       "--csv > b; cmp a b && tail -n 1 a && "
                                       "! sim --trace run --compare r.json | grep 'had 2 shards'",
                                 plan(), plan()),
                     0);
    ck_assert_ptr_nonnull(strstr(c.out, "replay of mlp:hidden=16,layers=1 on 2 ranks"));
    double simulated = number_behind(c.out, "\n  step ");
    double predicted = number_behind(c.out, "tandem.sweep.v1,2,16,");
    ck_assert_msg(simulated > 0.95 * predicted && simulated < 1.25 * predicted,
                  "replayed %g ms, predicted %g ms", simulated, predicted);
    command_finish(&c);
}
END_TEST

SUITE_SECONDS("sim_classes", 120, a_plan_of_two_classes_is_predicted_from_its_file,
              a_run_of_two_classes_is_replayed_and_predicted)
