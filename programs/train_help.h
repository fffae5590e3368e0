// SPDX-License-Identifier: MIT
// What `train --help TOPIC` says besides the option table's lines.
#ifndef PROGRAMS_TRAIN_HELP_H
#define PROGRAMS_TRAIN_HELP_H

#include "core/base/option.h"

enum { TRAIN_DETAILS = 33 };
extern const OptionDetail train_details[TRAIN_DETAILS];

#endif
