// SPDX-License-Identifier: MIT
// The pipeline pass: from the program of all layers to one class of ranks for each place along the
// mesh axis "pipe" (Huang et al., GPipe, 2019; Narayanan et al., PipeDream-Flush, 2021).
#ifndef PARALLEL_STRATEGY_STAGE_H
#define PARALLEL_STRATEGY_STAGE_H

#include "core/plan/set.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "parallel/strategy/strategy.h"

enum { STAGE_CHUNKS = 2 };  // stages of each rank of an interleaved schedule, if none are given

// From the untransformed program of a model whose mesh has an axis "pipe" the programs of classes
// "stage0", "stage1" ...: each has the layers of its stages, the weights and the optimiser state of
// these, and does its passes in the order of the schedule. What a layer reads of another stage is
// sent from stage to stage, on lanes "next_out", "next_in" (to and from the next rank) and
// "previous_out", "previous_in". The last stage's loss and the norm of the gradients are broadcast
// along "pipe"; gradients of a weight that layers of several stages share are summed among those.
//
// A receive may begin when its rank begins the task before the one that needs it, so that a rank
// has one message in flight at most while it computes on another; and a task waits until what the
// one before the last sent the same way has left. So each lane has two buffers.
//
// Gradients stay partial sums along "data": joining them is another pass's work, on each class.
// ERR_USAGE, with the arithmetic: more stages than layers, `options->stages` that are none, a
// schedule that needs more micro-batches.
Status stage_programs(ProgramSet *out, const Program *p, const Model *m,
                      const StrategyOptions *options, int micro_batches) MUST_USE;

// Once every class has been transformed by itself: let all have the same logical tensors and plans,
// in the same order, those that another class added, too.
Status stage_unify(ProgramSet *set) MUST_USE;

// The shape of the pipeline that options ask for; micro_batches: of all shards of a rank together.
PipelineShape stage_shape(const StrategyOptions *options, int ranks, int micro_batches);

// Layers to stages: out[layer] for the layers of the model, and behind them the loss. Contiguous,
// no stage without flops while enough layers have some, so that the stage with the most flops has
// as few as may be, and of such cuts the one over which the fewest bytes are sent; or as
// `options->stages` says ("0:4,4:8": the layers of each stage).
Status stage_assign(int *out, Arena *a, const Program *p, const Model *m, const char *given,
                    const PipelineShape *shape) MUST_USE;

// The layer of each work of a program, by its index; of that which no layer of the model has, such
// as the loss, the number of layers; or NONE. In the arena.
Status stage_find_work_layers(int **out, Arena *a, const Program *p, const Model *m) MUST_USE;

#endif
