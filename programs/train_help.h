// SPDX-License-Identifier: MIT
// What `train --help TOPIC` says besides the option table's lines; job_help.h has the rest.
#ifndef PROGRAMS_TRAIN_HELP_H
#define PROGRAMS_TRAIN_HELP_H

#include "core/cli/option.h"

enum { TRAIN_DETAILS = 29 };
extern const OptionDetail train_details[];

#endif
