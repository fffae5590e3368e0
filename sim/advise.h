// SPDX-License-Identifier: MIT
// How should a job be divided over its devices? A search over degrees of the mesh, ZeRO, schedule,
// micro-batches, recomputation and bucket size, with the global batch as it is.
//
// All combinations are listed. Those that do not divide, and those whose weights and states cannot
// fit by the closed form, are rejected at once. The others get a lower bound of their step: what
// their ranks compute for a micro-batch, which few short plans tell, times the passes and the
// bubble of their schedule. In the order of the bounds each is planned with fewer blocks and
// micro-batches (sim/advise_short.h), until the bound is above the best or ADVISE_PATIENCE in a row
// were no better; what likely does not fit comes last. Then those whose short plans are within
// ADVISE_SHORT_ERROR of the best are simulated as they are. What is advised was so simulated. How
// far bounds and short plans hold is asked of combinations drawn at random
// (tests/sim/test_advise_bound.c).
#ifndef SIM_ADVISE_H
#define SIM_ADVISE_H

#include "sim/points.h"

#include <pthread.h>

typedef enum {
    ADVISE_TENSOR,
    ADVISE_CONTEXT,
    ADVISE_PIPE,
    ADVISE_EXPERT,
    ADVISE_ZERO,
    ADVISE_RECOMPUTE,
    ADVISE_SCHEDULE,  // values: a ScheduleKind + 8 times the stages of a rank
    ADVISE_MICRO_BATCHES,
    ADVISE_BUCKET,  // values: so many times as large
    ADVISE_OPTIONS
} AdviseOption;

typedef enum {
    ADVISE_OPEN,       // by its bound no faster than what was planned
    ADVISE_SIMULATED,  // and fits
    ADVISE_SHORT,      // planned with fewer blocks and micro-batches alone
    ADVISE_PASSED_BY,  // its bound is better, but ADVISE_PATIENCE before it were no better
    ADVISE_DEVICES,    // the degrees do not divide the devices
    ADVISE_BATCH,      // the batch does not divide into data-parallel ranks and micro-batches
    ADVISE_STAGES,     // micro-batches do not suit the stages of the pipeline
    ADVISE_REFUSED,    // job_spec_check() says so
    ADVISE_LEAST,      // weights and states alone are larger than the memory, by the closed form
    ADVISE_MODEL,      // the model cannot be divided so
    ADVISE_MEMORY,     // does not fit, as planned, maybe shorter
    ADVISE_FATES
} AdviseFate;

enum { ADVISE_VALUES = 12, ADVISE_PATIENCE = 96, ADVISE_MOST = 16 };

// What may be chosen. An option with one value is fixed.
typedef struct {
    int values[ADVISE_OPTIONS][ADVISE_VALUES];
    int counts[ADVISE_OPTIONS];
} AdviseSpace;

typedef struct {
    uint8_t at[ADVISE_OPTIONS];  // which value of each
    uint8_t fate;                // an AdviseFate
    int point;                   // that was simulated, or NONE
    bool large;                  // likely does not fit
    int64_t least_bytes;         // of weights and states on a device
    double bound_ms;             // its step takes no less
} AdviseCandidate;

typedef struct {
    JobSpec job;  // as it was asked for: borrows what that does
    int64_t memory_bytes;
    AdviseSpace space;
    AdviseCandidate *candidates;  // in the arena
    int count;
    Point *points;  // in the arena; of those that were planned
    int *of_point;  // the candidate of each
    int point_count;
    int simulated;  // as they are; some may not fit
    int best;       // candidate; NONE: none fits
    bool listed;    // candidates and points are there
    int fates[ADVISE_FATES];
    char why[ADVISE_FATES][STATUS_TEXT];  // an example of those that were refused with words
} Advice;

// How far a search is.
typedef struct {
    const char *what;
    int done, all;   // 0: not known
    double best_ms;  // NaN: nothing was simulated
} AdviseProgress;

// What is asked. Borrowed.
typedef struct {
    const SimJob *job;          // its devices, batch, and all that is not chosen
    const SimSetting *setting;  // on devices
    int64_t memory_bytes;       // that a rank may take; 0: not known
    int threads;
    int most;               // so many are simulated as they are; 0: as many as it takes
    const bool *fixed;      // [ADVISE_OPTIONS]: stays as the job has it
    pthread_mutex_t *lock;  // held where *out changes; NULL: nobody looks meanwhile
    void (*progress)(void *context, const AdviseProgress *p);  // NULL: nobody follows
    void *context;
} AdviseAsk;

// Short plans are as far from the long ones at most, in time and memory.
#define ADVISE_SHORT_ERROR 0.01

// ERR_USAGE when no combination is possible.
Status advise_find(Advice *out, Arena *a, const AdviseAsk *ask) MUST_USE;

// Advice.fates, of what is known until now; a search that has ended has done it.
void advise_count_fates(Advice *v);

// The option's name on a command line; its value in a candidate; the candidate's job.
const char *advise_option_name(AdviseOption option);
int advise_value(const Advice *v, int candidate, AdviseOption option);
void advise_job(JobSpec *out, const Advice *v, int candidate);

// The job as it was asked for, with no option chosen; NONE where that is no candidate.
int advise_plain(const Advice *v);

// Do two candidates differ in this option and no other?
bool advise_differs_only(const Advice *v, int a, int b, AdviseOption *option);

#endif
