// SPDX-License-Identifier: MIT
#ifndef TESTS_FUZZ_FUZZ_PLAN_H
#define TESTS_FUZZ_FUZZ_PLAN_H

#include <stdint.h>

// Inputs of the target of plans that were executed to their end, in this process.
extern int64_t fuzz_plan_executed;

#endif
