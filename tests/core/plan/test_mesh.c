// SPDX-License-Identifier: MIT
#include "core/plan/build.h"
#include "core/plan/mesh.h"
#include "tests/support/testing.h"

START_TEST(the_innermost_axis_has_neighbours) {
    Program p = {0};
    const Mesh m = {.pipe = 2, .data = 3, .context = 1, .tensor = 4};
    ck_assert_ok(mesh_add_axes(&p, &m));
    ck_assert_int_eq(mesh_ranks(&m), 24);
    ck_assert_int_eq(program_ranks(&p), 24);
    ck_assert_int_eq(p.axes[mesh_find_axis(&p, MESH_TENSOR)].stride, 1);
    ck_assert_int_eq(p.axes[mesh_find_axis(&p, MESH_DATA)].stride, 4);
    ck_assert_int_eq(p.axes[mesh_find_axis(&p, MESH_PIPE)].stride, 12);
    ck_assert_int_eq(mesh_find_axis(&p, MESH_CONTEXT), NONE);
    ck_assert_int_eq(mesh_axis_size(&p, MESH_CONTEXT), 1);
    program_finish(&p);
}
END_TEST

START_TEST(an_order_puts_another_axis_inside) {
    Program p = {0};
    Mesh m = {.pipe = 2, .data = 2, .tensor = 2};
    ck_assert_ok(mesh_parse_order(&m, "context, tensor,data,pipe"));
    ck_assert_ok(mesh_add_axes(&p, &m));
    ck_assert_int_eq(p.axes[mesh_find_axis(&p, MESH_PIPE)].stride, 1);
    ck_assert_int_eq(p.axes[mesh_find_axis(&p, MESH_DATA)].stride, 2);
    ck_assert_int_eq(p.axes[mesh_find_axis(&p, MESH_TENSOR)].stride, 4);
    program_finish(&p);
}
END_TEST

START_TEST(data_is_an_axis_even_of_one_rank) {
    Program p = {0};
    ck_assert_ok(mesh_add_axes(&p, &(Mesh){0}));
    ck_assert_int_eq(p.axis_count, 1);
    ck_assert_int_eq(mesh_find_axis(&p, MESH_DATA), 0);
    program_finish(&p);
}
END_TEST

START_TEST(an_order_has_each_axis_once) {
    Mesh m = {.data = 2};
    ck_assert_fails(mesh_parse_order(&m, "pipe,data,context"), ERR_USAGE, "tensor is missing");
    ck_assert_fails(mesh_parse_order(&m, "pipe,data,data,tensor"), ERR_USAGE,
                    "data is there twice");
    ck_assert_fails(mesh_parse_order(&m, "pipe,date,context,tensor"), ERR_USAGE, "date is no axis");
    ck_assert_int_eq(mesh_at(&m, 0), MESH_PIPE);  // what is refused changes nothing
}
END_TEST

SUITE("mesh", the_innermost_axis_has_neighbours, an_order_puts_another_axis_inside,
      data_is_an_axis_even_of_one_rank, an_order_has_each_axis_once)
