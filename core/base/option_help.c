// SPDX-License-Identifier: MIT
#include "core/base/option.h"

#include "core/base/option_internal.h"
#include "core/base/terminal.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 80, BRIEF_LINES = 24, HELP_COLUMN = 30, TEXT = 512 };

// "--ranks N", "-q, --quiet", "--[no-]overlap".
static void print_spelling(char out[TEXT], const Option *o) {
    int n = o->letter ? snprintf(out, TEXT, "-%c, ", o->letter) : 0;
    n += snprintf(out + n, TEXT - (size_t)n, "--%s%s", o->no ? "[no-]" : "", o->name);
    if (o->kind != OPTION_FLAG) snprintf(out + n, TEXT - (size_t)n, " %s", o->value);
}

// "ranks to start (1 to 64, default 1)"; -h leaves the bounds out.
static void print_meaning(char out[TEXT], const Option *o, OptionHelp which) {
    char min[UNITS_TEXT], max[UNITS_TEXT], bounds[3 * UNITS_TEXT] = "";
    if (which == HELP_FULL && option_has_bounds(o) && !isinf(o->min) && !isinf(o->max))
        snprintf(bounds, sizeof bounds, "%s to %s", option_print_bound(min, o, o->min),
                 option_print_bound(max, o, o->max));
    if (!bounds[0] && !o->initial)
        snprintf(out, TEXT, "%s", o->help);
    else
        snprintf(out, TEXT, "%s (%s%s%s%s)", o->help, bounds, bounds[0] && o->initial ? ", " : "",
                 o->initial ? "default " : "", o->initial ? o->initial : "");
}

// Words of `text` from `column` on, as many a line as fit; the cursor stands at `at`.
static void print_wrapped(FILE *f, const char *text, int at, int column) {
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
        int width = terminal_text_width(word);
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

static void print_option(FILE *f, const Option *o, OptionHelp which) {
    char spelling[TEXT], meaning[TEXT];
    print_spelling(spelling, o);
    print_meaning(meaning, o, which);
    fprintf(f, "  %s", spelling);
    print_wrapped(f, meaning, 2 + terminal_text_width(spelling), HELP_COLUMN);
}

static void print_head(FILE *f, const OptionTable *t) {
    fprintf(f, "%s: %s\n", t->program, t->summary);
    fprintf(f, "Usage: %s [OPTION...]%s%s\n", t->program, t->arguments ? " " : "",
            t->arguments ? t->arguments : "");
}

static void print_brief(FILE *f, const OptionTable *t) {
    print_head(f, t);
    for (int i = 0; i < t->example_count && i < 2; i++)
        fprintf(f, "%s%s\n", i ? "         " : "Example: ", t->examples[i].command);
    fputc('\n', f);
    for (int i = 0; i < t->option_count; i++)
        if (t->options[i].brief) print_option(f, &t->options[i], HELP_BRIEF);
    fprintf(f, "  %-*sall options, and examples\n", HELP_COLUMN - 2, "--help");
}

static void print_full(FILE *f, const OptionTable *t) {
    print_head(f, t);
    if (t->example_count) fputs("\nExamples:\n", f);
    for (int i = 0; i < t->example_count; i++) {
        fprintf(f, "  %s\n", t->examples[i].command);
        print_wrapped(f, t->examples[i].shows, 0, 6);
    }
    if (t->option_count && t->options[0].kind != OPTION_HEADING) fputs("\nOptions:\n", f);
    for (int i = 0; i < t->option_count; i++) {
        if (t->options[i].kind == OPTION_HEADING)
            fprintf(f, "\n%s:\n", t->options[i].help);
        else
            print_option(f, &t->options[i], HELP_FULL);
    }
    fprintf(f, "\nHelp:\n  %-*sthe most used options\n", HELP_COLUMN - 2, "-h");
    fprintf(f, "  %-*sall options, and examples\n", HELP_COLUMN - 2, "--help");
}

void option_print_help(FILE *f, const OptionTable *t, OptionHelp which) {
    if (which == HELP_BRIEF) print_brief(f, t);
    if (which == HELP_FULL) print_full(f, t);
}

// --- the table's own mistakes

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
    if (o->kind != OPTION_FLAG && (!o->value || !*o->value))
        FAIL(ERR_USAGE, "option table of %s: the value of --%s has no name", t->program, o->name);
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
    print_brief(f, t);
    fclose(f);
    int lines = 0;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    free(text);
    if (lines > BRIEF_LINES)
        FAIL(ERR_USAGE, "option table of %s: -h has %d lines, the limit is %d", t->program, lines,
             BRIEF_LINES);
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
    return check_layout(t);
}
