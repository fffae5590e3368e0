// SPDX-License-Identifier: MIT
// Indices of pieces (source=index): what the run writes, how they may lie, and that the operations
// that read them have the one of their own dimension.
#include "core/plan/check.h"
#include "core/plan/piece.h"

#include "tests/support/plan_maker.h"

// --- numbers

static void numbers_are(int axes, const int *sizes, int64_t elements, const Placement *place,
                        int rank, int64_t room, const int64_t *want) {
    Program p = {0};
    Placement all[AXES] = {PLACEMENT_REPLICATED};
    int64_t got[16];
    int index, coordinate[AXES];
    for (int a = 0; a < axes; a++) {
        ck_assert_ok(program_add_axis(&p, a ? "b" : "a", sizes[a], NULL));
        all[a] = place[a];
    }
    ck_assert_ok(piece_add_index(&p, "index", elements, all, &index));
    const Tensor *t = &p.tensors[index];
    ck_assert_int_eq(t->dims, 1);
    ck_assert_int_eq(t->shape[0], room);
    program_coordinates(&p, rank, coordinate);
    piece_index(&p, t, coordinate, got);
    for (int64_t i = 0; i < room; i++)
        ck_assert_msg(got[i] == want[i], "rank %d: number %lld is %lld, not %lld", rank,
                      (long long)i, (long long)got[i], (long long)want[i]);
    program_finish(&p);
}
#define NUMBERS(sizes, elements, place, rank, ...)                                    \
    numbers_are((int)(sizeof(sizes) / sizeof *(sizes)), sizes, elements, place, rank, \
                (int64_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),        \
                (const int64_t[]){__VA_ARGS__})

// Ten elements for four ranks are 0 1, 2 3 4, 5 6 and 7 8 9; the smaller pieces leave a place free.
START_TEST(a_piece_has_the_numbers_of_its_elements_and_no_others) {
    static const int four[] = {4}, two[] = {2};
    const Placement whole[] = {PLACEMENT_REPLICATED}, cut[] = {PLACEMENT_SHARD(0)},
                    zigzag[] = {{.place = PLACE_SHARD, .cut = CUT_ZIGZAG}};
    NUMBERS(four, 10, cut, 0, 0, 1, -1);
    NUMBERS(four, 10, cut, 1, 2, 3, 4);
    NUMBERS(four, 10, cut, 2, 5, 6, -1);
    NUMBERS(four, 10, cut, 3, 7, 8, 9);
    NUMBERS(four, 3, cut, 0, -1);
    NUMBERS(four, 3, cut, 1, 0);
    NUMBERS(four, 3, whole, 2, 0, 1, 2);
    NUMBERS(two, 8, zigzag, 0, 0, 1, 6, 7);
    NUMBERS(two, 8, zigzag, 1, 2, 3, 4, 5);
}
END_TEST

// A sequence of eight, zigzag over the axis with the larger stride, then cut again over the other.
START_TEST(numbers_of_nested_cuts_are_those_of_the_whole) {
    static const int sizes[] = {2, 2};
    static const Placement nested[] = {{.place = PLACE_SHARD, .inner = 1},
                                       {.place = PLACE_SHARD, .cut = CUT_ZIGZAG}};
    NUMBERS(sizes, 8, nested, 0, 0, 1);
    NUMBERS(sizes, 8, nested, 1, 6, 7);
    NUMBERS(sizes, 8, nested, 2, 2, 3);
    NUMBERS(sizes, 8, nested, 3, 4, 5);
}
END_TEST

// --- checks

// A table of five rows over two ranks; `change` spoils it.
static Status check_table(void (*change)(Program *p), bool run) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    const Placement cut[AXES] = {PLACEMENT_SHARD(0)};
    int logical, five;
    make_tensor(&p, "tokens", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(2, 3), DTYPE_I32);
    ck_assert_ok(program_add_logical(
        &p, &(LogicalSpec){.name = "w", .shape = {5, 4}, .dims = 2, .role = ROLE_PARAMETER},
        &logical));
    ck_assert_ok(program_add_tensor(&p,
                                    &(TensorSpec){.name = "w",
                                                  .shape = {3, 4},
                                                  .logical = logical,
                                                  .role = ROLE_PARAMETER,
                                                  .placement = {cut[0]}},
                                    NULL));
    ck_assert_ok(piece_add_index(&p, "rows", 5, cut, &five));
    make_tensor(&p, "y", ROLE_OPTIMISER, PLACEMENT_SUM, SHAPE(2, 3, 4), DTYPE_F32);
    make_op(&p, plan, (OpSpec){.name = "look", .kind = KIND_EMBEDDING}, "y", "tokens w rows");
    if (change) change(&p);
    const ProgramSet set = program_set_of_one(&p);
    Status s = run ? plan_check_run(&set) : plan_check(&set);
    program_finish(&p);
    return s;
}

static Tensor *tensor_of(Program *p, const char *name) {
    return &p->tensors[program_find_tensor(p, name)];
}
static void as_reals(Program *p) { tensor_of(p, "rows")->dtype = DTYPE_F64; }
static void along_axes(Program *p) { tensor_of(p, "rows")->source_axes = 1; }
static void apart(Program *p) {
    tensor_of(p, "rows")->placement[0] = PLACEMENT_DIFFERS;
    tensor_of(p, "rows")->shape[0] = 5;
}
static void unwritten(Program *p) { tensor_of(p, "rows")->source = SCALAR_NONE; }
static void of_six(Program *p) { p->logicals[tensor_of(p, "rows")->logical].shape[0] = 6; }

START_TEST(an_index_is_a_vector_of_numbers_that_the_run_writes) {
    ck_assert_ok(check_table(NULL, false));
    ck_assert_ok(check_table(NULL, true));
    ck_assert_fails(check_table(as_reals, false), ERR_PLAN,
                    "tensor rows: source=index fills a scalar of i64 of one dimension");
    ck_assert_fails(check_table(along_axes, false), ERR_PLAN, "without extent= and axes=");
    ck_assert_fails(check_table(apart, false), ERR_PLAN,
                    "tensor rows: source=index is R or S0, and not so along data");
}
END_TEST

START_TEST(an_operation_reads_the_index_of_its_own_dimension) {
    ck_assert_fails(check_table(unwritten, true), ERR_PLAN,
                    "plan step: look: rows does not have source=index");
    ck_assert_fails(check_table(of_six, true), ERR_PLAN,
                    "look: rows numbers 6 elements, but dimension 0 of w has 5");
}
END_TEST

SUITE("check index", a_piece_has_the_numbers_of_its_elements_and_no_others,
      numbers_of_nested_cuts_are_those_of_the_whole,
      an_index_is_a_vector_of_numbers_that_the_run_writes,
      an_operation_reads_the_index_of_its_own_dimension)
