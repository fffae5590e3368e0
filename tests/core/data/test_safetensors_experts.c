// SPDX-License-Identifier: MIT
// Weights of experts, one by one in files and together in programs.
#include "core/data/safetensors_experts.h"
#include "tests/support/testing.h"

#include <string.h>

enum { E = 12, ROWS = 2, COLUMNS = 3, EACH = ROWS * COLUMNS };

static Arena arena;
static float values[E * EACH];

static SafetensorsEntry whole(void) {
    for (int i = 0; i < E * EACH; i++) values[i] = (float)i;
    return (SafetensorsEntry){.name = "experts.a.experts.w1.weight",
                              .dtype = DTYPE_F32,
                              .dims = 3,
                              .shape = {E, ROWS, COLUMNS},
                              .data = values};
}

static SafetensorsEntry matrix(const char *name, int rows) {
    return (SafetensorsEntry){
        .name = name, .dtype = DTYPE_F32, .dims = 2, .shape = {rows, COLUMNS}, .data = values};
}

static bool wants_w1(const void *context, const char *name) {
    (void)context;
    return strstr(name, "w1") != NULL;
}

static Status join(Safetensors *s) { return safetensors_join_experts(s, &arena, wants_w1, NULL); }

// Others are left alone: a matrix, and an image's filters, whatever their names are.
START_TEST(each_expert_gets_a_name_and_its_part) {
    const SafetensorsEntry entries[] = {
        matrix("b.experts.w1.weight", ROWS),
        whole(),
        {.name = "c.experts.conv.weight", .dtype = DTYPE_F32, .dims = 4, .shape = {1, 1, 1, 1}}};
    SafetensorsEntry *out;
    int count;
    ck_assert_ok(safetensors_split_experts(&out, &count, &arena, entries, 3));
    ck_assert_int_eq(count, E + 2);
    ck_assert_str_eq(out[0].name, "b.experts.w1.weight");
    ck_assert_str_eq(out[1].name, "experts.a.experts.0.w1.weight");
    ck_assert_str_eq(out[E].name, "experts.a.experts.11.w1.weight");
    ck_assert_str_eq(out[E + 1].name, "c.experts.conv.weight");
    ck_assert_int_eq(out[E].dims, 2);
    ck_assert_int_eq(out[E].shape[0], ROWS);
    ck_assert_int_eq(out[E].shape[1], COLUMNS);
    ck_assert_ptr_eq(out[E].data, &values[11 * EACH]);
    arena_finish(&arena);
}
END_TEST

// Where they follow one another nothing is copied; it is where a file has them in another order.
START_TEST(experts_are_put_together_in_their_order) {
    static float reversed[E * EACH];
    for (int backwards = 0; backwards < 2; backwards++) {
        const SafetensorsEntry one = whole();
        Safetensors s = {0};
        SafetensorsEntry *each;
        ck_assert_ok(safetensors_split_experts(&each, &s.count, &arena, &one, 1));
        s.entries = ARENA_NEW(&arena, SafetensorsEntry, E + 1);
        memcpy(s.entries, each, E * sizeof *each);
        for (int i = 0; i < E && backwards; i++) {
            s.entries[i] = each[E - 1 - i];
            s.entries[i].data =
                memcpy(&reversed[i * EACH], each[E - 1 - i].data, EACH * sizeof *reversed);
        }
        s.entries[s.count++] = matrix("a.norm.weight", 1);
        ck_assert_ok(join(&s));
        ck_assert_int_eq(s.count, 2);
        const SafetensorsEntry *joined = safetensors_find(&s, one.name);
        ck_assert_ptr_nonnull(joined);
        ck_assert_ptr_nonnull(safetensors_find(&s, "a.norm.weight"));
        ck_assert_int_eq(joined->dims, 3);
        ck_assert_mem_eq(joined->shape, one.shape, sizeof one.shape);
        ck_assert_mem_eq(joined->data, values, sizeof values);
        ck_assert((joined->data == values) == !backwards);
        arena_finish(&arena);
    }
}
END_TEST

// A list of layers that is called experts is none of a mixture, as nobody wants the whole.
START_TEST(what_nobody_wants_stays_apart) {
    SafetensorsEntry entries[] = {
        matrix("a.experts.0.w2.weight", 1), matrix("a.experts.1.w2.weight", 1),
        matrix("a.experts.01.w1.weight", 1), matrix("a.experts.w1.weight", 1),
        matrix("a.experts.1w1.weight", 1)};
    Safetensors s = {.entries = entries, .count = 5};
    ck_assert_ok(join(&s));
    ck_assert_int_eq(s.count, 5);
    ck_assert_str_eq(s.entries[1].name, "a.experts.1.w2.weight");
    arena_finish(&arena);
}
END_TEST

START_TEST(experts_that_do_not_fit_are_refused_by_name) {
    SafetensorsEntry hole[] = {matrix("a.experts.0.w1.weight", 1),
                               matrix("a.experts.2.w1.weight", 1)},
                     other[] = {matrix("a.experts.0.w1.weight", 1),
                                matrix("a.experts.1.w1.weight", 2)},
                     cube[] = {whole()};
    Safetensors s = {.entries = hole, .count = 2};
    cube[0].name = "a.experts.0.w1.weight";
    ck_assert_fails(join(&s), ERR_FORMAT,
                    "a.experts.w1.weight: expert 1 of it is not there, and expert 2 is");
    s = (Safetensors){.entries = other, .count = 2};
    ck_assert_fails(join(&s), ERR_FORMAT,
                    "a.experts.1.w1.weight: type and shape are not those of "
                    "a.experts.0.w1.weight");
    s = (Safetensors){.entries = cube, .count = 1};
    ck_assert_fails(join(&s), ERR_FORMAT, "or no matrix's");
    arena_finish(&arena);
}
END_TEST

SUITE("safetensors experts", each_expert_gets_a_name_and_its_part,
      experts_are_put_together_in_their_order, what_nobody_wants_stays_apart,
      experts_that_do_not_fit_are_refused_by_name)
