// SPDX-License-Identifier: MIT
// Runs by the launcher that train uses, with ranks as threads of this process, so that what they
// end with can be read where it lies.
#include "lessons/engine/trial.h"

#include "core/platform/device_traits.h"
#include "parallel/run/launch.h"

#include <math.h>

JobOptions trial_options(void) {
    JobSpec spec = job_spec_default();
    spec.device = "reference";
    return (JobOptions){
        .spec = spec,
        .data = "digits:count=400",
        .steps = 20,
        .test_fraction = 0.15,
        .comm = COMM_THREAD,
        .info = {.kind = "train",
                 .model = "net",
                 .device = "reference",
                 .comm = "thread",
                 .dtype = "f32"},
    };
}

// --- what rank 0 ends with

typedef struct {
    Trial *out;
    Arena *arena;
    Status status;
    const TrialHook *hook;            // or NULL
    Executor *executors[COMM_RANKS];  // for the hook
} Reader;

static bool is_weight(const Tensor *t) { return t->role == ROLE_PARAMETER && t->alias == NONE; }

// The elements of one parameter, as double.
static Status read_tensor(Reader *r, Executor *e, int tensor, double *to) {
    const Tensor *t = &e->program->tensors[tensor];
    int64_t count = tensor_elements(t);
    void *raw = arena_push(r->arena, (size_t)t->bytes);
    if (!raw) FAIL(ERR_MEMORY, "out of memory for weights");
    TRY(executor_read(e, tensor, raw));
    for (int64_t i = 0; i < count; i++)
        to[i] = t->dtype == DTYPE_F64 ? ((const double *)raw)[i] : (double)((const float *)raw)[i];
    return OK;
}

static Status read_weights(Reader *r, Executor *e) {
    const Program *p = e->program;
    Trial *out = r->out;
    for (int i = 0; i < p->tensor_count; i++)
        if (is_weight(&p->tensors[i])) out->weight_count += tensor_elements(&p->tensors[i]);
    out->weights = ARENA_NEW(r->arena, double, out->weight_count + 1);
    if (!out->weights) FAIL(ERR_MEMORY, "out of memory for weights");
    double *to = out->weights;
    for (int i = 0; i < p->tensor_count; i++) {
        if (!is_weight(&p->tensors[i])) continue;
        TRY(read_tensor(r, e, i, to));
        to += tensor_elements(&p->tensors[i]);
    }
    return OK;
}

// Called in the thread of each rank, as what follows.
static void ready(void *context, Executor *e) {
    Reader *r = context;
    r->executors[e->rank] = e;
}

static void before(void *context, int rank, int plan, int op) {
    Reader *r = context;
    if (r->executors[rank]) r->hook->before(r->hook->context, r->executors[rank], plan, op);
}

// The other ranks only pass.
static void finished(void *context, Executor *e) {
    Reader *r = context;
    if (e->rank != 0) return;
    r->status = read_weights(r, e);
    for (int g = 0; e->comm && g < COMM_GROUPS; g++)
        for (int k = 0; k < COMM_OPERATIONS; k++)
            r->out->taken_bytes += e->comm->counts[g][k].bytes;
}

// --- running

static Status read_report(Trial *out, Arena *a, const Job *job, const Training *t) {
    Report r;
    TRY(launch_report(&r, a, job, t));
    const Timeline *line = &t->shared->results[0].timeline;
    out->loss = ARENA_NEW(a, double, line->step_count + 1);
    if (!out->loss) FAIL(ERR_MEMORY, "out of memory for losses");
    for (int i = 0; i < line->step_count; i++)
        if (line->steps[i].rows) out->loss[out->steps++] = line->steps[i].loss;
    out->held_out_loss = out->accuracy = (double)NAN;
    if (r.evaluation_count) {
        out->held_out_loss = r.evaluations[r.evaluation_count - 1].loss;
        out->accuracy = r.evaluations[r.evaluation_count - 1].accuracy;
    }
    out->step_ms = r.step_ms.median;
    for (int i = 0; i < TIME_COUNT; i++) out->breakdown_ms[i] = r.breakdown_ms[i];
    for (int i = 0; i < MEMORY_COUNT; i++) out->memory[i] = r.memory[0].planned[i];
    out->hash = r.parameters_hash;
    return OK;
}

static Status simulate_times(Trial *out, const LessonRun *run, const JobSpec *spec) {
    Prediction p;
    TRY(trial_predict(&p, run, spec, "laptop"));
    out->step_ms = p.step_ms;
    for (int i = 0; i < TIME_COUNT; i++) out->breakdown_ms[i] = p.report.breakdown_ms[i];
    out->simulated = true;
    return OK;
}

Status trial_train(Trial *out, const LessonRun *run, const JobOptions *options) {
    return trial_train_hooked(out, run, options, NULL);
}

Status trial_train_hooked(Trial *out, const LessonRun *run, const JobOptions *options,
                          const TrialHook *hook) {
    Job job;
    Training t = {0};
    Reader reader = {.out = out, .arena = run->arena, .hook = hook};
    const RunHooks hooks = {
        .context = &reader, .ready = ready, .before = hook ? before : NULL, .finished = finished};
    *out = (Trial){0};
    TRY(job_create(&job, options));
    Status s = launch_run(&t, &job, &hooks);
    if (s == OK) s = reader.status;
    if (s == OK) s = launch_check_divergence(&t, &job);
    if (s == OK) s = read_report(out, run->arena, &job, &t);
    // A thread that is stuck still uses the job, so that it stays until the program ends.
    if (!t.stuck) {
        launch_finish(&t);
        job_destroy(&job);
    }
    if (s == OK && run->virtual_time) s = simulate_times(out, run, &options->spec);
    return s;
}

Status trial_predict(Prediction *out, const LessonRun *run, const JobSpec *spec,
                     const char *platform) {
    Machine *machine = ARENA_NEW(run->arena, Machine, 1);
    char *device = ARENA_NEW(run->arena, char, 64);
    if (!machine || !device) FAIL(ERR_MEMORY, "out of memory for a machine");
    SimJob job = {.spec = *spec};
    snprintf(device, 64, "timed:%s", platform);
    job.spec.device = device;
    TRY(machine_read(machine, run->arena, platform));
    return predict_job(out, run->arena, &job,
                       &(SimSetting){.machine = machine, .devices = !machine->is_host});
}
