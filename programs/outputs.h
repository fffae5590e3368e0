// SPDX-License-Identifier: MIT
// What a program will write, looked at before the work: a report that cannot be written, or that
// another output would overwrite, must not be found out after hours.
#ifndef PROGRAMS_OUTPUTS_H
#define PROGRAMS_OUTPUTS_H

#include "core/base/status.h"

#include <stdbool.h>

// A file that an option names.
typedef struct {
    const char *option, *path;  // path NULL: the option was not given
    bool open;                  // it is being written to, and need not be tried
} Output;

bool outputs_ends_in(const char *path, const char *ending);

// Whether all can be written, and are files of their own; where a pipe, a device or "-" is named,
// writing is left for later. Their directories must be there. ERR_IO, ERR_USAGE: option and path.
Status outputs_check(const Output *files, int count) MUST_USE;

// Say which option named the path that the last message is about.
Status outputs_name(Status s, const char *option);

#endif
