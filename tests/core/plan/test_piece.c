// SPDX-License-Identifier: MIT
// Who holds what, against lists: every cut is done again here by picking elements one by one.
#include "core/plan/piece.h"

#include <stdio.h>
#include <string.h>

#include "core/plan/build.h"
#include "tests/support/testing.h"

// Millions of comparisons: only those that fail go through Check.
#define EXPECT(condition, ...)                       \
    do {                                             \
        if (!(condition)) ck_abort_msg(__VA_ARGS__); \
    } while (0)

enum { MOST = 512 };

typedef struct {
    int at[MOST], count;  // elements, or NONE for places of nobody
} List;

static void put(List *l, int element) {
    EXPECT(l->count < MOST, "a list of more than %d", MOST);
    l->at[l->count++] = element;
}

// The elements of share i of n: floor(i U / n) units to floor((i + 1) U / n).
static List share_of(List from, int first, int elements, int n, int i, int unit) {
    List out = {0};
    int units = (elements + unit - 1) / unit;
    for (int k = 0; k < elements; k++)
        if (k / unit >= i * units / n && k / unit < (i + 1) * units / n)
            put(&out, from.at[first + k]);
    return out;
}

static void join(List *l, List more) {
    for (int i = 0; i < more.count; i++) put(l, more.at[i]);
}

// What coordinate c of n has of a list.
static List cut_list(List from, Placement how, int n, int c) {
    if (how.place != PLACE_SHARD || n < 2) return from;
    if (how.cut == CUT_CONTIGUOUS) return share_of(from, 0, from.count, n, c, 1);
    if (how.cut == CUT_FLAT) return share_of(from, 0, from.count, n, c, how.block);
    if (how.cut == CUT_ZIGZAG) {
        List out = share_of(from, 0, from.count, 2 * n, c, 1);
        join(&out, share_of(from, 0, from.count, 2 * n, 2 * n - 1 - c, 1));
        return out;
    }
    List out = {0};
    int section = from.count / how.block;
    for (int s = 0; s < how.block; s++) join(&out, share_of(from, s * section, section, n, c, 1));
    return out;
}

// One tensor on a mesh of two axes.
typedef struct {
    int size[2], shape[2];  // of the axes, of the logical tensor
    Placement place[2];
} Case;

static void describe(const Case *c, char *out, size_t size) {
    char a[PLACEMENT_TEXT], b[PLACEMENT_TEXT];
    snprintf(out, size, "%dx%d on %dx%d as %s,%s", c->shape[0], c->shape[1], c->size[0], c->size[1],
             placement_text(c->place[0], a), placement_text(c->place[1], b));
}

// The axis that cuts first, where both cut alike: not inner before inner, then the larger stride.
static int outer_axis(const Case *c) { return c->place[1].inner > c->place[0].inner ? 0 : 1; }

// Flat cuts of both axes in blocks of one size are one.
static bool is_one_cut(const Case *c) {
    return c->size[0] > 1 && c->size[1] > 1 && c->place[0].cut == CUT_FLAT &&
           placement_equal(c->place[0], c->place[1]);
}

// The elements of a dimension (or the flat places) at a coordinate.
static List dim_list(const Case *c, int dim, List l, const int *coordinate) {
    if (dim == FLAT_DIM && is_one_cut(c))
        return cut_list(l, c->place[0], c->size[0] * c->size[1],
                        coordinate[1] * c->size[0] + coordinate[0]);
    for (int k = 0; k < 2; k++) {
        int a = k ? 1 - outer_axis(c) : outer_axis(c);
        bool flat = c->place[a].cut == CUT_FLAT;
        if (flat ? dim == FLAT_DIM : c->place[a].dim == dim)
            l = cut_list(l, c->place[a], c->size[a], coordinate[a]);
    }
    return l;
}

static List numbers(int n) {
    List l = {0};
    for (int i = 0; i < n; i++) put(&l, i);
    return l;
}

// The local tensor of a coordinate, place by place, before flat cuts in a box of `capacity`.
static List expected_piece(const Case *c, const int *coordinate, const int *capacity) {
    List rows = dim_list(c, 0, numbers(c->shape[0]), coordinate);
    List columns = dim_list(c, 1, numbers(c->shape[1]), coordinate), box = {0};
    for (int i = 0; i < capacity[0]; i++)
        for (int k = 0; k < capacity[1]; k++)
            put(&box, i < rows.count && k < columns.count ? rows.at[i] * c->shape[1] + columns.at[k]
                                                          : NONE);
    return dim_list(c, FLAT_DIM, box, coordinate);
}

// The most that any coordinate has of a dimension.
static int dim_capacity(const Case *c, int dim) {
    int most = 0;
    for (int a = 0; a < c->size[0]; a++)
        for (int b = 0; b < c->size[1]; b++) {
            int n = dim_list(c, dim, numbers(c->shape[dim]), (int[]){a, b}).count;
            if (n > most) most = n;
        }
    return most;
}

static void add_tensor(Program *p, const Case *c, Tensor *t) {
    int index;
    ck_assert_ok(program_add_axis(p, "a", c->size[0], NULL));
    ck_assert_ok(program_add_axis(p, "b", c->size[1], NULL));
    LogicalSpec l = {.name = "w", .shape = {c->shape[0], c->shape[1]}, .dims = 2};
    ck_assert_ok(program_add_logical(p, &l, &index));
    *t = (Tensor){
        .extent = NONE, .extent_times = 1, .logical = index, .name = p->logicals[index].name};
    memcpy(t->placement, c->place, sizeof c->place);
}

// Compare one rank's walk with the list; count who holds each element, and who is first.
static void check_rank(const Program *p, const Tensor *t, List want, const int *coordinate,
                       const char *text, int *held, int *first) {
    PieceWalk w;
    PieceRun run;
    int at[AXES] = {coordinate[0], coordinate[1]}, next = 0;
    bool is_first = piece_is_first(p, t, at, (const int[AXES]){0});
    piece_walk(&w, p, t, at);
    while (piece_next(&w, &run)) {
        EXPECT(run.count > 0 && run.local >= next && run.local + run.count <= want.count,
               "%s at %d,%d: run of %d from %d", text, at[0], at[1], (int)run.count,
               (int)run.local);
        for (; next < run.local; next++) EXPECT(want.at[next] == NONE, "%s: %d", text, next);
        for (int i = 0; i < run.count; i++, next++) {
            EXPECT(want.at[next] == run.whole + i, "%s at %d,%d: place %d holds %d, not %d", text,
                   at[0], at[1], next, (int)run.whole + i, want.at[next]);
            held[run.whole + i]++;
            first[run.whole + i] += is_first;
        }
    }
    for (; next < want.count; next++) EXPECT(want.at[next] == NONE, "%s: %d", text, next);
}

static void check_case(const Case *c) {
    Program p = {0};
    Tensor t;
    char text[160];
    int64_t shape[DIMS];
    int dims, capacity[] = {dim_capacity(c, 0), dim_capacity(c, 1)}, copies = 1, most = 0;
    int held[MOST] = {0}, first[MOST] = {0};
    describe(c, text, sizeof text);
    add_tensor(&p, c, &t);
    ck_assert_ok(piece_capacity(&p, &t, shape, &dims));
    bool flat = c->place[0].cut == CUT_FLAT || c->place[1].cut == CUT_FLAT;
    for (int r = 0; r < c->size[0] * c->size[1]; r++) {
        int coordinate[] = {r % c->size[0], r / c->size[0]};
        List want = expected_piece(c, coordinate, capacity);
        if (want.count > most) most = want.count;
        check_rank(&p, &t, want, coordinate, text, held, first);
    }
    for (int a = 0; a < 2; a++)
        if (c->place[a].place != PLACE_SHARD) copies *= c->size[a];
    for (int e = 0; e < c->shape[0] * c->shape[1]; e++) {
        EXPECT(held[e] == copies, "%s: %d held %d times", text, e, held[e]);
        EXPECT(first[e] == 1, "%s: %d counted %d times", text, e, first[e]);
    }
    ck_assert_int_eq(dims, flat ? 1 : 2);
    if (flat)
        EXPECT(shape[0] >= most, "%s: room for %d of %d", text, (int)shape[0], most);
    else
        EXPECT(shape[0] == capacity[0] && shape[1] == capacity[1], "%s: %dx%d", text, (int)shape[0],
               (int)shape[1]);
    program_finish(&p);
}

// Every way to place along one axis; interleaved sections must be equal.
static const Placement ways[] = {
    {.place = PLACE_REPLICATE},
    {.place = PLACE_SHARD},
    {.place = PLACE_SHARD, .dim = 1},
    {.place = PLACE_SHARD, .cut = CUT_ZIGZAG},
    {.place = PLACE_SHARD, .dim = 1, .cut = CUT_ZIGZAG},
    {.place = PLACE_SHARD, .cut = CUT_INTERLEAVED, .block = 1},
    {.place = PLACE_SHARD, .cut = CUT_INTERLEAVED, .block = 2},
    {.place = PLACE_SHARD, .cut = CUT_INTERLEAVED, .block = 3},
    {.place = PLACE_SHARD, .dim = 1, .cut = CUT_INTERLEAVED, .block = 2},
    {.place = PLACE_SHARD, .cut = CUT_FLAT, .block = 1},
    {.place = PLACE_SHARD, .cut = CUT_FLAT, .block = 4},
    {.place = PLACE_SHARD, .inner = 1},
    {.place = PLACE_SHARD, .cut = CUT_ZIGZAG, .inner = 1},
};
enum { WAYS = sizeof ways / sizeof *ways };

static bool can_be_cut(const Case *c) {
    Program p = {0};
    Tensor t;
    int64_t shape[DIMS];
    int dims;
    add_tensor(&p, c, &t);
    Status s = piece_capacity(&p, &t, shape, &dims);
    program_finish(&p);
    return s == OK;
}

START_TEST(every_element_is_held_by_the_ranks_of_its_piece) {
    for (int n = 1; n <= 8; n++)
        for (int rows = 1; rows <= 7; rows++)
            for (int columns = 1; columns <= 7; columns++)
                for (int k = 0; k < WAYS; k++) {
                    Case c = {{n, 1}, {rows, columns}, {ways[k], PLACEMENT_REPLICATED}};
                    int sections = ways[k].cut == CUT_INTERLEAVED ? ways[k].block : 1;
                    bool fits = n == 1 || (ways[k].dim ? columns : rows) % sections == 0;
                    ck_assert_int_eq(can_be_cut(&c), fits);
                    if (fits) check_case(&c);
                }
}
END_TEST

START_TEST(cuts_of_one_dimension_nest) {
    static const int sizes[][2] = {{2, 2}, {2, 3}, {3, 2}, {4, 2}, {3, 3}};
    int cases = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int rows = 1; rows <= 7; rows++)
            for (int columns = 1; columns <= 6; columns += columns == 1 ? 3 : 2)
                for (int k = 0; k < WAYS * WAYS; k++) {
                    Case c = {.shape = {rows, columns}, .place = {ways[k / WAYS], ways[k % WAYS]}};
                    memcpy(c.size, sizes[s], sizeof c.size);
                    if (!can_be_cut(&c)) continue;
                    check_case(&c);
                    cases++;
                }
    ck_assert_int_gt(cases, 10000);
}
END_TEST

// 12 rows over a mesh of a=2, b=2; the axis b has the larger stride.
START_TEST(pieces_lie_in_rank_order_unless_an_axis_is_inner) {
    static const struct {
        int inner_b, first_row[4];
    } cases[] = {{0, {0, 3, 6, 9}}, {1, {0, 6, 3, 9}}};
    for (int i = 0; i < 2; i++) {
        Case c = {{2, 2}, {12, 1}, {PLACEMENT_SHARD(0), PLACEMENT_SHARD(0)}};
        c.place[1].inner = (uint8_t)cases[i].inner_b;
        Program p = {0};
        Tensor t;
        add_tensor(&p, &c, &t);
        for (int r = 0; r < 4; r++) {
            PieceWalk w;
            PieceRun run;
            piece_walk(&w, &p, &t, (int[AXES]){r % 2, r / 2});
            ck_assert(piece_next(&w, &run));
            ck_assert_int_eq(run.whole, cases[i].first_row[r]);
            ck_assert_int_eq(run.count, 3);
        }
        program_finish(&p);
    }
}
END_TEST

// Whole rows follow one another, so that a run is as long as the piece.
START_TEST(runs_are_as_long_as_they_can_be) {
    Case c = {{4, 1}, {100, 30}, {PLACEMENT_SHARD(0), PLACEMENT_REPLICATED}};
    Program p = {0};
    Tensor t;
    PieceWalk w;
    PieceRun run;
    add_tensor(&p, &c, &t);
    piece_walk(&w, &p, &t, (int[AXES]){1});
    ck_assert(piece_next(&w, &run));
    ck_assert_int_eq(run.whole, 25 * 30);
    ck_assert_int_eq(run.count, 25 * 30);
    ck_assert(!piece_next(&w, &run));
    program_finish(&p);
}
END_TEST

START_TEST(a_dimension_that_is_not_there_cannot_be_cut) {
    Case c = {{2, 1}, {4, 4}, {PLACEMENT_SHARD(2), PLACEMENT_REPLICATED}};
    Program p = {0};
    Tensor t;
    int64_t shape[DIMS];
    int dims;
    add_tensor(&p, &c, &t);
    ck_assert_fails(piece_capacity(&p, &t, shape, &dims), ERR_PLAN,
                    "tensor w: S2 along a, but w has 2 dimensions");
    program_finish(&p);
}
END_TEST

SUITE("piece", every_element_is_held_by_the_ranks_of_its_piece, cuts_of_one_dimension_nest,
      pieces_lie_in_rank_order_unless_an_axis_is_inner, runs_are_as_long_as_they_can_be,
      a_dimension_that_is_not_there_cannot_be_cut)
