// SPDX-License-Identifier: MIT
// The report of one run as a document: report_write_document() names the sections in their order.
// How they look is report_markup.c's; several runs beside each other are report_sweep.c's.
#include "core/base/text.h"
#include "core/base/units.h"
#include "core/report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void join_settings(char *out, size_t size, const RunSetting *settings, int count) {
    *out = '\0';
    for (int i = 0; i < count; i++)
        text_append(out, size, "%s%s=%s", i ? " " : "", settings[i].key, settings[i].value);
}

// Cores and load are those of a machine that ran; a described one has a name.
static void write_machine(const Markup *m, const HostInfo *machine) {
    char text[256] = "";
    if (machine->cores)
        text_append(text, sizeof text, "%d core%s", machine->cores, machine->cores == 1 ? "" : "s");
    if (*machine->cpu) text_append(text, sizeof text, "%s%s", *text ? ", " : "", machine->cpu);
    if (isfinite(machine->load)) text_append(text, sizeof text, ", load %.2f", machine->load);
    if (*text) markup_fact(m, "machine", "%s", text);
}

static void write_steps(const Markup *m, const Report *r) {
    if (!report_is_simulated(r)) {
        markup_fact(m, "steps", "%d", r->steps);
        markup_fact(m, "epochs", "%d", r->epochs);
    }
    if (r->unrecorded_steps)
        markup_fact(m, "recorded", "the first %d steps, which times and losses are of",
                    r->steps - r->unrecorded_steps);
}

void report_document_facts(const Report *r, const Markup *m, bool one_size) {
    const RunInfo *run = &r->run;
    char command[2048] = "", settings[512], word[16], use[HOST_USE_TEXT];
    for (int i = 0; i < run->argc; i++)
        text_append(command, sizeof command, "%s%s", i ? " " : "", run->argv[i]);
    markup_facts(m);
    markup_fact(m, "model", "%s", run->model);
    join_settings(settings, sizeof settings, run->strategy, run->strategy_count);
    if (one_size) markup_fact(m, "strategy", "%s", settings);
    join_settings(settings, sizeof settings, run->optimizer, run->optimizer_count);
    if (run->optimizer_count) markup_fact(m, "optimizer", "%s", settings);
    snprintf(word, sizeof word, "%ss", report_rank_word(r));
    if (one_size) markup_fact(m, word, "%d", run->ranks);
    if (!report_is_described(r)) {
        markup_fact(m, "device", "%s", run->device);
        markup_fact(m, "communicator", "%s", run->comm);
    }
    markup_fact(m, "type", "%s", run->dtype);
    if (one_size) markup_fact(m, "shards", "%d", run->shards);
    if (one_size) markup_fact(m, "global batch", "%lld", (long long)run->batch);
    write_steps(m, r);
    markup_fact(m, "seed", "%lld", (long long)run->seed);
    if (run->resumed_from)
        markup_fact(m, "resumed", "after step %lld, from %s", (long long)run->resumed_step,
                    run->resumed_from);
    write_machine(m, &r->machine);
    if (host_use_disturbs(&run->disturbed))
        markup_fact(m, "disturbed", "%s", host_use_print(use, &run->disturbed));
    if (*r->started) markup_fact(m, "first step", "%s", r->started);
    if (isfinite(r->wall_s)) markup_fact(m, "wall time", "%.1f s", r->wall_s);
    if (r->parameters_hash) markup_fact(m, "parameters hash", "%016" PRIx64, r->parameters_hash);
    markup_fact(m, "command", "%s", command);
    markup_end_table(m);
}

// --- speed

static void write_spread(const Markup *m, const char *name, const Spread *s, bool spread) {
    markup_begin_row(m);
    markup_text(m, name);
    markup_number(m, s->median);
    if (spread) {
        markup_number(m, s->p10);
        markup_number(m, s->p90);
        markup_number(m, s->mean);
    }
    markup_end_row(m);
}

// The quantiles of what has none.
static void end_answer(const Markup *m, bool spread) {
    for (int i = 0; i < 3 && spread; i++) markup_text(m, "");
    markup_end_row(m);
}

// What is known of a simulation's answers: of the mean step, where steps differ.
static void write_answers(const ReportAnswers *a, const Markup *m, bool spread) {
    if (isfinite(a->tokens_per_s)) {
        markup_begin_row(m);
        markup_text(m, "tokens/s");
        markup_number(m, a->tokens_per_s);
        end_answer(m, spread);
    }
    const struct {
        const char *name;
        double share;
    } shares[] = {{"model flops utilisation", a->mfu}, {"hardware flops utilisation", a->hfu}};
    for (int i = 0; i < 2; i++) {
        if (!isfinite(shares[i].share)) continue;
        markup_begin_row(m);
        markup_text(m, shares[i].name);
        markup_percent(m, shares[i].share);
        end_answer(m, spread);
    }
}

// A setting of the run, or NULL.
static const char *setting(const Report *r, const char *name) {
    for (int i = 0; i < r->run.strategy_count; i++)
        if (!strcmp(r->run.strategy[i].key, name)) return r->run.strategy[i].value;
    return NULL;
}

// Simulated steps that differ: why they do, and how far.
static void write_simulated_steps(const Report *r, const Markup *m) {
    const Tails *t = &r->step_tails_ms;
    const char *jitter = setting(r, "jitter");
    int steps = report_timed_steps(r);
    if (!jitter)
        markup_paragraph(m, "%d recorded steps, each simulated from its own durations.", steps);
    else if (!strcmp(jitter, "recorded"))
        markup_paragraph(m, "%d steps drawn from recorded ones, each of all ranks.", steps);
    else if (!strcmp(jitter, "apart"))
        markup_paragraph(m, "%d steps drawn from recorded ones, by each rank for itself.", steps);
    else
        markup_paragraph(m, "%d steps, with computations whose coefficient of variation is %s.",
                         steps, jitter);
    if (isfinite(t->p5))
        markup_paragraph(m, "Further out: p5 %.4g ms, p95 %.4g ms, p99 %.4g ms.", t->p5, t->p95,
                         t->p99);
}

static void write_speed(const Report *r, const Markup *m) {
    bool spread = report_has_spread(r), simulated = report_is_simulated(r);
    int steps = report_timed_steps(r);
    if (!steps) return;
    markup_section(m, "Speed");
    const char *const head[] = {"",
                                spread      ? "median"
                                : simulated ? "simulated"
                                            : "1 step",
                                "p10", "p90", "mean"};
    markup_table(m, spread ? 5 : 2, head);
    write_spread(m, "samples/s", &r->samples_per_s, spread);
    write_spread(m, "step, ms", &r->step_ms, spread);
    if (r->answers) write_answers(r->answers, m, spread);
    markup_end_table(m);
    if (simulated && spread) write_simulated_steps(r, m);
    if (simulated) return;
    markup_paragraph(m, "Times of %d step%s%s.", steps, steps == 1 ? "" : "s",
                     r->warm_up_steps ? "; the first of the run, which warms up, is left out" : "");
}

// --- where a step goes

void report_document_breakdown(const Report *r, const Markup *m) {
    markup_section(m, "Where a step goes");
    if (!r->breakdown_steps) {
        markup_paragraph(m, "No spans were recorded.");
        return;
    }
    double total = 0;
    for (int b = 0; b < TIME_COUNT; b++) total += r->breakdown_ms[b];
    markup_table(m, 3, (const char *const[]){"", "ms", "share"});
    for (int b = 0; b <= TIME_COUNT; b++) {
        double ms = b < TIME_COUNT ? r->breakdown_ms[b] : total;
        markup_begin_row(m);
        markup_text(m, b < TIME_COUNT ? time_category_name((TimeCategory)b) : "step");
        markup_number(m, ms);
        markup_percent(m, ms / total);
        markup_end_row(m);
    }
    markup_end_table(m);
    if (m->html) {
        markup_begin_figure(m);
        report_svg_breakdown(r, m->out);
        markup_end_figure(m);
    }
    bool simulated = report_is_simulated(r);
    char steps[32] = "";
    if (!simulated)
        snprintf(steps, sizeof steps, " and %d step%s", r->breakdown_steps,
                 r->breakdown_steps == 1 ? "" : "s");
    markup_paragraph(m, "Mean over %ss%s; each instant belongs to the first line that applies.",
                     report_rank_word(r), steps);
    if (!simulated)
        markup_paragraph(m, "Spans cover %.2f %% of the steps on the rank where they cover least.",
                         r->coverage * 100);
    if (isfinite(r->tracing_overhead))
        markup_paragraph(m, "Recording them takes %.2f %% of a step.", r->tracing_overhead * 100);
}

// --- operations

enum { OPERATIONS_SHOWN = 10 };

static double step_share(const OperationTimes *o) { return o->executions * o->duration_ms.median; }

// The next in decreasing order of time, equal ones in the order of the plan; after NONE the first.
static int next_operation(const Report *r, int after) {
    int best = NONE;
    for (int i = 0; i < r->operation_count; i++) {
        double ms = step_share(&r->operations[i]);
        double limit = after == NONE ? (double)INFINITY : step_share(&r->operations[after]);
        bool follows = ms < limit || (ms == limit && i > after);  // not one without a time: NaN
        if (follows && (best == NONE || ms > step_share(&r->operations[best]))) best = i;
    }
    return best;
}

static void write_operation(const Markup *m, const OperationTimes *o, bool spread) {
    char name[256];
    snprintf(name, sizeof name, o->shard || o->micro_batch ? "%s /%d.%d" : "%s", o->name, o->shard,
             o->micro_batch);
    markup_begin_row(m);
    markup_text(m, name);
    markup_text(m, o->phase);
    markup_text(m, o->lane);
    markup_number(m, o->duration_ms.median);
    markup_number(m, o->start_ms);
    markup_number(m, o->wait_ms);
    markup_number(m, o->cpu_ms);
    if (spread) {
        markup_number(m, o->duration_ms.p10);
        markup_number(m, o->duration_ms.p90);
    }
    markup_end_row(m);
}

void report_document_operations(const Report *r, const Markup *m) {
    if (!r->operation_count) return;
    bool spread = report_has_spread(r);
    int shown = 0;
    const char *const head[] = {"",          "phase",    "lane",    spread ? "median, ms" : "ms",
                                "start, ms", "wait, ms", "CPU, ms", "p10, ms",
                                "p90, ms"};
    markup_section(m, "The longest operations");
    markup_table(m, spread ? 9 : 7, head);
    for (int i = next_operation(r, NONE); i != NONE && shown < OPERATIONS_SHOWN;
         i = next_operation(r, i), shown++)
        write_operation(m, &r->operations[i], spread);
    markup_end_table(m);
    markup_paragraph(m,
                     "%d of %d operations of a step; %smean over %ss. Wait: until the last member "
                     "of a communication arrived. Start: since the step began.",
                     shown, r->operation_count,
                     spread ? "medians over an operation's executions on a rank, " : "",
                     report_rank_word(r));
}

// --- memory and communication

enum { ROWS_SHOWN = 16 };

static bool uses_as_much(const Report *r, int a, int b) {
    return !memcmp(&r->memory[a], &r->memory[b], sizeof *r->memory) &&
           r->comm_bytes[a] == r->comm_bytes[b];
}

static void write_ranks(const Markup *m, const Report *r, int first, int last) {
    char ranks[32];
    snprintf(ranks, sizeof ranks, first == last ? "%d" : "%d to %d", first, last);
    markup_begin_row(m);
    markup_text(m, ranks);
    for (int i = 0; i < MEMORY_COUNT; i++) markup_size(m, r->memory[first].planned[i]);
    markup_size(m, r->memory[first].unplanned);
    markup_size(m, r->comm_bytes[first]);
    markup_end_row(m);
}

static void write_misfit(const Report *r, const Markup *m) {
    const ReportAnswers *a = r->answers;
    char need[UNITS_TEXT], have[UNITS_TEXT];
    int64_t all = 0;
    for (int i = 0; i < MEMORY_COUNT; i++) all += a->memory_bytes[i];
    if (!r->device_bytes || all <= r->device_bytes) return;
    markup_paragraph(m, "A step does not fit: %s of %s%s%s.%s%s%s", units_print_size(need, all),
                     units_print_size(have, r->device_bytes), *a->class ? " on " : "", a->class,
                     a->fits_with ? " With " : "", a->fits_with ? a->fits_with : "",
                     a->fits_with ? " it would." : "");
}

// Neighbours that use as much share a row.
void report_document_memory(const Report *r, const Markup *m) {
    const char *head[MEMORY_COUNT + 3] = {report_rank_word(r)};
    int first = 0, rows = 0;
    markup_section(m, "Memory and communication");
    for (int i = 0; i < MEMORY_COUNT; i++) head[i + 1] = memory_name((Memory)i);
    head[MEMORY_COUNT + 1] = "unplanned";
    head[MEMORY_COUNT + 2] = "sent a step";
    markup_table(m, MEMORY_COUNT + 3, head);
    for (; first < r->run.ranks && rows < ROWS_SHOWN; rows++) {
        int last = first;
        while (last + 1 < r->run.ranks && uses_as_much(r, first, last + 1)) last++;
        write_ranks(m, r, first, last);
        first = last + 1;
    }
    markup_end_table(m);
    if (first < r->run.ranks)
        markup_paragraph(m, "%d more %ss are in the .json report.", r->run.ranks - first,
                         report_rank_word(r));
    if (r->answers) write_misfit(r, m);
}

// --- learning

static void write_evaluations(const Report *r, const Markup *m) {
    if (!r->evaluation_count) return;
    bool tokens = isfinite(report_perplexity(r));
    markup_table(m, tokens ? 6 : 5,
                 (const char *const[]){"epoch", "after step", "held-out loss", "accuracy",
                                       "samples", "perplexity"});
    for (int i = 0; i < r->evaluation_count; i++) {
        const Evaluation *e = &r->evaluations[i];
        markup_begin_row(m);
        markup_count(m, e->epoch);
        markup_count(m, e->step);
        markup_number(m, e->loss);
        markup_percent(m, e->accuracy);
        markup_count(m, e->samples);
        if (tokens) markup_number(m, e->perplexity);
        markup_end_row(m);
    }
    markup_end_table(m);
}

static void write_learning(const Report *r, const Markup *m) {
    bool losses = r->loss_count && isfinite(r->loss[0]);
    if (!r->evaluation_count && !losses) return;
    markup_section(m, "Learning");
    write_evaluations(r, m);
    if (!losses) return;
    markup_paragraph(m, "Training loss: %.4f at the first step, %.4f at the last.", r->loss[0],
                     r->last_loss);
    if (!m->html) return;
    markup_begin_figure(m);
    report_svg_loss(r, m->out);
    markup_end_figure(m);
}

void report_write_document(const Report *r, const Markup *m) {
    char title[256];
    snprintf(title, sizeof title, "%s %s on %d %s%s",
             report_is_simulated(r) ? "Simulating" : "Training", r->run.model, r->run.ranks,
             report_rank_word(r), r->run.ranks == 1 ? "" : "s");
    markup_begin(m, title);
    report_document_facts(r, m, true);
    write_learning(r, m);
    write_speed(r, m);
    report_document_breakdown(r, m);
    report_document_failures(r, m);
    report_document_operations(r, m);
    report_document_memory(r, m);
    markup_end(m);
}
