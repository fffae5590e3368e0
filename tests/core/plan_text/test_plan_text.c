// SPDX-License-Identifier: MIT
#include "core/base/rng.h"
#include "core/plan/build.h"
#include "core/plan/lower.h"
#include "core/plan_text/plan_text.h"
#include "tests/support/plan_samples.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

// --- what a text says

START_TEST(a_text_becomes_the_program_it_describes) {
    const Plan *plan = read_step(small);
    ck_assert_int_eq(program.plan_count, 2);
    ck_assert_int_eq(program_ranks(&program), 2);
    ck_assert_int_eq(program.groups[0].size, 2);
    ck_assert_int_eq(program.lanes[1].group, 0);
    ck_assert_str_eq(names(plan), "load fc.backward bucket0 bucket1 sgd.weight sgd.bias");
    const Tensor *x = &program.tensors[program_find_tensor(&program, "x")];
    ck_assert_int_eq(x->bytes, 4 * 4 * 4);
    ck_assert(placement_equal(x->placement[0], PLACEMENT_SHARD(0)));
    ck_assert_str_eq(tensor_name(&program, x->extent), "rows");
    ck_assert_int_eq(program.logicals[x->logical].shape[0], 8);
    ck_assert_int_eq(program.logicals[0].fan_in, 4);
    ck_assert(program.logicals[0].normal == 0 && program.logicals[0].constant == 0);
    ck_assert(program.logicals[0].trainable && !program.logicals[2].trainable);
    const Work *backward = work_of(plan, 1), *bucket = work_of(plan, 2), *sgd = work_of(plan, 4);
    ck_assert_int_eq(backward->flops, 128);
    ck_assert_int_eq(backward->phase, PHASE_BACKWARD);
    ck_assert_int_eq(backward->group, NONE);
    ck_assert_int_eq(backward->write_bytes, 4 * (16 + 4));
    ck_assert_int_eq(bucket->payload_bytes, 64);
    ck_assert_int_eq(bucket->kind, KIND_ALL_REDUCE);
    ck_assert_int_eq(bucket->dtype, DTYPE_F32);
    ck_assert(work_real(&program, sgd, 1) == 0.1);
    ck_assert_str_eq(program_name(&program, sgd->layer), "fc");
}
END_TEST

START_TEST(explicit_dependencies_are_read_and_data_dependencies_derived) {
    const Plan *plan = read_step(small);
    const Op *bucket1 = &plan->ops[3], *bias = &plan->ops[5];
    int order = 0, data = 0;
    for (int i = 0; i < bucket1->dep_count; i++) {
        const Dep *d = &plan->deps[bucket1->dep_first + i];
        order += d->kind == DEP_ORDER && d->op == 2 && d->distance == 0;
        data += d->kind == DEP_DATA && d->op == 1;
    }
    ck_assert_int_eq(order, 1);
    ck_assert_int_eq(data, 1);
    bool previous = false;
    for (int i = 0; i < bias->dep_count; i++) {
        const Dep *d = &plan->deps[bias->dep_first + i];
        previous = previous || (d->kind == DEP_ORDER && d->op == 4 && d->distance == 1);
    }
    ck_assert(previous);
}
END_TEST

START_TEST(what_the_printer_writes_is_byte_for_byte_what_it_read) {
    read_step(small);
    char *text = print(&program);
    ck_assert_str_eq(text, small);
    free(text);
}
END_TEST

START_TEST(a_byte_order_mark_before_a_plan_is_passed_over) {
    char *marked = replace(small, "tandem plan 2\n", "\xEF\xBB\xBFtandem plan 2\r\n");
    read_step(marked);
    char *text = print(&program);
    ck_assert_str_eq(text, small);
    free(text);
    free(marked);
}
END_TEST

START_TEST(spaces_comments_and_the_order_of_keys_do_not_matter) {
    char *loose = replace(small,
                          "  bucket0      all_reduce             @data     fc.grad <- fc.grad  "
                          "group=data algorithm=direct order=rank  phase=sync\n",
                          "\tbucket0 all_reduce @data fc.grad <- fc.grad phase=sync order=rank "
                          "algorithm=direct # first\r\n# nothing\n\n");
    read_step(loose);
    char *text = print(&program);
    ck_assert_str_eq(text, small);
    free(text);
    free(loose);
}
END_TEST

START_TEST(the_last_position_of_a_group_has_a_name) {
    char *named = replace(small, "axes=data\n", "axes=data at=data:0,last\n");
    read_step(named);
    char *text = print(&program);
    char *want = replace(small, "axes=data\n", "axes=data at=data:0,1\n");
    ck_assert_str_eq(text, want);
    free(text);
    free(want);
    free(named);
}
END_TEST

// --- every field survives

static void assert_same_name(const Program *p, int32_t a, const Program *q, int32_t b) {
    ck_assert_str_eq(program_name(p, a), program_name(q, b));
}

static void assert_same_tables(const Program *p, const Program *q) {
    ck_assert_int_eq(p->axis_count, q->axis_count);
    ck_assert(!memcmp(p->axes, q->axes, sizeof p->axes));
    ck_assert_int_eq(p->group_count, q->group_count);
    for (int i = 0; i < p->group_count; i++) {
        const Group *a = &p->groups[i], *b = &q->groups[i];
        assert_same_name(p, a->name, q, b->name);
        ck_assert(a->size == b->size && a->axes == b->axes);
        ck_assert(a->at_axis == b->at_axis && a->at_count == b->at_count);
        for (int k = 0; k < (a->axes ? a->at_count : a->size); k++)
            ck_assert_int_eq(p->members[a->first + k], q->members[b->first + k]);
    }
    ck_assert_int_eq(p->lane_count, q->lane_count);
    for (int i = 0; i < p->lane_count; i++) {
        assert_same_name(p, p->lanes[i].name, q, q->lanes[i].name);
        ck_assert(p->lanes[i].group == q->lanes[i].group && p->lanes[i].kind == q->lanes[i].kind);
        ck_assert_int_eq(p->lanes[i].scratch, q->lanes[i].scratch);
    }
    ck_assert_int_eq(p->logical_count, q->logical_count);
    for (int i = 0; i < p->logical_count; i++) {
        const Logical *a = &p->logicals[i], *b = &q->logicals[i];
        assert_same_name(p, a->name, q, b->name);
        ck_assert(!memcmp(a->shape, b->shape, sizeof a->shape) && a->dims == b->dims);
        ck_assert(a->dtype == b->dtype && a->role == b->role && a->trainable == b->trainable);
        ck_assert(a->tied_to == b->tied_to && a->fan_in == b->fan_in &&
                  a->normal == b->normal && a->constant == b->constant);
    }
    ck_assert_int_eq(p->tensor_count, q->tensor_count);
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *a = &p->tensors[i], *b = &q->tensors[i];
        assert_same_name(p, a->name, q, b->name);
        ck_assert(!memcmp(a->shape, b->shape, sizeof a->shape) && a->dims == b->dims);
        ck_assert(!memcmp(a->placement, b->placement, sizeof a->placement));
        ck_assert(a->dtype == b->dtype && a->role == b->role && a->bytes == b->bytes);
        ck_assert(a->pool == b->pool && a->offset == b->offset);
        ck_assert(a->logical == b->logical && a->extent == b->extent && a->alias == b->alias);
        ck_assert(a->shard == b->shard && a->micro_batch == b->micro_batch);
    }
}

static void assert_same_op(const Program *p, const Plan *m, const Op *a, const Program *q,
                           const Plan *n, const Op *b) {
    Work v = *op_work(p, a), w = *op_work(q, b);
    assert_same_name(p, v.name, q, w.name);
    assert_same_name(p, v.layer, q, w.layer);
    for (int i = 0; i < v.attr_count; i++) ck_assert(work_attr(p, &v, i) == work_attr(q, &w, i));
    v.name = w.name = v.layer = w.layer = v.attr_first = w.attr_first = 0;
    ck_assert_msg(!memcmp(&v, &w, sizeof v), "the work of %s differs", op_name(p, a));
    ck_assert(a->guard == b->guard && a->shard == b->shard && a->micro_batch == b->micro_batch &&
              a->lane == b->lane && a->flags == b->flags);
    ck_assert(a->outputs == b->outputs && a->inputs == b->inputs &&
              a->member_count == b->member_count && a->dep_count == b->dep_count);
    for (int i = 0; i < a->outputs + a->inputs; i++)
        ck_assert_int_eq(op_outputs(m, a)[i], op_outputs(n, b)[i]);
    // The same set: an explicit dependency may lie before or behind derived ones.
    for (int i = 0; i < a->dep_count; i++) {
        bool found = false;
        for (int k = 0; k < b->dep_count; k++) {
            const Dep *d = &m->deps[a->dep_first + i], *e = &n->deps[b->dep_first + k];
            found = found || (d->op == e->op && d->kind == e->kind && d->distance == e->distance);
        }
        ck_assert_msg(found, "%s lost a dependency", op_name(p, a));
    }
}

static void assert_same(const Program *p, const Program *q) {
    assert_same_tables(p, q);
    ck_assert_int_eq(p->plan_count, q->plan_count);
    for (int k = 0; k < p->plan_count; k++) {
        const Plan *m = &p->plans[k], *n = &q->plans[k];
        assert_same_name(p, m->name, q, n->name);
        ck_assert_int_eq(m->op_count, n->op_count);
        for (int i = 0; i < m->op_count; i++) {
            const Op *a = &m->ops[i], *b = &n->ops[i];
            assert_same_op(p, m, a, q, n, b);
            for (int j = 0; j < a->member_count; j++)
                assert_same_op(p, m, &m->members[a->member_first + j], q, n,
                               &n->members[b->member_first + j]);
        }
    }
    ck_assert(p->lowered == q->lowered);
    if (p->lowered) assert_same_name(p, p->device, q, q->device);
    ck_assert(!memcmp(p->pool_bytes, q->pool_bytes, sizeof p->pool_bytes));
    ck_assert(!memcmp(p->role_bytes, q->role_bytes, sizeof p->role_bytes));
}

// The program after reading its own text; the text.
static char *assert_survives(const Program *p) {
    char *text = print(p);
    Program again;
    ck_assert_ok(parse(&again, text));
    assert_same(p, &again);
    char *second = print(&again);
    ck_assert_str_eq(text, second);
    free(second);
    program_finish(&again);
    return text;
}

static int add_tensor(Program *p, TensorSpec t, LogicalSpec l) {
    int tensor;
    l.name = t.name;
    t.dtype = l.dtype;
    t.role = l.role;
    ck_assert_ok(program_add_logical(p, &l, &t.logical));
    ck_assert_ok(program_add_tensor(p, &t, &tensor));
    return tensor;
}

static int add_op(Program *p, Plan *plan, OpSpec s) {
    int op;
    ck_assert_ok(plan_add_op(p, plan, &s, &op));
    return op;
}

// A program that uses everything a program can hold; no one would want to run it.
// clang-format off
static void build_everything(Program *p) {
    *p = (Program){0};
    int both, pair, compute, line, copy, guard, x, y, w;
    Plan *plan;
    ck_assert_ok(program_add_axis(p, "data", 2, NULL));
    ck_assert_ok(program_add_axis(p, "model", 3, NULL));
    ck_assert_ok(program_add_group(p, "all", 3, &both));
    ck_assert_ok(program_add_rank_list(p, "pair", (int[]){5, 1}, 2, &pair));
    ck_assert_ok(program_add_group_at(p, "ends", 3, 1, (int[]){0, 2}, 2, NULL));
    ck_assert_ok(program_add_group_at(p, "edge", 1, 1, (int[]){2}, 1, NULL));
    ck_assert_ok(program_add_lane(p, "compute", LANE_COMPUTE, NONE, &compute));
    ck_assert_ok(program_add_lane(p, "line", LANE_COMMUNICATION, pair, &line));
    ck_assert_ok(program_add_lane(p, "copy", LANE_COPY, NONE, &copy));
    ck_assert_ok(program_add_scalar(p, "guard", DTYPE_I64, 1, &guard));
    ck_assert_ok(program_add_source(p, "from", SCALAR_FIRST_ROW, 3, 1, 2, NULL));
    add_tensor(p, (TensorSpec){.name = "found", .result = RESULT_LOSS}, (LogicalSpec){.shape = {2},
            .dims = 1, .dtype = DTYPE_F64, .role = ROLE_SCALAR});
    x = add_tensor(p, (TensorSpec){.name = "x", .placement = {PLACEMENT_SHARD(0), PLACEMENT_MAX},
            .extent = TENSOR_REF(guard), .shard = 1, .micro_batch = 2}, (LogicalSpec){.shape = {6,
            4}, .dims = 2, .dtype = DTYPE_F64, .role = ROLE_ACTIVATION});
    y = add_tensor(p, (TensorSpec){.name = "y", .alias = TENSOR_REF(x), .shape = {3, 4}},
            (LogicalSpec){.shape = {6, 4}, .dims = 2, .dtype = DTYPE_F64, .role = ROLE_BUFFER});
    w = add_tensor(p,
            (TensorSpec){.name = "w", .placement = {PLACEMENT_REPLICATED, PLACEMENT_SHARD(1)}},
            (LogicalSpec){.shape = {7}, .dims = 1, .dtype = DTYPE_F64, .role = ROLE_PARAMETER,
            .fan_in = 9});
    add_tensor(p, (TensorSpec){.name = "n"}, (LogicalSpec){.shape = {7}, .dims = 1, .dtype =
            DTYPE_F64, .role = ROLE_PARAMETER, .normal = 0.1 / 3});
    add_tensor(p, (TensorSpec){.name = "c"}, (LogicalSpec){.shape = {7}, .dims = 1, .dtype =
            DTYPE_F64, .role = ROLE_STATE, .constant = -1.5});
    p->logicals[p->tensors[w].logical].tied_to = 1;
    ck_assert_ok(program_add_plan(p, "everything", &plan));
    int32_t xs[] = {x}, ys[] = {y}, ws[] = {w, w}, gs[] = {w, guard};
    int64_t sgd[] = {build_attr_real(1.0 / 3), build_attr_real(5e-324), 1}, tag[] = {-7};
    int first = add_op(p, plan, (OpSpec){.name = "copy", .kind = KIND_RELU, .dtype = DTYPE_F64,
            .lane = copy, .outputs = ys, .inputs = xs, .output_count = 1, .input_count = 1, .flags
            = OP_ACCUMULATE | OP_RECOMPUTE});
    add_op(p, plan, (OpSpec){.name = "copy", .kind = KIND_RELU, .dtype = DTYPE_F32, .lane = copy,
            .outputs = ys, .inputs = xs, .output_count = 1, .input_count = 1, .shard = 1,
            .micro_batch = 2, .flops = 123456789012345});
    int twin = add_op(p, plan, (OpSpec){.name = "copy", .kind = KIND_RELU, .dtype = DTYPE_F32,
            .lane = copy, .outputs = ys, .inputs = xs, .output_count = 1, .input_count = 1, .shard
            = 1, .micro_batch = 2});
    int send = add_op(p, plan, (OpSpec){.name = "send", .kind = KIND_SEND, .dtype = DTYPE_F64,
            .lane = line, .group = pair, .peer = -1, .attrs = tag, .inputs = ys, .input_count = 1,
            .guard = TENSOR_REF(guard), .phase = PHASE_SYNC});
    add_op(p, plan, (OpSpec){.name = "maximum", .kind = KIND_ALL_REDUCE, .dtype = DTYPE_F64, .lane
            = line, .group = both, .outputs = ys, .inputs = ws, .output_count = 1, .input_count =
            2, .parts = 2, .reduce = REDUCE_MAX, .algorithm = ALGORITHM_RING, .order =
            ORDER_SCHEDULE});
    add_op(p, plan, (OpSpec){.name = "barrier", .kind = KIND_BARRIER, .dtype = DTYPE_F32, .lane =
            line, .group = pair});
    int update = add_op(p, plan, (OpSpec){.name = "update", .layer = "fc", .kind = KIND_SGD,
            .dtype = DTYPE_F64, .lane = compute, .attrs = sgd, .outputs = ws, .inputs = gs,
            .output_count = 1, .input_count = 2, .phase = PHASE_UPDATE});
    ck_assert_ok(plan_add_dep(plan, update, send, DEP_ORDER, 0));
    ck_assert_ok(plan_add_dep(plan, update, twin, DEP_ORDER, 1));
    ck_assert_ok(plan_add_dep(plan, update, first, DEP_ORDER, 0));
    ck_assert_ok(plan_derive_deps(p, plan));
    ck_assert_ok(program_add_plan(p, "empty", &plan));
    plan->when = WHEN_AT_END;
}
// clang-format on

START_TEST(every_field_of_a_program_survives) {
    Program p;
    build_everything(&p);
    char *text = assert_survives(&p);
    ck_assert_ptr_nonnull(strstr(text, "group pair  ranks=5,1\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "scalar  place=D,D  slice=1.2  source=first_row  axes=data,model\n"));
    ck_assert_ptr_nonnull(strstr(text, "scalar  result=loss\n"));
    ck_assert_ptr_nonnull(strstr(text, "plan everything\n"));
    ck_assert_ptr_nonnull(strstr(text, "plan empty  when=at_end\n"));
    ck_assert_ptr_nonnull(strstr(text, "after=copy[0.0],copy[1.2.1]~1,send\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "momentum=0.3333333333333333 weight_decay=4.94065645841247e-324 nesterov=1"));
    ck_assert_ptr_nonnull(strstr(text, "flags=accumulate,recompute"));
    free(text);
    program_finish(&p);
}
END_TEST

START_TEST(an_empty_program_survives) {
    char *text = assert_survives(&(Program){0});
    ck_assert_str_eq(text, "tandem plan 2\n");
    free(text);
}
END_TEST

START_TEST(names_that_the_format_cannot_hold_are_not_printed) {
    Program p = {0};
    ck_assert_ok(program_add_scalar(&p, "two words", DTYPE_F64, 1, NULL));
    FILE *f = tmpfile();
    const ProgramSet set = program_set_of_one(&p);
    ck_assert_fails(plan_text_print(&set, NONE, f), ERR_PLAN,
                    "the name \"two words\" cannot stand in a plan file");
    fclose(f);
    program_finish(&p);
}
END_TEST

START_TEST(a_full_disk_is_an_error) {
    FILE *f = fopen("/dev/full", "w");
    ck_assert_ptr_nonnull(f);
    setvbuf(f, NULL, _IONBF, 0);
    ck_assert_ok(parse(&program, small));
    const ProgramSet set = program_set_of_one(&program);
    ck_assert_fails(plan_text_print(&set, NONE, f), ERR_IO, "could not be written");
    fclose(f);
}
END_TEST

// --- lowered programs

static const char *const fusible =
    "tandem plan 2\n"
    "mesh data=2\ngroup data axes=data\nlane compute compute\nlane host host\nlane data "
    "communication group=data\n"
    "logical w f32 3x4 parameter fan_in=4\nlogical x f32 8x4 input\nlogical y f32 8x3 "
    "activation\nlogical z f32 8x3 activation\n"
    "logical s f32 8x3 gradient\nlogical labels i32 8 input\nlogical first i64 1 scalar\n"
    "tensor w f32 3x4 parameter\ntensor x f32 8x4 input place=S0\ntensor labels i32 8 input "
    "place=S0\ntensor first i64 1 scalar\n"
    "tensor y f32 8x3 activation place=S0\ntensor z f32 8x3 activation place=S0\ntensor z.2 f32 "
    "8x3 activation of=z place=S0\n"
    "tensor s f32 8x3 gradient place=P+\ntensor s.2 f32 8x3 gradient of=s place=P+\n"
    "plan step\n"
    "load load @host x labels <- first\n"
    "fc.forward linear @compute y <- x w layer=fc phase=forward flops=192\n"
    "relu.forward relu @compute z <- y layer=relu phase=forward\n"
    "fold fold @compute s <- z\n"
    "sum all_reduce @data s <- s\n"
    "fold2 fold @compute z.2 <- s\n"
    "fold3 fold @compute s.2 <- z.2\n"
    "sum2 all_reduce @data s.2 <- s.2\n";

static int64_t some_scratch(const Program *p, const Plan *plan, const Op *members, int count) {
    return 100;
}

static void build_lowered(Program *p) {
    ck_assert_ok(parse(p, fusible));
    ck_assert_ok(program_lower(p, &(DeviceTraits){.name = "test",
                                                  .fusions = 1u << FUSION_LINEAR_RELU,
                                                  .scratch_bytes = some_scratch}));
}

START_TEST(a_lowered_program_survives_with_members_offsets_and_reuse) {
    Program p;
    build_lowered(&p);
    char *text = assert_survives(&p);
    ck_assert_ptr_nonnull(strstr(text, "device test\npool local "));
    ck_assert_ptr_nonnull(strstr(text, "    + fc.forward linear  y <- x w  phase=forward layer=fc "
                                       "flops=192\n    + relu.forward relu  z <- y"));
    ck_assert_ptr_nonnull(strstr(text, "fusion=linear+relu"));
    ck_assert_ptr_nonnull(strstr(text, "pool=shared"));
    ck_assert_ptr_nonnull(strstr(text, " reuse="));
    ck_assert_ptr_nonnull(strstr(text, "  lane=compute  offset="));
    free(text);
    program_finish(&p);
}
END_TEST

START_TEST(a_lowered_program_whose_memory_does_not_fit_is_refused) {
    Program p, q;
    build_lowered(&p);
    char *text = print(&p);
    char *far = replace(text, "parameter  offset=0", "parameter  offset=1048576");
    ck_assert_fails(parse(&q, far), ERR_FORMAT,
                    "w: 48 bytes at offset 1048576 do not fit the local pool of");
    char *odd = replace(text, "parameter  offset=0", "parameter  offset=4");
    ck_assert_fails(parse(&q, odd), ERR_FORMAT, "w: 48 bytes at offset 4 do not fit");
    char *alone = replace(text, "    + relu.forward relu  z <- y  phase=forward layer=relu\n", "");
    ck_assert_fails(parse(&q, alone), ERR_FORMAT, "expected two members or more");
    free(alone);
    free(odd);
    free(far);
    free(text);
    program_finish(&p);
}
END_TEST

// --- damage

// Whatever is read from a damaged text can be printed, and is then read again as the same.
static void try_damaged(const char *text, size_t length) {
    Program p;
    if (plan_text_parse_class(&p, NULL, text, length, "x.plan") != OK) {
        ck_assert_int_eq(p.name_bytes, 0);
        return;
    }
    char *first = print(&p);
    Program q;
    ck_assert_ok(parse(&q, first));
    char *second = print(&q);
    ck_assert_str_eq(first, second);
    free(first);
    free(second);
    program_finish(&p);
    program_finish(&q);
}

static void damage(const char *text) {
    size_t length = strlen(text);
    char *copy = malloc(length + 1);
    Rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    for (size_t i = 0; i <= length; i++) {
        memcpy(copy, text, length + 1);
        try_damaged(copy, i);
        if (i == length) break;
        static const char likely[] = "\n\0 =,.[]<-+~@#x019zRP\377";
        copy[i] = (char)rng_below(&rng, 256);
        try_damaged(copy, length);
        copy[i] = likely[rng_below(&rng, sizeof likely - 1)];
        try_damaged(copy, length);
    }
    free(copy);
}

START_TEST(damaged_texts_never_crash) {
    Program p;
    damage(small);
    build_everything(&p);
    char *text = print(&p);
    damage(text);
    free(text);
    program_finish(&p);
    build_lowered(&p);
    text = print(&p);
    damage(text);
    free(text);
    program_finish(&p);
}
END_TEST

SUITE("plan_text", a_text_becomes_the_program_it_describes,
      explicit_dependencies_are_read_and_data_dependencies_derived,
      what_the_printer_writes_is_byte_for_byte_what_it_read,
      spaces_comments_and_the_order_of_keys_do_not_matter, the_last_position_of_a_group_has_a_name,
      a_byte_order_mark_before_a_plan_is_passed_over, every_field_of_a_program_survives,
      an_empty_program_survives, names_that_the_format_cannot_hold_are_not_printed,
      a_full_disk_is_an_error, a_lowered_program_survives_with_members_offsets_and_reuse,
      a_lowered_program_whose_memory_does_not_fit_is_refused, damaged_texts_never_crash)
