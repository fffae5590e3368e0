// SPDX-License-Identifier: MIT
// NCCL's model against hand arithmetic with its published constants, and against tables that
// nccl-tests measured (below TANDEM_SHARED).
#include "sim/nccl_model.h"

#include "core/base/units.h"
#include "core/platform/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/machine_case.h"

static Arena arena;

static NcclConstants constants_of(const char *machine) {
    Machine m;
    ck_assert_ok(machine_read(&m, &arena, machine));
    ck_assert(m.has_collectives);
    return m.collectives;
}

// As NCCL has them, without what a fit adds.
static NcclConstants unfitted(const char *machine) {
    NcclConstants c = constants_of(machine);
    c.base_latency_ps = 0;
    return c;
}

static NcclPrice price_of(const NcclConstants *c, CollectiveKind kind, int64_t bytes, int ranks,
                          int nodes) {
    NcclPrice p;
    ck_assert_ok(nccl_price(
        &p, c, &(NcclCall){.kind = kind, .bytes = bytes, .ranks = ranks, .nodes = nodes}));
    return p;
}

static NcclPrice price_by(const NcclConstants *c, int64_t bytes, int ranks, int nodes,
                          NcclAlgorithm a, NcclProtocol of) {
    NcclPrice p;
    ck_assert_ok(nccl_price(&p, c, &(NcclCall){COLLECTIVE_ALL_REDUCE, bytes, ranks, nodes, a, of}));
    return p;
}

static void is(const NcclPrice *p, NcclAlgorithm a, NcclProtocol of, int64_t latency_ps,
               int64_t bytes_per_s) {
    ck_assert_str_eq(nccl_algorithm_name(p->algorithm), nccl_algorithm_name(a));
    ck_assert_str_eq(nccl_protocol_name(p->protocol), nccl_protocol_name(of));
    ck_assert_int_eq(p->latency_ps, latency_ps);
    ck_assert_int_eq(p->bytes_per_s, bytes_per_s);
}

// Eight A100: 2 * 7 hops of 3.4 us over 8.4 us; a bus of 24 * 10 GB/s carries 14/8 of each byte.
START_TEST(a_large_all_reduce_is_a_ring_with_the_bandwidth_of_the_bus) {
    NcclConstants c = unfitted("dgx-a100");
    NcclPrice p = price_of(&c, COLLECTIVE_ALL_REDUCE, INT64_C(1) << 30, 8, 1);
    is(&p, NCCL_RING, NCCL_SIMPLE, 56 * PS_PER_US, INT64_C(240000000000) * 8 / 14);
    ck_assert_int_eq(p.channels, 24);
    ck_assert_int_eq(p.port_weight, 1792);  // 14/8 of 1024
    ck_assert_int_eq(p.rail_weight, 0);
    // 2^30 * 10^12 / 137142857142 is 7829367466.676, rounded up.
    ck_assert_int_eq(p.time_ps - p.latency_ps, INT64_C(7829367467));
    c.base_latency_ps = 5 * PS_PER_US;
    c.hop_within = 2 * NCCL_UNIT;
    c.bandwidth_within = NCCL_UNIT / 2;
    p = price_of(&c, COLLECTIVE_ALL_REDUCE, INT64_C(1) << 34, 8, 1);
    is(&p, NCCL_RING, NCCL_SIMPLE, PS_PER_US / 10 * 1086, INT64_C(120000000000) * 8 / 14);
    c.group_loss = 8 * NCCL_UNIT / 10;  // a tenth for eight devices
    p = price_of(&c, COLLECTIVE_ALL_REDUCE, INT64_C(1) << 34, 8, 1);
    ck_assert_int_eq(p.bytes_per_s, INT64_C(108000000000) * 8 / 14);
}
END_TEST

// Of 256 MiB half the ramp is lost, of three times as much three quarters; over nodes none.
START_TEST(a_ramp_is_lost_within_nodes) {
    NcclConstants c = unfitted("dgx-a100"), ramp = c;
    ramp.ramp_ps = 200 * PS_PER_US;
    for (int times = 1; times <= 3; times += 2) {
        int64_t bytes = times * (INT64_C(256) << 20), lost = times == 1 ? 100 : 150;
        NcclPrice a = price_of(&c, COLLECTIVE_ALL_REDUCE, bytes, 8, 1);
        NcclPrice b = price_of(&ramp, COLLECTIVE_ALL_REDUCE, bytes, 8, 1);
        ck_assert_int_eq(b.latency_ps, a.latency_ps);
        ck_assert_close(b.time_ps - a.time_ps, lost * PS_PER_US, 100);
        ck_assert_close((b.time_ps - b.latency_ps) / 1e12 * (double)b.bytes_per_s, bytes, 1);
    }
    NcclPrice a = price_of(&c, COLLECTIVE_ALL_REDUCE, INT64_C(1) << 30, 16, 2);
    NcclPrice b = price_of(&ramp, COLLECTIVE_ALL_REDUCE, INT64_C(1) << 30, 16, 2);
    ck_assert_int_eq(a.time_ps, b.time_ps);
}
END_TEST

// Over 2 nodes of 8: 6.8 us + 2 (7 * 0.6 + 1 * 5.0); half the bus, at most 22.5 GB/s for LL with
// AMD hosts, and no correction for less than 64 bytes.
START_TEST(a_small_all_reduce_over_nodes_is_a_tree) {
    NcclConstants c = unfitted("dgx-a100");
    NcclPrice p = price_of(&c, COLLECTIVE_ALL_REDUCE, 8, 16, 2);
    is(&p, NCCL_TREE, NCCL_LL, PS_PER_US / 10 * 252, INT64_C(11250000000));
    ck_assert_int_eq(p.channels, 1);
    ck_assert_int_eq(p.port_weight, 1920);  // 30/16
    ck_assert_int_eq(p.rail_weight, 240);   // an eighth of that
    // 64 KiB is the eleventh power of two from 64 B on: 0.6 of it.
    p = price_by(&c, 65536, 16, 2, NCCL_TREE, NCCL_LL);
    is(&p, NCCL_TREE, NCCL_LL, PS_PER_US / 10 * 252, INT64_C(6750000000));
}
END_TEST

// A ring with Simple over nodes has a plateau: 1.4 (8.4 + 28 max(3.4, 6) + 2 * 14) us.
START_TEST(a_ring_over_nodes_pays_for_the_network_and_the_plateau) {
    NcclConstants c = unfitted("dgx-a100");
    NcclPrice p = price_by(&c, 1 << 20, 16, 2, NCCL_RING, NCCL_SIMPLE);
    is(&p, NCCL_RING, NCCL_SIMPLE, PS_PER_US / 100 * 28616, INT64_C(192000000000) * 16 / 30);
    p = price_by(&c, 64, 16, 2, NCCL_RING, NCCL_SIMPLE);
    ck_assert_int_eq(p.latency_ps, PS_PER_US / 10 * 2044);
    c.hop_across = 2 * NCCL_UNIT;
    c.bandwidth_across = NCCL_UNIT / 2;
    p = price_by(&c, 64, 16, 2, NCCL_RING, NCCL_SIMPLE);
    is(&p, NCCL_RING, NCCL_SIMPLE, PS_PER_US / 10 * 2324, INT64_C(96000000000) * 16 / 30);
    // One member a node has one adapter of eight, and hops as long as a tree's.
    c = unfitted("dgx-a100");
    p = price_by(&c, 1 << 20, 2, 2, NCCL_RING, NCCL_LL);
    is(&p, NCCL_RING, NCCL_LL, PS_PER_US / 10 * 166, INT64_C(12000000000));
    ck_assert(p.port_weight == 0 && p.rail_weight == NCCL_WEIGHT && p.channels == 1);
}
END_TEST

// Eight H100: 2 * 16 * 18.8 GB/s * 0.85 * 15/16, of which an array gets 8/14.
START_TEST(switches_that_add_are_used_where_the_platform_has_them) {
    NcclConstants c = constants_of("dgx-h100");
    NcclPrice p = price_of(&c, COLLECTIVE_ALL_REDUCE, 1 << 24, 8, 1);
    is(&p, NCCL_NVLS, NCCL_SIMPLE, 25 * PS_PER_US, INT64_C(479400000000) * 8 / 14);
    ck_assert(p.channels == 16 && p.port_weight == NCCL_WEIGHT);
    p = price_of(&c, COLLECTIVE_ALL_REDUCE, 1 << 24, 16, 2);
    ck_assert_int_eq(p.algorithm, NCCL_NVLS_TREE);
    ck_assert_int_eq(p.latency_ps, PS_PER_US / 10 * 668);  // 25 + 2 * 20.9
    p = price_of(&c, COLLECTIVE_ALL_REDUCE, 1 << 24, 2, 1);
    ck_assert_int_eq(p.algorithm, NCCL_RING);  // nothing to add up for two
    p = price_of(&c, COLLECTIVE_ALL_GATHER, 1 << 30, 8, 1);
    ck_assert_int_eq(p.port_weight, 896);  // 7/8
    c.collnet = true;
    p = price_by(&c, 1 << 24, 16, 2, NCCL_COLLNET_DIRECT, NCCL_SIMPLE);
    ck_assert_int_eq(p.latency_ps, PS_PER_US / 10 * 440);  // 2 (3.7 + 7 * 0.4) + 31
    p = price_by(&c, 1 << 24, 16, 2, NCCL_COLLNET_CHAIN, NCCL_SIMPLE);
    ck_assert_int_eq(p.latency_ps, PS_PER_US / 10 * 692);  // 2 * 7 * 2.8 + 30
}
END_TEST

// 8 + 3 * 14 / 3.5 + 8 * 2.8 us, against 7 hops of 14 us in a ring.
START_TEST(gathering_over_nodes_of_one_device_takes_pat) {
    const NcclConstants c = unfitted("dgx-a100");
    NcclPrice p;
    const NcclCall call = {COLLECTIVE_ALL_GATHER, 1 << 20, 8, 8, NCCL_PAT, NCCL_SIMPLE};
    ck_assert_ok(nccl_price(&p, &c, &call));
    is(&p, NCCL_PAT, NCCL_SIMPLE, PS_PER_US / 10 * 424, INT64_C(18000000000));
    p = price_of(&c, COLLECTIVE_REDUCE_SCATTER, 1 << 20, 8, 8);
    ck_assert_int_eq(p.algorithm, NCCL_PAT);
    p = price_of(&c, COLLECTIVE_REDUCE_SCATTER, 1 << 26, 8, 8);
    ck_assert_int_eq(p.algorithm, NCCL_RING);
    p = price_of(&c, COLLECTIVE_REDUCE_SCATTER, 1 << 20, 16, 8);  // two a node
    ck_assert_int_eq(p.algorithm, NCCL_RING);
}
END_TEST

// Servers of one device on Ethernet: one channel of 12 GB/s, and every hop one over the network.
START_TEST(one_device_a_node_goes_by_its_adapter_alone) {
    const NcclConstants c = constants_of("ethernet-cluster");
    // 6.8 + 2 * 2 * 5.0 us; 0.92 * 12 GB/s by 3.8, and each byte twice.
    NcclPrice p = price_of(&c, COLLECTIVE_ALL_REDUCE, 8, 4, 4);
    is(&p, NCCL_TREE, NCCL_LL, PS_PER_US / 10 * 268, INT64_C(1452631578));
    ck_assert(p.channels == 1 && p.port_weight == 0 && p.rail_weight == 1536);  // 6/4 of 1024
    // 6.6 + 6 * 5.0 us; half the bus, of which an array gets 4/6.
    p = price_of(&c, COLLECTIVE_ALL_REDUCE, 65536, 4, 4);
    is(&p, NCCL_RING, NCCL_LL, PS_PER_US / 10 * 366, INT64_C(4000000000));
    // 1.4 (8.4 + 6 * 14) us.
    p = price_of(&c, COLLECTIVE_ALL_REDUCE, 1 << 30, 4, 4);
    is(&p, NCCL_RING, NCCL_SIMPLE, PS_PER_US / 100 * 12936, INT64_C(8000000000));
    NcclCall call = {COLLECTIVE_ALL_REDUCE, 1 << 20, 4, 4, 0, NCCL_LL128};
    ck_assert_fails(nccl_price(&p, &c, &call), ERR_USAGE, "LL128");
    // 8.4 + 2 * 14 us. Measured between two such servers over TCP (nccl-tests, issue 82): 38 to 46.
    call = (NcclCall){COLLECTIVE_BROADCAST, 8, 2, 2, NCCL_RING, NCCL_SIMPLE};
    ck_assert_ok(nccl_price(&p, &c, &call));
    is(&p, NCCL_RING, NCCL_SIMPLE, PS_PER_US / 10 * 364, INT64_C(12000000000));
}
END_TEST

START_TEST(the_fastest_is_taken) {
    const char *const machines[] = {"dgx-a100", "dgx-h100", "dgx-v100", "ethernet-cluster"};
    for (int m = 0; m < 4; m++) {
        const NcclConstants c = constants_of(machines[m]);
        for (int nodes = c.devices > 1 ? 1 : 4; nodes <= 64; nodes *= 4)
            for (int64_t bytes = 8; bytes <= INT64_C(1) << 34; bytes *= 8)
                for (int k = 0; k < COLLECTIVE_COUNT; k++) {
                    NcclCall call = {(CollectiveKind)k, bytes, c.devices * nodes, nodes, 0, 0};
                    NcclPrice best, p;
                    ck_assert_ok(nccl_price(&best, &c, &call));
                    ck_assert_int_gt(best.time_ps, best.latency_ps);
                    for (int a = 1; a < NCCL_ALGORITHMS; a++)
                        for (int of = 1; of < NCCL_PROTOCOLS; of++) {
                            call.algorithm = (NcclAlgorithm)a;
                            call.protocol = (NcclProtocol)of;
                            if (nccl_price(&p, &c, &call) == OK)
                                ck_assert_int_ge(p.time_ps, best.time_ps);
                        }
                }
    }
}
END_TEST

// More bytes take no less time at one algorithm and protocol, and more ranks do not make it faster.
START_TEST(more_bytes_or_more_ranks_are_not_faster_by_a_ring) {
    const NcclConstants c = constants_of("dgx-a100");
    for (int of = NCCL_LL; of < NCCL_PROTOCOLS; of++)
        for (int64_t bytes = 8; bytes < INT64_C(1) << 34; bytes *= 2) {
            NcclProtocol p = (NcclProtocol)of;
            int64_t ps = price_by(&c, bytes, 4, 1, NCCL_RING, p).time_ps;
            ck_assert_int_ge(price_by(&c, 2 * bytes, 4, 1, NCCL_RING, p).time_ps, ps);
            ck_assert_int_ge(price_by(&c, bytes, 8, 1, NCCL_RING, p).time_ps, ps);
        }
}
END_TEST

// A message: 8.4 + 3.4 us and all channels; across, 8.4 + 14 us and one adapter. 16 members that
// send all others their part: 7/16 by NVLink, 8/16 by the adapter, which takes longer; and 0.4 us
// for each of 14 further peers.
START_TEST(sends_cost_a_send_and_the_busier_way) {
    const NcclConstants c = unfitted("dgx-a100");
    NcclPrice p;
    ck_assert_ok(nccl_price_message(&p, &(NcclMemo){0}, &c, 1 << 24, false));
    is(&p, NCCL_P2P, NCCL_SIMPLE, PS_PER_US / 10 * 118, INT64_C(240000000000));
    ck_assert(p.port_weight == NCCL_WEIGHT && p.rail_weight == 0);
    ck_assert_ok(nccl_price_message(&p, &(NcclMemo){0}, &c, 1 << 24, true));
    is(&p, NCCL_P2P, NCCL_SIMPLE, PS_PER_US / 10 * 224, INT64_C(24000000000));
    ck_assert(p.port_weight == 0 && p.rail_weight == NCCL_WEIGHT);
    ck_assert_ok(nccl_price_message(&p, &(NcclMemo){0}, &c, 4, false));
    is(&p, NCCL_P2P, NCCL_LL, PS_PER_US / 10 * 72, INT64_C(120000000000));
    p = price_of(&c, COLLECTIVE_ALL_TO_ALL, 1 << 24, 16, 2);
    is(&p, NCCL_P2P, NCCL_SIMPLE, PS_PER_US / 10 * 280, INT64_C(48000000000));
    ck_assert(p.port_weight == 448 && p.rail_weight == 512);
}
END_TEST

START_TEST(an_algorithm_that_the_platform_lacks_is_refused) {
    NcclConstants c = constants_of("dgx-v100");
    NcclPrice p;
    NcclCall call = {COLLECTIVE_ALL_REDUCE, 64, 8, 1, NCCL_NVLS, 0};
    ck_assert_fails(nccl_price(&p, &c, &call), ERR_USAGE,
                    "all_reduce over 8 ranks on 1 node: no NVLS here");
    call.kind = COLLECTIVE_BROADCAST;  // which has rings only, wherever
    ck_assert_ok(nccl_price(&p, &c, &call));
    ck_assert_int_eq(p.algorithm, NCCL_RING);
    c.across_channels = 0;
    call = (NcclCall){COLLECTIVE_ALL_REDUCE, 64, 16, 2, 0, 0};
    ck_assert_fails(nccl_price(&p, &c, &call), ERR_USAGE, "16 ranks are on 2 nodes");
    call.nodes = 17;
    ck_assert_fails(nccl_price(&p, &c, &call), ERR_USAGE, "17 nodes");
}
END_TEST

START_TEST(bus_bandwidth_is_that_of_nccl_tests) {
    ck_assert_int_eq(nccl_model_bus_factor(COLLECTIVE_ALL_REDUCE, 8), 1750000);
    ck_assert_int_eq(nccl_model_bus_factor(COLLECTIVE_ALL_GATHER, 8), 875000);
    ck_assert_int_eq(nccl_model_bus_factor(COLLECTIVE_ALL_TO_ALL, 4), 750000);
    ck_assert_int_eq(nccl_model_bus_factor(COLLECTIVE_BROADCAST, 8), 1000000);
}
END_TEST

// Of 1 MiB to 1 GiB, measured with nccl-tests and not used for anything here.
START_TEST(measured_tables_are_met_within_a_factor_of_two) {
    static const char *const generations[] = {"a100", "v100"};
    for (int g = 0; g < 2; g++)
        for (int ranks = 2; ranks <= 8; ranks *= 2) {
            char name[80], line[256];
            snprintf(name, sizeof name, "traces/nccl/allreduce_%s_%dgpu.csv", generations[g],
                     ranks);
            const char *path = test_shared(name);
            if (!path) SKIP("no %s below TANDEM_SHARED", name);
            FILE *f = fopen(path, "r");
            ck_assert_ptr_nonnull(f);
            snprintf(name, sizeof name, "dgx-%s", generations[g]);
            const NcclConstants c = constants_of(name);
            int rows = 0;
            while (fgets(line, sizeof line, f)) {
                long long bytes, count;
                double ns;
                if (sscanf(line, "%lld,%lld,float,%lf", &bytes, &count, &ns) != 3) continue;
                double ratio =
                    (double)price_of(&c, COLLECTIVE_ALL_REDUCE, bytes, ranks, 1).time_ps /
                    (1000 * ns);
                ck_assert_msg(ratio > 0.5 && ratio < 2, "%s on %d: %lld bytes, %.2f times", name,
                              ranks, bytes, ratio);
                rows++;
            }
            fclose(f);
            ck_assert_int_eq(rows, 1024);
        }
}
END_TEST

#define MACHINE                                                                   \
    "tandem: machine 1\nname: x\ndevices: 8\n"                                    \
    "device: {name: d, flops: {f32: 1T}, memory: 1GB, memory_bandwidth: 1GB/s}\n" \
    "link: {bandwidth: 100GB/s, latency: 1us}\n"
#define RAIL "rail: {bandwidth: 10GB/s, latency: 1us}\n"

START_TEST(the_section_of_a_machine_file_is_checked) {
    machine_refused(MACHINE "collectives: {architecture: turing, within: {channels: 2, "
                            "bandwidth: 1GB/s}}\n",
                    "m.yaml:6:29");
    machine_refused(MACHINE "collectives: {architecture: volta}\n", "within");
    machine_refused(MACHINE "collectives: {architecture: volta, within: {channels: 12, "
                            "bandwidth: 10GB/s}}\n",
                    "within: channels times bandwidth are 120GB/s, more than the 100GB/s of the "
                    "link of a device; "
                    "give fewer or slower channels");
    machine_refused("tandem: machine 1\nname: x\ndevices: 8\n"
                    "device: {name: d, flops: {f32: 1T}, memory: 1GB, memory_bandwidth: 1GB/s}\n"
                    "link: {bandwidth: 3MB/s, latency: 1us}\n"
                    "collectives: {architecture: volta, within: {channels: 4, bandwidth: 1MB/s}}\n",
                    "are 4MB/s, more than the 3MB/s of the link of a device");
    machine_refused(MACHINE RAIL "collectives: {architecture: volta, within: {channels: 2, "
                                 "bandwidth: 10GB/s}}\n",
                    "the machine has a rail");
    machine_refused(MACHINE RAIL
                    "collectives: {architecture: volta, within: {channels: 2, bandwidth: "
                    "10GB/s}, across: {channels: 9, bandwidth: 10GB/s}}\n",
                    "across: channels times bandwidth are 90GB/s, more than the 80GB/s of all "
                    "rails of a node together");
    machine_refused(MACHINE "collectives: {architecture: volta, within: {channels: {4: 2, 2: 1}, "
                            "bandwidth: 10GB/s}}\n",
                    "the smallest first, found \"2\"");
    machine_refused(MACHINE "collectives: {architecture: ampere, within: {channels: 2, bandwidth: "
                            "1GB/s}, nvls: {channels: 1, bandwidth: 1GB/s}}\n",
                    "hopper");
    machine_refused(MACHINE "collectives: {architecture: ampere, within: {channels: 2, bandwidth: "
                            "1GB/s}, fitted: {hop_within: 0}}\n",
                    "hop_within");
    machine_refused(MACHINE "collectives: {architecture: ampere, within: {channels: 2, bandwidth: "
                            "1GB/s}, fitted: {hops: 1}}\n",
                    "hops");
}
END_TEST

// Four channels from 4 devices on, two below.
START_TEST(smaller_groups_may_have_fewer_channels) {
    const NcclConstants c = {.group_sizes = 2, .channels = {{2, 2}, {4, 4}}};
    const int want[] = {2, 2, 2, 2, 4, 4, 4};
    for (int ranks = 1; ranks <= 6; ranks++)
        ck_assert_int_eq(nccl_constants_channels(&c, ranks), want[ranks]);
}
END_TEST

SUITE("nccl_model", a_large_all_reduce_is_a_ring_with_the_bandwidth_of_the_bus,
      a_ramp_is_lost_within_nodes,
      a_small_all_reduce_over_nodes_is_a_tree,
      a_ring_over_nodes_pays_for_the_network_and_the_plateau,
      switches_that_add_are_used_where_the_platform_has_them,
      gathering_over_nodes_of_one_device_takes_pat, one_device_a_node_goes_by_its_adapter_alone,
      the_fastest_is_taken, more_bytes_or_more_ranks_are_not_faster_by_a_ring,
      sends_cost_a_send_and_the_busier_way, an_algorithm_that_the_platform_lacks_is_refused,
      bus_bandwidth_is_that_of_nccl_tests, measured_tables_are_met_within_a_factor_of_two,
      the_section_of_a_machine_file_is_checked, smaller_groups_may_have_fewer_channels)
