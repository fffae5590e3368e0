// SPDX-License-Identifier: MIT
// What layers are called, and which layers the names in their lines mean. Once all lines are read,
// model_connect() does both.
#include "core/base/hash.h"
#include "core/base/nearest.h"
#include "core/nn/model_internal.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

// --- scopes

// A number behind a name: "fc1"; after a digit "conv1_1".
static void add_number(char *text, size_t size, int64_t number) {
    size_t n = strlen(text);
    bool digit = n && isdigit((unsigned char)text[n - 1]);
    snprintf(text + n, size - n, "%s%lld", digit ? "_" : "", (long long)number);
}

static void open_block(Scope *s, Arena *a, const char *block, int64_t turn) {
    char path[2 * SCOPE_NAME], prefix[2 * SCOPE_NAME + 1];
    bool fits = scope_name(path, s->outer, block);
    assert(fits);
    (void)fits;
    size_t n = strlen(path);
    if (turn > 0) add_number(path, sizeof path, turn);
    if (turn < 0) snprintf(path + n, sizeof path - n, ".%lld", -(long long)turn - 1);
    snprintf(prefix, sizeof prefix, "%s.", path);
    s->block = arena_string(a, block);
    s->path = arena_string(a, path);
    s->prefix = arena_string(a, prefix);
}

static void open_repeat(Scope *s, Arena *a, int64_t turn) {
    char suffix[2 * SCOPE_NAME];
    snprintf(suffix, sizeof suffix, "%s", s->outer->suffix);
    add_number(suffix, sizeof suffix, turn);
    s->path = s->outer->path;
    s->prefix = s->outer->prefix;
    s->suffix = arena_string(a, suffix);
    s->numbered = s->outer->numbered;
}

#define ROW(name) +1
enum { ROWS = LAYER_LIST(ROW) };
#undef ROW

Status scope_open(Scope **out, Arena *a, const Scope *outer, const char *block, int64_t turn,
                  int first) {
    Scope *s = *out = ARENA_NEW(a, Scope, 1);
    if (!s) FAIL(ERR_MEMORY, "out of memory for a model's blocks");
    *s = (Scope){.outer = outer, .path = "", .prefix = "", .suffix = "", .first = first};
    if (outer && block) open_block(s, a, block, turn);
    if (outer && !block) open_repeat(s, a, turn);
    if (!s->numbered) s->numbered = ARENA_NEW(a, int, ROWS);
    if ((block && !s->block) || !s->path || !s->prefix || !s->suffix || !s->numbered)
        FAIL(ERR_MEMORY, "out of memory for a model's blocks");
    return OK;
}

bool scope_name(char out[SCOPE_NAME], const Scope *s, const char *word) {
    bool digit = isdigit((unsigned char)word[strlen(word) - 1]);
    return snprintf(out, SCOPE_NAME, "%s%s%s%s", s->prefix, word, digit && *s->suffix ? "_" : "",
                    s->suffix) < SCOPE_NAME;
}

// --- the layer of a name

// Layers by name: open addressing, at most half of the slots taken.
typedef struct {
    const Model *m;
    int *slots;  // layer + 1; 0: free
    size_t mask;
} Names;

static int *name_slot(const Names *n, const char *name) {
    uint64_t hash = hash_bytes(HASH_START, name, strlen(name));
    size_t at = (size_t)(hash ^ hash >> 32) & n->mask;
    while (n->slots[at] && strcmp(n->m->layers[n->slots[at] - 1].name, name))
        at = (at + 1) & n->mask;
    return &n->slots[at];
}

static Status init_names(Names *n, const Model *m, Arena *scratch) {
    size_t slots = 16;
    while (slots < 2 * (size_t)m->layer_count) slots *= 2;
    *n = (Names){.m = m, .slots = ARENA_NEW(scratch, int, slots), .mask = slots - 1};
    if (!n->slots) FAIL(ERR_MEMORY, "%s: out of memory", m->source);
    return OK;
}

static Status take_given_names(Names *n) {
    for (int i = 0; i < n->m->layer_count; i++) {
        const Layer *l = &n->m->layers[i];
        if (!l->name) continue;
        int *slot = name_slot(n, l->name);
        if (*slot)
            LAYER_FAIL(ERR_FORMAT, n->m, l, "the name is taken by the %s of line %d",
                       n->m->layers[*slot - 1].row->word, n->m->layers[*slot - 1].line);
        *slot = i + 1;
    }
    return OK;
}

static int row_of(const Layer *l) {
    int i = 0;
    while (layer_rows[i] != l->row) i++;
    return i;
}

// relu1, relu2 ... in the order of the file, in each block anew, past names that are given.
static Status name_the_others(Names *n, Model *m, const LayerLine *lines, Arena *a) {
    for (int i = 0; i < m->layer_count; i++) {
        Layer *l = &m->layers[i];
        if (l->name) continue;
        char name[SCOPE_NAME + 32];
        int *slot;
        do {
            snprintf(name, sizeof name, "%s%s%d", lines[i].scope->prefix, l->row->stem,
                     ++lines[i].scope->numbered[row_of(l)]);
            slot = name_slot(n, name);
        } while (*slot);
        if (strlen(name) >= SCOPE_NAME)
            FAIL(ERR_FORMAT, "%s:%d: %s: a name has at most %d characters", m->source, l->line,
                 name, SCOPE_NAME - 1);
        if (!(l->name = arena_string(a, name))) FAIL(ERR_MEMORY, "%s: out of memory", m->source);
        *slot = i + 1;
    }
    return OK;
}

// --- what a line names

// A word that is no layer before this one: the nearest that is, as one would write it here.
static Status unknown(const Names *n, int layer, const Scope *s, const char *what,
                      const char *word) {
    const Layer *l = &n->m->layers[layer];
    Nearest near = {.word = word};
    char did_you_mean[SCOPE_NAME + 32] = "";
    const char *inside = NULL;
    size_t prefix = strlen(s->prefix);
    for (int i = layer - 1; i >= 0; i--) {
        const char *name = n->m->layers[i].name;
        const char *last = strrchr(name, '.');
        if (!strncmp(name, s->prefix, prefix)) nearest_offer(&near, name + prefix);
        nearest_offer(&near, name);
        if (last && !strcmp(last + 1, word) && !inside) inside = name;  // in another block
    }
    nearest_offer(&near, "input");
    if (inside) near.best = inside;
    if (near.best) snprintf(did_you_mean, sizeof did_you_mean, " (did you mean %s?)", near.best);
    int *slot = name_slot(n, word);
    if (*slot && *slot - 1 >= layer)
        LAYER_FAIL(ERR_FORMAT, n->m, l, "%s=%s: that layer does not come before this one", what,
                   word);
    LAYER_FAIL(ERR_FORMAT, n->m, l, "%s=%.60s: no layer of that name comes before it%s", what, word,
               did_you_mean);
}

// "res.in": what enters the block res, in which the line stands.
static bool find_entry(const Scope *s, const char *word, int *out) {
    size_t length = strlen(word);
    if (length < 4 || strcmp(word + length - 3, ".in")) return false;
    for (; s; s = s->outer) {
        if (!s->block) continue;
        bool block = strlen(s->block) == length - 3 && !strncmp(s->block, word, length - 3);
        bool path = strlen(s->path) == length - 3 && !strncmp(s->path, word, length - 3);
        if (!block && !path) continue;
        *out = s->first ? s->first - 1 : NONE;
        return true;
    }
    return false;
}

// From the inside out: the layer that has this name in the block or turn, or in those around it.
static bool find_layer(const Names *n, int layer, const Scope *s, const char *word, int *out) {
    for (; s; s = s->outer) {
        char name[SCOPE_NAME];
        if (!*word || !scope_name(name, s, word)) continue;
        int found = *name_slot(n, name) - 1;
        if (found < 0 || found >= layer) continue;
        *out = found;
        return true;
    }
    return false;
}

static Status find_inputs(const Names *n, Layer *l, int layer, const LayerLine *line) {
    if (!line->from[0]) l->inputs[0] = layer ? layer - 1 : NONE;
    for (int k = 0; k < l->input_count && line->from[k]; k++) {
        const char *word = line->from[k];
        l->inputs[k] = NONE;
        if (!strcmp(word, "input") || find_entry(line->scope, word, &l->inputs[k])) continue;
        if (!find_layer(n, layer, line->scope, word, &l->inputs[k]))
            return unknown(n, layer, line->scope, "from", word);
    }
    l->tie = NONE;
    if (line->tie && !find_layer(n, layer, line->scope, line->tie, &l->tie))
        return unknown(n, layer, line->scope, "tie", line->tie);
    return OK;
}

static Status connect(Model *m, const LayerLine *lines, Arena *a, Arena *scratch) {
    Names names;
    TRY(init_names(&names, m, scratch));
    TRY(take_given_names(&names));
    TRY(name_the_others(&names, m, lines, a));
    for (int i = 0; i < m->layer_count; i++) TRY(find_inputs(&names, &m->layers[i], i, &lines[i]));
    return OK;
}

Status model_connect(Model *m, const LayerLine *lines, Arena *a) {
    Arena scratch = {0};
    Status s = connect(m, lines, a, &scratch);
    arena_finish(&scratch);
    return s;
}
