// SPDX-License-Identifier: MIT
// Commands that a program suggests can be pasted: programs are named as this one was started, and
// directories without slashes at their end.
#ifndef PROGRAMS_NEXT_H
#define PROGRAMS_NEXT_H

enum { NEXT_TEXT = 256 };

// Writes and returns another program of the same build, "train" or "sim": beside the one started
// as `started` (argv[0]), or found by the PATH as that was; only its name where a path is too long.
char *next_program(char out[NEXT_TEXT], const char *started, const char *name);

// The length of a directory's path without slashes at its end, for "%.*s".
int next_path_length(const char *path);

#endif
