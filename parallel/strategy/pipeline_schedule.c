// SPDX-License-Identifier: MIT
// Each make_ function writes the tasks of one rank; play() does the tasks of all ranks as early as
// they can be done, for the check and for the times.
#include "parallel/strategy/pipeline_schedule.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- the tasks of a rank

typedef struct {
    const PipelineShape *shape;
    PipelineTask *tasks;
    int rank, count;
} Writer;

static void add(Writer *w, PassKind pass, int chunk, int micro_batch) {
    int stage = chunk * w->shape->ranks + w->rank;
    w->tasks[w->count++] = (PipelineTask){stage, micro_batch, pass};
}

static int least(int a, int b) { return a < b ? a : b; }

static void make_gpipe(Writer *w) {
    for (int m = 0; m < w->shape->micro_batches; m++) add(w, PASS_FORWARD, 0, m);
    for (int m = 0; m < w->shape->micro_batches; m++) add(w, PASS_BACKWARD, 0, m);
}

// As many forwards first as there are stages behind this one; then each backward makes room for
// a forward.
static void make_1f1b(Writer *w) {
    int all = w->shape->micro_batches, warm = least(w->shape->ranks - 1 - w->rank, all);
    for (int m = 0; m < warm; m++) add(w, PASS_FORWARD, 0, m);
    for (int m = warm; m < all; m++) {
        add(w, PASS_FORWARD, 0, m);
        add(w, PASS_BACKWARD, 0, m - warm);
    }
    for (int m = all - warm; m < all; m++) add(w, PASS_BACKWARD, 0, m);
}

// The i-th forward of a rank: as many micro-batches as ranks through its first chunk, then these
// through the next. Backwards go through the chunks the other way.
static void add_interleaved(Writer *w, PassKind pass, int i) {
    int ranks = w->shape->ranks, chunks = w->shape->chunks, round = i / (ranks * chunks);
    int chunk = i / ranks % chunks;
    add(w, pass, pass == PASS_FORWARD ? chunk : chunks - 1 - chunk, round * ranks + i % ranks);
}

static void make_interleaved(Writer *w) {
    const PipelineShape *s = w->shape;
    int all = s->micro_batches * s->chunks,
        warm = least((s->ranks - 1 - w->rank) * 2 + (s->chunks - 1) * s->ranks, all);
    for (int i = 0; i < warm; i++) add_interleaved(w, PASS_FORWARD, i);
    for (int i = warm; i < all; i++) {
        add_interleaved(w, PASS_FORWARD, i);
        add_interleaved(w, PASS_BACKWARD, i - warm);
    }
    for (int i = all - warm; i < all; i++) add_interleaved(w, PASS_BACKWARD, i);
}

// 1F1B, where the gradients of weights come as many micro-batches later as there are stages before
// this one: later stages fill with them what 1F1B leaves idle at the end.
static void make_zero_bubble(Writer *w) {
    int all = w->shape->micro_batches, warm = least(w->shape->ranks - 1 - w->rank, all),
        late = least(w->rank, all);
    for (int m = 0; m < warm; m++) add(w, PASS_FORWARD, 0, m);
    for (int m = 0; m < all; m++) {
        if (warm + m < all) add(w, PASS_FORWARD, 0, warm + m);
        add(w, PASS_BACKWARD_INPUT, 0, m);
        if (m >= late) add(w, PASS_BACKWARD_WEIGHT, 0, m - late);
    }
    for (int m = all - late; m < all; m++) add(w, PASS_BACKWARD_WEIGHT, 0, m);
}

static void (*const makers[])(Writer *w) = {[SCHEDULE_GPIPE] = make_gpipe,
                                            [SCHEDULE_1F1B] = make_1f1b,
                                            [SCHEDULE_INTERLEAVED] = make_interleaved,
                                            [SCHEDULE_ZERO_BUBBLE] = make_zero_bubble};

static Status check_shape(const PipelineShape *s) {
    bool interleaves = s->kind == SCHEDULE_INTERLEAVED;
    if (s->ranks < 1 || s->chunks < 1 || s->micro_batches < 1)
        FAIL(ERR_USAGE, "a pipeline of %d ranks, %d stages each, %d micro-batches: at least 1 each",
             s->ranks, s->chunks, s->micro_batches);
    if (s->ranks > PIPELINE_RANKS)
        FAIL(ERR_USAGE, "a pipeline of %d ranks; at most %d", s->ranks, PIPELINE_RANKS);
    if (!interleaves && s->chunks > 1)
        FAIL(ERR_USAGE, "%d stages on each rank need the schedule interleaved", s->chunks);
    int left = s->micro_batches % s->ranks, groups = s->micro_batches / s->ranks;
    if (interleaves && left)
        FAIL(
            ERR_USAGE,
            "the schedule interleaved takes micro-batches in groups of its %d ranks, and %d = %d × "
            "%d + %d; give %d",
            s->ranks, s->micro_batches, groups, s->ranks, left,
            (2 * left < s->ranks && groups ? groups : groups + 1) * s->ranks);
    return OK;
}

Status pipeline_schedule_create(PipelineSchedule *out, Arena *a, const PipelineShape *shape) {
    *out = (PipelineSchedule){.shape = *shape};
    TRY(check_shape(shape));
    int passes = shape->kind == SCHEDULE_ZERO_BUBBLE ? 3 : 2;
    out->count = shape->micro_batches * shape->chunks * passes;
    out->tasks = ARENA_NEW(a, PipelineTask, (int64_t)out->count * shape->ranks);
    if (!out->tasks) FAIL(ERR_MEMORY, "out of memory for the schedule of a pipeline");
    for (int r = 0; r < shape->ranks; r++) {
        Writer w = {.shape = &out->shape, .tasks = out->tasks + (int64_t)r * out->count, .rank = r};
        makers[shape->kind](&w);
    }
    return OK;
}

// --- doing them

// When each pass of each stage and micro-batch ended, from the step's begin; NOT_DONE before.
enum { NOT_DONE = -1, PASSES = PASS_BACKWARD_WEIGHT + 1 };

typedef struct {
    const PipelineSchedule *s;
    const PipelineCosts *costs;
    int64_t *ended;  // owned: [pass][stage][micro-batch]
    int next[PIPELINE_RANKS], held[PIPELINE_RANKS];
    int64_t free_at[PIPELINE_RANKS], busy[PIPELINE_RANKS];
    PipelineTimes *times;
    int64_t *task_ends;  // [rank][task]; NULL: not wanted
} Play;

static int stages_of(const Play *p) { return p->s->shape.ranks * p->s->shape.chunks; }

static int64_t *ended(const Play *p, PassKind pass, int stage, int micro_batch) {
    return &p->ended[((int64_t)pass * stages_of(p) + stage) * p->s->shape.micro_batches +
                     micro_batch];
}

static int64_t cost_of(const PipelineCosts *c, PassKind pass) {
    switch (pass) {
    case PASS_FORWARD: return c->forward;
    case PASS_BACKWARD: return c->backward_input + c->backward_weight;
    case PASS_BACKWARD_INPUT: return c->backward_input;
    case PASS_BACKWARD_WEIGHT: return c->backward_weight;
    }
    return 0;
}

// When what a stage gives to its neighbour `to` was there; of a backward either form.
static int64_t arrived(const Play *p, bool forward, int stage, int to, int micro_batch) {
    int64_t at = *ended(p, forward ? PASS_FORWARD : PASS_BACKWARD, stage, micro_batch);
    if (!forward && at == NOT_DONE) at = *ended(p, PASS_BACKWARD_INPUT, stage, micro_batch);
    bool sent = stage % p->s->shape.ranks != to % p->s->shape.ranks;
    return at == NOT_DONE ? NOT_DONE : at + (sent ? p->costs->message : 0);
}

// When all that a task waits for was there, NOT_DONE: something is not.
static int64_t ready_at(const Play *p, const PipelineTask *t) {
    int stage = t->stage, m = t->micro_batch;
    switch (t->pass) {
    case PASS_FORWARD: return stage ? arrived(p, true, stage - 1, stage, m) : 0;
    case PASS_BACKWARD_WEIGHT: return *ended(p, PASS_BACKWARD_INPUT, stage, m);
    default: break;
    }
    int64_t own = *ended(p, PASS_FORWARD, stage, m);
    if (own == NOT_DONE || stage + 1 == stages_of(p)) return own;
    int64_t next = arrived(p, false, stage + 1, stage, m);
    return next == NOT_DONE ? NOT_DONE : next > own ? next : own;
}

static void do_task(Play *p, int rank, const PipelineTask *t, int64_t ready) {
    int64_t begin = ready > p->free_at[rank] ? ready : p->free_at[rank],
            cost = cost_of(p->costs, t->pass);
    *ended(p, t->pass, t->stage, t->micro_batch) = p->free_at[rank] = begin + cost;
    p->busy[rank] += cost;
    if (p->task_ends) p->task_ends[(int64_t)rank * p->s->count + p->next[rank]] = begin + cost;
    if (p->free_at[rank] > p->times->step) p->times->step = p->free_at[rank];
    if (t->pass == PASS_FORWARD) p->held[rank]++;
    if (p->held[rank] > p->times->peak[rank]) p->times->peak[rank] = p->held[rank];
    if (t->pass == PASS_BACKWARD || t->pass == PASS_BACKWARD_WEIGHT) p->held[rank]--;
}

// Each rank as far as it comes, again and again, until nothing moves.
static void play_all(Play *p) {
    for (bool moved = true; moved;) {
        moved = false;
        for (int r = 0; r < p->s->shape.ranks; r++)
            while (p->next[r] < p->s->count) {
                const PipelineTask *t = &p->s->tasks[(int64_t)r * p->s->count + p->next[r]];
                int64_t ready = ready_at(p, t);
                if (ready == NOT_DONE) break;
                do_task(p, r, t, ready);
                p->next[r]++;
                moved = true;
            }
    }
}

const char *pipeline_task_print(char out[PIPELINE_TASK_TEXT], const PipelineTask *t) {
    static const char letters[] = "FBIW";
    snprintf(out, PIPELINE_TASK_TEXT, "%c%d.%d", letters[t->pass], t->stage, t->micro_batch);
    return out;
}

static Status check_done(const Play *p) {
    char text[PIPELINE_TASK_TEXT];
    for (int r = 0; r < p->s->shape.ranks; r++)
        if (p->next[r] < p->s->count)
            FAIL(ERR_PLAN, "pipeline: rank %d waits for ever before %s", r,
                 pipeline_task_print(text, &p->s->tasks[(int64_t)r * p->s->count + p->next[r]]));
    return OK;
}

static Status play(PipelineTimes *out, int64_t *task_ends, const PipelineSchedule *s,
                   const PipelineCosts *costs) {
    *out = (PipelineTimes){0};
    Play p = {.s = s, .costs = costs, .times = out, .task_ends = task_ends};
    int64_t entries = (int64_t)PASSES * stages_of(&p) * s->shape.micro_batches;
    p.ended = malloc((size_t)entries * sizeof *p.ended);
    if (!p.ended) FAIL(ERR_MEMORY, "out of memory for the schedule of a pipeline");
    for (int64_t i = 0; i < entries; i++) p.ended[i] = NOT_DONE;
    play_all(&p);
    Status status = check_done(&p);
    for (int r = 0; r < s->shape.ranks; r++) out->bubble[r] = out->step - p.busy[r];
    free(p.ended);
    return status;
}

Status pipeline_schedule_time(PipelineTimes *out, const PipelineSchedule *s,
                              const PipelineCosts *costs) {
    return play(out, NULL, s, costs);
}

Status pipeline_schedule_ends(int64_t *ends, const PipelineSchedule *s,
                              const PipelineCosts *costs) {
    PipelineTimes times;
    return play(&times, ends, s, costs);
}

// --- checking

// How often a rank does a pass of each of its stages, and that weights' gradients count up.
static Status check_rank(const PipelineSchedule *s, int rank, unsigned char *seen, int *last) {
    const PipelineShape *shape = &s->shape;
    int stages = shape->ranks * shape->chunks;
    char text[PIPELINE_TASK_TEXT];
    for (int i = 0; i < s->count; i++) {
        const PipelineTask *t = &s->tasks[(int64_t)rank * s->count + i];
        pipeline_task_print(text, t);
        bool here = t->stage >= 0 && t->stage < stages && t->stage % shape->ranks == rank &&
                    t->micro_batch >= 0 && t->micro_batch < shape->micro_batches;
        if (!here) FAIL(ERR_PLAN, "pipeline: rank %d has %s, which is not its", rank, text);
        unsigned char *of = &seen[(int64_t)t->stage * shape->micro_batches + t->micro_batch];
        unsigned bit = 1U << t->pass, both = 1U << PASS_BACKWARD_INPUT | 1U << PASS_BACKWARD_WEIGHT;
        bool again = *of & bit || (t->pass == PASS_BACKWARD && *of & both) ||
                     (bit & both && *of & 1U << PASS_BACKWARD);
        if (again) FAIL(ERR_PLAN, "pipeline: rank %d does %s twice", rank, text);
        *of |= (unsigned char)bit;
        if (t->pass != PASS_BACKWARD && t->pass != PASS_BACKWARD_WEIGHT) continue;
        if (t->micro_batch != last[t->stage] + 1)
            FAIL(ERR_PLAN,
                 "pipeline: rank %d: %s does not follow micro-batch %d: weights' gradients are "
                 "added "
                 "in the order of the micro-batches",
                 rank, text, last[t->stage]);
        last[t->stage] = t->micro_batch;
    }
    return OK;
}

static Status check_all(const PipelineSchedule *s, const unsigned char *seen) {
    int64_t all = (int64_t)s->shape.ranks * s->shape.chunks * s->shape.micro_batches;
    const unsigned whole = 1U << PASS_FORWARD | 1U << PASS_BACKWARD,
                   parts =
                       1U << PASS_FORWARD | 1U << PASS_BACKWARD_INPUT | 1U << PASS_BACKWARD_WEIGHT;
    for (int64_t i = 0; i < all; i++)
        if (seen[i] != whole && seen[i] != parts)
            FAIL(ERR_PLAN, "pipeline: stage %d lacks a pass of micro-batch %d",
                 (int)(i / s->shape.micro_batches), (int)(i % s->shape.micro_batches));
    return OK;
}

Status pipeline_schedule_check(const PipelineSchedule *s) {
    const PipelineCosts one = {1, 1, 1, 1};
    PipelineTimes times;
    int stages = s->shape.ranks * s->shape.chunks;
    unsigned char *seen = calloc((size_t)stages * (size_t)s->shape.micro_batches, 1);
    int *last = malloc((size_t)stages * sizeof *last);
    Status status = seen && last ? OK : ERR_MEMORY;
    for (int k = 0; k < stages && status == OK; k++) last[k] = -1;
    for (int r = 0; r < s->shape.ranks && status == OK; r++) status = check_rank(s, r, seen, last);
    if (status == OK) status = check_all(s, seen);
    if (status == OK) status = pipeline_schedule_time(&times, s, &one);
    free(seen);
    free(last);
    if (status == ERR_MEMORY) FAIL(status, "out of memory for the schedule of a pipeline");
    return status;
}
