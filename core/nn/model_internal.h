// SPDX-License-Identifier: MIT
// Shared by the files that read models: words, and what is done once all lines are read.
#ifndef CORE_NN_MODEL_INTERNAL_H
#define CORE_NN_MODEL_INTERNAL_H

#include "core/nn/layers/layer_internal.h"

const char *layer_attribute_name(Attribute a);  // "out"
bool layer_takes(const LayerRow *row, Attribute a);
bool layer_requires(const LayerRow *row, Attribute a);

// Advice that follows a message about a word that is no layer, or no attribute of a layer: the word
// that was probably meant, or why there is none, and what there is. Returns `out`.
enum { LAYER_ADVICE = 256 };
const char *layer_advise(char out[LAYER_ADVICE], const char *word);
const char *layer_advise_attribute(char out[LAYER_ADVICE], const LayerRow *row, const char *word);

extern const char *const model_line_words[];  // "input", "classes" …, then NULL

// Number the layers that have no name, then give every layer its shapes. ERR_SHAPE and ERR_FORMAT
// name the line, the layer and both shapes.
Status model_infer(Model *m, Arena *a) MUST_USE;

#endif
