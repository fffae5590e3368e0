// SPDX-License-Identifier: MIT
#include "core/platform/machine.h"

#include "core/base/units.h"
#include "core/platform/machine_builtin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/machine_case.h"

START_TEST(every_built_in_machine_reads_and_writes_back_equal) {
    char all[256] = MACHINE_BUILTIN_NAMES ", ", *next;
    int count = 0;
    for (char *name = strtok_r(all, ", ", &next); name; name = strtok_r(NULL, ", ", &next)) {
        Arena a = {0};
        Machine m, again;
        char path[128];
        ck_assert_ok(machine_read(&m, &a, name));
        ck_assert_str_eq(m.name, name);
        snprintf(path, sizeof path, "%s/machine.yaml", test_directory());
        ck_assert_ok(machine_write(&m, path));
        ck_assert_ok(machine_read(&again, &a, path));
        machine_same(&again, &m);
        ck_assert(!again.is_calibrated);
        arena_finish(&a);
        count++;
    }
    ck_assert_int_eq(count, machine_builtins_count);
}
END_TEST

START_TEST(figures_have_their_units) {
    Arena a = {0};
    Machine m;
    ck_assert_ok(machine_read(&m, &a, "dgx-a100"));
    ck_assert_int_eq(machine_devices(&m), 8);
    ck_assert_int_eq(m.device.flops_per_s[DTYPE_F32], INT64_C(19500000000000));
    ck_assert_int_eq(m.device.memory_bytes_per_s, INT64_C(2039000000000));
    ck_assert_int_eq(m.link.bytes_per_s, INT64_C(300000000000));
    ck_assert_int_eq(m.link.latency_ps, 300000);
    ck_assert_int_eq(m.rail.bytes_per_s, INT64_C(25000000000));  // 200 Gbit/s
    ck_assert_int_eq(m.device.flops_permille, 750);
    ck_assert(!m.is_host);
    ck_assert_ok(machine_read(&m, &a, "laptop"));
    ck_assert(m.is_host);
    ck_assert_int_eq(m.host.cores, 4);
    ck_assert_int_eq(m.host.co_run_permille, 1100);
    ck_assert_int_eq(m.host.wake_ps, 30 * PS_PER_US);
    arena_finish(&a);
}
END_TEST

#define DEVICE "device: {name: d, flops: {f32: 1T}, memory: 1GB, memory_bandwidth: 1GB/s}\n"

// Parsed, printed and parsed again.
static void read_topology(Machine *m, const char *rest) {
    Arena a = {0};
    Machine again;
    char text[600], *printed = NULL;
    size_t length;
    snprintf(text, sizeof text,
             "tandem: machine 1\nname: x\n" DEVICE
             "link: {bandwidth: 1GB/s, latency: 1us}\nrail: {bandwidth: 1GB/s, latency: 1us}\n%s",
             rest);
    ck_assert_ok(machine_parse(m, &a, text, strlen(text), "m.yaml"));
    FILE *f = open_memstream(&printed, &length);
    machine_print(m, f);
    fclose(f);
    ck_assert_ok(machine_parse(&again, &a, printed, length, "m.yaml"));
    machine_same(&again, m);
    free(printed);
    arena_finish(&a);
}

// As many nodes as a network connects, or fewer where the file says so.
START_TEST(topologies_are_read_and_written_back) {
    Machine m;
    read_topology(&m, "devices: 8\ntopology: {within: switch, across: rails}\n");
    ck_assert(m.nodes == 1 && m.fabric.kind == FABRIC_RAILS && !m.mesh.devices);
    read_topology(&m, "devices: 8\n"
                      "topology: {across: {fat-tree: {radix: 8, oversubscription: 2.5}}}\n");
    ck_assert(m.nodes == 16 && m.fabric.oversubscribed_permille == 2500);
    read_topology(&m,
                  "devices: 8\ntopology: {across: {leaf-spine: {pods: 2, nodes: 4, spines: 3}}}\n");
    ck_assert(m.nodes == 8 && m.fabric.pod_nodes == 4 && m.fabric.oversubscribed_permille == 1000);
    read_topology(&m, "devices: 1\nnodes: 50\ntopology: {across: {torus: [3, 4, 5]}}\n");
    ck_assert(m.nodes == 50 && m.fabric.dimensions == 3 && m.fabric.sizes[2] == 5);
    read_topology(&m, "devices: 2\ntopology: {across: {dragonfly: {groups: 9, routers: 4, devices: "
                      "2, global: 2}}}\n");
    ck_assert(m.nodes == 36 && m.fabric.ports == 2 && m.fabric.globals == 2);
    read_topology(&m, "devices: 3\ntopology: {within: {mesh: [[0, 1, 2], [2, 1]]}}\n");
    ck_assert(m.mesh.devices == 3 && m.mesh.most_wires == 3 && m.mesh.wires[1][0] == 2);
    ck_assert(m.mesh.wires[1][2] == 1 && !m.mesh.wires[0][2]);
}
END_TEST

START_TEST(overhead_and_gap_of_loggp_are_read_and_written_back) {
    Machine m;
    read_topology(&m, "devices: 2\nloggp: {overhead: 1.5us, gap: 250ns}\n");
    ck_assert(m.has_loggp && m.overhead_ps == 1500000 && m.gap_ps == 250000);
    read_topology(&m, "devices: 2\n");
    ck_assert(!m.has_loggp);
    machine_refused("tandem: machine 1\nname: x\nloggp: {overhead: 1us, gap: 1us}\n"
                    "host: {cores: 2, fold_bandwidth: 1GB/s}\n" DEVICE,
                    "ranks on a host send no messages over a network");
}
END_TEST

static void refuse_topology(const char *rest, const char *why) {
    char text[600];
    snprintf(text, sizeof text,
             "tandem: machine 1\nname: x\n" DEVICE "link: {bandwidth: 1GB/s, latency: 1us}\n"
             "rail: {bandwidth: 1GB/s, latency: 1us}\n%s",
             rest);
    machine_refused(text, why);
}

START_TEST(a_topology_that_cannot_be_is_refused) {
    static const struct {
        int devices;
        const char *topology, *why;
    } cases[] = {
        {3, "{within: mesh}", "within: expected switch or {mesh:"},
        {3, "{within: {mesh: [[0, 1]]}}", "no wires lead from device 0 to device 2"},
        {3, "{within: {mesh: [[0, 3]]}}", "3"},
        {3, "{within: {mesh: [[1, 1]]}}", "a wire from device 1 to itself"},
        {3, "{within: {mesh: [[0, 1], [1, 0]]}}", "1 and 0 are there twice"},
        {3, "{within: {mesh: [[0]]}}", "found 1 numbers"},
        {17, "{within: {mesh: [[0, 1]]}}", "2 to 16 devices, found 17"},
        {2, "{across: ring}", "across: expected one of rails"},
        {2, "{across: {rings: 2}}", "rings"},
        {2, "{across: {torus: [2, 2], fat-tree: {radix: 4}}}", "across: expected one of rails"},
        {2, "{across: {fat-tree: {radix: 5}}}", "expected an even number, found 5"},
        {8, "{across: {fat-tree: {radix: 2}}}", "fewer devices than the 8 of a node"},
        {2, "{across: {fat-tree: {radix: 4, oversubscription: 0.5}}}", "oversubscription"},
        {2, "{across: {leaf-spine: {pods: 2, nodes: 2}}}", "spines"},
        {2, "{across: {leaf-spine: {pods: 2, nodes: 2, spines: 3}}}", "found 3"},
        {2, "{across: {torus: [2, 2, 2, 2]}}", "1 to 3 sizes"},
        {2, "{across: {torus: [128]}}", "paths of 66 links"},
        {2, "{across: {dragonfly: {groups: 10, routers: 4, devices: 2, global: 2}}}",
         "at most 9 groups"},
        {8, "{across: {leaf-spine: {pods: 4096, nodes: 4096, spines: 4096}}}", "at most 4194304"},
        {2, "{within: {mesh: [[0, 1]]}, across: {torus: [4, 4]}}", "a torus needs a switch"},
        {2, "{between: rails}", "between"}};
    char text[300];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "devices: %d\ntopology: %s\n", cases[i].devices,
                 cases[i].topology);
        refuse_topology(text, cases[i].why);
    }
    refuse_topology("devices: 2\nnodes: 17\ntopology: {across: {torus: [4, 4]}}\n",
                    "nodes: 17, and the torus connects 16 of 2 devices");
    refuse_topology("devices: 2\ntopology: {across: {torus: [4, 4]}}\n"
                    "collectives: {architecture: volta, within: {channels: 1, bandwidth: 1GB/s}}\n",
                    "NCCL's model knows no torus");
    machine_refused("tandem: machine 1\nname: x\ntopology: {across: rails}\n"
                    "host: {cores: 2, fold_bandwidth: 1GB/s}\n" DEVICE,
                    "ranks on a host share its memory");
}
END_TEST

START_TEST(what_is_wrong_is_named_with_its_place) {
    machine_refused("tandem: machine 2\nname: x\ndevices: 1\n" DEVICE,
                    "m.yaml:1:9: expected \"machine 1\", found \"machine 2\"");
    machine_refused("tandem: machine 1\nname: x\ndevises: 1\n" DEVICE, "devises");
    machine_refused("tandem: machine 1\nname: x\ndevices: 2\n" DEVICE,
                    "2 devices a node need a link");
    machine_refused("tandem: machine 1\nname: x\nnodes: 2\ndevices: 1\n" DEVICE,
                    "2 nodes need a rail");
    machine_refused("tandem: machine 1\nname: x\n" DEVICE,
                    "expected a host, or the number of devices of a node, found neither");
    machine_refused("tandem: machine 1\nname: x\ndevices: -1\n" DEVICE, "m.yaml:3:10");
    machine_refused(
        "tandem: machine 1\nname: x\ndevices: 2\nlink: {bandwidth: 10Gb/s, latency: 1us}\n" DEVICE,
        "m.yaml:4:19");
    machine_refused("tandem: machine 1\nname: x\ndevices: 2\nlink: {bandwidth: 10GB/s}\n" DEVICE,
                    "latency");
}
END_TEST

#define LAUNCHED(keys)                                                                          \
    "tandem: machine 1\nname: x\ndevices: 1\ndevice: {name: d, flops: {f32: 1T}, memory: 1GB, " \
    "memory_bandwidth: 1GB/s, " keys "}\n"

static DeviceModel launched(const char *text) {
    Arena a = {0};
    Machine m;
    ck_assert_ok(machine_parse(&m, &a, text, strlen(text), "m.yaml"));
    DeviceModel d = m.device;
    arena_finish(&a);
    return d;
}

START_TEST(launches_are_a_distance_or_have_a_host) {
    DeviceModel d = launched(LAUNCHED("launch: 3us"));
    ck_assert(d.launch_ps == 3 * PS_PER_US && d.issue_ps == 0 && !d.graph);
    d = launched(LAUNCHED("launch: eager, issue: 5us, gap: 900ns"));
    ck_assert(d.launch_ps == 900 * PS_PER_NS && d.issue_ps == 5 * PS_PER_US && !d.graph);
    d = launched(LAUNCHED("launch: eager, issue: 5us, gap: 2us, graph_gap: 1us"));
    ck_assert(d.launch_ps == 2 * PS_PER_US && d.graph_gap_ps == PS_PER_US);
    d = launched(LAUNCHED("launch: graph, issue: 6us"));
    ck_assert(d.launch_ps == 0 && d.issue_ps == 6 * PS_PER_US && d.graph);
    machine_refused(LAUNCHED("launch: graph"), "add \"issue: 5us\"");
    machine_refused(LAUNCHED("launch: egaer"),
                    "launch: expected eager, graph or a duration such as 5us, found \"egaer\"");
    machine_refused(LAUNCHED("launch: 3us, issue: 5us"), "issue: only with \"launch: eager\"");
    machine_refused(LAUNCHED("gap: 1us"), "gap: only with");
    machine_refused(LAUNCHED("graph_gap: 1us"), "graph_gap: only with");
    machine_refused(LAUNCHED("launch: graph, issue: 2s"), "issue: expected above 0, at most 1s");
    machine_refused(LAUNCHED("launch: late"), "launch:");
}
END_TEST

START_TEST(an_unknown_machine_is_told_the_nearest) {
    Arena a = {0};
    Machine m;
    ck_assert_fails(machine_read(&m, &a, "dgx-a10"), ERR_USAGE, "did you mean dgx-a100?");
    ck_assert_fails(machine_read(&m, &a, "./nowhere.yaml"), ERR_INPUT, "nowhere.yaml");
    arena_finish(&a);
}
END_TEST

SUITE("machine", every_built_in_machine_reads_and_writes_back_equal, figures_have_their_units,
      what_is_wrong_is_named_with_its_place, topologies_are_read_and_written_back,
      overhead_and_gap_of_loggp_are_read_and_written_back, a_topology_that_cannot_be_is_refused,
      launches_are_a_distance_or_have_a_host, an_unknown_machine_is_told_the_nearest)
