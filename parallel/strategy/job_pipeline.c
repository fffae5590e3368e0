// SPDX-License-Identifier: MIT
// A job whose layers are divided among ranks: what goes with that, and the number of micro-batches
// that it needs.
#include "parallel/strategy/job_spec.h"
#include "parallel/strategy/stage.h"

#include <math.h>

int job_spec_pipeline_micro_batches(const JobSpec *s) { return 2 * mesh_size(&s->mesh, MESH_PIPE); }

// With fewer micro-batches than stages some stage has nothing to do at any time. Shards that share
// statistics go through a stage together.
static Status check_micro_batches(const JobSpec *s, int ranks) {
    int local = s->strategy.sync_batch_norm ? 1 : job_spec_local_shards(s);
    int all = local * s->micro_batches;
    int least = (ranks + local - 1) / local;
    if (all < ranks && local == 1)
        FAIL(ERR_USAGE,
             "--pp %d needs %d micro-batches or more, so that every stage has one to work on, and "
             "--accumulate is %d; give --accumulate %d, or twice that",
             ranks, ranks, s->micro_batches, least);
    if (all < ranks)
        FAIL(ERR_USAGE,
             "--pp %d needs %d micro-batches or more, so that every stage has one to work on; %d "
             "shards a rank × --accumulate %d = %d; give --accumulate %d",
             ranks, ranks, local, s->micro_batches, all, least);
    if (s->strategy.schedule.word != SCHEDULE_INTERLEAVED || all % ranks == 0) return OK;
    int up = least;
    while (up < s->micro_batches || local * up % ranks) up++;
    FAIL(ERR_USAGE,
         "--schedule interleaved takes micro-batches in groups of its --pp %d, and %d = %d × %d + "
         "%d; give --accumulate %d",
         ranks, all, all / ranks, ranks, all % ranks, up);
}

static Status check_schedule(const JobSpec *s) {
    const OptionForm *form = &s->strategy.schedule;
    if (form->number != floor(form->number) || form->number > PIPELINE_RANKS)
        FAIL(ERR_USAGE,
             "--schedule interleaved:%g: stages of each rank are a whole number of 2 to %d, such "
             "as interleaved:2",
             form->number, PIPELINE_RANKS);
    return OK;
}

// What --pp asks of the batch is not said of a degree that the model cannot have.
static Status check_layers(const JobSpec *s) {
    Arena a = {0};
    Model m;
    int pipe = mesh_size(&s->mesh, MESH_PIPE), layers = pipe;
    if (pipe > 1 && s->model && job_spec_model(&m, &a, s) == OK) layers = m.layer_count;
    arena_finish(&a);
    if (layers >= pipe) return OK;
    FAIL(ERR_USAGE, "--pp %d: %.100s has %d layers, and each stage needs one; give --pp %d at most",
         pipe, s->model, layers, layers);
}

Status job_spec_check_pipeline(const JobSpec *s) {
    int ranks = mesh_size(&s->mesh, MESH_PIPE);
    const StrategyOptions *o = &s->strategy;
    if (ranks == 1) return OK;
    if (ranks > PIPELINE_RANKS)
        FAIL(ERR_USAGE, "--pp %d: a pipeline has at most %d ranks", ranks, PIPELINE_RANKS);
    if (o->data_parallel)
        FAIL(ERR_USAGE,
             "--data-parallel keeps all weights and the loss on rank 0, --pp %d divides them among "
             "stages; leave one of them out",
             ranks);
    if (o->zero == 3)
        FAIL(ERR_USAGE,
             "--zero 3 gathers the parameters of each layer for each pass, which --pp %d would ask "
             "for with every micro-batch; give --zero 1 or 2",
             ranks);
    TRY(check_schedule(s));
    if (s->batch < (int64_t)job_spec_shards(s) * s->micro_batches) TRY(check_layers(s));
    return check_micro_batches(s, ranks);
}
