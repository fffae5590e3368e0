// SPDX-License-Identifier: MIT
// The rules of ring attention (Liu et al., 2023). A piece that travels keeps its type: it is the
// shard of the coordinate `shift` before the one that has it, and a message moves the shift on
// (check_ranks.c). What is summed on the way says whose terms are in it: y and lse, and dq, which
// blocks of keys the queries have seen; dk and dv, whose queries have given theirs. With all terms
// it is an ordinary shard. So a block that is read before it has come, one that is left out, one
// that counts twice, and a ring that turns the wrong way are refused.
#include "core/plan/placement_rules.h"

enum { POSITIONS = 1, CHANNELS = 2 };  // dimensions

static bool is_shard(Placement p) { return p.place == PLACE_SHARD; }

// Terms come in one by one: a sum is declared as it was received, or as what it will be.
static Status write_sum(const Along *a, int o, Placement want) {
    int tensor = op_outputs(a->plan, a->op)[o];
    Placement declared = placement_summed(a->p->tensors[tensor].placement[a->axis]);
    if (!placement_equal(declared, placement_summed(want))) return along_write(a, o, want);
    a->state[tensor * AXES + a->axis] = want;
    return OK;
}

// The terms of two sums together, if those of one begin where those of the other end.
static bool joined(Placement x, Placement y, int size, Placement *out) {
    *out = x;
    if ((y.from + y.terms) % size == x.from)
        out->from = y.from;
    else if ((x.from + x.terms) % size != y.from)
        return false;
    if (x.terms + y.terms > size) return false;
    out->terms = (int16_t)(x.terms + y.terms);
    if (out->terms == size) *out = placement_summed(*out);
    return true;
}

// --- what is added up on its way

Status placement_rule_fold(const Along *a) {
    Placement x = along_input(a, 0), sum = along_output(a, 0), all;
    if (!is_shard(x) || !x.terms || !(a->op->flags & OP_ACCUMULATE))
        return placement_rule_linear(a);
    if (!placement_equal(placement_summed(x), placement_summed(sum)) || !sum.terms)
        return along_refuse_input(a, 0, "it is not added to a sum of the same piece");
    if (!joined(sum, x, a->p->axes[a->axis].size, &all))
        return along_refuse_input(a, 0, "the sum has some of its terms, or others are missing");
    return write_sum(a, 0, all);
}

// --- blocks of attention

typedef struct {
    int own;           // the first inputs, which are of the queries
    int k, index;      // inputs k and v, and the indices of queries and keys
    int before, sums;  // a sum over earlier blocks; outputs that are such sums
} Block;

static Block block_of(const Along *a) {
    bool backward = op_kind(a->p, a->op) == KIND_ATTENTION_BLOCK_BACKWARD;
    return backward ? (Block){4, 4, 6, 8, 1} : (Block){1, 1, 3, 5, 2};
}

// Along an axis over which the sequence is whole: rows or heads may be cut.
static Status attend_whole(const Along *a, const Block *b) {
    Placement x = along_input(a, 0);
    for (int i = 0; i < a->op->inputs; i++) {
        Placement is = along_input(a, i);
        bool index = i == b->index || i == b->index + 1;
        if (placement_is_partial(is)) return along_refuse_input(a, i, "reduce it first");
        if (index && is.place != PLACE_REPLICATE)
            return along_refuse_input(a, i, "positions are not cut so");
        if (is_shard(is) && is.dim != 0 && !(is.dim == CHANNELS && is.cut == CUT_CONTIGUOUS))
            return along_refuse_input(a, i, "it may be cut by rows, positions or heads");
        if (!index && !placement_equal(is, x))
            return along_refuse_input(a, i, "the operands do not lie alike");
    }
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, x));
    return OK;
}

// What is the queries' is this rank's, and complete.
static Status check_queries(const Along *a, const Block *b, Placement own) {
    for (int i = 0; i < b->own; i++) {
        Placement is = along_input(a, i);
        if (is.terms) return along_refuse_input(a, i, "some blocks are missing in it");
        if (is.shift || !placement_equal(is, own))
            return along_refuse_input(a, i, "it is not of this rank's queries");
    }
    if (placement_equal(along_input(a, b->index), placement_moved(own, 0))) return OK;
    return along_refuse_input(a, b->index, "it is not the index of this rank's queries");
}

// Keys and values are the piece of one coordinate, in *out.
static Status check_keys(const Along *a, const Block *b, Placement own, Placement *out) {
    Placement k = along_input(a, b->k);
    *out = own;
    out->shift = k.shift;
    if (!placement_equal(k, *out))
        return along_refuse_input(a, b->k, "the queries are not cut alike");
    if (!placement_equal(along_input(a, b->k + 1), k))
        return along_refuse_input(a, b->k + 1, "the keys are of another block");
    if (placement_equal(along_input(a, b->index + 1), placement_moved(k, 0))) return OK;
    return along_refuse_input(a, b->index + 1, "it is not the index of these keys");
}

// Which blocks the queries have seen after this one.
static Status add_block(const Along *a, const Block *b, int o, Placement one) {
    int size = a->p->axes[a->axis].size;
    Placement sum = one;
    if (b->before < a->op->inputs) {
        Placement before = along_input(a, b->before + o);
        if (!placement_equal(placement_summed(before), placement_summed(one)) || !before.terms)
            return along_refuse_input(a, b->before + o, "it is no sum over earlier blocks");
        if ((before.from + before.terms) % size != one.from || !joined(before, one, size, &sum))
            return along_refuse_input(a, b->before + o, "this block does not follow those in it");
    }
    return write_sum(a, o, sum);
}

// Along the ring.
static Status attend_block(const Along *a, const Block *b) {
    Placement own = along_input(a, 0), block = own, one = own;
    TRY(check_queries(a, b, own));
    TRY(check_keys(a, b, own, &block));
    one.from = (int16_t)block.shift;
    one.terms = block.terms = 1;
    for (int o = 0; o < b->sums; o++) TRY(add_block(a, b, o, one));
    for (int o = b->sums; o < a->op->outputs; o++) TRY(write_sum(a, o, block));
    return OK;
}

Status placement_rule_attention_block(const Along *a) {
    const Block b = block_of(a);
    return placement_is_cut(along_input(a, 0), POSITIONS) ? attend_block(a, &b)
                                                          : attend_whole(a, &b);
}

// --- query, key and value, side by side or not

// Rows and positions may be cut, and heads, if as many are in each of three sections.
Status placement_rule_qkv(const Along *a) {
    bool packs = op_kind(a->p, a->op) == KIND_PACK_QKV;
    const int32_t *three = packs ? op_inputs(a->plan, a->op) : op_outputs(a->plan, a->op);
    bool equal = a->p->tensors[three[0]].shape[CHANNELS] == a->p->tensors[three[1]].shape[CHANNELS];
    Placement x = along_input(a, 0), y = x;
    for (int i = 1; i < a->op->inputs; i++)
        if (!placement_equal(along_input(a, i), x))
            return along_refuse_input(a, i, "query, key and value do not lie alike");
    if (x.place == PLACE_PARTIAL_MAX || x.terms) return along_refuse_input(a, 0, "reduce it first");
    if (is_shard(x) && x.dim == CHANNELS) {
        Placement apart = PLACEMENT_SHARD(CHANNELS), packed = apart;
        packed.cut = CUT_INTERLEAVED;
        packed.block = 3;
        if (!equal || !placement_equal(x, packs ? apart : packed))
            return along_refuse_input(a, 0,
                                      "heads are cut in each of query, key and value "
                                      "(S2:interleaved/3), if there are as many of each");
        y = packs ? packed : apart;
    }
    for (int o = 0; o < a->op->outputs; o++) TRY(along_write(a, o, y));
    return OK;
}
