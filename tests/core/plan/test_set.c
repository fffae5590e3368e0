// SPDX-License-Identifier: MIT
#include "core/plan/check.h"
#include "core/plan/lower.h"

#include <string.h>

#include "tests/support/plan_maker.h"

// A mesh of 3 x 2 ranks: pipe is the fastest axis, so rank = pipe + 3 * data.
static void make_mesh(Program *p) {
    ck_assert_ok(program_add_axis(p, "pipe", 3, NULL));
    ck_assert_ok(program_add_axis(p, "data", 2, NULL));
}

static RankClass stages(const char *name, int first, int last) {
    RankClass c = {0};
    strcpy(c.name, name);
    rank_class_confine(&c, 0, first, last);
    return c;
}

static void add(ProgramSet *s, const RankClass *c) {
    Program p = {0};
    make_mesh(&p);
    ck_assert_ok(program_set_add(s, c, &p));
    ck_assert_ptr_null(p.names);
}

START_TEST(the_class_of_a_rank_follows_from_its_coordinates) {
    ProgramSet s = {0};
    RankClass first = stages("first", 0, 0), rest = stages("rest", 1, 2);
    add(&s, &first);
    add(&s, &rest);
    static const int want[] = {0, 1, 1, 0, 1, 1};
    for (int r = 0; r < 6; r++) {
        ck_assert_int_eq(program_set_class(&s, r), want[r]);
        ck_assert_ptr_eq(program_set_program(&s, r), &s.programs[want[r]]);
    }
    ck_assert_int_eq(program_set_find(&s, "rest"), 1);
    ck_assert_int_eq(program_set_find(&s, "last"), NONE);
    ck_assert_ok(plan_check(&s));
    program_set_finish(&s);
}
END_TEST

START_TEST(classes_are_printed_as_positions) {
    Program p = {0};
    make_mesh(&p);
    char text[RANK_CLASS_TEXT];
    RankClass c = stages("rest", 1, 2);
    ck_assert_str_eq(rank_class_print(text, &c, &p), "pipe=1..2");
    rank_class_confine(&c, 1, 0, 0);
    ck_assert_str_eq(rank_class_print(text, &c, &p), "pipe=1..2 data=0");
    ck_assert_str_eq(rank_class_print(text, &(RankClass){0}, &p), "");
    program_finish(&p);
}
END_TEST

static void refused(const RankClass *a, const RankClass *b, const char *message) {
    ProgramSet s = {0};
    add(&s, a);
    if (b) add(&s, b);
    ck_assert_fails(plan_check(&s), ERR_PLAN, message);
    program_set_finish(&s);
}

START_TEST(every_rank_is_in_exactly_one_class) {
    RankClass first = stages("first", 0, 0), all = stages("all", 0, 2), far = stages("far", 2, 3),
              last = stages("last", 2, 2), again = stages("first", 1, 2), none = stages("", 1, 2),
              back = stages("back", 2, 1);
    refused(&first, &last, "rank 1 of 6 is in no class");
    refused(&first, NULL, "rank 1 of 6 is in no class");
    refused(&first, &all, "rank 0 is in class first and in class all");
    refused(&first, &far, "class far: pipe=2..3, but the positions of pipe are 0..2");
    refused(&first, &back, "class back: pipe=2..1, but the positions of pipe are 0..2");
    refused(&first, &again, "class first is there twice");
    refused(&first, &none, "class 1 has no name");
    // Boxes that overlap along one axis alone have no rank in common.
    RankClass left = stages("left", 0, 1), right = stages("right", 0, 1), end = stages("end", 2, 2);
    rank_class_confine(&left, 1, 0, 0);
    rank_class_confine(&right, 1, 1, 1);
    refused(&left, &right, "rank 2 of 6 is in no class");
    ProgramSet s = {0};
    add(&s, &left);
    add(&s, &right);
    add(&s, &end);
    ck_assert_ok(plan_check(&s));
    program_set_finish(&s);
}
END_TEST

START_TEST(a_set_without_classes_is_one_program_for_all_ranks) {
    Program p = {0};
    make_linear(&p, make_program(&p, 2));
    const ProgramSet s = program_set_of_one(&p);
    ck_assert_int_eq(program_set_ranks(&s), 2);
    ck_assert_ptr_eq(program_set_program(&s, 1), &p);
    ck_assert_str_eq(program_set_name(&s, 0), "");
    ck_assert_ok(plan_check(&s));
    program_finish(&p);
}
END_TEST

// --- tables that all classes share

typedef struct {
    void (*change)(Program *p);
    const char *message;
} Change;

static void add_an_axis(Program *p) { ck_assert_ok(program_add_axis(p, "tensor", 1, NULL)); }
static void widen_an_axis(Program *p) { p->axes[0].size = 3; }
static void rename_an_axis(Program *p) { strcpy(p->axes[0].name, "pipe"); }
static void add_a_group(Program *p) { ck_assert_ok(program_add_group(p, "g", 1, NULL)); }
static void narrow_a_group(Program *p) { p->groups[0].size = 1; }
static void change_a_lane(Program *p) { p->lanes[0].kind = LANE_HOST; }
static void add_a_lane(Program *p) {
    ck_assert_ok(program_add_lane(p, "more", LANE_COMPUTE, NONE, NULL));
}
static void reshape_a_logical(Program *p) { p->logicals[0].shape[0]++; }
static void retype_a_logical(Program *p) { p->logicals[0].dtype = DTYPE_F64; }
static void initialise_a_logical_otherwise(Program *p) { p->logicals[0].init++; }
static void widen_initial_values(Program *p) { p->logicals[0].fan_in++; }
static void draw_initial_values(Program *p) { p->logicals[1].normal = 0.5; }
static void fill_initial_values(Program *p) { p->logicals[1].constant = 0.5; }
static void freeze_a_logical(Program *p) { p->logicals[0].trainable = 0; }
static void call_a_logical_state(Program *p) { p->logicals[0].role = ROLE_STATE; }
static void tie_a_logical(Program *p) { p->logicals[0].tied_to = 1; }
static void free_a_lane(Program *p) { p->lanes[2].group = NONE; }
static void add_a_plan(Program *p) { ck_assert_ok(program_add_plan(p, "more", NULL)); }
static void rename_a_plan(Program *p) {
    ck_assert_ok(program_add_name(p, "other", &p->plans[0].name));
}
static void run_a_plan_later(Program *p) { p->plans[0].when = WHEN_AT_END; }
static void lower_it(Program *p) {
    p->lowered = true;
    ck_assert_ok(program_add_name(p, "cpu", &p->device));
}

static const Change changes[] = {
    {add_an_axis, "class one: its mesh is not that of class zero"},
    {widen_an_axis, "class one: its mesh is not that of class zero"},
    {rename_an_axis, "class one: its mesh is not that of class zero"},
    {add_a_group, "class one has 2 groups, class zero 1"},
    {narrow_a_group, "class one: its group 0 is not that of class zero"},
    {change_a_lane, "class one: its lane 0 is not that of class zero"},
    {add_a_lane, "class one has 4 lanes, class zero 3"},
    {reshape_a_logical, "class one: its logical tensor 0 is not that of class zero"},
    {retype_a_logical, "class one: its logical tensor 0 is not that of class zero"},
    {initialise_a_logical_otherwise, "class one: its logical tensor 0 is not that of class zero"},
    {widen_initial_values, "class one: its logical tensor 0 is not that of class zero"},
    {draw_initial_values, "class one: its logical tensor 1 is not that of class zero"},
    {fill_initial_values, "class one: its logical tensor 1 is not that of class zero"},
    {freeze_a_logical, "class one: its logical tensor 0 is not that of class zero"},
    {call_a_logical_state, "class one: its logical tensor 0 is not that of class zero"},
    {tie_a_logical, "class one: its logical tensor 0 is not that of class zero"},
    {free_a_lane, "class one: its lane 2 is not that of class zero"},
    {add_a_plan, "class one has 2 plans, class zero 1"},
    {rename_a_plan, "class one: its plan 0 is not that of class zero"},
    {run_a_plan_later, "class one: its plan 0 is not that of class zero"},
    {lower_it, "class one is not lowered for the device that class zero is"},
};

// Two classes, one a rank, of the same program; the second changed.
START_TEST(classes_share_mesh_groups_lanes_logical_tensors_and_plans) {
    enum { COUNT = sizeof changes / sizeof *changes };
    for (int i = -1; i < COUNT; i++) {
        ProgramSet s = {0};
        for (int r = 0; r < 2; r++) {
            Program p = {0};
            RankClass c = {0};
            make_linear(&p, make_program(&p, 2));
            strcpy(c.name, r ? "one" : "zero");
            rank_class_confine(&c, 0, r, r);
            if (r && i >= 0) changes[i].change(&p);
            ck_assert_ok(program_set_add(&s, &c, &p));
        }
        if (i < 0)
            ck_assert_ok(plan_check(&s));
        else
            ck_assert_fails(plan_check(&s), ERR_PLAN, changes[i].message);
        program_set_finish(&s);
    }
}
END_TEST

START_TEST(what_is_wrong_with_one_program_is_told_with_its_class) {
    ProgramSet s = {0};
    for (int r = 0; r < 2; r++) {
        Program p = {0};
        RankClass c = {0};
        Plan *plan = make_program(&p, 2);
        make_linear(&p, plan);
        strcpy(c.name, r ? "one" : "zero");
        rank_class_confine(&c, 0, r, r);
        if (r) plan->ops[1].guard = program_find_tensor(&p, "w");
        ck_assert_ok(program_set_add(&s, &c, &p));
    }
    ck_assert_fails(plan_check(&s), ERR_PLAN,
                    "class one: plan step: fc.forward: its guard w is not a scalar");
    program_set_finish(&s);
}
END_TEST

// What the head of a file says of a logical tensor holds in every class that is read after it.
START_TEST(a_copied_head_keeps_what_a_logical_tensor_says) {
    Program p = {0}, copy = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    int w = program_find_logical(&p, "w");
    p.logicals[w].init = 7;
    p.logicals[w].fan_in = 9;
    int x = program_find_logical(&p, "x"), y = program_find_logical(&p, "y");
    p.logicals[x].normal = 0.5;
    p.logicals[y].constant = 0.25;
    ck_assert_ok(program_copy_head(&copy, &p));
    ck_assert_int_eq(copy.logical_count, p.logical_count);
    ck_assert_int_eq(copy.logicals[w].init, 7);
    ck_assert_int_eq(copy.logicals[w].fan_in, 9);
    ck_assert(copy.logicals[x].normal == 0.5 && copy.logicals[y].constant == 0.25);
    ck_assert_int_eq(copy.logicals[w].trainable, p.logicals[w].trainable);
    program_finish(&p);
    program_finish(&copy);
}
END_TEST

SUITE("set", the_class_of_a_rank_follows_from_its_coordinates, classes_are_printed_as_positions,
      every_rank_is_in_exactly_one_class, a_set_without_classes_is_one_program_for_all_ranks,
      classes_share_mesh_groups_lanes_logical_tensors_and_plans,
      what_is_wrong_with_one_program_is_told_with_its_class,
      a_copied_head_keeps_what_a_logical_tensor_says)
