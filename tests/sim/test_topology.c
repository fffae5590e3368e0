// SPDX-License-Identifier: MIT
// Networks of switches and wires: their paths, and times against closed forms. Where times are
// compared links have a rate that the flows on the fullest of them divide.
#include "core/base/units.h"
#include "sim/priced.h"
#include "tests/support/topology_case.h"

#include <stdlib.h>
#include <string.h>

#define MB INT64_C(1000000)
#define FAT_TREE(k, o) \
    { .kind = FABRIC_FAT_TREE, .radix = k, .oversubscribed_permille = (o)*1000 }
#define LEAF_SPINE(p, n, s, o)                                             \
    {                                                                      \
        .kind = FABRIC_LEAF_SPINE, .pods = p, .pod_nodes = n, .spines = s, \
        .oversubscribed_permille = (o)*1000                                \
    }
#define TORUS(d, ...)                                                   \
    {                                                                   \
        .kind = FABRIC_TORUS, .dimensions = d, .sizes = { __VA_ARGS__ } \
    }
#define DRAGONFLY(g, a, p, h) \
    { .kind = FABRIC_DRAGONFLY, .groups = g, .routers = a, .ports = p, .globals = h }

typedef struct {
    Fabric fabric;
    int per_node;
    int flows;  // on the fullest link of an all-to-all, by a rail's rate: see below
    int hops;   // the longest path of a ring, in links
    int slow;   // a ring's slowest link: a rail's rate divided by this
} Case;

// All-to-all, `flows`:
//   fat tree      a rail: 15. Oversubscribed by 2: up from an edge 2 * 14 / 2, at half the rate
//   leaf-spine    a rail: 11 over spines and 3 in the leaf. Oversubscribed by 2, a link of a leaf
//                 is as fast as a rail: 4 devices * 8 / 2 to the other pod, 12 / 2 to other leaves
//   torus         a ring of k: k * k / 8 where k is even, else (k * k - 1) / 8; times the rows
//   dragonfly     of two groups of two: the link between them, 2 * 2. Else a rail: all
//                 others; in a group of 4 * 2 from router to router 4 + 32 + 32
// Ring, `hops`: over all levels; over two dimensions at the end of a row; over a local and a global
// link, rails besides. 0: pairs of neighbours share a local link, and no closed form is known.
// `slow`: an oversubscribed edge has half a rail for each of its devices; of a leaf's four, two
// send over each spine.
static const Case cases[] = {
    {FAT_TREE(4, 1), 1, 15, 6, 1},
    {FAT_TREE(4, 2), 1, 28, 6, 2},
    {LEAF_SPINE(2, 4, 2, 1), 2, 14, 4, 1},
    {LEAF_SPINE(2, 4, 2, 2), 2, 22, 4, 2},
    {TORUS(1, 4), 1, 2, 1, 1},
    {TORUS(1, 5), 1, 3, 1, 1},
    {TORUS(2, 4, 4), 1, 8, 2, 1},
    {TORUS(3, 4, 4, 4), 1, 32, 3, 1},
    {DRAGONFLY(2, 2, 1, 1), 1, 4, 4, 1},
    {DRAGONFLY(3, 2, 1, 1), 1, 5, 0, 0},
    {DRAGONFLY(9, 4, 2, 2), 1, 71, 0, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

static TopologyOptions options_of(const Fabric *f, int per_node, int64_t rate, int64_t latency) {
    return (TopologyOptions){.nodes = (int32_t)fabric_nodes(f, per_node),
                             .devices_per_node = per_node,
                             .link = {rate, latency},
                             .rail = {rate, latency},
                             .fabric = f};
}

static NodeMesh cube_mesh(void) {
    Arena a = {0};
    Machine m;
    ck_assert_ok(machine_read(&m, &a, "dgx-v100"));
    arena_finish(&a);
    return m.mesh;
}

// --- paths

// To which switch, router or node a device is attached.
static int attached(const Topology *t, int device) {
    const Fabric *f = &t->fabric;
    int node = device / t->devices_per_node, place = device % t->devices_per_node;
    switch (f->kind) {
    case FABRIC_FAT_TREE: return device / (f->radix / 2);
    case FABRIC_LEAF_SPINE: return node / f->pod_nodes * t->devices_per_node + place;
    case FABRIC_DRAGONFLY: return device / f->ports;
    default: return node;
    }
}

static bool is_trunk(const Topology *t, int32_t link) {
    return link >= t->first_trunk && link < t->first_trunk + t->trunks;
}

// Links that exist, each once, and trunks that lead from the source's switch to the destination's.
static void check_path(const TopologyCase *w, int from, int to, bool *used) {
    const Topology *t = &w->topology;
    Path p = topology_path(t, from, to), back = topology_path(t, to, from);
    int at = attached(t, from);
    ck_assert_int_eq(p.hops, back.hops);
    ck_assert(p.hops > 0 && p.hops <= PATH_MOST);
    for (int h = 0; h < p.hops; h++) {
        ck_assert(p.links[h] >= 0 && p.links[h] < w->network.link_count);
        for (int g = 0; g < h; g++) ck_assert_int_ne(p.links[g], p.links[h]);
        used[p.links[h]] = true;
        if (!is_trunk(t, p.links[h])) {
            ck_assert(h == 0 || h == p.hops - 1);
            continue;
        }
        int32_t begin, end;
        topology_ends(t, p.links[h], &begin, &end);
        ck_assert_int_eq(begin, at);
        at = end;
    }
    if (!topology_within(t, from, to)) ck_assert_int_eq(at, attached(t, to));
}

static void check_all_paths(const Fabric *f, int per_node) {
    TopologyCase w;
    TopologyOptions o = options_of(f, per_node, MB, 0);
    topology_case_init(&w, &o);
    int devices = topology_devices(&w.topology);
    bool *used = calloc((size_t)w.network.link_count, sizeof *used);
    ck_assert_ptr_nonnull(used);
    for (int a = 0; a < devices; a++)
        for (int b = 0; b < devices; b++)
            if (a != b) check_path(&w, a, b, used);
    ck_assert_int_eq(topology_path(&w.topology, 1, 1).hops, 0);
    int first = per_node == 1 && w.topology.first_link != -1 ? 2 * devices : 0;  // no neighbours
    for (int i = first; i < w.network.link_count; i++)
        ck_assert_msg(used[i], "%s, link %d of %d: nobody takes it", fabric_name(f), i,
                      w.network.link_count);
    free(used);
    topology_case_finish(&w);
}

START_TEST(paths_lead_from_every_device_to_every_other_and_leave_no_link_unused) {
    static const Fabric more[] = {FAT_TREE(8, 1), LEAF_SPINE(3, 2, 2, 1), TORUS(3, 3, 4, 5),
                                  TORUS(2, 4, 3)};
    for (int i = 0; i < CASES; i++) check_all_paths(&cases[i].fabric, cases[i].per_node);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) check_all_paths(&more[i], 2);
}
END_TEST

static void check_hops(const Fabric *f, int from, int to, const char *ends) {
    TopologyCase w;
    char text[200] = "";
    TopologyOptions o = options_of(f, 1, MB, 0);
    topology_case_init(&w, &o);
    Path p = topology_path(&w.topology, from, to);
    for (int h = 0; h < p.hops; h++) {
        int32_t begin, end;
        if (!is_trunk(&w.topology, p.links[h])) continue;
        topology_ends(&w.topology, p.links[h], &begin, &end);
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%d-%d", n ? " " : "", begin, end);
    }
    ck_assert_str_eq(text, ends);
    topology_case_finish(&w);
}

// Radix 4: edge switches 0 to 7, then aggregation, 8 to 15, then the core, of which 16 and 17 are
// over column 0. Device 4 is at edge 2, in pod 1: column 0 and core 0. Groups of two routers: those
// of group 0 have the links to groups 1 and 2.
START_TEST(routes_are_those_of_the_books) {
    const Fabric tree = FAT_TREE(4, 1), torus = TORUS(2, 4, 4), fly = DRAGONFLY(3, 2, 1, 1);
    check_hops(&tree, 0, 1, "");
    check_hops(&tree, 0, 2, "0-8 8-1");
    check_hops(&tree, 0, 3, "0-9 9-1");
    check_hops(&tree, 0, 4, "0-8 8-16 16-10 10-2");
    check_hops(&tree, 0, 7, "0-9 9-19 19-11 11-3");
    check_hops(&torus, 0, 5, "0-1 1-5");
    check_hops(&torus, 5, 0, "5-4 4-0");
    check_hops(&torus, 0, 15, "0-3 3-15");
    check_hops(&torus, 0, 2, "0-1 1-2");
    check_hops(&torus, 1, 3, "1-0 0-3");
    check_hops(&fly, 0, 1, "0-1");
    check_hops(&fly, 0, 2, "0-2");
    check_hops(&fly, 0, 5, "0-1 1-4 4-5");
}
END_TEST

// Two NVLinks lead from 0 to 3 and one from 0 to 1; 5 is two wires away, over 1 rather than 4.
START_TEST(wires_of_a_node_lead_over_the_lowest_neighbour) {
    const NodeMesh mesh = cube_mesh();
    TopologyCase w;
    topology_case_init(&w, &(TopologyOptions){.nodes = 2,
                                      .devices_per_node = 8,
                                      .link = {150000 * MB, 300000},
                                      .rail = {MB, 0},
                                      .mesh = &mesh});
    const Topology *t = &w.topology;
    int32_t from, to;
    for (int node = 0; node < 2; node++)
        for (int back = 0; back < 2; back++) {
            int a = 8 * node, b = 8 * node + 5;
            Path p = back ? topology_path(t, b, a) : topology_path(t, a, b);
            ck_assert_int_eq(p.hops, 2);
            topology_ends(t, p.links[0], &from, &to);
            ck_assert(from == (back ? b : a) && to == 8 * node + 1);
            topology_ends(t, p.links[1], &from, &to);
            ck_assert(from == 8 * node + 1 && to == (back ? a : b));
        }
    Path single = topology_path(t, 0, 1), twin = topology_path(t, 3, 0);
    ck_assert(single.hops == 1 && twin.hops == 1);
    ck_assert_int_eq(w.network.links[single.links[0]].bytes_per_s, 25000 * MB);
    ck_assert_int_eq(w.network.links[twin.links[0]].bytes_per_s, 50000 * MB);
    Path across = topology_path(t, 3, 8);
    ck_assert_int_eq(across.hops, 2);
    ck_assert_int_eq(w.network.links[across.links[0]].bytes_per_s, MB);
    topology_case_finish(&w);
}
END_TEST

// --- times

// Every device sends to the one `shift` further, over the middle of the network: so many times as
// long as over a rail.
static void check_shift(const Fabric *f, int per_node, int shift, int times) {
    TopologyCase w;
    TopologyOptions o = options_of(f, per_node, 2 * MB, 0);
    topology_case_init(&w, &o);
    int devices = topology_devices(&w.topology);
    for (int d = 0; d < devices; d++) topology_case_send(&w, d, (d + shift) % devices, 2 * MB);
    ck_assert_ok(engine_run(&w.engine));
    ck_assert_int_eq(w.ended, devices);
    ck_assert_int_eq(w.last_ps, times * PS_PER_S);
    topology_case_finish(&w);
}

// Half of a torus' ring of k sends each way: k / 4 on each link. A dragonfly's groups of two have
// one link to the next group.
START_TEST(halves_exchange_at_the_bisection_bandwidth) {
    check_shift(&(Fabric)FAT_TREE(4, 1), 1, 8, 1);
    check_shift(&(Fabric)FAT_TREE(4, 2), 1, 8, 2);
    check_shift(&(Fabric)LEAF_SPINE(2, 2, 2, 1), 2, 4, 1);
    check_shift(&(Fabric)LEAF_SPINE(2, 2, 2, 2), 2, 4, 2);
    check_shift(&(Fabric)TORUS(1, 8), 1, 4, 2);
    check_shift(&(Fabric)TORUS(1, 16), 1, 8, 4);
    check_shift(&(Fabric)TORUS(2, 4, 4), 1, 8, 1);
    check_shift(&(Fabric)DRAGONFLY(3, 2, 1, 1), 1, 2, 2);
}
END_TEST

static int64_t all_to_all(TopologyCase *w, int64_t bytes) {
    int devices = topology_devices(&w->topology);
    for (int a = 0; a < devices; a++)
        for (int b = 0; b < devices; b++)
            if (a != b) topology_case_send(w, a, b, bytes);
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_int_eq(w->ended, devices * (devices - 1));
    return w->last_ps;
}

START_TEST(an_all_to_all_takes_what_its_fullest_link_carries) {
    for (int i = 0; i < CASES; i++) {
        TopologyCase w;
        const Case *c = &cases[i];
        TopologyOptions o = options_of(&c->fabric, c->per_node, c->flows * MB, 0);
        topology_case_init(&w, &o);
        int64_t ps = all_to_all(&w, MB);
        ck_assert_msg(ps == PS_PER_S, "case %d: %lld ps", i, (long long)ps);
        topology_case_finish(&w);
    }
}
END_TEST

// A single wire between the quads, 2-6 or 3-7, carries its own pair and three that it is the way
// of; a wire is a sixth of a device's link.
START_TEST(an_all_to_all_over_the_cube_mesh_waits_for_its_single_wires) {
    const NodeMesh mesh = cube_mesh();
    TopologyCase w;
    topology_case_init(&w, &(TopologyOptions){
                       .nodes = 1, .devices_per_node = 8, .link = {6 * 4 * MB, 0}, .mesh = &mesh});
    ck_assert_int_eq(all_to_all(&w, MB), PS_PER_S);
    topology_case_finish(&w);
}
END_TEST

static int64_t ring(const TopologyOptions *o, int64_t chunk_bytes) {
    TopologyCase w;
    int32_t id;
    topology_case_init(&w, o);
    int ranks = topology_devices(&w.topology);
    TransferCall call = {
        .what = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, ranks, 0, ranks * chunk_bytes / 4},
        .element_bytes = 4,
        .done = {w.actor, 0, 0, 0}};
    ck_assert_ok(transfer_begin(&w.transfers, &id, &call));
    for (int m = 0; m < ranks; m++) ck_assert_ok(transfer_arrive(&w.transfers, id, m, 0));
    ck_assert_ok(engine_run(&w.engine));
    ck_assert_int_eq(w.ended, ranks);
    topology_case_finish(&w);
    return w.last_ps;
}

// Every round waits for the slowest pair of neighbours: 2 (P - 1) times its latency and bytes.
START_TEST(a_ring_takes_its_rounds_at_the_slowest_neighbours) {
    const int64_t latency = 1000000, chunk = 4000, rate = 4000 * MB;
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        if (!c->hops) continue;
        TopologyOptions o = options_of(&c->fabric, c->per_node, rate, latency);
        int64_t round = c->hops * latency + c->slow * chunk * PS_PER_S / rate;
        int64_t rounds = 2 * (o.nodes * o.devices_per_node - 1), ps = ring(&o, chunk);
        ck_assert_msg(ps == rounds * round, "case %d: %lld ps, not %lld", i, (long long)ps,
                      (long long)(rounds * round));
    }
}
END_TEST

// From 7 to 0 two wires, one of them single.
START_TEST(a_ring_over_the_cube_mesh_goes_at_a_single_wire) {
    const NodeMesh mesh = cube_mesh();
    const int64_t latency = 1000000, chunk = 4000, rate = 4000 * MB;
    TopologyOptions o = {
        .nodes = 1, .devices_per_node = 8, .link = {6 * rate, latency}, .mesh = &mesh};
    ck_assert_int_eq(ring(&o, chunk), 14 * (2 * latency + chunk * PS_PER_S / rate));
}
END_TEST

// Eight links, more than a flow keeps in one part: bytes go through all at once, or link by link.
START_TEST(a_long_path_is_paid_link_by_link_where_messages_are_stored) {
    const Fabric f = TORUS(1, 16);
    for (int stored = 0; stored < 2; stored++) {
        TopologyCase w;
        TopologyOptions o = options_of(&f, 1, MB, 1000);
        o.store_and_forward = stored;
        topology_case_init(&w, &o);
        for (int again = 0; again < 3; again++) {
            int64_t begin = w.engine.now_ps;
            topology_case_send(&w, 0, 8, MB);
            ck_assert_ok(engine_run(&w.engine));
            ck_assert_int_eq(w.last_ps - begin, 8 * 1000 + (stored ? 8 : 1) * PS_PER_S);
        }
        ck_assert_int_eq(w.network.flow_count, 2);  // both parts are used again
        for (int i = 0; i < w.network.link_count; i++) {
            int32_t from, to;
            topology_ends(&w.topology, i, &from, &to);
            ck_assert_int_eq(w.network.links[i].carried_bytes,
                             to == from + 1 && from < 8 ? 3 * MB : 0);
        }
        topology_case_finish(&w);
    }
}
END_TEST

// --- what is refused

static void refuse(TopologyOptions o, const char *why) {
    Engine e;
    Network n;
    Topology t;
    ck_assert_ok(engine_init(&e));
    ck_assert_ok(network_init(&n, &e));
    ck_assert_fails(topology_init(&t, &n, &o), ERR_USAGE, why);
    network_finish(&n);
    engine_finish(&e);
}

START_TEST(what_does_not_fit_a_network_is_refused) {
    const Fabric tree = FAT_TREE(4, 1);
    const NodeMesh mesh = cube_mesh();
    TopologyOptions o = options_of(&tree, 1, MB, 0);
    o.nodes = 17;
    refuse(o, "17 nodes, and the fat tree connects 16");
    o = options_of(&tree, 1, MB, 0);
    o.shared_rail = true;
    refuse(o, "share a rail");
    o = options_of(&tree, 1, MB, INT64_MAX / 8);
    refuse(o, "above 40 hours");
    o = (TopologyOptions){.nodes = 1, .devices_per_node = 4, .link = {MB, 0}, .mesh = &mesh};
    refuse(o, "wires of 8 devices, in nodes of 4");
}
END_TEST

START_TEST(prices_know_no_network_but_ports) {
    const Fabric torus = TORUS(2, 4, 4);
    const NodeMesh mesh = cube_mesh();
    TopologyOptions options[] = {
        options_of(&torus, 1, MB, 0),
        {.nodes = 1, .devices_per_node = 8, .link = {6 * MB, 0}, .mesh = &mesh}};
    for (int i = 0; i < 2; i++) {
        TopologyCase w;
        PricedNetwork p;
        topology_case_init(&w, &options[i]);
        ck_assert_fails(priced_init(&p, &w.network, &w.topology, &options[i]), ERR_USAGE,
                        i ? "not a mesh of wires" : "not a torus");
        priced_finish(&p);
        topology_case_finish(&w);
    }
}
END_TEST

// Up and down, and a rail up and down, for each of three ports; and for all sixteen devices.
START_TEST(devices_that_others_stand_for_have_no_links) {
    for (int ports = 0; ports <= 3; ports += 3) {
        TopologyCase w;
        topology_case_init(&w, &(TopologyOptions){.nodes = 4,
                                                  .devices_per_node = 4,
                                                  .link = {MB, 0},
                                                  .rail = {MB, 0},
                                                  .ports = ports});
        ck_assert_int_eq(w.network.link_count, 4 * (ports ? ports : 16));
        ck_assert_int_eq(topology_devices(&w.topology), 16);
        ck_assert(!topology_within(&w.topology, 3, 4));
        topology_case_finish(&w);
    }
}
END_TEST

SUITE("topology", devices_that_others_stand_for_have_no_links,
      paths_lead_from_every_device_to_every_other_and_leave_no_link_unused,
      routes_are_those_of_the_books, wires_of_a_node_lead_over_the_lowest_neighbour,
      halves_exchange_at_the_bisection_bandwidth, an_all_to_all_takes_what_its_fullest_link_carries,
      an_all_to_all_over_the_cube_mesh_waits_for_its_single_wires,
      a_ring_takes_its_rounds_at_the_slowest_neighbours,
      a_ring_over_the_cube_mesh_goes_at_a_single_wire,
      a_long_path_is_paid_link_by_link_where_messages_are_stored,
      what_does_not_fit_a_network_is_refused, prices_know_no_network_but_ports)
