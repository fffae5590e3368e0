// SPDX-License-Identifier: MIT
// The numbers of a platform of devices that a prediction depends on, one by one, to ask what each
// of them is worth.
#ifndef SIM_PLATFORM_NUMBERS_H
#define SIM_PLATFORM_NUMBERS_H

#include "core/base/units.h"
#include "core/platform/machine.h"

typedef enum {
    PLATFORM_FLOPS,      // per second
    PLATFORM_BANDWIDTH,  // bytes per second
    PLATFORM_LATENCY,    // picoseconds
    PLATFORM_FACTOR      // in millionths
} PlatformUnit;

enum { PLATFORM_NUMBERS = 24 };

typedef struct {
    int id;            // for platform_number_scale()
    const char *name;  // "link bandwidth"
    PlatformUnit unit;
    int64_t value;  // in it; above 0
} PlatformNumber;

// Those that the machine has, and returns how many; with a bandwidth `link` is instead of its own
// links. The peak is that of the type.
int platform_numbers_list(PlatformNumber out[PLATFORM_NUMBERS], const Machine *m,
                          const LinkModel *link, Dtype dtype);

// Make one of them `permille` thousandths of what it is, at least 1: the peaks of all types
// together, and of a slowdown what it is above none.
void platform_number_scale(Machine *m, LinkModel *link, int id, int permille);

// A value as a person writes it, "312T/s", "2039GB/s", "5us", "x1.18"; returns `out`.
char *platform_number_print(char out[UNITS_TEXT], const PlatformNumber *n);
const char *platform_unit_name(PlatformUnit unit);  // "1/s", "B/s", "ps", "1e-6"

#endif
