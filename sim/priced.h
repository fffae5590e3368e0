// SPDX-License-Identifier: MIT
// Collectives and messages on a network at a price (sim/nccl_model.h), instead of message by
// message (sim/transfer.h). From its last member's arrival on, a collective takes its latency; then
// its bytes go as one flow over the links of all members, each with its part, at the price's
// bandwidth, or less where others use the same links. All members end at that instant. Alone, it
// takes its price to the picosecond. A closed form (sim/closed_form.h) is a latency without bytes,
// and shares nothing.
#ifndef SIM_PRICED_H
#define SIM_PRICED_H

#include "core/plan/program.h"
#include "sim/nccl_model.h"
#include "sim/topology.h"

// How a group is spread; it is asked again and again.
enum { PRICED_KNOWN = 64 };
typedef struct {
    const Program *program;  // NULL: no question yet
    int group, rank;
    GroupSpread spread;
} KnownSpread;

typedef struct {
    Network *network;  // borrowed, like the others
    const Topology *topology;
    const NcclPricing *pricing;
    ClosedForm closed;  // instead of that, if it has a model
    NetworkUse *uses;   // owned: the links of the collective that begins
    int count, capacity;
    NcclPrice price;  // of that
    int64_t bytes;
    int32_t *seen, *members;  // owned: per node, the last count that met it, and of how many
    int32_t counts;
    NcclMemo known;
    KnownSpread spreads[PRICED_KNOWN];  // a group's is where its numbers say
} PricedNetwork;

// ERR_USAGE where nodes share a rail, or ports do not describe the network (topology_is_ports()):
// the model does not know these.
Status priced_init(PricedNetwork *p, Network *n, const Topology *t,
                   const TopologyOptions *o) MUST_USE;
void priced_finish(PricedNetwork *p);

// How the members of a rank's group are spread over nodes; rank r has device r.
GroupSpread priced_spread(PricedNetwork *p, const Program *program, int group, int rank);

// All members of a collective have come: it begins, takes the links of one member after the other
// (or of those that stand for all), and then its price, until `done` is delivered. Devices here
// and below are those with links (TopologyOptions).
Status priced_begin(PricedNetwork *p, const Collective *what, int64_t element_bytes,
                    const GroupSpread *spread) MUST_USE;
Status priced_add_member(PricedNetwork *p, int device) MUST_USE;
Status priced_start(PricedNetwork *p, Event done) MUST_USE;

// The same for a message, when both ends have come; across: to another node.
Status priced_message(PricedNetwork *p, int source, int destination, bool across, int64_t bytes,
                      Event done) MUST_USE;

#endif
