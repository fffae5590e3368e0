// SPDX-License-Identifier: MIT
// The fault zoo: twelve faults in real training runs and in predictions of them. The trainer knows
// none: a fault is an option of the job, an edit of the lowered plan, or what a rank does before
// an operation of its plan.
//
//     word        put in                              shows in numbers           shows in time
//     sum         1 / rows of each rank's own rows    the update is as long as
//                                                     there are ranks
//     broadcast   rank 0's parameters are not sent    ranks have other weights
//     weighting   every rank's mean counts alike      the update is another
//     shuffle     each epoch in the first one's order the same batches again
//     dtype       gradients are summed in bf16        the update is rounded      half the bytes
//     order       one rank swaps two collectives      the run is refused         no step ends
//     stale       updates use the last step's sums    the first update is none   updates do not
//                                                                                wait
//     slow_rank   one rank computes longer                                       others wait
//     slow_link   links carry less                                               the same bytes,
//                                                                                longer
//     buckets     a bucket for each gradient                                     more collectives
//     overlap     sums begin behind the backward                                 all is exposed
//     stages      one stage has most of the work                                 a bubble
//
// An uneven batch is what weighting needs, and stages need a pipeline: fault_job() sees to it.
#ifndef LESSONS_FAULTS_FAULT_H
#define LESSONS_FAULTS_FAULT_H

#include "lessons/engine/lesson.h"
#include "parallel/run/job.h"
#include "sim/predict.h"

// X(constant, word)
// clang-format off
#define FAULT_LIST(X)                                                                         \
    X(SUM, "sum") X(BROADCAST, "broadcast") X(WEIGHTING, "weighting") X(SHUFFLE, "shuffle")   \
    X(DTYPE, "dtype") X(ORDER, "order") X(STALE, "stale") X(SLOW_RANK, "slow_rank")           \
    X(SLOW_LINK, "slow_link") X(BUCKETS, "buckets") X(OVERLAP, "overlap") X(STAGES, "stages")
// clang-format on
typedef enum {
    FAULT_NONE,
#define X(constant, word) FAULT_##constant,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT
} FaultKind;

enum { FAULT_RANKS = 4, FAULT_STEPS = 12 };

typedef struct {
    FaultKind kind;
    int rank;      // of a slow rank, or of one that swaps collectives
    int permille;  // how much slower a rank or a link is, in thousandths
} Fault;

// Which rank, and how much, from a seed.
Fault fault_draw(FaultKind kind, uint64_t seed);

// "slow_rank:3": a fault and a seed. ERR_USAGE with the nearest word.
Status fault_parse(Fault *out, const char *text) MUST_USE;

const char *fault_word(FaultKind kind);
const char *fault_title(FaultKind kind);  // in a few words, and what mends it; translated
const char *fault_fix(FaultKind kind);
static inline bool fault_is_of_numbers(FaultKind kind) {
    return kind >= FAULT_SUM && kind <= FAULT_STALE;
}

// --- numbers, of real runs

// What a run shows, beside one process that computes the same.
typedef struct {
    const char *refused;  // what the trainer said when it did not end well; NULL: it ended well
    double first_update;  // length of the first update, over the same of one process
    double apart;         // distance of both first updates, over the same
    double ranks_apart;   // largest difference between weights of two ranks before the last step
    double repeated;      // share of later epochs' batches with the rows of the first epoch's
    double loss[FAULT_STEPS];
} FaultNumbers;

// Train `linear` on FAULT_RANKS ranks with the fault, and on one without.
Status fault_train(FaultNumbers *out, const LessonRun *run, const Fault *fault) MUST_USE;

// What the numbers say: a fault of numbers, or FAULT_NONE.
FaultKind fault_of_numbers(const FaultNumbers *n);

// --- times

// A step on the built-in machine `laptop`, a device a rank, on links of their own.
typedef struct {
    const char *stuck;  // why no step ends; NULL: they do
    double step_ms, compute_ms, exposed_ms, waiting_ms, bubble_ms, comm_ms;  // mean over ranks
    double payload_bytes;  // that a rank communicates in a step
    double update_gap_ms;  // that updates waited after the end of the backward
    int collectives;       // of a rank in a step
    bool measured;         // by the trainer, on a device that is described; else simulated
    const ReportCritical *critical;  // of a simulation without a pipeline; NULL: not made
} FaultTimes;

// The job that its timeline is of; `pipeline`: in two stages.
JobOptions fault_job(const Fault *fault, bool pipeline);

// Simulate it; rank number `faster`, or of a pipeline the ranks of that stage, have devices that
// are twice as fast; or NONE.
Status fault_predict(FaultTimes *out, const LessonRun *run, const Fault *fault, bool pipeline,
                     int faster) MUST_USE;

// Execute it with the trainer, on devices that wait as long as the machine's would compute.
Status fault_execute(FaultTimes *out, const LessonRun *run, const Fault *fault,
                     bool pipeline) MUST_USE;

// What times say beside those of a step without a fault: a fault of times, or those of numbers
// that show in time; else FAULT_NONE.
FaultKind fault_of_times(const FaultTimes *healthy, const FaultTimes *seen);

#endif
