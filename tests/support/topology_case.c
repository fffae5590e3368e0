// SPDX-License-Identifier: MIT
#include "tests/support/topology_case.h"

static Status handle(void *context, Event event) {
    TopologyCase *c = context;
    c->ended++;
    c->last_ps = c->engine.now_ps;
    return OK;
}

void topology_case_init(TopologyCase *c, const TopologyOptions *o) {
    *c = (TopologyCase){.ended = 0};
    ck_assert_ok(engine_init(&c->engine));
    ck_assert_ok(network_init(&c->network, &c->engine));
    ck_assert_ok(topology_init(&c->topology, &c->network, o));
    ck_assert_ok(transfers_init(&c->transfers, &c->engine, &c->network, &c->topology));
    ck_assert_ok(engine_add_actor(&c->engine, &c->actor, c, handle, NULL));
}

void topology_case_finish(TopologyCase *c) {
    transfers_finish(&c->transfers);
    network_finish(&c->network);
    engine_finish(&c->engine);
}

void topology_case_send(TopologyCase *c, int from, int to, int64_t bytes) {
    Path p = topology_path(&c->topology, from, to);
    ck_assert_ok(network_start(&c->network, &p, bytes, (Event){c->actor, 0, 0, 0}));
}
