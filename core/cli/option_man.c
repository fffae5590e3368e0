// SPDX-License-Identifier: MIT
// The manual page of an option table, as the build makes it: --help man | man -l -. man(7)
// says what the lines that begin with a dot mean.
#include "core/base/text.h"
#include "core/cli/option_internal.h"

#include <ctype.h>
#include <string.h>

enum { TEXT = 512 };

// Text, so that troff sees no command in it: a backslash, a hyphen that must stay one, and a dot or
// a quote at the beginning of a line.
static void print_text(FILE *f, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (i == 0 && (text[i] == '.' || text[i] == '\'')) fputs("\\&", f);
        if (text[i] == '\\')
            fputs("\\e", f);
        else if (text[i] == '-')
            fputs("\\-", f);
        else
            fputc(text[i], f);
    }
}

static void print_line(FILE *f, const char *text) {
    print_text(f, text, strlen(text));
    fputc('\n', f);
}

// Paragraphs that "\n" parts, within what was begun.
static void print_paragraphs(FILE *f, const char *text) {
    while (text && *text) {
        size_t length = strcspn(text, "\n");
        print_text(f, text, length);
        fputc('\n', f);
        text += length + (text[length] == '\n');
        if (*text) fputs(".sp\n", f);
    }
}

static void print_option(FILE *f, const OptionTable *t, const Option *o) {
    char spelling[TEXT], meaning[TEXT], form[TEXT];
    option_print_spelling(spelling, o);
    option_print_meaning(meaning, o);
    option_print_form(form, o);
    fputs(".TP\n.B \"", f);
    print_text(f, spelling, strlen(spelling));
    fputs("\"\n", f);
    print_text(f, meaning, strlen(meaning));
    fputs(".\n", f);
    if (*form) print_line(f, form);
    print_paragraphs(f, option_detail(t, o->name));
}

static void print_options(FILE *f, const OptionTable *t) {
    fputs(".SH OPTIONS\n", f);
    for (const Option *o = t->options; o < t->options + t->option_count; o++) {
        if (o->kind != OPTION_HEADING) {
            print_option(f, t, o);
            continue;
        }
        fputs(".SS \"", f);
        print_text(f, o->help, strlen(o->help));
        fputs("\"\n", f);
    }
    fputs(
        ".SS Help\n.TP\n.B \\-h\nThe most used options.\n"
        ".TP\n.B \"\\-\\-help [TOPIC]\"\nAll options; or all about an option, a group, a word that "
        "is printed, or\n.BR examples , \" status \" or \" words\" .\n",
        f);
}

static void print_examples(FILE *f, const OptionTable *t) {
    fputs(".SH EXAMPLES\n", f);
    for (int i = 0; i < t->example_count; i++) {
        fputs(".TP\n.B \"", f);
        print_text(f, t->called, strlen(t->called));
        const char *rest = t->examples[i].command + strlen(t->program);
        print_text(f, rest, strlen(rest));
        fputs("\"\n", f);
        print_line(f, t->examples[i].shows);
    }
}

static void print_words(FILE *f, const OptionTable *t) {
    if (t->word_count) fputs(".SH WORDS\n", f);
    for (const OptionWord *w = t->words; w < t->words + t->word_count; w++) {
        fputs(".TP\n.B \"", f);
        print_text(f, w->word, strlen(w->word));
        fputs("\"\n", f);
        print_line(f, w->meaning);
    }
}

void option_print_man(FILE *f, const OptionTable *t) {
    char name[64] = "", title[64] = "";
    OptionTable page = *t;
    text_append(name, sizeof name, "tandem-%s", t->program);
    for (size_t i = 0; name[i]; i++) title[i] = (char)toupper((unsigned char)name[i]);
    page.called = name;
    fprintf(f, ".\\\" Made from the option table of %s by --help man.\n", t->program);
    fprintf(f, ".TH %s 1 \"\" Tandem \"User Commands\"\n.SH NAME\n%s \\- ", title, name);
    print_line(f, t->summary);
    fprintf(f, ".SH SYNOPSIS\n.B %s\n[OPTION...]%s%s\n", name, t->arguments ? " " : "",
            t->arguments ? t->arguments : "");
    print_examples(f, &page);
    print_options(f, t);
    fputs(".SH \"EXIT STATUS\"\n", f);
    for (const StatusExit *e = status_exits(); e->meaning; e++) {
        if (!option_ends_with(t, e)) continue;
        fprintf(f, ".TP\n.B %d\n", e->exit);
        print_line(f, e->meaning);
    }
    print_words(f, t);
}
