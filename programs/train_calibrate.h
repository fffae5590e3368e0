// SPDX-License-Identifier: MIT
// What train does to describe this host.
#ifndef PROGRAMS_TRAIN_CALIBRATE_H
#define PROGRAMS_TRAIN_CALIBRATE_H

#include "core/cli/log.h"
#include "programs/train_options.h"

// train --calibrate FILE: measure, write the machine file, print what matters of it.
Status train_calibrate(const TrainOptions *o, const JobOptions *options) MUST_USE;

// Write what a simulator wants to know of the machine beside the traces: a quick calibration, from
// the user's cache when this host was measured before; for a timed device its platform.
Status train_describe_host(const TrainOptions *o, const Job *job, Log *l) MUST_USE;

#endif
