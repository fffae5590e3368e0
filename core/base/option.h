// SPDX-License-Identifier: MIT
// Option tables: one table per program says what can be given on its command line. The table drives
// parsing, -h, --help, the nearest suggestion for a mistyped name or value, and the test that runs
// every example.
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
#ifndef CORE_BASE_OPTION_H
#define CORE_BASE_OPTION_H

#include "core/base/arena.h"
#include "core/base/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum {        // its field in the program's struct
    OPTION_HEADING,   // none: `help` is the title of the group of options that follows in --help
    OPTION_FLAG,      // bool
    OPTION_INT,       // int64_t: "12", "-3", "10k"
    OPTION_REAL,      // double
    OPTION_STRING,    // const char *, borrowed from the command line; NULL when not given
    OPTION_CHOICE,    // int: which of the words of `value`, from 0
    OPTION_SIZE,      // int64_t, bytes
    OPTION_DURATION,  // int64_t, picoseconds
    OPTION_LIST,      // IntList
} OptionKind;

typedef struct {
    const char *name;  // "ranks" for --ranks
    char letter;       // 'q' for -q; 0: none
    OptionKind kind;
    size_t at;            // offset of its value
    const char *value;    // the value's name in the help, "N"; of a choice its words, "f32|f64"
    const char *initial;  // the default as it would be typed ("yes" for a flag that is on); NULL: 0
    double min, max;      // of numbers; both 0: no bounds; HUGE_VAL: none on that side
    int64_t bare_ps;      // of a duration: what a number without a unit counts
    bool no;              // --no-NAME turns the flag off
    bool brief;           // shown by -h
    const char *help;     // one line, no full stop
} Option;

typedef struct {
    const char *command;  // as typed: "train --ranks 2"
    const char *shows;    // one line
} OptionExample;

typedef struct {
    const char *program, *summary;
    const Option *options;
    int option_count;
    const OptionExample *examples;
    int example_count;
    const char *arguments;  // what words without a dash are, "PATH..."; NULL: there are none
    int arguments_min, arguments_max;
} OptionTable;

typedef enum { HELP_NONE, HELP_BRIEF, HELP_FULL } OptionHelp;

// What was on the command line besides the values.
typedef struct {
    const OptionTable *table;
    OptionHelp help;         // -h or --help was reached: print it and end; the rest was not read
    const char **arguments;  // in the arena; the words are borrowed
    int argument_count;
    bool *given;  // in the arena, per option: it was on the command line
} OptionLine;

// Parse argv[1] … into `values`, which gets the table's defaults first. Options may stand anywhere,
// as --name VALUE, --name=VALUE, -n VALUE; "--" ends them; of one given twice the last counts.
// ERR_USAGE: one line that says what is wrong and what to give.
Status option_parse(OptionLine *out, void *values, Arena *a, const OptionTable *t, int argc,
                    char *const argv[]) MUST_USE;

// Whether --name was on the command line. The name must be in the table.
bool option_given(const OptionLine *l, const char *name);

// -h: at most 24 lines. --help: examples first, then all options by group. 80 columns.
void option_print_help(FILE *f, const OptionTable *t, OptionHelp which);

// For tests: the table's own mistakes (names twice, defaults that do not parse, -h too long, …).
Status option_check(const OptionTable *t) MUST_USE;

#endif
