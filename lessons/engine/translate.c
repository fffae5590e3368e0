// SPDX-License-Identifier: MIT
// Finding translations. glibc takes LANGUAGE only when the locale of messages is not "C", but a
// container or a fresh account often has no locale at all: then C.UTF-8 stands for it.
#include "lessons/engine/translate.h"

#include <libgen.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The folder po/ beside the program that runs, which is where a build has it.
static bool beside_program(char *out, size_t size) {
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return false;
    program[length] = '\0';
    snprintf(out, size, "%s/po", dirname(program));
    return access(out, R_OK) == 0;
}

void translate_begin(const char *folder) {
    const char *language = getenv("LANGUAGE");
    const char *locale = setlocale(LC_MESSAGES, "");
    char beside[PATH_MAX];
    bool none = !locale || strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0;
    if (none && language && *language) setlocale(LC_MESSAGES, "C.UTF-8");
    if (!folder && beside_program(beside, sizeof beside)) folder = beside;
    bindtextdomain(TRANSLATE_DOMAIN, folder ? folder : TANDEM_LOCALEDIR);
    bind_textdomain_codeset(TRANSLATE_DOMAIN, "UTF-8");
    bindtextdomain("libc", "/nonexistent");  // names of signals stand in messages that are English
}

static bool has_texts(const char *language) {
    char texts[PATH_MAX];
    snprintf(texts, sizeof texts, "%s/%s/LC_MESSAGES/%s.mo", bindtextdomain(TRANSLATE_DOMAIN, NULL),
             language, TRANSLATE_DOMAIN);
    return access(texts, R_OK) == 0;
}

const char *translate_missing(void) {
    const char *language = getenv("LANGUAGE");
    if (!language || strcmp(language, "zh_CN") != 0 || has_texts(language)) return NULL;
    return language;
}

// setlocale() makes gettext look anew.
bool translate_to(const char *language) {
    if (setenv("LANGUAGE", language, 1) != 0) return false;
    translate_begin(NULL);
    const char *locale = setlocale(LC_MESSAGES, NULL);
    if (strcmp(language, "en") == 0) return true;
    return has_texts(language) && locale && strcmp(locale, "C") != 0;
}
