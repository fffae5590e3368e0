// SPDX-License-Identifier: MIT
// Building what is known to be right because something like it is there already.
#ifndef CORE_PLAN_BUILD_INTERNAL_H
#define CORE_PLAN_BUILD_INTERNAL_H

#include "core/plan/build.h"

static const int64_t BUILD_BYTES_MAX = (int64_t)1 << 57;  // of all tensors of a program

enum { BUILD_ITEMS_MAX = 1 << 30 };  // of one array

// As plan_add_op(), of an operation that does work which the program has already.
Status plan_add_op_of(const Program *p, Plan *plan, int work, const OpSpec *spec) MUST_USE;

// Put all works into a hash table of fitting size, once the table of works is another.
Status build_index_works(Program *p) MUST_USE;

#endif
