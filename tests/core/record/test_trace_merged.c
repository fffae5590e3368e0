// SPDX-License-Identifier: MIT
// The file of all ranks for viewers, and what of earlier runs goes when a run is over.
#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/support/small_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[128];

static const char *in_directory(const char *name) {
    static char path[256];
    if (!*directory) snprintf(directory, sizeof directory, "%s", test_directory());
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

// The small program, whose relu1 makes the gradient that g.all_reduce sends.
static void backward_program(Program *p) {
    small_program(p, SMALL_RANKS);
    Plan *step = &p->plans[0];
    free(step->deps);
    step->deps = malloc(sizeof *step->deps);
    step->deps[0] = (Dep){.op = 0, .kind = DEP_DATA};
    step->dep_count = step->dep_capacity = 1;
    step->ops[1].dep_first = 0;
    step->ops[1].dep_count = 1;
    p->works[step->ops[0].work].phase = PHASE_BACKWARD;
}

static json_t *root;  // of the file that a test looks at

static json_t *merged(int ranks, int *steps) {
    Program p;
    Timeline lines[SMALL_RANKS];
    const Program *programs[SMALL_RANKS];
    const Timeline *timelines[SMALL_RANKS];
    backward_program(&p);
    for (int r = 0; r < ranks; r++) {
        small_timeline(&lines[r], r);
        programs[r] = &p;
        timelines[r] = &lines[r];
    }
    ck_assert_ok(trace_write_merged(in_directory(TRACE_MERGED), steps, programs, timelines, ranks));
    for (int r = 0; r < ranks; r++) timeline_destroy(&lines[r]);
    program_finish(&p);
    ck_assert_ok(json_read_file(&root, in_directory(TRACE_MERGED)));
    return json_object_get(root, "traceEvents");
}

static const char *text_of(const json_t *event, const char *key) {
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

static double number_of(const json_t *event, const char *key) {
    return json_number_value(json_find(event, "%s", key));
}

START_TEST(all_ranks_are_in_one_file_with_names_and_an_order) {
    size_t i;
    json_t *event, *events;
    int steps, bars[SMALL_RANKS] = {0}, spans[SMALL_RANKS] = {0}, names = 0, orders = 0;
    events = merged(SMALL_RANKS, &steps);
    ck_assert_int_eq(steps, 3);
    json_array_foreach(events, i, event) {
        int pid = (int)number_of(event, "pid");
        ck_assert(pid == 0 || pid == 1);
        ck_assert(number_of(event, "tid") >= 1);
        names += !strcmp(text_of(event, "name"), "process_name");
        orders += !strcmp(text_of(event, "name"), "process_sort_index");
        if (strcmp(text_of(event, "ph"), "X")) continue;
        bars[pid] += !strcmp(text_of(event, "cat"), "step");
        spans[pid] += strcmp(text_of(event, "cat"), "step") != 0;
    }
    ck_assert(names == 2 && orders == 2);
    for (int r = 0; r < SMALL_RANKS; r++) ck_assert(bars[r] == 3 && spans[r] == 5);
    // It cannot be replayed, and the reader says so.
    Arena a = {0};
    Trace back;
    ck_assert_fails(trace_read(&back, &a, in_directory(TRACE_MERGED)), ERR_FORMAT,
                    "no \"tandem\" section");
    arena_finish(&a);
    json_decref(root);
}
END_TEST

// Each end of an arrow lies on the bar of its operation, the start's no later than the end's.
START_TEST(an_arrow_leads_from_a_gradient_to_its_communication) {
    size_t i;
    json_t *event, *events;
    int steps, starts = 0, ends = 0, last = 0;
    events = merged(SMALL_RANKS, &steps);
    json_array_foreach(events, i, event) {
        const char *phase = text_of(event, "ph");
        if (strcmp(phase, "s") && strcmp(phase, "f")) continue;
        bool start = *phase == 's';
        starts += start;
        ends += !start;
        ck_assert_int_eq((int)number_of(event, "id"), start ? ++last : last);
        ck_assert_int_eq((int)number_of(event, "tid"), start ? 1 : 2);  // relu1, g.all_reduce
        ck_assert_str_eq(text_of(event, "bp"), start ? "" : "e");
        // Steps 7 and 8: relu1 begins at 1 ns or LATE + 2 ps, g.all_reduce at 5 ns or LATE + 9 ps.
        double ts = number_of(event, "ts");
        if (ts < 1)
            ck_assert_close(ts, start ? 0.001 : 0.005, 0);
        else
            ck_assert_close(ts, 9007199254.741, 0.001);
    }
    ck_assert(starts == 4 && ends == 4);  // two steps of two ranks
    json_decref(root);
}
END_TEST

// From the arrival of the last member, 1500 ns after the start, to the end.
START_TEST(bytes_in_flight_rise_and_fall_to_nothing) {
    size_t i;
    json_t *event, *events;
    int steps, changes = 0;
    events = merged(1, &steps);
    const double at[] = {1.505, 2.000001};
    json_array_foreach(events, i, event) {
        if (strcmp(text_of(event, "ph"), "C")) continue;
        ck_assert_str_eq(text_of(event, "name"), "bytes in flight");
        if (changes < 2) ck_assert_close(number_of(event, "ts"), at[changes], 0);
        ck_assert_int_eq((int)number_of(event, "args.bytes"), changes % 2 ? 0 : 128);
        changes++;
    }
    ck_assert_int_eq(changes, 4);
    json_decref(root);
}
END_TEST

START_TEST(a_long_run_is_cut_behind_a_whole_step) {
    Program p;
    Timeline t;
    int steps;
    backward_program(&p);
    ck_assert_ok(timeline_create(&t, 0, 400000, 800000));
    for (int i = 0; i < 400000; i++) {  // 3 bars a step: 333,333 steps are 999,999
        timeline_begin_step(&t, 0, i, i * 10)->rows = 1;
        timeline_add_span(&t, &(Span){.op = 0, .start_ps = i * 10, .end_ps = i * 10 + 5});
        timeline_add_span(&t,
                          &(Span){.op = 1, .lane = 1, .start_ps = i * 10, .end_ps = i * 10 + 9});
        timeline_end_step(&t, i * 10 + 10);
    }
    ck_assert_ok(trace_write_merged("/dev/null", &steps, (const Program *const[]){&p},
                                    (const Timeline *const[]){&t}, 1));
    ck_assert_int_eq(steps, 333333);
    timeline_destroy(&t);
    program_finish(&p);
}
END_TEST

static void write_text(const char *name, const char *text) {
    write_bytes(in_directory(name), text, strlen(text));
}

static bool is_there(const char *name) { return access(in_directory(name), F_OK) == 0; }

START_TEST(traces_of_earlier_runs_go_and_other_files_stay) {
    int removed, steps;
    for (int r = 0; r < 2; r++) {
        char name[32];
        for (int gz = 0; gz < 2; gz++) {
            snprintf(name, sizeof name, "rank%d.json%s", r, gz ? ".gz" : "");
            small_trace_write(in_directory(name), r, SMALL_RANKS);
        }
    }
    small_trace_write(in_directory("rank12.json"), 1, SMALL_RANKS);
    merged(2, &steps);
    json_decref(root);
    write_text("rank3.json", "{\"mine\": 1}");
    write_text("rank02.json", "{\n\"tandem\": {");  // not a name that we give
    write_text("rank4.json.bak", "{\n\"tandem\": {");
    write_text("machine.yaml", "tandem: machine 1\n");
    ck_assert_ok(trace_remove_stale(&removed, directory, 1, false));
    ck_assert_int_eq(removed, 4);  // both of rank 1, rank 0 packed, rank 12
    ck_assert(is_there("rank0.json") && is_there(TRACE_MERGED) && is_there("machine.yaml"));
    ck_assert(!is_there("rank1.json") && !is_there("rank1.json.gz") && !is_there("rank0.json.gz") &&
              !is_there("rank12.json"));
    ck_assert(is_there("rank3.json") && is_there("rank02.json") && is_there("rank4.json.bak"));
    // A run that packs its files: the plain ones are of before.
    ck_assert_ok(trace_remove_stale(&removed, directory, 1, true));
    ck_assert(removed == 2 && !is_there("rank0.json") && !is_there(TRACE_MERGED));
    ck_assert_fails(trace_remove_stale(&removed, "/no/such/place", 1, false), ERR_IO,
                    "/no/such/place");
}
END_TEST

SUITE("trace_merged", all_ranks_are_in_one_file_with_names_and_an_order,
      an_arrow_leads_from_a_gradient_to_its_communication, bytes_in_flight_rise_and_fall_to_nothing,
      a_long_run_is_cut_behind_a_whole_step, traces_of_earlier_runs_go_and_other_files_stay)
