// SPDX-License-Identifier: MIT
// Times of a message on such a star, in nanoseconds, rounded up.
#include "parallel/collective/star.h"

#include "core/base/units.h"

int64_t star_latency_ns(const StarLink *l) {
    return units_divide_up((__int128)l->latency_ps * l->slowdown_permille, 1000 * 1000);
}

int64_t star_bytes_ns(const StarLink *l, int64_t bytes) {
    return units_divide_up((__int128)bytes * 1000000000 * l->slowdown_permille,
                           (__int128)l->bytes_per_s * 1000);
}
