// SPDX-License-Identifier: MIT
// One collective with a layout of its own in a pool: what each rank brings, and what it must have
// in the end, by folds written here.
#ifndef TESTS_SUPPORT_COMM_CASE_H
#define TESTS_SUPPORT_COMM_CASE_H

#include "parallel/comm/comm_world.h"

enum {
    CASE_RANKS = 8,
    CASE_PARTS = 3,
    CASE_SEGMENTS = 3,
    CASE_LANES = 4,
    CASE_ARRAYS = 4,   // that are cut at once
    CASE_KINDS = 16,   // collectives with an algorithm
    CASE_MANY = 20011  // elements: three pieces of a pipeline
};

// An element of any type.
typedef union {
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t half;
} CaseValue;

typedef struct {
    CollectiveKind kind;
    Algorithm algorithm;
    Dtype dtype;
    Reduce reduce;
    int ranks, root, parts, segments, lane, group;
    bool in_place;
    int64_t elements, base;  // base: where the layout begins in the pool
    int64_t unit;
    int64_t sizes[CASE_ARRAYS];  // of arrays that are cut each by itself; size_count 0: of one
    int size_count;
    uint32_t seed;
    // Set by part_prepare(): where shares begin, and which values each member brings.
    int64_t begin[CASE_RANKS + 1];
    uint32_t offset[CASE_RANKS][CASE_PARTS];
} Case;

// A collective of so many elements, in group 0; the rest of it is drawn.
void case_draw_sized(Case *t, int kind, int64_t elements, int ranks, uint32_t salt);

// Case i of CASES: every collective and some sizes, twice.
enum { CASES = CASE_KINDS * 8 * 2 };
void case_draw(Case *t, int i, int ranks, uint32_t salt);

uint32_t case_hash(uint32_t a, uint32_t b, uint32_t c, uint32_t d);

// The i-th of some values of a type; they begin again after several thousand.
CaseValue case_value(Dtype d, uint64_t i);

// Cut an array into `count` segments of any size, with gaps between them, from byte `at` of a pool
// on. Returns where they end. And where an element of such an array lies.
int64_t case_lay_out(CommSegment *s, int count, int64_t elements, Dtype d, int64_t at,
                     uint32_t seed);
void *case_element(void *pool, const CommSegment *s, int64_t e, Dtype d);

// One rank's part in it.
typedef struct {
    Case t;
    int rank;
    CommSegment input[CASE_PARTS * CASE_SEGMENTS], output[CASE_SEGMENTS], work;
    CommCall call;
    CommRequest request;
    int64_t end;   // of the layout
    char *before;  // the pool from base to end as it was
    bool done;
} Part;

// Write what the rank (its position in the group) brings, with a pattern around it, and make the
// call. Every rank has a layout of its own: other offsets, and another number of segments.
void part_prepare(Part *x, const Case *drawn, int rank, char *pool);

// Compare the pool with what it was, the expected output in it. Frees what part_prepare() took.
// True if right; otherwise out[size] says what is not.
bool part_verify(Part *x, const char *pool, char *out, size_t size);

#endif
