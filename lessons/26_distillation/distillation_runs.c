// SPDX-License-Identifier: MIT
// Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015. The teacher's
// forward pass is that of the trainer's executor as well, through a probe.
#include "lessons/26_distillation/distillation_runs.h"

#include "core/nn/model.h"
#include "lessons/engine/probe.h"

#include <float.h>
#include <math.h>

enum { ROWS = 20, STEPS = 60, PIXELS = 784, CLASSES = 10 };
#define TEACHER "mlp:layers=1,hidden=48"
#define STUDENT "mlp:layers=1,hidden=8"

// --- formulas

void distillation_softmax(double p[], const double z[], int count, double temperature) {
    double most = z[0], sum = 0;
    for (int i = 1; i < count; i++) most = fmax(most, z[i]);
    for (int i = 0; i < count; i++) sum += p[i] = exp((z[i] - most) / temperature);
    for (int i = 0; i < count; i++) p[i] /= sum;
}

double distillation_loss(const double student[], const double teacher[], int count,
                         double temperature) {
    double q[DISTILL_CLASSES], p[DISTILL_CLASSES], loss = 0;
    distillation_softmax(q, student, count, temperature);
    distillation_softmax(p, teacher, count, temperature);
    for (int i = 0; i < count; i++) loss -= p[i] * log(q[i]);
    return temperature * temperature * loss;
}

static Status count_parameters(double *out, const LessonRun *run, const char *model) {
    Model m;
    TRY(model_read(&m, run->arena, model));
    *out = (double)model_parameters(&m);
    return OK;
}

Status distillation_draw(const LessonRun *run, void *state) {
    Distillation *x = state;
    Rng r = lesson_rng(run, 0);
    for (int i = 0; i < DISTILL_CLASSES; i++) {
        x->logit[i] = round(10 * (6 * (double)rng_float(&r))) / 10;
        x->student[i] = round(10 * (4 * (double)rng_float(&r) - 2)) / 10;
        if (x->logit[i] > x->logit[x->likeliest]) x->likeliest = i;
    }
    x->temperature = 2 + (int)rng_below(&r, 4);
    x->asked = (x->likeliest + 1 + (int)rng_below(&r, DISTILL_CLASSES - 1)) % DISTILL_CLASSES;
    x->numeric = (double)NAN;
    for (int k = 0; k < RUNS; k++)
        TRY(count_parameters(&x->parameters[k], run, k == RUN_TEACHER ? TEACHER : STUDENT));
    return OK;
}

Status distillation_differences(const LessonRun *run, void *state) {
    Distillation *x = state;
    const double h = 1e-5;
    double up[DISTILL_CLASSES], down[DISTILL_CLASSES];
    for (int i = 0; i < DISTILL_CLASSES; i++) up[i] = down[i] = x->student[i];
    up[x->asked] += h;
    down[x->asked] -= h;
    x->numeric = (distillation_loss(up, x->logit, DISTILL_CLASSES, x->temperature) -
                  distillation_loss(down, x->logit, DISTILL_CLASSES, x->temperature)) /
                 (2 * h);
    return OK;
}

// --- training with a teacher

typedef struct {
    Probe net;
    double x[ROWS * PIXELS], temperature;
    const double *logits;  // of the teacher, for the rows that it was shown last
    float pixels[ROWS * PIXELS], student[ROWS * CLASSES], gradient[ROWS * CLASSES];
    int32_t labels[ROWS], rows[ROWS];
    Status status;
} Teacher;

// The first operation of a kind in a plan; NULL: there is none.
static const Op *find(const Program *p, const Plan *k, Kind kind) {
    for (int i = 0; i < k->op_count; i++)
        if (op_kind(p, &k->ops[i]) == kind) return &k->ops[i];
    return NULL;
}

// The gradient by the logits, T (q - p) of each row, divided by the rows: that of T^2 times the
// cross-entropy. Labels are in none of it. Of the student its probabilities are kept: their
// logarithms are its logits, but for a number that softmax does not see.
static Status teach(Teacher *t, Executor *e, const Plan *k) {
    const Program *p = e->program;
    const Op *load = find(p, k, KIND_LOAD), *back = find(p, k, KIND_CROSS_ENTROPY_BACKWARD);
    if (!load || !back) FAIL(ERR_FAILED, "the step has no loss that is known");
    TRY(executor_read(e, op_outputs(k, load)[0], t->pixels));
    TRY(executor_read(e, op_inputs(k, back)[0], t->student));
    for (int i = 0; i < ROWS * PIXELS; i++) t->x[i] = (double)t->pixels[i];
    TRY(probe_step(&t->net, t->rows, ROWS, 0));
    for (int row = 0; row < ROWS; row++) {
        double q[CLASSES], soft[CLASSES], own[CLASSES];
        for (int i = 0; i < CLASSES; i++)
            own[i] = log(fmax((double)t->student[row * CLASSES + i], (double)FLT_MIN));
        distillation_softmax(q, own, CLASSES, t->temperature);
        distillation_softmax(soft, t->logits + (ptrdiff_t)row * CLASSES, CLASSES, t->temperature);
        for (int i = 0; i < CLASSES; i++)
            t->gradient[row * CLASSES + i] = (float)(t->temperature * (q[i] - soft[i]) / ROWS);
    }
    return OK;
}

// Computed before the gradient of the labels is, and put in its place before anything uses it.
static void before(void *context, Executor *e, int plan, int op) {
    Teacher *t = context;
    const Plan *k = &e->program->plans[plan];
    if (t->status == OK && op_kind(e->program, &k->ops[op]) == KIND_CROSS_ENTROPY_BACKWARD)
        t->status = teach(t, e, k);
    if (t->status != OK || op == 0) return;
    const Op *last = &k->ops[op - 1];
    if (op_kind(e->program, last) == KIND_CROSS_ENTROPY_BACKWARD)
        t->status = executor_write(e, op_outputs(k, last)[0], t->gradient);
}

static JobOptions options_of(const LessonRun *run, const char *model) {
    JobOptions o = trial_options();
    o.spec.model = model;
    o.spec.batch = ROWS;
    o.spec.learning_rate = 0.02;
    o.spec.seed = (int64_t)(run->seed % 100000) + 1;
    o.steps = STEPS;
    return o;
}

static Status make_teacher(Teacher *t, const LessonRun *run, const Trial *trained) {
    for (int i = 0; i < ROWS; i++) t->rows[i] = i;
    TRY(probe_create(
        &t->net, run->arena,
        &(ProbeOptions){
            .model = TEACHER, .dtype = DTYPE_F32, .rows = ROWS, .x = t->x, .labels = t->labels}));
    if (t->net.weight_count != trained->weight_count)
        FAIL(ERR_FAILED, "the teacher has other weights than it was trained with");
    probe_set_weights(&t->net, trained->weights);
    t->logits = probe_watch(&t->net, "logits.y");
    if (!t->logits) FAIL(ERR_FAILED, "the teacher's logits are not found");
    return OK;
}

// The rank's thread has its own last error: the status alone comes back from it.
static Status train_student(Trial *out, const LessonRun *run, Teacher *t, double temperature) {
    JobOptions o = options_of(run, STUDENT);
    LessonRun real = *run;  // no time is shown
    const TrialHook hook = {t, before};
    t->temperature = temperature;
    real.virtual_time = false;
    TRY(trial_train_hooked(out, &real, &o, temperature > 0 ? &hook : NULL));
    if (t->status != OK) FAIL(t->status, "the teacher's targets could not be computed");
    return OK;
}

static Status train_students(const LessonRun *run, Distillation *x, Teacher *t) {
    TRY(make_teacher(t, run, &x->trained[RUN_TEACHER]));
    TRY(train_student(&x->trained[RUN_LABELS], run, t, 0));
    TRY(train_student(&x->trained[RUN_SHARP], run, t, 1));
    return train_student(&x->trained[RUN_SOFT], run, t, x->temperature);
}

Status distillation_train(const LessonRun *run, void *state) {
    Distillation *x = state;
    JobOptions o = options_of(run, TEACHER);
    LessonRun real = *run;
    Teacher *t = ARENA_NEW(run->arena, Teacher, 1);
    if (!t) FAIL(ERR_MEMORY, "out of memory for a teacher");
    real.virtual_time = false;
    o.steps = (int64_t)2 * STEPS;
    TRY(trial_train(&x->trained[RUN_TEACHER], &real, &o));
    Status s = train_students(run, x, t);
    probe_destroy(&t->net);
    x->ran = s == OK;
    return s;
}
