// SPDX-License-Identifier: MIT
// A whole training run inside a test: a job is made, perhaps changed, run, and what every rank ends
// with is kept, whether ranks are threads or processes.
#ifndef TESTS_SUPPORT_TRAINING_H
#define TESTS_SUPPORT_TRAINING_H

#include "parallel/run/launch.h"

// 20 steps of a small network on 200 digits, in batches of 61: 170 train, so that the last batch of
// an epoch has 48, and neither number is a multiple of 2, 3 and 4 ranks.
JobOptions training_options(void);

// How a test looks into a run and changes it. All may be NULL.
typedef struct {
    void *context;
    void (*edit)(void *context, Job *job);  // before the ranks start
    // In the process of each rank: before the first turn, at every operation, after the last turn.
    void (*ready)(void *context, Executor *e);
    void (*before)(void *context, Executor *e, int plan, int op);
    void (*finished)(void *context, Executor *e);
} TrainingProbe;

typedef struct {
    Job job;
    Training training;
    unsigned char *state;          // owned: rank after rank, parameters, optimiser state, state
    int64_t state_bytes;           // room for one rank: the most that a class has
    struct OutcomeCounts *counts;  // owned, [rank]: what its communicator counted
} Outcome;

// Run the job to its end. On failure *out is zeroed, and the message is the run's.
Status training_run(Outcome *out, const JobOptions *options, const TrainingProbe *probe) MUST_USE;
void outcome_finish(Outcome *o);  // safe on a zeroed Outcome

// What a rank did over a group, by its communicator's counters, in all turns of a plan of its
// program, both by name; operation: of CommCount.
CommCount outcome_count(const Outcome *o, int rank, const char *plan, const char *group,
                        int operation);

// NULL: the counters of all ranks are those of their plans. Each call of a step was made as often
// as there were steps, with the bytes of its schedule, and no other. Else it says what is not so.
const char *outcome_uncounted(const Outcome *o);

// What two runs differ in, as text: parameters and optimiser state of any rank, the losses and the
// norms of gradients of the steps, the evaluations. NULL: not in one bit. Of runs of one class.
// Valid until the next call.
const char *outcome_difference(const Outcome *a, const Outcome *b);

// The same of what runs of different programs have in common: losses, norms and evaluations of all
// ranks, and the hash of the whole parameters.
const char *outcome_result_difference(const Outcome *a, const Outcome *b);

// On so many ranks, over each communicator, the job has the bits of one rank with as many shards.
void training_check_ranks(const JobOptions *o, int ranks);

// A parameter's or optimiser state's tensor at the end, on a rank; NULL: it has none of that name.
const void *outcome_tensor(const Outcome *o, int rank, const char *name);

// A probe's `before` that holds up about one operation in 16, for up to 300 us; context: a
// uint64_t, the seed.
void training_delay(void *context, Executor *e, int plan, int op);

#endif
