// SPDX-License-Identifier: MIT
// Processes that each train by themselves are runs of one rank; what the article's program leaves
// out of its loop is put back in by a hook before the update.
#include "lessons/00_article/article_runs.h"

#include "core/nn/model.h"
#include "lessons/engine/trial.h"

#include <math.h>
#include <stdio.h>

// --- gradients that are never cleared

typedef struct {
    Arena *arena;
    float **sums;  // [tensor] of all steps so far; NULL: none yet
    Status status;
} Pile;

// What .grad has: this step's gradient on top of those of all steps before.
static Status pile_up(Pile *pile, Executor *e, int tensor) {
    const Tensor *t = &e->program->tensors[tensor];
    int64_t count = tensor_elements(t);
    float *gradient = ARENA_NEW(pile->arena, float, count);
    float **sum = &pile->sums[tensor];
    if (!*sum) *sum = ARENA_NEW(pile->arena, float, count);
    if (!gradient || !*sum) return ERR_MEMORY;
    TRY(executor_read(e, tensor, gradient));
    for (int64_t i = 0; i < count; i++) (*sum)[i] += gradient[i];
    return executor_write(e, tensor, *sum);
}

static void before_update(void *context, Executor *e, int plan, int op) {
    Pile *pile = context;
    const Program *p = e->program;
    const Plan *k = &p->plans[plan];
    if (op_kind(p, &k->ops[op]) != KIND_SGD || pile->status != OK) return;
    if (!pile->sums) pile->sums = ARENA_NEW(pile->arena, float *, p->tensor_count);
    pile->status = pile->sums ? pile_up(pile, e, op_inputs(k, &k->ops[op])[0]) : ERR_MEMORY;
}

// --- a run

// How a process trains. Zeroed: as it should.
typedef struct {
    const char *model;
    int rank;           // of a process that trains by itself: what it draws depends on it
    bool same_seed;     // but not its initial weights
    bool other_digits;  // and it sees digits of its own
    bool piles;         // gradients are not cleared between steps
    int ranks, shards;  // of a run that is wrapped in DDP; 0: one
    int steps, rows;
    int64_t digits;
    double learning_rate;
} ArticleProcess;

static Status train_process(Trial *out, const LessonRun *run, const ArticleProcess *how) {
    char data[64];
    Arena scratch = {0};
    Pile pile = {.arena = &scratch};
    const TrialHook hook = {&pile, before_update};
    JobOptions o = trial_options();
    int64_t seed = (int64_t)(run->seed % 100000) + 1;
    snprintf(data, sizeof data, "digits:count=%lld,seed=%lld", (long long)how->digits,
             (long long)(seed + (how->other_digits ? how->rank : 0)));
    o.spec.model = how->model;
    o.spec.seed = seed + (how->same_seed ? 0 : how->rank);
    o.spec.ranks = how->ranks ? how->ranks : 1;
    o.spec.shards = how->shards;
    o.spec.batch = (int64_t)how->rows * (how->shards ? how->shards : o.spec.ranks);
    o.spec.learning_rate = how->learning_rate;
    o.data = data;
    o.steps = how->steps;
    o.test_fraction = 0;
    Status s = how->piles ? trial_train_hooked(out, run, &o, &hook) : trial_train(out, run, &o);
    arena_finish(&scratch);
    if (s == OK && pile.status != OK) FAIL(pile.status, "out of memory for gradients");
    return s;
}

// The largest difference of one weight.
static double apart(const Trial *a, const Trial *b) {
    double most = 0;
    for (int64_t i = 0; i < a->weight_count; i++)
        most = fmax(most, fabs(a->weights[i] - b->weights[i]));
    return most;
}

static Status parameter_bytes(double *out, const LessonRun *run, const char *model) {
    Model m;
    TRY(model_read(&m, run->arena, model));
    *out = (double)model_parameters(&m) * (double)sizeof(float);
    return OK;
}

// --- the runs of the lesson

// The network as printed and mended, with 2 channels instead of 20, so that a run takes little.
#define PRINTED "article:width=2"
#define MENDED "article:width=2,last_relu=0"

Status article_draw(const LessonRun *run, void *state) {
    Article *x = state;
    Rng r = lesson_rng(run, 0);
    x->rows = 4 + (int)rng_below(&r, 4);
    x->pile_steps = 6 + (int)rng_below(&r, 7);
    return parameter_bytes(&x->parameter_bytes, run, PRINTED);
}

static ArticleProcess process(const Article *x, int rank) {
    return (ArticleProcess){.model = PRINTED,
                            .rank = rank,
                            .piles = true,
                            .steps = STEPS,
                            .rows = x->rows,
                            .digits = DIGITS,
                            .learning_rate = 0.01};
}

Status article_run_printed(const LessonRun *run, void *state) {
    Article *x = state;
    ArticleProcess how = process(x, 0);
    TRY(train_process(&x->printed, run, &how));
    how.model = MENDED;
    how.piles = false;
    how.steps = SHOWN_STEPS;
    TRY(train_process(&x->mended, run, &how));
    x->ran = true;
    return OK;
}

Status article_run_pile(const LessonRun *run, void *state) {
    Article *x = state;
    Trial start, cleared, piled;
    ArticleProcess how = {.model = "linear",
                          .steps = x->pile_steps,
                          .rows = PILE_ROWS,
                          .digits = PILE_ROWS,
                          .learning_rate = 0};
    double far = 0, near = 0;
    TRY(train_process(&start, run, &how));
    how.learning_rate = 1e-6;
    TRY(train_process(&cleared, run, &how));
    how.piles = true;
    TRY(train_process(&piled, run, &how));
    for (int64_t i = 0; i < start.weight_count; i++) {
        far += pow(piled.weights[i] - start.weights[i], 2);
        near += pow(cleared.weights[i] - start.weights[i], 2);
    }
    x->pile_ratio = sqrt(far / near);
    return OK;
}

// Mended, on so many ranks. The run fails unless all ranks end with the same weights.
static Status train_wrapped(Trial *out, const LessonRun *run, const Article *x, int ranks,
                            int shards) {
    ArticleProcess how = process(x, 0);
    how.model = MENDED;
    how.piles = false;
    how.steps = MEND_STEPS;
    how.ranks = ranks;
    how.shards = shards;
    how.rows = x->rows * PROCESSES / shards;
    return train_process(out, run, &how);
}

// The first two of four processes, mended but for what makes them one; then with one mend each.
Status article_run_mends(const LessonRun *run, void *state) {
    Article *x = state;
    Trial wrapped;
    for (int mend = 0; mend < MEND_DDP; mend++) {
        Trial t[2];
        for (int rank = 0; rank < 2; rank++) {
            ArticleProcess how = process(x, rank);
            how.model = MENDED;
            how.piles = false;
            how.steps = MEND_STEPS;
            how.same_seed = mend == MEND_SEED;
            how.other_digits = true;
            TRY(train_process(&t[rank], run, &how));
        }
        x->mend_apart[mend] = apart(&t[0], &t[1]);
    }
    TRY(train_wrapped(&wrapped, run, x, PROCESSES, PROCESSES));
    x->mend_apart[MEND_DDP] = 0;
    x->mends_ran = true;
    return OK;
}

// Two of four processes that train by themselves.
static Status run_alone(Stage *out, const LessonRun *run, const ArticleProcess *how) {
    Trial t[2];
    for (int rank = 0; rank < 2; rank++) {
        ArticleProcess one = *how;
        one.rank = rank;
        TRY(train_process(&t[rank], run, &one));
    }
    *out = (Stage){apart(&t[0], &t[1]), (double)t[0].taken_bytes};
    return OK;
}

// All four, wrapped, and what one process computes of the same rows, in four shards and in one.
static Status run_wrapped(const LessonRun *run, Article *x) {
    Trial ranks, shards, whole;
    TRY(train_wrapped(&ranks, run, x, PROCESSES, PROCESSES));
    TRY(train_wrapped(&shards, run, x, 1, PROCESSES));
    TRY(train_wrapped(&whole, run, x, 1, 1));
    x->stages[WRAPPED] = (Stage){0, (double)ranks.taken_bytes};
    x->hash_ranks = ranks.hash;
    x->hash_shards = shards.hash;
    x->whole_apart = apart(&ranks, &whole);
    return OK;
}

Status article_run_stages(const LessonRun *run, void *state) {
    Article *x = state;
    ArticleProcess how = process(x, 0);
    how.steps = MEND_STEPS;
    TRY(run_alone(&x->stages[AS_PRINTED], run, &how));
    how.piles = false;
    TRY(run_alone(&x->stages[CLEARED], run, &how));
    how.model = MENDED;
    TRY(run_alone(&x->stages[NO_RELU], run, &how));
    return run_wrapped(run, x);
}
