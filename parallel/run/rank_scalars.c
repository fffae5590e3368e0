// SPDX-License-Identifier: MIT
// The scalars that a program asks the run for (source=, docs/formats.md, "Plan files"), written
// before each turn. Which rows a rank takes follows from its place along the axes that cut the
// batch (docs/contract.md, 2).
#include "parallel/run/rank_internal.h"

Status rank_find_scalars(Rank *r) {
    const Program *p = r->program;
    int64_t most =
        r->job->options.spec.batch > EVALUATION_ROWS ? r->job->options.spec.batch : EVALUATION_ROWS;
    r->sources = ARENA_NEW(&r->arena, int, p->tensor_count + 1);
    r->rows = ARENA_NEW(&r->arena, int32_t, most);
    r->text = ARENA_NEW(&r->arena, int32_t, 2 * r->job->data.text.window + 1);
    if (!r->sources || !r->rows || !r->text)
        FAIL(ERR_MEMORY, "rank %d: out of memory", r->comm.rank);
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].source && p->tensors[t].offset != NONE) r->sources[r->source_count++] = t;
    for (int k = 0; k < p->plan_count; k++) r->loss[k] = program_find_result(p, k, RESULT_LOSS);
    r->gradient_norm = program_find_result(p, r->job->plan_step, RESULT_GRADIENT_NORM);
    r->choices = program_find_result(p, r->job->plan_step, RESULT_CHOICES);
    r->finite = program_find_result(p, r->job->plan_step, RESULT_FINITE);
    return OK;
}

// The data of a turn: rows of the batch, of the test set, or none.
static int64_t rows_of_turn(Rank *r) {
    When when = job_when(r->job, &r->turn);
    if (when == WHEN_EACH_EPOCH) return r->job->split.test_count;
    if (when != WHEN_EACH_STEP) return 0;
    int64_t epoch = r->job->options.same_order ? 0 : r->turn.epoch;
    if (!r->job->device->model) sampler_epoch(&r->sampler, epoch);  // else nothing is loaded
    return sampler_batch_rows(&r->sampler, r->turn.batch);
}

// How many labels of the turn's data count, on all ranks together: what the loss is divided by.
// Every rank can say it of the whole batch, since what is drawn depends on seed, epoch and row.
static int64_t labels_of_turn(Rank *r, int64_t rows) {
    const Dataset *data = &r->job->data;
    When when = job_when(r->job, &r->turn);
    if (when == WHEN_EACH_EPOCH) return r->job->test_labels;
    if (!data->masked || r->job->device->model) return rows * dataset_labels(data);
    for (int64_t i = 0; i < rows; i++) r->rows[i] = sampler_row(&r->sampler, r->turn.batch, i);
    return dataset_counted(data, r->rows, rows, rank_data_time(r));
}

// The part of a batch that belongs to a shard and micro-batch of this rank; without axes, to a
// shard of all ranks'.
static void part_of_batch(const Rank *r, const Tensor *t, int64_t rows, int64_t *first,
                          int64_t *count) {
    const JobSpec *spec = &r->job->options.spec;
    int64_t parts, position = program_position(r->program, t->source_axes, r->comm.rank, &parts);
    int64_t all = job_spec_shards(spec), begin, end, from, to;
    sampler_part(rows, position * (all / parts) + t->shard, all, &begin, &end);
    sampler_part(end - begin, t->micro_batch, spec->micro_batches, &from, &to);
    *first = begin + from;
    *count = to - from;
}

// An evaluation goes through the test set in rounds: in each a rank takes the next block, which is
// not cut further. Without axes, shard k is the block of rank k.
static void block_of_test(const Rank *r, const Tensor *t, int64_t *first, int64_t *count) {
    int64_t parts, position = program_position(r->program, t->source_axes, r->comm.rank, &parts);
    int64_t ranks = job_spec_data_ranks(&r->job->options.spec), each = ranks / parts;
    bool whole = t->shard < each && t->micro_batch == 0;
    int64_t at = (r->turn.block * ranks + position * each + t->shard) * EVALUATION_ROWS,
            left = r->job->split.test_count - at;
    *count = left < 0 || !whole ? 0 : left < EVALUATION_ROWS ? left : EVALUATION_ROWS;
    *first = *count ? at : 0;
}

static void write_rows(Rank *r, int tensor, int64_t rows) {
    const Tensor *t = &r->program->tensors[tensor];
    int64_t first = 0, count = 0;
    When when = job_when(r->job, &r->turn);
    if (when == WHEN_EACH_STEP) part_of_batch(r, t, rows, &first, &count);
    if (when == WHEN_EACH_EPOCH) block_of_test(r, t, &first, &count);
    executor_set_i64(&r->executor, tensor, t->source == SCALAR_ROWS ? count : first);
}

// A batch without a label that counts has the loss 0, and gradients of 0.
static double inverse_count(Rank *r, int64_t rows) {
    int64_t labels = labels_of_turn(r, rows);
    return labels ? 1.0 / (double)labels : 0;
}

static void write_source(Rank *r, int tensor, int64_t rows) {
    const Tensor *t = &r->program->tensors[tensor];
    const JobSpec *spec = &r->job->options.spec;
    Executor *e = &r->executor;
    int64_t parts;
    switch ((ScalarSource)t->source) {
    case SCALAR_STEP: executor_set_i64(e, tensor, r->turn.step); break;
    case SCALAR_LEARNING_RATE:
        executor_set_f64(e, tensor, job_spec_learning_rate(spec, r->turn.step, r->job->steps));
        break;
    case SCALAR_INVERSE_COUNT: executor_set_f64(e, tensor, inverse_count(r, rows)); break;
    case SCALAR_FIRST_ROW:
    case SCALAR_ROWS: write_rows(r, tensor, rows); break;
    case SCALAR_COORDINATE:
        executor_set_i64(e, tensor,
                         program_position(r->program, t->source_axes, r->comm.rank, &parts));
        break;
    case SCALAR_SEED: executor_set_i64(e, tensor, spec->seed); break;
    case SCALAR_LOSS_SCALE: executor_set_f64(e, tensor, 1); break;  // losses are not scaled
    case SCALAR_INDEX: executor_set_index(e, tensor); break;
    case SCALAR_NONE:
    case SCALAR_COUNT: break;
    }
}

int64_t rank_write_scalars(Rank *r) {
    int64_t rows = rows_of_turn(r);
    for (int i = 0; i < r->source_count; i++) write_source(r, r->sources[i], rows);
    return rows;
}
