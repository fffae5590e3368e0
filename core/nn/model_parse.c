// SPDX-License-Identifier: MIT
// Model files, line by line: docs/formats.md, "Model files".
#include "core/base/line_reader.h"
#include "core/base/nearest.h"
#include "core/base/text.h"
#include "core/nn/model_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMETERS = 32 };
enum { LAYERS_MAX = 4096 };
static const int64_t NUMBER_MAX = 1000000000;

// A value that the file names and the user may set: "mlp:hidden=256".
typedef struct {
    char name[32];
    int64_t value;
    bool known;  // to the file; else only the user has given it, so far
} Parameter;

typedef struct {
    Model *m;
    Arena *a;
    LineReader in;
    Parameter parameters[PARAMETERS];
    int parameter_count;
    int layer_capacity;
    int64_t repeats, turn;           // of the repeat block we are in, from 1; 0: in none
    const char *repeat_cursor;       // its first line
    int repeat_line, repeat_layers;  // its line; layers before it
} Reader;

#define FAIL_LINE(s, fmt, ...) FAIL((s), "%s:%d: " fmt, r->in.source, r->in.line, __VA_ARGS__)

// " (did you mean conv2d?)", or nothing.
static const char *suggestion(const Nearest *n, char out[64]) {
    out[0] = 0;
    if (n->best) snprintf(out, 64, " (did you mean %s?)", n->best);
    return out;
}

// --- words and numbers

static bool parse_number(const char *word, int64_t *out) {
    int64_t value = 0;
    for (const char *c = word; *c; c++) {
        if (!isdigit((unsigned char)*c) || (value = 10 * value + (*c - '0')) > NUMBER_MAX)
            return false;
    }
    *out = value;
    return *word;
}

// A whole number of at least `least`, or the parameter that a $ names.
static Status read_number(const Reader *r, const char *what, const char *word, int64_t least,
                          int64_t *out) {
    if (*word == '$') {
        Nearest near = {.word = word + 1};
        for (int i = 0; i < r->parameter_count; i++) {
            const Parameter *p = &r->parameters[i];
            if (!p->known) continue;
            nearest_offer(&near, p->name);
            if (strcmp(p->name, word + 1)) continue;
            *out = p->value;
            if (*out < least)
                FAIL_LINE(ERR_FORMAT, "%s: %s is %lld, not at least %lld", what, word,
                          (long long)*out, (long long)least);
            return OK;
        }
        char near_text[64];
        FAIL_LINE(ERR_FORMAT, "%s: no parameter %.40s%s", what, word + 1,
                  suggestion(&near, near_text));
    }
    if (!parse_number(word, out) || *out < least)
        FAIL_LINE(ERR_FORMAT, "%s: expected a whole number from %lld to %lld, found \"%.40s\"",
                  what, (long long)least, (long long)NUMBER_MAX, word);
    return OK;
}

static bool is_name(const char *s) {
    if (!isalpha((unsigned char)*s) || strlen(s) > 31) return false;
    while (isalnum((unsigned char)*s) || *s == '_' || *s == '-') s++;
    return !*s;
}

static Status check_name(const Reader *r, const char *what, const char *name) {
    if (is_name(name)) return OK;
    FAIL_LINE(ERR_FORMAT,
              "%s: expected a name of letters, digits, _ and - (at most 31), found \"%.40s\"", what,
              name);
}

static Status expect_words(const Reader *r, int count, const char *form) {
    if (r->in.word_count == count) return OK;
    FAIL_LINE(ERR_FORMAT, "expected \"%s\", found %d words", form, r->in.word_count);
}

// --- parameters

static Parameter *find_parameter(Reader *r, const char *name, size_t length) {
    for (int i = 0; i < r->parameter_count; i++) {
        Parameter *p = &r->parameters[i];
        if (strlen(p->name) == length && !memcmp(p->name, name, length)) return p;
    }
    return NULL;
}

// "hidden=256,layers=3": what the user gave.
static Status read_given(Reader *r, const char *text) {
    while (*text) {
        size_t length = strcspn(text, ","), name = strcspn(text, "=,");
        char value[32];
        Parameter *p = &r->parameters[r->parameter_count];
        if (r->parameter_count == PARAMETERS)
            FAIL(ERR_USAGE, "%s: more than %d parameters", r->in.source, PARAMETERS);
        snprintf(value, sizeof value, "%.*s", name < length ? (int)(length - name - 1) : 0,
                 text + name + 1);
        if (name == length || name == 0 || name >= sizeof p->name ||
            !parse_number(value, &p->value))
            FAIL(ERR_USAGE, "%s: expected NAME=NUMBER, found \"%.*s\"", r->in.source,
                 (int)(length < 60 ? length : 60), text);
        if (find_parameter(r, text, name))
            FAIL(ERR_USAGE, "%s: parameter %.*s is given twice", r->in.source, (int)name, text);
        memcpy(p->name, text, name);
        r->parameter_count++;
        text += length + (text[length] == ',');
    }
    return OK;
}

static Status read_parameter(Reader *r) {
    TRY(expect_words(r, 3, "parameter NAME VALUE"));
    TRY(check_name(r, "parameter", r->in.words[1]));
    int64_t value;
    TRY(read_number(r, r->in.words[1], r->in.words[2], 0, &value));
    Parameter *p = find_parameter(r, r->in.words[1], strlen(r->in.words[1]));
    if (p && p->known) FAIL_LINE(ERR_FORMAT, "parameter %s is there twice", r->in.words[1]);
    if (!p) {
        if (r->parameter_count == PARAMETERS)
            FAIL_LINE(ERR_FORMAT, "more than %d parameters", PARAMETERS);
        p = &r->parameters[r->parameter_count++];
        strcpy(p->name, r->in.words[1]);  // check_name() has looked at its length
        p->value = value;
    }
    p->known = true;
    return OK;
}

// The user may only set what the file knows.
static Status check_given(const Reader *r) {
    for (int i = 0; i < r->parameter_count; i++) {
        const Parameter *p = &r->parameters[i];
        if (p->known) continue;
        Nearest near = {.word = p->name};
        char near_text[64], list[256] = "";
        for (int k = 0; k < r->parameter_count; k++) {
            const Parameter *other = &r->parameters[k];
            if (!other->known) continue;
            nearest_offer(&near, other->name);
            text_append(list, sizeof list, "%s%s", *list ? ", " : "", other->name);
        }
        FAIL(ERR_USAGE, "%s: no parameter %s%s; it has %s", r->in.source, p->name,
             suggestion(&near, near_text), *list ? list : "none");
    }
    return OK;
}

// --- layers

typedef enum { POSITIVE, NATURAL, SWITCH } ValueKind;

static ValueKind value_kind(Attribute a) {
    static const ValueKind kinds[] = {
#define X(attribute, word, value) value,
        ATTRIBUTE_LIST(X)
#undef X
    };
    return kinds[a];
}

static Status read_switch(const Reader *r, const char *what, const char *word, int64_t *out) {
    *out = !strcmp(word, "true");
    if (!*out && strcmp(word, "false"))
        FAIL_LINE(ERR_FORMAT, "%s: expected true or false, found \"%.40s\"", what, word);
    return OK;
}

static Status read_attribute(const Reader *r, Layer *l, char *word) {
    const char *layer = l->row->word;
    char *equals = strchr(word, '=');
    if (!equals)
        FAIL_LINE(ERR_FORMAT, "%s: expected attribute=value, found \"%.40s\"", layer, word);
    *equals = 0;
    for (int i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (!layer_takes(l->row, (Attribute)i)) continue;
        if (strcmp(layer_attribute_name((Attribute)i), word)) continue;
        if (l->given >> i & 1) FAIL_LINE(ERR_FORMAT, "%s: %s is given twice", layer, word);
        l->given |= 1u << i;
        ValueKind kind = value_kind((Attribute)i);
        if (kind == SWITCH) return read_switch(r, word, equals + 1, &l->attribute[i]);
        return read_number(r, word, equals + 1, kind == POSITIVE, &l->attribute[i]);
    }
    char advice[LAYER_ADVICE];
    FAIL_LINE(ERR_FORMAT, "%s: no attribute %.40s%s", layer, word,
              layer_advise_attribute(advice, l->row, word));
}

// In a repeat block each turn's number follows the name: fc1, fc2; after a digit, conv1_1, conv1_2.
static Status set_name(Reader *r, Layer *l, const char *word) {
    TRY(check_name(r, l->row->word, word));
    if (!strcmp(word, "evaluate") || !strcmp(word, "cross_entropy"))
        FAIL_LINE(ERR_FORMAT, "%s: the name %s is taken by the program itself", l->row->word, word);
    char name[64];
    if (!r->turn)
        snprintf(name, sizeof name, "%s", word);
    else
        snprintf(name, sizeof name, "%s%s%lld", word,
                 isdigit((unsigned char)word[strlen(word) - 1]) ? "_" : "", (long long)r->turn);
    l->name = arena_string(r->a, name);
    if (!l->name) FAIL_LINE(ERR_MEMORY, "%s: out of memory", "layer");
    return OK;
}

// Layers lie in the arena in one array that doubles.
static Status push_layer(Reader *r, const Layer *l) {
    Model *m = r->m;
    if (m->layer_count == LAYERS_MAX) FAIL_LINE(ERR_FORMAT, "more than %d layers", LAYERS_MAX);
    if (m->layer_count == r->layer_capacity) {
        r->layer_capacity = r->layer_capacity ? 2 * r->layer_capacity : 16;
        Layer *grown = ARENA_NEW(r->a, Layer, r->layer_capacity);
        if (!grown) FAIL_LINE(ERR_MEMORY, "out of memory for %d layers", r->layer_capacity);
        if (m->layer_count) memcpy(grown, m->layers, (size_t)m->layer_count * sizeof *grown);
        m->layers = grown;
    }
    m->layers[m->layer_count++] = *l;
    return OK;
}

static Status read_layer(Reader *r, const LayerRow *row) {
    Layer l = {.row = row, .line = r->in.line, .attribute = {[ATTRIBUTE_BIAS] = true}};
    int first = 1;
    if (r->in.word_count > 1 && !strchr(r->in.words[1], '='))
        TRY(set_name(r, &l, r->in.words[first++]));
    for (int i = first; i < r->in.word_count; i++) TRY(read_attribute(r, &l, r->in.words[i]));
    for (int i = 0; i < ATTRIBUTE_COUNT; i++)
        if (layer_requires(row, (Attribute)i) && !layer_gives(&l, (Attribute)i))
            FAIL_LINE(ERR_FORMAT, "%s: %s= is missing", row->word,
                      layer_attribute_name((Attribute)i));
    l.input_count = 1;
    l.inputs[0] = r->m->layer_count ? r->m->layer_count - 1 : NONE;
    return push_layer(r, &l);
}

// --- the other lines

static Status read_input(Reader *r) {
    if (r->m->input_dims) FAIL_LINE(ERR_FORMAT, "%s is there twice", "input");
    if (r->in.word_count < 2 || r->in.word_count > DIMS)
        FAIL_LINE(ERR_FORMAT, "expected \"input SIZE ...\" with 1 to %d sizes, found %d", DIMS - 1,
                  r->in.word_count - 1);
    int64_t elements = 1;
    for (int i = 1; i < r->in.word_count; i++) {
        TRY(read_number(r, "input", r->in.words[i], 1, &r->m->input[i - 1]));
        if (__builtin_mul_overflow(elements, r->m->input[i - 1], &elements) ||
            elements > NUMBER_MAX)
            FAIL_LINE(ERR_FORMAT, "the input is larger than %lld elements", (long long)NUMBER_MAX);
    }
    r->m->input_dims = r->in.word_count - 1;
    return OK;
}

static Status read_classes(Reader *r) {
    if (r->m->classes) FAIL_LINE(ERR_FORMAT, "%s is there twice", "classes");
    TRY(expect_words(r, 2, "classes NUMBER"));
    return read_number(r, "classes", r->in.words[1], 1, &r->m->classes);
}

static Status read_repeat(Reader *r) {
    TRY(expect_words(r, 2, "repeat TIMES"));
    TRY(read_number(r, "repeat", r->in.words[1], 1, &r->repeats));
    r->turn = 1;
    r->repeat_cursor = r->in.cursor;
    r->repeat_line = r->in.line;
    r->repeat_layers = r->m->layer_count;
    return OK;
}

static Status read_end(Reader *r) {
    TRY(expect_words(r, 1, "end"));
    if (!r->turn) FAIL_LINE(ERR_FORMAT, "%s without a repeat before it", "end");
    if (r->m->layer_count == r->repeat_layers)
        FAIL_LINE(ERR_FORMAT, "nothing to repeat since line %d", r->repeat_line);
    if (++r->turn > r->repeats) {
        r->turn = 0;
        return OK;
    }
    r->in.cursor = r->repeat_cursor;
    r->in.line = r->repeat_line;
    return OK;
}

// The lines that are no layers, and who reads them.
#define LINE_LIST(X)               \
    X("input", read_input)         \
    X("classes", read_classes)     \
    X("parameter", read_parameter) \
    X("repeat", read_repeat)       \
    X("end", read_end)

const char *const model_line_words[] = {
#define X(word, read) word,
    LINE_LIST(X)
#undef X
        NULL};

static Status read_line(Reader *r) {
    static Status (*const readers[])(Reader * r) = {
#define X(word, read) read,
        LINE_LIST(X)
#undef X
    };
    const char *word = r->in.words[0];
    const LayerRow *row = layer_find(word);
    if (row) return read_layer(r, row);
    for (int i = 0; model_line_words[i]; i++) {
        if (strcmp(word, model_line_words[i])) continue;
        if (r->turn && readers[i] != read_end)
            FAIL_LINE(ERR_FORMAT, "only layers may stand between repeat and end, found \"%s\"",
                      word);
        return readers[i](r);
    }
    char advice[LAYER_ADVICE];
    FAIL_LINE(ERR_FORMAT, "no layer \"%.40s\"%s", word, layer_advise(advice, word));
}

static Status read_header(Reader *r) {
    bool found;
    TRY(line_reader_next(&r->in, &found));
    if (!found) FAIL(ERR_FORMAT, "%s: expected \"model NAME\", found nothing", r->in.source);
    if (strcmp(r->in.words[0], "model"))
        FAIL_LINE(ERR_FORMAT, "expected \"model NAME\", found \"%.40s\"", r->in.words[0]);
    TRY(expect_words(r, 2, "model NAME"));
    TRY(check_name(r, "model", r->in.words[1]));
    r->m->name = arena_string(r->a, r->in.words[1]);
    if (!r->m->name) FAIL(ERR_MEMORY, "%s: out of memory", r->in.source);
    return OK;
}

static Status read_model(Reader *r, const char *parameters) {
    TRY(read_given(r, parameters ? parameters : ""));
    TRY(read_header(r));
    for (;;) {
        bool found;
        TRY(line_reader_next(&r->in, &found));
        if (!found) break;
        TRY(read_line(r));
    }
    const char *source = r->in.source;
    if (r->turn) FAIL(ERR_FORMAT, "%s:%d: repeat without an end", source, r->repeat_line);
    TRY(check_given(r));
    if (!r->m->input_dims)
        FAIL(ERR_FORMAT, "%s: no line \"input SIZE ...\" says what one sample is", source);
    if (!r->m->classes) FAIL(ERR_FORMAT, "%s: no line \"classes NUMBER\"", source);
    if (!r->m->layer_count) FAIL(ERR_FORMAT, "%s: no layers", source);
    return model_infer(r->m, r->a);
}

Status model_parse(Model *out, Arena *a, const char *text, const char *source,
                   const char *parameters) {
    *out = (Model){.source = arena_string(a, source)};
    Reader r = {.m = out, .a = a};
    if (!out->source) FAIL(ERR_MEMORY, "%s: out of memory", source);
    Status s = line_reader_open(&r.in, text, strlen(text), out->source);
    if (s == OK) s = read_model(&r, parameters);
    line_reader_close(&r.in);
    return s;
}
