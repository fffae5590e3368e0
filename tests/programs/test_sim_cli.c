// SPDX-License-Identifier: MIT
// The program sim, run as a user would, on runs recorded just before.
#include "programs/sim_options.h"
#include "tests/support/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

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

START_TEST(the_option_table_is_sound) { ck_assert_ok(option_check(&sim_options)); }
END_TEST

// A batch is shared by the devices along data: 64 each time there are 2 x 2 more of them.
START_TEST(a_title_says_how_many_devices_share_a_batch) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --tp 2 --pp 2 --model mlp"), 0);
    test_has(c.out, "mlp  batch 64 for every 4 devices (weak scaling)");
    test_has(c.out, "\n   4     64 ");
    test_has(c.out, "\n   8    128 ");
    command_finish(&c);
}
END_TEST

START_TEST(without_words_there_is_something_to_see_and_to_do_next) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim"), 0);
    test_has(c.out, "net  batch 64 a device (weak scaling)");
    test_has(c.out, "dgx-a100");
    ck_assert_ptr_nonnull(strstr(c.err, "next: sim --gpus"));
    ck_assert_ptr_nonnull(strstr(c.err, "next: train"));
    ck_assert_ptr_nonnull(strstr(c.err, "next: sim --trace"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "$(command -v sim)"), 0);
    const char *next = strstr(c.err, "next: /");  // as it was started itself
    ck_assert_ptr_nonnull(next);
    ck_assert_ptr_nonnull(strstr(next, "/train --ranks 2"));
    command_finish(&c);
    command_start_on_terminal(&c, "sh -c 'train -q --model linear --device reference --data "
                                  "digits:count=500 --steps 3 --trace run/ && sim --trace run//'");
    command_wait(&c, 60);
    test_has(c.out, "next: sim --trace run --ranks 1,2,4");
    command_finish(&c);
}
END_TEST

// sim starts no ranks, so that none can be lost; its batch, table and reports are not train's.
START_TEST(the_help_says_what_holds_for_sim) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --help status && train --help status | grep -c '^  4 '"),
                     0);
    ck_assert_ptr_null(strstr(c.out, "  4    "));
    ck_assert_ptr_nonnull(strstr(c.out, "\n1\n"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --help batch && sim --help csv && sim --help report"), 0);
    test_has(c.out, "(weak scaling): 64");
    test_has(c.out, "tail -n +2");
    ck_assert_ptr_null(strstr(c.out, "was learned"));
    command_finish(&c);
}
END_TEST

START_TEST(every_example_of_the_help_runs) {
    for (int i = 0; i < sim_options.example_count; i++) {
        Command c = {0};
        ck_assert_msg(
            command_run(&c, RECORD "--trace run > log && %s", sim_options.examples[i].command) == 0,
            "%s: %s", sim_options.examples[i].command, c.err);
        ck_assert_int_gt((int)strlen(c.out), 0);
        command_finish(&c);
    }
}
END_TEST

START_TEST(the_brief_help_fits_a_screen) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim -h"), 0);
    int lines = 0, column = 0;
    for (const char *t = c.out; *t; t++) {
        column = *t == '\n' ? 0 : column + 1;
        lines += *t == '\n';
        ck_assert_int_le(column, 80);
    }
    ck_assert_int_le(lines, 24);
    command_finish(&c);
}
END_TEST

START_TEST(a_recorded_run_is_replayed) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD "--ranks 2 --trace run > log && sim --trace run"), 0);
    test_has(c.out, "replay of linear on 2 ranks, batch 64, seed 1");
    test_has(c.out, "ms recorded (median)");
    test_has(c.out, "[simulated from 11 steps]");        // without the first
    ck_assert(!command_wrote(&c, "predictions.jsonl"));  // nothing was predicted
    command_finish(&c);
}
END_TEST

// The recorded run again is a replay; with another model, or machine, it is a prediction.
START_TEST(whatever_changes_the_recorded_run_makes_a_prediction) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD
                                 "--trace run > log && sim --trace run --ranks 1 && "
                                 "sim --trace run --model mlp:hidden=64 && "
                                 "sim --trace run --platform laptop && sim --trace run --batch 32"),
                     0);
    const char *first = strstr(c.out, "replay of linear");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "replay of"));
    test_has(c.out, "mlp:hidden=64  batch 64");
    test_has(c.out, "laptop: 4 cores");
    test_has(c.out, "linear  batch 32");
    command_finish(&c);
}
END_TEST

START_TEST(one_number_of_gpus_stands_for_the_powers_of_two_below) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 6 --csv"), 0);
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,1,64,"));
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,2,128,"));
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,4,256,"));
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,6,384,"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 6 --point --csv"), 0);
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,6,384,"));
    ck_assert_ptr_null(strstr(c.out, "\ntandem.sweep.v1,1,"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 2,3 --batch 96 --csv"), 0);
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,2,96,"));
    ck_assert_ptr_nonnull(strstr(c.out, "\ntandem.sweep.v1,3,96,"));
    command_finish(&c);
}
END_TEST

// The same bytes from gcc and clang (.ci/run runs this in both builds), and from run to run.
// Among it the update of fc1.weight, 16,000 weights with velocities: 5 numbers for each, and the
// learning rate, are 320,008 bytes, at 127 permille of 2,039 GB/s 1,235,777 ps (192,008 bytes would
// be 1,134,551); of conv2.weight, 10,000 weights, 200,008 bytes, at 86 permille 1,140,596 ps.
START_TEST(a_prediction_is_known_to_the_last_digit) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --all-reduce ring --bucket-kib 64,256 --plain"),
                     0);
    test_has(c.out, "schema tandem.sweep.v1\nranks.1.batch 64\nranks.1.step_ms 0.358155707 ms\n");
    test_has(c.out, "ranks.8.batch 512\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 > a && sim --gpus 8 > b && cmp a b"), 0);
    command_finish(&c);
}
END_TEST

START_TEST(every_prediction_is_kept_with_a_hash_of_its_inputs) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 "sim --ranks 1,2 > log && sim --ranks 1,2 >> log && sim "
                                 "--ranks 1,2 --batch 100 >> log && cat predictions.jsonl | "
                                 "sed 's/.*\"inputs\":\"\\([0-9a-f]*\\)\".*\"ranks\":\\([0-9]*\\)"
                                 ".*/\\2 \\1/' | sort | uniq -c | awk '{print $1, $2}' | sort"),
                     0);
    ck_assert_str_eq(c.out, "1 1\n1 2\n2 1\n2 2\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --ranks 2 --predictions none"), 0);
    ck_assert(!command_wrote(&c, "predictions.jsonl"));
    command_finish(&c);
}
END_TEST

START_TEST(predictions_of_devices_are_kept_where_that_is_asked_for) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 2"), 0);
    ck_assert(!command_wrote(&c, "predictions.jsonl"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 2 --predictions mine && wc -l < mine"), 0);
    ck_assert_ptr_nonnull(strstr(c.out, "\n2\n"));
    command_finish(&c);
}
END_TEST

START_TEST(a_ledger_that_nobody_named_is_only_a_note) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "mkdir predictions.jsonl && sim --ranks 1,2"), 0);
    test_has(c.out, "speed-up");
    const char *note = strstr(c.err, "predictions.jsonl: Is a directory");
    ck_assert_ptr_nonnull(note);
    ck_assert_ptr_null(strstr(note + 30, "Is a directory"));  // once
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "mkdir mine && sim --ranks 1,2 --predictions mine"), 1);
    command_finish(&c);
}
END_TEST

// The columns of `text`'s longest line; a character of UTF-8 is one.
static int widest_line(const char *text) {
    int widest = 0, column = 0;
    for (; *text; text++) {
        column = *text == '\n' ? 0 : column + ((*text & 0xC0) != 0x80);
        if (column > widest) widest = column;
    }
    return widest;
}

// Exposed and contended time, long names, two links: 80 columns are enough, and 50 for tables.
START_TEST(what_is_printed_fits_the_terminal) {
    static const char *const lines[] = {
        "sim --gpus 64 --model mlp:hidden=16384,layers=8", "sim --gpus 8 --link 1MB/s,5us -v",
        "sim --gpus 1,2,4..64 --platform dgx-h100 --batch 4096",
        RECORD "--ranks 1 --trace run > log && sim --trace run --ranks 1,2,4,64",
        RECORD "--ranks 2 --trace run --report r.json > log && sim --trace run --compare r.json"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Command c = {0};
        ck_assert_msg(command_run(&c, "%s", lines[i]) == 0, "%s: %s", lines[i], c.err);
        ck_assert_msg(widest_line(c.out) <= 80, "%s: %s", lines[i], c.out);
        ck_assert_ptr_null(strstr(c.out, "e-0"));
        ck_assert_ptr_null(strstr(c.out, "e+0"));
        command_finish(&c);
    }
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "COLUMNS=50 sim --gpus 8 --link 1MB/s,5us | grep '^ *[0-9]'"),
                     0);
    ck_assert_int_le(widest_line(c.out), 50);
    command_finish(&c);
}
END_TEST

// 0.9 us a launch x 31 operations that compute, dilated by four: 0.1116 ms. The rest is their work.
// Compute of the breakdown is the sum of both.
START_TEST(computation_is_told_apart_into_work_and_launches) {
    Command c = {0};
    double compute, launch;
    ck_assert_int_eq(command_run(&c, "sim --gpus 2 --point --dilate 4"), 0);
    test_has(c.out, "gpus    work  launch");
    test_has(c.out, "times x4 (--dilate)");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 2 --point --dilate 4 --plain | "
                                     "grep -e compute_ms -e launch_ms"),
                     0);
    ck_assert_int_eq(
        sscanf(c.out, "ranks.2.compute_ms %lf ms ranks.2.launch_ms %lf", &compute, &launch), 2);
    ck_assert_close(launch, 0.1116, 1e-9);
    ck_assert(compute > launch);
    command_finish(&c);
}
END_TEST

// A million rows need 91.4 GiB on one device and 1.43 GiB on each of 64.
START_TEST(memory_is_told_of_every_row_and_who_does_not_fit) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,64 --batch 1000000"), 0);
    test_has(c.out, "91.4GiB  DOES NOT FIT\n");
    test_has(c.out, "1.43GiB  work\n");
    test_has(c.out, "DOES NOT FIT on 1 device: 91.4GiB of 80GiB;  with --accumulate 2 it would\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,64 --batch 1000000 --csv"), 0);
    ck_assert_ptr_nonnull(strstr(c.out, ",memory_bytes,device_bytes,fits,tokens_per_s,mfu,hfu,"));
    ck_assert_ptr_nonnull(strstr(c.out, ",85899345920,false,,"));
    ck_assert_ptr_nonnull(strstr(c.out, ",85899345920,true,,"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,64 --batch 1000000 --plain"), 0);
    test_has(c.out, "ranks.1.fits false\n");
    test_has(c.out, "ranks.64.fits true\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --ranks 2 --plain"), 0);
    test_has(c.out, "ranks.2.fits -\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,64 --batch 1000000 --json | grep fits.: && "
                                     "sim --ranks 2 --json | grep fits.:"),
                     0);
    ck_assert_str_eq(c.out, "  \"fits\": false,\n  \"fits\": true,\n  \"fits\": null,\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,2 --shards 16"), 0);
    test_has(c.out, "16 shards in all");
    test_has(c.out, "computation in the last row: 200 roofline operations");
    command_finish(&c);
}
END_TEST

START_TEST(a_log_has_a_line_for_each_row_and_v_the_operations_of_the_last) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 2 --log l -v && cut -d' ' -f2- l"), 0);
    test_has(c.out, "\na step of 2 ranks, operation by operation\n");
    test_has(c.out, "\nbucket0 ");
    test_has(c.out, "1 rank, batch 64: 0.358156 ms a step\n");
    test_has(c.out, "2 ranks, batch 128: ");
    command_finish(&c);
}
END_TEST

START_TEST(one_recorded_step_has_no_spread) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD "--steps 2 --trace run --report r.json > log && "
                                            "sim --trace run --compare r.json && "
                                            "sim --trace run --ranks 1,2"),
                     0);
    test_has(c.out, "[simulated from 1 step]");
    test_has(c.out, "recorded: 1 step, too few");
    test_has(c.out, "ms measured (1 step)");
    ck_assert_ptr_null(strstr(c.out, "8 of 10"));
    command_finish(&c);
}
END_TEST

// A row that takes long: it stays unfinished, what is before it is shown, written and drawn.
START_TEST(an_interrupted_sweep_keeps_the_rows_that_are_done) {
    Command c = {0};
    command_start_on_terminal(&c, "sim --gpus 1,2,4096 --all-reduce ring --bucket-kib 4,32 "
                                  "--report r.json --predictions p.jsonl");
    sleep_seconds(4);
    ck_assert_int_eq(kill(c.pid, SIGINT), 0);
    command_wait(&c, 60);
    ck_assert_int_eq(c.status, 130);
    test_has(c.out, "128     0.3582");
    test_has(c.out, "where a step goes");
    test_has(c.out, "2 of 3 rows are done and kept: interrupted after");
    ck_assert(command_wrote(&c, "r.json"));
    ck_assert(command_wrote(&c, "p.jsonl"));
    command_finish(&c);
}
END_TEST

START_TEST(what_was_predicted_before_the_run_is_told_from_what_was_not) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD
                                 "--trace run > log && sim --trace run --ranks 2 > log && " RECORD
                                 "--ranks 2 --batch 128 --report two.json > log && "
                                 "sim --trace run --compare two.json && rm predictions.jsonl && "
                                 "sim --trace run --compare two.json"),
                     0);
    test_has(c.out, "2 ranks, batch 128: step ");
    test_has(c.out, ", before the run began");
    test_has(c.out, ", AFTER the run began");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, RECORD
                                 "--ranks 2 --trace run --report two.json > log && "
                                 "printf '{\"sch' > predictions.jsonl && "
                                 "sim --trace run --ranks 2 --model linear --compare two.json"),
                     0);
    test_has(c.out, ", AFTER the run began");
    ck_assert_ptr_nonnull(strstr(c.err, "predictions.jsonl:1: this is no prediction (cut off?)"));
    test_has(c.out, "exposed_comm");
    test_has(c.out, "step (median)");
    command_finish(&c);
}
END_TEST

START_TEST(other_numbers_of_ranks_are_predicted_and_the_same_each_time) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, RECORD "--trace run > log && "
                                            "sim --trace run --ranks 1,2,4 > a && "
                                            "sim --trace run --ranks 1,2,4 > b && "
                                            "cmp a b && cat a"),
                     0);
    test_has(c.out, "batch 64 a rank (weak scaling)");
    test_has(c.out, "1.00x");
    test_has(c.out, "256");  // the batch of four ranks
    command_finish(&c);
}
END_TEST

static void same_plan(const char *arguments) {
    Command c = {0};
    ck_assert_msg(command_run(&c, "train %s > a && sim %s > b && cmp a b", arguments, arguments) ==
                      0,
                  "%s: %s", arguments, c.err);
    command_finish(&c);
}

START_TEST(the_plan_is_the_one_that_train_prints) {
    same_plan("--ranks 1 --print-plan step");
    same_plan("--ranks 2 --print-plan file");
    same_plan("--ranks 3 --print-plan step --model mlp:hidden=32 --batch 99 --momentum 0.5 "
              "--weight-decay 0.01 --nesterov --compress topk:0.02");
    same_plan("--ranks 2 --print-plan file --shards 4 --accumulate 2 --bucket-kib 1,2 --no-overlap "
              "--all-reduce ring --dtype f64 --compress powersgd:2");
    same_plan("--ranks 4 --print-plan lowered-file --batch-per-rank 16 --all-reduce chain");
    same_plan("--ranks 3 --print-plan lowered-file --shards 6 --compress bf16 --dtype bf16");
    same_plan("--ranks 2 --print-plan file --optimizer adamw --eps 1e-6 --clip 1 --on-nan skip");
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c,
                    RECORD "--trace run > log && sim --trace run --ranks 2 --print-plan step > a "
                           "&& " RECORD "--ranks 2 --batch 128 --print-plan step > b && cmp a b"),
        0);
    command_finish(&c);
}
END_TEST

// Without its second bucket an edited plan needs less time for communication.
START_TEST(an_edited_plan_is_simulated) {
    Command c = {0};
    ck_assert_int_eq(
        command_run(&c,
                    "sim --gpus 4 --point --print-plan file --bucket-kib 64,256 > p && "
                    "sim --gpus 4 --plan p --link 1MB/s,1us --plain | grep step_ms && "
                    "sed 's/algorithm=direct order=rank/algorithm=ring order=schedule/' p > q && "
                    "sim --gpus 4 --plan q --link 1MB/s,1us --plain | grep step_ms"),
        0);
    double direct, ring;
    ck_assert_int_eq(sscanf(c.out, "ranks.4.step_ms %lf ms ranks.4.step_ms %lf", &direct, &ring),
                     2);
    ck_assert(direct > 100 && ring > direct);  // 108 KB over 1 MB/s; a ring has more latencies
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 4 --point --print-plan file > p && "
                                     "sim --gpus 2 --plan p"),
                     2);
    ck_assert_ptr_nonnull(strstr(c.err, "is for 4 ranks, not for 2"));
    command_finish(&c);
}
END_TEST

START_TEST(a_report_is_written_and_printed) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 RECORD "--trace run > log && sim --trace run --report sim.json "
                                        "--json | head -c 400"),
                     0);
    test_has(c.out, "\"kind\": \"sim\"");
    ck_assert(command_wrote(&c, "sim.json"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 2 --json | head -c 1 && sim --gpus 2 --report "
                                     "s.json > log && head -c 1 s.json"),
                     0);
    ck_assert_str_eq(c.out, "[[");  // a sweep is a list
    command_finish(&c);
}
END_TEST

START_TEST(what_cannot_be_simulated_is_refused_in_one_line) {
    refuse("sim --trase run", "did you mean --trace?");
    refuse("sim --gpu 8", "did you mean --gpus?");
    refuse("sim --zero 0", "\"0\" is not one of no, 1, 2, 3\n");  // neither is near
    refuse("sim --trace nowhere", "nowhere");
    refuse("mkdir run && echo '{' > run/rank0.json && sim --trace run", "run/rank0.json");
    refuse(RECORD "--ranks 2 --trace run > log && rm run/rank1.json && sim --trace run",
           "run/rank1.json: there is no such file");
    refuse(RECORD "--trace run > log && sim --trace run --ranks 2 --platform laptob",
           "did you mean laptop?");
    refuse(RECORD "--trace run > log && sim --trace run --ranks 2 --platform dgx-a100",
           "a machine file with a host");
    refuse(RECORD "--trace run > log && rm run/machine.yaml && sim --trace run --ranks 2",
           "run holds no machine.yaml");
    refuse("sim --ranks 0", "--ranks");
    refuse("sim --gpus 2 --ranks 2", "give one of the two");
    refuse("sim --gpus 2 --json --csv", "give one");
    refuse("sim --gpus 100 --batch 64", "--batch");
    refuse("sim --gpus 8 --platform laptop", "laptop is a host, whose ranks share its cores: give "
                                             "--ranks 8");
    refuse("sim --gpus 2 --report -", "-: the name of a report ends in .json, .md or .html");
    refuse("sim --gpus 8 --batch 3", "give --batch 8 or more");  // not 2, then 4, then 8
    refuse("sim --gpus 2 --predictions -", "takes a file");
    refuse("sim --gpus 2 --link 1Gb/s,1us", "Gb/s");
    refuse("sim --ranks 2 --link 1GB/s,1us", "give --gpus");
    refuse(RECORD "--trace run > log && sim --trace run --dilate 2", "give --gpus");
    // 1 h times 10,000 and 5,000: more than 2^63 ps, on both sides of twice as much.
    refuse("sim --gpus 2 --link 1GB/s,1h --dilate 10248.192", "to 26 days");
    refuse("sim --gpus 2 --link 1GB/s,1h --dilate 5124.096", "to 26 days");
    refuse("sim --gpus 512 --point --batch-per-rank 10000000", "5120000000 rows");
    refuse("sim --gpus 2 --model nett", "did you mean net?");
    refuse("sim --gpus 2 --compare nowhere.json", "nowhere.json");
}
END_TEST

SUITE_SECONDS("sim_cli", 240, the_option_table_is_sound,
              without_words_there_is_something_to_see_and_to_do_next,
              a_title_says_how_many_devices_share_a_batch, the_help_says_what_holds_for_sim,
              every_example_of_the_help_runs, the_brief_help_fits_a_screen,
              a_recorded_run_is_replayed, whatever_changes_the_recorded_run_makes_a_prediction,
              one_number_of_gpus_stands_for_the_powers_of_two_below,
              a_prediction_is_known_to_the_last_digit,
              every_prediction_is_kept_with_a_hash_of_its_inputs,
              predictions_of_devices_are_kept_where_that_is_asked_for,
              a_ledger_that_nobody_named_is_only_a_note, what_is_printed_fits_the_terminal,
              computation_is_told_apart_into_work_and_launches,
              memory_is_told_of_every_row_and_who_does_not_fit,
              a_log_has_a_line_for_each_row_and_v_the_operations_of_the_last,
              one_recorded_step_has_no_spread, an_interrupted_sweep_keeps_the_rows_that_are_done,
              what_was_predicted_before_the_run_is_told_from_what_was_not,
              other_numbers_of_ranks_are_predicted_and_the_same_each_time,
              the_plan_is_the_one_that_train_prints, an_edited_plan_is_simulated,
              a_report_is_written_and_printed, what_cannot_be_simulated_is_refused_in_one_line)
