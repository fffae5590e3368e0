// SPDX-License-Identifier: MIT
// The terms of lessons, for "? WORD" at any prompt.
#ifndef LESSONS_ENGINE_GLOSSARY_H
#define LESSONS_ENGINE_GLOSSARY_H

#include "lessons/engine/page.h"

typedef struct {
    const char *term;  // in lower case, singular; translated where it is shown, as the text
    const char *text;
} GlossaryTerm;

// All terms, in alphabetical order.
const GlossaryTerm *glossary_terms(int *count);

// What a word means, found in English or in the reader's language, in any case; else ERR_USAGE with
// the nearest word that is known. Without a word: all words.
Status glossary_explain(Page *p, const char *word) MUST_USE;

#endif
