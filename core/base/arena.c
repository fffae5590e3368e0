// SPDX-License-Identifier: MIT
// Blocks in a list: a piece comes from the newest, and a block is allocated when it is full.
#include "core/base/arena.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BLOCK = 64 * 1024 };

struct ArenaBlock {
    ArenaBlock *next;
    size_t size, used;  // bytes of this block, header included
};

void *arena_push(Arena *a, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size_t need = (size + ALIGN - 1) / ALIGN * ALIGN;
    ArenaBlock *b = a->blocks;
    if (!b || b->size - b->used < need) {
        size_t block = need + ALIGN > BLOCK ? need + ALIGN : BLOCK;
        b = aligned_alloc(ALIGN, block);
        if (!b) return NULL;
        *b = (ArenaBlock){.next = a->blocks, .size = block, .used = ALIGN};
        a->blocks = b;
    }
    void *p = (unsigned char *)b + b->used;
    b->used += need;
    a->used += need;
    return memset(p, 0, need);
}

void *arena_push_array(Arena *a, size_t count, size_t size) {
    if (size && count > SIZE_MAX / 2 / size) return NULL;
    return arena_push(a, count * size);
}

char *arena_string_n(Arena *a, const char *s, size_t length) {
    char *copy = arena_push(a, length + 1);
    return copy ? memcpy(copy, s, length) : NULL;
}

char *arena_string(Arena *a, const char *s) { return arena_string_n(a, s, strlen(s)); }

void arena_finish(Arena *a) {
    for (ArenaBlock *b = a->blocks; b;) {
        ArenaBlock *next = b->next;
        free(b);
        b = next;
    }
    *a = (Arena){0};
}
