// SPDX-License-Identifier: MIT
// Delays where one rank hands something to another. A program that is linked with `delay_handovers`
// (tests/meson.build) sleeps at random before a rank reads what its peers have, after it has
// written, and before it wakes who waits: whoever relies on being fast enough is found out.
#ifndef TESTS_SUPPORT_COMM_DELAYS_H
#define TESTS_SUPPORT_COMM_DELAYS_H

#include <stdint.h>

// From now on this thread sleeps about every `one_in`-th time, by draws from `seed`. 0: never.
void comm_delays_set(uint32_t one_in, uint32_t seed);

// How often this thread has slept.
int comm_delays_count(void);

#endif
