// SPDX-License-Identifier: MIT
// --help WORD: the words that a program prints, explained.
#include "core/base/text.h"
#include "core/cli/option_internal.h"

#include <ctype.h>
#include <string.h>

enum { INDENT = 6, TEXT = 64 };

// Capitals, blanks, - and _ do not matter: "Held-out" is "held_out".
static void plain(char out[TEXT], const char *text, size_t length) {
    size_t n = 0;
    for (; n < length && n + 1 < TEXT; n++)
        out[n] = text[n] == '-' || text[n] == ' ' ? '_' : (char)tolower((unsigned char)text[n]);
    out[n] = '\0';
}

static bool same(const char *wanted, const char *text, size_t length) {
    char other[TEXT];
    plain(other, text, length);
    return !strcmp(wanted, other);
}

static bool names(const OptionWord *w, const char *wanted) {
    if (same(wanted, w->word, strlen(w->word))) return true;
    for (const char *at = w->others ? w->others : ""; *at;) {
        size_t length = strcspn(at, " ");
        if (same(wanted, at, length)) return true;
        at += length + strspn(at + length, " ");
    }
    return false;
}

const OptionWord *option_find_word(const OptionTable *t, const char *topic) {
    char wanted[TEXT];
    if (strlen(topic) >= TEXT) return NULL;
    plain(wanted, topic, strlen(topic));
    for (const OptionWord *w = t->words; w < t->words + t->word_count; w++)
        if (names(w, wanted)) return w;
    return NULL;
}

void option_offer_words(Nearest *near, const OptionTable *t) {
    for (int i = 0; i < t->word_count; i++) nearest_offer(near, t->words[i].word);
}

void option_print_word(FILE *f, const OptionWord *w) {
    fprintf(f, "  %s\n", w->word);
    option_print_wrapped(f, w->meaning, 0, INDENT);
    if (!w->more) return;
    char more[128] = "";
    text_append(more, sizeof more, "More: %s", w->more);
    option_print_wrapped(f, more, 0, INDENT);
}

void option_print_words(FILE *f, const OptionTable *t) {
    fputs("Words that are printed:\n", f);
    for (int i = 0; i < t->word_count; i++) option_print_word(f, &t->words[i]);
}
