// SPDX-License-Identifier: MIT
// The rule of a bias by itself. The bias of a product whose result is a partial sum would be added
// once per rank (Megatron, Shoeybi et al. 2019): it is added to the sum.
#include "core/plan/placement_rules.h"

// y = x + bias (K), K being the last dimension of vectors and of images the one after the rows.
Status placement_rule_bias(const Along *a) {
    Placement x = along_input(a, 0), want = PLACEMENT_REPLICATED;
    int last = a->p->tensors[op_inputs(a->plan, a->op)[0]].dims - 1;
    int K = op_kind(a->p, a->op) == KIND_CONV2D_BIAS ? 1 : last;
    if (placement_is_partial(x))
        return along_refuse_input(a, 0, "a bias is added once, to the sum; reduce it first");
    if (x.place == PLACE_SHARD && x.cut == CUT_FLAT)
        return along_refuse_input(a, 0, "it may be cut along its dimensions");
    if (placement_is_cut(x, K)) want = placement_moved(x, 0);
    if (!placement_equal(along_input(a, 1), want))
        return along_refuse_input(a, 1, "the input is not cut alike");
    return along_write(a, 0, x);
}
