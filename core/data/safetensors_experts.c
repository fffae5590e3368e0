// SPDX-License-Identifier: MIT
// Names first: A.experts.B is the whole, A.experts.3.B expert 3. Then splitting, and joining, which
// sorts the names of a file so that the experts of one tensor follow one another.
#include "core/data/safetensors_experts.h"

#include "core/plan/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_DIMS = 3, NUMBER_MOST = 1 << 20 };

static const char word[] = ".experts.";

// --- names

// Behind the last ".experts.", or NULL.
static const char *behind_word(const char *name) {
    const char *behind = NULL;
    for (const char *at = name; (at = strstr(at, word)); at++) behind = at + sizeof word - 1;
    return behind;
}

// The number there, which ends in a dot and does not begin with a needless 0; NONE: there is none.
static int number_at(const char *at, const char **end) {
    int number = 0;
    const char *c = at;
    for (; *c >= '0' && *c <= '9' && number < NUMBER_MOST; c++) number = 10 * number + (*c - '0');
    *end = c;
    return c == at || *c != '.' || (*at == '0' && c > at + 1) ? NONE : number;
}

static const char *name_of_expert(Arena *a, const char *whole, int64_t expert) {
    const char *behind = behind_word(whole);
    size_t room = strlen(whole) + 24;
    char *name = ARENA_NEW(a, char, room);
    if (name)
        snprintf(name, room, "%.*s%lld.%s", (int)(behind - whole), whole, (long long)expert,
                 behind);
    return name;
}

// --- one for each

static bool is_whole(const SafetensorsEntry *e) {
    return e->dims == WHOLE_DIMS && behind_word(e->name);
}

static Status split(SafetensorsEntry *out, Arena *a, const SafetensorsEntry *whole) {
    int64_t bytes = whole->shape[0] ? safetensors_bytes(whole) / whole->shape[0] : 0;
    for (int64_t e = 0; e < whole->shape[0]; e++) {
        out[e] = (SafetensorsEntry){.name = name_of_expert(a, whole->name, e),
                                    .dtype = whole->dtype,
                                    .dims = WHOLE_DIMS - 1,
                                    .shape = {whole->shape[1], whole->shape[2]},
                                    .data = (const char *)whole->data + e * bytes};
        if (!out[e].name) FAIL(ERR_MEMORY, "out of memory for %s", whole->name);
    }
    return OK;
}

Status safetensors_split_experts(SafetensorsEntry **out, int *out_count, Arena *a,
                                 const SafetensorsEntry *entries, int count) {
    int64_t all = 0, at = 0;
    for (int i = 0; i < count; i++) all += is_whole(&entries[i]) ? entries[i].shape[0] : 1;
    *out = all < INT32_MAX ? ARENA_NEW(a, SafetensorsEntry, all + 1) : NULL;
    if (!*out) FAIL(ERR_MEMORY, "out of memory for %lld tensors", (long long)all);
    for (int i = 0; i < count; i++) {
        if (is_whole(&entries[i])) TRY(split(&(*out)[at], a, &entries[i]));
        if (!is_whole(&entries[i])) (*out)[at] = entries[i];
        at += is_whole(&entries[i]) ? entries[i].shape[0] : 1;
    }
    *out_count = (int)at;
    return OK;
}

// --- all together

typedef struct {
    const char *whole;  // its name; NULL: it is no expert's
    int number, entry;
} Part;

static Status read_part(Part *out, Arena *a, const SafetensorsEntry *e, int entry) {
    const char *behind = behind_word(e->name), *end;
    *out = (Part){.entry = entry, .number = NONE};
    if (behind) out->number = number_at(behind, &end);
    if (out->number == NONE) return OK;
    size_t room = strlen(e->name) + 1;
    char *whole = ARENA_NEW(a, char, room);
    if (!whole) FAIL(ERR_MEMORY, "out of memory for %s", e->name);
    snprintf(whole, room, "%.*s%s", (int)(behind - e->name), e->name, end + 1);
    out->whole = whole;
    return OK;
}

static int by_whole(const void *left, const void *right) {
    const Part *a = left, *b = right;
    if (!a->whole || !b->whole) return (a->whole == NULL) - (b->whole == NULL);
    int order = strcmp(a->whole, b->whole);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static Status check_parts(const Safetensors *s, const Part *parts, int count) {
    const SafetensorsEntry *first = &s->entries[parts[0].entry];
    for (int i = 0; i < count; i++) {
        const SafetensorsEntry *e = &s->entries[parts[i].entry];
        if (parts[i].number != i)
            FAIL(ERR_FORMAT, "%s: expert %d of it is not there, and expert %d is", parts[i].whole,
                 i, parts[i].number);
        if (e->dims != WHOLE_DIMS - 1 || e->dtype != first->dtype ||
            memcmp(e->shape, first->shape, sizeof *e->shape * (size_t)e->dims) != 0)
            FAIL(ERR_FORMAT, "%s: type and shape are not those of %s, or no matrix's", e->name,
                 first->name);
    }
    return OK;
}

// Where the experts follow one another, the first; else a copy.
static Status place_data(const void **out, const Safetensors *s, Arena *a, const Part *parts,
                         int count) {
    const char *first = s->entries[parts[0].entry].data;
    int64_t bytes = safetensors_bytes(&s->entries[parts[0].entry]);
    bool follow = true;
    *out = first;
    for (int i = 0; i < count; i++)
        follow &= (const char *)s->entries[parts[i].entry].data == first + i * bytes;
    if (follow) return OK;
    char *copy = arena_push(a, (size_t)(count * bytes) + 1);
    if (!copy) FAIL(ERR_MEMORY, "out of memory for %s", parts[0].whole);
    for (int i = 0; i < count; i++)
        memcpy(copy + i * bytes, s->entries[parts[i].entry].data, (size_t)bytes);
    *out = copy;
    return OK;
}

// The whole takes the place of the first; the others go.
static Status join(Safetensors *s, Arena *a, const Part *parts, int count, bool *gone) {
    SafetensorsEntry *first = &s->entries[parts[0].entry];
    const void *data;
    TRY(check_parts(s, parts, count));
    TRY(place_data(&data, s, a, parts, count));
    for (int i = 1; i < count; i++) gone[parts[i].entry] = true;
    *first = (SafetensorsEntry){.name = parts[0].whole,
                                .dtype = first->dtype,
                                .dims = WHOLE_DIMS,
                                .shape = {count, first->shape[0], first->shape[1]},
                                .data = data};
    return OK;
}

Status safetensors_join_experts(Safetensors *s, Arena *a,
                                bool (*wanted)(const void *context, const char *whole),
                                const void *context) {
    Part *parts = ARENA_NEW(a, Part, s->count + 1);
    bool *gone = ARENA_NEW(a, bool, s->count + 1);
    int left = 0;
    if (!parts || !gone) FAIL(ERR_MEMORY, "out of memory for %d tensors", s->count);
    for (int i = 0; i < s->count; i++) TRY(read_part(&parts[i], a, &s->entries[i], i));
    qsort(parts, (size_t)s->count, sizeof *parts, by_whole);
    for (int i = 0, end; i < s->count && parts[i].whole; i = end) {
        end = i + 1;
        while (end < s->count && parts[end].whole && !strcmp(parts[end].whole, parts[i].whole))
            end++;
        if (wanted(context, parts[i].whole)) TRY(join(s, a, &parts[i], end - i, gone));
    }
    for (int i = 0; i < s->count; i++)
        if (!gone[i]) s->entries[left++] = s->entries[i];
    s->count = left;
    return OK;
}
