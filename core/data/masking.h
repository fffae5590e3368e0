// SPDX-License-Identifier: MIT
// Masked tokens, from which BERT learns (Devlin et al., arXiv:1810.04805, 3.1): of a window's
// positions 15 % are chosen, each by itself. A chosen token is its position's label; the model sees
// [MASK] there, in 10 % of the cases a random token of the text and in 10 % the token itself. All
// other labels are LABEL_IGNORED. Hugging Face's DataCollatorForLanguageModeling does the same.
//
// What is chosen depends on seed, epoch and row alone, so that any number of ranks sees the same;
// of rows that test, on the row alone.
#ifndef CORE_DATA_MASKING_H
#define CORE_DATA_MASKING_H

#include "core/data/corpus.h"

// The number of [MASK]: the one after those of the text.
static inline int32_t masking_token(const Corpus *c) { return c->vocabulary; }

// As corpus_window(): what the model sees in x, and the labels in y; either may be NULL.
void masking_window(const Corpus *c, uint64_t seed, int64_t epoch, int64_t row, int32_t *x,
                    int32_t *y);

// How many positions of a row are chosen.
int64_t masking_count(const Corpus *c, uint64_t seed, int64_t epoch, int64_t row);

#endif
