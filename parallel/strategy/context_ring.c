// SPDX-License-Identifier: MIT
// Attention around a ring; read context_add_ring() at the end first. At hop h a rank computes with
// the keys and values of the coordinate h before it while those of h + 1 travel. In the backward
// they go around again, and what each rank adds to a piece's gradients follows one hop behind: it
// begins at the first rank after the owner, the others add theirs in the order of the ring, and the
// owner adds its own part last. core/plan/placement_ring.c checks that nothing is left out.
#include "core/plan/placement_rules.h"
#include "parallel/strategy/context_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 256 };

// An operation that is expanded: its operands in the new program.
typedef struct {
    Context *c;
    const Op *op;
    const Work *work;
    bool packed;
    Dtype dtype, wide;
    int64_t attrs[3];
    int32_t like;     // a tensor of its rows, whose name the others follow
    int32_t q, k[2];  // query; key and value
} Ring;

static Program *to(const Ring *r) { return r->c->copy.to; }

// "att1.k1/0.2" of "att1.y/0.2".
static void name_of(const Ring *r, const char *what, int hop, char out[NAME]) {
    const char *like = tensor_name(to(r), r->like), *slash = strchr(like, '/');
    int length = slash ? (int)(slash - like) : (int)strlen(like);
    while (length > 0 && like[length - 1] != '.') length--;
    char number[16] = "";
    if (hop >= 0) snprintf(number, sizeof number, "%d", hop);
    snprintf(out, NAME, "%.*s%s%s%s", length, like, what, number, slash ? slash : "");
}

// Ranks that have some of the heads each.
static int64_t sharers(const Program *p, const Tensor *t) {
    int axis = mesh_find_axis(p, MESH_TENSOR);
    return axis != NONE && placement_is_cut(t->placement[axis], 2) ? p->axes[axis].size : 1;
}

// A tensor of the operation's rows with so many channels; `hop`: which piece, NONE: the rank's own.
// `terms`: of a sum that has come, how many.
static Status add_rows(const Ring *r, const char *what, int hop, int terms, int64_t channels,
                       Dtype dtype, Role role, int32_t *out) {
    char whole[NAME], name[NAME];
    Program *p = to(r);
    const Tensor *like = &p->tensors[r->like];
    LogicalSpec l = {.name = whole, .dims = 3, .dtype = dtype, .role = role};
    memcpy(l.shape, p->logicals[like->logical].shape, sizeof l.shape);
    l.shape[2] = channels * sharers(p, like);
    name_of(r, what, hop, name);
    snprintf(whole, sizeof whole, "%.*s", (int)strcspn(name, "/"), name);
    TensorSpec t = program_copy_spec(p, like);
    t.name = name;
    t.dtype = dtype;
    t.role = role;
    t.shape[2] = channels;
    t.extent = TENSOR_REF(like->extent);
    t.placement[r->c->axis] = context_piece(r->c, hop > 0 ? hop % r->c->ranks : 0);
    if (terms) {
        t.placement[r->c->axis].from = 1;
        t.placement[r->c->axis].terms = (int16_t)terms;
    }
    t.logical = program_find_logical(p, whole);
    if (t.logical == NONE) TRY(program_add_logical(p, &l, &t.logical));
    return program_add_tensor(p, &t, out);
}

static int64_t channels(const Ring *r, int32_t tensor) { return to(r)->tensors[tensor].shape[2]; }

static Status add_op(const Ring *r, const char *what, OpSpec s) {
    char name[NAME];
    const char *layer = program_name(r->c->copy.from, r->work->layer);
    snprintf(name, sizeof name, "%s.%s", layer, what);
    s.name = name;
    s.layer = layer;
    s.phase = (Phase)r->work->phase;
    s.shard = r->op->shard;
    s.micro_batch = r->op->micro_batch;
    return plan_add_op(r->c->copy.to, r->c->copy.out, &s, NULL);
}

static Status compute(const Ring *r, const char *what, Kind kind, Dtype dtype, int flags,
                      const int32_t *outputs, int output_count, const int32_t *inputs,
                      int input_count) {
    return add_op(r, what,
                  (OpSpec){.kind = kind,
                           .dtype = dtype,
                           .lane = r->c->copy.compute,
                           .attrs = r->attrs,
                           .outputs = outputs,
                           .output_count = output_count,
                           .inputs = inputs,
                           .input_count = input_count,
                           .flags = flags});
}

// Two tensors go to the next rank of the ring, two come from the one before.
static Status hop(const Ring *r, const char *what, bool gradients, const int32_t from[2],
                  const int32_t into[2]) {
    const int64_t tag = gradients;
    const Dtype dtype = (Dtype)to(r)->tensors[from[0]].dtype;
    char name[64];
    snprintf(name, sizeof name, "send_%s", what);
    TRY(add_op(r, name,
               (OpSpec){.kind = KIND_SEND,
                        .dtype = dtype,
                        .lane = gradients ? r->c->send_gradients : r->c->send,
                        .group = r->c->group,
                        .peer = 1,
                        .attrs = &tag,
                        .inputs = from,
                        .input_count = 2}));
    snprintf(name, sizeof name, "receive_%s", what);
    return add_op(r, name,
                  (OpSpec){.kind = KIND_RECEIVE,
                           .dtype = dtype,
                           .lane = gradients ? r->c->receive_gradients : r->c->receive,
                           .group = r->c->group,
                           .peer = -1,
                           .attrs = &tag,
                           .outputs = into,
                           .output_count = 2});
}

// Keys and values of hop + 1, which begin to travel.
static Status travel(const Ring *r, const char *const names[2], int at, const int32_t from[2],
                     int32_t into[2]) {
    for (int i = 0; i < 2; i++)
        TRY(add_rows(r, names[i], at + 1, 0, channels(r, from[i]), r->dtype, ROLE_BUFFER,
                     &into[i]));
    return hop(r, "kv", false, from, into);
}

// --- forward

static Status attend(const Ring *r, int at, const int32_t kv[2], const int32_t state[2]) {
    int32_t in[7] = {r->q, kv[0], kv[1], NONE, NONE, state[0], state[1]};
    TRY(context_index(r->c, 0, &in[3]));
    TRY(context_index(r->c, at, &in[4]));
    return compute(r, "block", KIND_ATTENTION_BLOCK, r->dtype, 0, state, 2, in, at ? 7 : 5);
}

static Status forward(Ring *r, int32_t y, int32_t lse) {
    static const char *const names[] = {"k", "v"};
    int32_t state[2] = {y, lse}, now[2] = {r->k[0], r->k[1]}, next[2] = {NONE, NONE};
    if (r->wide != r->dtype)
        TRY(add_rows(r, "y_sum", NONE, 0, channels(r, y), r->wide, ROLE_ACTIVATION, &state[0]));
    if (lse == NONE)
        TRY(add_rows(r, "lse", NONE, 0, r->attrs[0], r->wide, ROLE_ACTIVATION, &state[1]));
    for (int at = 0; at < r->c->ranks; at++) {
        if (at + 1 < r->c->ranks) TRY(travel(r, names, at, now, next));
        TRY(attend(r, at, now, state));
        memcpy(now, next, sizeof now);
    }
    if (r->wide == r->dtype) return OK;
    return compute(r, "round", KIND_TO_BF16, r->wide, 0, &y, 1, &state[0], 1);
}

// --- backward

// What a rank and those before it add to the gradients of the piece of each hop.
typedef struct {
    int32_t dq, sum[2];  // sum: dk and dv of the last hop
    int32_t own[2];      // those of the rank's own piece
} Sums;

static Status attend_backward(const Ring *r, int at, const int32_t kv[2], Sums *s) {
    static const char *const names[] = {"dk", "dv"};
    int32_t out[3] = {s->dq, NONE, NONE}, in[9] = {NONE};
    for (int i = 0; i < 3; i++)
        TRY(program_copy_tensor(&r->c->copy, op_inputs(r->c->copy.plan, r->op)[i], &in[i]));
    in[3] = r->q;
    in[4] = kv[0];
    in[5] = kv[1];
    TRY(context_index(r->c, 0, &in[6]));
    TRY(context_index(r->c, at, &in[7]));
    in[8] = s->dq;
    for (int i = 0; i < 2; i++) {
        out[1 + i] = s->own[i];
        if (at || out[1 + i] == NONE)
            TRY(add_rows(r, names[i], at, 0, channels(r, kv[i]), r->wide, ROLE_BUFFER,
                         &out[1 + i]));
        if (!at) s->own[i] = out[1 + i];
    }
    TRY(compute(r, "block_backward", KIND_ATTENTION_BLOCK_BACKWARD, r->dtype, 0, out, 3, in,
                at ? 9 : 8));
    if (at < 2) {
        if (at) memcpy(s->sum, &out[1], sizeof s->sum);
        return OK;
    }
    memcpy(in, &out[1], 2 * sizeof *in);
    memcpy(s->sum, in, sizeof s->sum);
    return OK;
}

// Sums that were complete up to the rank before come, and this rank's own are added to them.
static Status take_sums(const Ring *r, int at, const int32_t before[2], const int32_t sum[2]) {
    static const char *const names[] = {"dk_from", "dv_from"};
    int32_t come[2];
    for (int i = 0; i < 2; i++)
        TRY(add_rows(r, names[i], at, at - 1, channels(r, before[i]), r->wide, ROLE_BUFFER,
                     &come[i]));
    TRY(hop(r, "dkv", true, before, come));
    for (int i = 0; i < 2; i++)
        TRY(compute(r, "fold", KIND_FOLD, r->wide, OP_ACCUMULATE, &sum[i], 1, &come[i], 1));
    return OK;
}

static Status go_around(const Ring *r, Sums *s) {
    static const char *const names[] = {"k_again", "v_again"};
    int32_t now[2] = {r->k[0], r->k[1]}, next[2] = {NONE, NONE}, before[2];
    for (int at = 0; at < r->c->ranks; at++) {
        if (at + 1 < r->c->ranks) TRY(travel(r, names, at, now, next));
        memcpy(before, s->sum, sizeof before);
        TRY(attend_backward(r, at, now, s));
        if (at > 1) TRY(take_sums(r, at, before, s->sum));
        memcpy(now, next, sizeof now);
    }
    return r->c->ranks > 1 ? take_sums(r, r->c->ranks, s->sum, s->own) : OK;
}

// In the type of the arithmetic.
static Status round_off(const Ring *r, int32_t wide, int32_t out) {
    if (wide == out) return OK;
    return compute(r, "round", KIND_TO_BF16, r->wide, 0, &out, 1, &wide, 1);
}

static Status backward(Ring *r, const int32_t *outputs) {
    static const char *const names[] = {"dq", "dk", "dv"};
    int32_t three[3] = {NONE, NONE, NONE}, *sums[3];
    Sums s = {NONE, {NONE, NONE}, {NONE, NONE}};
    const int32_t like[] = {r->q, r->k[0], r->k[1]};
    for (int i = 0; i < 3; i++) {
        three[i] = outputs[i];
        if (r->packed)
            TRY(add_rows(r, names[i], NONE, 0, channels(r, like[i]), r->dtype, ROLE_ACTIVATION,
                         &three[i]));
    }
    sums[0] = &s.dq;
    sums[1] = &s.own[0];
    sums[2] = &s.own[1];
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s_sum", names[i]);
        *sums[i] = three[i];
        if (r->wide != r->dtype)
            TRY(add_rows(r, name, NONE, 0, channels(r, like[i]), r->wide, ROLE_ACTIVATION,
                         sums[i]));
    }
    TRY(go_around(r, &s));
    for (int i = 0; i < 3; i++) TRY(round_off(r, *sums[i], three[i]));
    if (!r->packed) return OK;
    return compute(r, "pack", KIND_PACK_QKV, r->dtype, 0, outputs, 1, three, 3);
}

// --- the operation

// Query, key and value: operands of their own, or taken apart by the forward.
static Status find_operands(Ring *r, const int32_t *inputs, bool forwards) {
    static const char *const names[] = {"q", "k", "v"};
    int32_t *three[] = {&r->q, &r->k[0], &r->k[1]}, out[3];
    char name[NAME];
    if (!r->packed) {
        for (int i = 0; i < 3; i++) *three[i] = inputs[i];
        return OK;
    }
    int64_t heads = r->attrs[0], kv = r->attrs[1];
    int64_t D = channels(r, inputs[0]) / (heads + 2 * kv);
    for (int i = 0; i < 3; i++) {
        name_of(r, names[i], NONE, name);
        *three[i] = program_find_tensor(to(r), name);
        if (*three[i] == NONE)
            TRY(add_rows(r, names[i], NONE, 0, (i ? kv : heads) * D, r->dtype, ROLE_ACTIVATION,
                         three[i]));
        out[i] = *three[i];
    }
    if (!forwards) return OK;
    return compute(r, "unpack", KIND_UNPACK_QKV, r->dtype, 0, out, 3, inputs, 1);
}

bool context_is_attention(Kind k) {
    return k == KIND_ATTENTION || k == KIND_ATTENTION_BACKWARD || k == KIND_ATTENTION_PACKED ||
           k == KIND_ATTENTION_PACKED_BACKWARD;
}

Status context_add_ring(Context *c, const Op *op) {
    ProgramCopy *copy = &c->copy;
    const Work *w = op_work(copy->from, op);
    Kind kind = work_kind(w);
    bool forwards = kind == KIND_ATTENTION || kind == KIND_ATTENTION_PACKED;
    int32_t operands[OPERANDS], *inputs = operands + op->outputs;
    Ring r = {.c = c,
              .op = op,
              .work = w,
              .packed = kind == KIND_ATTENTION_PACKED || kind == KIND_ATTENTION_PACKED_BACKWARD,
              .dtype = (Dtype)w->dtype,
              .wide = dtype_wide((Dtype)w->dtype)};
    memcpy(r.attrs, &copy->from->attrs[w->attr_first], sizeof r.attrs);
    for (int i = 0; i < op->outputs + op->inputs; i++)
        TRY(program_copy_tensor(copy, op_outputs(copy->plan, op)[i], &operands[i]));
    r.like = forwards ? operands[0] : inputs[1];  // y
    TRY(find_operands(&r, inputs + (forwards ? 0 : 3), forwards));
    if (forwards) return forward(&r, operands[0], op->outputs > 1 ? operands[1] : NONE);
    return backward(&r, operands);
}
