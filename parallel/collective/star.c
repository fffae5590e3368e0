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

// Where a member has a step for every source, these go up by one around the group; so the place of
// one follows from the first. Otherwise it has three steps at most, and all are looked at.
bool collective_step_from(const Collective *c, int64_t round, int source, int destination,
                          CollectiveStep *out) {
    int steps = collective_steps(c, round, destination);
    if (steps == 0 || source == destination) return false;
    int first = collective_step(c, round, destination, 0).source;
    int guess = (source - first + c->ranks) % c->ranks;
    for (int i = 0; i < steps; i++) {
        *out = collective_step(c, round, destination, (guess + i) % steps);
        if (out->source == source) return true;
    }
    return false;
}
