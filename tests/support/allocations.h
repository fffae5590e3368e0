// SPDX-License-Identifier: MIT
// What the code under test asks the system for.
#ifndef TESTS_SUPPORT_ALLOCATIONS_H
#define TESTS_SUPPORT_ALLOCATIONS_H

#include <stddef.h>

// How many times this process has asked for memory so far.
int allocations(void);

// How many bytes were asked for when one of the latest aligned_alloc() calls
// returned p; 0: none did.
size_t allocation_bytes(const void *p);

#endif
