// SPDX-License-Identifier: MIT
#ifndef TESTS_ALLOCATIONS_H
#define TESTS_ALLOCATIONS_H

// How many times this process has asked the system for memory so far.
int allocations(void);

#endif
