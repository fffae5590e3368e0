// SPDX-License-Identifier: MIT
// Messages of a program at work: lines for the person at the terminal, and all of them, with
// UTC time stamps and without colours, in a file for later. A program owns one and hands it on; it
// may be used by its child processes and threads too, since a line is written at once.
#ifndef CORE_CLI_LOG_H
#define CORE_CLI_LOG_H

#include "core/base/status.h"
#include "core/cli/progress.h"

#include <stdbool.h>
#include <stdio.h>

// From what must be said to what is said only when asked for.
typedef enum {
    LOG_ERROR,   // shown even with -q, after the program's name
    LOG_NOTE,    // shown unless -q
    LOG_DETAIL,  // -v: what was decided
    LOG_MORE,    // -vv
} LogLevel;

typedef struct {
    const char *program;  // borrowed
    FILE *stream;         // borrowed; standard error
    FILE *file;           // owned; NULL: none
    LogLevel shown;       // the last level that the stream gets
    LogLevel kept;        // the last level that the file gets: notes also with -q
    int columns;          // of the terminal that the stream is; 0: none, lines stay whole
    bool color;           // of the stream
    Progress *progress;   // borrowed; its line is cleared before others; NULL: none
} Log;

// quiet: -q; verbose: how often -v was given; color: whether the stream gets any.
void log_init(Log *l, const char *program, FILE *stream, bool quiet, int verbose, bool color);

// Lines go to this file too, behind what is there already. ERR_IO.
Status log_open(Log *l, const char *path) MUST_USE;
Status log_close(Log *l) MUST_USE;  // ERR_IO when lines were lost; safe on a zeroed Log

// One line, without its newline, of less than a kilobyte; what is not printable becomes '?'. On a
// terminal it is broken between words, but for "next: COMMAND", which is there to be pasted.
void log_say(Log *l, LogLevel level, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool log_wants(const Log *l, LogLevel level);  // whether anybody gets such a line

// A line for the file alone. log_progress() has the form that Progress calls: `log` is the Log.
void log_keep(Log *l, LogLevel level, const char *fmt, ...) PRINTF_LIKE(3, 4);
void log_progress(void *log, const char *line);

#endif
