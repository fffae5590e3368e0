// SPDX-License-Identifier: MIT
// Layers of a model file that say how their weights lie along the axis of tensor parallelism.
#ifndef PARALLEL_STRATEGY_SPLIT_PLACE_H
#define PARALLEL_STRATEGY_SPLIT_PLACE_H

#include "parallel/strategy/split_internal.h"

// Find out which layers say place=. ERR_USAGE: two say different things of one weight, or positions
// are divided, too.
Status split_read_places(Split *x) MUST_USE;

// May a weight lie so, for all that its layer says? And does the layer ask for just that?
bool split_may_place(const Split *x, int logical, Placement how);
bool split_asks_for(const Split *x, int logical, Placement how);

// Once all weights are placed: does each lie as its layer says? ERR_USAGE.
Status split_check_places(const Split *x) MUST_USE;

#endif
