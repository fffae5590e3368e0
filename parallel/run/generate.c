// SPDX-License-Identifier: MIT
// The plan is that of an evaluation, for one row: its load takes the tokens of the text so far, and
// its loss, which nobody reads, has the logits beside it. Tokens behind the last one are arbitrary:
// the model does not look ahead.
#include "parallel/run/generate.h"

#include "core/base/rng.h"
#include "core/plan/check.h"
#include "parallel/strategy/collective_work.h"

#include <math.h>
#include <string.h>

// --- what the executor asks for

static void load(void *context, const LoadCall *call) {
    const Generator *g = context;
    int32_t *x = call->x.data, *labels = call->labels.data;
    for (int64_t i = 0; i < g->window; i++) {
        x[i] = i < g->count ? g->tokens[i] : g->tokens[g->count - 1];
        labels[i] = 0;
    }
}

// Keep the logits that the loss is about to be, or was, computed of.
static Status after(void *context, int rank, int plan, int op) {
    (void)rank;
    Generator *g = context;
    const Program *p = g->executor.program;
    const Op *o = &p->plans[plan].ops[op];
    if (op_kind(p, o) != KIND_CROSS_ENTROPY) return OK;
    int tensor = op_inputs(&p->plans[plan], o)[0];
    int64_t vocabulary = g->job->model.classes, from = (g->count - 1) * vocabulary;
    const void *data;
    TRY(executor_view(&g->executor, tensor, &data));
    for (int64_t i = 0; i < vocabulary; i++)
        g->logits[i] = dtype_read((Dtype)p->tensors[tensor].dtype, data, from + i);
    return OK;
}

// --- the program

static Status check_model(const Generator *g) {
    const Program *p = &g->set.programs[0];
    const Plan *plan = &p->plans[g->plan];
    for (int i = 0; i < plan->op_count; i++) {
        Kind kind = op_kind(p, &plan->ops[i]);
        bool attends = kind == KIND_ATTENTION || kind == KIND_ATTENTION_PACKED,
             scores = kind == KIND_ATTENTION_SOFTMAX;
        if ((attends || scores) && !work_attr(p, op_work(p, &plan->ops[i]), scores ? 0 : 2))
            FAIL(ERR_USAGE,
                 "--generate: %s of model %s attends to tokens that come later, so it cannot "
                 "continue a text; gpt and llama can",
                 op_name(p, &plan->ops[i]), g->job->model.name);
    }
    return OK;
}

static Status make_program(Generator *g) {
    const Job *job = g->job;
    const StepSpec spec = {.dtype = job->options.spec.dtype,
                           .batch = 1,
                           .shards = 1,
                           .local_shards = 1,
                           .micro_batches = 1,
                           .evaluation_rows = 1,
                           .mesh.data = 1};
    Program p;
    TRY(model_emit(&p, &job->model, &spec));
    TRY(program_set_add(&g->set, NULL, &p));
    TRY(plan_check(&g->set));
    TRY(collective_work_lower(&g->set, job->device->traits));
    g->plan = program_find_when(&g->set.programs[0], WHEN_EACH_EPOCH, 0);
    return device_check(job->device, &g->set.programs[0]);
}

// Scalars of the run: one row, the first.
static void write_scalars(Generator *g) {
    const Program *p = g->executor.program;
    for (int t = 0; t < p->tensor_count; t++) {
        if (!p->tensors[t].source || p->tensors[t].offset == NONE) continue;
        bool real = p->tensors[t].dtype == DTYPE_F64, index = p->tensors[t].source == SCALAR_INDEX;
        if (index) executor_set_index(&g->executor, t);
        if (real) executor_set_f64(&g->executor, t, 1);
        if (!real && !index) executor_set_i64(&g->executor, t, p->tensors[t].source == SCALAR_ROWS);
    }
}

Status generator_create(Generator *g, const Job *job) {
    *g = (Generator){.job = job, .window = job->model.input[0]};
    if (!job->model.tokens)
        FAIL(ERR_USAGE,
             "--generate writes text, and model %s reads images: gpt and llama read text",
             job->model.name);
    if (job->model.masked)
        FAIL(ERR_USAGE,
             "--generate continues a text, and model %s fills in masked tokens: gpt and llama "
             "continue texts",
             job->model.name);
    TRY(make_program(g));
    TRY(check_model(g));
    g->tokens = ARENA_NEW(&g->arena, int32_t, g->window);
    g->logits = ARENA_NEW(&g->arena, double, job->model.classes);
    if (!g->tokens || !g->logits) FAIL(ERR_MEMORY, "out of memory to generate");
    const ExecutorHooks hooks = {.context = g, .load = load, .after = after};
    TRY(executor_create(&g->executor, &g->arena, &g->set.programs[0], 0, job->device, NULL,
                        &hooks));
    TRY(restore_fill(&job->restore, &g->executor));
    write_scalars(g);
    return OK;
}

void generator_destroy(Generator *g) {
    executor_destroy(&g->executor);
    program_set_finish(&g->set);
    arena_finish(&g->arena);
    *g = (Generator){0};
}

// --- the text

static void append(Generator *g, int32_t token) {
    if (g->count == g->window)
        memmove(g->tokens, g->tokens + 1, sizeof *g->tokens * (size_t)--g->count);
    g->tokens[g->count++] = token;
}

Status generator_prompt(Generator *g, const char *text) {
    const Corpus *c = &g->job->data.text;
    size_t length = strlen(text);
    if (!length) FAIL(ERR_USAGE, "--prompt: give at least one character");
    g->count = 0;
    for (size_t i = 0; i < length;) {
        int token, bytes = corpus_encode(c, &text[i], length - i, &token);
        if (!bytes)
            FAIL(ERR_INPUT, "--prompt: %s does not have the character at byte %zu, '%.4s'",
                 g->job->data.source, i, &text[i]);
        append(g, token);
        i += (size_t)bytes;
    }
    return OK;
}

static int most_likely(const double *logits, int64_t n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

// The token at which the sum of probabilities passes a random number below 1.
static int draw(Generator *g, double temperature, int64_t n) {
    double *weight = g->logits, most = weight[most_likely(weight, n)], sum = 0;
    Rng r;
    for (int64_t i = 0; i < n; i++) sum += weight[i] = exp((weight[i] - most) / temperature);
    rng_init(&r, (uint64_t)g->job->options.spec.seed, RNG_GENERATE, (uint32_t)g->drawn,
             (uint32_t)((uint64_t)g->drawn >> 32));
    double left = (double)rng_u32(&r) / 0x1p32 * sum;
    int last = 0;  // rounding may leave nothing over: then it is the last that is possible
    for (int i = 0; i < n; i++) {
        if (weight[i] <= 0) continue;
        last = i;
        left -= weight[i];
        if (left < 0) break;
    }
    return last;
}

Status generator_next(Generator *g, double temperature, int *token) {
    int64_t n = g->job->data.text.vocabulary;  // the model may tell more apart
    TRY(executor_run(&g->executor, g->plan, 0));
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(g->logits[i]))
            FAIL(ERR_FAILED, "%s: what the model says of the next token is not finite",
                 g->job->restore.path);
    *token = temperature > 0 ? draw(g, temperature, n) : most_likely(g->logits, n);
    append(g, *token);
    g->drawn++;
    return OK;
}
