// SPDX-License-Identifier: MIT
// The numbers of lesson 6: from the plan of a step, the description of a laptop, and a calibration
// of this host (parallel/calibrate).
#include "lessons/06_device/roofline.h"

#include "core/plan/flops.h"
#include "core/plan/moved.h"
#include "core/platform/device_model.h"
#include "lessons/engine/trial.h"
#include "parallel/calibrate/calibrate.h"

#include <stdio.h>
#include <string.h>

// --- by formula: two flops a multiply-add

double roofline_forward(const Roofline *x) {
    double h = x->hidden;
    return 2.0 * x->rows * (PIXELS * h + h * h + h * CLASSES);
}

// Nothing before the first layer is trained, so it needs no gradient of its input.
double roofline_backward_input(const Roofline *x) {
    double h = x->hidden;
    return 2.0 * x->rows * (h * h + h * CLASSES);
}

double roofline_weights(const Roofline *x) {
    double h = x->hidden;
    return (PIXELS + 1) * h + (h + 1) * h + (h + 1) * CLASSES;
}

// --- the plan

static JobOptions options_of(Arena *a, const Roofline *x) {
    JobOptions o = trial_options();
    char *model = ARENA_NEW(a, char, 64);
    if (model) snprintf(model, 64, "mlp:hidden=%d,layers=2", x->hidden);
    o.spec.model = model;
    o.spec.batch = x->rows;
    o.spec.optimizer =
        (Optimizer){.kind = OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    o.data = "digits:count=700";
    return o;
}

static bool is_asked(const char *name, KernelAsked *out) {
    static const char *const names[KERNEL_ASKED] = {"fc1.forward", "logits.forward",
                                                    "adam.fc1.weight"};
    for (int i = 0; i < KERNEL_ASKED; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (KernelAsked)i;
            return true;
        }
    return false;
}

static Status read_plan(Roofline *x, Arena *a, const Job *job, const DeviceModel *laptop) {
    const Program *p = job_program(job, 0);
    const Plan *plan = &p->plans[job->plan_step];
    x->counted_flops = 0;
    x->kernel_count = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Work *w = op_work(p, op);
        int64_t flops;
        KernelAsked which;
        TRY(flops_of_op(p, plan, op, &flops));
        x->counted_flops += flops;
        if (kind_class((Kind)w->kind) != CLASS_COMPUTE || x->kernel_count == MOST_KERNELS) continue;
        char *name = ARENA_NEW(a, char, strlen(op_name(p, op)) + 1);
        if (!name) FAIL(ERR_MEMORY, "out of memory for names");
        RooflineKernel *k = &x->kernels[x->kernel_count++];
        *k = (RooflineKernel){.name = strcpy(name, op_name(p, op)),
                              .flops = flops,
                              .bytes = moved_bytes(p, plan, op),
                              .modelled_s = (double)device_model_ps(laptop, p, plan, op) * 1e-12};
        if (is_asked(k->name, &which)) x->asked[which] = *k;
    }
    for (int m = 0; m < MEMORY_COUNT; m++) x->memory[m] = program_memory(p, (Memory)m);
    return OK;
}

static Status plan_step(Roofline *x, const LessonRun *run) {
    Machine laptop;
    Job job;
    JobOptions o = options_of(run->arena, x);
    o.plan_only = true;
    TRY(machine_read(&laptop, run->arena, "laptop"));
    const DeviceModel *d = &laptop.device;
    x->laptop_share = d->flops_permille / 1000.0;
    x->flops_per_s = (double)d->flops_per_s[DTYPE_F32] * x->laptop_share;
    x->bytes_per_s = (double)d->memory_bytes_per_s * d->memory_permille / 1000;
    TRY(job_create(&job, &o));
    Status s = read_plan(x, run->arena, &job, d);
    job_destroy(&job);
    return s;
}

Status roofline_draw(const LessonRun *run, void *state) {
    Roofline *x = state;
    Rng r = lesson_rng(run, 0);
    bool small = rng_below(&r, 2);
    x->hidden = small ? 192 + 16 * (int)rng_below(&r, 5) : 48 + 8 * (int)rng_below(&r, 7);
    x->rows = small ? 2 + (int)rng_below(&r, 3) : 256 + 64 * (int)rng_below(&r, 5);
    return plan_step(x, run);
}

// --- this host

static void take_time(RooflineKernel *k, const Calibration *c) {
    const OperationTime *t = calibration_find_like(c, k->name, k->flops, k->bytes);
    if (t && t->solo_ps.known) k->measured_s = (double)t->solo_ps.median * 1e-12;
}

static void take_calibration(Roofline *x, const Calibration *c) {
    x->flops_per_s = 0;
    for (int i = 0; i < c->operation_count; i++) {
        const OperationTime *t = &c->operations[i];
        double rate =
            t->solo_ps.median > 0 ? (double)t->flops / (double)t->solo_ps.median * 1e12 : 0;
        if (rate > x->flops_per_s) x->flops_per_s = rate;
    }
    if (c->copy_count) x->bytes_per_s = (double)c->copy[c->copy_count - 1].own.median;
    for (int i = 0; i < KERNEL_ASKED; i++) take_time(&x->asked[i], c);
    for (int i = 0; i < x->kernel_count; i++) take_time(&x->kernels[i], c);
}

static Status measure(Roofline *x, const LessonRun *run) {
    Machine here;
    Job job;
    const Device *fast;
    JobOptions o = options_of(run->arena, x);
    if (device_find(&fast, "cpu") == OK) o.spec.device = o.info.device = "cpu";
    TRY(job_create(&job, &o));
    Status s = calibrate(&here, run->arena, &job, &(CalibrateOptions){.quick = true});
    if (s == OK) take_calibration(x, &here.calibration);
    job_destroy(&job);
    x->measured = s == OK;
    return s;
}

Status roofline_run(const LessonRun *run, void *state) {
    Roofline *x = state;
    TRY(plan_step(x, run));
    x->planned = true;
    return run->virtual_time ? OK : measure(x, run);
}
