// SPDX-License-Identifier: MIT
// Terminals: whether output goes to one, its size, its colours.
#ifndef CORE_CLI_TERMINAL_H
#define CORE_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

// The values of --color.
#define TERMINAL_COLOR_WORDS "auto|always|never"
typedef enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } TerminalColor;

bool terminal_is(FILE *f);     // a person may be watching
bool terminal_smart(FILE *f);  // and lines can be rewritten: TERM is there and not "dumb"

// Whether to write colours there. AUTO asks, in this order, NO_COLOR (set and not empty:
// no), CLICOLOR_FORCE (set, not empty, not 0: yes), the stream (not a terminal: no), TERM
// (dumb or missing: no).
bool terminal_color(FILE *f, TerminalColor wanted);

// Whether only ASCII is safe: the first of LC_ALL, LC_CTYPE and LANG that is set and not empty does
// not name UTF-8 (C and POSIX do not), or TERM is dumb. Where none is set, as in containers: no.
bool terminal_ascii(void);

// Columns: COLUMNS when it is a number, else what the terminal says, else 80.
int terminal_width(FILE *f);

// Lines: LINES when it is a number, else what the terminal says, else 24.
int terminal_height(FILE *f);

#endif
