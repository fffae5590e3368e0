// SPDX-License-Identifier: MIT
// Formulas of collectives against their messages one by one, and against numbers by hand;
// collectives in levels against their formula.
#include "sim/closed_form.h"

#include "core/base/units.h"
#include "sim/levels.h"
#include "tests/support/testing.h"

#include <string.h>

#define GB INT64_C(1000000000)
#define NS INT64_C(1000)

enum { FLOAT_BYTES = 4, DEVICES = 64, PIECES = 3 };

typedef struct {
    Engine engine;
    Network network;
    Topology topology;
    Transfers transfers;
    LeveledTransfers levels;
    int16_t actor;
    int ended;
    int64_t last_ps;
} World;

static Status world_handle(void *context, Event event) {
    World *w = context;
    if (event.kind == 1) return OK;  // time has passed
    w->ended++;
    w->last_ps = w->engine.now_ps;
    return OK;
}

// Links of 2 GB/s and 1 us a hop, rails of 250 MB/s and 5 us.
static TopologyOptions options_of(int nodes, int per_node) {
    return (TopologyOptions){.nodes = nodes,
                             .devices_per_node = per_node,
                             .link = {2 * GB, PS_PER_US},
                             .rail = {GB / 4, 5 * PS_PER_US}};
}

static ClosedForm alpha_beta(bool levels) {
    return (ClosedForm){.model = CLOSED_ALPHA_BETA,
                        .within = {2 * GB, 2 * PS_PER_US},
                        .across = {GB / 4, 10 * PS_PER_US},
                        .levels = levels};
}

static void world_init(World *w, const TopologyOptions *o) {
    *w = (World){.ended = 0};
    ck_assert_ok(engine_init(&w->engine));
    ck_assert_ok(network_init(&w->network, &w->engine));
    ck_assert_ok(topology_init(&w->topology, &w->network, o));
    ck_assert_ok(transfers_init(&w->transfers, &w->engine, &w->network, &w->topology));
    ck_assert_ok(leveled_transfers_init(&w->levels, &w->engine, &w->transfers, &w->topology));
    ck_assert_ok(engine_add_actor(&w->engine, &w->actor, w, world_handle, NULL));
}

static void world_finish(World *w) {
    leveled_transfers_finish(&w->levels);
    transfers_finish(&w->transfers);
    network_finish(&w->network);
    engine_finish(&w->engine);
}

static TransferCall call_of(const World *w, const Collective *c, const int32_t *devices) {
    return (TransferCall){
        .what = *c, .element_bytes = FLOAT_BYTES, .devices = devices, .done = {w->actor, 0, 0, 0}};
}

// When the last member has ended what all begin now, message by message.
static int64_t followed_ps(int nodes, int per_node, const Collective *c) {
    World w;
    const TopologyOptions o = options_of(nodes, per_node);
    world_init(&w, &o);
    int32_t id;
    const TransferCall call = call_of(&w, c, NULL);
    ck_assert_ok(transfer_begin(&w.transfers, &id, &call));
    for (int m = 0; m < c->ranks; m++) ck_assert_ok(transfer_arrive(&w.transfers, id, m, 0));
    ck_assert_ok(engine_run(&w.engine));
    ck_assert_int_eq(w.ended, c->ranks);
    int64_t ps = w.last_ps;
    world_finish(&w);
    return ps;
}

static int64_t formula_ps(const ClosedForm *f, const Collective *c, int nodes, int per_node) {
    int64_t ps;
    const GroupSpread spread = {nodes, per_node, per_node};
    ck_assert_ok(closed_form_collective(&ps, f, c, FLOAT_BYTES, &spread));
    return ps;
}

static const struct {
    CollectiveKind kind;
    Algorithm algorithm;
} schedules[] = {
    {COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT},     {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING},
    {COLLECTIVE_REDUCE_SCATTER, ALGORITHM_DIRECT}, {COLLECTIVE_REDUCE_SCATTER, ALGORITHM_RING},
    {COLLECTIVE_ALL_GATHER, ALGORITHM_DIRECT},     {COLLECTIVE_ALL_GATHER, ALGORITHM_RING},
    {COLLECTIVE_BROADCAST, ALGORITHM_DIRECT},      {COLLECTIVE_BROADCAST, ALGORITHM_RING},
    {COLLECTIVE_REDUCE, ALGORITHM_DIRECT},         {COLLECTIVE_SCATTER, ALGORITHM_DIRECT},
    {COLLECTIVE_GATHER, ALGORITHM_DIRECT},         {COLLECTIVE_ALL_TO_ALL, ALGORITHM_DIRECT},
    {COLLECTIVE_BARRIER, ALGORITHM_DIRECT},
};

static void check_schedule(int s, int nodes, int per_node, int64_t elements) {
    ClosedForm f = alpha_beta(false);
    if (nodes == 1) f.across = (LinkModel){0, 0};
    if (per_node == 1) f.within = (LinkModel){0, 0};
    Collective c = {schedules[s].kind, schedules[s].algorithm, nodes * per_node, 0, elements, 0};
    if (c.kind == COLLECTIVE_BARRIER) c.elements = 0;
    if (c.kind == COLLECTIVE_BROADCAST && c.algorithm == ALGORITHM_RING) c.elements = PIECES << 16;
    int64_t want_ps = followed_ps(nodes, per_node, &c);
    ck_assert_msg(formula_ps(&f, &c, nodes, per_node) == want_ps,
                  "%s, %s, %d nodes of %d: %lld ps, its messages take %lld",
                  collective_name(c.kind), algorithm_name(c.algorithm), nodes, per_node,
                  (long long)formula_ps(&f, &c, nodes, per_node), (long long)want_ps);
}

START_TEST(alpha_beta_is_what_the_messages_take_one_by_one) {
    static const int shapes[][2] = {{1, 2}, {1, 3}, {1, 8}, {2, 1}, {5, 1},
                                    {2, 2}, {2, 4}, {4, 2}, {3, 5}, {4, 8}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t s = 0; s < sizeof schedules / sizeof *schedules; s++) {
            int nodes = shapes[i][0], per_node = shapes[i][1];
            check_schedule((int)s, nodes, per_node, INT64_C(1000) * nodes * per_node);
        }
}
END_TEST

// Chunks that differ by an element: a ring waits for the largest, which passes all members.
START_TEST(the_largest_chunk_counts) {
    for (int s = 0; s < 6; s++)
        for (int extra = 1; extra < 8; extra += 3) check_schedule(s, 1, 8, 8000 + extra);
}
END_TEST

// As suite network_references follows them: 8 members around a ring, chunks of 4096 bytes, L 2500,
// o 1500, G 5 ns; the gap does not matter, as a member sends one at a time. Directly it sends 7 in
// each of two rounds: o + 7 (k - 1) G + 6 g + L + o.
START_TEST(loggp_gives_its_worked_examples) {
    enum { L = 2500, O = 1500, G = 5, GAP = 1000, K = 4096, N = 8 };
    const ClosedForm f = {.model = CLOSED_LOGGP,
                          .overhead_ps = O * NS,
                          .gap_ps = GAP * NS,
                          .within = {GB / G, L * NS}};
    Collective c = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, N, 0, K / FLOAT_BYTES * N, 0};
    ck_assert_int_eq(formula_ps(&f, &c, 1, N),
                     INT64_C(2) * (N - 1) * (O + (int64_t)(K - 1) * G + L + O) * NS);
    c.algorithm = ALGORITHM_DIRECT;
    ck_assert_int_eq(formula_ps(&f, &c, 1, N),
                     2 * (O + (int64_t)(N - 1) * (K - 1) * G + (N - 2) * GAP + L + O) * NS);
    int64_t ps;
    ck_assert_ok(closed_form_message(&ps, &f, K, false));
    ck_assert_int_eq(ps, (O + (int64_t)(K - 1) * G + L + O) * NS);
    ck_assert_ok(closed_form_message(&ps, &f, 0, false));
    ck_assert_int_eq(ps, (O + L + O) * NS);
}
END_TEST

START_TEST(what_has_no_form_is_refused) {
    ClosedForm f = alpha_beta(false);
    int64_t ps;
    const GroupSpread spread = {1, 4, 4};
    Collective c = {COLLECTIVE_ALL_REDUCE, ALGORITHM_CHAIN, 4, 0, 100, 0};
    ck_assert_fails(closed_form_collective(&ps, &f, &c, 4, &spread), ERR_USAGE,
                    "a chain has no closed form");
    c.algorithm = ALGORITHM_DIRECT;
    f.within.bytes_per_s = 2;
    ck_assert_fails(closed_form_collective(&ps, &f, &c, 4, &spread), ERR_USAGE,
                    "less than 1 byte/s for each of 3 messages");
    c = (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 4, 0, INT64_C(1) << 40, 0};
    ck_assert_fails(closed_form_collective(&ps, &f, &c, 4, &spread), ERR_FAILED, "106 days");
    c.ranks = 1;
    ck_assert_ok(closed_form_collective(&ps, &f, &c, 4, &(GroupSpread){1, 1, 1}));
    ck_assert_int_eq(ps, 0);
}
END_TEST

// --- levels

// The members' devices, in the order of `devices` or of their numbers, at `delay_ps` after another.
static int64_t levels_ps(World *w, const Collective *c, const int32_t *devices, int64_t delay_ps) {
    int32_t id;
    const TransferCall call = call_of(w, c, devices);
    w->ended = 0;
    ck_assert_ok(leveled_transfer_begin(&w->levels, &id, &call));
    ck_assert_int_ge(id, 0);
    int64_t begin_ps = w->engine.now_ps;
    for (int m = 0; m < c->ranks; m++) {
        ck_assert_ok(leveled_transfer_arrive(&w->levels, id, m));
        if (!delay_ps) continue;
        ck_assert_ok(engine_push(&w->engine, NULL, delay_ps, (Event){w->actor, 1, 0, 0}));
        ck_assert_ok(engine_run(&w->engine));
    }
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_int_eq(w->ended, c->ranks);
    return w->last_ps - begin_ps;
}

// M nodes of N: 2 (N - 1) (alpha + S / N / B) + 2 (M - 1) (alpha' + S / N / M / B'), half of that
// for a reduce-scatter or an all-gather; in whatever order the ranks are on the devices.
START_TEST(collectives_in_levels_take_their_closed_form) {
    static const int shapes[][2] = {{2, 4}, {4, 2}, {4, 8}, {8, 8}, {3, 5}};
    static const CollectiveKind kinds[] = {COLLECTIVE_ALL_REDUCE, COLLECTIVE_REDUCE_SCATTER,
                                           COLLECTIVE_ALL_GATHER};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int M = shapes[i][0], N = shapes[i][1];
        int64_t bytes = INT64_C(1000) * M * N * FLOAT_BYTES;
        int64_t once_ps = (N - 1) * (2 * PS_PER_US + bytes / N * 500) +
                          (M - 1) * (10 * PS_PER_US + bytes / N / M * 4000);
        int32_t devices[DEVICES];  // rank by rank over nodes
        for (int m = 0; m < M * N; m++) devices[m] = m % M * N + m / M;
        World w;
        const TopologyOptions o = options_of(M, N);
        const ClosedForm f = alpha_beta(true);
        world_init(&w, &o);
        for (int k = 0; k < 3; k++) {
            Collective c = {kinds[k], ALGORITHM_DIRECT, M * N, 0, bytes / FLOAT_BYTES, 0};
            int64_t want_ps = once_ps * (k ? 1 : 2);
            ck_assert_int_eq(levels_ps(&w, &c, NULL, 0), want_ps);
            ck_assert_int_eq(levels_ps(&w, &c, devices, 0), want_ps);
            ck_assert_int_eq(formula_ps(&f, &c, M, N), want_ps);
        }
        world_finish(&w);
    }
}
END_TEST

// No member ends before the last has come, and the rails carry a share of what they would.
START_TEST(levels_wait_for_late_members_and_spare_the_rails) {
    World w;
    const TopologyOptions o = options_of(2, 4);
    world_init(&w, &o);
    const Collective c = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 8, 0, 8000, 0};
    int64_t took_ps = levels_ps(&w, &c, NULL, 100 * PS_PER_US);
    ck_assert_int_gt(took_ps, 7 * 100 * PS_PER_US);  // when the last comes
    const Link *rail = &w.network.links[w.topology.first_rail];
    ck_assert_int_eq(rail->carried_bytes, 8000 * FLOAT_BYTES / 4);  // 2 (M - 1) / M of S / N
    world_finish(&w);
}
END_TEST

START_TEST(some_collectives_have_no_levels) {
    World w;
    int32_t id;
    const TopologyOptions o = options_of(2, 4);
    world_init(&w, &o);
    static const int32_t uneven[] = {0, 1, 2, 4}, one_each[] = {0, 4}, one_node[] = {4, 5, 6};
    static const struct {
        CollectiveKind kind;
        int ranks;
        const int32_t *devices;
    } calls[] = {{COLLECTIVE_ALL_REDUCE, 4, uneven},
                 {COLLECTIVE_ALL_REDUCE, 2, one_each},
                 {COLLECTIVE_ALL_GATHER, 3, one_node},
                 {COLLECTIVE_BROADCAST, 8, NULL},
                 {COLLECTIVE_ALL_TO_ALL, 8, NULL}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const Collective c = {calls[i].kind, ALGORITHM_DIRECT, calls[i].ranks, 0, 80, 0};
        const TransferCall call = call_of(&w, &c, calls[i].devices);
        ck_assert_ok(leveled_transfer_begin(&w.levels, &id, &call));
        ck_assert_int_lt(id, 0);
    }
    world_finish(&w);
}
END_TEST

SUITE("closed_form", alpha_beta_is_what_the_messages_take_one_by_one, the_largest_chunk_counts,
      loggp_gives_its_worked_examples, what_has_no_form_is_refused,
      collectives_in_levels_take_their_closed_form,
      levels_wait_for_late_members_and_spare_the_rails, some_collectives_have_no_levels)
