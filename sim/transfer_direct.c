// SPDX-License-Identifier: MIT
// Why the messages of a direct all-reduce need not be followed one by one (sim/transfer.c):
//
// Nobody starts before all have arrived, as everybody reads everybody's input. In the first round
// each of P members takes its chunk from the P-1 others; in the second, which starts for all when
// the largest chunk is complete, each takes the chunk of each other. Messages within a node and
// between nodes use different links; take one of the two kinds, of which m leave every member and
// m come to it. In the first round a member with a chunk that is not empty receives m messages, so
// that the link down to it is shared by m; a link up carries at most m, to those whose chunks are
// not empty. Max-min shares are hence B/m, rounded down, for all messages, and remain so while the
// smaller chunks end, because all messages to a member are equal and end together. The second
// round is the mirror image: all that leave a member are equal. So a message of b bytes takes its
// path's latency and b / (B/m). Empty chunks are not sent.
#include "sim/transfer_direct.h"

#include "core/base/units.h"

// One kind of path: what it takes before the bytes flow, and how fast they do. Rate 0: no message
// takes such a path.
typedef struct {
    int64_t latency_ps, rate;
} Reach;

typedef struct {
    Reach inside, outside;  // within a node, between nodes
    int per_node;           // members
} Reaches;

static Reach reach_over(const Network *n, int32_t first_link, int messages) {
    const Link *l = &n->links[first_link];
    return messages ? (Reach){2 * l->latency_ps, l->bytes_per_s / messages} : (Reach){0};
}

static Reaches find_reaches(const TransferCall *call, const Topology *t, const Network *n) {
    int ranks = call->what.ranks;
    Reaches r = {.per_node = t->nodes == 1 ? ranks : t->devices_per_node};
    r.inside = reach_over(n, t->first_link, r.per_node - 1);
    r.outside = reach_over(n, t->nodes > 1 ? t->first_rail : t->first_link, ranks - r.per_node);
    return r;
}

bool transfer_direct_applies(const TransferCall *call, const Topology *t, const Network *n) {
    const Collective *c = &call->what;
    bool whole = t->nodes == 1 || (!t->shared_rail && c->ranks == topology_devices(t));
    if (!topology_is_ports(t) || !call->alone || !whole || n->store_and_forward ||
        c->kind != COLLECTIVE_ALL_REDUCE || c->algorithm != ALGORITHM_DIRECT ||
        call->add_bytes_per_s || !c->elements)
        return false;
    for (int i = 0; i < c->ranks && call->devices; i++)
        if (call->devices[i] != i) return false;
    Reaches r = find_reaches(call, t, n);  // a link with less than 1 byte/s for each is an error
    return (r.per_node == 1 || r.inside.rate) && (r.per_node == c->ranks || r.outside.rate);
}

// *end_ps: no earlier than the end of a message of that size, if there are such messages.
static Status follow(int64_t *end_ps, const Reach *reach, int64_t bytes) {
    int64_t ps = 0;
    if (!reach->rate || bytes <= 0) return OK;
    TRY(network_carried_time(&ps, (Carried)bytes * PS_PER_S, reach->rate));
    if (ps > INT64_MAX - reach->latency_ps)
        FAIL(ERR_FAILED, "simulated time ends after 106 days: a message would come later");
    if (ps + reach->latency_ps > *end_ps) *end_ps = ps + reach->latency_ps;
    return OK;
}

static int64_t chunk_bytes(const TransferCall *call, int64_t chunk) {
    int64_t begin, count;
    collective_chunk(&call->what, chunk, &begin, &count);
    return count * call->element_bytes;
}

// The two largest chunks of some members, or of some nodes, and whose the larger one is.
typedef struct {
    int64_t first, second;  // -1: of nobody
    int whose;
} Largest;

static void largest_add(Largest *l, int whose, int64_t bytes) {
    if (bytes > l->first)
        *l = (Largest){.first = bytes, .second = l->first, .whose = whose};
    else if (bytes > l->second)
        l->second = bytes;
}

static int64_t largest_but(const Largest *l, int whose) {
    return l->whose == whose ? l->second : l->first;
}

static Largest largest_of_node(const TransferCall *call, const Reaches *r, int node) {
    Largest l = {-1, -1, -1};
    for (int i = node * r->per_node; i < (node + 1) * r->per_node; i++)
        largest_add(&l, i, chunk_bytes(call, i));
    return l;
}

// The second round of the members of a node. `nodes`: the largest chunk of each.
static Status end_node(int64_t *delay_ps, const TransferCall *call, const Reaches *r, int node,
                       const Largest *nodes, int64_t first_round_ps) {
    Largest mine = largest_of_node(call, r, node);
    for (int i = node * r->per_node; i < (node + 1) * r->per_node; i++) {
        int64_t ps = 0;
        TRY(follow(&ps, &r->inside, largest_but(&mine, i)));
        TRY(follow(&ps, &r->outside, largest_but(nodes, node)));
        if (ps > INT64_MAX - first_round_ps)
            FAIL(ERR_FAILED, "simulated time ends after 106 days: a message would come later");
        delay_ps[i] = first_round_ps + ps;
    }
    return OK;
}

int64_t transfer_direct_messages(const TransferCall *call) {
    int64_t owners = 0;
    for (int i = 0; i < call->what.ranks; i++) owners += chunk_bytes(call, i) > 0;
    return 2 * owners * (call->what.ranks - 1);
}

// Member m sends each other's chunk in the first round and its own to every other in the second;
// what comes to it is as much.
void transfer_direct_carry(const TransferCall *call, const Topology *t, Network *n) {
    Reaches r = find_reaches(call, t, n);
    int ranks = call->what.ranks;
    int64_t total = call->what.elements * call->element_bytes;
    for (int node = 0; node < ranks / r.per_node; node++) {
        int first = node * r.per_node;
        int64_t here = 0;
        for (int i = first; i < first + r.per_node; i++) here += chunk_bytes(call, i);
        for (int i = first; i < first + r.per_node; i++) {
            int64_t own = chunk_bytes(call, i);
            int64_t inside = here - own + (r.per_node - 1) * own;
            int64_t outside = total - here + (ranks - r.per_node) * own;
            for (int way = 0; way < 2; way++) {
                n->links[t->first_link + 2 * i + way].carried_bytes += inside;
                if (t->nodes > 1) n->links[t->first_rail + 2 * i + way].carried_bytes += outside;
            }
        }
    }
}

Status transfer_direct_ends(int64_t *delay_ps, const TransferCall *call, const Topology *t,
                            const Network *n) {
    Reaches r = find_reaches(call, t, n);
    int count = call->what.ranks / r.per_node;
    int64_t first_round_ps = 0;
    Largest nodes = {-1, -1, -1};
    for (int node = 0; node < count; node++)
        largest_add(&nodes, node, largest_of_node(call, &r, node).first);
    TRY(follow(&first_round_ps, &r.inside, nodes.first));
    TRY(follow(&first_round_ps, &r.outside, nodes.first));
    for (int node = 0; node < count; node++)
        TRY(end_node(delay_ps, call, &r, node, &nodes, first_round_ps));
    return OK;
}
