// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "core/plan/group.h"
#include "core/plan/sequence.h"
#include "tests/support/plan_maker.h"

// Its members as "1 3 5", and the rank's own place among them.
static void assert_group(const Program *p, int group, int rank, const char *members, int position) {
    char text[128] = "";
    ck_assert_int_eq(group_position(p, group, rank), position);
    for (int i = 0; i < group_size(p, group); i++)
        text_append(text, sizeof text, "%s%d", i ? " " : "", group_member(p, group, rank, i));
    ck_assert_str_eq(text, members);
}

START_TEST(a_group_is_the_ranks_that_differ_along_its_axes) {
    Program p = {0};
    int data, all, ends;
    ck_assert_ok(program_add_axis(&p, "tensor", 2, NULL));  // stride 1
    ck_assert_ok(program_add_axis(&p, "data", 3, NULL));    // stride 2: rank = tensor + 2 data
    ck_assert_ok(program_add_axis(&p, "pipe", 2, NULL));    // stride 6
    ck_assert_ok(program_add_group(&p, "data", 1 << 1, &data));
    ck_assert_ok(program_add_group(&p, "all", 7, &all));
    ck_assert_ok(program_add_group(&p, "ends", 1 << 0 | 1 << 2, &ends));
    assert_group(&p, data, 3, "1 3 5", 1);    // tensor 1, data 1
    assert_group(&p, data, 10, "6 8 10", 2);  // tensor 0, data 2, pipe 1
    assert_group(&p, all, 4, "0 1 2 3 4 5 6 7 8 9 10 11", 4);
    assert_group(&p, ends, 9, "2 3 8 9", 3);  // tensor 1, data 1, pipe 1
    program_finish(&p);
}
END_TEST

START_TEST(a_group_may_lie_at_some_positions_of_an_axis) {
    Program p = {0};
    int embed, wide, first;
    ck_assert_ok(program_add_axis(&p, "data", 2, NULL));  // stride 1
    ck_assert_ok(program_add_axis(&p, "pipe", 4, NULL));  // stride 2: rank = data + 2 pipe
    ck_assert_ok(program_add_group_at(&p, "embed", 1 << 1, 1, (int[]){0, 3}, 2, &embed));
    ck_assert_ok(program_add_group_at(&p, "wide", 3, 1, (int[]){1, 3}, 2, &wide));
    ck_assert_ok(program_add_group_at(&p, "first", 1 << 0, 1, (int[]){0}, 1, &first));
    assert_group(&p, embed, 0, "0 6", 0);
    assert_group(&p, embed, 7, "1 7", 1);
    ck_assert_int_eq(group_position(&p, embed, 2), NONE);  // stage 1 holds no embedding
    assert_group(&p, wide, 6, "2 3 6 7", 2);
    ck_assert_int_eq(group_position(&p, wide, 5), NONE);
    assert_group(&p, first, 1, "0 1", 1);
    ck_assert_int_eq(group_position(&p, first, 3), NONE);
    ck_assert_int_eq(group_peer(&p, embed, 1, 1), 7);
    ck_assert_int_eq(group_peer(&p, embed, 7, 1), 1);
    ck_assert_int_eq(group_peer(&p, wide, 2, -1), 7);
    program_finish(&p);
}
END_TEST

START_TEST(positions_of_a_group_are_those_of_its_axis) {
    Program p = {0};
    ck_assert_ok(program_add_axis(&p, "pipe", 4, NULL));
    ck_assert_fails(program_add_group_at(&p, "g", 1, 0, (int[]){0, 4}, 2, NULL), ERR_PLAN,
                    "group g: pipe has 4 positions, none 4");
    ck_assert_fails(program_add_group_at(&p, "g", 1, 0, (int[]){3, 3}, 2, NULL), ERR_PLAN,
                    "group g: the positions along pipe do not ascend: 3, 3");
    ck_assert_fails(program_add_group_at(&p, "g", 1, 1, (int[]){0}, 1, NULL), ERR_PLAN,
                    "group g: the mesh has no axis 1");
    ck_assert_fails(program_add_group_at(&p, "g", 1, 0, NULL, 0, NULL), ERR_PLAN,
                    "group g lies at no position of pipe");
    program_finish(&p);
}
END_TEST

START_TEST(a_group_may_be_an_explicit_list_of_ranks) {
    Program p = {0};
    int group;
    ck_assert_ok(program_add_axis(&p, "data", 4, NULL));
    ck_assert_ok(program_add_rank_list(&p, "ends", (int[]){0, 3}, 2, &group));
    assert_group(&p, group, 3, "0 3", 1);
    ck_assert_int_eq(group_position(&p, group, 1), NONE);
    ck_assert_fails(program_add_rank_list(&p, "bad", (int[]){4}, 1, NULL), ERR_PLAN,
                    "rank 4 is not in a mesh of 4");
    program_finish(&p);
}
END_TEST

START_TEST(thousands_of_names_are_told_apart) {
    Program p = {0};
    char name[16];
    int32_t at, again;
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        ck_assert_int_eq(program_find_name(&p, name), NONE);
        make_tensor(&p, name, ROLE_SCALAR, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_F64);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        ck_assert_int_eq(program_find_tensor(&p, name), i);
        ck_assert_int_eq(program_find_logical(&p, name), i);
        at = program_find_name(&p, name);
        ck_assert_ok(program_add_name(&p, name, &again));
        ck_assert_int_eq(at, again);
    }
    ck_assert_int_eq(program_find_tensor(&p, "t5000"), NONE);
    program_finish(&p);
}
END_TEST

// More than 16 bits can count, as a barrier over all micro-batches of all shards may need.
START_TEST(an_operation_may_wait_for_more_than_65535_others) {
    enum { OTHERS = UINT16_MAX + 2 };
    Program p = {0};
    DepList list = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "a", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_F32);
    make_tensor(&p, "b", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(1), DTYPE_F32);
    for (int i = 0; i <= OTHERS; i++)
        make_op(&p, plan, (OpSpec){.name = "o", .kind = KIND_RELU}, "b", "a");
    for (int i = 0; i < OTHERS - 1; i++) ck_assert_ok(dep_list_add(&list, OTHERS, i, DEP_ORDER, 0));
    ck_assert_ok(plan_add_deps(plan, &list));
    dep_list_finish(&list);
    ck_assert_ok(plan_add_dep(plan, OTHERS, OTHERS - 1, DEP_ORDER, 0));
    const Op *last = &plan->ops[OTHERS];
    ck_assert_int_eq(last->dep_count, OTHERS);
    for (int i = 0; i < OTHERS; i++) ck_assert_int_eq(plan->deps[last->dep_first + i].op, i);
    program_finish(&p);
}
END_TEST

START_TEST(dependencies_follow_from_what_is_read_and_written) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_linear(&p, plan);
    ck_assert(depends(plan, 1, 0, 0));  // forward reads what load wrote
    ck_assert(depends(plan, 5, 4, 0));  // the all-reduce reads the gradient
    ck_assert(depends(plan, 6, 5, 0));  // the update reads the reduced one
    ck_assert(depends(plan, 6, 1, 0));  // and writes what forward still read
    ck_assert(depends(plan, 1, 6, 1));  // forward reads what the step before updated
    ck_assert(!depends(plan, 2, 0, 1));
    ck_assert(!depends(plan, 5, 3, 0));  // not what it does not touch
    program_finish(&p);
}
END_TEST

START_TEST(an_accumulating_operation_follows_the_one_before) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "x", ROLE_GRADIENT, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "y", ROLE_GRADIENT, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    int first = make_op(&p, plan, (OpSpec){.name = "first", .kind = KIND_RELU}, "y", "x");
    int read = make_op(&p, plan, (OpSpec){.name = "read", .kind = KIND_RELU}, "x", "y");
    int add = make_op(&p, plan, (OpSpec){.name = "add", .kind = KIND_FOLD, .flags = OP_ACCUMULATE},
                      "y", "x");
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert(depends(plan, add, first, 0));
    ck_assert(depends(plan, add, read, 0));
    program_finish(&p);
}
END_TEST

START_TEST(an_alias_is_the_same_memory) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    int x = make_tensor(&p, "x", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(2, 3, 4), DTYPE_F32),
        logical, flat;
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(2, 12), DTYPE_F32);
    ck_assert_ok(program_add_logical(
        &p, &(LogicalSpec){.name = "flat", .shape = {2, 12}, .dims = 2, .role = ROLE_ACTIVATION},
        &logical));
    ck_assert_ok(program_add_tensor(
        &p,
        &(TensorSpec){
            .name = "flat", .logical = logical, .alias = TENSOR_REF(x), .role = ROLE_ACTIVATION},
        &flat));
    int write = make_op(&p, plan, (OpSpec){.name = "write", .kind = KIND_RELU}, "x", "x");
    int read = make_op(&p, plan, (OpSpec){.name = "read", .kind = KIND_RELU}, "y", "flat");
    ck_assert_ok(plan_derive_deps(&p, plan));
    ck_assert(depends(plan, read, write, 0));
    program_finish(&p);
}
END_TEST

START_TEST(equal_work_is_shared_and_other_work_is_not) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "x", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    make_tensor(&p, "wide", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(8), DTYPE_F32);
    int a =
        make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU, .micro_batch = 0}, "y", "x");
    int b =
        make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU, .micro_batch = 1}, "y", "x");
    int c = make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, "wide", "wide");
    ck_assert_int_eq(plan->ops[a].work, plan->ops[b].work);
    ck_assert_int_ne(plan->ops[a].work, plan->ops[c].work);
    ck_assert(op_work(&p, &plan->ops[a])->cost_key != op_work(&p, &plan->ops[c])->cost_key);
    ck_assert_int_eq(op_work(&p, &plan->ops[a])->read_bytes, 16);
    program_finish(&p);
}
END_TEST

START_TEST(selecting_operations_keeps_explicit_dependencies) {
    Program p = {0};
    Plan *plan = make_program(&p, 1);
    make_tensor(&p, "x", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    for (int i = 0; i < 3; i++)
        make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU, .micro_batch = i}, "x", "x");
    ck_assert_ok(plan_add_dep(plan, 2, 0, DEP_ORDER, 0));
    ck_assert_ok(plan_add_dep(plan, 2, 1, DEP_ORDER, 1));
    ck_assert_ok(plan_select(plan, (int[]){1, 0, 2}, (uint8_t[]){1, 0, 1}));  // drop the second
    ck_assert_int_eq(plan->op_count, 2);
    ck_assert(depends(plan, 1, 0, 0));
    ck_assert_int_eq(plan->ops[1].dep_count, 1);
    program_finish(&p);
}
END_TEST

static uint64_t fingerprint(const Program *p) {
    uint64_t hash;
    ck_assert_ok(sequence_fingerprint(p, (Sequence){0}, &hash));
    ck_assert(hash != 0);
    return hash;
}

START_TEST(a_fingerprint_tells_communication_apart) {
    Program a = {0}, b = {0};
    Plan *pa = make_program(&a, 2), *pb = make_program(&b, 2);
    make_linear(&a, pa);
    make_linear(&b, pb);
    ck_assert_uint_eq(fingerprint(&a), fingerprint(&b));
    b.works[pb->ops[5].work].algorithm = ALGORITHM_RING;
    ck_assert(fingerprint(&a) != fingerprint(&b));
    b.works[pb->ops[5].work].algorithm = ALGORITHM_DIRECT;
    b.works[pb->ops[1].work].flops = 7;  // computation may differ
    ck_assert_uint_eq(fingerprint(&a), fingerprint(&b));
    program_finish(&a);
    program_finish(&b);
}
END_TEST

START_TEST(names_of_kinds_and_attributes_are_found) {
    int length, real;
    ck_assert_int_eq(kind_find("max_pool", 8), KIND_MAX_POOL);
    ck_assert_int_eq(kind_find("max_poo", 7), -1);
    ck_assert_int_eq(kind_attribute_count(KIND_CONV2D), 3);
    ck_assert_int_eq(kind_attribute_count(KIND_RELU), 0);
    const char *s = kind_attribute(KIND_SGD, 1, &length, &real);
    ck_assert_int_eq(length, (int)strlen("weight_decay"));
    ck_assert(!strncmp(s, "weight_decay", (size_t)length) && real);
    kind_attribute(KIND_SGD, 2, &length, &real);
    ck_assert_int_eq(real, 0);
    ck_assert(!kind_attribute_is_optional(KIND_SGD, 2));
    s = kind_attribute(KIND_CROSS_ENTROPY, 0, &length, &real);
    ck_assert_int_eq(length, (int)strlen("smoothing"));
    ck_assert(!strncmp(s, "smoothing", (size_t)length) && real);
    ck_assert(kind_attribute_is_optional(KIND_CROSS_ENTROPY, 0));
}
END_TEST

START_TEST(the_words_of_algorithms_are_those_of_the_list) {
    char words[256] = "";
    for (int k = 0; k < ALGORITHM_COUNT; k++) {
        const char *name = algorithm_name((Algorithm)k);
        size_t used = strlen(words);
        snprintf(words + used, sizeof words - used, "%s%s", k ? "|" : "", name);
        ck_assert_int_eq(algorithm_find(name, (int)strlen(name)), k);
        ck_assert_ptr_nonnull(strstr(ALGORITHM_HELP, name));
    }
    ck_assert_str_eq(words, ALGORITHM_WORDS);
    ck_assert_int_eq(algorithm_find("tree", 4), -1);
    ck_assert_str_eq(algorithm_name((Algorithm)15), "?");  // a damaged signature's
    ck_assert_int_eq(algorithm_order(ALGORITHM_CHAIN), ORDER_RANK);
    ck_assert_int_eq(algorithm_order(ALGORITHM_RING), ORDER_SCHEDULE);
}
END_TEST

// Dependencies of two operations in one list, in no order: each operation gets its own, each once,
// behind those that it has.
START_TEST(collected_dependencies_are_added_at_once) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    make_tensor(&p, "a", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4), DTYPE_F32);
    for (int i = 0; i < 4; i++)
        make_op(&p, plan, (OpSpec){.name = "relu", .kind = KIND_RELU}, "a", "a");
    DepList list = {0};
    ck_assert_ok(plan_add_dep(plan, 2, 1, DEP_ORDER, 0));
    ck_assert_ok(dep_list_add(&list, 3, 2, DEP_DATA, 0));
    ck_assert_ok(dep_list_add(&list, 2, 0, DEP_DATA, 0));
    ck_assert_ok(dep_list_add(&list, 3, 0, DEP_REUSE, 1));
    ck_assert_ok(dep_list_add(&list, 2, 1, DEP_DATA, 0));  // it has it, asked for by the strategy
    ck_assert_ok(dep_list_add(&list, 2, 1, DEP_DATA, 1));
    ck_assert_ok(dep_list_add(&list, 3, 2, DEP_REUSE, 0));  // twice
    ck_assert_ok(plan_add_deps(plan, &list));
    ck_assert_int_eq(plan->dep_count, 5);
    static const int counts[] = {0, 0, 3, 2};
    for (int i = 0; i < 4; i++) ck_assert_int_eq(plan->ops[i].dep_count, counts[i]);
    static const Dep want[] = {
        {1, DEP_ORDER, 0}, {0, DEP_DATA, 0}, {1, DEP_DATA, 1}, {2, DEP_DATA, 0}, {0, DEP_REUSE, 1}};
    for (int d = 0; d < 5; d++) {
        ck_assert_int_eq(plan->deps[d].op, want[d].op);
        ck_assert_int_eq(plan->deps[d].kind, want[d].kind);
        ck_assert_int_eq(plan->deps[d].distance, want[d].distance);
    }
    ck_assert_ok(dep_list_add(&list, 4, 0, DEP_DATA, 0));
    ck_assert_fails(plan_add_deps(plan, &list), ERR_PLAN, "operation 4 on 0, but there are 4");
    dep_list_finish(&list);
    program_finish(&p);
}
END_TEST

SUITE("plan", thousands_of_names_are_told_apart, an_operation_may_wait_for_more_than_65535_others,
      a_group_is_the_ranks_that_differ_along_its_axes, a_group_may_lie_at_some_positions_of_an_axis,
      positions_of_a_group_are_those_of_its_axis, a_group_may_be_an_explicit_list_of_ranks,
      dependencies_follow_from_what_is_read_and_written,
      an_accumulating_operation_follows_the_one_before, an_alias_is_the_same_memory,
      equal_work_is_shared_and_other_work_is_not, selecting_operations_keeps_explicit_dependencies,
      a_fingerprint_tells_communication_apart, names_of_kinds_and_attributes_are_found,
      the_words_of_algorithms_are_those_of_the_list, collected_dependencies_are_added_at_once)
