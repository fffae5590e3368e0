// SPDX-License-Identifier: MIT
// From a price to a flow: which links it takes, and what part of each byte passes them.
#include "sim/priced.h"

#include "core/base/array.h"
#include "core/plan/group.h"

#include <stdlib.h>

Status priced_init(PricedNetwork *p, Network *n, const Topology *t, const NcclPricing *o) {
    *p = (PricedNetwork){.network = n, .topology = t, .pricing = o};
    if (!topology_is_ports(t))
        FAIL(ERR_USAGE, "NCCL's model knows the links of devices and rails alone, not a %s",
             t->node.devices ? "mesh of wires" : fabric_name(&t->fabric));
    if (t->shared_rail) FAIL(ERR_USAGE, "NCCL's model knows no nodes whose devices share one rail");
    p->seen = calloc((size_t)t->nodes, sizeof *p->seen);
    if (!p->seen) FAIL(ERR_MEMORY, "out of memory for %d nodes", t->nodes);
    return OK;
}

void priced_finish(PricedNetwork *p) {
    free(p->uses);
    free(p->seen);
    *p = (PricedNetwork){0};
}

int32_t priced_nodes(PricedNetwork *p, const Program *program, int group, int rank) {
    int32_t nodes = 0;
    p->counts++;
    for (int i = 0; i < group_size(program, group); i++) {
        int device = group_member(program, group, rank, i);
        int32_t *seen = &p->seen[device / p->topology->devices_per_node];
        nodes += *seen != p->counts;
        *seen = p->counts;
    }
    return nodes;
}

static void dilate(NcclPrice *price, int64_t thousandths) {
    if (!thousandths || thousandths == 1000) return;
    __int128 latency = (__int128)price->latency_ps * thousandths / 1000;
    __int128 rate = (__int128)price->bytes_per_s * 1000 / thousandths;
    price->latency_ps = latency > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)latency;
    price->bytes_per_s = rate < 1 ? 1 : rate > INT64_MAX ? INT64_MAX : (int64_t)rate;
}

Status priced_begin(PricedNetwork *p, const Collective *what, int64_t element_bytes,
                    int32_t nodes) {
    const NcclCall call = {.kind = what->kind,
                           .bytes = what->ranks > 1 ? what->elements * element_bytes : 0,
                           .ranks = what->ranks,
                           .nodes = nodes,
                           .algorithm = p->pricing->algorithm,
                           .protocol = p->pricing->protocol};
    TRY(nccl_price(&p->price, p->pricing->constants, &call));
    dilate(&p->price, p->pricing->dilation);
    p->bytes = call.bytes;
    p->count = 0;
    return OK;
}

// Both directions of a link that a device has, `first` being those of device 0.
static void add_pair(PricedNetwork *p, int32_t first, int device, int32_t weight) {
    if (weight == 0) return;
    p->uses[p->count++] = (NetworkUse){first + 2 * device, weight};
    p->uses[p->count++] = (NetworkUse){first + 2 * device + 1, weight};
}

Status priced_add_member(PricedNetwork *p, int device) {
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
    int32_t first = across ? p->topology->first_rail : p->topology->first_link;
    TRY(nccl_price_message(&price, p->pricing->constants, bytes, across));
    dilate(&price, p->pricing->dilation);
    const NetworkUse uses[] = {{first + 2 * source, NETWORK_WEIGHT},
                               {first + 2 * destination + 1, NETWORK_WEIGHT}};
    return network_start_wide(p->network, uses, 2, bytes, price.bytes_per_s, price.latency_ps,
                              done);
}
