// SPDX-License-Identifier: MIT
// One rank of a job: it prepares each turn, leaves the executing to the executor,
// and keeps results.
#ifndef PARALLEL_RUN_RANK_H
#define PARALLEL_RUN_RANK_H

#include "core/record/values.h"
#include "core/report/report.h"
#include "parallel/run/agreement.h"
#include "parallel/run/executor.h"
#include "parallel/run/job.h"

#include <stdatomic.h>

// The result of a rank. It lies in memory that the launcher sees, whatever the rank is.
typedef struct {
    Timeline timeline;        // its arrays too
    Evaluation *evaluations;  // job->epochs + 1 of them
    int evaluation_count;
    int64_t unplanned_bytes;   // private memory besides the planned; NONE: ranks share a process
    uint64_t parameters_hash;  // FNV-1a of all parameters, in table order; 0: nothing was computed
    bool interrupted, finished;
    int64_t stopped_step;  // interrupted: training steps before it stopped
    Divergence diverged;
    int64_t diverged_step;  // training steps before it was seen
    int64_t copied_step;    // steps before the last copy of good weights; 0: there is none
    HostUse disturbed;      // as this rank saw it
    // The process of this rank, and its CPU time when the window of `disturbed` began and while it
    // lasted (0: it lasts), for peers in other processes.
    _Atomic pid_t process;
    _Atomic int64_t window_begin_cpu_ns, window_cpu_ns;
} RankResult;

// Shared by all ranks of a job, besides the communicator.
typedef struct {
    int64_t origin_ns;    // of the run's clock
    cpu_set_t cores;      // that the ranks may use
    int threads;          // of the run, that compute at once
    RankResult *results;  // one per rank
} RunShared;

// Called by rank 0 after each training step and each turn of an evaluation, with the evaluation
// when it is complete, else NULL.
typedef void (*ProgressCall)(void *context, const Job *job, const Turn *turn,
                             const StepRecord *step, const Evaluation *evaluation);

// Hooks of tests: run around every operation of every rank.
typedef struct {
    void *context;
    ProgressCall progress;
    void (*before)(void *context, int rank, int plan, int op);
    void (*ready)(void *context, Executor *e);  // bound and initialised, before the first turn
    void (*finished)(void *context, Executor *e);
} RunHooks;

// What rank_weights.c works with when a run ends. All but `whole` is in the rank's arena.
typedef struct PieceCursor PieceCursor;
typedef struct {
    int *logicals, count;  // what is saved, in table order
    int *held;             // [class][count] the tensor of each, or NONE
    int stage;             // of rank_gather()
    bool ends;             // it gathers at the end of the run
    uint64_t *said;        // [rank][says] what ranks told each other
    int says;
    int at_tensor;               // of the gathering: which of the logical tensors,
    int64_t at;                  // and from which of its elements on
    unsigned char *windows;      // one of each rank, and this rank's own
    bool gathered;               // did the last round of rank_gather() bring them to `whole`?
    unsigned char *whole;        // owned, rank 0: gathered weights, one after the other
    unsigned char *to;           // in `whole`: the next window
    PieceCursor *own, *cursors;  // this rank's; on rank 0, all ranks'
} Weights;

typedef struct Rank {
    const Job *job;
    const Program *program;  // the job's, of the class that this rank is in
    RunShared *shared;
    RunHooks hooks;
    RankResult *result;
    Comm comm;
    Agreement agreement;  // with the other ranks, before the first turn
    Executor executor;
    Sampler sampler;
    ValueRecorder values;
    Arena arena;
    Turn turn;
    int32_t *rows;  // of one load, in the arena
    int32_t *text;  // [2 x tokens of a row] tokens and labels that a load takes some of
    int *sources;   // tensors that the run writes before each turn, in the arena
    int source_count;
    int gradient_norm, finite, choices;  // what the step writes of these results, or NONE
    int loss[PLANS];            // tensor that each plan writes as its result, or NONE
    double evaluation[2];       // of the rounds so far: sum of losses, correct answers
    int64_t turns;
    bool paused;          // a checkpoint was written since the last turn: no part of the next one
    unsigned char *copy;  // owned, rank 0 with --save: the last good weights (checkpoint.c)
    Weights weights;
    HostSample window;  // when the window of `disturbed` began
} Rank;

// Bind the program, initialise parameters (rank 0: from the seed; the others receive them), compare
// fingerprints. `world` NULL: the only rank.
Status rank_create(Rank *r, const Job *job, RunShared *shared, CommWorld *world, int rank,
                   const RunHooks *hooks) MUST_USE;
void rank_destroy(Rank *r);  // safe on a zeroed rank

// The next turn: set its scalars and begin it; *more is false after the last, or when
// Ctrl-C ended the run.
Status rank_begin_turn(Rank *r, bool *more) MUST_USE;
Status rank_end_turn(Rank *r) MUST_USE;

// After a turn: is a checkpoint to be written? All ranks say the same. Then they gather, and call
// rank_checkpoint(), which writes it on rank 0.
bool rank_checkpoint_due(const Rank *r);
Status rank_checkpoint(Rank *r) MUST_USE;

// Compare what several ranks hold of the weights, and bring rank 0 what it does not
// (rank_weights.c). Called until *more is false, by all ranks as often; in lockstep each call by
// all of them before the next. ERR_FAILED when ranks that should hold the same do not. `ends`: the
// run does; else it is for a checkpoint.
Status rank_gather(Rank *r, bool ends, bool *more) MUST_USE;

// Write what this rank has to write (trace; rank 0: the checkpoint) and fill in the result.
Status rank_finish(Rank *r) MUST_USE;

Status rank_run(Rank *r) MUST_USE;  // all turns, and finish

#endif
