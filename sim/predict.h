// SPDX-License-Identifier: MIT
// The simulator's facade: how long a step of a job would take on a machine (a prediction), or of a
// recorded run when its operations are put together again (a replay).
//
//     Machine machine;
//     Prediction p;
//     TRY(machine_read(&machine, arena, "dgx-h100"));
//     SimJob job = {.spec = job_spec_default()};  // net, a batch of 64
//     job.spec.device = "timed:dgx-h100";
//     job.spec.ranks = 8;
//     TRY(predict_job(&p, arena, &job, &(SimSetting){.machine = &machine, .devices = true}));
//     printf("%.3f ms, %.3f of them exposed communication\n", p.step_ms,
//            p.report.breakdown_ms[TIME_EXPOSED_COMM]);
#ifndef SIM_PREDICT_H
#define SIM_PREDICT_H

#include "core/report/report.h"
#include "sim/critical_bill.h"
#include "sim/job.h"
#include "sim/noise.h"
#include "sim/recording.h"
#include "sim/simulate.h"
#include "sim/topology.h"

// How devices communicate. By NCCL's model where the machine has constants for it and no link is
// given, else message by message, on links that messages share; or in the way that is named: links
// that store and forward, formulas (sim/closed_form.h).
#define SIM_NETWORK_WORDS "auto|nccl|flow|store-forward|alpha-beta|loggp"
typedef enum {
    SIM_NETWORK_AUTO,
    SIM_NETWORK_NCCL,
    SIM_NETWORK_FLOW,
    SIM_NETWORK_STORE_FORWARD,
    SIM_NETWORK_ALPHA_BETA,
    SIM_NETWORK_LOGGP
} SimNetwork;

// Steps that are drawn from the recorded ones (sim/step_draws.h).
typedef struct {
    uint64_t seed;
    bool apart;  // by each rank for itself; else one for all
    int steps;   // simulated, after one that does not count; 0: as many as were recorded
} StepDraws;

// The machine, and how ranks use it.
typedef struct {
    const Machine *machine;
    const Recording *recording;  // of a run whose costs are known; NULL: none
    bool devices;    // every rank has a device of the machine; else ranks share the host's cores
    LinkModel link;  // with a bandwidth: one link a rank, to a switch, instead of the machine's
    SimNetwork network;
    NcclAlgorithm nccl_algorithm;  // that NCCL's model may take; any: the fastest
    NcclProtocol nccl_protocol;
    bool levels;             // collectives over nodes go within nodes, then across (sim/levels.h)
    int64_t dilation;        // of all modelled times, in thousandths; 0: 1000
    Noise noise;             // of computations on devices
    int steps;               // simulated with jitter; 0: up to 64
    const StepDraws *draws;  // of ranks of a host, as their recording has it; NULL: medians
    bool unfolded;           // simulate all ranks with devices, also those that are alike
    const ProgramSet *programs;  // of a job on devices, as sim_job_step() makes them; borrowed, and
                                 // shared by threads. NULL: they are made
    bool unkept;                 // leave out Prediction.inputs, for which all programs are printed
    bool brief;                  // leave out the report's operations
    const CriticalBillForm *critical;  // of the critical path of a step, on devices; NULL: not made
    const SimulateWatch *watch;        // of the simulation; NULL: none
} SimSetting;

// One simulated run of a few steps. `report.run` borrows from the job.
typedef struct {
    Report report;
    bool replay;
    int steps;               // of a replay, each with its own costs; 0: medians were replayed
    bool drawn, apart;       // these were drawn, by each rank for itself
    double correlation;      // of steps drawn apart: between ranks in the record, or NaN
    double step_ms;          // of the last step; of such a replay the median, with jitter the mean
    int simulated;           // ranks: where some are alike (sim/fold.h), fewer than all
    const char *not_folded;  // why all are, to follow a colon; NULL: they are not, or need not
    int operations[SOURCE_COUNT];  // of the step plan: where their costs come from
    uint64_t inputs;               // hash of all that the prediction depends on; 0: left out
    int64_t memory_bytes;          // planned on a rank
    double launch_ms;              // part of the compute of the breakdown: a described device's
                                   // launches; 0 where operations were measured
    double issue_ms;               // what a host takes to issue the step's operations, of the
                                   // slowest; 0: none issues them
    double comm_ms;                // communication in that step (of a replay the mean), each from
                                   // its last member's arrival on, exposed or not; mean over ranks
    ReportAnswers *answers;        // in the arena, as the report's; NULL: of a replay
    ReportCritical *critical;      // in the arena, as the report's; NULL: not asked for
    LinkUses links;                // of a step, on devices whose messages go one by one
    int64_t comm_bytes;            // payload of a rank's communication in a step
} Prediction;

// Does the setting's communication of devices go by NCCL's model?
bool sim_setting_is_priced(const SimSetting *s);

// Does a rank's planned memory fit its device? True when that is not known.
bool prediction_fits(const Prediction *p);

// Has the machine room and links for so many ranks? ERR_USAGE, with what to give.
Status predict_check_place(const SimSetting *s, int ranks) MUST_USE;

// Replay: every recorded step with its own durations, ordered by dependencies alone, every rank
// with a core of its own, or of a timed run with a device; with `draws` (or NULL) steps that are
// drawn. Where no step has the spans of all ranks: the median of each operation, on the recorded
// machine's cores if ranks outnumber them; such steps cannot be drawn: ERR_INPUT. ERR_USAGE: more
// steps than there is room for.
Status predict_replay(Prediction *out, Arena *a, const Recording *r,
                      const StepDraws *draws) MUST_USE;

// The job on that machine. What an operation costs: as recorded under the same cost key; else as
// calibrated under that key; else by the device's peaks. Communication: as the machine's rates, or
// its links, say. ERR_USAGE, ERR_PLAN.
Status predict_job(Prediction *out, Arena *a, const SimJob *job, const SimSetting *s) MUST_USE;

#endif
