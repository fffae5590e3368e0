// SPDX-License-Identifier: MIT
#include "core/platform/machine.h"

#include "core/base/units.h"
#include "core/platform/machine_builtin.h"

#include <stdio.h>
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
    d = launched(LAUNCHED("launch: graph, issue: 6us"));
    ck_assert(d.launch_ps == 0 && d.issue_ps == 6 * PS_PER_US && d.graph);
    machine_refused(LAUNCHED("launch: graph"), "add \"issue: 5us\"");
    machine_refused(LAUNCHED("launch: egaer"),
                    "launch: expected eager, graph or a duration such as 5us, found \"egaer\"");
    machine_refused(LAUNCHED("launch: 3us, issue: 5us"), "issue: only with \"launch: eager\"");
    machine_refused(LAUNCHED("gap: 1us"), "gap: only with");
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
      what_is_wrong_is_named_with_its_place, launches_are_a_distance_or_have_a_host,
      an_unknown_machine_is_told_the_nearest)
