// SPDX-License-Identifier: MIT
// What train -v and -vv say.
#ifndef PROGRAMS_TRAIN_EXPLAIN_H
#define PROGRAMS_TRAIN_EXPLAIN_H

#include "core/cli/log.h"
#include "core/cli/option.h"
#include "parallel/run/launch.h"

// Options that change nothing in this run, or not what their words say; `asked`: the job as it was
// before sizes were fitted to the data.
void train_explain_options(Log *l, const OptionLine *line, const JobOptions *asked, const Job *job);

// What was decided before the first step: model, data, ranks and cores, waiting, buckets; in detail
// also plans and memory.
void train_explain_job(Log *l, const Job *job);

// What each rank did in the training steps after the first: a line per rank.
void train_explain_ranks(Log *l, const Job *job, const RunShared *shared);

// How busy each rank was since the evaluation before, in one line. For rank 0, after an evaluation:
// the steps before it have ended on all ranks.
void train_explain_busy(Log *l, const Job *job, const RunShared *shared);

#endif
