// SPDX-License-Identifier: MIT
// From NCCL's topology in XML to places and wires (core/platform/node_graph.h). The tree of <cpu>,
// <pci>, <gpu>, <nic> and <net> is walked once; <nvlink> is joined by bus numbers at the end, as it
// may name what follows. Rates are those of NCCL's src/graph/topo.h and topo.cc.
#include "core/platform/node_graph.h"

#include "core/base/nearest.h"
#include "core/base/printable.h"
#include "core/base/xml.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MB_PER_S INT64_C(1000000)

enum { HOSTS = 16, NVSWITCH_CLASS = 0x068000, PROCESSOR_CLASS = 0x068001 };

typedef struct {
    const XmlNode *gpu;
    const char *bus;
    int64_t number;  // its `dev`
    int place, host;
    int64_t nvlink_bytes_per_s;  // of one NVLink
} Gpu;

typedef struct {
    NodeGraph *g;
    Gpu gpus[NODE_MESH_DEVICES];
    int gpu_count, place_count, host_count, nvswitch;
    int hosts[HOSTS];                 // places of processors,
    int64_t host_bytes_per_s[HOSTS];  // and the link of each to others; 0: not known
    const XmlNode *host_nodes[HOSTS];
} Reader;

// --- elements

typedef struct {
    const char *name, *required, *known, *parents;  // words between spaces
} Element;

static const Element elements[] = {
    {"system", "", "version", ""},
    {"cpu", "", "numaid host_hash affinity arch vendor familyid modelid", "system"},
    {"pci", "busid", "class vendor device subsystem_vendor subsystem_device link_speed link_width",
     "cpu pci"},
    {"gpu", "dev sm", "rank gdr", "pci"},
    {"nvlink", "target count", "tclass", "gpu"},
    {"c2c", "bw count", "", "gpu"},
    {"pcilink", "target", "", "pci"},
    {"nic", "", "", "cpu pci"},
    {"net", "speed", "name dev port latency guid maxconn gdr coll keep", "nic"},
};

static bool has_word(const char *words, const char *word) {
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' ')) return true;
    return false;
}

static void offer_words(Nearest *n, Arena *a, const char *words) {
    char *copy = arena_string(a, words), *next;
    if (!copy) return;
    for (char *w = strtok_r(copy, " ", &next); w; w = strtok_r(NULL, " ", &next))
        nearest_offer(n, w);
}

static const Element *find_element(const char *name) {
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (!strcmp(elements[i].name, name)) return &elements[i];
    return NULL;
}

// Newer versions of NCCL add attributes, which are passed over; one that looks like a known one
// that is not there is a slip.
static Status check_attributes(const XmlNode *n, const Element *e, Arena *a) {
    for (const XmlAttribute *at = n->attributes; at; at = at->next) {
        if (has_word(e->required, at->name) || has_word(e->known, at->name)) continue;
        Nearest nearest = {.word = at->name};
        offer_words(&nearest, a, e->required);
        offer_words(&nearest, a, e->known);
        if (nearest.best && !xml_find(n, nearest.best))
            XML_FAIL(n, "there is no attribute %.60s; did you mean %s?", at->name, nearest.best);
    }
    char *words = arena_string(a, e->required), *next;
    if (!words) FAIL(ERR_MEMORY, "%s: out of memory", n->source);
    for (char *w = strtok_r(words, " ", &next); w; w = strtok_r(NULL, " ", &next))
        if (!xml_find(n, w)) XML_FAIL(n, "expected an attribute %s, found none", w);
    return OK;
}

static Status check_elements(const XmlNode *n, Arena *a) {
    const Element *e = find_element(n->name);
    if (!e) {
        Nearest nearest = {.word = n->name};
        for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
            nearest_offer(&nearest, elements[i].name);
        XML_FAIL(n, "no element of NCCL's topology%s%s%s", nearest.best ? "; did you mean <" : "",
                 nearest.best ? nearest.best : "", nearest.best ? ">?" : "");
    }
    if (n->parent && !has_word(e->parents, n->parent->name))
        XML_FAIL(n, "within <%s>; expected %s%s", n->parent->name,
                 *e->parents ? "within " : "it as the root", e->parents);
    TRY(check_attributes(n, e, a));
    for (const XmlNode *c = n->first; c; c = c->next) TRY(check_elements(c, a));
    return OK;
}

// --- rates

// "16.0 GT/s PCIe" and a number of lanes: what NCCL counts for a lane, 6 Gbit/s of 8 GT/s. What a
// virtual machine does not know is 16 lanes of 8 GT/s, as NCCL takes it.
static Status pci_rate(int64_t *out, const XmlNode *pci) {
    static const double speeds[] = {2.5, 5, 8, 16, 32, 64};
    static const int mbits[] = {1500, 3000, 6000, 12000, 24000, 48000};
    const char *speed = xml_find(pci, "link_speed");
    int64_t lanes = 0;
    int of_lane = speed && *speed && strncasecmp(speed, "unknown", 7) ? 0 : 6000;
    char *unit = NULL;
    double number = of_lane ? 0 : strtod(speed, &unit);
    while (unit && *unit == ' ') unit++;
    for (int i = 0; i < 6 && unit && !strncmp(unit, "GT/s", 4); i++)
        if (number == speeds[i]) of_lane = mbits[i];
    if (!of_lane) {
        char shown[40];
        snprintf(shown, sizeof shown, "%s", speed);
        printable_make(shown);
        XML_FAIL(pci, "link_speed: expected 2.5, 5, 8, 16, 32 or 64 GT/s, found \"%s\"", shown);
    }
    if (xml_find(pci, "link_width")) TRY(xml_get_int(&lanes, pci, "link_width", 0, 32));
    *out = (lanes ? lanes : 16) * of_lane * MB_PER_S / 8;
    return OK;
}

// Between two processors of a kind.
static int64_t host_rate(const XmlNode *cpu) {
    const char *arch = xml_find(cpu, "arch"), *vendor = xml_find(cpu, "vendor");
    const char *model = xml_find(cpu, "modelid");
    int number = model ? atoi(model) : 0;
    if (arch && !strcmp(arch, "ppc64")) return 32000 * MB_PER_S;
    if (arch && !strcmp(arch, "arm64")) return 6000 * MB_PER_S;
    if (vendor && !strcmp(vendor, "AuthenticAMD")) return 16000 * MB_PER_S;
    if (!vendor || strcmp(vendor, "GenuineIntel")) return 0;
    return (number >= 0xcf   ? 40000
            : number >= 0x8f ? 22000
            : number >= 0x55 ? 10000
                             : 6000) *
           MB_PER_S;
}

static int64_t nvlink_rate(int64_t sm) {
    int mb = sm >= 100 ? 40100 : sm >= 90 ? 20600 : sm == 86 ? 12000 : sm >= 70 ? 20000 : 18000;
    return mb * MB_PER_S;
}

// --- places and wires

static Status add_place(Reader *r, int *out, const XmlNode *n) {
    if (r->place_count == NODE_PLACES)
        XML_FAIL(n, "more than %d devices, switches and processors in a node", NODE_PLACES);
    *out = r->place_count++;
    return OK;
}

static Status add_wire(Reader *r, const XmlNode *n, int a, int b, WireKind kind, int64_t rate) {
    NodeGraph *g = r->g;
    for (int i = 0; i < g->wire_count; i++) {
        NodeWire *w = &g->wires[i];
        if (!((w->a == a && w->b == b) || (w->a == b && w->b == a))) continue;
        w->bytes_per_s += rate;
        return OK;
    }
    if (g->wire_count == NODE_WIRES) XML_FAIL(n, "more than %d links in a node", NODE_WIRES);
    g->wires[g->wire_count++] = (NodeWire){(int16_t)a, (int16_t)b, kind, rate};
    return OK;
}

static const XmlNode *child_of(const XmlNode *n, const char *name) {
    for (const XmlNode *c = n->first; c; c = c->next)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

static Status add_gpu(Reader *r, const XmlNode *gpu, int place, int host) {
    int64_t number, sm;
    const char *bus = xml_find(gpu->parent, "busid");
    TRY(xml_get_int(&number, gpu, "dev", 0, 1 << 20));
    TRY(xml_get_int(&sm, gpu, "sm", 30, 999));
    if (r->gpu_count == NODE_MESH_DEVICES)
        XML_FAIL(gpu, "more than %d devices; a file describes one node", NODE_MESH_DEVICES);
    for (int i = 0; i < r->gpu_count; i++) {
        if (r->gpus[i].number == number)
            XML_FAIL(gpu, "device %lld is there twice (line %d); a file describes one node",
                     (long long)number, r->gpus[i].gpu->line);
        if (!strcasecmp(r->gpus[i].bus, bus))
            XML_FAIL(gpu, "its busid is that of the device of line %d", r->gpus[i].gpu->line);
    }
    r->gpus[r->gpu_count++] = (Gpu){gpu, bus, number, place, host, nvlink_rate(sm)};
    return OK;
}

static Status add_adapters(Reader *r, const XmlNode *nic, int place) {
    NodeGraph *g = r->g;
    for (const XmlNode *net = nic->first; net; net = net->next) {
        int64_t mbits;
        TRY(xml_get_int(&mbits, net, "speed", 1, 100000000));
        if (g->adapter_count == NODE_ADAPTERS)
            XML_FAIL(net, "more than %d network adapters in a node", NODE_ADAPTERS);
        g->adapters[g->adapter_count++] = (NodeAdapter){(int16_t)place, mbits * MB_PER_S / 8};
    }
    return OK;
}

// A <pci> is the device or the adapter within it, else a switch.
static Status add_pci(Reader *r, const XmlNode *pci, int above, int host) {
    int place = 0;
    int64_t rate = 0;
    TRY(add_place(r, &place, pci));
    TRY(pci_rate(&rate, pci));
    TRY(add_wire(r, pci, above, place, WIRE_HOST, rate));
    const XmlNode *gpu = child_of(pci, "gpu");
    if (gpu) TRY(add_gpu(r, gpu, place, host));
    for (const XmlNode *c = pci->first; c; c = c->next) {
        if (!strcmp(c->name, "pci")) TRY(add_pci(r, c, place, host));
        if (!strcmp(c->name, "nic")) TRY(add_adapters(r, c, place));
        if (!strcmp(c->name, "gpu") && c != gpu)
            XML_FAIL(c, "a second device on the bus number of that of line %d", gpu->line);
    }
    return OK;
}

static Status add_host(Reader *r, const XmlNode *cpu) {
    int place = 0, host = r->host_count;
    if (host == HOSTS) XML_FAIL(cpu, "more than %d processors; a file describes one node", HOSTS);
    TRY(add_place(r, &place, cpu));
    r->hosts[host] = place;
    r->host_nodes[host] = cpu;
    r->host_bytes_per_s[host] = host_rate(cpu);
    r->host_count++;
    for (const XmlNode *c = cpu->first; c; c = c->next) {
        if (!strcmp(c->name, "pci")) TRY(add_pci(r, c, place, host));
        if (!strcmp(c->name, "nic")) TRY(add_adapters(r, c, place));
    }
    return OK;
}

// All processors reach each other.
static Status connect_hosts(Reader *r) {
    for (int a = 0; a < r->host_count; a++)
        for (int b = 0; b < a; b++) {
            int64_t rate = r->host_bytes_per_s[a] < r->host_bytes_per_s[b] ? r->host_bytes_per_s[a]
                                                                           : r->host_bytes_per_s[b];
            const XmlNode *unknown = r->host_nodes[r->host_bytes_per_s[a] ? b : a];
            if (!rate)
                XML_FAIL(unknown, "%s",
                         "how fast is its link to the other processors? expected arch ppc64 or "
                         "arm64, or vendor GenuineIntel or AuthenticAMD");
            TRY(add_wire(r, unknown, r->hosts[a], r->hosts[b], WIRE_HOST, rate));
        }
    return OK;
}

// --- NVLink

static const Gpu *find_gpu(const Reader *r, const char *bus) {
    for (int i = 0; i < r->gpu_count; i++)
        if (!strcasecmp(r->gpus[i].bus, bus)) return &r->gpus[i];
    return NULL;
}

// How many NVLinks lead from a device to another; both ends tell, and must tell the same.
static Status count_links(int64_t *count, const Gpu *from, const Gpu *to) {
    *count = 0;
    for (const XmlNode *n = from->gpu->first; n; n = n->next) {
        int64_t some = 0;
        if (strcmp(n->name, "nvlink") || strcasecmp(xml_find(n, "target"), to->bus)) continue;
        TRY(xml_get_int(&some, n, "count", 1, 256));
        *count += some;
    }
    return OK;
}

static Status add_peer_link(Reader *r, const XmlNode *n, const Gpu *from, const Gpu *to) {
    int64_t there, back;
    if (from == to) XML_FAIL(n, "%s", "leads from a device to itself");
    TRY(count_links(&there, from, to));
    TRY(count_links(&back, to, from));
    if (there != back)
        XML_FAIL(n, "%lld NVLinks from device %lld to device %lld, and %lld back (line %d)",
                 (long long)there, (long long)from->number, (long long)to->number, (long long)back,
                 to->gpu->line);
    if (from->place > to->place) return OK;
    int64_t links;
    TRY(xml_get_int(&links, n, "count", 1, 256));
    return add_wire(r, n, from->place, to->place, WIRE_NVLINK, links * from->nvlink_bytes_per_s);
}

// A target that the file does not have is a device that the process did not see.
static Status add_nvlink(Reader *r, const XmlNode *n, const Gpu *from) {
    const Gpu *to = find_gpu(r, xml_find(n, "target"));
    const char *text = xml_find(n, "tclass");
    long class = text ? strtol(text, NULL, 16) : 0;
    int64_t links;
    TRY(xml_get_int(&links, n, "count", 1, 256));
    if (to) return add_peer_link(r, n, from, to);
    int64_t rate = links * from->nvlink_bytes_per_s;
    if (class == PROCESSOR_CLASS)
        return add_wire(r, n, from->place, r->hosts[from->host], WIRE_HOST, rate);
    if (class != NVSWITCH_CLASS) return OK;
    if (r->nvswitch < 0) TRY(add_place(r, &r->nvswitch, n));
    return add_wire(r, n, from->place, r->nvswitch, WIRE_NVLINK, rate);
}

static Status add_chip_link(Reader *r, const XmlNode *n, const Gpu *from) {
    int64_t mb, links;
    TRY(xml_get_int(&mb, n, "bw", 1, 10000000));
    TRY(xml_get_int(&links, n, "count", 1, 256));
    return add_wire(r, n, from->place, r->hosts[from->host], WIRE_HOST, mb * links * MB_PER_S);
}

static Status add_device_links(Reader *r) {
    for (int i = 0; i < r->gpu_count; i++)
        for (const XmlNode *n = r->gpus[i].gpu->first; n; n = n->next) {
            if (!strcmp(n->name, "nvlink")) TRY(add_nvlink(r, n, &r->gpus[i]));
            if (!strcmp(n->name, "c2c")) TRY(add_chip_link(r, n, &r->gpus[i]));
        }
    return OK;
}

// --- numbers

static int by_number(const void *a, const void *b) {
    const Gpu *left = a, *right = b;
    return left->number < right->number ? -1 : left->number > right->number;
}

// Devices first, in the order of their numbers; the others keep theirs.
static void number_places(Reader *r) {
    NodeGraph *g = r->g;
    int16_t now[NODE_PLACES];
    int next = r->gpu_count;
    memset(now, -1, sizeof now);
    qsort(r->gpus, (size_t)r->gpu_count, sizeof *r->gpus, by_number);
    for (int i = 0; i < r->gpu_count; i++) now[r->gpus[i].place] = (int16_t)i;
    for (int p = 0; p < r->place_count; p++)
        if (now[p] < 0) now[p] = (int16_t)next++;
    for (int i = 0; i < g->wire_count; i++) {
        g->wires[i].a = now[g->wires[i].a];
        g->wires[i].b = now[g->wires[i].b];
    }
    for (int i = 0; i < g->adapter_count; i++) g->adapters[i].place = now[g->adapters[i].place];
    g->devices = r->gpu_count;
    g->places = r->place_count;
}

// Wires of the host from a place to each other; they do not lead through devices.
static void find_distances(const NodeGraph *g, int from, int *away) {
    for (int p = 0; p < g->places; p++) away[p] = p == from ? 0 : NODE_PLACES;
    for (bool nearer = true; nearer;) {
        nearer = false;
        for (int i = 0; i < 2 * g->wire_count; i++) {
            const NodeWire *w = &g->wires[i / 2];
            int a = i % 2 ? w->b : w->a, b = i % 2 ? w->a : w->b;
            bool through = a != from && a < g->devices;
            if (w->kind != WIRE_HOST || through || away[a] + 1 >= away[b]) continue;
            away[b] = away[a] + 1;
            nearer = true;
        }
    }
}

// Of adapters that are as near, the one that fewest devices have.
static void choose_adapters(NodeGraph *g) {
    int taken[NODE_ADAPTERS] = {0}, away[NODE_PLACES];
    for (int d = 0; d < g->devices; d++) {
        int best = -1;
        find_distances(g, d, away);
        for (int i = 0; i < g->adapter_count; i++) {
            int nearer = best < 0 ? -1 : away[g->adapters[i].place] - away[g->adapters[best].place];
            if (best < 0 || nearer < 0 || (nearer == 0 && taken[i] < taken[best])) best = i;
        }
        g->adapter_of[d] = (int8_t)best;
        if (best >= 0) taken[best]++;
    }
}

// What of a kind leaves the device that has most of it.
static int64_t most_of_kind(const NodeGraph *g, WireKind kind) {
    int64_t most = 0;
    for (int d = 0; d < g->devices; d++) {
        int64_t all = 0;
        for (int i = 0; i < g->wire_count; i++)
            if (g->wires[i].kind == kind && (g->wires[i].a == d || g->wires[i].b == d))
                all += g->wires[i].bytes_per_s;
        if (all > most) most = all;
    }
    return most;
}

static void find_rates(NodeGraph *g) {
    g->link_bytes_per_s = most_of_kind(g, WIRE_NVLINK);
    if (!g->link_bytes_per_s) g->link_bytes_per_s = most_of_kind(g, WIRE_HOST);
    for (int i = 0; i < g->adapter_count; i++)
        if (g->adapters[i].bytes_per_s > g->rail_bytes_per_s)
            g->rail_bytes_per_s = g->adapters[i].bytes_per_s;
}

static Status read_system(NodeGraph *out, const XmlNode *root, Arena *a) {
    Reader r = {.g = out, .nvswitch = -1};
    *out = (NodeGraph){.devices = 0};
    if (!strcmp(root->name, "graphs"))
        XML_FAIL(root, "%s",
                 "the channels that NCCL found (NCCL_GRAPH_DUMP_FILE); expected what "
                 "NCCL_TOPO_DUMP_FILE makes it write");
    if (strcmp(root->name, "system"))
        XML_FAIL(root, "%s", "expected <system>, as NCCL_TOPO_DUMP_FILE makes NCCL write it");
    TRY(check_elements(root, a));
    for (const XmlNode *c = root->first; c; c = c->next) TRY(add_host(&r, c));
    if (!r.gpu_count)
        XML_FAIL(root, "%s",
                 "no <gpu>: a file that NCCL completes on the machine (NCCL_TOPO_FILE); give what "
                 "it writes there with NCCL_TOPO_DUMP_FILE");
    TRY(connect_hosts(&r));
    TRY(add_device_links(&r));
    number_places(&r);
    choose_adapters(out);
    find_rates(out);
    return OK;
}

void node_graph_of_mesh(NodeGraph *out, const NodeMesh *mesh) {
    *out = (NodeGraph){
        .devices = mesh->devices, .places = mesh->devices, .link_bytes_per_s = mesh->most_wires};
    memset(out->adapter_of, -1, sizeof out->adapter_of);
    for (int a = 0; a < mesh->devices; a++)
        for (int b = a + 1; b < mesh->devices; b++)
            if (mesh->wires[a][b])
                out->wires[out->wire_count++] =
                    (NodeWire){(int16_t)a, (int16_t)b, WIRE_NVLINK, mesh->wires[a][b]};
}

Status node_graph_parse(NodeGraph *out, const char *text, size_t length, const char *name) {
    Arena a = {0};
    const XmlNode *root;
    Status s = xml_parse(&root, &a, text, length, name);
    if (s == OK) s = read_system(out, root, &a);
    arena_finish(&a);
    return s;
}

Status node_graph_read(NodeGraph *out, const char *path) {
    Arena a = {0};
    const XmlNode *root;
    Status s = xml_read_file(&root, &a, path);
    if (s == OK) s = read_system(out, root, &a);
    arena_finish(&a);
    return s;
}
