// SPDX-License-Identifier: MIT
// A trace is read back as it was written; what is damaged is refused with its place.
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/plan_text/plan_text.h"
#include "tests/support/small_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANE_RING = 1, LANES = SMALL_LANES };

static const RunInfo *run_of(int ranks) {
    static RunInfo run;
    run = small_run(ranks);
    return &run;
}

static void write_rank(const char *path, int rank) { small_trace_write(path, rank, SMALL_RANKS); }

static char *in_directory(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    return path;
}

static char *printed(const Program *p) {
    char *text;
    size_t length;
    FILE *f = open_memstream(&text, &length);
    const ProgramSet set = program_set_of_one(p);
    ck_assert_ok(plan_text_print(&set, NONE, f));
    fclose(f);
    return text;
}

static void check_same_span(const Span *a, const Span *b) {
    ck_assert(a->start_ps == b->start_ps && a->end_ps == b->end_ps);
    ck_assert(a->wait_ns == b->wait_ns && a->cpu_ns == b->cpu_ns);
    ck_assert_int_eq(a->issue_ps, b->issue_ps);
    ck_assert(a->op == b->op && a->step == b->step && a->rank == b->rank);
    ck_assert(a->plan == b->plan && a->lane == b->lane && a->source == b->source &&
              a->flags == b->flags);
}

static void check_same_step(const StepRecord *a, const StepRecord *b) {
    ck_assert(a->start_ps == b->start_ps && a->end_ps == b->end_ps);
    ck_assert((isnan(a->loss) && isnan(b->loss)) || a->loss == b->loss);
    ck_assert(a->step == b->step && a->span_first == b->span_first &&
              a->span_count == b->span_count);
    ck_assert(a->epoch == b->epoch && a->rows == b->rows && a->plan == b->plan &&
              a->complete == b->complete);
}

// What was read from `path` is what write_rank() wrote.
static void check_read(const char *path, int rank) {
    Arena a = {0};
    Trace back;
    Program p;
    Timeline t;
    small_program(&p, SMALL_RANKS);
    small_timeline(&t, rank);
    ck_assert_ok(trace_read(&back, &a, path));
    char *one = printed(&p), *two = printed(&back.program);
    ck_assert_str_eq(one, two);
    free(one);
    free(two);
    ck_assert(back.origin_ns == SMALL_ORIGIN_NS);
    ck_assert_int_eq(back.timeline.rank, rank);
    ck_assert_int_eq(back.timeline.dropped, 5);
    ck_assert_int_eq(back.timeline.step_count, 3);
    ck_assert_int_eq(back.timeline.span_count, 5);
    for (int i = 0; i < 3; i++) check_same_step(&t.steps[i], &back.timeline.steps[i]);
    for (int i = 0; i < 5; i++) check_same_span(&t.spans[i], &back.timeline.spans[i]);
    ck_assert_str_eq(back.run.strategy[1].value, "direct");
    ck_assert_str_eq(back.run.argv[2], "2");
    ck_assert(back.run.ranks == 2 && back.run.shards == 2 && back.run.batch == 64 &&
              back.run.seed == 42);
    trace_finish(&back);
    trace_finish(&back);
    timeline_destroy(&t);
    program_finish(&p);
    arena_finish(&a);
}

START_TEST(a_trace_is_read_back_bit_for_bit) {
    const char *path = in_directory("rank1.json");
    write_rank(path, 1);
    check_read(path, 1);
}
END_TEST

START_TEST(a_compressed_trace_is_read_back_too) {
    const char *path = in_directory("rank0.json.gz");
    write_rank(path, 0);
    check_read(path, 0);
    FILE *f = fopen(path, "rb");
    ck_assert(getc(f) == 0x1f && getc(f) == 0x8b);  // gzip's first bytes
    fclose(f);
}
END_TEST

START_TEST(viewers_find_what_they_need_in_every_event) {
    const char *path = in_directory("rank1.json");
    json_t *root, *events, *event;
    size_t i;
    int lanes = 0, bars = 0, spans = 0;
    write_rank(path, 1);
    ck_assert_ok(json_read_file(&root, path));
    ck_assert_ok(json_get_array(&events, root, path, "traceEvents"));
    json_array_foreach(events, i, event) {
        const char *ph, *name, *category;
        int64_t pid, tid, bytes;
        double ts, dur;
        ck_assert_ok(json_get_string(&ph, event, path, "ph"));
        ck_assert_ok(json_get_string(&name, event, path, "name"));
        ck_assert_ok(json_get_int(&pid, event, path, "pid"));
        ck_assert_ok(json_get_int(&tid, event, path, "tid"));
        ck_assert_int_eq(pid, 1);
        lanes += !strcmp(name, "thread_name");
        if (strcmp(ph, "X")) continue;
        ck_assert_ok(json_get_real(&ts, event, path, "ts"));
        ck_assert_ok(json_get_real(&dur, event, path, "dur"));
        ck_assert_ok(json_get_string(&category, event, path, "cat"));
        ck_assert_ptr_nonnull(json_find(event, "args.plan"));
        spans += json_find(event, "args.op") != NULL;
        ck_assert_int_ge(tid, 1);  // Perfetto merged threads 0 and 1
        bars += tid == LANES + 1;  // the steps have a lane of their own
        if (strcmp(name, "g.all_reduce") || ts > 1) continue;
        // 5000 ps to 2000001 ps, 4 x 8 values of 4 bytes
        ck_assert_ok(json_get_int(&bytes, event, path, "args.bytes"));
        ck_assert_int_eq(bytes, 128);
        ck_assert_str_eq(category, "sync");
        ck_assert_int_eq(tid, LANE_RING + 1);
        ck_assert_close(ts, 0.005, 0);
        ck_assert_close(dur, 1.995001, 0);
    }
    ck_assert_int_eq(lanes, LANES + 1);
    ck_assert_ptr_nonnull(json_find(root, "tandem.first_tid"));
    ck_assert_int_eq(bars, 3);
    ck_assert_int_eq(spans, 5);
    ck_assert_str_eq(json_string_value(json_find(root, "tandem.schema")), "tandem.trace.v1");
    json_decref(root);
}
END_TEST

static char *read_text(Arena *a, const char *path) {
    char *text;
    size_t length;
    ck_assert_ok(file_read(&text, &length, a, path));
    return text;
}

START_TEST(times_below_a_nanosecond_are_written_exactly) {
    Arena a = {0};
    const char *path = in_directory("rank1.json");
    write_rank(path, 1);
    const char *text = read_text(&a, path);
    ck_assert_ptr_nonnull(strstr(text, "\"ts\":9007199254.740993,\"dur\":0.000001,"));
    ck_assert_ptr_nonnull(strstr(text, "\"ts\":0.001,\"dur\":1.999001,"));
    arena_finish(&a);
}
END_TEST

// As traces were before "first_tid": lane 0 is thread 0.
START_TEST(an_older_trace_whose_threads_begin_at_0_is_read) {
    Arena a = {0};
    const char *path = in_directory("rank1.json");
    write_rank(path, 1);
    char *text = read_text(&a, path), *at;
    for (at = text; (at = strstr(at, "\"tid\":")); at++) at[6]--;
    FILE *f = fopen(path, "w");
    fputs(text_replaced(&a, text, "\"first_tid\": 1,", ""), f);
    fclose(f);
    check_read(path, 1);
    f = fopen(path, "w");
    fputs(text_replaced(&a, text, "\"first_tid\": 1", "\"first_tid\": 2"), f);
    fclose(f);
    Trace back;
    ck_assert_fails(trace_read(&back, &a, path), ERR_FORMAT, "first_tid: expected 0 to 1, found 2");
    arena_finish(&a);
}
END_TEST

START_TEST(a_bar_of_no_training_is_not_called_a_step) {
    Arena a = {0};
    const char *path = in_directory("rank1.json");
    write_rank(path, 1);
    const char *text = read_text(&a, path);
    ck_assert_ptr_nonnull(strstr(text, "\"name\":\"step 7\",\"cat\":\"step\""));
    ck_assert_ptr_nonnull(strstr(text, "\"name\":\"evaluate\",\"cat\":\"step\""));
    const char *first = strstr(text, "\"name\":\"step 7\"");
    ck_assert_ptr_null(strstr(first + 1, "\"name\":\"step 7\""));
    arena_finish(&a);
}
END_TEST

START_TEST(members_and_events_may_come_in_any_order) {
    const char *path = in_directory("rank1.json");
    json_t *root, *events, *turned = json_object(), *moved = json_array();
    write_rank(path, 1);
    ck_assert_ok(json_read_file(&root, path));
    ck_assert_ok(json_get_array(&events, root, path, "traceEvents"));
    // First the events, the last of them in front, others between; then a member that is not known;
    // then what says what they mean.
    size_t count = json_array_size(events);
    for (size_t i = 0; i < count; i++) {
        json_array_append(moved, json_array_get(events, (i + count - 1) % count));
        json_array_append_new(moved, json_pack("{ssss}", "ph", "i", "name", "elsewhere"));
    }
    json_object_set_new(turned, "traceEvents", moved);
    json_object_set_new(turned, "other", json_pack("{s[i]}", "tandem", 1));
    json_object_set(turned, "tandem", json_object_get(root, "tandem"));
    ck_assert_ok(json_write_file(turned, path));
    json_decref(turned);
    json_decref(root);
    check_read(path, 1);
}
END_TEST

START_TEST(damage_anywhere_is_refused_or_harmless) {
    Arena a = {0};
    Trace back;
    Rng r;
    const char *path = in_directory("bad.json");
    write_rank(path, 1);
    char *text = read_text(&a, path);
    size_t length = strlen(text);
    rng_init(&r, 1, RNG_TEST, 0, 0);
    for (int i = 0; i < 500; i++) {
        char *at = &text[rng_below(&r, (uint32_t)length)], kept = *at;
        *at = (char)(rng_below(&r, 2) ? rng_below(&r, 256)
                                      : (uint32_t) "\"0{}[],:-9"[rng_below(&r, 10)]);
        FILE *f = fopen(path, "w");
        fwrite(text, 1, length, f);
        fclose(f);
        if (trace_read(&back, &a, path) == OK)
            trace_finish(&back);
        else
            ck_assert_ptr_nonnull(strstr(status_message(), "bad.json"));
        *at = kept;
    }
    arena_finish(&a);
}
END_TEST

START_TEST(a_timeline_without_steps_makes_a_trace) {
    Arena a = {0};
    Program p;
    Timeline t;
    Trace back;
    const char *path = in_directory("rank0.json");
    small_program(&p, SMALL_RANKS);
    const ProgramSet set = program_set_of_one(&p);
    ck_assert_ok(timeline_create(&t, 0, 0, 0));
    ck_assert_ok(trace_write(path, run_of(SMALL_RANKS), 0, &set, &t));
    ck_assert_ok(trace_read(&back, &a, path));
    ck_assert(back.timeline.step_count == 0 && back.timeline.span_count == 0);
    trace_finish(&back);
    timeline_destroy(&t);
    program_finish(&p);
    arena_finish(&a);
}
END_TEST

// `from` in the good trace replaced by `to` gives an error that says `message`.
static void check_refused(const char *from, const char *to, const char *message) {
    Arena a = {0};
    Trace back;
    const char *path = in_directory("bad.json");
    write_rank(path, 1);
    const char *text = read_text(&a, path), *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s in\n%s", from, text);
    FILE *f = fopen(path, "w");
    fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
    ck_assert_fails(trace_read(&back, &a, path), ERR_FORMAT, message);
    ck_assert_ptr_nonnull(strstr(status_message(), "bad.json"));
    arena_finish(&a);
}

START_TEST(a_damaged_section_is_refused_with_the_place) {
    check_refused("tandem.trace.v1", "tandem.trace.v2", "found \"tandem.trace.v2\"");
    check_refused("\"tandem\"", "\"tandom\"", "no \"tandem\" section");
    check_refused("\"rank\": 1", "\"rank\": 2", "rank: expected 0 to 1, found 2");
    check_refused("\"origin_ns\": 123456789", "\"origin\": 1", "clock.origin_ns is missing");
    check_refused("\"end_ps\": [3000000", "\"end_ps\": [0", "end_ps[0]: expected 1000 to");
    check_refused("\"plan\": [\"step\"", "\"plan\": [\"stop\"", "there is no plan \"stop\"");
    check_refused("\"loss\": [0.30000000000000004", "\"loss\": [\"0.3\"",
                  "loss[0]: expected a number");
    check_refused("\"complete\": [true, ", "\"complete\": [",
                  "steps.complete has 2 values, steps.step 3");
}
END_TEST

START_TEST(a_damaged_event_is_refused_with_its_line) {
    check_refused("\"op\":1", "\"op\":2", "args.op: expected 0 to 1, found 2");
    check_refused(
        "\"op\":1", "\"op\":0",
        "operation 0 of plan \"step\" is \"relu1\", but the event is of \"g.all_reduce\"");
    check_refused("\"tid\":2,\"ts\"", "\"tid\":9,\"ts\"", "tid: expected 1 to 3, found 9");
    check_refused("\"record\":2", "\"record\":3", "args.record: expected 0 to 2, found 3");
    check_refused("\"ps\":[5000,2000001]", "\"ps\":[5000,4999]", "args.ps[1]: expected 5000 to");
    check_refused("\"ps\":[5000,2000001]", "\"ps\":[5000.5,2000001]",
                  "args.ps[0]: expected a whole number");
    check_refused("\"source\":\"roofline\"", "\"source\":\"guess\"", "roofline, found \"guess\"");
    check_refused("\"wait_ns\":1500", "\"wait_ns\":-1", "args.wait_ns: expected 0 to");
    check_refused("{\"ph\":\"X\",\"pid\":1,\"tid\":1,", "7,{\"ph\":\"X\",\"pid\":1,\"tid\":1,",
                  "expected an event");

    // The line of the event is said: count those before it.
    Arena a = {0};
    Trace back;
    const char *path = in_directory("bad.json");
    write_rank(path, 1);
    char *text = read_text(&a, path), *at = strstr(text, "\"op\":1"), want[32];
    int line = 1;
    for (char *c = text; c < at; c++) line += *c == '\n';
    at[5] = '9';
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    snprintf(want, sizeof want, "bad.json:%d: args.op", line);
    ck_assert_fails(trace_read(&back, &a, path), ERR_FORMAT, want);
    arena_finish(&a);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused) {
    Arena a = {0};
    Trace back;
    const char *path = in_directory("bad.json");
    write_rank(path, 1);
    const char *text = read_text(&a, path);
    size_t length = strlen(text);
    for (size_t cut = 0; cut < length - 2; cut += 7) {  // the last two bytes are "}\n"
        FILE *f = fopen(path, "w");
        fwrite(text, 1, cut, f);
        fclose(f);
        ck_assert_fails(trace_read(&back, &a, path), ERR_FORMAT, "bad.json:");
    }
    arena_finish(&a);
}
END_TEST

START_TEST(a_trace_of_another_program_is_recognised) {
    Arena a = {0};
    Trace back;
    const char *path = in_directory("kineto.json");
    FILE *f = fopen(path, "w");
    fputs("{\"schemaVersion\": 1, \"traceEvents\": [{\"ph\": \"X\", \"name\": \"aten::add\", "
          "\"ts\": 1}]}",
          f);
    fclose(f);
    ck_assert_fails(trace_read(&back, &a, path), ERR_FORMAT, "no \"tandem\" section");
    f = fopen(path, "w");
    fputs("[{\"ph\": \"X\"}]", f);
    fclose(f);
    ck_assert_fails(trace_read(&back, &a, path), ERR_FORMAT, "no \"tandem\" section");
    f = fopen(path, "w");
    fputs("hello", f);
    fclose(f);
    ck_assert_fails(trace_read(&back, &a, path), ERR_FORMAT, "kineto.json:1: not a trace");
    ck_assert_fails(trace_read(&back, &a, "/no/such/file.json"), ERR_INPUT, "/no/such/file.json");
    arena_finish(&a);
}
END_TEST

START_TEST(a_directory_is_read_rank_by_rank) {
    Arena a = {0};
    Trace *traces;
    int count;
    char path[256], directory[128];
    snprintf(directory, sizeof directory, "%s", test_directory());
    ck_assert_fails(trace_read_all(&traces, &count, &a, directory), ERR_INPUT,
                    "rank0.json: there is no such file");
    ck_assert_ok(trace_path(path, sizeof path, directory, 0, false));
    write_rank(path, 0);
    ck_assert_fails(trace_read_all(&traces, &count, &a, directory), ERR_INPUT,
                    "rank1.json: there is no such file");
    ck_assert_ok(trace_path(path, sizeof path, directory, 1, true));
    write_rank(path, 0);
    ck_assert_fails(trace_read_all(&traces, &count, &a, directory), ERR_FORMAT,
                    "expected the trace of rank 1");
    write_rank(path, 1);
    ck_assert_ok(trace_read_all(&traces, &count, &a, directory));
    ck_assert_int_eq(count, 2);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(traces[i].timeline.rank, i);
        trace_finish(&traces[i]);
    }
    ck_assert_ok(trace_read_all(&traces, &count, &a, path));  // one file: that rank alone
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(traces[0].timeline.rank, 1);
    trace_finish(&traces[0]);
    arena_finish(&a);
}
END_TEST

START_TEST(traces_of_two_runs_are_not_mixed) {
    Arena a = {0};
    Trace *traces;
    int count;
    char path[256], directory[128];
    Program p;
    Timeline t;
    RunInfo other = small_run(SMALL_RANKS);
    snprintf(directory, sizeof directory, "%s", test_directory());
    ck_assert_ok(trace_path(path, sizeof path, directory, 0, false));
    write_rank(path, 0);
    small_program(&p, SMALL_RANKS);
    const ProgramSet set = program_set_of_one(&p);
    small_timeline(&t, 1);
    other.seed = 43;
    ck_assert_ok(trace_path(path, sizeof path, directory, 1, false));
    ck_assert_ok(trace_write(path, &other, 0, &set, &t));
    ck_assert_fails(trace_read_all(&traces, &count, &a, directory), ERR_FORMAT,
                    "two runs are mixed");
    timeline_destroy(&t);
    program_finish(&p);
    arena_finish(&a);
}
END_TEST

START_TEST(a_place_that_cannot_be_written_leaves_nothing) {
    Program p;
    Timeline t;
    char path[64];
    small_program(&p, SMALL_RANKS);
    const ProgramSet set = program_set_of_one(&p);
    small_timeline(&t, 0);
    ck_assert_fails(trace_write("/no/such/place/rank0.json", run_of(SMALL_RANKS), 0, &set, &t),
                    ERR_IO, "/no/such/place/rank0.json");
    ck_assert_fails(trace_path(path, sizeof path,
                               "a/directory/whose/name/is/longer/than/the/room/that/there/is", 0,
                               false),
                    ERR_IO, "too long");
    timeline_destroy(&t);
    program_finish(&p);
}
END_TEST

SUITE("trace", a_trace_is_read_back_bit_for_bit, a_compressed_trace_is_read_back_too,
      an_older_trace_whose_threads_begin_at_0_is_read, a_bar_of_no_training_is_not_called_a_step,
      viewers_find_what_they_need_in_every_event, times_below_a_nanosecond_are_written_exactly,
      members_and_events_may_come_in_any_order, a_timeline_without_steps_makes_a_trace,
      a_damaged_section_is_refused_with_the_place, a_damaged_event_is_refused_with_its_line,
      a_file_cut_anywhere_is_refused, damage_anywhere_is_refused_or_harmless,
      a_trace_of_another_program_is_recognised, a_directory_is_read_rank_by_rank,
      traces_of_two_runs_are_not_mixed, a_place_that_cannot_be_written_leaves_nothing)
