// SPDX-License-Identifier: MIT
// What plan_check() says to one operation on two ranks, whose operands lie as a test says.
#ifndef TESTS_SUPPORT_ONE_OP_H
#define TESTS_SUPPORT_ONE_OP_H

#include "core/plan/check.h"

#include "tests/support/plan_maker.h"

// One operation on two ranks, in words: "x S1 2x4; lr R 1 f64" are tensors with placement, local
// shape and type, "y <- x w" the operands. What is read is there; what is written may be a part.
typedef struct {
    Kind kind;
    const char *tensors, *outputs, *inputs;
    const char *refusal;  // NULL: accepted
    Reduce reduce;
    int peer, parts;
} OneOp;

static inline void one_op_add_tensors(Program *p, const char *tensors, const char *outputs) {
    char copy[256], name[16], how[24], type[8], *save;
    snprintf(copy, sizeof copy, "%s", tensors);
    for (char *word = strtok_r(copy, ";", &save); word; word = strtok_r(NULL, ";", &save)) {
        long long shape[DIMS];
        int dims = 0, used = 0;
        strcpy(type, "f32");
        ck_assert_int_ge(sscanf(word, " %15s %23s %n", name, how, &used), 2);
        for (word += used; dims < DIMS; word += *word == 'x') {
            if (sscanf(word, "%lld%n", &shape[dims], &used) < 1) break;
            word += used;
            if (++dims && *word != 'x') break;
        }
        sscanf(word, " %7s", type);
        Placement place;
        ck_assert(placement_parse(how, &place));
        int64_t local[DIMS] = {shape[0], shape[1], shape[2], shape[3]};
        bool scalar = !strcmp(type, "f64") || !strcmp(type, "i64");
        bool written = strstr(outputs, name) != NULL;
        make_tensor(p, name,
                    written  ? ROLE_OPTIMISER
                    : scalar ? ROLE_SCALAR
                             : ROLE_PARAMETER,
                    place, dims, local, (Dtype)dtype_find(type, (int)strlen(type)));
    }
}

static inline void one_op_judge(const OneOp *c) {
    Program p = {0};
    Plan *plan = make_program(&p, 2);
    int64_t attrs[ATTRIBUTES] = {1, 1};
    if (c->kind == KIND_AVG_POOL || c->kind == KIND_AVG_POOL_BACKWARD) attrs[2] = 1;
    if (c->kind == KIND_LOAD || c->kind == KIND_SGD) memset(attrs, 0, sizeof attrs);
    if (c->kind == KIND_SPREAD) memcpy(attrs, (int64_t[]){0, 1, 1}, 3 * sizeof *attrs);
    if (work_is_message(&(Work){.kind = c->kind})) attrs[0] = 0;
    one_op_add_tensors(&p, c->tensors, c->outputs);
    bool communicates = kind_communicates(c->kind), load = c->kind == KIND_LOAD;
    make_op(&p, plan,
            (OpSpec){.name = "op",
                     .kind = c->kind,
                     .lane = communicates ? 2 : load,
                     .attrs = attrs,
                     .peer = c->peer,
                     .parts = c->parts,
                     .reduce = c->reduce},
            c->outputs, c->inputs);
    char what[300];
    Status s = program_check(&p);
    snprintf(what, sizeof what, "%s %s <- %s of %s", kind_name(c->kind), c->outputs, c->inputs,
             c->tensors);
    ck_assert_msg((s == OK) == !c->refusal, "%s: %s", what, s == OK ? "ok" : status_message());
    ck_assert_msg(s == OK || strstr(status_message(), c->refusal), "%s: %s", what,
                  status_message());
    program_finish(&p);
}

#endif
