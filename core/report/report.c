// SPDX-License-Identifier: MIT
// A report made of the ranks' timelines: read report_from_timelines() first. The operations of a
// step are in report_operations.c; each format has a file of its own.
#include "core/report/report.h"

#include "core/base/file.h"
#include "core/report/report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- from timelines

// The records of training steps, as indices that are the same on all ranks.
typedef struct {
    const ReportTimelines *of;
    int *records, count;  // in the arena
    bool *complete;       // of each of them: all ranks have its spans
    int first;            // the first that is measured: those before it are warm-up
} Steps;

// Of the i-th step; `line`: of a timeline.
static const StepRecord *record_of(const Steps *s, int line, int i) {
    return &s->of->timelines[line]->steps[s->records[i]];
}

static Status check_records(const Steps *s) {
    const Timeline *zero = s->of->timelines[0];
    for (int line = 1; line < s->of->count; line++) {
        const Timeline *t = s->of->timelines[line];
        int rank = t->rank;
        if (t->step_count != zero->step_count)
            FAIL(ERR_FAILED, "rank %d recorded %d steps, rank 0 %d: no report can be made of them",
                 rank, t->step_count, zero->step_count);
        for (int i = 0; i < t->step_count; i++)
            if (t->steps[i].step != zero->steps[i].step || t->steps[i].rows != zero->steps[i].rows)
                FAIL(ERR_FAILED,
                     "rank %d's record %d is of step %d with %d rows, rank 0's of step %d with %d: "
                     "no report can be made of them",
                     rank, i, t->steps[i].step, t->steps[i].rows, zero->steps[i].step,
                     zero->steps[i].rows);
    }
    return OK;
}

static bool is_complete(const Steps *s, int i) {
    for (int line = 0; line < s->of->count; line++)
        if (!record_of(s, line, i)->complete) return false;
    return true;
}

static Status find_steps(Steps *s, Arena *a) {
    const Timeline *t = s->of->timelines[0];
    TRY(check_records(s));
    s->records = ARENA_NEW(a, int, t->step_count);
    s->complete = ARENA_NEW(a, bool, t->step_count);
    if (!s->records || !s->complete)
        FAIL(ERR_MEMORY, "no memory for a report of %d steps", t->step_count);
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].rows > 0) s->records[s->count++] = i;
    for (int i = 0; i < s->count; i++) s->complete[i] = is_complete(s, i);
    s->first = s->of->warm_up ? s->of->warm_up : s->count > 1;
    return OK;
}

static Status add_losses(Report *r, Arena *a, const Steps *s) {
    double *loss = ARENA_NEW(a, double, s->count), *end_s = ARENA_NEW(a, double, s->count);
    double *norm = ARENA_NEW(a, double, s->count);
    double *dropped = ARENA_NEW(a, double, s->count), *fullest = ARENA_NEW(a, double, s->count);
    int64_t *samples = ARENA_NEW(a, int64_t, s->count), rows = 0;
    bool norms = false, routes = false;
    if (!loss || !end_s || !samples || !norm || !dropped || !fullest)
        FAIL(ERR_MEMORY, "no memory for a report of %d steps", s->count);
    for (int i = 0; i < s->count; i++) {
        const StepRecord *record = record_of(s, 0, i);
        loss[i] = record->loss;
        norm[i] = record->normed ? record->gradient_norm : (double)NAN;
        norms |= record->normed;
        routes |= record->routed;
        dropped[i] = record->routed ? record->dropped : (double)NAN;
        fullest[i] = record->routed ? record->fullest : (double)NAN;
        r->skipped_steps += record->skipped;
        end_s[i] = (double)(record->end_ps - record_of(s, 0, 0)->start_ps) * 1e-12;
        samples[i] = rows += record->rows;
        if (i == 0 || record->epoch != record_of(s, 0, i - 1)->epoch) r->epochs++;
    }
    r->loss = loss;
    r->gradient_norm = norms ? norm : NULL;
    r->dropped = routes ? dropped : NULL;
    r->fullest = routes ? fullest : NULL;
    r->step_end_s = end_s;
    r->step_samples = samples;
    r->loss_count = r->steps = s->count;
    r->last_loss = s->count ? loss[s->count - 1] : (double)NAN;
    r->warm_up_steps = s->first;
    return OK;
}

// Steps for which the record had no room: they were trained, but nothing is known of them but the
// last one's loss.
static void add_unrecorded(Report *r, const Steps *s) {
    const Timeline *t = s->of->timelines[0];
    if (!t->unrecorded) return;
    r->unrecorded_steps = t->unrecorded;
    r->steps += t->unrecorded;
    r->last_loss = t->last_unrecorded.loss;
    r->epochs += t->last_unrecorded.epoch - (s->count ? record_of(s, 0, s->count - 1)->epoch : -1);
}

static double step_s(const Steps *s, int i) {
    double sum = 0;
    for (int line = 0; line < s->of->count; line++) {
        const StepRecord *record = record_of(s, line, i);
        sum += report_timeline_ranks(s->of, line) * (double)(record->end_ps - record->start_ps);
    }
    return sum / s->of->ranks * 1e-12;
}

static Status add_speed(Report *r, const Steps *s) {
    Arena scratch = {0};
    int count = s->count - s->first;
    double *ms = ARENA_NEW(&scratch, double, count), *rates = ARENA_NEW(&scratch, double, count);
    double rows = 0, seconds = 0;
    if (!ms || !rates) {
        arena_finish(&scratch);
        FAIL(ERR_MEMORY, "no memory for a report of %d steps", s->count);
    }
    for (int i = 0; i < count; i++) {
        double took = step_s(s, s->first + i);
        int step_rows = record_of(s, 0, s->first + i)->rows;
        ms[i] = took * 1e3;
        rates[i] = step_rows / took;
        rows += step_rows;
        seconds += took;
    }
    r->step_ms = statistics_spread(ms, count);
    r->step_tails_ms = statistics_tails(ms, count);
    r->samples_per_s = statistics_spread(rates, count);
    r->samples_per_s.mean = rows / seconds;
    arena_finish(&scratch);
    return OK;
}

static void add_breakdown(Report *r, const Steps *s) {
    double total_ps[TIME_COUNT] = {0};
    for (int i = s->first; i < s->count; i++) r->breakdown_steps += s->complete[i];
    r->coverage = (double)NAN;
    for (int line = 0; line < s->of->count && r->breakdown_steps; line++) {
        double ranks = report_timeline_ranks(s->of, line);
        double idle_ps = 0, all_ps = 0;
        for (int i = s->first; i < s->count; i++) {
            const StepRecord *record = record_of(s, line, i);
            int64_t times[TIME_COUNT];
            if (!s->complete[i]) continue;
            timeline_breakdown(s->of->programs[line], s->of->timelines[line], record, times);
            for (int b = 0; b < TIME_COUNT; b++) total_ps[b] += ranks * (double)times[b];
            idle_ps += (double)times[TIME_IDLE];
            all_ps += (double)(record->end_ps - record->start_ps);
        }
        r->coverage =
            fmin(r->coverage, all_ps > 0 ? 1 - idle_ps / all_ps : 1);  // fmin ignores a NaN
    }
    for (int b = 0; b < TIME_COUNT && r->breakdown_steps; b++)
        r->breakdown_ms[b] = total_ps[b] * 1e-9 / ((double)s->of->ranks * r->breakdown_steps);
}

static Status add_operations(Report *r, Arena *a, const Steps *s) {
    Arena scratch = {0};
    int *records = ARENA_NEW(&scratch, int, s->count), count = 0;
    if (!records) FAIL(ERR_MEMORY, "no memory for a report of %d steps", s->count);
    for (int i = s->first; i < s->count; i++)
        if (s->complete[i]) records[count++] = s->records[i];
    const MeasuredSteps measured = {s->of, records, count};
    Status status = report_add_operations(r, a, &measured);
    arena_finish(&scratch);
    return status;
}

static int64_t plan_payload(const Program *p, const Plan *plan) {
    int64_t bytes = 0;
    for (int i = 0; i < plan->op_count; i++) bytes += op_work(p, &plan->ops[i])->payload_bytes;
    return bytes;
}

// Payload of a step, in the mean.
static int64_t sent_bytes(const Steps *s, int line) {
    const Program *p = s->of->programs[line];
    int64_t payload[PLANS], sum = 0;
    for (int i = 0; i < p->plan_count; i++) payload[i] = plan_payload(p, &p->plans[i]);
    for (int i = s->first; i < s->count; i++) sum += payload[record_of(s, line, i)->plan];
    return s->count ? sum / (s->count - s->first) : 0;
}

static MemoryUse memory_use(const Program *p) {
    MemoryUse use = {.unplanned = NONE};
    for (int m = 0; m < MEMORY_COUNT; m++) use.planned[m] = program_memory(p, (Memory)m);
    return use;
}

static Status add_bytes(Report *r, Arena *a, const Steps *s) {
    MemoryUse *memory = ARENA_NEW(a, MemoryUse, s->of->ranks);
    int64_t *comm_bytes = ARENA_NEW(a, int64_t, s->of->ranks);
    MemoryUse *memory_of = ARENA_NEW(a, MemoryUse, s->of->count);
    int64_t *bytes_of = ARENA_NEW(a, int64_t, s->of->count);
    if (!memory || !comm_bytes || !memory_of || !bytes_of)
        FAIL(ERR_MEMORY, "no memory for a report of %d ranks", s->of->ranks);
    for (int line = 0; line < s->of->count; line++) {
        memory_of[line] = memory_use(s->of->programs[line]);
        bytes_of[line] = sent_bytes(s, line);
    }
    for (int rank = 0; rank < s->of->ranks; rank++) {
        int line = s->of->timeline_of ? s->of->timeline_of[rank] : rank;
        memory[rank] = memory_of[line];
        comm_bytes[rank] = bytes_of[line];
    }
    r->memory = memory;
    r->comm_bytes = comm_bytes;
    return OK;
}

Status report_from_timelines(Report *r, Arena *a, const Program *const programs[],
                             const Timeline *const timelines[], int ranks) {
    return report_from_alike(
        r, a,
        &(ReportTimelines){
            .programs = programs, .timelines = timelines, .count = ranks, .ranks = ranks});
}

Status report_from_alike(Report *r, Arena *a, const ReportTimelines *of) {
    *r = (Report){.run.ranks = of->ranks,
                  .tracing_overhead = (double)NAN,
                  .wall_s = (double)NAN,
                  .machine.load = (double)NAN};
    Steps s = {.of = of};
    TRY(find_steps(&s, a));
    TRY(add_losses(r, a, &s));
    add_unrecorded(r, &s);
    TRY(add_speed(r, &s));
    add_breakdown(r, &s);
    if (!of->brief) TRY(add_operations(r, a, &s));
    return add_bytes(r, a, &s);
}

// --- the rest

double report_perplexity(const Report *r) {
    const Evaluation *last = r->evaluation_count ? &r->evaluations[r->evaluation_count - 1] : NULL;
    return last && last->perplexity > 0 ? last->perplexity : (double)NAN;
}

double report_accuracy(const Report *r) {
    return r->evaluation_count ? r->evaluations[r->evaluation_count - 1].accuracy : (double)NAN;
}

double report_error(double simulated_step_ms, double measured_step_ms) {
    return simulated_step_ms / measured_step_ms - 1;
}

bool report_is_simulated(const Report *r) { return !strcmp(r->run.kind, "sim"); }

bool report_is_described(const Report *r) {
    return report_is_simulated(r) && !strcmp(r->run.comm, "network");
}

int report_timed_steps(const Report *r) {
    return r->steps - r->unrecorded_steps - r->warm_up_steps;
}

// A prediction repeats one step; a replay has the steps that were recorded.
bool report_has_spread(const Report *r) {
    enum { PREDICTED = 2 };
    return report_timed_steps(r) > (report_is_simulated(r) ? PREDICTED : 1);
}

const char *report_rank_word(const Report *r) { return report_is_described(r) ? "GPU" : "rank"; }

// --- writing

static bool ends_in(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static Status write_list(const Report *const reports[], int count, FILE *out) {
    if (count == 1) return report_write_json(reports[0], out);
    for (int i = 0; i < count; i++) {
        fputs(i ? ",\n" : "[\n", out);
        TRY(report_write_json(reports[i], out));
    }
    fputs("]\n", out);
    return OK;
}

Status report_check_name(const char *path) {
    static const char *const endings[] = {".json", ".json.gz", ".md", ".html"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_in(path, endings[i])) return OK;
    FAIL(ERR_USAGE, "%s: the name of a report ends in .json, .md or .html", path);
}

Status report_write_all(const Report *const reports[], int count, const char *path) {
    bool json = ends_in(path, ".json") || ends_in(path, ".json.gz"), html = ends_in(path, ".html");
    TRY(report_check_name(path));
    OutputFile f = {0};
    Status s = OK;
    TRY(file_create(&f, path));
    const Markup markup = {f.stream, html};
    if (json)
        s = write_list(reports, count, f.stream);
    else if (count == 1)
        report_write_document(reports[0], &markup);
    else
        report_write_sweep(reports, count, &markup);
    if (s == OK) return file_commit(&f);
    file_discard(&f);
    return s;
}

Status report_write(const Report *r, const char *path) { return report_write_all(&r, 1, path); }
