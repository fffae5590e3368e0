// SPDX-License-Identifier: MIT
// Where ranks are placed: nodes and links for those with devices, and whether a machine has them.
#include "sim/predict_place.h"

static ClosedModel closed_model(const SimSetting *s) {
    return s->network == SIM_NETWORK_ALPHA_BETA ? CLOSED_ALPHA_BETA
           : s->network == SIM_NETWORK_LOGGP    ? CLOSED_LOGGP
                                                : CLOSED_NONE;
}

Status predict_place_devices(TopologyOptions *t, const SimSetting *s, int ranks) {
    const Machine *m = s->machine;
    *t = (TopologyOptions){.nodes = 1, .devices_per_node = ranks, .link = s->link};
    t->store_and_forward = s->network == SIM_NETWORK_STORE_FORWARD;
    t->closed =
        (ClosedForm){.model = closed_model(s), .overhead_ps = m->overhead_ps, .gap_ps = m->gap_ps};
    t->link.latency_ps /= 2;  // of each of the two hops
    if (!s->link.bytes_per_s && ranks == 1) t->link = (LinkModel){.bytes_per_s = 1};  // not used
    if (s->link.bytes_per_s || ranks == 1) return OK;
    int per_node = m->devices_per_node;
    bool rails = m->fabric.kind == FABRIC_RAILS;
    *t = (TopologyOptions){.nodes = rails ? (ranks + per_node - 1) / per_node : m->nodes,
                           .devices_per_node = per_node,
                           .link = m->link,
                           .rail = m->rail,
                           .store_and_forward = t->store_and_forward,
                           .closed = t->closed,
                           .levels = s->levels,
                           .fabric = &m->fabric};
    if (!rails && ranks > machine_devices(m))
        FAIL(ERR_USAGE,
             "%d ranks need a device each, and the %s of %s connects %d; give at most "
             "so many, or a larger `across` in the machine file",
             ranks, fabric_name(&m->fabric), m->name, machine_devices(m));
    if (m->is_host && !m->link.bytes_per_s)
        FAIL(
            ERR_USAGE,
            "%s is a host, whose ranks share its cores: give --ranks %d, or a link between devices "
            "of that kind, --link 25GB/s,1us",
            m->name, ranks);
    if (per_node > 1 && !m->link.bytes_per_s)
        FAIL(ERR_USAGE,
             "the machine %s has no link between its devices; give one, --link 25GB/s,1us",
             m->name);
    if (per_node == 1 && !m->node.devices) t->link = m->rail;
    if (t->nodes > 1 && m->node.devices && !m->node.adapter_count)
        FAIL(ERR_USAGE,
             "%d ranks need %d nodes, and the --topology has no network adapter (<net>); give at "
             "most %d",
             ranks, t->nodes, per_node);
    if (t->nodes > 1 && !m->rail.bytes_per_s)
        FAIL(ERR_USAGE,
             "%d ranks need %d nodes of %s, which has no rail between nodes; give at most %d, or "
             "--link 25GB/s,1us",
             ranks, t->nodes, m->name, per_node);
    // What wires a mesh has is in the model's channels; what a price takes is a device's port.
    if (!sim_setting_is_priced(s) && m->mesh.devices) t->mesh = &m->mesh;
    if (m->node.devices) t->node = &m->node;
    if (sim_setting_is_priced(s))
        t->pricing =
            (NcclPricing){&m->collectives, s->nccl_algorithm, s->nccl_protocol, s->dilation};
    return OK;
}

bool sim_setting_is_priced(const SimSetting *s) {
    bool may = s->network == SIM_NETWORK_AUTO || s->network == SIM_NETWORK_NCCL;
    return s->devices && may && s->machine->has_collectives && !s->link.bytes_per_s;
}

static Status check_network(const SimSetting *s) {
    if (sim_setting_is_priced(s)) return OK;
    const char *what = s->network == SIM_NETWORK_NCCL ? "--network nccl"
                       : s->nccl_algorithm            ? "--nccl-algo"
                       : s->nccl_protocol             ? "--nccl-proto"
                                                      : NULL;
    if (!what) return OK;
    if (!s->devices || s->link.bytes_per_s || s->network > SIM_NETWORK_NCCL)
        FAIL(ERR_USAGE,
             "%s: NCCL's model is of devices and of the platform's own links; give "
             "--gpus, and neither --link nor another --network",
             what);
    FAIL(ERR_USAGE,
         "%s: the machine %s has no section `collectives`, which NCCL's model needs; "
         "give another --platform",
         what, s->machine->name);
}

// A formula knows a path within a node and one between two.
static Status check_closed_form(const SimSetting *s) {
    static const char *const names[] = {"", "alpha-beta", "loggp"};
    const Machine *m = s->machine;
    ClosedModel model = closed_model(s);
    if (!model) return OK;
    if (!s->devices)
        FAIL(ERR_USAGE, "--network %s: ranks of a host share memory; give --gpus", names[model]);
    if (model == CLOSED_LOGGP && !m->has_loggp)
        FAIL(ERR_USAGE,
             "--network loggp: the machine %s does not say its overhead and gap; add \"loggp: "
             "{overhead: 1.5us, gap: 1us}\" to a machine file, or give --network alpha-beta",
             m->name);
    if (s->link.bytes_per_s) return OK;
    const char *what = m->node.devices                  ? "the wires of a --topology"
                       : m->mesh.devices                ? "a mesh of wires"
                       : m->fabric.kind != FABRIC_RAILS ? fabric_name(&m->fabric)
                                                        : NULL;
    if (!what) return OK;
    FAIL(ERR_USAGE,
         "--network %s: a formula knows the links of devices and rails alone, and %s has %s; give "
         "--network flow",
         names[model], m->name, what);
}

// Messages of a collective that go one by one leave no record of what waited for what.
static Status check_critical(const SimSetting *s, int ranks) {
    if (!s->critical) return OK;
    if (!noise_is_none(&s->noise))
        FAIL(ERR_USAGE, "--critical-path needs steps that are alike; leave out --jitter and "
                        "--straggler");
    if (!s->devices)
        FAIL(ERR_USAGE,
             "--critical-path is of devices: give --gpus instead of --ranks, or leave out --trace");
    if (ranks == 1 || sim_setting_is_priced(s) || closed_model(s)) return OK;
    FAIL(ERR_USAGE,
         "--critical-path needs communication by NCCL's model or a formula: a --platform with a "
         "section `collectives` and neither --link nor --network flow, or --network alpha-beta");
}

Status predict_check_place(const SimSetting *s, int ranks) {
    TopologyOptions topology;
    TRY(check_network(s));
    TRY(check_closed_form(s));
    TRY(check_critical(s, ranks));
    if (!s->devices && !noise_is_none(&s->noise))
        FAIL(ERR_USAGE, "--jitter and --straggler are of devices, not of ranks that share a host; "
                        "give --gpus");
    if (!s->devices && s->network == SIM_NETWORK_STORE_FORWARD)
        FAIL(ERR_USAGE, "--network store-forward: ranks of a host share memory; give --gpus");
    if (s->devices) return predict_place_devices(&topology, s, ranks);
    if (!s->machine->is_host)
        FAIL(ERR_USAGE,
             "the machine %s has devices, and --ranks are processes that share a host's cores; "
             "give --gpus, or a machine file with a host",
             s->machine->name);
    return OK;
}
