// SPDX-License-Identifier: MIT
// What the two halves of the simulation of a host share: threads and cores (simulate_host.c), and
// communication (host_comm.c).
#ifndef SIM_HOST_INTERNAL_H
#define SIM_HOST_INTERNAL_H

#include "parallel/collective/collective.h"
#include "sim/engine.h"
#include "sim/members.h"
#include "sim/rank_progress.h"
#include "sim/simulate.h"

// What a rank's thread does.
typedef enum {
    DOING_NOTHING,
    DOING_TURN,
    DOING_WORK,
    DOING_SHARE,
    DOING_NOTICE,
    WAITING,
    WAKING,
    ENDED
} Doing;

// The communication in flight on a lane of a rank.
typedef struct {
    bool in_flight;
    Collective what;        // of a collective
    int64_t round, rounds;  // ended; in all
    int64_t share, shares;  // rounds in which this rank does something: done; in all
    int64_t start_ps, arrival_ps;
    int32_t number;  // of a message, from 1 on: its place among those with this peer and tag; or 0
    bool taken;      // a send whose receiver has it
    bool noticed;    // this rank has seen that it has ended
} LaneComm;

typedef struct {
    RankProgress progress;
    LaneComm *comms;  // per lane
    int32_t *begun;   // per lane: collectives begun, the one in flight included
    MessagePeers peers;
    Doing doing;
    int op, lane;       // being worked on
    int step;           // of the options' steps
    int64_t since_ps;   // of the work; or of the wait
    int64_t demand_ps;  // CPU time still needed
} SimRank;

typedef struct {
    const SimulateOptions *o;
    const HostModel *host;
    Timeline *const *timelines;
    Engine engine;
    ClassOrder *orders;
    SimRank *ranks;
    int64_t *core_ps;     // per core: the time up to which its ranks' demand is reduced
    EventId *core_event;  // per core: when its first busy rank will have had enough, or 0
    int64_t ended;        // executions of operations that have ended,
    int64_t executions;   // of so many
    int16_t actor;
} HostSimulation;

enum { EVENT_CORE, EVENT_WAKE };

static inline int host_core(const HostSimulation *s, int rank) { return rank % s->host->cores; }
static inline bool host_needs_core(const SimRank *r) {
    return r->doing == DOING_TURN || r->doing == DOING_WORK || r->doing == DOING_SHARE ||
           r->doing == DOING_NOTICE;
}
static inline bool host_oversubscribed(const HostSimulation *s) {
    return s->o->ranks > s->host->cores;
}

static inline const LaneOrder *host_order(const HostSimulation *s, int rank) {
    return s->ranks[rank].progress.order;
}
static inline const Program *host_program(const HostSimulation *s, int rank) {
    return host_order(s, rank)->program;
}
static inline const Work *host_work(const HostSimulation *s, int rank, int op) {
    return op_work(host_program(s, rank), &host_order(s, rank)->plan->ops[op]);
}

static inline int64_t host_cost(const HostSimulation *s, int rank, int op) {
    return costs_op_ps(s->o->costs[rank], s->o->plan, op, s->ranks[rank].step);
}

// The operation has ended now.
void host_record(HostSimulation *s, int rank, int op, int64_t start_ps, int64_t wait_ps,
                 int64_t cpu_ps);

// The rank's thread works on a round (DOING_SHARE) or an operation from now on.
Status host_start_work(HostSimulation *s, int rank, Doing what, int op, int lane,
                       int64_t demand_ps) MUST_USE;

// As far as the lane's communications get without CPU time; *busy: the thread now works on one.
Status host_advance_lane(HostSimulation *s, int rank, int lane, bool *busy) MUST_USE;

// The round of a communication that the rank worked on has ended.
Status host_end_round(HostSimulation *s, int rank, int op, LaneComm *c) MUST_USE;

// The ranks that the lane waits for: members with rounds left, or a message's other end.
int host_find_missing(void *context, int rank, int lane, int *out);

#endif
