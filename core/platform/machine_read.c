// SPDX-License-Identifier: MIT
// Machine files (docs/formats.md, Machine files): built-in or from a path, checked key by key.
#include "core/platform/machine.h"

#include "core/base/file.h"
#include "core/base/nearest.h"
#include "core/base/printable.h"
#include "core/base/units.h"
#include "core/base/yaml.h"
#include "core/platform/calibration_internal.h"
#include "core/platform/kernel_model_internal.h"
#include "core/platform/machine_builtin.h"

#include <ctype.h>
#include <string.h>

enum { DEVICES_MAX = 1 << 30, NODES_MAX = 1 << 20 };

// A name is printed in tables and on terminals.
static Status get_name(const char **out, const YamlNode *n) {
    TRY(yaml_get_string(out, n));
    if (!printable(*out) || strlen(*out) > 64)
        YAML_FAIL(n, "%s: expected a printable name of at most 64 bytes, found \"%.60s\"", n->key,
                  *out);
    return OK;
}

static Status get_count(int64_t *out, const YamlNode *n) {
    const char *text;
    if (!n) return OK;
    TRY(yaml_get_string(&text, n));
    if (units_parse_count(out, text) != OK) YAML_FAIL(n, "%s: %s", n->key, status_message());
    return OK;
}

// A rate far from any real one is a forgotten unit, or overflows what is computed from it.
static Status check_rate(const YamlNode *n, int64_t found, int64_t least, int64_t most,
                         const char *bounds) {
    if (!n || (found >= least && found <= most)) return OK;
    YAML_FAIL(n, "%s: expected %s, found %s", n->key, bounds, n->text);
}

static Status get_bandwidth(int64_t *out, const YamlNode *n) {
    TRY(yaml_get_bandwidth(out, n));
    return check_rate(n, *out, 1, INT64_C(1000000000000000), "1B/s to 1000TB/s");
}

static Status get_duration(int64_t *out, const YamlNode *n) {
    TRY(yaml_get_duration(out, n));
    return check_rate(n, *out, 0, 3600 * PS_PER_S, "at most 1h");
}

// Bytes are not taken for granted: "memory: 40" would be 40 bytes.
static Status get_memory(int64_t *out, const YamlNode *n) {
    TRY(yaml_get_size(out, n));
    if (!n->text[strspn(n->text, "0123456789.")])
        YAML_FAIL(n, "%s: %s has no unit: write %sGB, or %sB for bytes", n->key, n->text, n->text,
                  n->text);
    return check_rate(n, *out, 1, INT64_C(1000000000000000), "1B to 1000TB");
}

static Status get_permille(int32_t *out, const YamlNode *n, double most) {
    double share = 1;
    TRY(yaml_get_real(&share, n, 1e-3, most));
    *out = (int32_t)(share * 1000 + 0.5);
    return OK;
}

Status link_model_parse(LinkModel *out, const char *text) {
    char bandwidth[64];
    const char *comma = strchr(text, ',');
    LinkModel link;
    if (!comma || comma - text >= (int)sizeof bandwidth)
        FAIL(ERR_USAGE, "\"%s\" is not a link: give BANDWIDTH,LATENCY such as 1GB/s,50us", text);
    snprintf(bandwidth, sizeof bandwidth, "%.*s", (int)(comma - text), text);
    TRY(units_parse_bandwidth(&link.bytes_per_s, bandwidth));
    TRY(units_parse_duration(&link.latency_ps, comma + 1, 0));
    if (link.bytes_per_s < 1)
        FAIL(ERR_USAGE, "a link needs a bandwidth above 0, not %s", bandwidth);
    *out = link;
    return OK;
}

static Status get_link(LinkModel *out, const YamlNode *n) {
    if (!n) return OK;
    TRY(yaml_check_keys(n, "bandwidth latency", ""));
    TRY(get_bandwidth(&out->bytes_per_s, yaml_find(n, "bandwidth")));
    return get_duration(&out->latency_ps, yaml_find(n, "latency"));
}

// A number of operations has no unit, so that a forgotten T shows only in its size.
static Status get_flops_per_s(int64_t *out, const YamlNode *n) {
    TRY(get_count(out, n));
    return check_rate(n, *out, 1000000, INT64_C(1000000000000000000), "1M to 1000000T a second");
}

// A type that is left out is one in which the device does not compute.
static Status get_flops(DeviceModel *d, const YamlNode *n) {
    bool any = false;
    TRY(yaml_check_keys(n, "", "f32 f64 bf16"));
    for (int t = 0; t < DTYPE_REALS; t++) {
        TRY(get_flops_per_s(&d->flops_per_s[t], yaml_find(n, dtype_name((Dtype)t))));
        any = any || d->flops_per_s[t];
    }
    if (!any) YAML_FAIL(n, "flops: expected f32, f64, bf16 or several, found none");
    return OK;
}

// "launch: 5us": operations follow each other at that distance, and the host keeps up. Or a word,
// eager or graph: the host takes `issue` for each launch, the device `gap` from one to the next.
static Status get_launch(DeviceModel *d, const YamlNode *device) {
    const YamlNode *launch = yaml_find(device, "launch");
    const YamlNode *issue = yaml_find(device, "issue"), *gap = yaml_find(device, "gap");
    const YamlNode *graph_gap = yaml_find(device, "graph_gap");
    bool graph = launch && launch->kind == YAML_SCALAR && !strcmp(launch->text, "graph");
    bool eager = launch && launch->kind == YAML_SCALAR && !strcmp(launch->text, "eager");
    d->graph = graph;
    if (!graph && !eager) {
        const YamlNode *of_host = issue ? issue : gap ? gap : graph_gap;
        if (of_host)
            YAML_FAIL(of_host,
                      "%s: only with \"launch: eager\" or \"launch: graph\"; a duration for launch "
                      "says that the host keeps up",
                      issue ? "issue"
                      : gap ? "gap"
                            : "graph_gap");
        if (launch && launch->kind == YAML_SCALAR && isalpha((unsigned char)*launch->text))
            YAML_FAIL(launch,
                      "launch: expected eager, graph or a duration such as 5us, found \"%s\"",
                      launch->text);
        return get_duration(&d->launch_ps, launch);
    }
    if (!issue)
        YAML_FAIL(launch, "launch: %s needs the host's time for a launch: add \"issue: 5us\"",
                  launch->text);
    TRY(get_duration(&d->issue_ps, issue));
    TRY(check_rate(issue, d->issue_ps, 1, PS_PER_S, "above 0, at most 1s"));
    TRY(get_duration(&d->graph_gap_ps, graph_gap));
    return get_duration(&d->launch_ps, gap);
}

static Status get_slowed(DeviceModel *d, const YamlNode *n) {
    static const char *const keys[SLOWED_KINDS] = {"products", "other"};
    if (!n) return OK;
    TRY(yaml_check_keys(n, "", "products other"));
    for (int i = 0; i < SLOWED_KINDS; i++) {
        double factor = 1;
        TRY(yaml_get_real(&factor, yaml_find(n, keys[i]), 1, 100));
        d->slowed_permille[i] = (int32_t)(factor * 1000 + 0.5);
    }
    return OK;
}

static Status get_device(DeviceModel *d, const YamlNode *n) {
    TRY(yaml_check_keys(n, "name flops memory memory_bandwidth",
                        "launch issue gap graph_gap reached units products attention slowed"));
    TRY(get_name(&d->name, yaml_find(n, "name")));
    TRY(get_flops(d, yaml_find(n, "flops")));
    TRY(get_memory(&d->memory_bytes, yaml_find(n, "memory")));
    TRY(get_bandwidth(&d->memory_bytes_per_s, yaml_find(n, "memory_bandwidth")));
    TRY(get_launch(d, n));
    TRY(get_slowed(d, yaml_find(n, "slowed")));
    TRY(kernel_model_read(&d->kernels, n));
    d->flops_permille = d->memory_permille = 1000;
    const YamlNode *reached = yaml_find(n, "reached");
    if (!reached) return OK;
    TRY(yaml_check_keys(reached, "", "flops memory kinds"));
    TRY(get_permille(&d->flops_permille, yaml_find(reached, "flops"), 1));
    if (!d->kernels.point_count)
        return get_permille(&d->memory_permille, yaml_find(reached, "memory"), 1);
    d->memory_permille = d->kernels.bytes_permille[d->kernels.point_count - 1];
    return OK;
}

static Status get_host(HostModel *h, const YamlNode *n) {
    TRY(yaml_check_keys(
        n, "cores fold_bandwidth",
        "dispatch spin poll wake wake_same_core switch yield turn co_run oversubscribed"));
    int64_t cores = 1;
    TRY(yaml_get_int(&cores, yaml_find(n, "cores"), 1, 4096));
    h->cores = (int32_t)cores;
    TRY(get_bandwidth(&h->fold_bytes_per_s, yaml_find(n, "fold_bandwidth")));
    const struct {
        const char *key;
        int64_t *at;
    } times[] = {{"dispatch", &h->dispatch_ps},
                 {"spin", &h->spin_ps},
                 {"poll", &h->poll_ps},
                 {"wake", &h->wake_ps},
                 {"wake_same_core", &h->wake_same_core_ps},
                 {"switch", &h->switch_ps},
                 {"yield", &h->yield_ps},
                 {"turn", &h->turn_ps}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        TRY(get_duration(times[i].at, yaml_find(n, times[i].key)));
    h->co_run_permille = 1000;
    TRY(get_permille(&h->co_run_permille, yaml_find(n, "co_run"), 100));
    h->oversubscribed_permille = h->co_run_permille;
    const YamlNode *oversubscribed = yaml_find(n, "oversubscribed");
    return oversubscribed ? get_permille(&h->oversubscribed_permille, oversubscribed, 100) : OK;
}

// A ring can be no faster than the links that it runs over.
static Status check_bus(const YamlNode *n, const char *key, __int128 bus, __int128 link,
                        const char *what) {
    if (bus <= link) return OK;
    char all[UNITS_TEXT], most[UNITS_TEXT];
    YAML_FAIL(yaml_find(n, key),
              "%s: channels times bandwidth are %s, more than the %s of %s; give fewer or slower "
              "channels",
              key, units_print_bandwidth(all, (int64_t)bus),
              units_print_bandwidth(most, (int64_t)link), what);
}

static Status get_collectives(Machine *m, const YamlNode *n) {
    if (m->is_host) YAML_FAIL(n, "collectives: ranks on a host have no devices for NCCL");
    if (m->fabric.kind != FABRIC_RAILS)
        YAML_FAIL(n,
                  "collectives: NCCL's model knows no %s, only rails that meet in a network that "
                  "never fills; leave out `collectives`, and messages are simulated one by one, or "
                  "leave out `across`",
                  fabric_name(&m->fabric));
    NcclConstants *c = &m->collectives;
    TRY(nccl_constants_read(c, n, m->devices_per_node));
    for (int i = 0; i < c->group_sizes && m->devices_per_node > 1; i++)
        TRY(check_bus(n, "within",
                      (__int128)c->channels[i].channels * c->channel_bytes_per_s *
                          c->bandwidth_within / NCCL_UNIT,
                      m->link.bytes_per_s, "the link of a device"));
    TRY(check_bus(n, "nvls",
                  (__int128)c->nvls_channels * c->nvls_bytes_per_s * c->bandwidth_within /
                      NCCL_UNIT,
                  m->link.bytes_per_s, "the link of a device"));
    if (!c->across_channels && !m->rail.bytes_per_s) return OK;
    if (!c->across_channels)
        YAML_FAIL(n, "collectives: the machine has a rail; add \"across: {channels: 8, bandwidth: "
                     "24GB/s}\"");
    return check_bus(
        n, "across",
        (__int128)c->across_channels * c->across_bytes_per_s * c->bandwidth_across / NCCL_UNIT,
        (__int128)m->rail.bytes_per_s * m->devices_per_node, "all rails of a node together");
}

// Where a file does not say how many nodes there are, a topology has as many as it connects.
static Status get_topology(Machine *m, int64_t *nodes, const YamlNode *machine, int64_t devices) {
    const YamlNode *topology = yaml_find(machine, "topology"), *n = yaml_find(machine, "nodes");
    TRY(yaml_get_int(nodes, n, 1, NODES_MAX));
    if (!topology) return OK;
    if (m->is_host) YAML_FAIL(topology, "topology: ranks on a host share its memory");
    if (devices < 1) return OK;  // refused with what is missing
    TRY(fabric_read(&m->fabric, &m->mesh, topology, devices));
    if (m->fabric.kind == FABRIC_RAILS) return OK;
    int64_t connected = fabric_nodes(&m->fabric, devices);
    if (!n) *nodes = connected;
    if (*nodes > NODES_MAX)
        YAML_FAIL(topology, "topology: %lld nodes; expected at most %d", (long long)*nodes,
                  NODES_MAX);
    if (*nodes <= connected) return OK;
    YAML_FAIL(n, "nodes: %lld, and the %s connects %lld of %lld devices", (long long)*nodes,
              fabric_name(&m->fabric), (long long)connected, (long long)devices);
}

// Overhead and gap of LogGP, whose latency and bandwidth are those of link and rail.
static Status get_loggp(Machine *m, const YamlNode *n) {
    m->has_loggp = n != NULL;
    if (!n) return OK;
    if (m->is_host) YAML_FAIL(n, "loggp: ranks on a host send no messages over a network");
    TRY(yaml_check_keys(n, "overhead gap", ""));
    TRY(get_duration(&m->overhead_ps, yaml_find(n, "overhead")));
    return get_duration(&m->gap_ps, yaml_find(n, "gap"));
}

static Status get_machine(Machine *m, Arena *a, const YamlNode *n) {
    const char *version;
    TRY(yaml_expect(n, YAML_MAPPING));
    TRY(yaml_check_keys(n, "tandem name device",
                        "nodes devices link rail topology host loggp collectives calibration"));
    TRY(yaml_get_string(&version, yaml_find(n, "tandem")));
    if (strcmp(version, MACHINE_VERSION))
        YAML_FAIL(yaml_find(n, "tandem"), "expected \"%s\", found \"%.60s\"", MACHINE_VERSION,
                  version);
    TRY(get_name(&m->name, yaml_find(n, "name")));
    TRY(get_device(&m->device, yaml_find(n, "device")));
    const YamlNode *host = yaml_find(n, "host");
    m->is_host = host != NULL;
    if (m->is_host) TRY(get_host(&m->host, host));
    int64_t nodes = 1, devices = m->is_host ? m->host.cores : 0;
    TRY(yaml_get_int(&devices, yaml_find(n, "devices"), 1, 4096));
    TRY(get_topology(m, &nodes, n, devices));
    if (nodes * devices > DEVICES_MAX)
        YAML_FAIL(n, "%lld nodes of %lld devices: expected at most %d devices", (long long)nodes,
                  (long long)devices, DEVICES_MAX);
    m->nodes = (int32_t)nodes;
    m->devices_per_node = (int32_t)devices;
    TRY(get_link(&m->link, yaml_find(n, "link")));
    TRY(get_link(&m->rail, yaml_find(n, "rail")));
    if (devices < 1)
        YAML_FAIL(n, "expected a host, or the number of devices of a node, found neither: add "
                     "\"devices: 8\"");
    if (!m->is_host && devices > 1 && !m->link.bytes_per_s)
        YAML_FAIL(n,
                  "%lld devices a node need a link to reach each other: add \"link: "
                  "{bandwidth: 25GB/s, latency: 1us}\"",
                  (long long)devices);
    if (nodes > 1 && !m->rail.bytes_per_s)
        YAML_FAIL(n,
                  "%lld nodes need a rail to reach each other: add \"rail: {bandwidth: 25GB/s, "
                  "latency: 2us}\"",
                  (long long)nodes);
    TRY(get_loggp(m, yaml_find(n, "loggp")));
    const YamlNode *collectives = yaml_find(n, "collectives");
    m->has_collectives = collectives != NULL;
    if (collectives) TRY(get_collectives(m, collectives));
    const YamlNode *calibration = yaml_find(n, "calibration");
    m->is_calibrated = calibration != NULL;
    return calibration ? calibration_read(&m->calibration, a, calibration) : OK;
}

static const EmbeddedFile *find_builtin(const char *name, Nearest *nearest) {
    const EmbeddedFile *found = NULL;
    for (int i = 0; i < machine_builtins_count; i++) {
        nearest_offer(nearest, machine_builtins[i].name);
        if (!strcmp(machine_builtins[i].name, name)) found = &machine_builtins[i];
    }
    return found;
}

Status machine_read(Machine *out, Arena *a, const char *spec) {
    *out = (Machine){.source = spec};
    const YamlNode *root;
    Nearest nearest = {.word = spec};
    const EmbeddedFile *builtin = find_builtin(spec, &nearest);
    if (!builtin && !strchr(spec, '/') && !strchr(spec, '.'))
        FAIL(ERR_USAGE,
             "no machine \"%s\"%s%s%s; built in are " MACHINE_BUILTIN_NAMES
             "; a file is a path that "
             "ends in .yaml",
             spec, nearest.best ? " (did you mean " : "", nearest.best ? nearest.best : "",
             nearest.best ? "?)" : "");
    if (builtin) {
        out->source = "built-in";
        TRY(yaml_parse(&root, a, builtin->text, strlen(builtin->text), builtin->name));
    } else
        TRY(yaml_read_file(&root, a, spec));
    return get_machine(out, a, root);
}

Status machine_parse(Machine *out, Arena *a, const char *text, size_t length, const char *name) {
    const YamlNode *root;
    *out = (Machine){.source = name};
    TRY(yaml_parse(&root, a, text, length, name));
    return get_machine(out, a, root);
}

int machine_devices(const Machine *m) { return m->nodes * m->devices_per_node; }

Status machine_take_node(Machine *m, const NodeGraph *node) {
    if (m->is_host)
        FAIL(ERR_USAGE,
             "the machine %s is a host whose ranks share its cores; give the --platform "
             "whose devices the topology connects",
             m->name);
    if (!m->link.bytes_per_s)
        FAIL(ERR_USAGE,
             "a topology has no latencies, and the machine %s has no link to take them "
             "from; give another --platform",
             m->name);
    if (m->fabric.kind != FABRIC_RAILS)
        FAIL(ERR_USAGE,
             "the %s of %s needs a rail for each device, and a topology has adapters of "
             "its own; give a --platform without `across`",
             fabric_name(&m->fabric), m->name);
    m->node = *node;
    m->mesh = (NodeMesh){.devices = 0};
    m->devices_per_node = node->devices;
    m->link.bytes_per_s = node->link_bytes_per_s;
    m->rail.bytes_per_s = m->rail.bytes_per_s ? node->rail_bytes_per_s : 0;
    m->has_collectives = false;
    return OK;
}
