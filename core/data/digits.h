// SPDX-License-Identifier: MIT
// Tandem's own digits: images made from pen strokes that look handwritten, so that everything works
// without a download. Whole numbers throughout: the bytes are the same on every machine.
#ifndef CORE_DATA_DIGITS_H
#define CORE_DATA_DIGITS_H

#include "core/data/dataset.h"

enum { DIGITS_SIDE = 28 };
enum { DIGITS_CLASSES = 10 };
enum { DIGITS_COUNT = 12000 };  // unless told otherwise
enum { DIGITS_SEED = 1 };       // likewise

// `count` digits of a seed, in the arena; 1 <= count <= INT32_MAX. The caller sets out->source.
// progress: NULL, or told after every few thousand digits.
Status digits_make(Dataset *out, Arena *a, int64_t count, uint64_t seed,
                   const DatasetProgress *progress) MUST_USE;

// The same without images and labels (NULL): what is known before any is drawn.
Dataset digits_describe(int64_t count);

// Sample `index` of a seed, DIGITS_SIDE^2 bytes, 0 background to 255 ink. It shows the digit
// digits_label(index) and depends on nothing else.
void digits_draw(uint8_t *image, uint64_t seed, uint32_t index);
static inline uint8_t digits_label(uint32_t index) { return (uint8_t)(index % DIGITS_CLASSES); }

#endif
