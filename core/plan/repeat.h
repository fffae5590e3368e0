// SPDX-License-Identifier: MIT
// All micro-batches of a step but the first and the last do the same, so a plan of many is made
// from one of four: 0, 1, 2 and the last. What 1 and 2 have of their own (operations, tensors,
// logical tensors) must be alike but for the number; then 3 .. last - 1 are further copies, in the
// places that they would have had. The result is the program that has all of them from the
// beginning, tensor by tensor and operation by operation.
//
//   emit 0 1 2 7, transform them, then program_repeat(p, 8, &all): 0 1 2 3 4 5 6 7
#ifndef CORE_PLAN_REPEAT_H
#define CORE_PLAN_REPEAT_H

#include "core/plan/program.h"

// Is micro-batch m of so many made by itself, where program_repeat() makes the others?
enum { REPEAT_MADE = 3, REPEAT_LEAST = REPEAT_MADE + 2 };  // the first; of all the least number
static inline bool repeat_makes(int m, int micro_batches) {
    return m < REPEAT_MADE || m == micro_batches - 1;
}

// Add the micro-batches that are missing in the step of an untransformed or divided program, of
// each local shard. *all: it was done, and the step has no dependencies until plan_derive_deps();
// else 1 and 2 are not alike, and the program is as it was. ERR_MEMORY, after which it is fit for
// program_finish() only.
Status program_repeat(Program *p, int micro_batches, bool *all) MUST_USE;

#endif
