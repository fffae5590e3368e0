// SPDX-License-Identifier: MIT
// Rules of a course, and of its glossary.
#include "lessons/engine/verify.h"

#include "lessons/engine/glossary.h"
#include "lessons/engine/translate.h"

#include <string.h>

enum { MOST_MINUTES = 15, MOST_WORDS = 40 };  // of a lesson; of a glossary's text

Status verify_course(const Lesson *const *lessons, int count) {
    for (int i = 0; i < count; i++) {
        const Lesson *l = lessons[i];
        if (l->minutes < 1 || l->minutes > MOST_MINUTES)
            FAIL(ERR_FAILED, "lesson %d (%s): %d minutes; 1 to %d are to be stated", l->number,
                 l->name, l->minutes, MOST_MINUTES);
        for (int j = 0; j < i; j++)
            if (lessons[j]->number >= l->number || strcmp(lessons[j]->name, l->name) == 0)
                FAIL(
                    ERR_FAILED,
                    "lesson %d (%s) comes after lesson %d (%s): numbers rise, and names are unique",
                    l->number, l->name, lessons[j]->number, lessons[j]->name);
    }
    return OK;
}

static int words_of(const char *text) {
    int count = 1;
    for (; *text; text++) count += *text == ' ';
    return count;
}

// What a name finds must be what the term itself finds.
static Status check_found(const GlossaryTerm *term, const char *name) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    Status s = glossary_explain(&page, name);
    bool right = s == OK && page.first && strstr(page.first->text, _(term->text));
    arena_finish(&arena);
    if (!right) FAIL(ERR_FAILED, "glossary: \"%s\" does not find %s", name, term->term);
    return OK;
}

Status verify_glossary(void) {
    int count;
    const GlossaryTerm *terms = glossary_terms(&count);
    for (int i = 0; i < count; i++) {
        if (i && strcmp(terms[i - 1].term, terms[i].term) >= 0)
            FAIL(ERR_FAILED, "glossary: %s comes after %s", terms[i].term, terms[i - 1].term);
        if (words_of(terms[i].text) > MOST_WORDS)
            FAIL(ERR_FAILED, "glossary: %s takes more than %d words", terms[i].term, MOST_WORDS);
        if (verify_is_translating() && _(terms[i].text) == terms[i].text)
            FAIL(ERR_FAILED, "glossary: %s has no translation", terms[i].term);
        TRY(check_found(&terms[i], terms[i].term));
        TRY(check_found(&terms[i], _(terms[i].term)));
    }
    return OK;
}
