// SPDX-License-Identifier: MIT
// Option tables: one table per program says what can be given on its command line. The table
// drives parsing, -h, --help, --help TOPIC, the nearest suggestion for a mistyped name or value,
// the manual page, the shell's completion, and the test that runs every example.
//
// Values go into a struct of the program's own, at the offset that the table states:
//
//     typedef struct { int64_t ranks; bool overlap; const char *data; int dtype; } TrainOptions;
//     static const Option OPTIONS[] = {
//         {.name = "ranks", .kind = OPTION_INT, .at = offsetof(TrainOptions, ranks), .value = "N",
//          .initial = "1", .min = 1, .max = 64, .brief = true, .help = "ranks to start"},
//         …
//
// Messages do not begin with the program's name; the program prints it before every message.
#ifndef CORE_CLI_OPTION_H
#define CORE_CLI_OPTION_H

#include "core/base/arena.h"
#include "core/base/units.h"
#include "core/cli/option_form.h"
#include "core/cli/option_word.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum {        // its field in the program's struct
    OPTION_HEADING,   // none: `help` is the title of the group of options that follows in --help,
                      // `name` what --help shows it under, NULL: nothing
    OPTION_FLAG,      // bool
    OPTION_COUNT,     // int: how often it was given, -vv twice
    OPTION_INT,       // int64_t: "12", "-3", "10k"
    OPTION_SMALL,     // int: the same; its bounds are within int
    OPTION_REAL,      // double
    OPTION_STRING,    // const char *, borrowed from the command line; NULL when not given
    OPTION_CHOICE,    // int: which of the words of `value`, from 0
    OPTION_SIZE,      // int64_t, bytes
    OPTION_DURATION,  // int64_t, picoseconds
    OPTION_LIST,      // IntList
    OPTION_PAIR,      // int64_t[2]: "4,32", each `unit` times what is typed
    OPTION_FORM,      // OptionForm: a choice, but "topk[:FRACTION]" may have a number
} OptionKind;

typedef struct {
    const char *name;  // "ranks" for --ranks
    char letter;       // 'q' for -q; 0: none
    OptionKind kind;
    size_t at;            // offset of its value
    const char *value;    // the value's name in the help, "N"; of a choice its words, "f32|f64"
    const char *initial;  // the default as it would be typed ("yes" for a flag that is on); NULL: 0
    double min, max;      // of numbers; both 0: no bounds; HUGE_VAL: none on that side
    double offered;       // help and errors say so many at most; 0: max
    int64_t bare_ps;      // of a duration: what a number without a unit counts
    int64_t unit;         // of a pair
    unsigned marks;       // bits that mean something to the program: option_given_marked()
    bool no;              // --no-NAME turns the flag off
    bool brief;           // shown by -h
    bool once;            // it names a place that is written to: giving two is refused
    const char *help;     // one line, no full stop
    const char *others;   // of these two: words of other programs and what they are here, between
                          // spaces, "float32=f32 bf16="; with nothing behind the =: not built
} Option;

typedef struct {
    const char *command;  // as typed: "train --ranks 2"
    const char *shows;    // one line
} OptionExample;

// Longer text for --help TOPIC.
typedef struct {
    const char *topic;   // the name of an option or a group; NULL: `text` answers `others`
    const char *text;    // sentences; "\n" begins a paragraph; NULL: none
    const char *others;  // other programs' words that lead to it, no options: "gpus np"; NULL: none
} OptionDetail;

typedef struct {
    const char *program, *summary;
    const char *called;  // what help calls it instead: "tandem-train", as installed; NULL: program
    const Option *options;
    int option_count;
    const OptionExample *examples;
    int example_count;
    const OptionDetail *details, *shared_details;  // shared: with other programs, whose options are
    int detail_count, shared_detail_count;         // passed over; looked at last
    const OptionWord *words;                       // in alphabetical order
    const char *arguments;  // what words without a dash are, "PATH..."; NULL: there are none
    int word_count, arguments_min, arguments_max;
    bool one_process;  // it starts no ranks: the exit status of a lost one is not listed
} OptionTable;

typedef enum { HELP_NONE, HELP_BRIEF, HELP_FULL, HELP_TOPIC } OptionHelp;

// The command line, but for its values.
typedef struct {
    const OptionTable *table;
    const char *called;      // the last part of argv[0] when that is "tandem-PROGRAM", else NULL
    OptionHelp help;         // -h or --help was reached: show it and end; the rest was not read
    const char *topic;       // of HELP_TOPIC, borrowed
    const char **arguments;  // in the arena; the words are borrowed
    int argument_count;
    bool *given;  // in the arena, per option: it was on the command line
} OptionLine;

// Parse argv[1] … into `values`, which gets the table's defaults first. Options may stand anywhere,
// as --name VALUE, --name=VALUE, -n VALUE, -nVALUE, and flags as -qv; "--" ends them; of one given
// twice the last counts. ERR_USAGE: one line that says what is wrong first, and what to give. The
// words after it are read all the same, so that what they say of colours and verbosity holds.
Status option_parse(OptionLine *out, void *values, Arena *a, const OptionTable *t, int argc,
                    char *const argv[]) MUST_USE;

// Whether --name was on the command line. The name must be in the table.
bool option_given(const OptionLine *l, const char *name);
// The first option on the command line that has one of these marks; NULL: there is none.
const Option *option_given_marked(const OptionLine *l, unsigned marks);

// Show the help that was asked for; what is longer than the terminal through a pager
// (core/cli/pager.h). ERR_USAGE for a topic that is not known, with the nearest.
Status option_show_help(const OptionLine *l, FILE *out) MUST_USE;

// -h: at most 24 lines. --help: examples, options by group, exit statuses. 80 columns.
void option_print_help(FILE *f, const OptionTable *t, OptionHelp which);

// All that there is to say about one option ("ranks", "--ranks", "-q"), one group by its name, one
// of the table's words, all "words", the "examples", the exit "status"; for the build "man", "bash"
// and "zsh" (completion). In a word, capitals and blank, - or _ do not matter. ERR_USAGE as above.
Status option_print_topic(FILE *f, const OptionTable *t, const char *topic) MUST_USE;

// For tests: the table's own mistakes (names twice, defaults that do not parse, -h too long, …).
Status option_check(const OptionTable *t) MUST_USE;

#endif
