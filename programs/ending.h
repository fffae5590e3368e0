// SPDX-License-Identifier: MIT
// How programs begin and end: what they must have written, what they say when something failed.
#ifndef PROGRAMS_ENDING_H
#define PROGRAMS_ENDING_H

#include "core/cli/log.h"

// At the start of a program: what would end it without a word, or end in the wrong file. A limit of
// file sizes is an error of the write that exceeds it; a standard stream that is closed stays
// unusable, and no file that is opened later takes its place.
void ending_begin(void);

// Standard output, of which a full disk shows when the last of it is written. ERR_IO.
Status ending_flush(void) MUST_USE;

// Say what went wrong last, with -v also where; the exit status.
int ending_fail(Log *l, Status s);

// Close the log too; the exit status of a run that ended with `s`.
int ending_status(Log *l, Status s);

#endif
