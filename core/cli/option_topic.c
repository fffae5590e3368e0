// SPDX-License-Identifier: MIT
// --help TOPIC: all that there is to say about one option, or about a group of them.
#include "core/base/nearest.h"
#include "core/cli/option_internal.h"

#include <math.h>
#include <string.h>

enum { INDENT = 6, TEXT = 512 };

static int detail_count(const OptionTable *t) { return t->detail_count + t->shared_detail_count; }

static const OptionDetail *detail_at(const OptionTable *t, int i) {
    return i < t->detail_count ? &t->details[i] : &t->shared_details[i - t->detail_count];
}

const char *option_detail(const OptionTable *t, const char *topic) {
    for (int i = 0; i < detail_count(t); i++)
        if (detail_at(t, i)->topic && !strcmp(detail_at(t, i)->topic, topic))
            return detail_at(t, i)->text;
    return NULL;
}

// Whether `words` has the word, between spaces.
static bool has_word(const char *words, const char *word) {
    size_t length = strlen(word);
    for (const char *at = words; length && at && (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' ')) return true;
    return false;
}

const char *option_named_otherwise(const OptionTable *t, const char *word) {
    for (int i = 0; i < detail_count(t); i++) {
        const OptionDetail *d = detail_at(t, i);
        bool ours = d->topic && option_find(t, d->topic, strlen(d->topic));
        if (ours && has_word(d->others, word)) return d->topic;
    }
    return NULL;
}

const char *option_needless(const OptionTable *t, const char *word) {
    for (int i = 0; i < detail_count(t); i++)
        if (!detail_at(t, i)->topic && has_word(detail_at(t, i)->others, word))
            return detail_at(t, i)->text;
    return NULL;
}

// Paragraphs.
static void print_detail(FILE *f, const OptionTable *t, const char *name) {
    const char *text = option_detail(t, name);
    while (text && *text) {
        char paragraph[2048];
        size_t length = strcspn(text, "\n");
        snprintf(paragraph, sizeof paragraph, "%.*s", (int)length, text);
        option_print_wrapped(f, paragraph, 0, INDENT);
        text += length + (text[length] == '\n');
    }
}

// ", at least 1", ", at most 64"; nothing for both, which the option's line says.
static void print_bound(char out[TEXT], const Option *o) {
    char bound[UNITS_TEXT];
    out[0] = '\0';
    if (option_has_bounds(o) && isinf(o->max))
        snprintf(out, TEXT, ", at least %s", option_print_bound(bound, o, o->min));
    else if (option_has_bounds(o) && isinf(o->min))
        snprintf(out, TEXT, ", at most %s", option_print_bound(bound, o, o->max));
}

// "a time; 250ms, 2min, or a number of seconds"
static void print_duration_form(char out[TEXT], const Option *o, const char *bound) {
    char unit[UNITS_TEXT], bare[TEXT] = "";
    if (o->bare_ps == PS_PER_S)
        snprintf(bare, sizeof bare, ", or a number of seconds");
    else if (o->bare_ps)
        snprintf(bare, sizeof bare, ", or a number that counts %s",
                 units_print_duration(unit, o->bare_ps));
    snprintf(out, TEXT, "%s: a time%s; 250ms, 2min%.80s.", o->value, bound, bare);
}

// What can be written for the value; nothing when the option's line says it.
void option_print_form(char *out, const Option *o) {
    char bound[TEXT];
    print_bound(bound, o);
    out[0] = '\0';
    switch (o->kind) {
    case OPTION_HEADING:
    case OPTION_STRING:
    case OPTION_FORM:
    case OPTION_CHOICE: return;
    case OPTION_FLAG:
        if (o->no) snprintf(out, TEXT, "--no-%s turns it off.", o->name);
        return;
    case OPTION_COUNT:
        if (o->letter) snprintf(out, TEXT, "Twice is -%c%c.", o->letter, o->letter);
        return;
    case OPTION_SMALL:
    case OPTION_INT:
        snprintf(out, TEXT, "%s: a whole number%.80s; 10k is 10,000.", o->value, bound);
        return;
    case OPTION_REAL: snprintf(out, TEXT, "%s: a number%.80s.", o->value, bound); return;
    case OPTION_SIZE:
        snprintf(out, TEXT,
                 "%s: a size%.80s; 64KiB (or 64K: powers of 1024), 1.5MB (of 1000), or a number of "
                 "bytes.",
                 o->value, bound);
        return;
    case OPTION_DURATION: print_duration_form(out, o, bound); return;
    case OPTION_PAIR: snprintf(out, TEXT, "%s: two whole numbers%.80s.", o->value, bound); return;
    case OPTION_LIST:
        snprintf(out, TEXT, "%s: whole numbers%.80s, between commas; 4..64 is 4,8,16,32,64.",
                 o->value, bound);
        return;
    }
}

static void print_option(FILE *f, const OptionTable *t, const Option *o) {
    char form[TEXT];
    option_print(f, o, HELP_FULL);
    option_print_form(form, o);
    if (*form) option_print_wrapped(f, form, 0, INDENT);
    print_detail(f, t, o->name);
}

// Whether a command line has the option as one of its words.
static bool uses(const char *command, const char *name) {
    char word[TEXT];
    size_t length = (size_t)snprintf(word, sizeof word, " --%s", name);
    for (const char *at = command; (at = strstr(at, word)); at += length)
        if (!at[length] || strchr(" =", at[length])) return true;
    return false;
}

static void print_examples(FILE *f, const OptionTable *t, const Option *o) {
    bool any = false;
    for (int i = 0; i < t->example_count; i++) {
        if (o && !uses(t->examples[i].command, o->name)) continue;
        if (!any) fputs(o ? "\nExamples:\n" : "Examples:\n", f);
        option_print_example(f, t, &t->examples[i]);
        any = true;
    }
}

static const Option *find_group(const OptionTable *t, const char *name) {
    for (const Option *o = t->options; o < t->options + t->option_count; o++)
        if (o->kind == OPTION_HEADING && o->name && !strcmp(o->name, name)) return o;
    return NULL;
}

static void print_group(FILE *f, const OptionTable *t, const Option *heading) {
    fprintf(f, "%s:\n", heading->help);
    print_detail(f, t, heading->name);
    for (const Option *o = heading + 1;
         o < t->options + t->option_count && o->kind != OPTION_HEADING; o++) {
        fputc('\n', f);
        print_option(f, t, o);
    }
}

const Option *option_find_topic(const OptionTable *t, const char *topic) {
    const char *name = topic + strspn(topic, "-");
    const Option *o = option_find(t, name, strlen(name));
    if (!o && strncmp(name, "no-", 3) == 0) o = option_find(t, name + 3, strlen(name + 3));
    if (!o && name[0] && !name[1]) o = option_find_letter(t, name[0]);
    return o;
}

static Status fail_unknown(const OptionTable *t, const char *topic) {
    Nearest near = {.word = topic + strspn(topic, "-")};
    for (int i = 0; i < t->option_count; i++)
        if (t->options[i].name) nearest_offer(&near, t->options[i].name);
    nearest_offer(&near, "examples");
    nearest_offer(&near, "status");
    nearest_offer(&near, "words");
    option_offer_words(&near, t);
    const char *otherwise = option_named_otherwise(t, near.word);  // fsdp is zero, not dp
    if (otherwise) near.best = otherwise;
    if (near.best) FAIL(ERR_USAGE, "no help on %.80s (did you mean --help %s?)", topic, near.best);
    FAIL(ERR_USAGE, "no help on %.80s (--help alone lists options and topics)", topic);
}

Status option_print_topic(FILE *f, const OptionTable *t, const char *topic) {
    const Option *o = option_find_topic(t, topic), *group = find_group(t, topic);
    const OptionWord *word = option_find_word(t, topic);
    const char *needless = option_needless(t, topic + strspn(topic, "-"));
    if (o) {
        print_option(f, t, o);
        if (word) fputs("\nThe word:\n", f);
        if (word) option_print_word(f, word);
        print_examples(f, t, o);
    } else if (word) {
        option_print_word(f, word);
        if (group) putc('\n', f);
        if (group) print_group(f, t, group);
    } else if (!strcmp(topic, "words") && t->word_count) {
        option_print_words(f, t);
    } else if (group) {
        print_group(f, t, group);
    } else if (!strcmp(topic, "examples")) {
        print_examples(f, t, NULL);
    } else if (!strcmp(topic, "status")) {
        option_print_exits(f, t);
    } else if (!strcmp(topic, "man")) {
        option_print_man(f, t);
    } else if (!strcmp(topic, "bash")) {
        option_print_bash(f, t);
    } else if (!strcmp(topic, "zsh")) {
        option_print_zsh(f, t);
    } else if (needless) {
        fprintf(f, "  %.80s\n", topic);
        option_print_wrapped(f, needless, 0, INDENT);
    } else {
        return fail_unknown(t, topic);
    }
    return OK;
}
