// SPDX-License-Identifier: MIT
// Names of faults, what a seed makes of them, and the job whose steps are timed.
#include "lessons/faults/fault.h"

#include "core/base/nearest.h"
#include "lessons/engine/translate.h"
#include "lessons/engine/trial.h"

#include <stdlib.h>
#include <string.h>

static const char *const WORDS[FAULT_COUNT] = {"none",
#define X(constant, word) word,
                                               FAULT_LIST(X)
#undef X
};

static const char *const TITLES[FAULT_COUNT] = {
    [FAULT_NONE] = N_("no fault"),
    [FAULT_SUM] = N_("gradients are summed over ranks, not averaged"),
    [FAULT_BROADCAST] = N_("the first weights of rank 0 are not sent to the others"),
    [FAULT_WEIGHTING] = N_("ranks with fewer rows count as much as those with more"),
    [FAULT_SHUFFLE] = N_("samples are not shuffled anew for each epoch"),
    [FAULT_DTYPE] = N_("gradients are summed in bf16"),
    [FAULT_ORDER] = N_("one rank issues its collectives in another order"),
    [FAULT_STALE] = N_("weights are updated with the gradients of the step before"),
    [FAULT_SLOW_RANK] = N_("one rank computes more slowly"),
    [FAULT_SLOW_LINK] = N_("the links are slow"),
    [FAULT_BUCKETS] = N_("buckets are too small"),
    [FAULT_OVERLAP] = N_("communication begins only after the backward pass"),
    [FAULT_STAGES] = N_("one pipeline stage has most of the work"),
};

static const char *const FIXES[FAULT_COUNT] = {
    [FAULT_NONE] = N_("nothing"),
    [FAULT_SUM] = N_("divide by the rows of the global batch"),
    [FAULT_BROADCAST] = N_("broadcast the weights before the first step"),
    [FAULT_WEIGHTING] = N_("divide by the rows of the global batch, not of each rank"),
    [FAULT_SHUFFLE] = N_("draw the order from seed and epoch (set_epoch)"),
    [FAULT_DTYPE] = N_("sum in f32"),
    [FAULT_ORDER] = N_("issue collectives in the same order on all ranks"),
    [FAULT_STALE] = N_("wait for the sums before the update"),
    [FAULT_SLOW_RANK] = N_("replace the slow device"),
    [FAULT_SLOW_LINK] = N_("use the fast links"),
    [FAULT_BUCKETS] = N_("--bucket-kib 4,32 instead of 0,0"),
    [FAULT_OVERLAP] = N_("leave --no-overlap out"),
    [FAULT_STAGES] = N_("leave --stages out: layers are divided by cost"),
};

const char *fault_word(FaultKind kind) { return WORDS[kind]; }
const char *fault_title(FaultKind kind) { return _(TITLES[kind]); }
const char *fault_fix(FaultKind kind) { return _(FIXES[kind]); }

Fault fault_draw(FaultKind kind, uint64_t seed) {
    Rng r;
    rng_init(&r, seed, RNG_LESSON, (uint32_t)kind, 1 << 16);
    Fault f = {.kind = kind, .rank = (int)rng_below(&r, FAULT_RANKS)};
    int more = (int)rng_below(&r, 8);
    f.permille = kind == FAULT_SLOW_LINK ? 3000 + 250 * more : 1500 + 100 * more;
    return f;
}

Status fault_parse(Fault *out, const char *text) {
    char word[32], *end = NULL;
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    Nearest near = {.word = word};
    long long seed = colon ? strtoll(colon + 1, &end, 10) : -1;
    if (!colon || end == colon + 1 || *end || seed < 0 || length >= sizeof word)
        FAIL(ERR_USAGE, "%s: a fault and a seed are expected, such as slow_rank:3", text);
    memcpy(word, text, length);
    word[length] = '\0';
    for (int kind = 1; kind < FAULT_COUNT; kind++) {
        if (strcmp(word, WORDS[kind]) == 0) {
            *out = fault_draw((FaultKind)kind, (uint64_t)seed);
            return OK;
        }
        nearest_offer(&near, WORDS[kind]);
    }
    if (near.best) FAIL(ERR_USAGE, "%s is no fault; do you mean %s?", word, near.best);
    FAIL(ERR_USAGE,
         "%s is no fault; these are: sum, broadcast, weighting, shuffle, dtype, order, stale, "
         "slow_rank, slow_link, buckets, overlap, stages",
         word);
}

JobOptions fault_job(const Fault *fault, bool pipeline) {
    JobOptions o = trial_options();
    JobSpec *s = &o.spec;
    s->device = "timed:laptop";
    s->ranks = FAULT_RANKS;
    if (pipeline) {
        s->mesh.pipe = 2;
        s->micro_batches = job_spec_pipeline_micro_batches(s);
    }
    o.link = pipeline ? (LinkModel){1000000000, INT64_C(20000000)}
                      : (LinkModel){100000000, INT64_C(50000000)};
    if (fault->kind == FAULT_SLOW_LINK)
        o.link.bytes_per_s = o.link.bytes_per_s * 1000 / fault->permille;
    if (fault->kind == FAULT_DTYPE) s->strategy.compress.word = COMPRESS_BF16;
    if (fault->kind == FAULT_BUCKETS) s->strategy.bucket_bytes[0] = s->strategy.bucket_bytes[1] = 0;
    if (fault->kind == FAULT_OVERLAP) s->strategy.no_overlap = true;
    if (fault->kind == FAULT_STAGES) s->strategy.stages = "0:7,7:10";
    return o;
}
