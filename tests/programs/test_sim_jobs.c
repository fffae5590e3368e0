// SPDX-License-Identifier: MIT
// The job that sim simulates when it comes from a file (a trace, a plan, a model, a machine), what
// it says of runs that are not what they seem, and what it takes itself.
#include "tests/support/command.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define RECORD "train -q --device reference --model linear --data digits:count=2000 --steps 12 "

static void refuse(const char *line, const char *message) {
    Command c = {0};
    ck_assert_msg(command_run(&c, "%s", line) == 2, "%s: %s", line, c.out);
    ck_assert_msg(!strncmp(c.err, "sim: ", 5) && strstr(c.err, message), "\"%s\" lacks \"%s\"",
                  c.err, message);
    ck_assert_ptr_eq(strchr(c.err, '\n'), c.err + strlen(c.err) - 1);  // one line
    ck_assert_str_eq(c.out, "");
    command_finish(&c);
}

// The plan states its job: ranks, batch, shards, micro-batches and type are taken from it, or what
// is given must agree. Two ranks, 4 shards of 2 micro-batches of 5 rows: a batch of 40.
START_TEST(a_plan_is_simulated_as_the_job_it_was_printed_for) {
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c,
                    "train --print-plan file --model linear --ranks 2 --shards 4 --accumulate 2 "
                    "--batch 40 --dtype f64 > p && sim --plan p --model linear --csv"),
        0);
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,2,40,"));
    ck_assert_ptr_null(strstr(c.out, "\ntandem.sweep.v1,1,"));
    command_finish(&c);
#define PRINTED                                                                                  \
    "train --print-plan file --model linear --ranks 2 --shards 4 --accumulate 2 --batch 40 > p " \
    "&& "                                                                                        \
    "sim --plan p "
    refuse(PRINTED "--model linear --gpus 4", "is for 2 ranks, not for 4");
    refuse(PRINTED "--model linear --batch 999", "give --batch 40");
    refuse(PRINTED "--model linear --batch-per-rank 64", "give --batch 40");
    refuse(PRINTED "--model linear --shards 2", "give --shards 4");
    refuse(PRINTED "--model linear --accumulate 1", "give --accumulate 2");
    refuse(PRINTED "--model linear --dtype f64", "give --dtype f32");
    refuse(PRINTED "--model mlp", "model mlp has no parameter fc.weight of this shape");
    refuse(PRINTED, "model net has no parameter fc.weight of this shape");
}
END_TEST

// Other numbers of ranks of a timed run have its device and link, as --gpus has when it is told so.
START_TEST(a_trace_of_a_timed_run_predicts_devices) {
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c,
                    "train -q --model linear --batch-per-rank 16 --steps 4 --device timed:laptop "
                    "--link 1MB/s,50us --dilate 2 --ranks 2 --trace tr > log && "
                    "sim --trace tr --ranks 8 --csv --predictions none > a && "
                    "sim --gpus 8 --point --platform laptop --link 1MB/s,50us --dilate 2 --model "
                    "linear --batch-per-rank 16 --csv > b && cmp a b && "
                    "sim --trace tr --ranks 8 --link 1GB/s,1us --dilate 1 --predictions none"),
        0);
    test_has(c.out, "laptop: core  link 1GB/s, 1us  seed 1");
    command_finish(&c);
}
END_TEST

// The costs of ranks that share a host hold no emulated link.
START_TEST(a_link_that_a_prediction_would_leave_out_is_refused) {
    refuse(RECORD "--ranks 2 --link 1GB/s,5us --trace run > log && sim --trace run --ranks 4",
           "was recorded with --link 1GB/s,5us");
}
END_TEST

START_TEST(a_model_that_was_edited_since_the_run_is_noticed) {
#define MODEL                                                                                     \
    "printf 'model m\\ninput 1 28 28\\nclasses 10\\nflatten\\nlinear a out=%d\\nrelu\\nlinear b " \
    "out=10\\n'"
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 MODEL " > m.model && train -q --device reference --model m.model "
                                       "--data digits:count=500 --steps 3 --trace run > log && "
                                       "sim --trace run --ranks 2",
                                 8),
                     0);
    command_finish(&c);
#define EDITED                                                                \
    MODEL " > m.model && train -q --device reference --model m.model --data " \
          "digits:count=500 --steps 3 --trace run > log && " MODEL            \
          " > m.model && sim --trace run "
    ck_assert_int_eq(command_run(&c, EDITED "--ranks 1,2", 8, 64), 2);
    ck_assert_ptr_nonnull(strstr(c.err, "m.model has changed since the run was recorded"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, EDITED "--ranks 1,2 --model m.model", 8, 64), 0);
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, EDITED, 8, 64), 0);  // a replay has the recorded program
    command_finish(&c);
    refuse(RECORD "--trace run > log && sed -i 's,\"linear\",\"/dev/zero\",' run/rank0.json && "
                  "sim --trace run --ranks 2",
           "/dev/zero, the model that the trace names, is no file");
}
END_TEST

// What train found out about other programs stands in its report and in its traces.
START_TEST(a_disturbed_run_is_called_so) {
    static const struct {
        const char *steal, *recorded, *measured;
    } cases[] = {
        {"0", "DISTURBED while it was recorded: others used 63 % of a core\n",
         "\n  DISTURBED while it was measured: others used 63 % of a core\n"},
        // 94 columns in one line
        {"0.12",
         "DISTURBED while it was recorded:\n"
         "  others used 63 % of a core; the hypervisor took 12 % of a core\n",
         "\n  DISTURBED while it was measured:\n"
         "    others used 63 % of a core; the hypervisor took 12 % of a core\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Command c = {0};
        ck_assert_int_eq(
            command_run(&c,
                        RECORD "--ranks 2 --trace run --report r.json > log && "
                               "sed -z -i 's/\"disturbed\": \\(null\\|{[^}]*}\\)/"
                               "\"disturbed\": {\"cores\": 2, "
                               "\"threads\": 2, \"seconds\": 1.5, \"others_cores\": 0.63, "
                               "\"steal_cores\": %s}/' r.json run/rank0.json run/rank1.json && "
                               "sim --trace run --compare r.json",
                        cases[i].steal),
            0);
        test_has(c.out, cases[i].recorded);
        test_has(c.out, cases[i].measured);
        command_finish(&c);
    }
}
END_TEST

START_TEST(costs_of_another_machine_are_called_so) {
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c, RECORD "--trace run > log && sim --trace run --platform laptop"), 0);
    test_has(c.out, "laptop: 4 cores");
    test_has(c.out, "replayed operations as recorded on ");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, RECORD "--trace run > log && sim --trace run --ranks 1,2"), 0);
    ck_assert_ptr_null(strstr(c.out, "as recorded on"));
    command_finish(&c);
}
END_TEST

START_TEST(names_with_control_characters_do_not_reach_the_terminal) {
    refuse(
        "printf 'tandem: machine 1\\nname: \"a\\\\e[31mb\"\\ndevice: {name: d, flops: {f32: 1G}, "
        "memory: 1GB, memory_bandwidth: 1GB/s}\\nhost: {cores: 1, fold_bandwidth: 1GB/s}\\n' > m "
        "&& sim --ranks 1 --platform ./m",
        "");
}
END_TEST

// Of four thousand a direct all-reduce is 33 million messages: followed one by one, minutes and
// gigabytes. Of a million the links alone would take 340 MB, if each device had its own.
START_TEST(thousands_and_a_million_devices_take_little_time_and_memory) {
    static const char *const commands[][2] = {
        {"timeout 5 sim --gpus 4096 --point", "\n4096  262144 "},
        {"timeout 20 sim --gpus 1000000 --point", "\n1000000  64000000 "}};
    for (int i = 0; i < 2; i++) {
        Command c = {0};
        struct rusage use;
        ck_assert_int_eq(command_run(&c, "%s", commands[i][0]), 0);
        test_has(c.out, commands[i][1]);
        ck_assert_int_eq(getrusage(RUSAGE_CHILDREN, &use), 0);
        ck_assert_msg(use.ru_maxrss < 300 * 1024, "%ld KiB", use.ru_maxrss);
        command_finish(&c);
    }
}
END_TEST

SUITE_SECONDS("sim_jobs", 240, a_plan_is_simulated_as_the_job_it_was_printed_for,
              a_trace_of_a_timed_run_predicts_devices,
              a_link_that_a_prediction_would_leave_out_is_refused,
              a_model_that_was_edited_since_the_run_is_noticed, a_disturbed_run_is_called_so,
              costs_of_another_machine_are_called_so,
              names_with_control_characters_do_not_reach_the_terminal,
              thousands_and_a_million_devices_take_little_time_and_memory)
