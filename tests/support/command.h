// SPDX-License-Identifier: MIT
// Running a program of the build tree as a user would: from a shell, in a directory of its own,
// watched from outside. Everything it starts stays in one process group, so that nothing can be
// left behind unseen.
#ifndef TESTS_SUPPORT_COMMAND_H
#define TESTS_SUPPORT_COMMAND_H

#include "tests/support/testing.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { COMMAND_RANKS = 8 };

typedef struct {
    char directory[64];  // where it runs; new and empty
    pid_t pid;           // of the program (of command_run(): of the shell); leader of the group
    int terminal;        // the other end of its terminal, or -1
    int status;          // when it has ended: exit status, or 128 + signal
    double seconds;      // that it took
    char *out, *err;     // what it printed, owned; on a terminal all of it is in `out`
    char weights[17];    // the hash of all parameters that it printed, 16 digits, or ""
    double started_s;
} Command;

// Start `words`, "train --ranks 2 …", with the build tree in front of the PATH. On a terminal of 80
// columns and 24 lines if that is wanted.
void command_start(Command *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void command_start_on_terminal(Command *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

// Wait until its terminal has shown a text. The test fails when that takes more than `seconds`.
void command_wait_for(Command *c, const char *text, double seconds);

// Wait for its end. The test fails when it takes more than `seconds`, or when a process is left.
void command_wait(Command *c, double seconds);
void command_finish(Command *c);  // forget it, and kill what is left; safe on a zeroed one

// Run a line of shell, commands joined by && perhaps, for two minutes at most; the status.
int command_run(Command *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

// A file in its directory: the path, valid until the next call; whether it exists.
const char *command_path(const Command *c, const char *name);
bool command_wrote(const Command *c, const char *name);

// Processes that are ranks: pids[r] is rank r's, 0 when it has none. How many there are.
int command_ranks(const Command *c, pid_t pids[COMMAND_RANKS]);

// Files that it wrote in its directory, at any depth, whose names end in `end`.
int command_count_files(const Command *c, const char *end);

// It was refused: exit status 2, nothing on stdout, one line of `program` of fewer than 400 bytes
// on stderr, without control characters, with all these PARTS. Forgets the command.
void command_refused(Command *c, const char *program, const char *const parts[]);
#define PARTS(...) \
    (const char *const[]) { __VA_ARGS__, NULL }

// The halves of it: the text is such a line; it has all the parts.
void command_one_line(const char *text, const char *program);
void command_said(const char *text, const char *const parts[]);

double seconds_now(void);
void sleep_seconds(double s);

int command_columns(const char *text);  // of its longest line

#endif
