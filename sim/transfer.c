// SPDX-License-Identifier: MIT
// A member's walk through the rounds of a schedule is go_on(); events only bring it back there.
#include "sim/transfer.h"

#include "core/base/array.h"
#include "core/base/units.h"
#include "sim/transfer_direct.h"

#include <assert.h>
#include <stdlib.h>

enum { MEMBER_ARRIVES, MESSAGE_ARRIVES, MEMBER_HAS_ADDED, MEMBER_ENDS };

static Status handle(void *context, Event event);

Status transfers_init(Transfers *t, Engine *e, Network *n, const Topology *topology) {
    *t = (Transfers){.engine = e, .network = n, .topology = topology, .spare = -1};
    return engine_add_actor(e, &t->actor, t, handle, NULL);
}

void transfers_finish(Transfers *t) {
    for (int i = 0; i < t->count; i++) free(t->items[i].members);
    free(t->items);
    free(t->delay_ps);
    *t = (Transfers){0};
}

static Status validate(const Transfers *t, const TransferCall *call) {
    const Collective *c = &call->what;
    TRY(collective_validate(c));
    int devices = topology_devices(t->topology);
    for (int i = 0; i < c->ranks; i++) {
        int device = call->devices ? call->devices[i] : i;
        if (device < 0 || device >= devices)
            FAIL(ERR_USAGE, "%s: member %d is on device %d of %d", collective_name(c->kind), i,
                 device, devices);
    }
    if (call->element_bytes < 1 || c->elements > INT64_MAX / call->element_bytes / c->ranks)
        FAIL(ERR_USAGE, "%s of %lld elements of %lld bytes over %d ranks", collective_name(c->kind),
             (long long)c->elements, (long long)call->element_bytes, c->ranks);
    return OK;
}

Status transfer_begin(Transfers *t, int32_t *id, const TransferCall *call) {
    TRY(validate(t, call));
    int32_t i = t->spare >= 0 ? t->spare : t->count;
    if (i == t->count) {
        TRY(ARRAY_RESERVE(t->items, t->capacity, i + 1));
        t->items[i] = (Transfer){.spare = -1};
        t->count++;
    }
    Transfer *x = &t->items[i];
    TRY(ARRAY_RESERVE(x->members, x->member_capacity, call->what.ranks));
    t->spare = x->spare;
    x->call = *call;
    x->sizes = collective_sizes(&call->what);
    x->rounds = collective_rounds(&call->what);
    x->left = call->what.ranks;
    x->by_formula = transfer_direct_applies(call, t->topology, t->network);
    x->arrived = 0;
    for (int m = 0; m < x->left; m++)
        x->members[m] = (TransferMember){
            .round = -1, .steps = -1, .first_waiter = -1, .next_waiter = -1, .channel = -1};
    *id = i;
    return OK;
}

static int64_t chunk_bytes(const Transfer *x, int64_t chunk) {
    return collective_size(&x->sizes, chunk) * x->call.element_bytes;
}

// A step whose source is another member is kept, until the next of that kind.
static void look_at(const Transfer *x, TransferMember *m, const CollectiveStep *s, int member) {
    if (s->action == STEP_REDUCE && x->call.add_bytes_per_s)
        m->added_bytes += chunk_bytes(x, s->chunk);
    if (s->source == member) return;
    m->source = s->source;
    m->chunk = s->chunk;
    m->messages++;
}

// Have the sources of the member's round ended the rounds before? If not it waits for one of them.
static bool sources_ready(Transfer *x, int member) {
    TransferMember *m = &x->members[member];
    const Collective *c = &x->call.what;
    CollectiveStep s;
    bool first = m->steps < 0;
    if (first) m->steps = collective_first_step(c, m->round, member, &s);
    for (; m->next_step < m->steps; m->next_step++) {
        if (!m->waits) {
            if (!first) s = collective_step(c, m->round, member, m->next_step);
            first = false;
            look_at(x, m, &s, member);
            if (s.source == member) continue;
        }
        m->waits = x->members[m->source].round < m->round;
        if (!m->waits) continue;
        m->next_waiter = x->members[m->source].first_waiter;
        x->members[m->source].first_waiter = member;
        return false;
    }
    return true;
}

static Path path_from(const Transfers *t, const TransferCall *call, int source, int member) {
    const int32_t *devices = call->devices;
    return topology_path(t->topology, devices ? devices[source] : source,
                         devices ? devices[member] : member);
}

static Event arrives(const Transfers *t, int32_t id, int member) {
    return (Event){t->actor, MESSAGE_ARRIVES, id, member};
}

// Messages without bytes share no link: of all that the member expects, only the last is an event.
static Status start_empty(Transfers *t, int32_t id, int member, int count, int64_t latency_ps) {
    t->network->messages += count;
    return engine_push(t->engine, NULL, latency_ps, arrives(t, id, member));
}

// A round with one message, from the step looked up last. Its source is likely to be the same in
// the next round.
static Status start_message(Transfers *t, int32_t id, int member) {
    Transfer *x = &t->items[id];
    TransferMember *m = &x->members[member];
    int64_t bytes = chunk_bytes(x, m->chunk);
    if (m->channel < 0 || m->channel_source != m->source) {
        const Path path = path_from(t, &x->call, m->source, member);
        if (bytes == 0) return start_empty(t, id, member, 1, network_latency(t->network, &path));
        if (m->channel >= 0) network_close(t->network, m->channel);
        m->channel = -1;
        TRY(network_open(t->network, &m->channel, &path, arrives(t, id, member)));
        m->channel_source = m->source;
    }
    return network_send(t->network, m->channel, bytes);
}

static Status start_messages(Transfers *t, int32_t id, int member) {
    const Transfer *x = &t->items[id];
    TransferMember *m = &x->members[member];
    int empty = 0;
    int64_t empty_ps = 0;
    for (int i = 0; i < m->steps; i++) {
        CollectiveStep s = collective_step(&x->call.what, m->round, member, i);
        if (s.source == member) continue;
        int64_t bytes = chunk_bytes(x, s.chunk);
        const Path path = path_from(t, &x->call, s.source, member);
        if (bytes == 0) {
            int64_t latency_ps = network_latency(t->network, &path);
            if (latency_ps > empty_ps) empty_ps = latency_ps;
            empty++;
        } else
            TRY(network_start(t->network, &path, bytes, arrives(t, id, member)));
    }
    if (!empty) return OK;
    m->messages -= empty - 1;
    return start_empty(t, id, member, empty, empty_ps);
}

static Status end_member(Transfers *t, int32_t id, int member) {
    Event done = t->items[id].call.done;
    int32_t channel = t->items[id].members[member].channel;
    done.b = member;
    if (channel >= 0) network_close(t->network, channel);
    TRY(engine_deliver(t->engine, done));
    Transfer *x = &t->items[id];
    if (--x->left > 0) return OK;
    x->spare = t->spare;
    t->spare = id;
    return OK;
}

static Status go_on(Transfers *t, int32_t id, int member);

// Those that waited for this member look again. They go no further than to wait or to start a round
// with at least its message, so this goes no deeper.
static Status wake_waiters(Transfers *t, int32_t id, int member) {
    int32_t waiter = t->items[id].members[member].first_waiter;
    t->items[id].members[member].first_waiter = -1;
    while (waiter >= 0) {
        int32_t next = t->items[id].members[waiter].next_waiter;
        TRY(go_on(t, id, waiter));
        waiter = next;
    }
    return OK;
}

static Status end_round(Transfers *t, int32_t id, int member) {
    TransferMember *m = &t->items[id].members[member];
    m->round++;
    m->steps = -1;
    m->next_step = 0;
    m->added_bytes = 0;
    return wake_waiters(t, id, member);
}

// All messages of the round are there. *ended: nothing remains to be added.
static Status add_up(Transfers *t, int32_t id, int member, bool *ended) {
    const Transfer *x = &t->items[id];
    int64_t bytes = x->members[member].added_bytes, rate = x->call.add_bytes_per_s;
    *ended = bytes == 0 || rate == 0;
    if (*ended) return end_round(t, id, member);
    int64_t delay_ps = 0;
    TRY(network_carried_time(&delay_ps, (Carried)bytes * PS_PER_S, rate));
    return engine_push(t->engine, NULL, delay_ps, (Event){t->actor, MEMBER_HAS_ADDED, id, member});
}

// As far as the member gets without time passing.
static Status go_on(Transfers *t, int32_t id, int member) {
    bool ended = true;
    while (ended) {
        Transfer *x = &t->items[id];
        if (x->members[member].round == x->rounds) return end_member(t, id, member);
        if (!sources_ready(x, member)) return OK;
        int messages = x->members[member].messages;
        if (messages)
            return messages == 1 ? start_message(t, id, member) : start_messages(t, id, member);
        TRY(add_up(t, id, member, &ended));
    }
    return OK;
}

// A member of a collective that is priced by formula, in which all begin when the last has come.
static Status arrive_by_formula(Transfers *t, int32_t id) {
    Transfer *x = &t->items[id];
    int ranks = x->call.what.ranks;
    if (++x->arrived < ranks) return OK;
    TRY(ARRAY_RESERVE(t->delay_ps, t->delay_capacity, ranks));
    TRY(transfer_direct_ends(t->delay_ps, &x->call, t->topology, t->network));
    t->network->messages += transfer_direct_messages(&x->call);
    transfer_direct_carry(&x->call, t->topology, t->network);
    for (int m = 0; m < ranks; m++)
        TRY(engine_push(t->engine, NULL, t->delay_ps[m], (Event){t->actor, MEMBER_ENDS, id, m}));
    return OK;
}

static Status handle(void *context, Event event) {
    Transfers *t = context;
    int32_t id = event.a;
    int member = (int)event.b;
    TransferMember *m = &t->items[id].members[member];
    bool ended = true;
    switch (event.kind) {
    case MEMBER_ENDS: return end_member(t, id, member);
    case MEMBER_ARRIVES:
        if (t->items[id].by_formula) return arrive_by_formula(t, id);
        m->round = 0;
        TRY(wake_waiters(t, id, member));
        break;
    case MESSAGE_ARRIVES:
        if (--m->messages > 0) return OK;
        TRY(add_up(t, id, member, &ended));
        break;
    case MEMBER_HAS_ADDED: TRY(end_round(t, id, member)); break;
    }
    return ended ? go_on(t, id, member) : OK;
}

Status transfer_arrive(Transfers *t, int32_t id, int member, int64_t delay_ps) {
    return engine_push(t->engine, NULL, delay_ps, (Event){t->actor, MEMBER_ARRIVES, id, member});
}
