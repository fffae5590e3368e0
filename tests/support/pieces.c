// SPDX-License-Identifier: MIT
#include "tests/support/pieces.h"

#include "core/plan/piece.h"
#include "tests/support/plan_ranks.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COMPARED = 8, ELEMENTS = 4096 };

typedef struct {
    const Pieces *p;
    bool is_whole;
    double whole[COMPARED][ELEMENTS];
} Run;

void pieces_text(char *out, size_t size, const char *template, const char *type,
                 const int64_t *numbers) {
    size_t n = 0;
    for (const char *c = template; *c && n < size; c++) {
        if (*c != '$')
            out[n++] = *c;
        else if (*++c == 't')
            n += (size_t)snprintf(out + n, size - n, "%s", type);
        else
            n += (size_t)snprintf(out + n, size - n, "%lld", (long long)numbers[*c - '0']);
    }
    ck_assert_uint_lt(n, size);
    out[n] = '\0';
}

static double read(const Tensor *t, const void *data, int64_t i) {
    if (dtype_is_real((Dtype)t->dtype)) return dtype_read((Dtype)t->dtype, data, i);
    return t->dtype == DTYPE_I32 ? ((const int32_t *)data)[i] : (double)((const int64_t *)data)[i];
}

static void write(const Tensor *t, void *data, int64_t i, double value) {
    switch ((Dtype)t->dtype) {
    case DTYPE_F32: ((float *)data)[i] = (float)value; break;
    case DTYPE_F64: ((double *)data)[i] = value; break;
    case DTYPE_I32: ((int32_t *)data)[i] = isnan(value) ? INT32_MAX : (int32_t)value; break;
    case DTYPE_I64: ((int64_t *)data)[i] = isnan(value) ? INT64_MAX : (int64_t)value; break;
    default: ck_abort_msg("no value of this type");
    }
}

static void fill(const Executor *e, int tensor, PiecesValue value) {
    const Program *p = e->program;
    const Tensor *t = &p->tensors[tensor];
    const char *logical = program_name(p, p->logicals[t->logical].name);
    int coordinate[AXES];
    PieceWalk w;
    PieceRun run;
    void *data = executor_data(e, tensor);
    program_coordinates(p, e->rank, coordinate);
    for (int64_t i = 0; i < tensor_elements(t); i++) write(t, data, i, (double)NAN);
    piece_walk(&w, p, t, coordinate);
    while (piece_next(&w, &run))
        for (int64_t i = 0; i < run.count; i++)
            write(t, data, run.local + i, value(logical, run.whole + i));
}

static bool is_among(int tensor, const int32_t *operands, int count) {
    for (int i = 0; i < count; i++)
        if (operands[i] == tensor) return true;
    return false;
}

// Does an operation write it, and not read it as well?
static bool is_written(const Program *p, int tensor) {
    const Plan *plan = &p->plans[0];
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (is_among(tensor, op_inputs(plan, op), op->inputs)) return false;
        if (is_among(tensor, op_outputs(plan, op), op->outputs)) return true;
    }
    return false;
}

static double junk(const char *logical, int64_t i) { return (double)NAN; }

static void begin(Executor *e, int64_t step, void *context) {
    const Run *r = context;
    const Program *p = e->program;
    for (int t = 0; t < p->tensor_count; t++) {
        if (p->tensors[t].offset == NONE || p->tensors[t].role == ROLE_SCRATCH) continue;
        if (is_written(p, t))
            fill(e, t, junk);
        else if (p->tensors[t].source == SCALAR_INDEX)
            executor_set_index(e, t);
        else
            fill(e, t, r->p->value);
    }
}

static void compare(const Run *r, const Executor *e, int tensor, double whole[ELEMENTS]) {
    const Program *p = e->program;
    const Tensor *t = &p->tensors[tensor];
    const void *data = executor_data(e, tensor);
    int64_t n = tensor_elements(t);
    char mine[ELEMENTS] = {0};
    int coordinate[AXES];
    PieceWalk w;
    PieceRun run;
    ck_assert_int_le(n, ELEMENTS);
    program_coordinates(p, e->rank, coordinate);
    piece_walk(&w, p, t, coordinate);
    while (piece_next(&w, &run))
        for (int64_t i = 0; i < run.count; i++) {
            double got = read(t, data, run.local + i), *want = &whole[run.whole + i];
            if (r->is_whole) *want = got;
            if (!(fabs(got - *want) <= r->p->tolerance * (1 + fabs(*want))))
                ck_abort_msg("%s, rank %d: element %lld of %s is %.17g, not %.17g",
                             r->p->device->name, e->rank, (long long)(run.whole + i),
                             tensor_name(p, tensor), got, *want);
            mine[run.local + i] = 1;
        }
    for (int64_t i = 0; i < n && r->p->zeros; i++)
        if (!mine[i] && read(t, data, i) != 0)
            ck_abort_msg("%s, rank %d: %s has %g behind its piece, at %lld", r->p->device->name,
                         e->rank, tensor_name(p, tensor), read(t, data, i), (long long)i);
}

static void end(Executor *e, int64_t step, void *context, char *failure) {
    Run *r = context;
    char names[128], *save;
    int k = 0;
    snprintf(names, sizeof names, "%s", r->p->compared);
    for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save), k++) {
        int tensor = program_find_tensor(e->program, name);
        ck_assert_msg(tensor != NONE && k < COMPARED, "no tensor %s", name);
        compare(r, e, tensor, r->whole[k]);
    }
}

void pieces_compare(const Pieces *p) {
    static Run r;
    r = (Run){.p = p, .is_whole = true};
    plan_ranks_run(&(PlanRanks){.text = p->whole,
                                .steps = 1,
                                .context = &r,
                                .begin = begin,
                                .end = end,
                                .device = p->device},
                   COMM_SERIAL);
    r.is_whole = false;
    plan_ranks_run(&(PlanRanks){.text = p->text,
                                .steps = 1,
                                .context = &r,
                                .begin = begin,
                                .end = end,
                                .device = p->device},
                   COMM_SERIAL);
}
