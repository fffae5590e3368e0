// SPDX-License-Identifier: MIT
// The rules of mixtures of experts. Tokens may be cut by rows or positions; then each rank has
// queues of its own, which are its piece of tensors of slots (P,E,S,C): S0. All-to-all makes S1 of
// that: each rank has some of the experts, with the tokens of all ranks. Read
// placement_rule_expert_linear() first.
#include "core/plan/placement_rules.h"

enum { PIECES, EXPERTS, SLOTS, CHANNELS };  // dimensions of (P,E,S,C); a weight is (E,K,C)

static bool replicated(Placement p) { return p.place == PLACE_REPLICATE; }
static bool cut_along(Placement p, int dim) {
    return p.place == PLACE_SHARD && p.cut != CUT_FLAT && p.dim == dim;
}
static bool is(Placement p, Placement want) { return placement_equal(p, want); }
static Placement moved_to(Placement p, int dim) {
    p.dim = (uint8_t)dim;
    return p;
}

static Status refuse_partial(const Along *a) {
    for (int i = 0; i < a->op->inputs; i++)
        if (placement_is_partial(along_input(a, i)))
            return along_refuse_input(a, i, "reduce it first");
    return OK;
}

// Where the queues of such tokens are.
static Placement queues_of(Placement tokens) {
    return tokens.place == PLACE_SHARD ? PLACEMENT_SHARD(PIECES) : tokens;
}

// Input i has a row for each token: it is whole, or cut before the dimension of its last size.
static Status judge_tokens(const Along *a, int i, int like) {
    Placement x = along_input(a, i);
    int last = a->p->tensors[op_inputs(a->plan, a->op)[i]].dims - 1;
    bool before = false;
    for (int d = 0; d < last; d++) before |= cut_along(x, d);
    if (x.place == PLACE_SHARD && !before)
        return along_refuse_input(a, i, "it may be cut by rows or positions");
    return is(x, along_input(a, like)) ? OK
                                       : along_refuse_input(a, i, "the tokens do not lie alike");
}

static Status judge_queues(const Along *a, int i, int tokens) {
    return is(along_input(a, i), queues_of(along_input(a, tokens)))
               ? OK
               : along_refuse_input(a, i, "the queues are not those of these tokens");
}

// How many choices fell on each expert: of the tokens here, in a piece or as each rank's own; or,
// to balance the experts over all of them, a piece from every rank.
static Status judge_chosen(const Along *a, int i, bool all) {
    Placement x = along_input(a, i), tokens = along_input(a, 0);
    int64_t pieces = a->p->tensors[op_inputs(a->plan, a->op)[i]].shape[0];
    bool cut = tokens.place == PLACE_SHARD;
    if (cut && x.place == PLACE_DIFFERS) return OK;
    if (cut && all && replicated(x) && pieces % a->p->axes[a->axis].size == 0) return OK;
    return judge_queues(a, i, 0);
}

static Status judge_count(const Along *a, int i) {
    return replicated(along_input(a, i))
               ? OK
               : along_refuse_input(a, i, "all tokens are divided by one count");
}

Status placement_rule_route(const Along *a) {
    Placement z = along_input(a, 0);
    TRY(refuse_partial(a));
    TRY(judge_tokens(a, 0, 0));
    for (int o = 0; o < 3; o++) TRY(along_write(a, o, z));
    for (int o = 3; o < 5; o++) TRY(along_write(a, o, queues_of(z)));
    return OK;
}

Status placement_rule_route_backward(const Along *a) {
    TRY(refuse_partial(a));
    for (int i = 0; i < 3; i++) TRY(judge_tokens(a, i, 0));
    TRY(judge_chosen(a, 3, true));
    TRY(judge_count(a, 4));
    return along_write(a, 0, along_input(a, 0));
}

// What is added up over the tokens of all ranks.
static Status sum_of_tokens(const Along *a, bool all) {
    Placement x = along_input(a, 0);
    TRY(judge_chosen(a, 1, all));
    return along_write(a, 0, x.place == PLACE_SHARD ? PLACEMENT_SUM : x);
}

Status placement_rule_balance(const Along *a) {
    TRY(refuse_partial(a));
    TRY(judge_tokens(a, 0, 0));
    TRY(judge_count(a, 2));
    return sum_of_tokens(a, true);
}

// What the layers add, in sums over the same tokens as the loss.
Status placement_rule_add_balance(const Along *a) {
    Placement x = along_input(a, 0);
    if (x.place == PLACE_SHARD) return along_refuse_input(a, 0, "each sum has all layers");
    return along_write(a, 0, x);
}

Status placement_rule_count_choices(const Along *a) {
    TRY(refuse_partial(a));
    TRY(judge_tokens(a, 0, 0));
    return sum_of_tokens(a, false);
}

Status placement_rule_dispatch(const Along *a) {
    TRY(refuse_partial(a));
    for (int i = 0; i < 2; i++) TRY(judge_tokens(a, i, 1));
    return along_write(a, 0, queues_of(along_input(a, 1)));
}

// Slots may hold parts of a sum, of tokens that all ranks have: what is made of them is linear.
static bool holds_sums(const Along *a, int queues) {
    for (int i = 0; i < a->op->inputs; i++)
        if (!is(along_input(a, i), i == queues ? PLACEMENT_SUM : PLACEMENT_REPLICATED))
            return false;
    return true;
}

// From slots back to the tokens.
Status placement_rule_combine(const Along *a) {
    if (holds_sums(a, 0)) return along_write(a, 0, PLACEMENT_SUM);
    TRY(refuse_partial(a));
    for (int i = 1; i < a->op->inputs; i++) TRY(judge_tokens(a, i, 1));
    TRY(judge_queues(a, 0, 1));
    return along_write(a, 0, along_input(a, 1));
}

// A gate's gradient is the product of its token's with what the expert gave.
Status placement_rule_combine_backward(const Along *a) {
    if (holds_sums(a, 1)) {
        TRY(along_write(a, 0, PLACEMENT_REPLICATED));
        return along_write(a, 1, PLACEMENT_SUM);
    }
    TRY(refuse_partial(a));
    for (int i = 0; i < 4; i++)
        if (i != 1) TRY(judge_tokens(a, i, 0));
    TRY(judge_queues(a, 1, 0));
    TRY(along_write(a, 0, along_input(a, 1)));
    return along_write(a, 1, along_input(a, 0));
}

// Input 2 says how many slots are in use: it lies as the queues of input i, or, where those are cut
// by channels, all of it is everywhere.
static Status judge_load(const Along *a, int i) {
    Placement x = along_input(a, i), want = cut_along(x, CHANNELS) ? PLACEMENT_REPLICATED : x;
    return is(along_input(a, 2), want) ? OK
                                       : along_refuse_input(a, 2, "the queues do not lie alike");
}

// y = x W' of each expert. As a product of one weight, W (E,K,C) may be cut along K or C; and along
// E, where each rank has other experts.
Status placement_rule_expert_linear(const Along *a) {
    Placement x = along_input(a, 0), w = along_input(a, 1), y = x;
    TRY(refuse_partial(a));
    TRY(judge_load(a, 0));
    if (cut_along(x, CHANNELS) && is(moved_to(x, 2), w))
        y = PLACEMENT_SUM;
    else if (replicated(x) && cut_along(w, 1))
        y = moved_to(w, CHANNELS);
    else if (cut_along(x, EXPERTS) ? !is(w, moved_to(x, 0)) : !replicated(w))
        return along_refuse_input(a, 1, "the queues do not fit");
    else if (x.place == PLACE_SHARD && !cut_along(x, PIECES) && !cut_along(x, EXPERTS))
        return along_refuse_input(a, 0, "it may be cut by pieces, by experts, or as the weight is");
    return along_write(a, 0, y);
}

Status placement_rule_expert_linear_backward_input(const Along *a) {
    Placement dy = along_input(a, 0), w = along_input(a, 1), dx = dy;
    TRY(refuse_partial(a));
    TRY(judge_load(a, 0));
    if (cut_along(dy, CHANNELS) && is(moved_to(dy, 1), w))
        dx = PLACEMENT_SUM;
    else if (replicated(dy) && cut_along(w, 2))
        dx = moved_to(w, CHANNELS);
    else if (cut_along(dy, EXPERTS) ? !is(w, moved_to(dy, 0)) : !replicated(w))
        return along_refuse_input(a, 1, "the gradient does not fit");
    else if (dy.place == PLACE_SHARD && !cut_along(dy, PIECES) && !cut_along(dy, EXPERTS))
        return along_refuse_input(a, 0, "it may be cut by pieces, by experts, or as the weight is");
    return along_write(a, 0, dx);
}

// Pieces on several ranks give each a part of the sum; experts are whole on theirs.
Status placement_rule_expert_linear_backward_weight(const Along *a) {
    Placement x = along_input(a, 0), dy = along_input(a, 1), w = x;
    TRY(refuse_partial(a));
    if (replicated(x) && cut_along(dy, CHANNELS)) {
        TRY(judge_load(a, 1));
        return along_write(a, 0, moved_to(dy, 1));
    }
    TRY(judge_load(a, 0));
    if (cut_along(x, CHANNELS) && replicated(dy)) return along_write(a, 0, moved_to(x, 2));
    if (!is(x, dy)) return along_refuse_input(a, 1, "the input is not cut alike");
    if (cut_along(x, PIECES))
        w = PLACEMENT_SUM;
    else if (cut_along(x, EXPERTS))
        w = moved_to(x, 0);
    else if (x.place == PLACE_SHARD)
        return along_refuse_input(a, 0, "it may be cut by pieces, by experts, or as the weight is");
    return along_write(a, 0, w);
}
