// SPDX-License-Identifier: MIT
// Wires between the devices of a node: all wires of a pair are one link each way. A path takes the
// fewest links; it is found from the lower device to the higher one, and the way back is the same.
#include "core/plan/program.h"
#include "sim/topology_internal.h"

enum { FAR = 100 };

static Status add_node(Topology *t, Network *n, const LinkModel *link, int node) {
    int16_t count = 0;
    for (int a = 0; a < t->mesh.devices; a++)
        for (int b = 0; b < t->mesh.devices; b++) {
            int32_t added, wires = t->mesh.wires[a][b];
            t->wire[a][b] = NONE;
            if (!wires) continue;
            int64_t rate = (int64_t)((__int128)link->bytes_per_s * wires / t->mesh.most_wires);
            TRY(network_add_link(n, &added, rate, link->latency_ps));
            if (node == 0 && count == 0) t->first_wire = added;
            t->wire[a][b] = count++;
        }
    t->node_wires = count;
    return OK;
}

// All shortest distances (Floyd, 1962).
static void find_distances(Topology *t) {
    int devices = t->mesh.devices;
    for (int a = 0; a < devices; a++)
        for (int b = 0; b < devices; b++)
            t->away[a][b] = a == b ? 0 : t->mesh.wires[a][b] ? 1 : FAR;
    for (int via = 0; via < devices; via++)
        for (int a = 0; a < devices; a++)
            for (int b = 0; b < devices; b++)
                if (t->away[a][via] + t->away[via][b] < t->away[a][b])
                    t->away[a][b] = (int8_t)(t->away[a][via] + t->away[via][b]);
}

Status topology_add_wires(Topology *t, Network *n, const LinkModel *link) {
    if (t->mesh.devices != t->devices_per_node)
        FAIL(ERR_USAGE, "a mesh of %d devices, in nodes of %d", t->mesh.devices,
             t->devices_per_node);
    for (int node = 0; node < t->nodes; node++) TRY(add_node(t, n, link, node));
    find_distances(t);
    return OK;
}

void topology_follow_wires(const Topology *t, Path *p, int32_t node, int source, int destination) {
    bool back = source > destination;
    int low = back ? destination : source, high = back ? source : destination;
    int hops = t->away[low][high], first = t->first_wire + node * t->node_wires;
    for (int at = low, h = 0; at != high; h++) {
        int next = 0;
        while (t->wire[at][next] == NONE || t->away[next][high] != t->away[at][high] - 1) next++;
        p->links[p->hops + (back ? hops - 1 - h : h)] =
            first + (back ? t->wire[next][at] : t->wire[at][next]);
        at = next;
    }
    p->hops += hops;
}
