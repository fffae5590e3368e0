// SPDX-License-Identifier: MIT
// Ranks with devices of their own: by hand, to the picosecond. Links carry 1 byte a nanosecond and
// have 10 ps a hop, so that a message of b bytes within a node takes 1000 b + 20 ps.
#include "tests/support/simulate_case.h"

#include <string.h>

static void setup(Setup *s, int ranks) {
    memset(s, 0, sizeof *s);
    s->ranks = ranks;
    s->steps = 1;
    s->plan = make_program(&s->p, ranks);
    s->topology = (TopologyOptions){.nodes = 1,
                                    .devices_per_node = ranks,
                                    .link = {.bytes_per_s = 1000000000, .latency_ps = 10}};
    make_tensor(&s->p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(16), DTYPE_F32);
    make_tensor(&s->p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
    make_tensor(&s->p, "h", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
}

static void prepare_devices(Setup *s) {
    prepare(s);
    for (int r = 0; r < s->ranks; r++) costs_of_network(&s->costs[r]);
}

static Status simulate(Setup *s) {
    const SimulateOptions o = {.costs = s->cost_of, .ranks = s->ranks, .steps = s->steps};
    return simulate_devices(s->line_of, &o, &s->topology);
}

static const Span *span_of(const Setup *s, int rank, int op) {
    for (int i = 0; i < s->lines[rank].span_count; i++)
        if (s->lines[rank].spans[i].op == op) return &s->lines[rank].spans[i];
    ck_abort_msg("rank %d has no span of operation %d", rank, op);
    return NULL;
}

static void make_reduced(Setup *s, Algorithm algorithm) {
    make_op(&s->p, s->plan, (OpSpec){.name = "work", .kind = KIND_FOLD, .phase = PHASE_BACKWARD},
            "g", "w");
    make_op(&s->p, s->plan,
            (OpSpec){.name = "bucket",
                     .kind = KIND_ALL_REDUCE,
                     .lane = 2,
                     .algorithm = algorithm,
                     .order = algorithm == ALGORITHM_RING ? ORDER_SCHEDULE : ORDER_RANK},
            "g", "g");
}

static int64_t all_reduce_of(int ranks, Algorithm algorithm) {
    Setup s;
    setup(&s, ranks);
    make_reduced(&s, algorithm);
    prepare_devices(&s);
    for (int r = 0; r < ranks; r++) cost(&s, r, 0, 500);
    ck_assert_ok(simulate(&s));
    const Span *span = span_of(&s, 0, 1);
    ck_assert_int_eq(span->start_ps, 500);
    int64_t took = span->end_ps - span->start_ps;
    finish(&s);
    return took;
}

// Two direct all-reduces at once: in each round six messages of 16 bytes share every link.
START_TEST(all_reduces_on_two_lanes_share_the_links) {
    Setup s;
    setup(&s, 4);
    int group = program_find_group(&s.p, "data");
    make_tensor(&s.p, "k", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(16), DTYPE_F32);
    ck_assert_ok(program_add_lane(&s.p, "more", LANE_COMMUNICATION, group, NULL));
    make_op(&s.p, s.plan, (OpSpec){.name = "a", .kind = KIND_ALL_REDUCE, .lane = 2}, "g", "g");
    make_op(&s.p, s.plan, (OpSpec){.name = "b", .kind = KIND_ALL_REDUCE, .lane = 3}, "k", "k");
    prepare_devices(&s);
    ck_assert_ok(simulate(&s));
    for (int op = 0; op < 2; op++) ck_assert_int_eq(span_of(&s, 0, op)->end_ps, 2 * (20 + 96001));
    finish(&s);
}
END_TEST

// 64 bytes over 4 ranks are chunks of 16. Ring: 6 rounds of one message. Direct: 2 rounds of three
// that share a link: 333,333,333 bytes/s each, so that 16 bytes take 48,000 ps and a bit. Chain:
// the whole array is one piece, which goes three hops up and three back. Two ranks: 2 rounds of 32
// bytes; a chain goes there and back whole.
START_TEST(an_all_reduce_takes_what_its_closed_form_says) {
    ck_assert_int_eq(all_reduce_of(4, ALGORITHM_RING), 6 * (20 + 16000));
    ck_assert_int_eq(all_reduce_of(4, ALGORITHM_DIRECT), 2 * (20 + 48001));
    ck_assert_int_eq(all_reduce_of(4, ALGORITHM_CHAIN), 6 * (20 + 64000));
    ck_assert_int_eq(all_reduce_of(2, ALGORITHM_RING), 2 * (20 + 32000));
    ck_assert_int_eq(all_reduce_of(2, ALGORITHM_DIRECT), 2 * (20 + 32000));
    ck_assert_int_eq(all_reduce_of(2, ALGORITHM_CHAIN), 2 * (20 + 64000));
}
END_TEST

// The ring takes 96,120; work on the compute lane that does not need its result goes on meanwhile.
START_TEST(communication_and_computation_overlap) {
    for (int more = 10; more <= 200000; more += 199990) {
        Setup s;
        setup(&s, 4);
        make_reduced(&s, ALGORITHM_RING);
        make_op(&s.p, s.plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "h", "w");
        prepare_devices(&s);
        for (int r = 0; r < 4; r++) cost(&s, r, 0, 500), cost(&s, r, 2, more);
        ck_assert_ok(simulate(&s));
        ck_assert_int_eq(span_of(&s, 0, 2)->start_ps, 500);
        ck_assert_int_eq(end_of(&s, 0), more > 96120 ? 500 + more : 500 + 96120);
        finish(&s);
    }
}
END_TEST

// Rank 1 comes 1000 ps late. In a ring of two everyone needs the other from the first round on.
START_TEST(waiting_ends_when_the_last_member_arrives) {
    Setup s;
    setup(&s, 2);
    make_reduced(&s, ALGORITHM_RING);
    prepare_devices(&s);
    cost(&s, 0, 0, 2000);
    cost(&s, 1, 0, 3000);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(span_of(&s, 0, 1)->start_ps, 2000);
    ck_assert_int_eq(span_of(&s, 0, 1)->wait_ns, 1);
    ck_assert_int_eq(span_of(&s, 1, 1)->wait_ns, 0);
    for (int r = 0; r < 2; r++) ck_assert_int_eq(end_of(&s, r), 3000 + 2 * (20 + 32000));
    finish(&s);
}
END_TEST

// Two nodes of two devices; rails of half the rate and 100 ps a hop. In every round of the ring the
// steps between nodes are the slowest: 200 + 32,000.
START_TEST(a_ring_over_nodes_is_paced_by_the_rails) {
    Setup s;
    setup(&s, 4);
    s.topology.nodes = s.topology.devices_per_node = 2;
    s.topology.rail = (LinkModel){.bytes_per_s = 500000000, .latency_ps = 100};
    make_reduced(&s, ALGORITHM_RING);
    prepare_devices(&s);
    for (int r = 0; r < 4; r++) cost(&s, r, 0, 0);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(end_of(&s, 0), 6 * (200 + 32000));
    finish(&s);
}
END_TEST

// Every rank sends 64 bytes to the next and receives from the one before; the lanes are two.
START_TEST(a_message_leaves_when_both_ends_have_come) {
    Setup s;
    int group;
    setup(&s, 3);
    ck_assert_int_ne(group = program_find_group(&s.p, "data"), NONE);
    ck_assert_ok(program_add_lane(&s.p, "back", LANE_COMMUNICATION, group, NULL));
    make_op(&s.p, s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
    make_op(&s.p, s.plan, (OpSpec){.name = "give", .kind = KIND_SEND, .lane = 2, .peer = 1}, "",
            "g");
    make_op(&s.p, s.plan, (OpSpec){.name = "take", .kind = KIND_RECEIVE, .lane = 3, .peer = -1},
            "h", "");
    prepare_devices(&s);
    for (int r = 0; r < 3; r++) cost(&s, r, 0, 1000 * (r + 1));
    ck_assert_ok(simulate(&s));
    for (int r = 0; r < 3; r++) {  // the receives are there from the beginning
        ck_assert_int_eq(span_of(&s, r, 1)->end_ps, 1000 * (r + 1) + 20 + 64000);
        ck_assert_int_eq(span_of(&s, (r + 1) % 3, 2)->end_ps, 1000 * (r + 1) + 20 + 64000);
        ck_assert_int_eq(span_of(&s, (r + 1) % 3, 2)->wait_ns, r + 1);
    }
    finish(&s);
}
END_TEST

// As recorded: 100 and 150 ps from the arrival of the last member, at 3000, whatever the network.
START_TEST(without_a_network_communication_takes_what_was_recorded) {
    Setup s;
    setup(&s, 2);
    make_reduced(&s, ALGORITHM_RING);
    prepare_devices(&s);
    cost(&s, 0, 0, 2000), cost(&s, 0, 1, 100);
    cost(&s, 1, 0, 3000), cost(&s, 1, 1, 150);
    const SimulateOptions o = {.costs = s.cost_of, .ranks = 2};
    ck_assert_ok(simulate_devices(s.line_of, &o, NULL));
    ck_assert_int_eq(end_of(&s, 0), 3100);
    ck_assert_int_eq(end_of(&s, 1), 3150);
    ck_assert_int_eq(span_of(&s, 0, 1)->wait_ns, 1);
    finish(&s);
}
END_TEST

START_TEST(steps_follow_each_other_and_take_the_same) {
    Setup s;
    setup(&s, 4);
    s.steps = 3;
    make_reduced(&s, ALGORITHM_RING);
    prepare_devices(&s);
    for (int r = 0; r < 4; r++) cost(&s, r, 0, 500);
    ck_assert_ok(simulate(&s));
    ck_assert_int_eq(s.lines[2].step_count, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(s.lines[2].steps[i].start_ps, i * 96620);
        ck_assert_int_eq(s.lines[2].steps[i].end_ps, (i + 1) * 96620);
        ck_assert_int_eq(s.lines[2].steps[i].span_count, 2);
    }
    finish(&s);
}
END_TEST

// The host takes 1000 ps to issue each of three operations. `work` (500) starts at 1000. The ring
// (2 * 32,020 of two ranks) could start at 1500 and is issued at 2000; `more` (100) could start at
// 1500 and is issued at 3000. In a step nothing runs during 0..1000 and 1500..2000: that is host.
START_TEST(a_device_waits_until_its_host_has_issued) {
    Setup s;
    int64_t parts[TIME_COUNT];
    setup(&s, 2);
    s.steps = 2;
    make_reduced(&s, ALGORITHM_RING);
    make_op(&s.p, s.plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "h", "w");
    prepare_devices(&s);
    for (int r = 0; r < 2; r++) {
        cost(&s, r, 0, 500), cost(&s, r, 2, 100);
        ck_assert_ok(costs_issue(&s.costs[r], &s.arena, 0, &(DeviceModel){.issue_ps = 1000}));
    }
    ck_assert_ok(simulate(&s));
    const int64_t step = 2000 + 2 * 32020, waits[] = {1000, 500, 1500};
    for (int k = 0; k < 2; k++) {
        const StepRecord *record = &s.lines[0].steps[k];
        ck_assert_int_eq(record->start_ps, k * step);
        ck_assert_int_eq(record->end_ps, (k + 1) * step);
        for (int i = 0; i < 3; i++) {
            const Span *span = &s.lines[0].spans[record->span_first + i];
            ck_assert_int_eq(span->start_ps, k * step + 1000 * (span->op + 1));
            ck_assert_int_eq(span->issue_ps, waits[span->op]);
        }
        timeline_breakdown(&s.p, &s.lines[0], record, parts);
        ck_assert_int_eq(parts[TIME_COMPUTE], 500 + 100);
        ck_assert_int_eq(parts[TIME_EXPOSED_COMM], 2 * 32020 - 100);
        ck_assert_int_eq(parts[TIME_HOST], 1000 + 500);
    }
    finish(&s);
}
END_TEST

// The host takes 1000 ps an operation: `work` (500) starts at 1000, `give` is issued at 2000,
// `take` at 3000; its message (64,020) then leaves. `more` (100) needs it not. A host that goes on
// issues it at 4000, one that waits for the message 1000 ps after that has come, in every step.
START_TEST(a_host_may_wait_for_each_message) {
    for (int waits = 0; waits < 2; waits++) {
        Setup s;
        setup(&s, 2);
        s.steps = 2;
        int group = program_find_group(&s.p, "data");
        ck_assert_ok(program_add_lane(&s.p, "back", LANE_COMMUNICATION, group, NULL));
        make_tensor(&s.p, "m", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
        make_op(&s.p, s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD}, "g", "w");
        make_op(&s.p, s.plan, (OpSpec){.name = "give", .kind = KIND_SEND, .lane = 2, .peer = 1},
                "", "g");
        make_op(&s.p, s.plan,
                (OpSpec){.name = "take", .kind = KIND_RECEIVE, .lane = 3, .peer = -1}, "h", "");
        make_op(&s.p, s.plan, (OpSpec){.name = "more", .kind = KIND_FOLD}, "m", "w");
        prepare_devices(&s);
        const DeviceModel host = {.issue_ps = 1000, .waits = waits};
        for (int r = 0; r < 2; r++) {
            cost(&s, r, 0, 500), cost(&s, r, 3, 100);
            ck_assert_ok(costs_issue(&s.costs[r], &s.arena, 0, &host));
        }
        ck_assert_ok(simulate(&s));
        const int64_t came = 3000 + 20 + 64000, more = waits ? came + 1000 : 4000;
        const int64_t step = waits ? more + 100 : came;
        for (int k = 0; k < 2; k++) {
            const StepRecord *record = &s.lines[1].steps[k];
            ck_assert_int_eq(record->end_ps, (k + 1) * step);
            for (int i = 0; i < 4; i++) {
                const Span *span = &s.lines[1].spans[record->span_first + i];
                if (span->op == 2) ck_assert_int_eq(span->end_ps, k * step + came);
                if (span->op == 3) ck_assert_int_eq(span->start_ps, k * step + more);
                if (span->op == 3) ck_assert_int_eq(span->issue_ps, more - 1500);
            }
        }
        finish(&s);
    }
}
END_TEST

// Nobody receives what is sent.
START_TEST(a_deadlock_says_who_waits_for_whom) {
    Setup s;
    setup(&s, 2);
    make_op(&s.p, s.plan, (OpSpec){.name = "give", .kind = KIND_SEND, .lane = 2, .peer = 1}, "",
            "w");
    make_op(&s.p, s.plan, (OpSpec){.name = "later", .kind = KIND_FOLD}, "g", "w");
    prepare_devices(&s);
    for (int r = 0; r < 2; r++) cost(&s, r, 1, 10);
    ck_assert_ok(plan_add_dep(s.plan, 1, 0, DEP_ORDER, 0));
    ck_assert_fails(simulate(&s), ERR_FAILED,
                    "deadlock: rank 0 cannot begin later before give; rank 0 waits at give for "
                    "rank 1; rank 1 cannot begin later before give; rank 1 waits at give for "
                    "rank 0");
    finish(&s);
}
END_TEST

START_TEST(too_few_devices_are_an_error) {
    Setup s;
    setup(&s, 4);
    s.topology.devices_per_node = 3;
    make_reduced(&s, ALGORITHM_RING);
    prepare_devices(&s);
    for (int r = 0; r < 4; r++) cost(&s, r, 0, 1);
    ck_assert_fails(simulate(&s), ERR_USAGE, "4 ranks need a device each, and the machine has 3");
    finish(&s);
}
END_TEST

SUITE("simulate_devices", all_reduces_on_two_lanes_share_the_links,
      an_all_reduce_takes_what_its_closed_form_says, communication_and_computation_overlap,
      waiting_ends_when_the_last_member_arrives, a_ring_over_nodes_is_paced_by_the_rails,
      a_message_leaves_when_both_ends_have_come,
      without_a_network_communication_takes_what_was_recorded,
      steps_follow_each_other_and_take_the_same, a_deadlock_says_who_waits_for_whom,
      a_device_waits_until_its_host_has_issued, a_host_may_wait_for_each_message,
      too_few_devices_are_an_error)
