// SPDX-License-Identifier: MIT
// The section `topology` of machine files: read key by key, checked, and written.
#include "core/platform/fabric.h"

#include "core/base/yaml.h"

#include <string.h>

enum { LINKS_MAX = 1 << 22, WIRES_MAX = 64 };

// --- within a node

static Status get_pair(NodeMesh *m, const YamlNode *n) {
    int64_t numbers[3] = {0, 0, 1};
    int i = 0;
    TRY(yaml_expect(n, YAML_SEQUENCE));
    if (n->count < 2 || n->count > 3)
        YAML_FAIL(n, "mesh: expected [device, device] or [device, device, wires], found %d numbers",
                  n->count);
    for (const YamlNode *item = n->first; item; item = item->next, i++)
        TRY(yaml_get_int(&numbers[i], item, i < 2 ? 0 : 1, i < 2 ? m->devices - 1 : WIRES_MAX));
    int64_t a = numbers[0], b = numbers[1];
    if (a == b) YAML_FAIL(n, "mesh: a wire from device %lld to itself", (long long)a);
    if (m->wires[a][b])
        YAML_FAIL(n, "mesh: devices %lld and %lld are there twice", (long long)a, (long long)b);
    m->wires[a][b] = m->wires[b][a] = (uint8_t)numbers[2];
    return OK;
}

static void reach(const NodeMesh *m, bool *reached, int from) {
    reached[from] = true;
    for (int to = 0; to < m->devices; to++)
        if (m->wires[from][to] && !reached[to]) reach(m, reached, to);
}

static Status get_mesh(NodeMesh *m, const YamlNode *n, int64_t devices) {
    bool reached[NODE_MESH_DEVICES] = {false};
    TRY(yaml_expect(n, YAML_SEQUENCE));
    if (devices < 2 || devices > NODE_MESH_DEVICES)
        YAML_FAIL(n, "mesh: expected a node of 2 to %d devices, found %lld", NODE_MESH_DEVICES,
                  (long long)devices);
    m->devices = (int32_t)devices;
    for (const YamlNode *pair = n->first; pair; pair = pair->next) TRY(get_pair(m, pair));
    reach(m, reached, 0);
    for (int d = 0; d < m->devices; d++) {
        int32_t wires = 0;
        if (!reached[d])
            YAML_FAIL(n, "mesh: no wires lead from device 0 to device %d; add one, such as [0, %d]",
                      d, d);
        for (int to = 0; to < m->devices; to++) wires += m->wires[d][to];
        if (wires > m->most_wires) m->most_wires = wires;
    }
    return OK;
}

static bool is_word(const YamlNode *n, const char *word) {
    return n->kind == YAML_SCALAR && !strcmp(n->text, word);
}

static Status get_within(NodeMesh *m, const YamlNode *n, int64_t devices) {
    if (!n || is_word(n, "switch")) return OK;
    if (n->kind != YAML_MAPPING)
        YAML_FAIL(n, "within: expected switch or {mesh: [[0, 1], [1, 2, 2]]}");
    TRY(yaml_check_keys(n, "mesh", ""));
    return get_mesh(m, yaml_find(n, "mesh"), devices);
}

// --- across nodes

static Status get_number(int32_t *out, const YamlNode *n, const char *key, int64_t most) {
    int64_t number = 1;
    TRY(yaml_get_int(&number, yaml_find(n, key), 1, most));
    *out = (int32_t)number;
    return OK;
}

static Status get_oversubscription(Fabric *f, const YamlNode *n) {
    double factor = 1;
    TRY(yaml_get_real(&factor, yaml_find(n, "oversubscription"), 1, 1000));
    f->oversubscribed_permille = (int32_t)(factor * 1000 + 0.5);
    return OK;
}

static Status get_fat_tree(Fabric *f, const YamlNode *n) {
    TRY(yaml_check_keys(n, "radix", "oversubscription"));
    TRY(get_number(&f->radix, n, "radix", 128));
    if (f->radix % 2)
        YAML_FAIL(yaml_find(n, "radix"),
                  "radix: half of a switch's ports lead up: expected an even "
                  "number, found %d",
                  f->radix);
    return get_oversubscription(f, n);
}

static Status get_leaf_spine(Fabric *f, const YamlNode *n) {
    TRY(yaml_check_keys(n, "pods nodes spines", "oversubscription"));
    TRY(get_number(&f->pods, n, "pods", 4096));
    TRY(get_number(&f->pod_nodes, n, "nodes", 4096));
    TRY(get_number(&f->spines, n, "spines", 4096));
    if (f->spines > f->pod_nodes)
        YAML_FAIL(
            yaml_find(n, "spines"),
            "spines: a leaf has a device of each of %d nodes; expected at most as many spines, "
            "found %d",
            f->pod_nodes, f->spines);
    return get_oversubscription(f, n);
}

static Status get_torus(Fabric *f, const YamlNode *n) {
    int hops = 2;  // from a device to its node's router, and from it
    TRY(yaml_expect(n, YAML_SEQUENCE));
    if (n->count < 1 || n->count > FABRIC_DIMENSIONS)
        YAML_FAIL(n, "torus: expected 1 to %d sizes such as [4, 4], found %d", FABRIC_DIMENSIONS,
                  n->count);
    for (const YamlNode *item = n->first; item; item = item->next) {
        int64_t size = 1;
        TRY(yaml_get_int(&size, item, 1, 1 << 10));
        f->sizes[f->dimensions++] = (int32_t)size;
        hops += (int)size / 2;
    }
    if (hops > FABRIC_PATH_LINKS)
        YAML_FAIL(n,
                  "torus: paths of %d links; expected at most %d: give sizes that are less "
                  "unlike, or smaller",
                  hops, FABRIC_PATH_LINKS);
    return OK;
}

static Status get_dragonfly(Fabric *f, const YamlNode *n) {
    TRY(yaml_check_keys(n, "groups routers devices global", ""));
    TRY(get_number(&f->groups, n, "groups", 4096));
    TRY(get_number(&f->routers, n, "routers", 1024));
    TRY(get_number(&f->ports, n, "devices", 1024));
    TRY(get_number(&f->globals, n, "global", 1024));
    if (f->groups > f->routers * f->globals + 1)
        YAML_FAIL(n,
                  "dragonfly: each of %d groups needs a link to each other; %d routers with %d "
                  "global links connect at most %d groups",
                  f->groups, f->routers, f->globals, f->routers * f->globals + 1);
    return OK;
}

static Status get_across(Fabric *f, const YamlNode *n, int64_t devices) {
    static Status (*const readers[])(Fabric *, const YamlNode *) = {
        NULL, get_fat_tree, get_leaf_spine, get_torus, get_dragonfly};
    static const char *const words[] = {"rails", "fat-tree", "leaf-spine", "torus", "dragonfly"};
    if (!n || is_word(n, words[FABRIC_RAILS])) return OK;
    if (n->kind != YAML_MAPPING || n->count != 1)
        YAML_FAIL(n, "across: expected one of rails, {fat-tree: {radix: 8}}, {leaf-spine: {pods: "
                     "2, nodes: 4, spines: 4}}, {torus: [4, 4]}, {dragonfly: {groups: 9, routers: "
                     "4, devices: 2, global: 2}}");
    TRY(yaml_check_keys(n, "", "fat-tree leaf-spine torus dragonfly"));
    for (int k = FABRIC_FAT_TREE; k <= FABRIC_DRAGONFLY; k++)
        if (!strcmp(n->first->key, words[k])) f->kind = (FabricKind)k;
    TRY(readers[f->kind](f, n->first));
    int64_t links = fabric_links(f, devices);
    if (links > LINKS_MAX)
        YAML_FAIL(n, "across: a %s has %lld links; expected at most %d", fabric_name(f),
                  (long long)links, LINKS_MAX);
    if (!fabric_nodes(f, devices))
        YAML_FAIL(n, "across: a %s connects fewer devices than the %lld of a node", fabric_name(f),
                  (long long)devices);
    return OK;
}

Status fabric_read(Fabric *out, NodeMesh *mesh, const YamlNode *n, int64_t devices) {
    *out = (Fabric){.kind = FABRIC_RAILS};
    *mesh = (NodeMesh){.devices = 0};
    if (!n) return OK;
    TRY(yaml_check_keys(n, "", "within across"));
    TRY(get_within(mesh, yaml_find(n, "within"), devices));
    TRY(get_across(out, yaml_find(n, "across"), devices));
    if (mesh->devices && out->kind == FABRIC_TORUS)
        YAML_FAIL(n, "topology: a torus needs a switch in each node, to which its links are "
                     "attached: leave out `within`");
    return OK;
}

// --- all of it

static void write_mesh(FILE *f, const NodeMesh *m) {
    fputs("  within: {mesh: [", f);
    for (int a = 0, any = 0; a < m->devices; a++)
        for (int b = a + 1; b < m->devices; b++)
            if (m->wires[a][b])
                fprintf(f, "%s[%d, %d, %d]", any++ ? ", " : "", a, b, m->wires[a][b]);
    fputs("]}\n", f);
}

static void write_oversubscription(FILE *f, const Fabric *t) {
    fprintf(f, ", oversubscription: %d.%03d}}\n", t->oversubscribed_permille / 1000,
            t->oversubscribed_permille % 1000);
}

static void write_across(FILE *f, const Fabric *t) {
    fputs("  across: ", f);
    switch (t->kind) {
    case FABRIC_RAILS: fputs("rails\n", f); return;
    case FABRIC_FAT_TREE:
        fprintf(f, "{fat-tree: {radix: %d", t->radix);
        write_oversubscription(f, t);
        return;
    case FABRIC_LEAF_SPINE:
        fprintf(f, "{leaf-spine: {pods: %d, nodes: %d, spines: %d", t->pods, t->pod_nodes,
                t->spines);
        write_oversubscription(f, t);
        return;
    case FABRIC_TORUS:
        fputs("{torus: [", f);
        for (int d = 0; d < t->dimensions; d++) fprintf(f, "%s%d", d ? ", " : "", t->sizes[d]);
        fputs("]}\n", f);
        return;
    case FABRIC_DRAGONFLY:
        fprintf(f, "{dragonfly: {groups: %d, routers: %d, devices: %d, global: %d}}\n", t->groups,
                t->routers, t->ports, t->globals);
        return;
    }
}

void fabric_write(FILE *f, const Fabric *fabric, const NodeMesh *mesh) {
    if (!mesh->devices && fabric->kind == FABRIC_RAILS) return;
    fputs("topology:\n", f);
    if (mesh->devices) write_mesh(f, mesh);
    write_across(f, fabric);
}

static int64_t torus_nodes(const Fabric *f) {
    int64_t nodes = 1;
    for (int d = 0; d < f->dimensions; d++) nodes *= f->sizes[d];
    return nodes;
}

int64_t fabric_nodes(const Fabric *f, int64_t devices_per_node) {
    switch (f->kind) {
    case FABRIC_FAT_TREE: return (int64_t)f->radix * f->radix * f->radix / 4 / devices_per_node;
    case FABRIC_LEAF_SPINE: return (int64_t)f->pods * f->pod_nodes;
    case FABRIC_TORUS: return torus_nodes(f);
    case FABRIC_DRAGONFLY: return (int64_t)f->groups * f->routers * f->ports / devices_per_node;
    default: return INT64_MAX;
    }
}

int64_t fabric_links(const Fabric *f, int64_t devices_per_node) {
    switch (f->kind) {
    case FABRIC_FAT_TREE: return (int64_t)f->radix * f->radix * f->radix;
    case FABRIC_LEAF_SPINE: return 2 * (int64_t)f->pods * devices_per_node * f->spines;
    case FABRIC_TORUS: return 2 * torus_nodes(f) * f->dimensions;
    case FABRIC_DRAGONFLY:
        return (int64_t)f->groups * ((int64_t)f->routers * (f->routers - 1) + f->groups - 1);
    default: return 0;
    }
}

const char *fabric_name(const Fabric *f) {
    static const char *const names[] = {"network of rails", "fat tree", "leaf-spine network",
                                        "torus", "dragonfly"};
    return names[f->kind];
}
