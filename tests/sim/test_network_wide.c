// SPDX-License-Identifier: MIT
// Flows over many links with a part of their bytes on each, and with a cap: by hand.
#include "core/base/units.h"
#include "sim/network.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#define GB INT64_C(1000000000)
enum { FLOWS = 16, HALF = NETWORK_WEIGHT / 2 };

typedef struct {
    Engine engine;
    Network network;
    int16_t actor;
    int64_t end_ps[FLOWS];
    int ended;
} World;

static Status handle(void *context, Event e) {
    World *w = context;
    w->end_ps[e.a] = w->engine.now_ps;
    w->ended++;
    return OK;
}

static void setup(World *w, int links) {
    int32_t link;
    memset(w, 0, sizeof *w);
    ck_assert_ok(engine_init(&w->engine));
    ck_assert_ok(network_init(&w->network, &w->engine));
    ck_assert_ok(engine_add_actor(&w->engine, &w->actor, w, handle, NULL));
    for (int i = 0; i < links; i++) ck_assert_ok(network_add_link(&w->network, &link, GB, 0));
}

static void teardown(World *w) {
    network_finish(&w->network);
    engine_finish(&w->engine);
}

static void wide(World *w, int id, const NetworkUse *uses, int count, int64_t bytes, int64_t cap,
                 int64_t latency_ps) {
    ck_assert_ok(network_start_wide(&w->network, uses, count, bytes, cap, latency_ps,
                                    (Event){w->actor, 0, id, 0}));
}

static void message(World *w, int id, int32_t link, int64_t bytes) {
    ck_assert_ok(
        network_start(&w->network, &(Path){1, {link}}, bytes, (Event){w->actor, 0, id, 0}));
}

static void run(World *w, int flows) {
    ck_assert_ok(engine_run(&w->engine));
    ck_assert_int_eq(w->ended, flows);
    ck_assert_int_eq(w->network.messages, flows);
}

// Over links 0 to count - 1, with one weight.
static NetworkUse *uses_of(int count, int32_t weight) {
    static NetworkUse uses[64];
    for (int i = 0; i < count; i++) uses[i] = (NetworkUse){i, weight};
    return uses;
}

// 3000 B at a cap of 0.3 GB/s; half of 3000 B by links of 1 GB/s: at 2 GB/s.
START_TEST(alone_it_goes_at_its_cap_or_at_what_its_links_carry) {
    World w;
    setup(&w, 9);
    wide(&w, 0, uses_of(9, NETWORK_WEIGHT), 9, 3000, 3 * GB / 10, 7);
    run(&w, 1);
    ck_assert_int_eq(w.end_ps[0], 7 + 10 * PS_PER_US);
    wide(&w, 1, uses_of(9, HALF), 9, 3000, INT64_MAX, 0);
    wide(&w, 2, NULL, 0, 3000, 3 * GB, 5 * PS_PER_US);  // by no link, at the cap
    wide(&w, 3, uses_of(5, HALF), 5, 0, GB, 11);        // of no bytes: the latency
    run(&w, 4);
    ck_assert_int_eq(w.end_ps[1] - w.end_ps[0], 1500 * PS_PER_NS);
    ck_assert_int_eq(w.end_ps[2] - w.end_ps[0], 6 * PS_PER_US);
    ck_assert_int_eq(w.end_ps[3] - w.end_ps[0], 11);
    teardown(&w);
}
END_TEST

// On link 3 the wide flow with half its bytes and a message of x GB/s: x + x/2 = 1.
START_TEST(weights_count_where_links_are_shared) {
    World w;
    setup(&w, 8);
    wide(&w, 0, uses_of(8, HALF), 8, 2000, INT64_MAX, 0);
    message(&w, 1, 3, 1000);
    run(&w, 2);
    // Both at 2/3 GB/s (rounded down); the message ends after 1.5 us, when the flow has 1000 B left
    // and goes on at 2 GB/s.
    ck_assert_int_eq(w.end_ps[1], 1500001);
    ck_assert_int_eq((w.end_ps[0] + 500) / 1000, 2000);
    teardown(&w);
}
END_TEST

// What a capped flow leaves others get: 0.2 and 0.8 GB/s, then 1 GB/s.
START_TEST(a_cap_leaves_the_rest_to_others) {
    World w;
    setup(&w, 6);
    wide(&w, 0, uses_of(6, NETWORK_WEIGHT), 6, 1000, GB / 5, 0);
    message(&w, 1, 5, 8000);
    run(&w, 2);
    ck_assert_int_eq(w.end_ps[0], 5 * PS_PER_US);
    ck_assert_int_eq(w.end_ps[1], 9 * PS_PER_US);  // 4000 B until then, 4000 B after
    teardown(&w);
}
END_TEST

// Two caps on one link with a third flow: 0.1 and 0.25 GB/s, the third has 0.65; links that are not
// shared limit nobody.
START_TEST(several_caps_fill_one_after_the_other) {
    World w;
    setup(&w, 7);
    wide(&w, 0, uses_of(6, NETWORK_WEIGHT), 6, 1000, GB / 10, 0);
    wide(&w, 1, uses_of(7, NETWORK_WEIGHT), 7, 2500, GB / 4, 0);
    message(&w, 2, 2, 6500);
    run(&w, 3);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(w.end_ps[i], 10 * PS_PER_US);
    teardown(&w);
}
END_TEST

// A wide flow over one link with all its bytes is a message; with more links than a path has, what
// it held is used again.
START_TEST(a_wide_flow_over_one_link_is_a_message_and_nothing_is_kept_of_it) {
    World w;
    setup(&w, 64);
    for (int round = 0; round < 3; round++) {
        w.ended = 0;
        w.network.messages = 0;
        wide(&w, 0, uses_of(1, NETWORK_WEIGHT), 1, 1000, INT64_MAX, 0);
        message(&w, 1, 0, 1000);
        wide(&w, 2, uses_of(64, NETWORK_WEIGHT), 64, 3000, INT64_MAX, 0);
        run(&w, 3);
        ck_assert_int_eq(w.end_ps[0], w.end_ps[1]);
        // A third each for 3 us, then alone for 2.
        int64_t start = round ? (int64_t)round * 5 * PS_PER_US : 0;
        ck_assert(llabs((long long)(w.end_ps[2] - start - 5 * PS_PER_US)) < 20);
        ck_assert_int_eq(w.network.flow_count, 2 + 16);
    }
    teardown(&w);
}
END_TEST

SUITE("network_wide", alone_it_goes_at_its_cap_or_at_what_its_links_carry,
      weights_count_where_links_are_shared, a_cap_leaves_the_rest_to_others,
      several_caps_fill_one_after_the_other,
      a_wide_flow_over_one_link_is_a_message_and_nothing_is_kept_of_it)
