// SPDX-License-Identifier: MIT
// Layers to stages; read stage_assign() at the end first. The least largest cost of a stage comes
// from a dynamic program over (stages, layers), as in PipeDream (Narayanan et al., 2019, section
// 3.1); a second one finds, of the cuts that reach it, those over which the fewest bytes go.
#include "core/base/units.h"
#include "parallel/strategy/stage_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Cut c lies before layer c, so that cuts 0 and n are the ends.
typedef struct {
    const Model *m;
    const PipelineShape *shape;
    int n, stages;
    int64_t *before;  // [cut] flops of the layers before it
    int64_t *bytes;   // [cut] what a micro-batch sends over it
    uint8_t *joined;  // [cut] its neighbours must be on one stage
    bool busy;        // no stage may be without arithmetic
} Cuts;

// --- the layers of works

// A layer by where its name lies in the program.
typedef struct {
    int32_t name;
    int layer;
} NamedLayer;

static int by_name(const void *left, const void *right) {
    const NamedLayer *a = left, *b = right;
    if (a->name != b->name) return a->name < b->name ? -1 : 1;
    return (a->layer > b->layer) - (a->layer < b->layer);
}

static int same_name(const void *key, const void *item) {
    const int32_t name = *(const int32_t *)key, other = ((const NamedLayer *)item)->name;
    return (name > other) - (name < other);
}

Status stage_find_work_layers(int **out, Arena *a, const Program *p, const Model *m) {
    int n = m->layer_count;
    NamedLayer *layers = ARENA_NEW(a, NamedLayer, n + 1);
    *out = ARENA_NEW(a, int, p->work_count + 1);
    if (!layers || !*out) FAIL(ERR_MEMORY, "out of memory for %d layers", n);
    for (int i = 0; i < n; i++)
        layers[i] = (NamedLayer){program_find_name(p, m->layers[i].name), i};
    qsort(layers, (size_t)n, sizeof *layers, by_name);
    for (int w = 0; w < p->work_count; w++) {
        const NamedLayer *of =
            bsearch(&p->works[w].layer, layers, (size_t)n, sizeof *layers, same_name);
        (*out)[w] = p->works[w].layer == NONE ? NONE : of ? of->layer : n;
    }
    return OK;
}

// --- what a cut costs

// Who wrote a tensor of the first micro-batch, and on the way back? It has been sent as far as the
// layers low to high.
typedef struct {
    int *layer, *low, *high;
    uint8_t *backward;
} Writers;

// A reader on another stage has it sent. What a backward writes goes to earlier layers alone, so
// that a layer whose backward needs some of an earlier one's must be on the same stage.
static void note_read(Cuts *c, const Program *p, Writers *w, int root, int reader) {
    int from = w->layer[root];
    if (from == NONE) return;
    for (; w->high[root] < reader; w->high[root]++) {
        c->bytes[w->high[root] + 1] += p->tensors[root].bytes;
        if (w->backward[root]) c->joined[w->high[root] + 1] = 1;
    }
    for (; w->low[root] > reader; w->low[root]--) c->bytes[w->low[root]] += p->tensors[root].bytes;
}

// Parts of a gradient are added up where the first layer that has one is (stage_plan.c).
static int layer_of_sum(const Writers *w, const Program *p, const Plan *plan, const Op *op,
                        int own) {
    int first = NONE;
    for (int k = 0; k < op->outputs + op->inputs; k++) {
        if (k < op->outputs && !(op->flags & OP_ACCUMULATE)) continue;
        int layer = w->layer[program_root(p, op_outputs(plan, op)[k])];
        if (first == NONE || layer < first) first = layer;
    }
    return first > own ? first : own;
}

static Status measure_ops(Cuts *c, Arena *a, const Program *p, const Plan *plan) {
    int *work_layer;
    TRY(stage_find_work_layers(&work_layer, a, p, c->m));
    Writers w = {ARENA_NEW(a, int, p->tensor_count + 1), ARENA_NEW(a, int, p->tensor_count + 1),
                 ARENA_NEW(a, int, p->tensor_count + 1),
                 ARENA_NEW(a, uint8_t, p->tensor_count + 1)};
    if (!w.layer || !w.low || !w.high || !w.backward)
        FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    for (int t = 0; t < p->tensor_count; t++) w.layer[t] = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Phase phase = (Phase)op_work(p, op)->phase;
        int layer = work_layer[op->work];
        if (op->shard || op->micro_batch || phase == PHASE_UPDATE) continue;
        if (layer == NONE || layer == c->n) continue;
        if (stage_sums_uses(p, op)) layer = layer_of_sum(&w, p, plan, op, layer);
        for (int k = 0; k < op->inputs; k++)
            note_read(c, p, &w, program_root(p, op_inputs(plan, op)[k]), layer);
        for (int k = 0; k < op->outputs; k++) {
            int root = program_root(p, op_outputs(plan, op)[k]);
            w.layer[root] = w.low[root] = w.high[root] = layer;
            w.backward[root] = phase == PHASE_BACKWARD;
        }
        c->before[layer + 1] += op_work(p, op)->flops;
    }
    return OK;
}

// Every layer counts for one flop, so that stages have some where there is no arithmetic.
static Status measure(Cuts *c, Arena *a, const Program *p) {
    int step = program_find_when(p, WHEN_EACH_STEP, 0);
    c->before = ARENA_NEW(a, int64_t, c->n + 1);
    c->bytes = ARENA_NEW(a, int64_t, c->n + 1);
    c->joined = ARENA_NEW(a, uint8_t, c->n + 1);
    if (!c->before || !c->bytes || !c->joined)
        FAIL(ERR_MEMORY, "out of memory for %d layers", c->n);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    TRY(measure_ops(c, a, p, &p->plans[step]));
    for (int i = 0; i < c->n; i++) c->before[i + 1] += c->before[i] + 1;
    return OK;
}

// --- the best cuts

// [stage * (n + 1) + cut]: of the layers before a cut in so many stages the least largest cost; or,
// within a largest cost, the fewest bytes. from: the cut before, for which that is so.
typedef struct {
    int64_t *best;
    int *from;
} Table;

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// The cuts before `end`, from the last one back: what lies between costs more and more, until that
// alone is more than the limit, or than the best there is.
static void fill_at(Table *t, const Cuts *c, int64_t limit, int k, int end) {
    int width = c->n + 1;
    int64_t *best = &t->best[k * width + end];
    for (int cut = end - 1; cut >= k - 1; cut--) {
        int64_t so_far = t->best[(k - 1) * width + cut], cost = c->before[end] - c->before[cut];
        if (cost > (limit < 0 ? *best : limit)) return;
        if (so_far == INT64_MAX || c->joined[cut]) continue;
        if (c->busy && cost == end - cut) continue;
        int64_t value = limit < 0 ? larger(so_far, cost) : so_far + c->bytes[cut];
        if (value >= *best) continue;  // of equal ones the later
        *best = value;
        t->from[k * width + end] = cut;
    }
}

static void fill(Table *t, const Cuts *c, int64_t limit) {
    for (int i = 0; i < (c->stages + 1) * (c->n + 1); i++) t->best[i] = INT64_MAX;
    t->best[0] = 0;
    for (int k = 1; k <= c->stages; k++)
        for (int end = k; end <= c->n; end++) fill_at(t, c, limit, k, end);
}

// A stage without arithmetic, as of a layer that only gives its input another shape, costs least
// and has least to send; but its rank would idle.
static Status cut_by_cost(int *out, Arena *a, Cuts *c) {
    int width = c->n + 1, last = c->stages * width + c->n;
    Table t = {ARENA_NEW(a, int64_t, (c->stages + 1) * width),
               ARENA_NEW(a, int, (c->stages + 1) * width)};
    if (!t.best || !t.from) FAIL(ERR_MEMORY, "out of memory for %d stages", c->stages);
    c->busy = true;
    fill(&t, c, -1);
    if (t.best[last] == INT64_MAX) {
        c->busy = false;  // there are more stages than layers with arithmetic
        fill(&t, c, -1);
    }
    fill(&t, c, t.best[last] + c->n);
    for (int k = c->stages, end = c->n; k > 0; end = t.from[k-- * width + end])
        for (int i = t.from[k * width + end]; i < end; i++) out[i] = k - 1;
    return OK;
}

static Status check_count(const Cuts *c) {
    char stages[96], instead[32];
    int most = 1, chunks = c->shape->chunks, ranks;
    for (int cut = 1; cut < c->n; cut++) most += !c->joined[cut];
    if (c->stages <= most) return OK;
    ranks = most / chunks;
    snprintf(stages, sizeof stages, "--pp %d", c->shape->ranks);
    if (chunks > 1)
        snprintf(stages, sizeof stages, "--pp %d × --schedule interleaved:%d = %d stages",
                 c->shape->ranks, chunks, c->stages);
    if (ranks < 2 && c->shape->ranks <= most)
        snprintf(instead, sizeof instead, "--schedule 1f1b");
    else
        snprintf(instead, sizeof instead, "--pp %d at most", ranks);
    if (most == c->n)
        FAIL(ERR_USAGE, "%s: %s has %d layers, and each stage needs one; give %s", stages,
             c->m->name, c->n, instead);
    FAIL(ERR_USAGE,
         "%s: %s has %d layers, %d of which stay on one stage with the layer before, since their "
         "backward is done together; give %s",
         stages, c->m->name, c->n, c->n - most, instead);
}

// --- cuts by hand

static Status check_given_cut(const Cuts *c, int cut, const char *given) {
    if (!c->joined[cut]) return OK;
    FAIL(ERR_USAGE,
         "--stages %s: no stage can begin at layer %d, %s, whose backward is done with that of %s; "
         "begin it one earlier or later",
         given, cut, c->m->layers[cut].name, c->m->layers[cut - 1].name);
}

static Status cut_by_hand(int *out, const Cuts *c, const char *given) {
    int at = 0, stage = 0, count = 1;
    for (const char *comma = given; (comma = strchr(comma, ',')); comma++) count++;
    if (count != c->stages)
        FAIL(ERR_USAGE,
             "--stages %s: %d stage%s, and the pipeline has %d; --print-mesh shows those that it "
             "has without --stages",
             given, count, count == 1 ? "" : "s", c->stages);
    for (const char *text = given; *text; stage++) {
        int first, end, length = 0;
        if (sscanf(text, "%d:%d%n", &first, &end, &length) != 2 || !length ||
            (text[length] && text[length] != ','))
            FAIL(ERR_USAGE,
                 "--stages %s: expected the layers of each stage, from the first up to, but not "
                 "including, the last: 0:4,4:%d",
                 given, c->n > 4 ? c->n : 8);
        if (first != at)
            FAIL(ERR_USAGE,
                 "--stages %s: stage %d begins at layer %d, but the one before ends at %d", given,
                 stage, first, at);
        if (end <= first || end > c->n)
            FAIL(ERR_USAGE,
                 "--stages %s: %d:%d of stage %d; it ends behind layer %d, and %s has %d layers",
                 given, first, end, stage, first, c->m->name, c->n);
        if (first) TRY(check_given_cut(c, first, given));
        for (; at < end; at++) out[at] = stage;
        text += length + (text[length] == ',');
    }
    if (at != c->n)
        FAIL(ERR_USAGE,
             "--stages %s: the last stage ends at layer %d, but %s has %d layers; let it end at %d",
             given, at, c->m->name, c->n, c->n);
    return OK;
}

Status stage_assign(int *out, Arena *a, const Program *p, const Model *m, const char *given,
                    const PipelineShape *shape) {
    int stages = shape->ranks * shape->chunks;
    Cuts c = {.m = m, .shape = shape, .n = m->layer_count, .stages = stages};
    TRY(measure(&c, a, p));
    TRY(check_count(&c));
    TRY(given ? cut_by_hand(out, &c, given) : cut_by_cost(out, a, &c));
    out[c.n] = stages - 1;
    return OK;
}
