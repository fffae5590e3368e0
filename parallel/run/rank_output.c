// SPDX-License-Identifier: MIT
// What a rank leaves behind: its trace, recorded values, its result; checkpoint.c the weights.
#include "core/base/file.h"
#include "core/data/safetensors.h"
#include "core/record/trace.h"
#include "parallel/run/rank_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Status rank_write_values(void *context, const char *path, const ValueEntry *entries, int count) {
    SafetensorsEntry *out = calloc((size_t)count + 1, sizeof *out);
    if (!out) FAIL(ERR_MEMORY, "out of memory for %d recorded values", count);
    for (int i = 0; i < count; i++) {
        out[i] = (SafetensorsEntry){.name = entries[i].key,
                                    .dtype = entries[i].dtype,
                                    .dims = entries[i].dims,
                                    .data = entries[i].data};
        memcpy(out[i].shape, entries[i].shape, sizeof entries[i].shape);
    }
    Status s = safetensors_write(path, out, count, NULL, 0);
    free(out);
    return s;
}

// Private resident memory of this process without the planned local pool.
static int64_t unplanned(const Rank *r) {
    FILE *f = fopen("/proc/self/status", "r");
    long long kib = -1;
    char line[256];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %lld", &kib) == 1) break;
    if (f) fclose(f);
    if (kib < 0) return NONE;
    int64_t planned = r->program->pool_bytes[POOL_LOCAL] + r->program->pool_bytes[POOL_HOST] +
                      (r->executor.comm ? 0 : r->program->pool_bytes[POOL_SHARED]);
    int64_t left = kib * 1024 - planned;
    return left > 0 ? left : 0;
}

static Status write_trace(const Rank *r) {
    const JobOptions *o = &r->job->options;
    char path[4096];
    TRY(file_make_directory(o->trace));
    TRY(trace_path(path, sizeof path, o->trace, r->comm.rank, o->compress_trace));
    RunInfo info = o->info;
    info.disturbed = r->result->disturbed;
    return trace_write(path, &info, r->shared->origin_ns, &r->job->set, &r->result->timeline);
}

Status rank_finish(Rank *r) {
    const JobOptions *o = &r->job->options;
    bool own_process = o->spec.ranks == 1 || o->comm == COMM_SHM;
    r->result->unplanned_bytes = own_process ? unplanned(r) : NONE;
    if (!r->job->device->model) TRY(rank_hash_parameters(r, &r->result->parameters_hash));
    if (r->hooks.finished) r->hooks.finished(r->hooks.context, &r->executor);
    if (r->executor.comm) comm_note_position(&r->comm, NONE, NONE, r->turn.step);
    if (o->trace) TRY(write_trace(r));
    if (r->comm.rank == 0) TRY(checkpoint_finish(r));
    r->result->finished = true;
    return OK;
}
