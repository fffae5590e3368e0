// SPDX-License-Identifier: MIT
// Memory that is handed out piece by piece and given back all at once. Used while things are
// created; nothing that runs in a training step allocates.
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include "core/base/status.h"

#include <stddef.h>

typedef struct ArenaBlock ArenaBlock;

// A zeroed Arena is empty and ready to use.
typedef struct {
    ArenaBlock *blocks;  // owned; newest first
    size_t used;         // bytes handed out
} Arena;

// The next `size` bytes, zeroed and 64-byte aligned; NULL when the system has no memory.
void *arena_push(Arena *a, size_t size);

// `count` objects of type T, zeroed; NULL when out of memory or when the product overflows.
#define ARENA_NEW(a, T, count) ((T *)arena_push_array((a), (size_t)(count), sizeof(T)))
void *arena_push_array(Arena *a, size_t count, size_t size);

// A copy of a string, or of its first `length` bytes, terminated.
char *arena_string(Arena *a, const char *s);
char *arena_string_n(Arena *a, const char *s, size_t length);

// Free everything pushed. Safe on a zeroed Arena, which it leaves behind.
void arena_finish(Arena *a);

#endif
