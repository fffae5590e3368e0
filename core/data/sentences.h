// SPDX-License-Identifier: MIT
// Tandem's own text: short stories of simple sentences, so that language models train without a
// download. There is something to learn at every distance: letters make words, verbs agree with
// their subjects, pronouns with whom the story is about, sums are right.
#ifndef CORE_DATA_SENTENCES_H
#define CORE_DATA_SENTENCES_H

#include <stddef.h>
#include <stdint.h>

enum { SENTENCES_COUNT = 200000 };  // characters, unless told otherwise
enum { SENTENCES_SEED = 1 };        // likewise

// Write the first `count` characters, all of them ASCII, of the text of a seed; no terminator.
void sentences_write(char *out, size_t count, uint64_t seed);

#endif
