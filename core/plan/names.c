// SPDX-License-Identifier: MIT
// The names of a program, each once: a hash table with open addressing (Knuth, volume 3, 6.4,
// algorithm L) finds where a name lies, and an array beside the names which tensor it names. A plan
// file of a megabyte names tens of thousands of things.
#include "core/base/array.h"
#include "core/plan/build.h"

#include <string.h>

enum { FIRST_SLOTS = 64 };  // a power of two, as all sizes of the table

static uint32_t hash(const char *name) {
    uint32_t h = 2166136261u;  // FNV-1a
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

// The slot of a name, or the free one where it belongs.
static int slot_of(const Program *p, const char *name) {
    int mask = p->name_slot_count - 1, i = (int)(hash(name) & (uint32_t)mask);
    while (p->name_slots[i] != NONE && strcmp(p->names + p->name_slots[i], name))
        i = (i + 1) & mask;
    return i;
}

// At most half of the slots are taken.
static Status make_room(Program *p) {
    if (2 * (p->name_count + 1) <= p->name_slot_count) return OK;
    int slots = p->name_slot_count ? 2 * p->name_slot_count : FIRST_SLOTS;
    TRY(ARRAY_RESERVE(p->name_slots, p->name_slot_capacity, slots));
    p->name_slot_count = slots;
    for (int i = 0; i < slots; i++) p->name_slots[i] = NONE;
    for (int at = 0; at < p->name_bytes; at += (int)strlen(p->names + at) + 1)
        p->name_slots[slot_of(p, p->names + at)] = at;
    return OK;
}

int32_t program_find_name(const Program *p, const char *name) {
    return p->name_slot_count ? p->name_slots[slot_of(p, name)] : NONE;
}

Status program_add_name(Program *p, const char *name, int32_t *out) {
    int32_t at = program_find_name(p, name);
    if (at == NONE) {
        int bytes = (int)strlen(name) + 1;
        TRY(make_room(p));
        TRY(ARRAY_RESERVE(p->names, p->name_capacity, p->name_bytes + bytes));
        TRY(ARRAY_RESERVE(p->named, p->named_capacity, p->name_bytes + bytes));
        at = p->name_bytes;
        memcpy(p->names + at, name, (size_t)bytes);
        p->named[at] = (NamedThing){NONE, NONE};
        p->name_slots[slot_of(p, name)] = at;
        p->name_bytes += bytes;
        p->name_count++;
    }
    if (out) *out = at;
    return OK;
}

int program_find_tensor(const Program *p, const char *name) {
    int32_t at = program_find_name(p, name);
    return at == NONE ? NONE : p->named[at].tensor;
}

int program_find_logical(const Program *p, const char *name) {
    int32_t at = program_find_name(p, name);
    return at == NONE ? NONE : p->named[at].logical;
}
