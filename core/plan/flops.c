// SPDX-License-Identifier: MIT
// Formulas of arithmetic: one for the products of layers and each of their two backward operations,
// which do as much, one for sums, one for attention and its backward; see flops.h.
#include "core/plan/flops.h"

static bool (*const rules[KIND_COUNT])(const Program *p, const OpSpec *op, int64_t *out) = {
#define X(constant, name, class, rule, flops, attributes, operands) flops_rule_##flops,
    KIND_LIST(X)
#undef X
};

bool flops_rule_none(const Program *p, const OpSpec *op, int64_t *out) {
    (void)p, (void)op;
    *out = 0;
    return true;
}

// One addition an element of what is written.
bool flops_rule_outputs(const Program *p, const OpSpec *op, int64_t *out) {
    *out = 0;
    for (int i = 0; i < op->output_count; i++)
        if (__builtin_add_overflow(*out, tensor_elements(&p->tensors[op->outputs[i]]), out))
            return false;
    return true;
}

// Each element of y is a sum of as many products as a row of the weight has elements.
static bool product(const Program *p, const int32_t *y, const int32_t *weight, int64_t *out) {
    *out = 0;
    if (!y || !weight) return true;
    const Tensor *w = &p->tensors[*weight];
    *out = 2;
    bool fits = !__builtin_mul_overflow(*out, tensor_elements(&p->tensors[*y]), out);
    for (int d = 1; d < w->dims; d++)
        fits = fits && !__builtin_mul_overflow(*out, w->shape[d], out);
    return fits;
}

static const int32_t *output(const OpSpec *op, int i) {
    return i < op->output_count ? &op->outputs[i] : NULL;
}
static const int32_t *input(const OpSpec *op, int i) {
    return i < op->input_count ? &op->inputs[i] : NULL;
}

bool flops_rule_product(const Program *p, const OpSpec *op, int64_t *out) {
    return product(p, output(op, 0), input(op, 1), out);
}

bool flops_rule_product_dx(const Program *p, const OpSpec *op, int64_t *out) {
    return product(p, input(op, 0), input(op, 1), out);
}

bool flops_rule_product_dw(const Program *p, const OpSpec *op, int64_t *out) {
    return product(p, input(op, 1), output(op, 0), out);
}

// Every slot of the experts' queues, in use or not, by the weight of its expert: each element of y
// is a sum of C products, x having C channels.
static bool expert_product(const Program *p, const int32_t *y, const int32_t *x, int64_t *out) {
    *out = 0;
    if (!y || !x || p->tensors[*x].dims != 4) return true;
    return !__builtin_mul_overflow(2 * p->tensors[*x].shape[3], tensor_elements(&p->tensors[*y]),
                                   out);
}

bool flops_rule_expert_product(const Program *p, const OpSpec *op, int64_t *out) {
    return expert_product(p, output(op, 0), input(op, 0), out);
}

bool flops_rule_expert_product_dx(const Program *p, const OpSpec *op, int64_t *out) {
    return expert_product(p, input(op, 0), output(op, 0), out);
}

bool flops_rule_expert_product_dw(const Program *p, const OpSpec *op, int64_t *out) {
    return expert_product(p, input(op, 1), input(op, 0), out);
}

// Each pair of a query and a key that it sees costs `products` products of a head's length, of
// 2 C flops for all heads. Each of T queries sees T keys, or with causal=1 those up to itself.
static bool pairs(const OpSpec *op, const Tensor *y, int products, int64_t *out) {
    int64_t B = y->shape[0], T = y->shape[1], C = y->shape[2], sum;
    *out = 2 * products;
    if (__builtin_add_overflow(T, 1, &sum)) return false;
    int64_t keys = op->attrs[2] ? sum : T;  // twice as many, if causal
    bool fits = !__builtin_mul_overflow(T, keys, &sum);
    if (fits && op->attrs[2]) sum /= 2;
    return fits && !__builtin_mul_overflow(*out, B, out) && !__builtin_mul_overflow(*out, C, out) &&
           !__builtin_mul_overflow(*out, sum, out);
}

static bool attention(const Program *p, const OpSpec *op, const int32_t *y, int products,
                      int64_t *out) {
    *out = 0;
    if (!y || p->tensors[*y].dims != 3) return true;
    return pairs(op, &p->tensors[*y], products, out);
}

// Scores, and the values that they weigh.
bool flops_rule_attention(const Program *p, const OpSpec *op, int64_t *out) {
    return attention(p, op, output(op, 0), 2, out);
}

// The scores again, the gradients of the probabilities, of query, key and value.
bool flops_rule_attention_backward(const Program *p, const OpSpec *op, int64_t *out) {
    return attention(p, op, input(op, 0), 5, out);
}

// One product of all queries and keys of a head forward, two backward, causal or not. qkv is the
// last input, and the matrix has four dimensions.
bool flops_rule_attention_matrix(const Program *p, const OpSpec *op, int64_t *out) {
    bool backward =
        op->kind == KIND_ATTENTION_SCORES_BACKWARD || op->kind == KIND_ATTENTION_VALUES_BACKWARD;
    *out = 0;
    if (!op->input_count || !op->output_count) return true;
    const Tensor *matrix = &p->tensors[op->outputs[0]],
                 *qkv = &p->tensors[op->inputs[op->input_count - 1]];
    for (int i = 0; i < op->input_count && matrix->dims != 4; i++)
        matrix = &p->tensors[op->inputs[i]];
    int64_t heads = op->attrs[0] + 2 * op->attrs[1];
    if (matrix->dims != 4 || qkv->dims != 3 || heads < 1) return true;
    *out = 2 * (backward ? 2 : 1);
    return !__builtin_mul_overflow(*out, tensor_elements(matrix), out) &&
           !__builtin_mul_overflow(*out, qkv->shape[2] / heads, out);
}

// How the positions of a piece are cut, and the block of which coordinate before it is.
static Placement cut_of(const Program *p, const int32_t *piece) {
    for (int a = 0; piece && a < p->axis_count; a++) {
        Placement how = p->tensors[*piece].placement[a];
        if (how.place == PLACE_SHARD && how.cut != CUT_FLAT && how.dim == 1) return how;
    }
    return PLACEMENT_REPLICATED;
}

// Pairs of a block, of which all ranks have as many where a causal sequence is cut in a zigzag: of
// chunks of L positions the block of a rank's own two makes 2 L (L + 1/2) pairs, another rank's
// 2 L². Where it is cut contiguously the most that a rank can have.
static bool block(const Program *p, const OpSpec *op, const int32_t *y, const int32_t *k,
                  int products, int64_t *out) {
    *out = 0;
    if (!y || p->tensors[*y].dims != 3) return true;
    const Placement cut = cut_of(p, k);
    const int64_t own[] = {0, 0, op->attrs[2] && !cut.shift};
    OpSpec whole = *op;
    whole.attrs = own;
    if (!pairs(&whole, &p->tensors[*y], products, out)) return false;
    if (op->attrs[2] && cut.shift && cut.cut == CUT_ZIGZAG) *out /= 2;
    return true;
}

bool flops_rule_attention_block(const Program *p, const OpSpec *op, int64_t *out) {
    return block(p, op, output(op, 0), input(op, 1), 2, out);
}

bool flops_rule_attention_block_backward(const Program *p, const OpSpec *op, int64_t *out) {
    return block(p, op, input(op, 0), input(op, 4), 5, out);
}

// Every element of a matrix meets every column of a factor.
bool flops_rule_low_rank(const Program *p, const OpSpec *op, int64_t *out) {
    bool whole = op->kind == KIND_LOW_RANK_WHOLE, alone = op->kind == KIND_ORTHOGONALISE;
    const int32_t *x = whole ? output(op, 0) : input(op, 0),
                  *factor = input(op, whole || alone ? 0 : 1);
    *out = 2;
    if (!x || !factor) *out = 0;
    return !*out || (!__builtin_mul_overflow(*out, tensor_elements(&p->tensors[*x]), out) &&
                     !__builtin_mul_overflow(*out, p->tensors[*factor].shape[1], out));
}

Status flops_of_spec(const Program *p, const OpSpec *op, int64_t *out) {
    if (rules[op->kind](p, op, out)) return OK;
    FAIL(ERR_PLAN, "operation %s: more than %lld flops", op->name, (long long)INT64_MAX);
}

static Status add_flops(const Program *p, const Plan *plan, const Op *op, int64_t *sum) {
    const Work *w = op_work(p, op);
    int64_t own;
    TRY(flops_of_spec(p,
                      &(OpSpec){.name = op_name(p, op),
                                .kind = op_kind(p, op),
                                .attrs = w->attr_count ? p->attrs + w->attr_first : NULL,
                                .outputs = op_outputs(plan, op),
                                .inputs = op_inputs(plan, op),
                                .output_count = op->outputs,
                                .input_count = op->inputs},
                      &own));
    if (!__builtin_add_overflow(*sum, own, sum)) return OK;
    FAIL(ERR_PLAN, "operation %s: more than %lld flops", op_name(p, op), (long long)INT64_MAX);
}

Status flops_of_op(const Program *p, const Plan *plan, const Op *op, int64_t *out) {
    *out = 0;
    TRY(add_flops(p, plan, op, out));
    for (int i = 0; i < op->member_count; i++)
        TRY(add_flops(p, plan, &plan->members[op->member_first + i], out));
    return OK;
}
