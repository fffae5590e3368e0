// SPDX-License-Identifier: MIT
// Steps by the simulator: what a host issues one by one, and what its device does with that.
#include "lessons/19_gpu/gpu.h"

#include "lessons/engine/trial.h"
#include "sim/nccl_model.h"

enum { MOST_BATCH = 8192 };

static Status read_device(Machine **out, const LessonRun *run, const char *name) {
    *out = ARENA_NEW(run->arena, Machine, 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for a machine");
    return machine_read(*out, run->arena, name);
}

static Status predict(Prediction *out, const LessonRun *run, const GpuStep *s, int batch,
                      const Machine *m) {
    SimJob job = {.spec = trial_options().spec};
    job.spec.device = "timed:h100-1";
    job.spec.model = s->model;
    job.spec.batch = batch;
    return predict_job(out, run->arena, &job, &(SimSetting){.machine = m, .devices = true});
}

static Status simulate(GpuStep *s, const LessonRun *run) {
    Machine *m;
    Prediction p;
    TRY(read_device(&m, run, "h100-1"));
    TRY(predict(&p, run, s, s->batch, m));
    const Report *r = &p.report;
    s->issue = (double)m->device.issue_ps * 1e-12;
    s->operations = r->operation_count;
    s->issued = s->issue * s->operations;
    s->step = p.step_ms * 1e-3;
    s->idle = r->breakdown_ms[TIME_HOST] / p.step_ms;
    s->kernels = 0;
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        s->kernels += o->duration_ms.median * 1e-3;
        if (i >= GPU_SHOWN) continue;
        s->start[i] = o->start_ms * 1e-3;
        s->end[i] = s->start[i] + o->duration_ms.median * 1e-3;
    }
    return OK;
}

static Status reduce(Gpu *x, Rng *r, const LessonRun *run) {
    Machine *m;
    NcclPrice price;
    TRY(read_device(&m, run, "dgx-h100"));
    x->ranks = 4 << rng_below(r, 2);
    const NcclCall call = {.kind = COLLECTIVE_ALL_REDUCE,
                           .bytes = (int64_t)1000000 * (100 + 50 * (int)rng_below(r, 9)),
                           .ranks = x->ranks,
                           .nodes = 1,
                           .algorithm = NCCL_RING};
    TRY(nccl_price(&price, &m->collectives, &call));
    x->bytes = (double)call.bytes;
    x->seconds = (double)price.time_ps * 1e-12;
    x->bus_factor = (double)nccl_model_bus_factor(call.kind, x->ranks) / 1e6;
    x->link_rate = (double)m->link.bytes_per_s;
    return OK;
}

Status gpu_draw(const LessonRun *run, void *state) {
    Gpu *x = state;
    Rng r = lesson_rng(run, 0);
    int layers = 2 + (int)rng_below(&r, 3);
    snprintf(x->small.model, sizeof x->small.model, "gpt:layers=%d,hidden=64,heads=4,seq=32",
             layers);
    x->small.batch = 4 << rng_below(&r, 2);
    snprintf(x->large.model, sizeof x->large.model, "gpt:layers=%d,hidden=256,heads=4,seq=128",
             layers);
    TRY(simulate(&x->small, run));
    // As large as it takes for the host to run ahead.
    x->large.batch = 12 + 4 * (int)rng_below(&r, 4);
    do {
        x->large.batch *= 2;
        TRY(simulate(&x->large, run));
    } while (x->large.kernels < 1.5 * x->large.issued && x->large.batch < MOST_BATCH);
    return reduce(x, &r, run);
}

Status gpu_change(const LessonRun *run, void *state) {
    Gpu *x = state;
    Machine *m;
    Prediction p;
    TRY(read_device(&m, run, "h100-1"));
    for (int c = 0; c < CHANGE_COUNT; c++) {
        Machine changed = *m;
        DeviceModel *d = &changed.device;
        for (int t = 0; t < DTYPE_COUNT && c == CHANGE_FASTER_GPU; t++) d->flops_per_s[t] *= 2;
        if (c == CHANGE_FASTER_GPU) d->memory_bytes_per_s *= 2;
        d->graph = c == CHANGE_GRAPH;
        int batch = x->small.batch / (c == CHANGE_HALF_BATCH ? 2 : 1);
        TRY(predict(&p, run, &x->small, batch, &changed));
        x->changed[c] = p.step_ms * 1e-3;
    }
    x->ran = true;
    return OK;
}

GpuChange gpu_best_change(const Gpu *x) {
    int best = 0;
    for (int c = 1; c < CHANGE_COUNT; c++)
        if (x->changed[c] < x->changed[best]) best = c;
    return (GpuChange)best;
}
