// SPDX-License-Identifier: MIT
// How faults are put into lowered plans, for runs and for predictions alike.
#ifndef LESSONS_FAULTS_FAULT_INTERNAL_H
#define LESSONS_FAULTS_FAULT_INTERNAL_H

#include "lessons/faults/fault.h"

// Makes the set of programs once more.
typedef Status FaultAgain(ProgramSet *out, void *context);

// Edit a lowered set. Where ranks are to differ, each gets a program of its own, made by `again`.
// `faster`: a rank, or of a pipeline a stage, that has half of the work, or NONE. ERR_MEMORY, and
// what `again` fails with.
Status fault_edit(ProgramSet *set, const Fault *fault, int faster, FaultAgain *again,
                  void *context) MUST_USE;

// The same of a job that was made, before its ranks start.
Status fault_edit_job(Job *job, const Fault *fault) MUST_USE;

#endif
