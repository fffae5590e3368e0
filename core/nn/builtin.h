// SPDX-License-Identifier: MIT
// The model files that are part of the library: models/*.model, made into a table by
// tools/embed.py.
#ifndef CORE_NN_BUILTIN_H
#define CORE_NN_BUILTIN_H

typedef struct {
    const char *name, *text;
} BuiltinModel;

extern const BuiltinModel builtin_models[];
extern const int builtin_model_count;

#endif
