// SPDX-License-Identifier: MIT
// The numerical signature of a fault: what ranks hold, read while they train. Read fault_train(),
// then before(), where faults of single operations are put in; fault_of_numbers() is the diagnosis.
#include "lessons/faults/fault_internal.h"

#include "core/base/hash.h"
#include "lessons/engine/trial.h"
#include "parallel/run/launch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// When weights are read: before the first step, after it, before the last one.
enum { READ_FIRST, READ_SECOND, READ_LAST, READS };

typedef struct {
    const Fault *fault;
    const Job *job;
    int64_t count;                            // of a rank's weights
    float *weights[FAULT_RANKS][READS];       // [count]
    float *kept[FAULT_RANKS];                 // [count] the gradients of the step before
    uint64_t rows[FAULT_RANKS][FAULT_STEPS];  // hash of the rows of each step
    int64_t begun[FAULT_RANKS];               // steps that each rank has begun
    Executor *executor[FAULT_RANKS];
    double loss[FAULT_STEPS];
} Laboratory;

// --- what ranks hold

static bool is_weight(const Tensor *t) { return t->role == ROLE_PARAMETER && t->alias == NONE; }

static void read_weights(const Laboratory *l, int rank, int which) {
    const Executor *e = l->executor[rank];
    float *to = l->weights[rank][which];
    for (int t = 0; t < e->program->tensor_count; t++) {
        const Tensor *tensor = &e->program->tensors[t];
        if (!is_weight(tensor)) continue;
        memcpy(to, executor_data(e, t), (size_t)tensor->bytes);
        to += tensor_elements(tensor);
    }
}

// The samples that this rank has in this step: what its load has written.
static uint64_t rows_hash(const Executor *e, const Plan *step) {
    const Program *p = e->program;
    uint64_t hash = HASH_START;
    for (int i = 0; i < step->op_count; i++)
        for (int o = 0; o < step->ops[i].outputs && op_kind(p, &step->ops[i]) == KIND_LOAD; o++) {
            int t = op_outputs(step, &step->ops[i])[o];
            const Tensor *x = &p->tensors[t];
            int64_t rows = *(const int64_t *)executor_data(e, x->extent);
            hash = hash_bytes(hash, executor_data(e, t), (size_t)(x->bytes / x->shape[0] * rows));
        }
    return hash;
}

// --- faults of one operation

// What the loss's gradient is divided by: the rows of this rank alone, or as if all ranks had as
// many as it has.
static void divide_by_own_rows(Executor *e, const int32_t *inputs, int count, int times) {
    const Program *p = e->program;
    const Tensor *labels = NULL;
    for (int i = 0; i < count; i++)
        if (p->tensors[inputs[i]].extent != NONE) labels = &p->tensors[inputs[i]];
    for (int i = 0; i < count; i++) {
        if (p->tensors[inputs[i]].source != SCALAR_INVERSE_COUNT || !labels) continue;
        int64_t rows = *(const int64_t *)executor_data(e, labels->extent);
        executor_set_f64(e, inputs[i], rows ? 1.0 / (double)(times * rows) : 0);
    }
}

// The gradients that an update reads are exchanged for those of the step before.
static void exchange_gradients(const Laboratory *l, const Executor *e, const int32_t *inputs,
                               int count) {
    const Program *p = e->program;
    for (int i = 0; i < count; i++) {
        float *kept = l->kept[e->rank];
        for (int t = 0; t < inputs[i]; t++)
            if (p->tensors[t].role == ROLE_GRADIENT && p->tensors[t].alias == NONE)
                kept += tensor_elements(&p->tensors[t]);
        if (p->tensors[inputs[i]].role != ROLE_GRADIENT) continue;
        float *now = executor_data(e, inputs[i]);
        for (int64_t k = 0; k < tensor_elements(&p->tensors[inputs[i]]); k++) {
            float before = kept[k];
            kept[k] = now[k];
            now[k] = before;
        }
    }
}

static void before(void *context, int rank, int plan, int op_index) {
    Laboratory *l = context;
    Executor *e = l->executor[rank];
    if (plan != l->job->plan_step) return;
    const Plan *step = &e->program->plans[plan];
    const Op *op = &step->ops[op_index];
    const int32_t *inputs = op_inputs(step, op);
    if (l->begun[rank] == e->step) {
        if (e->step < 2) read_weights(l, rank, e->step == 0 ? READ_FIRST : READ_SECOND);
        if (e->step == FAULT_STEPS - 1) read_weights(l, rank, READ_LAST);
        l->begun[rank]++;
    }
    if (op_kind(e->program, op) == KIND_CROSS_ENTROPY_BACKWARD) {
        l->rows[rank][e->step] = rows_hash(e, step);
        if (l->fault->kind == FAULT_SUM) divide_by_own_rows(e, inputs, op->inputs, 1);
        if (l->fault->kind == FAULT_WEIGHTING)
            divide_by_own_rows(e, inputs, op->inputs, FAULT_RANKS);
    }
    if (l->fault->kind == FAULT_STALE && op_work(e->program, op)->phase == PHASE_UPDATE)
        exchange_gradients(l, e, inputs, op->inputs);
}

// Without the broadcast each rank begins with weights of its own.
static void ready(void *context, Executor *e) {
    Laboratory *l = context;
    const Program *p = e->program;
    l->executor[e->rank] = e;
    for (int t = 0; t < p->tensor_count && l->fault->kind == FAULT_BROADCAST; t++)
        if (is_weight(&p->tensors[t]))
            model_initialise_piece(p, &p->tensors[t], e->rank,
                                   (uint64_t)(l->job->options.spec.seed + e->rank),
                                   executor_data(e, t));
}

static void progress(void *context, const Job *job, const Turn *turn, const StepRecord *step,
                     const Evaluation *evaluation) {
    Laboratory *l = context;
    if (job_when(job, turn) == WHEN_EACH_STEP) l->loss[turn->step] = step->loss;
}

// --- runs

static JobOptions training_of(const Fault *fault, int ranks) {
    JobOptions o = trial_options();
    o.spec.model = "linear";
    o.spec.ranks = ranks;
    o.spec.shards = FAULT_RANKS;
    o.spec.batch = 6;  // 1, 2, 1 and 2 rows
    o.data = "digits:count=40";
    o.steps = FAULT_STEPS;
    o.same_order = fault->kind == FAULT_SHUFFLE;
    if (fault->kind == FAULT_DTYPE) o.spec.strategy.compress.word = COMPRESS_BF16;
    return o;
}

static Status make_room(Laboratory *l, Arena *a) {
    const Program *p = &l->job->set.programs[0];
    for (int t = 0; t < p->tensor_count; t++)
        if (is_weight(&p->tensors[t])) l->count += tensor_elements(&p->tensors[t]);
    for (int r = 0; r < FAULT_RANKS; r++) {
        l->kept[r] = ARENA_NEW(a, float, l->count);
        if (!l->kept[r]) FAIL(ERR_MEMORY, "out of memory for gradients");
        for (int k = 0; k < READS; k++) {
            l->weights[r][k] = ARENA_NEW(a, float, l->count);
            if (!l->weights[r][k]) FAIL(ERR_MEMORY, "out of memory for weights");
        }
    }
    return OK;
}

// *refused: what the trainer says of ranks that disagree.
static Status train(Laboratory *l, const char **refused, Arena *a, Job *job) {
    const RunHooks hooks = {.context = l, .progress = progress, .before = before, .ready = ready};
    Training t = {0};
    l->job = job;
    if (l->fault->kind == FAULT_BROADCAST || l->fault->kind == FAULT_ORDER)
        TRY(fault_edit_job(job, l->fault));
    TRY(make_room(l, a));
    Status s = launch_run(&t, job, &hooks);
    launch_finish(&t);
    if (s != ERR_PLAN && s != ERR_FAILED) return s;
    *refused = arena_string(a, status_message());
    return *refused ? OK : ERR_MEMORY;
}

static Status run_one(Laboratory *l, const char **refused, Arena *a, const Fault *fault,
                      int ranks) {
    Job job;
    const JobOptions o = training_of(fault, ranks);
    *l = (Laboratory){.fault = fault};
    for (int i = 0; i < FAULT_STEPS; i++) l->loss[i] = (double)NAN;
    TRY(job_create(&job, &o));
    Status s = train(l, refused, a, &job);
    job_destroy(&job);
    return s;
}

// --- the signature

static double distance(const float *a, const float *b, const float *c, const float *d,
                       int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double apart = ((double)a[i] - (double)b[i]) - ((double)c[i] - (double)d[i]);
        sum += apart * apart;
    }
    return sqrt(sum);
}

static double ranks_apart(const Laboratory *l) {
    double most = 0;
    for (int r = 1; r < FAULT_RANKS; r++)
        for (int64_t i = 0; i < l->count; i++)
            most = fmax(most, fabs((double)l->weights[r][READ_LAST][i] -
                                   (double)l->weights[0][READ_LAST][i]));
    return most;
}

static double repeated(const Laboratory *l, int64_t batches) {
    int again = 0;
    for (int64_t s = batches; s < FAULT_STEPS; s++) {
        bool same = true;
        for (int r = 0; r < FAULT_RANKS; r++)
            same = same && l->rows[r][s] == l->rows[r][s % batches];
        again += same && l->begun[0] > s;
    }
    return (double)again / (double)(FAULT_STEPS - batches);
}

Status fault_train(FaultNumbers *out, const LessonRun *run, const Fault *fault) {
    enum { BATCHES = 6 };  // an epoch of 34 rows
    const Fault none = {.kind = FAULT_NONE};
    Laboratory *good = calloc(2, sizeof *good), *bad = good + 1;
    const char *refused = NULL;
    *out = (FaultNumbers){0};
    if (!good) FAIL(ERR_MEMORY, "out of memory for a run");
    Status s = run_one(good, &refused, run->arena, &none, 1);
    if (s == OK && refused) s = status_fail(ERR_FAILED, __FILE__, __LINE__, "%s", refused);
    if (s == OK) s = run_one(bad, &out->refused, run->arena, fault, FAULT_RANKS);
    if (s == OK) {
        float *const *w = bad->weights[0], *const *v = good->weights[0];
        double length = distance(v[READ_SECOND], v[READ_FIRST], v[0], v[0], good->count);
        out->first_update =
            distance(w[READ_SECOND], w[READ_FIRST], w[0], w[0], bad->count) / length;
        out->apart =
            distance(w[READ_SECOND], w[READ_FIRST], v[READ_SECOND], v[READ_FIRST], bad->count) /
            length;
        out->ranks_apart = ranks_apart(bad);
        out->repeated = repeated(bad, BATCHES);
        memcpy(out->loss, bad->loss, sizeof out->loss);
    }
    free(good);
    return s;
}

FaultKind fault_of_numbers(const FaultNumbers *n) {
    const double rounding = 1.0 / 128;  // twice what bf16, of 8 bits, can be off in the mean
    if (n->ranks_apart > 0) return FAULT_BROADCAST;
    if (n->refused) return FAULT_ORDER;
    if (n->first_update == 0) return FAULT_STALE;
    if (n->first_update > 1.5) return FAULT_SUM;
    if (n->repeated > 0) return FAULT_SHUFFLE;
    if (n->apart == 0) return FAULT_NONE;
    return n->apart > rounding ? FAULT_WEIGHTING : FAULT_DTYPE;
}
