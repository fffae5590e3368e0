// SPDX-License-Identifier: MIT
// Cutting the work of a model over an axis of the mesh by placements (GSPMD, Xu et al. 2021; tensor
// parallelism, Megatron-LM, Shoeybi et al. 2019). Parameters are placed first; how everything else
// lies, and so what is communicated, follows from the rules of the kinds (placement_rules.h).
#ifndef PARALLEL_STRATEGY_SPLIT_H
#define PARALLEL_STRATEGY_SPLIT_H

#include "core/nn/model.h"
#include "core/plan/mesh.h"
#include "core/plan/program.h"

// Tensor parallelism: cut the weights of a model's untransformed program over the axis "tensor",
// which it must have. Weights that lie between two others are cut by their outputs, those behind
// them by their inputs (heads and channels stay whole); the sums that these leave are all-reduced
// on the communication lane "tensor". Strategies for the data follow. The program is replaced; on
// failure it is zeroed. ERR_USAGE: heads that the ranks cannot share, nothing to cut, or a weight
// that cannot lie as its layer of the model says (place=).
//
// `sequence`: norms, residual sums and dropout are computed by each rank for a part of the
// positions (Korthikanti et al., 2022): all-reduces become reduce-scatters and all-gathers.
// ERR_USAGE: there are no sequences, or the ranks cannot share their positions equally.
Status split_tensor(Program *p, const Model *m, bool sequence) MUST_USE;

// Afterwards, the plan "broadcast.tensor", or of another axis: of parameters, or shards of them,
// that all ranks of the axis hold, the first rank's initial values.
Status split_broadcast(Program *p, MeshAxis along) MUST_USE;

#endif
