// SPDX-License-Identifier: MIT
// What --save writes: parameters and optimiser state of rank 0. After each evaluation whose loss is
// finite (without evaluations, after each epoch) a copy is made, so that a run that diverges later
// still leaves the last weights that were good.
#include "core/data/safetensors.h"
#include "parallel/run/rank_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_saved(const Program *p, int tensor) {
    const Tensor *t = &p->tensors[tensor];
    return (t->role == ROLE_PARAMETER || t->role == ROLE_OPTIMISER) && t->alias == NONE;
}

static bool makes_copies(const Rank *r) {
    return r->comm.rank == 0 && r->job->options.save && !r->job->device->model;
}

Status checkpoint_create(Rank *r) {
    const Program *p = &r->job->program;
    int64_t bytes = 0;
    for (int t = 0; t < p->tensor_count; t++)
        if (is_saved(p, t)) bytes += p->tensors[t].bytes;
    if (!makes_copies(r)) return OK;
    r->copy = malloc((size_t)bytes + 1);
    if (!r->copy)
        FAIL(ERR_MEMORY, "no memory for a copy of the weights (%lld bytes)", (long long)bytes);
    return OK;
}

static bool is_finite(const Executor *e, int tensor) {
    const Tensor *t = &e->program->tensors[tensor];
    bool f64 = t->dtype == DTYPE_F64;
    if (!f64 && t->dtype != DTYPE_F32) return true;
    const void *data = executor_data(e, tensor);
    int64_t count = t->bytes / (f64 ? 8 : 4);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(f64 ? ((const double *)data)[i] : (double)((const float *)data)[i]))
            return false;
    return true;
}

static bool all_finite(const Rank *r) {
    const Program *p = &r->job->program;
    for (int t = 0; t < p->tensor_count; t++)
        if (is_saved(p, t) && !is_finite(&r->executor, t)) return false;
    return true;
}

void checkpoint_copy(Rank *r, int64_t steps) {
    const Program *p = &r->job->program;
    unsigned char *to = r->copy;
    if (!to || !all_finite(r)) return;
    for (int t = 0; t < p->tensor_count; t++) {
        if (!is_saved(p, t)) continue;
        memcpy(to, executor_data(&r->executor, t), (size_t)p->tensors[t].bytes);
        to += p->tensors[t].bytes;
    }
    r->result->copied_step = steps;
}

// Parameters under their logical names, optimiser state under its own. from: the copy, or NULL.
static Status write_weights(const Rank *r, const char *path, const unsigned char *from,
                            int64_t step) {
    const Program *p = &r->job->program;
    SafetensorsEntry *out = calloc((size_t)p->tensor_count, sizeof *out);
    if (!out) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    int count = 0;
    for (int t = 0; t < p->tensor_count; t++) {
        if (!is_saved(p, t)) continue;
        const Tensor *tensor = &p->tensors[t];
        out[count] = (SafetensorsEntry){.name = tensor_name(p, t),
                                        .dtype = (Dtype)tensor->dtype,
                                        .dims = tensor->dims,
                                        .data = from ? from : executor_data(&r->executor, t)};
        memcpy(out[count++].shape, tensor->shape, sizeof tensor->shape);
        if (from) from += tensor->bytes;
    }
    char steps[32], seed[32];
    snprintf(steps, sizeof steps, "%lld", (long long)step);
    snprintf(seed, sizeof seed, "%lld", (long long)r->job->options.spec.seed);
    const SafetensorsText texts[] = {
        {"format", "tandem"}, {"model", r->job->model.name}, {"steps", steps}, {"seed", seed}};
    Status s = safetensors_write(path, out, count, texts, 4);
    free(out);
    return s;
}

Status checkpoint_finish(Rank *r) {
    const char *path = r->job->options.save;
    RankResult *result = r->result;
    if (r->job->device->model) return path ? write_weights(r, path, NULL, r->turn.step) : OK;
    if (!result->diverged && !all_finite(r)) {
        result->diverged = DIVERGED_WEIGHTS;
        result->diverged_step = r->turn.step;
    }
    if (!path) return OK;
    if (!result->diverged) return write_weights(r, path, NULL, r->turn.step);
    return result->copied_step ? write_weights(r, path, r->copy, result->copied_step) : OK;
}

void checkpoint_destroy(Rank *r) { free(r->copy); }
