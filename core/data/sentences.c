// SPDX-License-Identifier: MIT
// A grammar that draws: read write_story() first. Whole numbers throughout, so that the text of a
// seed is the same on every machine.
#include "core/data/sentences.h"

#include "core/base/rng.h"

#include <stdbool.h>
#include <string.h>

typedef struct {
    char *out;
    size_t length, capacity;
    Rng rng;
} Writer;

typedef struct {
    const char *name, *he, *him, *his;
} Hero;

#define HE "he", "him", "his"
#define SHE "she", "her", "her"
#define IT "it", "it", "its"
static const Hero heroes[] = {
    {"the miller", HE}, {"the queen", SHE},   {"the goose", IT},    {"the old sailor", HE},
    {"Anna", SHE},      {"Jonas", HE},        {"the baker", HE},    {"the young fox", IT},
    {"Clara", SHE},     {"the shepherd", HE}, {"the grey cat", IT}, {"my grandmother", SHE},
};
static const char *const nouns[] = {
    "bridge",  "lantern", "river",  "boat", "garden", "kettle", "letter", "apple",
    "bicycle", "violin",  "basket", "coat", "mirror", "wheel",  "candle", "map",
};
static const char *const adjectives[] = {
    "small", "heavy", "green", "broken", "quiet", "golden", "round", "cold", "narrow", "shining",
};
// Past, and after "did not" or "wants to".
static const char *const verbs[][2] = {
    {"found", "find"},    {"carried", "carry"}, {"painted", "paint"},
    {"lost", "lose"},     {"wanted", "want"},   {"sold", "sell"},
    {"watched", "watch"}, {"mended", "mend"},   {"remembered", "remember"},
};
static const char *const places[] = {
    "behind the church", "at the market", "under the stairs", "in the forest",
    "on the hill",       "by the sea",    "near the mill",    "between two walls",
};
static const char *const times[] = {
    "One morning", "Late in the evening", "In spring", "The next day", "After the rain", "At noon",
};
static const char *const numbers[] = {
    "zero",  "one",   "two",  "three", "four",   "five",   "six",
    "seven", "eight", "nine", "ten",   "eleven", "twelve",
};

static void put(Writer *w, const char *text) {
    for (; *text && w->length < w->capacity; text++) w->out[w->length++] = *text;
}

// The same with a capital.
static void put_capital(Writer *w, const char *text) {
    size_t at = w->length;
    put(w, text);
    if (at < w->length && w->out[at] >= 'a' && w->out[at] <= 'z') w->out[at] -= 'a' - 'A';
}

static uint32_t draw(Writer *w, size_t n) { return rng_below(&w->rng, (uint32_t)n); }
#define DRAW(w, list) (list)[draw((w), sizeof(list) / sizeof *(list))]

static const char *article(const char *next) { return strchr("aeiou", next[0]) ? "an " : "a "; }

// "a heavy lantern"
static void put_thing(Writer *w) {
    const char *adjective = DRAW(w, adjectives), *noun = DRAW(w, nouns);
    bool plain = draw(w, 3) == 0;
    put(w, article(plain ? noun : adjective));
    if (!plain) {
        put(w, adjective);
        put(w, " ");
    }
    put(w, noun);
}

// "Anna found a heavy lantern by the sea."
static void write_deed(Writer *w, const char *who) {
    put_capital(w, who);
    put(w, " ");
    put(w, DRAW(w, verbs)[0]);
    put(w, " ");
    put_thing(w);
    if (draw(w, 2)) {
        put(w, " ");
        put(w, DRAW(w, places));
    }
    put(w, ".");
}

// "He did not mend his coat."
static void write_omission(Writer *w, const Hero *h) {
    put_capital(w, h->he);
    put(w, draw(w, 2) ? " did not " : " could not ");
    put(w, DRAW(w, verbs)[1]);
    put(w, " ");
    put(w, h->his);
    put(w, " ");
    put(w, DRAW(w, nouns));
    put(w, ".");
}

// "\"Where is the boat?\" asked the queen." "\"It is behind the church,\" said Jonas to her."
static void write_question(Writer *w, const Hero *h) {
    put(w, "\"Where is the ");
    put(w, DRAW(w, nouns));
    put(w, "?\" asked ");
    put(w, h->name);
    put(w, ". \"It is ");
    put(w, DRAW(w, places));
    put(w, ",\" said ");
    put(w, DRAW(w, heroes).name);
    put(w, " to ");
    put(w, h->him);
    put(w, ".");
}

// "She counted: three and four are seven."
static void write_sum(Writer *w, const Hero *h) {
    uint32_t a = draw(w, 7), b = draw(w, 7);
    put_capital(w, h->he);
    put(w, " counted: ");
    put(w, numbers[a]);
    put(w, " and ");
    put(w, numbers[b]);
    put(w, " are ");
    put(w, numbers[a + b]);
    put(w, ".");
}

// A hero, and three to seven sentences that call the hero he, she or it.
static void write_story(Writer *w) {
    const Hero *h = &DRAW(w, heroes);
    put(w, DRAW(w, times));
    put(w, ", ");
    put(w, h->name);
    put(w, " went out. ");
    for (uint32_t left = 3 + draw(w, 5); left; left--) {
        switch (draw(w, 6)) {
        case 0: write_omission(w, h); break;
        case 1: write_question(w, h); break;
        case 2: write_sum(w, h); break;
        case 3: write_deed(w, h->name); break;
        default: write_deed(w, h->he);
        }
        put(w, left > 1 ? " " : "\n\n");
    }
}

void sentences_write(char *out, size_t count, uint64_t seed) {
    Writer w = {.out = out, .capacity = count};
    rng_init(&w.rng, seed, RNG_SENTENCES, 0, 0);
    while (w.length < w.capacity) write_story(&w);
}
