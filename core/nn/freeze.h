// SPDX-License-Identifier: MIT
// Which parameters of a model a step trains: those of layers that the loss depends on, unless they
// are frozen by the model's file or by patterns of names.
#ifndef CORE_NN_FREEZE_H
#define CORE_NN_FREEZE_H

#include "core/nn/model.h"

// No step shall change the parameters that the patterns name, "conv*,fc1.weight": each a name, with
// the * ? [...] of a shell, of parameters, of layers, or of blocks around them. ERR_USAGE when one
// names none, with the nearest, and when nothing is left to train.
Status model_freeze(Model *m, const char *patterns) MUST_USE;

// Does a step compute a gradient of parameter k of a layer, for this use of it? Not of state, of
// what is frozen, nor where the loss does not depend on the layer.
bool model_has_gradient(const Model *m, int layer, int k);
// Is it the layer's own, and does a step update it, from the gradients of one use or more?
bool model_updates(const Model *m, int layer, int k);

// Say in one line which layers the loss does not depend on, as where a name in from= is another
// than was meant: with file and line, and what becomes of their parameters. False: all are used.
enum { MODEL_UNUSED = 400 };
bool model_describe_unused(const Model *m, char out[MODEL_UNUSED]);

#endif
