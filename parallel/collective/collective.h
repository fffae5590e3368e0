// SPDX-License-Identifier: MIT
// Schedules of collective communication as formulas: who takes which chunk from whom in which
// round. Communicators execute them, the simulator prices them, the viewer draws them. Nothing is
// stored: a ring over a million ranks is a formula.
//
// Every member has an input and a result array, cut into the same chunks. All-reduce, broadcast and
// reduce: both hold the whole array of `elements`. Reduce-scatter: the input does, the result is
// the member's own chunk. All-gather: the other way round. Scatter and gather: the same, but only
// the root has the whole array. All-to-all: the input holds a piece for every member, the result a
// piece from every member.
#ifndef PARALLEL_COLLECTIVE_COLLECTIVE_H
#define PARALLEL_COLLECTIVE_COLLECTIVE_H

#include "core/base/arena.h"
#include "core/base/status.h"
#include "core/plan/kind.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    COLLECTIVE_ALL_REDUCE,
    COLLECTIVE_REDUCE_SCATTER,
    COLLECTIVE_ALL_GATHER,
    COLLECTIVE_BROADCAST,
    COLLECTIVE_REDUCE,
    COLLECTIVE_SCATTER,
    COLLECTIVE_GATHER,
    COLLECTIVE_ALL_TO_ALL,
    COLLECTIVE_BARRIER,
    COLLECTIVE_COUNT
} CollectiveKind;

// A collective over `ranks` members and `elements` elements: of the whole array, or for an
// all-to-all of one member's input.
typedef struct {
    CollectiveKind kind;
    Algorithm algorithm;
    int ranks, root;  // root: of what goes from one member to all, or from all to one
    int64_t elements;
    int64_t unit;  // where there is one chunk a member: chunks begin at multiples of it; 0 means 1
    const int64_t *sizes;  // of several arrays that are cut each by itself, borrowed: a chunk has
    int size_count;        // a member's shares of all, one behind the other. count 0: of one array
} Collective;

// One step: in `round`, `destination` takes chunk `chunk` from the input or the result of `source`
// and writes it to its own result (COPY) or adds it there (REDUCE). A source that is the
// destination itself is local: nothing travels.
//
// A COPY and the REDUCEs of the same chunk that follow it in the same round are one fold: all of it
// is read before the chunk is written, so that input and result may be the same memory in an
// all-reduce, broadcast or reduce. A step never reads a result that is written in the same round:
// whoever starts a round only has to wait until its sources have ended the rounds before.
typedef enum { STEP_COPY, STEP_REDUCE } StepAction;
typedef enum { FROM_INPUT, FROM_RESULT } StepOrigin;
typedef struct {
    int64_t round, chunk;
    int32_t source, destination;
    StepAction action;
    StepOrigin from;
} CollectiveStep;

const char *collective_name(CollectiveKind k);

// Is this combination defined? ERR_USAGE names what is not. The functions below need it to be.
Status collective_validate(const Collective *c) MUST_USE;

int64_t collective_rounds(const Collective *c);
int64_t collective_chunks(const Collective *c);

// Are chunks pieces of what the schedule passes on whole? Otherwise there is one for each member
// (of an all-to-all, for each pair), whose share of the array it is.
bool collective_is_piecewise(const Collective *c);

// Chunk i holds elements [*begin, *begin + *count) of the whole array: sizes differ by at most one
// unit and may be 0 (core/plan/share.h). Of an all-to-all, chunk s*ranks + d is what member s has
// for member d, within its input.
void collective_chunk(const Collective *c, int64_t chunk, int64_t *begin, int64_t *count);

// Where a chunk begins in the input and in the result of a member that holds it there; -1 when the
// result has no place for it: the partial sums of a reduce-scatter around a ring pass through
// working memory of collective_work_elements() elements, where chunks lie as in the whole array.
int64_t collective_input_place(const Collective *c, int64_t chunk);
int64_t collective_result_place(const Collective *c, int rank, int64_t chunk);
int64_t collective_work_elements(const Collective *c);
int64_t collective_input_elements(const Collective *c, int rank);
int64_t collective_result_elements(const Collective *c, int rank);

// How many steps have `rank` as destination in `round`, and the i-th of them. Their order within a
// round is the order in which they must be applied.
int collective_steps(const Collective *c, int64_t round, int rank);
CollectiveStep collective_step(const Collective *c, int64_t round, int rank, int i);

// The step by which `destination` takes something from another member `source` in a round, of which
// there is one at most. False: there is none.
bool collective_step_from(const Collective *c, int64_t round, int source, int destination,
                          CollectiveStep *out);

// Between members that share memory both rounds of a direct all-reduce are one: each member folds
// its chunk of all inputs and stores the sum into every member's result. Nobody else touches that
// chunk, so members meet only when all have arrived and when all have stored.
static inline bool collective_pushes(const Collective *c) {
    return c->kind == COLLECTIVE_ALL_REDUCE && c->algorithm == ALGORITHM_DIRECT;
}

// Bytes that the busiest member receives, and all members together; of `element_bytes` an element.
int64_t collective_bytes_per_rank(const Collective *c, int64_t element_bytes);
int64_t collective_bytes_total(const Collective *c, int64_t element_bytes);

// Bytes that a member sends. Where it is no direct one from or to a root: the mean of all members.
double collective_bytes_sent(const Collective *c, int member, int64_t element_bytes);

// Does it add in rank order (((g0+g1)+g2)+…) in every element? Otherwise (a ring from 3 members) a
// member that brings several inputs adds these first.
bool collective_in_rank_order(const Collective *c);

// All steps in the order of round, destination and application, in the arena: to check and draw.
Status collective_list(const Collective *c, CollectiveStep **out, int64_t *count,
                       Arena *a) MUST_USE;

// Execute a list of steps on symbols instead of numbers, with input and result apart and, where
// allowed, in the same memory. Every contribution must be reduced exactly once into everything, in
// rank order where promised, in one order everywhere; everyone must end with everything it should;
// nobody may overwrite what a member that waits for its sources only may still be reading.
// ERR_FAILED names the step. Up to some hundred ranks.
Status collective_check_list(const Collective *c, const CollectiveStep *steps,
                             int64_t count) MUST_USE;
Status collective_check(const Collective *c) MUST_USE;  // of its own list

#endif
