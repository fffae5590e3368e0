// SPDX-License-Identifier: MIT
#include "tests/support/mutate.h"

#include "core/base/rng.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { PIECE = 512 };  // bytes that one edit moves at most

typedef struct {
    size_t begin, end;
} Piece;

typedef struct {
    char *text;
    size_t length, capacity;
    Rng random;
    const char *const *phrases;
    int phrase_count;
} Mutation;

// A number below `bound`.
static size_t pick(Mutation *m, size_t bound) { return rng_below(&m->random, (uint32_t)bound); }

static void replace(Mutation *m, Piece at, const char *by, size_t length) {
    size_t tail = m->length - at.end;
    if (at.begin + length + tail > m->capacity) return;
    memmove(m->text + at.begin + length, m->text + at.end, tail);
    memcpy(m->text + at.begin, by, length);
    m->length = at.begin + length + tail;
}

// A copy of a piece; false: it is too long for one edit.
static bool copy(const Mutation *m, Piece p, char out[PIECE]) {
    if (p.end - p.begin > PIECE) return false;
    memcpy(out, m->text + p.begin, p.end - p.begin);
    return true;
}

static bool is_space(const Mutation *m, size_t i) {
    return m->text[i] == ' ' || m->text[i] == '\n';
}

// The word at or behind a random place; an empty one at the end of the text.
static Piece pick_word(Mutation *m) {
    Piece w = {pick(m, m->length), 0};
    while (w.begin > 0 && !is_space(m, w.begin - 1)) w.begin--;
    while (w.begin < m->length && is_space(m, w.begin)) w.begin++;
    for (w.end = w.begin; w.end < m->length && !is_space(m, w.end);) w.end++;
    return w;
}

static Piece line_of(const Mutation *m, Piece p) {
    while (p.begin > 0 && m->text[p.begin - 1] != '\n') p.begin--;
    while (p.end < m->length && m->text[p.end] != '\n') p.end++;
    if (p.end < m->length) p.end++;
    return p;
}

static void replace_word(Mutation *m) {
    char other[PIECE];
    Piece at = pick_word(m), by = pick_word(m);
    if (copy(m, by, other)) replace(m, at, other, by.end - by.begin);
}

static void replace_number(Mutation *m) {
    static const char *const numbers[] = {
        "0",  "1",  "2",   "3",   "4",   "8",     "10",         "13",
        "16", "64", "255", "256", "257", "65536", "4294967296", "9223372036854775807",
        "-1", "28", "784", "5:3", "0.5", "1e300", "nan",        "17592186044416"};
    Piece at = pick_word(m);
    while (at.begin < at.end && !isdigit((unsigned char)m->text[at.begin])) at.begin++;
    size_t end = at.begin;
    while (end < at.end && isdigit((unsigned char)m->text[end])) end++;
    const char *by = numbers[pick(m, sizeof numbers / sizeof *numbers)];
    if (end > at.begin) replace(m, (Piece){at.begin, end}, by, strlen(by));
}

// What stands behind the "=" of a word; an empty piece without one.
static Piece value_of(const Mutation *m, Piece word) {
    const char *sign = memchr(m->text + word.begin, '=', word.end - word.begin);
    return (Piece){sign ? (size_t)(sign + 1 - m->text) : word.end, word.end};
}

static void replace_value(Mutation *m) {
    char other[PIECE];
    Piece at = value_of(m, pick_word(m)), by = value_of(m, pick_word(m));
    if (at.end > at.begin && by.end > by.begin && copy(m, by, other))
        replace(m, at, other, by.end - by.begin);
}

static void add_phrase(Mutation *m) {
    Piece line = line_of(m, pick_word(m));
    if (!m->phrase_count || line.end == line.begin) return;
    const char *phrase = m->phrases[pick(m, (size_t)m->phrase_count)];
    size_t end = line.end - (m->text[line.end - 1] == '\n');
    replace(m, (Piece){end, end}, phrase, strlen(phrase));
}

static void change_line(Mutation *m) {
    char line[PIECE];
    Piece at = line_of(m, pick_word(m)), to = line_of(m, pick_word(m));
    size_t length = at.end - at.begin, what = pick(m, 3);
    if (!copy(m, at, line)) return;
    if (what == 0) {  // doubled elsewhere
        replace(m, (Piece){to.begin, to.begin}, line, length);
        return;
    }
    if (what == 1 && to.begin > at.begin) {  // moved down
        replace(m, (Piece){to.begin, to.begin}, line, length);
        replace(m, at, "", 0);
        return;
    }
    replace(m, at, "", 0);
}

static void swap_neighbours(Mutation *m) {
    char words[PIECE];
    Piece first = pick_word(m);
    size_t second = first.end;
    while (second < m->length && m->text[second] == ' ') second++;
    size_t end = second;
    while (end < m->length && !is_space(m, end)) end++;
    size_t a = first.end - first.begin, gap = second - first.end, b = end - second;
    if (a + gap + b > PIECE || !b) return;
    memcpy(words, m->text + second, b);
    memcpy(words + b, m->text + first.end, gap);
    memcpy(words + b + gap, m->text + first.begin, a);
    memcpy(m->text + first.begin, words, a + gap + b);
}

size_t mutate_text(char *text, size_t length, size_t capacity, uint64_t seed,
                   const char *const *phrases) {
    static void (*const edits[])(Mutation *) = {replace_word,   replace_word,   replace_number,
                                                replace_number, replace_value,  add_phrase,
                                                change_line,    swap_neighbours};
    Mutation m = {.text = text, .length = length, .capacity = capacity, .phrases = phrases};
    while (phrases[m.phrase_count]) m.phrase_count++;
    rng_init(&m.random, seed, RNG_TEST, 0, 0);
    for (size_t times = 1 + pick(&m, 3); times > 0 && m.length > 0; times--)
        edits[pick(&m, sizeof edits / sizeof *edits)](&m);
    return m.length;
}
