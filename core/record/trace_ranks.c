// SPDX-License-Identifier: MIT
// The traces of all ranks of a run, and whether they are of one run.
#include "core/base/array.h"
#include "core/plan/check.h"
#include "core/record/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static Status read_rank(Trace *out, Arena *a, const char *directory, int rank) {
    char path[PATH_BYTES], compressed[PATH_BYTES];
    TRY(trace_path(path, sizeof path, directory, rank, false));
    TRY(trace_path(compressed, sizeof compressed, directory, rank, true));
    bool plain = access(path, F_OK) == 0, packed = access(compressed, F_OK) == 0;
    if (plain && packed)
        FAIL(ERR_INPUT, "%s: there is a .gz beside it, perhaps of another run; remove one", path);
    if (!plain && !packed)
        FAIL(ERR_INPUT, "%s: there is no such file, nor a .gz; give a directory that --trace wrote",
             path);
    TRY(trace_read(out, a, plain ? path : compressed));
    if (out->timeline.rank == rank) return OK;
    int found = out->timeline.rank;
    trace_finish(out);
    FAIL(ERR_FORMAT, "%s: expected the trace of rank %d, found that of rank %d",
         plain ? path : compressed, rank, found);
}

// --- of one run?

#define MIXED "traces of two runs are mixed; record into an empty directory"

static Status differ(const char *directory, int rank, const char *what, const char *first,
                     const char *found) {
    FAIL(ERR_FORMAT, "%s: %s is %.40s in the trace of rank 0, %.40s in that of rank %d: " MIXED,
         directory, what, first, found, rank);
}

static Status check_numbers(const char *directory, int rank, const Trace *first, const Trace *t) {
    const struct {
        const char *what;
        int64_t first, found;
    } facts[] = {{"ranks", first->run.ranks, t->run.ranks},
                 {"batch", first->run.batch, t->run.batch},
                 {"seed", first->run.seed, t->run.seed},
                 {"shards", first->run.shards, t->run.shards},
                 {"clock.origin_ns", first->origin_ns, t->origin_ns},
                 {"steps", first->timeline.step_count, t->timeline.step_count}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char one[24], other[24];
        if (facts[i].first == facts[i].found) continue;
        snprintf(one, sizeof one, "%lld", (long long)facts[i].first);
        snprintf(other, sizeof other, "%lld", (long long)facts[i].found);
        return differ(directory, rank, facts[i].what, one, other);
    }
    return OK;
}

static Status check_words(const char *directory, int rank, const RunInfo *first,
                          const RunInfo *run) {
    const char *const facts[][3] = {{"kind", first->kind, run->kind},
                                    {"model", first->model, run->model},
                                    {"device", first->device, run->device},
                                    {"comm", first->comm, run->comm},
                                    {"dtype", first->dtype, run->dtype}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (strcmp(facts[i][1], facts[i][2]))
            return differ(directory, rank, facts[i][0], facts[i][1], facts[i][2]);
    return OK;
}

// All ranks execute the same plans in the same steps.
static Status check_steps(const char *directory, int rank, const Trace *first, const Trace *t) {
    for (int i = 0; i < t->timeline.step_count; i++) {
        const StepRecord *a = &first->timeline.steps[i], *b = &t->timeline.steps[i];
        const char *plan = program_name(&first->program, first->program.plans[a->plan].name);
        const char *found = program_name(&t->program, t->program.plans[b->plan].name);
        if (a->step != b->step || strcmp(plan, found))
            FAIL(ERR_FORMAT,
                 "%s: row %d of steps: rank %d has step %d of plan %s, rank 0 step %d of plan "
                 "%s: " MIXED,
                 directory, i, rank, b->step, found, a->step, plan);
    }
    return OK;
}

static Status check_same_run(const char *directory, const Trace *traces, int rank) {
    const Trace *first = &traces[0], *t = &traces[rank];
    TRY(check_numbers(directory, rank, first, t));
    TRY(check_words(directory, rank, &first->run, &t->run));
    return check_steps(directory, rank, first, t);
}

// --- can their programs be executed together?

// The first rank that executed the same program.
static void find_like(Trace *traces, int rank) {
    Trace *t = &traces[rank];
    for (t->like = 0; t->like < rank; t->like++)
        if (traces[t->like].like == t->like &&
            !strcmp(traces[t->like].program_text, t->program_text))
            return;
}

static int count_programs(const Trace *traces, int count) {
    int programs = 0;
    for (int r = 0; r < count; r++) programs += traces[r].like == r;
    return programs;
}

// Another program than that of another class.
static Status add_program(ProgramSet *set, const Trace *traces, int rank, const char *path) {
    const Trace *t = &traces[rank];
    for (int r = 0; r < rank; r++)
        if (!strcmp(traces[r].class.name, t->class.name))
            FAIL(ERR_FORMAT, "%s: rank %d executed another program than rank %d%s%s: " MIXED, path,
                 rank, r, *t->class.name ? ", both of class " : "", t->class.name);
    if (set->count == RANK_CLASSES)
        FAIL(ERR_FORMAT, "%s: more than %d classes of ranks", path, RANK_CLASSES);
    set->classes[set->count] = t->class;
    set->programs[set->count++] = t->program;
    return OK;
}

Status trace_programs(ProgramSet *out, Arena *a, const Trace *traces, int count, const char *path) {
    int programs = count_programs(traces, count);
    *out = (ProgramSet){.programs = ARENA_NEW(a, Program, programs),
                        .classes = ARENA_NEW(a, RankClass, programs)};
    if (!out->programs || !out->classes)
        FAIL(ERR_MEMORY, "%s: out of memory for %d ranks", path, count);
    for (int r = 0; r < count; r++)
        if (traces[r].like == r) TRY(add_program(out, traces, r, path));
    for (int r = 0; r < count; r++)
        if (!rank_class_has(&traces[r].class, &traces[r].program, r))
            FAIL(ERR_FORMAT, "%s: rank %d is not in class %s, whose program it executed", path, r,
                 traces[r].class.name);
    return OK;
}

static Status check_programs(Trace *traces, int count, const char *directory) {
    Arena scratch = {0};
    ProgramSet set;
    for (int r = 0; r < count; r++) find_like(traces, r);
    Status s = trace_programs(&set, &scratch, traces, count, directory);
    if (s == OK) s = plan_check(&set);
    arena_finish(&scratch);
    if (s == ERR_PLAN) FAIL(ERR_FORMAT, "%s: the programs: %s", directory, status_message());
    return s;
}

// --- reading

// The number of ranks that rank 0 claims is not trusted: room is made as files are read.
static Status read_ranks(Trace **items, int *count, Arena *a, const char *directory) {
    int capacity = 0;
    for (int ranks = 1; *count < ranks; ranks = (*items)[0].run.ranks) {
        TRY(ARRAY_RESERVE(*items, capacity, *count + 1));
        TRY(read_rank(&(*items)[*count], a, directory, *count));
        ++*count;
        TRY(check_same_run(directory, *items, *count - 1));
    }
    return check_programs(*items, *count, directory);
}

static Status read_directory(Trace **out, int *count, Arena *a, const char *directory) {
    Trace *items = NULL;
    Status s = read_ranks(&items, count, a, directory);
    *out = s == OK ? ARENA_NEW(a, Trace, *count) : NULL;
    if (*out) memcpy(*out, items, (size_t)*count * sizeof **out);
    for (int i = 0; !*out && i < *count; i++) trace_finish(&items[i]);
    free(items);
    TRY(s);
    if (!*out) FAIL(ERR_MEMORY, "%s: no memory for the traces of %d ranks", directory, *count);
    return OK;
}

Status trace_read_all(Trace **out, int *count, Arena *a, const char *path) {
    struct stat st;
    *count = 0;
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) return read_directory(out, count, a, path);
    if (!there && strcmp(path, "-"))
        FAIL(ERR_INPUT, "%s: %s; give a directory that train --trace wrote", path, strerror(errno));
    *out = ARENA_NEW(a, Trace, 1);
    if (!*out) FAIL(ERR_MEMORY, "%s: no memory to read it", path);
    TRY(trace_read(*out, a, path));
    *count = 1;
    return OK;
}
