// SPDX-License-Identifier: MIT
// A mixture of experts in the place of a feed-forward layer, as Mixtral has it (Jiang et al.,
// 2024): a router, `gate`, sends each token to `top_k` of `count` experts, and adds up what they
// give, weighted. An expert is w2 (silu(w1 x) · w3 x), of `hidden` units. core/plan/expert.h says
// what queues are, core/device/reference/route.c how tokens are routed and what balances the
// experts. Start with forward().
#include "core/nn/layers/layer_internal.h"
#include "core/plan/expert.h"

#include <string.h>

enum { GATE, W1, W3, W2 };  // parameters
enum {                      // extra values of the forward
    LOGITS,
    GATES,
    SLOT,
    PROBABILITY,
    LOAD,
    CHOSEN,
    SENT,
    GATED,
    UP,
    HIDDEN,
    GIVEN,
    // of the backward
    DGIVEN,
    DGATES,
    DHIDDEN,
    DGATED,
    DUP,
    DLOGITS,
    DSENT1,
    DSENT3,
    DSENT,
    DX_SENT,
    DX_GATE
};

static int64_t count_of(const Layer *l) { return l->attribute[ATTRIBUTE_COUNT_OF]; }
static int64_t top_k(const Layer *l) { return l->attribute[ATTRIBUTE_TOP_K]; }
static int64_t hidden(const Layer *l) { return l->attribute[ATTRIBUTE_HIDDEN]; }

// --- shapes

// One report counts the choices of all such layers.
static Status check_like_others(const Model *m, const Layer *l) {
    for (const Layer *other = m->layers; other < l; other++)
        if (other->row == l->row && count_of(other) != count_of(l))
            LAYER_FAIL(ERR_SHAPE, m, l, "count=%lld, but %s has %lld: all have as many experts",
                       (long long)count_of(l), other->name, (long long)count_of(other));
    return OK;
}

static Status check(const Model *m, const Layer *l) {
    TRY(layer_check_vectors(m, l));
    if (top_k(l) > count_of(l))
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "top_k=%lld of %lld experts: a token goes to each of them once at most",
                   (long long)top_k(l), (long long)count_of(l));
    if (layer_gives(l, ATTRIBUTE_BALANCE) && l->real[ATTRIBUTE_BALANCE] > 0 && m->masked)
        LAYER_FAIL(ERR_SHAPE, m, l, "balance=%g: there is none of tokens that are masked%s",
                   l->real[ATTRIBUTE_BALANCE], "; leave it out");
    return check_like_others(m, l);
}

static void add_weight(Layer *l, const char *name, int dims, const int64_t *shape) {
    layer_add_normal(l, name, dims, shape, l->real[ATTRIBUTE_STD]);
}

// Without capacity= nothing is dropped: a queue has room for all tokens.
static Status infer(const Model *m, Layer *l) {
    int64_t E = count_of(l), C = l->in[l->in_dims - 1], F = hidden(l);
    TRY(check(m, l));
    layer_keep_shape(l);
    if (!layer_gives(l, ATTRIBUTE_STD)) l->real[ATTRIBUTE_STD] = 0.02;
    add_weight(l, "gate.weight", 2, (const int64_t[]){E, C});
    add_weight(l, "experts.w1.weight", 3, (const int64_t[]){E, F, C});
    add_weight(l, "experts.w3.weight", 3, (const int64_t[]){E, F, C});
    add_weight(l, "experts.w2.weight", 3, (const int64_t[]){E, C, F});
    if (!layer_gives(l, ATTRIBUTE_BALANCE)) l->real[ATTRIBUTE_BALANCE] = m->masked ? 0 : 0.01;
    if (!layer_gives(l, ATTRIBUTE_NORMALISE)) l->attribute[ATTRIBUTE_NORMALISE] = top_k(l) > 1;
    if (!layer_gives(l, ATTRIBUTE_CAPACITY))
        l->real[ATTRIBUTE_CAPACITY] = (double)E / (double)top_k(l);
    return OK;
}

// The router, and three products for each choice: as if none were dropped, and no slot empty.
static int64_t flops(const Layer *l) {
    int64_t each, flops, choices = 6 * top_k(l);
    bool fits = !__builtin_mul_overflow(choices, hidden(l), &each) &&
                !__builtin_add_overflow(each, 2 * count_of(l), &each) &&
                !__builtin_mul_overflow(layer_elements(l->in, l->in_dims), each, &flops);
    return fits ? flops : INT64_MAX;
}

// --- operations

static Status add_rows(Graph *g, int i, int k, const char *what, Dtype dtype, int64_t last) {
    const Layer *l = &g->m->layers[i];
    int64_t shape[DIMS];
    memcpy(shape, l->in, sizeof shape);
    shape[l->in_dims - 1] = last;
    return graph_extra(g, i, k, VALUE_ROWS, what, dtype, l->in_dims, shape);
}

static Status add_queues(Graph *g, int i, int k, const char *what, int64_t channels) {
    const int64_t shape[] = {1, count_of(&g->m->layers[i]), 0, channels};
    return graph_extra(g, i, k, VALUE_QUEUES, what, g->dtype, 4, shape);
}

static Status add_lengths(Graph *g, int i, int k, const char *what) {
    const int64_t shape[] = {1, count_of(&g->m->layers[i])};
    return graph_extra(g, i, k, VALUE_QUEUES, what, DTYPE_I64, 2, shape);
}

static Status add_op(Graph *g, int i, Kind kind, Phase phase, const char *what,
                     const int64_t *attrs, Values outputs, Values inputs) {
    const GraphOp op = {.kind = kind, .phase = phase, .what = what};
    return graph_op(g, i, &op, attrs, outputs, inputs);
}

static Status route(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int64_t attrs[] = {l->attribute[ATTRIBUTE_NORMALISE],
                             build_attr_real(l->real[ATTRIBUTE_CAPACITY])};
    const int *extra = g->extra[i];
    Dtype wide = dtype_wide(g->dtype);
    TRY(add_rows(g, i, LOGITS, "logits", g->dtype, count_of(l)));
    TRY(add_rows(g, i, GATES, "gates", wide, top_k(l)));
    TRY(add_rows(g, i, SLOT, "slot", DTYPE_I32, top_k(l)));
    TRY(add_rows(g, i, PROBABILITY, "probability", wide, count_of(l)));
    TRY(add_lengths(g, i, LOAD, "load"));
    TRY(add_lengths(g, i, CHOSEN, "chosen"));
    TRY(add_op(g, i, KIND_LINEAR, PHASE_FORWARD, "gate", NULL, VALUES(extra[LOGITS]),
               VALUES(graph_input(g, i, 0), g->parameters[i][GATE])));
    return add_op(g, i, KIND_ROUTE, PHASE_FORWARD, "route", attrs,
                  VALUES(extra[GATES], extra[SLOT], extra[PROBABILITY], extra[LOAD], extra[CHOSEN]),
                  VALUES(extra[LOGITS]));
}

static Status multiply(Graph *g, int i, const char *what, int y, int x, int weight) {
    return add_op(g, i, KIND_EXPERT_LINEAR, PHASE_FORWARD, what, NULL, VALUES(g->extra[i][y]),
                  VALUES(g->extra[i][x], g->parameters[i][weight], g->extra[i][LOAD]));
}

static Status forward(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int *extra = g->extra[i];
    int64_t C = l->in[l->in_dims - 1];
    int y;
    TRY(graph_output(g, i, NONE, &y));
    TRY(route(g, i));
    TRY(add_queues(g, i, SENT, "sent", C));
    TRY(add_queues(g, i, GATED, "gated", hidden(l)));
    TRY(add_queues(g, i, UP, "up", hidden(l)));
    TRY(add_queues(g, i, HIDDEN, "hidden", hidden(l)));
    TRY(add_queues(g, i, GIVEN, "given", C));
    TRY(add_op(g, i, KIND_DISPATCH, PHASE_FORWARD, "dispatch", NULL, VALUES(extra[SENT]),
               VALUES(graph_input(g, i, 0), extra[SLOT])));
    TRY(multiply(g, i, "w1", GATED, SENT, W1));
    TRY(multiply(g, i, "w3", UP, SENT, W3));
    TRY(add_op(g, i, KIND_SWIGLU, PHASE_FORWARD, "swiglu", NULL, VALUES(extra[HIDDEN]),
               VALUES(extra[GATED], extra[UP])));
    TRY(multiply(g, i, "w2", GIVEN, HIDDEN, W2));
    return add_op(g, i, KIND_COMBINE, PHASE_FORWARD, "combine", NULL, VALUES(y),
                  VALUES(extra[GIVEN], extra[SLOT], extra[GATES]));
}

// The loss is divided by labels, and this one by tokens, of which a sample may have more.
static int64_t balance_attr(const Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    double labels = g->m->tokens ? (double)g->m->input[0] : 1;
    double tokens = l->in_dims == 2 ? (double)l->in[0] : 1;
    return build_attr_real(l->real[ATTRIBUTE_BALANCE] * labels / tokens);
}

// Is it a layer of experts that the loss depends on?
static bool is_counted(const Graph *g, int i) {
    return g->m->layers[i].used && g->m->layers[i].row == &layer_experts;
}

// Which of these layers it is; how many there are.
static int number_of(const Graph *g, int i, int *all) {
    int number = 0;
    *all = 0;
    for (int k = 0; k < g->m->layer_count; k++) {
        number += is_counted(g, k) && k < i;
        *all += is_counted(g, k);
    }
    return number;
}

static bool balances(const Graph *g) {
    bool one = false;
    for (int k = 0; k < g->m->layer_count; k++)
        one |= is_counted(g, k) && g->m->layers[k].real[ATTRIBUTE_BALANCE] > 0;
    return one;
}

// Layers have sums of their own, which may be on different ranks, over the micro-batches of a shard
// (docs/contract.md, 3).
static Status loss(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int *extra = g->extra[i];
    int layers, number = number_of(g, i, &layers);
    const int64_t attrs[] = {number, balance_attr(g, i)};
    GraphOp op = {.kind = KIND_COUNT_CHOICES,
                  .phase = PHASE_FORWARD,
                  .what = "count",
                  .flags = number ? OP_ACCUMULATE : 0,
                  .accumulates = true};
    TRY(graph_counts(g, layers, EXPERT_CHOSEN + count_of(l)));
    TRY(graph_op(g, i, &op, attrs, VALUES(g->counts), VALUES(extra[SLOT], extra[CHOSEN])));
    op = (GraphOp){
        .kind = KIND_BALANCE, .phase = PHASE_FORWARD, .what = "balance", .flags = OP_ACCUMULATE};
    if (l->real[ATTRIBUTE_BALANCE] > 0)
        TRY(graph_op(g, i, &op, attrs, VALUES(g->counts),
                     VALUES(extra[PROBABILITY], extra[CHOSEN], g->inverse_count)));
    op = (GraphOp){.kind = KIND_ADD_BALANCE,
                   .phase = PHASE_FORWARD,
                   .what = "add_balance",
                   .flags = OP_ACCUMULATE,
                   .of_last = true};
    if (number + 1 < layers || !balances(g)) return OK;
    return graph_op(g, i, &op, NULL, VALUES(g->loss), VALUES(g->counts));
}

// --- the backward

static Status weight_gradient(Graph *g, int i, const char *what, int weight, int x, int dy) {
    const GraphOp op = {.kind = KIND_EXPERT_LINEAR_BACKWARD_WEIGHT,
                        .phase = PHASE_BACKWARD,
                        .what = what,
                        .accumulates = true};
    if (g->gradients[i][weight] == NONE) return OK;
    return graph_op(g, i, &op, NULL, VALUES(g->gradients[i][weight]),
                    VALUES(g->extra[i][x], g->extra[i][dy], g->extra[i][LOAD]));
}

static Status input_gradient(Graph *g, int i, const char *what, int dx, int dy, int weight) {
    return add_op(g, i, KIND_EXPERT_LINEAR_BACKWARD_INPUT, PHASE_BACKWARD, what, NULL,
                  VALUES(g->extra[i][dx]),
                  VALUES(g->extra[i][dy], g->parameters[i][weight], g->extra[i][LOAD]));
}

static Status backward_experts(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int *extra = g->extra[i];
    TRY(add_queues(g, i, DGIVEN, "dgiven", l->in[l->in_dims - 1]));
    TRY(add_rows(g, i, DGATES, "dgates", dtype_wide(g->dtype), top_k(l)));
    TRY(add_queues(g, i, DHIDDEN, "dhidden", hidden(l)));
    TRY(add_queues(g, i, DGATED, "dgated", hidden(l)));
    TRY(add_queues(g, i, DUP, "dup", hidden(l)));
    TRY(add_op(g, i, KIND_COMBINE_BACKWARD, PHASE_BACKWARD, "combine_backward", NULL,
               VALUES(extra[DGIVEN], extra[DGATES]),
               VALUES(g->dy[i], extra[GIVEN], extra[SLOT], extra[GATES])));
    TRY(weight_gradient(g, i, "w2_backward_weight", W2, HIDDEN, DGIVEN));
    TRY(input_gradient(g, i, "w2_backward_input", DHIDDEN, DGIVEN, W2));
    TRY(add_op(g, i, KIND_SWIGLU_BACKWARD, PHASE_BACKWARD, "swiglu_backward", NULL,
               VALUES(extra[DGATED], extra[DUP]), VALUES(extra[DHIDDEN], extra[GATED], extra[UP])));
    TRY(weight_gradient(g, i, "w3_backward_weight", W3, SENT, DUP));
    return weight_gradient(g, i, "w1_backward_weight", W1, SENT, DGATED);
}

static Status backward_router(Graph *g, int i) {
    const Layer *l = &g->m->layers[i];
    const int *extra = g->extra[i];
    const int64_t attrs[] = {l->attribute[ATTRIBUTE_NORMALISE], balance_attr(g, i)};
    TRY(add_rows(g, i, DLOGITS, "dlogits", g->dtype, count_of(l)));
    TRY(add_op(
        g, i, KIND_ROUTE_BACKWARD, PHASE_BACKWARD, "route_backward", attrs, VALUES(extra[DLOGITS]),
        VALUES(extra[DGATES], extra[PROBABILITY], extra[SLOT], extra[CHOSEN], g->scaled_count)));
    return graph_backward_weight(g, i, KIND_LINEAR_BACKWARD_WEIGHT, NULL,
                                 VALUES(g->gradients[i][GATE]),
                                 VALUES(graph_input(g, i, 0), extra[DLOGITS]));
}

// The input went to the experts, through w1 and w3, and to the router.
static Status backward_input(Graph *g, int i) {
    const int *extra = g->extra[i];
    int64_t C = g->m->layers[i].in[g->m->layers[i].in_dims - 1];
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    TRY(add_queues(g, i, DSENT1, "dsent.w1", C));
    TRY(add_queues(g, i, DSENT3, "dsent.w3", C));
    TRY(add_queues(g, i, DSENT, "dsent", C));
    TRY(add_rows(g, i, DX_SENT, "dx.sent", g->dtype, C));
    TRY(add_rows(g, i, DX_GATE, "dx.gate", g->dtype, C));
    TRY(input_gradient(g, i, "w1_backward_input", DSENT1, DGATED, W1));
    TRY(input_gradient(g, i, "w3_backward_input", DSENT3, DUP, W3));
    TRY(add_op(g, i, KIND_ADD, PHASE_BACKWARD, "add_sent", NULL, VALUES(extra[DSENT]),
               VALUES(extra[DSENT1], extra[DSENT3])));
    TRY(add_op(g, i, KIND_DISPATCH_BACKWARD, PHASE_BACKWARD, "dispatch_backward", NULL,
               VALUES(extra[DX_SENT]), VALUES(extra[DSENT], extra[SLOT])));
    TRY(add_op(g, i, KIND_LINEAR_BACKWARD_INPUT, PHASE_BACKWARD, "gate_backward_input", NULL,
               VALUES(extra[DX_GATE]), VALUES(extra[DLOGITS], g->parameters[i][GATE])));
    return graph_backward_input(g, i, KIND_ADD, NULL, VALUES(dx),
                                VALUES(extra[DX_SENT], extra[DX_GATE]));
}

static Status backward(Graph *g, int i) {
    TRY(backward_experts(g, i));
    TRY(backward_router(g, i));
    return graph_wants(g, i, 0) ? backward_input(g, i) : OK;
}

const LayerRow layer_experts = {
    .word = "experts",
    .stem = "moe",
    .required = LAYER_TAKES(COUNT_OF) | LAYER_TAKES(TOP_K) | LAYER_TAKES(HIDDEN),
    .optional = LAYER_TAKES(CAPACITY) | LAYER_TAKES(BALANCE) | LAYER_TAKES(NORMALISE) |
                LAYER_TAKES(STD) | LAYER_TAKES(TRAINABLE),
    .inputs = 1,
    .infer = infer,
    .flops = flops,
    .forward = forward,
    .loss = loss,
    .backward = backward,
};
