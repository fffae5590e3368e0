// SPDX-License-Identifier: MIT
// The collective that a plan's work asks for, whose schedule says how it is done. The executor and
// the simulator both ask this.
#ifndef PARALLEL_STRATEGY_COLLECTIVE_WORK_H
#define PARALLEL_STRATEGY_COLLECTIVE_WORK_H

#include "core/plan/lower.h"
#include "parallel/collective/collective.h"

// Kind, algorithm, members and elements (of work->dtype) of a communication that is neither a send
// nor a receive. An all_to_all_v is priced as if every member sent all that its input has room for,
// in equal pieces.
Collective collective_work_collective(const Program *p, const Work *w);

// program_set_lower() of a checked set after asking every collective's schedule how much memory it
// works in (Work.work_bytes), so that its lane has it.
Status collective_work_lower(ProgramSet *s, const DeviceTraits *traits) MUST_USE;

#endif
