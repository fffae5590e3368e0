// SPDX-License-Identifier: MIT
// The names of a program, each once: a hash table with open addressing (Knuth, volume 3, 6.4,
// algorithm L) finds where a name lies, and an array beside the names which tensor it names. A plan
// file of a megabyte names tens of thousands of things.
#include "core/base/array.h"
#include "core/plan/build.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };  // a power of two, as all sizes of the table

// Of words of eight bytes: each is mixed in by a product, whose upper half is the better one.
static uint32_t hash_of(const char *name, size_t length) {
    uint64_t hash = length, word;
    for (size_t at = 0; at < length; at += sizeof word) {
        size_t left = length - at;
        word = 0;
        memcpy(&word, name + at, left < sizeof word ? left : sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

// The slot of a name, or the free one where it belongs.
static NameSlot *slot_of(const Program *p, const char *name, uint32_t hash) {
    uint32_t mask = (uint32_t)p->name_slot_count - 1, i = hash & mask;
    while (p->name_slots[i].at != NONE &&
           (p->name_slots[i].hash != hash || strcmp(p->names + p->name_slots[i].at, name) != 0))
        i = (i + 1) & mask;
    return &p->name_slots[i];
}

// At most half of the slots are taken.
static Status make_room(Program *p) {
    if (2 * (p->name_count + 1) <= p->name_slot_count) return OK;
    int count = p->name_slot_count ? 2 * p->name_slot_count : FIRST_SLOTS, capacity = 0;
    NameSlot *slots = NULL;
    TRY(ARRAY_RESERVE(slots, capacity, count));
    for (int i = 0; i < count; i++) slots[i] = (NameSlot){.at = NONE};
    for (int i = 0; i < p->name_slot_count; i++) {
        if (p->name_slots[i].at == NONE) continue;
        uint32_t to = p->name_slots[i].hash & ((uint32_t)count - 1);
        while (slots[to].at != NONE) to = (to + 1) & ((uint32_t)count - 1);
        slots[to] = p->name_slots[i];
    }
    free(p->name_slots);
    p->name_slots = slots;
    p->name_slot_count = count;
    p->name_slot_capacity = capacity;
    return OK;
}

int32_t program_find_name(const Program *p, const char *name) {
    return p->name_slot_count ? slot_of(p, name, hash_of(name, strlen(name)))->at : NONE;
}

static int aligned(size_t bytes) {
    return (int)((bytes + NAME_ALIGN - 1) / NAME_ALIGN * NAME_ALIGN);
}

int32_t program_next_name(const Program *p, int32_t name) {
    return name + aligned(strlen(p->names + name) + 1);
}

static Status append(Program *p, const char *name, size_t length) {
    int end = p->name_bytes + aligned(length + 1);
    TRY(ARRAY_RESERVE(p->names, p->name_capacity, end));
    TRY(ARRAY_RESERVE(p->named, p->named_capacity, end / NAME_ALIGN));
    memset(p->names + end - NAME_ALIGN, 0, NAME_ALIGN);
    memcpy(p->names + p->name_bytes, name, length);
    p->named[p->name_bytes / NAME_ALIGN] = (NamedThing){NONE, NONE};
    p->name_bytes = end;
    p->name_count++;
    return OK;
}

Status program_add_name(Program *p, const char *name, int32_t *out) {
    size_t length = strlen(name);
    uint32_t hash = hash_of(name, length);
    TRY(make_room(p));
    NameSlot *slot = slot_of(p, name, hash);
    if (slot->at == NONE) {
        int32_t at = p->name_bytes;
        TRY(append(p, name, length));
        *slot = (NameSlot){at, hash};
    }
    if (out) *out = slot->at;
    return OK;
}

int program_find_tensor(const Program *p, const char *name) {
    int32_t at = program_find_name(p, name);
    return at == NONE ? NONE : program_named(p, at)->tensor;
}

int program_find_logical(const Program *p, const char *name) {
    int32_t at = program_find_name(p, name);
    return at == NONE ? NONE : program_named(p, at)->logical;
}
