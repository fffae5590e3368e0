// SPDX-License-Identifier: MIT
// What `sim` does with traces that it cannot use: one line that says which file, where in it, what
// was expected and what was found, and exit status 2.
#include "core/base/file.h"
#include "tests/support/command.h"
#include "tests/support/small_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static Arena arena;
static char run_directory[64];
static Command it;

static const char *file_of(int rank) {
    static char path[128];
    snprintf(path, sizeof path, "%s/rank%d.json", run_directory, rank);
    return path;
}

// A directory with the traces of both ranks, to be damaged.
static void make_run(void) {
    snprintf(run_directory, sizeof run_directory, "%s", test_directory());
    for (int r = 0; r < SMALL_RANKS; r++) small_trace_write(file_of(r), r, SMALL_RANKS);
}

static char *text_of(int rank) {
    char *text;
    size_t length;
    ck_assert_ok(file_read(&text, &length, &arena, file_of(rank)));
    return text;
}

static void edit(int rank, const char *from, const char *to) {
    const char *text = text_replaced(&arena, text_of(rank), from, to);
    write_bytes(file_of(rank), text, strlen(text));
}

static void refused(const char *const parts[]) {
    command_run(&it, "sim --trace %s", run_directory);
    command_refused(&it, "sim", parts);
}

// One edit of rank 1's trace, or of both.
static void refused_edit(const char *from, const char *to, const char *const parts[]) {
    make_run();
    edit(1, from, to);
    refused(parts);
}

static void refused_edit_of_both(const char *from, const char *to, const char *const parts[]) {
    make_run();
    for (int r = 0; r < SMALL_RANKS; r++) edit(r, from, to);
    refused(parts);
}

static void refused_bytes(const void *bytes, size_t size, const char *const parts[]) {
    make_run();
    write_bytes(file_of(1), bytes, size);
    refused(parts);
}

START_TEST(the_run_in_order_is_simulated) {
    make_run();
    ck_assert_int_eq(command_run(&it, "sim --trace %s", run_directory), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "replay of net on 2 ranks"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "gzip %s && sim --trace %s", file_of(1), run_directory), 0);
    command_finish(&it);
}
END_TEST

// --- which file

START_TEST(another_version_says_to_record_again) {
    refused_edit("tandem.trace.v1", "tandem.trace.v2",
                 PARTS("rank1.json:2: schema", "expected \"tandem.trace.v1\"",
                       "found \"tandem.trace.v2\"", "record it again"));
    refused_edit("tandem plan 2", "tandem plan 3",
                 PARTS("rank1.json, program:1: version 3", "only 2"));
}
END_TEST

START_TEST(a_missing_rank_is_named) {
    make_run();
    ck_assert_int_eq(unlink(file_of(1)), 0);
    refused(PARTS("rank1.json: there is no such file, nor a .gz"));
    make_run();
    ck_assert_int_eq(unlink(file_of(0)), 0);
    refused(PARTS("rank0.json: there is no such file"));
    command_run(&it, "sim --trace %s", file_of(1));
    command_refused(&it, "sim", PARTS("rank1.json", "1 of 2 ranks"));
    make_run();
    small_trace_write(file_of(1), 0, SMALL_RANKS);
    refused(PARTS("rank1.json: expected the trace of rank 1, found that of rank 0"));
}
END_TEST

START_TEST(traces_of_two_runs_are_told_by_what_differs) {
    refused_edit("\"seed\": 42", "\"seed\": 43",
                 PARTS("seed is 42 in the trace of rank 0, 43 in that of rank 1", "mixed"));
    refused_edit("\"model\": \"net\"", "\"model\": \"mlp\"",
                 PARTS("model is net in", "mlp in", "mixed"));
    refused_edit("\"comm\": \"shm\"", "\"comm\": \"thread\"",
                 PARTS("comm is shm", "thread", "mixed"));
    refused_edit("\"batch\": 64", "\"batch\": 65", PARTS("batch is 64", "65", "mixed"));
    refused_edit("\"origin_ns\": 123456789", "\"origin_ns\": 123456780",
                 PARTS("clock.origin_ns is 123456789", "123456780", "mixed"));
    refused_edit("\"step\": [7, 7, 8]", "\"step\": [7, 7, 9]", PARTS("args.step"));
    make_run();
    edit(1, "\"step\": [7, 7, 8]", "\"step\": [7, 7, 9]");
    edit(1, "\"args\":{\"step\":8,", "\"args\":{\"step\":9,");
    edit(1, "\"args\":{\"step\":8,", "\"args\":{\"step\":9,");
    refused(PARTS("row 2 of steps", "rank 1 has step 9", "rank 0 step 8", "mixed"));
    make_run();
    small_trace_write(file_of(1), 1, 3);
    refused(PARTS("ranks is 2 in the trace of rank 0, 3 in", "mixed"));
    make_run();
    command_run(&it, "gzip -k %s && sim --trace %s", file_of(1), run_directory);
    command_refused(&it, "sim", PARTS("rank1.json: there is a .gz beside it"));
}
END_TEST

START_TEST(ranks_that_executed_different_programs_are_refused) {
    refused_edit("all_reduce @data     g <- g", "all_reduce @data     x <- x",
                 PARTS("rank1.json, program", "x is R along data"));
    refused_edit("phase=evaluate", "phase=forward",
                 PARTS("rank 1 executed another program than rank 0"));
    refused_edit("algorithm=direct", "algorithm=ring",
                 PARTS("rank 1 executed another program than rank 0"));
}
END_TEST

// --- cut off

// From memory, each cut in a block of its own, so that a sanitizer sees what reads behind its end.
START_TEST(a_trace_that_is_cut_anywhere_is_refused) {
    Trace t;
    const char *text = small_trace_text(&arena, 0, SMALL_RANKS);
    size_t whole = strlen(text) - 1;  // without the line's end, which nobody misses
    for (size_t length = 0; length <= whole; length++) {
        char *cut = malloc(length + 1);
        if (length) memcpy(cut, text, length);
        Status s = trace_parse(&t, &arena, cut, length, "cut.json");
        ck_assert_msg((s == OK) == (length == whole), "%zu bytes of %zu: %s", length, whole,
                      status_name(s));
        if (s != OK)
            ck_assert_msg(s == ERR_FORMAT && !strncmp(status_message(), "cut.json", 8),
                          "%zu bytes: %s", length, status_message());
        trace_finish(&t);
        free(cut);
    }
}
END_TEST

START_TEST(a_packed_trace_that_is_cut_anywhere_is_refused) {
    char path[128], *bytes = malloc(1 << 16);
    Trace t;
    snprintf(path, sizeof path, "%s/rank0.json.gz", test_directory());
    small_trace_write(path, 0, SMALL_RANKS);
    FILE *f = fopen(path, "rb");
    size_t whole = fread(bytes, 1, 1 << 16, f);
    fclose(f);
    ck_assert(whole > 500 && whole < 1 << 16);
    for (size_t length = 0; length <= whole; length++) {
        write_bytes(path, bytes, length);
        Status s = trace_read(&t, &arena, path);
        ck_assert_msg((s == OK) == (length == whole), "%zu bytes of %zu: %s", length, whole,
                      status_name(s));
        if (s != OK)
            ck_assert_msg(status_exit(s) == 2 && strstr(status_message(), "rank0.json.gz"),
                          "%zu bytes: %s", length, status_message());
        trace_finish(&t);
    }
    free(bytes);
}
END_TEST

START_TEST(a_run_with_a_file_cut_off_is_refused) {
    make_run();
    const char *text = text_of(1);
    size_t whole = strlen(text) - 1;
    for (size_t length = 0; length < whole; length += 1 + whole / 23) {
        write_bytes(file_of(1), text, length);
        refused(PARTS("rank1.json"));
    }
    write_bytes(file_of(1), text, whole / 2);
    refused(PARTS("it was cut off", "record it again"));
    make_run();
    command_run(&it,
                "cd %s && gzip rank1.json && head -c 300 rank1.json.gz > x && "
                "mv x rank1.json.gz && sim --trace .",
                run_directory);
    command_refused(&it, "sim", PARTS("./rank1.json.gz: the compressed data end too early"));
}
END_TEST

// --- what the program says

#define RELU "y <- x  phase=forward"
#define REDUCE "order=rank  phase=sync"

START_TEST(cyclic_dependencies_are_named) {
    refused_edit_of_both(RELU, RELU " after=relu1",
                         PARTS("rank0.json, program: plan step: a cycle of 1 operation: relu1 "
                               "waits for relu1",
                               "after="));
    make_run();
    edit(0, RELU, RELU " after=g.all_reduce");
    edit(0, REDUCE, REDUCE " after=relu1");
    refused(PARTS("a cycle of 2 operations", "relu1 waits for g.all_reduce waits for relu1"));
    // The step before has ended: that is no cycle.
    make_run();
    for (int r = 0; r < SMALL_RANKS; r++) edit(r, RELU, RELU " after=relu1~1,g.all_reduce~1");
    ck_assert_int_eq(command_run(&it, "sim --trace %s", run_directory), 0);
    command_finish(&it);
}
END_TEST

// Both write y, so that the second follows the first whatever else is said.
START_TEST(a_cycle_against_the_order_of_writes_is_named) {
    refused_edit_of_both(RELU "\\n",
                         RELU " after=other\\n  other relu @compute y <- x phase=forward\\n",
                         PARTS("a cycle of 2 operations", "relu1 waits for other waits for relu1"));
}
END_TEST

START_TEST(a_program_that_cannot_be_executed_is_refused) {
    refused_edit("y <- x ", "y <- y ", PARTS("relu1", "reads y before any operation wrote it"));
    refused_edit("mesh data=2", "mesh data=3", PARTS("the run has 2 ranks, the mesh", "3"));
    refused_edit("tensor x  f32 4x8", "tensor x  f32 4000000000000x8",
                 PARTS("rank1.json, program:", "shape", "too large"));
    refused_edit("tensor x  f32 4x8", "tensor x  f32 99999999999999999999x8",
                 PARTS("expected a whole number", "99999999999999999999"));
    refused_edit("@compute  y", "@compote  y", PARTS("did you mean compute?"));
    refused_edit("plan step", "plan stop", PARTS("there is no plan \"step\""));
    refused_edit_of_both("axes=data\\n", "ranks=0,0\\n", PARTS("group data has rank 0 twice"));
    refused_edit_of_both("axes=data\\n", "ranks=1\\n", PARTS("rank 0 is not in group data"));
}
END_TEST

// --- times

START_TEST(times_that_cannot_be_are_refused) {
    refused_edit("\"start_ps\": [1000,", "\"start_ps\": [-1000,",
                 PARTS("rank1.json:2: steps.start_ps[0]: expected 0 to", "found -1000"));
    refused_edit("\"start_ps\": [1000, 3000000,", "\"start_ps\": [1000, 2999999,",
                 PARTS("steps.start_ps[1]: expected 3000000 to", "found 2999999"));
    refused_edit("\"end_ps\": [3000000,", "\"end_ps\": [999,",
                 PARTS("steps.end_ps[0]: expected 1000 to", "found 999"));
    refused_edit("9007199254740995]", "9223372036854775807]",
                 PARTS("steps.start_ps[2]", "to 4320000000000000000", "9223372036854775807"));
    refused_edit("9007199254740995]", "9223372036854775808]",
                 PARTS("rank1.json:", "too big integer"));
    refused_edit("\"start_ps\": [1000,", "\"start_ps\": [1000.5,",
                 PARTS("start_ps[0]: expected a whole number"));
}
END_TEST

START_TEST(spans_outside_of_their_step_are_refused) {
    refused_edit("\"ps\":[1000,2000001]", "\"ps\":[999,2000001]",
                 PARTS("rank1.json:", "args.ps[0]: expected 1000 to 3000000, found 999"));
    refused_edit("\"ps\":[1000,2000001]", "\"ps\":[1000,3000001]",
                 PARTS("args.ps[1]: expected 1000 to 3000000, found 3000001"));
    refused_edit("\"ps\":[5000,2000001]", "\"ps\":[2000002,2000001]",
                 PARTS("args.ps[1]: expected 2000002 to", "found 2000001"));
    refused_edit("\"ps\":[5000,2000001]", "\"ps\":[5000,9223372036854775807]",
                 PARTS("args.ps[1]: expected", "found 9223372036854775807"));
    refused_edit("\"wait_ns\":1500", "\"wait_ns\":-1", PARTS("args.wait_ns: expected 0 to 1996"));
    refused_edit("\"wait_ns\":1500", "\"wait_ns\":1997", PARTS("args.wait_ns", "found 1997"));
    refused_edit("\"cpu_ns\":900", "\"cpu_ns\":-900", PARTS("args.cpu_ns", "found -900"));
    refused_edit("\"cpu_ns\":900", "\"cpu_ns\":9223372036854775",
                 PARTS("args.cpu_ns: expected 0 to"));
}
END_TEST

// Both operations take 49 days: at once that is possible, one after the other it is not.
START_TEST(durations_whose_sum_overflows_are_refused) {
    make_run();
    edit(1, "9007199254740995, 9007199255040993]", "9007199254740995, 4300000000000000000]");
    edit(1, "9007199254740995,9007199254940993]", "9007199254740995,4242600000000000000]");
    edit(1, "9007199254741002,9007199255040993]", "9007199254741002,4242600000000000000]");
    refused(PARTS("rank1.json:", "the spans of row 2 of steps take more than 50 days together"));
}
END_TEST

// --- counts

START_TEST(counts_that_do_not_fit_are_refused) {
    refused_edit("\"rows\": [64,", "\"rows\": [64, 64,",
                 PARTS("steps.rows has 4 values, steps.step 3"));
    refused_edit("\"complete\": [true,", "\"complete\": [",
                 PARTS("steps.complete has 2 values, steps.step 3"));
    refused_edit("\"epoch\"", "\"epock\"", PARTS("steps.epoch is missing: expected an array"));
    refused_edit("\"op\":1", "\"op\":2", PARTS("args.op: expected 0 to 1, found 2"));
    refused_edit("\"op\":1", "\"op\":-1", PARTS("args.op: expected 0 to 1, found -1"));
    refused_edit("\"tid\":2,\"ts\"", "\"tid\":4,\"ts\"", PARTS("tid: expected 1 to 3, found 4"));
    refused_edit("\"tid\":2,\"ts\"", "\"tid\":3,\"ts\"",
                 PARTS("tid: g.all_reduce runs on lane 1, whose tid is 2, found 3"));
    refused_edit("\"record\":0", "\"record\":3", PARTS("args.record: expected 0 to 2, found 3"));
    refused_edit("\"rank\": 1", "\"rank\": 2", PARTS("rank: expected 0 to 1, found 2"));
    refused_edit("\"rank\": 1", "\"rank\": -1", PARTS("rank: expected 0 to 1, found -1"));
    refused_edit("\"shards\": 2", "\"shards\": -2", PARTS("shards", "found -2"));
    refused_edit("\"batch\": 64", "\"batch\": 2000000000", PARTS("batch: expected 0 to 16777216"));
    refused_edit("\"shards\": 2", "\"shards\": 4096",
                 PARTS("shards 4096 and strategy.accumulate 1 are 2048 parts", "2 operations"));
    refused_edit("\"dp\": 2", "\"accumulate\": 1000000", PARTS("are 1000000 parts of a step"));
    refused_edit("\"dropped\": 5", "\"dropped\": -5", PARTS("dropped: expected at least 0"));
}
END_TEST

START_TEST(a_complete_step_has_one_span_of_each_operation) {
    const char *span =
        "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"name\":\"relu1\",\"args\":{\"record\":0,"
        "\"op\":0,\"ps\":[2000,3000]}},\n{\"ph\":\"M\",";
    refused_edit("{\"ph\":\"M\",", span,
                 PARTS("a second span of relu1 in row 0 of steps", "the first is in line"));
    refused_edit("\"record\":0,\"op\":1", "\"record\":0,\"of\":1",
                 PARTS("row 0 of steps is complete", "g.all_reduce has no span there (1 of 2"));
    refused_edit("\"complete\": [true,", "\"complete\": [false,",
                 PARTS("a span of row 0 of steps, which is not complete"));
}
END_TEST

START_TEST(what_a_file_claims_takes_no_memory) {
    refused_edit_of_both("\"ranks\": 2,", "\"ranks\": 2147483647,",
                         PARTS("expected 1 to 1073741824"));
    make_run();
    for (int r = 0; r < SMALL_RANKS; r++) {
        edit(r, "\"ranks\": 2,", "\"ranks\": 1073741824,");
        edit(r, "mesh data=2", "mesh data=1073741824");
    }
    refused(PARTS("rank2.json: there is no such file"));
    struct rusage use;
    ck_assert_int_eq(getrusage(RUSAGE_CHILDREN, &use), 0);
    ck_assert_msg(use.ru_maxrss < 512 * 1024, "%ld KiB", use.ru_maxrss);
}
END_TEST

// --- what is no trace

START_TEST(files_that_are_no_traces_are_recognised) {
    static const char kineto[] = "{\"schemaVersion\": 1, \"traceEvents\": [{\"ph\": \"X\"}]}";
    refused_bytes(kineto, strlen(kineto),
                  PARTS("rank1.json: no \"tandem\" section", "train --trace"));
    refused_bytes("[{\"ph\": \"X\"}]", 13, PARTS("rank1.json: no \"tandem\" section"));
    refused_bytes("", 0, PARTS("rank1.json: the file is empty"));
    refused_bytes(" \n\n", 3, PARTS("rank1.json: the file is empty"));
    refused_bytes("\x7f"
                  "ELF\x02\x01\x01",
                  8, PARTS("rank1.json:1: not a trace", "train --trace"));
    refused_bytes("\x1b]0;owned\x07", 10, PARTS("rank1.json:1: not a trace"));
    refused_bytes("hello", 5, PARTS("rank1.json:1: not a trace"));
    make_run();
    command_run(&it, "rm %s && mkdir %s && sim --trace %s", file_of(1), file_of(1), run_directory);
    command_refused(&it, "sim", PARTS("rank1.json: Is a directory"));
    command_run(&it, "sim --trace nowhere");
    command_refused(&it, "sim", PARTS("nowhere: No such file", "train --trace"));
}
END_TEST

START_TEST(damaged_json_is_refused_with_its_line) {
    char deep[3000];
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    refused_bytes(deep, sizeof deep, PARTS("rank1.json:1: more than 2048 lists and objects"));
    refused_edit("\"model\": \"net\"", "\"model\": \"n\xfft\"", PARTS("rank1.json:", "UTF-8"));
    refused_edit("\"model\": \"net\"", "\"model\": \"\\u001b[2J\"",
                 PARTS("model: expected a name, found \"?[2J\""));
    refused_edit("\"rank\": 1,", "\"rank\": 1, \"rank\": 1,",
                 PARTS("rank1.json:", "duplicate", "rank"));
    refused_edit("\n]\n}\n", "\n]\n}\n}", PARTS("expected the end of the file, found '}'"));
    refused_edit("\n]\n}\n", "\n],\n\"traceEvents\": []}", PARTS("here is a second"));
    refused_edit("{\n\"tandem\": ", "{\n\"tandem\": 3, \"b\": ",
                 PARTS("rank1.json:2: expected the \"tandem\" section"));
    refused_edit("\"dtype\": \"f64\"", "\"dtype\": \"f16\"",
                 PARTS("dtype: expected f32, f64 or bf16"));
}
END_TEST

SUITE_SECONDS("sim: bad traces", 120, the_run_in_order_is_simulated,
              another_version_says_to_record_again, a_missing_rank_is_named,
              traces_of_two_runs_are_told_by_what_differs,
              ranks_that_executed_different_programs_are_refused,
              a_trace_that_is_cut_anywhere_is_refused,
              a_packed_trace_that_is_cut_anywhere_is_refused, a_run_with_a_file_cut_off_is_refused,
              cyclic_dependencies_are_named, a_cycle_against_the_order_of_writes_is_named,
              a_program_that_cannot_be_executed_is_refused, times_that_cannot_be_are_refused,
              spans_outside_of_their_step_are_refused, durations_whose_sum_overflows_are_refused,
              counts_that_do_not_fit_are_refused, a_complete_step_has_one_span_of_each_operation,
              what_a_file_claims_takes_no_memory, files_that_are_no_traces_are_recognised,
              damaged_json_is_refused_with_its_line)
