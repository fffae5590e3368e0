// SPDX-License-Identifier: MIT
// Candidates: list, reject, estimate. Read advise_find() at the end;
// advise_search.c chooses which are simulated.
#include "sim/advise_internal.h"

#include "core/base/team.h"
#include "parallel/strategy/pipeline_schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MICRO_BATCHES_MOST = 64, SCHEDULE_UNIT = 8 };

typedef struct {
    Search *search;
    uint32_t recomputes;
} Planning;

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
    s->strategy.bucket_rank_bytes *= advise_value(v, candidate, ADVISE_BUCKET);
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

void advise_note_why(Advice *v, AdviseFate fate, const char *why) {
    if (!*v->why[fate]) snprintf(v->why[fate], STATUS_TEXT, "%s", why);
}

// --- ways to cut the model

// With experts that ranks along context share, or without.
static AdvisePiece *piece_of(const Search *search, const AdviseCandidate *c, const JobSpec *s) {
    Mesh mesh;
    const int *counts = search->out->space.counts;
    int i = c->at[ADVISE_TENSOR] * counts[ADVISE_CONTEXT] + c->at[ADVISE_CONTEXT];
    bool wide = job_spec_mesh(&mesh, s) == OK && mesh.wide_experts;
    return &search->pieces[2 * (i * counts[ADVISE_EXPERT] + c->at[ADVISE_EXPERT]) + wide];
}

// In the order of piece_of().
static Status plan_piece(void *context, int i) {
    const Planning *p = context;
    const AdviseSpace *s = &p->search->out->space;
    int experts = s->counts[ADVISE_EXPERT], contexts = s->counts[ADVISE_CONTEXT], at = i / 2;
    const AdviseCut cut = {.tensor = s->values[ADVISE_TENSOR][at / experts / contexts],
                           .context = s->values[ADVISE_CONTEXT][at / experts % contexts],
                           .experts = s->values[ADVISE_EXPERT][at % experts],
                           .wide = i % 2};
    AdvisePiece *piece = &p->search->pieces[i];
    return piece->wanted ? advise_piece_plan(piece, p->search->ask->job, &cut, p->recomputes,
                                             &p->search->blocks)
                         : OK;
}

static Status plan_pieces(Search *search, int count) {
    const AdviseSpace *s = &search->out->space;
    Planning planning = {.search = search};
    for (int r = 0; r < s->counts[ADVISE_RECOMPUTE]; r++)
        planning.recomputes |= UINT32_C(1) << s->values[ADVISE_RECOMPUTE][r];
    TRY(team_each(count, plan_piece, &planning));
    for (int i = 0; i < count; i++)
        if (search->pieces[i].wanted && !search->pieces[i].divides)
            advise_note_why(search->out, ADVISE_MODEL, search->pieces[i].why);
    return OK;
}

// --- what becomes of a candidate

// The same job as another candidate: options that have no effect are at their first value.
static bool is_twin(const JobSpec *s, const AdviseCandidate *c) {
    bool alone = s->ranks % job_spec_model_ranks(s) == 0 && job_spec_data_ranks(s) < 2;
    if (mesh_size(&s->mesh, MESH_PIPE) < 2 && c->at[ADVISE_SCHEDULE]) return true;
    return alone && (c->at[ADVISE_ZERO] || c->at[ADVISE_BUCKET]);
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
    c->point = NONE;
    c->fate = (uint8_t)check_divisions(s);
    if (c->fate == ADVISE_REFUSED) advise_note_why(search->out, ADVISE_REFUSED, status_message());
    if (c->fate == ADVISE_OPEN) piece_of(search, c, s)->wanted = true;
}

static void estimate(Search *search, AdviseCandidate *c, const JobSpec *s) {
    const AdvisePiece *piece = piece_of(search, c, s);
    if (!piece->divides) {
        c->fate = ADVISE_MODEL;
        return;
    }
    c->least_bytes = (int64_t)estimate_model_least_bytes(&search->model, s);
    c->likely_bytes = advise_piece_bytes(piece, &search->model, s);
    c->estimate_ms = estimate_model_step_ms(&search->model, s);
    if (search->out->memory_bytes && c->least_bytes > search->out->memory_bytes)
        c->fate = ADVISE_LEAST;
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
    const int *counts = v->space.counts;
    int64_t all = 1;
    AdviseCandidate next = {0};
    JobSpec s;
    add_own(&v->space, &search->ask->job->spec);
    add_choices(&v->space, search);
    int pieces = 2 * counts[ADVISE_TENSOR] * counts[ADVISE_CONTEXT] * counts[ADVISE_EXPERT];
    for (int o = 0; o < ADVISE_OPTIONS; o++) all *= counts[o];
    v->candidates = ARENA_NEW(a, AdviseCandidate, all);
    search->pieces = ARENA_NEW(a, AdvisePiece, pieces);
    if (!v->candidates || !search->pieces)
        FAIL(ERR_MEMORY, "out of memory for %lld candidates", (long long)all);
    do {
        v->candidates[v->count] = next;
        advise_job(&s, v, v->count);
        if (job_spec_model_ranks(&s) > s.ranks || is_twin(&s, &next)) continue;
        judge(search, &v->candidates[v->count++], &s);
    } while (advance(next.at, &v->space));
    TRY(plan_pieces(search, pieces));
    for (int c = 0; c < v->count; c++) {
        if (v->candidates[c].fate != ADVISE_OPEN) continue;
        advise_job(&s, v, c);
        estimate(search, &v->candidates[c], &s);
    }
    return OK;
}

void advise_count_fates(Advice *v) {
    memset(v->fates, 0, sizeof v->fates);
    for (int c = 0; c < v->count; c++) v->fates[v->candidates[c].fate]++;
}

Status advise_find(Advice *out, Arena *a, const AdviseAsk *ask) {
    int most = ask->most ? ask->most : ADVISE_MOST;
    Search search = {.out = out, .ask = ask, .most = most};
    advise_hold(&search);
    *out = (Advice){.job = ask->job->spec, .memory_bytes = ask->memory_bytes, .best = NONE};
    advise_let_go(&search);
    TRY(estimate_model_read(&search.model, a, &ask->job->spec, ask->setting));
    TRY(short_blocks_read(&search.blocks, a, &ask->job->spec));
    if (!ask->setting->devices) search.blocks.count = 0;
    TRY(list(&search, a));
    out->points = ARENA_NEW(a, Point, most);
    out->of_point = ARENA_NEW(a, int, most);
    if (!out->points || !out->of_point) FAIL(ERR_MEMORY, "out of memory for %d points", most);
    advise_hold(&search);
    out->listed = true;
    advise_let_go(&search);
    Status status = advise_search(&search);
    advise_count_fates(out);
    return status;
}
