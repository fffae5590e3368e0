// SPDX-License-Identifier: MIT
// Read advise_find() at the end: list, reject, estimate, simulate the best, then its neighbours.
#include "sim/advise.h"

#include "parallel/strategy/pipeline_schedule.h"
#include "sim/advise_estimate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 16, OF_A_MESH = 2, MICRO_BATCHES_MOST = 64, SCHEDULE_UNIT = 8 };

typedef struct {
    Advice *out;
    const AdviseAsk *ask;
    EstimateModel model;
    bool divides[ADVISE_VALUES][ADVISE_VALUES]
                [ADVISE_VALUES];  // tensor, context, expert: the model
    int first;                    // point of the round that is simulated
} Search;

// --- candidates

int advise_value(const Advice *v, int candidate, AdviseOption option) {
    return v->space.values[option][v->candidates[candidate].at[option]];
}

const char *advise_option_name(AdviseOption option) {
    static const char *const names[ADVISE_OPTIONS] = {
        "tp", "cp", "pp", "ep", "zero", "recompute", "schedule", "accumulate", "bucket-kib"};
    return names[option];
}

void advise_job(JobSpec *s, const Advice *v, int candidate) {
    int expert = advise_value(v, candidate, ADVISE_EXPERT);
    int schedule = advise_value(v, candidate, ADVISE_SCHEDULE);
    *s = v->job;
    s->mesh.data = 0;
    s->mesh.tensor = advise_value(v, candidate, ADVISE_TENSOR);
    s->mesh.context = advise_value(v, candidate, ADVISE_CONTEXT);
    s->mesh.pipe = advise_value(v, candidate, ADVISE_PIPE);
    s->strategy.experts = expert;
    s->strategy.zero = advise_value(v, candidate, ADVISE_ZERO);
    s->strategy.recompute = (Recompute)advise_value(v, candidate, ADVISE_RECOMPUTE);
    s->strategy.schedule =
        (OptionForm){schedule % SCHEDULE_UNIT, (double)(schedule / SCHEDULE_UNIT)};
    s->micro_batches = advise_value(v, candidate, ADVISE_MICRO_BATCHES);
    for (int k = 0; k < 2; k++)
        s->strategy.bucket_bytes[k] *= advise_value(v, candidate, ADVISE_BUCKET);
}

// Each option's first value is the job's own, and the first combination has all of them.
int advise_plain(const Advice *v) {
    static const uint8_t own[ADVISE_OPTIONS] = {0};
    return v->count && !memcmp(v->candidates[0].at, own, sizeof own) ? 0 : NONE;
}

bool advise_differs_only(const Advice *v, int a, int b, AdviseOption *option) {
    int count = 0;
    for (int o = 0; o < ADVISE_OPTIONS; o++)
        if (v->candidates[a].at[o] != v->candidates[b].at[o]) {
            *option = (AdviseOption)o;
            count++;
        }
    return count == 1;
}

static void add_value(AdviseSpace *s, AdviseOption option, int value) {
    for (int i = 0; i < s->counts[option]; i++)
        if (s->values[option][i] == value) return;
    if (s->counts[option] < ADVISE_VALUES) s->values[option][s->counts[option]++] = value;
}

static void add_doubled(AdviseSpace *s, AdviseOption option, int64_t most) {
    for (int n = 1; n <= most && s->counts[option] < ADVISE_VALUES; n *= 2) add_value(s, option, n);
}

static int schedule_value(const OptionForm *f) { return f->word + SCHEDULE_UNIT * (int)f->number; }

// What the job has comes first, so that of equal candidates it is taken.
static void add_own(AdviseSpace *s, const JobSpec *job) {
    add_value(s, ADVISE_TENSOR, mesh_size(&job->mesh, MESH_TENSOR));
    add_value(s, ADVISE_CONTEXT, mesh_size(&job->mesh, MESH_CONTEXT));
    add_value(s, ADVISE_PIPE, mesh_size(&job->mesh, MESH_PIPE));
    add_value(s, ADVISE_EXPERT, job->strategy.experts);
    add_value(s, ADVISE_ZERO, job->strategy.zero);
    add_value(s, ADVISE_RECOMPUTE, job->strategy.recompute);
    add_value(s, ADVISE_SCHEDULE, schedule_value(&job->strategy.schedule));
    add_value(s, ADVISE_MICRO_BATCHES, job->micro_batches);
    add_value(s, ADVISE_BUCKET, 1);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void add_choices(AdviseSpace *s, const Search *search) {
    const JobSpec *job = &search->ask->job->spec;
    const EstimateModel *m = &search->model;
    const bool *fixed = search->ask->fixed;
    int node = (int)least(m->devices_per_node, job->ranks);
    int64_t stages = least(least(m->blocks, job->ranks), 32);
    if (!fixed[ADVISE_TENSOR]) add_doubled(s, ADVISE_TENSOR, least(node, 64));
    if (!fixed[ADVISE_CONTEXT] && m->tokens) add_doubled(s, ADVISE_CONTEXT, least(node, 8));
    if (!fixed[ADVISE_PIPE]) add_doubled(s, ADVISE_PIPE, stages);
    for (int n = 2; n <= m->experts && !fixed[ADVISE_EXPERT]; n *= 2)
        add_value(s, ADVISE_EXPERT, n);
    for (int n = 0; n <= 3 && !fixed[ADVISE_ZERO]; n++) add_value(s, ADVISE_ZERO, n);
    for (int n = RECOMPUTE_NONE; n <= RECOMPUTE_FULL && !fixed[ADVISE_RECOMPUTE]; n++)
        add_value(s, ADVISE_RECOMPUTE, n);
    if (!fixed[ADVISE_SCHEDULE]) {
        add_value(s, ADVISE_SCHEDULE, SCHEDULE_1F1B);
        add_value(s, ADVISE_SCHEDULE, SCHEDULE_INTERLEAVED + SCHEDULE_UNIT * 2);
        add_value(s, ADVISE_SCHEDULE, SCHEDULE_ZERO_BUBBLE);
    }
    if (!fixed[ADVISE_MICRO_BATCHES])
        add_doubled(s, ADVISE_MICRO_BATCHES, least(job->batch, MICRO_BATCHES_MOST));
    if (!fixed[ADVISE_BUCKET]) add_value(s, ADVISE_BUCKET, 4);
}

static void note_why(Advice *v, AdviseFate fate, const char *why) {
    if (!*v->why[fate]) snprintf(v->why[fate], STATUS_TEXT, "%s", why);
}

// Can the model be divided so at all? Asked of as few ranks as that takes, before a pipeline.
static Status probe(bool *divides, Advice *v, const JobSpec *job, int tensor, int context,
                    int expert) {
    JobSpec s = *job;
    Arena a = {0};
    Model m;
    ProgramSet set = {0};
    s.mesh = (Mesh){.tensor = tensor, .context = context, .data = expert > 1 ? expert : 1};
    s.ranks = (int)mesh_ranks(&s.mesh);
    s.batch = s.mesh.data;
    s.shards = s.strategy.zero = 0;
    s.micro_batches = 1;
    s.strategy.experts = expert;
    Status status = job_spec_check(&s);
    if (status == OK) status = job_spec_model(&m, &a, &s);
    if (status == OK) status = job_spec_programs(&set, &s, &m);
    program_set_finish(&set);
    arena_finish(&a);
    *divides = status == OK;
    if (status == OK || status == ERR_MEMORY) return status;
    note_why(v, ADVISE_MODEL, status_message());
    return OK;
}

static Status probe_all(Search *search) {
    const AdviseSpace *s = &search->out->space;
    for (int t = 0; t < s->counts[ADVISE_TENSOR]; t++)
        for (int c = 0; c < s->counts[ADVISE_CONTEXT]; c++)
            for (int e = 0; e < s->counts[ADVISE_EXPERT]; e++)
                TRY(probe(&search->divides[t][c][e], search->out, &search->ask->job->spec,
                          s->values[ADVISE_TENSOR][t], s->values[ADVISE_CONTEXT][c],
                          s->values[ADVISE_EXPERT][e]));
    return OK;
}

// The same job as another candidate: options that have no effect are at their first value.
static bool is_twin(const JobSpec *s, const AdviseCandidate *c) {
    bool alone = s->ranks % job_spec_model_ranks(s) == 0 && job_spec_data_ranks(s) < 2;
    if (mesh_size(&s->mesh, MESH_PIPE) < 2 && c->at[ADVISE_SCHEDULE]) return true;
    return alone && (c->at[ADVISE_BUCKET] || c->at[ADVISE_ZERO]);
}

static AdviseFate check_divisions(const JobSpec *s) {
    int model = job_spec_model_ranks(s), stages = mesh_size(&s->mesh, MESH_PIPE);
    if (s->ranks % model) return ADVISE_DEVICES;
    if (s->batch % ((int64_t)job_spec_shards(s) * s->micro_batches)) return ADVISE_BATCH;
    bool groups = s->strategy.schedule.word == SCHEDULE_INTERLEAVED;
    if (stages > 1 && (s->micro_batches < stages || (groups && s->micro_batches % stages)))
        return ADVISE_STAGES;
    return job_spec_check(s) == OK ? ADVISE_OPEN : ADVISE_REFUSED;
}

static void judge(Search *search, AdviseCandidate *c, const JobSpec *s) {
    Advice *v = search->out;
    c->point = NONE;
    c->fate = (uint8_t)check_divisions(s);
    if (c->fate == ADVISE_REFUSED) note_why(v, ADVISE_REFUSED, status_message());
    if (c->fate != ADVISE_OPEN) return;
    const uint8_t *at = c->at;
    if (!search->divides[at[ADVISE_TENSOR]][at[ADVISE_CONTEXT]][at[ADVISE_EXPERT]])
        c->fate = ADVISE_MODEL;
    if (c->fate != ADVISE_OPEN) return;
    c->least_bytes = (int64_t)estimate_model_least_bytes(&search->model, s);
    c->estimate_ms = estimate_model_step_ms(&search->model, s);
    if (v->memory_bytes && c->least_bytes > v->memory_bytes) c->fate = ADVISE_LEAST;
}

// The next combination; false: it was the last.
static bool advance(uint8_t at[ADVISE_OPTIONS], const AdviseSpace *s) {
    for (int o = ADVISE_OPTIONS - 1; o >= 0; o--) {
        if (++at[o] < s->counts[o]) return true;
        at[o] = 0;
    }
    return false;
}

static Status list(Search *search, Arena *a) {
    Advice *v = search->out;
    int64_t all = 1;
    AdviseCandidate next = {0};
    add_own(&v->space, &search->ask->job->spec);
    add_choices(&v->space, search);
    TRY(probe_all(search));
    for (int o = 0; o < ADVISE_OPTIONS; o++) all *= v->space.counts[o];
    v->candidates = ARENA_NEW(a, AdviseCandidate, all);
    if (!v->candidates) FAIL(ERR_MEMORY, "out of memory for %lld candidates", (long long)all);
    do {
        JobSpec s;
        v->candidates[v->count] = next;
        advise_job(&s, v, v->count);
        if (job_spec_model_ranks(&s) > s.ranks || is_twin(&s, &next)) continue;
        judge(search, &v->candidates[v->count++], &s);
    } while (advance(next.at, &v->space));
    return OK;
}

// --- simulating

static Status make(void *context, PointInput *out, Arena *a, int i) {
    const Search *search = context;
    SimJob *job = ARENA_NEW(a, SimJob, 1);
    if (!job) FAIL(ERR_MEMORY, "out of memory");
    *job = *search->ask->job;
    advise_job(&job->spec, search->out, search->out->of_point[search->first + i]);
    out->job = job;
    out->setting = *search->ask->setting;
    return OK;
}

static void follow(void *context, int ended, int all_ended) {
    const Search *search = context;
    const PointWork *f = search->ask->follower;
    if (f && f->follow) f->follow(f->context, search->first + ended, search->first + all_ended);
}

static bool go_on(void *context) {
    const Search *search = context;
    const PointWork *f = search->ask->follower;
    return !f || !f->go_on || f->go_on(f->context);
}

static bool better(const Point *p, const Point *than) { return p->step_ms < than->step_ms; }

static bool fits(const Advice *v, const Point *p) {
    return !v->memory_bytes || p->memory_bytes <= v->memory_bytes;
}

static void take_point(Advice *v, int i) {
    AdviseCandidate *c = &v->candidates[v->of_point[i]];
    const Point *p = &v->points[i];
    c->point = i;
    c->fate = p->state == POINT_REFUSED ? ADVISE_MODEL
              : fits(v, p)              ? ADVISE_SIMULATED
                                        : ADVISE_MEMORY;
    if (c->fate == ADVISE_MODEL) note_why(v, ADVISE_MODEL, p->why);
    if (c->fate != ADVISE_SIMULATED) return;
    if (v->best == NONE || better(p, &v->points[v->candidates[v->best].point]))
        v->best = v->of_point[i];
}

// Simulate the points from `first` on, in their order whatever the threads do.
static Status simulate(Search *search, int count) {
    Advice *v = search->out;
    const PointWork work = {search, make, follow, go_on};
    search->first = v->simulated;
    Status status = points_run(&v->points[v->simulated], count, search->ask->threads, &work);
    int last = v->simulated + count;
    for (int i = v->simulated; i < last; i++) {
        if (v->points[i].state == POINT_OPEN) continue;
        int kept = v->simulated++;
        v->points[kept] = v->points[i];
        v->of_point[kept] = v->of_point[i];
        take_point(v, kept);
    }
    return status;
}

// --- which

static int same_mesh(const Advice *v, int first, int count, int candidate) {
    int same = 0;
    for (int i = first; i < first + count; i++) {
        const uint8_t *a = v->candidates[v->of_point[i]].at, *b = v->candidates[candidate].at;
        same += a[ADVISE_TENSOR] == b[ADVISE_TENSOR] && a[ADVISE_CONTEXT] == b[ADVISE_CONTEXT] &&
                a[ADVISE_PIPE] == b[ADVISE_PIPE] && a[ADVISE_EXPERT] == b[ADVISE_EXPERT];
    }
    return same;
}

static bool is_chosen(const Advice *v, int first, int count, int candidate) {
    for (int i = first; i < first + count; i++)
        if (v->of_point[i] == candidate) return true;
    return false;
}

// The open candidate with the shortest estimate, the first of equal ones, of all whose mesh is not
// chosen often enough.
static int next_best(const Advice *v, int first, int count) {
    int best = NONE;
    for (int c = 0; c < v->count; c++) {
        if (v->candidates[c].fate != ADVISE_OPEN || is_chosen(v, first, count, c)) continue;
        if (best != NONE && v->candidates[best].estimate_ms <= v->candidates[c].estimate_ms)
            continue;
        if (same_mesh(v, first, count, c) < OF_A_MESH) best = c;
    }
    return best;
}

// The job as it is, whatever its estimate, since no advice may be slower; then the best estimates.
static int choose_estimated(Advice *v, int most) {
    int count = 0, next, plain = advise_plain(v);
    if (most && plain != NONE && v->candidates[plain].fate == ADVISE_OPEN)
        v->of_point[v->simulated + count++] = plain;
    while (count < most && (next = next_best(v, v->simulated, count)) != NONE)
        v->of_point[v->simulated + count++] = next;
    return count;
}

static bool is_next_value(const Advice *v, int a, int b, AdviseOption option) {
    if (option == ADVISE_ZERO || option == ADVISE_RECOMPUTE || option == ADVISE_SCHEDULE)
        return true;
    int one = v->space.values[option][v->candidates[a].at[option]];
    int other = v->space.values[option][v->candidates[b].at[option]];
    for (int i = 0; i < v->space.counts[option]; i++) {
        int between = v->space.values[option][i];
        if ((between > one && between < other) || (between < one && between > other)) return false;
    }
    return true;
}

// What differs from the best by one option, one value on where values are numbers.
static int choose_neighbours(Advice *v, int most) {
    int count = 0;
    AdviseOption option;
    for (int c = 0; c < v->count && count < most; c++)
        if (v->candidates[c].fate == ADVISE_OPEN && advise_differs_only(v, v->best, c, &option) &&
            is_next_value(v, v->best, c, option))
            v->of_point[v->simulated + count++] = c;
    return count;
}

static Status search_all(Search *search, int most) {
    Advice *v = search->out;
    int improved = NONE;  // the best when its neighbours were simulated
    for (int estimated = 0; v->simulated < most;) {
        int left = most - v->simulated, count = 0;
        bool around = v->best != NONE && v->best != improved;
        if (around) {
            improved = v->best;
            count = choose_neighbours(v, left);
        } else if (v->best == NONE || estimated < 2) {
            count = choose_estimated(v, (int)least(left, FIRST));
            estimated++;
            if (!count) return OK;
        } else
            return OK;
        if (count) TRY(simulate(search, count));
    }
    return OK;
}

static void count_fates(Advice *v) {
    for (int c = 0; c < v->count; c++) v->fates[v->candidates[c].fate]++;
}

Status advise_find(Advice *out, Arena *a, const AdviseAsk *ask) {
    Search search = {.out = out, .ask = ask};
    int most = ask->most ? ask->most : ADVISE_MOST;
    *out = (Advice){.job = ask->job->spec, .memory_bytes = ask->memory_bytes, .best = NONE};
    TRY(estimate_model_read(&search.model, a, &ask->job->spec, ask->setting));
    TRY(list(&search, a));
    out->points = ARENA_NEW(a, Point, most);
    out->of_point = ARENA_NEW(a, int, most);
    if (!out->points || !out->of_point) FAIL(ERR_MEMORY, "out of memory for %d points", most);
    Status status = search_all(&search, most);
    count_fates(out);
    return status;
}
