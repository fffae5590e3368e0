// SPDX-License-Identifier: MIT
// Collectives on a star: every member has a link of its own to one switch, of the same bandwidth in
// each direction. A message pays the latency once, for its whole way; its bytes flow through the
// sender's link and the receiver's.
//
// A member starts a round when it has ended its own round before and its sources have ended the
// rounds before. All its messages then travel at once, and have arrived after the latency and the
// time of the busiest link on their ways: its own, with all that comes in, or that of a source,
// with all that this source sends in the round. Adding takes no time, and a round in which nothing
// comes from others neither.
#ifndef PARALLEL_COLLECTIVE_STAR_H
#define PARALLEL_COLLECTIVE_STAR_H

#include "parallel/collective/collective.h"

typedef struct {
    int64_t bytes_per_s, latency_ps;
    int64_t slowdown_permille;  // how much slower than that it is, in thousandths (1000: not)
} StarLink;

// Nanoseconds, each rounded up: until a message without bytes is there, and what its bytes add.
int64_t star_latency_ns(const StarLink *l);
int64_t star_bytes_ns(const StarLink *l, int64_t bytes);

#endif
