// SPDX-License-Identifier: MIT
// What is done with traces and recorded values when all ranks have written theirs.
#ifndef PROGRAMS_TRAIN_TRACES_H
#define PROGRAMS_TRAIN_TRACES_H

#include "core/cli/log.h"
#include "parallel/run/launch.h"

// One file with all ranks for viewers, and away with what earlier runs left in the directories of
// --trace and --record. What was removed, or did not fit, is said. ERR_IO, ERR_MEMORY.
Status train_finish_traces(const Job *job, const Training *t, Log *l) MUST_USE;

#endif
