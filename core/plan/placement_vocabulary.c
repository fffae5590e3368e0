// SPDX-License-Identifier: MIT
// The rules of tables of tokens and of the loss over them.
#include "core/plan/placement_rules.h"

// Rows of a table (V,C) by tokens (B,T). The table may be cut along its channels; or along its
// rows, in intervals, if their index says which a rank has: for others' it gives zeros (Megatron,
// Shoeybi et al. 2019).
Status placement_rule_embedding(const Along *a) {
    Placement tokens = along_input(a, 0), w = along_input(a, 1);
    bool by_rows = placement_is_cut(w, 0) && a->op->inputs > 2 && w.cut == CUT_CONTIGUOUS;
    TRY(along_refuse_partial(a));
    TRY(along_check_index(a, 2, by_rows ? w : PLACEMENT_REPLICATED));
    if (by_rows && !placement_is_whole(tokens))
        return along_refuse_input(a, 0, "each rank has some rows of the table for all tokens");
    if (by_rows) return along_write(a, 0, PLACEMENT_SUM);
    if (placement_is_whole(tokens) && placement_is_cut(w, 1))
        return along_write(a, 0, placement_moved(w, 2));
    if (!placement_is_whole(w))
        return along_refuse_input(a, 1,
                                  "a token may be any row of it; it may be cut by channels, or in "
                                  "intervals of rows with their index beside it");
    return along_write(a, 0, tokens);
}

// Uses on several ranks give each a part of the sum; where there is an index of cut rows, a rank
// writes its own.
Status placement_rule_embedding_backward(const Along *a) {
    Placement tokens = along_input(a, 0), dy = along_input(a, 1), rows = along_input(a, 2);
    TRY(along_refuse_partial(a));
    if (placement_is_cut(rows, 0) && rows.cut == CUT_CONTIGUOUS) {
        for (int i = 0; i < 2; i++)
            if (!placement_is_whole(along_input(a, i)))
                return along_refuse_input(a, i, "each rank writes some rows, of all tokens");
        return along_write(a, 0, rows);
    }
    TRY(along_check_index(a, 2, PLACEMENT_REPLICATED));
    if (placement_is_whole(tokens) && placement_is_cut(dy, 2))
        return along_write(a, 0, placement_moved(dy, 1));
    if (!placement_equal(tokens, dy))
        return along_refuse_input(a, 1, "the tokens do not lie alike");
    return along_write(a, 0, placement_is_whole(dy) ? dy : PLACEMENT_SUM);
}

Status placement_rule_loss(const Along *a) {
    bool backward = op_kind(a->p, a->op) == KIND_CROSS_ENTROPY_BACKWARD;
    Placement logits = along_input(a, 0);
    int classes = a->p->tensors[op_inputs(a->plan, a->op)[0]].dims - 1;
    if (!placement_is_whole(logits) && !placement_is_cut_before(logits, classes))
        return along_refuse_input(a, 0, "the softmax of a row needs the whole row");
    if (!placement_equal(along_input(a, 1), logits))
        return along_refuse_input(a, 1, "the logits do not lie alike");
    if (!placement_is_whole(along_input(a, 2)))
        return along_refuse_input(a, 2, "all rows are divided by one count");
    if (backward) return along_write(a, 0, logits);
    TRY(along_write(a, 0, placement_is_whole(logits) ? PLACEMENT_REPLICATED : PLACEMENT_SUM));
    return along_write(a, 1, logits);
}
