// SPDX-License-Identifier: MIT
// Plan files of several classes of ranks.
#include "core/plan/check.h"
#include "core/plan/lower.h"
#include "core/plan_text/plan_table.h"
#include "core/plan_text/plan_text_words.h"
#include "tests/support/plan_samples.h"

// Four stages hand a vector on; both in the middle do the same.
#define HEAD                                                \
    TEXT_HEADER "\n"                                        \
                "mesh pipe=4\n"                             \
                "group pipe  axes=pipe\n"                   \
                "lane compute  compute\n"                   \
                "lane down     communication  group=pipe\n" \
                "\n"                                        \
                "logical w  f32 4  parameter\n"             \
                "logical h  f32 4  activation\n"
#define TENSORS                     \
    "\n"                            \
    "tensor w  f32 4  parameter\n"  \
    "tensor h  f32 4  activation\n" \
    "\n"                            \
    "plan step\n"
#define FIRST                                                                                    \
    "\nclass first  pipe=0\n" TENSORS "  relu  relu @compute  h <- w  phase=forward layer=act\n" \
    "  send  send @down     <- h  tag=0  group=pipe algorithm=direct order=rank  peer=1  "       \
    "phase=forward\n"
#define RECEIVE                                                                                \
    "  receive  receive @down  h <-  tag=0  group=pipe algorithm=direct order=rank  peer=-1  " \
    "phase=forward\n"
#define MIDDLE                                                                                \
    "\nclass middle  pipe=1..2\n" TENSORS RECEIVE                                             \
    "  send     send    @down  <- h  tag=0  group=pipe algorithm=direct order=rank  peer=1  " \
    "phase=forward\n"
#define LAST "\nclass last  pipe=3\n" TENSORS RECEIVE
static const char *const stages = HEAD FIRST MIDDLE LAST;

static Status read_set(ProgramSet *s, const char *text) {
    return plan_text_parse(s, text, strlen(text), "x.plan");
}

// Printed, of class `only` or all; the caller frees it.
static char *print_set(const ProgramSet *s, int only) {
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    ck_assert_ok(plan_text_print(s, only, f));
    fclose(f);
    return text;
}

static void assert_printed(const ProgramSet *s, int only, const char *want) {
    char *text = print_set(s, only);
    ck_assert_str_eq(text, want);
    free(text);
}

START_TEST(classes_are_read_and_printed_byte_for_byte) {
    ProgramSet s;
    ck_assert_ok(read_set(&s, stages));
    ck_assert_int_eq(s.count, 3);
    static const int want[] = {0, 1, 1, 2};
    for (int r = 0; r < 4; r++) ck_assert_int_eq(program_set_class(&s, r), want[r]);
    ck_assert_ok(plan_check(&s));
    assert_printed(&s, NONE, stages);
    assert_printed(&s, 1, HEAD MIDDLE);
    program_set_finish(&s);
}
END_TEST

START_TEST(the_last_position_has_a_name_and_a_range_may_be_one) {
    ProgramSet s;
    char *last = replace(stages, "class last  pipe=3", "class last  pipe=last"),
         *range = replace(last, "class first  pipe=0", "class first  pipe=0..0"),
         *end = replace(range, "pipe=1..2", "pipe=1..2  # both");
    ck_assert_ok(read_set(&s, end));
    assert_printed(&s, NONE, stages);
    program_set_finish(&s);
    free(last);
    free(range);
    free(end);
}
END_TEST

static int64_t some_scratch(const Program *p, const Plan *plan, const Op *members, int count) {
    return op_kind(p, members) == KIND_RELU ? 100 : 0;
}

// Only the first class computes: it has scratch, and pools of other sizes than the others.
START_TEST(lowered_classes_survive_with_pools_and_scratch_of_their_own) {
    ProgramSet s, again;
    ck_assert_ok(read_set(&s, stages));
    ck_assert_ok(
        program_set_lower(&s, &(DeviceTraits){.name = "test", .scratch_bytes = some_scratch}));
    ck_assert_int_eq(s.programs[0].logical_count, 3);
    ck_assert_int_eq(s.programs[1].logical_count, 2);
    char *text = print_set(&s, NONE);
    ck_assert_ptr_nonnull(strstr(text, "device test\nmesh pipe=4\n"));
    ck_assert_ptr_nonnull(strstr(text, "class first  pipe=0\npool local "));
    ck_assert_ptr_null(strstr(text, "init="));
    ck_assert_ok(read_set(&again, text));
    ck_assert_ok(plan_check(&again));
    assert_printed(&again, NONE, text);
    for (int i = 0; i < 3; i++)
        for (int pool = 0; pool < POOL_COUNT; pool++)
            ck_assert_int_eq(again.programs[i].pool_bytes[pool], s.programs[i].pool_bytes[pool]);
    free(text);
    program_set_finish(&s);
    program_set_finish(&again);
}
END_TEST

START_TEST(one_class_of_several_can_be_read_alone) {
    Program p;
    RankClass c;
    const char *text = HEAD MIDDLE;
    ck_assert_ok(plan_text_parse_class(&p, &c, text, strlen(text), "x.plan"));
    ck_assert_str_eq(c.name, "middle");
    ck_assert_int_eq(c.first[0], 1);
    ck_assert_int_eq(c.last[0], 2);
    program_finish(&p);
    ck_assert_fails(plan_text_parse_class(&p, &c, stages, strlen(stages), "x.plan"), ERR_FORMAT,
                    "x.plan: expected the program of one class of ranks, found 3");
    ck_assert_ptr_null(p.names);
}
END_TEST

START_TEST(errors_name_line_and_class) {
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        {"class middle  pipe=1..2\n\ntensor w  f32", "class middle  pipe=1..2\n\ntensor w  f23",
         "x.plan:21: class middle: expected an element type, found \"f23\" (did you mean f32?)"},
        {"pipe=1..2", "pipe=1..4",
         "x.plan:19: class middle: pipe: expected a whole number from 1 to 3, found \"4\""},
        {"pipe=1..2", "pipe=2..1",
         "x.plan:19: class middle: pipe: expected a whole number from 2 to 3, found \"1\""},
        {"pipe=1..2", "pip=1..2",
         "x.plan:19: class middle: expected an axis of the mesh, found \"pip\" (did you mean "
         "pipe?)"},
        {"class middle", "class first", "x.plan:19: class first is there twice"},
        {"class middle", "class middle_of_the_pipeline_and_more_than_that", "is longer than 31"},
        {"class middle", "class %", "expected the name of a class"},
        {"class middle", "class all", "x.plan:19: class first: \"all\" means every class"},
        {"class last  pipe=3", "class last  pipe=3\nlane up  communication  group=pipe",
         "x.plan:29: class last: lane lines stand before the first class, for all"},
        {"class last  pipe=3", "class last  pipe=3\nlogical x f32 4 activation",
         "x.plan:29: class last: logical lines stand before the first class, for all"},
        {"class first", "tensor w  f32 4  parameter\nclass first",
         "x.plan:11: class lines stand before all tensors and plans"},
    };
    ProgramSet s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *edited = replace(stages, cases[i].from, cases[i].to);
        ck_assert_fails(read_set(&s, edited), ERR_FORMAT, cases[i].message);
        ck_assert_int_eq(s.count, 0);
        free(edited);
    }
}
END_TEST

// Reading judges lines; plan_check() judges whether classes make a run.
START_TEST(a_missing_or_changed_class_is_found) {
    ProgramSet s;
    ck_assert_ok(read_set(&s, HEAD FIRST LAST));
    ck_assert_fails(plan_check(&s), ERR_PLAN, "rank 1 of 4 is in no class");
    program_set_finish(&s);
    char *edited = replace(stages, "tag=0  group=pipe algorithm=direct order=rank  peer=-1",
                           "tag=1  group=pipe algorithm=direct order=rank  peer=-1");
    ck_assert_ok(read_set(&s, edited));
    ck_assert_fails(plan_check(&s), ERR_PLAN, "plan step: deadlock: rank 0: send waits for rank 1");
    program_set_finish(&s);
    free(edited);
}
END_TEST

START_TEST(tables_of_classes_have_headings) {
    ProgramSet s;
    ck_assert_ok(read_set(&s, stages));
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    ck_assert_ok(plan_table_print(&s, NONE, f));
    fclose(f);
    ck_assert_ptr_nonnull(strstr(text, "4 ranks (pipe=4)\n\nclass first: pipe=0\n\nplan step\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n\nclass middle: pipe=1..2\n\nplan step\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n\nclass last: pipe=3\n\nplan step\n"));
    free(text);
    f = open_memstream(&text, &length);
    ck_assert_ok(plan_table_print(&s, 2, f));
    fclose(f);
    ck_assert_ptr_null(strstr(text, "class middle"));
    ck_assert_ptr_nonnull(strstr(text, "class last: pipe=3"));
    free(text);
    program_set_finish(&s);
}
END_TEST

// A set of one class prints as a program, without a line for the class.
START_TEST(a_class_without_a_name_has_no_line) {
    ProgramSet s;
    ck_assert_ok(read_set(&s, small));
    ck_assert_int_eq(s.count, 1);
    ck_assert_str_eq(program_set_name(&s, 0), "");
    char *text = print_set(&s, NONE);
    ck_assert_ptr_null(strstr(text, "class"));
    assert_printed(&s, 0, text);
    free(text);
    program_set_finish(&s);
}
END_TEST

#define NETS                                              \
    TEXT_HEADER "\n"                                      \
                "mesh data=2 pipe=2\n"                    \
                "group data  axes=data\n"                 \
                "group pipe  axes=pipe\n"                 \
                "lane net  communication  group=data\n"   \
                "lane other  communication  group=pipe\n" \
                "logical w  f32 8  parameter\n"           \
                "logical v  f32 8  parameter\n"
#define TWO_TENSORS "tensor w  f32 8  parameter\ntensor v  f32 8  parameter\nplan step\n"
#define DATA(name) "  " name " broadcast @net w <- w group=data phase=sync\n"
#define PIPE(lane) "  b broadcast @" lane " v <- v group=pipe phase=sync\n"

static void refuse_nets(const char *text, const char *message) {
    ProgramSet s;
    ck_assert_ok(read_set(&s, text));
    if (message)
        ck_assert_fails(plan_check(&s), ERR_PLAN, message);
    else
        ck_assert_ok(plan_check(&s));
    program_set_finish(&s);
}

// Collectives are numbered lane by lane: in one that carries two groups, of which a class uses one
// more often, ranks would wait for each other.
START_TEST(a_lane_that_carries_two_groups_is_refused) {
    refuse_nets(NETS "class first  pipe=0\n" TWO_TENSORS DATA("a") DATA("again")
                    PIPE("other") "class second  pipe=1\n" TWO_TENSORS DATA("a") PIPE("other"),
                NULL);
    refuse_nets(NETS "class first  pipe=0\n" TWO_TENSORS DATA("a") DATA("again")
                    PIPE("net") "class second  pipe=1\n" TWO_TENSORS DATA("a") PIPE("net"),
                "class first: plan step: b: lane net is of group data, not of pipe");
}
END_TEST

SUITE("plan_classes", classes_are_read_and_printed_byte_for_byte,
      the_last_position_has_a_name_and_a_range_may_be_one,
      lowered_classes_survive_with_pools_and_scratch_of_their_own,
      one_class_of_several_can_be_read_alone, errors_name_line_and_class,
      a_missing_or_changed_class_is_found, a_lane_that_carries_two_groups_is_refused,
      tables_of_classes_have_headings, a_class_without_a_name_has_no_line)
