// SPDX-License-Identifier: MIT
// Building what is known to be right because something like it is there already.
#ifndef CORE_PLAN_BUILD_INTERNAL_H
#define CORE_PLAN_BUILD_INTERNAL_H

#include "core/plan/build.h"

// As plan_add_op(), of an operation that does work which the program has already.
Status plan_add_op_of(const Program *p, Plan *plan, int work, const OpSpec *spec) MUST_USE;

#endif
