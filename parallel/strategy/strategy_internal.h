// SPDX-License-Identifier: MIT
// What strategies share: finding partial results, placing new operations, and what every
// data-parallel one adds besides.
#ifndef PARALLEL_STRATEGY_STRATEGY_INTERNAL_H
#define PARALLEL_STRATEGY_STRATEGY_INTERNAL_H

#include "core/base/arena.h"
#include "core/plan/build.h"
#include "parallel/strategy/strategy.h"

enum { PARTS = 4096 };  // shards of one rank

// A tensor that is a partial sum along the axis "data": its piece of each local shard, and the
// operation after which that piece is complete.
typedef struct {
    int32_t *part, *ready;  // in the arena
    int32_t complete;       // the operation after which all pieces are
} Gradient;

// The partial sums of a role that a plan computes, in table order, into the arena.
Status gradients_find(const Program *p, const Plan *plan, Role role, int parts, Arena *a,
                      Gradient **out, int *count) MUST_USE;

// The same of what is a partial sum along any of some axes, bit i for axis i.
Status gradients_find_along(const Program *p, const Plan *plan, Role role, uint16_t axes, int parts,
                            Arena *a, Gradient **out, int *count) MUST_USE;

// In the order in which they become ready.
void gradients_sort(Gradient *g, int count);

// The bucket that begins with gradients[first], of sorted ones: where it ends, and in *after the
// operation that completes it. It closes once it has passed its cap, so it may exceed it; what is
// left over is the last one.
int gradients_bucket(const Program *p, const StrategyOptions *options, const Gradient *g, int count,
                     int first, int *after);

// Move the last `placed` operations of a plan: the k-th goes right behind operation after[k],
// or to the front where that is NONE.
Status strategy_place_after(Plan *plan, const int *after, int placed, Arena *a) MUST_USE;

// A data-parallel transformation at work. New operations are collected with the place that they go
// to, and take it all at once.
typedef struct {
    Program *p;
    const StrategyOptions *options;
    Arena arena;
    int axis;         // "data"
    uint16_t axes;    // it, and "expert", its inner part: along which the batch is cut
    uint16_t sums;    // along which gradients are added up at once: these, and "context"
    int group, lane;  // ranks whose gradients are added up, their communication
    int holders_group, holders_lane;  // of experts' gradients: those with the same experts; or NONE
    uint16_t only;  // axes along which gradients are held at one coordinate, as by a stage
    int *after;     // owned; per added operation of the plan at work: the one before it
    int added, capacity;
} Join;

// Does this strategy add up gradients over the axes "data" and "context" at once? Others do so over
// "data", behind context_join().
bool join_over_context(const StrategyOptions *options);

// Finds the axis; there must be two ranks or more. Adds group and lane. ERR_PLAN, ERR_MEMORY.
// Call join_finish() also when it failed. The second: of one rank, without group and lane.
Status join_init(Join *j, Program *p, const StrategyOptions *options) MUST_USE;
Status join_init_alone(Join *j, Program *p, const StrategyOptions *options) MUST_USE;
void join_finish(Join *j);

// Is it a gradient of experts' weights, of which the ranks that share them have pieces, so that it
// is added up over the ranks that hold the same experts?
bool join_is_of_experts(const Join *j, const Gradient *g);

// The axes over which a gradient is added up: "data", and "expert" if it is there and the gradient
// is not of experts.
uint16_t join_summed_axes(const Join *j, const Gradient *g);

// What is made of gradients is held where they are.
void join_confine(const Join *j, TensorSpec *piece);

// Add an operation to the plan at work, to be placed behind operation `after`; place all of them.
Status join_add(Join *j, Plan *plan, const OpSpec *spec, int after) MUST_USE;
Status join_place(Join *j, Plan *plan) MUST_USE;

// One all-reduce over gradients[0 .. count): inputs part after part, results into the first part.
Status join_all_reduce(Join *j, Plan *plan, const char *name, const Gradient *g, int count,
                       Algorithm algorithm, int after) MUST_USE;

// All-reduce the loss of a step; give all ranks the results of all (plan k, an evaluation); add the
// plan "broadcast", which gives them rank 0's parameters.
Status join_loss(Join *j, Plan *plan) MUST_USE;
Status join_evaluation(Join *j, int k) MUST_USE;

// Where the plan computes the norm of all gradients: join the sums of squares of those that are cut
// along the axis, or of all, which are about to be cut. ERR_MEMORY, ERR_PLAN.
Status join_norm(Join *j, Plan *plan, bool all) MUST_USE;

// Give all ranks the state that rank 0 wrote in a step from values of its own, such as running
// statistics of its rows, or what a step that counts will make of it.
Status join_state(Join *j, Plan *plan) MUST_USE;
Status join_broadcast(Join *j) MUST_USE;

// As join_all_reduce() of every bucket of sorted gradients, in the form that options->compress
// says. Of the first `original` operations those behind the backward read the sums instead.
Status compress_buckets(Join *j, Plan *plan, const Gradient *g, int count, int last_backward,
                        int original) MUST_USE;

// The same with error feedback, on one rank too: powersgd and topk.
Status feedback_buckets(Join *j, Plan *plan, const Gradient *g, int count, int last_backward,
                        int original) MUST_USE;

// A tensor for the sum of all ranks' gradients, of the shape of one; and let those of the first
// `original` operations that follow the backward read it where they read the gradient. Returns the
// first operation that does, or NONE.
Status compress_add_sum(Join *j, const Gradient *g, int32_t *out) MUST_USE;
int compress_read_sum(Plan *plan, const Gradient *g, int32_t sum, int original);

// The last operation of the backward pass, or NONE.
int join_last_backward(const Program *p, const Plan *plan);

// The operation after which a value is sent that is complete at one: without overlap not before the
// backward ends. A stage of a pipeline may have the loss, or a gradient of a weight that stages
// share, only after its own backward.
int join_after(const Join *j, int complete, int last_backward);

// Without overlap: nothing is communicated before the backward's end, and nothing is updated before
// the last bucket's.
Status join_separate_phases(const Program *p, Plan *plan) MUST_USE;

#endif
