// SPDX-License-Identifier: MIT
// The lists of kind.h as tables: from a value to its name and back.
#include "core/plan/kind.h"

#include "core/base/bf16.h"
#include "core/base/f16.h"

#include <string.h>

typedef struct {
    const char *name, *attributes, *operands;
    WorkClass class;
} KindInfo;

static const KindInfo kinds[] = {
#define X(constant, name, class, rule, flops, attributes, operands) \
    {name, attributes, operands, CLASS_##class},
    KIND_LIST(X)
#undef X
};

// Names of the other lists: one array each, in the order of its enum.
static const char *const dtypes[] = {
#define X(constant, name, bytes) name,
    DTYPE_LIST(X)
#undef X
};
static const uint8_t dtype_sizes[] = {
#define X(constant, name, bytes) bytes,
    DTYPE_LIST(X)
#undef X
};
static const struct {
    const char *name;
    Memory memory;
    Lasting lasting;
} roles[] = {
#define X(constant, name, memory, lasting) {name, MEMORY_##memory, LASTS_##lasting},
    ROLE_LIST(X)
#undef X
};
#define X(constant, name) name,
static const char *const memories[] = {MEMORY_LIST(X)};
static const char *const phases[] = {PHASE_LIST(X)};
#undef X
#define X(constant, name, order, text) name,
static const char *const algorithms[] = {ALGORITHM_LIST(X)};
#undef X
#define X(constant, name, order, text) ORDER_##order,
static const Order algorithm_orders[] = {ALGORITHM_LIST(X)};
#undef X
static const char *const lane_kinds[] = {"compute", "communication", "copy", "host"};
static const char *const sources[] = {NULL,
#define X(constant, name, dtype) name,
                                      SCALAR_SOURCE_LIST(X)
#undef X
};
static const Dtype source_dtypes[] = {DTYPE_COUNT,
#define X(constant, name, dtype) DTYPE_##dtype,
                                      SCALAR_SOURCE_LIST(X)
#undef X
};
#define X(constant, name) name,
static const char *const results[] = {NULL, RESULT_LIST(X)};
static const char *const whens[] = {NULL, WHEN_LIST(X)};
#undef X

const char *kind_name(Kind k) { return kinds[k].name; }
WorkClass kind_class(Kind k) { return kinds[k].class; }
bool kind_communicates(Kind k) { return kinds[k].class == CLASS_COMMUNICATION; }
bool kind_loads(Kind k) { return k == KIND_LOAD || k == KIND_LOAD_X || k == KIND_LOAD_LABELS; }
bool kind_reduces(Kind k) {
    return k == KIND_ALL_REDUCE || k == KIND_REDUCE_SCATTER || k == KIND_REDUCE;
}
bool kind_cuts(Kind k) { return k == KIND_REDUCE_SCATTER || k == KIND_ALL_GATHER; }
const char *kind_operands(Kind k) { return kinds[k].operands; }
const char *dtype_name(Dtype d) { return dtypes[d]; }
int64_t dtype_bytes(Dtype d) { return dtype_sizes[d]; }

double dtype_read(Dtype d, const void *data, int64_t i) {
    switch (d) {
    case DTYPE_F64: return ((const double *)data)[i];
    case DTYPE_BF16: return (double)bf16_to_f32(((const Bf16 *)data)[i]);
    case DTYPE_F16: return (double)f16_to_f32(((const F16 *)data)[i]);
    default: return (double)((const float *)data)[i];
    }
}
const char *role_name(Role r) { return roles[r].name; }
Memory role_memory(Role r) { return roles[r].memory; }
bool role_persists(Role r) { return roles[r].lasting == LASTS_CONTENT; }
bool role_keeps_place(Role r) { return roles[r].lasting != LASTS_USE; }
const char *memory_name(Memory m) { return memories[m]; }
const char *phase_name(Phase p) { return phases[p]; }
const char *algorithm_name(Algorithm a) { return a < ALGORITHM_COUNT ? algorithms[a] : "?"; }
Order algorithm_order(Algorithm a) { return algorithm_orders[a]; }
const char *lane_kind_name(LaneKind k) { return lane_kinds[k]; }
const char *scalar_source_name(ScalarSource s) { return sources[s]; }
const char *result_name(Result r) { return results[r]; }
const char *when_name(When w) { return whens[w]; }
Dtype scalar_source_dtype(ScalarSource s) { return source_dtypes[s]; }
bool scalar_source_is_cut(ScalarSource s) {
    return s == SCALAR_FIRST_ROW || s == SCALAR_ROWS || s == SCALAR_COORDINATE;
}

static int same(const char *candidate, const char *name, int length) {
    return (int)strlen(candidate) == length && !memcmp(candidate, name, (size_t)length);
}

static int find(const char *const names[], int count, const char *name, int length) {
    for (int i = 0; i < count; i++)
        if (same(names[i], name, length)) return i;
    return -1;
}

int kind_find(const char *name, int length) {
    for (int i = 0; i < KIND_COUNT; i++)
        if (same(kinds[i].name, name, length)) return i;
    return -1;
}

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
int dtype_find(const char *name, int length) { return find(dtypes, COUNT(dtypes), name, length); }
int algorithm_find(const char *name, int length) {
    return find(algorithms, COUNT(algorithms), name, length);
}

Dtype kind_word_dtype(const char *word, Dtype dtype) {
    size_t length = strcspn(word, " ]"), name = 0;
    const char *colon = memchr(word, ':', length);
    if (!colon) return dtype;
    name = length - (size_t)(colon + 1 - word);
    if (same("wide", colon + 1, (int)name)) return dtype_wide(dtype);
    return (Dtype)dtype_find(colon + 1, (int)name);
}

// Of words that stand for any number the last one is that of all that follow.
Dtype kind_operand_dtype(Kind k, Dtype dtype, int outputs, int i) {
    const char *word = kinds[k].operands, *next;
    if (i >= outputs) {
        word = strstr(word, "<-") + 3;
        i -= outputs;
    }
    for (; i > 0 && (next = strchr(word, ' ')) && next[1] != '<'; i--) word = next + 1;
    return kind_word_dtype(word, dtype);
}

int kind_attribute_count(Kind k) {
    const char *s = kinds[k].attributes;
    int count = *s ? 1 : 0;
    for (; *s; s++) count += *s == ' ';
    return count;
}

static const char *attribute_word(Kind k, int i) {
    const char *s = kinds[k].attributes;
    for (; i > 0; i--) s = strchr(s, ' ') + 1;
    return s;
}

bool kind_attribute_is_optional(Kind k, int i) { return *attribute_word(k, i) == '['; }

const char *kind_attribute(Kind k, int i, int *length, int *real) {
    const char *s = attribute_word(k, i);
    s += *s == '[';
    size_t word = strcspn(s, " ]");
    size_t name = strcspn(s, " ]:");
    *length = (int)name;
    *real = name < word;
    return s;
}
