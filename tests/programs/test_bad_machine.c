// SPDX-License-Identifier: MIT
// What `sim` does with machine files that it cannot use: one line that says file, line and column,
// what was expected and what was found, and exit status 2.
#include "core/base/file.h"
#include "core/platform/machine.h"
#include "tests/support/command.h"
#include "tests/support/small_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A host of two cores, and nodes of devices; every key is there.
#define DEVICE                        \
    "device:\n"                       \
    "  name: core\n"                  \
    "  flops: {f32: 60G, f64: 30G}\n" \
    "  memory: 4GB\n"                 \
    "  memory_bandwidth: 10GB/s\n"    \
    "  launch: 1us\n"                 \
    "  reached: {flops: 0.7, memory: 0.8}\n"
#define HOST                             \
    "tandem: machine 1\n"                \
    "name: two-cores\n" DEVICE "host:\n" \
    "  cores: 2\n"                       \
    "  dispatch: 0.3us\n"                \
    "  spin: 50us\n"                     \
    "  poll: 0.1us\n"                    \
    "  wake: 30us\n"                     \
    "  wake_same_core: 3us\n"            \
    "  switch: 2us\n"                    \
    "  fold_bandwidth: 8GB/s\n"          \
    "  co_run: 1.1\n"
#define NODES                                                         \
    "tandem: machine 1\n"                                             \
    "name: nodes\n"                                                   \
    "nodes: 2\n"                                                      \
    "devices: 4\n" DEVICE "link: {bandwidth: 25GB/s, latency: 1us}\n" \
    "rail: {bandwidth: 10GB/s, latency: 2us}\n"

static Arena arena;
static Command it;
static char directory[64];

// A run to predict for, so that the machine is what is wrong.
static void make_run(void) {
    char path[128];
    if (*directory) return;
    snprintf(directory, sizeof directory, "%s", test_directory());
    for (int r = 0; r < SMALL_RANKS; r++) {
        snprintf(path, sizeof path, "%s/rank%d.json", directory, r);
        small_trace_write(path, r, SMALL_RANKS);
    }
}

static void refused_bytes(const void *bytes, size_t size, const char *const parts[]) {
    char path[128];
    make_run();
    snprintf(path, sizeof path, "%s/m.yaml", directory);
    write_bytes(path, bytes, size);
    command_run(&it, "sim --trace %s --ranks 2 --platform %s", directory, path);
    command_refused(&it, "sim", parts);
}

static void refused(const char *text, const char *const parts[]) {
    refused_bytes(text, strlen(text), parts);
}

static void host(const char *from, const char *to, const char *const parts[]) {
    refused(text_replaced(&arena, HOST, from, to), parts);
}

static void nodes(const char *from, const char *to, const char *const parts[]) {
    refused(text_replaced(&arena, NODES, from, to), parts);
}

static Status parse(const char *text, size_t length) {
    Machine m;
    char *exact = malloc(length + 1);  // a block of its own: a sanitizer sees what reads behind it
    if (length) memcpy(exact, text, length);
    Status s = machine_parse(&m, &arena, exact, length, "cut.yaml");
    free(exact);
    return s;
}

START_TEST(machines_in_order_are_taken) {
    ck_assert_ok(parse(HOST, strlen(HOST)));
    ck_assert_ok(parse(NODES, strlen(NODES)));
}
END_TEST

// --- keys

START_TEST(an_unknown_key_is_told_the_nearest_at_every_level) {
    host("name: two-cores", "nmae: two-cores",
         PARTS("m.yaml:2:1: unknown key \"nmae\" (did you mean name?)"));
    host("host:", "hots:", PARTS("m.yaml:10:1: unknown key \"hots\" (did you mean host?)"));
    host("launch:", "lunch:", PARTS("m.yaml:8:3: ", "did you mean launch?"));
    host("f64:", "f46:", PARTS("m.yaml:5:21: ", "did you mean f64?"));
    host("reached: {flops", "reached: {flop", PARTS("m.yaml:9:13: ", "did you mean flops?"));
    host("wake_same_core:", "wake_samecore:",
         PARTS("m.yaml:16:3: ", "did you mean wake_same_core?"));
    nodes("latency: 1us", "latencey: 1us", PARTS("did you mean latency?"));
    nodes("{bandwidth: 10GB/s", "{bandwith: 10GB/s",
          PARTS("m.yaml:13:8", "did you mean bandwidth?"));
    nodes("nodes: 2", "colour: blue", PARTS("unknown key \"colour\": expected one of tandem name"));
    host("poll:", "\"po\\x1b[2Jll\":", PARTS("unknown key \"po?[2Jll\""));
}
END_TEST

START_TEST(a_missing_key_is_named_where_it_belongs) {
    host("tandem: machine 1\n", "", PARTS("m.yaml:1:1: ", "\"tandem\" is missing"));
    host("name: two-cores\n", "", PARTS("\"name\" is missing"));
    host("  memory: 4GB\n", "", PARTS("m.yaml:4:3: the key \"memory\" is missing here"));
    host("  memory_bandwidth: 10GB/s\n", "", PARTS("\"memory_bandwidth\" is missing"));
    host("{f32: 60G, f64: 30G}", "{}",
         PARTS("m.yaml:5:10: flops: expected f32, f64, bf16 or several"));
    host("  cores: 2\n", "", PARTS("\"cores\" is missing"));
    host("  fold_bandwidth: 8GB/s\n", "", PARTS("\"fold_bandwidth\" is missing"));
    nodes(", latency: 2us", "", PARTS("m.yaml:13:7: the key \"latency\" is missing"));
    nodes("bandwidth: 25GB/s, ", "", PARTS("m.yaml:12:7: the key \"bandwidth\" is missing"));
}
END_TEST

START_TEST(a_key_given_twice_is_refused) {
    host("  poll: 0.1us\n", "  poll: 0.1us\n  poll: 1us\n",
         PARTS("m.yaml:15:3: \"poll\" was given in line 14 already"));
    host("name: two-cores\n", "name: two-cores\nname: three\n", PARTS("m.yaml:3:1: \"name\""));
    host("{f32: 60G,", "{f32: 60G, f32: 61G,", PARTS("\"f32\" was given in line 5 already"));
}
END_TEST

// --- values

START_TEST(values_of_another_type_are_refused) {
    host("cores: 2", "cores: two",
         PARTS("m.yaml:11:10: \"cores\": expected a whole number", "\"two\""));
    host("cores: 2", "cores: 2.5", PARTS("expected a whole number from 1 to 4096, found \"2.5\""));
    host("cores: 2", "cores: [2]", PARTS("found a list"));
    host("cores: 2", "cores:", PARTS("found nothing"));
    host("name: two-cores", "name: {a: b}", PARTS("\"name\": expected text, found a mapping"));
    host("flops: {f32: 60G, f64: 30G}", "flops: 60G", PARTS("\"flops\": expected a mapping"));
    host("f32: 60G", "f32: fast", PARTS("f32: ", "\"fast\" is not a count"));
    host("co_run: 1.1", "co_run: nan", PARTS("\"co_run\": expected a number", "\"nan\""));
    host("  memory: 4GB", "  memory: [4GB]",
         PARTS("\"memory\": expected a single value, found a list"));
    host("tandem: machine 1", "tandem: machine 2", PARTS("m.yaml:1:9: expected \"machine 1\""));
    refused("- 1\n- 2\n", PARTS("m.yaml:1:1", "expected a mapping, found a list"));
    refused("hello\n", PARTS("m.yaml:1:1", "expected a mapping, found \"hello\""));
    host("name: two-cores", "name: \"\\x1b[2J\"", PARTS("expected a printable name", "\"?[2J\""));
}
END_TEST

START_TEST(numbers_out_of_bounds_are_refused) {
    host("cores: 2", "cores: 0", PARTS("expected a whole number from 1 to 4096, found \"0\""));
    host("cores: 2", "cores: -2", PARTS("found \"-2\""));
    host("cores: 2", "cores: 99999999999999999999", PARTS("found \"99999999999999999999\""));
    host("f32: 60G", "f32: -60G", PARTS("\"-60G\" is not a count"));
    host("f32: 60G", "f32: 0", PARTS("f32: expected 1M to", "found 0"));
    host("f32: 60G", "f32: 60", PARTS("f32: expected 1M to", "found 60"));
    host("f32: 60G", "f32: 99999999999999T", PARTS("too large for a count"));
    host("memory: 4GB", "memory: 0GB", PARTS("memory: expected 1B to", "found 0GB"));
    host("memory: 4GB", "memory: -4GB", PARTS("\"-4GB\" is not a size"));
    host("memory: 4GB", "memory: 99999999999TB", PARTS("too large for a size"));
    host("memory_bandwidth: 10GB/s", "memory_bandwidth: 0",
         PARTS("memory_bandwidth: expected 1B/s to"));
    host("memory_bandwidth: 10GB/s", "memory_bandwidth: 2000TB/s",
         PARTS("to 1000TB/s, found 2000TB/s"));
    host("fold_bandwidth: 8GB/s", "fold_bandwidth: 0GB/s", PARTS("fold_bandwidth: expected 1B/s"));
    host("spin: 50us", "spin: -50us", PARTS("\"-50us\" is not a duration"));
    host("spin: 50us", "spin: 2h", PARTS("spin: expected at most 1h, found 2h"));
    host("spin: 50us", "spin: 9999999h", PARTS("too large for a duration"));
    host("co_run: 1.1", "co_run: 0", PARTS("co_run", "found \"0\""));
    host("co_run: 1.1", "co_run: -1", PARTS("found \"-1\""));
    host("reached: {flops: 0.7", "reached: {flops: 1.7", PARTS("from 0.001 to 1, found \"1.7\""));
    nodes("nodes: 2", "nodes: 0", PARTS("found \"0\""));
    nodes("devices: 4", "devices: 1000000", PARTS("from 1 to 4096"));
    nodes("nodes: 2\ndevices: 4", "nodes: 1048576\ndevices: 4096",
          PARTS("at most 1073741824 devices"));
}
END_TEST

START_TEST(a_quantity_without_its_unit_is_refused) {
    host("memory: 4GB", "memory: 4", PARTS("memory: 4 has no unit: write 4GB, or 4B for bytes"));
    host("spin: 50us", "spin: 50", PARTS("spin: \"50\" is not a duration: give a number with ps"));
    host("memory_bandwidth: 10GB/s", "memory_bandwidth: 10", PARTS("\"10\" is not a bandwidth"));
    host("memory_bandwidth: 10GB/s", "memory_bandwidth: 10GB",
         PARTS("\"10GB\" is not a bandwidth"));
    host("spin: 50us", "spin: 50 u", PARTS("\"50 u\" is not a duration"));
}
END_TEST

START_TEST(an_ambiguous_unit_is_refused_with_both_readings) {
    nodes("10GB/s, latency: 2us", "10Gb/s, latency: 2us",
          PARTS("\"10Gb/s\" can be read as bits and as bytes: give 10Gbit/s or 10GB/s"));
    nodes("10GB/s, latency: 2us", "10Gbps, latency: 2us", PARTS("give 10Gbit/s or 10GB/s"));
    host("fold_bandwidth: 8GB/s", "fold_bandwidth: 8Gb/s", PARTS("fold_bandwidth: \"8Gb/s\""));
}
END_TEST

// --- what cannot be reached

START_TEST(devices_that_cannot_reach_each_other_are_refused) {
    nodes("rail: {bandwidth: 10GB/s, latency: 2us}\n", "",
          PARTS("m.yaml:1:1: 2 nodes need a rail to reach each other: add \"rail: "));
    nodes("link: {bandwidth: 25GB/s, latency: 1us}\n", "",
          PARTS("4 devices a node need a link to reach each other: add \"link: "));
    nodes("{bandwidth: 10GB/s", "{bandwidth: 0GB/s",
          PARTS("m.yaml:13:19: bandwidth: expected 1B/s to"));
    nodes("{bandwidth: 25GB/s", "{bandwidth: 0", PARTS("bandwidth: expected 1B/s to", "found 0"));
    nodes("devices: 4\n", "", PARTS("expected a host, or the number of devices"));
}
END_TEST

START_TEST(networks_with_absurd_numbers_are_refused) {
    nodes("{bandwidth: 10GB/s, latency: 2us}", "{bandwidth: 10GB/s, latency: 2h}",
          PARTS("m.yaml:13:36: latency: expected at most 1h"));
    nodes("{bandwidth: 10GB/s", "{bandwidth: 10000TB/s",
          PARTS("bandwidth: expected 1B/s to 1000TB/s, found 10000TB/s"));
    nodes("{bandwidth: 10GB/s", "{bandwidth: -1GB/s", PARTS("\"-1GB/s\" is not a bandwidth"));
    nodes("nodes: 2\n", "nodes: 2\ntopology: {within: {mesh: [[0, 1], [2, 3]]}}\n",
          PARTS("m.yaml:4:27: mesh: no wires lead from device 0 to device 2; add one, such as"));
    nodes("nodes: 2\n", "nodes: 2\ntopology: {within: {mesh: [[0, 1, 0]]}}\n",
          PARTS("m.yaml:4:", "expected a whole number from 1 to 64"));
    nodes("nodes: 2\n", "nodes: 2\ntopology: {across: {torus: [0]}}\n",
          PARTS("expected a whole number from 1 to 1024"));
    nodes("nodes: 2\n", "nodes: 2\ntopology: {across: {fat-tree: {radix: 0}}}\n",
          PARTS("expected a whole number from 1 to 128, found \"0\""));
    nodes("nodes: 2\n", "nodes: 3\ntopology: {across: {torus: [2]}}\n",
          PARTS("nodes: 3, and the torus connects 2 of 4 devices"));
    nodes("nodes: 2\n", "nodes: 2\nloggp: {overhead: 2h, gap: 1us}\n",
          PARTS("overhead: expected at most 1h"));
    nodes("nodes: 2\n", "nodes: 2\nloggp: {overhead: 1us}\n", PARTS("m.yaml:4:", "gap"));
}
END_TEST

// --- what is no machine

START_TEST(yaml_that_people_do_not_write_is_refused) {
    host("name: two-cores", "name: &a two-cores",
         PARTS("m.yaml:2:7: anchors and tags are not used"));
    host("name: two-cores", "name: *a", PARTS("m.yaml:2:7: aliases are not used"));
    host("name: two-cores", "name: !!str two-cores", PARTS("m.yaml:2:7: anchors and tags"));
    host("host:", "<<: *base\nhost:", PARTS("m.yaml:10:5: aliases are not used"));
    host("host:\n", "---\nhost:\n", PARTS("m.yaml:10:1: a second document begins here"));
    host("name: two-cores", "name: two\x01", PARTS("m.yaml", "control characters"));
    host("name: two-cores", "name: \xff\xfe", PARTS("m.yaml", "UTF-8"));
    host("  cores: 2", "\tcores: 2", PARTS("m.yaml:11:1", "cannot start any token"));
    host("  cores: 2", " cores: 2", PARTS("m.yaml:12:"));
    char deep[20000];
    memset(deep, '[', sizeof deep);
    refused_bytes(deep, sizeof deep, PARTS("m.yaml:1:65: more than 64 collections"));
    for (size_t i = 0; i + 1 < sizeof deep; i += 2) memcpy(deep + i, "- ", 2);
    refused_bytes(deep, sizeof deep, PARTS("m.yaml:1:129: more than 64 collections"));
}
END_TEST

START_TEST(files_that_are_no_machines_are_recognised) {
    refused("", PARTS("m.yaml: the file is empty"));
    refused("# only a comment\n", PARTS("m.yaml: the file is empty"));
    refused("---\n", PARTS("m.yaml:2:1: value: expected a mapping", "found nothing"));
    refused_bytes("\x7f"
                  "ELF\x02\x01\x01\0\0",
                  10, PARTS("m.yaml"));
    make_run();
    command_run(&it, "sim --trace %s --ranks 2 --platform %s/.", directory, directory);
    command_refused(&it, "sim", PARTS("/.: Is a directory"));
    command_run(&it, "sim --trace %s --ranks 2 --platform ./none.yaml", directory);
    command_refused(&it, "sim", PARTS("./none.yaml: No such file"));
    command_run(&it,
                "head -c 20000000 /dev/zero | gzip > m.yaml && "
                "sim --trace %s --ranks 2 --platform m.yaml; s=$?; rm m.yaml; exit $s",
                directory);
    command_refused(&it, "sim", PARTS("m.yaml: more than 1MiB when unpacked"));
    command_run(&it, "sim --trace %s --ranks 2 --platform ./m.yaml < /dev/zero", directory);
    command_refused(&it, "sim", PARTS("./m.yaml: No such file"));
}
END_TEST

// --- cut off

// With the version at the end, which must be there, no proper beginning of the file is a machine.
START_TEST(a_machine_whose_end_is_needed_is_refused_when_cut_anywhere) {
    static const char text[] =
        "name: d\n"
        "nodes: 2\n"
        "devices: 4\n"
        "link: {bandwidth: 25GB/s, latency: 1us}\n"
        "rail: {bandwidth: 10GB/s, latency: 2us}\n" DEVICE "tandem: machine 1";
    size_t whole = strlen(text);
    for (size_t length = 0; length <= whole; length++) {
        Status s = parse(text, length);
        ck_assert_msg((s == OK) == (length == whole), "%zu bytes of %zu: %s", length, whole,
                      status_name(s));
        if (s != OK)
            ck_assert_msg(s == ERR_FORMAT && !strncmp(status_message(), "cut.yaml", 8), "%s",
                          status_message());
    }
}
END_TEST

// Does `text` end in one of the words, but for spaces and line ends?
static bool ends_in_one_of(const char *text, size_t length, const char *const words[]) {
    while (length && strchr(" \n", text[length - 1])) length--;
    for (; *words; words++) {
        size_t n = strlen(*words);
        if (n <= length && !memcmp(text + length - n, *words, n)) return true;
    }
    return false;
}

static void check_beginnings(const char *text, const char *const ends[]) {
    for (size_t length = 0; length <= strlen(text); length++)
        ck_assert_msg((parse(text, length) == OK) == ends_in_one_of(text, length, ends),
                      "%zu bytes: ...%.20s", length, &text[length > 20 ? length - 20 : 0]);
}

// YAML has no end: where everything that must be there is, what follows may be left out, and a
// beginning is a machine by itself. These are all: whole values, and beginnings of the last number.
START_TEST(a_beginning_is_a_machine_only_where_a_value_has_ended) {
    static const char *const of_host[] = {"8GB/s", "co_run: 1.1", "co_run: 1.", "co_run: 1", NULL};
    static const char *const of_nodes[] = {"latency: 2us}", NULL};
    check_beginnings(HOST, of_host);
    check_beginnings(NODES, of_nodes);
}
END_TEST

SUITE_SECONDS("sim: bad machines", 120, machines_in_order_are_taken,
              an_unknown_key_is_told_the_nearest_at_every_level,
              a_missing_key_is_named_where_it_belongs, a_key_given_twice_is_refused,
              values_of_another_type_are_refused, numbers_out_of_bounds_are_refused,
              a_quantity_without_its_unit_is_refused,
              an_ambiguous_unit_is_refused_with_both_readings,
              devices_that_cannot_reach_each_other_are_refused,
              networks_with_absurd_numbers_are_refused, yaml_that_people_do_not_write_is_refused,
              files_that_are_no_machines_are_recognised,
              a_machine_whose_end_is_needed_is_refused_when_cut_anywhere,
              a_beginning_is_a_machine_only_where_a_value_has_ended)
