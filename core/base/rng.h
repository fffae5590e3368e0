// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011). A number depends on its
// key and counter alone, never on what was drawn before, so that every device and every division
// of work over ranks sees the same ones.
#ifndef CORE_BASE_RNG_H
#define CORE_BASE_RNG_H

#include <stdint.h>

// The multipliers and the Weyl sequence of the key, from the paper's section 3.
enum { RNG_ROUNDS = 10 };
static const uint32_t RNG_MULTIPLY[2] = {0xD2511F53u, 0xCD9E8D57u};
static const uint32_t RNG_BUMP[2] = {0x9E3779B9u, 0xBB67AE85u};

// Ten rounds of Philox: 128 counter bits under a 64-bit key give 128 random bits.
void rng_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

// The use of a stream keeps it apart from the others of its seed. New uses go at the end.
typedef enum {
    RNG_INIT,
    RNG_SHUFFLE,
    RNG_SPLIT,
    RNG_DIGITS,
    RNG_DROPOUT,
    RNG_DELAY,
    RNG_TEST,
    RNG_BOOTSTRAP,
    RNG_SENTENCES,
    RNG_WINDOWS,
    RNG_GENERATE,
    RNG_MASK,
    RNG_MASK_TOKEN,
    RNG_JITTER,
    RNG_RECORDED,
    RNG_FAILURE,
    RNG_LESSON
} RngUse;

// A stream of 2^58 numbers: (seed; use, a, b) names it, `index` counts within it. Number i is word
// i % 4 of the Philox block whose key is the seed, low word first, and whose counter is
//     block, use + 256 (block >> 32), a, b      with block = i / 4, each modulo 2^32.
typedef struct {
    uint64_t seed, index;  // index: the next 32-bit number; only drawing moves it
    uint32_t use, a, b;    // a, b: e.g. layer and step, or epoch
    uint32_t block[4];     // the four numbers around `index`
} Rng;

void rng_init(Rng *r, uint64_t seed, RngUse use, uint32_t a, uint32_t b);
void rng_seek(Rng *r, uint64_t index);          // go to a place of the stream
uint32_t rng_u32(Rng *r);                       // the next number
uint32_t rng_below(Rng *r, uint32_t n);         // uniform in [0, n), unbiased; n >= 1
float rng_float(Rng *r);                        // uniform in [0, 1): 24 bits, exact in f32
uint32_t rng_at(const Rng *r, uint64_t index);  // the number at a place, without moving

// Fisher-Yates, from the last item down; count < 2^32.
void rng_shuffle(Rng *r, int32_t *items, int64_t count);

#endif
