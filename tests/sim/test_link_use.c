// SPDX-License-Identifier: MIT
#include "core/base/rng.h"
#include "sim/link_use.h"
#include "sim/predict.h"
#include "sim/transfer.h"
#include "tests/support/testing.h"

#include <math.h>

#define GB INT64_C(1000000000)

static Arena arena;

static Status ignore(void *context, Event event) { return OK; }

// All members come at once; what each link carried.
static void carry(int64_t *bytes, const TopologyOptions *o, Collective what, bool alone) {
    Engine e;
    Network n;
    Topology t;
    Transfers x;
    int32_t id;
    TransferCall call = {.what = what, .element_bytes = 4, .alone = alone};
    ck_assert_ok(engine_init(&e));
    ck_assert_ok(network_init(&n, &e));
    ck_assert_ok(topology_init(&t, &n, o));
    ck_assert_ok(transfers_init(&x, &e, &n, &t));
    ck_assert_ok(engine_add_actor(&e, &call.done.actor, NULL, ignore, NULL));
    ck_assert_ok(transfer_begin(&x, &id, &call));
    ck_assert_int_eq(x.items[0].by_formula, alone);
    for (int m = 0; m < what.ranks; m++) ck_assert_ok(transfer_arrive(&x, id, m, 0));
    ck_assert_ok(engine_run(&e));
    for (int i = 0; i < n.link_count; i++) bytes[i] = n.links[i].carried_bytes;
    transfers_finish(&x);
    network_finish(&n);
    engine_finish(&e);
}

START_TEST(a_direct_all_reduce_by_formula_fills_links_as_its_messages_do) {
    for (uint32_t seed = 1; seed <= 100; seed++) {
        Rng rng;
        rng_init(&rng, seed, RNG_TEST, 0, 0);
        int nodes = 1 + (int)rng_below(&rng, 5), per_node = 1 + (int)rng_below(&rng, 8);
        int P = nodes * per_node, links = (nodes > 1 ? 4 : 2) * P;
        TopologyOptions o = {.nodes = nodes,
                             .devices_per_node = per_node,
                             .link = {GB, 500000},
                             .rail = {GB / 3, 4000000}};
        Collective what = {COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, P, 0,
                           1 + rng_below(&rng, rng_below(&rng, 2) ? 2000 : (uint32_t)P)};
        int64_t bytes[2][160];
        for (int alone = 0; alone < 2; alone++) carry(bytes[alone], &o, what, alone);
        for (int i = 0; i < links; i++)
            ck_assert_msg(bytes[0][i] == bytes[1][i], "seed %u, link %d: %lld, by formula %lld",
                          seed, i, (long long)bytes[0][i], (long long)bytes[1][i]);
    }
}
END_TEST

// Two devices in 1 us, in which a link could carry 1000 B.
START_TEST(the_busiest_link_and_the_mean_are_shares_of_the_time) {
    Network n = {0};
    Link links[4] = {{.bytes_per_s = GB, .carried_bytes = 100},
                     {.bytes_per_s = GB, .carried_bytes = 300},
                     {.bytes_per_s = GB, .carried_bytes = 500},
                     {.bytes_per_s = GB, .carried_bytes = 300}};
    Topology t = {.nodes = 1, .devices_per_node = 2};
    LinkUses u;
    n.links = links;
    link_uses_find(&u, &t, &n, 2, 1000000);
    ck_assert(u.known);
    ck_assert_int_eq(u.of[LINK_UP].busiest, 1);
    ck_assert_int_eq(u.of[LINK_UP].bytes, 500);
    ck_assert_close(u.of[LINK_UP].busy, 0.5, 1e-12);
    ck_assert_close(u.of[LINK_UP].mean, 0.3, 1e-12);
    ck_assert_int_eq(u.of[LINK_DOWN].busiest, 0);
    ck_assert_close(u.of[LINK_DOWN].busy, 0.3, 1e-12);
    ck_assert_int_eq(u.of[LINK_RAIL_UP].bytes, 0);
}
END_TEST

// Bytes sent are bytes received, and as many as the plan says (sim/sent_bytes.h) but for a few:
// there the single number of the loss is spread evenly over members.
START_TEST(links_carry_what_the_plan_sends) {
    static const struct {
        SimNetwork network;
        Algorithm algorithm;
    } cases[] = {{SIM_NETWORK_FLOW, ALGORITHM_DIRECT},
                 {SIM_NETWORK_FLOW, ALGORITHM_RING},
                 {SIM_NETWORK_STORE_FORWARD, ALGORITHM_DIRECT}};
    Machine m;
    ck_assert_ok(machine_read(&m, &arena, "dgx-a100"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SimJob job = {.spec = job_spec_default()};
        job.spec.device = "timed:dgx-a100";
        job.spec.ranks = 16;
        job.spec.batch = 64;
        job.spec.model = "mlp:hidden=37,layers=2";
        job.spec.strategy.algorithm = cases[i].algorithm;
        Prediction p;
        ck_assert_ok(predict_job(
            &p, &arena, &job,
            &(SimSetting){.machine = &m, .devices = true, .network = cases[i].network}));
        const LinkUse *u = p.links.of;
        ck_assert(p.links.known);
        ck_assert_close(u[LINK_UP].mean_bytes, u[LINK_DOWN].mean_bytes, 1e-6);
        ck_assert_close(u[LINK_RAIL_UP].mean_bytes, u[LINK_RAIL_DOWN].mean_bytes, 1e-6);
        ck_assert_close(u[LINK_UP].mean_bytes, p.answers->node_bytes, 4);
        ck_assert_close(u[LINK_RAIL_UP].mean_bytes, p.answers->rail_bytes, 4);
        ck_assert(u[LINK_RAIL_UP].busy >= u[LINK_RAIL_UP].mean && u[LINK_RAIL_UP].busy < 1);
    }
    arena_finish(&arena);
}
END_TEST

SUITE("link_use", a_direct_all_reduce_by_formula_fills_links_as_its_messages_do,
      the_busiest_link_and_the_mean_are_shares_of_the_time, links_carry_what_the_plan_sends)
