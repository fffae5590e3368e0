// SPDX-License-Identifier: MIT
// What the simulator says of a run before it begins.
#ifndef PROGRAMS_TRAIN_EXPECT_H
#define PROGRAMS_TRAIN_EXPECT_H

#include "parallel/run/job.h"

// Nanoseconds per sample of a job on a timed device, for the time left until a step was measured.
// 0: the device is a real one, which nobody has described, or it cannot be simulated.
double train_expected_ns(const Job *job);

#endif
