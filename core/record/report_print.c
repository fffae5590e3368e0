// SPDX-License-Identifier: MIT
// The report on a terminal: what a person wants to know when a run has ended.
#include "core/base/units.h"
#include "core/record/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static int64_t planned_bytes(const MemoryUse *m) {
    int64_t sum = 0;
    for (int i = 0; i < MEMORY_COUNT; i++) sum += m->planned[i];
    return sum;
}

enum { TERMINAL = 80 };

static void print_title(const Report *r, FILE *out) {
    char line[TERMINAL + 1];
    snprintf(line, sizeof line, "%s on %d rank%s (%s, %s, %s), batch %lld, seed %lld, %d steps",
             r->run.model, r->run.ranks, r->run.ranks == 1 ? "" : "s", r->run.device, r->run.dtype,
             r->run.comm, (long long)r->run.batch, (long long)r->run.seed, r->steps);
    fprintf(out, "%s\n", line);
}

static void print_learning(const Report *r, FILE *out) {
    if (r->loss_count)
        fprintf(out, "  loss       %.4f at the first step, %.4f at the last\n", r->loss[0],
                r->loss[r->loss_count - 1]);
    if (!r->evaluation_count) return;
    const Evaluation *e = &r->evaluations[r->evaluation_count - 1];
    fprintf(out, "  accuracy   %.2f %% of %lld held-out samples after step %d\n", e->accuracy * 100,
            (long long)e->samples, e->step);
}

static void print_hash(const Report *r, FILE *out) {
    if (r->parameters_hash)
        fprintf(out, "  weights    %016" PRIx64 " (hash of all parameters)\n", r->parameters_hash);
}

static void print_speed(const Report *r, FILE *out) {
    if (!r->steps) return;
    const Spread *rate = &r->samples_per_s, *step = &r->step_ms;
    fprintf(out, "  samples/s  %.0f (median; %.0f to %.0f in 8 of 10 steps)\n", rate->median,
            rate->p10, rate->p90);
    fprintf(out, "  step       %.3f ms (median; %.3f to %.3f), mean %.3f%s\n", step->median,
            step->p10, step->p90, step->mean, r->breakdown_steps ? ", of which" : "");
}

// Only what takes time; a bar of 30 columns is the whole step.
static void print_breakdown(const Report *r, FILE *out) {
    enum { BAR = 30 };
    static const char bar[] = "##############################";
    double total = 0;
    for (int b = 0; b < BILL_COUNT; b++) total += r->breakdown_ms[b];
    for (int b = 0; b < BILL_COUNT; b++) {
        double share = r->breakdown_ms[b] / total;
        if (!(share >= 0.0005)) continue;
        fprintf(out, "    %-12s %9.3f ms %6.1f %%  %.*s\n", bill_name((Bill)b), r->breakdown_ms[b],
                share * 100, (int)lround(share * BAR), bar);
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
        fprintf(out, "; communicates %s a step", units_print_size(text, r->comm_bytes[most]));
    fputc('\n', out);
    for (int i = 0; i < MEMORY_COUNT; i++)
        fprintf(out, "%s%s %s%s", i % 3 ? ", " : "             ", memory_name((Memory)i),
                units_print_size(text, m->planned[i]), i % 3 == 2 ? "\n" : "");
}

void report_print(const Report *r, FILE *out) {
    print_title(r, out);
    print_learning(r, out);
    print_speed(r, out);
    print_breakdown(r, out);
    print_memory(r, out);
    print_hash(r, out);
}
