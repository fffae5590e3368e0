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

// The batch is cut along both, and the ranks that share experts are neighbours along data.
START_TEST(ranks_that_share_experts_are_an_inner_part_of_data) {
    Program p = {0};
    Mesh m = {.pipe = 2, .data = 6, .tensor = 2, .expert = 3};
    ck_assert_ok(mesh_add_axes(&p, &m));
    ck_assert_int_eq(mesh_ranks(&m), 24);
    ck_assert_int_eq(program_ranks(&p), 24);
    const Axis *expert = &p.axes[mesh_find_axis(&p, MESH_EXPERT)],
               *data = &p.axes[mesh_find_axis(&p, MESH_DATA)];
    ck_assert_int_eq(expert->stride, 2);
    ck_assert_int_eq(expert->size, 3);
    ck_assert_int_eq(data->stride, 6);
    ck_assert_int_eq(data->size, 2);
    ck_assert_int_eq(mesh_batch_ranks(&p), 6);
    ck_assert_int_eq(mesh_batch_axes(&p), 1 << 1 | 1 << 2);
    ck_assert_int_eq(mesh_expert_axis(&p), 1);
    program_finish(&p);
    p = (Program){0};
    m.expert = 6;
    ck_assert_ok(mesh_add_axes(&p, &m));
    ck_assert_int_eq(mesh_find_axis(&p, MESH_EXPERT), NONE);
    ck_assert_int_eq(mesh_expert_axis(&p), mesh_find_axis(&p, MESH_DATA));
    program_finish(&p);
    p = (Program){0};
    m.expert = 4;
    ck_assert_fails(mesh_add_axes(&p, &m), ERR_PLAN, "6 data parallel ranks are not groups of 4");
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
      data_is_an_axis_even_of_one_rank, ranks_that_share_experts_are_an_inner_part_of_data,
      an_order_has_each_axis_once)
