// SPDX-License-Identifier: MIT
#include "core/base/rng.h"
#include "core/base/units.h"
#include "sim/transfer.h"
#include "sim/transfer_direct.h"
#include "tests/support/allocations.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#define GB INT64_C(1000000000)

enum {
    MEMBERS = 64,
    TASKS = 8,
    PIECE = 8192
};  // PIECE: elements, of a chain or ring that passes on

// Members of several collectives, and when they ended.
typedef struct {
    Engine engine;
    Network network;
    Topology topology;
    Transfers transfers;
    int16_t actor;
    int64_t end_ps[TASKS][MEMBERS];
    int ended;
} World;

static Status world_handle(void *context, Event event) {
    World *w = context;
    ck_assert_int_eq(w->end_ps[event.a][event.b], -1);
    w->end_ps[event.a][event.b] = w->engine.now_ps;
    w->ended++;
    return OK;
}

static World *world_create(const TopologyOptions *o) {
    World *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    memset(w->end_ps, -1, sizeof w->end_ps);
    ck_assert_ok(engine_init(&w->engine));
    ck_assert_ok(network_init(&w->network, &w->engine));
    ck_assert_ok(topology_init(&w->topology, &w->network, o));
    ck_assert_ok(transfers_init(&w->transfers, &w->engine, &w->network, &w->topology));
    ck_assert_ok(engine_add_actor(&w->engine, &w->actor, w, world_handle, NULL));
    return w;
}

// One switch, 1 GB/s and 0.5 us on each of the two links between devices: alpha is 1 us.
static World *world_of(int devices) {
    return world_create(&(TopologyOptions){1, devices, {GB, PS_PER_US / 2}, {0, 0}, false});
}

static void world_destroy(World *w) {
    transfers_finish(&w->transfers);
    network_finish(&w->network);
    engine_finish(&w->engine);
    free(w);
}

static TransferCall call_of(const World *w, int task, Collective what) {
    return (TransferCall){.what = what, .element_bytes = 4, .done = {w->actor, 0, task, 0}};
}

static void begin(World *w, TransferCall call, const int64_t *start_ps) {
    int32_t id;
    ck_assert_ok(transfer_begin(&w->transfers, &id, &call));
    for (int r = 0; r < call.what.ranks; r++)
        ck_assert_ok(transfer_arrive(&w->transfers, id, r, start_ps ? start_ps[r] : 0));
}

// All members at once, on a switch of their own: when each ends.
static void run_alone(int64_t *end_ps, Collective what, int64_t add_bytes_per_s) {
    World *w = world_of(what.ranks);
    TransferCall call = call_of(w, 0, what);
    call.add_bytes_per_s = add_bytes_per_s;
    begin(w, call, NULL);
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_int_eq(w->ended, what.ranks);
    memcpy(end_ps, w->end_ps[0], sizeof w->end_ps[0]);
    world_destroy(w);
}

static void ck_assert_all_end(const int64_t *end_ps, int ranks, int64_t want_ps) {
    for (int r = 0; r < ranks; r++) ck_assert_int_eq(end_ps[r], want_ps);
}

START_TEST(a_ring_all_reduce_takes_2_times_ranks_less_1_rounds) {
    int64_t end_ps[MEMBERS];
    // 1000 floats over 4: chunks of 1000 B. 6 rounds of 1 us + 1000 B / 1 GB/s.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 4, 0, 1000}, 0);
    ck_assert_all_end(end_ps, 4, 12000000);
    // 64 x 37 floats over 64: 126 rounds of 1 us + 148 ns.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 64, 0, INT64_C(64) * 37},
              0);
    ck_assert_all_end(end_ps, 64, 126 * INT64_C(1148000));
    // Its halves.
    run_alone(end_ps, (Collective){COLLECTIVE_REDUCE_SCATTER, ALGORITHM_RING, 4, 0, 1000}, 0);
    ck_assert_all_end(end_ps, 4, 6000000);
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_GATHER, ALGORITHM_RING, 4, 0, 1000}, 0);
    ck_assert_all_end(end_ps, 4, 6000000);
}
END_TEST

START_TEST(adding_takes_time_in_the_first_half_of_a_ring) {
    int64_t end_ps[MEMBERS];
    // As above, and in 3 of 6 rounds 1000 B are added at 0.6 GB/s: 1,666,666.7 ps, rounded up.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 4, 0, 1000}, 600000000);
    ck_assert_all_end(end_ps, 4, 12000000 + 3 * 1666667);
}
END_TEST

START_TEST(a_direct_all_reduce_shares_every_link_among_the_others) {
    int64_t end_ps[MEMBERS];
    // 3 messages of 1000 B into each member and out of each: 333,333,333 B/s, 3,000,000.003 ps.
    // Two rounds of 1 us + 3,000,001 ps.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, 4, 0, 1000}, 0);
    ck_assert_all_end(end_ps, 4, 8000002);
    // In the first round every member adds 3 times 1000 B, at 1 GB/s.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, 4, 0, 1000}, GB);
    ck_assert_all_end(end_ps, 4, 8000002 + 3000000);
    // 5 members, 4 messages: 250,000,000 B/s divides 800 B exactly: 3.2 us.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_GATHER, ALGORITHM_DIRECT, 5, 0, 1000}, 0);
    ck_assert_all_end(end_ps, 5, 4200000);
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_TO_ALL, ALGORITHM_DIRECT, 5, 0, 1000}, 0);
    ck_assert_all_end(end_ps, 5, 4200000);
}
END_TEST

START_TEST(a_direct_broadcast_shares_the_link_of_its_root) {
    int64_t end_ps[MEMBERS];
    // 4 messages of 4000 B out of member 2, which has nothing to wait for.
    run_alone(end_ps, (Collective){COLLECTIVE_BROADCAST, ALGORITHM_DIRECT, 5, 2, 1000}, 0);
    for (int r = 0; r < 5; r++) ck_assert_int_eq(end_ps[r], r == 2 ? 0 : 17000000);
}
END_TEST

START_TEST(the_pieces_of_a_chain_follow_each_other) {
    int64_t end_ps[MEMBERS];
    // 3 pieces of 32,768 B. A round is 1 us + 32,768 ns; member r has the last after r + 2 rounds.
    const int64_t round_ps = 33768000;
    run_alone(end_ps, (Collective){COLLECTIVE_BROADCAST, ALGORITHM_CHAIN, 4, 0, 3 * PIECE}, 0);
    ck_assert_int_eq(end_ps[0], 0);
    for (int r = 1; r < 4; r++) ck_assert_int_eq(end_ps[r], (r + 2) * round_ps);
    // Up and down again between two, where the links of the two ways are apart: piece k goes up in
    // round k and down in round k + 1.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_CHAIN, 2, 0, 3 * PIECE}, 0);
    ck_assert_int_eq(end_ps[1], 3 * round_ps);
    ck_assert_int_eq(end_ps[0], 4 * round_ps);
    // One piece of 4000 B along 5 members and back: 8 rounds of 5 us. Who is r places from the end
    // where it turns has it after 4 + r of them.
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_CHAIN, 5, 0, 1000}, 0);
    for (int r = 0; r < 5; r++) ck_assert_int_eq(end_ps[r], (8 - r) * INT64_C(5000000));
}
END_TEST

START_TEST(one_member_and_no_elements_need_no_time_but_latency) {
    int64_t end_ps[MEMBERS];
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 1, 0, 1000}, GB);
    ck_assert_all_end(end_ps, 1, 0);
    run_alone(end_ps, (Collective){COLLECTIVE_BARRIER, ALGORITHM_DIRECT, 7, 0, 0}, 0);
    ck_assert_all_end(end_ps, 7, 1000000);
    run_alone(end_ps, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 3, 0, 0}, GB);
    ck_assert_all_end(end_ps, 3, 4000000);
}
END_TEST

// A ring by its recurrence: member r ends round t when it and the member before it have ended round
// t-1, the chunk has arrived and, in the first half, is added. No two messages share a link.
static void ring_by_recurrence(int64_t *end_ps, const World *w, const TransferCall *call,
                               const int64_t *start_ps) {
    int P = call->what.ranks;
    int64_t now[MEMBERS], next[MEMBERS];
    memcpy(now, start_ps, sizeof now);
    for (int t = 0; t < 2 * (P - 1); t++) {
        for (int r = 0; r < P; r++) {
            int before = (r + P - 1) % P;
            int chunk =
                (r - t - 2 + 3 * P) % P;  // moves on with every round; after P - 1 it is r's own
            int64_t bytes =
                4 * (call->what.elements * (chunk + 1) / P - call->what.elements * chunk / P);
            int from = call->devices ? call->devices[before] : before,
                to = call->devices ? call->devices[r] : r;
            bool within = from / w->topology.devices_per_node == to / w->topology.devices_per_node;
            int64_t ready = now[r] > now[before] ? now[r] : now[before];
            int64_t rate = within ? GB : GB / 3, alpha = within ? PS_PER_US : 8 * PS_PER_US;
            next[r] = ready + alpha + (bytes * PS_PER_S + rate - 1) / rate;
            if (t < P - 1) next[r] += bytes * PS_PER_S / (2 * GB);
        }
        memcpy(now, next, sizeof now);
    }
    memcpy(end_ps, now, sizeof now);
}

START_TEST(a_ring_with_uneven_chunks_starts_and_links_follows_its_recurrence) {
    TopologyOptions o = {4, 8, {GB, PS_PER_US / 2}, {GB / 3, 4 * PS_PER_US}, false};
    for (uint32_t seed = 1; seed <= 40; seed++) {
        World *w = world_create(&o);
        Rng rng;
        rng_init(&rng, seed, RNG_TEST, 0, 0);
        int P = 2 + (int)rng_below(&rng, 31);
        int32_t devices[32];
        int64_t start_ps[MEMBERS] = {0}, want[MEMBERS];
        for (int i = 0; i < 32; i++) devices[i] = i;
        rng_shuffle(&rng, devices, 32);
        for (int r = 0; r < P; r++)
            start_ps[r] = rng_below(&rng, 3) ? rng_below(&rng, 50000000) : 0;
        TransferCall call = call_of(
            w, 0,
            (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, P, 0, rng_below(&rng, 20000)});
        if (seed % 2) call.devices = devices;
        call.add_bytes_per_s = 2 * GB;
        begin(w, call, start_ps);
        ck_assert_ok(engine_run(&w->engine));
        ring_by_recurrence(want, w, &call, start_ps);
        for (int r = 0; r < P; r++)
            ck_assert_msg(w->end_ps[0][r] == want[r], "seed %u, %d ranks, rank %d: %lld, not %lld",
                          seed, P, r, (long long)w->end_ps[0][r], (long long)want[r]);
        world_destroy(w);
    }
}
END_TEST

// Nodes of any shape, chunks of any sizes, empty ones too, members that come at any time: the
// formula gives what following every message gives, to the picosecond.
START_TEST(a_direct_all_reduce_that_travels_alone_is_priced_by_formula) {
    int uneven = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        Rng rng;
        rng_init(&rng, seed, RNG_TEST, 0, 0);
        int nodes = 1 + (int)rng_below(&rng, 5), per_node = 1 + (int)rng_below(&rng, 8);
        int P = nodes * per_node;
        TopologyOptions o = {nodes, per_node, {GB, PS_PER_US / 2}, {GB / 3, 4 * PS_PER_US}, false};
        Collective what = {COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, P, 0,
                           1 + rng_below(&rng, rng_below(&rng, 2) ? 2000 : (uint32_t)P)};
        int64_t start_ps[MEMBERS] = {0}, messages[2];
        for (int r = 0; r < P; r++) start_ps[r] = rng_below(&rng, 9000000);
        World *w[2];
        for (int alone = 0; alone < 2; alone++) {
            w[alone] = world_create(&o);
            TransferCall call = call_of(w[alone], 0, what);
            call.alone = alone;
            begin(w[alone], call, start_ps);
            ck_assert_int_eq(w[alone]->transfers.items[0].by_formula, alone);
            ck_assert_ok(engine_run(&w[alone]->engine));
            messages[alone] = w[alone]->network.messages;
        }
        ck_assert_int_eq(messages[0], 2 * (what.elements < P ? what.elements : P) * (P - 1));
        ck_assert_int_eq(messages[1], messages[0]);
        for (int r = 0; r < P; r++) {
            ck_assert_msg(w[0]->end_ps[0][r] == w[1]->end_ps[0][r],
                          "seed %u, %d nodes of %d, %lld elements, rank %d: %lld, by formula %lld",
                          seed, nodes, per_node, (long long)what.elements, r,
                          (long long)w[0]->end_ps[0][r], (long long)w[1]->end_ps[0][r]);
            uneven += w[0]->end_ps[0][r] != w[0]->end_ps[0][0];
        }
        for (int alone = 0; alone < 2; alone++) world_destroy(w[alone]);
    }
    ck_assert_int_gt(uneven, 50);
}
END_TEST

START_TEST(a_formula_is_not_used_where_it_does_not_hold) {
    static const int32_t crossed[] = {1, 0, 2, 3};
    World *w = world_create(&(TopologyOptions){2, 2, {GB, 0}, {GB, 0}, false});
    TransferCall call =
        call_of(w, 0, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, 4, 0, 1000});
    ck_assert(!transfer_direct_applies(&call, &w->topology, &w->network));
    call.alone = true;
    ck_assert(transfer_direct_applies(&call, &w->topology, &w->network));
    call.devices = crossed;
    ck_assert(!transfer_direct_applies(&call, &w->topology, &w->network));
    call.devices = NULL;
    call.what.ranks = 3;  // the second node has one member only: its links carry other numbers
    ck_assert(!transfer_direct_applies(&call, &w->topology, &w->network));
    call.what = (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 4, 0, 1000};
    ck_assert(!transfer_direct_applies(&call, &w->topology, &w->network));
    call.what = (Collective){COLLECTIVE_ALL_GATHER, ALGORITHM_DIRECT, 4, 0, 1000};
    ck_assert(!transfer_direct_applies(&call, &w->topology, &w->network));
    call.what = (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, 4, 0, 0};
    ck_assert(!transfer_direct_applies(&call, &w->topology, &w->network));
    call.what.elements = 1;
    ck_assert(transfer_direct_applies(&call, &w->topology, &w->network));
    call.add_bytes_per_s = GB;
    ck_assert(!transfer_direct_applies(&call, &w->topology, &w->network));
    world_destroy(w);
}
END_TEST

START_TEST(who_waits_for_one_source_waits_for_the_last) {
    World *w = world_of(3);
    // Direct: all messages of a round start together, here 5 us after the first arrival. Each of
    // the two into a member has half of 1 GB/s: 1 us + 1200 B / 0.5 GB/s.
    begin(w, call_of(w, 0, (Collective){COLLECTIVE_ALL_GATHER, ALGORITHM_DIRECT, 3, 0, 900}),
          (int64_t[]){2000000, 0, 5000000});
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_all_end(w->end_ps[0], 3, 5000000 + 1000000 + 2400000);
    world_destroy(w);
}
END_TEST

START_TEST(several_collectives_share_the_links) {
    World *w = world_of(4);
    // Two rings at once: every message has half of 1 GB/s, a round takes 3 us.
    Collective ring = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 4, 0, 1000};
    begin(w, call_of(w, 0, ring), NULL);
    begin(w, call_of(w, 1, ring), NULL);
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_all_end(w->end_ps[0], 4, 18000000);
    ck_assert_all_end(w->end_ps[1], 4, 18000000);
    world_destroy(w);
}
END_TEST

START_TEST(members_of_one_collective_may_be_in_the_next) {
    World *w = world_of(3);
    // A chain broadcast of 1000 B from 0, then another of it by those that have ended:
    // member 0 ends the first at 0, and sends the second along with the first: both to
    // member 1 at half rate.
    Collective chain = {COLLECTIVE_BROADCAST, ALGORITHM_CHAIN, 3, 0, 250};
    begin(w, call_of(w, 0, chain), NULL);
    begin(w, call_of(w, 1, chain), NULL);
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_int_eq(w->end_ps[0][1], 3000000);  // 1 us + 1000 B / 0.5 GB/s
    ck_assert_int_eq(w->end_ps[1][1], 3000000);
    ck_assert_int_eq(w->end_ps[1][2], 6000000);
    world_destroy(w);
}
END_TEST

// Every collective that is defined, of any number of members, arriving at any time.
START_TEST(everyone_ends_after_all_messages_of_the_schedule) {
    Rng rng;
    rng_init(&rng, 5, RNG_TEST, 0, 0);
    for (int kind = 0; kind < COLLECTIVE_COUNT; kind++)
        for (int schedule = 0; schedule < ALGORITHM_COUNT; schedule++)
            for (int ranks = 1; ranks <= 9; ranks++) {
                int64_t elements = kind == COLLECTIVE_BARRIER ? 0 : rng_below(&rng, 4 * PIECE);
                Collective c = {(CollectiveKind)kind, (Algorithm)schedule, ranks,
                                (int)rng_below(&rng, (uint32_t)ranks), elements};
                if (collective_validate(&c) != OK) continue;
                Arena a = {0};
                CollectiveStep *steps;
                int64_t count, messages = 0, last = 0, start_ps[MEMBERS];
                ck_assert_ok(collective_list(&c, &steps, &count, &a));
                for (int64_t i = 0; i < count; i++)
                    messages += steps[i].source != steps[i].destination;
                for (int r = 0; r < ranks; r++) start_ps[r] = rng_below(&rng, 20000000);
                World *w = world_of(ranks);
                begin(w, call_of(w, 0, c), start_ps);
                ck_assert_ok(engine_run(&w->engine));
                ck_assert_int_eq(w->ended, ranks);
                ck_assert_int_eq(w->network.messages, messages);
                for (int r = 0; r < ranks; r++) {
                    ck_assert_int_ge(w->end_ps[0][r], start_ps[r]);
                    if (last < w->end_ps[0][r]) last = w->end_ps[0][r];
                }
                // What the busiest member receives cannot come faster than its link.
                ck_assert_int_ge(last, collective_bytes_per_rank(&c, 4) * 1000);
                world_destroy(w);
                arena_finish(&a);
            }
}
END_TEST

// Check's assertions allocate, so that nothing is asserted while it is counted.
static Status ignore(void *context, Event event) { return OK; }

START_TEST(the_next_collective_allocates_nothing) {
    World *w = world_of(16);
    TransferCall call =
        call_of(w, 0, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 16, 0, 1000});
    ck_assert_ok(engine_add_actor(&w->engine, &call.done.actor, w, ignore, NULL));
    for (int round = 0; round < 3; round++) {
        int before = allocations(), failed = 0;
        for (int task = 0; task < 3; task++) {
            int32_t id;
            failed += transfer_begin(&w->transfers, &id, &call) != OK;
            for (int r = 0; r < 16; r++)
                failed += transfer_arrive(&w->transfers, id, r, r * 1000) != OK;
        }
        failed += engine_run(&w->engine) != OK;
        int after = allocations();
        ck_assert_int_eq(failed, 0);
        ck_assert_int_eq(w->network.messages, (round + 1) * 3 * 30 * 16);
        ck_assert_int_eq(w->transfers.count, 3);
        if (round > 0) ck_assert_int_eq(after, before);
    }
    world_destroy(w);
}
END_TEST

START_TEST(the_same_happens_twice) {
    int64_t first[TASKS][MEMBERS], first_events = 0;
    for (int again = 0; again < 2; again++) {
        World *w = world_create(&(TopologyOptions){4, 4, {GB, 700000}, {GB / 7, 3000000}, true});
        for (int task = 0; task < TASKS; task++) {
            int64_t start_ps[MEMBERS];
            for (int r = 0; r < 16; r++) start_ps[r] = (task * 31 + r * 17) % 23 * INT64_C(100000);
            Collective c = {COLLECTIVE_ALL_REDUCE, (Algorithm)(task % ALGORITHM_COUNT), 16, 0,
                            10000 + task};
            begin(w, call_of(w, task, c), start_ps);
        }
        ck_assert_ok(engine_run(&w->engine));
        ck_assert_int_eq(w->ended, TASKS * 16);
        if (again) {
            ck_assert_mem_eq(first, w->end_ps, sizeof first);
            ck_assert_int_eq(first_events, w->engine.event_count);
        }
        memcpy(first, w->end_ps, sizeof first);
        first_events = w->engine.event_count;
        world_destroy(w);
    }
}
END_TEST

START_TEST(what_makes_no_sense_is_refused) {
    World *w = world_of(4);
    int32_t id;
    TransferCall call =
        call_of(w, 0, (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 5, 0, 1000});
    ck_assert_fails(transfer_begin(&w->transfers, &id, &call), ERR_USAGE,
                    "member 4 is on device 4 of 4");
    call.what = (Collective){COLLECTIVE_ALL_TO_ALL, ALGORITHM_RING, 4, 0, 1000};
    ck_assert_fails(transfer_begin(&w->transfers, &id, &call), ERR_USAGE, "has no schedule ring");
    call.what = (Collective){COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 4, 0, INT64_MAX / 4};
    ck_assert_fails(transfer_begin(&w->transfers, &id, &call), ERR_USAGE, "elements of 4 bytes");
    call.devices = (const int32_t[]){0, 1, -2, 3};
    ck_assert_fails(transfer_begin(&w->transfers, &id, &call), ERR_USAGE, "device -2");
    world_destroy(w);
}
END_TEST

// --- Point to point: stages in a line that each work on a message and pass it on.

enum { STAGES = 4, MICRO_BATCHES = 6, ARRIVES = 1, WORKED = 2 };
typedef struct {
    World *w;
    int16_t actor;
    int64_t work_ps, bytes;
    int64_t free_ps[STAGES], end_ps[MICRO_BATCHES];
} Line;

static Status line_handle(void *context, Event event) {
    Line *l = context;
    Engine *e = &l->w->engine;
    int stage = event.a;
    if (event.kind == ARRIVES) {
        if (l->free_ps[stage] < e->now_ps) l->free_ps[stage] = e->now_ps;
        l->free_ps[stage] += l->work_ps;
        return engine_push(e, NULL, l->free_ps[stage] - e->now_ps,
                           (Event){l->actor, WORKED, stage, event.b});
    }
    if (stage == STAGES - 1) {
        l->end_ps[event.b] = e->now_ps;
        return OK;
    }
    Path path = topology_path(&l->w->topology, stage, stage + 1);
    return network_start(&l->w->network, &path, l->bytes,
                         (Event){l->actor, ARRIVES, stage + 1, event.b});
}

static void run_line(Line *l) {
    l->w = world_of(STAGES);
    ck_assert_ok(engine_add_actor(&l->w->engine, &l->actor, l, line_handle, NULL));
    for (int m = 0; m < MICRO_BATCHES; m++)
        ck_assert_ok(engine_push(&l->w->engine, NULL, 0, (Event){l->actor, ARRIVES, 0, m}));
    ck_assert_ok(engine_run(&l->w->engine));
    world_destroy(l->w);
}

START_TEST(a_pipeline_of_sends_is_paced_by_its_slowest_part) {
    // Work of 3 us, messages of 1 us + 2 us, hidden behind the work: 4 works and 3 messages until
    // the first comes out, then one every 3 us.
    Line l = {.work_ps = 3000000, .bytes = 2000};
    run_line(&l);
    for (int m = 0; m < MICRO_BATCHES; m++)
        ck_assert_int_eq(l.end_ps[m], 21000000 + m * INT64_C(3000000));
    // No work: all leave at once, and the 6 share the first link. They arrive together, after 1 us
    // + 6 x 2 us (166,666,666 B/s: 12,000,000.05 ps), and so at every stage.
    l = (Line){.work_ps = 0, .bytes = 2000};
    run_line(&l);
    for (int m = 0; m < MICRO_BATCHES; m++) ck_assert_int_eq(l.end_ps[m], 3 * INT64_C(13000001));
}
END_TEST

SUITE("transfer", a_ring_all_reduce_takes_2_times_ranks_less_1_rounds,
      adding_takes_time_in_the_first_half_of_a_ring,
      a_direct_all_reduce_shares_every_link_among_the_others,
      a_direct_broadcast_shares_the_link_of_its_root, the_pieces_of_a_chain_follow_each_other,
      one_member_and_no_elements_need_no_time_but_latency,
      a_ring_with_uneven_chunks_starts_and_links_follows_its_recurrence,
      a_direct_all_reduce_that_travels_alone_is_priced_by_formula,
      a_formula_is_not_used_where_it_does_not_hold, who_waits_for_one_source_waits_for_the_last,
      several_collectives_share_the_links, members_of_one_collective_may_be_in_the_next,
      everyone_ends_after_all_messages_of_the_schedule, the_next_collective_allocates_nothing,
      the_same_happens_twice, what_makes_no_sense_is_refused,
      a_pipeline_of_sends_is_paced_by_its_slowest_part)
