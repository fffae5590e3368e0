// SPDX-License-Identifier: MIT
// One turn: rank_begin_turn() prepares it, rank_end_turn() keeps its results.
#include "parallel/run/rank.h"

#include "core/base/clock.h"
#include "core/plan/expert.h"
#include "parallel/run/rank_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool in_batch(const Rank *r) { return r->turn.plan == r->job->plan_step; }

// Of each row the tokens, or what follows them, or both, at the positions that a load wants.
static void load_positions(Rank *r, const LoadCall *call, const int32_t *rows) {
    int64_t T = call->x.data ? call->x.shape[1] : call->labels.shape[1];
    int64_t window = r->job->data.text.window;
    int32_t *tokens = r->text, *labels = r->text + window, *x = call->x.data,
            *y = call->labels.data;
    for (int64_t i = 0; i < call->rows; i++) {
        dataset_gather(&r->job->data, &rows[i], 1, call->dtype, rank_data_time(r), tokens, labels);
        for (int64_t t = 0; t < T; t++) {
            if (x) x[i * T + t] = tokens[call->positions[t]];
            if (y) y[i * T + t] = labels[call->positions[t]];
        }
    }
}

// The rows of the dataset that a load wants: of the epoch's batch, or of the test set.
static void load(void *context, const LoadCall *call) {
    Rank *r = context;
    const int32_t *rows = r->rows;
    if (call->evaluate)
        rows = r->job->split.test + call->first_row;
    else
        for (int64_t i = 0; i < call->rows; i++)
            r->rows[i] = sampler_row(&r->sampler, r->turn.batch, call->first_row + i);
    if (call->positions)
        load_positions(r, call, rows);
    else
        dataset_gather(&r->job->data, rows, call->rows, call->dtype, rank_data_time(r),
                       call->x.data, call->labels.data);
}

static void before(void *context, int rank, int plan, int op) {
    const Rank *r = context;
    if (r->hooks.before) r->hooks.before(r->hooks.context, rank, plan, op);
}

// Copy what an operation of a recorded step wrote.
static Status after(void *context, int rank, int plan, int op) {
    Rank *r = context;
    if (plan != r->job->plan_step || !values_wants(&r->values, (int)r->turn.step)) return OK;
    const Program *p = r->program;
    const Plan *what = &p->plans[plan];
    for (int i = 0; i < what->ops[op].outputs; i++) {
        int tensor = op_outputs(what, &what->ops[op])[i];
        const Tensor *t = &p->tensors[tensor];
        int64_t shape[DIMS];
        memcpy(shape, t->shape, sizeof shape);
        const void *data;
        if (t->extent != NONE) {
            TRY(executor_read(&r->executor, t->extent, &shape[0]));
            if (shape[0] < 0 || shape[0] > tensor_room(t))
                FAIL(ERR_FAILED, "%s has room for %lld of %s, which is %lld",
                     tensor_name(p, tensor), (long long)tensor_room(t), tensor_name(p, t->extent),
                     (long long)shape[0]);
            shape[0] *= t->extent_times;
        }
        TRY(executor_view(&r->executor, tensor, &data));
        TRY(values_add(&r->values, program_name(p, what->name), op_name(p, &what->ops[op]),
                       tensor_name(p, tensor), (Dtype)t->dtype, t->dims, shape, data));
    }
    return OK;
}

// Of the ranks that hold the same elements, the first alone knows the initial values of parameters:
// a broadcast of the plan brings them to the others. State starts alike everywhere.
static bool starts_with_values(const Rank *r, int tensor) {
    const Tensor *t = &r->program->tensors[tensor];
    if (t->alias != NONE) return false;
    if (t->role == ROLE_STATE || t->role == ROLE_FEEDBACK)
        return model_initialises(&r->program->logicals[t->logical]);
    return t->role == ROLE_PARAMETER && rank_holds_first(r->job, r->comm.rank, tensor);
}

static Status initialise(Rank *r) {
    const Program *p = r->program;
    if (r->job->device->model) return OK;  // modelled values need no memory
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *tensor = &p->tensors[t];
        if (!starts_with_values(r, t)) continue;
        void *values = malloc((size_t)tensor->bytes);
        if (!values) FAIL(ERR_MEMORY, "no memory for the initial %s", tensor_name(p, t));
        model_initialise_piece(p, tensor, r->comm.rank, r->job->options.spec.seed, values);
        Status s = executor_write(&r->executor, t, values);
        free(values);
        TRY(s);
    }
    return OK;
}

static Status create_values(Rank *r) {
    const JobOptions *o = &r->job->options;
    if (!o->record) return OK;
    return values_create(&r->values, &(ValueOptions){.directory = o->record,
                                                     .rank = r->comm.rank,
                                                     .first_step = o->record_first,
                                                     .last_step = o->record_last,
                                                     .write = rank_write_values});
}

Status rank_create(Rank *r, const Job *job, RunShared *shared, CommWorld *world, int rank,
                   const RunHooks *hooks) {
    *r = (Rank){.job = job,
                .program = job_program(job, rank),
                .shared = shared,
                .result = &shared->results[rank],
                .turn = {.plan = NONE, .block = NONE}};
    if (hooks) r->hooks = *hooks;
    r->comm.rank = rank;
    if (world) TRY(comm_join(&r->comm, world, rank));
    agreement_init(&r->agreement, &r->comm, r->program);
    const ExecutorHooks executor_hooks = {.context = r,
                                          .load = load,
                                          .before = r->hooks.before ? before : NULL,
                                          .after = job->options.record ? after : NULL};
    TRY(executor_create(&r->executor, &r->arena, r->program, rank, job->device,
                        world ? &r->comm : NULL, &executor_hooks));
    r->executor.origin_ns = shared->origin_ns;
    if (job->options.spans) r->executor.timeline = &r->result->timeline;
    r->executor.cpu_of_each = job->options.trace || job->options.record;
    const Split *split = &job->split;
    TRY(sampler_init(&r->sampler, &r->arena, split->train, split->train_count,
                     job->options.spec.batch, job->options.spec.seed, job->options.tail));
    TRY(rank_find_scalars(r));
    TRY(create_values(r));
    TRY(checkpoint_create(r));
    TRY(initialise(r));
    TRY(restore_fill(&job->restore, &r->executor));
    disturbance_begin(r);
    if (r->hooks.ready) r->hooks.ready(r->hooks.context, &r->executor);
    return OK;
}

void rank_destroy(Rank *r) {
    values_destroy(&r->values);
    checkpoint_destroy(r);
    rank_weights_finish(r);
    executor_destroy(&r->executor);
    arena_finish(&r->arena);
    *r = (Rank){0};
}

// After Ctrl-C, which rank 0 or the launcher saw, all ranks must end before the same turn. Rank 0
// decides, one turn ahead, and posts the number of that turn plus one (0: go on). Each turn gives
// every rank its loss: the others cannot begin the next one without having met rank 0, or somebody
// who has, in this one, so they see what it posted. A rank alone stops at once.
static bool stops_here(const Rank *r) {
    const atomic_int *interrupt = r->job->options.interrupt;
    bool asked = interrupt && *interrupt;
    Comm *c = r->executor.comm;
    if (!c) return asked;
    if (c->rank == 0 && !comm_peek(c, 0) && (asked || comm_peek(c, NONE)))
        comm_post(c, (uint64_t)r->turns + 2);
    uint64_t stop = comm_peek(c, 0);
    return stop && (uint64_t)r->turns + 1 >= stop;
}

static int64_t now_ps(const Rank *r) { return (clock_ns() - r->shared->origin_ns) * 1000; }

Status rank_begin_turn(Rank *r, bool *more) {
    *more = r->result->diverged == DIVERGED_NOT && job_next_turn(r->job, &r->turn);
    When when = *more ? job_when(r->job, &r->turn) : WHEN_NONE;
    if ((when == WHEN_EACH_STEP || when == WHEN_EACH_EPOCH) && stops_here(r)) {
        r->result->interrupted = true;
        r->result->stopped_step = r->turn.step;
        *more = job_last_turns(r->job, &r->turn);
    }
    if (!*more) return OK;
    Timeline *t = &r->result->timeline;
    int64_t start = t->step_count && !r->paused ? t->steps[t->step_count - 1].end_ps : now_ps(r);
    r->paused = false;
    StepRecord *record = timeline_begin_step(t, r->turn.plan, (int)r->turn.step, start);
    record->epoch = (int32_t)r->turn.epoch;
    record->loss = (double)NAN;
    int64_t rows = rank_write_scalars(r);
    if (in_batch(r)) record->rows = (int32_t)rows;
    return executor_begin(&r->executor, r->turn.plan, r->turn.step);
}

// Add what a plan found, (sum of losses, correct answers), one pair after the other.
static Status add_loss(Rank *r, double sum[2]) {
    const void *data;
    int tensor = r->loss[r->turn.plan];
    TRY(executor_view(&r->executor, tensor, &data));
    const double *pairs = data;
    int64_t count = tensor_elements(&r->program->tensors[tensor]);
    for (int64_t i = 0; i < count; i++) sum[i % 2] += pairs[i];
    return OK;
}

static const Evaluation *end_evaluation(Rank *r) {
    Evaluation *e = &r->result->evaluations[r->result->evaluation_count++];
    int64_t samples = r->job->split.test_count, labels = r->job->test_labels;
    *e = (Evaluation){.epoch = (int32_t)r->turn.epoch + 1,
                      .step = (int32_t)r->turn.step,
                      .samples = samples,
                      .loss = r->evaluation[0],
                      .accuracy = isfinite(r->evaluation[0]) ? r->evaluation[1] / (double)labels
                                                             : (double)NAN,
                      .perplexity = r->job->model.tokens ? exp(r->evaluation[0]) : 0};
    return e;
}

// Every rank has the same losses, so all of them stop in the same turn.
static void check_divergence(Rank *r, double loss, Divergence what) {
    if (isfinite(loss)) return;
    r->result->diverged = what;
    r->result->diverged_step = r->turn.step;
}

// Good weights are copied where nothing is measured: after an evaluation, or after an epoch.
static Status keep_weights(Rank *r, const StepRecord *record, const Evaluation *evaluation) {
    bool evaluates = r->job->evaluation_turns > 0;
    if (r->result->diverged || r->job->device->model) return OK;
    if (evaluation) TRY(checkpoint_copy(r, r->turn.step));
    if (!evaluates && record->rows && r->turn.batch + 1 == r->job->batches)
        TRY(checkpoint_copy(r, r->turn.step + 1));
    return OK;
}

// What happened to the choices of the step's tokens (core/plan/expert.h).
static Status count_choices(Rank *r, StepRecord *record) {
    const Tensor *t = &r->program->tensors[r->choices];
    const void *data;
    double all = 0, dropped = 0;
    TRY(executor_view(&r->executor, r->choices, &data));
    record->fullest = 0;
    for (int64_t layer = 0; layer < t->shape[0]; layer++) {
        const double *row = (const double *)data + layer * t->shape[1];
        int64_t experts = t->shape[1] - EXPERT_CHOSEN;
        double sum = 0, most = 0;
        for (int64_t e = 0; e < experts; e++) {
            double chosen = row[EXPERT_CHOSEN + e];
            sum += chosen;
            if (chosen > most) most = chosen;
        }
        dropped += row[EXPERT_DROPPED];
        all += sum;
        if (sum > 0 && most * (double)experts / sum > record->fullest)
            record->fullest = most * (double)experts / sum;
    }
    record->routed = all > 0;
    record->dropped = all > 0 ? dropped / all : 0;
    return OK;
}

// The norm of the gradients, where the plan has it, and whether the weights were updated: a step
// that was skipped has not diverged.
static Status end_update(Rank *r, double loss) {
    StepRecord *record = &r->result->timeline.open;
    bool batch = in_batch(r);
    double finite = 1;
    const void *data;
    if (batch && r->gradient_norm != NONE) {
        TRY(executor_view(&r->executor, r->gradient_norm, &data));
        record->gradient_norm = *(const double *)data;
        record->normed = true;
    }
    if (batch && r->choices != NONE && !r->job->device->model) TRY(count_choices(r, record));
    if (batch && r->finite != NONE) {
        TRY(executor_view(&r->executor, r->finite, &data));
        finite = *(const double *)data;
    }
    record->skipped = finite == 0;
    if (record->skipped) return OK;
    check_divergence(r, loss, DIVERGED_LOSS);
    if (batch && r->gradient_norm != NONE && !r->result->diverged)
        check_divergence(r, record->gradient_norm, DIVERGED_GRADIENTS);
    return OK;
}

// The loss of a training step, and the values that are recorded of it.
static Status end_step(Rank *r) {
    double sum[2] = {0};
    if (values_wants(&r->values, (int)r->turn.step))
        TRY(values_finish_step(&r->values, (int)r->turn.step));
    if (r->loss[r->turn.plan] == NONE) return OK;
    TRY(add_loss(r, sum));
    r->result->timeline.open.loss = sum[0];
    return end_update(r, sum[0]);
}

// One round of blocks, added in their order; after the last, the evaluation.
static Status end_round(Rank *r, const Evaluation **out) {
    if (r->loss[r->turn.plan] == NONE) return OK;
    if (r->turn.block == 0) r->evaluation[0] = r->evaluation[1] = 0;
    TRY(add_loss(r, r->evaluation));
    if (r->turn.block + 1 < r->job->evaluation_turns) return OK;
    *out = end_evaluation(r);
    check_divergence(r, (*out)->loss, DIVERGED_EVALUATION);
    return OK;
}

Status rank_end_turn(Rank *r) {
    Timeline *t = &r->result->timeline;
    const Evaluation *evaluation = NULL;
    When when = job_when(r->job, &r->turn);
    bool computes = !r->job->device->model;  // else there is no loss
    if (computes && when == WHEN_EACH_STEP) TRY(end_step(r));
    if (computes && when == WHEN_EACH_EPOCH) TRY(end_round(r, &evaluation));
    bool warm_up = r->turn.step == r->job->first_step && r->job->steps > r->turn.step + 1;
    if (in_batch(r) && warm_up) disturbance_begin(r);
    StepRecord record = t->open;
    timeline_end_step(t, now_ps(r));
    TRY(keep_weights(r, &record, evaluation));
    r->turns++;
    bool progressed = when == WHEN_EACH_STEP || when == WHEN_EACH_EPOCH;
    if (r->comm.rank == 0 && r->hooks.progress && progressed)
        r->hooks.progress(r->hooks.context, r->job, &r->turn, &record, evaluation);
    return OK;
}

bool rank_checkpoint_due(const Rank *r) {
    const JobOptions *o = &r->job->options;
    int64_t steps = r->turn.step + 1;
    bool stepped = job_when(r->job, &r->turn) == WHEN_EACH_STEP && !r->result->diverged;
    return stepped && o->save && o->save_every && steps % o->save_every == 0 &&
           steps < r->job->steps;
}

Status rank_checkpoint(Rank *r) {
    r->paused = true;
    if (r->result->diverged) return OK;
    r->result->copied_step = r->turn.step + 1;
    if (r->comm.rank) return OK;
    if (r->executor.comm) comm_set_away(&r->comm, true);
    TRY(checkpoint_write(r, r->turn.step + 1));
    if (r->executor.comm) comm_set_away(&r->comm, false);
    return OK;
}

static Status gather(Rank *r, bool ends) {
    for (bool more = true; more;) TRY(rank_gather(r, ends, &more));
    return OK;
}

Status rank_run(Rank *r) {
    for (bool more = r->executor.comm; more;) {
        TRY(agreement_bring(&r->agreement));
        TRY(agreement_look(&r->agreement, &more));
    }
    for (;;) {
        bool more;
        TRY(rank_begin_turn(r, &more));
        if (!more) break;
        TRY(executor_run(&r->executor, r->turn.plan, r->turn.step));
        TRY(rank_end_turn(r));
        if (!rank_checkpoint_due(r)) continue;
        TRY(gather(r, false));
        TRY(rank_checkpoint(r));
    }
    TRY(gather(r, true));
    return rank_finish(r);
}
