// SPDX-License-Identifier: MIT
// A job: what the plan of a training step, and with it every bit of a result, depends on. train
// executes it, sim predicts what it takes, traces and reports remember it.
//
// To give jobs another option: a row in job_rows.h, a field here, and its use. Parsing, help, the
// default, what traces and reports keep, and what a replay or a plan excludes follow from the row.
#ifndef PARALLEL_STRATEGY_JOB_SPEC_H
#define PARALLEL_STRATEGY_JOB_SPEC_H

#include "core/cli/option.h"
#include "core/cli/option_value.h"
#include "core/nn/model.h"
#include "core/record/run_info.h"
#include "parallel/strategy/strategy.h"

typedef enum { RATE_CONSTANT, RATE_STEP, RATE_COSINE } RateSchedule;
typedef enum { ON_NAN_STOP, ON_NAN_SKIP } OnNan;
typedef enum { LOSS_SCALE_NONE, LOSS_SCALE_DYNAMIC, LOSS_SCALE_CONSTANT } LossScale;
enum { LOSS_SCALE_FIRST = 1 << 16 };
// Strings are borrowed. Zeroed, it is no job: job_spec_default() is.
typedef struct {
    const char *model;      // a built-in name, or a file
    int experts, top_k;     // of its parameters of these names; 0: as `model` says
    const char *device;     // whose kernels: "cpu", "reference", or "timed:PLATFORM"
    const char *plan_file;  // this program instead of the strategy's; NULL
    Dtype dtype;
    int ranks;               // all of them
    Mesh mesh;               // how they are divided; data 0: what the other axes leave
    const char *mesh_order;  // its axes, the outermost first; NULL: MESH_ORDER
    int shards;              // of a batch; 0: as many as data-parallel ranks
    int micro_batches;       // of a shard
    int64_t batch;           // rows of the global batch
    int64_t seed;
    double learning_rate;
    int64_t warm_up_steps;  // the learning rate rises over so many first steps
    RateSchedule schedule;  // and then
    int64_t lr_step_size;   // of RATE_STEP: is multiplied by lr_gamma after each so many steps
    double lr_gamma, lr_min;
    int64_t lr_decay_steps;  // of RATE_COSINE: has fallen to lr_min; 0: when the run ends
    OnNan on_nan;
    OptionForm loss_scale;     // a LossScale, and its size: a power of two; 0: LOSS_SCALE_FIRST
    int64_t loss_scale_every;  // of a dynamic one: so many good steps double it
    double label_smoothing;    // share of a label that all classes get
    Optimizer optimizer;
    const char *freeze;        // patterns of parameters that are not trained; NULL
    StrategyOptions strategy;  // its local_shards follows from the shards
} JobSpec;

// The job of a program that is given no option, on one rank of the default device.
JobSpec job_spec_default(void);

// Ranks that have one part of the batch together: tp x pp x cp.
static inline int job_spec_model_ranks(const JobSpec *s) {
    Mesh m = s->mesh;
    m.data = 1;
    return (int)mesh_ranks(&m);
}

// Places along the mesh that each have a part of the batch: dp.
static inline int job_spec_data_ranks(const JobSpec *s) {
    return s->mesh.data ? s->mesh.data : s->ranks / job_spec_model_ranks(s);
}

// All ranks of the degrees that are given, where --ranks is not; 1 without any.
int64_t job_spec_mesh_ranks(const JobSpec *s);

// Shards of a batch, and how many of them a rank computes, one after the other.
static inline int job_spec_shards(const JobSpec *s) {
    return s->shards ? s->shards : job_spec_data_ranks(s);
}
static inline int job_spec_local_shards(const JobSpec *s) {
    return job_spec_shards(s) / job_spec_data_ranks(s);
}

// The mesh of all ranks, with its order. ERR_USAGE when the degrees are not those of the ranks: the
// product, and what would do.
Status job_spec_mesh(Mesh *out, const JobSpec *s) MUST_USE;

// Do its numbers fit each other? ERR_USAGE says which do not, and what to give. Whoever makes a
// job calls this first: it bounds the size of the plan.
Status job_spec_check(const JobSpec *s) MUST_USE;

// The same for a pipeline; and the micro-batches that a shard has in it by default: 2 a stage.
Status job_spec_check_pipeline(const JobSpec *s) MUST_USE;
Status job_spec_check_experts(const JobSpec *s) MUST_USE;  // the same for --ep
int job_spec_pipeline_micro_batches(const JobSpec *s);

// The marks (job_rows.h) of options that belong to another optimizer, schedule or strategy.
unsigned job_spec_unused(const JobSpec *s);

// Whether an option changes anything in this job: of one rank, which sends nothing, those between
// ranks do not, but for compression with error feedback.
bool job_spec_has_effect(const JobSpec *s, const Option *o);

// The form in which gradients are sent, as typed: "powersgd:2".
const char *job_spec_compress(char out[OPTION_VALUE], const JobSpec *s);

// The learning rate of a step, counted from 0, of a run of `steps`: in equal parts up to the whole
// one, which the last step of the warm-up has, as torch.optim.lr_scheduler.LinearLR from 1/N.
// Then, t steps after the warm-up, lr gamma^floor(t / size), as StepLR, or as CosineAnnealingLR
// min + (lr - min) (1 + cos(pi t / T)) / 2, where T is what the warm-up leaves of the steps.
double job_spec_learning_rate(const JobSpec *s, int64_t step, int64_t steps);

// The model of a job, in the arena, frozen as the job says; as model_read() and model_freeze().
Status job_spec_model(Model *out, Arena *a, const JobSpec *s) MUST_USE;

// The programs of all ranks, before lowering: what --print-plan file prints. From the model and the
// strategy, whatever plan_file says. The job must pass job_spec_check(). On failure *out is zeroed.
Status job_spec_programs(ProgramSet *out, const JobSpec *s, const Model *model) MUST_USE;

// The stage of each layer, in the arena. Stage k is at place k mod P of the P along "pipe".
Status job_spec_stages(int **out, Arena *a, const JobSpec *s, const Model *model) MUST_USE;

// What a trace or report says of a job: model, device, type, sizes, and the settings of strategy
// and optimizer, in the arena, with `count` more of the strategy behind them. Kind, communicator
// and command line are the caller's to fill in. ERR_MEMORY.
Status job_spec_describe(RunInfo *out, Arena *a, const JobSpec *s, const RunSetting *more,
                         int count) MUST_USE;

// The other way: the job that was run. Options that the description does not know have their
// defaults. ERR_FORMAT names the setting that cannot be understood.
Status job_spec_recorded(JobSpec *out, const RunInfo *run) MUST_USE;

// A setting of a run's strategy, as text; NULL: there is none.
const char *job_spec_setting(const RunInfo *run, const char *key);

// Take those options from `values` that were on a command line.
void job_spec_take_given(JobSpec *s, const JobSpec *values, const OptionLine *line);

#endif
