// SPDX-License-Identifier: MIT
// Wires within nodes that are more than a switch or a mesh (NodeGraph): which a message takes, and
// how long it does.
#include "core/base/units.h"
#include "tests/support/topology_case.h"

#include <stdio.h>
#include <string.h>

#define MB INT64_C(1000000)

// Four devices, two on a switch of PCI below each of two processors, without NVLinks; the adapter
// of a pair is at its switch. Places: devices 0 to 3, processors 4 and 5, switches 6 and 7. Rates
// in MB/s: devices 8, switches 4, processors 2, adapters 1 and 3.
static const NodeGraph pci_node = {.devices = 4,
                                   .places = 8,
                                   .wire_count = 7,
                                   .wires = {{0, 6, WIRE_HOST, 8},
                                             {1, 6, WIRE_HOST, 8},
                                             {2, 7, WIRE_HOST, 8},
                                             {3, 7, WIRE_HOST, 8},
                                             {6, 4, WIRE_HOST, 4},
                                             {7, 5, WIRE_HOST, 4},
                                             {4, 5, WIRE_HOST, 2}},
                                   .adapter_count = 2,
                                   .adapters = {{6, 1}, {7, 3}},
                                   .adapter_of = {0, 0, 1, 1},
                                   .link_bytes_per_s = 8,
                                   .rail_bytes_per_s = 3};

static TopologyOptions node_options(const NodeGraph *g, int nodes) {
    return (TopologyOptions){.nodes = nodes,
                             .devices_per_node = g->devices,
                             .link = {8 * MB, 1000},
                             .rail = {3 * MB, 20000},
                             .node = g};
}

static void check_ends(const Topology *t, int from, int to, const char *want) {
    char text[200] = "";
    Path p = topology_path(t, from, to);
    for (int h = 0; h < p.hops; h++) {
        int32_t a, b;
        size_t n = strlen(text);
        if (p.links[h] >= t->first_rail && t->first_rail >= 0)
            snprintf(text + n, sizeof text - n, " rail%d", (p.links[h] - t->first_rail) / 2);
        else {
            topology_ends(t, p.links[h], &a, &b);
            snprintf(text + n, sizeof text - n, " %d>%d", a, b);
        }
    }
    ck_assert_str_eq(text, want);
}

// What is no device is -1, -2 and so on: processors, then switches, node by node.
START_TEST(wires_of_a_host_lead_over_its_switches_and_to_the_nearest_adapter) {
    TopologyCase w;
    TopologyOptions o = node_options(&pci_node, 2);
    topology_case_init(&w, &o);
    check_ends(&w.topology, 0, 1, " 0>-3 -3>1");
    check_ends(&w.topology, 0, 3, " 0>-3 -3>-1 -1>-2 -2>-4 -4>3");
    check_ends(&w.topology, 3, 0, " 3>-4 -4>-2 -2>-1 -1>-3 -3>0");
    check_ends(&w.topology, 4, 5, " 4>-7 -7>5");
    check_ends(&w.topology, 1, 6, " 1>-3 rail0 rail3 -8>6");
    check_ends(&w.topology, 7, 0, " 7>-8 rail3 rail0 -3>0");
    topology_case_finish(&w);
}
END_TEST

// NVLink is taken where two wires of it lead there, else the host; devices pass on only NVLink.
START_TEST(nvlink_is_taken_where_two_wires_of_it_do) {
    NodeGraph g = pci_node;
    TopologyCase w;
    g.wires[g.wire_count++] = (NodeWire){0, 1, WIRE_NVLINK, 20};
    g.wires[g.wire_count++] = (NodeWire){1, 2, WIRE_NVLINK, 20};
    g.wires[g.wire_count++] = (NodeWire){2, 3, WIRE_NVLINK, 20};
    g.link_bytes_per_s = 40;
    TopologyOptions o = node_options(&g, 1);
    topology_case_init(&w, &o);
    check_ends(&w.topology, 0, 1, " 0>1");
    check_ends(&w.topology, 2, 0, " 2>1 1>0");
    check_ends(&w.topology, 0, 3, " 0>-3 -3>-1 -1>-2 -2>-4 -4>3");
    ck_assert_int_eq(w.network.links[topology_path(&w.topology, 0, 1).links[0]].bytes_per_s,
                     4 * MB);  // half of a device's link
    topology_case_finish(&w);
}
END_TEST

// 1 MB: alone at the slowest wire's rate; two pairs across processors share 2 MB/s; two devices
// share an adapter of 1 MB/s.
START_TEST(messages_share_the_wires_of_a_node_and_its_adapters) {
    TopologyCase w;
    TopologyOptions o = node_options(&pci_node, 2);
    topology_case_init(&w, &o);
    topology_case_send(&w, 0, 1, MB);
    ck_assert_ok(engine_run(&w.engine));
    ck_assert_int_eq(w.last_ps, 2 * 1000 + PS_PER_S / 8);
    topology_case_finish(&w);
    topology_case_init(&w, &o);
    topology_case_send(&w, 0, 2, MB);
    topology_case_send(&w, 1, 3, MB);
    ck_assert_ok(engine_run(&w.engine));
    ck_assert_int_eq(w.last_ps, 5 * 1000 + PS_PER_S);
    topology_case_finish(&w);
    topology_case_init(&w, &o);
    topology_case_send(&w, 0, 6, MB);
    topology_case_send(&w, 1, 7, MB);
    ck_assert_ok(engine_run(&w.engine));
    ck_assert_int_eq(w.last_ps, 2 * 1000 + 2 * 20000 + 2 * PS_PER_S);
    ck_assert_int_eq(w.ended, 2);
    topology_case_finish(&w);
}
END_TEST

START_TEST(nodes_without_adapters_do_not_reach_each_other) {
    NodeGraph g = pci_node;
    Engine e;
    Network n;
    Topology t;
    g.adapter_count = 0;
    TopologyOptions o = node_options(&g, 2);
    ck_assert_ok(engine_init(&e));
    ck_assert_ok(network_init(&n, &e));
    ck_assert_fails(topology_init(&t, &n, &o), ERR_USAGE, "2 nodes that have no network adapters");
    network_finish(&n);
    engine_finish(&e);
}
END_TEST

SUITE("topology_node", wires_of_a_host_lead_over_its_switches_and_to_the_nearest_adapter,
      nvlink_is_taken_where_two_wires_of_it_do, messages_share_the_wires_of_a_node_and_its_adapters,
      nodes_without_adapters_do_not_reach_each_other)
