// SPDX-License-Identifier: MIT
// What --help TOPIC says of the options that train and sim share.
#ifndef PROGRAMS_JOB_HELP_H
#define PROGRAMS_JOB_HELP_H

#include "core/cli/option.h"

enum { JOB_DETAILS = 58 };
extern const OptionDetail job_details[];

#endif
