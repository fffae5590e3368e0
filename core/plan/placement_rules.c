// SPDX-License-Identifier: MIT
// The rules of computations. Start with placement_rule_contraction(): column- and row-parallel
// products (Megatron, Shoeybi et al. 2019) follow from where its operands are cut.
#include "core/plan/placement_rules.h"

Placement along_input(const Along *a, int i) {
    return i < a->op->inputs ? a->state[op_inputs(a->plan, a->op)[i] * AXES + a->axis]
                             : PLACEMENT_REPLICATED;
}

Placement along_output(const Along *a, int o) {
    return a->state[op_outputs(a->plan, a->op)[o] * AXES + a->axis];
}

bool along_in_place(const Along *a, int o) {
    for (int i = 0; i < a->op->inputs; i++)
        if (op_inputs(a->plan, a->op)[i] == op_outputs(a->plan, a->op)[o]) return true;
    return false;
}

static Status refuse(const Along *a, int tensor, const char *why) {
    char text[PLACEMENT_TEXT];
    FAIL(ERR_PLAN, "plan %s: %s: %s is %s along %s: %s", program_name(a->p, a->plan->name),
         op_name(a->p, a->op), tensor_name(a->p, tensor),
         placement_text(a->state[tensor * AXES + a->axis], text), a->p->axes[a->axis].name, why);
}

Status along_refuse_input(const Along *a, int i, const char *why) {
    return refuse(a, op_inputs(a->plan, a->op)[i], why);
}

Status along_refuse_output(const Along *a, int o, const char *why) {
    return refuse(a, op_outputs(a->plan, a->op)[o], why);
}

Status along_refuse_partial(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (placement_is_partial(along_input(a, i)))
            return along_refuse_input(a, i, "reduce it first");
    return OK;
}

// Does a declaration say no more than what is so?
static bool says_no_more(Placement declared, Placement is) {
    if (placement_equal(declared, is)) return true;
    bool held_elsewhere = is.place == PLACE_ONLY && is.block;
    if (declared.place == PLACE_DIFFERS) return !held_elsewhere;
    return declared.place == PLACE_ONLY && !declared.block &&
           (is.place == PLACE_REPLICATE || is.place == PLACE_DIFFERS);
}

Status along_write(const Along *a, int o, Placement want) {
    if (o >= a->op->outputs) return OK;
    int tensor = op_outputs(a->plan, a->op)[o];
    Placement *now = &a->state[tensor * AXES + a->axis];
    Placement declared = a->p->tensors[tensor].placement[a->axis];
    char text[PLACEMENT_TEXT], wanted[PLACEMENT_TEXT];
    bool adds = a->op->flags & OP_ACCUMULATE, alike = placement_equal(*now, want);
    if (adds && !alike && (a->infers || !says_no_more(declared, want)))
        FAIL(ERR_PLAN, "plan %s: %s: adds what is %s along %s to %s, which is %s",
             program_name(a->p, a->plan->name), op_name(a->p, a->op), placement_text(want, wanted),
             a->p->axes[a->axis].name, tensor_name(a->p, tensor), placement_text(*now, text));
    if (a->infers || (adds && alike) || along_in_place(a, o)) {
        *now = want;
        return OK;
    }
    if (!says_no_more(declared, want))
        FAIL(ERR_PLAN, "plan %s: %s: %s is declared %s along %s, but its inputs make it %s",
             program_name(a->p, a->plan->name), op_name(a->p, a->op), tensor_name(a->p, tensor),
             placement_text(declared, text), a->p->axes[a->axis].name,
             placement_text(want, wanted));
    *now = declared;
    return OK;
}

// The dimension of an input's channels: of images the one after the rows, of vectors the last.
static int channels(const Along *a, int i) {
    Kind k = op_kind(a->p, a->op);
    bool vectors =
        k == KIND_LINEAR || k == KIND_LINEAR_BACKWARD_INPUT || k == KIND_LINEAR_BACKWARD_WEIGHT;
    return vectors ? a->p->tensors[op_inputs(a->plan, a->op)[i]].dims - 1 : 1;
}

// y = x W' + b, and convolution: W is (K,C,...), cut along K (column parallel) or C (row parallel).
Status placement_rule_contraction(const Along *a) {
    Placement x = along_input(a, 0), w = along_input(a, 1), y = x;
    int C = channels(a, 0);
    TRY(along_refuse_partial(a));
    if (placement_is_cut(x, C) && placement_equal(placement_moved(x, 1), w))
        y = PLACEMENT_SUM;
    else if (placement_is_whole(x) && placement_is_cut(w, 0))
        y = placement_moved(w, C);
    else if (!placement_is_whole(w))
        return along_refuse_input(a, 1, "the input does not fit");
    else if (placement_is_cut(x, C))
        return along_refuse_input(a, 0, "the weight is not cut alike");
    else if (!placement_is_whole(x) && !placement_is_cut_before(x, C))
        return along_refuse_input(a, 0, "it may be cut by rows, or by channels as the weight is");
    if (a->op->inputs > 2 && y.place == PLACE_PARTIAL_SUM)
        return along_refuse_input(
            a, 2,
            "a bias added to a partial sum is added once per rank; add it after the reduction");
    Placement bias = placement_is_cut(w, 0) ? w : PLACEMENT_REPLICATED;
    if (a->op->inputs > 2 && !placement_equal(along_input(a, 2), bias))
        return along_refuse_input(a, 2, "the weight is not cut alike");
    return along_write(a, 0, y);
}

// dx = dy W
Status placement_rule_backward_input(const Along *a) {
    Placement dy = along_input(a, 0), w = along_input(a, 1);
    TRY(along_refuse_partial(a));
    int K = channels(a, 0);
    if (placement_is_cut(dy, K) && placement_equal(placement_moved(dy, 0), w))
        return along_write(a, 0, PLACEMENT_SUM);
    if (placement_is_whole(dy) && placement_is_cut(w, 1))
        return along_write(a, 0, placement_moved(w, K));
    if (!placement_is_whole(w) || placement_is_cut(dy, K))
        return along_refuse_input(a, 1, "the gradient does not fit");
    if (!placement_is_whole(dy) && !placement_is_cut_before(dy, K))
        return along_refuse_input(a, 0, "it may be cut by rows, or by channels as the weight is");
    return along_write(a, 0, dy);
}

// dW = dy' x: rows on several ranks give each a part of the sum.
Status placement_rule_backward_weight(const Along *a) {
    Placement x = along_input(a, 0), dy = along_input(a, 1), w;
    int C = channels(a, 0);
    TRY(along_refuse_partial(a));
    if (placement_is_cut_before(x, C) && placement_equal(x, dy))
        w = PLACEMENT_SUM;
    else if (placement_is_whole(x) && placement_is_whole(dy))
        w = PLACEMENT_REPLICATED;
    else if (placement_is_whole(x) && placement_is_cut(dy, C))
        w = placement_moved(dy, 0);
    else if (placement_is_cut(x, C) && placement_is_whole(dy))
        w = placement_moved(x, 1);
    else
        return along_refuse_input(a, 1, "the input is not cut alike");
    TRY(along_write(a, 0, w));
    return along_write(a, 1, placement_is_cut(w, 1) ? PLACEMENT_REPLICATED : w);
}

// Everything lies alike.
static Status alike(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (!placement_equal(along_input(a, i), along_input(a, 0)))
            return along_refuse_input(a, i, "the operands do not lie alike");
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, along_input(a, 0)));
    return OK;
}

// Element by element, and not linear: f(a + b) is not f(a) + f(b).
Status placement_rule_elementwise(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (placement_is_partial(along_input(a, i)))
            return along_refuse_input(a, i, "not a linear operation; reduce it first");
    return alike(a);
}

// Linear: f(a + b) = f(a) + f(b), so partial sums go in and come out. A maximum does not pass.
Status placement_rule_linear(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (along_input(a, i).place == PLACE_PARTIAL_MAX)
            return along_refuse_input(a, i,
                                      "a sum of maxima is no maximum of sums; reduce it first");
    return alike(a);
}

// Do pieces that follow one another have the shape of the whole but for the number of rows?
static bool stacks_rows(const Along *a, int i) {
    const Tensor *y = &a->p->tensors[op_outputs(a->plan, a->op)[0]],
                 *x = &a->p->tensors[op_inputs(a->plan, a->op)[i]];
    for (int d = 1; d < DIMS; d++)
        if (x->shape[d] != y->shape[d]) return false;
    return x->dims == y->dims;
}

// One tensor after the other: shards of them would lie between each other, but for shards of rows
// that are put together row by row.
Status placement_rule_concatenate(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        bool beside_rows = x.cut != CUT_FLAT && x.dim > 0 && stacks_rows(a, i);
        if (x.place == PLACE_SHARD && !beside_rows)
            return along_refuse_input(a, i, "a shard of it is no shard of the whole");
    }
    return placement_rule_linear(a);
}

// Windows reach over the edges of planes that are cut.
static Status refuse_cut_planes(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        if (x.place == PLACE_SHARD && !placement_is_cut(x, 0) && !placement_is_cut(x, 1))
            return along_refuse_input(a, i, "windows reach over the edges of pieces of a plane");
    }
    return OK;
}

Status placement_rule_window(const Along *a) {
    TRY(refuse_cut_planes(a));
    return placement_rule_elementwise(a);
}

Status placement_rule_linear_window(const Along *a) {
    TRY(refuse_cut_planes(a));
    return placement_rule_linear(a);
}

// Are the positions of input 0 cut, and numbered by input i?
static bool numbered(const Along *a, int i) {
    return (a->numbers || a->op->inputs > i) && placement_is_cut(along_input(a, 0), 1);
}

// y (B,T,C) = x + weight (T,C); with an index of positions, rows of a whole weight.
Status placement_rule_positions(const Along *a) {
    Placement x = along_input(a, 0), w = along_input(a, 1), want = PLACEMENT_REPLICATED;
    bool index = numbered(a, 2);
    TRY(along_refuse_partial(a));
    TRY(along_check_index(a, 2, index ? placement_moved(x, 0) : PLACEMENT_REPLICATED));
    if (!index && (placement_is_cut(x, 1) || placement_is_cut(x, 2)))
        want = placement_moved(x, x.dim - 1);
    else if (!index && !placement_is_whole(x) && !placement_is_cut(x, 0))
        return along_refuse_input(a, 0, "it may be cut by rows, positions or channels");
    if (!placement_equal(w, want)) return along_refuse_input(a, 1, "the input is not cut alike");
    return along_write(a, 0, x);
}

Status placement_rule_positions_backward(const Along *a) {
    Placement dy = along_input(a, 0);
    bool index = numbered(a, 1);
    TRY(along_refuse_partial(a));
    TRY(along_check_index(a, 1, index ? placement_moved(dy, 0) : PLACEMENT_REPLICATED));
    if (index) return along_write(a, 0, PLACEMENT_SUM);
    if (placement_is_cut(dy, 1) || placement_is_cut(dy, 2))
        return along_write(a, 0, placement_moved(dy, dy.dim - 1));
    if (!placement_is_whole(dy) && !placement_is_cut(dy, 0))
        return along_refuse_input(a, 0, "it may be cut by rows, positions or channels");
    return along_write(a, 0, placement_is_whole(dy) ? dy : PLACEMENT_SUM);
}

// Each position by itself, all of its channels: rows and positions may be cut.
static Status judge_positions(const Along *a, int inputs) {
    TRY(along_refuse_partial(a));
    for (int i = 0; i < inputs; i++) {
        Placement x = along_input(a, i);
        if (!placement_is_whole(x) && !placement_is_cut(x, 0) && !placement_is_cut(x, 1))
            return along_refuse_input(a, i, "the norm of a position needs all of its channels");
        if (!placement_equal(x, along_input(a, 0)))
            return along_refuse_input(a, i, "the operands do not lie alike");
    }
    for (int i = inputs; i < a->op->inputs; i++)
        if (!placement_is_whole(along_input(a, i)))
            return along_refuse_input(a, i, "the norm of a position needs all of its channels");
    return OK;
}

Status placement_rule_row_norm(const Along *a) {
    TRY(judge_positions(a, 1));
    return along_write(a, 0, along_input(a, 0));
}

Status placement_rule_row_norm_backward_input(const Along *a) {
    TRY(judge_positions(a, 2));
    return along_write(a, 0, along_input(a, 0));
}

// Positions on several ranks give each a part of the sum.
Status placement_rule_row_norm_backward_weight(const Along *a) {
    TRY(judge_positions(a, 2));
    Placement sum = placement_is_whole(along_input(a, 0)) ? PLACEMENT_REPLICATED : PLACEMENT_SUM;
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, sum));
    return OK;
}

// Rows, or whole heads: a position is counted from the first of all.
static Status refuse_cut_positions(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++) {
        Placement x = along_input(a, i);
        if (x.place == PLACE_SHARD && !placement_is_cut(x, 0) &&
            !(placement_is_cut(x, 2) && x.cut == CUT_CONTIGUOUS))
            return along_refuse_input(a, i, "it may be cut by rows, or by heads");
    }
    return OK;
}

Status placement_rule_attention(const Along *a) {
    TRY(refuse_cut_positions(a));
    return placement_rule_elementwise(a);
}

// Query, key and value are three sections side by side, if of equal size: heads are cut in each.
Status placement_rule_attention_packed(const Along *a) {
    bool backward = op_kind(a->p, a->op) == KIND_ATTENTION_PACKED_BACKWARD;
    const int64_t *attr = a->p->attrs + op_work(a->p, a->op)->attr_first;
    int last = a->op->inputs - 1;
    Placement qkv = along_input(a, last), y = qkv;
    TRY(along_refuse_partial(a));
    if (placement_is_cut(qkv, 2)) {
        if (qkv.cut != CUT_INTERLEAVED || qkv.block != 3 || attr[0] != attr[1])
            return along_refuse_input(a, last,
                                      "heads are cut in each of query, key and value "
                                      "(S2:interleaved/3), if there are as many of each");
        y.cut = CUT_CONTIGUOUS;
        y.block = 0;
    } else if (!placement_is_cut(qkv, 0) && qkv.place == PLACE_SHARD)
        return along_refuse_input(a, last, "it may be cut by rows, or by heads");
    for (int i = 0; i < last; i++)
        if (!placement_equal(along_input(a, i), y))
            return along_refuse_input(a, i, "query, key and value do not lie alike");
    if (backward) return along_write(a, 0, qkv);
    TRY(along_write(a, 0, y));
    return along_write(a, 1, y);
}

static Status refuse_cut_matrix(const Along *a, int i) {
    return along_refuse_input(a, i, "scores may be cut by rows, or by heads");
}

// Each row of scores by itself: rows of the batch and heads may be cut.
Status placement_rule_attention_softmax(const Along *a) {
    Placement s = along_input(a, 0);
    bool heads = placement_is_cut(s, 1) && s.cut == CUT_CONTIGUOUS;
    if (s.place == PLACE_SHARD && !heads && !placement_is_cut(s, 0)) return refuse_cut_matrix(a, 0);
    return placement_rule_elementwise(a);
}

// How a tensor lies of an attention whose qkv lies so: matrices have heads in dimension 1, others
// in dimension 2; only query, key and value side by side have three sections of them.
static Placement beside_qkv(Placement qkv, const Tensor *t, bool packed) {
    if (!placement_is_cut(qkv, 2) || packed) return qkv;
    return PLACEMENT_SHARD(t->dims == 4 ? 1 : 2);
}

// Query, key and value as in placement_rule_attention_packed(), the last input.
Status placement_rule_attention_matrix(const Along *a) {
    const int64_t *attr = a->p->attrs + op_work(a->p, a->op)->attr_first;
    const int32_t *out = op_outputs(a->plan, a->op), *in = op_inputs(a->plan, a->op);
    int last = a->op->inputs - 1;
    Placement qkv = along_input(a, last);
    TRY(along_refuse_partial(a));
    bool sections = qkv.cut == CUT_INTERLEAVED && qkv.block == 3 && attr[0] == attr[1];
    if (placement_is_cut(qkv, 2) ? !sections
                                 : qkv.place == PLACE_SHARD && !placement_is_cut(qkv, 0))
        return along_refuse_input(a, last,
                                  "it may be cut by rows, or, if there are as many heads of keys "
                                  "as of queries, by heads of each (S2:interleaved/3)");
    for (int i = 0; i < last; i++)
        if (!placement_equal(along_input(a, i), beside_qkv(qkv, &a->p->tensors[in[i]], false)))
            return along_refuse_input(a, i, "query, key and value do not lie alike");
    for (int o = 0; o < a->op->outputs; o++) {
        bool packed = op_kind(a->p, a->op) == KIND_ATTENTION_SCORES_BACKWARD;
        TRY(along_write(a, o, beside_qkv(qkv, &a->p->tensors[out[o]], packed)));
    }
    return OK;
}

// Parameters and their optimiser's state, outputs and inputs in one; or a count.
Status placement_rule_update(const Along *a) {
    Placement weight = along_output(a, 0), gradient = along_input(a, 0);
    bool one = weight.place == PLACE_ONLY, own = one && !weight.block;
    if (!a->op->inputs)
        return placement_is_whole(weight) || one
                   ? OK
                   : along_refuse_output(a, 0, "all ranks count alike");
    if (placement_is_partial(gradient))
        return along_refuse_input(a, 0, "each rank holds a part of the sum; all-reduce it first");
    if (!placement_equal(gradient, weight) && !(own && placement_is_whole(gradient)))
        return along_refuse_input(a, 0, "the parameter does not lie alike");
    for (int o = 0; o < a->op->outputs; o++) {
        if (placement_is_partial(along_output(a, o)))
            return along_refuse_output(a, o, "a part of a sum cannot be updated");
        if (!placement_equal(along_output(a, o), weight))
            return along_refuse_output(a, o, "the parameter does not lie alike");
    }
    for (int i = 1; i < a->op->inputs; i++)
        if (!placement_is_whole(along_input(a, i)))
            return along_refuse_input(a, i, "the parameters are updated alike everywhere");
    return OK;
}

// A sum for each block of elements: whole where the gradient is. Where that is cut flat at the ends
// of blocks, zeros stand for the blocks of others; where a dimension is cut, a rank has blocks of
// its own piece, and zeros behind them. Both are parts of a sum.
Status placement_rule_blocks(const Along *a) {
    Placement gradient = along_input(a, 0), partial = gradient;
    TRY(along_refuse_partial(a));
    if (gradient.place == PLACE_SHARD) {
        if (gradient.cut == CUT_FLAT && gradient.block != KIND_SUM_BLOCK)
            return along_refuse_input(a, 0, "blocks of 4096 elements are whole in S:flat/4096");
        partial = PLACEMENT_SUM;
    }
    return along_write(a, 0, partial);
}

// What every rank has to have whole before.
Status placement_rule_whole(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (!placement_is_whole(along_input(a, i)))
            return along_refuse_input(a, i, "it is needed whole; gather or reduce it first");
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, PLACEMENT_REPLICATED));
    return OK;
}

// Rows from the first row on, which is each rank's own where the batch is cut; or, of the same
// rows, positions that an index says.
Status placement_rule_load(const Along *a) {
    Placement first = along_input(a, 0), index = along_input(a, 1), rows = first;
    if (first.place == PLACE_DIFFERS) rows = PLACEMENT_SHARD(0);
    if (placement_is_cut(index, 0) && placement_is_whole(first)) rows = placement_moved(index, 1);
    TRY(along_check_index(a, 1, placement_is_cut(rows, 1) ? index : PLACEMENT_REPLICATED));
    if (first.place == PLACE_SHARD || placement_is_partial(first))
        return along_refuse_input(a, 0, "a row's number is replicated or each rank's own");
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, rows));
    return OK;
}
