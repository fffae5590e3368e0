// SPDX-License-Identifier: MIT
// Choosing and replacing tokens; read masking_window() first.
#include "core/data/masking.h"

#include "core/base/rng.h"
#include "core/plan/kind.h"

#include <stdbool.h>

// Shares of 2^32: positions that are chosen; of these, those that become [MASK], and those that
// do or become a random token.
static const uint32_t CHOSEN = 644245094u, MASKED = 3435973836u, REPLACED = 3865470566u;

// Number i of `choice` decides on position i; for each position `token` has two numbers or more.
typedef struct {
    Rng choice, token;
} Draw;

static Draw draw_of(const Corpus *c, uint64_t seed, int64_t epoch, int64_t row) {
    bool testing = row >= c->train_windows;
    uint64_t key = testing ? 0 : seed;
    uint32_t when = testing ? 0 : (uint32_t)epoch;
    Draw d;
    rng_init(&d.choice, key, RNG_MASK, when, (uint32_t)row);
    rng_init(&d.token, key, RNG_MASK_TOKEN, when, (uint32_t)row);
    return d;
}

static int32_t replace(const Corpus *c, Draw *d, int64_t at, int32_t token) {
    rng_seek(&d->token, (uint64_t)at << 8);
    uint32_t what = rng_u32(&d->token);
    if (what < MASKED) return masking_token(c);
    if (what < REPLACED) return (int32_t)rng_below(&d->token, (uint32_t)c->vocabulary);
    return token;
}

void masking_window(const Corpus *c, uint64_t seed, int64_t epoch, int64_t row, int32_t *x,
                    int32_t *y) {
    Draw d = draw_of(c, seed, epoch, row);
    int32_t *tokens = x ? x : y;
    corpus_window(c, seed, epoch, row, tokens, NULL);
    for (int64_t i = 0; i < c->window && tokens; i++) {
        int32_t token = tokens[i];
        bool chosen = rng_u32(&d.choice) < CHOSEN;
        if (x && chosen) x[i] = replace(c, &d, i, token);
        if (y) y[i] = chosen ? token : LABEL_IGNORED;
    }
}

int64_t masking_count(const Corpus *c, uint64_t seed, int64_t epoch, int64_t row) {
    Draw d = draw_of(c, seed, epoch, row);
    int64_t count = 0;
    for (int64_t i = 0; i < c->window; i++) count += rng_u32(&d.choice) < CHOSEN;
    return count;
}
