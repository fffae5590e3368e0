// SPDX-License-Identifier: MIT
#include "core/base/rng.h"
#include "core/base/units.h"
#include "sim/network_internal.h"
#include "sim/topology.h"
#include "tests/support/allocations.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#define GB INT64_C(1000000000)

// Messages that leave at given times, and when they arrived. Message i is event i.
enum { MESSAGES = 256, LEAVES = 0, ARRIVED = 1 };
typedef struct {
    Engine engine;
    Network network;
    int16_t actor;
    int count;
    Path paths[MESSAGES];
    int64_t bytes[MESSAGES], start_ps[MESSAGES], end_ps[MESSAGES];
    int arrived[MESSAGES];  // in the order of arrival
    int arrived_count;
} World;

static Status world_handle(void *context, Event event) {
    World *w = context;
    int i = event.a;
    Event done = {w->actor, ARRIVED, i, 0};
    if (event.kind == LEAVES) return network_start(&w->network, &w->paths[i], w->bytes[i], done);
    ck_assert_int_eq(w->end_ps[i], -1);
    w->end_ps[i] = w->engine.now_ps;
    w->arrived[w->arrived_count++] = i;
    return OK;
}

static World *world_create(void) {
    World *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    ck_assert_ok(engine_init(&w->engine));
    ck_assert_ok(network_init(&w->network, &w->engine));
    ck_assert_ok(engine_add_actor(&w->engine, &w->actor, w, world_handle, NULL));
    return w;
}

static void world_destroy(World *w) {
    network_finish(&w->network);
    engine_finish(&w->engine);
    free(w);
}

static int32_t add_link(World *w, int64_t bytes_per_s, int64_t latency_ps) {
    int32_t link;
    ck_assert_ok(network_add_link(&w->network, &link, bytes_per_s, latency_ps));
    return link;
}

static int send(World *w, Path path, int64_t bytes, int64_t start_ps) {
    int i = w->count++;
    w->paths[i] = path;
    w->bytes[i] = bytes;
    w->start_ps[i] = start_ps;
    w->end_ps[i] = -1;
    ck_assert_ok(engine_push(&w->engine, NULL, start_ps - w->engine.now_ps,
                             (Event){w->actor, LEAVES, i, 0}));
    return i;
}

static Path path1(int32_t a) { return (Path){1, {a}}; }
static Path path2(int32_t a, int32_t b) { return (Path){2, {a, b}}; }

static void run(World *w) {
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_int_eq(w->arrived_count, w->count);
    ck_assert_int_eq(w->network.messages, w->count);
}

START_TEST(a_message_takes_its_latency_and_its_bytes) {
    World *w = world_create();
    int32_t slow = add_link(w, 3 * GB, 5 * PS_PER_US), fast = add_link(w, 10 * GB, 7 * PS_PER_US);
    // 1000 B / 3 GB/s = 333,333.3… ps, rounded up, after 5 us.
    int a = send(w, path1(slow), 1000, 0);
    // Both latencies, the slower link: 6000 B / 3 GB/s = 2,000,000 ps after 12 us.
    int b = send(w, path2(fast, slow), 6000, PS_PER_S);
    run(w);
    ck_assert_int_eq(w->end_ps[a], 5333334);
    ck_assert_int_eq(w->end_ps[b], PS_PER_S + 14000000);
    world_destroy(w);
}
END_TEST

START_TEST(a_message_of_no_bytes_takes_its_latency_only_and_slows_nobody) {
    World *w = world_create();
    int32_t link = add_link(w, GB, 2 * PS_PER_US);
    int a = send(w, path1(link), 0, 0);
    int b = send(w, path1(link), 1000, 0);
    int c = send(w, path1(link), 0, 2500000);
    int d = send(w, (Path){.hops = 0}, 1000, 77);  // to itself
    run(w);
    ck_assert_int_eq(w->end_ps[a], 2000000);
    ck_assert_int_eq(w->end_ps[b], 3000000);
    ck_assert_int_eq(w->end_ps[c], 4500000);
    ck_assert_int_eq(w->end_ps[d], 77);
    world_destroy(w);
}
END_TEST

START_TEST(latency_does_not_occupy_a_link) {
    World *w = world_create();
    int32_t link = add_link(w, GB, 10 * PS_PER_US);
    // Bytes of the first flow from 10 to 11 us; those of the second only begin then.
    int a = send(w, path1(link), 1000, 0);
    int b = send(w, path1(link), 1000, PS_PER_US);
    run(w);
    ck_assert_int_eq(w->end_ps[a], 11000000);
    ck_assert_int_eq(w->end_ps[b], 12000000);
    world_destroy(w);
}
END_TEST

START_TEST(two_flows_share_a_link) {
    World *w = world_create();
    int32_t link = add_link(w, GB, 0);
    // Half of 1 GB/s each: 1000 B in 2 us; of 3000 B, 2000 are left then, and take 2 us alone.
    int a = send(w, path1(link), 1000, 0);
    int b = send(w, path1(link), 3000, 0);
    run(w);
    ck_assert_int_eq(w->end_ps[a], 2000000);
    ck_assert_int_eq(w->end_ps[b], 4000000);
    world_destroy(w);
}
END_TEST

START_TEST(a_third_flow_joins_half_way) {
    World *w = world_create();
    int32_t link = add_link(w, GB, 0);
    int a = send(w, path1(link), 3000, 0), b = send(w, path1(link), 3000, 0);
    int c = send(w, path1(link), 1000, 2000000);
    run(w);
    // At 2 us a and b have 2000 B left. A third of 1 GB/s is 333,333,333 B/s: c takes
    // 1000e12 / 333,333,333 = 3,000,000.003 ps, that is 3,000,001.
    ck_assert_int_eq(w->end_ps[c], 5000001);
    // Meanwhile a and b carry 333,333,333 x 3,000,001 = 1,000,000,332,333,333 of 2000e12; the rest,
    // 999,999,667,666,667 at 0.5 GB/s, takes 1,999,999.3 ps, that is 2,000,000.
    ck_assert_int_eq(w->end_ps[a], 7000001);
    ck_assert_int_eq(w->end_ps[b], 7000001);
    world_destroy(w);
}
END_TEST

START_TEST(what_a_flow_cannot_use_others_get) {
    World *w = world_create();
    int32_t wide = add_link(w, 10 * GB, 0), narrow = add_link(w, 4 * GB, 0);
    // The narrow link gives 2 GB/s each; 8 of the wide link's 10 GB/s remain.
    int a = send(w, path1(wide), 8000, 0);
    int b = send(w, path2(wide, narrow), 2000, 0);
    int c = send(w, path1(narrow), 2000, 0);
    run(w);
    ck_assert_int_eq(w->end_ps[a], 1000000);
    ck_assert_int_eq(w->end_ps[b], 1000000);
    ck_assert_int_eq(w->end_ps[c], 1000000);
    world_destroy(w);
}
END_TEST

START_TEST(who_comes_as_another_goes_shares_nothing_with_him) {
    World *w = world_create();
    int32_t link = add_link(w, GB, 0);
    int a = send(w, path1(link), 1000, 0);
    int b = send(w, path1(link), 1000, 1000000);
    run(w);
    ck_assert_int_eq(w->end_ps[a], 1000000);
    ck_assert_int_eq(w->end_ps[b], 2000000);
    world_destroy(w);
}
END_TEST

START_TEST(the_largest_message_arrives_in_the_last_picosecond) {
    World *w = world_create();
    int32_t link = add_link(w, INT64_C(1000000000000), 0);  // 1 byte a picosecond
    int a = send(w, path1(link), INT64_MAX, 0);
    run(w);
    ck_assert_int_eq(w->end_ps[a], INT64_MAX);
    world_destroy(w);
}
END_TEST

START_TEST(what_cannot_be_simulated_is_an_error) {
    World *w = world_create();
    int32_t link;
    ck_assert_fails(network_add_link(&w->network, &link, 0, 0), ERR_USAGE, "a link of 0B/s and");
    ck_assert_fails(network_add_link(&w->network, &link, 1, -1), ERR_USAGE, "-1ps");
    ck_assert_fails(network_add_link(&w->network, &link, 1, INT64_MAX), ERR_USAGE, "26 days");
    link = add_link(w, 1, 0);
    send(w, path1(link), 1, 0);
    send(w, path1(link), 1, 0);
    ck_assert_fails(engine_run(&w->engine), ERR_USAGE, "carries 2 messages at once");
    world_destroy(w);

    w = world_create();
    link = add_link(w, 1, 0);
    send(w, path1(link), 9300000, 0);  // 9.3e6 s = 9.3e18 ps > 2^63
    ck_assert_fails(engine_run(&w->engine), ERR_FAILED, "106 days");
    world_destroy(w);
}
END_TEST

// Check's assertions allocate, so that nothing is asserted while it is counted.
static Status ignore(void *context, Event event) { return OK; }

START_TEST(nothing_is_kept_of_a_message_that_has_arrived) {
    World *w = world_create();
    Path path = path1(add_link(w, GB, 100));
    Event done = {.a = 0};
    ck_assert_ok(engine_add_actor(&w->engine, &done.actor, w, ignore, NULL));
    for (int round = 0; round < 4; round++) {
        int before = allocations(), failed = 0;
        for (int i = 0; i < MESSAGES; i++)
            failed += network_start(&w->network, &path, 100 + i, done) != OK;
        failed += engine_run(&w->engine) != OK;
        int after = allocations();
        ck_assert_int_eq(failed, 0);
        ck_assert_int_eq(w->network.messages, (round + 1) * MESSAGES);
        ck_assert_int_eq(w->network.flow_count, MESSAGES);
        ck_assert_int_eq(w->network.links[0].flows, 0);
        if (round > 0) ck_assert_int_eq(after, before);
    }
    world_destroy(w);
}
END_TEST

// --- A second implementation, by the definition: the water rises by 1 byte/s at a time.

typedef struct {
    int links, flows;
    int64_t capacity[8];
    const Path *paths[MESSAGES];
    int64_t rate[MESSAGES];
} Water;

static bool crosses(const Path *p, int32_t link) {
    for (int h = 0; h < p->hops; h++)
        if (p->links[h] == link) return true;
    return false;
}

static void water_rise(Water *w) {
    bool frozen[MESSAGES] = {false};
    memset(w->rate, 0, sizeof w->rate);
    for (int left = w->flows; left > 0;) {
        bool full[8];
        for (int l = 0; l < w->links; l++) {
            int64_t used = 0;
            for (int f = 0; f < w->flows; f++)
                if (crosses(w->paths[f], l)) used += w->rate[f] + !frozen[f];
            full[l] = used > w->capacity[l];
        }
        int stopped = 0;
        for (int f = 0; f < w->flows; f++)
            for (int l = 0; l < w->links && !frozen[f]; l++)
                if (full[l] && crosses(w->paths[f], l)) frozen[f] = ++stopped;
        left -= stopped;
        for (int f = 0; f < w->flows && !stopped; f++)
            if (!frozen[f]) w->rate[f]++;
    }
}

// The end of every message of a world by looking at all of them whenever one comes or goes.
static void ends_by_definition(const World *w, int64_t end_ps[MESSAGES]) {
    Carried left[MESSAGES];
    int64_t begin_ps[MESSAGES], now = 0;
    for (int i = 0; i < w->count; i++) {
        begin_ps[i] = w->start_ps[i];
        for (int h = 0; h < w->paths[i].hops; h++)
            begin_ps[i] += w->network.links[w->paths[i].links[h]].latency_ps;
        left[i] = (Carried)w->bytes[i] * PS_PER_S;
        end_ps[i] = -1;
    }
    for (;;) {
        Water water = {.links = w->network.link_count};
        int which[MESSAGES];
        int64_t next = INT64_MAX;
        for (int l = 0; l < water.links; l++) water.capacity[l] = w->network.links[l].bytes_per_s;
        for (int i = 0; i < w->count; i++) {
            if (end_ps[i] >= 0) continue;
            if (begin_ps[i] <= now && left[i] == 0)
                end_ps[i] = now;
            else if (begin_ps[i] > now && begin_ps[i] < next)
                next = begin_ps[i];
            else if (begin_ps[i] <= now)
                which[water.flows] = i, water.paths[water.flows++] = &w->paths[i];
        }
        water_rise(&water);
        for (int f = 0; f < water.flows; f++) {
            Carried rate = (Carried)water.rate[f], ps = (left[which[f]] + rate - 1) / rate;
            if ((Carried)next > (Carried)now + ps) next = now + (int64_t)ps;
        }
        if (next == INT64_MAX) return;
        for (int f = 0; f < water.flows; f++) {
            Carried carried = (Carried)water.rate[f] * (Carried)(next - now);
            left[which[f]] -= carried < left[which[f]] ? carried : left[which[f]];
        }
        now = next;
    }
}

// Up to 7 links of up to 60 bytes/s, so that the water is soon up and remainders matter.
static World *random_world(uint32_t seed, int messages) {
    World *w = world_create();
    Rng r;
    rng_init(&r, seed, RNG_TEST, 0, 0);
    int links = 1 + (int)rng_below(&r, 7);
    for (int l = 0; l < links; l++)
        add_link(w, 30 + rng_below(&r, 31), rng_below(&r, 3) * (PS_PER_S / 2));
    for (int i = 0; i < messages; i++) {
        int32_t order[8];
        for (int l = 0; l < links; l++) order[l] = l;
        rng_shuffle(&r, order, links);
        Path p = {.hops = 1 + (int32_t)rng_below(&r, (uint32_t)(links < 4 ? links : 4))};
        memcpy(p.links, order, PATH_LINKS * sizeof *order);
        // Often at the same instant, and often for a whole number of seconds.
        int64_t start_ps =
            rng_below(&r, 2) ? rng_below(&r, 20) * PS_PER_S : rng_u32(&r) * INT64_C(5000);
        send(w, p, rng_below(&r, 4) ? rng_below(&r, 200) : rng_below(&r, 5) * 60, start_ps);
    }
    return w;
}

START_TEST(every_message_ends_when_the_definition_says) {
    for (uint32_t seed = 1; seed <= 200; seed++) {
        World *w = random_world(seed, 1 + (int)seed % 25);
        int64_t want[MESSAGES];
        ends_by_definition(w, want);
        run(w);
        for (int i = 0; i < w->count; i++)
            ck_assert_msg(w->end_ps[i] == want[i], "seed %u, message %d ends at %lld, not %lld",
                          seed, i, (long long)w->end_ps[i], (long long)want[i]);
        world_destroy(w);
    }
}
END_TEST

// Max-min fair: no link carries more than it can, and every flow has a link on which it has no less
// than anyone else and which has less than 1 byte/s for each of its flows to spare.
static void check_rates(const World *w) {
    int64_t used[8] = {0}, most[8] = {0};
    const Network *n = &w->network;
    for (int l = 0; l < n->link_count; l++) {
        for (int32_t at = n->links[l].first; at >= 0; at = network_next(n, at)) {
            int64_t rate = n->flows[at / PATH_LINKS].rate;
            ck_assert_int_gt(rate, 0);
            used[l] += rate;
            if (most[l] < rate) most[l] = rate;
        }
        ck_assert_int_le(used[l], n->links[l].bytes_per_s);
    }
    for (int l = 0; l < n->link_count; l++) {
        for (int32_t at = n->links[l].first; at >= 0; at = network_next(n, at)) {
            const Flow *f = &n->flows[at / PATH_LINKS];
            bool stopped = false;
            for (int h = 0; h < f->hops; h++) {
                const Link *on = &n->links[f->links[h]];
                stopped |=
                    f->rate == most[f->links[h]] && on->bytes_per_s - used[f->links[h]] < on->flows;
            }
            ck_assert(stopped);
        }
    }
}

START_TEST(rates_are_max_min_fair_at_every_instant) {
    int64_t seen = 0;
    for (uint32_t seed = 1001; seed <= 1060; seed++) {
        World *w = random_world(seed, 30);
        for (int64_t t = 0; w->arrived_count < w->count; t += 300 * PS_PER_MS) {
            ck_assert_ok(engine_run_until(&w->engine, t));
            for (int l = 0; l < w->network.link_count; l++) seen += w->network.links[l].flows;
            check_rates(w);
        }
        world_destroy(w);
    }
    ck_assert_int_gt(seen, 1000);
}
END_TEST

START_TEST(numbering_links_and_messages_otherwise_changes_nothing) {
    for (uint32_t seed = 1; seed <= 60; seed++) {
        World *w = random_world(seed, 25), *other = world_create();
        for (int l = w->network.link_count - 1; l >= 0; l--)
            add_link(other, w->network.links[l].bytes_per_s, w->network.links[l].latency_ps);
        for (int i = w->count - 1; i >= 0; i--) {
            Path p = w->paths[i];
            for (int h = 0; h < p.hops; h++)
                p.links[h] = w->network.link_count - 1 - w->paths[i].links[p.hops - 1 - h];
            send(other, p, w->bytes[i], w->start_ps[i]);
        }
        run(w);
        run(other);
        for (int i = 0; i < w->count; i++)
            ck_assert_int_eq(w->end_ps[i], other->end_ps[w->count - 1 - i]);
        world_destroy(w);
        world_destroy(other);
    }
}
END_TEST

START_TEST(messages_arrive_in_the_same_order_twice) {
    for (uint32_t seed = 1; seed <= 20; seed++) {
        World *w = random_world(seed, 30), *again = random_world(seed, 30);
        run(w);
        run(again);
        ck_assert_mem_eq(w->arrived, again->arrived, sizeof w->arrived);
        ck_assert_int_eq(w->engine.event_count, again->engine.event_count);
        world_destroy(w);
        world_destroy(again);
    }
}
END_TEST

// The last link is the slowest: 2 us, or stored on the way 10 times 1 us more.
START_TEST(a_path_may_be_longer_than_a_part_of_a_flow) {
    for (int stored = 0; stored < 2; stored++) {
        World *w = world_create();
        Path p = {.hops = 11};
        w->network.store_and_forward = stored;
        for (int h = 0; h < p.hops; h++) p.links[h] = add_link(w, h == 10 ? GB / 2 : GB, 1000);
        int long_one = send(w, p, 1000, 0);
        run(w);
        ck_assert_int_eq(w->end_ps[long_one], 11000 + (stored ? 12 : 2) * PS_PER_US);
        world_destroy(w);
    }
    World *w = world_create();
    Path p = {.hops = 11};
    for (int h = 0; h < p.hops; h++) p.links[h] = add_link(w, GB, 0);
    int other = send(w, path1(p.links[8]), 1000, 0), long_one = send(w, p, 1000, 0);
    run(w);
    ck_assert(w->end_ps[long_one] == 2 * PS_PER_US && w->end_ps[other] == 2 * PS_PER_US);
    world_destroy(w);
}
END_TEST

static void ck_assert_path(Path p, int hops, int a, int b, int c, int d) {
    const int want[] = {a, b, c, d};
    ck_assert_int_eq(p.hops, hops);
    for (int h = 0; h < hops; h++) ck_assert_int_eq(p.links[h], want[h]);
}

START_TEST(devices_meet_at_their_switch_and_nodes_over_rails) {
    World *w = world_create();
    Topology t;
    TopologyOptions o = {
        .nodes = 3, .devices_per_node = 2, .link = {300 * GB, 1}, .rail = {25 * GB, 2}};
    ck_assert_ok(topology_init(&t, &w->network, &o));
    ck_assert_int_eq(topology_devices(&t), 6);
    ck_assert_int_eq(w->network.link_count, 24);  // up and down, link and rail, of 6 devices
    ck_assert_path(topology_path(&t, 3, 3), 0, 0, 0, 0, 0);
    ck_assert_path(topology_path(&t, 2, 3), 2, 4, 7, 0, 0);         // up of 2, down of 3
    ck_assert_path(topology_path(&t, 0, 5), 2, 12, 12 + 11, 0, 0);  // rail up of 0, rail down of 5
    ck_assert_int_eq(w->network.links[4].bytes_per_s, 300 * GB);
    ck_assert_int_eq(w->network.links[23].bytes_per_s, 25 * GB);
    ck_assert_int_eq(w->network.links[23].latency_ps, 2);
    world_destroy(w);

    w = world_create();
    add_link(w, 1, 0);  // somebody else's
    o.shared_rail = true;
    ck_assert_ok(topology_init(&t, &w->network, &o));
    ck_assert_int_eq(w->network.link_count, 1 + 12 + 6);
    ck_assert_path(topology_path(&t, 0, 5), 4, 1, 13, 18, 12);  // up, rails of nodes 0 and 2, down
    ck_assert_path(topology_path(&t, 4, 5), 2, 9, 12, 0, 0);
    world_destroy(w);
}
END_TEST

START_TEST(a_topology_of_no_or_too_many_devices_is_refused) {
    World *w = world_create();
    Topology t;
    TopologyOptions o = {.nodes = 0, .devices_per_node = 8, .link = {GB, 0}, .rail = {GB, 0}};
    ck_assert_fails(topology_init(&t, &w->network, &o), ERR_USAGE, "0 nodes of 8 devices");
    o.nodes = 1 << 30;
    ck_assert_fails(topology_init(&t, &w->network, &o), ERR_USAGE, "devices");
    o = (TopologyOptions){.nodes = 2, .devices_per_node = 1, .link = {GB, 0}};
    ck_assert_fails(topology_init(&t, &w->network, &o), ERR_USAGE, "a link of 0B/s and");
    world_destroy(w);
}
END_TEST

SUITE("network", a_message_takes_its_latency_and_its_bytes,
      a_message_of_no_bytes_takes_its_latency_only_and_slows_nobody, latency_does_not_occupy_a_link,
      two_flows_share_a_link, a_third_flow_joins_half_way, what_a_flow_cannot_use_others_get,
      who_comes_as_another_goes_shares_nothing_with_him,
      the_largest_message_arrives_in_the_last_picosecond, what_cannot_be_simulated_is_an_error,
      nothing_is_kept_of_a_message_that_has_arrived, every_message_ends_when_the_definition_says,
      rates_are_max_min_fair_at_every_instant,
      numbering_links_and_messages_otherwise_changes_nothing,
      a_path_may_be_longer_than_a_part_of_a_flow, messages_arrive_in_the_same_order_twice,
      devices_meet_at_their_switch_and_nodes_over_rails,
      a_topology_of_no_or_too_many_devices_is_refused)
