// SPDX-License-Identifier: MIT
// Plans as text, and how tests read, change and print them.
#ifndef TESTS_SUPPORT_PLAN_SAMPLES_H
#define TESTS_SUPPORT_PLAN_SAMPLES_H

#include "core/plan/program.h"
#include "core/plan_text/plan_text.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Not inlined: gcc 12 would warn of a dangling pointer, mistakenly.
__attribute__((noinline, unused)) static char *print(const Program *p) {
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    const ProgramSet set = program_set_of_one(p);
    ck_assert_ok(plan_text_print(&set, NONE, f));
    fclose(f);
    return text;
}

static inline Status parse(Program *p, const char *text) {
    return plan_text_parse_class(p, NULL, text, strlen(text), "x.plan");
}

// A text with the first `from` replaced; the caller frees it.
static inline char *replace(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "the text has no \"%s\"", from);
    size_t before = (size_t)(at - text), size = strlen(text) + strlen(to) + 1;
    char *out = malloc(size);
    snprintf(out, size, "%.*s%s%s", (int)before, text, to, at + strlen(from));
    return out;
}

// The fenced text of docs/formats.md that begins with `first`; the caller frees it.
static inline char *document_sample(const char *first) {
    static char document[1 << 18];
    const char *path = test_source("docs/formats.md");
    ck_assert_ptr_nonnull(path);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    document[fread(document, 1, sizeof document - 1, f)] = 0;
    fclose(f);
    char *begin = strstr(document, first), *end = begin ? strstr(begin, "```") : NULL;
    ck_assert_msg(end != NULL, "docs/formats.md has no text beginning with %s", first);
    return strndup(begin, (size_t)(end - begin));
}

// A small data-parallel step, written by hand: two gradients of one linear layer, each in a bucket
// of its own, and a broadcast plan.
static const char *const small =
    "tandem plan 2\n"
    "mesh data=2\n"
    "group data  axes=data\n"
    "lane compute  compute\n"
    "lane data     communication  group=data\n"
    "\n"
    "logical fc.weight      f32 4x4  parameter  fan_in=4\n"
    "logical fc.bias        f32 4    parameter  fan_in=4\n"
    "logical fc.grad        f32 4x4  gradient\n"
    "logical fc.bias.grad   f32 4    gradient\n"
    "logical learning_rate  f64 1    scalar\n"
    "logical rows           i64 1    scalar\n"
    "logical x              f32 8x4  input\n"
    "logical labels         i32 8    input\n"
    "\n"
    "tensor fc.weight      f32 4x4  parameter\n"
    "tensor fc.bias        f32 4    parameter\n"
    "tensor fc.grad        f32 4x4  gradient  place=P+\n"
    "tensor fc.bias.grad   f32 4    gradient  place=P+\n"
    "tensor learning_rate  f64 1    scalar\n"
    "tensor rows           i64 1    scalar  place=D\n"
    "tensor x              f32 4x4  input  place=S0  extent=rows\n"
    "tensor labels         i32 4    input  place=S0  extent=rows\n"
    "\n"
    "plan start\n"
    "  start  broadcast @data  fc.weight fc.bias <- fc.weight fc.bias  group=data algorithm=direct "
    "order=rank  phase=setup\n"
    "\n"
    "plan step\n"
    "  load         load                   @compute  x labels <- rows  "
    "phase=input\n"
    "  fc.backward  linear_backward_weight @compute  fc.grad fc.bias.grad <- x x  phase=backward "
    "layer=fc flops=128\n"
    "  bucket0      all_reduce             @data     fc.grad <- fc.grad  group=data "
    "algorithm=direct order=rank  phase=sync\n"
    "  bucket1      all_reduce             @data     fc.bias.grad <- fc.bias.grad  group=data "
    "algorithm=direct order=rank  phase=sync after=bucket0\n"
    "  sgd.weight   sgd                    @compute  fc.weight <- fc.grad learning_rate  "
    "momentum=0 weight_decay=0.1 nesterov=0  phase=update layer=fc\n"
    "  sgd.bias     sgd                    @compute  fc.bias <- fc.bias.grad learning_rate  "
    "momentum=0 weight_decay=0.1 nesterov=0  phase=update layer=fc after=sgd.weight~1\n";

static Program program;

static inline const Plan *read_step(const char *text) {
    program_finish(&program);
    ck_assert_ok(parse(&program, text));
    return &program.plans[program_find_plan(&program, "step")];
}

static inline const char *names(const Plan *plan) {
    static char text[512];
    text[0] = 0;
    for (int i = 0; i < plan->op_count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, op_name(&program, &plan->ops[i]));
    }
    return text;
}

static inline const Work *work_of(const Plan *plan, int op) {
    return op_work(&program, &plan->ops[op]);
}

#endif
