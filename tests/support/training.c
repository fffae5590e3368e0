// SPDX-License-Identifier: MIT
#include "tests/support/training.h"

#include "core/base/rng.h"
#include "core/plan/group.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/collective_work.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

JobOptions training_options(void) {
    static char model[4096];
    const char *path = test_source("tests/data/small.model");
    snprintf(model, sizeof model, "%s", path ? path : "tests/data/small.model");
    JobSpec spec = job_spec_default();
    spec.model = model;
    spec.batch = 61;
    spec.learning_rate = 0.05;
    return (JobOptions){
        .spec = spec,
        .data = "digits:count=200",
        .steps = 20,
        .test_fraction = 0.15,
        .comm = COMM_SERIAL,
        .info = {.kind = "train",  // for traces
                 .model = "small",
                 .device = device_traits_default,
                 .comm = "serial",
                 .dtype = "f32"},
    };
}

static bool kept(const Program *p, int tensor, Role role) {
    return p->tensors[tensor].role == role && p->tensors[tensor].alias == NONE;
}

// Tensors in the order of a rank's state. False after the last; *at: where it begins.
typedef struct {
    const Program *p;
    int tensor, part;
    int64_t at;
} StateWalk;

static bool state_next(StateWalk *w) {
    static const Role roles[] = {ROLE_PARAMETER, ROLE_OPTIMISER, ROLE_STATE};
    if (w->tensor != NONE) w->at += w->p->tensors[w->tensor].bytes;
    for (; w->part < 3; w->part++, w->tensor = NONE)
        while (++w->tensor < w->p->tensor_count)
            if (kept(w->p, w->tensor, roles[w->part])) return true;
    return false;
}
#define STATE_WALK(program) ((StateWalk){.p = (program), .tensor = NONE})

static int64_t state_bytes(const Program *p) {
    StateWalk w = STATE_WALK(p);
    while (state_next(&w)) {
    }
    return w.at;
}

// --- running

typedef CommCount Counts[COMM_GROUPS][COMM_OPERATIONS];
struct OutcomeCounts {
    Counts of[PLANS], seen;  // seen: all that was counted up to the last change of the plan
    int plan;                // that is being executed
};

typedef struct {
    const TrainingProbe *probe;
    Outcome *out;
    Executor *executors[COMM_RANKS];
} Watch;

// What was counted since the last change belongs to the plan that was executed.
static void change_plan(struct OutcomeCounts *c, const Executor *e, int plan) {
    CommCount *now = e->comm ? e->comm->counts[0] : NULL, *seen = c->seen[0],
              *of = c->of[c->plan][0];
    for (int i = 0; now && i < COMM_GROUPS * COMM_OPERATIONS; i++) {
        of[i].calls += now[i].calls - seen[i].calls;
        of[i].bytes += now[i].bytes - seen[i].bytes;
        seen[i] = now[i];
    }
    c->plan = plan;
}

static void watch_ready(void *context, Executor *e) {
    Watch *w = context;
    w->executors[e->rank] = e;
    if (w->probe->ready) w->probe->ready(w->probe->context, e);
}

static void watch_before(void *context, int rank, int plan, int op) {
    Watch *w = context;
    struct OutcomeCounts *c = &w->out->counts[rank];
    if (c->plan != plan) change_plan(c, w->executors[rank], plan);
    if (w->probe->before) w->probe->before(w->probe->context, w->executors[rank], plan, op);
}

static void watch_finished(void *context, Executor *e) {
    Watch *w = context;
    StateWalk s = STATE_WALK(e->program);
    unsigned char *mine = w->out->state + e->rank * w->out->state_bytes;
    while (state_next(&s)) ck_assert_ok(executor_read(e, s.tensor, mine + s.at));
    change_plan(&w->out->counts[e->rank], e, 0);
    if (w->probe->finished) w->probe->finished(w->probe->context, e);
}

static size_t mapped_bytes(const Outcome *o) {
    return (size_t)o->job.options.spec.ranks *
           ((size_t)o->state_bytes + sizeof(struct OutcomeCounts));
}

static Status run(Outcome *out, const JobOptions *options, const TrainingProbe *probe) {
    TRY(job_create(&out->job, options));
    if (probe->edit) probe->edit(probe->context, &out->job);
    for (int i = 0; i < out->job.set.count; i++) {
        int64_t bytes = state_bytes(&out->job.set.programs[i]);
        if (bytes > out->state_bytes) out->state_bytes = bytes;
    }
    void *room =
        mmap(NULL, mapped_bytes(out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) FAIL(ERR_MEMORY, "no memory for the state of the ranks");
    out->counts = room;
    out->state = (unsigned char *)(out->counts + options->spec.ranks);
    Watch w = {.probe = probe, .out = out};
    const RunHooks hooks = {
        .context = &w, .ready = watch_ready, .before = watch_before, .finished = watch_finished};
    return launch_run(&out->training, &out->job, &hooks);
}

Status training_run(Outcome *out, const JobOptions *options, const TrainingProbe *probe) {
    *out = (Outcome){0};
    Status s = run(out, options, probe ? probe : &(TrainingProbe){0});
    if (s != OK) outcome_finish(out);
    return s;
}

void outcome_finish(Outcome *o) {
    if (o->counts) munmap(o->counts, mapped_bytes(o));
    launch_finish(&o->training);
    job_destroy(&o->job);
    *o = (Outcome){0};
}

void training_delay(void *context, Executor *e, int plan, int op) {
    Rng r;
    rng_init(&r, *(const uint64_t *)context, RNG_DELAY, (uint32_t)e->rank, (uint32_t)e->step);
    uint32_t x = rng_at(&r, (uint64_t)plan * 4096 + (uint64_t)op);
    if (x % 16) return;
    nanosleep(&(struct timespec){0, (x >> 4) % 300001}, NULL);
}

// --- counting

CommCount outcome_count(const Outcome *o, int rank, const char *plan, const char *group,
                        int operation) {
    const Program *p = job_program(&o->job, rank);
    int k = 0, g = 0;
    while (k < p->plan_count && strcmp(program_name(p, p->plans[k].name), plan)) k++;
    while (g < p->group_count && strcmp(program_name(p, p->groups[g].name), group)) g++;
    ck_assert_msg(k < p->plan_count && g < p->group_count, "no plan %s or group %s", plan, group);
    return o->counts[rank].of[k][g][operation];
}

static int operation_of(const Work *w) {
    if (w->kind == KIND_SEND) return COMM_SEND;
    if (w->kind == KIND_RECEIVE) return COMM_RECEIVE;
    return w->kind == KIND_ALL_TO_ALL_V ? COMM_ALL_TO_ALL_V : -1;
}

// What an operation takes from other members each time, step by step of its schedule.
static int64_t bytes_taken(const Collective *c, int member, int64_t element_bytes) {
    int64_t sum = 0, begin, count;
    for (int64_t t = 0; t < collective_rounds(c); t++)
        for (int i = 0; i < collective_steps(c, t, member); i++) {
            CollectiveStep s = collective_step(c, t, member, i);
            collective_chunk(c, s.chunk, &begin, &count);
            if (s.source != member) sum += count * element_bytes;
        }
    return sum;
}

static void expect_op(Counts *want, const Program *p, const Op *op, int rank, int64_t steps) {
    const Work *w = op_work(p, op);
    if (!work_communicates(w)) return;
    int operation = operation_of(w);
    bool message = operation >= 0;
    Collective c = {.kind = COLLECTIVE_BARRIER};
    if (!message) c = collective_work_collective(p, w);
    CommCount *to = &(*want)[w->group][message ? operation : (int)c.kind];
    to->calls += steps;
    to->bytes += steps * (message ? w->payload_bytes
                                  : bytes_taken(&c, group_position(p, w->group, rank),
                                                dtype_bytes((Dtype)w->dtype)));
}

const char *outcome_uncounted(const Outcome *o) {
    static char text[256];
    for (int rank = 0; rank < o->job.options.spec.ranks; rank++) {
        const Program *p = job_program(&o->job, rank);
        const Plan *plan = &p->plans[o->job.plan_step];
        Counts want = {{{0}}};
        for (int i = 0; i < plan->op_count; i++)
            expect_op(&want, p, &plan->ops[i], rank, o->job.steps - o->job.first_step);
        for (int g = 0; g < COMM_GROUPS; g++)
            for (int k = 0; k < COMM_OPERATIONS; k++) {
                CommCount is = o->counts[rank].of[o->job.plan_step][g][k], be = want[g][k];
                bool any = k == COMM_ALL_TO_ALL_V;  // its pieces are as large as the data say
                if (is.calls == be.calls && (any || is.bytes == be.bytes)) continue;
                snprintf(text, sizeof text,
                         "rank %d, group %d, operation %d: %lld calls and %lld bytes, not %lld and "
                         "%lld",
                         rank, g, k, (long long)is.calls, (long long)is.bytes, (long long)be.calls,
                         (long long)be.bytes);
                return text;
            }
    }
    return NULL;
}

// --- comparing

const void *outcome_tensor(const Outcome *o, int rank, const char *name) {
    StateWalk w = STATE_WALK(job_program(&o->job, rank));
    while (state_next(&w))
        if (!strcmp(tensor_name(w.p, w.tensor), name))
            return o->state + rank * o->state_bytes + w.at;
    return NULL;
}

static char difference[512];

static const char *compare_states(const Outcome *a, int rank_a, const Outcome *b, int rank_b) {
    StateWalk w = STATE_WALK(&a->job.set.programs[0]);
    const unsigned char *x = a->state + rank_a * a->state_bytes,
                        *y = b->state + rank_b * b->state_bytes;
    while (state_next(&w))
        for (int64_t i = 0; i < w.p->tensors[w.tensor].bytes; i++) {
            if (x[w.at + i] == y[w.at + i]) continue;
            snprintf(difference, sizeof difference,
                     "%s differs in byte %lld: rank %d of %d and rank %d of %d",
                     tensor_name(w.p, w.tensor), (long long)i, rank_a, a->job.options.spec.ranks,
                     rank_b, b->job.options.spec.ranks);
            return difference;
        }
    return NULL;
}

// The k-th training step of a rank, or NULL.
static const StepRecord *trained_step(const Outcome *o, int rank, int k) {
    const Timeline *t = &o->training.shared->results[rank].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && k-- == 0) return &t->steps[i];
    return NULL;
}

static bool same_bits(double a, double b) { return !memcmp(&a, &b, sizeof a); }

static const char *compare_losses(const Outcome *a, const Outcome *b, int rank) {
    for (int k = 0; k < a->job.steps; k++) {
        const StepRecord *x = trained_step(a, 0, k), *y = trained_step(b, rank, k);
        if (x && y && same_bits(x->loss, y->loss) && x->rows == y->rows) continue;
        snprintf(difference, sizeof difference, "step %d: loss %.17g and, on rank %d, %.17g", k,
                 x ? x->loss : (double)NAN, rank, y ? y->loss : (double)NAN);
        return difference;
    }
    return NULL;
}

// Of all gradients, where the program computes it, and what follows from it.
static const char *compare_norms(const Outcome *a, const Outcome *b, int rank) {
    for (int k = 0; k < a->job.steps; k++) {
        const StepRecord *x = trained_step(a, 0, k), *y = trained_step(b, rank, k);
        if (x->normed == y->normed && same_bits(x->gradient_norm, y->gradient_norm) &&
            x->skipped == y->skipped)
            continue;
        snprintf(difference, sizeof difference, "step %d: norm %.17g%s and, on rank %d, %.17g%s", k,
                 x->gradient_norm, x->skipped ? ", skipped" : "", rank, y->gradient_norm,
                 y->skipped ? ", skipped" : "");
        return difference;
    }
    return NULL;
}

static const char *compare_evaluations(const Outcome *a, const Outcome *b, int rank) {
    const RankResult *x = &a->training.shared->results[0], *y = &b->training.shared->results[rank];
    if (x->evaluation_count != y->evaluation_count) return "the numbers of evaluations differ";
    for (int i = 0; i < x->evaluation_count; i++) {
        const Evaluation *e = &x->evaluations[i], *f = &y->evaluations[i];
        if (same_bits(e->loss, f->loss) && same_bits(e->accuracy, f->accuracy) &&
            e->samples == f->samples && e->step == f->step)
            continue;
        snprintf(difference, sizeof difference,
                 "evaluation %d: loss %.17g and, on rank %d, %.17g; accuracy %g and %g", i, e->loss,
                 rank, f->loss, e->accuracy, f->accuracy);
        return difference;
    }
    return NULL;
}

const char *outcome_result_difference(const Outcome *a, const Outcome *b) {
    const char *d = a->job.steps == b->job.steps ? NULL : "the runs have steps of different number";
    uint64_t x = a->training.shared->results[0].parameters_hash,
             y = b->training.shared->results[0].parameters_hash;
    for (int r = 0; r < b->job.options.spec.ranks && !d; r++) {
        d = compare_losses(a, b, r);
        if (!d) d = compare_norms(a, b, r);
        if (!d) d = compare_evaluations(a, b, r);
    }
    if (d || x == y) return d;
    snprintf(difference, sizeof difference, "parameters %016llx and %016llx", (unsigned long long)x,
             (unsigned long long)y);
    return difference;
}

const char *outcome_difference(const Outcome *a, const Outcome *b) {
    if (a->state_bytes != b->state_bytes || a->job.steps != b->job.steps)
        return "the runs have parameters or steps of different number";
    const char *d = NULL;
    for (int r = 1; r < a->job.options.spec.ranks && !d; r++) d = compare_states(a, 0, a, r);
    for (int r = 0; r < b->job.options.spec.ranks && !d; r++) {
        d = compare_states(a, 0, b, r);
        if (!d) d = compare_losses(a, b, r);
        if (!d) d = compare_norms(a, b, r);
        if (!d) d = compare_evaluations(a, b, r);
    }
    return d;
}

void training_check_ranks(const JobOptions *options, int ranks) {
    JobOptions o = *options;
    Outcome oracle, got;
    o.spec.ranks = 1;
    o.spec.shards = ranks;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = ranks;
    for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
        o.comm = (CommKind)comm;
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_difference(&oracle, &got);
        ck_assert_msg(!d, "%s, %d ranks, %s: %s", o.spec.device, ranks, comm_kind_name(o.comm),
                      d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}
