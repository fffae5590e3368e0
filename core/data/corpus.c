// SPDX-License-Identifier: MIT
// Numbering the characters of a text, and its windows; read corpus_from() first.
#include "core/data/corpus.h"

#include "core/base/rng.h"

#include <stdbool.h>

#include <stdio.h>
#include <string.h>

enum { CODE_POINTS = 0x110000, VOCABULARY = 1 << 16 };

// --- UTF-8 (RFC 3629)

// The code point at s, of which `left` bytes are there, and its length; 0: it is none.
static int decode(const uint8_t *s, size_t left, uint32_t *out) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int length = s[0] < 0x80   ? 1
                 : s[0] < 0xc0 ? 0
                 : s[0] < 0xe0 ? 2
                 : s[0] < 0xf0 ? 3
                 : s[0] < 0xf8 ? 4
                               : 0;
    if (!length || (size_t)length > left) return 0;
    uint32_t c = length == 1 ? s[0] : s[0] & (0xffU >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[length] || c >= CODE_POINTS || (c >= 0xd800 && c < 0xe000)) return 0;
    *out = c;
    return length;
}

static int encode(uint32_t c, char out[5]) {
    int length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(length == 1 ? c : (0xf00U >> length & 0xff) | c);
    out[length] = '\0';
    return length;
}

// --- numbering

// Which code points the text has, in seen[CODE_POINTS], all below *end; how many characters it is.
static Status find_characters(uint8_t *seen, uint32_t *end, int64_t *count, const uint8_t *text,
                              size_t length, const char *source) {
    *count = *end = 0;
    for (size_t i = 0; i < length; ++*count) {
        uint32_t c;
        int bytes = decode(&text[i], length - i, &c);
        if (!bytes)
            FAIL(ERR_FORMAT,
                 "%s: byte %zu: expected UTF-8, found 0x%02x; to read bytes instead of "
                 "characters, add ,tokens=bytes",
                 source, i, text[i]);
        seen[c] = 1;
        if (c >= *end) *end = c + 1;
        i += (size_t)bytes;
    }
    return OK;
}

// Give the code points numbers in their order. number[CODE_POINTS] is written where one is seen.
static Status number_characters(Corpus *c, Arena *a, const uint8_t *seen, uint32_t end,
                                uint16_t *number, const char *source) {
    for (uint32_t i = 0; i < end; i++) c->vocabulary += seen[i];
    if (c->vocabulary > VOCABULARY)
        FAIL(ERR_FORMAT, "%s: expected at most %d different characters, found %d", source,
             VOCABULARY, c->vocabulary);
    uint32_t *characters = ARENA_NEW(a, uint32_t, c->vocabulary);
    if (!characters) FAIL(ERR_MEMORY, "%s: out of memory for its characters", source);
    int token = 0;
    for (uint32_t i = 0; i < end; i++) {
        if (!seen[i]) continue;
        number[i] = (uint16_t)token;
        if (i < 0x80) c->token[i] = (uint16_t)token;
        characters[token++] = i;
    }
    c->character = characters;
    return OK;
}

// Where every character is one byte, a table of 256 entries numbers them as they are read.
static Status write_wide(Corpus *c, Arena *a, size_t length, const uint16_t *number,
                         const char *source) {
    if ((size_t)c->length == length) return OK;
    uint16_t *wide = ARENA_NEW(a, uint16_t, c->length);
    if (!wide)
        FAIL(ERR_MEMORY, "%s: out of memory for %lld characters", source, (long long)c->length);
    size_t at = 0;
    for (int64_t i = 0; i < c->length; i++) {
        uint32_t character;
        at += (size_t)decode(&c->bytes[at], length - at, &character);
        wide[i] = number[character];
    }
    c->wide = wide;
    return OK;
}

static Status number_with(Corpus *c, Arena *a, Arena *scratch, size_t length, const char *source) {
    uint8_t *seen = ARENA_NEW(scratch, uint8_t, CODE_POINTS);
    uint16_t *number = ARENA_NEW(scratch, uint16_t, CODE_POINTS);
    if (!seen || !number) FAIL(ERR_MEMORY, "%s: out of memory for its characters", source);
    uint32_t end;
    TRY(find_characters(seen, &end, &c->length, c->bytes, length, source));
    TRY(number_characters(c, a, seen, end, number, source));
    return write_wide(c, a, length, number, source);
}

Status corpus_from(Corpus *out, Arena *a, const char *text, size_t length, const char *source,
                   Tokens tokens) {
    *out = (Corpus){.bytes = (const uint8_t *)text, .length = (int64_t)length};
    if (!length) FAIL(ERR_FORMAT, "%s: expected a text, found an empty file", source);
    if (tokens == TOKENS_BYTES) {
        out->vocabulary = 256;
        for (int i = 0; i < 256; i++) out->token[i] = (uint16_t)i;
        return OK;
    }
    Arena scratch = {0};
    Status s = number_with(out, a, &scratch, length, source);
    arena_finish(&scratch);
    return s;
}

Status corpus_read(Corpus *out, Arena *a, const char *path, Tokens tokens) {
    FileMap map;
    *out = (Corpus){0};
    TRY(file_map(&map, path));
    Status s = corpus_from(out, a, (const char *)map.bytes, map.length, path, tokens);
    if (s == OK)
        out->map = map;
    else
        file_unmap(&map);
    return s;
}

void corpus_finish(Corpus *c) {
    file_unmap(&c->map);
    *c = (Corpus){0};
}

// --- windows

// Windows that fit `length` tokens, with the label of the last one.
static int64_t windows_in(int64_t length, int64_t window) {
    return length < 1 ? 0 : (length - 1) / window;
}

Status corpus_cut(Corpus *c, int64_t window, double test_fraction, const char *source) {
    if (!(test_fraction >= 0 && test_fraction < 1))
        FAIL(ERR_USAGE, "--test-fraction must be at least 0 and below 1, not %g", test_fraction);
    int64_t testing = (int64_t)((double)c->length * test_fraction + 0.5);
    c->window = window;
    c->train_length = c->length - testing;
    c->train_windows = windows_in(c->train_length, window);
    c->test_windows = windows_in(testing, window);
    if (!c->train_windows)
        FAIL(ERR_USAGE,
             "%s: a window of %lld tokens and the one after it need %lld, but %lld of its %lld "
             "tokens train",
             source, (long long)window, (long long)window + 1, (long long)c->train_length,
             (long long)c->length);
    if (testing && !c->test_windows)
        FAIL(ERR_USAGE,
             "%s: of its %lld tokens %lld test, and a window of %lld needs one more than it has; "
             "give a larger --test-fraction, or --test-fraction 0 to hold none out",
             source, (long long)c->length, (long long)testing, (long long)window);
    // One window fewer leaves room to begin anywhere in the first.
    if (c->train_windows > 1) c->train_windows--;
    return OK;
}

static int64_t begin_of_epoch(const Corpus *c, uint64_t seed, int64_t epoch) {
    int64_t room = c->train_length - 1 - c->train_windows * c->window;
    Rng r;
    rng_init(&r, seed, RNG_WINDOWS, (uint32_t)epoch, (uint32_t)((uint64_t)epoch >> 32));
    return rng_below(&r, (uint32_t)(room < c->window ? room + 1 : c->window));
}

void corpus_window(const Corpus *c, uint64_t seed, int64_t epoch, int64_t row, int32_t *x,
                   int32_t *y) {
    bool training = row < c->train_windows;
    int64_t first = training ? begin_of_epoch(c, seed, epoch) + row * c->window
                             : c->train_length + (row - c->train_windows) * c->window;
    for (int64_t i = 0; i < c->window && x; i++) x[i] = corpus_token(c, first + i);
    for (int64_t i = 0; i < c->window && y; i++) y[i] = corpus_token(c, first + i + 1);
}

int corpus_token(const Corpus *c, int64_t at) {
    return c->wide ? c->wide[at] : c->token[c->bytes[at]];
}

int64_t corpus_find_token(const Corpus *c, int first) {
    for (int64_t i = 0; i < c->length; i++)
        if (corpus_token(c, i) >= first) return i;
    return -1;
}

// --- for people

int corpus_encode(const Corpus *c, const char *text, size_t left, int *token) {
    uint32_t code;
    const uint8_t *bytes = (const uint8_t *)text;
    if (!c->character) {
        *token = bytes[0];
        return 1;
    }
    int length = decode(bytes, left, &code), first = 0, end = c->vocabulary;
    while (length && first < end) {  // characters are in the order of their code points
        int middle = first + (end - first) / 2;
        if (c->character[middle] < code)
            first = middle + 1;
        else
            end = middle;
    }
    *token = first;
    return first < c->vocabulary && c->character[first] == code ? length : 0;
}

int corpus_text(const Corpus *c, int token, char out[5]) {
    if (c->character) return encode(c->character[token], out);
    out[0] = (char)token;
    out[1] = '\0';
    return 1;
}

const char *corpus_describe(const Corpus *c, int token, char out[CORPUS_TOKEN]) {
    char text[5];
    uint32_t code = c->character ? c->character[token] : (uint32_t)token;
    corpus_text(c, token, text);
    if (code < 0x20 || code == 0x7f || (!c->character && code > 0x7e))
        snprintf(out, CORPUS_TOKEN, c->character ? "U+%04X" : "byte 0x%02x", (unsigned)code);
    else
        snprintf(out, CORPUS_TOKEN, "'%s'", text);
    return out;
}
