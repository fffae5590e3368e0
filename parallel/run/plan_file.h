// SPDX-License-Identifier: MIT
#ifndef PARALLEL_RUN_PLAN_FILE_H
#define PARALLEL_RUN_PLAN_FILE_H

#include "parallel/run/job.h"

// Read the job's plan file into job->set. ERR_INPUT, ERR_FORMAT; ERR_USAGE when it is lowered
// or of another number of ranks.
Status plan_file_read(Job *job) MUST_USE;

// What plan_check(), which must have passed, cannot know: whether it fits the command line, the
// data and the model. ERR_USAGE.
Status plan_file_check(const Job *job) MUST_USE;

#endif
