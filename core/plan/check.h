// SPDX-License-Identifier: MIT
// Is a set of programs executable together? Everything that could hang or read junk is found before
// the first step.
#ifndef CORE_PLAN_CHECK_H
#define CORE_PLAN_CHECK_H

#include "core/plan/set.h"

// Check the programs of all ranks. As a set: every rank is in exactly one class; mesh, groups,
// lanes, logical tensors and the names of plans are alike. Per program: indices in range, no cycle,
// every operand written before it is read, shapes and placements agree with the
// kind (a bias may not be added to a partial sum; an optimiser may not use a partial gradient),
// guards on communication are results of a collective over that group. Across ranks: the members of
// a group issue the same collectives in the same order, sends and receives pair, no deadlock (the
// plans are executed without cost, lane by lane). ERR_PLAN, with the class, if it has a name, the
// plan, the operation and the rank in the message.
Status plan_check(const ProgramSet *set) MUST_USE;

// What plan_check() finds in one program alone, whatever the other ranks execute. ERR_PLAN.
Status program_check(const Program *p) MUST_USE;

// Can a run execute the programs, which passed plan_check()? They say when each plan runs, all the
// same, with one plan for the training step; every scalar that is read has a value, from an
// operation or from the run; loads name the rows that the run counts; what it reports is written,
// on every rank. ERR_PLAN.
Status plan_check_run(const ProgramSet *set) MUST_USE;

// What it finds in kernel, stride and pad of one operation alone: whoever reads operations from a
// file can say the line. ERR_PLAN.
Status op_check_window(const Program *p, const Plan *plan, const Op *op) MUST_USE;

#endif
