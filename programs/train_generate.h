// SPDX-License-Identifier: MIT
// `train --generate N`: text from the weights of a checkpoint.
#ifndef PROGRAMS_TRAIN_GENERATE_H
#define PROGRAMS_TRAIN_GENERATE_H

#include "core/cli/log.h"
#include "programs/train_options.h"

// Write the prompt and N tokens after it to standard output, as they are drawn, and a newline.
Status train_generate(const TrainOptions *o, const JobOptions *options, const OptionLine *line,
                      Log *l) MUST_USE;

#endif
