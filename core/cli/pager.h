// SPDX-License-Identifier: MIT
// Long texts for people who read them on a terminal.
#ifndef CORE_CLI_PAGER_H
#define CORE_CLI_PAGER_H

#include <stdio.h>

// Print a text. When `out` is a terminal that can rewrite lines and has fewer lines than the text,
// it goes through $PAGER (words between blanks; no shell), else through "less -FRX"; an empty
// $PAGER, "cat", or a pager that cannot be started mean plain printing. Returns when the reader has
// left. Errors of the stream are the caller's.
void pager_print(const char *text, FILE *out);

#endif
