// SPDX-License-Identifier: MIT
// The operations of a training step, alone and beside others: one rank executes the step
// again and again, with spans and without, while peers on the other cores, and one on its
// own, sleep or do the same.
#include "parallel/calibrate/calibrate_internal.h"

#include "core/base/clock.h"
#include "parallel/run/process.h"
#include "parallel/run/rank.h"

#include <stdlib.h>
#include <string.h>

// How the time is spent: rounds of segments with spans, without, with spans beside peers, and among
// them, which takes twice as long.
typedef struct {
    int rounds;
    int64_t segment_ns, budget_ns;
    int64_t brief_ns;  // a step that takes longer is taken as it was first seen; 0: none is
} Pace;
static const Pace full_pace = {12, 60000000, 5000000000, 0},
                  quick_pace = {4, 20000000, 500000000, 80000000};

// A rank that repeats the step.
typedef struct {
    const Job *job;
    Rank *rank;
    RunShared shared;
    RankResult result;
} Stepper;

typedef struct {
    Stepper stepper;
    Timeline solo, co_run, oversubscribed;
    Samples step, turn;  // ns
    Peer *peers;         // in the arena; peer i on core i: the first on our own
    int peer_count;
} StepBench;

// --- the job of one rank

int64_t calibrate_job_rows(const Job *job) {
    const JobOptions *o = &job->options;
    int64_t shards = job_spec_shards(&o->spec);
    return (o->spec.batch + shards - 1) / shards * job_spec_local_shards(&job->options.spec);
}

int64_t calibrate_least_rows(const Job *job) {
    return (int64_t)job_spec_local_shards(&job->options.spec) * job->options.spec.micro_batches;
}

// One rank with the job's shards per rank. A plan from a file for several ranks cannot run on one:
// then it is the model's own step, whose operations have the same shapes. Its weights stay as they
// are, so that it can go on for ever; every batch is full. *derived: the job is to be destroyed,
// whatever comes back.
static Status make_job(Job *out, const Job *from, int64_t rows, bool *derived) {
    JobOptions o = from->options;
    bool several = o.spec.ranks > 1;
    if (several) o.spec.plan_file = NULL;
    bool other = !o.spec.plan_file && (several || rows != o.spec.batch);
    o.spec.shards = job_spec_local_shards(&from->options.spec);
    o.spec.ranks = 1;
    o.spec.mesh = (Mesh){0};
    o.spec.strategy.sequence_parallel = false;
    o.spec.strategy.experts = 0;
    o.spec.strategy.zero = 0;  // one rank has nobody to divide with
    o.spec.strategy.data_parallel = false;
    o.spec.batch = rows;
    o.tail = TAIL_PAD;
    o.spec.learning_rate = 0;
    o.record = o.trace = o.save = NULL;
    o.interrupt = NULL;
    if (rows < calibrate_least_rows(from))
        FAIL(ERR_USAGE, "%lld rows a rank are fewer than its %lld shards and micro-batches",
             (long long)rows, (long long)calibrate_least_rows(from));
    if (other) {
        *derived = true;
        TRY(job_derive(out, from, &o));
    } else {
        *out = *from;
        out->options = o;
    }
    out->steps = INT64_MAX;
    out->evaluation_turns = 0;
    return OK;
}

// --- a rank that repeats the step

static Status stepper_create(Stepper *s, const Job *job) {
    s->job = job;
    s->rank = calloc(1, sizeof *s->rank);
    if (!s->rank) FAIL(ERR_MEMORY, "out of memory for a rank");
    s->shared = (RunShared){.origin_ns = clock_ns(), .results = &s->result};
    TRY(rank_create(s->rank, job, &s->shared, NULL, 0, NULL));
    s->rank->executor.timeline = NULL;
    s->rank->executor.cpu_of_each = true;
    return OK;
}

static void stepper_destroy(Stepper *s) {
    if (s->rank) rank_destroy(s->rank);
    free(s->rank);
    *s = (Stepper){0};
}

// One step; how long it took, and how much of that besides the plan.
static Status step(Stepper *s, int64_t *step_ns, int64_t *turn_ns) {
    Rank *r = s->rank;
    bool more;
    int64_t start = clock_ns();
    TRY(rank_begin_turn(r, &more));
    int64_t begun = clock_ns();
    TRY(executor_run(&r->executor, r->turn.plan, r->turn.step));
    int64_t ran = clock_ns();
    TRY(rank_end_turn(r));
    int64_t end = clock_ns();
    *step_ns = end - start;
    *turn_ns = end - ran + begun - start;
    return OK;
}

// Steps for `ns`, two at least. The first of them brings the caches back and does not count. Spans
// go to *line, where that is not NULL; else steps are timed.
static Status segment(StepBench *sb, const Bench *b, Timeline *line, int64_t ns) {
    Stepper *s = &sb->stepper;
    int64_t end = clock_ns() + ns, step_ns, turn_ns;
    TRY(step(s, &step_ns, &turn_ns));
    if (line) s->result.timeline = *line;
    s->rank->executor.timeline = line ? &s->result.timeline : NULL;
    Status status = OK;
    do {
        status = step(s, &step_ns, &turn_ns);
        if (status == OK && !line) {
            samples_add(&sb->step, (double)(step_ns - 2 * b->clock_empty_ns));
            samples_add(&sb->turn, (double)(turn_ns - 2 * b->clock_empty_ns));
        }
    } while (status == OK && clock_ns() < end);
    s->rank->executor.timeline = NULL;
    if (line) *line = s->result.timeline;
    s->result.timeline = (Timeline){0};
    return status == OK ? bench_check(b) : status;
}

// --- peers, each with memory of its own

// Odd numbers: step until there is another; even ones (0 at first): sleep.
static Status repeat_steps(SharedPeer *w, const Bench *b, const void *context) {
    Stepper s = {0};
    int64_t step_ns, turn_ns;
    Status status = stepper_create(&s, context);
    for (uint64_t seen = 0; status == OK && !atomic_load(&w->stop);) {
        seen = seen & 1 ? atomic_load(&w->ask) : peer_next_asleep(w, seen);
        if (seen & 1) status = step(&s, &step_ns, &turn_ns);
        atomic_store(&w->answer, seen);
    }
    stepper_destroy(&s);
    return status;
}

// Peers from `first` to `end`: those that sleep are to step, those that step to sleep. That on our
// own core answers when we leave it.
static Status tell_peers(StepBench *sb, int first, int end) {
    for (int i = first; i < end; i++)
        peer_ask(&sb->peers[i], atomic_load(&sb->peers[i].words->ask) + 1);
    for (int i = first; i < end; i++) {
        Peer *p = &sb->peers[i];
        TRY(peer_await(p, atomic_load(&p->words->ask), i == 0));
    }
    return OK;
}

static Status start_peers(StepBench *sb, const Bench *b) {
    int count = b->core_count;
    sb->peers = ARENA_NEW(b->arena, Peer, count);
    if (!sb->peers) FAIL(ERR_MEMORY, "out of memory for %d peers", count);
    for (; sb->peer_count < count; sb->peer_count++)
        TRY(peer_start(&sb->peers[sb->peer_count], b, sb->peer_count, repeat_steps,
                       sb->stepper.job));
    TRY(tell_peers(sb, 0, count));  // their first step
    return tell_peers(sb, 0, count);
}

static Status stop_peers(StepBench *sb) {
    Status s = OK;
    for (int i = 0; i < sb->peer_count; i++) {
        Status end = peer_stop(&sb->peers[i]);
        if (s == OK) s = end;
    }
    sb->peer_count = 0;
    return s;
}

// --- measuring

static Status one_round(StepBench *sb, const Bench *b, int64_t ns) {
    TRY(segment(sb, b, &sb->solo, ns));
    TRY(segment(sb, b, NULL, ns));
    TRY(tell_peers(sb, 1, sb->peer_count));
    if (sb->peer_count > 1) TRY(segment(sb, b, &sb->co_run, ns));
    TRY(tell_peers(sb, 0, 1));
    TRY(segment(sb, b, &sb->oversubscribed, 2 * ns));
    return tell_peers(sb, 0, sb->peer_count);
}

// Room for the steps that a pace allows, each of which takes `step_ns` or more.
static Status make_room(StepBench *sb, const Bench *b, const Pace *pace, int64_t step_ns) {
    const Job *job = sb->stepper.job;
    int64_t most = 100000, steps = pace->rounds * (2 * pace->segment_ns / (step_ns + 1) + 3);
    if (steps > most) steps = most;
    int spans = (int)steps * job_program(job, 0)->plans[job->plan_step].op_count;
    TRY(timeline_create(&sb->solo, 0, (int)steps, spans));
    TRY(timeline_create(&sb->co_run, 0, (int)steps, spans));
    TRY(timeline_create(&sb->oversubscribed, 0, (int)steps, spans));
    TRY(samples_init(&sb->step, b->arena, (int)steps));
    return samples_init(&sb->turn, b->arena, (int)steps);
}

// The first step takes longer than the rest; a step of the quick pace may be all there is.
static Status first_step(StepBench *sb, const Bench *b, int64_t *step_ns) {
    const Job *job = sb->stepper.job;
    int64_t turn_ns;
    TRY(timeline_create(&sb->stepper.result.timeline, 0, 1,
                        job_program(job, 0)->plans[job->plan_step].op_count));
    sb->stepper.rank->executor.timeline = &sb->stepper.result.timeline;
    Status s = step(&sb->stepper, step_ns, &turn_ns);
    sb->stepper.rank->executor.timeline = NULL;
    sb->solo = sb->stepper.result.timeline;
    sb->stepper.result.timeline = (Timeline){0};
    TRY(s);
    TRY(samples_init(&sb->step, b->arena, 1));
    TRY(samples_init(&sb->turn, b->arena, 1));
    samples_add(&sb->step, (double)*step_ns);
    samples_add(&sb->turn, (double)turn_ns);
    return OK;
}

static Status run_rounds(StepBench *sb, const Bench *b) {
    const Pace *pace = b->options->quick ? &quick_pace : &full_pace;
    int64_t step_ns, turn_ns, start = clock_ns();
    TRY(first_step(sb, b, &step_ns));
    if (pace->brief_ns && step_ns > pace->brief_ns) return OK;
    timeline_destroy(&sb->solo);
    TRY(step(&sb->stepper, &step_ns, &turn_ns));
    TRY(make_room(sb, b, pace, step_ns));
    TRY(start_peers(sb, b));
    for (int k = 0; k < pace->rounds; k++) {
        if (k > 0 && clock_ns() - start > pace->budget_ns) break;
        TRY(one_round(sb, b, pace->segment_ns));
    }
    return OK;
}

// --- from spans to operations

static Status time_of(Measured *out, const Bench *b, const StepBench *sb, const Timeline *line,
                      uint64_t key) {
    const Program *p = job_program(sb->stepper.job, 0);
    const Plan *plan = &p->plans[sb->stepper.job->plan_step];
    Arena scratch = {0};
    Samples s;
    Status status = samples_init(&s, &scratch, line->span_count);
    for (int i = 0; i < line->span_count && status == OK; i++)
        if (op_work(p, &plan->ops[line->spans[i].op])->cost_key == key)
            samples_add(&s, (double)(line->spans[i].cpu_ns - b->cpu_empty_ns));
    if (status == OK) *out = samples_measured(&s, 1000);
    arena_finish(&scratch);
    return status;
}

static Status add_operation(Bench *b, const StepBench *sb, const Op *op, int64_t rows) {
    const Program *p = job_program(sb->stepper.job, 0);
    const Work *w = op_work(p, op);
    if (work_communicates(w)) return OK;
    if (calibration_find(b->out, w->cost_key)) return OK;
    OperationTime t = {.cost_key = w->cost_key,
                       .name = arena_string(b->arena, op_name(p, op)),
                       .rows = rows,
                       .flops = w->flops,
                       .bytes = w->read_bytes + w->write_bytes};
    if (!t.name) FAIL(ERR_MEMORY, "out of memory for an operation's name");
    TRY(time_of(&t.solo_ps, b, sb, &sb->solo, w->cost_key));
    TRY(time_of(&t.co_run_ps, b, sb, &sb->co_run, w->cost_key));
    TRY(time_of(&t.oversubscribed_ps, b, sb, &sb->oversubscribed, w->cost_key));
    if (t.solo_ps.known) b->out->operations[b->out->operation_count++] = t;
    return OK;
}

static Status add_operations(Bench *b, const StepBench *sb, int64_t rows) {
    const Plan *plan = &job_program(sb->stepper.job, 0)->plans[sb->stepper.job->plan_step];
    Calibration *c = b->out;
    OperationTime *more = ARENA_NEW(b->arena, OperationTime, c->operation_count + plan->op_count);
    if (!more) FAIL(ERR_MEMORY, "out of memory for %d operations", plan->op_count);
    if (c->operation_count) memcpy(more, c->operations, (size_t)c->operation_count * sizeof *more);
    c->operations = more;
    for (int i = 0; i < plan->op_count; i++) TRY(add_operation(b, sb, &plan->ops[i], rows));
    return OK;
}

// --- all of it

static Status measure(Bench *b, const Job *job, int64_t rows) {
    StepBench sb = {0};
    bool first = !b->out->step_ps.known;
    Status s = stepper_create(&sb.stepper, job);
    if (s == OK) s = run_rounds(&sb, b);
    Status end = stop_peers(&sb);
    if (s == OK) s = end;
    if (s == OK) s = add_operations(b, &sb, rows);
    if (s == OK && first) {
        b->out->step_ps = samples_measured(&sb.step, 1000);
        b->out->turn_ps = samples_measured(&sb.turn, 1000);
        s = calibrate_dispatch(b, job);
    }
    timeline_destroy(&sb.solo);
    timeline_destroy(&sb.co_run);
    timeline_destroy(&sb.oversubscribed);
    stepper_destroy(&sb.stepper);
    return s;
}

Status calibrate_step(Bench *b, int64_t rows) {
    Job job = {0};
    bool derived = false;
    TRY(bench_check(b));
    Status s = make_job(&job, b->job, rows, &derived);
    if (s == OK) s = measure(b, &job, rows);
    if (derived) job_destroy(&job);
    return s;
}
