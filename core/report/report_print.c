// SPDX-License-Identifier: MIT
// The report on a terminal: what a person wants to know when a run has ended. Read report_print(),
// the last function, first.
#include "core/base/printable.h"
#include "core/base/text.h"
#include "core/base/units.h"
#include "core/report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static int64_t planned_bytes(const MemoryUse *m) {
    int64_t sum = 0;
    for (int i = 0; i < MEMORY_COUNT; i++) sum += m->planned[i];
    return sum;
}

enum { TERMINAL = 80 };

static void print_resumed(const RunInfo *run, FILE *out) {
    char from[TERMINAL / 2];
    snprintf(from, sizeof from, "%s", run->resumed_from);
    printable_make(from);
    fprintf(out, "  resumed    after step %lld, from %s\n", (long long)run->resumed_step, from);
}

// The order of a pipeline's passes, and through how many parts of a batch it goes.
static void print_schedule(const RunInfo *run, FILE *out) {
    const char *schedule = run_info_factor(run, "schedule");
    const char *batches = run_info_factor(run, "accumulate");
    char text[TERMINAL / 2];
    if (!schedule) return;
    snprintf(text, sizeof text, "%.20s", schedule);
    if (batches) text_append(text, sizeof text, ", %.11s micro-batches", batches);
    printable_make(text);  // a report that was read may hold anything
    fprintf(out, "  schedule   %s\n", text);
}

static void print_title(const Report *r, FILE *out, bool color) {
    char rest[TERMINAL], model[TERMINAL];
    const RunInfo *run = &r->run;
    snprintf(rest, sizeof rest, " on %d rank%s (%s, %s%s%s), batch %lld, seed %lld, %d step%s",
             run->ranks, run->ranks == 1 ? "" : "s", run->device, run->dtype,
             run->ranks > 1 ? ", " : "", run->ranks > 1 ? run->comm : "", (long long)run->batch,
             (long long)run->seed, r->steps, r->steps == 1 ? "" : "s");
    int room = TERMINAL - (int)strlen(rest);
    if (room < 8) room = 8;
    bool fits = (int)strlen(run->model) <= room;
    snprintf(model, sizeof model, "%.*s%s", fits ? room : room - 3, run->model, fits ? "" : "...");
    printable_make(model);  // names come from files and command lines
    printable_make(rest);
    fprintf(out, "%s%s%s%s\n", color ? "\033[1m" : "", model, rest, color ? "\033[0m" : "");
    char degrees[RUN_DEGREES];
    if (*run_info_degrees(degrees, run, true)) fprintf(out, "  mesh       %s\n", degrees);
    print_schedule(run, out);
    const char *slowdown = run_info_factor(run, "dilate");
    if (slowdown) fprintf(out, "  slowed     times x%.16s (--dilate)\n", slowdown);
    if (run->resumed_from) print_resumed(run, out);
    if (r->unrecorded_steps)
        fprintf(out, "  recorded   the first %d steps: times and losses are of these\n",
                r->steps - r->unrecorded_steps);
}

static const char *number_text(double value, char out[24]) {
    if (!isfinite(value)) return "not finite";
    snprintf(out, 24, "%.4g", value);
    return out;
}

static void print_learning(const Report *r, FILE *out) {
    double last = r->loss_count ? r->last_loss : (double)NAN;
    if (isfinite(last))
        fprintf(out, "  loss       %.4f at the first step, %.4f at the last\n", r->loss[0], last);
    else if (r->loss_count && isfinite(r->loss[0]))
        fprintf(out, "  loss       %.4f at the first step, not finite at the last\n", r->loss[0]);
    if (r->gradient_norm && r->loss_count)
        fprintf(out, "  gradients  norm %.4g at the first step, %s at the last\n",
                r->gradient_norm[0],
                number_text(r->gradient_norm[r->loss_count - 1], (char[24]){0}));
    int final = r->loss_count - 1;
    if (r->dropped && r->fullest && r->loss_count)
        fprintf(out,
                "  experts    %.2f %% of choices dropped at the first step, %.2f %% at the last;\n"
                "             the fullest expert has %.2f of a fair share, then %.2f\n",
                100 * r->dropped[0], 100 * r->dropped[final], r->fullest[0], r->fullest[final]);
    if (r->skipped_steps)
        fprintf(out, "  skipped    %lld step%s whose loss or gradients were not finite\n",
                (long long)r->skipped_steps, r->skipped_steps == 1 ? "" : "s");
    if (!r->evaluation_count || !isfinite(report_accuracy(r))) return;
    const Evaluation *e = &r->evaluations[r->evaluation_count - 1];
    fprintf(out, "  accuracy   %.2f %% of %lld held-out samples after step %d\n", e->accuracy * 100,
            (long long)e->samples, e->step);
    if (isfinite(report_perplexity(r)))
        fprintf(out, "  perplexity %.4g (held-out loss %.4f)\n", e->perplexity, e->loss);
}

static void print_hash(const Report *r, FILE *out) {
    if (r->parameters_hash)
        fprintf(out, "  weights    %016" PRIx64 " (hash of all parameters)\n", r->parameters_hash);
}

static void print_speed(const Report *r, FILE *out) {
    if (!r->steps) return;
    const Spread *rate = &r->samples_per_s, *step = &r->step_ms;
    const char *of_which = r->breakdown_steps ? ", of which" : "";
    if (report_timed_steps(r) == 1) {
        fprintf(out, "  samples/s  %.0f (1 step)\n", rate->median);
        fprintf(out, "  step       %.3f ms (1 step)%s\n", step->median, of_which);
        return;
    }
    fprintf(out, "  samples/s  %.0f (median; %.0f to %.0f in 8 of 10 steps)\n", rate->median,
            rate->p10, rate->p90);
    fprintf(out, "  step       %.3f ms (median; %.3f to %.3f), mean %.3f%s\n", step->median,
            step->p10, step->p90, step->mean, of_which);
}

// Green: work; yellow: work that waits for a processor; red: waiting for others.
static const char *category_color(TimeCategory b) {
    switch (b) {
    case TIME_COMPUTE: return "\033[32m";
    case TIME_CONTENDED: return "\033[33m";
    case TIME_EXPOSED_COMM:
    case TIME_BUBBLE:
    case TIME_WAITING: return "\033[31m";
    case TIME_HOST:
    case TIME_IDLE:
    case TIME_COUNT: break;
    }
    return "\033[2m";
}

// Only what takes time; a bar of 30 columns is the whole step.
static void print_breakdown(const Report *r, FILE *out, bool color) {
    enum { BAR = 30 };
    static const char bar[] = "##############################";
    double total = 0;
    for (int b = 0; b < TIME_COUNT; b++) total += r->breakdown_ms[b];
    for (int b = 0; b < TIME_COUNT; b++) {
        double share = r->breakdown_ms[b] / total;
        if (!(share >= 0.0005)) continue;
        int length = (int)lround(share * BAR);
        fprintf(out, "    %-12s %9.3f ms %6.1f %%", time_category_name((TimeCategory)b),
                r->breakdown_ms[b], share * 100);
        if (length)
            fprintf(out, "  %s%.*s%s", color ? category_color((TimeCategory)b) : "", length, bar,
                    color ? "\033[0m" : "");
        fputc('\n', out);
    }
}

static void print_memory(const Report *r, FILE *out) {
    char text[UNITS_TEXT];
    int most = 0;
    for (int rank = 1; rank < r->run.ranks; rank++)
        if (planned_bytes(&r->memory[rank]) > planned_bytes(&r->memory[most])) most = rank;
    const MemoryUse *m = &r->memory[most];
    fprintf(out, "  memory     %s planned on rank %d", units_print_size(text, planned_bytes(m)),
            most);
    if (m->unplanned != NONE) fprintf(out, ", %s besides", units_print_size(text, m->unplanned));
    if (r->comm_bytes[most])
        fprintf(out, "; payload %s a step", units_print_size(text, r->comm_bytes[most]));
    fputc('\n', out);
    for (int i = 0; i < MEMORY_COUNT; i++)
        fprintf(out, "%s%s %s%s", i % 3 ? ", " : "             ", memory_name((Memory)i),
                units_print_size(text, m->planned[i]), i % 3 == 2 ? "\n" : "");
}

void report_print(const Report *r, FILE *out, bool color) {
    print_title(r, out, color);
    print_learning(r, out);
    print_speed(r, out);
    print_breakdown(r, out, color);
    print_memory(r, out);
    print_hash(r, out);
}
