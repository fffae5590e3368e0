// SPDX-License-Identifier: MIT
// --help TOPIC: all that there is to say about one option, or about a group of them.
#include "core/base/nearest.h"
#include "core/base/option_internal.h"

#include <math.h>
#include <string.h>

enum { INDENT = 6, TEXT = 512 };

static const char *detail_of(const OptionTable *t, const char *name) {
    for (int i = 0; i < t->detail_count; i++)
        if (!strcmp(t->details[i].topic, name)) return t->details[i].text;
    return NULL;
}

// Paragraphs.
static void print_detail(FILE *f, const OptionTable *t, const char *name) {
    const char *text = detail_of(t, name);
    while (text && *text) {
        char paragraph[2048];
        size_t length = strcspn(text, "\n");
        snprintf(paragraph, sizeof paragraph, "%.*s", (int)length, text);
        option_print_wrapped(f, paragraph, 0, INDENT);
        text += length + (text[length] == '\n');
    }
}

// "1 to 64", "at least 1", or nothing.
static void print_range(char out[TEXT], const Option *o) {
    char min[UNITS_TEXT], max[UNITS_TEXT];
    out[0] = '\0';
    if (!option_has_bounds(o)) return;
    option_print_bound(min, o, o->min);
    option_print_bound(max, o, o->max);
    if (isinf(o->max))
        snprintf(out, TEXT, ", at least %s", min);
    else if (isinf(o->min))
        snprintf(out, TEXT, ", at most %s", max);
    else
        snprintf(out, TEXT, ", %s to %s", min, max);
}

// What can be written for the value.
static void print_form(char out[TEXT], const Option *o) {
    char range[TEXT], bare[UNITS_TEXT];
    print_range(range, o);
    switch (o->kind) {
    case OPTION_HEADING:
    case OPTION_FLAG:
        snprintf(out, TEXT, o->no ? "--no-%s turns it off." : "Takes no value.", o->name);
        return;
    case OPTION_COUNT: snprintf(out, TEXT, "May be repeated."); return;
    case OPTION_INT:
        snprintf(out, TEXT, "%s: a whole number%s; 10k is 10,000.", o->value, range);
        return;
    case OPTION_REAL: snprintf(out, TEXT, "%s: a number%s.", o->value, range); return;
    case OPTION_SIZE:
        snprintf(out, TEXT, "%s: a size%s; 64KiB, 1.5MB, or a number of bytes.", o->value, range);
        return;
    case OPTION_DURATION:
        snprintf(out, TEXT, "%s: a time%s; 250ms, 2min", o->value, range);
        if (o->bare_ps)
            snprintf(out + strlen(out), TEXT - strlen(out), ", or a number that counts %s",
                     units_print_duration(bare, o->bare_ps));
        snprintf(out + strlen(out), TEXT - strlen(out), ".");
        return;
    case OPTION_LIST:
        snprintf(out, TEXT, "%s: whole numbers%s, between commas; 4..64 is 4,8,16,32,64.", o->value,
                 range);
        return;
    case OPTION_STRING:
    case OPTION_CHOICE: break;
    }
    out[0] = '\0';
}

static void print_option(FILE *f, const OptionTable *t, const Option *o) {
    char form[TEXT];
    option_print(f, o, HELP_FULL);
    print_form(form, o);
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
        option_print_example(f, &t->examples[i]);
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

// What begins with a dash is an option; else names of options go before those of groups.
static const Option *find_topic(const OptionTable *t, const char *topic) {
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
    if (near.best) FAIL(ERR_USAGE, "no help on %.80s (did you mean --help %s?)", topic, near.best);
    FAIL(ERR_USAGE, "no help on %.80s (--help alone lists options and topics)", topic);
}

Status option_print_topic(FILE *f, const OptionTable *t, const char *topic) {
    const Option *o = find_topic(t, topic), *group = find_group(t, topic);
    if (o) {
        print_option(f, t, o);
        print_examples(f, t, o);
    } else if (group) {
        print_group(f, t, group);
    } else if (!strcmp(topic, "examples")) {
        print_examples(f, t, NULL);
    } else if (!strcmp(topic, "status")) {
        option_print_exits(f);
    } else {
        return fail_unknown(t, topic);
    }
    return OK;
}
