// SPDX-License-Identifier: MIT
// Parsing. Help: option_help.c; `--help TOPIC`: option_topic.c; what may
// be in a table: option_check.c.
#include "core/cli/option.h"

#include "core/base/nearest.h"
#include "core/cli/option_internal.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

typedef struct {
    OptionLine *line;
    void *values;
    char *const *next, *const *end;  // words not read yet
    bool only_arguments;             // after "--"
} Reader;

const Option *option_find(const OptionTable *t, const char *name, size_t length) {
    for (const Option *o = t->options; o < t->options + t->option_count; o++)
        if (o->kind != OPTION_HEADING && strncmp(o->name, name, length) == 0 && !o->name[length])
            return o;
    return NULL;
}

const Option *option_find_letter(const OptionTable *t, char letter) {
    for (const Option *o = t->options; o < t->options + t->option_count; o++)
        if (o->letter && o->letter == letter) return o;
    return NULL;
}

// Anything that begins with a dash and is neither "-" (standard input) nor a negative number.
static bool is_option(const char *word) {
    return word[0] == '-' && word[1] && word[1] != '.' && !isdigit((unsigned char)word[1]);
}

static void offer_names(Nearest *near, const OptionTable *t) {
    nearest_offer(near, "help");
    for (int i = 0; i < t->option_count; i++)
        if (t->options[i].kind != OPTION_HEADING) nearest_offer(near, t->options[i].name);
}

// The message for a word that is no option, with the nearest that is; of "--no-overlay" the nearest
// may be the negative of an option.
static Status fail_unknown(const OptionTable *t, const char *what, const char *word) {
    char name[128];
    const char *start = word + strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "="), start);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';  // as other programs spell it
    const char *needless = option_needless(t, name);
    if (needless) FAIL(ERR_USAGE, "%s %.80s: %s", what, word, needless);
    Nearest near = {.word = name, .best = option_named_otherwise(t, name)};
    if (!near.best) offer_names(&near, t);
    const char *no = "";
    if (!near.best && strncmp(name, "no-", 3) == 0) {
        near.word = name + 3;
        offer_names(&near, t);
        const Option *o = near.best ? option_find(t, near.best, strlen(near.best)) : NULL;
        if (o && o->no) no = "no-";
    }
    if (!*word) word = "\"\"";
    if (!near.best) FAIL(ERR_USAGE, "%s %.80s (--help lists the options)", what, word);
    FAIL(ERR_USAGE, "%s %.80s (did you mean --%s%s?)", what, word, no, near.best);
}

static Status read_value(Reader *r, const Option *o, const char *value, const char *spelling) {
    if (!value && r->next < r->end && !is_option(*r->next)) value = *r->next++;
    if (!value) FAIL(ERR_USAGE, "%s needs a value: give %s %s", spelling, spelling, o->value);
    if (!*value) FAIL(ERR_USAGE, "%s: the value is empty: give %s", spelling, o->value);
    if (option_set(o, r->values, value) != OK)
        FAIL(ERR_USAGE, "%s: %s", spelling, status_message());
    return OK;
}

static bool takes_value(const Option *o) {
    return o->kind != OPTION_FLAG && o->kind != OPTION_COUNT;
}

// --help, --help TOPIC, --help=TOPIC.
static Status read_help(Reader *r, const char *topic) {
    const char *next = r->next < r->end ? *r->next : "";
    if (!topic && *next && (*next != '-' || option_find_topic(r->line->table, next))) topic = next;
    r->line->help = topic ? HELP_TOPIC : HELP_FULL;
    r->line->topic = topic;
    return OK;
}

static Status note_given(Reader *r, const Option *o, const char *spelling) {
    bool *given = &r->line->given[o - r->line->table->options];
    if (*given && o->once)
        FAIL(ERR_USAGE, "%s is given twice, and it writes one %s: leave one of them out", spelling,
             o->value);
    *given = true;
    return OK;
}

// A word that begins with "--".
static Status read_long(Reader *r, const char *word) {
    const OptionTable *t = r->line->table;
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] ? name + length + 1 : NULL;
    if (length == 4 && strncmp(name, "help", 4) == 0) return read_help(r, value);
    const Option *o = option_find(t, name, length);
    bool no = !o && strncmp(name, "no-", 3) == 0;
    if (no) o = option_find(t, name + 3, length - 3);
    if (!o || (no && !o->no)) return fail_unknown(t, "unknown option", word);
    char spelling[128];
    snprintf(spelling, sizeof spelling, "--%.*s", (int)length, name);
    TRY(note_given(r, o, spelling));
    if (takes_value(o)) return read_value(r, o, value, spelling);
    if (value) FAIL(ERR_USAGE, "%s takes no value: give %s alone", spelling, spelling);
    return option_set(o, r->values, no ? "no" : "yes");
}

// A word of one dash: letters of flags, the last perhaps of an option with its value.
static Status read_short(Reader *r, const char *word) {
    const OptionTable *t = r->line->table;
    for (const char *c = word + 1; *c; c++) {  // all are known, or none counts
        const Option *o = option_find_letter(t, *c);
        if (!o && *c != 'h') return fail_unknown(t, "unknown option", word);
        if (o && takes_value(o)) break;
    }
    for (const char *c = word + 1; *c; c++) {
        if (*c == 'h') {
            r->line->help = HELP_BRIEF;
            return OK;
        }
        const Option *o = option_find_letter(t, *c);
        const char spelling[] = {'-', *c, '\0'};
        TRY(note_given(r, o, spelling));
        if (takes_value(o)) return read_value(r, o, c[1] ? c + 1 : NULL, spelling);
        TRY(option_set(o, r->values, "yes"));
    }
    return OK;
}

static Status read_argument(Reader *r, const char *word) {
    OptionLine *l = r->line;
    const OptionTable *t = l->table;
    if (!t->arguments) return fail_unknown(t, "unexpected argument", word);
    if (t->arguments_max && l->argument_count == t->arguments_max)
        FAIL(ERR_USAGE, "unexpected argument %.80s: give at most %d (%s)", word, t->arguments_max,
             t->arguments);
    l->arguments[l->argument_count++] = word;
    return OK;
}

static Status read_word(Reader *r) {
    const char *word = *r->next++;
    if (r->only_arguments || word[0] != '-' || !word[1]) return read_argument(r, word);
    if (strcmp(word, "--") != 0) return word[1] == '-' ? read_long(r, word) : read_short(r, word);
    r->only_arguments = true;
    return OK;
}

// "tandem-train" of "/usr/bin/tandem-train": the name that programs are installed under.
static const char *called_otherwise(const OptionTable *t, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return strncmp(name, "tandem-", 7) == 0 && strcmp(name + 7, t->program) == 0 ? name : NULL;
}

Status option_parse(OptionLine *out, void *values, Arena *a, const OptionTable *t, int argc,
                    char *const argv[]) {
    int words = argc > 1 ? argc - 1 : 0;
    *out = (OptionLine){.table = t, .called = called_otherwise(t, argc ? argv[0] : "")};
    out->given = ARENA_NEW(a, bool, t->option_count);
    out->arguments = ARENA_NEW(a, const char *, words);
    if (!out->given || !out->arguments) FAIL(ERR_MEMORY, "out of memory");
    TRY(option_set_defaults(t->options, t->option_count, values));
    Reader r = {.line = out, .values = values, .next = argv + 1, .end = argv + 1 + words};
    Status first = OK;
    char message[STATUS_TEXT];
    while (r.next < r.end && !out->help) {
        Status s = read_word(&r);
        if (s == OK || first != OK) continue;
        first = s;
        snprintf(message, sizeof message, "%s", status_message());
    }
    if (first != OK) FAIL(first, "%s", message);
    if (!out->help && out->argument_count < t->arguments_min)
        FAIL(ERR_USAGE, "%s missing: give %s %s", t->arguments, t->program, t->arguments);
    return OK;
}

bool option_given(const OptionLine *l, const char *name) {
    const Option *o = option_find(l->table, name, strlen(name));
    assert(o);
    return o && l->given[o - l->table->options];
}

const Option *option_given_marked(const OptionLine *l, unsigned marks) {
    for (int i = 0; i < l->table->option_count; i++)
        if (l->given[i] && l->table->options[i].marks & marks) return &l->table->options[i];
    return NULL;
}
