// SPDX-License-Identifier: MIT
// Lines of -v: the work of a step, ranks and cores, buckets, plans, and who was busy how long.
#include "programs/train_explain.h"

#include "core/base/text.h"
#include "core/base/units.h"
#include "core/nn/freeze.h"
#include "parallel/strategy/job_rows.h"
#include "programs/outputs.h"

#include <string.h>

enum { LINE = 400 };

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

// --- what options do not do

// Options that only several ranks have a use for.
static void explain_one_rank(Log *l, const OptionLine *line, const JobOptions *o) {
    char names[200] = "";
    int count = 0;
    if (o->spec.ranks > 1) return;
    for (int i = 0; i < line->table->option_count; i++) {
        const Option *option = &line->table->options[i];
        if (!line->given[i] || job_spec_has_effect(&o->spec, option)) continue;
        text_append(names, sizeof names, "%s--%s", count++ ? ", " : "", option->name);
    }
    if (count) log_say(l, LOG_NOTE, "%s: without effect, one rank has no peer; see --ranks", names);
}

void train_explain_options(Log *l, const OptionLine *line, const JobOptions *asked,
                           const Job *job) {
    char unused[MODEL_UNUSED];
    explain_one_rank(l, line, asked);
    if (model_describe_unused(&job->model, unused)) log_say(l, LOG_NOTE, "%s", unused);
    if (asked->spec.dtype == DTYPE_BF16 && !option_given(line, "device"))
        log_say(l, LOG_NOTE,
                "--dtype bf16: computed by the device %s, whose plain loops are slow: it is the "
                "specification; sim --gpus N --dtype bf16 predicts GPUs",
                job->options.spec.device);
    if (asked->spec.strategy.data_parallel && asked->spec.ranks > 1 && asked->comm == COMM_SHM)
        log_say(l, LOG_NOTE,
                "--comm shm: devices are processes here; nn.DataParallel's are threads of one "
                "process. The steps and the bits are the same");
    if (job->options.spec.batch < asked->spec.batch)
        log_say(l, LOG_NOTE, "--batch %lld: there are %lld samples to train on, so that is a batch",
                (long long)asked->spec.batch, (long long)job->options.spec.batch);
    for (int i = 0; i < job->restore.note_count; i++)
        log_say(l, LOG_NOTE, "%s", job->restore.notes[i]);
    if (job->restore.resumes && !asked->evaluate_only)
        log_say(l, LOG_NOTE, "%s: going on after step %lld, to step %lld", asked->resume,
                (long long)job->first_step, (long long)job->steps);
    if (asked->save && !outputs_ends_in(asked->save, ".safetensors"))
        log_say(l, LOG_NOTE, "--save %s: the format is safetensors, whatever the name",
                asked->save);
}

// --- before

static void explain_work(Log *l, const Job *job) {
    char parameters[UNITS_TEXT], flops[UNITS_TEXT], trained[UNITS_TEXT], frozen[LINE] = "";
    const Model *m = &job->model;
    if (model_trained_parameters(m) < model_parameters(m))
        text_append(frozen, LINE, ", %s of them trained",
                    units_print_count(trained, model_trained_parameters(m)));
    log_say(l, LOG_DETAIL, "  model    %s (%s): %s parameters%s, %sflop a sample", m->name,
            m->source, units_print_count(parameters, model_parameters(m)), frozen,
            units_print_count(flops, model_flops(m)));
    log_say(l, LOG_DETAIL, "  data     %s: %lld samples to train on, %lld held out",
            job->data.source, (long long)job->split.train_count, (long long)job->split.test_count);
    log_say(l, LOG_DETAIL, "  steps    %lld, %lld an epoch; batch %lld, seed %llu",
            (long long)job->steps, (long long)job->batches, (long long)job->options.spec.batch,
            (unsigned long long)job->options.spec.seed);
}

static void explain_ranks(Log *l, const Job *job) {
    const JobOptions *o = &job->options;
    const CommOptions how = comm_options_resolve(&o->comm_options, o->spec.ranks);
    char spin[UNITS_TEXT], timeout[UNITS_TEXT];
    static const char *const kinds[] = {"in lockstep in one thread", "as threads", "as processes"};
    if (o->spec.ranks == 1) {
        log_say(l, LOG_DETAIL, "  ranks    1, not pinned to a core; device %s", o->spec.device);
        return;
    }
    bool lockstep = o->comm == COMM_SERIAL;
    log_say(l, LOG_DETAIL, "  ranks    %d %s%s; device %s", o->spec.ranks, kinds[o->comm],
            lockstep ? "" : ", pinned to cores in turn", o->spec.device);
    if (lockstep) return;
    units_print_duration(spin, how.spin_ns * PS_PER_NS);
    units_print_duration(timeout, how.timeout_ns * PS_PER_NS);
    log_say(l, LOG_DETAIL, "  cores    %d for %d ranks%s", how.cores, o->spec.ranks,
            o->spec.ranks > how.cores ? ": they take turns, and times are not those of more cores"
                                      : "");
    log_say(l, LOG_DETAIL, "  waiting  %s%s, then sleep; a peer is lost after %s",
            how.spin_ns ? "spin for " : "yield the core", how.spin_ns ? spin : "", timeout);
}

// DDP sums gradients in all-reduces, ZeRO in reduce-scatters. Those of --tp are in other phases.
static bool is_bucket(const Program *p, const Op *op) {
    Kind kind = op_kind(p, op);
    return (kind == KIND_ALL_REDUCE || kind == KIND_REDUCE_SCATTER) &&
           op_work(p, op)->phase == PHASE_SYNC;
}

static void explain_buckets(Log *l, const Job *job) {
    const Program *p = job_program(job, 0);
    const Plan *plan = &p->plans[job->plan_step];
    char line[LINE] = "", size[UNITS_TEXT];
    int count = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        if (!is_bucket(p, &plan->ops[i])) continue;
        if (count++ < 8)
            text_append(line, LINE, "%s%s %s", count > 1 ? ", " : "", program_name(p, w->name),
                        units_print_size(size, w->payload_bytes));
        else if (count == 9)
            text_append(line, LINE, ", ...");
    }
    if (count && job->options.spec.strategy.no_overlap)
        text_append(line, LINE, "; after the backward pass");
    if (count) log_say(l, LOG_DETAIL, "  buckets  %s", line);
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Work *w = op_work(p, op);
        if (!is_bucket(p, op)) continue;
        log_say(l, LOG_MORE, "  %s: %d tensor%s, %s, algorithm %s", program_name(p, w->name),
                op->outputs, plural(op->outputs), units_print_size(size, w->payload_bytes),
                algorithm_name((Algorithm)w->algorithm));
    }
}

// The plans and memory of a class of ranks.
static void explain_class(Log *l, const ProgramSet *set, int class) {
    const Program *p = &set->programs[class];
    char bytes[UNITS_TEXT], at[RANK_CLASS_TEXT];
    if (*program_set_name(set, class))
        log_say(l, LOG_MORE, "  class %s: ranks at %s", program_set_name(set, class),
                rank_class_print(at, &set->classes[class], p));
    for (int i = 0; i < p->plan_count; i++)
        log_say(l, LOG_MORE, "  plan %s: %d operation%s", program_name(p, p->plans[i].name),
                p->plans[i].op_count, plural(p->plans[i].op_count));
    log_say(l, LOG_MORE, "  %d tensors; a rank's own pool takes %s", p->tensor_count,
            units_print_size(bytes, p->pool_bytes[POOL_LOCAL]));
    log_say(l, LOG_MORE, "  the pool that its peers see takes %s",
            units_print_size(bytes, p->pool_bytes[POOL_SHARED]));
    for (int m = 0; m < MEMORY_COUNT; m++)
        if (program_memory(p, (Memory)m))
            log_say(l, LOG_MORE, "    %-13s %s", memory_name((Memory)m),
                    units_print_size(bytes, program_memory(p, (Memory)m)));
}

void train_explain_job(Log *l, const Job *job) {
    if (!log_wants(l, LOG_DETAIL)) return;
    explain_work(l, job);
    explain_ranks(l, job);
    explain_buckets(l, job);
    for (int i = 0; i < job->set.count && log_wants(l, LOG_MORE); i++)
        explain_class(l, &job->set, i);
}

// --- what the ranks did

typedef struct {
    double ms[TIME_COUNT], total_ms;
    int steps;
} Use;

// Of the records first .. last of a rank, those of training steps.
static Use use_of(const Job *job, const Timeline *t, int first, int last) {
    Use u = {0};
    for (int i = first; i <= last; i++) {
        const StepRecord *s = &t->steps[i];
        int64_t times[TIME_COUNT];
        if (!s->rows || !s->complete) continue;
        timeline_breakdown(job_program(job, t->rank), t, s, times);
        for (int b = 0; b < TIME_COUNT; b++) u.ms[b] += (double)times[b] * 1e-9;
        u.total_ms += (double)(s->end_ps - s->start_ps) * 1e-9;
        u.steps++;
    }
    return u;
}

// The first record of a training step from `i` on; the count when there is none.
static int next_training(const Timeline *t, int i) {
    while (i < t->step_count && !t->steps[i].rows) i++;
    return i;
}

void train_explain_ranks(Log *l, const Job *job, const RunShared *shared) {
    int ranks = log_wants(l, LOG_DETAIL) ? job->options.spec.ranks : 0;
    bool shown[TIME_COUNT] = {false};
    char head[LINE] = "            step";
    Use uses[COMM_RANKS];
    for (int r = 0; r < ranks; r++) {
        const Timeline *t = &shared->results[r].timeline;
        uses[r] = use_of(job, t, next_training(t, 0) + 1, t->step_count - 1);
        for (int b = 0; b < TIME_COUNT; b++) shown[b] = shown[b] || uses[r].ms[b] > 0;
    }
    for (int b = 0; b < TIME_COUNT; b++)
        if (shown[b])
            text_append(head, LINE, "  %*s", (int)strlen(time_category_name((TimeCategory)b)),
                        time_category_name((TimeCategory)b));
    if (ranks && uses[0].steps) log_say(l, LOG_DETAIL, "%s  ms", head);
    for (int r = 0; r < ranks && uses[0].steps; r++) {
        char line[LINE] = "";
        text_append(line, LINE, "  rank %-2d %7.3f", r, uses[r].total_ms / uses[r].steps);
        for (int b = 0; b < TIME_COUNT; b++)
            if (shown[b])
                text_append(line, LINE, "  %*.3f", (int)strlen(time_category_name((TimeCategory)b)),
                            uses[r].ms[b] / uses[r].steps);
        log_say(l, LOG_DETAIL, "%s", line);
    }
}

void train_explain_busy(Log *l, const Job *job, const RunShared *shared) {
    enum { SHOWN = 16 };
    const Timeline *zero = &shared->results[0].timeline;
    int ranks = job->options.spec.ranks, last = zero->step_count - 1, first;
    if (ranks == 1 || !log_wants(l, LOG_DETAIL)) return;
    while (last >= 0 && !zero->steps[last].rows) last--;
    for (first = last; first > 0 && zero->steps[first - 1].rows;) first--;
    char line[LINE] = "";
    for (int r = 0; r < ranks && r < SHOWN && last >= 0; r++) {
        Use u = use_of(job, &shared->results[r].timeline, first, last);
        if (!u.steps) return;
        text_append(line, LINE, "%s %.0f %%", r ? "," : "",
                    100 * (u.ms[TIME_COMPUTE] + u.ms[TIME_HOST]) / u.total_ms);
    }
    if (*line)
        log_say(l, LOG_DETAIL, "  ranks compute%s of the time%s", line,
                ranks > SHOWN ? " (the first 16)" : "");
}
