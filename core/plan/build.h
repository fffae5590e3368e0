// SPDX-License-Identifier: MIT
// Building a program piece by piece. Every function that adds something writes its index to *out
// (which may be NULL) and fails with ERR_MEMORY, or ERR_PLAN when what it is given cannot be.
#ifndef CORE_PLAN_BUILD_H
#define CORE_PLAN_BUILD_H

#include "core/plan/program.h"

Status program_add_name(Program *p, const char *name,
                        int32_t *out) MUST_USE;  // interned: equal names share an index
Status program_add_axis(Program *p, const char *name, int size,
                        int *out) MUST_USE;  // stride: the product of the axes before it
Status program_add_group(Program *p, const char *name, uint16_t axes, int *out) MUST_USE;

// A group that lies at some positions of an axis only, such as the first and the last stage of a
// pipeline. Its members vary along that axis, between those positions, if it is one of `axes`.
Status program_add_group_at(Program *p, const char *name, uint16_t axes, int at_axis,
                            const int *positions, int count, int *out) MUST_USE;
Status program_add_rank_list(Program *p, const char *name, const int *ranks, int count,
                             int *out) MUST_USE;
Status program_add_lane(Program *p, const char *name, LaneKind kind, int group, int *out) MUST_USE;
Status program_add_plan(Program *p, const char *name, Plan **out) MUST_USE;

typedef struct {
    const char *name;
    int64_t shape[DIMS];
    int dims;
    Dtype dtype;
    Role role;
    int64_t fan_in;  // initial values, as Logical has them; the next two as well
    double normal, constant;
    bool trainable;
} LogicalSpec;
Status program_add_logical(Program *p, const LogicalSpec *spec, int *out) MUST_USE;

// A local tensor. Its shape is the logical one unless shape[0] is given; everything it does not say
// is replicated, of no shard, without extent.
typedef struct {
    const char *name;
    int64_t shape[DIMS];
    int logical;
    int extent, alias;     // 1-based tensor index + 0 for none: see TENSOR_REF below
    int64_t extent_times;  // 0 means 1
    int shard, micro_batch;
    Dtype dtype;  // of the local piece
    Role role;
    Placement placement[AXES];
    ScalarSource source;
    uint16_t source_axes;
    Result result;
} TensorSpec;
// So that a zeroed spec means "no extent, no alias", both are given as index + 1.
#define TENSOR_REF(index) ((index) + 1)
Status program_add_tensor(Program *p, const TensorSpec *spec, int *out) MUST_USE;

// Let a tensor lie in another way along an axis, with the shape that follows (core/plan/piece.h).
// Operations that have it as an operand already are the caller's to add anew: their work knows its
// size. ERR_PLAN when it cannot be cut so.
Status program_place_tensor(Program *p, int tensor, int axis, Placement how) MUST_USE;

// A scalar tensor: `count` elements.
Status program_add_scalar(Program *p, const char *name, Dtype dtype, int count, int *out) MUST_USE;

// A scalar that the run writes before each turn, of one element in its source's type. `axes`: along
// which the batch is cut, or the coordinate is wanted; they must exist.
Status program_add_source(Program *p, const char *name, ScalarSource source, uint16_t axes,
                          int shard, int micro_batch, int *out) MUST_USE;

enum { OPERANDS = 16, ATTRIBUTES = 16 };  // of a computation; a communication may have more

// One operation and its work. Fields left zero: lane 0, no guard, no peer, phase setup.
typedef struct {
    const char *name, *layer;
    Kind kind;
    Phase phase;
    Dtype dtype;
    int lane;
    int group, peer;  // of a communication
    Algorithm algorithm;
    Order order;
    Reduce reduce;
    int parts;             // 0 means 1
    int64_t unit;          // of elements, where shares are cut (core/plan/share.h); 0 means 1
    const int64_t *attrs;  // of the kind; build_attr_real() packs a double; NULL: all are 0
    const int32_t *outputs, *inputs;
    int output_count, input_count;
    int guard;  // TENSOR_REF, 0 for none
    int shard, micro_batch;
    int flags;          // OP_ACCUMULATE ...
    int64_t flops;      // 0: computed (core/plan/flops.h)
    uint64_t cost_key;  // 0: computed
} OpSpec;
int64_t build_attr_real(double value);

// Append the operation to a plan; bytes, payload, cost key and the sizes of what is cut follow from
// the operands. Work that an operation of the program already does is shared.
Status plan_add_op(Program *p, Plan *plan, const OpSpec *spec, int *out) MUST_USE;

// Ask that `op` start only after `after` has ended; distance 0: in this step, 1: in the one before.
// Each call moves what lies behind it in plan.deps: collect more than a few in a DepList.
Status plan_add_dep(Plan *plan, int op, int after, DepKind kind, int distance) MUST_USE;

// Dependencies that are collected and then added at once, in linear time. A zeroed list is empty.
typedef struct {
    int32_t op;  // which operation waits
    Dep dep;
} DepEdge;
typedef struct {
    DepEdge *edges;  // owned
    int count, capacity;
} DepList;
Status dep_list_add(DepList *list, int op, int after, DepKind kind, int distance) MUST_USE;
void dep_list_finish(DepList *list);

// Add them behind the dependencies that the operations have, in the order of the list; one that an
// operation has already, of whatever kind, is not added again.
Status plan_add_deps(Plan *plan, const DepList *list) MUST_USE;

// Remove every dependency of kind DEP_DATA and derive them anew from the operands, in plan
// order: read after write, write after read, write after write, across micro-batches and into the
// previous step: what a step does to a tensor until it has written it itself waits for what the
// step before did last (unless its own lane did it, for what does not outlive a step, because a
// lane goes on from step to step). Call it when a plan's ops are complete.
Status plan_derive_deps(const Program *p, Plan *plan) MUST_USE;

// Rewrite a plan's operations: keep those for which keep[i] is not 0, in the order of `order` (a
// permutation of the old indices, or NULL), with their explicit dependencies carried over.
Status plan_select(Plan *plan, const int *order, const uint8_t *keep) MUST_USE;

#endif
