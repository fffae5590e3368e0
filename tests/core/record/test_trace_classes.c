// SPDX-License-Identifier: MIT
// Traces of ranks of several classes.
#include "core/record/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan_text/plan_text.h"
#include "tests/support/small_trace.h"
#include "tests/support/testing.h"

static char *printed(const Program *p) {
    char *text;
    size_t length;
    FILE *f = open_memstream(&text, &length);
    const ProgramSet set = program_set_of_one(p);
    ck_assert_ok(plan_text_print(&set, NONE, f));
    fclose(f);
    return text;
}

// The run of a set of two classes, one a rank: each rank's trace carries the program of its class.
static void write_classes(ProgramSet *set, const char *directory) {
    const RunInfo run = small_run(SMALL_RANKS);
    for (int r = 0; r < SMALL_RANKS; r++) {
        char path[256];
        Timeline t;
        small_timeline(&t, r);
        ck_assert_ok(trace_path(path, sizeof path, directory, r, false));
        ck_assert_ok(trace_write(path, &run, SMALL_ORIGIN_NS, set, &t));
        timeline_destroy(&t);
    }
}

static void make_classes(ProgramSet *set, uint8_t algorithm_of_last) {
    *set = (ProgramSet){0};
    for (int r = 0; r < SMALL_RANKS; r++) {
        Program p;
        RankClass c = {0};
        small_program(&p, SMALL_RANKS);
        snprintf(c.name, sizeof c.name, "rank%d", r);
        rank_class_confine(&c, 0, r, r);
        for (int w = 0; w < p.work_count && r; w++)
            if (p.works[w].kind == KIND_ALL_REDUCE) p.works[w].algorithm = algorithm_of_last;
        for (int w = 0; w < p.work_count && r; w++)
            if (p.works[w].kind == KIND_RELU) p.works[w].phase = PHASE_SYNC;  // to tell them apart
        ck_assert_ok(program_set_add(set, &c, &p));
    }
}

START_TEST(a_trace_directory_gives_the_programs_of_all_classes) {
    Arena a = {0};
    Trace *traces;
    ProgramSet set, back;
    int count;
    char directory[128];
    snprintf(directory, sizeof directory, "%s", test_directory());
    make_classes(&set, ALGORITHM_DIRECT);
    write_classes(&set, directory);
    ck_assert_ok(trace_read_all(&traces, &count, &a, directory));
    ck_assert_ok(trace_programs(&back, &a, traces, count, directory));
    ck_assert_int_eq(back.count, SMALL_RANKS);
    for (int r = 0; r < SMALL_RANKS; r++) {
        char *one = printed(&set.programs[r]), *two = printed(program_set_program(&back, r));
        ck_assert_str_eq(one, two);
        ck_assert_str_eq(program_set_name(&back, r), program_set_name(&set, r));
        free(one);
        free(two);
        trace_finish(&traces[r]);
    }
    program_set_finish(&set);
    make_classes(&set, ALGORITHM_RING);
    write_classes(&set, directory);
    ck_assert_fails(trace_read_all(&traces, &count, &a, directory), ERR_FORMAT, "the programs: ");
    ck_assert_ptr_nonnull(strstr(status_message(), "(direct, 128"));
    program_set_finish(&set);
    arena_finish(&a);
}
END_TEST

// A rank's file that was renamed, with the number in it: its program is not that of its place.
START_TEST(a_program_must_be_that_of_the_class_the_rank_is_in) {
    Arena a = {0};
    Trace *traces;
    ProgramSet set;
    int count;
    char directory[128];
    snprintf(directory, sizeof directory, "%s", test_directory());
    make_classes(&set, ALGORITHM_DIRECT);
    for (int r = 0; r < SMALL_RANKS; r++) rank_class_confine(&set.classes[r], 0, 1 - r, 1 - r);
    // Written as if the classes were the other way round, then told otherwise.
    write_classes(&set, directory);
    ck_assert_ok(trace_read_all(&traces, &count, &a, directory));
    traces[0].class.first[0] = traces[0].class.last[0] = 1;
    ProgramSet back;
    ck_assert_fails(trace_programs(&back, &a, traces, count, directory), ERR_FORMAT,
                    "rank 0 is not in class rank1, whose program it executed");
    for (int r = 0; r < SMALL_RANKS; r++) trace_finish(&traces[r]);
    program_set_finish(&set);
    arena_finish(&a);
}
END_TEST

SUITE("trace_classes", a_trace_directory_gives_the_programs_of_all_classes,
      a_program_must_be_that_of_the_class_the_rank_is_in)
