// SPDX-License-Identifier: MIT
#include "tests/support/allocations.h"

#include <stddef.h>

enum { RECENT = 256 };

static _Atomic int count, aligned_count;
static struct {
    const void *p;
    size_t bytes;
} recent[RECENT];  // by the number of the call, modulo RECENT

int allocations(void) { return count; }

size_t allocation_bytes(const void *p) {
    for (int i = aligned_count; i-- > 0 && i >= aligned_count - RECENT;)
        if (recent[i % RECENT].p == p) return recent[i % RECENT].bytes;
    return 0;
}

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

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size) {
    void *p = __real_aligned_alloc(align, size);
    count++;
    int at = aligned_count++ % RECENT;
    recent[at].p = p;
    recent[at].bytes = size;
    return p;
}
