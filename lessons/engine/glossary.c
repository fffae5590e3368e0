// SPDX-License-Identifier: MIT
// Finding what a word means.
#include "lessons/engine/glossary.h"

#include "core/base/nearest.h"
#include "lessons/engine/translate.h"

#include <string.h>
#include <strings.h>

static void list(Page *p) {
    const char *words = "";
    int count;
    const GlossaryTerm *terms = glossary_terms(&count);
    for (int i = 0; i < count; i++)
        words = page_text(p, "%s%s%s", words, i ? ", " : "", _(terms[i].term));
    page_say(p, "%s", words);
}

Status glossary_explain(Page *p, const char *word) {
    Nearest near = {.word = word};
    int count;
    const GlossaryTerm *terms = glossary_terms(&count);
    if (*word == '\0') {
        list(p);
        return OK;
    }
    for (int i = 0; i < count; i++) {
        const char *term = _(terms[i].term);
        if (strcasecmp(word, terms[i].term) == 0 || strcasecmp(word, term) == 0) {
            page_say(p, _("%s: %s"), term, _(terms[i].text));
            return OK;
        }
        nearest_offer(&near, terms[i].term);
        nearest_offer(&near, term);
    }
    if (near.best)
        FAIL(ERR_USAGE, _("\"%s\" is not in the glossary; do you mean %s? A single ? lists all"),
             word, near.best);
    FAIL(ERR_USAGE, _("\"%s\" is not in the glossary; a single ? lists all words"), word);
}
