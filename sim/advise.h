// SPDX-License-Identifier: MIT
// How should a job be divided over its devices? A search over degrees of the mesh, ZeRO, schedule,
// micro-batches, recomputation and bucket size, with the global batch as it is.
//
// All combinations are listed. Those that do not divide, and those whose weights and states cannot
// fit by the closed form, are rejected at once; the others get estimates of their step and of their
// memory. Then simulating begins: the job as it is and the fastest of those that are likely to fit,
// of each mesh a few, and after them what differs from the best one by one option, until none of
// these is better or enough are simulated. Where one takes more memory than was expected, so is
// expected of others like it. An estimate decides what is simulated, never which is better.
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
    ADVISE_OPEN,       // estimated to be slower than what was simulated
    ADVISE_SIMULATED,  // and fits
    ADVISE_SHORT,      // by plans with fewer blocks and micro-batches, and fits by those
    ADVISE_DEVICES,    // the degrees do not divide the devices
    ADVISE_BATCH,      // the batch does not divide into data-parallel ranks and micro-batches
    ADVISE_STAGES,     // micro-batches do not suit the stages of the pipeline
    ADVISE_REFUSED,    // job_spec_check() says so
    ADVISE_LEAST,      // weights and states alone are larger than the memory, by the closed form
    ADVISE_MODEL,      // the model cannot be divided so
    ADVISE_MEMORY,     // does not fit, as planned
    ADVISE_FATES
} AdviseFate;

enum { ADVISE_VALUES = 12 };

// What may be chosen. An option with one value is fixed.
typedef struct {
    int values[ADVISE_OPTIONS][ADVISE_VALUES];
    int counts[ADVISE_OPTIONS];
} AdviseSpace;

typedef struct {
    uint8_t at[ADVISE_OPTIONS];  // which value of each
    uint8_t fate;                // an AdviseFate
    int point;                   // that was simulated, or NONE
    int64_t least_bytes;         // of weights and states on a device
    double estimate_ms, likely_bytes;  // about: of its step, and on the device that needs most
} AdviseCandidate;

typedef struct {
    JobSpec job;  // as it was asked for: borrows what that does
    int64_t memory_bytes;
    AdviseSpace space;
    AdviseCandidate *candidates;  // in the arena
    int count;
    bool listed;    // the candidates, and points are there
    Point *points;  // in the arena; of those that were simulated
    int *of_point;  // the candidate of each
    int simulated;  // points; some may not fit, and some are of short plans
    int best;       // candidate, of which there is no short plan at the end; NONE: none fits
    int fates[ADVISE_FATES];
    char why[ADVISE_FATES][STATUS_TEXT];  // an example of those that were refused with words
} Advice;

// How far a search is.
typedef struct {
    const char *what;
    int done, all;   // 0: not known
    double best_ms;  // NaN: nothing that fits was simulated
} AdviseProgress;

// What is asked. Borrowed.
typedef struct {
    const SimJob *job;          // its devices, batch, and all that is not chosen
    const SimSetting *setting;  // on devices
    int64_t memory_bytes;       // that a rank may take; 0: not known
    int threads;
    int most;               // so many are simulated; 0: ADVISE_MOST
    const bool *fixed;      // [ADVISE_OPTIONS]: stays as the job has it
    pthread_mutex_t *lock;  // held where *out changes and progress() runs; NULL: nobody looks
    void (*progress)(void *context, const AdviseProgress *p);  // NULL: nobody follows
    void *context;
} AdviseAsk;
enum { ADVISE_MOST = 48 };

// Fails as predict_job() does, but for errors of one candidate alone.
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
