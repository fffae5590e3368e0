// SPDX-License-Identifier: MIT
// How many bytes an operation reads and writes, each operand once: what it updates in place or adds
// to it reads as well, and of a table only the rows that are asked for. Caches do not count.
#ifndef CORE_PLAN_MOVED_H
#define CORE_PLAN_MOVED_H

#include "core/plan/build.h"

// For operands at full extent, of work that writes its outputs anew.
void moved_count(const Program *p, const OpSpec *op, int64_t *read_bytes, int64_t *write_bytes);

// Of an operation of a plan, read and written; one that adds to its outputs (OP_ACCUMULATE) reads
// them, which its work, shared with those that do not, cannot tell.
int64_t moved_bytes(const Program *p, const Plan *plan, const Op *op);

#endif
