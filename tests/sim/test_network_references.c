// SPDX-License-Identifier: MIT
// Times that other simulators and closed forms give, to the picosecond: what each counts besides
// latency and bytes over bandwidth is expressed by the links and rates of a network here, and every
// message is followed.
#include "core/base/units.h"
#include "sim/transfer.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#define GB INT64_C(1000000000)
#define NS INT64_C(1000)

enum { FLOAT_BYTES = 4, DEVICES = 64 };

typedef struct {
    Engine engine;
    Network network;
    Topology topology;
    Transfers transfers;
    int16_t actor;
    int ended;
    int64_t end_ps[DEVICES];  // of each member's last round, or of each message
} World;

static Status world_handle(void *context, Event event) {
    World *w = context;
    w->ended++;
    if (event.kind == 0) w->end_ps[event.a + event.b] = w->engine.now_ps;
    return OK;
}

static World *world_create(const TopologyOptions *o) {
    World *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    ck_assert_ok(engine_init(&w->engine));
    ck_assert_ok(network_init(&w->network, &w->engine));
    ck_assert_ok(topology_init(&w->topology, &w->network, o));
    ck_assert_ok(transfers_init(&w->transfers, &w->engine, &w->network, &w->topology));
    ck_assert_ok(engine_add_actor(&w->engine, &w->actor, w, world_handle, NULL));
    return w;
}

static void world_destroy(World *w) {
    transfers_finish(&w->transfers);
    network_finish(&w->network);
    engine_finish(&w->engine);
    free(w);
}

// Devices on one switch: a message takes alpha_ps, half on each of its two links, and its bytes.
static World *world_of(int devices, int64_t bytes_per_s, int64_t alpha_ps) {
    LinkModel link = {bytes_per_s, alpha_ps / 2};
    return world_create(&(TopologyOptions){.nodes = 1, .devices_per_node = devices, .link = link});
}

// The lowest rate at which the network carries so many bytes in that time, rounded up to it.
static int64_t rate_of(int64_t bytes, int64_t ps) {
    return (int64_t)(((Carried)bytes * PS_PER_S + (Carried)ps - 1) / (Carried)ps);
}

// All members come now. Member m is told in end_ps[first + m].
static void begin(World *w, Collective what, const int32_t *devices, int first, int64_t add_rate) {
    int32_t id;
    TransferCall call = {.what = what,
                         .element_bytes = FLOAT_BYTES,
                         .devices = devices,
                         .add_bytes_per_s = add_rate,
                         .done = {w->actor, 0, first, 0}};
    ck_assert_ok(transfer_begin(&w->transfers, &id, &call));
    for (int m = 0; m < what.ranks; m++) ck_assert_ok(transfer_arrive(&w->transfers, id, m, 0));
}

static void ck_assert_all_end(const World *w, int members, int64_t want_ps) {
    for (int m = 0; m < members; m++) ck_assert_int_eq(w->end_ps[m], want_ps);
}

// --- SimGrid: models LV08 and CM02

// Its documentation's example, "Models.rst": 100 kB over a link of 1 Mbit/s and 10 ms take
// 10 ms x 13.01 + 100 kB / (0.97 x 1 Mbit/s / 1.05) = 0.996079 s: latencies are longer by 13.01,
// bandwidths 97 %, and acknowledgements take 5 % of what the data take from the same link. So of
// 20 units that the link carries, a byte takes 21.
START_TEST(simgrid_example_of_lv08_is_0_996079_s) {
    World *w = world_of(1, GB, 0);
    int32_t link;
    ck_assert_ok(network_add_link(&w->network, &link, 20 * 121250, 10 * 13010 * PS_PER_US));
    ck_assert_ok(network_start(&w->network, &(Path){1, {link}}, INT64_C(21) * 100000,
                               (Event){w->actor, 0, 0, 0}));
    ck_assert_ok(engine_run(&w->engine));
    // 130.1 ms and 2,100,000 / 2,425,000 s = 865,979,381,443.3 ps, rounded up.
    ck_assert_int_eq(w->end_ps[0], INT64_C(130100000000) + INT64_C(865979381444));
    ck_assert_int_eq((w->end_ps[0] + PS_PER_US / 2) / PS_PER_US, 996079);
    world_destroy(w);
}
END_TEST

// CM02 without factors, two flows that cross in opposite directions: each also takes 5 % of the
// link of the other (its acknowledgements), so that both have 1/1.05 of it.
START_TEST(acknowledgements_of_flows_that_cross_take_5_percent) {
    World *w = world_of(1, GB, 0);
    int32_t link[2];
    for (int i = 0; i < 2; i++)
        ck_assert_ok(network_add_link(&w->network, &link[i], 1075 * 1000000, 0));
    for (int i = 0; i < 2; i++) {
        NetworkUse uses[] = {{link[i], 1024}, {link[!i], 51}};  // 51 of 1024: 4.98 %
        ck_assert_ok(network_start_wide(&w->network, uses, 2, 1024000, INT64_MAX, PS_PER_US,
                                        (Event){w->actor, 0, i, 0}));
    }
    ck_assert_ok(engine_run(&w->engine));
    // 1075 MB/s of which a flow takes 1024 parts of 1075: 1 ms.
    ck_assert_all_end(w, 2, PS_PER_US + 1000 * PS_PER_US);
    world_destroy(w);
}
END_TEST

// --- ASTRA-sim's analytical network

// Its rules: a message takes whole nanoseconds, latency and bytes / bandwidth rounded down
// together, and the endpoint's delay before it is sent; "GB/s" are GiB/s on links, 10^9 B/s of
// memory. A reduction reads two operands and writes one. An array is cut into splits, of which one
// at a time is under way, each after another endpoint's delay.
typedef struct {
    int npus, splits;
    int64_t latency_ns, gib_per_s, endpoint_ns, memory_gb_per_s;
} Astra;

static int64_t astra_ns(CollectiveKind kind, int64_t bytes, const Astra *x) {
    int64_t message = bytes / x->splits / (kind == COLLECTIVE_ALL_REDUCE ? x->npus : 1);
    int64_t carried_ns = message * GB / (x->gib_per_s << 30);
    int64_t add_ns = 3 * (message / x->memory_gb_per_s);
    World *w =
        world_of(x->npus, rate_of(message, carried_ns * NS), (x->latency_ns + x->endpoint_ns) * NS);
    int64_t elements = message / FLOAT_BYTES * x->npus;
    for (int split = 0; split < x->splits; split++) {
        ck_assert_ok(
            engine_push(&w->engine, NULL, x->endpoint_ns * NS, (Event){w->actor, 1, 0, 0}));
        ck_assert_ok(engine_run(&w->engine));
        begin(w, (Collective){kind, ALGORITHM_RING, x->npus, 0, elements}, NULL, 0,
              rate_of(message, add_ns * NS));
        ck_assert_ok(engine_run(&w->engine));
        ck_assert_all_end(w, x->npus, w->engine.now_ps);
    }
    int64_t end_ps = w->engine.now_ps;
    ck_assert_int_eq(w->ended, (x->npus + 1) * x->splits);
    world_destroy(w);
    ck_assert_int_eq(end_ps % NS, 0);
    return end_ps / NS;
}

// Cycles of a nanosecond that ASTRA-sim prints for its own regression test and microbenchmarks.
START_TEST(rings_of_astra_sim_take_its_exact_cycles) {
    const int64_t mib = INT64_C(1) << 20;
    ck_assert_int_eq(astra_ns(COLLECTIVE_ALL_REDUCE, mib, &(Astra){8, 4, 500, 50, 10, 50}), 117780);
    ck_assert_int_eq(astra_ns(COLLECTIVE_ALL_REDUCE, mib, &(Astra){8, 4, 500, 50, 10, 1600}),
                     64440);
    ck_assert_int_eq(astra_ns(COLLECTIVE_ALL_GATHER, mib, &(Astra){16, 4, 500, 50, 10, 50}),
                     323560);
}
END_TEST

// Messages on a ring of `npus` whose links store and forward, each the shorter way, clockwise where
// both are as long. A path holds few links, so that a message goes on where one has ended.
typedef struct {
    World *w;
    int npus;
    int32_t links[2][DEVICES];  // clockwise from each, and the other way
    int64_t bytes, last_ps;
    int16_t actor;
} Ring;

static Status ring_go_on(void *context, Event event) {
    Ring *r = context;
    int at = event.a, ahead = ((int)event.b - at + r->npus) % r->npus;
    bool clockwise = 2 * ahead <= r->npus;
    int left = clockwise ? ahead : r->npus - ahead, step = clockwise ? 1 : r->npus - 1;
    Path path = {.hops = 0};
    r->last_ps = r->w->engine.now_ps;
    if (left == 0) return OK;
    for (; left > 0 && path.hops < PATH_LINKS; left--, at = (at + step) % r->npus)
        path.links[path.hops++] = r->links[!clockwise][at];
    return network_start(&r->w->network, &path, r->bytes, (Event){r->actor, 0, at, event.b});
}

// Each of 16 sends 1 MiB to every other at once, in ASTRA-sim's network that is aware of congestion
// (50 GB/s, 500 ns): links are busy for 19,531 of 19,531.25 ns, a hop takes 20,031 ns.
START_TEST(a_direct_all_gather_on_a_ring_takes_the_exact_cycles_of_astra_sim) {
    Ring r = {.w = world_of(1, GB, 0), .npus = 16, .bytes = INT64_C(1) << 20};
    const int64_t rate = rate_of(r.bytes, 19531 * NS);
    r.w->network.store_and_forward = true;
    ck_assert_ok(engine_add_actor(&r.w->engine, &r.actor, &r, ring_go_on, NULL));
    for (int way = 0; way < 2; way++)
        for (int i = 0; i < r.npus; i++)
            ck_assert_ok(network_add_link(&r.w->network, &r.links[way][i], rate, 500 * NS));
    for (int k = 1; k < r.npus; k++)
        for (int i = 0; i < r.npus; i++)
            ck_assert_ok(ring_go_on(&r, (Event){r.actor, 0, i, (i + k) % r.npus}));
    ck_assert_ok(engine_run(&r.w->engine));
    ck_assert_int_eq(r.last_ps, 704116 * NS);
    world_destroy(r.w);
}
END_TEST

// Two messages of 1000 B and 3000 B over a fast and a slow link: the second leaves the first link
// after both, and comes to the slow one while it still carries the first.
START_TEST(a_link_that_stores_and_forwards_carries_one_message_after_another) {
    World *w = world_of(1, GB, 0);
    w->network.store_and_forward = true;
    Path path = {.hops = 2};
    ck_assert_ok(network_add_link(&w->network, &path.links[0], GB, 10 * NS));
    ck_assert_ok(network_add_link(&w->network, &path.links[1], GB / 5, 20 * NS));
    for (int i = 0; i < 2; i++)
        ck_assert_ok(
            network_start(&w->network, &path, i ? 3000 : 1000, (Event){w->actor, 0, i, 0}));
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_int_eq(w->end_ps[0], (1000 + 10 + 5000 + 20) * NS);
    // It is at the slow link after 1000 + 3000 + 10 ns, which is free after 6010 ns.
    ck_assert_int_eq(w->end_ps[1], (6010 + 15000 + 20) * NS);
    world_destroy(w);
}
END_TEST

// --- closed forms

// Alpha-beta (Hockney): a message takes alpha + bytes / B. Arrays whose chunks are whole.
START_TEST(rings_take_what_alpha_beta_says) {
    const int64_t alpha_ps = 3 * PS_PER_US;
    for (int n = 2; n <= DEVICES; n++) {
        int64_t chunk = INT64_C(1000) * n, round_ps = alpha_ps + chunk * 500;  // of 2 GB/s
        Collective what = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, n, 0, chunk / FLOAT_BYTES * n};
        static const struct {
            CollectiveKind kind;
            int rounds;
        } kinds[] = {
            {COLLECTIVE_ALL_REDUCE, 2}, {COLLECTIVE_REDUCE_SCATTER, 1}, {COLLECTIVE_ALL_GATHER, 1}};
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            World *w = world_of(n, 2 * GB, alpha_ps);
            what.kind = kinds[k].kind;
            begin(w, what, NULL, 0, 0);
            ck_assert_ok(engine_run(&w->engine));
            ck_assert_all_end(w, n, kinds[k].rounds * (n - 1) * round_ps);
            world_destroy(w);
        }
    }
}
END_TEST

// LogGP (Alexandrov et al., 1995): k bytes arrive o + (k - 1) G + L + o after they were sent. So a
// message waits for 2 o + L - G, and has a rate of 1 / G.
START_TEST(a_ring_takes_what_loggp_says) {
    enum { L = 2500, O = 1500, G = 5 };  // ns, the last for a byte
    const int n = 8;
    const int64_t k = 4096, message_ns = O + (k - 1) * G + L + O;
    World *w = world_of(n, GB / G, (2 * O + L - G) * NS);
    begin(w, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, n, 0, k / FLOAT_BYTES * n}, NULL,
          0, 0);
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_all_end(w, n, INT64_C(2) * (n - 1) * message_ns * NS);
    world_destroy(w);
}
END_TEST

// One round of messages between devices that are all at the same point; it ends with the last one.
static void exchange(World *w, int n, int distance, bool both, int64_t bytes) {
    for (int d = 0; d < n; d++) {
        int peer = d ^ distance;
        if (!both && (d & (2 * distance - 1))) continue;
        Path path = topology_path(&w->topology, d, peer);
        ck_assert_ok(network_start(&w->network, &path, bytes, (Event){w->actor, 0, peer, 0}));
    }
    ck_assert_ok(engine_run(&w->engine));
}

// Recursive halving, then doubling: 2 log2 n alpha + 2 (n - 1) / n S / B (Rabenseifner).
START_TEST(halving_and_doubling_takes_its_closed_form) {
    for (int n = 2, steps = 1; n <= DEVICES; n *= 2, steps++) {
        const int64_t alpha_ps = 3 * PS_PER_US, bytes = INT64_C(1) << 20;
        World *w = world_of(n, 2 * GB, alpha_ps);
        for (int d = n / 2; d >= 1; d /= 2) exchange(w, n, d, true, bytes / n * d);
        for (int d = 1; d < n; d *= 2) exchange(w, n, d, true, bytes / n * d);
        ck_assert_int_eq(w->network.messages, INT64_C(2) * steps * n);
        ck_assert_int_eq(w->engine.now_ps, 2 * steps * alpha_ps + 2 * (bytes / n * (n - 1)) * 500);
        world_destroy(w);
    }
}
END_TEST

// A binomial tree to the root and back: 2 log2 n (alpha + S / B).
START_TEST(a_binomial_tree_takes_its_closed_form) {
    for (int n = 2, steps = 1; n <= DEVICES; n *= 2, steps++) {
        const int64_t alpha_ps = 3 * PS_PER_US, bytes = INT64_C(1) << 20;
        World *w = world_of(n, 2 * GB, alpha_ps);
        for (int d = 1; d < n; d *= 2) exchange(w, n, d, false, bytes);
        for (int d = n / 2; d >= 1; d /= 2) exchange(w, n, d, false, bytes);
        ck_assert_int_eq(w->network.messages, INT64_C(2) * (n - 1));
        ck_assert_int_eq(w->engine.now_ps, 2 * steps * (alpha_ps + bytes * 500));
        world_destroy(w);
    }
}
END_TEST

// One part of a hierarchical all-reduce: a collective of each of `groups` groups at once, whose
// members are `stride` devices apart.
static void all_groups(World *w, Collective what, int groups, int stride) {
    int32_t devices[DEVICES];
    for (int g = 0; g < groups; g++) {
        int base = stride == 1 ? g * what.ranks : g;
        int32_t *members = devices + g * what.ranks;
        for (int m = 0; m < what.ranks; m++) members[m] = base + m * stride;
        begin(w, what, members, g * what.ranks, 0);
    }
    ck_assert_ok(engine_run(&w->engine));
}

// M nodes of N devices: a reduce-scatter around each node, an all-reduce of every device's share
// with those of its rail, an all-gather around each node:
// 2 (N - 1) (alpha + S / N / B) + 2 (M - 1) (alpha' + S / N / M / B').
START_TEST(a_hierarchical_all_reduce_takes_its_closed_form) {
    static const int shapes[][2] = {{2, 4}, {4, 2}, {4, 8}, {8, 8}, {3, 5}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int M = shapes[i][0], N = shapes[i][1];
        int64_t floats = INT64_C(1000) * M * N, bytes = floats * FLOAT_BYTES;
        World *w = world_create(&(TopologyOptions){.nodes = M,
                                                   .devices_per_node = N,
                                                   .link = {2 * GB, PS_PER_US},
                                                   .rail = {GB / 4, 5 * PS_PER_US}});
        all_groups(w, (Collective){COLLECTIVE_REDUCE_SCATTER, ALGORITHM_RING, N, 0, floats}, M, 1);
        all_groups(w, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, M, 0, floats / N}, N, N);
        all_groups(w, (Collective){COLLECTIVE_ALL_GATHER, ALGORITHM_RING, N, 0, floats}, M, 1);
        ck_assert_int_eq(w->ended, 3 * M * N);
        int64_t within_ps = 2 * (N - 1) * (2 * PS_PER_US + bytes / N * 500);
        int64_t across_ps = 2 * (M - 1) * (10 * PS_PER_US + bytes / N / M * 4000);
        ck_assert_all_end(w, M * N, within_ps + across_ps);
        world_destroy(w);
    }
}
END_TEST

SUITE("network_references", simgrid_example_of_lv08_is_0_996079_s,
      acknowledgements_of_flows_that_cross_take_5_percent, rings_of_astra_sim_take_its_exact_cycles,
      a_direct_all_gather_on_a_ring_takes_the_exact_cycles_of_astra_sim,
      a_link_that_stores_and_forwards_carries_one_message_after_another,
      rings_take_what_alpha_beta_says, a_ring_takes_what_loggp_says,
      halving_and_doubling_takes_its_closed_form, a_binomial_tree_takes_its_closed_form,
      a_hierarchical_all_reduce_takes_its_closed_form)
