// SPDX-License-Identifier: MIT
// Collectives at NCCL's price in a simulation: alone exactly the price, sharing where they overlap.
#include "core/base/units.h"
#include "core/platform/machine.h"
#include "tests/support/simulate_case.h"

#include <stdlib.h>
#include <string.h>

enum { ELEMENTS = 1 << 20 };
static const int64_t payload = 4 * (int64_t)ELEMENTS;

typedef struct {
    Setup s;
    Machine machine;
} Case;

// Ranks on nodes of so many devices of a machine.
static void setup(Case *c, const char *machine, int ranks, int per_node) {
    Setup *s = &c->s;
    memset(c, 0, sizeof *c);
    ck_assert_ok(machine_read(&c->machine, &s->arena, machine));
    s->ranks = ranks;
    s->steps = 1;
    s->plan = make_program(&s->p, ranks);
    s->topology = (TopologyOptions){.nodes = (ranks + per_node - 1) / per_node,
                                    .devices_per_node = per_node,
                                    .link = c->machine.link,
                                    .rail = c->machine.rail,
                                    .pricing = {.constants = &c->machine.collectives}};
    make_tensor(&s->p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(ELEMENTS), DTYPE_F32);
    make_tensor(&s->p, "k", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(ELEMENTS), DTYPE_F32);
    make_tensor(&s->p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
    make_tensor(&s->p, "h", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
}

static void simulate(Case *c) {
    Setup *s = &c->s;
    prepare(s);
    for (int r = 0; r < s->ranks; r++) {
        costs_of_network(&s->costs[r]);
        for (int i = 0; i < s->plan->op_count; i++)
            if (!op_communicates(&s->p, &s->plan->ops[i])) cost(s, r, i, (r + 1) * PS_PER_US);
    }
    const SimulateOptions o = {.costs = s->cost_of, .ranks = s->ranks, .steps = s->steps};
    ck_assert_ok(simulate_devices(s->line_of, &o, &s->topology));
}

static const Span *span_of(const Case *c, int rank, int op) {
    const Timeline *t = &c->s.lines[rank];
    for (int i = 0; i < t->span_count; i++)
        if (t->spans[i].op == op) return &t->spans[i];
    ck_abort_msg("rank %d has no span of operation %d", rank, op);
    return NULL;
}

static NcclPrice price_of(const Case *c) {
    NcclPrice p;
    ck_assert_ok(nccl_price(&p, &c->machine.collectives,
                            &(NcclCall){.kind = COLLECTIVE_ALL_REDUCE,
                                        .bytes = payload,
                                        .ranks = c->s.ranks,
                                        .nodes = c->s.topology.nodes,
                                        .algorithm = c->s.topology.pricing.algorithm}));
    return p;
}

static void add_reduced(Case *c) {
    make_op(&c->s.p, c->s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
    make_op(&c->s.p, c->s.plan, (OpSpec){.name = "a", .kind = KIND_ALL_REDUCE, .lane = 2}, "g",
            "g");
}

static void check_alone(Case *c) {
    add_reduced(c);
    simulate(c);
    int64_t last_ps = c->s.ranks * PS_PER_US, took_ps = price_of(c).time_ps;
    for (int r = 0; r < c->s.ranks; r++) {
        ck_assert_int_eq(span_of(c, r, 1)->start_ps, (r + 1) * PS_PER_US);
        ck_assert_int_eq(span_of(c, r, 1)->end_ps, last_ps + took_ps);
    }
    finish(&c->s);
}

START_TEST(alone_a_collective_takes_its_price_from_the_last_arrival_on) {
    static const char *const machines[] = {"dgx-a100", "dgx-h100", "dgx-v100"};
    for (int m = 0; m < 3; m++)
        for (int ranks = 2; ranks <= 8; ranks++)
            for (int per_node = 1; per_node <= 8; per_node++) {
                Case c;
                setup(&c, machines[m], ranks, per_node);
                check_alone(&c);
            }
}
END_TEST

START_TEST(the_algorithm_that_is_asked_for_has_its_own_price) {
    Case c;
    int64_t took[2];
    for (int i = 0; i < 2; i++) {
        setup(&c, "dgx-a100", 8, 8);
        c.s.topology.pricing.algorithm = i ? NCCL_TREE : NCCL_RING;
        took[i] = price_of(&c).time_ps;
        check_alone(&c);
    }
    ck_assert_int_ne(took[0], took[1]);
}
END_TEST

// Together they need 2 * 7/4 of the payload through a port of 300 GB/s, more than the 240 GB/s that
// one may have: the ends agree, and are later than one alone.
START_TEST(two_at_once_share_the_ports) {
    Case c;
    setup(&c, "dgx-a100", 8, 8);
    int group = program_find_group(&c.s.p, "data");
    ck_assert_ok(program_add_lane(&c.s.p, "more", LANE_COMMUNICATION, group, NULL));
    make_op(&c.s.p, c.s.plan, (OpSpec){.name = "a", .kind = KIND_ALL_REDUCE, .lane = 2}, "g", "g");
    make_op(&c.s.p, c.s.plan, (OpSpec){.name = "b", .kind = KIND_ALL_REDUCE, .lane = 3}, "k", "k");
    c.s.topology.pricing.algorithm = NCCL_RING;
    c.s.topology.pricing.protocol = NCCL_SIMPLE;
    simulate(&c);
    int64_t end_ps = span_of(&c, 0, 0)->end_ps;
    ck_assert_int_eq(span_of(&c, 7, 1)->end_ps, end_ps);
    // Latency 8.4 + 14 * 3.4 + 20 us, then 2 * 7/4 * 4 MiB at 300 GB/s.
    int64_t want_ps = 76 * PS_PER_US + 2 * payload * 7 / 4 * 1000 / 300;
    ck_assert(llabs((long long)(end_ps - want_ps)) < 1000);
    finish(&c.s);
}
END_TEST

// Half as fast beside the collective, which begins at 2 us. On rank 0 `more` began at 1 us: what it
// does until the collective ends is a us and half of the rest. On rank 1 it begins with the
// collective, and ends before it, after twice its time. Products here are not slower.
START_TEST(computing_goes_on_slower_while_a_collective_is_under_way) {
    Case c;
    int64_t parts[TIME_COUNT];
    setup(&c, "dgx-a100", 2, 2);
    add_reduced(&c);
    make_op(&c.s.p, c.s.plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "h", "w");
    prepare(&c.s);
    const int64_t took = price_of(&c).time_ps;
    for (int r = 0; r < 2; r++) {
        costs_of_network(&c.s.costs[r]);
        cost(&c.s, r, 0, (r + 1) * PS_PER_US);
        cost(&c.s, r, 2, r ? took / 4 : PS_PER_US + 2 * took);
        c.s.costs[r].slowed_permille[SLOWED_OTHER] = 2000;
        c.s.costs[r].slowed_permille[SLOWED_PRODUCTS] = 7000;
    }
    const SimulateOptions o = {.costs = c.s.cost_of, .ranks = 2, .steps = 1};
    ck_assert_ok(simulate_devices(c.s.line_of, &o, &c.s.topology));
    ck_assert_int_eq(span_of(&c, 0, 1)->end_ps, 2 * PS_PER_US + took);
    ck_assert_int_eq(span_of(&c, 1, 2)->end_ps, 2 * PS_PER_US + 2 * (took / 4));
    ck_assert_int_eq(span_of(&c, 0, 2)->end_ps, 2 * PS_PER_US + took + 2 * took - took / 2);
    timeline_breakdown(&c.s.p, &c.s.lines[0], &c.s.lines[0].steps[0], parts);
    ck_assert_int_le(llabs(parts[TIME_CONTENDED] - (took - took / 2)), PS_PER_NS);
    ck_assert_int_le(llabs(parts[TIME_COMPUTE] - (2 * PS_PER_US + 2 * took)), PS_PER_NS);
    finish(&c.s);
}
END_TEST

SUITE("priced", alone_a_collective_takes_its_price_from_the_last_arrival_on,
      the_algorithm_that_is_asked_for_has_its_own_price, two_at_once_share_the_ports,
      computing_goes_on_slower_while_a_collective_is_under_way)
