// SPDX-License-Identifier: MIT
#include "parallel/collective/walk.h"
#include "tests/support/testing.h"

// Every collective with every algorithm that it has; of two members and more, as one of a ring asks
// for nothing. Chunks are even and uneven, empty, in units, and several pieces.
typedef void Check(const Collective *c);

static void for_each_collective(Check *check) {
    const int64_t elements[] = {0, 3, 7, 1000, 5 * 8192 + 17}, units[] = {0, 3, 4096};
    for (int kind = 0; kind < COLLECTIVE_COUNT; kind++)
        for (int algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++)
            for (int ranks = 1; ranks <= 9; ranks++)
                for (int i = 0; i < 15; i++) {
                    Collective c = {.kind = (CollectiveKind)kind,
                                    .algorithm = (Algorithm)algorithm,
                                    .ranks = ranks,
                                    .root = ranks / 2,
                                    .elements = elements[i % 5],
                                    .unit = units[i / 5]};
                    if (kind == COLLECTIVE_BARRIER) c.elements = 0;
                    if (collective_validate(&c) == OK) check(&c);
                }
}

static void check_first_steps(const Collective *c) {
    for (int64_t t = 0; t < collective_rounds(c); t++)
        for (int r = 0; r < c->ranks; r++) {
            CollectiveStep first, want;
            int steps = collective_first_step(c, t, r, &first);
            ck_assert_int_eq(steps, collective_steps(c, t, r));
            if (!steps) continue;
            want = collective_step(c, t, r, 0);
            ck_assert_int_eq(first.round, t);
            ck_assert_int_eq(first.destination, r);
            ck_assert_int_eq(first.source, want.source);
            ck_assert_int_eq(first.chunk, want.chunk);
            ck_assert_int_eq(first.action, want.action);
            ck_assert_int_eq(first.from, want.from);
        }
}

START_TEST(how_many_steps_and_the_first_of_them_come_together) {
    for_each_collective(check_first_steps);
}
END_TEST

static void check_sizes(const Collective *c) {
    const CollectiveSizes sizes = collective_sizes(c);
    for (int64_t k = 0; k < collective_chunks(c); k++) {
        int64_t begin, count;
        collective_chunk(c, k, &begin, &count);
        ck_assert_int_eq(collective_size(&sizes, k), count);
    }
}

START_TEST(sizes_of_chunks_are_as_they_are_cut) { for_each_collective(check_sizes); }
END_TEST

// 10 elements in units of 4 are 4, 4 and 2, and 3 elements are one unit, which the last member has.
START_TEST(a_chunk_of_several_arrays_has_a_share_of_each) {
    const int64_t sizes[] = {10, 3}, begins[] = {0, 4, 8, 13};
    Collective c = {.kind = COLLECTIVE_REDUCE_SCATTER,
                    .algorithm = ALGORITHM_RING,
                    .ranks = 3,
                    .elements = 13,
                    .unit = 4,
                    .sizes = sizes,
                    .size_count = 2};
    CollectiveSizes walked = collective_sizes(&c);
    ck_assert_int_eq(collective_validate(&c), OK);
    for (int i = 0; i < 3; i++) {
        int64_t begin, count;
        collective_chunk(&c, i, &begin, &count);
        ck_assert_int_eq(begin, begins[i]);
        ck_assert_int_eq(begin + count, begins[i + 1]);
        ck_assert_int_eq(collective_size(&walked, i), count);
        ck_assert_int_eq(collective_result_elements(&c, i), count);
        ck_assert_int_eq(collective_input_place(&c, i), begin);
    }
    ck_assert_int_eq(collective_largest_chunk(&c), 5);
    ck_assert_int_eq(collective_bytes_per_rank(&c, 4), (13 - 4) * 4);
    ck_assert_int_eq(collective_bytes_total(&c, 4), 2 * 13 * 4);
    c.elements = 12;
    ck_assert_int_eq(collective_validate(&c), ERR_USAGE);
    c.elements = 13;
    c.kind = COLLECTIVE_ALL_REDUCE;
    ck_assert_int_eq(collective_validate(&c), ERR_USAGE);
}
END_TEST

SUITE("walk", a_chunk_of_several_arrays_has_a_share_of_each,
      how_many_steps_and_the_first_of_them_come_together, sizes_of_chunks_are_as_they_are_cut)
