// SPDX-License-Identifier: MIT
// The rules of pieces of a dimension: a rank's own slice of what it has whole; and pieces that lie
// one after the other, as rows of chunks, for collectives, which take consecutive memory.
#include "core/plan/placement_rules.h"

static int dim_of(const Along *a) { return (int)work_attr(a->p, op_work(a->p, a->op), 0); }

// How x lies where each rank has a chunk of it: in intervals, or in a share of each section.
static Placement piece_of(const Along *a) {
    int64_t sections = work_attr(a->p, op_work(a->p, a->op), 1);
    Placement piece = PLACEMENT_SHARD((uint8_t)dim_of(a));
    if (sections < 2) return piece;
    piece.cut = CUT_INTERLEAVED;
    piece.block = (int32_t)sections;
    return piece;
}

static bool passes(Placement p) { return placement_is_whole(p) || placement_is_partial(p); }

// Where another dimension of x is cut, each rank has chunks of its own piece (D).
Status placement_rule_to_chunks(const Along *a) {
    Placement x = along_input(a, 0);
    bool other = x.place == PLACE_SHARD && x.cut != CUT_FLAT && x.dim != dim_of(a);
    if (passes(x)) return along_write(a, 0, x);
    if (placement_equal(x, piece_of(a))) return along_write(a, 0, PLACEMENT_SHARD(0));
    if (other) return along_write(a, 0, PLACEMENT_DIFFERS);
    return along_refuse_input(a, 0, "it may be cut along dim= in intervals, or along others");
}

// Chunks of each rank's own are put together to a piece that is cut along another dimension: that
// which is declared, and rows if that is not known.
Status placement_rule_from_chunks(const Along *a) {
    Placement chunks = along_input(a, 0), y = PLACEMENT_SHARD(0);
    Placement declared = a->p->tensors[op_outputs(a->plan, a->op)[0]].placement[a->axis];
    if (passes(chunks)) return along_write(a, 0, chunks);
    if (declared.place == PLACE_SHARD && declared.dim != dim_of(a) && !a->infers) y = declared;
    if (chunks.place == PLACE_DIFFERS) return along_write(a, 0, y);
    if (placement_equal(chunks, PLACEMENT_SHARD(0))) return along_write(a, 0, piece_of(a));
    return along_refuse_input(a, 0, "chunks are whole, cut by S0, or each rank's own");
}

// The index says which slice: where it is whole, so is that dimension.
Status placement_rule_slice(const Along *a) {
    Placement x = along_input(a, 0), index = along_input(a, 1);
    int dim = dim_of(a);
    if (placement_is_whole(index)) {
        if (!placement_is_cut(x, dim)) return along_write(a, 0, x);
        return along_refuse_input(a, 0, "the slice would be one of a piece");
    }
    TRY(along_check_index(a, 1, placement_moved(index, 0)));
    if (!placement_is_whole(x))
        return along_refuse_input(a, 0, "a rank takes its slice of what it has whole");
    return along_write(a, 0, placement_moved(index, dim));
}
