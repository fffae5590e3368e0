// SPDX-License-Identifier: MIT
#include "tests/allocations.h"

#include <stddef.h>

static _Atomic int count;

int allocations(void) { return count; }

// The linker sends every call of f here (--wrap=f in tests/meson.build).
#define COUNTED(f, parameters, arguments) \
    void *__real_##f parameters;          \
    void *__wrap_##f parameters;          \
    void *__wrap_##f parameters {         \
        count++;                          \
        return __real_##f arguments;      \
    }

COUNTED(malloc, (size_t size), (size))
COUNTED(calloc, (size_t n, size_t size), (n, size))
COUNTED(realloc, (void *p, size_t size), (p, size))
COUNTED(aligned_alloc, (size_t align, size_t size), (align, size))
