// SPDX-License-Identifier: MIT
// Executes one plan on every rank of a machine: discrete events in integer picoseconds. Ranks of
// different classes, such as stages of a pipeline, execute that plan of their own programs.
//
// On a host a rank is one thread that does what the executor does (parallel/run/executor.c):
// go on with communication, run what is ready, else wait. Ranks share cores; a waiting rank
// spins, then sleeps. On devices every lane of a rank works by itself, and collectives are
// messages on a network.
#ifndef SIM_SIMULATE_H
#define SIM_SIMULATE_H

#include "core/record/timeline.h"
#include "sim/costs.h"
#include "sim/fold.h"
#include "sim/link_use.h"
#include "sim/noise.h"
#include "sim/topology.h"

// Follows a simulation that takes long, in real time. It does not change what is simulated.
typedef struct {
    void *context;
    bool (*go_on)(void *context,
                  double share);  // share (0 to 1) of the operations has ended; false:
                                  // stop, the simulation is ERR_INTERRUPTED
} SimulateWatch;

typedef struct {
    const Costs *const *costs;  // per rank: of the program that it executes, which is lowered.
                                // Ranks of one class share a program
    int plan, ranks;
    int steps;                   // executions of the plan, one after the other; 0: one
    const SimulateWatch *watch;  // NULL: none
    LinkUses *links;             // out, on devices whose messages go one by one; NULL: not wanted
    const Fold *fold;            // of these ranks, on devices: one of each colour is simulated, and
                                 // timelines are of these; NULL: all are
    const Noise *noise;          // of computations, on devices; NULL: none
} SimulateOptions;

// Ranks are pinned to the cores of `host` in turn. A core is shared by the ranks on it that have
// work (processor sharing).
Status simulate_host(Timeline *const timelines[], const SimulateOptions *options,
                     const HostModel *host) MUST_USE;

// Rank r has device r of `topology`, alone. `topology` NULL: a communication takes its cost from
// the arrival of its last member on, as it was recorded.
Status simulate_devices(Timeline *const timelines[], const SimulateOptions *options,
                        const TopologyOptions *topology) MUST_USE;

// Both append the executions to the timeline of each rank, the first from 0 on. ERR_FAILED, with
// who waits for whom on which operation, when the ranks cannot go on.

#endif
