// SPDX-License-Identifier: MIT
// A collective's messages are listed by who receives them; all that is sent is received, so that
// the mean is the same. How its bytes divide among links is asked once for all of its kind in a
// group. Read sent_bytes_of_step().
#include "sim/sent_bytes.h"

#include "core/plan/group.h"
#include "parallel/strategy/collective_work.h"
#include "parallel/strategy/traffic.h"
#include "sim/levels.h"

#include <math.h>

// Communications of one kind and algorithm in one group of a class, of messages to a peer at that
// distance, and the share of their bytes that goes between nodes.
typedef struct {
    int class, group, kind, detail;  // detail: the algorithm, or the distance
    double between;
} Known;

// On how many nodes groups of that number are, of ranks of a class: `count` kinds of them.
enum { SPANS = 4 };
typedef struct {
    int class, group, count;
    int32_t nodes[SPANS], members[SPANS];  // members: of all groups that are on so many
    int32_t each[SPANS];                   // so many members on each node; 0: they differ
} Spans;

enum { MESSAGE = COLLECTIVE_COUNT };  // a kind beside those of collectives

enum { MESSAGES_MOST = 1 << 23 };  // of collectives, that are counted

typedef struct {
    const ProgramSet *set;
    const int *ranks;        // [class]
    const int16_t *classes;  // [rank]
    Known *known;
    const NcclPricing *pricing;  // without constants: message by message
    NcclMemo prices;
    Spans *spans;          // [span_count] of groups whose members were counted
    bool levels;           // those over nodes go in levels (sim/levels.h)
    int32_t *seen, seens;  // [node] the last group that met it, and with how many members
    int32_t *counts;
    int known_count, span_count, per_node, devices;
    int64_t messages;
} Counting;

static int node_of(const Counting *c, int rank) { return rank / c->per_node; }

// Elements that `rank` receives, by where they come from.
static void receive(Counting *c, const Program *p, int group, const Collective *what, int rank,
                    double elements[2]) {
    int place = group_position(p, group, rank);
    int64_t rounds = collective_rounds(what);
    for (int64_t round = 0; round < rounds; round++) {
        int steps = collective_steps(what, round, place);
        for (int i = 0; i < steps; i++) {
            CollectiveStep s = collective_step(what, round, place, i);
            if (s.source == s.destination) continue;
            int64_t begin, count;
            collective_chunk(what, s.chunk, &begin, &count);
            int from = group_member(p, group, rank, s.source);
            elements[node_of(c, from) != node_of(c, rank)] += (double)count;
        }
        c->messages += steps + 1;
    }
}

// Of the ranks of a class. NaN where there are too many messages.
static double count_between(Counting *c, int class, const Collective *what, int group) {
    const Program *p = &c->set->programs[class];
    double elements[2] = {0, 0};
    for (int r = 0; r < c->devices && c->messages < MESSAGES_MOST; r++)
        if (c->classes[r] == class) receive(c, p, group, what, r, elements);
    if (c->messages >= MESSAGES_MOST) return (double)NAN;
    double all = elements[0] + elements[1];
    return all > 0 ? elements[1] / all : 0;
}

// Where the share is kept; *found: it is known.
static Known *find_known(Counting *c, const Known *like, bool *found) {
    for (int i = 0; i < c->known_count; i++) {
        Known *k = &c->known[i];
        *found = k->class == like->class && k->group == like->group && k->kind == like->kind &&
                 k->detail == like->detail;
        if (*found) return k;
    }
    *found = false;
    c->known[c->known_count] = *like;
    return &c->known[c->known_count++];
}

static double share_between(Counting *c, int class, const Work *w) {
    Collective what = collective_work_collective(&c->set->programs[class], w);
    bool found;
    Known *k =
        find_known(c, &(Known){class, w->group, (int)what.kind, (int)what.algorithm, 0}, &found);
    if (!found && c->devices > c->per_node) k->between = count_between(c, class, &what, w->group);
    return k->between;
}

// Of what every rank of the class sends to the peer that its place says.
static double sends_between(Counting *c, int class, const Work *w) {
    const Program *p = &c->set->programs[class];
    bool found;
    Known *k = find_known(c, &(Known){class, w->group, MESSAGE, w->peer, 0}, &found);
    if (found || c->devices <= c->per_node) return k->between;
    int64_t away = 0;
    for (int r = 0; r < c->devices; r++)
        if (c->classes[r] == class)
            away += node_of(c, r) != node_of(c, group_peer(p, w->group, r, w->peer));
    return k->between = (double)away / c->ranks[class];
}

static void add_sends(SentBytes *out, Counting *c, int class, const Work *w) {
    double bytes = (double)w->payload_bytes * c->ranks[class] / c->devices;
    double between = sends_between(c, class, w);
    out->within_node += bytes * (1 - between);
    out->between_nodes += bytes * between;
}

// --- by NCCL's model

// How a rank's group is spread; *each: so many members on each node, 0 where they differ.
static int32_t nodes_of_group(Counting *c, const Program *p, int group, int rank, int32_t *each) {
    int32_t nodes = 0, most = 0, size = group_size(p, group);
    c->seens++;
    for (int i = 0; i < size; i++) {
        int node = node_of(c, group_member(p, group, rank, i));
        bool met = c->seen[node] == c->seens;
        c->counts[node] = met ? c->counts[node] + 1 : 1;
        if (c->counts[node] > most) most = c->counts[node];
        nodes += !met;
        c->seen[node] = c->seens;
    }
    *each = most * nodes == size ? most : 0;
    return nodes;
}

static void add_span(Counting *c, Spans *s, const Program *p, int rank, int32_t members) {
    int i = 0;
    int32_t each, nodes = nodes_of_group(c, p, s->group, rank, &each);
    while (i < s->count && (s->nodes[i] != nodes || s->each[i] != each)) i++;
    if (i == SPANS) i = SPANS - 1;
    if (i == s->count) {
        s->nodes[i] = nodes;
        s->each[s->count++] = each;
    }
    s->members[i] += members;
}

// Each group once, by the member at its first place.
static const Spans *find_spans(Counting *c, int class, int group) {
    for (int i = 0; i < c->span_count; i++)
        if (c->spans[i].class == class && c->spans[i].group == group) return &c->spans[i];
    const Program *p = &c->set->programs[class];
    Spans *s = &c->spans[c->span_count++];
    int first = NONE;
    *s = (Spans){.class = class, .group = group};
    for (int r = 0; r < c->devices; r++) {
        if (c->classes[r] != class) continue;
        if (first == NONE) first = r;
        if (group_position(p, group, r) == 0) add_span(c, s, p, r, group_size(p, group));
    }
    if (!s->count) add_span(c, s, p, first, 1);  // first places elsewhere
    return s;
}

// A link of a node carries what goes over a rail as well, but where members exchange directly.
static void add_price(SentBytes *out, const NcclPrice *price, double bytes) {
    double port = bytes * price->port_weight / NCCL_WEIGHT;
    double rail = bytes * price->rail_weight / NCCL_WEIGHT;
    bool passes = price->algorithm != NCCL_P2P && port >= rail;
    out->within_node += passes ? port - rail : port;
    out->between_nodes += rail;
}

static double members_of(const Spans *s) {
    double all = 0;
    for (int i = 0; i < s->count; i++) all += s->members[i];
    return all;
}

static Status add_priced(SentBytes *out, Counting *c, int class, const Work *w) {
    Collective what = collective_work_collective(&c->set->programs[class], w);
    if (what.ranks < 2) return OK;
    const Spans *s = find_spans(c, class, w->group);
    double bytes = (double)what.elements * (double)dtype_bytes((Dtype)w->dtype);
    double all = members_of(s);
    for (int i = 0; i < s->count; i++) {
        NcclPrice price;
        const NcclCall call = {.kind = what.kind,
                               .bytes = (int64_t)bytes,
                               .ranks = what.ranks,
                               .nodes = s->nodes[i],
                               .algorithm = c->pricing->algorithm,
                               .protocol = c->pricing->protocol};
        TRY(nccl_price_again(&price, &c->prices, c->pricing->constants, &call));
        add_price(out, &price, bytes * s->members[i] / all * c->ranks[class] / c->devices);
    }
    return OK;
}

// --- all of it

// *levelled: all groups of that number go in levels, and what they send is added.
static void add_levels(SentBytes *out, Counting *c, int class, const Work *w, bool *levelled) {
    const Collective what = collective_work_collective(&c->set->programs[class], w);
    const Spans *s = find_spans(c, class, w->group);
    const int64_t element_bytes = dtype_bytes((Dtype)w->dtype);
    Level levels[LEVELS_MOST];
    *levelled = true;
    for (int i = 0; i < s->count; i++)
        *levelled = *levelled && levels_of(levels, &what, s->nodes[i], s->each[i]);
    for (int i = 0; i < s->count && *levelled; i++) {
        int count = levels_of(levels, &what, s->nodes[i], s->each[i]);
        double part = s->members[i] / members_of(s) * c->ranks[class] / c->devices;
        for (int k = 0; k < count; k++) {
            double bytes = part * collective_bytes_sent(&levels[k].what, 0, element_bytes);
            out->within_node += levels[k].across ? 0 : bytes;
            out->between_nodes += levels[k].across ? bytes : 0;
        }
    }
}

static void add_collective(SentBytes *out, Counting *c, int class, const Work *w) {
    bool levelled = false;
    if (c->levels) add_levels(out, c, class, w, &levelled);
    if (levelled) return;
    double bytes = traffic_bytes(&c->set->programs[class], w, NONE) * c->ranks[class] / c->devices;
    double between = share_between(c, class, w);
    out->within_node += bytes * (1 - between);
    out->between_nodes += bytes * between;
}

static int count_communications(const ProgramSet *set) {
    int count = 0;
    for (int c = 0; c < set->count; c++) {
        const Program *p = &set->programs[c];
        const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
        for (int i = 0; i < plan->op_count; i++) count += op_communicates(p, &plan->ops[i]);
    }
    return count;
}

static Status add_class(SentBytes *out, Counting *c, int class) {
    const Program *p = &c->set->programs[class];
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        if (!work_communicates(w)) continue;
        if (work_is_message(w)) {
            if (work_is_send(w)) add_sends(out, c, class, w);
        } else if (c->pricing->constants)
            TRY(add_priced(out, c, class, w));
        else
            add_collective(out, c, class, w);
    }
    return OK;
}

Status sent_bytes_of_step(SentBytes *out, Arena *a, const ProgramSet *set,
                          const TopologyOptions *place) {
    Counting c = {.set = set,
                  .pricing = &place->pricing,
                  .levels = place->levels,
                  .per_node = place->devices_per_node,
                  .devices = program_set_ranks(set)};
    int most = count_communications(set) + 1;
    int *ranks = ARENA_NEW(a, int, set->count);
    int16_t *classes = ARENA_NEW(a, int16_t, c.devices);
    c.known = ARENA_NEW(a, Known, most);
    c.spans = ARENA_NEW(a, Spans, most);
    c.seen = ARENA_NEW(a, int32_t, c.devices / c.per_node + 1);
    c.counts = ARENA_NEW(a, int32_t, c.devices / c.per_node + 1);
    if (!ranks || !classes || !c.known || !c.spans || !c.seen || !c.counts)
        FAIL(ERR_MEMORY, "out of memory for what a step sends");
    for (int r = 0; r < c.devices; r++) ranks[classes[r] = (int16_t)program_set_class(set, r)]++;
    c.ranks = ranks;
    c.classes = classes;
    *out = (SentBytes){0, 0};
    for (int k = 0; k < set->count; k++) TRY(add_class(out, &c, k));
    return OK;
}
