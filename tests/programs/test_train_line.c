// SPDX-License-Identifier: MIT
// What train and sim make of a command line before they work: what is refused with the right
// advice, what is told, and what surrounds them (launchers, closed files, outputs of one name).
#include "tests/support/command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// 85 samples train, 15 are held out.
#define SMALL "--model linear --data digits:count=100 --steps 3"

static Command it;

static void refused(const char *const parts[], const char *line) {
    ck_assert_int_eq(command_run(&it, "%s", line), 2);
    command_refused(&it, strstr(line, "sim ") ? "sim" : "train", parts);
}

START_TEST(several_copies_started_by_a_launcher_are_refused) {
    refused(PARTS("WORLD_SIZE=2", "use --ranks 2", "torchrun"), "WORLD_SIZE=2 train " SMALL);
    refused(PARTS("OMPI_COMM_WORLD_SIZE=4", "use --ranks 4", "mpirun"),
            "OMPI_COMM_WORLD_SIZE=4 train " SMALL);
    refused(PARTS("PMI_SIZE=3", "use --ranks 3"), "PMI_SIZE=3 train " SMALL);
    refused(PARTS("SLURM_STEP_NUM_TASKS=2", "use --ranks 2", "srun"),
            "SLURM_STEP_NUM_TASKS=2 train " SMALL);
    // One copy, and a batch script, which runs once whatever the number of its tasks.
    ck_assert_int_eq(command_run(&it, "WORLD_SIZE=1 SLURM_NTASKS=8 train -q " SMALL), 0);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "WORLD_SIZE=2 train --print-plan step " SMALL), 0);
    command_finish(&it);
}
END_TEST

START_TEST(two_outputs_of_one_name_are_refused_before_the_training) {
    refused(PARTS("--report and --save would both write ./r.json"),
            "train --report r.json --save ./r.json " SMALL);
    refused(PARTS("--report and --trace", "t/rank1.json"),
            "train --ranks 2 --trace t --report t/rank1.json " SMALL);
    refused(PARTS("--log and --save", "give two names"), "train --log l --save l " SMALL);
    refused(PARTS("--predictions and --report"),
            "sim --gpus 2 --point --predictions p.json --report p.json");
    ck_assert_int_eq(command_run(&it, "train -q --report r.json --save /dev/null --trace t " SMALL),
                     0);
    ck_assert(command_wrote(&it, "r.json") && command_wrote(&it, "t/rank0.json"));
    command_finish(&it);
}
END_TEST

START_TEST(a_report_may_lie_in_the_directory_that_a_trace_makes) {
    ck_assert_int_eq(command_run(&it, "train -q --trace new --report new/r.json " SMALL), 0);
    ck_assert(command_wrote(&it, "new/r.json"));
    command_finish(&it);
}
END_TEST

START_TEST(what_sim_cannot_write_is_found_before_it_simulates) {
    refused(PARTS("-: the name of a report ends in"), "sim --gpus 2 --report -");
    ck_assert_int_eq(command_run(&it, "sim --gpus 2 --report none/r.json"), 1);
    command_said(it.err, PARTS("--report none/r.json"));
    ck_assert_str_eq(it.out, "");
    command_finish(&it);
}
END_TEST

// The log would be opened in place of the file that is missing.
START_TEST(a_log_does_not_take_the_place_of_closed_output) {
    ck_assert_int_eq(command_run(&it, "train --log l " SMALL " >&-; s=$?; cat l; exit $s"), 1);
    ck_assert_ptr_null(strstr(it.out, "samples/s  "));  // of the report
    ck_assert_ptr_nonnull(strstr(it.out, "Bad file descriptor"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train -q --log l " SMALL " 2>&- >/dev/null; cat l"), 0);
    for (const char *at = it.out; *at; at = strchr(at, '\n') + 1)
        ck_assert_msg(!strncmp(at, "20", 2), "a line without its time: %s", at);
    command_finish(&it);
}
END_TEST

static void told(const char *const parts[], const char *line) {
    ck_assert_int_eq(command_run(&it, "%s", line), 0);
    command_said(it.err, parts);
    command_finish(&it);
}

START_TEST(options_without_effect_are_told) {
    told(PARTS("--comm, --all-reduce, --bucket-kib, --no-overlap, --link: without effect"),
         "train --all-reduce ring --bucket-kib 4,32 --no-overlap --comm thread --link "
         "1GB/s,50us " SMALL);
    told(PARTS("--save w.pt: the format is safetensors"), "train --save w.pt " SMALL);
    ck_assert_int_eq(
        command_run(&it, "train --ranks 2 --all-reduce ring --save w.safetensors " SMALL), 0);
    ck_assert_ptr_null(strstr(it.err, "without effect"));
    ck_assert_ptr_null(strstr(it.err, "safetensors"));
    command_finish(&it);
}
END_TEST

START_TEST(a_batch_of_more_than_there_is_is_the_batch_that_trains) {
    ck_assert_int_eq(command_run(&it, "train --batch 300 " SMALL), 0);
    command_said(it.err, PARTS("--batch 300: there are 85 samples"));
    command_said(it.out, PARTS("batch 85, seed 1"));
    command_finish(&it);
}
END_TEST

// As many as the help says, on one rank or on two: the same sums in the same order.
START_TEST(a_rank_takes_thousands_of_shards) {
    static const char *const ranks[] = {"--ranks 1", "--ranks 2", "--ranks 2 --comm serial"};
    char weights[17] = "";
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(command_run(&it,
                                     "train -q --model linear --data digits:count=2000 --steps 1 "
                                     "--batch 1536 --shards 1536 %s",
                                     ranks[i]),
                         0);
        ck_assert_int_eq(strlen(it.weights), 16);
        if (i) ck_assert_str_eq(it.weights, weights);
        strcpy(weights, it.weights);
        command_finish(&it);
    }
}
END_TEST

START_TEST(steps_to_record_that_do_not_come_are_refused) {
    refused(PARTS("--record-steps 5:9", "steps 0 to 2 only"),
            "train --record r --record-steps 5:9 " SMALL);
    ck_assert_int_eq(command_run(&it, "train -q --record r --record-steps 2:9 " SMALL), 0);
    command_finish(&it);
}
END_TEST

START_TEST(what_other_programs_need_an_option_for_is_answered) {
    refused(PARTS("unknown option --find_unused_parameters: it is not needed: parameters that the "
                  "loss does not depend on are found in the model before anything runs, named, and "
                  "left as they are on every rank"),
            "train --find_unused_parameters --ranks 2");
    refused(PARTS("unknown option --static-graph: it is not needed"), "sim --static-graph");
    refused(PARTS("did you mean --freeze?"), "train --requires-grad");
    ck_assert_int_eq(command_run(&it, "train --help find-unused-parameters"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "it is not needed: parameters that the loss"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --help"), 0);
    ck_assert_ptr_null(strstr(it.out, "unused-parameters"));
    command_finish(&it);
}
END_TEST

START_TEST(what_is_not_trained_is_said) {
    refused(PARTS("--freeze convv1: model net has no parameter, layer or block of that name",
                  "did you mean conv1?", "layers with parameters: conv1, conv2, fc1, fc2"),
            "train --freeze convv1");
    refused(PARTS("--freeze *.weight,*.bias: that freezes all parameters of model net"),
            "sim --gpus 2 --freeze '*.weight,*.bias'");
    refused(PARTS("--freeze is stated in the plan x.plan"), "train --plan x.plan --freeze fc1");
    ck_assert_int_eq(command_run(&it, "train --freeze 'conv*' --print-memory --ranks 4"), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "net: 27100 parameters, 16560 of them trained, f32\n"));
    command_finish(&it);
    ck_assert_int_eq(
        command_run(&it, "train --steps 1 --model %s", test_source("tests/data/frozen.model")), 0);
    ck_assert_ptr_nonnull(strstr(it.err, "tests/data/frozen.model:18: nothing takes the output of "
                                         "linear aside2: the loss does not depend on it and 2 "
                                         "more layers, so these are not trained: aside.bias"));
    command_finish(&it);
}
END_TEST

START_TEST(words_of_other_programs_lead_to_ours) {
    refused(PARTS("unknown option --nproc_per_node", "did you mean --ranks?"),
            "train --nproc_per_node 2");
    refused(PARTS("did you mean --batch-per-rank?"), "train --batch_per_rank 2");
    refused(PARTS("float32", "did you mean f32?"), "train --dtype float32");
    refused(PARTS("fp8 is not built", "there are f32, f64, bf16"), "sim --dtype fp8");
    refused(PARTS("Lion is not built", "there are sgd, adam, adamw"), "train --optimizer Lion");
    refused(PARTS("--momentum belongs to --optimizer sgd"),
            "train --optimizer adamw --momentum 0.9");
    refused(PARTS("--beta2 belongs to --optimizer adam or adamw"), "train --beta2 0.9");
    refused(PARTS("--lr-gamma belongs to --lr-schedule step"),
            "train --lr-schedule cosine --lr-gamma 0.5");
    refused(PARTS("--lr-min 1 is more than --lr 0.5"),
            "train --lr-schedule cosine --lr 0.5 --lr-min 1");
    refused(PARTS("--decay-all belongs to --optimizer adamw"),
            "train --optimizer adam --decay-all");
}
END_TEST

START_TEST(a_slowdown_stands_above_the_times) {
    ck_assert_int_eq(command_run(&it, "train -q --device timed:laptop --dilate 2.5 " SMALL), 0);
    command_said(it.out, PARTS("times x2.5 (--dilate)"));
    command_finish(&it);
}
END_TEST

START_TEST(what_a_sweep_with_shards_compares_is_told) {
    ck_assert_int_eq(command_run(&it, "sim --gpus 1,2 --shards 16 --model linear"), 0);
    command_said(it.out, PARTS("the same 16 shards in every row"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "sim --gpus 1,2 --model linear"), 0);
    ck_assert_ptr_null(strstr(it.out, "in every row"));
    command_finish(&it);
}
END_TEST

START_TEST(a_link_too_slow_for_its_messages_is_a_matter_of_the_line) {
    refused(PARTS("carries", "messages at once", "give it more"),
            "sim --gpus 4 --point --model linear --link 1B/s,1us --all-reduce direct");
}
END_TEST

// Does the process run train already, which handles a signal? Before that a signal kills it.
static bool train_handles(int pid, int signal_number) {
    char path[64], line[128];
    bool is_train = false, handles = false;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        if (!strcmp(line, "Name:\ttrain\n")) is_train = true;
        if (!strncmp(line, "SigCgt:", 7))
            handles = strtoull(line + 7, NULL, 16) >> (signal_number - 1) & 1;
    }
    fclose(f);
    return is_train && handles;
}

// Nothing is to be kept of it, so that it ends at once.
START_TEST(a_plan_that_is_printed_can_be_stopped) {
    command_start(&it, "train --accumulate 4096 --batch 4096 --tail drop --data digits:count=60000 "
                       "--print-plan lowered");
    for (int i = 0; i < 1000 && !train_handles(it.pid, SIGTERM); i++) sleep_seconds(0.01);
    sleep_seconds(0.05);
    kill(it.pid, SIGTERM);
    command_wait(&it, 5);
    ck_assert(it.status == 130 || it.status == 0);
    command_finish(&it);
}
END_TEST

SUITE("train_line", several_copies_started_by_a_launcher_are_refused,
      two_outputs_of_one_name_are_refused_before_the_training,
      a_report_may_lie_in_the_directory_that_a_trace_makes,
      what_sim_cannot_write_is_found_before_it_simulates,
      a_log_does_not_take_the_place_of_closed_output, options_without_effect_are_told,
      a_batch_of_more_than_there_is_is_the_batch_that_trains,

      steps_to_record_that_do_not_come_are_refused, words_of_other_programs_lead_to_ours,
      what_other_programs_need_an_option_for_is_answered, what_is_not_trained_is_said,
      a_slowdown_stands_above_the_times, a_rank_takes_thousands_of_shards,
      what_a_sweep_with_shards_compares_is_told,
      a_link_too_slow_for_its_messages_is_a_matter_of_the_line,
      a_plan_that_is_printed_can_be_stopped)
