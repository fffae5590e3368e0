// SPDX-License-Identifier: MIT
// A word that programs print, explained by --help WORD.
#ifndef CORE_CLI_OPTION_WORD_H
#define CORE_CLI_OPTION_WORD_H

typedef struct {
    const char *word;    // as it is printed: "exposed_comm", "held-out"
    const char *others;  // other spellings that lead here, between spaces: "world_size"; NULL: none
    const char *meaning;  // one to three sentences
    const char *more;     // where to read on: "docs/formats.md, Reports"; NULL: nowhere
} OptionWord;

#endif
