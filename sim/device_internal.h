// SPDX-License-Identifier: MIT
// Shared by the files that simulate ranks with devices. sim/simulate_devices.c: ranks and lanes;
// sim/device_exchange.c: collectives, messages; sim/device_contention.c: what computes meanwhile.
// Where ranks are folded (sim/fold.h), one of each colour is simulated: `rank` is the index of a
// simulated rank, ranks[rank].number its number in the run; members and peers are found by colour.
#ifndef SIM_DEVICE_INTERNAL_H
#define SIM_DEVICE_INTERNAL_H

#include "sim/levels.h"
#include "sim/members.h"
#include "sim/priced.h"
#include "sim/rank_progress.h"
#include "sim/simulate.h"
#include "sim/transfer.h"

// What a lane is doing.
typedef struct {
    bool busy;
    bool issued;  // by the host; until then the operation waits, ready on the device,
    bool held;    // and behind a message that the host waits for
    int64_t ready_ps, start_ps;
    EventId ends;               // of work; 0: it does not compute
    int64_t left_ps, since_ps;  // what was left of the work then, at full speed
    int32_t pending;            // of a collective
    int32_t number;  // of a message: its sequence number among those with this peer and tag
    bool under_way;  // of a message: both ends have come to it
    int64_t arrival_ps;
} DeviceActivity;

typedef struct {
    int32_t number;  // of the run
    const Costs *costs;
    RankProgress progress;
    DeviceActivity *lanes;
    int32_t *begun;  // per lane: collectives begun
    MessagePeers peers;
    int step;
    int communicating;  // collectives under way, by their price
    int64_t begin_ps;   // of the step
    int received;       // where hosts wait: the plan's first receive that has not ended
    int64_t late_ps;    // so much later than without messages the host issues
    bool ended;
} DeviceRank;

// One collective of one group, from its first member's arrival to its last member's end.
typedef struct {
    int32_t leader, lane, begun;  // the group's first member, lane, the sequence number there
    int32_t next;                 // of the same leader and lane, or of the unused ones; or NONE
    int32_t transfer, leveled, arrived, left;  // leveled NONE: it does not go in levels
    int64_t arrival_ps;                        // of the last member
    int32_t *ranks;                            // owned: the members
    int capacity;                              // of ranks
} PendingCollective;

typedef struct {
    const SimulateOptions *o;
    Timeline *const *timelines;
    const TopologyOptions *network_of;  // NULL: communication takes its cost
    int count;                          // ranks that are simulated
    Engine engine;
    Network network;
    Topology topology;
    Transfers transfers;
    LeveledTransfers levels;
    PricedNetwork priced;
    bool by_price;  // communication has a price; else messages go one by one
    ClassOrder *orders;
    int lanes;  // of every program
    DeviceRank *ranks;
    int32_t *pending_of;         // per leader and lane: the first of its pending, or NONE
    PendingCollective *pending;  // owned
    int pending_count, pending_capacity;
    int32_t spare;
    bool alone;          // no collective travels while another does
    int64_t ended;       // executions of operations that have ended,
    int64_t executions;  // of so many
    int16_t actor;
} DeviceSimulation;

enum {
    DEVICE_ISSUED,
    DEVICE_WORK_ENDS,
    DEVICE_COLLECTIVE_ENDS,
    DEVICE_ALL_END,
    DEVICE_MESSAGE_ENDS
};

static inline const LaneOrder *device_order(const DeviceSimulation *s, int rank) {
    return s->ranks[rank].progress.order;
}
static inline const Program *device_program(const DeviceSimulation *s, int rank) {
    return device_order(s, rank)->program;
}
static inline const Work *device_work(const DeviceSimulation *s, int rank, int op) {
    return op_work(device_program(s, rank), &device_order(s, rank)->plan->ops[op]);
}
// As it is in this step, with noise where it computes.
int64_t device_cost(const DeviceSimulation *s, int rank, int op);

// The operation that the lane is busy with ends now; what may start then starts. `arrival_ps`: of
// the last member of a communication.
Status device_end_operation(DeviceSimulation *s, int rank, int lane, int64_t arrival_ps) MUST_USE;

// A lane computes from now on; so many collectives more are under way on the device, or less.
Status device_begin_work(DeviceSimulation *s, int rank, int op, int lane) MUST_USE;
Status device_communicates(DeviceSimulation *s, int rank, int collectives) MUST_USE;

// A rank comes to a collective, on a lane that is busy with it from now on.
Status device_arrive(DeviceSimulation *s, int rank, int op, int lane) MUST_USE;

// A collective, by its index among the pending, ends at that member; at all members.
Status device_end_collective(DeviceSimulation *s, int32_t pending, int member) MUST_USE;
Status device_end_all(DeviceSimulation *s, int32_t pending) MUST_USE;

// A rank comes to its end of a message; the message leaves if the other end is there.
Status device_meet_peer(DeviceSimulation *s, int rank, int op, int lane) MUST_USE;

// A message ends at both ends, as `b` of its event names them.
Status device_end_message(DeviceSimulation *s, int64_t ends) MUST_USE;

// The simulated rank that stands for a rank of the run.
static inline const DeviceRank *device_rank_of(const DeviceSimulation *s, int number) {
    return &s->ranks[fold_index(s->o->fold, number)];
}

// The ranks that the lane of a rank waits for: members that have not arrived, or a message's other
// end; all by their numbers in the run.
int device_find_missing(void *context, int number, int lane, int *out);

#endif
