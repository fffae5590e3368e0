// SPDX-License-Identifier: MIT
// Messages as flows over links that share them fairly. A message pays the latency of its path
// first, without occupying it; then its bytes flow over all links of the path at one rate.
//
// Rates are max-min fair: no flow can get more without taking from one that has no more. They are
// found by progressive filling (Bertsekas, Gallager, "Data networks", 1992, 6.5.2): raise the rate
// of all flows together; when a link is full, its flows keep their rate, the others go on rising.
//
//   Link A carries 1 GB/s, link B 3 GB/s. Flow 1 uses A, flow 2 uses A and B, flow 3 uses B.
//
//   level 0.5 GB/s   A is full: flows 1 and 2 keep 0.5 GB/s
//   level 2.5 GB/s   B is full (0.5 of flow 2, and 2.5): flow 3 keeps 2.5 GB/s
//
//   Two flows of 1000 B and 3000 B that share A alone get 0.5 GB/s each. After 2 us the first has
//   ended; 2000 B of the second are left, now at 1 GB/s, and it ends after 4 us.
//
// Where a network stores and forwards, links are not shared: each carries whole messages, one after
// another in the order in which they come to it, and its latency later a message is at the next
// link. So does ASTRA-sim's analytical network that is aware of congestion (Won et al., 2023).
//
// A flow may also take many links at once, each with a part of its bytes, and have a rate that it
// does not exceed: a collective that is priced as a whole goes over all its members' ports. A cap
// fills like a link of its own.
//
// Rates are whole bytes per second: of a link's capacity less than one byte/s for each of its flows
// stays unused. Links that fill at the same level freeze together, so that rates do not depend on
// numbering. Only flows connected through shared links to one that came or went are looked at.
// Nothing is rounded but a rate (down) and the end of a message (up to the next picosecond): the
// rest is counted in bytes x 10^12, of which a rate of r bytes/s carries r every picosecond.
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "sim/engine.h"

// A path has up to PATH_MOST links; of a flow each part keeps PATH_LINKS.
enum { PATH_LINKS = 4, PATH_MOST = 64, NETWORK_WEIGHT = 1024 };

typedef struct {
    int32_t hops;              // 0: from a device to itself, which takes no time
    int32_t links[PATH_MOST];  // all different
} Path;

// A flow's link, which so many 1/NETWORK_WEIGHT of each of its bytes pass.
typedef struct {
    int32_t link, weight;
} NetworkUse;

typedef struct {
    int64_t bytes_per_s, latency_ps;
    int64_t carried_bytes;  // of messages that have left, on their way or arrived
    int32_t first;          // part of a flow on it: PATH_LINKS * part + hop, or -1
    int32_t flows;          // that share it now
} Link;

typedef unsigned __int128 Carried;  // bytes x 10^12

// How long it takes at a rate, rounded up. ERR_FAILED for more than 2^63 ps, or 106 days.
Status network_carried_time(int64_t *ps, Carried left, int64_t bytes_per_s) MUST_USE;

// A flow, or a further part of one that takes more than PATH_LINKS links: parts are flows, too, of
// which only links and weights count.
typedef struct {
    Carried left;            // at since_ps
    int64_t rate, since_ps;  // bytes/s; 0: it pays its latency; below 0: it came in this instant
    Event done;
    EventId event;  // of the end of its latency, then of its end
    int8_t hops;    // links of this part
    int8_t hop;     // store and forward: links of the whole path that it has come to
    bool plain;     // one part, whole on every link of its path and without a cap
    bool kept;      // of a channel
    int32_t links[PATH_LINKS];
    int32_t owner, more;  // the flow that this is a part of; its next part, or -1
} Flow;

typedef struct {
    Engine *engine;  // borrowed
    int16_t actor;
    bool store_and_forward;  // set before the first message
    Link *links;             // owned, like all arrays below
    Flow *flows;
    struct LinkSharing *link_sharing;  // [links], [flows]: what matters only where links are shared
    struct FlowSharing *flow_sharing;  // (sim/network_internal.h)
    int32_t *changed;  // in this instant: links with a flow less; -1 - k: flow k has begun
    int32_t *part_links, *part_flows;  // while shares are solved: what is connected
    int link_count, flow_count, changed_count, part_link_count, part_flow_count;
    int link_capacity, link_sharing_capacity, flow_capacity, flow_sharing_capacity;
    int changed_capacity, part_link_capacity, part_flow_capacity;
    int32_t spare;     // first of the unused flows, linked by `more`; -1: none
    int64_t messages;  // that have arrived
} Network;

Status network_init(Network *n, Engine *e) MUST_USE;
void network_finish(Network *n);

// One direction of a link: at least 1 byte/s, and 0 ps to 26 days.
Status network_add_link(Network *n, int32_t *link, int64_t bytes_per_s,
                        int64_t latency_ps) MUST_USE;

// What a message on that path pays first. More than PATH_LINKS links: it must be below 2^63 ps.
int64_t network_latency(const Network *n, const Path *path);

// Bytes leave after `latency_ps`, over `count` links, all different, with weights of at least 1.
// As network_start() otherwise, but not where a network stores and forwards. Without links they go
// at the cap.
Status network_start_wide(Network *n, const NetworkUse *uses, int count, int64_t bytes, int64_t cap,
                          int64_t latency_ps, Event done) MUST_USE;

// A message leaves now; `done` is delivered when all of it has arrived. Nothing is kept of it then.
// A message of no bytes takes the latency only. ERR_USAGE, when shares are solved, if a link has
// less than 1 byte/s for each of its flows.
Status network_start(Network *n, const Path *path, int64_t bytes, Event done) MUST_USE;

// A channel carries messages on the same path one after another, each when the one before has
// arrived; it is closed when none is on its way.
Status network_open(Network *n, int32_t *channel, const Path *path, Event done) MUST_USE;
Status network_send(Network *n, int32_t channel, int64_t bytes) MUST_USE;
void network_close(Network *n, int32_t channel);

#endif
