// SPDX-License-Identifier: MIT
// The step plan: what a rank does in a training step, as data.
//
// A Program is what a run does: tables of tensors, groups and lanes, and a few Plans over them
// (the initial broadcast, the training step, evaluation). A Plan is a list of operations for one
// class of ranks; it names peers by mesh axis and position in a group, never by absolute rank.
// Work says what is done, Op says when. The trainer and the simulator both execute the program
// that lower() made.
#ifndef CORE_PLAN_PROGRAM_H
#define CORE_PLAN_PROGRAM_H

#include "core/base/status.h"
#include "core/plan/kind.h"
#include "core/plan/placement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AXES = 8, DIMS = 4, NONE = -1 };

// One dimension of the mesh of ranks (axis_coordinate()).
typedef struct {
    char name[8];
    int32_t size, stride;
} Axis;

// Ranks that communicate (core/plan/group.h): those whose coordinates agree with ours on every axis
// but `axes`, in rank order, and of them only those at some positions of `at_axis`, if there is
// one; or, with axes 0, an explicit list of absolute ranks. program.members[first ..) holds the
// positions, ascending, or the list.
typedef struct {
    int32_t name, size, first;
    int32_t at_count;  // positions
    uint16_t axes;     // bit i: members vary along axis i
    int8_t at_axis;    // or NONE
} Group;

// An order in which operations start. A lane is not a thread.
typedef struct {
    int32_t name, group;  // group: of a communication lane, else NONE
    int32_t scratch;      // tensor that its operations work in, one after the other: scratch of
                          // kernels, partial sums of schedules; set by lower(); or NONE
    uint8_t kind;         // LaneKind
} Lane;

// What a checkpoint stores: the whole tensor that ranks hold pieces of.
typedef struct {
    int64_t shape[DIMS];
    int32_t name, tied_to;  // tied_to: the logical tensor whose storage this one uses, or NONE
    // Initial values (core/nn/init.c): U(-1/sqrt(fan_in), 1/sqrt(fan_in)), N(0, normal²) or one
    // constant. At most one of them is not 0; without any all values are 0.
    int64_t fan_in;
    double normal, constant;
    int32_t init;  // keys the initial values: usually the number of parameters before it
    uint8_t dims, dtype, role, trainable;
} Logical;

// A rank's piece of a logical tensor. `shape` is its capacity; with an extent only the first
// `extent` * extent_times rows of dimension 0 are in use, a number that may change from step to
// step: of tokens, extent_times is the length of a sequence.
typedef struct {
    int64_t shape[DIMS], bytes;
    int64_t offset;        // in its pool; set by lower(), NONE while unplaced or virtual
    int64_t extent_times;  // rows for each that the extent counts; 1 without an extent
    int32_t name, logical;
    int32_t extent;              // scalar tensor or NONE
    int32_t alias;               // tensor whose memory it views, or NONE
    int32_t shard, micro_batch;  // which shard and micro-batch of this rank it belongs to
    Placement placement[AXES];   // per mesh axis
    uint8_t dtype, role, dims;
    uint8_t pool;          // Pool, set by lower()
    uint8_t source;        // ScalarSource: what the run writes into it before each turn
    uint8_t result;        // Result: what the run reads from it after a plan that writes it
    uint16_t source_axes;  // bit i: the value depends on the rank's coordinate along axis i
} Tensor;

// Where a tensor lives: in memory of the rank's own, in memory that its peers can address, or,
// where the device has memory apart from the host's, in pages of the host that the device can read
// (pinned): what the host writes.
typedef enum { POOL_LOCAL, POOL_SHARED, POOL_HOST, POOL_COUNT } Pool;

// What is done. Shared by all micro-batches that do the same.
typedef struct {
    int32_t name, layer;  // layer: name of the layer it belongs to, or NONE
    int32_t group, peer;  // of a communication. peer: root's position in the group; of a send or
                          // receive, the distance along the group (+1: the next member)
    // program.attrs: of the kind; of several tensors that are cut (kind_cuts()), the elements that
    // each has as a whole
    int32_t attr_first, attr_count;
    int64_t flops, read_bytes, write_bytes, payload_bytes;  // at full extent
    int64_t work_bytes;    // that the schedule of a communication works in; see program_lower()
    int64_t unit;          // of a collective: shares begin at multiples of so many elements; 0: 1
    uint64_t cost_key;     // equal for work of equal kind, type and shapes
    uint16_t kind, parts;  // parts: inputs folded per output of a reduction (shards a rank)
    uint8_t phase, dtype, reduce, algorithm, order;
} Work;

enum { OP_ACCUMULATE = 1, OP_RECOMPUTE = 2 };

// When it is done. Operands are outputs, then inputs, at plan.operands[operand_first ..].
typedef struct {
    int32_t work, operand_first, dep_first;
    int32_t guard;  // scalar tensor; the op is skipped while it is zero; or NONE
    int32_t shard, micro_batch;
    int32_t member_first, member_count;  // of a fused op: plan.members
    int32_t dep_count, outputs, inputs;
    uint8_t lane, flags;
} Op;

// Operation `op` of the same plan must have ended first: in this step (distance 0) or
// the one before (1).
typedef struct {
    int32_t op;
    uint8_t kind, distance;  // DepKind
} Dep;

typedef struct {
    int32_t name;
    uint8_t when;  // When a run executes it
    Op *ops;       // owned, as the arrays below
    Op *members;   // operations that were fused; their operands are in `operands` too
    Dep *deps;
    int32_t *operands;  // tensors
    int op_count, op_capacity, member_count, member_capacity;
    int dep_count, dep_capacity, operand_count, operand_capacity;
} Plan;

enum { PLANS = 8 };

// What a name is the name of; NONE: of no such thing. Of several the first.
typedef struct {
    int32_t tensor, logical;
} NamedThing;

// A place in the hash table of names: where a name begins, or NONE, and its hash.
typedef struct {
    int32_t at;
    uint32_t hash;
} NameSlot;

enum { NAME_ALIGN = 8 };  // bytes, of where a name begins

typedef struct {
    Axis axes[AXES];
    int axis_count;
    Group *groups;  // owned, as all arrays here
    Lane *lanes;
    Logical *logicals;
    Tensor *tensors;
    Work *works;
    int64_t *attrs;        // integers, or the bits of a double
    int32_t *members;      // of groups: absolute ranks, or positions along an axis
    char *names;           // every name once, terminated; program_next_name()
    NamedThing *named;     // [name_bytes / NAME_ALIGN], program_named()
    NameSlot *name_slots;  // [name_slot_count] hash table of names (names.c)
    int32_t *work_slots;   // [work_slot_count] hash table of works (build.c)
    int group_count, group_capacity, lane_count, lane_capacity, logical_count, logical_capacity;
    int tensor_count, tensor_capacity, work_count, work_capacity, attr_count, attr_capacity;
    int member_count, member_capacity, name_bytes, name_capacity;
    int name_count, named_capacity, name_slot_count, name_slot_capacity;
    int work_slot_count, work_slot_capacity;
    int64_t tensor_bytes;  // of all tensors
    int parameter_count;   // logical tensors that are parameters
    Plan plans[PLANS];
    int plan_count;
    bool lowered;    // by lower(): what follows is set, and so are offsets and pools
    int32_t device;  // name of the device it was lowered for
    int64_t pool_bytes[POOL_COUNT];  // set by lower()
    int64_t role_bytes[POOL_COUNT][ROLE_COUNT];
} Program;

void program_finish(Program *p);  // free what it owns; safe on a zeroed Program

static inline NamedThing *program_named(const Program *p, int32_t name) {
    return &p->named[name / NAME_ALIGN];
}
// Where the name behind this one begins; name_bytes behind the last.
int32_t program_next_name(const Program *p, int32_t name);

const char *program_name(const Program *p, int32_t name);  // "" for NONE
const char *tensor_name(const Program *p, int32_t tensor);
const char *op_name(const Program *p, const Op *op);  // the name of its work

// The tensor, logical tensor, group, lane or plan of that name, or NONE; the place of the name.
int program_find_tensor(const Program *p, const char *name);
int program_find_logical(const Program *p, const char *name);
int32_t program_find_name(const Program *p, const char *name);
int program_find_group(const Program *p, const char *name);
int program_find_lane(const Program *p, const char *name);
int program_find_plan(const Program *p, const char *name);

// The first plan from `from` on that runs then, or NONE.
int program_find_when(const Program *p, When when, int from);

// The tensor that plan `k` writes and the run reads as this result, or NONE.
int program_find_result(const Program *p, int k, Result result);

int64_t tensor_elements(const Tensor *t);  // at full extent
int64_t logical_elements(const Logical *l);

// The largest value of its extent that a tensor has room for.
static inline int64_t tensor_room(const Tensor *t) { return t->shape[0] / t->extent_times; }

// The tensor whose memory a tensor views: itself, or the end of its chain of aliases.
int program_root(const Program *p, int tensor);

static inline const int32_t *op_outputs(const Plan *plan, const Op *op) {
    return plan->operands + op->operand_first;
}
static inline const int32_t *op_inputs(const Plan *plan, const Op *op) {
    return op_outputs(plan, op) + op->outputs;
}

// The work of an operation of this program, and what is most often asked of it.
static inline const Work *op_work(const Program *p, const Op *op) { return &p->works[op->work]; }
static inline Kind work_kind(const Work *w) { return (Kind)w->kind; }
static inline Kind op_kind(const Program *p, const Op *op) { return work_kind(op_work(p, op)); }
static inline bool work_communicates(const Work *w) { return kind_communicates(work_kind(w)); }
static inline bool op_communicates(const Program *p, const Op *op) {
    return work_communicates(op_work(p, op));
}

// Have two operations of a plan operands of the same types and shapes, one after the other, and no
// members? Then what follows from these and the work is the same for both.
bool op_same_shapes(const Program *p, const Plan *plan, const Op *a, const Op *b);

static inline bool work_is_send(const Work *w) { return w->kind == KIND_SEND; }
static inline bool work_is_message(const Work *w) {
    return w->kind == KIND_SEND || w->kind == KIND_RECEIVE;
}

// The i-th attribute of some work.
int64_t work_attr(const Program *p, const Work *w, int i);
double work_real(const Program *p, const Work *w, int i);

// Number of ranks: the product of the mesh axes (1 without any).
int program_ranks(const Program *p);

// A rank's coordinate along an axis of the mesh, and along all (0 past the last axis).
static inline int axis_coordinate(const Axis *a, int rank) { return rank / a->stride % a->size; }
void program_coordinates(const Program *p, int rank, int out[AXES]);

// A rank's place along some axes of the mesh, in the order of ranks, and how many places there are:
// 0 of 1 along none. `axes`: bit i is axis i.
int64_t program_position(const Program *p, uint16_t axes, int rank, int64_t *places);

// Planned bytes of a lowered program, over both pools.
int64_t program_memory(const Program *p, Memory m);

#endif
