// SPDX-License-Identifier: MIT
// NCCL's tuning model. Tables are those of NCCL's src/graph/tuning.cc; bandwidth_of() and
// latency_of() are one algorithm's and protocol's, nccl_price() takes the fastest.
#include "sim/nccl_model.h"

#include "core/base/units.h"

// One question to the model, with what follows from it.
typedef struct {
    const NcclConstants *c;
    const NcclCall *call;
    int32_t per_node;  // members on a node
    int32_t steps;     // of a ring
    int32_t inter;     // of these, between nodes
    int32_t channels;
    int64_t bus;  // bytes/s of all channels
} Question;

#define US(x) ((int64_t)((x)*1000000 + 0.5))  // constant expressions only
#define GB(x) ((int64_t)((x)*1000000000 + 0.5))

// By algorithm, then LL, LL128, Simple; a row that NCCL does not have is 0.
typedef int64_t Latencies[NCCL_ALGORITHMS][NCCL_PROTOCOLS];

static const Latencies base_latencies = {
    [NCCL_TREE] = {0, US(6.8), US(14.0), US(8.4)},
    [NCCL_RING] = {0, US(6.6), US(14.0), US(8.4)},
    [NCCL_PAT] = {0, US(8.0), US(8.0), US(8.0)},
    [NCCL_P2P] = {0, US(6.6), US(14.0), US(8.4)},
};

// Of a hop within a node, by wire; across nodes.
static const Latencies within_latencies[] = {
    [NCCL_NVLINK] = {[NCCL_TREE] = {0, US(0.6), US(1.25), US(4.0)},
                     [NCCL_RING] = {0, US(0.6), US(1.9), US(3.4)},
                     [NCCL_COLLNET_DIRECT] = {0, 0, 0, US(3.7)},
                     [NCCL_COLLNET_CHAIN] = {0, 0, 0, US(2.8)},
                     [NCCL_NVLS] = {0, 0, 0, US(25.0)},
                     [NCCL_NVLS_TREE] = {0, 0, 0, US(25.0)},
                     [NCCL_P2P] = {0, US(0.6), US(1.9), US(3.4)}},
    [NCCL_PCIE] = {[NCCL_TREE] = {0, US(1.0), US(1.9), US(4.0)},
                   [NCCL_RING] = {0, US(1.0), US(2.5), US(5.7)},
                   [NCCL_COLLNET_DIRECT] = {0, 0, 0, US(3.7)},
                   [NCCL_COLLNET_CHAIN] = {0, 0, 0, US(2.8)},
                   [NCCL_P2P] = {0, US(1.0), US(2.5), US(5.7)}},
};
static const Latencies across_latencies = {
    [NCCL_TREE] = {0, US(5.0), US(8.5), US(14.0)},
    [NCCL_RING] = {0, US(2.7), US(4.0), US(14.0)},
    [NCCL_COLLNET_DIRECT] = {0, 0, 0, US(31.0)},
    [NCCL_COLLNET_CHAIN] = {0, 0, 0, US(30.0)},
    [NCCL_NVLS] = {0, 0, 0, US(18.0)},
    [NCCL_NVLS_TREE] = {0, 0, 0, US(20.9)},
    [NCCL_PAT] = {0, 0, 0, US(14.0)},
    [NCCL_P2P] = {0, US(2.7), US(4.0), US(14.0)},
};

// By architecture, then on one node, two, and more. Of all channels together with LL; across nodes
// the CPU counts instead: an AMD one as Ampere's row, another as Volta's.
static const int64_t ll_most[NCCL_ARCHITECTURES][3] = {
    {GB(39.0), GB(39.0), GB(20.4)},
    {GB(87.7), GB(22.5), GB(19.0)},
    {GB(141.0), GB(45.0), GB(35.0)},
    {GB(282.0), GB(90.0), GB(70.0)},
};
// Of one channel.
static const int64_t ring_ll128_most[NCCL_ARCHITECTURES] = {GB(20.0), GB(20.0), GB(36.7), GB(40.0)};
static const int64_t tree_ll128_most[NCCL_ARCHITECTURES][3] = {
    {GB(20.0), GB(20.0), GB(20.0)},
    {GB(20.0), GB(20.0), GB(20.0)},
    {GB(36.7), GB(36.7), GB(29.0)},
    {GB(55.6), GB(31.67), GB(20.0)},
};
static const int64_t tree_most[NCCL_ARCHITECTURES][3] = {
    {GB(26.5), GB(18.5), GB(10.0)},
    {GB(24.0), GB(23.6), GB(17.8)},
    {GB(38.7), GB(41.4), GB(36.0)},
    {GB(70.0), GB(42.8), GB(24.0)},
};
static const int64_t nvls_tree_most[NCCL_ARCHITECTURES][3] = {
    [NCCL_HOPPER] = {0, GB(57.7), GB(45.5)},
    [NCCL_BLACKWELL] = {0, GB(96.0), GB(80.0)},
};
static const int32_t nvls_efficiency[NCCL_ARCHITECTURES] = {0, 0, 850, 740};  // thousandths

// Trees do not keep to the model at middling sizes: tenths of the bandwidth, from 64 B on, a row
// entry each power of two.
enum { TREE_SIZES = 24 };
static const int8_t tree_tenths[NCCL_PROTOCOLS][TREE_SIZES] = {
    [NCCL_LL] = {10, 10, 10, 10, 9, 8, 7, 7, 7, 7, 6, 5, 4, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10, 10},
    [NCCL_LL128] = {10, 10, 10, 10, 10, 9, 8, 8, 8, 7, 6, 6, 6, 6, 6, 6, 8, 9, 9, 9, 9, 10, 10, 10},
    [NCCL_SIMPLE] = {9, 9, 9, 9, 9, 9, 9, 8, 7, 6, 6, 5, 5, 5, 5, 6, 7, 8, 7, 7, 8, 9, 9, 9},
};

static const char *const algorithm_names[] = {"auto",
#define X(constant, name) name,
                                              NCCL_ALGORITHM_LIST(X)
#undef X
};
static const char *const protocol_names[] = {"auto", "LL", "LL128", "Simple"};

const char *nccl_algorithm_name(NcclAlgorithm a) { return algorithm_names[a]; }
const char *nccl_protocol_name(NcclProtocol p) { return protocol_names[p]; }

static int64_t times(int64_t value, int64_t numerator, int64_t denominator) {
    __int128 product = (__int128)value * numerator / denominator;
    return product > INT64_MAX ? INT64_MAX : (int64_t)product;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int32_t log2_floor(int64_t x) {
    int32_t bits = 0;
    while (x >>= 1) bits++;
    return bits;
}

// One node, two, or more.
static int column_of(const Question *q) { return q->call->nodes > 2 ? 2 : q->call->nodes - 1; }

static int64_t across_bus(const NcclConstants *c, int32_t per_node) {
    int64_t bus = times(c->across_channels * c->across_bytes_per_s, c->bandwidth_across, NCCL_UNIT);
    return times(bus, least(per_node, c->devices), c->devices);  // their own adapters
}

static int64_t within_bus(const NcclConstants *c, int32_t ranks) {
    int64_t bus = times(nccl_constants_channels(c, ranks) * c->channel_bytes_per_s,
                        c->bandwidth_within, NCCL_UNIT);
    return bus - times(bus, c->group_loss, (int64_t)NCCL_UNIT * ranks);
}

static Question ask(const NcclConstants *c, const NcclCall *call) {
    Question q = {.c = c, .call = call, .per_node = call->ranks / call->nodes};
    switch (call->kind) {
    case COLLECTIVE_ALL_REDUCE:
    case COLLECTIVE_BARRIER:
        q.steps = 2 * (call->ranks - 1);
        q.inter = 2 * (call->nodes - 1);
        break;
    case COLLECTIVE_ALL_GATHER:
    case COLLECTIVE_REDUCE_SCATTER:
        q.steps = call->ranks - 1;
        q.inter = call->nodes - 1;
        break;
    default: q.steps = call->ranks; q.inter = call->nodes > 1 ? call->nodes : 0;
    }
    if (call->nodes == 1) {
        q.channels = nccl_constants_channels(c, call->ranks);
        q.bus = within_bus(c, call->ranks);
        return q;
    }
    q.channels = (int32_t)times(c->across_channels, least(q.per_node, c->devices), c->devices);
    if (q.channels < 1) q.channels = 1;
    q.bus = across_bus(c, q.per_node);
    if (q.per_node > 1) q.bus = least(q.bus, within_bus(c, q.per_node));
    return q;
}

static bool is_gathering(CollectiveKind k) {
    return k == COLLECTIVE_ALL_GATHER || k == COLLECTIVE_REDUCE_SCATTER;
}

static bool is_reducing(CollectiveKind k) {
    return k == COLLECTIVE_ALL_REDUCE || k == COLLECTIVE_BARRIER;
}

// Does NCCL have the algorithm for this collective, wherever?
static bool kind_has(CollectiveKind k, NcclAlgorithm a) {
    switch (a) {
    case NCCL_RING:
        return is_reducing(k) || is_gathering(k) || k == COLLECTIVE_BROADCAST ||
               k == COLLECTIVE_REDUCE;
    case NCCL_TREE:
    case NCCL_COLLNET_CHAIN:
    case NCCL_NVLS_TREE: return is_reducing(k);
    case NCCL_COLLNET_DIRECT:
    case NCCL_NVLS: return is_reducing(k) || is_gathering(k);
    case NCCL_PAT: return is_gathering(k);
    case NCCL_P2P: return !kind_has(k, NCCL_RING);
    default: return false;
    }
}

// Does it run here?
static bool place_has(const Question *q, NcclAlgorithm a, NcclProtocol p) {
    const NcclConstants *c = q->c;
    bool across = q->call->nodes > 1, simple = p == NCCL_SIMPLE;
    if (p == NCCL_LL128 && c->wire == NCCL_PCIE) return false;
    switch (a) {
    case NCCL_COLLNET_DIRECT:
    case NCCL_COLLNET_CHAIN: return simple && across && c->collnet;
    case NCCL_NVLS: return simple && c->nvls_channels && q->per_node > 2 && (!across || c->collnet);
    case NCCL_NVLS_TREE: return simple && c->nvls_channels && q->per_node > 2 && across;
    case NCCL_PAT: return simple && across && q->per_node == 1;
    default: return true;
    }
}

static int64_t ll_limit(const Question *q) {
    int row = q->call->nodes == 1     ? (int)q->c->architecture
              : q->c->cpu == NCCL_AMD ? NCCL_AMPERE
                                      : NCCL_VOLTA;
    return ll_most[row][column_of(q)];
}

static int64_t nvls_bus(const Question *q) {
    const NcclConstants *c = q->c;
    int32_t efficiency = nvls_efficiency[c->architecture];
    int64_t channels = c->nvls_channels;
    int64_t bus = times(channels * c->nvls_bytes_per_s, c->bandwidth_within, NCCL_UNIT);
    bus = times(times(bus, efficiency, 1000), channels - 1 ? channels - 1 : 1, channels);
    if (q->call->nodes > 1) bus = least(bus, q->bus);
    return is_reducing(q->call->kind) ? 2 * bus : times(bus, q->per_node - 1, q->per_node);
}

static int64_t nvls_tree_bus(const Question *q) {
    const NcclConstants *c = q->c;
    int64_t channels = c->nvls_channels,
            within = times(channels * c->nvls_bytes_per_s, c->bandwidth_within, NCCL_UNIT);
    int64_t across = across_bus(c, q->per_node);
    int64_t bus = least(within, q->call->nodes <= 2 ? across : across / 2);
    return least(bus, channels * nvls_tree_most[c->architecture][column_of(q)]);
}

// Adapters that are fewer or more than the devices of a node do not reach full speed.
static int64_t collnet_direct_bus(const Question *q) {
    if (is_gathering(q->call->kind)) return times(q->bus, 9, 10);
    int64_t bus = times(q->bus, 2 * q->channels, q->per_node + q->channels);
    return q->c->architecture >= NCCL_HOPPER ? times(bus, 85, 100) : bus;
}

static int64_t tree_bus(const Question *q, NcclProtocol p) {
    int column = column_of(q), row = (int)q->c->architecture;
    int64_t bus = least(times(q->bus, 92, 100), q->channels * tree_most[row][column]);
    if (p == NCCL_LL) return least(times(bus, 10, 38), ll_limit(q));
    if (p == NCCL_SIMPLE) return bus;
    bus = q->call->nodes == 1 ? times(bus, 7, 9) : times(bus, 120, 128);
    return least(bus, q->channels * tree_ll128_most[row][column]);
}

static int64_t ring_bus(const Question *q, NcclProtocol p) {
    if (p == NCCL_LL) return least(ll_limit(q), q->bus / 2);
    if (p == NCCL_SIMPLE) return q->bus;
    return least(times(q->bus, 92, 100), q->channels * ring_ll128_most[q->c->architecture]);
}

// A rank sends a part of each byte within its node and a part to others: what takes longer decides.
static int64_t p2p_bandwidth(const Question *q) {
    int32_t n = q->call->ranks, near = q->per_node - 1, far = n - q->per_node;
    int64_t within = near ? times(within_bus(q->c, q->per_node), n, near) : INT64_MAX;
    return far ? least(within, times(across_bus(q->c, 1), n, far)) : within;
}

// Bytes per second of the array.
static int64_t bandwidth_of(const Question *q, NcclAlgorithm a, NcclProtocol p) {
    const NcclCall *call = q->call;
    int64_t bus = 0;
    switch (a) {
    case NCCL_RING: bus = ring_bus(q, p); break;
    case NCCL_TREE: bus = tree_bus(q, p); break;
    case NCCL_NVLS: bus = nvls_bus(q); break;
    case NCCL_NVLS_TREE: bus = nvls_tree_bus(q); break;
    case NCCL_COLLNET_DIRECT: bus = collnet_direct_bus(q); break;
    case NCCL_COLLNET_CHAIN: bus = q->bus; break;
    case NCCL_PAT: bus = times(q->bus, 3, 4); break;
    default: return p2p_bandwidth(q);
    }
    bool by_steps = a == NCCL_RING || a == NCCL_NVLS || a == NCCL_NVLS_TREE;
    if (is_gathering(call->kind) && a != NCCL_RING) return bus;
    bus = by_steps ? times(bus, call->ranks, q->steps) : bus / 2;
    int32_t size = log2_floor(call->bytes >> 6);
    if (a == NCCL_TREE && call->bytes >= 64 && size < TREE_SIZES)
        bus = times(bus, tree_tenths[p][size], 10);
    return bus;
}

// A ring with Simple over nodes is on a plateau where messages are larger than what it pipelines.
static bool on_plateau(const Question *q, NcclAlgorithm a, NcclProtocol p) {
    return a == NCCL_RING && p == NCCL_SIMPLE && q->call->nodes > 1 && is_reducing(q->call->kind) &&
           q->call->bytes / ((int64_t)q->channels * q->call->ranks) >= 64;
}

static int64_t hops_latency(const Question *q, NcclAlgorithm a, NcclProtocol p) {
    const NcclConstants *c = q->c;
    int32_t nodes = q->call->nodes, near = q->per_node - 1;
    int64_t within = times(within_latencies[c->wire][a][p], c->hop_within, NCCL_UNIT);
    // With one member a node nothing hides a hop: it costs as in a tree.
    int64_t across =
        q->per_node == 1 && a != NCCL_P2P ? across_latencies[NCCL_TREE][p] : across_latencies[a][p];
    across = times(across, c->hop_across, NCCL_UNIT);
    int64_t overhead = nodes == 1 ? 0 : US(1) * (c->cpu == NCCL_AMD ? 2 : 1);
    if (p == NCCL_SIMPLE) overhead *= 3;
    switch (a) {
    case NCCL_RING:
        return (q->steps - q->inter) * (within > overhead ? within : overhead) + q->inter * across;
    case NCCL_TREE: return 2 * (near * within + log2_floor(nodes) * across);
    case NCCL_COLLNET_DIRECT: return 2 * ((near > 0) * within + near * US(0.4)) + across;
    case NCCL_COLLNET_CHAIN: return 2 * near * within + across;
    case NCCL_NVLS: return within + (nodes > 1 ? across : 0);
    case NCCL_NVLS_TREE: return within + 2 * log2_floor(nodes) * across;
    case NCCL_PAT: return log2_floor(nodes) * times(across, 10, 35) + q->call->ranks * US(2.8);
    default: return (nodes > 1 ? across : within) + (q->call->ranks - 2) * US(0.4);
    }
}

static int64_t latency_of(const Question *q, NcclAlgorithm a, NcclProtocol p) {
    int64_t latency = base_latencies[a][p] + hops_latency(q, a, p);
    if (on_plateau(q, a, p))
        latency = times(latency, q->c->architecture < NCCL_AMPERE ? 19 : 14, 10);
    return latency + q->c->base_latency_ps;
}

// Few bytes go over fewer channels: each of a channel's threads takes at least so many.
static int32_t channels_of(const Question *q, NcclAlgorithm a, NcclProtocol p) {
    if (a == NCCL_NVLS || a == NCCL_NVLS_TREE) return q->c->nvls_channels;
    int64_t threads = p == NCCL_LL128 ? 640 : 512, bytes = p == NCCL_SIMPLE ? 64 : 8;
    if (a == NCCL_RING && p == NCCL_LL) bytes *= q->call->ranks;
    int32_t channels = q->channels;
    while (channels > 1 && q->call->bytes < channels * threads * bytes) channels--;
    return channels;
}

// How much of the array passes a member's link to its node, and its rail.
static void set_weights(NcclPrice *out, const Question *q) {
    const NcclCall *call = q->call;
    int64_t n = call->ranks, k = q->per_node, rails = call->nodes > 1 ? k : 0, w = NCCL_WEIGHT;
    if (kind_has(call->kind, NCCL_P2P)) {
        out->port_weight = (int32_t)(w * (k - 1) / n);
        out->rail_weight = (int32_t)(w * (n - k) / n);
        return;
    }
    bool in_switch = out->algorithm == NCCL_NVLS || out->algorithm == NCCL_COLLNET_DIRECT ||
                     out->algorithm == NCCL_NVLS_TREE;
    int64_t parts = n;  // of n, that each member sends
    if (is_gathering(call->kind)) parts = n - 1;
    if (is_reducing(call->kind) && !in_switch) parts = 2 * (n - 1);
    out->port_weight = k > 1 || !rails ? (int32_t)(w * parts / n) : 0;
    // Over nodes every member sends but a k-th of that by its own adapter.
    out->rail_weight = rails ? (int32_t)(w * parts / n / rails) : 0;
}

static Status find_fastest(NcclPrice *out, const Question *q, NcclAlgorithm only, NcclProtocol of) {
    const NcclCall *call = q->call;
    *out = (NcclPrice){.time_ps = -1};
    for (int a = 1; a < NCCL_ALGORITHMS; a++)
        for (int p = 1; p < NCCL_PROTOCOLS; p++) {
            NcclAlgorithm algorithm = (NcclAlgorithm)a;
            NcclProtocol protocol = (NcclProtocol)p;
            if ((only && only != algorithm) || (of && of != protocol)) continue;
            if (!kind_has(call->kind, algorithm) || !place_has(q, algorithm, protocol)) continue;
            if (algorithm == NCCL_P2P && protocol == NCCL_LL128) continue;
            // LL halves the bandwidth of a send, and is for small ones.
            int64_t latency = latency_of(q, algorithm, protocol);
            int64_t rate = bandwidth_of(q, algorithm, protocol);
            if (algorithm == NCCL_P2P && protocol == NCCL_LL) rate /= 2;
            if (rate < 1) continue;
            int64_t ps = units_divide_up((__int128)call->bytes * PS_PER_S, rate);
            if (ps > INT64_MAX - latency)
                FAIL(ERR_FAILED, "%s of %lld bytes would take more than 106 days",
                     collective_name(call->kind), (long long)call->bytes);
            if (out->time_ps >= 0 && out->time_ps <= latency + ps) continue;
            *out = (NcclPrice){algorithm, protocol, 0, latency, rate, latency + ps, 0, 0};
        }
    return OK;
}

// In nodes with switches measured time per byte goes on falling to 1 GiB: what is lost until then
// grows with the bytes to ramp_ps, half of it at 256 MiB. Of it NCCL's choice knows nothing.
static Status add_ramp(NcclPrice *p, const NcclConstants *c, const NcclCall *call) {
    const int64_t half = INT64_C(256) << 20;
    int64_t lost = call->bytes ? (int64_t)((__int128)c->ramp_ps * call->bytes /
                                           ((__int128)call->bytes + half))
                               : 0;
    if (!lost || call->nodes > 1) return OK;
    if (lost > INT64_MAX - p->time_ps)
        FAIL(ERR_FAILED, "%s of %lld bytes would take more than 106 days",
             collective_name(call->kind), (long long)call->bytes);
    __int128 ps = (__int128)p->time_ps - p->latency_ps + lost;
    __int128 rate = (__int128)call->bytes * PS_PER_S / ps;
    p->bytes_per_s = rate > 1 ? (int64_t)rate : 1;
    ps = units_divide_up((__int128)call->bytes * PS_PER_S, p->bytes_per_s);
    p->time_ps = p->latency_ps + (int64_t)ps;
    return OK;
}

Status nccl_price(NcclPrice *out, const NcclConstants *c, const NcclCall *call) {
    if (call->ranks < 1 || call->nodes < 1 || call->nodes > call->ranks || call->bytes < 0)
        FAIL(ERR_USAGE, "%s of %lld bytes over %d ranks on %d nodes", collective_name(call->kind),
             (long long)call->bytes, call->ranks, call->nodes);
    *out = (NcclPrice){NCCL_RING, NCCL_LL, 1, 0, INT64_MAX, 0, 0, 0};
    if (call->ranks == 1) return OK;
    if (call->nodes > 1 && !c->across_channels)
        FAIL(ERR_USAGE,
             "%d ranks are on %d nodes, and the section `collectives` of the machine "
             "says nothing of channels across nodes",
             call->ranks, call->nodes);
    const Question q = ask(c, call);
    // As for NCCL itself, what it does not have for a collective is no choice there.
    NcclAlgorithm only = kind_has(call->kind, call->algorithm) ? call->algorithm : 0;
    TRY(find_fastest(out, &q, only, call->protocol));
    if (out->time_ps < 0)
        FAIL(ERR_USAGE,
             "%s over %d ranks on %d node%s: no %s%s%s here; leave --nccl-algo or --nccl-proto out",
             collective_name(call->kind), call->ranks, call->nodes, call->nodes == 1 ? "" : "s",
             only ? nccl_algorithm_name(only) : "algorithm", call->protocol ? " with " : "",
             call->protocol ? nccl_protocol_name(call->protocol) : "");
    TRY(add_ramp(out, c, call));
    out->channels = channels_of(&q, out->algorithm, out->protocol);
    set_weights(out, &q);
    return OK;
}

static bool same_call(const NcclCall *a, const NcclCall *b) {
    return a->bytes == b->bytes && a->kind == b->kind && a->ranks == b->ranks &&
           a->nodes == b->nodes && a->algorithm == b->algorithm && a->protocol == b->protocol;
}

Status nccl_price_again(NcclPrice *out, NcclMemo *m, const NcclConstants *c, const NcclCall *call) {
    uint64_t words = (uint64_t)call->bytes + 31 * (uint64_t)call->ranks + 7 * (uint64_t)call->kind;
    int at = (int)(words * UINT64_C(0x9e3779b97f4a7c15) >> 58);  // one of NCCL_KNOWN
    if (!same_call(&m->calls[at], call)) {
        TRY(nccl_price(out, c, call));
        m->calls[at] = *call;
        m->prices[at] = *out;
    }
    *out = m->prices[at];
    return OK;
}

Status nccl_price_message(NcclPrice *out, NcclMemo *m, const NcclConstants *c, int64_t bytes,
                          bool across) {
    // Of two ranks, each of which sends the other half of its input, half goes either way.
    const NcclCall call = {
        .kind = COLLECTIVE_ALL_TO_ALL, .bytes = bytes, .ranks = 2, .nodes = across ? 2 : 1};
    TRY(nccl_price_again(out, m, c, &call));
    out->bytes_per_s /= 2;
    int64_t ps = units_divide_up((__int128)bytes * PS_PER_S, out->bytes_per_s);
    if (ps > INT64_MAX - out->latency_ps)
        FAIL(ERR_FAILED, "a message of %lld bytes would take more than 106 days", (long long)bytes);
    out->time_ps = out->latency_ps + ps;
    out->port_weight = across ? 0 : NCCL_WEIGHT;
    out->rail_weight = across ? NCCL_WEIGHT : 0;
    return OK;
}

int64_t nccl_model_bus_factor(CollectiveKind kind, int32_t ranks) {
    if (ranks < 2) return NCCL_UNIT;
    if (is_reducing(kind)) return INT64_C(2) * NCCL_UNIT * (ranks - 1) / ranks;
    if (is_gathering(kind) || kind_has(kind, NCCL_P2P))
        return (int64_t)NCCL_UNIT * (ranks - 1) / ranks;
    return NCCL_UNIT;
}
