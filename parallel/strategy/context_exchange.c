// SPDX-License-Identifier: MIT
// Attention between two all-to-alls (Jacobs et al., "DeepSpeed Ulysses", arXiv:2309.14509); read
// context_add_exchange() at the end first. Ranks have some positions of all heads before it and
// after it, and some heads of all positions in it. The gradients go the same way.
#include "core/base/text.h"
#include "parallel/strategy/context_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 256, POSITIONS = 1, HEADS = 2, REST = 3 };  // of rows, and of parts

typedef struct {
    Context *c;
    const Op *op;
    const Work *work;
    bool packed;
    int64_t attrs[3];  // of this rank's heads
} Exchange;

static Program *to(const Exchange *x) { return x->c->copy.to; }

static Status add_op(const Exchange *x, const char *what, OpSpec s) {
    char name[NAME];
    const char *layer = program_name(x->c->copy.from, x->work->layer);
    snprintf(name, sizeof name, "%s.%s", layer, what);
    s.name = name;
    s.layer = layer;
    s.phase = (Phase)x->work->phase;
    s.dtype = (Dtype)x->work->dtype;
    if (!s.lane) s.lane = x->c->copy.compute;
    s.shard = x->op->shard;
    s.micro_batch = x->op->micro_batch;
    return plan_add_op(x->c->copy.to, x->c->copy.out, &s, NULL);
}

static Status one_to_one(const Exchange *x, const char *what, Kind kind, int64_t dim, int32_t from,
                         int32_t into) {
    bool communicates = kind_communicates(kind);
    return add_op(x, what,
                  (OpSpec){.kind = kind,
                           .lane = communicates ? x->c->reduce : 0,
                           .group = communicates ? x->c->group : 0,
                           .attrs = communicates ? NULL : &dim,
                           .outputs = &into,
                           .output_count = 1,
                           .inputs = &from,
                           .input_count = 1});
}

// Ranks of tensor parallelism that have divided the heads of a tensor before: 1 if none have.
static int64_t heads_divided(const Program *p, const Tensor *t) {
    int axis = mesh_find_axis(p, MESH_TENSOR);
    bool cut =
        axis != NONE && t->placement[axis].place == PLACE_SHARD && t->placement[axis].dim == HEADS;
    return cut ? p->axes[axis].size : 1;
}

// Some heads of all positions: of those that are this rank's, if they are divided before.
static Placement some_heads(const Program *p, const Tensor *t) {
    Placement how = PLACEMENT_SHARD(HEADS);
    how.inner = heads_divided(p, t) > 1;
    return how;
}

// A tensor of the rows of `like`: of some positions of all heads or, `by_heads`, the other way.
static Status add_rows(const Exchange *x, const char *suffix, int32_t like, bool by_heads,
                       int32_t *out) {
    Program *p = to(x);
    const Tensor *t = &p->tensors[like];
    const Logical *l = &p->logicals[t->logical];
    char name[NAME];
    TensorSpec spec = program_copy_spec(p, t);
    snprintf(name, sizeof name, "%s.%s", tensor_name(p, like), suffix);
    spec.name = name;
    spec.extent = TENSOR_REF(t->extent);
    int64_t channels = l->shape[2] / heads_divided(p, t);
    spec.shape[1] = by_heads ? l->shape[1] : l->shape[1] / x->c->ranks;
    spec.shape[2] = by_heads ? channels / x->c->ranks : channels;
    // What came as parts of a sum has been added up.
    for (int i = 0; i < p->axis_count; i++)
        if (placement_is_partial(spec.placement[i])) spec.placement[i] = PLACEMENT_REPLICATED;
    spec.placement[x->c->axis] = by_heads ? some_heads(p, t) : context_piece(x->c, 0);
    return program_add_tensor(p, &spec, out);
}

// Pieces of the rows of `like`: (P,P,B,R) of all ranks, of which this one has one of dimension
// `cut`. Rows are those of this pass alone.
static Status add_parts(const Exchange *x, const char *suffix, int32_t like, int cut,
                        int32_t *out) {
    Program *p = to(x);
    const Tensor *t = &p->tensors[like];
    const Logical *l = &p->logicals[t->logical];
    int64_t P = x->c->ranks, divided = heads_divided(p, t);
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", tensor_name(p, like), suffix);
    LogicalSpec whole = {
        .name = name,
        .shape = {P, P, t->shape[0] * mesh_batch_ranks(p), l->shape[1] * l->shape[2] / P / P},
        .dims = 4,
        .dtype = (Dtype)t->dtype,
        .role = ROLE_BUFFER};
    TensorSpec piece = {.name = name,
                        .shape = {P, P, t->shape[0], whole.shape[3] / divided},
                        .dtype = whole.dtype,
                        .role = ROLE_BUFFER};
    piece.shape[cut] = 1;
    mesh_place(piece.placement, mesh_batch_axes(p), PLACEMENT_SHARD(2));
    piece.placement[x->c->axis] = PLACEMENT_SHARD(cut);
    if (divided > 1) piece.placement[mesh_find_axis(p, MESH_TENSOR)] = PLACEMENT_SHARD(REST);
    TRY(program_add_logical(p, &whole, &piece.logical));
    return program_add_tensor(p, &piece, out);
}

// From some positions of all heads to some heads of all positions, or back; *into: where to, or
// NONE for a new tensor.
static Status exchange(const Exchange *x, bool to_heads, int32_t from, int32_t *into) {
    int32_t sent, received;
    TRY(add_parts(x, "sent", from, to_heads ? 1 : 0, &sent));
    TRY(add_parts(x, "received", from, to_heads ? 0 : 1, &received));
    if (*into == NONE) TRY(add_rows(x, "heads", from, to_heads, into));
    TRY(one_to_one(x, "apart", KIND_APART, to_heads ? HEADS : POSITIONS, from, sent));
    TRY(one_to_one(x, "all_to_all", KIND_ALL_TO_ALL, 0, sent, received));
    return one_to_one(x, "together", KIND_TOGETHER, to_heads ? POSITIONS : HEADS, received, *into);
}

// "att1.q/0.2" of "att1.y/0.2", of `channels` on this rank; made of some heads if there is none.
static Status own_tensor(const Exchange *x, int32_t y, const char *what, int64_t channels,
                         bool by_heads, int32_t *out) {
    Program *p = to(x);
    const char *like = tensor_name(p, y), *slash = strchr(like, '/');
    int length = slash ? (int)(slash - like) : (int)strlen(like);
    char name[NAME], whole[NAME];
    while (length > 0 && like[length - 1] != '.') length--;
    snprintf(whole, sizeof whole, "%.*s%s", length, like, what);
    snprintf(name, sizeof name, "%s%s", whole, slash ? slash : "");
    *out = program_find_tensor(p, name);
    if (*out != NONE) return OK;
    const Tensor *t = &p->tensors[y];
    LogicalSpec l = {.name = whole, .dims = 3, .dtype = (Dtype)t->dtype, .role = ROLE_ACTIVATION};
    memcpy(l.shape, p->logicals[t->logical].shape, sizeof l.shape);
    l.shape[2] = channels * heads_divided(p, t);
    if (!strcmp(what, "lse_heads")) l.dtype = dtype_wide(l.dtype);
    TensorSpec spec = program_copy_spec(p, t);
    spec.name = name;
    spec.dtype = l.dtype;
    spec.extent = TENSOR_REF(t->extent);
    spec.shape[1] = by_heads ? l.shape[1] : l.shape[1] / x->c->ranks;
    spec.shape[2] = by_heads ? channels / x->c->ranks : channels;
    spec.placement[x->c->axis] = by_heads ? some_heads(p, t) : context_piece(x->c, 0);
    spec.logical = program_find_logical(p, whole);
    if (spec.logical == NONE) TRY(program_add_logical(p, &l, &spec.logical));
    return program_add_tensor(p, &spec, out);
}

static Status compute(const Exchange *x, const char *what, Kind kind, const int32_t *outputs,
                      int output_count, const int32_t *inputs, int input_count) {
    return add_op(x, what,
                  (OpSpec){.kind = kind,
                           .attrs = x->attrs,
                           .outputs = outputs,
                           .output_count = output_count,
                           .inputs = inputs,
                           .input_count = input_count});
}

typedef struct {
    int32_t y, lse, qkv[3];  // of some heads of all positions
    int64_t channels[3];     // of all heads
} Operands;

// The names that forward and backward share.
static Status find_operands(const Exchange *x, int32_t y, Operands *o) {
    static const char *const names[] = {"q_heads", "k_heads", "v_heads"};
    int64_t heads = x->attrs[0] * x->c->ranks, kv = x->attrs[1] * x->c->ranks,
            C = to(x)->tensors[y].shape[2];
    for (int i = 0; i < 3; i++) {
        o->channels[i] = i ? C / heads * kv : C;
        TRY(own_tensor(x, y, names[i], o->channels[i], true, &o->qkv[i]));
    }
    TRY(own_tensor(x, y, "y_heads", C, true, &o->y));
    return own_tensor(x, y, "lse_heads", heads, true, &o->lse);
}

static Status forward(const Exchange *x, int32_t y, const int32_t *inputs) {
    static const char *const names[] = {"q", "k", "v"};
    Operands o;
    int32_t apart[3];
    TRY(find_operands(x, y, &o));
    for (int i = 0; i < 3; i++) {
        apart[i] = x->packed ? NONE : inputs[i];
        if (x->packed) TRY(own_tensor(x, y, names[i], o.channels[i], false, &apart[i]));
    }
    if (x->packed) TRY(compute(x, "unpack", KIND_UNPACK_QKV, apart, 3, inputs, 1));
    for (int i = 0; i < 3; i++) TRY(exchange(x, true, apart[i], &o.qkv[i]));
    const int32_t out[] = {o.y, o.lse};
    TRY(compute(x, "heads", KIND_ATTENTION, out, 2, o.qkv, 3));
    return exchange(x, false, o.y, &y);
}

static Status backward(const Exchange *x, const int32_t *outputs, int32_t dy, int32_t y) {
    static const char *const names[] = {"dq", "dk", "dv"};
    static const char *const heads[] = {"dq_heads", "dk_heads", "dv_heads"};
    Operands o;
    int32_t in[6] = {NONE}, out[3], apart[3];
    TRY(find_operands(x, y, &o));
    TRY(exchange(x, true, dy, &in[0]));
    in[1] = o.y;
    in[2] = o.lse;
    memcpy(&in[3], o.qkv, sizeof o.qkv);
    for (int i = 0; i < 3; i++) {
        TRY(own_tensor(x, y, heads[i], o.channels[i], true, &out[i]));
        apart[i] = x->packed ? NONE : outputs[i];
        if (x->packed) TRY(own_tensor(x, y, names[i], o.channels[i], false, &apart[i]));
    }
    TRY(compute(x, "heads_backward", KIND_ATTENTION_BACKWARD, out, 3, in, 6));
    for (int i = 0; i < 3; i++) TRY(exchange(x, false, out[i], &apart[i]));
    return x->packed ? compute(x, "pack", KIND_PACK_QKV, outputs, 1, apart, 3) : OK;
}

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

// "--cp 2 or 4 divides them; " for ranks that can share so many heads; "" where only one can.
static void sharers(int64_t heads, char *out, size_t size) {
    int found = 0;
    *out = '\0';
    for (int64_t n = 2; n <= heads; n++)
        if (heads % n == 0)
            text_append(out, size, "%s%lld", found++ ? " or " : "give --cp ", (long long)n);
    if (found) text_append(out, size, ", which divides them, or ");
}

// Heads of each rank of tensor parallelism, which divides them first.
Status context_check_heads(const Context *c) {
    const Program *p = c->copy.from;
    int tensor = mesh_find_axis(p, MESH_TENSOR);
    char each[64] = "", others[128];
    if (tensor != NONE)
        snprintf(each, sizeof each, " on each of --tp %d ranks", p->axes[tensor].size);
    for (int i = 0; i < p->work_count; i++) {
        const Work *w = &p->works[i];
        if (!context_is_attention(work_kind(w))) continue;
        sharers(common_divisor(work_attr(p, w, 0), work_attr(p, w, 1)), others, sizeof others);
        for (int k = 0; k < 2; k++) {
            long long heads = work_attr(p, w, k), P = c->ranks;
            if (heads % P)
                FAIL(ERR_USAGE,
                     "--cp-kind all-to-all divides heads among --cp %d ranks, but %s has %s=%lld "
                     "= %lld × %lld + %lld%s; %s--cp-kind ring",
                     c->ranks, program_name(p, w->layer), k ? "kv_heads" : "heads", heads, P,
                     heads / P, heads % P, each, *others ? others : "give ");
        }
    }
    return OK;
}

Status context_add_exchange(Context *c, const Op *op) {
    ProgramCopy *copy = &c->copy;
    const Work *w = op_work(copy->from, op);
    Kind kind = work_kind(w);
    bool forwards = kind == KIND_ATTENTION || kind == KIND_ATTENTION_PACKED;
    int32_t operands[OPERANDS], *inputs = operands + op->outputs;
    Exchange x = {.c = c,
                  .op = op,
                  .work = w,
                  .packed =
                      kind == KIND_ATTENTION_PACKED || kind == KIND_ATTENTION_PACKED_BACKWARD};
    memcpy(x.attrs, &copy->from->attrs[w->attr_first], sizeof x.attrs);
    x.attrs[0] /= c->ranks;
    x.attrs[1] /= c->ranks;
    for (int i = 0; i < op->outputs + op->inputs; i++) {
        bool lse = i == (forwards ? 1 : op->outputs + 2) && (!forwards || op->outputs > 1);
        if (!lse) TRY(program_copy_tensor(copy, op_outputs(copy->plan, op)[i], &operands[i]));
    }
    return forwards ? forward(&x, operands[0], inputs)
                    : backward(&x, operands, inputs[0], inputs[1]);
}
