// SPDX-License-Identifier: MIT
// Read short_plan_point() last.
#include "sim/advise_short.h"

#include "core/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of the short plans: micro-batches without a pipeline; in one, at least so many, and so many more;
// blocks of the smallest stage. A plan with fewer of both than SMALL is not shortened.
enum { FEW_ALONE = 2, MANY_ALONE = 4, FEW = 8, MORE = 4 };
enum { FEW_BLOCKS = 1, MANY_BLOCKS = 2, SMALL = 128 };

// --- a model with fewer blocks

// "llama-3-8b:seq=64" with 3 blocks: "llama-3-8b:seq=64,layers=3".
static char *name_short(Arena *a, const char *name, int blocks) {
    size_t size = strlen(name) + sizeof ",layers=2147483647";
    char *out = arena_push(a, size);
    const char *at = strchr(name, ':');
    if (!out) return NULL;
    snprintf(out, size, "%.*s", (int)(at ? at - name : (long)strlen(name)), name);
    text_append(out, size, ":layers=%d", blocks);
    while (at && *++at) {
        int length = (int)strcspn(at, ",");
        if (strncmp(at, "layers=", 7) != 0) text_append(out, size, ",%.*s", length, at);
        at = strchr(at, ',');
    }
    return out;
}

static bool are_alike(const Layer *p, const Layer *q) {
    bool alike = p->row == q->row && p->in_dims == q->in_dims && p->out_dims == q->out_dims &&
                 p->parameter_count == q->parameter_count && p->used == q->used;
    return alike && !memcmp(p->in, q->in, sizeof p->in) && !memcmp(p->out, q->out, sizeof p->out) &&
           !memcmp(p->attribute, q->attribute, sizeof p->attribute);
}

static int run_end(const Model *m, int first) {
    int end = first + 1;
    while (end < m->layer_count && m->layers[end].block == m->layers[first].block) end++;
    return end;
}

static bool run_is_repeated(const Model *m, int first, int period) {
    if (first + 2 * period > m->layer_count) return false;
    if (run_end(m, first + period) != first + 2 * period) return false;
    for (int i = first; i < first + period; i++)
        if (!are_alike(&m->layers[i], &m->layers[i + period])) return false;
    return true;
}

// Of all blocks that follow each other and are alike, the most.
static ShortBlocks find_blocks(const Model *m) {
    ShortBlocks most = {0};
    for (int first = 0, end; first < m->layer_count; first = end) {
        ShortBlocks b = {first, run_end(m, first) - first, 1};
        end = first + b.period;
        if (m->layers[first].block == NONE) continue;
        for (; run_is_repeated(m, end - b.period, b.period); end += b.period) b.count++;
        if (b.count > most.count) most = b;
    }
    return most;
}

Status short_blocks_job(SimJob *out, Arena *a, const SimJob *job, int blocks) {
    *out = *job;
    out->spec.model = name_short(a, job->spec.model, blocks);
    if (!out->spec.model) FAIL(ERR_MEMORY, "out of memory for a model's name");
    return OK;
}

Status short_blocks_read(ShortBlocks *out, Arena *a, const JobSpec *s) {
    Model whole, less;
    JobSpec fewer = *s;
    TRY(job_spec_model(&whole, a, s));
    *out = find_blocks(&whole);
    fewer.model = name_short(a, s->model, 1);
    if (!fewer.model) FAIL(ERR_MEMORY, "out of memory for a model's name");
    bool given = out->count > 1 && job_spec_model(&less, a, &fewer) == OK &&
                 less.layer_count == whole.layer_count - (out->count - 1) * out->period;
    if (!given || s->freeze) out->count = 0;
    return OK;
}

// --- a plan that is cut

// Layers of a stage that are in blocks, in whole blocks.
static int blocks_between(const ShortBlocks *b, int first, int end) {
    int last = b->first + b->count * b->period;
    if (first < b->first) first = b->first;
    if (end > last) end = last;
    return end > first ? (end - first) / b->period : 0;
}

static Status read_stages(ShortPlan *out, Arena *a, const JobSpec *spec) {
    Model m;
    JobSpec s = *spec;
    int *stage;
    s.batch /= s.micro_batches;
    s.micro_batches = 1;
    TRY(job_spec_model(&m, a, &s));
    TRY(job_spec_stages(&stage, a, &s, &m));
    out->ends = ARENA_NEW(a, int, m.layer_count);
    if (!out->ends) FAIL(ERR_MEMORY, "out of memory for %d stages", m.layer_count);
    for (int i = 0; i < m.layer_count; i++) {
        out->ends[stage[i]] = i + 1;
        if (stage[i] >= out->stages) out->stages = stage[i] + 1;
    }
    return OK;
}

// So many times the stages that there are `least`, since schedules may want multiples.
static int fill(int stages, int times, int least) {
    while (stages * times < least) times++;
    return stages * times;
}

static bool is_small(const ShortBlocks *b, const JobSpec *s) {
    return (int64_t)b->count * s->micro_batches * job_spec_local_shards(s) <= SMALL;
}

Status short_plan_init(ShortPlan *out, Arena *a, const SimJob *job, const SimSetting *setting,
                       const ShortBlocks *blocks) {
    const JobSpec *s = &job->spec;
    int pipe = mesh_size(&s->mesh, MESH_PIPE), least = blocks->count;
    *out = (ShortPlan){.job = job, .setting = setting, .blocks = *blocks};
    if (is_small(blocks, s)) {
        out->micro_batches[0] = out->micro_batches[1] = s->micro_batches;
        return OK;
    }
    if (pipe > 1) {
        TRY(read_stages(out, a, s));
        for (int k = 0; k < out->stages; k++) {
            int own = blocks_between(blocks, k ? out->ends[k - 1] : 0, out->ends[k]);
            if (own < least) least = own;
        }
    }
    out->least_left = least;
    out->micro_batches[0] = pipe > 1 ? fill(pipe, 2, FEW) : FEW_ALONE;
    out->micro_batches[1] = pipe > 1 ? out->micro_batches[0] + fill(pipe, 1, MORE) : MANY_ALONE;
    if (s->micro_batches <= out->micro_batches[1])
        out->micro_batches[0] = out->micro_batches[1] = s->micro_batches;
    return OK;
}

// Blocks that each stage loses in the shortest plans, and in the others; 0: nothing is gained.
static int most_lost(const ShortPlan *s) {
    return s->least_left > MANY_BLOCKS ? s->least_left - FEW_BLOCKS : 0;
}

static int least_lost(const ShortPlan *s) {
    return s->least_left > MANY_BLOCKS ? s->least_left - MANY_BLOCKS : 0;
}

static bool all_micro_batches(const ShortPlan *s) {
    return s->micro_batches[0] == s->micro_batches[1];
}

bool short_plan_is_whole(const ShortPlan *s) { return !most_lost(s) && all_micro_batches(s); }

// "0:14,14:27": where the stages end when each has lost so many blocks.
static char *name_stages(Arena *a, const ShortPlan *s, int lost) {
    enum { RANGE = 24 };
    size_t size = (size_t)s->stages * RANGE;
    char *out = arena_push(a, size);
    if (!out) return NULL;
    *out = '\0';
    for (int k = 0; k < s->stages; k++) {
        int first = k ? s->ends[k - 1] - k * lost * s->blocks.period : 0;
        text_append(out, size, "%s%d:%d", k ? "," : "", first,
                    s->ends[k] - (k + 1) * lost * s->blocks.period);
    }
    return out;
}

static Status cut(SimJob *out, Arena *a, const ShortPlan *s, int lost, int micro_batches) {
    *out = *s->job;
    JobSpec *spec = &out->spec;
    spec->batch = spec->batch / spec->micro_batches * micro_batches;
    spec->micro_batches = micro_batches;
    if (!lost) return OK;
    int stages = s->stages ? s->stages : 1;
    spec->model = name_short(a, spec->model, s->blocks.count - stages * lost);
    if (s->stages) spec->strategy.stages = name_stages(a, s, lost);
    if (!spec->model || (s->stages && !spec->strategy.stages))
        FAIL(ERR_MEMORY, "out of memory for a shorter plan");
    return OK;
}

static Status measure(Point *out, const ShortPlan *s, int lost, int micro_batches) {
    Arena a = {0};
    SimJob job;
    Prediction p;
    Status status = cut(&job, &a, s, lost, micro_batches);
    if (status == OK) status = predict_job(&p, &a, &job, s->setting);
    if (status == OK) point_take(out, &p);
    arena_finish(&a);
    return status;
}

// --- the line through two

static void extend(double *to, double from, double times) { *to += (*to - from) * times; }

static int64_t extended(int64_t to, int64_t from, double times) {
    return to + (int64_t)((double)(to - from) * times);
}

// `to` becomes what lies `times` as far behind it as `from` lies before it. Shares and rates are
// not lines; what they are of is: flops, samples.
static void extend_point(Point *to, const Point *from, double times) {
    double needed = to->mfu * to->step_ms, tokens = to->tokens_per_s * to->step_ms,
           samples = (double)to->batch;
    extend(&needed, from->mfu * from->step_ms, times);
    extend(&tokens, from->tokens_per_s * from->step_ms, times);
    extend(&samples, (double)from->batch, times);
    extend(&to->step_ms, from->step_ms, times);
    extend(&to->comm_ms, from->comm_ms, times);
    for (int p = 0; p < REPORT_PARTS; p++) extend(&to->parts_ms[p], from->parts_ms[p], times);
    to->memory_bytes = extended(to->memory_bytes, from->memory_bytes, times);
    for (int m = 0; m < MEMORY_COUNT; m++)
        to->class_bytes[m] = extended(to->class_bytes[m], from->class_bytes[m], times);
    to->batch = (int64_t)(samples + 0.5);
    to->mfu = needed / to->step_ms;
    to->tokens_per_s = tokens / to->step_ms;
    to->samples_per_s = samples / to->step_ms * 1e3;
}

// With all blocks.
static Status measure_whole(Point *out, const ShortPlan *s, int micro_batches) {
    int most = most_lost(s), less = least_lost(s);
    Point shorter;
    TRY(measure(out, s, less, micro_batches));
    if (!most) return OK;
    TRY(measure(&shorter, s, most, micro_batches));
    extend_point(out, &shorter, (double)less / (most - less));
    return OK;
}

Status short_plan_point(Point *out, const ShortPlan *s, int64_t most) {
    const int *m = s->micro_batches;
    Point fewer;
    TRY(measure_whole(out, s, m[1]));
    bool too_large = most && out->memory_bytes > most + most / 16;
    if (all_micro_batches(s) || too_large) return OK;
    TRY(measure_whole(&fewer, s, m[0]));
    extend_point(out, &fewer, (double)(s->job->spec.micro_batches - m[1]) / (m[1] - m[0]));
    return OK;
}
