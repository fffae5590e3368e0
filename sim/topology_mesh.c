// SPDX-License-Identifier: MIT
// Wires within nodes: each is a link each way, numbered in pairs. A path takes the fewest; it is
// found from the lower place to the higher one, and the way back is the same. Devices pass on what
// others send over NVLink, but not what goes over the host.
#include "core/plan/program.h"
#include "sim/topology_internal.h"

enum { FAR = 100, NVLINK_MOST = 2 };  // wires: of more than these the way over the host is taken

static int64_t scaled(int64_t rate, int64_t part, int64_t whole) {
    int64_t share = (int64_t)((__int128)rate * part / whole);
    return share ? share : 1;
}

static Status add_node(Topology *t, Network *n, const LinkModel *link, int node) {
    const NodeGraph *g = &t->node;
    for (int i = 0; i < 2 * g->wire_count; i++) {
        const NodeWire *w = &g->wires[i / 2];
        int32_t added;
        TRY(network_add_link(n, &added,
                             scaled(link->bytes_per_s, w->bytes_per_s, g->link_bytes_per_s),
                             link->latency_ps));
        if (node == 0 && i == 0) t->first_wire = added;
    }
    return OK;
}

static bool passes_on(const NodeGraph *g, int kind, int place) {
    return kind == WIRE_NVLINK || place >= g->devices;
}

// All shortest distances (Floyd, 1962).
static void find_distances(Topology *t, int kind) {
    const NodeGraph *g = &t->node;
    int8_t(*away)[NODE_PLACES] = t->away[kind];
    for (int a = 0; a < g->places; a++)
        for (int b = 0; b < g->places; b++) away[a][b] = a == b ? 0 : FAR;
    for (int i = 0; i < g->wire_count; i++)
        if ((int)g->wires[i].kind == kind)
            away[g->wires[i].a][g->wires[i].b] = away[g->wires[i].b][g->wires[i].a] = 1;
    for (int via = 0; via < g->places; via++)
        for (int a = 0; a < g->places && passes_on(g, kind, via); a++)
            for (int b = 0; b < g->places; b++)
                if (away[a][via] + away[via][b] < away[a][b])
                    away[a][b] = (int8_t)(away[a][via] + away[via][b]);
}

Status topology_add_wires(Topology *t, Network *n, const LinkModel *link) {
    const NodeGraph *g = &t->node;
    if (g->devices != t->devices_per_node)
        FAIL(ERR_USAGE, "wires of %d devices, in nodes of %d", g->devices, t->devices_per_node);
    for (int node = 0; node < t->nodes; node++) TRY(add_node(t, n, link, node));
    t->node_wires = 2 * g->wire_count;
    for (int a = 0; a < g->places; a++)
        for (int b = 0; b < g->places; b++) t->wire[a][b] = NONE;
    for (int i = 0; i < g->wire_count; i++) {
        t->wire[g->wires[i].a][g->wires[i].b] = (int16_t)(2 * i);
        t->wire[g->wires[i].b][g->wires[i].a] = (int16_t)(2 * i + 1);
    }
    for (int kind = 0; kind < WIRE_KINDS; kind++) find_distances(t, kind);
    return OK;
}

Status topology_add_adapters(Topology *t, Network *n, const LinkModel *rail) {
    const NodeGraph *g = &t->node;
    for (int node = 0; node < t->nodes; node++)
        for (int i = 0; i < 2 * g->adapter_count; i++) {
            int32_t added;
            int64_t part = g->adapters[i / 2].bytes_per_s;
            TRY(network_add_link(n, &added, scaled(rail->bytes_per_s, part, g->rail_bytes_per_s),
                                 rail->latency_ps));
            if (node == 0 && i == 0) t->first_rail = added;
        }
    return OK;
}

void topology_follow_wires(const Topology *t, Path *p, int32_t node, int source, int destination) {
    bool back = source > destination;
    int low = back ? destination : source, high = back ? source : destination;
    bool near = t->away[WIRE_NVLINK][low][high] <= NVLINK_MOST;
    int kind = near || t->away[WIRE_HOST][low][high] == FAR ? WIRE_NVLINK : WIRE_HOST;
    const int8_t(*away)[NODE_PLACES] = t->away[kind];
    int hops = away[low][high], first = t->first_wire + node * t->node_wires;
    for (int at = low, h = 0; at != high; h++) {
        int next = 0;
        while (t->wire[at][next] == NONE ||
               (int)t->node.wires[t->wire[at][next] / 2].kind != kind ||
               (next != high && !passes_on(&t->node, kind, next)) ||
               away[next][high] != away[at][high] - 1)
            next++;
        p->links[p->hops + (back ? hops - 1 - h : h)] =
            first + (back ? t->wire[next][at] : t->wire[at][next]);
        at = next;
    }
    p->hops += hops;
}
