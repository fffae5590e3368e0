// SPDX-License-Identifier: MIT
// Utilisation is flops over time and peak; memory and flops are of the programs; what grew follows
// from two breakdowns. Read answers_make().
#include "sim/answers.h"

#include "sim/peak.h"
#include "sim/sent_bytes.h"

#include <math.h>

static const Plan *step_of(const Program *p) {
    return &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
}

// --- arithmetic

// Of one rank in a step, as the plan does it: with what is computed again.
static double flops_of_rank(const Program *p) {
    const Plan *plan = step_of(p);
    double sum = 0;
    for (int i = 0; i < plan->op_count; i++)
        if (!op_communicates(p, &plan->ops[i])) sum += (double)op_work(p, &plan->ops[i])->flops;
    return sum;
}

// What all devices could do in the time of the step, in the job's type; NaN: not known.
static double peak_flops(const Prediction *p, const AnswersOf *of) {
    const JobSpec *job = &of->job->spec;
    double peak = (double)of->setting->machine->device.flops_per_s[job->dtype];
    if (!of->place || peak <= 0) return (double)NAN;
    double slower = of->setting->dilation ? (double)of->setting->dilation / 1000 : 1;
    return peak / slower * job->ranks * p->step_ms * 1e-3;
}

static Status add_flops(ReportAnswers *out, Arena *a, const Prediction *p, const AnswersOf *of,
                        const int *ranks) {
    Model m;
    TRY(job_spec_model(&m, a, &of->job->spec));
    double rows = (double)of->job->spec.batch, peak = peak_flops(p, of);
    int64_t sample = model_needed_flops(&m);
    out->tokens = m.tokens ? m.input[0] : 0;
    out->tokens_per_s = m.tokens ? rows * (double)m.input[0] / p->step_ms * 1e3 : (double)NAN;
    out->model_flops = sample == INT64_MAX ? (double)NAN : rows * (double)sample;
    for (int c = 0; c < of->set->count; c++)
        out->hardware_flops += ranks[c] * flops_of_rank(&of->set->programs[c]);
    out->mfu = out->model_flops / peak;
    out->hfu = out->hardware_flops / peak;
    return OK;
}

// --- memory

static int64_t memory_of(const Program *p) {
    int64_t bytes = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) bytes += program_memory(p, (Memory)m);
    return bytes;
}

static Status add_peak(ReportAnswers *out, Arena *a, const Program *p) {
    Peak peak;
    int k = program_find_when(p, WHEN_EACH_STEP, 0);
    TRY(peak_find(&peak, a, p, k));
    if (peak.op == NONE) return OK;
    const Op *op = &p->plans[k].ops[peak.op];
    out->peak_op = arena_string(a, op_name(p, op));
    out->peak_phase = phase_name((Phase)op_work(p, op)->phase);
    if (!out->peak_op) FAIL(ERR_MEMORY, "out of memory for a prediction");
    return OK;
}

static Status add_memory(ReportAnswers *out, Arena *a, const ProgramSet *set) {
    int most = 0;
    for (int c = 1; c < set->count; c++)
        if (memory_of(&set->programs[c]) > memory_of(&set->programs[most])) most = c;
    for (int m = 0; m < MEMORY_COUNT; m++)
        out->memory_bytes[m] = program_memory(&set->programs[most], (Memory)m);
    out->class = arena_string(a, program_set_name(set, most));
    if (!out->class) FAIL(ERR_MEMORY, "out of memory for a prediction");
    out->rank = 0;
    while (program_set_class(set, out->rank) != most) out->rank++;
    return add_peak(out, a, &set->programs[most]);
}

// --- all of it

Status answers_make(Prediction *p, Arena *a, const AnswersOf *of) {
    ReportAnswers *out = ARENA_NEW(a, ReportAnswers, 1);
    int *ranks = ARENA_NEW(a, int, of->set->count);
    if (!out || !ranks) FAIL(ERR_MEMORY, "out of memory for a prediction");
    for (int r = 0; r < of->job->spec.ranks; r++) ranks[program_set_class(of->set, r)]++;
    TRY(add_memory(out, a, of->set));
    TRY(add_flops(out, a, p, of, ranks));
    out->node_bytes = out->rail_bytes = (double)NAN;
    if (of->place) {
        SentBytes sent;
        TRY(sent_bytes_of_step(&sent, a, of->set, of->place));
        out->node_bytes = sent.within_node;
        out->rail_bytes = sent.between_nodes;
    }
    p->answers = out;
    p->report.answers = out;
    answers_relate(p, p);
    return OK;
}

// --- against the first size

double answers_part_ms(const Prediction *p, int part) {
    if (part == REPORT_LAUNCH) return p->launch_ms;
    return p->report.breakdown_ms[part] - (part == TIME_COMPUTE ? p->launch_ms : 0);
}

double answers_share(const Prediction *p, const Prediction *base) {
    const RunInfo *run = &p->report.run, *first = &base->report.run;
    return (double)run->batch / (double)first->batch * first->ranks / run->ranks;
}

bool answers_host_binds(const Prediction *p) { return p->issue_ms >= 0.99 * p->step_ms; }

void answers_relate(Prediction *p, const Prediction *base) {
    ReportAnswers *out = p->answers;
    if (!out) return;
    const RunInfo *run = &p->report.run, *first = &base->report.run;
    double rows = (double)run->batch / (double)first->batch, share = answers_share(p, base);
    out->speed_up = rows * base->step_ms / p->step_ms;
    out->efficiency = out->speed_up * first->ranks / run->ranks;
    out->lost_to = NONE;
    out->lost_ms = 0;
    if (answers_host_binds(p)) {
        double lost = p->step_ms - share * base->step_ms;
        if (lost <= 0) return;
        out->lost_to = TIME_HOST;
        out->lost_ms = lost;
        return;
    }
    for (int part = 0; part < REPORT_PARTS; part++) {
        double grown = answers_part_ms(p, part) - share * answers_part_ms(base, part);
        if (grown <= out->lost_ms) continue;
        out->lost_to = part;
        out->lost_ms = grown;
    }
}
