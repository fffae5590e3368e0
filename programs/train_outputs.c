// SPDX-License-Identifier: MIT
// Every file of a run, as far as it can be named before it.
#include "programs/train_outputs.h"

#include "core/base/file.h"
#include "core/record/trace.h"
#include "parallel/run/checkpoint_files.h"
#include "programs/outputs.h"
#include "viz/figures.h"

#include <stdio.h>

enum { PATH = 4096, NAMED = 5 };  // bytes of a path; files that an option of their own names

Status train_machine_path(char *out, size_t size, const char *directory) {
    int length = snprintf(out, size, "%s/machine.yaml", directory);
    if (length < 0 || (size_t)length >= size) FAIL(ERR_USAGE, "the path is too long");
    return OK;
}

// First of all: a file may be wanted within.
static Status make_directories(const TrainOptions *o) {
    if (o->trace) TRY(outputs_name(file_make_directory(o->trace), "trace"));
    if (o->record) TRY(outputs_name(file_make_directory(o->record), "record"));
    if (o->plot) TRY(outputs_name(file_make_directory(o->plot), "plot"));
    return OK;
}

// The files of a directory of traces: one a rank, the machine, and all ranks in one.
static Status list_traces(Output *out, char (*paths)[PATH], const TrainOptions *o) {
    int ranks = o->job.ranks;
    for (int r = 0; r < ranks; r++)
        TRY(outputs_name(trace_path(paths[r], PATH, o->trace, r, false), "trace"));
    TRY(outputs_name(train_machine_path(paths[ranks], PATH, o->trace), "trace"));
    snprintf(paths[ranks + 1], PATH, "%s/" TRACE_MERGED, o->trace);
    for (int i = 0; i < ranks + 2; i++) out[i] = (Output){.option = "trace", .path = paths[i]};
    return OK;
}

// The two names of --save: FILE, or the index of ranks' files; and that of a step or of a rank, the
// longest that the run may give.
static Status name_checkpoints(Output out[2], char (*paths)[PATH], const TrainOptions *o) {
    const int64_t most = 1000000000;
    int ranks = o->job.ranks;
    out[0] = out[1] = (Output){.option = "save"};
    out[0].path = o->save;
    if (o->save_shards) {
        TRY(checkpoint_files_index(paths[0], PATH, o->save));
        TRY(checkpoint_files_shard(paths[1], PATH, o->save, most, "00000000", ranks - 1, ranks));
        out[0].path = paths[0];
    } else if (o->keep)
        TRY(checkpoint_files_name(paths[1], PATH, o->save, most));
    if (o->save_shards || o->keep) out[1].path = paths[1];
    return OK;
}

Status train_check_outputs(const TrainOptions *o) {
    Arena a = {0};
    int traces = o->trace ? o->job.ranks + 2 : 0;
    Output *files = ARENA_NEW(&a, Output, NAMED + traces);
    char(*paths)[PATH] = arena_push(&a, (size_t)(traces + 2) * PATH);
    Status s = make_directories(o);
    if (s == OK && (!files || !paths))
        s = status_fail(ERR_MEMORY, __FILE__, __LINE__, "out of memory for names of files");
    if (s == OK) {
        const Output named[NAMED] = {
            {"log", o->log, true}, {"calibrate", o->calibrate}, {"report", o->report}};
        for (int i = 0; i < NAMED; i++) files[i] = named[i];
        s = name_checkpoints(files + NAMED - 2, paths, o);
        if (s == OK && traces) s = list_traces(files + NAMED, paths + 2, o);
    }
    if (s == OK) s = outputs_check(files, NAMED + traces);
    arena_finish(&a);
    if (s == OK && o->require_plot) s = outputs_name(figures_find_gnuplot(), "require-plot:");
    return s;
}
