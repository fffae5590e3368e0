// SPDX-License-Identifier: MIT
// Candidates in the order of what they cost: sharded states of the optimizer, gradients and
// parameters, recomputation, micro-batches, tensor parallelism, then these together.
#include "sim/fit.h"

#include "core/base/text.h"

#include <stdio.h>
#include <string.h>

// What a candidate asks for; 0: as the job says.
typedef struct {
    int zero, micro_batches, tensor;
    Recompute recompute;
} Candidate;

typedef struct {
    const SimJob *job;
    const FitPlace *place;
    int64_t planned[MEMORY_COUNT];  // of the job as it is, on the rank that needs most
} Search;

static int64_t sum(const int64_t bytes[MEMORY_COUNT]) {
    int64_t all = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) all += bytes[m];
    return all;
}

static void most_memory(int64_t out[MEMORY_COUNT], const ProgramSet *set) {
    memset(out, 0, MEMORY_COUNT * sizeof *out);
    for (int c = 0; c < set->count; c++) {
        int64_t bytes[MEMORY_COUNT];
        for (int m = 0; m < MEMORY_COUNT; m++)
            bytes[m] = program_memory(&set->programs[c], (Memory)m);
        if (sum(bytes) > sum(out)) memcpy(out, bytes, sizeof bytes);
    }
}

// Would it ask for nothing else than the job has?
static bool changes(const Candidate *c, const JobSpec *s) {
    bool zero = !c->zero || (job_spec_data_ranks(s) > 1 && c->zero > s->strategy.zero);
    bool recompute = !c->recompute || c->recompute > s->strategy.recompute;
    bool micro_batches = !c->micro_batches || c->micro_batches > s->micro_batches;
    bool tensor =
        !c->tensor || (c->tensor > mesh_size(&s->mesh, MESH_TENSOR) && c->tensor <= s->ranks);
    return zero && recompute && micro_batches && tensor;
}

// What weights and states take at least: ZeRO divides them evenly at best, tensor parallelism all;
// gradients count half, since other strategies need no copies of them. So most candidates of a
// model that is far too large need no plan.
static int64_t least_memory(const Search *search, const Candidate *c) {
    const int64_t *now = search->planned;
    const JobSpec *s = &search->job->spec;
    int64_t ranks = job_spec_data_ranks(s);
    int before = s->strategy.zero, after = c->zero > before ? c->zero : before;
    int64_t bytes = now[MEMORY_OPTIMISER] / (before < 1 && after >= 1 ? ranks : 1) +
                    now[MEMORY_GRADIENTS] / 2 / (before < 2 && after >= 2 ? ranks : 1) +
                    now[MEMORY_PARAMETERS] / (before < 3 && after >= 3 ? ranks : 1);
    return c->tensor ? bytes * mesh_size(&s->mesh, MESH_TENSOR) / c->tensor : bytes;
}

static void apply(JobSpec *s, const Candidate *c, bool keep_batch) {
    int before = job_spec_data_ranks(s);
    if (c->zero) s->strategy.zero = c->zero;
    if (c->recompute) s->strategy.recompute = c->recompute;
    if (c->micro_batches) s->micro_batches = c->micro_batches;
    if (c->tensor) s->mesh.tensor = c->tensor;
    if (!keep_batch) s->batch = s->batch / before * job_spec_data_ranks(s);
}

static Status plan(int64_t out[MEMORY_COUNT], const SimJob *job) {
    Arena a = {0};
    ProgramSet set = {0};
    Mesh mesh;
    Status s = job_spec_mesh(&mesh, &job->spec);
    if (s == OK) s = job_spec_check(&job->spec);
    if (s == OK) s = sim_job_step(&set, &a, job);
    if (s == OK) most_memory(out, &set);
    program_set_finish(&set);
    arena_finish(&a);
    return s;
}

// A job that is refused does not fit.
static Status fits(bool *out, const Search *search, const Candidate *c) {
    SimJob job = *search->job;
    int64_t bytes[MEMORY_COUNT];
    *out = false;
    if (!changes(c, &job.spec) || least_memory(search, c) > search->place->bytes) return OK;
    apply(&job.spec, c, search->place->keep_batch);
    Status s = plan(bytes, &job);
    if (s == ERR_MEMORY) return s;
    *out = s == OK && sum(bytes) <= search->place->bytes;
    return OK;
}

static void print(char out[FIT_TEXT], const Candidate *c) {
    *out = '\0';
    if (c->tensor) text_append(out, FIT_TEXT, " --tp %d", c->tensor);
    if (c->zero) text_append(out, FIT_TEXT, " --zero %d", c->zero);
    if (c->recompute) text_append(out, FIT_TEXT, " --recompute %s", recompute_words[c->recompute]);
    if (c->micro_batches) text_append(out, FIT_TEXT, " --accumulate %d", c->micro_batches);
    memmove(out, out + 1, strlen(out));  // without the space before the first
}

// With as many micro-batches as a shard has rows, at most this, memory is least; fewer do perhaps.
enum { MICRO_BATCHES_MOST = 32 };

static int most_micro_batches(const JobSpec *s) {
    int64_t rows = s->batch / job_spec_shards(s), most = 1;
    while (most * 2 <= rows && most < MICRO_BATCHES_MOST) most *= 2;
    return (int)most;
}

static Status try_micro_batches(bool *found, Candidate *c, const Search *search) {
    int most = most_micro_batches(&search->job->spec);
    c->micro_batches = most;
    TRY(fits(found, search, c));
    for (int n = 2; n < most && *found; n *= 2) {
        Candidate fewer = *c;
        bool fewer_fit;
        fewer.micro_batches = n;
        TRY(fits(&fewer_fit, search, &fewer));
        if (!fewer_fit) continue;
        *c = fewer;
        break;
    }
    return OK;
}

static Status try_each(bool *found, Candidate *c, const Search *search, const Candidate *list,
                       int count) {
    for (int i = 0; i < count && !*found; i++) {
        *c = list[i];
        TRY(fits(found, search, c));
    }
    return OK;
}

static Status try_tensor(bool *found, Candidate *c, const Search *search, const Candidate *with) {
    for (int n = 2; n <= search->place->devices_per_node && !*found; n *= 2) {
        *c = *with;
        c->tensor = n;
        TRY(fits(found, search, c));
    }
    return OK;
}

// All of them together, on as few tensor parallel ranks as that takes; what the job has stays.
static Status try_all(bool *found, Candidate *c, const Search *search) {
    const JobSpec *s = &search->job->spec;
    bool again = s->strategy.recompute < RECOMPUTE_FULL;
    bool fewer_rows = most_micro_batches(s) > s->micro_batches;
    for (int n = 2; n <= search->place->devices_per_node && !*found; n *= 2)
        for (int zero = 1; zero <= 3 && !*found; zero += 2) {
            *c = (Candidate){.tensor = n,
                             .zero = zero > s->strategy.zero ? zero : 0,
                             .recompute = again ? RECOMPUTE_FULL : RECOMPUTE_NONE};
            TRY(fewer_rows ? try_micro_batches(found, c, search) : fits(found, search, c));
        }
    return OK;
}

static Status search_all(bool *found, Candidate *c, const Search *search) {
    static const Candidate alone[] = {{.zero = 1},
                                      {.zero = 2},
                                      {.zero = 3},
                                      {.recompute = RECOMPUTE_SELECTIVE},
                                      {.recompute = RECOMPUTE_FULL}};
    static const Candidate together[] = {{.zero = 1, .recompute = RECOMPUTE_FULL},
                                         {.zero = 3, .recompute = RECOMPUTE_FULL}};
    static const Candidate most = {.zero = 3, .recompute = RECOMPUTE_FULL};
    static const Candidate full = {.recompute = RECOMPUTE_FULL}, none = {0};
    TRY(try_each(found, c, search, alone, 5));
    if (!*found) *c = none;
    if (!*found) TRY(try_micro_batches(found, c, search));
    if (!*found) TRY(try_tensor(found, c, search, &none));
    if (!*found) TRY(try_each(found, c, search, together, 2));
    if (!*found) *c = full;
    if (!*found) TRY(try_micro_batches(found, c, search));
    if (!*found) *c = most;
    if (!*found) TRY(try_micro_batches(found, c, search));
    if (!*found) TRY(try_tensor(found, c, search, &full));
    if (!*found) TRY(try_all(found, c, search));
    return OK;
}

Status fit_find(char out[FIT_TEXT], const SimJob *job, const FitPlace *place) {
    Search search = {.job = job, .place = place};
    Candidate c = {0};
    bool found = false;
    *out = '\0';
    if (job->spec.plan_file) return OK;
    TRY(plan(search.planned, job));
    TRY(search_all(&found, &c, &search));
    if (found) print(out, &c);
    return OK;
}
