// SPDX-License-Identifier: MIT
// The files in models/.
#ifndef CORE_NN_BUILTIN_H
#define CORE_NN_BUILTIN_H

#include "core/base/embedded.h"

extern const EmbeddedFile builtin_models[];
extern const int builtin_models_count;

#endif
