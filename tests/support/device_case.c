// SPDX-License-Identifier: MIT
#include "tests/support/device_case.h"

#include "core/base/bf16.h"
#include "core/base/f16.h"

#include "tests/support/allocations.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };  // bytes of canary on each side

// A tensor's memory: canary, data, canary; and a copy of all that from before the run.
typedef struct {
    unsigned char *block, *copy, *data;
    size_t size;                // of block
    int64_t bytes, live_bytes;  // of data
    Dtype dtype;
} Piece;

int case_devices(const Device *out[DEVICES]) {
    static const char *const names[] = {"reference", "cpu"};
    int count = 0;
    for (int i = 0; i < 2; i++) {
        Status s = device_find(&out[count], names[i]);
        if (s != ERR_UNAVAILABLE) ck_assert_ok(s);
        count += s == OK;
    }
    for (const Device *d = count ? out[count - 1]->slower : NULL; d; d = d->slower)
        out[count++] = d;
    return count;
}

// --- building

void case_init(Case *c, Dtype dtype, int64_t capacity, int64_t rows) {
    *c = (Case){.dtype = dtype, .capacity = capacity, .rows = rows};
    rng_init(&c->rng, 7, RNG_TEST, (uint32_t)dtype, (uint32_t)capacity);
    c->plan = make_program(&c->p, 1);
    int live = case_tensor(c, "rows", DTYPE_I64, FILL_OUTPUT, SHAPE(1));
    case_set(c, live, &(double){(double)rows});
}

void case_finish(Case *c) {
    program_finish(&c->p);
    arena_finish(&c->arena);
}

static double edge(Case *c) {
    bool f32 = c->dtype == DTYPE_F32;
    double huge = f32 ? 1e15 : 1e150;  // sums of products of two still have room
    double denormal = f32 ? 1e-41 : 1e-310, least = f32 ? 0x1p-149 : 0x1p-1074;
    const double values[] = {0,     -0.0,  1,        -1,
                             huge,  -huge, denormal, -denormal,
                             least, 1e-20, -1e-20,   f32 ? (double)FLT_MIN : DBL_MIN};
    uint32_t count = sizeof values / sizeof *values, pick = rng_below(&c->rng, count + 3);
    return pick < count ? values[pick] : 2 * (double)rng_float(&c->rng) - 1;
}

static double integer(Case *c) { return (double)rng_below(&c->rng, 9) - 4; }

static double no_number(Case *c) {
    static const double values[] = {(double)NAN, -(double)NAN, (double)INFINITY, -(double)INFINITY,
                                    -0.0};
    return rng_below(&c->rng, 20) ? integer(c) : values[rng_below(&c->rng, 5)];
}

static double draw(Case *c, Fill fill) {
    switch (fill) {
    case FILL_RANDOM: return 2 * (double)rng_float(&c->rng) - 1;
    case FILL_INTEGER: return integer(c);
    case FILL_EDGE: return edge(c);
    case FILL_NAN: return no_number(c);
    case FILL_OUTPUT:
    case FILL_COUNT: break;
    }
    return 0;
}

int case_tensor(Case *c, const char *name, Dtype dtype, Fill fill, int dims, const int64_t *shape) {
    int64_t full[DIMS];
    bool by_row = shape[0] == ROWS;
    for (int i = 0; i < dims; i++) full[i] = i || !by_row ? shape[i] : c->capacity;
    int t = make_tensor(&c->p, name, ROLE_ACTIVATION, PLACEMENT_REPLICATED, dims, full, dtype);
    ck_assert_int_lt(t, CASE_TENSORS);
    if (by_row) c->p.tensors[t].extent = program_find_tensor(&c->p, "rows");
    if (fill != FILL_OUTPUT) case_fill(c, t, fill);
    return t;
}

void case_fill(Case *c, int tensor, Fill fill) {
    int64_t n = case_elements(c, tensor);
    if (!c->before[tensor]) c->before[tensor] = ARENA_NEW(&c->arena, double, n + 1);
    for (int64_t e = 0; e < n; e++) {
        double value = draw(c, fill);
        c->before[tensor][e] = c->dtype == DTYPE_F32 ? (double)(float)value : value;
    }
}

void case_set(Case *c, int tensor, const double *values) {
    size_t n = (size_t)case_elements(c, tensor);
    if (!c->before[tensor]) c->before[tensor] = ARENA_NEW(&c->arena, double, n + 1);
    memcpy(c->before[tensor], values, n * sizeof *values);
}

void case_op(Case *c, Kind kind, bool accumulate, const int64_t *attrs, const char *outputs,
             const char *inputs) {
    OpSpec spec = {.name = kind_name(kind),
                   .kind = kind,
                   .dtype = c->dtype,
                   .attrs = attrs,
                   .flags = accumulate ? OP_ACCUMULATE : 0};
    make_op(&c->p, c->plan, spec, outputs, inputs);
}

// --- running

// Rows in use: what the tensor's extent holds beforehand.
static int64_t live_rows(const Case *c, const Tensor *t) {
    return t->extent == NONE ? t->shape[0] : (int64_t)c->before[t->extent][0] * t->extent_times;
}

int64_t case_elements(const Case *c, int tensor) {
    const Tensor *t = &c->p.tensors[tensor];
    return tensor_elements(t) / t->shape[0] * live_rows(c, t);
}

bool case_is_output(const Case *c, int tensor) {
    for (int i = 0; i < c->plan->op_count; i++)
        for (int k = 0; k < c->plan->ops[i].outputs; k++)
            if (program_root(&c->p, op_outputs(c->plan, &c->plan->ops[i])[k]) == tensor)
                return true;
    return false;
}

static bool is_operand(const Case *c, int tensor) {
    if (c->p.tensors[tensor].role == ROLE_SCALAR || c->p.tensors[tensor].role == ROLE_SCRATCH)
        return true;
    for (int i = 0; i < c->plan->op_count; i++) {
        const Op *op = &c->plan->ops[i];
        for (int k = 0; k < op->outputs + op->inputs; k++)
            if (program_root(&c->p, op_outputs(c->plan, op)[k]) == tensor) return true;
    }
    return c->before[tensor] != NULL;
}

static void put(Piece *piece, int64_t i, double value) {
    switch (piece->dtype) {
    case DTYPE_F32: ((float *)piece->data)[i] = (float)value; break;
    case DTYPE_F64: ((double *)piece->data)[i] = value; break;
    case DTYPE_BF16: ((Bf16 *)piece->data)[i] = bf16_from_f32((float)value); break;
    case DTYPE_I32: ((int32_t *)piece->data)[i] = (int32_t)value; break;
    case DTYPE_I64: ((int64_t *)piece->data)[i] = (int64_t)value; break;
    case DTYPE_U8: piece->data[i] = (uint8_t)value; break;
    case DTYPE_F16: ((F16 *)piece->data)[i] = f16_from_f32((float)value); break;
    case DTYPE_COUNT: break;
    }
}

static double get(const Piece *piece, int64_t i) {
    switch (piece->dtype) {
    case DTYPE_F32: return (double)((const float *)piece->data)[i];
    case DTYPE_F64: return ((const double *)piece->data)[i];
    case DTYPE_BF16: return (double)bf16_to_f32(((const Bf16 *)piece->data)[i]);
    case DTYPE_I32: return ((const int32_t *)piece->data)[i];
    case DTYPE_I64: return (double)((const int64_t *)piece->data)[i];
    case DTYPE_U8: return piece->data[i];
    case DTYPE_F16: return (double)f16_to_f32(((const F16 *)piece->data)[i]);
    case DTYPE_COUNT: break;
    }
    return 0;
}

static double magnitude_of(const Case *c, int tensor, double value) {
    switch (c->magnitude[tensor]) {
    case MAGNITUDE_ABSOLUTE: return fabs(value);
    case MAGNITUDE_NEGATED: return -fabs(value);
    case MAGNITUDE_SAME: break;
    }
    return value;
}

// What is around the data and in outputs. With NaNs, reading what is not ours shows in the results;
// with numbers that differ from tensor to tensor, writing does, whatever is done to them.
static int junk_of(int tensor, CaseRun how) {
    return how.junk == JUNK_NAN ? JUNK_NAN : how.junk ^ (tensor & 7);
}

static void make_piece(const Case *c, int tensor, CaseRun how, Piece *piece) {
    const Tensor *t = &c->p.tensors[tensor];
    *piece = (Piece){.dtype = (Dtype)t->dtype};
    if (how.magnitude && piece->dtype == c->dtype) piece->dtype = DTYPE_F64;
    int64_t size = dtype_bytes(piece->dtype), live = case_elements(c, tensor);
    piece->bytes = tensor_elements(t) * size;
    piece->live_bytes = live * size;
    // Aligned to 128 bytes or only to 64.
    size_t before = GUARD + (how.junk == JUNK_NAN ? 64 : 0);
    piece->size = (before + (size_t)piece->bytes + 2 * GUARD - 1) / GUARD * GUARD;
    piece->block = aligned_alloc(128, (piece->size + 127) / 128 * 128);
    piece->copy = malloc(piece->size);
    ck_assert(piece->block && piece->copy);
    piece->data = piece->block + before;
    memset(piece->block, junk_of(tensor, how), piece->size);
    for (int64_t i = 0; c->before[tensor] && i < live; i++) {
        double value = c->before[tensor][i];
        put(piece, i, how.magnitude ? magnitude_of(c, tensor, value) : value);
    }
    memcpy(piece->copy, piece->block, piece->size);
}

static void check_bytes(const Case *c, int tensor, const Piece *piece, size_t begin, size_t end) {
    if (!memcmp(piece->block + begin, piece->copy + begin, end - begin)) return;
    while (piece->block[begin] == piece->copy[begin]) begin++;
    ck_abort_msg("%s: byte %lld of %s was written; it has %lld, of which %lld in use", c->text,
                 (long long)(begin - (size_t)(piece->data - piece->block)),
                 tensor_name(&c->p, tensor), (long long)piece->bytes, (long long)piece->live_bytes);
}

// Nothing but the live rows of outputs and the scratch may have changed.
static void check_piece(const Case *c, int tensor, const Piece *piece) {
    size_t begin = (size_t)(piece->data - piece->block), end = begin;
    if (case_is_output(c, tensor)) end += (size_t)piece->live_bytes;
    if (c->p.tensors[tensor].role == ROLE_SCRATCH) end += (size_t)piece->bytes;
    check_bytes(c, tensor, piece, 0, begin);
    check_bytes(c, tensor, piece, end, piece->size);
    free(piece->block);
    free(piece->copy);
}

static KernelCall bind_op(const Case *c, const Piece *pieces, const Op *op, Operand *operands,
                          CaseRun how) {
    const Work *w = op_work(&c->p, op);
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        int tensor = op_outputs(c->plan, op)[i];
        const Tensor *t = &c->p.tensors[tensor];
        operands[i] = (Operand){.data = pieces[program_root(&c->p, tensor)].data, .dims = t->dims};
        memcpy(operands[i].shape, t->shape, sizeof t->shape);
        operands[i].live_times = t->extent_times;
        if (t->extent != NONE) operands[i].live = (const int64_t *)(void *)pieces[t->extent].data;
    }
    return (KernelCall){.kind = work_kind(w),
                        .dtype = how.magnitude ? DTYPE_F64 : (Dtype)w->dtype,
                        .accumulate = op->flags & OP_ACCUMULATE,
                        .outputs = op->outputs,
                        .inputs = op->inputs,
                        .operand = operands,
                        .attr = &c->p.attrs[w->attr_first]};
}

static void run_op(const Case *c, const Piece *pieces, const Op *op, const Device *d, CaseRun how) {
    Operand operands[OPERANDS], of_member[4][OPERANDS];
    KernelCall members[4], call = bind_op(c, pieces, op, operands, how);
    for (int t = 0; t < c->p.tensor_count; t++)
        if (c->p.tensors[t].role == ROLE_SCRATCH) call.scratch = pieces[t].data;
    for (int i = 0; i < op->member_count; i++) {
        const Op *member = &c->plan->members[op->member_first + i];
        members[i] = bind_op(c, pieces, member, of_member[i], how);
        members[i].scratch = call.scratch;
    }
    call.members = members;
    call.member_count = op->member_count;
    if (op->member_count) call.fusion = (Fusion)call.attr[0];
    if (kind_class(call.kind) == CLASS_COMPUTE) device_run(d, &call);
}

Values case_run(Case *c, const Device *d, CaseRun how) {
    static Piece pieces[CASE_TENSORS];
    Values values = {0};
    ck_assert_int_le(c->p.tensor_count, CASE_TENSORS);
    for (int t = 0; t < c->p.tensor_count; t++) {
        pieces[t] = (Piece){0};
        if (is_operand(c, t) && program_root(&c->p, t) == t) make_piece(c, t, how, &pieces[t]);
    }
    int allocated = allocations();
    for (int i = 0; i < c->plan->op_count; i++) run_op(c, pieces, &c->plan->ops[i], d, how);
    if (allocations() != allocated) ck_abort_msg("%s: a kernel of %s allocated", c->text, d->name);
    for (int t = 0; t < c->p.tensor_count; t++) {
        if (!pieces[t].block) continue;
        int64_t n = case_elements(c, t);
        values.of[t] = ARENA_NEW(&c->arena, double, n + 1);
        for (int64_t i = 0; i < n; i++) values.of[t][i] = get(&pieces[t], i);
        check_piece(c, t, &pieces[t]);
    }
    return values;
}

// --- comparing

void case_compare(const Case *c, int tensor, const Values *got, const Values *want,
                  const Values *magnitude) {
    bool f32 = c->dtype == DTYPE_F32, real = c->p.tensors[tensor].dtype == c->dtype;
    double n = real ? (double)c->terms : 0, u = f32 ? 0x1p-24 : 0x1p-53;
    double gamma = n * u / (1 - n * u), least = f32 ? 0x1p-149 : 0x1p-1074;
    int64_t count = case_elements(c, tensor);
    for (int64_t i = 0; i < count; i++) {
        double a = got->of[tensor][i], b = want->of[tensor][i];
        double most = n > 0 ? 2 * gamma * magnitude->of[tensor][i] + n * least : 0;
        if (a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= most) continue;
        ck_abort_msg("%s: %s[%lld] is %.17g, the reference has %.17g, at most %.3g apart", c->text,
                     tensor_name(&c->p, tensor), (long long)i, a, b, most);
    }
}

void case_compare_bits(const Case *c, int tensor, const Values *got, const Values *want) {
    size_t bytes = (size_t)case_elements(c, tensor) * sizeof(double);
    if (memcmp(got->of[tensor], want->of[tensor], bytes))
        ck_abort_msg("%s: %s differs between two runs", c->text, tensor_name(&c->p, tensor));
}
