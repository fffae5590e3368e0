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

// --- the loss over classes that are cut: a few numbers of each row are reduced over the ranks
// (core/device/reference/vocabulary.c), which goes with rows and positions that are not cut

// Input 0, whose last dimension are classes: are they cut, with input `index` to say how? Else rows
// or positions may be.
static Status judge_classes(const Along *a, int index, bool *cut) {
    Placement x = along_input(a, 0);
    int classes = a->p->tensors[op_inputs(a->plan, a->op)[0]].dims - 1;
    TRY(along_refuse_partial(a));
    *cut = placement_is_cut(x, classes);
    if (*cut && (x.cut != CUT_CONTIGUOUS || index >= a->op->inputs))
        return along_refuse_input(a, 0, "classes are cut in intervals, with their index beside");
    if (!*cut && !placement_is_whole(x) && !placement_is_cut_before(x, classes))
        return along_refuse_input(a, 0, "it may be cut by rows, by positions or by classes");
    return along_check_index(a, index, *cut ? placement_moved(x, 0) : PLACEMENT_REPLICATED);
}

// Inputs from..to are numbers of each row: whole where classes are cut, else as input 0 lies.
static Status judge_rows(const Along *a, int from, int to, bool cut) {
    Placement want = cut ? PLACEMENT_REPLICATED : along_input(a, 0);
    for (int i = from; i <= to; i++)
        if (!placement_equal(along_input(a, i), want))
            return along_refuse_input(a, i, "the rows do not lie alike");
    return OK;
}

Status placement_rule_vocabulary_max(const Along *a) {
    bool cut;
    TRY(judge_classes(a, 1, &cut));
    return along_write(a, 0, cut ? PLACEMENT_MAX : along_input(a, 0));
}

Status placement_rule_vocabulary_sums(const Along *a) {
    bool cut;
    TRY(judge_classes(a, 3, &cut));
    TRY(judge_rows(a, 1, 2, cut));
    TRY(along_write(a, 0, cut ? PLACEMENT_SUM : along_input(a, 0)));
    return along_write(a, 1, along_input(a, 0));
}

Status placement_rule_vocabulary_loss(const Along *a) {
    Placement sums = along_input(a, 0);
    int columns = a->p->tensors[op_inputs(a->plan, a->op)[0]].dims - 1;
    TRY(along_refuse_partial(a));
    if (!placement_is_whole(sums) && !placement_is_cut_before(sums, columns))
        return along_refuse_input(a, 0, "the sums of a row are needed whole");
    TRY(judge_rows(a, 1, 1, false));
    if (!placement_is_whole(along_input(a, 2)))
        return along_refuse_input(a, 2, "all rows are divided by one count");
    return along_write(a, 0, placement_is_whole(sums) ? PLACEMENT_REPLICATED : PLACEMENT_SUM);
}

Status placement_rule_vocabulary_loss_backward(const Along *a) {
    bool cut;
    TRY(judge_classes(a, 4, &cut));
    TRY(judge_rows(a, 1, 2, cut));
    if (!placement_is_whole(along_input(a, 3)))
        return along_refuse_input(a, 3, "all rows are divided by one count");
    return along_write(a, 0, along_input(a, 0));
}
