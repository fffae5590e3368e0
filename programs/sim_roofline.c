// SPDX-License-Identifier: MIT
// The kernels of a simulated step for a roofline: what its operations took, from the report, and
// what they do, from their programs, which are made once more.
#include "programs/sim_figures.h"
#include "viz/roofline.h"

#include <string.h>

typedef struct {
    RooflineKernel *kernels;
    uint64_t *keys;  // cost_key of each
    int count;
    const Report *report;
    bool *taken;  // rows of the report
    int next;     // where the last was found, which the next one follows
} Kernels;

static bool is_row_of(const OperationTimes *row, const Program *p, const Op *op) {
    return row->shard == op->shard && row->micro_batch == op->micro_batch &&
           !strcmp(row->name, op_name(p, op));
}

// The row of an operation that no other has taken; NULL: there is none, of a class like another.
static const OperationTimes *take_row(Kernels *k, const Program *p, const Op *op) {
    const Report *r = k->report;
    for (int i = 0; i < r->operation_count; i++) {
        int at = (k->next + i) % r->operation_count;
        if (k->taken[at] || !is_row_of(&r->operations[at], p, op)) continue;
        k->taken[at] = true;
        k->next = at + 1;
        return &r->operations[at];
    }
    return NULL;
}

static RooflineKernel *kernel_of(Kernels *k, const Work *w, const OperationTimes *row) {
    for (int i = 0; i < k->count; i++)
        if (k->keys[i] == w->cost_key && !strcmp(k->kernels[i].phase, row->phase))
            return &k->kernels[i];
    k->keys[k->count] = w->cost_key;
    k->kernels[k->count] = (RooflineKernel){.kind = row->kind,
                                            .phase = row->phase,
                                            .flops = (double)w->flops,
                                            .bytes = (double)(w->read_bytes + w->write_bytes)};
    return &k->kernels[k->count++];
}

// Until the end `share` counts milliseconds and `ms` executions, on all devices.
static void add(Kernels *k, const Work *w, const OperationTimes *row) {
    double ms = row->duration_ms.mean * row->executions * row->ranks;
    RooflineKernel *kernel = kernel_of(k, w, row);
    kernel->share += ms;
    kernel->ms += row->executions * row->ranks;
}

static void add_program(Kernels *k, const Program *p) {
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        if (kind_class(work_kind(w)) != CLASS_COMPUTE) continue;
        const OperationTimes *row = take_row(k, p, &plan->ops[i]);
        if (row) add(k, w, row);
    }
}

static int32_t best_of_memory(const DeviceModel *d) {
    int32_t best = 0;
    for (int i = 0; i < d->kernels.point_count; i++)
        if (d->kernels.bytes_permille[i] > best) best = d->kernels.bytes_permille[i];
    return best ? best : d->memory_permille;
}

static void finish(Roofline *out, Kernels *k, const DeviceModel *d, Dtype dtype) {
    const double all_ms = k->report->step_ms.median * k->report->run.ranks;
    const int32_t flops = d->kernels.most_permille ? d->kernels.most_permille : d->flops_permille;
    for (int i = 0; i < k->count; i++) {
        double ms = k->kernels[i].share;
        k->kernels[i].share = ms / all_ms;
        k->kernels[i].ms = k->kernels[i].ms > 0 ? ms / k->kernels[i].ms : 0;
    }
    *out = (Roofline){.run = k->report,
                      .peak_flops = (double)d->flops_per_s[dtype],
                      .peak_bytes = (double)d->memory_bytes_per_s,
                      .kernels = k->kernels,
                      .count = k->count};
    out->reached_flops = out->peak_flops * flops / 1000;
    out->reached_bytes = out->peak_bytes * best_of_memory(d) / 1000;
}

Status sim_figures_roofline(const Sim *s, const FigureOptions *o, FigureNotes *notes) {
    const Report *r = &s->rows[s->done - 1].report;
    const SimJob *job = &s->jobs[s->done - 1];
    Arena *a = s->arena;
    ProgramSet set = {0};
    Roofline roofline;
    Kernels k = {.kernels = ARENA_NEW(a, RooflineKernel, r->operation_count + 1),
                 .keys = ARENA_NEW(a, uint64_t, r->operation_count + 1),
                 .report = r,
                 .taken = ARENA_NEW(a, bool, r->operation_count + 1)};
    if (!s->setting.devices || s->replay || !r->operation_count) return OK;
    if (!k.kernels || !k.keys || !k.taken) FAIL(ERR_MEMORY, "out of memory for a roofline");
    TRY(sim_job_step(&set, a, job));
    for (int i = 0; i < set.count; i++) add_program(&k, &set.programs[i]);
    finish(&roofline, &k, &s->machine.device, job->spec.dtype);
    Status status = figures_roofline(o, &roofline, notes);
    program_set_finish(&set);
    return status;
}
