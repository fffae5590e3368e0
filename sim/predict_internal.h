// SPDX-License-Identifier: MIT
// What predictions and replays share: one run of the simulator, and the report of it.
#ifndef SIM_PREDICT_INTERNAL_H
#define SIM_PREDICT_INTERNAL_H

#include "sim/predict.h"

// Steps that are simulated: the first begins on all ranks at once, the last is what repeats.
enum { RUN_STEPS = 3 };

// Ranks that execute one program with one set of costs.
typedef struct {
    const Costs *costs;
    int ranks;
} RunClass;

// One run of the simulator.
typedef struct {
    const RunClass *classes;
    const Costs *const *costs;        // per rank
    const HostModel *host;            // NULL: ranks have devices,
    const TopologyOptions *topology;  // on this network, or without one
    const SimulateWatch *watch;
    const Fold *fold;    // of the ranks; NULL: all are simulated
    const Noise *noise;  // NULL: none
    const CriticalBillForm *critical;
    bool unkept, brief;
    bool differ;  // steps do, so that all but the first count
    int class_count, plan, ranks, steps;
    int64_t batch;
} Run;

static inline const Program *run_class_program(const Run *run, int class) {
    return run->classes[class].costs->program;
}
static inline const Plan *run_class_plan(const Run *run, int class) {
    return &run_class_program(run, class)->plans[run->plan];
}

// Do the spans of so many steps, the one that does not count included, fit into memory, and into
// timelines? `ops`: of all ranks in a step. ERR_USAGE, of --steps.
Status run_check_room(int ranks, int64_t ops, int steps) MUST_USE;

// Costs of each rank in steps that are drawn from the setting's recording (s->draws), so that ranks
// of a host vary as recorded ones did. ERR_INPUT: no step can be drawn; ERR_USAGE.
Status predict_draws(Run *run, Arena *a, const SimSetting *s) MUST_USE;

// Simulate the run, of that job, and report it. ERR_FAILED: a deadlock; ERR_MEMORY.
Status predict_execute(Prediction *out, Arena *a, const Run *run, const SimJob *job) MUST_USE;

#endif
