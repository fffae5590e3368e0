// SPDX-License-Identifier: MIT
// What train writes, and where.
#ifndef PROGRAMS_TRAIN_OUTPUTS_H
#define PROGRAMS_TRAIN_OUTPUTS_H

#include "programs/train_options.h"

// The machine file of a directory of traces. ERR_USAGE when the name is too long.
Status train_machine_path(char *out, size_t size, const char *directory) MUST_USE;

// Find out before the first step, not after the last, that a result cannot be written, or that two
// options name one file. Makes the directories that are asked for. ERR_IO, ERR_USAGE;
// ERR_UNAVAILABLE: a picture is required that nothing here can draw.
Status train_check_outputs(const TrainOptions *o) MUST_USE;

#endif
