// SPDX-License-Identifier: MIT
// Messages that go the same way one after another, as channels carry them.
#include "sim/network.h"
#include "tests/support/testing.h"

#include <string.h>

#define GB INT64_C(1000000000)
enum { MESSAGES = 4, LONGEST = 3 * PATH_LINKS };

// Four messages in turn, the third without bytes, among others that come and go on the same links.
typedef struct {
    Engine engine;
    Network network;
    int16_t actor, others;
    Path path;
    int32_t channel;
    bool by_channel;
    int64_t arrived_ps[MESSAGES];
    int count;
} Relay;

static Status send_next(Relay *r) {
    int64_t bytes = r->count == 2 ? 0 : 1000 * (r->count + 1);
    if (r->by_channel) return network_send(&r->network, r->channel, bytes);
    return network_start(&r->network, &r->path, bytes, (Event){.actor = r->actor});
}

static Status arrives(void *context, Event event) {
    Relay *r = context;
    r->arrived_ps[r->count++] = r->engine.now_ps;
    return r->count < MESSAGES ? send_next(r) : OK;
}

// a: hops of its path. It leaves (kind 1), and has arrived.
static Status another(void *context, Event event) {
    Relay *r = context;
    Path path = r->path;
    path.hops = event.a;
    event.kind--;
    return event.kind < 0 ? OK : network_start(&r->network, &path, 700, event);
}

static void setup(Relay *r, int hops) {
    memset(r, 0, sizeof *r);
    ck_assert_ok(engine_init(&r->engine));
    ck_assert_ok(network_init(&r->network, &r->engine));
    ck_assert_ok(engine_add_actor(&r->engine, &r->actor, r, arrives, NULL));
    ck_assert_ok(engine_add_actor(&r->engine, &r->others, r, another, NULL));
    for (int h = 0; h < hops; h++)
        ck_assert_ok(network_add_link(&r->network, &r->path.links[r->path.hops++],
                                      h == 1 ? GB / 2
                                      : h    ? 9 * GB
                                             : GB,
                                      h == 1 ? 50
                                      : h    ? 0
                                             : 100));
    for (int i = 0; i < 5; i++) {
        const Event leaves = {r->others, 1, i % 2 ? 1 : hops, 0};
        ck_assert_ok(engine_push(&r->engine, NULL, i * 1500000, leaves));
    }
}

static void run(Relay *r, bool by_channel, int hops) {
    setup(r, hops);
    const Event done = {.actor = r->actor};
    r->by_channel = by_channel;
    ck_assert_ok(network_open(&r->network, &r->channel, &r->path, done));
    ck_assert_ok(send_next(r));
    ck_assert_ok(engine_run(&r->engine));
    ck_assert_int_eq(r->count, MESSAGES);
    ck_assert_int_eq(r->network.messages, 5 + MESSAGES);
    int flows = r->network.flow_count;
    for (int i = 0; i < 9; i++) {
        network_close(&r->network, r->channel);
        ck_assert_ok(network_open(&r->network, &r->channel, &r->path, done));
    }
    ck_assert_int_eq(r->network.flow_count, flows);  // what a channel kept is used again
    network_finish(&r->network);
    engine_finish(&r->engine);
}

// The links of 9 GB/s after the first two never fill.
START_TEST(a_channel_carries_what_messages_one_by_one_would) {
    for (int hops = 2; hops <= LONGEST; hops++) {
        Relay one_by_one, channel;
        run(&one_by_one, false, hops);
        run(&channel, true, hops);
        for (int i = 0; i < MESSAGES; i++)
            ck_assert_int_eq(channel.arrived_ps[i], one_by_one.arrived_ps[i]);
        // 0.25 GB/s while another sends 700 bytes, 100 bytes alone at 0.5 GB/s, 200 shared again.
        ck_assert_int_eq(channel.arrived_ps[0], 150 + 2800000 + 200000 + 800000);
    }
}
END_TEST

SUITE("network_channel", a_channel_carries_what_messages_one_by_one_would)
