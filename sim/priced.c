// SPDX-License-Identifier: MIT
// From a price to a flow: which links it takes, and what part of each byte passes them.
#include "sim/priced.h"

#include "core/base/array.h"
#include "core/plan/group.h"

#include <stdlib.h>

// Up and down, or over two rails, at the slower of both.
static LinkModel path_of(const Network *n, int32_t first) {
    const Link *link = &n->links[first];
    return (LinkModel){link->bytes_per_s, 2 * link->latency_ps};
}

static const char *model_name(const PricedNetwork *p) {
    static const char *const names[] = {"NCCL's model", "the alpha-beta model", "LogGP"};
    return names[p->closed.model];
}

Status priced_init(PricedNetwork *p, Network *n, const Topology *t, const TopologyOptions *o) {
    *p = (PricedNetwork){.network = n, .topology = t, .pricing = &o->pricing, .closed = o->closed};
    p->closed.levels = o->levels;
    if (!topology_is_ports(t))
        FAIL(ERR_USAGE, "%s knows the links of devices and rails alone, not a %s", model_name(p),
             t->node.devices ? "mesh of wires" : fabric_name(&t->fabric));
    if (t->shared_rail)
        FAIL(ERR_USAGE, "%s knows no nodes whose devices share one rail", model_name(p));
    p->closed.within = path_of(n, t->first_link);
    if (t->nodes > 1) p->closed.across = path_of(n, t->first_rail);
    p->seen = calloc((size_t)t->nodes, sizeof *p->seen);
    p->members = calloc((size_t)t->nodes, sizeof *p->members);
    if (!p->seen || !p->members) FAIL(ERR_MEMORY, "out of memory for %d nodes", t->nodes);
    return OK;
}

void priced_finish(PricedNetwork *p) {
    free(p->uses);
    free(p->seen);
    free(p->members);
    *p = (PricedNetwork){0};
}

static int node_of(const PricedNetwork *p, const Program *program, int group, int rank, int i) {
    return group_member(program, group, rank, i) / p->topology->devices_per_node;
}

static GroupSpread find_spread(PricedNetwork *p, const Program *program, int group, int rank) {
    int32_t size = group_size(program, group);
    GroupSpread spread = {0, 0, size};
    p->counts++;
    for (int i = 0; i < size; i++) {
        int node = node_of(p, program, group, rank, i);
        if (p->seen[node] != p->counts) p->members[node] = 0;
        spread.nodes += p->seen[node] != p->counts;
        p->seen[node] = p->counts;
        if (++p->members[node] > spread.most) spread.most = p->members[node];
    }
    for (int i = 0; i < size; i++) {
        int32_t members = p->members[node_of(p, program, group, rank, i)];
        if (members < spread.least) spread.least = members;
    }
    return spread;
}

GroupSpread priced_spread(PricedNetwork *p, const Program *program, int group, int rank) {
    uint64_t asked = ((uint64_t)rank << 8 | (uint64_t)group) * UINT64_C(0x9e3779b97f4a7c15);
    KnownSpread *k = &p->spreads[asked >> 58];  // one of PRICED_KNOWN
    if (k->program != program || k->group != group || k->rank != rank)
        *k = (KnownSpread){program, group, rank, find_spread(p, program, group, rank)};
    return k->spread;
}

static void dilate(NcclPrice *price, int64_t thousandths) {
    if (!thousandths || thousandths == 1000) return;
    __int128 latency = (__int128)price->latency_ps * thousandths / 1000;
    __int128 rate = (__int128)price->bytes_per_s * 1000 / thousandths;
    price->latency_ps = latency > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)latency;
    price->bytes_per_s = rate < 1 ? 1 : rate > INT64_MAX ? INT64_MAX : (int64_t)rate;
}

// What takes so long and no links: no bytes flow at the end of it.
static NcclPrice price_of_time(int64_t ps) {
    return (NcclPrice){.latency_ps = ps, .bytes_per_s = 1};
}

Status priced_begin(PricedNetwork *p, const Collective *what, int64_t element_bytes,
                    const GroupSpread *spread) {
    p->count = 0;
    if (p->closed.model) {
        int64_t ps;
        TRY(closed_form_collective(&ps, &p->closed, what, element_bytes, spread));
        p->price = price_of_time(ps);
        p->bytes = 0;
        return OK;
    }
    const NcclCall call = {.kind = what->kind,
                           .bytes = what->ranks > 1 ? what->elements * element_bytes : 0,
                           .ranks = what->ranks,
                           .nodes = spread->nodes,
                           .algorithm = p->pricing->algorithm,
                           .protocol = p->pricing->protocol};
    TRY(nccl_price_again(&p->price, &p->known, p->pricing->constants, &call));
    dilate(&p->price, p->pricing->dilation);
    p->bytes = call.bytes;
    return OK;
}

// Both directions of a link that a device has, `first` being those of device 0.
static void add_pair(PricedNetwork *p, int32_t first, int device, int32_t weight) {
    if (weight == 0) return;
    p->uses[p->count++] = (NetworkUse){first + 2 * device, weight};
    p->uses[p->count++] = (NetworkUse){first + 2 * device + 1, weight};
}

Status priced_add_member(PricedNetwork *p, int device) {
    if (p->closed.model) return OK;
    TRY(ARRAY_RESERVE(p->uses, p->capacity, p->count + 4));
    add_pair(p, p->topology->first_link, device, p->price.port_weight);
    add_pair(p, p->topology->first_rail, device, p->price.rail_weight);
    return OK;
}

Status priced_start(PricedNetwork *p, Event done) {
    return network_start_wide(p->network, p->uses, p->count, p->bytes, p->price.bytes_per_s,
                              p->price.latency_ps, done);
}

Status priced_message(PricedNetwork *p, int source, int destination, bool across, int64_t bytes,
                      Event done) {
    NcclPrice price;
    int64_t ps;
    if (p->closed.model) {
        TRY(closed_form_message(&ps, &p->closed, bytes, across));
        return network_start_wide(p->network, NULL, 0, 0, 1, ps, done);
    }
    int32_t first = across ? p->topology->first_rail : p->topology->first_link;
    TRY(nccl_price_message(&price, &p->known, p->pricing->constants, bytes, across));
    dilate(&price, p->pricing->dilation);
    const NetworkUse uses[] = {{first + 2 * source, NETWORK_WEIGHT},
                               {first + 2 * destination + 1, NETWORK_WEIGHT}};
    return network_start_wide(p->network, uses, 2, bytes, price.bytes_per_s, price.latency_ps,
                              done);
}
