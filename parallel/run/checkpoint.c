// SPDX-License-Identifier: MIT
// What --save writes: parameters, optimiser state and other state that lasts, of the ranks that
// hold them. After each evaluation whose loss is finite (without evaluations, after each epoch) and
// whenever a checkpoint is written they make copies, so that a run that diverges later still leaves
// the last weights that were good. restore.c reads what is written here.
#include "core/data/safetensors_experts.h"
#include "parallel/run/checkpoint_about.h"
#include "parallel/run/checkpoint_files.h"
#include "parallel/run/rank_internal.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Each element is copied by one rank.
static bool is_copied(const Rank *r, int tensor) {
    return rank_saves(r->program, tensor) && rank_keeps(r->job, r->comm.rank, tensor);
}

Status checkpoint_create(Rank *r) {
    const Program *p = r->program;
    int64_t bytes = 0;
    for (int t = 0; t < p->tensor_count; t++)
        if (is_copied(r, t)) bytes += p->tensors[t].bytes;
    if (!bytes || !r->job->options.save || r->job->device->model) return OK;
    if (r->comm.rank == 0 && r->job->options.save_every)
        TRY(checkpoint_files_sweep(r->job->options.save));
    r->copy = malloc((size_t)bytes);
    if (!r->copy)
        FAIL(ERR_MEMORY, "no memory for a copy of the weights (%lld bytes)", (long long)bytes);
    return OK;
}

static bool is_finite(const Tensor *t, const void *data) {
    int64_t count = dtype_is_real((Dtype)t->dtype) ? tensor_elements(t) : 0;
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(dtype_read((Dtype)t->dtype, data, i))) return false;
    return true;
}

bool checkpoint_copies(const Rank *r) { return r->copy != NULL; }

Status checkpoint_is_finite(Rank *r, bool *finite) {
    const Program *p = r->program;
    *finite = true;
    for (int t = 0; t < p->tensor_count && *finite; t++) {
        const void *data;
        if (!rank_saves(p, t)) continue;
        TRY(executor_view(&r->executor, t, &data));
        *finite = is_finite(&p->tensors[t], data);
    }
    return OK;
}

static Status copy(Rank *r) {
    const Program *p = r->program;
    unsigned char *to = r->copy;
    for (int t = 0; t < p->tensor_count; t++) {
        if (!is_copied(r, t)) continue;
        TRY(executor_read(&r->executor, t, to));
        to += p->tensors[t].bytes;
    }
    return OK;
}

Status checkpoint_copy(Rank *r, int64_t steps) {
    bool finite;
    if (!r->copy) return OK;
    TRY(checkpoint_is_finite(r, &finite));
    if (!finite) return OK;
    TRY(copy(r));
    r->result->copied_step = steps;
    return OK;
}

Status checkpoint_keep(Rank *r) { return r->copy ? copy(r) : OK; }

Status checkpoint_view(Rank *r, int tensor, const void **out) {
    const unsigned char *at = r->copy;
    if (!at) return executor_view(&r->executor, tensor, out);
    for (int t = 0; t < tensor; t++)
        if (is_copied(r, t)) at += r->program->tensors[t].bytes;
    *out = at;
    return OK;
}

void checkpoint_note_finite(Rank *r, bool finite) {
    if (r->result->diverged || finite) return;
    r->result->diverged = DIVERGED_WEIGHTS;
    r->result->diverged_step = r->turn.step;
}

// Parameters and optimiser state under the names of their logical tensors, experts one by one.
static Status write_file(const Rank *r, const char *path, const WeightView *views, int64_t step) {
    int count = 0, weights = rank_weight_count(r);
    SafetensorsEntry *out = calloc((size_t)weights + 1, sizeof *out);
    if (!out) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    for (int i = 0; i < weights; i++) {
        const Logical *l = views[i].logical;
        if (!views[i].data) continue;
        out[count] = (SafetensorsEntry){.name = program_name(r->program, l->name),
                                        .dtype = (Dtype)l->dtype,
                                        .dims = l->dims,
                                        .data = views[i].data};
        memcpy(out[count++].shape, l->shape, sizeof l->shape);
    }
    Arena scratch = {0};
    SafetensorsEntry *each;
    SafetensorsText *texts;
    int text_count;
    Status s = checkpoint_about(&texts, &text_count, &scratch, r->job, step);
    if (s == OK) s = safetensors_split_experts(&each, &count, &scratch, out, count);
    if (s == OK) s = safetensors_write(path, each, count, texts, text_count);
    arena_finish(&scratch);
    free(out);
    return s;
}

// Under the name of its step first, if that is wanted; then FILE becomes it, and the oldest goes.
static Status write_named(const Rank *r, const WeightView *views, int64_t step) {
    const JobOptions *o = &r->job->options;
    char named[PATH_MAX];
    if (!o->keep) return write_file(r, o->save, views, step);
    TRY(checkpoint_files_name(named, sizeof named, o->save, step));
    TRY(write_file(r, named, views, step));
    TRY(checkpoint_files_publish(o->save, named));
    return checkpoint_files_rotate(o->save, step, o->keep);
}

Status checkpoint_write(Rank *r, int64_t step) {
    if (r->job->options.save_shards) {
        if (!r->executor.comm) TRY(checkpoint_shards_write(r, step));
        return checkpoint_shards_index(r, step);
    }
    WeightView *views = calloc((size_t)rank_weight_count(r) + 1, sizeof *views);
    if (!views) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    Status s = rank_view_weights(r, true, views);
    if (s == OK) s = write_named(r, views, step);
    free(views);
    return s;
}

Status checkpoint_finish(Rank *r) {
    const RankResult *result = r->result;
    if (!r->job->options.save || (result->diverged && !result->copied_step)) return OK;
    return checkpoint_write(r, result->diverged ? result->copied_step : r->turn.step);
}

void checkpoint_destroy(Rank *r) { free(r->copy); }
