// SPDX-License-Identifier: MIT
// Attention to one block of keys and values of a cut sequence (core/device/attention_block.h):
// interval of queries by interval of keys, as attention of these alone that goes on from what the
// queries have. Intervals that are wholly masked are skipped.
#include "core/device/attention_block.h"
#include "core/device/cpu/attention_internal.h"

// Positions that follow one another: `count` from index `at` on, the first of which is `first`.
typedef struct {
    int64_t at, count, first;
} Interval;

// The next one; false at the end of T positions. -1 is no position.
static bool next(const int64_t *position, int64_t T, Interval *i) {
    for (i->at += i->count; i->at < T && position[i->at] < 0;) i->at++;
    if (i->at >= T) return false;
    i->first = position[i->at];
    for (i->count = 1; i->at + i->count < T; i->count++)
        if (position[i->at + i->count] != i->first + i->count) break;
    return true;
}

// A part of the queries of a head, from `at` on, and a part of its keys as a head of their own.
static AttentionHead head_of(const Attention *a, AttentionHead head, int64_t query, int64_t key) {
    head.q += query * a->q_row;
    head.y += query * attention_y_row(a);
    head.lse += query * a->heads;
    head.kv += key * a->kv_row;
    return head;
}

// Calls `attend` for the parts of two intervals in which all queries see all keys, or those up to
// themselves. Intervals of one cut are the same or lie apart; of others each query is a part.
typedef struct Pairs Pairs;
struct Pairs {
    const Attention *a;
    AttentionHead head;
    void (*attend)(Pairs *p, const Attention *part, AttentionHead at, int64_t query);
    const void *context;
    const KernelCall *call;
};

static void attend_part(Pairs *p, bool causal, int64_t query, int64_t queries, int64_t key,
                        int64_t keys) {
    Attention part = *p->a;
    part.causal = causal;
    part.T = queries;
    part.S = keys;
    p->attend(p, &part, head_of(p->a, p->head, query, key), query);
}

static void attend_intervals(Pairs *p, const Interval *q, const Interval *k) {
    int64_t last_query = q->first + q->count - 1, last_key = k->first + k->count - 1;
    bool causal = p->a->causal, same = q->first == k->first && q->count == k->count;
    if (causal && k->first > last_query) return;
    if (!causal || same || last_key <= q->first) {
        attend_part(p, causal && same, q->at, q->count, k->at, k->count);
        return;
    }
    for (int64_t t = 0; t < q->count; t++) {
        int64_t keys = q->first + t - k->first + 1;
        if (keys > 0) attend_part(p, false, q->at + t, 1, k->at, keys < k->count ? keys : k->count);
    }
}

static void attend_block(Pairs *p, const int64_t *queries, const int64_t *keys) {
    for (Interval q = {0}; next(queries, p->a->T, &q);)
        for (Interval k = {0}; next(keys, p->a->S, &k);) attend_intervals(p, &q, &k);
}

static void forward(Pairs *p, const Attention *part, AttentionHead at, int64_t query) {
    for (int64_t t = 0; t < part->T; t += ATTENTION_QUERIES)
        NAME(cpu_attend)
        (part, at, t, p->context, true, output_data(p->call, 0), output_data(p->call, 1));
}

// Queries that have seen no key.
static void begin(const KernelCall *call) {
    real *lse = output_data(call, 1);
    int64_t n = live_elements(output(call, 1));
    attention_zero(call, 0);
    for (int64_t i = 0; i < n; i++) lse[i] = -(real)INFINITY;
}

void NAME(cpu_attention_block)(const KernelCall *call) {
    const Attention a = attention_of(call, output(call, 0), 0);
    const AttentionForward f = NAME(cpu_attention_forward)(call, a.T);
    Pairs p = {.a = &a, .attend = forward, .context = &f, .call = call};
    if (!attention_goes_on(call, 0, 5) || !attention_goes_on(call, 1, 6)) begin(call);
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        p.head = attention_head(&a, i / a.heads, i % a.heads);
        attend_block(&p, input_data(call, 3), input_data(call, 4));
    }
}

static void backward(Pairs *p, const Attention *part, AttentionHead at, int64_t query) {
    AttentionBackward f = *(const AttentionBackward *)p->context;
    f.delta += query;
    NAME(cpu_attend_backward)(part, at, &f);
}

void NAME(cpu_attention_block_backward)(const KernelCall *call) {
    const Attention a = attention_of(call, input(call, 0), 3);
    const AttentionBackward f =
        NAME(cpu_attention_backward_of)(call, a.T, attention_block_gradients(call));
    Pairs p = {.a = &a, .attend = backward, .context = &f};
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        p.head = attention_head(&a, i / a.heads, i % a.heads);
        NAME(cpu_attention_delta)(&a, p.head, input_data(call, 1), &f);
        attend_block(&p, input_data(call, 6), input_data(call, 7));
    }
}

void NAME(cpu_unpack_qkv)(const KernelCall *call) {
    const Operand *packed = input(call, 0);
    const real *from = packed->data;
    int64_t count = live_vectors(packed);
    for (int64_t i = 0; i < count; i++)
        for (int o = 0; o < 3; o++) {
            int64_t n = vector_length(output(call, o));
            memcpy((real *)output_data(call, o) + i * n, from, (size_t)n * sizeof(real));
            from += n;
        }
}

void NAME(cpu_pack_qkv)(const KernelCall *call) {
    const Operand *packed = output(call, 0);
    real *to = packed->data;
    int64_t count = live_vectors(packed);
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < 3; k++) {
            int64_t n = vector_length(input(call, k));
            memcpy(to, (const real *)input_data(call, k) + i * n, (size_t)n * sizeof(real));
            to += n;
        }
}
