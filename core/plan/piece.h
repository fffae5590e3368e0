// SPDX-License-Identifier: MIT
// Which elements of a logical tensor a rank holds: the one place that knows. Shapes of local
// tensors, sharded initial values, checkpoints and the question who counts an element follow.
//
// Where several axes cut one dimension, they cut one after the other: first those whose placement
// is not inner, of these first the one with the largest stride, so that pieces lie in the order of
// the ranks. Flat cuts come after all others and see the elements of the local tensor in order;
// those in blocks of one size are one cut, for all coordinates along their axes in that order.
// Cuts are shares (share.h), so pieces may be uneven; tensors have the capacity of the largest, and
// what a smaller piece leaves free at the end of a dimension belongs to nobody.
#ifndef CORE_PLAN_PIECE_H
#define CORE_PLAN_PIECE_H

#include "core/plan/program.h"

// Shape that a tensor needs to hold its piece at every coordinate (shards and micro-batches
// together); how many dimensions: one with a flat cut, else those of the logical tensor. ERR_PLAN,
// naming the tensor, when it cannot be cut so.
Status piece_capacity(const Program *p, const Tensor *t, int64_t shape[DIMS], int *dims) MUST_USE;

// The elements that follow one another in the piece and in the logical tensor.
typedef struct {
    int64_t local, whole, count;
} PieceRun;

// A walk through the piece of the rank at a coordinate. Every run is as long as can be told from
// the dimensions alone; `local` grows from run to run, and counts in the capacity.
typedef struct {
    const Program *p;
    const Tensor *t;
    int coordinate[AXES];
    int64_t capacity[DIMS], held[DIMS];  // of the dimensions, before flat cuts
    int64_t at, end;                     // in the local tensor
} PieceWalk;
void piece_walk(PieceWalk *w, const Program *p, const Tensor *t, const int coordinate[AXES]);
bool piece_next(PieceWalk *w, PieceRun *out);  // false at the end

// Elements of the logical tensor in the piece of a coordinate.
int64_t piece_elements(const Program *p, const Tensor *t, const int coordinate[AXES]);

// The numbers that the elements in the piece of a coordinate have in the logical tensor, in the
// order of the local tensor; -1 where that has room for more than the piece.
void piece_index(const Program *p, const Tensor *t, const int coordinate[AXES], int64_t *out);

// Adds a scalar that the run fills so (source=index): of a dimension of so many elements, placed so
// along the axes of the mesh.
Status piece_add_index(Program *p, const char *name, int64_t elements,
                       const Placement placement[AXES], int *out) MUST_USE;

// Is the rank at this coordinate the first of those that hold the same elements? It is the one that
// stores and counts them. `first` is the lowest coordinate of the ranks of its class.
bool piece_is_first(const Program *p, const Tensor *t, const int coordinate[AXES],
                    const int first[AXES]);

// A tensor that is cut flat, S:flat/N, and views a tensor of the same logical tensor that is not,
// is a view of this rank's share inside the whole: the axes of that cut, bit i for axis i, or 0.
// The whole has memory for piece_room() elements: the largest share fits wherever one begins.
uint16_t piece_share_axes(const Program *p, const Tensor *t);
int64_t piece_room(const Program *p, const Tensor *share);

// The element of the whole at which such a view begins at a coordinate; 0 of any other tensor.
int64_t piece_share_begin(const Program *p, const Tensor *t, const int coordinate[AXES]);

// The place at which a flat share begins in the tensor as it would be without its flat cuts, which
// may be a piece with places that belong to nobody; 0 of a tensor that is not flat.
int64_t piece_flat_begin(const Program *p, const Tensor *t, const int coordinate[AXES]);

// The axes that cut a dimension (of CUT_FLAT: with FLAT_DIM), outermost first; how many.
enum { FLAT_DIM = DIMS };
int piece_axes(const Program *p, const Tensor *t, int dim, int axes[AXES]);

#endif
