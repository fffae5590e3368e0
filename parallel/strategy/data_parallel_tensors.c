// SPDX-License-Identifier: MIT
// Which tensors the devices of DataParallel have: each its own, as a rank has them; and device 0,
// besides, those of every shard of the batch.
#include "core/plan/program_copy.h"
#include "parallel/strategy/data_parallel_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 320, SLOT_NAME = NAME + 32 };

static bool is_cut(const Devices *d, const Tensor *t) {
    return t->placement[d->axis].place != PLACE_REPLICATE;
}

// What lasts is device 0's; another device has a copy of it for a while.
static void lie(const Devices *d, int t, TensorSpec *spec) {
    const Tensor *tensor = &d->from->tensors[t];
    bool result = tensor->role == ROLE_SCALAR && !tensor->source;
    if (role_persists((Role)tensor->role) && !d->first) spec->role = ROLE_BUFFER;
    if (!d->kept[t] && !result && !(d->updates && !tensor->source)) return;
    spec->placement[d->axis] = d->first ? PLACEMENT_AT(DEVICES_FIRST) : PLACEMENT_REPLICATED;
}

// A device's own tensor of this name, made when it is the first to want it.
Status devices_take(Devices *d, int t, int32_t *out) {
    const Tensor *from = &d->from->tensors[t];
    TensorSpec spec = program_copy_spec(d->from, from);
    int32_t other;
    int index = program_find_tensor(d->to, spec.name);
    if (index == NONE) {
        if (from->extent != NONE) TRY(devices_take(d, from->extent, &other));
        if (from->extent != NONE) spec.extent = TENSOR_REF(other);
        if (from->alias != NONE) TRY(devices_take(d, from->alias, &other));
        if (from->alias != NONE) spec.alias = TENSOR_REF(other);
        lie(d, t, &spec);
        TRY(program_add_tensor(d->to, &spec, &index));
    }
    *out = index;
    return OK;
}

// "x" of shard 2, micro-batch 0: "batch.x/2.0"; its number of rows "batch.rows.2.0"; the loss of
// shard 2 "loss/2".
const char *devices_plain_name(const Devices *d, const Tensor *t) {
    static const char evaluate[] = "evaluate.";
    const char *name = program_name(d->from, d->from->logicals[t->logical].name);
    return strncmp(name, evaluate, sizeof evaluate - 1) ? name : name + sizeof evaluate - 1;
}

static void name_slot(const Devices *d, const Tensor *t, DevicesSlot s, char whole[NAME],
                      char own[SLOT_NAME]) {
    const char *name = devices_plain_name(d, t), *before = d->training ? "" : "evaluate.";
    if (t->source) {
        snprintf(whole, NAME, "%sbatch.%s.%d.%d", before,
                 scalar_source_name((ScalarSource)t->source), s.shard, s.micro_batch);
        snprintf(own, SLOT_NAME, "%s", whole);
    } else if (t->role == ROLE_SCALAR) {
        snprintf(whole, NAME, "%s%s", before, name);
        snprintf(own, SLOT_NAME, s.shard ? "%s/%d" : "%s", whole, s.shard);
    } else {
        snprintf(whole, NAME, "%sbatch.%s", before, name);
        snprintf(own, SLOT_NAME, "%s/%d.%d", whole, s.shard, s.micro_batch);
    }
}

static Status find_logical(Devices *d, const Tensor *t, const char *name, int *out) {
    const Logical *l = &d->from->logicals[t->logical];
    LogicalSpec spec = {
        .name = name, .dims = l->dims, .dtype = (Dtype)l->dtype, .role = (Role)l->role};
    *out = program_find_logical(d->to, name);
    memcpy(spec.shape, l->shape, sizeof spec.shape);
    return *out == NONE ? program_add_logical(d->to, &spec, out) : OK;
}

bool devices_counts(const Devices *d, int t) {
    return d->choices != NONE &&
           d->from->tensors[t].logical == d->from->tensors[d->choices].logical;
}

Status devices_take_table(Devices *d, int t, int32_t *out) {
    const Tensor *from = &d->from->tensors[t];
    char own[NAME];
    snprintf(own, sizeof own, "own.%.300s", tensor_name(d->from, t));
    int index = program_find_tensor(d->to, own);
    if (index == NONE) {
        TensorSpec spec = program_copy_spec(d->from, from);
        TRY(find_logical(d, from, "own.choices", &spec.logical));
        spec.name = own;
        spec.placement[d->axis] = PLACEMENT_DIFFERS;
        spec.result = RESULT_NONE;
        TRY(program_add_tensor(d->to, &spec, &index));
    }
    *out = index;
    return OK;
}

// Device 0's tensor of a slot, in the place of a rank's own.
Status devices_take_slot(Devices *d, int t, DevicesSlot s, int32_t *out) {
    const Tensor *from = &d->from->tensors[t];
    char whole[NAME], own[SLOT_NAME];
    int32_t other;
    if (!is_cut(d, from)) return devices_take(d, t, out);
    name_slot(d, from, s, whole, own);
    int index = program_find_tensor(d->to, own);
    if (index == NONE) {
        TensorSpec spec = program_copy_spec(d->from, from);
        spec.name = own;
        bool loaded = from->role == ROLE_INPUT || from->source;
        TRY(find_logical(d, from, whole, &spec.logical));
        if (from->extent != NONE) TRY(devices_take_slot(d, from->extent, s, &other));
        if (from->extent != NONE) spec.extent = TENSOR_REF(other);
        if (from->alias != NONE) TRY(devices_take_slot(d, from->alias, s, &other));
        if (from->alias != NONE) spec.alias = TENSOR_REF(other);
        spec.shard = s.shard;
        spec.micro_batch = from->role == ROLE_SCALAR && !from->source ? 0 : s.micro_batch;
        spec.placement[d->axis] = loaded ? PLACEMENT_REPLICATED : PLACEMENT_AT(DEVICES_FIRST);
        spec.source_axes = 0;
        spec.result = d->training && s.shard == 0 ? (Result)from->result : RESULT_NONE;
        TRY(program_add_tensor(d->to, &spec, &index));
    }
    *out = index;
    return OK;
}
