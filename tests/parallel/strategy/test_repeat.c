// SPDX-License-Identifier: MIT
// A step whose micro-batches are copies is the one that has each of them made by itself, to the
// letter: tensors, operations and dependencies in the same order, and works, whatever divides it.
#include "core/plan/repeat.h"

#include "core/base/text.h"
#include "core/plan_text/plan_text.h"
#include "parallel/strategy/context.h"
#include "parallel/strategy/split.h"
#include "parallel/strategy/strategy.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GPT "gpt:hidden=16,heads=4,seq=8,layers=2"
#define LLAMA "llama:hidden=16,heads=8,kv_heads=4,seq=8"
#define MIXTRAL "mixtral:hidden=16,heads=2,kv_heads=2,seq=8"

static Arena arena;  // finished by each test

typedef struct {
    const char *model;
    Mesh mesh;
    int shards, micro_batches;  // shards: of a rank
    bool sequence;
    ContextKind context;
    Dtype dtype;
    Optimizer optimizer;
} Case;

static StepSpec spec_of(const Case *c, bool repeated) {
    StepSpec s = {.dtype = c->dtype,
                  .local_shards = c->shards,
                  .shards = c->shards * mesh_size(&c->mesh, MESH_DATA),
                  .micro_batches = c->micro_batches,
                  .repeated = repeated,
                  .evaluation_rows = 1,
                  .mesh = c->mesh,
                  .optimizer = c->optimizer};
    s.batch = 2 * s.shards * s.micro_batches - 1;  // the last micro-batch has fewer rows
    return s;
}

// As strategy.c divides it.
static void make(Program *out, const Case *c, bool repeated) {
    Model m;
    const StepSpec spec = spec_of(c, repeated);
    ck_assert_ok(model_read(&m, &arena, c->model));
    ck_assert_ok(model_emit(out, &m, &spec));
    if (c->mesh.expert > 1) ck_assert_ok(expert_split(out, c->mesh.wide_experts));
    if (c->mesh.tensor > 1) ck_assert_ok(split_tensor(out, &m, c->sequence));
    if (c->mesh.context > 1) ck_assert_ok(context_apply(out, c->context));
}

static char *text_of(const Program *p) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    const ProgramSet set = program_set_of_one(p);
    ck_assert_ok(plan_text_print(&set, NONE, f));
    fclose(f);
    return text;
}

static void compare_works(const Program *p, const Program *q) {
    ck_assert_int_eq(p->work_count, q->work_count);
    for (int i = 0; i < p->work_count; i++) {
        const Work *a = &p->works[i], *b = &q->works[i];
        ck_assert_str_eq(program_name(p, a->name), program_name(q, b->name));
        ck_assert_uint_eq(a->cost_key, b->cost_key);
        ck_assert_int_eq(a->kind, b->kind);
        ck_assert_int_eq(a->attr_count, b->attr_count);
        for (int k = 0; k < a->attr_count; k++)
            ck_assert_int_eq(work_attr(p, a, k), work_attr(q, b, k));
    }
    for (int i = 0; i < p->plans[0].op_count; i++)
        ck_assert_int_eq(p->plans[0].ops[i].work, q->plans[0].ops[i].work);
}

static void compare(const Program *p, const Program *q, const char *what) {
    char *each = text_of(p), *repeated = text_of(q);
    size_t at = 0;
    while (each[at] && each[at] == repeated[at]) at++;
    ck_assert_msg(!strcmp(each, repeated), "%s: each %.200s\nrepeated %.200s", what,
                  each + (at > 60 ? at - 60 : 0), repeated + (at > 60 ? at - 60 : 0));
    free(each);
    free(repeated);
    compare_works(p, q);
    ck_assert_int_eq(p->tensor_bytes, q->tensor_bytes);
    ck_assert_int_eq(p->parameter_count, q->parameter_count);
    for (int t = 0; t < p->tensor_count; t++)
        ck_assert_int_eq(program_find_tensor(q, tensor_name(p, t)), t);
    for (int l = 0; l < p->logical_count; l++) {
        const char *name = program_name(p, p->logicals[l].name);
        ck_assert_int_eq(program_find_logical(q, name), program_find_logical(p, name));
    }
}

static void check(const Case *c) {
    Program each, repeated;
    char what[200];
    bool all;
    snprintf(what, sizeof what, "%s tp %d cp %d ep %d, %d shards of %d", c->model, c->mesh.tensor,
             c->mesh.context, c->mesh.expert, c->shards, c->micro_batches);
    make(&each, c, false);
    make(&repeated, c, true);
    ck_assert_ok(program_repeat(&repeated, c->micro_batches, &all));
    ck_assert_msg(all, "%s: micro-batches 1 and 2 differ", what);
    ck_assert_ok(plan_derive_deps(&repeated, &repeated.plans[0]));
    compare(&each, &repeated, what);
    program_finish(&each);
    program_finish(&repeated);
    arena_finish(&arena);
}

// Three are made, and the last: of five one is a copy.
START_TEST(a_plain_step_is) {
    for (int m = REPEAT_LEAST; m <= 14; m++)
        for (int shards = 1; shards <= 3; shards++) {
            check(&(Case){.model = GPT, .shards = shards, .micro_batches = m});
            check(&(Case){.model = "net", .shards = shards, .micro_batches = m});
        }
}
END_TEST

// Running statistics, copies of two bytes, a norm of gradients, steps that may be skipped.
START_TEST(state_and_updates_are) {
    const Optimizer adam = {.kind = OPTIMIZER_ADAMW,
                            .beta1 = 0.9,
                            .beta2 = 0.99,
                            .eps = 1e-8,
                            .clip = 1},
                    scaled = {.loss_scale = 8, .scale_every = 4, .skip_nan = true};
    check(&(Case){.model = "resnet", .shards = 2, .micro_batches = 7});
    check(&(Case){.model = "resnet", .shards = 2, .micro_batches = 7, .optimizer = scaled});
    check(&(Case){
        .model = LLAMA, .shards = 1, .micro_batches = 7, .dtype = DTYPE_BF16, .optimizer = adam});
}
END_TEST

START_TEST(weights_and_sequences_that_are_divided_are) {
    static const char *const models[] = {GPT, LLAMA};
    for (int k = 0; k < 2; k++)
        for (int way = 0; way < 6; way++) {
            Case c = {.model = models[k], .shards = 1 + way % 2, .micro_batches = 6 + way};
            if (way != 2) c.mesh.tensor = 2;
            if (way >= 2) c.mesh.context = 2;
            c.mesh.data = 1 + way % 3;
            c.sequence = way == 1 || way == 5;
            c.context = way == 4 ? CONTEXT_ALL_TO_ALL : CONTEXT_RING;
            check(&c);
        }
}
END_TEST

START_TEST(experts_that_are_shared_are) {
    for (int way = 0; way < 4; way++) {
        Case c = {.model = MIXTRAL, .shards = 1, .micro_batches = 6, .mesh = {.data = 2}};
        c.mesh.expert = way ? 2 : 0;
        if (way == 2) c.mesh.tensor = 2;
        if (way == 3) c.mesh.context = 2;
        check(&c);
    }
}
END_TEST

// The second micro-batch adds where the first wrote, so a step made of those two is not repeated.
START_TEST(what_differs_is_left_as_it_was) {
    Case c = {.model = GPT, .shards = 1, .micro_batches = 8};
    for (int way = 0; way < 3; way++) {
        Program p;
        bool all = true;
        make(&p, &c, true);
        Plan *step = &p.plans[0];
        Op *second = NULL;
        for (int i = 0; i < step->op_count && !second; i++)
            if (step->ops[i].micro_batch == 2 && step->ops[i].outputs) second = &step->ops[i + 3];
        if (way == 0) second->flags ^= OP_ACCUMULATE;
        if (way == 1) step->operands[second->operand_first] = 0;
        if (way == 2) second->work = 0;
        char *before = text_of(&p);
        ck_assert_ok(program_repeat(&p, c.micro_batches, &all));
        char *after = text_of(&p);
        ck_assert(!all);
        ck_assert_str_eq(before, after);
        free(before);
        free(after);
        program_finish(&p);
    }
    arena_finish(&arena);
}
END_TEST

SUITE("repeat", a_plain_step_is, state_and_updates_are, weights_and_sequences_that_are_divided_are,
      experts_that_are_shared_are, what_differs_is_left_as_it_was)
