// SPDX-License-Identifier: MIT
// Progressive filling (sim/network.h), from settle() downwards: find_part() collects what is
// connected to a link that changed, fill() finds the rates, set_rate() moves the ends of flows.
#include "sim/network.h"

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/units.h"

#include <assert.h>
#include <stdlib.h>

enum { FLOW_BEGINS, FLOW_ENDS, FLOW_FORWARDS };

static Status handle(void *context, Event event);
static Status settle(void *context);

Status network_init(Network *n, Engine *e) {
    *n = (Network){.engine = e, .spare = -1};
    return engine_add_actor(e, &n->actor, n, handle, settle);
}

void network_finish(Network *n) {
    free(n->links);
    free(n->flows);
    free(n->changed);
    free(n->part_links);
    free(n->part_flows);
    *n = (Network){0};
}

Status network_add_link(Network *n, int32_t *link, int64_t bytes_per_s, int64_t latency_ps) {
    char rate[UNITS_TEXT], latency[UNITS_TEXT];
    if (bytes_per_s < 1 || latency_ps < 0 || latency_ps > INT64_MAX / PATH_LINKS)
        FAIL(ERR_USAGE, "a link of %s and %s: give at least 1 byte/s, and 0 ps to 26 days",
             units_print_bandwidth(rate, bytes_per_s), units_print_duration(latency, latency_ps));
    int need = n->link_count + 1;
    TRY(ARRAY_RESERVE(n->links, n->link_capacity, need));
    TRY(ARRAY_RESERVE(n->changed, n->changed_capacity, need + n->flow_count));
    TRY(ARRAY_RESERVE(n->part_links, n->part_link_capacity, need));
    n->links[n->link_count] =
        (Link){.bytes_per_s = bytes_per_s, .latency_ps = latency_ps, .first = -1};
    *link = n->link_count++;
    return OK;
}

// Unused flows are on no link.
static Status take_flow(Network *n, int32_t *flow) {
    if (n->spare >= 0) {
        *flow = n->spare;
        n->spare = n->flows[*flow].more;
    } else {
        int need = n->flow_count + 1;
        TRY(ARRAY_RESERVE(n->flows, n->flow_capacity, need));
        TRY(ARRAY_RESERVE(n->part_flows, n->part_flow_capacity, need));
        TRY(ARRAY_RESERVE(n->changed, n->changed_capacity, n->link_count + need));
        *flow = n->flow_count++;
        Flow *f = &n->flows[*flow];
        *f = (Flow){0};
        for (int h = 0; h < PATH_LINKS; h++) f->next[h] = f->previous[h] = -1;
    }
    n->flows[*flow].owner = *flow;
    n->flows[*flow].more = -1;
    return OK;
}

static void give_back(Network *n, int32_t flow) {
    for (int32_t part = flow, more; part >= 0; part = more) {
        more = n->flows[part].more;
        n->flows[part].more = n->spare;
        n->spare = part;
    }
}

int64_t network_latency(const Network *n, const Path *path) {
    int64_t ps = 0;
    for (int h = 0; h < path->hops; h++) ps += n->links[path->links[h]].latency_ps;
    return ps;
}

// A message comes to the next link of its path, which carries it after those that came before.
static Status enter_link(Network *n, int32_t flow) {
    Flow *f = &n->flows[flow];
    const Flow *part = f;
    int hop = f->hop++;
    for (; hop >= PATH_LINKS; hop -= PATH_LINKS) part = &n->flows[part->more];
    bool last = part->more < 0 && hop + 1 == part->path.hops;
    Link *l = &n->links[part->path.links[hop]];
    int64_t now = n->engine->now_ps, carried_ps = 0;
    TRY(network_carried_time(&carried_ps, f->left, l->bytes_per_s));
    if (l->sent_ps < now) l->sent_ps = now;
    if (carried_ps > INT64_MAX - l->latency_ps - l->sent_ps)
        FAIL(ERR_FAILED, "simulated time ends after 106 days: a message would come later");
    l->sent_ps += carried_ps;
    Event next = {.actor = n->actor, .kind = last ? FLOW_ENDS : FLOW_FORWARDS, .a = flow};
    return engine_push(n->engine, &f->event, l->sent_ps - now + l->latency_ps, next);
}

// Another part of a flow, with its first links of `uses`; how many it took.
static Status add_part(Network *n, int32_t *out, int32_t owner, const NetworkUse *uses, int count,
                       int *taken) {
    int32_t part;
    TRY(take_flow(n, &part));
    Flow *f = &n->flows[part];
    f->plain = f->kept = false;
    f->path.hops = count < PATH_LINKS ? count : PATH_LINKS;
    for (int h = 0; h < f->path.hops; h++) {
        assert(uses[h].weight > 0);
        f->path.links[h] = uses[h].link;
        f->weights[h] = uses[h].weight;
    }
    if (owner >= 0) f->owner = owner;
    *taken = f->path.hops;
    *out = part;
    return OK;
}

// The links of a path from `first` on, as parts of a flow besides its own.
static Status add_parts(Network *n, int32_t flow, const Path *path, int first) {
    int32_t last = flow;
    for (int taken; first < path->hops; first += taken) {
        NetworkUse uses[PATH_LINKS];
        int32_t part;
        int count = path->hops - first < PATH_LINKS ? path->hops - first : PATH_LINKS;
        for (int h = 0; h < count; h++)
            uses[h] = (NetworkUse){path->links[first + h], NETWORK_WEIGHT};
        TRY(add_part(n, &part, flow, uses, count, &taken));
        n->flows[last].more = part;
        last = part;
    }
    return OK;
}

// A flow without a message, for messages that go that way.
static Status lay(Network *n, int32_t *flow, const Path *path, Event done) {
    assert(path->hops >= 0 && path->hops <= PATH_MOST);
    TRY(take_flow(n, flow));
    if (path->hops > PATH_LINKS) TRY(add_parts(n, *flow, path, PATH_LINKS));
    Flow *f = &n->flows[*flow];
    f->done = done;
    f->latency_ps = network_latency(n, path);
    f->plain = path->hops <= PATH_LINKS;
    f->cap = INT64_MAX;
    f->path.hops = f->plain ? path->hops : PATH_LINKS;
    for (int h = 0; h < f->path.hops; h++) f->path.links[h] = path->links[h];
    for (int h = 0; h < PATH_LINKS; h++) f->weights[h] = NETWORK_WEIGHT;
    return OK;
}

static Status leave(Network *n, int32_t flow, int64_t bytes) {
    Flow *f = &n->flows[flow];
    assert(bytes >= 0);
    f->left = f->path.hops ? (Carried)bytes * PS_PER_S : 0;
    f->rate = 0;
    f->hop = 0;
    for (int32_t part = flow; part >= 0; part = n->flows[part].more)
        for (int h = 0; h < n->flows[part].path.hops; h++)
            n->links[n->flows[part].path.links[h]].carried_bytes += bytes;
    if (n->store_and_forward && f->left) return enter_link(n, flow);
    Event begins = {.actor = n->actor, .kind = f->left ? FLOW_BEGINS : FLOW_ENDS, .a = flow};
    return engine_push(n->engine, &f->event, f->latency_ps, begins);
}

Status network_start(Network *n, const Path *path, int64_t bytes, Event done) {
    int32_t flow;
    TRY(lay(n, &flow, path, done));
    n->flows[flow].kept = false;
    return leave(n, flow, bytes);
}

Status network_open(Network *n, int32_t *channel, const Path *path, Event done) {
    TRY(lay(n, channel, path, done));
    n->flows[*channel].kept = true;
    return OK;
}

Status network_send(Network *n, int32_t channel, int64_t bytes) { return leave(n, channel, bytes); }

void network_close(Network *n, int32_t channel) { give_back(n, channel); }

Status network_start_wide(Network *n, const NetworkUse *uses, int count, int64_t bytes, int64_t cap,
                          int64_t latency_ps, Event done) {
    assert(bytes >= 0 && count >= 0 && cap > 0 && latency_ps >= 0 && !n->store_and_forward);
    int32_t flow = -1;
    for (int i = 0, last = -1, taken; i < count || flow < 0; i += taken) {
        int32_t part;
        TRY(add_part(n, &part, flow, count ? &uses[i] : NULL, count - i, &taken));
        if (flow < 0)
            flow = part;
        else
            n->flows[last].more = part;
        last = part;
    }
    Flow *f = &n->flows[flow];
    f->left = (Carried)bytes * PS_PER_S;
    f->rate = 0;
    f->cap = cap;
    f->done = done;
    int64_t carried_ps = 0;
    if (!count) TRY(network_carried_time(&carried_ps, f->left, cap));
    if (latency_ps > INT64_MAX - carried_ps) FAIL(ERR_FAILED, "simulated time ends after 106 days");
    bool flows = count && bytes;
    Event begins = {.actor = n->actor, .kind = flows ? FLOW_BEGINS : FLOW_ENDS, .a = flow};
    return engine_push(n->engine, &f->event, latency_ps + carried_ps, begins);
}

static void mark_changed(Network *n, int32_t link) {
    if (n->links[link].changed) return;
    n->links[link].changed = true;
    n->changed[n->changed_count++] = link;
    engine_settle(n->engine, n->actor);
}

static void occupy(Network *n, int32_t part) {
    Flow *f = &n->flows[part];
    for (int h = 0; h < f->path.hops; h++) {
        Link *l = &n->links[f->path.links[h]];
        int32_t here = part * PATH_LINKS + h;
        if (l->first >= 0) {
            n->flows[l->first / PATH_LINKS].previous[l->first % PATH_LINKS] = here;
            f->next[h] = l->first;
        }
        l->first = here;
        l->flows++;
        l->weight += f->plain ? NETWORK_WEIGHT : f->weights[h];
    }
}

static void take_off(Network *n, Flow *f, Link *l, int hop) {
    int32_t next = f->next[hop], previous = f->previous[hop];
    f->next[hop] = f->previous[hop] = -1;
    if (next >= 0) n->flows[next / PATH_LINKS].previous[next % PATH_LINKS] = previous;
    if (previous >= 0)
        n->flows[previous / PATH_LINKS].next[previous % PATH_LINKS] = next;
    else
        l->first = next;
}

static void vacate(Network *n, int32_t part) {
    Flow *f = &n->flows[part];
    for (int h = 0; h < f->path.hops; h++) {
        Link *l = &n->links[f->path.links[h]];
        l->weight -= f->plain ? NETWORK_WEIGHT : f->weights[h];
        if (--l->flows == 0) {
            l->first = -1;
            continue;
        }
        take_off(n, f, l, h);
        mark_changed(n, f->path.links[h]);
    }
}

static void begin_flow(Network *n, int32_t flow) {
    Flow *f = &n->flows[flow];
    f->since_ps = n->engine->now_ps;
    f->event = 0;
    for (int32_t part = flow; part >= 0; part = n->flows[part].more) occupy(n, part);
    n->changed[n->changed_count++] = -1 - flow;
    engine_settle(n->engine, n->actor);
}

static void end_flow(Network *n, int32_t flow) {
    const Flow *f = &n->flows[flow];
    for (int32_t part = f->rate > 0 ? flow : -1; part >= 0; part = n->flows[part].more)
        vacate(n, part);
    if (!f->kept) give_back(n, flow);
    n->messages++;
}

static Status handle(void *context, Event event) {
    Network *n = context;
    if (event.kind == FLOW_FORWARDS) return enter_link(n, event.a);
    if (event.kind == FLOW_BEGINS) {
        begin_flow(n, event.a);
        return OK;
    }
    Event done = n->flows[event.a].done;
    end_flow(n, event.a);
    return engine_deliver(n->engine, done);
}

Status network_carried_time(int64_t *ps, Carried left, int64_t bytes_per_s) {
    if (left <= INT64_MAX) {  // in half as many digits
        uint64_t small = (uint64_t)left, rate = (uint64_t)bytes_per_s;
        *ps = (int64_t)((small + rate - 1) / rate);
        return OK;
    }
    Carried time = (left + (Carried)bytes_per_s - 1) / (Carried)bytes_per_s;
    if (time > INT64_MAX)
        FAIL(ERR_FAILED,
             "simulated time ends after 106 days: %lld bytes would take longer at %lld bytes/s",
             (long long)(left / PS_PER_S), (long long)bytes_per_s);
    *ps = (int64_t)time;
    return OK;
}

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
    *rate = whole->plain ? INT64_MAX : whole->cap;
    if (whole->plain) {
        for (int h = 0; h < whole->path.hops; h++) {
            const Link *l = &n->links[whole->path.links[h]];
            if (l->flows > 1) return false;
            if (l->bytes_per_s < *rate) *rate = l->bytes_per_s;
        }
        return true;
    }
    for (int32_t part = flow; part >= 0; part = n->flows[part].more) {
        const Flow *f = &n->flows[part];
        for (int h = 0; h < f->path.hops; h++) {
            const Link *l = &n->links[f->path.links[h]];
            if (l->flows > 1) return false;
            int64_t share = f->weights[h] == NETWORK_WEIGHT
                                ? l->bytes_per_s
                                : share_of(l->bytes_per_s, f->weights[h]);
            if (share < *rate) *rate = share;
        }
    }
    return *rate > 0;
}

static void visit_link(Network *n, int32_t link) {
    Link *l = &n->links[link];
    if (l->visited) return;
    l->visited = true;
    l->free = l->bytes_per_s;
    l->unfrozen = l->weight;
    n->part_links[n->part_link_count++] = link;
}

static void visit_flow(Network *n, int32_t flow) {
    if (n->flows[flow].visited) return;
    n->flows[flow].visited = true;
    n->flows[flow].share = 0;
    n->part_flows[n->part_flow_count++] = flow;
    for (int32_t part = flow; part >= 0; part = n->flows[part].more)
        for (int h = 0; h < n->flows[part].path.hops; h++)
            visit_link(n, n->flows[part].path.links[h]);
}

// All links and flows that are connected with a link.
static void find_part(Network *n, int32_t link) {
    n->part_link_count = n->part_flow_count = 0;
    visit_link(n, link);
    for (int i = 0; i < n->part_link_count; i++) {
        int32_t at = n->links[n->part_links[i]].first;
        for (; at >= 0; at = n->flows[at / PATH_LINKS].next[at % PATH_LINKS])
            visit_flow(n, n->flows[at / PATH_LINKS].owner);
    }
}

static void freeze(Network *n, int32_t flow, int64_t level) {
    if (n->flows[flow].share) return;
    n->flows[flow].share = level;
    for (int32_t part = flow; part >= 0; part = n->flows[part].more) {
        const Flow *f = &n->flows[part];
        for (int h = 0; h < f->path.hops; h++) {
            Link *l = &n->links[f->path.links[h]];
            l->free -= weigh(level, f->weights[h]);
            l->unfrozen -= f->weights[h];
        }
    }
}

static void freeze_flows(Network *n, const Link *full, int64_t level) {
    int32_t at = full->first;
    for (; at >= 0; at = n->flows[at / PATH_LINKS].next[at % PATH_LINKS])
        freeze(n, n->flows[at / PATH_LINKS].owner, level);
}

static Status check_links(const Network *n) {
    for (int i = 0; i < n->part_link_count; i++) {
        const Link *l = &n->links[n->part_links[i]];
        if (share_of(l->bytes_per_s, l->weight) < 1)
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
        const Flow *f = &n->flows[n->part_flows[i]];
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
    for (int i = 0; i < n->part_flow_count; i++)
        if (n->flows[n->part_flows[i]].cap < least_cap) least_cap = n->flows[n->part_flows[i]].cap;
    for (int open = n->part_link_count; open > 0;) {
        int still_open = 0;
        int64_t level = least_cap;
        for (int i = 0; i < open; i++) {
            Link *l = &n->links[links[i]];
            if (l->unfrozen == 0) continue;
            l->share = share_of(l->free, l->unfrozen);
            if (l->share < level) level = l->share;
            links[still_open++] = links[i];
        }
        open = still_open;
        for (int i = 0; i < open; i++)
            if (n->links[links[i]].share == level) freeze_flows(n, &n->links[links[i]], level);
        if (least_cap < INT64_MAX) least_cap = freeze_capped(n, level);
    }
    return OK;
}

static Status solve(Network *n, int32_t link) {
    find_part(n, link);
    for (int i = 0; i < n->part_link_count; i++)
        n->links[n->part_links[i]].visited = n->links[n->part_links[i]].changed = false;
    TRY(fill(n));
    for (int i = 0; i < n->part_flow_count; i++) {
        Flow *f = &n->flows[n->part_flows[i]];
        f->visited = false;
        TRY(set_rate(n, n->part_flows[i], f->share));
    }
    return OK;
}

// All links of a flow that is alone are settled by its rate.
static void settle_links(Network *n, int32_t flow) {
    for (int32_t part = flow; part >= 0; part = n->flows[part].more)
        for (int h = 0; h < n->flows[part].path.hops; h++)
            n->links[n->flows[part].path.links[h]].changed = false;
}

static Status settle_link(Network *n, int32_t link) {
    int64_t rate;
    if (!n->links[link].changed) return OK;  // settled together with one before
    n->links[link].changed = false;
    if (n->links[link].flows == 0) return OK;
    int32_t flow = n->flows[n->links[link].first / PATH_LINKS].owner;
    if (!is_alone(n, flow, &rate)) return solve(n, link);
    settle_links(n, flow);
    return set_rate(n, flow, rate);
}

static Status settle_flow(Network *n, int32_t flow) {
    int64_t rate;
    if (n->flows[flow].rate) return OK;  // settled together with one before
    if (!is_alone(n, flow, &rate)) return solve(n, n->flows[flow].path.links[0]);
    return set_rate(n, flow, rate);
}

static Status settle(void *context) {
    Network *n = context;
    for (int i = 0; i < n->changed_count; i++) {
        int32_t what = n->changed[i];
        TRY(what < 0 ? settle_flow(n, -1 - what) : settle_link(n, what));
    }
    n->changed_count = 0;
    return OK;
}
