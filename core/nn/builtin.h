// SPDX-License-Identifier: MIT
// The files in models/, and names for sizes of them: gpt2-xl is gpt with 48 layers.
#ifndef CORE_NN_BUILTIN_H
#define CORE_NN_BUILTIN_H

#include "core/base/arena.h"
#include "core/base/embedded.h"

extern const EmbeddedFile builtin_models[];
extern const int builtin_models_count;

// A built-in model by another name, with these values of its parameters.
typedef struct {
    const char *name, *model, *parameters;
} BuiltinSize;
extern const BuiltinSize builtin_sizes[];
extern const int builtin_sizes_count;

// The file of that name, or of that size's model; NULL: there is none. *size: the size, or NULL.
const EmbeddedFile *builtin_find(const BuiltinSize **size, const char *name, size_t length);

// "layers=2,hidden=64": what `given` says, and the size's values of the other parameters. In the
// arena; NULL when that is full.
const char *builtin_size_parameters(const BuiltinSize *size, Arena *a, const char *given);

#endif
