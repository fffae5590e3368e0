// SPDX-License-Identifier: MIT
// The files in machines/.
#ifndef CORE_PLATFORM_MACHINE_BUILTIN_H
#define CORE_PLATFORM_MACHINE_BUILTIN_H

#include "core/base/embedded.h"

extern const EmbeddedFile machine_builtins[];
extern const int machine_builtins_count;

#endif
