// SPDX-License-Identifier: MIT
// Messages that come and go: leave() and handle() first. Their rates are in sim/network_shares.c.
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/units.h"
#include "sim/network_internal.h"

#include <assert.h>
#include <stdlib.h>

static Status handle(void *context, Event event);

Status network_init(Network *n, Engine *e) {
    *n = (Network){.engine = e, .spare = -1};
    return engine_add_actor(e, &n->actor, n, handle, network_settle);
}

void network_finish(Network *n) {
    free(n->links);
    free(n->flows);
    free(n->link_sharing);
    free(n->flow_sharing);
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
    TRY(ARRAY_RESERVE(n->link_sharing, n->link_sharing_capacity, need));
    TRY(ARRAY_RESERVE(n->changed, n->changed_capacity, need + n->flow_count));
    TRY(ARRAY_RESERVE(n->part_links, n->part_link_capacity, need));
    n->links[n->link_count] =
        (Link){.bytes_per_s = bytes_per_s, .latency_ps = latency_ps, .first = -1};
    n->link_sharing[n->link_count] = (LinkSharing){0};
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
        TRY(ARRAY_RESERVE(n->flow_sharing, n->flow_sharing_capacity, need));
        TRY(ARRAY_RESERVE(n->part_flows, n->part_flow_capacity, need));
        TRY(ARRAY_RESERVE(n->changed, n->changed_capacity, n->link_count + need));
        *flow = n->flow_count++;
        FlowSharing *f = &n->flow_sharing[*flow];
        *f = (FlowSharing){0};
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
    bool last = part->more < 0 && hop + 1 == part->hops;
    const Link *l = &n->links[part->links[hop]];
    LinkSharing *sharing = &n->link_sharing[part->links[hop]];
    int64_t now = n->engine->now_ps, carried_ps = 0;
    TRY(network_carried_time(&carried_ps, f->left, l->bytes_per_s));
    if (sharing->sent_ps < now) sharing->sent_ps = now;
    if (carried_ps > INT64_MAX - l->latency_ps - sharing->sent_ps)
        FAIL(ERR_FAILED, "simulated time ends after 106 days: a message would come later");
    sharing->sent_ps += carried_ps;
    Event next = {.actor = n->actor, .kind = last ? FLOW_ENDS : FLOW_FORWARDS, .a = flow};
    return engine_push(n->engine, &f->event, sharing->sent_ps - now + l->latency_ps, next);
}

// Another part of a flow, with its first links of `uses`; how many it took.
static Status add_part(Network *n, int32_t *out, int32_t owner, const NetworkUse *uses, int count,
                       int *taken) {
    int32_t part;
    TRY(take_flow(n, &part));
    Flow *f = &n->flows[part];
    f->plain = f->kept = false;
    f->hops = (int8_t)(count < PATH_LINKS ? count : PATH_LINKS);
    for (int h = 0; h < f->hops; h++) {
        assert(uses[h].weight > 0);
        f->links[h] = uses[h].link;
        n->flow_sharing[part].weights[h] = uses[h].weight;
    }
    if (owner >= 0) f->owner = owner;
    *taken = f->hops;
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
    f->plain = path->hops <= PATH_LINKS;
    f->hops = (int8_t)(f->plain ? path->hops : PATH_LINKS);
    n->flow_sharing[*flow].cap = INT64_MAX;
    for (int h = 0; h < f->hops; h++) {
        f->links[h] = path->links[h];
        n->flow_sharing[*flow].weights[h] = NETWORK_WEIGHT;
    }
    return OK;
}

static Status leave(Network *n, int32_t flow, int64_t bytes) {
    Flow *f = &n->flows[flow];
    int64_t latency_ps = 0;
    assert(bytes >= 0);
    f->left = f->hops ? (Carried)bytes * PS_PER_S : 0;
    f->rate = 0;
    f->hop = 0;
    for (const Flow *part = f;; part = &n->flows[part->more]) {
        for (int h = 0; h < part->hops; h++) {
            Link *l = &n->links[part->links[h]];
            l->carried_bytes += bytes;
            latency_ps += l->latency_ps;
        }
        if (part->more < 0) break;
    }
    if (n->store_and_forward && f->left) return enter_link(n, flow);
    Event begins = {.actor = n->actor, .kind = f->left ? FLOW_BEGINS : FLOW_ENDS, .a = flow};
    return engine_push(n->engine, &f->event, latency_ps, begins);
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
    n->flow_sharing[flow].cap = cap;
    f->done = done;
    int64_t carried_ps = 0;
    if (!count) TRY(network_carried_time(&carried_ps, f->left, cap));
    if (latency_ps > INT64_MAX - carried_ps) FAIL(ERR_FAILED, "simulated time ends after 106 days");
    bool flows = count && bytes;
    Event begins = {.actor = n->actor, .kind = flows ? FLOW_BEGINS : FLOW_ENDS, .a = flow};
    return engine_push(n->engine, &f->event, latency_ps + carried_ps, begins);
}

static void mark_changed(Network *n, int32_t link) {
    if (n->link_sharing[link].changed) return;
    n->link_sharing[link].changed = true;
    n->changed[n->changed_count++] = link;
    engine_settle(n->engine, n->actor);
}

static void leave_link(Network *n, int32_t part, int hop, Link *l) {
    FlowSharing *f = &n->flow_sharing[part];
    int32_t next = f->next[hop], previous = f->previous[hop];
    f->next[hop] = f->previous[hop] = -1;
    if (next >= 0) n->flow_sharing[next / PATH_LINKS].previous[next % PATH_LINKS] = previous;
    if (previous >= 0)
        n->flow_sharing[previous / PATH_LINKS].next[previous % PATH_LINKS] = next;
    else
        l->first = next;
}

static void vacate(Network *n, int32_t part) {
    const Flow *f = &n->flows[part];
    for (int h = 0; h < f->hops; h++) {
        Link *l = &n->links[f->links[h]];
        if (--l->flows == 0) {
            l->first = -1;
            continue;
        }
        leave_link(n, part, h, l);
        mark_changed(n, f->links[h]);
    }
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
        n->changed[n->changed_count++] = -1 - event.a;
        engine_settle(n->engine, n->actor);
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
