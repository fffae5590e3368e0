// SPDX-License-Identifier: MIT
// All layouts by the simulator, as sim --advise would look at them; begin with layouts_draw().
#include "lessons/16_layout/layouts.h"

#include "lessons/engine/trial.h"
#include "parallel/strategy/pipeline_schedule.h"

static const char OUTER[] = "tensor,pipe,data,context";
enum { NODE = 8, MICRO_BATCHES = 8 };

static JobSpec spec_of(const Layouts *x, const Layout *l) {
    JobSpec s = trial_options().spec;
    s.model = x->model;
    s.ranks = x->devices;
    s.mesh.tensor = l->tp;
    s.mesh.pipe = l->pp;
    s.batch = x->batch;
    s.optimizer.kind = OPTIMIZER_ADAM;
    s.strategy.schedule.word = SCHEDULE_1F1B;
    if (l->pp > 1) s.micro_batches = MICRO_BATCHES;
    return s;
}

static Status simulate(const Layouts *x, Layout *l, const LessonRun *run) {
    Prediction p;
    const JobSpec spec = spec_of(x, l);
    TRY(trial_predict(&p, run, &spec, "dgx-h100"));
    const int64_t *bytes = p.answers->memory_bytes;
    l->step_ms = p.step_ms;
    for (int m = 0; m < MEMORY_COUNT; m++) l->memory_bytes += (double)bytes[m];
    l->state_bytes =
        (double)(bytes[MEMORY_PARAMETERS] + bytes[MEMORY_GRADIENTS] + bytes[MEMORY_OPTIMISER]);
    return OK;
}

static Status count_parameters(Layouts *x, const LessonRun *run) {
    Model model;
    const JobSpec spec = spec_of(x, &(Layout){1, 1, 1, 0, 0, 0, false});
    TRY(job_spec_model(&model, run->arena, &spec));
    x->parameters = (double)model_parameters(&model);
    return OK;
}

static Status simulate_all(Layouts *x, const LessonRun *run) {
    for (int tp = 1; tp <= x->devices; tp *= 2)
        for (int pp = 1; tp * pp <= x->devices; pp *= 2) {
            if (x->count == LAYOUT_MOST) FAIL(ERR_FAILED, "more than %d layouts", LAYOUT_MOST);
            Layout *l = &x->layouts[x->count++];
            *l = (Layout){.dp = x->devices / tp / pp, .tp = tp, .pp = pp};
            TRY(simulate(x, l, run));
        }
    return OK;
}

// The first layout of those that are not taken yet, by `before`, among those that pass `may`.
static int pick(const Layouts *x, int taken, bool (*may)(const Layout *l),
                bool (*before)(const Layout *a, const Layout *b)) {
    int best = -1;
    for (int i = 0; i < x->count; i++) {
        bool free = may(&x->layouts[i]);
        for (int c = 0; c < taken; c++) free &= x->choice[c] != i;
        if (free && (best < 0 || before(&x->layouts[i], &x->layouts[best]))) best = i;
    }
    return best;
}

static bool may_fit(const Layout *l) { return l->fits; }
static bool may_any(const Layout *l) { return l->tp <= NODE; }
static bool is_faster(const Layout *a, const Layout *b) { return a->step_ms < b->step_ms; }
static bool has_more_data(const Layout *a, const Layout *b) { return a->dp > b->dp; }
static bool has_more_tensor(const Layout *a, const Layout *b) {
    return a->tp > b->tp || (a->tp == b->tp && a->dp > b->dp);
}
static bool is_smaller(const Layout *a, const Layout *b) {
    return a->memory_bytes < b->memory_bytes;
}

static Status choose(Layouts *x) {
    x->choice[CHOICE_BEST] = pick(x, 0, may_fit, is_faster);
    x->choice[CHOICE_DATA] = pick(x, 1, may_any, has_more_data);
    x->choice[CHOICE_TENSOR] = pick(x, 2, may_any, has_more_tensor);
    x->choice[CHOICE_SMALLEST] = pick(x, 3, may_fit, is_smaller);
    for (int c = 0; c < LAYOUT_CHOICES; c++)
        if (x->choice[c] < 0) FAIL(ERR_FAILED, "too few layouts fit the devices");
    return OK;
}

double layouts_regret(const Layouts *x, int layout) {
    return x->layouts[layout].step_ms / x->layouts[x->choice[CHOICE_BEST]].step_ms - 1;
}

static int find(const Layouts *x, int tp, int pp) {
    int i = 0;
    while (i < x->count - 1 && (x->layouts[i].tp != tp || x->layouts[i].pp != pp)) i++;
    return i;
}

// The same layout with tensor parallel ranks next to each other, and as far apart as they can be.
static Status reorder(Layouts *x, const LessonRun *run) {
    Prediction p;
    JobSpec spec = spec_of(x, &x->layouts[x->ordered]);
    TRY(trial_predict(&p, run, &spec, "dgx-h100"));
    x->inner_between = p.answers->rail_bytes;
    spec.mesh_order = OUTER;
    TRY(trial_predict(&p, run, &spec, "dgx-h100"));
    x->outer_between = p.answers->rail_bytes;
    x->outer_ms = p.step_ms;
    return OK;
}

Status layouts_draw(const LessonRun *run, void *state) {
    static const double shares[] = {0.9, 0.75, 0.5};
    static const int counts[] = {8, 12, 18, 24, 32, 36, 48};
    Layouts *x = state;
    Rng r = lesson_rng(run, 0);
    x->devices = 2 * NODE;
    x->counted = counts[rng_below(&r, sizeof counts / sizeof *counts)];
    x->hidden = 1024 + 512 * (int)rng_below(&r, 5);
    x->layers = 4;
    x->batch = 64 << rng_below(&r, 2);
    snprintf(x->model, sizeof x->model, "gpt:layers=%d,hidden=%d,heads=16,seq=512", x->layers,
             x->hidden);
    TRY(count_parameters(x, run));
    TRY(simulate_all(x, run));
    x->memory_bytes = shares[rng_below(&r, 3)] * x->layouts[find(x, 1, 1)].memory_bytes;
    for (int i = 0; i < x->count; i++)
        x->layouts[i].fits = x->layouts[i].memory_bytes <= x->memory_bytes;
    x->asked = find(x, 2 << rng_below(&r, 2), 2);
    x->ordered = find(x, 4 << rng_below(&r, 2), 1);
    TRY(choose(x));
    return reorder(x, run);
}

// --- two that run

Status layouts_train(const LessonRun *run, void *state) {
    Layouts *x = state;
    for (int i = 0; i < LAYOUT_RUNS; i++) {
        Trial longer, shorter;
        JobOptions o = trial_options();
        o.spec.model = "mlp:hidden=64,layers=7";
        o.spec.ranks = 4;
        o.spec.mesh.tensor = i == 0 ? 2 : 1;
        o.spec.mesh.pipe = i == 0 ? 1 : 2;
        o.spec.micro_batches = i == 0 ? 1 : 4;
        o.spec.batch = 32;
        o.data = "digits:count=64";
        o.test_fraction = 0;
        o.steps = 2;
        TRY(trial_train(&longer, run, &o));
        o.steps--;
        TRY(trial_train(&shorter, run, &o));
        x->run_loss[i] = longer.loss[longer.steps - 1];
        x->run_sent[i] = (double)(longer.taken_bytes - shorter.taken_bytes);
    }
    x->ran = true;
    return OK;
}
