// SPDX-License-Identifier: MIT
// -h and --help: the table, wrapped to 80 columns. option_topic.c has --help TOPIC.
#include "core/cli/option.h"

#include "core/base/text.h"
#include "core/cli/option_internal.h"
#include "core/cli/pager.h"
#include "core/cli/terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 80, HELP_COLUMN = 30, TEXT = 512 };

// "--ranks N", "-q, --quiet", "--[no-]overlap".
void option_print_spelling(char *out, const Option *o) {
    int n = o->letter ? snprintf(out, TEXT, "-%c, ", o->letter) : 0;
    n += snprintf(out + n, TEXT - (size_t)n, "--%s%s", o->no ? "[no-]" : "", o->name);
    if (o->value) snprintf(out + n, TEXT - (size_t)n, " %s", o->value);
}

// "ranks to start (1 to 64, default 1)"; -h leaves the bounds out.
static void print_meaning(char out[TEXT], const Option *o, OptionHelp which) {
    char min[UNITS_TEXT], max[UNITS_TEXT], bounds[3 * UNITS_TEXT] = "";
    if (which == HELP_FULL && option_has_bounds(o) && !isinf(o->min) && !isinf(o->max))
        snprintf(bounds, sizeof bounds, "%s to %s", option_print_bound(min, o, o->min),
                 option_print_bound(max, o, option_most(o)));
    if (!bounds[0] && !o->initial)
        snprintf(out, TEXT, "%s", o->help);
    else
        snprintf(out, TEXT, "%s (%s%s%s%s)", o->help, bounds, bounds[0] && o->initial ? ", " : "",
                 o->initial ? "default " : "", o->initial ? o->initial : "");
}

// Words of `text` from `column` on, as many a line as fit; the cursor stands at `at`.
void option_print_wrapped(FILE *f, const char *text, int at, int column) {
    if (at >= column) {
        fputc('\n', f);
        at = 0;
    }
    fprintf(f, "%*s", column - at, "");
    at = column;
    while (*text) {
        size_t length = strcspn(text, " ");
        char word[TEXT];
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        int width = text_width(word);
        bool first = at == column;
        if (!first && at + 1 + width > COLUMNS) {
            fprintf(f, "\n%*s", column, "");
            at = column;
            first = true;
        }
        fprintf(f, "%s%s", first ? "" : " ", word);
        at += width + !first;
        text += length + strspn(text + length, " ");
    }
    fputc('\n', f);
}

void option_print_meaning(char *out, const Option *o) { print_meaning(out, o, HELP_FULL); }

void option_print(FILE *f, const Option *o, OptionHelp which) {
    char spelling[TEXT], meaning[TEXT];
    option_print_spelling(spelling, o);
    print_meaning(meaning, o, which);
    fprintf(f, "  %s", spelling);
    option_print_wrapped(f, meaning, 2 + text_width(spelling), HELP_COLUMN);
}

static const char *name_of(const OptionTable *t) { return t->called ? t->called : t->program; }

// Examples begin with the program's name.
static void print_command(FILE *f, const OptionTable *t, const OptionExample *e) {
    fprintf(f, "%s%s\n", name_of(t), e->command + strlen(t->program));
}

void option_print_example(FILE *f, const OptionTable *t, const OptionExample *e) {
    fputs("  ", f);
    print_command(f, t, e);
    option_print_wrapped(f, e->shows, 0, 6);
}

bool option_ends_with(const OptionTable *t, const StatusExit *e) {
    return !(t->one_process && e->exit == status_exit(ERR_PEER));
}

void option_print_exits(FILE *f, const OptionTable *t) {
    fputs("Exit status:\n", f);
    for (const StatusExit *e = status_exits(); e->meaning; e++)
        if (option_ends_with(t, e)) fprintf(f, "  %-5d%s\n", e->exit, e->meaning);
}

static void print_head(FILE *f, const OptionTable *t) {
    fprintf(f, "%s: %s\n", name_of(t), t->summary);
    fprintf(f, "Usage: %s [OPTION...]%s%s\n", name_of(t), t->arguments ? " " : "",
            t->arguments ? t->arguments : "");
}

static void print_brief(FILE *f, const OptionTable *t) {
    print_head(f, t);
    for (int i = 0; i < t->example_count && i < 2; i++) {
        fputs(i ? "         " : "Example: ", f);
        print_command(f, t, &t->examples[i]);
    }
    fputc('\n', f);
    for (int i = 0; i < t->option_count; i++)
        if (t->options[i].brief) option_print(f, &t->options[i], HELP_BRIEF);
    fprintf(f, "  %-*sall options, examples; --help NAME: more on one\n", HELP_COLUMN - 2,
            "--help");
}

static void print_topics(FILE *f, const OptionTable *t) {
    char text[TEXT] = "more on one option, or on";
    for (int i = 0; i < t->option_count; i++) {
        const Option *o = &t->options[i];
        if (o->kind == OPTION_HEADING && o->name) text_append(text, sizeof text, " %s,", o->name);
    }
    text_append(text, sizeof text,
                t->word_count ? " examples, status or words" : " examples or status");
    fprintf(f, "  --help TOPIC");
    option_print_wrapped(f, text, 14, HELP_COLUMN);
    if (!t->word_count) return;
    fprintf(f, "  --help WORD");
    option_print_wrapped(f, "what a word means that is printed, such as exposed_comm", 13,
                         HELP_COLUMN);
}

static void print_full(FILE *f, const OptionTable *t) {
    print_head(f, t);
    if (t->example_count) fputs("\nExamples:\n", f);
    for (int i = 0; i < t->example_count; i++) option_print_example(f, t, &t->examples[i]);
    if (t->option_count && t->options[0].kind != OPTION_HEADING) fputs("\nOptions:\n", f);
    for (int i = 0; i < t->option_count; i++) {
        if (t->options[i].kind == OPTION_HEADING)
            fprintf(f, "\n%s:\n", t->options[i].help);
        else
            option_print(f, &t->options[i], HELP_FULL);
    }
    fputc('\n', f);
    option_print_exits(f, t);
    fprintf(f, "\nHelp:\n  %-*sthe most used options\n", HELP_COLUMN - 2, "-h");
    fprintf(f, "  %-*sall options, and examples\n", HELP_COLUMN - 2, "--help");
    print_topics(f, t);
}

void option_print_help(FILE *f, const OptionTable *t, OptionHelp which) {
    if (which == HELP_BRIEF)
        print_brief(f, t);
    else
        print_full(f, t);
}

static Status print_any(FILE *f, const OptionLine *l) {
    OptionTable t = *l->table;
    t.called = l->called;
    if (l->help == HELP_TOPIC) return option_print_topic(f, &t, l->topic);
    option_print_help(f, &t, l->help);
    return OK;
}

Status option_show_help(const OptionLine *l, FILE *out) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) FAIL(ERR_MEMORY, "out of memory");
    Status s = print_any(f, l);
    if (fclose(f) != 0 && s == OK) s = status_fail(ERR_MEMORY, __FILE__, __LINE__, "out of memory");
    if (s == OK && l->help == HELP_BRIEF) fputs(text, out);  // it fits
    if (s == OK && l->help != HELP_BRIEF) pager_print(text, out);
    free(text);
    return s;
}
