// SPDX-License-Identifier: MIT
// NCCL's topology in XML: what is read of it, and what is refused.
#include "core/platform/node_graph.h"

#include "core/base/file.h"
#include "core/platform/machine.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB INT64_C(1000000)

static char *sample(Arena *a, size_t *length) {
    char *text;
    ck_assert_ok(file_read(&text, length, a, test_source("tests/data/nccl_topology.xml")));
    return text;
}

static const NodeWire *wire_of(const NodeGraph *g, int a, int b) {
    for (int i = 0; i < g->wire_count; i++)
        if ((g->wires[i].a == a && g->wires[i].b == b) ||
            (g->wires[i].a == b && g->wires[i].b == a))
            return &g->wires[i];
    ck_abort_msg("no wire from place %d to place %d", a, b);
    return NULL;
}

// Places in the order of the file: processor 4, switch 5, adapter 6; processor 7, switch 8, adapter
// 9; NVSwitch 10. Of the file's devices 3 is before 2.
START_TEST(places_wires_and_adapters_are_those_of_the_file) {
    NodeGraph g;
    ck_assert_ok(node_graph_read(&g, test_source("tests/data/nccl_topology.xml")));
    ck_assert_int_eq(g.devices, 4);
    ck_assert_int_eq(g.places, 11);
    ck_assert_int_eq(g.wire_count, 4 + 8 + 1);
    for (int d = 0; d < 4; d++) {
        const NodeWire *nvlink = wire_of(&g, d, 10), *pci = wire_of(&g, d, d < 2 ? 5 : 8);
        ck_assert(nvlink->kind == WIRE_NVLINK && pci->kind == WIRE_HOST);
        ck_assert_int_eq(nvlink->bytes_per_s, 12 * 20000 * MB);
        ck_assert_int_eq(pci->bytes_per_s, 24000 * MB);  // 16 lanes of 12 Gbit/s
        ck_assert_int_eq(g.adapter_of[d], d / 2);
    }
    ck_assert_int_eq(wire_of(&g, 4, 7)->bytes_per_s, 16000 * MB);  // two processors of AMD
    ck_assert_int_eq(wire_of(&g, 8, 9)->bytes_per_s, 12000 * MB);  // 8 lanes
    ck_assert_int_eq(g.adapter_count, 2);
    ck_assert_int_eq(g.adapters[0].place, 6);
    ck_assert_int_eq(g.adapters[1].place, 9);
    ck_assert_int_eq(g.adapters[0].bytes_per_s, 25000 * MB);  // 200 Gbit/s
    ck_assert_int_eq(g.adapters[1].bytes_per_s, 12500 * MB);
    ck_assert_int_eq(g.link_bytes_per_s, 240000 * MB);
    ck_assert_int_eq(g.rail_bytes_per_s, 25000 * MB);
}
END_TEST

static const char quad[] =
    "<system><cpu numaid='0' arch='x86_64' vendor='GenuineIntel' modelid='85'>\n"
    "<pci busid='1'><gpu dev='4' sm='70'>\n"
    "<nvlink target='2' count='2'/><nvlink target='9' count='1'/></gpu></pci>\n"
    "<pci busid='2' link_speed='8 GT/s' link_width='8'><gpu dev='6' sm='70'>\n"
    "<nvlink target='1' count='2'/></gpu></pci>\n"
    "<nic><net speed='10000'/></nic></cpu></system>\n";

// Devices that the process did not see are no places; what a virtual machine does not know of PCI
// is 16 lanes of the third generation; sockets are at the processor.
START_TEST(a_mesh_in_a_virtual_machine_is_read_as_nccl_reads_it) {
    NodeGraph g;
    ck_assert_ok(node_graph_parse(&g, quad, strlen(quad), "q.xml"));
    ck_assert_int_eq(g.devices, 2);
    ck_assert_int_eq(g.places, 3);
    ck_assert_int_eq(wire_of(&g, 0, 1)->bytes_per_s, 40000 * MB);
    ck_assert_int_eq(wire_of(&g, 0, 2)->bytes_per_s, 12000 * MB);
    ck_assert_int_eq(wire_of(&g, 1, 2)->bytes_per_s, 6000 * MB);
    ck_assert_int_eq(g.adapters[0].place, 2);
    ck_assert_int_eq(g.adapters[0].bytes_per_s, 1250 * MB);
}
END_TEST

// Put `to` in the place of the first `from` of the text.
static void refused(const char *from, const char *to, const char *message) {
    NodeGraph g;
    char text[1024];
    const char *at = strstr(quad, from);
    ck_assert_ptr_nonnull(at);
    int begin = (int)(at - quad);
    snprintf(text, sizeof text, "%.*s%s%s", begin, quad, to, at + strlen(from));
    ck_assert_fails(node_graph_parse(&g, text, strlen(text), "q.xml"), ERR_FORMAT, message);
}

START_TEST(what_is_wrong_in_a_topology_is_named_with_its_line) {
    refused("count='2'", "cuont='2'",
            "q.xml:3: <nvlink>: there is no attribute cuont; did you "
            "mean count?");
    refused("count='2'", "", "q.xml:3: <nvlink>: expected an attribute count, found none");
    refused("count='2'", "count='0'",
            "q.xml:3: <nvlink>: count: expected a whole number from 1 to "
            "256, found \"0\"");
    refused("count='2'", "count='3'", "3 NVLinks from device 4 to device 6, and 2 back (line 4)");
    refused("target='2' count='2'", "target='1' count='2'", "leads from a device to itself");
    refused("count='1'", "count='-1'", "q.xml:3: <nvlink>: count: expected");
    refused("<nvlink target='2'", "<nvlnk target='2'",
            "q.xml:3: <nvlnk>: no element of NCCL's topology; did you mean <nvlink>?");
    refused("dev='6'", "dev='4'", "q.xml:4: <gpu>: device 4 is there twice (line 2)");
    refused("busid='2'", "busid='1'", "its busid is that of the device of line 2");
    refused("sm='70'", "sm='seventy'", "sm: expected a whole number");
    refused("8 GT/s", "9 GT/s",
            "q.xml:4: <pci>: link_speed: expected 2.5, 5, 8, 16, 32 or 64 GT/s, "
            "found \"9 GT/s\"");
    refused("link_width='8'", "link_width='800'", "link_width: expected a whole number from 0 to");
    refused("speed='10000'", "speed='0'", "q.xml:6: <net>: speed: expected a whole number from 1");
    refused("speed='10000'", "name='eth0'", "<net>: expected an attribute speed, found none");
    refused("<nic><net speed='10000'/></nic>", "<net speed='10000'/>",
            "<net>: within <cpu>; expected within nic");
    refused("</cpu>", "</cpu><cpu vendor='Nobody'/>",
            "q.xml:6: <cpu>: how fast is its link to the other processors?");
    refused("<system>", "<graphs>", "q.xml:6: </system> ends <graphs>");
}
END_TEST

static void refused_whole(const char *text, const char *message) {
    NodeGraph g;
    ck_assert_fails(node_graph_parse(&g, text, strlen(text), "q.xml"), ERR_FORMAT, message);
}

START_TEST(other_files_of_nccl_are_told_apart) {
    refused_whole("<graphs version='1'/>", "expected what NCCL_TOPO_DUMP_FILE makes it write");
    refused_whole("<html/>", "q.xml:1: <html>: expected <system>");
    refused_whole("<system><cpu numaid='0'><pci busid='1' class='0x030200'/></cpu></system>",
                  "no <gpu>: a file that NCCL completes on the machine");
    refused_whole("<system/>", "no <gpu>");
    char many[8192] = "<system><cpu numaid='0'>";
    for (int i = 0; i < NODE_MESH_DEVICES + 1; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many),
                 "<pci busid='%d'><gpu dev='%d' sm='80'/></pci>", i, i);
    strcat(many, "</cpu></system>");
    refused_whole(many, "more than 16 devices; a file describes one node");
}
END_TEST

// Attributes that newer versions write are no slip.
START_TEST(attributes_that_are_not_known_are_passed_over) {
    NodeGraph g;
    const char text[] = "<system><cpu numaid='0'><pci busid='1'><gpu dev='0' sm='90' quux='1'/>"
                        "</pci></cpu></system>";
    ck_assert_ok(node_graph_parse(&g, text, strlen(text), "q.xml"));
    ck_assert_int_eq(g.link_bytes_per_s, 12000 * MB);  // of PCI: there are no NVLinks
}
END_TEST

START_TEST(a_topology_that_is_cut_off_anywhere_is_refused) {
    Arena a = {0};
    size_t length;
    char *text = sample(&a, &length);
    NodeGraph g;
    ck_assert_ok(node_graph_parse(&g, text, length, "t.xml"));
    for (size_t part = 0; part < length - 1; part++)
        ck_assert_fails(node_graph_parse(&g, text, part, "t.xml"), ERR_FORMAT, "it was cut off");
    arena_finish(&a);
}
END_TEST

// Nothing is read beyond the text, whatever a byte is: the sanitizers watch.
START_TEST(a_topology_with_a_wrong_byte_is_read_or_refused) {
    Arena a = {0};
    size_t length;
    char *text = sample(&a, &length);
    NodeGraph g;
    for (size_t i = 0; i < length; i++) {
        static const char wrong[] = "<>\"'/&= 9a\n\x80";
        char was = text[i];
        text[i] = wrong[i % (sizeof wrong - 1)];
        Status s = node_graph_parse(&g, text, length, "t.xml");
        ck_assert(s == OK || s == ERR_FORMAT);
        text[i] = was;
    }
    arena_finish(&a);
}
END_TEST

START_TEST(a_machine_takes_wires_and_adapters_and_keeps_latencies) {
    Arena a = {0};
    Machine m, was;
    NodeGraph g;
    ck_assert_ok(node_graph_read(&g, test_source("tests/data/nccl_topology.xml")));
    ck_assert_ok(machine_read(&m, &a, "dgx-v100"));
    was = m;
    ck_assert_ok(machine_take_node(&m, &g));
    ck_assert_int_eq(m.devices_per_node, 4);
    ck_assert_int_eq(m.mesh.devices, 0);
    ck_assert(!m.has_collectives);
    ck_assert_int_eq(m.link.latency_ps, was.link.latency_ps);
    ck_assert_int_eq(m.link.bytes_per_s, 240000 * MB);
    ck_assert_int_eq(m.rail.latency_ps, was.rail.latency_ps);
    ck_assert_int_eq(m.rail.bytes_per_s, 25000 * MB);
    ck_assert_ok(machine_read(&m, &a, "laptop"));
    ck_assert_fails(machine_take_node(&m, &g), ERR_USAGE, "is a host whose ranks share its cores");
    ck_assert_ok(machine_read(&m, &a, "h100-1"));
    ck_assert_fails(machine_take_node(&m, &g), ERR_USAGE, "has no link to take them from");
    ck_assert_ok(machine_read(&m, &a, "dgx-v100"));
    m.fabric = (Fabric){.kind = FABRIC_FAT_TREE, .radix = 8};
    ck_assert_fails(machine_take_node(&m, &g), ERR_USAGE, "the fat tree of dgx-v100 needs a rail");
    arena_finish(&a);
}
END_TEST

SUITE("node_graph", places_wires_and_adapters_are_those_of_the_file,
      a_mesh_in_a_virtual_machine_is_read_as_nccl_reads_it,
      what_is_wrong_in_a_topology_is_named_with_its_line, other_files_of_nccl_are_told_apart,
      attributes_that_are_not_known_are_passed_over, a_topology_that_is_cut_off_anywhere_is_refused,
      a_topology_with_a_wrong_byte_is_read_or_refused,
      a_machine_takes_wires_and_adapters_and_keeps_latencies)
