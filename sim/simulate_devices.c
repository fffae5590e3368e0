// SPDX-License-Identifier: MIT
// Ranks with a device of their own. Every lane works by itself: an operation starts when those it
// depends on and the one before it on its lane have ended, and the host has issued it, which may
// wait for each message that comes before it goes on in the plan. A
// collective has a price from its last member's arrival on, or its messages travel over the network
// by its schedule, each member from its arrival on, and for a member it ends when it has ended its
// own last round; a message between two ranks leaves when both have come to it.
// Read advance() first; communication is in sim/device_exchange.c.
#include "core/base/arena.h"
#include "core/plan/group.h"
#include "sim/device_internal.h"

#include <stdlib.h>

static void record(DeviceSimulation *s, int rank, int op, const DeviceActivity *a,
                   int64_t arrival_ps) {
    const OpCost *cost = &s->ranks[rank].costs->ops[s->o->plan][op];
    int64_t now = s->engine.now_ps, wait = arrival_ps > a->start_ps ? arrival_ps - a->start_ps : 0;
    s->ended++;
    bool computes = kind_class(work_kind(device_work(s, rank, op))) == CLASS_COMPUTE;
    int64_t alone_ps = device_cost(s, rank, op);  // what is longer is contention
    if (alone_ps > now - a->start_ps) alone_ps = now - a->start_ps;
    timeline_add_span(s->timelines[rank], &(Span){.start_ps = a->start_ps,
                                                  .end_ps = now,
                                                  .op = op,
                                                  .lane = device_order(s, rank)->plan->ops[op].lane,
                                                  .wait_ns = wait / 1000,
                                                  .cpu_ns = computes ? (alone_ps + 999) / 1000 : 0,
                                                  .issue_ps = a->start_ps - a->ready_ps,
                                                  .source = cost->source});
}

static Status advance(DeviceSimulation *s, int rank, int ended);

static Status go_on(DeviceSimulation *s, int rank);

Status device_end_operation(DeviceSimulation *s, int rank, int lane, int64_t arrival_ps) {
    DeviceRank *r = &s->ranks[rank];
    int op = r->progress.at[lane];
    record(s, rank, op, &r->lanes[lane], arrival_ps);
    r->lanes[lane] = (DeviceActivity){0};
    rank_progress_finish(&r->progress, op);
    if (r->costs->waits && op == r->received) TRY(go_on(s, rank));
    return advance(s, rank, lane);
}

// --- a rank

static Status start(DeviceSimulation *s, int rank, int op, int lane) {
    DeviceActivity *a = &s->ranks[rank].lanes[lane];
    a->issued = true;
    a->start_ps = s->engine.now_ps;
    const Work *w = device_work(s, rank, op);
    if (work_communicates(w))
        return work_is_message(w) ? device_meet_peer(s, rank, op, lane)
                                  : device_arrive(s, rank, op, lane);
    return device_begin_work(s, rank, op, lane);
}

// The operation starts as soon as the host has issued it.
static Status issue(DeviceSimulation *s, int rank, int op, int lane) {
    const DeviceRank *r = &s->ranks[rank];
    int64_t since_ps = s->engine.now_ps - r->begin_ps;
    const int64_t *issued = r->costs->issued_ps;
    if (!issued || issued[op] + r->late_ps <= since_ps) return start(s, rank, op, lane);
    return engine_push(&s->engine, NULL, issued[op] + r->late_ps - since_ps,
                       (Event){s->actor, DEVICE_ISSUED, rank, lane});
}

// Everything that the operation waits for on its device has ended.
static Status become_ready(DeviceSimulation *s, int rank, int op, int lane) {
    const DeviceRank *r = &s->ranks[rank];
    bool held = r->costs->waits && op > r->received;
    r->lanes[lane] = (DeviceActivity){.busy = true, .held = held, .ready_ps = s->engine.now_ps};
    return held ? OK : issue(s, rank, op, lane);
}

static int find_receive(const DeviceSimulation *s, int rank, int from) {
    int count = device_order(s, rank)->plan->op_count;
    while (from < count && device_work(s, rank, from)->kind != KIND_RECEIVE) from++;
    return from;
}

// The message that the host waited for has come: it issues what follows, up to the next one.
static Status go_on(DeviceSimulation *s, int rank) {
    DeviceRank *r = &s->ranks[rank];
    r->late_ps = s->engine.now_ps - r->begin_ps - r->costs->issued_ps[r->received];
    r->received = find_receive(s, rank, r->received + 1);
    for (int lane = 0; lane < s->lanes; lane++) {
        int op = r->progress.at[lane];
        if (!r->lanes[lane].held || op > r->received) continue;
        r->lanes[lane].held = false;
        TRY(issue(s, rank, op, lane));
    }
    return OK;
}

static void begin_step(DeviceSimulation *s, int rank) {
    DeviceRank *r = &s->ranks[rank];
    r->begin_ps = s->engine.now_ps;
    timeline_begin_step(s->timelines[rank], s->o->plan, r->step, r->begin_ps);
    r->late_ps = 0;
    if (r->costs->waits) r->received = find_receive(s, rank, 0);
}

static Status be_issued(DeviceSimulation *s, int rank, int lane) {
    return start(s, rank, s->ranks[rank].progress.at[lane], lane);
}

// Start what may start now that the operation of one lane, `ended`, has ended; with nothing left
// the step ends, and the next one begins.
static Status advance(DeviceSimulation *s, int rank, int ended) {
    DeviceRank *r = &s->ranks[rank];
    while (!r->progress.left) {
        timeline_end_step(s->timelines[rank], s->engine.now_ps);
        r->ended = ++r->step >= (s->o->steps ? s->o->steps : 1);
        if (r->ended) return OK;
        begin_step(s, rank);
        rank_progress_begin(&r->progress);
    }
    for (int lane = 0; lane < s->lanes; lane++) {
        int op = r->progress.at[lane];
        if (op == NONE || r->lanes[lane].busy ||
            rank_progress_waits_elsewhere(&r->progress, lane, ended))
            continue;
        if (rank_progress_may_start(&r->progress, lane)) TRY(become_ready(s, rank, op, lane));
    }
    return OK;
}

static Status handle(void *context, Event e) {
    DeviceSimulation *s = context;
    switch (e.kind) {
    case DEVICE_ISSUED: return be_issued(s, e.a, (int)e.b);
    case DEVICE_WORK_ENDS: return device_end_operation(s, e.a, (int)e.b, 0);
    case DEVICE_COLLECTIVE_ENDS: return device_end_collective(s, e.a, (int)e.b);
    case DEVICE_ALL_END: return device_end_all(s, e.a);
    case DEVICE_MESSAGE_ENDS: return device_end_message(s, e.b);
    default: return OK;
    }
}

// --- the simulation

// A deadlock is told of the ranks of the run: by their numbers.
static const RankProgress *progress_of(void *context, int number) {
    return &device_rank_of(context, number)->progress;
}

static bool is_started(void *context, int number, int lane) {
    return device_rank_of(context, number)->lanes[lane].busy;
}

static Status deadlock(DeviceSimulation *s, Arena *a) {
    const DeadlockReport still = {s, s->o->ranks, progress_of, is_started, device_find_missing};
    return rank_progress_deadlock(&still, a);
}

static Status watch(void *context) {
    const DeviceSimulation *s = context;
    return simulate_watch(s->o, s->ended, s->executions);
}

static Status init_rank(DeviceSimulation *s, Arena *a, int rank) {
    DeviceRank *r = &s->ranks[rank];
    const LaneOrder *order;
    r->number = fold_rank(s->o->fold, rank);
    r->costs = s->o->costs[r->number];
    TRY(class_order_of(&order, &s->orders, a, s->o, r->number));
    TRY(costs_complete(r->costs, s->o->plan));
    TRY(rank_progress_init(&r->progress, a, order));
    r->lanes = ARENA_NEW(a, DeviceActivity, s->lanes + 1);
    r->begun = ARENA_NEW(a, int32_t, s->lanes + 1);
    TRY(message_peers_init(&r->peers, a, order->program, order->plan, r->number));
    if (!r->lanes || !r->begun)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    begin_step(s, rank);
    return OK;
}

// Does one lane carry all communication, and is all of it direct all-reduces of all ranks? Nobody
// begins one of these before all have ended the one before.
static bool communicates_in_turn(const LaneOrder *o, int ranks) {
    int lane = NONE;
    for (int i = 0; i < o->plan->op_count; i++) {
        const Op *op = &o->plan->ops[i];
        const Work *w = op_work(o->program, op);
        if (!work_communicates(w)) continue;
        if (lane != NONE && lane != op->lane) return false;
        lane = op->lane;
        if (w->kind != KIND_ALL_REDUCE || w->algorithm != ALGORITHM_DIRECT ||
            group_size(o->program, w->group) != ranks)
            return false;
    }
    return true;
}

static Status init(DeviceSimulation *s, Arena *a, const TopologyOptions *topology) {
    TRY(engine_init(&s->engine));
    TRY(engine_add_actor(&s->engine, &s->actor, s, handle, NULL));
    engine_watch(&s->engine, s, watch);
    s->by_price = topology && (topology->pricing.constants || topology->closed.model);
    TRY(network_init(&s->network, &s->engine));
    if (topology) {
        TopologyOptions place = *topology;
        if (s->by_price) place.ports = s->count;
        TRY(topology_init(&s->topology, &s->network, &place));
    }
    TRY(transfers_init(&s->transfers, &s->engine, &s->network, &s->topology));
    if (topology && topology->levels)
        TRY(leveled_transfers_init(&s->levels, &s->engine, &s->transfers, &s->topology));
    if (s->by_price) TRY(priced_init(&s->priced, &s->network, &s->topology, topology));
    s->lanes = s->o->costs[0]->program->lane_count;
    int slots = s->count * s->lanes;
    s->ranks = ARENA_NEW(a, DeviceRank, s->count);
    s->pending_of = ARENA_NEW(a, int32_t, slots + 1);
    if (!s->ranks || !s->pending_of)
        FAIL(ERR_MEMORY, "out of memory for simulating %d ranks", s->o->ranks);
    for (int i = 0; i < slots; i++) s->pending_of[i] = NONE;
    for (int r = 0; r < s->count; r++) TRY(init_rank(s, a, r));
    s->executions = simulate_executions(s->o);
    s->alone = true;
    for (const ClassOrder *o = s->orders; o; o = o->next)
        s->alone &= communicates_in_turn(&o->lanes, s->o->ranks);
    return OK;
}

static Status run(DeviceSimulation *s, Arena *a, const TopologyOptions *topology) {
    if (topology && topology->nodes * topology->devices_per_node < s->o->ranks)
        FAIL(ERR_USAGE, "%d ranks need a device each, and the machine has %d", s->o->ranks,
             topology->nodes * topology->devices_per_node);
    TRY(init(s, a, topology));
    for (int r = 0; r < s->count; r++) TRY(advance(s, r, 0));
    TRY(engine_run(&s->engine));
    for (int r = 0; r < s->count; r++)
        if (!s->ranks[r].ended) return deadlock(s, a);
    if (s->o->links && topology && !s->by_price)
        link_uses_find(s->o->links, &s->topology, &s->network, s->o->ranks, s->engine.now_ps);
    return OK;
}

static void finish(DeviceSimulation *s) {
    priced_finish(&s->priced);
    leveled_transfers_finish(&s->levels);
    transfers_finish(&s->transfers);
    network_finish(&s->network);
    engine_finish(&s->engine);
    for (int i = 0; i < s->pending_count; i++) free(s->pending[i].ranks);
    free(s->pending);
}

Status simulate_devices(Timeline *const timelines[], const SimulateOptions *options,
                        const TopologyOptions *topology) {
    Arena scratch = {0};
    DeviceSimulation s = {.o = options,
                          .timelines = timelines,
                          .network_of = topology,
                          .count = fold_count(options->fold, options->ranks),
                          .spare = NONE};
    Status status = run(&s, &scratch, topology);
    finish(&s);
    arena_finish(&scratch);
    return status;
}
