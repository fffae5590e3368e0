// SPDX-License-Identifier: MIT
// Jobs from options and from what traces remember; both follow from the rows of job_rows.h.
#include "parallel/strategy/job_spec.h"

#include "core/base/text.h"
#include "core/cli/option_value.h"
#include "core/nn/freeze.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/bucket_sizes.h"
#include "parallel/strategy/job_rows.h"
#include "parallel/strategy/strategy_internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(DTYPE_F32 == 0 && DTYPE_F64 == 1 && DTYPE_BF16 == 2,
               "the words of --dtype are in this order");

typedef struct {
    JobSpec job;
} Holder;

static const Option rows[] = {JOB_ROWS(Holder)};
enum { ROWS = sizeof rows / sizeof *rows };

JobSpec job_spec_default(void) {
    Holder h = {.job = {.device = device_traits_default, .ranks = 1}};
    Status s = option_set_defaults(rows, ROWS, &h);
    assert(s == OK);  // the tables' test parses every default
    (void)s;
    return h.job;
}

void job_spec_take_given(JobSpec *s, const JobSpec *values, const OptionLine *line) {
    for (int i = 0; i < ROWS; i++)
        if (option_given(line, rows[i].name))
            memcpy((char *)s + rows[i].at, (const char *)values + rows[i].at,
                   option_field_bytes(&rows[i]));
}

// --- numbers that fit

enum { PIECES = 4096 };  // micro-batches of all shards of a rank: each is a copy of the work

static Status check_cut(const JobSpec *s) {
    int shards = job_spec_shards(s), ranks = job_spec_data_ranks(s), local = shards / ranks;
    if (shards % ranks)
        FAIL(ERR_USAGE,
             "--shards %d is not a multiple of the %d data-parallel ranks; try --shards %d", shards,
             ranks, (shards / ranks + 1) * ranks);
    if (local > PARTS)
        FAIL(ERR_USAGE, "--shards %d gives each of %d rank%s %d of them; a rank takes at most %d",
             shards, ranks, ranks == 1 ? "" : "s", local, PARTS);
    if ((int64_t)local * s->micro_batches > PIECES)
        FAIL(ERR_USAGE,
             "--accumulate %d: with %d shards a rank that is %lld micro-batches in a step; a rank "
             "takes %d, so give at most --accumulate %d",
             s->micro_batches, local, (long long)local * s->micro_batches, PIECES, PIECES / local);
    return OK;
}

static const char *const forms[] = {"none", "bf16", "fp16", "powersgd", "topk"};
enum { FACTORS = 1024 };  // columns of PowerSGD's factors

static Status check_feedback(const OptionForm *form) {
    double n = form->number;
    if (form->word == COMPRESS_POWERSGD && (n != floor(n) || n > FACTORS))
        FAIL(ERR_USAGE,
             "--compress powersgd:%g: a rank is a whole number of 1 to %d, such as powersgd:2", n,
             FACTORS);
    if (form->word == COMPRESS_TOPK && n > 1)
        FAIL(ERR_USAGE,
             "--compress topk:%g: a fraction of the elements is 1 at most, such as topk:0.01", n);
    return OK;
}

// Only powers of two leave the digits of gradients as they are.
static Status check_loss_scale(const JobSpec *s) {
    int exponent;
    double scale = s->loss_scale.number;
    const char *word = s->loss_scale.word == LOSS_SCALE_DYNAMIC ? "dynamic" : "constant";
    if (scale != 0 && frexp(scale, &exponent) != 0.5)
        FAIL(ERR_USAGE, "--loss-scale %s:%g: a scale is a power of two, such as %g", word, scale,
             ldexp(1, exponent - 1));
    return OK;
}

// Sums in two bytes are rounded once, by whoever adds them all.
static Status check_compress(const StrategyOptions *o) {
    const char *form = forms[o->compress.word];
    if (o->zero)
        FAIL(ERR_USAGE, "--compress %s compresses the all-reduces of DDP; leave out --zero %d",
             form, o->zero);
    if (!strategy_feeds_back(o) && o->algorithm != ALGORITHM_DIRECT)
        FAIL(ERR_USAGE,
             "--compress %s: --all-reduce %s would round the sum at every rank; direct rounds it "
             "once",
             form, algorithm_name(o->algorithm));
    return OK;
}

// One device has all weights and the loss, and adds up all gradients.
static Status check_data_parallel(const StrategyOptions *o) {
    const char *form = forms[o->compress.word];
    if (o->zero)
        FAIL(ERR_USAGE,
             "--data-parallel keeps weights and optimiser state on rank 0, --zero %d divides them "
             "among ranks; leave one of them out",
             o->zero);
    if (o->compress.word)
        FAIL(ERR_USAGE,
             "--compress %s compresses the all-reduces of DDP; --data-parallel has none: it adds "
             "gradients on rank 0. Leave one of them out",
             form);
    if (o->sync_batch_norm)
        FAIL(ERR_USAGE, "--data-parallel normalises on each device by itself, as nn.DataParallel "
                        "does; --sync-batchnorm needs DDP: leave one of them out");
    if (o->algorithm != ALGORITHM_DIRECT)
        FAIL(ERR_USAGE,
             "--all-reduce %s: --data-parallel has no all-reduce, it adds gradients on rank 0; "
             "leave one of them out",
             algorithm_name(o->algorithm));
    return OK;
}

static Status check_tensor(const JobSpec *s) {
    const StrategyOptions *o = &s->strategy;
    if (o->data_parallel)
        FAIL(ERR_USAGE,
             "--data-parallel keeps all weights on rank 0, --tp %d divides them; leave one of them "
             "out: DDP goes with --tp",
             s->mesh.tensor);
    return OK;
}

static Status check_sequence(const Mesh *mesh) {
    if (mesh_size(mesh, MESH_TENSOR) < 2)
        FAIL(ERR_USAGE, "--sequence-parallel divides positions among the ranks of --tp, and there "
                        "is one; give --tp 2 or more, or leave it out");
    return OK;
}

Status job_spec_check(const JobSpec *s) {
    Mesh mesh;
    TRY(job_spec_mesh(&mesh, s));
    TRY(check_cut(s));
    if (mesh_size(&mesh, MESH_TENSOR) > 1) TRY(check_tensor(s));
    if (s->strategy.sequence_parallel) TRY(check_sequence(&mesh));
    if (s->strategy.experts > 1) TRY(job_spec_check_experts(s));
    TRY(job_spec_check_pipeline(s));
    if (s->strategy.data_parallel) TRY(check_data_parallel(&s->strategy));
    if (s->strategy.zero && job_spec_data_ranks(s) < 2)
        FAIL(ERR_USAGE,
             "--zero %d divides what a rank holds among data-parallel ranks, but there is one; "
             "give 2 or more of them, or leave --zero out: --shards computes the same bits",
             s->strategy.zero);
    if (s->strategy.zero && s->strategy.algorithm == ALGORITHM_CHAIN)
        FAIL(ERR_USAGE,
             "--all-reduce chain has no reduce-scatter, which --zero %d needs; direct adds in the "
             "same order, ring in one of its own",
             s->strategy.zero);
    TRY(check_feedback(&s->strategy.compress));
    TRY(check_loss_scale(s));
    if (s->strategy.compress.word && job_spec_data_ranks(s) > 1) TRY(check_compress(&s->strategy));
    int shards = job_spec_shards(s);
    int64_t least = (int64_t)shards * s->micro_batches;
    if (s->batch >= least) return OK;
    if (s->micro_batches == 1)
        FAIL(ERR_USAGE,
             "--batch %lld has fewer rows than the %d shards; every shard needs one: give --batch "
             "%d or more",
             (long long)s->batch, shards, shards);
    FAIL(ERR_USAGE,
         "--batch %lld has fewer rows than %d shard%s of %d micro-batches; each needs one: give "
         "--batch %lld or more",
         (long long)s->batch, shards, shards == 1 ? "" : "s", s->micro_batches, (long long)least);
}

static double cosine_rate(const JobSpec *s, int64_t at, int64_t steps) {
    int64_t last = s->lr_decay_steps ? s->lr_decay_steps : steps, length = last - s->warm_up_steps;
    if (at >= length) return s->lr_min;
    const double pi = 3.14159265358979323846;
    double part = (1 + cos(pi * (double)at / (double)length)) / 2;
    return s->lr_min + (s->learning_rate - s->lr_min) * part;
}

double job_spec_learning_rate(const JobSpec *s, int64_t step, int64_t steps) {
    if (step < s->warm_up_steps)
        return s->learning_rate * (double)(step + 1) / (double)s->warm_up_steps;
    int64_t at = step - s->warm_up_steps;
    switch (s->schedule) {
    case RATE_STEP:
        return s->learning_rate * pow(s->lr_gamma, floor((double)at / (double)s->lr_step_size));
    case RATE_COSINE: return cosine_rate(s, at, steps);
    case RATE_CONSTANT: break;
    }
    return s->learning_rate;
}

// --experts and --top-k are short for parameters of the model.
static Status read_model(Model *out, Arena *a, const JobSpec *s) {
    char text[1024];
    if (!s->experts && !s->top_k) return model_read(out, a, s->model);
    snprintf(text, sizeof text, "%.900s", s->model);
    const struct {
        int value;
        const char *name, *option;
    } given[] = {{s->experts, "experts", "--experts"}, {s->top_k, "top_k", "--top-k"}};
    for (int i = 0; i < 2; i++)
        if (given[i].value)
            text_append(text, sizeof text, "%c%s=%d", strchr(text, ':') ? ',' : ':', given[i].name,
                        given[i].value);
    Status read = model_read(out, a, text);
    Model plain;
    char why[1024];
    snprintf(why, sizeof why, "%s", status_message());
    if (read != OK && model_read(&plain, a, s->model) == OK && !model_experts(&plain))
        FAIL(ERR_USAGE,
             "%s %d: model %s has no layer of experts; give one that has, such as "
             "--model mixtral",
             given[!s->experts].option, given[!s->experts].value, plain.name);
    if (read != OK)
        FAIL(ERR_USAGE, "%s %d: %s", given[!s->experts].option, given[!s->experts].value, why);
    return OK;
}

Status job_spec_model(Model *out, Arena *a, const JobSpec *s) {
    TRY(read_model(out, a, s));
    Status frozen = s->freeze ? model_freeze(out, s->freeze) : OK;
    if (frozen != OK) FAIL(frozen, "--freeze %s", status_message());
    return OK;
}

static Status make_step(StepSpec *step, const JobSpec *s) {
    *step = (StepSpec){.dtype = s->dtype,
                       .batch = s->batch,
                       .shards = job_spec_shards(s),
                       .micro_batches = s->micro_batches,
                       .evaluation_rows = EVALUATION_ROWS,
                       .optimizer = s->optimizer,
                       .label_smoothing = s->label_smoothing};
    TRY(job_spec_mesh(&step->mesh, s));
    bool dynamic = s->loss_scale.word == LOSS_SCALE_DYNAMIC;
    step->optimizer.skip_nan = s->on_nan == ON_NAN_SKIP || dynamic;
    if (dynamic) step->optimizer.scale_every = s->loss_scale_every;
    if (s->loss_scale.word)
        step->optimizer.loss_scale = s->loss_scale.number ? s->loss_scale.number : LOSS_SCALE_FIRST;
    return OK;
}

Status job_spec_programs(ProgramSet *out, const JobSpec *s, const Model *model) {
    StepSpec step;
    StrategyOptions strategy = s->strategy;
    bucket_sizes_settle(&strategy, job_spec_data_ranks(s));
    TRY(make_step(&step, s));
    return strategy_programs(out, model, &step, &strategy);
}

Status job_spec_stages(int **out, Arena *a, const JobSpec *s, const Model *model) {
    StepSpec step;
    *out = ARENA_NEW(a, int, model->layer_count + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for %d layers", model->layer_count);
    TRY(make_step(&step, s));
    return strategy_stages(*out, a, model, &step, &s->strategy);
}

// --- what traces and reports say of it

// The key of a setting: "--weight-decay" is weight_decay; "--no-overlap" is overlap, false; the
// optimizer's own is "name".
enum { KEY = 32 };
static bool setting_key(char out[KEY], const Option *o) {
    bool negative = o->kind == OPTION_FLAG && !strncmp(o->name, "no-", 3),
         named = o->marks & JOB_IN_OPTIMIZER && !strcmp(o->name, "optimizer");
    snprintf(out, KEY, "%s", named ? "name" : o->name + (negative ? 3 : 0));
    for (char *c = out; *c; c++)
        if (*c == '-') *c = '_';
    return negative;
}

unsigned job_spec_unused(const JobSpec *s) {
    static const unsigned optimizers[] = {JOB_OF_ADAM | JOB_OF_ADAMW, JOB_OF_SGD | JOB_OF_ADAMW,
                                          JOB_OF_SGD},
                          schedules[] = {JOB_OF_STEP | JOB_OF_COSINE, JOB_OF_COSINE, JOB_OF_STEP};
    unsigned buckets = s->strategy.data_parallel ? JOB_OF_BUCKETS : 0,
             pipeline = mesh_size(&s->mesh, MESH_PIPE) > 1 ? 0 : JOB_OF_PIPELINE;
    return optimizers[s->optimizer.kind] | schedules[s->schedule] | buckets | pipeline;
}

bool job_spec_has_effect(const JobSpec *s, const Option *o) {
    if (!(o->marks & JOB_BETWEEN_RANKS) || job_spec_data_ranks(s) > 1) return true;
    return !strcmp(o->name, "compress") && strategy_feeds_back(&s->strategy);
}

// Has the option the value that it has when it is not given?
static bool is_default(const Option *o, const JobSpec *s) {
    char own[OPTION_VALUE], initial[OPTION_VALUE];
    const JobSpec none = job_spec_default();
    const char *value = option_print_value(own, o, s);
    return value && !strcmp(value, option_print_value(initial, o, &none));
}

// Whether a description says this option: those of what goes on between ranks only where there are
// several, none of another optimizer, schedule or strategy, none that a plan states, and degrees of
// the mesh only where they are not 1.
static bool is_described(const Option *o, const JobSpec *s, unsigned where) {
    if (!(o->marks & where)) return false;
    if (!job_spec_has_effect(s, o)) return false;
    if (o->marks & job_spec_unused(s)) return false;
    if (o->marks & JOB_OF_MESH && is_default(o, s)) return false;
    return !(o->marks & JOB_STATED_BY_PLAN && s->plan_file);
}

static Status add(RunSetting *list, int32_t *count, Arena *a, const char *key, const char *value) {
    RunSetting *s = &list[(*count)++];
    s->key = arena_string(a, key);
    s->value = arena_string(a, value);
    if (!s->key || !s->value) FAIL(ERR_MEMORY, "out of memory to describe a job");
    return OK;
}

static Status add_options(RunSetting *list, int32_t *count, Arena *a, const JobSpec *s,
                          unsigned where) {
    for (int i = 0; i < ROWS; i++) {
        const Option *o = &rows[i];
        char key[KEY], printed[OPTION_VALUE];
        const char *value = option_print_value(printed, o, s);
        if (!is_described(o, s, where)) continue;
        bool negative = setting_key(key, o), on = !strcmp(value, "yes");
        if (o->kind == OPTION_STRING)  // however long it is
            value = *(const char *const *)((const char *)s + o->at);
        if (o->kind == OPTION_FLAG) value = on != negative ? "true" : "false";
        if (value) TRY(add(list, count, a, key, value));
    }
    return OK;
}

const char *job_spec_compress(char out[OPTION_VALUE], const JobSpec *s) {
    bool sends = job_spec_data_ranks(s) > 1 || strategy_feeds_back(&s->strategy);
    for (int i = 0; i < ROWS; i++)
        if (sends && !strcmp(rows[i].name, "compress")) return option_print_value(out, &rows[i], s);
    snprintf(out, OPTION_VALUE, "%s", forms[COMPRESS_NONE]);
    return out;
}

Status job_spec_describe(RunInfo *out, Arena *a, const JobSpec *s, const RunSetting *more,
                         int count) {
    RunSetting *strategy = ARENA_NEW(a, RunSetting, ROWS + 2 + count),
               *optimizer = ARENA_NEW(a, RunSetting, ROWS);
    if (!strategy || !optimizer) FAIL(ERR_MEMORY, "out of memory to describe a job");
    char dp[16];
    snprintf(dp, sizeof dp, "%d", job_spec_data_ranks(s));
    *out = (RunInfo){.model = s->model,
                     .device = s->device,
                     .dtype = dtype_name(s->dtype),
                     .ranks = s->ranks,
                     .shards = job_spec_shards(s),
                     .batch = s->batch,
                     .seed = s->seed,
                     .strategy = strategy,
                     .optimizer = optimizer};
    static const char *const sharded[] = {"ddp", "zero1", "zero2", "zero3"};
    const char *name = s->plan_file                  ? "plan"
                       : s->ranks == 1               ? "single"
                       : job_spec_data_ranks(s) == 1 ? "model_parallel"
                       : s->strategy.data_parallel   ? "data_parallel"
                                                     : sharded[s->strategy.zero];
    TRY(add(strategy, &out->strategy_count, a, "name", name));
    TRY(add(strategy, &out->strategy_count, a, "dp", dp));
    JobSpec settled = *s;
    bucket_sizes_settle(&settled.strategy, job_spec_data_ranks(s));
    TRY(add_options(strategy, &out->strategy_count, a, &settled, JOB_IN_STRATEGY));
    TRY(add_options(optimizer, &out->optimizer_count, a, s, JOB_IN_OPTIMIZER));
    for (int i = 0; i < count; i++)
        TRY(add(strategy, &out->strategy_count, a, more[i].key, more[i].value));
    return OK;
}

// --- and the other way

static const char *setting_of(const RunSetting *list, int count, const char *key) {
    for (int i = 0; i < count; i++)
        if (!strcmp(list[i].key, key)) return list[i].value;
    return NULL;
}

const char *job_spec_setting(const RunInfo *run, const char *key) {
    return setting_of(run->strategy, run->strategy_count, key);
}

static Status take_setting(Holder *h, const Option *o, const RunSetting *list, int count,
                           const char *where) {
    char key[KEY];
    bool negative = setting_key(key, o);
    const char *value = setting_of(list, count, key), *text = value;
    if (!value) return OK;
    bool on = !strcmp(value, "true"), known = on || !strcmp(value, "false");
    if (o->kind == OPTION_FLAG) text = on != negative ? "yes" : "no";
    if (o->kind == OPTION_FLAG && !known)
        FAIL(ERR_FORMAT, "the trace's %s has %s \"%.60s\": expected true or false", where, key,
             value);
    if (option_set(o, h, text) != OK)
        FAIL(ERR_FORMAT, "the trace's %s has %s \"%.60s\": %s", where, key, value,
             status_message());
    return OK;
}

Status job_spec_recorded(JobSpec *out, const RunInfo *run) {
    int dtype = dtype_find(run->dtype, (int)strlen(run->dtype));
    if (dtype < 0 || !dtype_is_real((Dtype)dtype))
        FAIL(ERR_FORMAT, "the trace is of a run in %s; expected f32, f64 or bf16", run->dtype);
    Holder h = {.job = job_spec_default()};
    h.job.model = run->model;
    h.job.device = run->device;
    h.job.dtype = (Dtype)dtype;
    h.job.ranks = run->ranks;
    h.job.batch = run->batch;
    h.job.seed = run->seed;
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].marks & JOB_IN_STRATEGY)
            TRY(take_setting(&h, &rows[i], run->strategy, run->strategy_count, "strategy"));
        if (rows[i].marks & JOB_IN_OPTIMIZER)
            TRY(take_setting(&h, &rows[i], run->optimizer, run->optimizer_count, "optimizer"));
    }
    h.job.shards = run->shards == job_spec_data_ranks(&h.job) ? 0 : run->shards;
    *out = h.job;
    return OK;
}
