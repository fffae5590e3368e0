// SPDX-License-Identifier: MIT
#include "core/base/arena.h"
#include "core/base/array.h"
#include "tests/support/testing.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(pieces_are_zeroed_aligned_and_apart) {
    Arena a = {0};
    unsigned char *p = arena_push(&a, 100), *q = arena_push(&a, 1 << 20), *r = arena_push(&a, 3);
    ck_assert(p && q && r);
    ck_assert_uint_eq((uintptr_t)p % 64 + (uintptr_t)q % 64 + (uintptr_t)r % 64, 0);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(p[i], 0);
    memset(p, 1, 100);
    memset(q, 2, 1 << 20);
    memset(r, 3, 3);
    ck_assert_int_eq(p[99], 1);
    ck_assert_int_eq(q[0], 2);
    ck_assert_int_eq(q[(1 << 20) - 1], 2);
    arena_finish(&a);
    arena_finish(&a);
}
END_TEST

START_TEST(sizes_that_overflow_give_null) {
    Arena a = {0};
    ck_assert_ptr_null(arena_push(&a, SIZE_MAX));
    ck_assert_ptr_null(ARENA_NEW(&a, double, SIZE_MAX / 4));
    arena_finish(&a);
}
END_TEST

START_TEST(a_string_is_copied_up_to_its_length) {
    Arena a = {0};
    ck_assert_str_eq(arena_string_n(&a, "tandem bicycle", 6), "tandem");
    arena_finish(&a);
}
END_TEST

START_TEST(an_array_keeps_its_items_while_it_grows) {
    int *items = NULL, capacity = 0;
    for (int i = 0; i < 1000; i++) {
        ck_assert_ok(ARRAY_RESERVE(items, capacity, i + 1));
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(items[i], i);
    ck_assert_fails(ARRAY_RESERVE(items, capacity, INT_MAX), ERR_MEMORY, "items");
    free(items);
}
END_TEST

SUITE("arena", pieces_are_zeroed_aligned_and_apart, sizes_that_overflow_give_null,
      a_string_is_copied_up_to_its_length, an_array_keeps_its_items_while_it_grows)
