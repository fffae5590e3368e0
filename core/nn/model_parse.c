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

enum { LAYERS_MAX = 65536 };
enum { FRAMES = 16 };  // blocks and repeats in each other

// A repeat or a block whose end is not yet read.
typedef struct {
    const char *word;     // "repeat" or "block"
    const char *block;    // its name; NULL: of a repeat
    int64_t times, turn;  // from 1; both 0: it does not repeat
    int64_t first;        // turns are called NAME.first, NAME.first+1 ...; NONE: they are not
    const char *cursor;   // its first line
    int line, layers;     // its own line; layers before it
    int number;           // of this turn among all blocks
    Scope *outer;
} Frame;

typedef struct {
    Model *m;
    Arena *a;
    LineReader in;
    ModelNumbers numbers;
    LayerLine *lines;  // [layer]
    int layer_capacity;
    Frame frames[FRAMES];
    int depth, turns;  // turns: of all frames so far
    Scope *scope;      // what the line being read stands in
} Reader;

#define FAIL_LINE(s, fmt, ...) FAIL((s), "%s:%d: " fmt, r->in.source, r->in.line, __VA_ARGS__)

static bool is_name(const char *s) {
    if (!isalpha((unsigned char)*s) || strlen(s) > 31) return false;
    while (isalnum((unsigned char)*s) || *s == '_' || *s == '-') s++;
    return !*s;
}

// Of NAME.NUMBER, as PyTorch calls the members of a list, the dot; NULL: it has no such end.
static char *find_number(char *word, int64_t *number) {
    char *dot = strrchr(word, '.');
    size_t digits = dot ? strspn(dot + 1, "0123456789") : 0;
    if (!digits || digits > 6 || dot[1 + digits] || (digits > 1 && dot[1] == '0')) return NULL;
    *number = strtol(dot + 1, NULL, 10);
    return dot;
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

static Status read_parameter(Reader *r) {
    int64_t value;
    TRY(expect_words(r, 3, "parameter NAME VALUE"));
    TRY(check_name(r, "parameter", r->in.words[1]));
    TRY(model_numbers_read(&r->numbers, r->in.words[1], r->in.words[2], 0, &value));
    return model_numbers_add(&r->numbers, r->in.words[1], value);
}

// --- layers

typedef enum { POSITIVE, NATURAL, REAL, AMOUNT, SWITCH, PLACEMENT, LAYERS } ValueKind;

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

// How the weight lies along the axis "tensor": whole, or cut by its outputs or its inputs.
static Status read_placement(const Reader *r, const char *what, const char *word, Placement *out) {
    bool known = placement_parse(word, out);
    known = known && (placement_equal(*out, PLACEMENT_REPLICATED) ||
                      placement_equal(*out, PLACEMENT_SHARD(0)) ||
                      placement_equal(*out, PLACEMENT_SHARD(1)));
    if (!known)
        FAIL_LINE(ERR_FORMAT,
                  "%s: expected R (whole on each rank), S0 (cut by outputs) or S1 (cut by inputs), "
                  "found \"%.40s\"",
                  what, word);
    return OK;
}

// "a,b": as many layers as `most`, or one alone, in the arena; *given is how many.
static Status read_layers(const Reader *r, const char *layer, const char *what, const char *text,
                          const char *out[], int most, bool or_one, int *given) {
    int count = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        if (!length)
            FAIL_LINE(ERR_FORMAT, "%s: %s: expected the name of a layer, found \"%.40s\"", layer,
                      what, text);
        if (count < most && !(out[count] = arena_string_n(r->a, at, length)))
            FAIL_LINE(ERR_MEMORY, "%s: out of memory", layer);
        count++;
        at += length;
        if (!*at) break;
    }
    if (count != most && !(or_one && count == 1))
        FAIL_LINE(ERR_FORMAT, "%s: %s names %d layer%s, it takes %s%d", layer, what, count,
                  count == 1 ? "" : "s", or_one ? "one or " : "", most);
    *given = count;
    return OK;
}

static Status read_value(const Reader *r, Layer *l, LayerLine *line, Attribute a,
                         const char *text) {
    const char *what = layer_attribute_name(a);
    switch (value_kind(a)) {
    case SWITCH: return read_switch(r, what, text, &l->attribute[a]);
    case POSITIVE: return model_numbers_read(&r->numbers, what, text, 1, &l->attribute[a]);
    case NATURAL: return model_numbers_read(&r->numbers, what, text, 0, &l->attribute[a]);
    case AMOUNT:
        l->real[a] = 0;
        if (!strcmp(text, "0")) return OK;
        return model_numbers_read_real(&r->numbers, what, text, &l->real[a]);
    case REAL: return model_numbers_read_real(&r->numbers, what, text, &l->real[a]);
    case PLACEMENT: return read_placement(r, what, text, &l->place);
    case LAYERS: break;
    }
    int tied;
    return a == ATTRIBUTE_FROM
               ? read_layers(r, l->row->word, what, text, line->from, l->row->inputs,
                             l->row->or_one, &l->input_count)
               : read_layers(r, l->row->word, what, text, &line->tie, 1, false, &tied);
}

static Status read_attribute(const Reader *r, Layer *l, LayerLine *line, char *word) {
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
        return read_value(r, l, line, (Attribute)i, equals + 1);
    }
    char advice[LAYER_ADVICE];
    FAIL_LINE(ERR_FORMAT, "%s: no attribute %.40s%s", layer, word,
              layer_advise_attribute(advice, l->row, word));
}

// Words that mean something else in tensors' names, or in from=.
static Status check_free(const Reader *r, const char *what, const char *word) {
    static const char *const taken[] = {"evaluate", "cross_entropy", "input", "in"};
    TRY(check_name(r, what, word));
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (!strcmp(word, taken[i]))
            FAIL_LINE(ERR_FORMAT, "%s: the name %s is taken by the program itself", what, word);
    return OK;
}

static Status name_is_long(const Reader *r, const char *what, const char *word) {
    FAIL_LINE(ERR_FORMAT,
              "%s: %s%s%s: a name has at most %d characters, those of its blocks included", what,
              r->scope->prefix, word, r->scope->suffix, SCOPE_NAME - 1);
}

static Status set_name(Reader *r, Layer *l, char *word) {
    char name[SCOPE_NAME];
    int64_t number;
    char *dot = find_number(word, &number);
    if (dot) *dot = '\0';
    TRY(check_free(r, l->row->word, word));
    if (dot) *dot = '.';
    if (!scope_name(name, r->scope, word)) return name_is_long(r, l->row->word, word);
    l->name = arena_string(r->a, name);
    if (!l->name) FAIL_LINE(ERR_MEMORY, "%s: out of memory", "layer");
    return OK;
}

// Layers lie in the arena in one array that doubles, and so do their lines.
static Status push_layer(Reader *r, const Layer *l, const LayerLine *line) {
    Model *m = r->m;
    if (m->layer_count == LAYERS_MAX) FAIL_LINE(ERR_FORMAT, "more than %d layers", LAYERS_MAX);
    if (m->layer_count == r->layer_capacity) {
        r->layer_capacity = r->layer_capacity ? 2 * r->layer_capacity : 16;
        Layer *grown = ARENA_NEW(r->a, Layer, r->layer_capacity);
        LayerLine *lines = ARENA_NEW(r->a, LayerLine, r->layer_capacity);
        if (!grown || !lines)
            FAIL_LINE(ERR_MEMORY, "out of memory for %d layers", r->layer_capacity);
        if (m->layer_count) memcpy(grown, m->layers, (size_t)m->layer_count * sizeof *grown);
        if (m->layer_count) memcpy(lines, r->lines, (size_t)m->layer_count * sizeof *lines);
        m->layers = grown;
        r->lines = lines;
    }
    r->lines[m->layer_count] = *line;
    m->layers[m->layer_count++] = *l;
    return OK;
}

// A block that is one of a list, such as a transformer's layers, rather than one around them all.
static int block_of(const Reader *r) {
    int block = NONE;
    for (const Frame *f = r->frames; f < &r->frames[r->depth]; f++)
        if (f->block && (block == NONE || f->times || f->first != NONE)) block = f->number;
    return block;
}

static Status read_layer(Reader *r, const LayerRow *row) {
    Layer l = {.row = row,
               .line = r->in.line,
               .block = block_of(r),
               .attribute = {[ATTRIBUTE_BIAS] = true},
               .input_count = row->or_one ? 1 : row->inputs};
    LayerLine line = {.scope = r->scope};
    int first = 1;
    if (r->in.word_count > 1 && !strchr(r->in.words[1], '='))
        TRY(set_name(r, &l, r->in.words[first++]));
    for (int i = first; i < r->in.word_count; i++)
        TRY(read_attribute(r, &l, &line, r->in.words[i]));
    for (int i = 0; i < ATTRIBUTE_COUNT; i++)
        if (layer_requires(row, (Attribute)i) && !layer_gives(&l, (Attribute)i))
            FAIL_LINE(ERR_FORMAT, "%s: %s= is missing", row->word,
                      layer_attribute_name((Attribute)i));
    return push_layer(r, &l, &line);
}

// --- the other lines

static Status read_input(Reader *r) {
    if (r->m->input_dims) FAIL_LINE(ERR_FORMAT, "%s is there twice", "input");
    bool masked = r->in.word_count == 4 && !strcmp(r->in.words[3], "masked");
    if ((r->in.word_count == 3 || masked) && !strcmp(r->in.words[1], "tokens")) {
        r->m->tokens = true;
        r->m->masked = masked;
        r->m->input_dims = 1;
        return model_numbers_read(&r->numbers, "input", r->in.words[2], 1, &r->m->input[0]);
    }
    if (r->in.word_count < 2 || r->in.word_count > DIMS)
        FAIL_LINE(ERR_FORMAT, "expected \"input SIZE ...\" with 1 to %d sizes, found %d", DIMS - 1,
                  r->in.word_count - 1);
    int64_t elements = 1;
    for (int i = 1; i < r->in.word_count; i++) {
        TRY(model_numbers_read(&r->numbers, "input", r->in.words[i], 1, &r->m->input[i - 1]));
        if (__builtin_mul_overflow(elements, r->m->input[i - 1], &elements) ||
            elements > MODEL_NUMBER_MAX)
            FAIL_LINE(ERR_FORMAT, "the input is larger than %lld elements",
                      (long long)MODEL_NUMBER_MAX);
    }
    r->m->input_dims = r->in.word_count - 1;
    return OK;
}

static Status read_classes(Reader *r) {
    if (r->m->classes) FAIL_LINE(ERR_FORMAT, "%s is there twice", "classes");
    TRY(expect_words(r, 2, "classes NUMBER"));
    return model_numbers_read(&r->numbers, "classes", r->in.words[1], 1, &r->m->classes);
}

static Status open_turn(Reader *r, Frame *f) {
    f->number = r->turns++;
    int64_t turn = f->first == NONE ? f->turn : -f->first - (f->turn ? f->turn : 1);
    return scope_open(&r->scope, r->a, f->outer, f->block, turn, r->m->layer_count);
}

// What is repeated no times, to its end.
static Status skip_frame(Reader *r, const char *word) {
    int line = r->in.line;
    for (int inside = 1; inside > 0;) {
        bool found;
        TRY(line_reader_next(&r->in, &found));
        if (!found) FAIL(ERR_FORMAT, "%s:%d: %s without an end", r->in.source, line, word);
        const char *first = r->in.words[0];
        inside += !strcmp(first, "repeat") || !strcmp(first, "block");
        inside -= !strcmp(first, "end");
    }
    return OK;
}

static Status open_frame(Reader *r, const Frame *given) {
    if (r->depth == FRAMES)
        FAIL_LINE(ERR_FORMAT, "more than %d repeats and blocks in each other", FRAMES);
    Frame *f = &r->frames[r->depth++];
    *f = *given;
    f->turn = f->times ? 1 : 0;
    f->cursor = r->in.cursor;
    f->line = r->in.line;
    f->layers = r->m->layer_count;
    f->outer = r->scope;
    return open_turn(r, f);
}

// How often lines are repeated: at least once, unless a difference says that they are not.
static Status read_times(const Reader *r, const char *word, int64_t *out) {
    return model_numbers_read(&r->numbers, "repeat", word, *word == '(' ? 0 : 1, out);
}

static Status read_repeat(Reader *r) {
    Frame f = {.word = "repeat", .first = NONE};
    TRY(expect_words(r, 2, "repeat TIMES"));
    TRY(read_times(r, r->in.words[1], &f.times));
    if (!f.times) return skip_frame(r, f.word);
    return open_frame(r, &f);
}

static Status read_block(Reader *r) {
    static const char repeat[] = "repeat=";
    Frame f = {.word = "block", .first = NONE};
    bool repeats = r->in.word_count == 3 && !strncmp(r->in.words[2], repeat, sizeof repeat - 1);
    if (repeats)
        TRY(read_times(r, r->in.words[2] + sizeof repeat - 1, &f.times));
    else
        TRY(expect_words(r, 2, "block NAME [repeat=TIMES]"));
    if (repeats && !f.times) return skip_frame(r, f.word);
    char *dot = find_number(r->in.words[1], &f.first);
    if (dot) *dot = '\0';
    TRY(check_free(r, "block", r->in.words[1]));
    char name[SCOPE_NAME];
    if (!scope_name(name, r->scope, r->in.words[1]))
        return name_is_long(r, "block", r->in.words[1]);
    f.block = arena_string(r->a, r->in.words[1]);
    if (!f.block) FAIL_LINE(ERR_MEMORY, "%s: out of memory", "block");
    return open_frame(r, &f);
}

static Status read_end(Reader *r) {
    TRY(expect_words(r, 1, "end"));
    if (!r->depth) FAIL_LINE(ERR_FORMAT, "%s without a repeat or a block before it", "end");
    Frame *f = &r->frames[r->depth - 1];
    if (r->m->layer_count == f->layers)
        FAIL_LINE(ERR_FORMAT, "no layer in the %s of line %d", f->word, f->line);
    if (f->turn >= f->times) {
        r->scope = f->outer;
        r->depth--;
        return OK;
    }
    f->turn++;
    r->in.cursor = f->cursor;
    r->in.line = f->line;
    return open_turn(r, f);
}

// The lines that are no layers, and who reads them.
#define LINE_LIST(X)               \
    X("input", read_input)         \
    X("classes", read_classes)     \
    X("parameter", read_parameter) \
    X("repeat", read_repeat)       \
    X("block", read_block)         \
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
        bool nests = readers[i] == read_repeat || readers[i] == read_block;
        if (r->depth && !nests && readers[i] != read_end)
            FAIL_LINE(ERR_FORMAT, "%s may not stand between %s and end", word,
                      r->frames[r->depth - 1].word);
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
    TRY(model_numbers_give(&r->numbers, parameters ? parameters : ""));
    TRY(read_header(r));
    TRY(scope_open(&r->scope, r->a, NULL, NULL, 0, 0));
    for (;;) {
        bool found;
        TRY(line_reader_next(&r->in, &found));
        if (!found) break;
        TRY(read_line(r));
    }
    const char *source = r->in.source;
    if (r->depth) {
        const Frame *f = &r->frames[r->depth - 1];
        FAIL(ERR_FORMAT, "%s:%d: %s without an end", source, f->line, f->word);
    }
    TRY(model_numbers_check(&r->numbers));
    if (!r->m->input_dims)
        FAIL(ERR_FORMAT, "%s: no line \"input SIZE ...\" says what one sample is", source);
    if (!r->m->classes) FAIL(ERR_FORMAT, "%s: no line \"classes NUMBER\"", source);
    if (!r->m->layer_count) FAIL(ERR_FORMAT, "%s: no layers", source);
    TRY(model_connect(r->m, r->lines, r->a));
    return model_infer(r->m);
}

Status model_parse(Model *out, Arena *a, const char *text, const char *source,
                   const char *parameters) {
    *out = (Model){.source = arena_string(a, source)};
    Reader r = {.m = out, .a = a};
    r.numbers.in = &r.in;
    if (!out->source) FAIL(ERR_MEMORY, "%s: out of memory", source);
    Status s = line_reader_open(&r.in, text, strlen(text), out->source);
    if (s == OK) s = read_model(&r, parameters);
    line_reader_close(&r.in);
    return s;
}
