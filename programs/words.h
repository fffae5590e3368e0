// SPDX-License-Identifier: MIT
// The words that train and sim print, for --help WORD and --help words.
// tests/programs/test_words.c runs both programs and fails for a printed word that is missing here.
#ifndef PROGRAMS_WORDS_H
#define PROGRAMS_WORDS_H

#include "core/cli/option.h"

enum { WORDS = 133 };
extern const OptionWord words[WORDS];

#endif
