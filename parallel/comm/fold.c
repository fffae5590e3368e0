// SPDX-License-Identifier: MIT
// Adding up arrays, a block at a time: a block's sum stays in the first-level cache while one term
// after the other joins it, so that every input is read once and every output written once. The
// compiler vectorises the loops; elements are independent, so that this changes no bit.
#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "parallel/comm/comm_internal.h"

#include <string.h>

enum { BLOCK = 4096 };  // bytes

// A maximum keeps a NaN: a lost one would hide what went wrong.
#define SUM(a, b) ((a) + (b))
#define MAXIMUM(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))

// join_: out = a + b; onto_: out += a. Integers add as unsigned ones, which wrap around.
#define LOOPS(name, T, OPERATION)                                                               \
    static void join_##name(void *restrict out, const void *restrict a, const void *restrict b, \
                            int64_t n) {                                                        \
        T *restrict y = out;                                                                    \
        const T *restrict x = a, *restrict z = b;                                               \
        for (int64_t i = 0; i < n; i++) y[i] = OPERATION(x[i], z[i]);                           \
    }                                                                                           \
    static void onto_##name(void *restrict out, const void *restrict a, int64_t n) {            \
        T *restrict y = out;                                                                    \
        const T *restrict x = a;                                                                \
        for (int64_t i = 0; i < n; i++) y[i] = OPERATION(y[i], x[i]);                           \
    }
LOOPS(sum_f32, float, SUM)
LOOPS(sum_f64, double, SUM)
LOOPS(sum_i32, uint32_t, SUM)
LOOPS(sum_i64, uint64_t, SUM)
LOOPS(max_f32, float, MAXIMUM)
LOOPS(max_f64, double, MAXIMUM)
LOOPS(max_i32, int32_t, MAXIMUM)
LOOPS(max_i64, int64_t, MAXIMUM)

typedef struct {
    void (*join)(void *restrict out, const void *restrict a, const void *restrict b, int64_t n);
    void (*onto)(void *restrict out, const void *restrict a, int64_t n);
} Loops;

static const Loops loops[DTYPE_COUNT][2] = {
    [DTYPE_F32] = {{join_sum_f32, onto_sum_f32}, {join_max_f32, onto_max_f32}},
    [DTYPE_F64] = {{join_sum_f64, onto_sum_f64}, {join_max_f64, onto_max_f64}},
    [DTYPE_I32] = {{join_sum_i32, onto_sum_i32}, {join_max_i32, onto_max_i32}},
    [DTYPE_I64] = {{join_sum_i64, onto_sum_i64}, {join_max_i64, onto_max_i64}},
};

// n elements of an array as contiguous memory: where they are, or collected in `buffer`.
static const char *view(Array a, int64_t at, int64_t n, int64_t bytes, char *buffer) {
    int64_t run;
    const char *p = call_array_at(a, at, bytes, &run);
    if (run >= n) return p;
    for (int64_t done = 0; done < n; done += run) {
        p = call_array_at(a, at + done, bytes, &run);
        if (run > n - done) run = n - done;
        memcpy(buffer + done * bytes, p, (size_t)(run * bytes));
    }
    return buffer;
}

static void store(Array a, int64_t at, int64_t n, int64_t bytes, const char *value) {
    int64_t run;
    for (int64_t done = 0; done < n; done += run) {
        char *p = call_array_at(a, at + done, bytes, &run);
        if (run > n - done) run = n - done;
        memcpy(p, value + done * bytes, (size_t)(run * bytes));
    }
}

// Where both are the same memory nothing is written: a peer may be reading it.
static void copy(const Term *out, const Term *term, int64_t count, int64_t bytes) {
    int64_t run, room;
    for (int64_t done = 0; done < count; done += run) {
        const char *from = call_array_at(term->array, term->at + done, bytes, &run);
        char *to = call_array_at(out->array, out->at + done, bytes, &room);
        if (run > room) run = room;
        if (run > count - done) run = count - done;
        if (to != from) memcpy(to, from, (size_t)(run * bytes));
    }
}

// A sum in the making: its first term stays where it is until the second comes.
typedef struct {
    char *buffer;
    const char *value;  // NULL: nothing yet
} Sum;

static void sum_add(Sum *s, const Loops *l, const char *x, int64_t n) {
    if (!s->value) {
        s->value = x;
        return;
    }
    if (s->value == s->buffer)
        l->onto(s->buffer, x, n);
    else
        l->join(s->buffer, s->value, x, n);
    s->value = s->buffer;
}

static Sum fold_block(const Loops *l, bool parts_first, const Term terms[], int term_count,
                      int64_t done, int64_t n, int64_t bytes, char buffers[3][BLOCK]) {
    Sum all = {.buffer = buffers[0]}, own = {.buffer = buffers[1]};
    for (int t = 0; t < term_count; t++) {
        Sum *to = parts_first ? &own : &all;
        for (int p = 0; p < terms[t].parts; p++) {
            Array part = terms[t].array;
            part.segments += p * part.count;
            sum_add(to, l,
                    view(part, terms[t].at + done, n, bytes, to->value ? buffers[2] : to->buffer),
                    n);
        }
        if (!parts_first) continue;
        if (!all.value) {  // the first term's sum is the sum so far; the buffers change places
            Sum first = own;
            own.buffer = all.buffer;
            all = first;
        } else {
            sum_add(&all, l, own.value, n);
        }
        own.value = NULL;
    }
    return all;
}

// Halves are added up in f32 and rounded once (docs/contract.md, 3), block by block.
#define HALVES(name, T)                                                                           \
    static void add_##name(float *restrict sum, const void *x, int64_t n, bool first, bool max) { \
        const T *restrict half = x;                                                               \
        for (int64_t i = 0; i < n && first; i++) sum[i] = name##_to_f32(half[i]);                 \
        for (int64_t i = 0; i < n && !first && !max; i++) sum[i] += name##_to_f32(half[i]);       \
        for (int64_t i = 0; i < n && !first && max; i++)                                          \
            sum[i] = MAXIMUM(sum[i], name##_to_f32(half[i]));                                     \
    }                                                                                             \
    static void round_##name(void *to, const float *restrict sum, int64_t n) {                    \
        T *restrict half = to;                                                                    \
        for (int64_t i = 0; i < n; i++) half[i] = name##_from_f32(sum[i]);                        \
    }
HALVES(bf16, Bf16)
HALVES(f16, F16)

static void fold_halves(Dtype d, Reduce reduce, const Term outs[], int out_count,
                        const Term terms[], int term_count, int64_t count) {
    enum { MOST = BLOCK / sizeof(float) };
    _Alignas(64) float sum[MOST];
    _Alignas(64) uint16_t buffer[MOST];
    for (int64_t done = 0, n; done < count; done += n) {
        n = count - done < MOST ? count - done : MOST;
        for (int t = 0; t < term_count; t++)
            for (int p = 0; p < terms[t].parts; p++) {
                Array part = terms[t].array;
                part.segments += p * part.count;
                const void *x = view(part, terms[t].at + done, n, sizeof *buffer, (char *)buffer);
                (d == DTYPE_F16 ? add_f16 : add_bf16)(sum, x, n, t == 0 && p == 0,
                                                      reduce == REDUCE_MAX);
            }
        (d == DTYPE_F16 ? round_f16 : round_bf16)(buffer, sum, n);
        for (int i = 0; i < out_count; i++)
            store(outs[i].array, outs[i].at + done, n, sizeof *buffer, (const char *)buffer);
    }
}

void fold_terms(Dtype d, Reduce reduce, bool parts_first, const Term outs[], int out_count,
                const Term terms[], int term_count, int64_t count) {
    _Alignas(64) char buffers[3][BLOCK];
    int64_t bytes = dtype_bytes(d), most = BLOCK / bytes;
    if (term_count == 1 && terms->parts == 1) {
        for (int i = 0; i < out_count; i++) copy(&outs[i], terms, count, bytes);
        return;
    }
    if (dtype_is_half(d)) {
        fold_halves(d, reduce, outs, out_count, terms, term_count, count);
        return;
    }
    for (int64_t done = 0, n; done < count; done += n) {
        n = count - done < most ? count - done : most;
        Sum sum =
            fold_block(&loops[d][reduce], parts_first, terms, term_count, done, n, bytes, buffers);
        for (int i = 0; i < out_count; i++)
            store(outs[i].array, outs[i].at + done, n, bytes, sum.value);
    }
}

void comm_fold_pair(Dtype d, void *own, void *peer, int64_t count) {
    const CommSegment all = {0, count};
    const Term terms[2] = {{{own, &all, 1}, 0, 1}, {{peer, &all, 1}, 0, 1}};
    fold_terms(d, REDUCE_SUM, false, terms, 2, terms, 2, count);
}
