// SPDX-License-Identifier: MIT
// A job: everything that is decided before the first rank starts. The launcher makes it once;
// ranks, threads or processes, only read it.
#ifndef PARALLEL_RUN_JOB_H
#define PARALLEL_RUN_JOB_H

#include "core/data/sampler.h"
#include "core/device/device.h"
#include "core/nn/model.h"
#include "core/record/run_info.h"
#include "parallel/comm/comm_world.h"
#include "parallel/run/restore.h"
#include "parallel/strategy/job_spec.h"

#include <stdatomic.h>

// As on the command line; strings are borrowed.
typedef struct {
    JobSpec spec;
    const char *data;
    int64_t slowdown_permille;  // how much slower what is modelled runs, in thousandths; 0: 1000
    LinkModel link;  // to emulate between ranks; bytes_per_s 0: on a timed device its platform's
    int64_t epochs, steps;  // steps > 0: stop after so many, whatever the epochs
    double test_fraction;
    Tail tail;
    bool same_order;  // samples come in the order of the first epoch in all: a fault of lessons
    CommKind comm;
    CommOptions comm_options;  // its link is set here
    bool plan_only;            // the program is all that is wanted of the job: no data are made
    bool unlowered;            // of plan_only: the set stays as strategy or plan file have it
    bool spans;                // record one span per operation
    const char *record;        // directory for recorded values, or NULL
    int record_first, record_last;
    const char *trace, *save;   // directory; file; or NULL
    int64_t save_every;         // steps between checkpoints; 0: one at the end
    int keep;                   // the last so many under names of their own, too
    bool save_shards;           // each rank writes what it holds; else rank 0 all
    const char *resume, *load;  // a checkpoint to go on from; one to take weights from; or NULL
    bool evaluate_only;         // no step: the weights are evaluated as they are
    bool generates;             // of evaluate_only: nor that; they write text (generate.h)
    bool compress_trace;
    DatasetProgress drawing;      // told while digits are drawn
    RunInfo info;                 // for traces: argv and settings
    const atomic_int *interrupt;  // counts Ctrl-C; NULL: never
} JobOptions;

typedef struct Job {
    JobOptions options;
    Arena arena;
    Model model;
    Dataset data;
    Split split;
    int64_t test_labels;  // of the rows that test, those that count
    ProgramSet set;       // lowered, unless options.unlowered
    const Device *device;
    int64_t batches;        // per epoch
    int64_t steps, epochs;  // of the whole run, with those before it was resumed
    Restore restore;
    int64_t first_step;  // steps that were done before; 0 unless it is resumed
    int64_t
        evaluation_turns;  // executions of the plan of each epoch per evaluation; 0: there is none
    int plan_step;         // the plan of each step
} Job;

// Read model and data, build the program, apply the strategy, check and lower it. ERR_USAGE says
// which numbers do not fit and what to try.
Status job_create(Job *job, const JobOptions *options) MUST_USE;
void job_destroy(Job *job);  // safe on a zeroed job

// What a rank executes. Plans have the same index in the programs of all ranks.
static inline const Program *job_program(const Job *job, int rank) {
    return program_set_program(&job->set, rank);
}

// A job on the same model and data with other numbers (batch, ranks, shards, tail, …); it borrows
// from `base`, which must outlive it. Errors as above.
Status job_derive(Job *job, const Job *base, const JobOptions *options) MUST_USE;

// One execution of a plan: the next in the order in which a run repeats its plans.
typedef struct {
    int plan;
    int64_t step;  // training steps before this turn
    int64_t epoch;
    int64_t batch;  // of the epoch
    int64_t block;  // in a plan of each epoch: which round of blocks; else NONE
} Turn;

// The turn that comes after *t (a zeroed Turn with plan NONE: before the first). False at the end.
bool job_next_turn(const Job *job, Turn *t);

// The first of the turns at the end, for a run that stops early. False: there are none.
bool job_last_turns(const Job *job, Turn *t);

When job_when(const Job *job, const Turn *t);  // what its plan states

// What stopped being a finite number, if something did: then all ranks end after that turn.
typedef enum {
    DIVERGED_NOT,
    DIVERGED_LOSS,
    DIVERGED_GRADIENTS,
    DIVERGED_EVALUATION,
    DIVERGED_WEIGHTS
} Divergence;

#endif
