// SPDX-License-Identifier: MIT
// A report's main figures under names that stay: a row of CSV, or a line each.
#include "core/base/json.h"
#include "core/base/printable.h"
#include "core/base/table.h"
#include "core/base/text.h"
#include "core/report/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef enum { NAMES, VALUES, LINES } Form;

typedef struct {
    FILE *out;
    Form form;
    bool any;  // a cell stands in the row already
} Writer;

static void write_item(Writer *w, const char *name, const char *value, const char *unit) {
    if (w->form == LINES) {
        fprintf(w->out, "%s %s%s%s\n", name, *value ? value : "-", *value && *unit ? " " : "",
                *value ? unit : "");
        return;
    }
    if (w->any) fputc(',', w->out);
    w->any = true;
    table_write_csv(w->out, w->form == NAMES ? name : value);
}

// A text must not break a line, nor tell a terminal anything.
static void write_text(Writer *w, const char *name, const char *text) {
    char line[4096];
    snprintf(line, sizeof line, "%s", text ? text : "");
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    printable_make(line);
    write_item(w, name, line, "");
}

static void write_count(Writer *w, const char *name, int64_t value, const char *unit) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    write_item(w, name, value == NONE ? "" : text, unit);
}

static void write_real(Writer *w, const char *name, double value, const char *unit) {
    char text[JSON_NUMBER] = "";
    if (isfinite(value)) json_print_number(text, value);
    write_item(w, name, text, unit);
}

static void write_spread(Writer *w, const char *name, const Spread *s, const char *unit) {
    char full[64];
    write_real(w, name, s->median, unit);
    snprintf(full, sizeof full, "%s_p10", name);
    write_real(w, full, s->p10, unit);
    snprintf(full, sizeof full, "%s_p90", name);
    write_real(w, full, s->p90, unit);
    snprintf(full, sizeof full, "%s_mean", name);
    write_real(w, full, s->mean, unit);
}

static void write_settings(Writer *w, const char *name, const RunSetting *settings, int count) {
    char text[512] = "";
    for (int i = 0; i < count; i++)
        text_append(text, sizeof text, "%s%s=%s", i ? " " : "", settings[i].key, settings[i].value);
    write_text(w, name, text);
}

static void write_run(Writer *w, const Report *r) {
    const RunInfo *run = &r->run;
    write_text(w, "schema", "tandem.summary.v1");
    write_text(w, "kind", run->kind);
    write_text(w, "model", run->model);
    write_settings(w, "strategy", run->strategy, run->strategy_count);
    write_count(w, "ranks", run->ranks, "");
    write_text(w, "device", run->device);
    write_text(w, "comm", run->comm);
    write_text(w, "dtype", run->dtype);
    write_count(w, "shards", run->shards, "");
    write_count(w, "batch", run->batch, "");
    write_count(w, "seed", run->seed, "");
    write_count(w, "steps", r->steps, "");
    write_count(w, "epochs", r->epochs, "");
}

static void write_times(Writer *w, const Report *r) {
    write_spread(w, "samples_per_s", &r->samples_per_s, "1/s");
    write_spread(w, "step_ms", &r->step_ms, "ms");
    for (int b = 0; b < TIME_COUNT; b++) {
        char name[64];
        snprintf(name, sizeof name, "%s_ms", time_category_name((TimeCategory)b));
        write_real(w, name, r->breakdown_steps ? r->breakdown_ms[b] : (double)NAN, "ms");
    }
}

// Bytes of the rank that has the most planned.
static void write_bytes(Writer *w, const Report *r) {
    int64_t most = NONE, unplanned = NONE, comm = NONE;
    for (int rank = 0; rank < r->run.ranks; rank++) {
        int64_t planned = 0;
        for (int m = 0; m < MEMORY_COUNT; m++) planned += r->memory[rank].planned[m];
        if (planned <= most) continue;
        most = planned;
        unplanned = r->memory[rank].unplanned;
        comm = r->comm_bytes[rank];
    }
    write_count(w, "planned_bytes", most, "B");
    write_count(w, "unplanned_bytes", unplanned, "B");
    write_count(w, "comm_bytes", comm, "B");
}

static void write_learning(Writer *w, const Report *r) {
    const double none = (double)NAN;
    char hash[17] = "";
    if (r->parameters_hash) snprintf(hash, sizeof hash, "%016" PRIx64, r->parameters_hash);
    write_real(w, "loss_first", r->loss_count ? r->loss[0] : none, "");
    write_real(w, "loss_last", r->last_loss, "");
    write_real(w, "evaluation_loss",
               r->evaluation_count ? r->evaluations[r->evaluation_count - 1].loss : none, "");
    write_real(w, "accuracy", report_accuracy(r), "");
    write_text(w, "parameters_hash", hash);
}

static void write_circumstances(Writer *w, const Report *r) {
    char command[2048] = "";
    for (int i = 0; i < r->run.argc; i++)
        text_append(command, sizeof command, "%s%s", i ? " " : "", r->run.argv[i]);
    write_text(w, "started", r->started);
    write_real(w, "wall_s", r->wall_s, "s");
    write_count(w, "cores", r->machine.cores ? r->machine.cores : NONE, "");
    write_text(w, "cpu", r->machine.cpu);
    write_real(w, "load", r->machine.load, "");
    write_text(w, "command", command);
}

static void write_all(Writer *w, const Report *r) {
    write_run(w, r);
    write_times(w, r);
    write_bytes(w, r);
    write_learning(w, r);
    write_circumstances(w, r);
    write_settings(w, "optimizer", r->run.optimizer, r->run.optimizer_count);
    write_count(w, "unrecorded_steps", r->unrecorded_steps, "");
    write_real(w, "perplexity", report_perplexity(r), "");
}

void report_write_csv(const Report *r, FILE *out) {
    write_all(&(Writer){.out = out, .form = NAMES}, r);
    fputc('\n', out);
    write_all(&(Writer){.out = out, .form = VALUES}, r);
    fputc('\n', out);
}

void report_write_plain(const Report *r, FILE *out) {
    write_all(&(Writer){.out = out, .form = LINES}, r);
}
