// SPDX-License-Identifier: MIT
// Shared by sim/network.c, where messages come and go, and sim/network_shares.c, where rates are
// found. A message that shares no link touches only its Flow and its Links, of which thousands fit
// a cache; what else a flow or a link has lies beside them.
#ifndef SIM_NETWORK_INTERNAL_H
#define SIM_NETWORK_INTERNAL_H

#include "sim/network.h"

typedef struct LinkSharing {
    bool changed;      // among network->changed, as a link
    bool visited;      // while shares are solved
    int64_t unfrozen;  // weight of its flows without a share yet
    int64_t free, share;
    int64_t sent_ps;  // store and forward: when its last message has left
} LinkSharing;

typedef struct FlowSharing {
    int32_t next[PATH_LINKS], previous[PATH_LINKS];  // on each link, as Link.first; or -1
    int32_t weights[PATH_LINKS];
    int64_t cap;    // that the rate does not exceed; INT64_MAX: none
    int64_t share;  // while shares are solved: the new rate, 0: not frozen
    bool visited;   // while shares are solved
} FlowSharing;

// The end of a flow's latency, the end of a flow, the arrival at the next link of its path.
enum { FLOW_BEGINS, FLOW_ENDS, FLOW_FORWARDS };

// Find the rates of all flows that are connected with links or flows in network->changed.
Status network_settle(void *network) MUST_USE;

// The next on the same link, of a flow's part and hop, as Link.first.
static inline int32_t network_next(const Network *n, int32_t at) {
    return n->flow_sharing[at / PATH_LINKS].next[at % PATH_LINKS];
}

#endif
