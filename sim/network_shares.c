// SPDX-License-Identifier: MIT
// Progressive filling (sim/network.h), from network_settle() downwards: find_part() collects what
// is connected to a link that changed, fill() finds the rates, set_rate() moves the ends of flows.
#include "sim/network_internal.h"

// From now on the flow has another rate: what it has carried so far, and when it will end.
static Status set_rate(Network *n, int32_t flow, int64_t rate) {
    Flow *f = &n->flows[flow];
    if (f->rate == rate) return OK;
    f->left -= (Carried)f->rate * (Carried)(n->engine->now_ps - f->since_ps);
    f->since_ps = n->engine->now_ps;
    f->rate = rate;
    int64_t delay_ps = 0;
    TRY(network_carried_time(&delay_ps, f->left, rate));
    if (f->event) return engine_move(n->engine, f->event, delay_ps);
    Event ends = {.actor = n->actor, .kind = FLOW_ENDS, .a = flow};
    return engine_push(n->engine, &f->event, delay_ps, ends);
}

// What of a flow's bytes a link carries.
static int64_t weigh(int64_t rate, int32_t weight) {
    return weight == NETWORK_WEIGHT ? rate : (int64_t)((__int128)rate * weight / NETWORK_WEIGHT);
}

// The rate of flows of that weight together, whose parts fill the link.
static int64_t share_of(int64_t bytes_per_s, int64_t weight) {
    return bytes_per_s <= INT64_MAX / NETWORK_WEIGHT ? bytes_per_s * NETWORK_WEIGHT / weight
                                                     : bytes_per_s / weight * NETWORK_WEIGHT;
}

// Is this the only flow on every link that it takes? It is then as fast as the slowest of them, or
// as its cap.
static bool is_alone(const Network *n, int32_t flow, int64_t *rate) {
    const Flow *whole = &n->flows[flow];
    *rate = whole->plain ? INT64_MAX : n->flow_sharing[flow].cap;
    if (whole->plain) {
        for (int h = 0; h < whole->hops; h++) {
            const Link *l = &n->links[whole->links[h]];
            if (l->flows > 1) return false;
            if (l->bytes_per_s < *rate) *rate = l->bytes_per_s;
        }
        return true;
    }
    for (int32_t part = flow; part >= 0; part = n->flows[part].more) {
        const int32_t *weights = n->flow_sharing[part].weights;
        for (int h = 0; h < n->flows[part].hops; h++) {
            const Link *l = &n->links[n->flows[part].links[h]];
            if (l->flows > 1) return false;
            int64_t share = weights[h] == NETWORK_WEIGHT ? l->bytes_per_s
                                                         : share_of(l->bytes_per_s, weights[h]);
            if (share < *rate) *rate = share;
        }
    }
    return *rate > 0;
}

static void visit_link(Network *n, int32_t link) {
    LinkSharing *l = &n->link_sharing[link];
    if (l->visited) return;
    l->visited = true;
    l->free = n->links[link].bytes_per_s;
    l->unfrozen = 0;
    n->part_links[n->part_link_count++] = link;
}

static void visit_flow(Network *n, int32_t flow) {
    FlowSharing *f = &n->flow_sharing[flow];
    if (f->visited) return;
    f->visited = true;
    f->share = 0;
    n->part_flows[n->part_flow_count++] = flow;
    for (int32_t part = flow; part >= 0; part = n->flows[part].more)
        for (int h = 0; h < n->flows[part].hops; h++) visit_link(n, n->flows[part].links[h]);
}

// All links and flows that are connected with a link.
static void find_part(Network *n, int32_t link) {
    n->part_link_count = n->part_flow_count = 0;
    visit_link(n, link);
    for (int i = 0; i < n->part_link_count; i++) {
        int64_t *unfrozen = &n->link_sharing[n->part_links[i]].unfrozen;
        int32_t at = n->links[n->part_links[i]].first;
        for (; at >= 0; at = network_next(n, at)) {
            *unfrozen += n->flow_sharing[at / PATH_LINKS].weights[at % PATH_LINKS];
            visit_flow(n, n->flows[at / PATH_LINKS].owner);
        }
    }
}

static void freeze(Network *n, int32_t flow, int64_t level) {
    if (n->flow_sharing[flow].share) return;
    n->flow_sharing[flow].share = level;
    for (int32_t part = flow; part >= 0; part = n->flows[part].more) {
        const int32_t *weights = n->flow_sharing[part].weights;
        for (int h = 0; h < n->flows[part].hops; h++) {
            LinkSharing *l = &n->link_sharing[n->flows[part].links[h]];
            l->free -= weigh(level, weights[h]);
            l->unfrozen -= weights[h];
        }
    }
}

static void freeze_flows(Network *n, int32_t full, int64_t level) {
    for (int32_t at = n->links[full].first; at >= 0; at = network_next(n, at))
        freeze(n, n->flows[at / PATH_LINKS].owner, level);
}

static Status check_links(const Network *n) {
    for (int i = 0; i < n->part_link_count; i++) {
        const Link *l = &n->links[n->part_links[i]];
        if (share_of(l->bytes_per_s, n->link_sharing[n->part_links[i]].unfrozen) < 1)
            FAIL(ERR_USAGE,
                 "a link of %lld bytes/s carries %d messages at once: less than 1 byte/s "
                 "each; give it more",
                 (long long)l->bytes_per_s, l->flows);
    }
    return OK;
}

// Flows whose cap is this level stay there; the least cap of those that rise on.
static int64_t freeze_capped(Network *n, int64_t level) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < n->part_flow_count; i++) {
        const FlowSharing *f = &n->flow_sharing[n->part_flows[i]];
        if (f->cap <= level) freeze(n, n->part_flows[i], level);
        if (!f->share && f->cap < least) least = f->cap;
    }
    return least;
}

// Raise the rates of all flows of the part together; whenever a link is full, or a flow at its cap,
// flows stay there. A share is at least 1: a link whose flows were fewer than its bytes/s keeps
// that property, because nobody froze above the share that it had to offer.
static Status fill(Network *n) {
    int32_t *links = n->part_links;
    int64_t least_cap = INT64_MAX;  // of flows that may not be frozen yet
    TRY(check_links(n));
    for (int i = 0; i < n->part_flow_count; i++) {
        int64_t cap = n->flow_sharing[n->part_flows[i]].cap;
        if (cap < least_cap) least_cap = cap;
    }
    for (int open = n->part_link_count; open > 0;) {
        int still_open = 0;
        int64_t level = least_cap;
        for (int i = 0; i < open; i++) {
            LinkSharing *l = &n->link_sharing[links[i]];
            if (l->unfrozen == 0) continue;
            l->share = share_of(l->free, l->unfrozen);
            if (l->share < level) level = l->share;
            links[still_open++] = links[i];
        }
        open = still_open;
        for (int i = 0; i < open; i++)
            if (n->link_sharing[links[i]].share == level) freeze_flows(n, links[i], level);
        if (least_cap < INT64_MAX) least_cap = freeze_capped(n, level);
    }
    return OK;
}

static Status solve(Network *n, int32_t link) {
    find_part(n, link);
    for (int i = 0; i < n->part_link_count; i++) {
        LinkSharing *l = &n->link_sharing[n->part_links[i]];
        l->visited = l->changed = false;
    }
    TRY(fill(n));
    for (int i = 0; i < n->part_flow_count; i++) {
        FlowSharing *f = &n->flow_sharing[n->part_flows[i]];
        f->visited = false;
        TRY(set_rate(n, n->part_flows[i], f->share));
    }
    return OK;
}

// All links of a flow that is alone are settled by its rate.
static void settle_links(Network *n, int32_t flow) {
    for (int32_t part = flow; part >= 0; part = n->flows[part].more)
        for (int h = 0; h < n->flows[part].hops; h++)
            n->link_sharing[n->flows[part].links[h]].changed = false;
}

static Status settle_link(Network *n, int32_t link) {
    int64_t rate;
    if (!n->link_sharing[link].changed) return OK;  // settled together with one before
    n->link_sharing[link].changed = false;
    if (n->links[link].flows == 0) return OK;
    int32_t flow = n->flows[n->links[link].first / PATH_LINKS].owner;
    if (!is_alone(n, flow, &rate)) return solve(n, link);
    settle_links(n, flow);
    return set_rate(n, flow, rate);
}

static Status settle_flow(Network *n, int32_t flow, bool alone) {
    int64_t rate = -n->flows[flow].rate;
    if (rate < 0) return OK;  // settled together with one before
    if (!alone && !is_alone(n, flow, &rate)) return solve(n, n->flows[flow].links[0]);
    return set_rate(n, flow, rate);
}

// A part of a flow comes on its links. Are they all empty? *rate: what each could carry, if less.
static bool occupy(Network *n, int32_t part, int64_t *rate) {
    const Flow *f = &n->flows[part];
    bool empty = true;
    for (int h = 0; h < f->hops; h++) {
        Link *l = &n->links[f->links[h]];
        int32_t here = part * PATH_LINKS + h, next = l->first;
        l->first = here;
        l->flows++;
        if (l->bytes_per_s < *rate) *rate = l->bytes_per_s;
        if (next < 0) continue;
        empty = false;
        n->flow_sharing[next / PATH_LINKS].previous[next % PATH_LINKS] = here;
        n->flow_sharing[part].next[h] = next;
    }
    return empty;
}

// A flow comes on its links. Is it plain, and alone until now?
static bool begin_flow(Network *n, int32_t flow) {
    Flow *f = &n->flows[flow];
    int64_t rate = INT64_MAX;
    f->since_ps = n->engine->now_ps;
    f->event = 0;
    bool alone = occupy(n, flow, &rate);
    f->rate = -rate;  // what it gets if it is alone
    if (f->plain) return alone;
    for (int32_t part = f->more; part >= 0; part = n->flows[part].more) occupy(n, part, &rate);
    return false;
}

enum { AHEAD = 8 };  // entries: a flow is fetched while those before it begin

// All flows that have begun in this instant. Has none of them met another?
static bool begin_flows(Network *n) {
    bool alone = true;
    for (int i = 0; i < n->changed_count; i++) {
        if (i + AHEAD < n->changed_count && n->changed[i + AHEAD] < 0)
            __builtin_prefetch(&n->flows[-1 - n->changed[i + AHEAD]]);
        if (n->changed[i] < 0) alone &= begin_flow(n, -1 - n->changed[i]);
    }
    return alone;
}

Status network_settle(void *context) {
    Network *n = context;
    bool alone = begin_flows(n);
    for (int i = 0; i < n->changed_count; i++) {
        int32_t what = n->changed[i];
        TRY(what < 0 ? settle_flow(n, -1 - what, alone) : settle_link(n, what));
    }
    n->changed_count = 0;
    return OK;
}
