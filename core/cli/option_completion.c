// SPDX-License-Identifier: MIT
// What a shell must know to complete a command line, made from the option table: --help bash,
// --help zsh. Options, the words of a choice, topics of --help, and files where a value is one.
#include "core/base/text.h"
#include "core/cli/option_internal.h"

#include <string.h>

enum { TEXT = 512 };

static bool takes_file(const Option *o) {
    return o->kind == OPTION_STRING && (strstr(o->value, "FILE") || strstr(o->value, "DIR"));
}

// "tandem-train", and as part of a function's name "tandem_train".
static void set_names(char name[64], char identifier[64], const OptionTable *t) {
    snprintf(name, 64, "tandem-%s", t->program);
    snprintf(identifier, 64, "tandem_%s", t->program);
}

static void print_names(FILE *f, const OptionTable *t) {
    for (const Option *o = t->options; o < t->options + t->option_count; o++) {
        if (o->kind == OPTION_HEADING) continue;
        fprintf(f, " --%s", o->name);
        if (o->no) fprintf(f, " --no-%s", o->name);
    }
    fputs(" --help", f);
}

// Options, groups and words.
static void print_topics(FILE *f, const OptionTable *t) {
    for (const Option *o = t->options; o < t->options + t->option_count; o++)
        if (o->name) fprintf(f, " %s", o->name);
    for (const OptionWord *w = t->words; w < t->words + t->word_count; w++)
        fprintf(f, " %s", w->word);
    fputs(" examples status words", f);
}

static bool takes_word(const Option *o) {
    return o->value && (o->kind == OPTION_CHOICE || o->kind == OPTION_FORM);
}

// Without what may follow a word.
static void print_words(FILE *f, const char *alternatives) {
    for (const char *c = alternatives; *c; c++) {
        if (*c == '[') c += strcspn(c, "]");
        if (*c != ']') fputc(*c == '|' ? ' ' : *c, f);
    }
}

void option_print_bash(FILE *f, const OptionTable *t) {
    char name[64], identifier[64];
    set_names(name, identifier, t);
    fprintf(f, "# Made from the option table of %s by --help bash.\n_%s() {\n", t->program,
            identifier);
    fputs("    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    case $before in\n",
          f);
    for (const Option *o = t->options; o < t->options + t->option_count; o++) {
        if (o->kind == OPTION_HEADING || !o->value) continue;
        fprintf(f, "    --%s) ", o->name);
        if (takes_word(o)) {
            fputs("words='", f);
            print_words(f, o->value);
            fputs("' ;;\n", f);
        } else
            fputs(takes_file(o) ? "return ;;\n" : "compopt +o default; return ;;\n", f);
    }
    fputs("    --help) words='", f);
    print_topics(f, t);
    fputs("' ;;\n    *) words='", f);
    print_names(f, t);
    fprintf(f,
            "' ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
            "complete -o default -F _%s %s\n",
            identifier, name);
}

// A description, without what _arguments would take for its own.
static void print_plain(FILE *f, const char *text) {
    for (const char *c = text; *c; c++) fputc(strchr("[]:'\\", *c) ? ' ' : *c, f);
}

static void print_zsh_option(FILE *f, const Option *o, const char *no) {
    fprintf(f, "  '--%s%s%s[", no, o->name, o->value ? "=" : "");
    print_plain(f, o->help);
    fputc(']', f);
    if (takes_word(o)) {
        fputs(":word:(", f);
        print_words(f, o->value);
        fputc(')', f);
    } else if (o->value)
        fputs(takes_file(o) ? ":file:_files" : ":value: ", f);
    fputs("' \\\n", f);
}

void option_print_zsh(FILE *f, const OptionTable *t) {
    char name[64], identifier[64];
    set_names(name, identifier, t);
    fprintf(f, "#compdef %s\n# Made from the option table of %s by --help zsh.\n_arguments \\\n",
            name, t->program);
    for (const Option *o = t->options; o < t->options + t->option_count; o++) {
        if (o->kind == OPTION_HEADING) continue;
        print_zsh_option(f, o, "");
        if (o->no) print_zsh_option(f, o, "no-");
    }
    fputs("  '--help[all options, or a topic]::topic:(", f);
    print_topics(f, t);
    fputs(")'\n", f);
}
