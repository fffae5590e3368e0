// SPDX-License-Identifier: MIT
// The rules of pieces of a dimension: a rank's own slice of what it has whole; and pieces that lie
// one after the other, as rows of chunks, for collectives, which take consecutive memory.
#include "core/plan/piece.h"
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

static const Tensor *output(const Along *a) {
    return &a->p->tensors[op_outputs(a->plan, a->op)[0]];
}

// Does this axis cut the dimension of a tensor of chunks after all others that cut it?
static bool cuts_last(const Along *a, const Tensor *t) {
    int axes[AXES], count = piece_axes(a->p, t, dim_of(a), axes);
    return count && axes[count - 1] == a->axis;
}

// A piece may be inner, of what other axes have cut before.
static bool is_piece(const Along *a, Placement x) {
    x.inner = 0;
    return placement_equal(x, piece_of(a));
}

// Do the chunks go to others behind this operation, or have they come before it (step -1): along
// this axis, or only along another one? The next collective on them says so.
typedef enum { TRAVEL_NOT, TRAVEL_ELSEWHERE, TRAVEL_ALONG } Travel;

static Travel travel_of(const Along *a, int chunks, int step) {
    int64_t i = a->op - a->plan->ops;
    for (i += step; i >= 0 && i < a->plan->op_count; i += step) {
        const Op *op = &a->plan->ops[i];
        const Work *w = op_work(a->p, op);
        for (int k = 0; work_communicates(w) && k < op->outputs + op->inputs; k++)
            if (op_outputs(a->plan, op)[k] == chunks)
                return placement_group_varies(a->p, w->group, a->axis) ? TRAVEL_ALONG
                                                                       : TRAVEL_ELSEWHERE;
    }
    return TRAVEL_NOT;
}

// Is the dimension of the chunks cut along this axis, and each piece in chunks along another one?
static bool is_cut_before(const Along *a, Placement x, int chunks, int step) {
    bool cut = placement_is_cut(x, dim_of(a)) && !x.shift && !x.terms;
    return cut && travel_of(a, chunks, step) == TRAVEL_ELSEWHERE;
}

// Where another dimension of x is cut, or a piece of this one is cut again along another axis, each
// rank has chunks of its own piece (D).
Status placement_rule_to_chunks(const Along *a) {
    int from = op_inputs(a->plan, a->op)[0], to = op_outputs(a->plan, a->op)[0];
    Placement x = along_input(a, 0);
    bool other = x.place == PLACE_SHARD && x.cut != CUT_FLAT && x.dim != dim_of(a),
         own = output(a)->placement[a->axis].place == PLACE_DIFFERS && !a->infers;
    if (passes(x)) return along_write(a, 0, x);
    if (is_piece(a, x) && cuts_last(a, &a->p->tensors[from]) &&
        (!own || travel_of(a, to, 1) != TRAVEL_ELSEWHERE))
        return along_write(a, 0, PLACEMENT_SHARD(0));
    if (other || (own && is_cut_before(a, x, to, 1))) return along_write(a, 0, PLACEMENT_DIFFERS);
    return along_refuse_input(a, 0, "it may be cut along dim= in intervals, or along others");
}

// Chunks of each rank's own are put together to a piece that is cut along another dimension, or
// was before along this one: that which is declared, and rows if that is not known.
Status placement_rule_from_chunks(const Along *a) {
    Placement chunks = along_input(a, 0), declared = output(a)->placement[a->axis];
    bool known = declared.place == PLACE_SHARD && !a->infers;
    if (passes(chunks)) return along_write(a, 0, chunks);
    if (chunks.place == PLACE_DIFFERS) {
        known = known && (declared.dim != dim_of(a) ||
                          is_cut_before(a, declared, op_inputs(a->plan, a->op)[0], -1));
        return along_write(a, 0, known ? declared : PLACEMENT_SHARD(0));
    }
    if (!placement_equal(chunks, PLACEMENT_SHARD(0)))
        return along_refuse_input(a, 0, "chunks are whole, cut by S0, or each rank's own");
    known = known && is_piece(a, declared);
    if (known && !cuts_last(a, output(a)))
        return along_refuse_output(a, 0, "another axis cuts it after this one");
    return along_write(a, 0, known ? declared : piece_of(a));
}

// The index says which slice: where it is whole, so is that dimension; or it numbers what this rank
// has of it, and the slice is cut after that.
Status placement_rule_slice(const Along *a) {
    const Tensor *from = &a->p->tensors[op_inputs(a->plan, a->op)[0]],
                 *of = &a->p->tensors[op_inputs(a->plan, a->op)[1]];
    Placement x = along_input(a, 0), index = along_input(a, 1);
    int dim = dim_of(a);
    if (placement_is_whole(index)) {
        bool own = a->p->logicals[of->logical].shape[0] == from->shape[dim];
        if (!placement_is_cut(x, dim) || own) return along_write(a, 0, x);
        return along_refuse_input(a, 0, "the slice would be one of a piece");
    }
    TRY(along_check_index(a, 1, placement_moved(index, 0)));
    if (!placement_is_whole(x))
        return along_refuse_input(a, 0, "a rank takes its slice of what it has whole");
    if (!a->infers && placement_is_cut(output(a)->placement[a->axis], dim) &&
        !cuts_last(a, output(a)))
        return along_refuse_output(a, 0, "another axis cuts it after this one");
    return along_write(a, 0, placement_moved(index, dim));
}
