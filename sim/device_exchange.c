// SPDX-License-Identifier: MIT
// Collectives and messages of ranks with devices (sim/simulate_devices.c): who has come, and what
// then travels. Read device_arrive() for collectives, device_meet_peer() for messages.
#include "core/base/array.h"
#include "core/plan/group.h"
#include "parallel/strategy/collective_work.h"
#include "sim/device_internal.h"

// Does a communication take no time, as this member has it?
static bool is_free_for(const DeviceSimulation *s, int rank, int op) {
    const Costs *c = s->ranks[rank].costs;
    return c->free_ops && c->free_ops[op];
}

// --- collectives

// How many members a group of this rank has that are simulated; the i-th of them.
static int count_members(const DeviceSimulation *s, int rank, int group) {
    const Fold *f = s->o->fold;
    return f ? fold_members(f, rank, group).count : group_size(device_program(s, rank), group);
}
static int32_t member_of(const DeviceSimulation *s, int rank, int group, int i) {
    const Fold *f = s->o->fold;
    return f ? fold_members(f, rank, group).colours[i]
             : group_member(device_program(s, rank), group, rank, i);
}

static Status new_pending(DeviceSimulation *s, int32_t *out, int rank, int group, int lane) {
    int32_t i = s->spare;
    if (i == NONE) {
        TRY(ARRAY_RESERVE(s->pending, s->pending_capacity, s->pending_count + 1));
        i = s->pending_count++;
        s->pending[i] = (PendingCollective){0};
    } else
        s->spare = s->pending[i].next;
    PendingCollective *c = &s->pending[i];
    c->left = count_members(s, rank, group);
    TRY(ARRAY_RESERVE(c->ranks, c->capacity, c->left));
    for (int k = 0; k < c->left; k++) c->ranks[k] = member_of(s, rank, group, k);
    int32_t *first = &s->pending_of[c->ranks[0] * s->lanes + lane];
    c->leader = c->ranks[0];
    c->lane = lane;
    c->begun = s->ranks[rank].begun[lane];
    c->next = *first;
    c->arrived = 0;
    *first = i;
    *out = i;
    return OK;
}

static int32_t find_pending(const DeviceSimulation *s, int leader, int lane, int begun) {
    int32_t i = s->pending_of[leader * s->lanes + lane];
    while (i != NONE && s->pending[i].begun != begun) i = s->pending[i].next;
    return i;
}

static void free_pending(DeviceSimulation *s, int32_t i) {
    PendingCollective *m = &s->pending[i];
    int32_t *link = &s->pending_of[m->leader * s->lanes + m->lane];
    while (*link != i) link = &s->pending[*link].next;
    *link = m->next;
    m->next = s->spare;
    s->spare = i;
}

// The lane's leader is the collective, at each member.
static int64_t recorded_cost(const DeviceSimulation *s, int32_t i, int member) {
    int rank = s->pending[i].ranks[member];
    return device_cost(s, rank, s->ranks[rank].progress.at[s->pending[i].lane]);
}

static bool is_free(const DeviceSimulation *s, int32_t i) {
    const PendingCollective *c = &s->pending[i];
    for (int k = 0; k < c->left; k++)
        if (is_free_for(s, c->ranks[k], s->ranks[c->ranks[k]].progress.at[c->lane])) return true;
    return false;
}

// All members have arrived; from now on the collective takes each as long as was recorded.
static Status end_as_recorded(DeviceSimulation *s, int32_t i) {
    for (int m = 0; m < s->pending[i].left; m++)
        TRY(engine_push(&s->engine, NULL, recorded_cost(s, i, m),
                        (Event){s->actor, DEVICE_COLLECTIVE_ENDS, i, m}));
    return OK;
}

// A member has come to a collective whose messages travel one by one.
static Status arrive_at_transfer(DeviceSimulation *s, int32_t i, int rank, const Work *w) {
    const Program *p = device_program(s, rank);
    if (s->o->fold)
        FAIL(ERR_FAILED, "%s is simulated message by message: ranks cannot be folded",
             program_name(p, w->name));
    if (s->pending[i].arrived == 1) {
        const TransferCall call = {.what = collective_work_collective(p, w),
                                   .alone = s->alone,
                                   .element_bytes = dtype_bytes((Dtype)w->dtype),
                                   .devices = s->pending[i].ranks,
                                   .done = {s->actor, DEVICE_COLLECTIVE_ENDS, i, 0}};
        s->pending[i].leveled = NONE;
        if (s->network_of->levels)
            TRY(leveled_transfer_begin(&s->levels, &s->pending[i].leveled, &call));
        if (s->pending[i].leveled == NONE)
            TRY(transfer_begin(&s->transfers, &s->pending[i].transfer, &call));
    }
    int member = group_position(p, w->group, rank);
    if (s->pending[i].leveled != NONE)
        return leveled_transfer_arrive(&s->levels, s->pending[i].leveled, member);
    return transfer_arrive(&s->transfers, s->pending[i].transfer, member, 0);
}

// All members have come; the links of those that are simulated carry it.
static Status end_at_its_price(DeviceSimulation *s, int32_t i, int rank, const Work *w) {
    const Program *p = device_program(s, rank);
    const PendingCollective *c = &s->pending[i];
    const Collective what = collective_work_collective(p, w);
    const GroupSpread spread = priced_spread(&s->priced, p, w->group, s->ranks[rank].number);
    TRY(priced_begin(&s->priced, &what, dtype_bytes((Dtype)w->dtype), &spread));
    for (int k = 0; k < c->left; k++)
        TRY(priced_add_member(&s->priced, c->ranks[k]));
    for (int k = 0; k < c->left && !s->priced.closed.model; k++)
        TRY(device_communicates(s, c->ranks[k], 1));
    return priced_start(&s->priced, (Event){s->actor, DEVICE_ALL_END, i, 0});
}

// A rank comes to a collective, whose sequence number on the lane is the same at all members: they
// issue the same collectives in the same order.
Status device_arrive(DeviceSimulation *s, int rank, int op, int lane) {
    const Work *w = device_work(s, rank, op);
    DeviceRank *r = &s->ranks[rank];
    int begun = ++r->begun[lane];
    int32_t i = find_pending(s, member_of(s, rank, w->group, 0), lane, begun);
    if (i == NONE) TRY(new_pending(s, &i, rank, w->group, lane));
    r->lanes[lane].pending = i;
    s->pending[i].arrived++;
    s->pending[i].arrival_ps = s->engine.now_ps;
    if (s->network_of && !s->by_price) return arrive_at_transfer(s, i, rank, w);
    if (s->pending[i].arrived < s->pending[i].left) return OK;
    bool priced = s->by_price && !is_free(s, i);  // on a network costs are 0
    return priced ? end_at_its_price(s, i, rank, w) : end_as_recorded(s, i);
}

Status device_end_all(DeviceSimulation *s, int32_t i) {
    int members = s->pending[i].left;
    for (int m = 0; m < members && !s->priced.closed.model; m++)
        TRY(device_communicates(s, s->pending[i].ranks[m], -1));
    for (int m = 0; m < members; m++) TRY(device_end_collective(s, i, m));
    return OK;
}

Status device_end_collective(DeviceSimulation *s, int32_t i, int member) {
    PendingCollective *m = &s->pending[i];
    int rank = m->ranks[member], lane = m->lane;
    int64_t arrival = m->arrival_ps;
    if (--m->left == 0) free_pending(s, i);
    return device_end_operation(s, rank, lane, arrival);
}

// --- messages

// The lane on which the peer waits for this message; NONE: the peer has not come to it.
static int find_other_end(DeviceSimulation *s, int rank, int op, int peer, int32_t number) {
    int simulated = fold_index(s->o->fold, peer);
    const DeviceRank *other = &s->ranks[simulated];
    for (int lane = 0; lane < s->lanes; lane++) {
        int theirs = other->progress.at[lane];
        const DeviceActivity *a = &other->lanes[lane];
        if (theirs == NONE || !a->issued || a->under_way || a->number != number) continue;
        const Program *p = device_program(s, rank), *q = device_program(s, simulated);
        const Work *w = device_work(s, simulated, theirs);
        if (members_are_ends(p, device_work(s, rank, op), q, w) &&
            members_peer(q, w, peer) == s->ranks[rank].number)
            return lane;
    }
    return NONE;
}

// To (or from) another rank of the run, over the links of the one that stands for it.
static Path path_between(const DeviceSimulation *s, int rank, int peer, bool to) {
    int here = s->ranks[rank].number, there = device_rank_of(s, peer)->number;
    bool within = topology_within(&s->topology, here, peer);
    if (here == peer) return (Path){.hops = 0};
    if (!s->o->fold)
        return to ? topology_path(&s->topology, here, there)
                  : topology_path(&s->topology, there, here);
    return to ? topology_path_like(&s->topology, here, there, within)
              : topology_path_like(&s->topology, there, here, within);
}

static Status start_priced_message(DeviceSimulation *s, int rank, int peer, const Work *w,
                                   Event event) {
    int number = s->ranks[rank].number, other = fold_index(s->o->fold, peer);
    bool sends = work_is_send(w), across = !topology_within(&s->topology, number, peer);
    if (number == peer) return engine_push(&s->engine, NULL, 0, event);
    return priced_message(&s->priced, sends ? rank : other, sends ? other : rank, across,
                          w->payload_bytes, event);
}

Status device_meet_peer(DeviceSimulation *s, int rank, int op, int lane) {
    const Program *p = device_program(s, rank);
    const Work *w = device_work(s, rank, op);
    DeviceRank *r = &s->ranks[rank];
    int peer = members_peer(p, w, r->number), simulated = fold_index(s->o->fold, peer);
    DeviceActivity *mine = &r->lanes[lane];
    mine->number = message_peers_next(&r->peers, p, w, peer);
    int their_lane = find_other_end(s, rank, op, peer, mine->number);
    if (their_lane == NONE) return OK;
    DeviceActivity *theirs = &s->ranks[simulated].lanes[their_lane];
    mine->under_way = theirs->under_way = true;
    mine->arrival_ps = theirs->arrival_ps = s->engine.now_ps;
    int64_t ends = ((int64_t)rank * s->lanes + lane) << 32 | (simulated * s->lanes + their_lane);
    const Event event = {s->actor, DEVICE_MESSAGE_ENDS, 0, ends};
    if (is_free_for(s, rank, op) ||
        is_free_for(s, simulated, s->ranks[simulated].progress.at[their_lane]))
        return engine_push(&s->engine, NULL, 0, event);
    if (!s->network_of) return engine_push(&s->engine, NULL, device_cost(s, rank, op), event);
    if (s->by_price) return start_priced_message(s, rank, peer, w, event);
    const Path path = path_between(s, rank, peer, work_is_send(w));
    return network_start(&s->network, &path, w->payload_bytes, event);
}

static Status end_of_message(DeviceSimulation *s, int64_t end) {
    int rank = (int)(end / s->lanes), lane = (int)(end % s->lanes);
    return device_end_operation(s, rank, lane, s->ranks[rank].lanes[lane].arrival_ps);
}

Status device_end_message(DeviceSimulation *s, int64_t ends) {
    TRY(end_of_message(s, ends >> 32));
    return end_of_message(s, ends & INT32_MAX);
}

// --- who is missing

int device_find_missing(void *context, int number, int lane, int *out) {
    const DeviceSimulation *s = context;
    const DeviceRank *r = device_rank_of(s, number);
    const Program *p = r->progress.order->program;
    const Work *w = op_work(p, &r->progress.order->plan->ops[r->progress.at[lane]]);
    int count = 0;
    if (work_is_message(w)) {
        *out = members_peer(p, w, number);
        return 1;
    }
    for (int i = 0; i < group_size(p, w->group); i++) {
        int other = group_member(p, w->group, number, i);
        if (device_rank_of(s, other)->begun[lane] < r->begun[lane]) out[count++] = other;
    }
    return count;
}
