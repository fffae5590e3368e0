// SPDX-License-Identifier: MIT
// Shows the person who waits how far a long piece of work has come: on a terminal one line that is
// rewritten at most ten times a second, elsewhere (a log) one line per tenth of the work.
#ifndef CORE_CLI_PROGRESS_H
#define CORE_CLI_PROGRESS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    FILE *stream;       // borrowed; standard error
    const char *label;  // "train"
    const char *unit;   // what is counted: "samples"; NULL: the share alone is shown
    int64_t total;      // 0: not known; then there is no share and no time left, and no log lines
    bool quiet;         // -q: the stream gets nothing
    bool terminal;      // rewrite one line
    bool ascii;         // nothing else is safe: terminal_ascii()
    bool uneven;        // items are of unlike size: their number a second says nothing
    int width;          // of the terminal
    double expected_ns_per_item;  // for the time left until something was measured; 0: not known
    void (*tenth)(void *context, const char *line);  // gets a line per tenth of the work, whatever
    void *context;                                   // the stream gets; NULL: nobody does
    // owned by progress.c
    int64_t start_ns, last_ns;
    int tenths;  // that were shown so far
    bool open;   // an unfinished line is on the terminal
} Progress;

// Begin at now_ns (clock_ns(); all times here are the caller's). Terminal, width and
// locale are looked up.
void progress_init(Progress *p, FILE *stream, const char *label, const char *unit, int64_t total,
                   bool quiet, int64_t now_ns);

// `done` of `total` are finished; `note` is a few words more, such as the loss, or "". With 0 done
// and an expectation the line says when the end is to be expected.
void progress_update(Progress *p, int64_t done, int64_t now_ns, const char *note);

// Take the line off the terminal, so that what is printed next stands on its own. Call it before
// any other output and at the end; updates may follow.
void progress_clear(Progress *p);

#endif
