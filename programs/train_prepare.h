// SPDX-License-Identifier: MIT
// Before training: the job, for a person who waits.
#ifndef PROGRAMS_TRAIN_PREPARE_H
#define PROGRAMS_TRAIN_PREPARE_H

#include "programs/train_options.h"

// job_create(). After a second standard error says how many digits are drawn.
Status train_prepare_job(Job *out, const TrainOptions *o, const JobOptions *options) MUST_USE;

#endif
