// SPDX-License-Identifier: MIT
// Ranges of attributes: heads that divide the channels, as many of keys and values as fit, and real
// ones for which a formula has a value.
#include "core/plan/check_internal.h"
#include "core/plan/expert.h"

#include <math.h>

typedef struct {
    const Program *p;
    const Plan *plan;
    const Op *op;
    const int64_t *attr;
} Asked;

#define REFUSE(a, format, ...)                                                    \
    FAIL(ERR_PLAN, "plan %s: %s: " format, program_name((a)->p, (a)->plan->name), \
         op_name((a)->p, (a)->op), __VA_ARGS__)

static const Tensor *input_of(const Asked *a, int i) {
    return &a->p->tensors[op_inputs(a->plan, a->op)[i]];
}

static Status check_divides(const Asked *a, const char *what, int64_t part, const char *whole,
                            int64_t of) {
    if (part >= 1 && of % part == 0) return OK;
    REFUSE(a, "%s=%lld does not divide %s %lld", what, (long long)part, whole, (long long)of);
}

static Status check_channels(const Asked *a, const char *what, int64_t has, int64_t want) {
    if (has == want) return OK;
    REFUSE(a, "heads=%lld, kv_heads=%lld: %s has %lld channels, not %lld", (long long)a->attr[0],
           (long long)a->attr[1], what, (long long)has, (long long)want);
}

// C = heads D; keys and values have kv_heads D channels, packed ones (heads + 2 kv_heads) D. The
// operation's other operands match already. The inputs from `first` on are q, k and v, or qkv.
static Status check_heads(const Asked *a, bool backward) {
    int first = backward ? 3 : 0;
    bool packed = a->op->inputs == first + 1;
    int32_t y = backward ? op_inputs(a->plan, a->op)[0] : op_outputs(a->plan, a->op)[0];
    int64_t heads = a->attr[0], kv_heads = a->attr[1], C = a->p->tensors[y].shape[2];
    TRY(check_divides(a, "heads", heads, "channels", C));
    TRY(check_divides(a, "kv_heads", kv_heads, "heads", heads));
    if (a->attr[2] != 0 && a->attr[2] != 1)
        REFUSE(a, "causal is %lld, expected 0 or 1", (long long)a->attr[2]);
    int64_t D = C / heads;
    return packed
               ? check_channels(a, "qkv", input_of(a, first)->shape[2], (heads + 2 * kv_heads) * D)
               : check_channels(a, "v", input_of(a, first + 2)->shape[2], kv_heads * D);
}

// Of query, key and value side by side, the last input, a head has D channels; of y and dy all
// heads of queries have C, of dv those of values G.
static Status check_matrix(const Asked *a) {
    const int32_t *in = op_inputs(a->plan, a->op), *out = op_outputs(a->plan, a->op);
    int64_t heads = a->attr[0], kv_heads = a->attr[1];
    const Tensor *qkv = input_of(a, a->op->inputs - 1);
    if (heads < 1 || heads > INT32_MAX)
        REFUSE(a, "heads=%lld, expected 1 or more", (long long)heads);
    TRY(check_divides(a, "kv_heads", kv_heads, "heads", heads));
    if (qkv->shape[2] % (heads + 2 * kv_heads))
        REFUSE(a, "heads=%lld, kv_heads=%lld do not divide the %lld channels of qkv",
               (long long)heads, (long long)kv_heads, (long long)qkv->shape[2]);
    int64_t D = qkv->shape[2] / (heads + 2 * kv_heads);
    switch (op_kind(a->p, a->op)) {
    case KIND_ATTENTION_VALUES:
        return check_channels(a, "y", a->p->tensors[out[0]].shape[2], heads * D);
    case KIND_ATTENTION_SCORES_BACKWARD:
        return check_channels(a, "dv", a->p->tensors[in[1]].shape[2], kv_heads * D);
    case KIND_ATTENTION_VALUES_BACKWARD:
        TRY(check_channels(a, "dv", a->p->tensors[out[1]].shape[2], kv_heads * D));
        return check_channels(a, "dy", a->p->tensors[in[0]].shape[2], heads * D);
    default: return OK;
    }
}

// Pairs of channels are turned in each head.
static Status check_rotary(const Asked *a, double theta) {
    int64_t heads = a->attr[0], C = input_of(a, 0)->shape[2];
    TRY(check_divides(a, "heads", heads, "channels", C));
    if (C / heads % 2)
        REFUSE(a, "heads=%lld: a head has %lld channels, which are not pairs", (long long)heads,
               (long long)(C / heads));
    if (!(theta > 0 && isfinite(theta))) REFUSE(a, "theta is %g, expected more than 0", theta);
    return OK;
}

static Status check_rate(const Asked *a, double rate) {
    if (!(rate >= 0 && rate < 1)) REFUSE(a, "rate is %g, expected 0 to less than 1", rate);
    return OK;
}

static Status check_dropout(const Asked *a, double rate) {
    TRY(check_rate(a, rate));
    if (a->attr[1] < 0 || a->attr[1] > UINT32_MAX)
        REFUSE(a, "layer is %lld, expected a number of 32 bits", (long long)a->attr[1]);
    return OK;
}

// Elements of a whole row, and of one element of its dimension 1, are those of x unless attributes
// say that there are more.
static Status check_places(const Asked *a) {
    static const char *const names[] = {"row", "inner"};
    const Tensor *x = input_of(a, 0);
    const Logical *whole = &a->p->logicals[x->logical];
    for (int k = 0; k < 2; k++) {
        int64_t has = 1, want = 1;
        for (int d = k + 1; d < x->dims; d++) has *= x->shape[d];
        for (int d = k + 1; d < whole->dims; d++) want *= whole->shape[d];
        if (a->attr[2 + k]) has = a->attr[2 + k];
        if (has != want)
            REFUSE(a, "%s=%lld, but %s has %lld of those elements", names[k], (long long)has,
                   program_name(a->p, whole->name), (long long)want);
    }
    return OK;
}

static Status check_eps(const Asked *a, double eps) {
    if (!(eps >= 0 && isfinite(eps))) REFUSE(a, "eps is %g, expected 0 or more", eps);
    return OK;
}

// At least 0 and at most 1; `below`: less than 1.
static Status check_share(const Asked *a, const char *what, double share, bool below) {
    if (!(share >= 0 && share <= 1) || (below && share == 1))
        REFUSE(a, "%s is %g, expected 0 to %s1", what, share, below ? "less than " : "");
    return OK;
}

static Status check_adam(const Asked *a, const Work *w) {
    TRY(check_share(a, "beta1", work_real(a->p, w, 0), true));
    TRY(check_share(a, "beta2", work_real(a->p, w, 1), true));
    TRY(check_eps(a, work_real(a->p, w, 2)));
    if (a->attr[4] != 0 && a->attr[4] != 1)
        REFUSE(a, "decoupled is %lld, expected 0 or 1", (long long)a->attr[4]);
    return OK;
}

static Status check_clip(const Asked *a, double max_norm) {
    if (!(max_norm >= 0)) REFUSE(a, "max_norm is %g, expected 0 (none) or more", max_norm);
    return OK;
}

// Three sums of a row, and a fourth for label smoothing; classes of the whole vocabulary.
static Status check_vocabulary(const Asked *a, double smoothing) {
    bool backward = op_kind(a->p, a->op) == KIND_VOCABULARY_LOSS_BACKWARD;
    const Tensor *sums = input_of(a, backward);
    const Logical *rows = &a->p->logicals[input_of(a, 0)->logical];
    int64_t has = sums->shape[sums->dims - 1], classes = rows->shape[rows->dims - 1];
    TRY(check_share(a, "smoothing", smoothing, false));
    if (has != 3 && has != 4) REFUSE(a, "%lld sums of a row, expected 3 or 4", (long long)has);
    if (smoothing > 0 && has < 4)
        REFUSE(a, "smoothing=%g needs a fourth sum of each row, and there are 3", smoothing);
    if (backward && a->attr[0] != classes)
        REFUSE(a, "classes=%lld, but %s has %lld", (long long)a->attr[0],
               program_name(a->p, rows->name), (long long)classes);
    if (a->attr[0] < 1) REFUSE(a, "classes=%lld, expected 1 or more", (long long)a->attr[0]);
    return OK;
}

static Status check_switch(const Asked *a, const char *what, int64_t value) {
    if (value != 0 && value != 1) REFUSE(a, "%s is %lld, expected 0 or 1", what, (long long)value);
    return OK;
}

// Slots are numbered in 32 bits.
static Status check_route(const Asked *a, double capacity) {
    const Tensor *z = input_of(a, 0), *gates = &a->p->tensors[op_outputs(a->plan, a->op)[0]];
    int64_t E = z->shape[z->dims - 1], K = gates->shape[gates->dims - 1];
    TRY(check_switch(a, "normalise", a->attr[0]));
    if (!(capacity > 0 && isfinite(capacity)))
        REFUSE(a, "capacity is %g, expected more than 0", capacity);
    if (K > E)
        REFUSE(a, "a token has %lld choices, but there are %lld experts", (long long)K,
               (long long)E);
    if (tensor_elements(z) > INT32_MAX)
        REFUSE(a, "%lld slots are more than 32 bits can number", (long long)tensor_elements(z));
    return OK;
}

static Status check_balance(const Asked *a, double balance) {
    if (!(balance >= 0 && isfinite(balance)))
        REFUSE(a, "balance is %g, expected 0 or more", balance);
    return OK;
}

// A row for each layer, with room for its balance, what is dropped, and each expert.
static Status check_counts(const Asked *a) {
    const Tensor *counts = &a->p->tensors[op_outputs(a->plan, a->op)[0]];
    int64_t E = input_of(a, 1)->shape[1];
    if (counts->shape[1] != E + EXPERT_CHOSEN)
        REFUSE(a, "%lld counts for %lld experts, expected %lld", (long long)counts->shape[1],
               (long long)E, (long long)E + EXPERT_CHOSEN);
    if (a->attr[0] < 0 || a->attr[0] >= counts->shape[0])
        REFUSE(a, "layer is %lld, expected 0 to %lld", (long long)a->attr[0],
               (long long)counts->shape[0] - 1);
    return OK;
}

Status check_attributes(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    if (!w->attr_count) return OK;
    const Asked a = {p, plan, op, p->attrs + w->attr_first};
    switch (work_kind(w)) {
    case KIND_ATTENTION:
    case KIND_ATTENTION_BLOCK:
    case KIND_ATTENTION_PACKED: return check_heads(&a, false);
    case KIND_ATTENTION_BACKWARD:
    case KIND_ATTENTION_BLOCK_BACKWARD:
    case KIND_ATTENTION_PACKED_BACKWARD: return check_heads(&a, true);
    case KIND_ATTENTION_SCORES:
    case KIND_ATTENTION_SCORES_BACKWARD:
    case KIND_ATTENTION_VALUES:
    case KIND_ATTENTION_VALUES_BACKWARD: return check_matrix(&a);
    case KIND_ATTENTION_SOFTMAX:
    case KIND_ATTENTION_SOFTMAX_BACKWARD: return check_switch(&a, "causal", a.attr[0]);
    case KIND_BATCH_NORM:
    case KIND_BATCH_NORM_INFERENCE:
    case KIND_BATCH_NORM_REDUCE:
    case KIND_BATCH_NORM_BACKWARD_INPUT:
    case KIND_LAYER_NORM:
    case KIND_LAYER_NORM_BACKWARD_INPUT:
    case KIND_LAYER_NORM_BACKWARD_WEIGHT:
    case KIND_RMS_NORM:
    case KIND_RMS_NORM_BACKWARD_INPUT:
    case KIND_RMS_NORM_BACKWARD_WEIGHT: return check_eps(&a, work_real(p, w, 0));
    case KIND_ROTARY:
    case KIND_ROTARY_BACKWARD: return check_rotary(&a, work_real(p, w, 1));
    case KIND_DROPOUT:
    case KIND_DROPOUT_BACKWARD: TRY(check_dropout(&a, work_real(p, w, 0))); return check_places(&a);
    case KIND_DROPOUT_MASK_BACKWARD: return check_rate(&a, work_real(p, w, 0));
    case KIND_BATCH_NORM_UPDATE: return check_share(&a, "momentum", work_real(p, w, 0), false);
    case KIND_ADAM: return check_adam(&a, w);
    case KIND_CROSS_ENTROPY:
    case KIND_CROSS_ENTROPY_BACKWARD:
        return check_share(&a, "smoothing", work_real(p, w, 0), false);
    case KIND_VOCABULARY_LOSS:
    case KIND_VOCABULARY_LOSS_BACKWARD: return check_vocabulary(&a, work_real(p, w, 1));
    case KIND_ROUTE: return check_route(&a, work_real(p, w, 1));
    case KIND_ROUTE_BACKWARD:
        TRY(check_switch(&a, "normalise", a.attr[0]));
        return check_balance(&a, work_real(p, w, 1));
    case KIND_BALANCE: TRY(check_balance(&a, work_real(p, w, 1))); return check_counts(&a);
    case KIND_COUNT_CHOICES: return check_counts(&a);
    case KIND_CLIP: return check_clip(&a, work_real(p, w, 0));
    default: return OK;
    }
}
