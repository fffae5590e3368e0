// SPDX-License-Identifier: MIT
// Attention in blocks of queries and keys, of whose scores one block exists at a time
// (FlashAttention: Dao et al., arXiv:2205.14135). core/device/attention.h has the formulas.
//
// Forward: of the keys seen so far, each query has the largest score m, the sum l of exp(s - m)
// and y, weighed by these. A block with a larger score first multiplies l and y by
// exp(m - new m), as Milakov and Gimelshein do, "Online normalizer calculation for softmax",
// 2018. Backward: the probabilities are computed again, from lse.
//
// Blocks of keys that no query sees are skipped. In those that the diagonal crosses, what is above
// it counts as 0: so a NaN or infinite value reaches earlier queries of its block, too.
#include "core/device/cpu/attention_internal.h"
#include "core/device/cpu/exponential.h"
#include "core/device/cpu/lanes.h"

static real largest(int64_t n, const real *x) {
    real part[LANES], most = x[0];
    int64_t i = 0;
    for (int e = 0; e < LANES; e++) part[e] = most;
    for (; i + LANES <= n; i += LANES)
        for (int e = 0; e < LANES; e++) part[e] = x[i + e] > part[e] ? x[i + e] : part[e];
    for (int e = 0; i < n; i++, e++) part[e] = x[i] > part[e] ? x[i] : part[e];
    for (int e = 0; e < LANES; e++) most = part[e] > most ? part[e] : most;
    return most;
}

// exp(s - of), which is at most 1 whatever rounding does.
static inline real share(real s, real of) {
    real z = of - s;
    z = z < 0 ? 0 : z;
    return exp_of_negative(z > EXP_LIMIT ? EXP_LIMIT : z);
}

static void multiply_all(int64_t n, real factor, real *restrict x) {
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

// A block of n queries from t on, and w keys from j on, of whose scores a row is `row` long.
typedef struct {
    int64_t t, n, j, w, row;
    bool first;  // its queries have seen no key before
} Block;

// The keys of a block that its query r sees: at least one, since a block of keys begins where one
// of queries does.
static int64_t seen(const Attention *a, const Block *k, int64_t r) {
    int64_t until = k->t + r + 1 - k->j;
    return a->causal && until < k->w ? until : k->w;
}

// The last key that a block of queries sees, and one.
static int64_t end_of_keys(const Attention *a, int64_t t, int64_t n) {
    return a->causal ? t + n : a->S;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void add_scores(const Attention *a, AttentionHead at, const Block *k, real *s) {
    multiply(false, true, k->n, k->w, a->D, &a->q[at.q + k->t * a->q_row], a->q_row,
             &a->k[at.kv + k->j * a->kv_row], a->kv_row, 0, s, k->row);
}

// Scores become weights; what they add to is made to fit. y: the row of the block's first query.
static void weigh(const Attention *a, const Block *k, const AttentionForward *f, real *y) {
    for (int64_t r = 0; r < k->n; r++) {
        real *s = &f->s[r * k->row], sum = 0;
        int64_t n = seen(a, k, r);
        multiply_all(n, a->scale, s);
        real most = largest(n, s);
        if (!k->first && !(most > f->most[r])) most = f->most[r];
        for (int64_t i = 0; i < n; i++) s[i] = share(s[i], most);
        memset(&s[n], 0, (size_t)(k->w - n) * sizeof *s);
        NAME(cpu_add_row_sums)(1, n, s, &sum);
        if (!k->first) {
            real fit = share(f->most[r], most);
            sum += f->sum[r] * fit;
            multiply_all(a->D, fit, &y[r * attention_y_row(a)]);
        }
        f->most[r] = most;
        f->sum[r] = sum;
    }
}

// What the queries have of earlier keys, of which y and lse are: their largest score may be taken
// to be lse, and the sum of exp(s - lse) is 1.
static void take_up(const Attention *a, int64_t n, const AttentionForward *f, const real *lse) {
    for (int64_t r = 0; r < n; r++) {
        f->most[r] = lse[r * a->heads];
        f->sum[r] = 1;
    }
}

void NAME(cpu_attend)(const Attention *a, AttentionHead at, int64_t t, const AttentionForward *f,
                      bool goes_on, real *y, real *lse) {
    int64_t n = least(ATTENTION_QUERIES, a->T - t), end = end_of_keys(a, t, n),
            row = attention_y_row(a);
    real *first = &y[at.y + t * row];
    if (goes_on) take_up(a, n, f, &lse[at.lse + t * a->heads]);
    for (int64_t j = 0; j < end; j += ATTENTION_KEYS) {
        const Block k = {t, n, j, least(ATTENTION_KEYS, end - j), f->row, !j && !goes_on};
        add_scores(a, at, &k, f->s);
        weigh(a, &k, f, first);
        multiply(false, false, n, a->D, k.w, f->s, k.row, &a->v[at.kv + j * a->kv_row], a->kv_row,
                 k.first ? 0 : 1, first, row);
    }
    for (int64_t r = 0; r < n; r++) {
        multiply_all(a->D, 1 / f->sum[r], &first[r * row]);
        if (lse) lse[at.lse + (t + r) * a->heads] = f->most[r] + (real)log((double)f->sum[r]);
    }
}

AttentionForward NAME(cpu_attention_forward)(const KernelCall *call, int64_t T) {
    const AttentionScratch at = attention_scratch(T, sizeof(real));
    return (AttentionForward){scratch_at(call, at.p), scratch_at(call, at.most),
                              scratch_at(call, at.sum), at.keys};
}

void NAME(cpu_attention)(const KernelCall *call) {
    const Attention a = attention_of(call, output(call, 0), 0);
    const AttentionForward f = NAME(cpu_attention_forward)(call, a.T);
    for (int64_t b = 0; b < a.B; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t t = 0; t < a.T; t += ATTENTION_QUERIES) NAME(cpu_attend)
    (&a, attention_head(&a, b, h), t, &f, false, output_data(call, 0), output_data(call, 1));
}

// From scores and dp to p and ds.
static void differentiate(const Attention *a, AttentionHead at, const Block *k,
                          const AttentionBackward *f) {
    for (int64_t r = 0; r < k->n; r++) {
        real *restrict p = &f->p[r * k->row], *restrict ds = &f->ds[r * k->row];
        real delta = f->delta[k->t + r], lse = f->lse[at.lse + (k->t + r) * a->heads];
        int64_t n = seen(a, k, r);
        for (int64_t i = 0; i < n; i++) {
            p[i] = share(p[i] * a->scale, lse);
            ds[i] = p[i] * (ds[i] - delta) * a->scale;
        }
        memset(&p[n], 0, (size_t)(k->w - n) * sizeof *p);
        memset(&ds[n], 0, (size_t)(k->w - n) * sizeof *ds);
    }
}

static void attend_backward(const Attention *a, AttentionHead at, const Block *k,
                            const AttentionBackward *f) {
    int64_t row = attention_y_row(a), q = at.q + k->t * a->q_row, kv = at.kv + k->j * a->kv_row,
            L = k->row;
    const real *dy = &f->dy[at.y + k->t * row];
    add_scores(a, at, k, f->p);
    multiply(false, true, k->n, k->w, a->D, dy, row, &a->v[kv], a->kv_row, 0, f->ds, L);
    differentiate(a, at, k, f);
    multiply(true, false, k->w, a->D, k->n, f->p, L, dy, row, 1, &f->g.dv[kv], a->kv_row);
    multiply(false, false, k->n, a->D, k->w, f->ds, L, &a->k[kv], a->kv_row, 1, &f->g.dq[q],
             a->q_row);
    multiply(true, false, k->w, a->D, k->n, f->ds, L, &a->q[q], a->q_row, 1, &f->g.dk[kv],
             a->kv_row);
}

void NAME(cpu_attend_backward)(const Attention *a, AttentionHead at, const AttentionBackward *f) {
    for (int64_t j = 0; j < a->S; j += ATTENTION_KEYS)
        for (int64_t t = a->causal ? j : 0; t < a->T; t += ATTENTION_QUERIES) {
            int64_t n = least(ATTENTION_QUERIES, a->T - t), end = end_of_keys(a, t, n);
            attend_backward(a, at, &(Block){t, n, j, least(ATTENTION_KEYS, end - j), f->row, false},
                            f);
        }
}

AttentionBackward NAME(cpu_attention_backward_of)(const KernelCall *call, int64_t T,
                                                  AttentionGradients g) {
    const AttentionScratch s = attention_scratch(T, sizeof(real));
    return (AttentionBackward){input_data(call, 0),
                               input_data(call, 2),
                               scratch_at(call, s.p),
                               scratch_at(call, s.ds),
                               scratch_at(call, s.delta),
                               s.keys,
                               g};
}

void NAME(cpu_attention_delta)(const Attention *a, AttentionHead at, const real *y,
                               const AttentionBackward *f) {
    for (int64_t r = 0; r < a->T; r += LANES_ROWS) {
        int64_t row = attention_y_row(a), here = at.y + r * row;
        lanes_products((int)least(LANES_ROWS, a->T - r), a->D, row, &f->dy[here], &y[here], NULL,
                       &f->delta[r]);
    }
}

void NAME(cpu_attention_backward)(const KernelCall *call) {
    const Attention a = attention_of(call, input(call, 0), 3);
    const AttentionBackward f =
        NAME(cpu_attention_backward_of)(call, a.T, attention_gradients(call, &a));
    for (int64_t i = 0; i < a.B * a.heads; i++) {
        AttentionHead at = attention_head(&a, i / a.heads, i % a.heads);
        NAME(cpu_attention_delta)(&a, at, input_data(call, 1), &f);
        NAME(cpu_attend_backward)(&a, at, &f);
    }
}
