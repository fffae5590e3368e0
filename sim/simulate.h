// SPDX-License-Identifier: MIT
// Executes one plan on every rank of a host: discrete events in integer picoseconds. A rank is one
// thread that does what the executor does (parallel/run/executor.c): serve communication, run what
// is ready, else wait. Ranks share cores (processor sharing); a waiting rank spins, then sleeps.
#ifndef SIM_SIMULATE_H
#define SIM_SIMULATE_H

#include "core/record/timeline.h"
#include "sim/costs.h"

typedef struct {
    const Program *program;     // lowered; of all ranks
    const Costs *const *costs;  // per rank
    const HostModel *host;
    int plan, ranks;
    bool corun;  // multiply computation by the host's co-run factor when several cores work
} SimulateOptions;

// Append one execution of the plan, beginning at 0, to the timeline of each rank. ERR_FAILED, with
// who waits for whom on which operation, when the ranks cannot go on.
Status simulate_host(Timeline *const timelines[], const SimulateOptions *options) MUST_USE;

#endif
