// SPDX-License-Identifier: MIT
// From the work of a plan to the collective whose schedule says how it is done: the executor and
// the simulator ask the same question.
#ifndef PARALLEL_STRATEGY_COLLECTIVE_WORK_H
#define PARALLEL_STRATEGY_COLLECTIVE_WORK_H

#include "core/plan/program.h"
#include "parallel/collective/collective.h"

// Of a communication that is not a send or receive: its kind, schedule, members and
// elements of work->dtype.
Collective collective_work_collective(const Program *p, const Work *w);

#endif
