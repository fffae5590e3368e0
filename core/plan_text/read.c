// SPDX-License-Identifier: MIT
// Lines, words, names and numbers of plan files.
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/nearest.h"
#include "core/base/text.h"
#include "core/plan/lower.h"
#include "core/plan_text/plan_text_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- lines and words

Status plan_reader_open(PlanReader *r, Program *p, const char *text, size_t length,
                        const char *source) {
    *r = (PlanReader){.p = p};
    return line_reader_open(&r->in, text, length, source);
}

void plan_reader_finish(PlanReader *r) {
    line_reader_close(&r->in);
    program_finish(&r->head);
    arena_finish(&r->names);
    free(r->references);
    free(r->operands);
    free(r->lines);
    *r = (PlanReader){0};
}

Status plan_reader_next(PlanReader *r, bool *found) {
    *found = true;
    if (!r->held) return line_reader_next(&r->in, found);
    r->held = false;
    return OK;
}

const char *plan_reader_quote(const char *word, char out[64]) {
    int n = 0;
    for (; word[n] && n < 60; n++) out[n] = word[n] >= ' ' && word[n] < 127 ? word[n] : '?';
    out[n] = 0;
    return out;
}

// --- names

enum { NAME_MAX_BYTES = 255 };  // lowering joins names and cuts them to this length

static const char *const what_named[] = {
    [NAMED_KIND] = "a kind of work",
    [NAMED_DTYPE] = "an element type",
    [NAMED_ROLE] = "a role",
    [NAMED_PHASE] = "a phase",
    [NAMED_ALGORITHM] = "an algorithm",
    [NAMED_ORDER] = "an order",
    [NAMED_REDUCE] = "a reduction",
    [NAMED_FLAG] = "a flag",
    [NAMED_POOL] = "a pool",
    [NAMED_LANE_KIND] = "a kind of lane",
    [NAMED_FUSION] = "a fusion",
    [NAMED_SOURCE] = "a source",
    [NAMED_RESULT] = "a result",
    [NAMED_WHEN] = "when a plan runs",
    [NAMED_AXIS] = "an axis of the mesh",
    [NAMED_GROUP] = "a group",
    [NAMED_LANE] = "a lane",
    [NAMED_LOGICAL] = "a logical tensor",
    [NAMED_TENSOR] = "a tensor",
};

// The i-th thing of a list, NULL after the last.
static const char *name_at(const Program *p, Named what, int i) {
    switch (what) {
    case NAMED_KIND: return i < KIND_COUNT ? kind_name((Kind)i) : NULL;
    case NAMED_DTYPE: return i < DTYPE_COUNT ? dtype_name((Dtype)i) : NULL;
    case NAMED_ROLE: return i < ROLE_COUNT ? role_name((Role)i) : NULL;
    case NAMED_PHASE: return i < PHASE_COUNT ? phase_name((Phase)i) : NULL;
    case NAMED_ALGORITHM: return i < ALGORITHM_COUNT ? algorithm_name((Algorithm)i) : NULL;
    case NAMED_ORDER: return plan_text_orders[i];
    case NAMED_REDUCE: return plan_text_reduces[i];
    case NAMED_FLAG: return plan_text_flags[i];
    case NAMED_POOL: return plan_text_pools[i];
    case NAMED_LANE_KIND: return i <= LANE_HOST ? lane_kind_name((LaneKind)i) : NULL;
    case NAMED_FUSION: return i < FUSION_COUNT ? fusion_name((Fusion)i) : NULL;
    case NAMED_SOURCE:
        return i + 1 < SCALAR_COUNT ? scalar_source_name((ScalarSource)(i + 1)) : NULL;
    case NAMED_RESULT: return i + 1 < RESULT_COUNT ? result_name((Result)(i + 1)) : NULL;
    case NAMED_WHEN: return i + 1 < WHEN_COUNT ? when_name((When)(i + 1)) : NULL;
    case NAMED_AXIS: return i < p->axis_count ? p->axes[i].name : NULL;
    case NAMED_GROUP: return i < p->group_count ? program_name(p, p->groups[i].name) : NULL;
    case NAMED_LANE: return i < p->lane_count ? program_name(p, p->lanes[i].name) : NULL;
    case NAMED_LOGICAL: return i < p->logical_count ? program_name(p, p->logicals[i].name) : NULL;
    case NAMED_TENSOR: return i < p->tensor_count ? tensor_name(p, i) : NULL;
    case NAMED_COUNT: break;
    }
    return NULL;
}

static bool find_named(const Program *p, Named what, const char *word, int *out) {
    const char *name;
    if (what == NAMED_TENSOR || what == NAMED_LOGICAL) {
        int found =
            what == NAMED_TENSOR ? program_find_tensor(p, word) : program_find_logical(p, word);
        if (found != NONE) *out = found;
        return found != NONE;
    }
    for (int i = 0; (name = name_at(p, what, i)); i++) {
        if (strcmp(name, word)) continue;
        *out = i;
        return true;
    }
    return false;
}

Status plan_reader_find(const PlanReader *r, Named what, const char *word, int *out) {
    const char *name;
    if (find_named(r->p, what, word, out)) return OK;
    Nearest near = {.word = word};
    for (int i = 0; (name = name_at(r->p, what, i)); i++) nearest_offer(&near, name);
    char quoted[64];
    plan_reader_quote(word, quoted);
    if (near.best)
        FAIL_LINE("expected %s, found \"%s\" (did you mean %s?)", what_named[what], quoted,
                  near.best);
    FAIL_LINE("expected %s%s, found \"%s\"", what_named[what],
              what >= NAMED_AXIS ? " that is defined above" : "", quoted);
}

Status plan_reader_name(const PlanReader *r, const char *what, const char *word) {
    char quoted[64];
    if (strlen(word) > NAME_MAX_BYTES)
        FAIL_LINE("the name of %s has %zu letters, at most %d: %s...", what, strlen(word),
                  NAME_MAX_BYTES, plan_reader_quote(word, quoted));
    if (plan_text_is_name(word)) return OK;
    FAIL_LINE("expected the name of %s (letters, digits and _ . / + : -), found \"%s\"", what,
              plan_reader_quote(word, quoted));
}

// --- numbers

Status plan_reader_number(const PlanReader *r, const char *what, const char *word, int64_t least,
                          int64_t most, int64_t *out) {
    char *end, quoted[64];
    bool number = *word == '-' || (*word >= '0' && *word <= '9');  // strtoll takes more
    errno = 0;
    long long value = strtoll(word, &end, 10);
    if (!number || end == word || *end || errno || value < least || value > most) {
        plan_reader_quote(word, quoted);
        if (most == INT64_MAX)
            FAIL_LINE("%s: expected a whole number from %" PRId64 " on, found \"%s\"", what, least,
                      quoted);
        FAIL_LINE("%s: expected a whole number from %" PRId64 " to %" PRId64 ", found \"%s\"", what,
                  least, most, quoted);
    }
    *out = value;
    return OK;
}

Status plan_reader_int(const PlanReader *r, const char *what, const char *word, int least, int most,
                       int *out) {
    int64_t value;
    TRY(plan_reader_number(r, what, word, least, most, &value));
    *out = (int)value;
    return OK;
}

Status plan_reader_real(const PlanReader *r, const char *what, const char *word, double *out) {
    char *end, quoted[64];
    *out = strtod(word, &end);
    if (end == word || *end || !isfinite(*out))
        FAIL_LINE("%s: expected a number, found \"%s\"", what, plan_reader_quote(word, quoted));
    return OK;
}

Status plan_reader_pair(const PlanReader *r, const char *what, char *word, char separator,
                        int64_t out[2]) {
    char *second = strchr(word, separator), quoted[64];
    if (!second)
        FAIL_LINE("%s: expected two numbers with a \"%c\" between them, found \"%s\"", what,
                  separator, plan_reader_quote(word, quoted));
    *second++ = 0;
    TRY(plan_reader_number(r, what, word, INT64_MIN, INT64_MAX, &out[0]));
    return plan_reader_number(r, what, second, INT64_MIN, INT64_MAX, &out[1]);
}

// --- key=value

Status plan_reader_key(const PlanReader *r, int first, int i, char **key, char **value) {
    char quoted[64];
    *key = r->in.words[i];
    *value = strchr(r->in.words[i], '=');
    if (!*value)
        FAIL_LINE("expected key=value, found \"%s\"", plan_reader_quote(r->in.words[i], quoted));
    *(*value)++ = 0;
    for (int k = first; k < i; k++)  // earlier ones are cut already
        if (!strcmp(r->in.words[k], *key))
            FAIL_LINE("%s= is given twice", plan_reader_quote(*key, quoted));
    return OK;
}

Status plan_reader_unknown_key(const PlanReader *r, const char *key, const char *const known[]) {
    Nearest near = {.word = key};
    char quoted[64];
    plan_reader_quote(key, quoted);
    for (int i = 0; known[i]; i++) nearest_offer(&near, known[i]);
    if (near.best) FAIL_LINE("%s= does not belong here (did you mean %s=?)", quoted, near.best);
    FAIL_LINE("%s= does not belong here", quoted);
}
