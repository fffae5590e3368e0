// SPDX-License-Identifier: MIT
// --save-shards: every rank writes the pieces that it is the first to hold into a file of its own,
// and rank 0, when all have, an index of them (core/data/safetensors_index.h). The names
// of the files tell the step and the run, so that those of the checkpoint before stay until the
// index, which is renamed into place, is that of the new ones. Each file says of which checkpoint
// it is a part, too, and the index refuses others.
#include "core/base/text.h"
#include "core/data/safetensors_index.h"
#include "core/plan/piece.h"
#include "parallel/run/checkpoint_about.h"
#include "parallel/run/checkpoint_files.h"
#include "parallel/run/rank_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_TEXT = 96 };  // bytes that one SafetensorsRun takes as text, at most

// Does a rank store elements of the i-th saved tensor? In which of its own; NONE: no.
static int stored(const Rank *r, int rank, int i) {
    const Program *p = job_program(r->job, rank);
    int coordinate[AXES], tensor = rank_weight_tensor(r, rank, i);
    if (tensor == NONE || !rank_keeps(r->job, rank, tensor)) return NONE;
    program_coordinates(p, rank, coordinate);
    return piece_elements(p, &p->tensors[tensor], coordinate) ? tensor : NONE;
}

// --- a rank's file

typedef struct {
    Arena arena;
    SafetensorsEntry *entries;
    SafetensorsText *texts;
    int count, text_count;
} Shard;

// Runs at equal distances are one, as the rows of a matrix that is cut by columns.
static bool joins(SafetensorsRun *last, const PieceRun *next) {
    int64_t end = last->first + (last->times - 1) * last->stride;
    if (next->count != last->count) return false;
    if (last->times > 1 && next->whole - end != last->stride) return false;
    last->stride = next->whole - end;
    last->times++;
    return true;
}

static void print_run(char *text, size_t size, const SafetensorsRun *run) {
    text_append(text, size, "%s%lld:%lld", *text ? " " : "", (long long)run->first,
                (long long)run->count);
    if (run->times > 1)
        text_append(text, size, ":%lld:%lld", (long long)run->times, (long long)run->stride);
}

// The elements of a piece, one after the other, and where they belong.
static Status copy_piece(Rank *r, Shard *s, SafetensorsEntry *e, int tensor) {
    const Program *p = r->program;
    const Tensor *t = &p->tensors[tensor];
    int64_t size = dtype_bytes((Dtype)t->dtype), at = 0;
    int coordinate[AXES], runs = 0;
    const void *from;
    PieceWalk walk;
    PieceRun run;
    SafetensorsRun last = {0};
    program_coordinates(p, r->comm.rank, coordinate);
    piece_walk(&walk, p, t, coordinate);
    while (piece_next(&walk, &run)) runs++;
    int64_t count = piece_elements(p, t, coordinate);
    char *to = arena_push(&s->arena, (size_t)(count * size)),
         *text = arena_push(&s->arena, (size_t)runs * RUNS_TEXT + 1);
    if (!to || !text) FAIL(ERR_MEMORY, "no memory for a piece of %s", tensor_name(p, tensor));
    TRY(checkpoint_view(r, tensor, &from));
    piece_walk(&walk, p, t, coordinate);
    for (; piece_next(&walk, &run); at += run.count) {
        memcpy(to + at * size, (const char *)from + run.local * size, (size_t)(run.count * size));
        if (last.count && joins(&last, &run)) continue;
        if (last.count) print_run(text, (size_t)runs * RUNS_TEXT, &last);
        last = (SafetensorsRun){.first = run.whole, .count = run.count, .times = 1};
    }
    print_run(text, (size_t)runs * RUNS_TEXT, &last);
    e->data = to;
    e->dims = 1;
    e->shape[0] = count;
    s->texts[s->text_count++] = (SafetensorsText){e->name, text};
    return OK;
}

static Status collect(Rank *r, Shard *s, const char *hash) {
    int weights = rank_weight_count(r);
    s->entries = ARENA_NEW(&s->arena, SafetensorsEntry, weights + 1);
    s->texts = ARENA_NEW(&s->arena, SafetensorsText, weights + 1);
    if (!s->entries || !s->texts) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    s->texts[s->text_count++] = (SafetensorsText){SAFETENSORS_PART_OF, hash};
    for (int i = 0; i < weights; i++) {
        const Logical *l = rank_weight_logical(r, i);
        int tensor = stored(r, r->comm.rank, i);
        if (tensor == NONE) continue;
        SafetensorsEntry *e = &s->entries[s->count++];
        *e =
            (SafetensorsEntry){.name = program_name(r->program, l->name), .dtype = (Dtype)l->dtype};
        TRY(copy_piece(r, s, e, tensor));
    }
    return OK;
}

static Status name_of(char out[PATH_MAX], const Rank *r, int64_t step, const char *hash, int rank) {
    return checkpoint_files_shard(out, PATH_MAX, r->job->options.save, step, hash, rank,
                                  r->job->options.spec.ranks);
}

Status checkpoint_shards_write(Rank *r, int64_t step) {
    Shard s = {0};
    char path[PATH_MAX], hash[CHECKPOINT_HASH];
    Status done = checkpoint_about_hash(hash, r->job, step);
    if (done == OK) done = name_of(path, r, step, hash, r->comm.rank);
    if (done == OK) done = collect(r, &s, hash);
    if (done == OK) done = safetensors_write(path, s.entries, s.count, s.texts, s.text_count);
    arena_finish(&s.arena);
    return done;
}

// --- the index

static Status find_files(const Rank *r, Arena *a, SafetensorsPlace *out, int i) {
    const Logical *l = rank_weight_logical(r, i);
    int ranks = r->job->options.spec.ranks, *files = ARENA_NEW(a, int, ranks);
    if (!files) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    *out = (SafetensorsPlace){.files = files,
                              .whole = {.name = program_name(r->program, l->name),
                                        .dtype = (Dtype)l->dtype,
                                        .dims = l->dims}};
    memcpy(out->whole.shape, l->shape, sizeof l->shape);
    for (int q = 0; q < ranks; q++)
        if (stored(r, q, i) != NONE) files[out->file_count++] = q;
    return OK;
}

static Status write_index(const Rank *r, Arena *a, int64_t step, const char *hash) {
    int ranks = r->job->options.spec.ranks, weights = rank_weight_count(r), text_count;
    const char **files = ARENA_NEW(a, const char *, ranks);
    SafetensorsPlace *places = ARENA_NEW(a, SafetensorsPlace, weights + 1);
    SafetensorsText *texts, *all;
    char path[PATH_MAX];
    if (!files || !places) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    for (int i = 0; i < weights; i++) TRY(find_files(r, a, &places[i], i));
    for (int q = 0; q < ranks; q++) {
        TRY(name_of(path, r, step, hash, q));
        const char *slash = strrchr(path, '/');
        files[q] = arena_string(a, slash ? slash + 1 : path);
        if (!files[q]) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    }
    TRY(checkpoint_about(&texts, &text_count, a, r->job, step));
    all = ARENA_NEW(a, SafetensorsText, text_count + 1);
    if (!all) FAIL(ERR_MEMORY, "out of memory for the checkpoint");
    memcpy(all, texts, (size_t)text_count * sizeof *all);
    all[text_count++] = (SafetensorsText){SAFETENSORS_PART_OF, hash};
    TRY(checkpoint_files_index(path, sizeof path, r->job->options.save));
    return safetensors_write_index(path, places, weights, files, all, text_count);
}

Status checkpoint_shards_index(Rank *r, int64_t step) {
    Arena a = {0};
    char hash[CHECKPOINT_HASH];
    Status s = checkpoint_about_hash(hash, r->job, step);
    if (s == OK) s = write_index(r, &a, step, hash);
    arena_finish(&a);
    if (s != OK) return s;
    return checkpoint_files_keep_shards(r->job->options.save, step, hash);
}
