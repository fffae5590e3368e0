// SPDX-License-Identifier: MIT
// What the parts of the pipeline pass share: stage_plan.c finds out which stage does what and what
// it needs of others, stage_emit.c writes the program of a class, stage_update.c its update.
#ifndef PARALLEL_STRATEGY_STAGE_INTERNAL_H
#define PARALLEL_STRATEGY_STAGE_INTERNAL_H

#include "core/base/arena.h"
#include "core/plan/program_copy.h"
#include "parallel/strategy/stage.h"

// A unit here is what goes through a stage at once: a micro-batch of a shard, of which a rank
// counts those of all its shards, in order; or, with --sync-batchnorm, which joins what all shards
// know of a micro-batch, that of all its shards.
typedef struct {
    int32_t stage;  // NONE: no single one
    int32_t unit;
    uint64_t ranks;  // bit r: place r along the pipe does it
    PassKind pass;   // forward, or one of the two parts of the backward
    bool update;     // it comes behind all passes
    int32_t tied;    // of an update: the weight whose uses it adds up over several ranks, or NONE
} StageOp;

// A tensor goes from a stage to a neighbour: what that one reads, or passes on.
typedef struct {
    int32_t root, unit;
    int from, to;  // stages
} StageCrossing;

enum { LOAD_X, LOAD_LABELS, LOADS };

typedef struct {
    const Plan *plan;
    StageOp *ops;                   // [op]
    int32_t *of_task, *task_first;  // operations of passes, in the order of the plan, by unit and
                                    // in that by stage, those of no single stage first
    StageCrossing *crossings;       // owned; by unit
    int32_t *crossing_first;        // [unit + 1]
    int crossing_count, crossing_capacity, units;
    bool (*loads)[LOADS];  // [stage] does its forward load the samples, the labels?
    int32_t *losses;       // tensors, one of each local shard
    int loss_count;
} StagePlan;

// What several ranks have a part of, summed over a group of these: the gradient of a weight that
// layers on all of them use; the choices of tokens.
typedef struct {
    int32_t sum;  // tensor that gets the sum
    uint64_t ranks;
} StageTied;

typedef struct {
    const Program *from;
    const Model *m;
    const StrategyOptions *options;
    Arena arena;
    int pipe, ranks, stages;                 // axis; its size; of all ranks
    int local_shards, micro_batches, units;  // units: of a step
    PipelineSchedule schedule;
    int *layer_stage;     // [layer], and behind the last the loss
    int *work_layer;      // [work] layer; layer_count: the loss; NONE
    uint64_t *holders;    // [tensor] places along the pipe that have it
    uint64_t *writers;    // [tensor] those that compute it; others receive it
    uint16_t *reduced;    // [tensor] axes along which its writers reduce it in place
    uint8_t *everywhere;  // [tensor] is it computed alike by all?
    int32_t *lasting;     // tensors that outlive a step, in the order of the table
    StagePlan plans[PLANS];
    StageTied *tied;  // in the arena
    int tied_count, lasting_count;
    StageTied choices;  // of experts: the table of local shard 0, or NONE
} Stages;

// Does it add parts of the gradient of an output, one for each use?
static inline bool stage_sums_uses(const Program *p, const Op *op) {
    Kind k = op_kind(p, op);
    return op_work(p, op)->phase == PHASE_BACKWARD && (k == KIND_ADD || k == KIND_FOLD);
}

static inline int stage_rank(const Stages *s, int stage) { return stage % s->ranks; }

// Find out all that stage_emit_class() needs of a plan. ERR_USAGE, ERR_PLAN, ERR_MEMORY.
Status stage_plan_init(Stages *s, int k) MUST_USE;
void stage_plan_finish(StagePlan *plan);

// stage_update.c: who does which operation of the update.
Status stage_plan_update(Stages *s, StagePlan *plan) MUST_USE;

// Where a class joins such parts. All classes have these lanes.
typedef struct {
    int group, lane;
} StageJoint;

// The program of one class at work. Classes are made side by side: they only read `s`.
typedef struct {
    const Stages *s;
    Arena arena;
    const StagePlan *plan;
    ProgramCopy copy;
    int rank, group, lane;                             // "pipe": its ranks, their collectives
    int next_out, next_in, previous_out, previous_in;  // lanes of messages
    DepList deps;                                      // of the plan at work
    int last;                                          // its last operation that computes, or NONE
    int begun[2];   // [forward] the same before the last task that received
    int32_t *sent;  // [stage * units + unit] the first of what a forward sent, or NONE
    int32_t *sent_count;
    int32_t last_sent[2][2], last_count[2][2];  // [forward] what the last two of these sent
    int32_t *waits;             // what the next operation that computes must wait for
    int wait_count, tasks[2];   // tasks: [forward] how many there were
    bool *counted;              // [tensor of `from`] a table of choices that is begun
    StageJoint *tied, choices;  // tied: [tied of `s`]
} StageClass;

// An operation as it is, of any kind. It waits for c->waits if it computes.
Status stage_copy_op(StageClass *c, const Op *op) MUST_USE;

// stage_experts.c: who counts choices; the count of a layer; and, behind all passes, the counts and
// the losses of all stages on each.
void stage_find_choices(Stages *s);
Status stage_copy_count(StageClass *c, const Op *op) MUST_USE;
Status stage_share_choices(StageClass *c) MUST_USE;

// May be called from several threads at once.
Status stage_emit_class(const Stages *s, Program *out, int rank) MUST_USE;
Status stage_emit_update(StageClass *c) MUST_USE;

// The last stage's losses for all ranks, and other tensors in the same way.
Status stage_broadcast(StageClass *c, const char *name, Phase phase, int root,
                       const int32_t *tensors, int count) MUST_USE;

#endif
