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
    CASE_MANY = 20011  // elements: three pieces of a pipeline
};

typedef struct {
    CollectiveKind kind;
    Algorithm algorithm;
    Dtype dtype;
    Reduce reduce;
    int ranks, root, parts, segments, lane;
    bool in_place;
    int64_t elements, base;  // base: where the layout begins in the pool
    int64_t unit;
    uint32_t seed;
} Case;

// Case i of CASES: every collective and size, twice; the rest of it is drawn.
enum { CASES = 16 * 8 * 2 };
void case_draw(Case *t, int i, int ranks, uint32_t salt);

uint32_t case_hash(uint32_t a, uint32_t b, uint32_t c, uint32_t d);

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

// Write what the rank brings, with a pattern around it, and make the call, in group 0. Every rank
// has a layout of its own: other offsets, and the payload in another number of segments.
void part_prepare(Part *x, const Case *t, int rank, char *pool);

// Compare the pool with what it was, the expected output in it. Frees what part_prepare() took.
// True if right; otherwise out[size] says what is not.
bool part_verify(Part *x, const char *pool, char *out, size_t size);

#endif
