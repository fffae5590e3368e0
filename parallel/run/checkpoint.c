// SPDX-License-Identifier: MIT
// What --save writes: parameters and optimiser state of rank 0. After each evaluation whose loss is
// finite (without evaluations, after each epoch) a copy is made, so that a run that diverges later
// still leaves the last weights that were good.
#include "core/base/bf16.h"
#include "core/data/safetensors.h"
#include "parallel/run/rank_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_saved(const Program *p, int tensor) {
    const Tensor *t = &p->tensors[tensor];
    return role_persists((Role)t->role) && t->alias == NONE;
}

static bool makes_copies(const Rank *r) {
    return r->comm.rank == 0 && r->job->options.save && !r->job->device->model;
}

Status checkpoint_create(Rank *r) {
    const Program *p = r->program;
    int64_t bytes = 0;
    for (int t = 0; t < p->tensor_count; t++)
        if (is_saved(p, t)) bytes += p->tensors[t].bytes;
    if (!makes_copies(r)) return OK;
    r->copy = malloc((size_t)bytes + 1);
    if (!r->copy)
        FAIL(ERR_MEMORY, "no memory for a copy of the weights (%lld bytes)", (long long)bytes);
    return OK;
}

static bool is_finite(const Tensor *t, const void *data) {
    int64_t count = tensor_elements(t);
    for (int64_t i = 0; i < count; i++) {
        switch ((Dtype)t->dtype) {
        case DTYPE_F32:
            if (!isfinite(((const float *)data)[i])) return false;
            break;
        case DTYPE_F64:
            if (!isfinite(((const double *)data)[i])) return false;
            break;
        case DTYPE_BF16:
            if (!isfinite(bf16_to_f32(((const Bf16 *)data)[i]))) return false;
            break;
        default: return true;
        }
    }
    return true;
}

static Status all_finite(Rank *r, bool *finite) {
    const Program *p = r->program;
    *finite = true;
    for (int t = 0; t < p->tensor_count && *finite; t++) {
        const void *data;
        if (!is_saved(p, t)) continue;
        TRY(executor_view(&r->executor, t, &data));
        *finite = is_finite(&p->tensors[t], data);
    }
    return OK;
}

static Status copy(Rank *r) {
    const Program *p = r->program;
    unsigned char *to = r->copy;
    for (int t = 0; t < p->tensor_count; t++) {
        if (!is_saved(p, t)) continue;
        TRY(executor_read(&r->executor, t, to));
        to += p->tensors[t].bytes;
    }
    return OK;
}

Status checkpoint_copy(Rank *r, int64_t steps) {
    bool finite;
    if (!r->copy) return OK;
    TRY(all_finite(r, &finite));
    if (!finite) return OK;
    TRY(copy(r));
    r->result->copied_step = steps;
    return OK;
}

// Parameters under their logical names, optimiser state under its own. from: the copy; NULL on a
// modelled device, where nothing was computed.
static Status write_weights(Rank *r, const char *path, const unsigned char *from, int64_t step) {
    const Program *p = r->program;
    SafetensorsEntry *out = calloc((size_t)p->tensor_count, sizeof *out);
    if (!out) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    int count = 0;
    Status s = OK;
    for (int t = 0; t < p->tensor_count && s == OK; t++) {
        if (!is_saved(p, t)) continue;
        const Tensor *tensor = &p->tensors[t];
        out[count] = (SafetensorsEntry){.name = tensor_name(p, t),
                                        .dtype = (Dtype)tensor->dtype,
                                        .dims = tensor->dims,
                                        .data = from};
        if (!from) s = executor_view(&r->executor, t, &out[count].data);
        memcpy(out[count++].shape, tensor->shape, sizeof tensor->shape);
        if (from) from += tensor->bytes;
    }
    char steps[32], seed[32];
    snprintf(steps, sizeof steps, "%lld", (long long)step);
    snprintf(seed, sizeof seed, "%lld", (long long)r->job->options.spec.seed);
    const SafetensorsText texts[] = {
        {"format", "tandem"}, {"model", r->job->model.name}, {"steps", steps}, {"seed", seed}};
    if (s == OK) s = safetensors_write(path, out, count, texts, 4);
    free(out);
    return s;
}

Status checkpoint_finish(Rank *r) {
    const char *path = r->job->options.save;
    RankResult *result = r->result;
    if (r->job->device->model) return path ? write_weights(r, path, NULL, r->turn.step) : OK;
    bool finite;
    TRY(all_finite(r, &finite));
    if (!result->diverged && !finite) {
        result->diverged = DIVERGED_WEIGHTS;
        result->diverged_step = r->turn.step;
    }
    if (!path) return OK;
    if (result->diverged)
        return result->copied_step ? write_weights(r, path, r->copy, result->copied_step) : OK;
    TRY(copy(r));
    return write_weights(r, path, r->copy, r->turn.step);
}

void checkpoint_destroy(Rank *r) { free(r->copy); }
