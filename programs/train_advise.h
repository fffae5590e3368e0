// SPDX-License-Identifier: MIT
// train --advise: how to divide the job over the cores of this host, which is measured first.
#ifndef PROGRAMS_TRAIN_ADVISE_H
#define PROGRAMS_TRAIN_ADVISE_H

#include "core/cli/log.h"
#include "programs/train_options.h"

// Measure, search and print. ERR_USAGE, also where nothing fits; ERR_INTERRUPTED when the best of
// what was simulated is printed.
Status train_advise(const TrainOptions *o, const JobOptions *options, const OptionLine *line,
                    Log *l) MUST_USE;

#endif
