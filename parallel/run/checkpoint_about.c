// SPDX-License-Identifier: MIT
// The metadata of a checkpoint (docs/formats.md, "Checkpoints"): one list, written by --save and
// compared by --resume.
#include "parallel/run/checkpoint_about.h"

#include "core/base/hash.h"
#include "core/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Keys that are not listed belong to the optimiser, and may differ.
static const struct {
    const char *key;
    AboutKind kind;
} kinds[] = {
    {"format", ABOUT_INFORMATION},        {"model", ABOUT_MUST_EQUAL},
    {"dtype", ABOUT_MUST_EQUAL},          {"steps", ABOUT_INFORMATION},
    {"epoch", ABOUT_INFORMATION},         {"epoch_batches", ABOUT_INFORMATION},
    {"seed", ABOUT_SAME_SAMPLES},         {"batch", ABOUT_MUST_EQUAL},
    {"tail", ABOUT_MUST_EQUAL},           {"data", ABOUT_INFORMATION},
    {"data_hash", ABOUT_SAME_SAMPLES},    {"train_samples", ABOUT_SAME_SAMPLES},
    {"test_samples", ABOUT_SAME_SAMPLES}, {"optimizer", ABOUT_EQUAL_IF_STATED},
    {"shards", ABOUT_MAY_DIFFER},         {"accumulate", ABOUT_MAY_DIFFER},
    {"device", ABOUT_MAY_DIFFER},         {"sync_batchnorm", ABOUT_MAY_DIFFER},
    {"compress", ABOUT_MAY_DIFFER},       {"sum_order", ABOUT_MAY_DIFFER},
    {"frozen", ABOUT_MAY_DIFFER},
};

AboutKind checkpoint_about_kind(const char *key) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].key, key)) return kinds[i].kind;
    return ABOUT_MAY_DIFFER;
}

enum { FIXED = 20, VALUE = 32 };  // texts besides the optimiser's; bytes of a number

typedef struct {
    SafetensorsText *texts;
    int count;
    Arena *arena;
    bool failed;
} List;

static void add(List *l, const char *key, const char *value) {
    SafetensorsText t = {arena_string(l->arena, key), arena_string(l->arena, value)};
    l->failed = l->failed || !t.key || !t.value;
    l->texts[l->count++] = t;
}

static void add_number(List *l, const char *key, int64_t value) {
    char text[VALUE];
    snprintf(text, sizeof text, "%lld", (long long)value);
    add(l, key, text);
}

static void add_data(List *l, const Job *job) {
    static const char *const tails[] = {
        [TAIL_KEEP] = "keep", [TAIL_DROP] = "drop", [TAIL_PAD] = "pad"};
    char hash[VALUE];
    snprintf(hash, sizeof hash, "%016" PRIx64, dataset_hash(&job->data));
    add(l, "data", job->data.source);
    add(l, "data_hash", hash);
    add_number(l, "train_samples", job->split.train_count);
    add_number(l, "test_samples", job->split.test_count);
    add_number(l, "batch", job->options.spec.batch);
    add(l, "tail", tails[job->options.tail]);
}

// The place in the order of the samples: whole epochs, and batches of the one that is open.
static void add_place(List *l, const Job *job, int64_t step) {
    add_number(l, "steps", step);
    add_number(l, "epoch", step / job->batches);
    add_number(l, "epoch_batches", step % job->batches);
    add_number(l, "seed", job->options.spec.seed);
}

// What changes the bits of a step besides the shards. One rank sends nothing, and with two ranks
// a schedule adds in the order of the ranks.
static void add_strategy(List *l, const JobSpec *spec) {
    char form[OPTION_VALUE];
    int ranks = job_spec_data_ranks(spec);
    bool schedule = ranks > 2 && algorithm_order(spec->strategy.algorithm) == ORDER_SCHEDULE;
    add(l, "sync_batchnorm", spec->strategy.sync_batch_norm ? "true" : "false");
    add(l, "compress", job_spec_compress(form, spec));
    add(l, "sum_order", schedule ? algorithm_name(spec->strategy.algorithm) : "rank");
}

// Every parameter once, whichever classes of ranks have it.
static bool is_first(const ProgramSet *set, int class, const char *name) {
    for (int c = 0; c < class; c++)
        if (program_find_logical(&set->programs[c], name) != NONE) return false;
    return true;
}

static bool is_frozen(const ProgramSet *set, int class, const Logical *l) {
    return l->role == ROLE_PARAMETER && !l->trainable && l->tied_to == NONE &&
           is_first(set, class, program_name(&set->programs[class], l->name));
}

Status checkpoint_about_frozen(const char **out, Arena *a, const Job *job) {
    const ProgramSet *set = &job->set;
    size_t size = 0;
    for (int c = 0; c < set->count; c++)
        size += (size_t)set->programs[c].name_bytes;  // of more names than these
    char *list = arena_push_array(a, size + 1, 1);
    if (!list) FAIL(ERR_MEMORY, "out of memory for the names of frozen parameters");
    list[0] = '\0';
    for (int c = 0; c < set->count; c++)
        for (int i = 0; i < set->programs[c].logical_count; i++) {
            const Program *p = &set->programs[c];
            if (is_frozen(set, c, &p->logicals[i]))
                text_append(list, size + 1, "%s%s", *list ? "," : "",
                            program_name(p, p->logicals[i].name));
        }
    *out = *list ? list : "none";
    return OK;
}

Status checkpoint_about(SafetensorsText **out, int *count, Arena *a, const Job *job, int64_t step) {
    const JobSpec *spec = &job->options.spec;
    RunInfo info;
    const char *frozen;
    TRY(checkpoint_about_frozen(&frozen, a, job));
    TRY(job_spec_describe(&info, a, spec, NULL, 0));
    List l = {.arena = a, .texts = ARENA_NEW(a, SafetensorsText, FIXED + info.optimizer_count)};
    if (!l.texts) FAIL(ERR_MEMORY, "out of memory for the description of a checkpoint");
    add(&l, "format", "tandem");
    add(&l, "model", job->model.name);
    add(&l, "dtype", dtype_name(spec->dtype));
    add(&l, "device", spec->device);
    add_place(&l, job, step);
    add_data(&l, job);
    add_number(&l, "shards", job_spec_shards(spec));
    add_number(&l, "accumulate", spec->micro_batches);
    add_strategy(&l, spec);
    add(&l, "frozen", frozen);
    for (int i = 0; i < info.optimizer_count; i++) {
        const RunSetting *s = &info.optimizer[i];
        bool ends = !strcmp(s->key, "lr_decay_steps") && !strcmp(s->value, "0");
        if (!strcmp(s->key, "freeze")) continue;  // "frozen" has what that means
        if (ends)  // it falls until the end of the run, which is another step in a longer one
            add_number(&l, s->key, job->steps);
        else
            add(&l, strcmp(s->key, "name") ? s->key : "optimizer", s->value);
    }
    if (l.failed) FAIL(ERR_MEMORY, "out of memory for the description of a checkpoint");
    *out = l.texts;
    *count = l.count;
    return OK;
}

Status checkpoint_about_hash(char out[CHECKPOINT_HASH], const Job *job, int64_t step) {
    Arena scratch = {0};
    SafetensorsText *texts;
    int count = 0;
    uint64_t hash = HASH_START;
    Status s = checkpoint_about(&texts, &count, &scratch, job, step);
    for (int i = 0; s == OK && i < count; i++) {
        hash = hash_bytes(hash, texts[i].key, strlen(texts[i].key) + 1);
        hash = hash_bytes(hash, texts[i].value, strlen(texts[i].value) + 1);
    }
    snprintf(out, CHECKPOINT_HASH, "%016" PRIx64, hash);
    arena_finish(&scratch);
    return s;
}
