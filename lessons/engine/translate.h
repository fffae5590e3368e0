// SPDX-License-Identifier: MIT
// Languages, by gettext: everything that a learner reads stands in _("…"), English in the source,
// other languages in po/.
#ifndef LESSONS_ENGINE_TRANSLATE_H
#define LESSONS_ENGINE_TRANSLATE_H

#include <libintl.h>
#include <stdbool.h>

#define TRANSLATE_DOMAIN "tandem-lesson"
#define _(text) translated(text)
#define N_(text) text  // in a table; translated where it is shown

// dgettext() is never NULL, but compilers that look for NULL (-fsanitize=undefined) do not know.
__attribute__((format_arg(1))) static inline const char *translated(const char *text) {
    const char *found = dgettext(TRANSLATE_DOMAIN, text);
    return found ? found : text;
}

// Take the language from the environment (LANGUAGE, LC_ALL, LC_MESSAGES, LANG), also where no
// locale is set but LANGUAGE is, with text as UTF-8. Numbers stay as C writes them. Translations
// lie in `folder`, or beside the program in a build, when there; else where they are installed.
void translate_begin(const char *folder);

// The language that was asked for, when it is not English and its texts are not built; else NULL.
const char *translate_missing(void);

// Go over to a language, "en" or "zh_CN". False: there are no texts in it, and English stays.
bool translate_to(const char *language);

#endif
