// SPDX-License-Identifier: MIT
// How a rank's piece of a tensor relates to the whole tensor along one axis of the mesh (GSPMD, Xu
// et al. 2021; DTensor). A tensor has one placement per axis.
#ifndef CORE_PLAN_PLACEMENT_H
#define CORE_PLAN_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

// X(constant, letter in files, what it says)
#define PLACE_LIST(X)                                                                      \
    X(REPLICATE, "R", "replicated: every rank holds the same")                             \
    X(SHARD, "S", "sharded: every rank holds a piece")                                     \
    X(PARTIAL_SUM, "P+", "a partial sum: the ranks' tensors add up to the whole")          \
    X(PARTIAL_MAX, "Pmax", "a partial maximum")                                            \
    X(ONLY, "O", "held at one coordinate alone, as by a stage of a pipeline or at a root") \
    X(DIFFERS, "D", "a value of each rank's own, such as its first row or its coordinate")
typedef enum {
#define X(constant, letter, text) PLACE_##constant,
    PLACE_LIST(X)
#undef X
        PLACE_COUNT
} PlaceKind;

// How a dimension is cut into the pieces of the coordinates 0 ... W-1.
typedef enum {
    CUT_CONTIGUOUS,   // coordinate c has one interval
    CUT_ZIGZAG,       // of 2W intervals coordinate c has the c-th from the front and from the back
    CUT_INTERLEAVED,  // coordinate c has a share of each of `block` equal sections (q, k, v)
    CUT_FLAT,         // not a dimension: the elements in order, in blocks of `block` (ZeRO)
    CUT_COUNT
} Cut;

// Without padding, so that placements can be compared as bytes.
//
// In a ring, pieces travel from coordinate to coordinate, and sums of what each coordinate adds to
// a piece travel with them. So a shard may be the piece of another coordinate, `shift` before this
// one (modulo the size of the axis); and it may be a sum of which only some terms are in: those of
// the `terms` coordinates from `from` before this one on, backwards (placement_ring.c).
typedef struct {
    uint8_t place;
    uint8_t dim, cut;  // of PLACE_SHARD, else 0
    uint8_t inner;     // of PLACE_SHARD: is it cut after the axes whose shards are not inner?
    int32_t block;     // of CUT_INTERLEAVED and CUT_FLAT; of PLACE_ONLY 1 + the coordinate that has
                       // it, 0: whoever executes this program; else 0
    int32_t shift;     // of PLACE_SHARD that is not flat, else 0
    int16_t from, terms;  // of the same; terms 0: the value, and no part of a sum
} Placement;

#define PLACEMENT_REPLICATED ((Placement){.place = PLACE_REPLICATE})
#define PLACEMENT_SHARD(dimension) ((Placement){.place = PLACE_SHARD, .dim = (dimension)})
#define PLACEMENT_SUM ((Placement){.place = PLACE_PARTIAL_SUM})
#define PLACEMENT_MAX ((Placement){.place = PLACE_PARTIAL_MAX})
#define PLACEMENT_ONLY ((Placement){.place = PLACE_ONLY})
#define PLACEMENT_AT(coordinate) ((Placement){.place = PLACE_ONLY, .block = (coordinate) + 1})
#define PLACEMENT_DIFFERS ((Placement){.place = PLACE_DIFFERS})

bool placement_equal(Placement a, Placement b);
bool placement_is_partial(Placement p);  // some terms of a sum, or one of what a maximum is of

// A shard of a ring's sum: the same with all terms in.
Placement placement_summed(Placement p);

// Is a tensor with these placements cut flat along some axis, so that it has one dimension?
bool placements_are_flat(const Placement placement[], int axis_count);

// The text of a placement: "R", "P+", "S1", "S1:zigzag", "S0:interleaved/3", "S0:inner",
// "S:flat/4096", "O:0"; of a ring "S1:zigzag@2", the piece of the coordinate 2 before, and
// "S1:zigzag@2:sum0-1", the terms of this coordinate and the one before.
// Valid until `out` is reused.
enum { PLACEMENT_TEXT = 80 };
const char *placement_text(Placement p, char out[PLACEMENT_TEXT]);

// The placement that a text means; false when it means none. PLACEMENT_FORMS says which there are.
bool placement_parse(const char *text, Placement *out);
#define PLACEMENT_FORMS "R, S0 to S3, P+, Pmax, O or D"

#endif
