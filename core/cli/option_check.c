// SPDX-License-Identifier: MIT
// A table's own mistakes.
#include "core/cli/option_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BRIEF_LINES = 24 };

// Whether two options share a spelling, the negative ones included.
static bool same_name(const Option *a, const Option *b) {
    if (strcmp(a->name, b->name) == 0) return true;
    if (a->no && strncmp(b->name, "no-", 3) == 0) return strcmp(a->name, b->name + 3) == 0;
    if (b->no && strncmp(a->name, "no-", 3) == 0) return strcmp(b->name, a->name + 3) == 0;
    return false;
}

static Status check_option(const OptionTable *t, const Option *o, void *values) {
    if (!o->help || !*o->help)
        FAIL(ERR_USAGE, "option table of %s: an entry has no help", t->program);
    if (o->help[strlen(o->help) - 1] == '.')
        FAIL(ERR_USAGE, "option table of %s: the help \"%s\" ends in a full stop", t->program,
             o->help);
    if (o->kind == OPTION_HEADING) return OK;
    if (!o->name || !*o->name || strcmp(o->name, "help") == 0)
        FAIL(ERR_USAGE, "option table of %s: \"%s\" cannot be a name", t->program,
             o->name ? o->name : "");
    for (const Option *other = t->options; other < o; other++) {
        if (other->kind == OPTION_HEADING) continue;
        if (same_name(other, o) || (o->letter && other->letter == o->letter))
            FAIL(ERR_USAGE, "option table of %s: --%s or its letter is there twice", t->program,
                 o->name);
    }
    if (o->letter && (!isalpha((unsigned char)o->letter) || o->letter == 'h'))
        FAIL(ERR_USAGE, "option table of %s: --%s cannot have that letter", t->program, o->name);
    bool bare = o->kind == OPTION_FLAG || o->kind == OPTION_COUNT;
    if (!bare && (!o->value || !*o->value))
        FAIL(ERR_USAGE, "option table of %s: the value of --%s has no name", t->program, o->name);
    if (bare && o->value)
        FAIL(ERR_USAGE, "option table of %s: --%s takes no value", t->program, o->name);
    if (o->no && o->kind != OPTION_FLAG)
        FAIL(ERR_USAGE, "option table of %s: --no-%s is for flags only", t->program, o->name);
    if (o->kind == OPTION_FLAG && o->initial && (strcmp(o->initial, "yes") != 0 || !o->no))
        FAIL(ERR_USAGE, "option table of %s: --%s cannot be turned off", t->program, o->name);
    if (o->initial && option_set(o, values, o->initial) != OK)
        FAIL(ERR_USAGE, "option table of %s: default of --%s: %s", t->program, o->name,
             status_message());
    return OK;
}

static Status check_layout(const OptionTable *t) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) FAIL(ERR_MEMORY, "out of memory");
    option_print_help(f, t, HELP_BRIEF);
    fclose(f);
    int lines = 0;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    free(text);
    if (lines > BRIEF_LINES)
        FAIL(ERR_USAGE, "option table of %s: -h has %d lines, the limit is %d", t->program, lines,
             BRIEF_LINES);
    return OK;
}

static Status check_words(const OptionTable *t) {
    for (const OptionWord *w = t->words; w < t->words + t->word_count; w++) {
        size_t length = strlen(w->meaning);
        if (w > t->words && strcasecmp(w[-1].word, w->word) >= 0)
            FAIL(ERR_USAGE, "option table of %s: the word %s is not in alphabetical order",
                 t->program, w->word);
        if (option_find_word(t, w->word) != w)
            FAIL(ERR_USAGE, "option table of %s: the word %s leads elsewhere", t->program, w->word);
        if (!length || w->meaning[length - 1] != '.')
            FAIL(ERR_USAGE, "option table of %s: the meaning of %s is no sentence", t->program,
                 w->word);
    }
    return OK;
}

Status option_check(const OptionTable *t) {
    size_t bytes = 0;
    for (const Option *o = t->options; o < t->options + t->option_count; o++)
        if (o->at + option_field_bytes(o) > bytes) bytes = o->at + option_field_bytes(o);
    void *values = calloc(1, bytes ? bytes : 1);
    if (!values) FAIL(ERR_MEMORY, "out of memory");
    Status s = OK;
    for (int i = 0; i < t->option_count && s == OK; i++)
        s = check_option(t, &t->options[i], values);
    free(values);
    TRY(s);
    size_t length = strlen(t->program);
    for (int i = 0; i < t->example_count; i++)
        if (strncmp(t->examples[i].command, t->program, length) != 0)
            FAIL(ERR_USAGE, "option table of %s: the example \"%s\" runs something else",
                 t->program, t->examples[i].command);
    TRY(check_words(t));
    return check_layout(t);
}
