// SPDX-License-Identifier: MIT
// A report as JSON; report_read.c reads it back. Format: docs/formats.md, "Reports".
#include "core/report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static json_t *spread_to_json(const Spread *s) {
    json_t *out = json_object();
    int failed = json_object_set_new(out, "median", json_number(s->median));
    failed |= json_object_set_new(out, "p10", json_number(s->p10));
    failed |= json_object_set_new(out, "p90", json_number(s->p90));
    failed |= json_object_set_new(out, "mean", json_number(s->mean));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

// The step's spread has its tails, too.
static json_t *step_to_json(const Report *r) {
    const Tails *t = &r->step_tails_ms;
    json_t *out = spread_to_json(&r->step_ms);
    int failed = json_object_set_new(out, "p5", json_number(t->p5));
    failed |= json_object_set_new(out, "p95", json_number(t->p95));
    failed |= json_object_set_new(out, "p99", json_number(t->p99));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

static int set_breakdown(json_t *report, const Report *r) {
    json_t *out = json_object();
    int failed = 0;
    for (int b = 0; b < TIME_COUNT; b++)
        failed |= json_object_set_new(out, time_category_name((TimeCategory)b),
                                      json_number(r->breakdown_ms[b]));
    return failed | json_object_set_new(report, "breakdown_ms", out);
}

static json_t *operation_to_json(const OperationTimes *o) {
    json_t *out = json_object();
    int failed = json_object_set_new(out, "name", json_text(o->name));
    failed |= json_object_set_new(out, "kind", json_text(o->kind));
    failed |= json_object_set_new(out, "phase", json_text(o->phase));
    failed |= json_object_set_new(out, "lane", json_text(o->lane));
    failed |= json_object_set_new(out, "shard", json_integer(o->shard));
    failed |= json_object_set_new(out, "micro_batch", json_integer(o->micro_batch));
    failed |= json_object_set_new(out, "ranks", json_integer(o->ranks));
    failed |= json_object_set_new(out, "executions", json_number(o->executions));
    failed |= json_object_set_new(out, "duration_ms", spread_to_json(&o->duration_ms));
    failed |= json_object_set_new(out, "wait_ms", json_number(o->wait_ms));
    failed |= json_object_set_new(out, "cpu_ms", json_number(o->cpu_ms));
    failed |= json_object_set_new(out, "start_ms", json_number(o->start_ms));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

static int set_operations(json_t *report, const Report *r) {
    json_t *operations = json_array(), *phases = json_object();
    int failed = 0;
    for (int p = 0; p < PHASE_COUNT; p++) {
        double ms = report_phase_ms(r, phase_name((Phase)p));
        if (!isnan(ms))
            failed |= json_object_set_new(phases, phase_name((Phase)p), json_number(ms));
    }
    for (int i = 0; i < r->operation_count; i++)
        failed |= json_array_append_new(operations, operation_to_json(&r->operations[i]));
    failed |= json_object_set_new(report, "phases_ms", phases);
    return failed | json_object_set_new(report, "operations", operations);
}

// Does what is planned fit a rank's device? null where that is not known.
static int set_fit(json_t *report, const Report *r) {
    bool fits = true;
    for (int rank = 0; rank < r->run.ranks; rank++) {
        int64_t planned = 0;
        for (int m = 0; m < MEMORY_COUNT; m++) planned += r->memory[rank].planned[m];
        fits &= planned <= r->device_bytes;
    }
    json_t *bytes = r->device_bytes ? json_integer(r->device_bytes) : json_null();
    int failed = json_object_set_new(report, "device_bytes", bytes);
    return failed |
           json_object_set_new(report, "fits", r->device_bytes ? json_boolean(fits) : json_null());
}

// Of larger worlds ranks in a row that are alike share an item.
enum { RANKS_EACH = 1024 };

static bool is_like(const Report *r, int rank, int other) {
    return r->comm_bytes[rank] == r->comm_bytes[other] &&
           !memcmp(r->memory[rank].planned, r->memory[other].planned,
                   sizeof r->memory[rank].planned) &&
           r->memory[rank].unplanned == r->memory[other].unplanned;
}

// How many ranks from this one on have one item: of large worlds all that are alike.
static int run_length(const Report *r, int first) {
    int ranks = 1;
    if (r->run.ranks <= RANKS_EACH) return 1;
    while (first + ranks < r->run.ranks && is_like(r, first, first + ranks)) ranks++;
    return ranks;
}

static json_t *memory_to_json(const MemoryUse *use) {
    json_t *out = json_object();
    int failed = 0;
    for (int m = 0; m < MEMORY_COUNT; m++)
        failed |= json_object_set_new(out, memory_name((Memory)m), json_integer(use->planned[m]));
    failed |= json_object_set_new(
        out, "unplanned", use->unplanned == NONE ? json_null() : json_integer(use->unplanned));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

static int set_bytes(json_t *report, const Report *r) {
    json_t *memory = json_array(), *comm = json_array();
    int failed = 0, ranks;
    bool each = r->run.ranks <= RANKS_EACH;
    for (int rank = 0; rank < r->run.ranks && !failed; rank += ranks) {
        json_t *item = memory_to_json(&r->memory[rank]);
        ranks = run_length(r, rank);
        if (!each) failed |= json_object_set_new(item, "ranks", json_integer(ranks));
        failed |= json_array_append_new(memory, item);
        json_t *bytes = json_integer(r->comm_bytes[rank]);
        failed |= json_array_append_new(
            comm, each ? bytes : json_pack("{s:o, s:i}", "bytes", bytes, "ranks", ranks));
    }
    failed |= json_object_set_new(report, "memory_bytes", memory);
    failed |= set_fit(report, r);
    return failed | json_object_set_new(report, "comm_bytes", comm);
}

static int set_step_ends(json_t *report, const Report *r) {
    json_t *end_s = json_array(), *samples = json_array();
    int failed = 0;
    for (int i = 0; i < r->loss_count && r->step_end_s; i++)
        failed |= json_array_append_new(end_s, json_number(r->step_end_s[i]));
    for (int i = 0; i < r->loss_count && r->step_samples; i++)
        failed |= json_array_append_new(samples, json_integer(r->step_samples[i]));
    failed |= json_object_set_new(report, "step_end_s", r->step_end_s ? end_s : json_null());
    failed |= json_object_set_new(report, "step_samples", r->step_samples ? samples : json_null());
    if (!r->step_end_s) json_decref(end_s);
    if (!r->step_samples) json_decref(samples);
    return failed;
}

// A number per step of loss, or null.
static int set_per_step(json_t *report, const Report *r, const char *key, const double *values) {
    if (!values) return json_object_set_new(report, key, json_null());
    json_t *list = json_array();
    int failed = 0;
    for (int i = 0; i < r->loss_count; i++)
        failed |= json_array_append_new(list, json_number(values[i]));
    return failed | json_object_set_new(report, key, list);
}

static int set_gradients(json_t *report, const Report *r) {
    int failed = json_object_set_new(report, "skipped_steps", json_integer(r->skipped_steps));
    failed |= set_per_step(report, r, "gradient_norm", r->gradient_norm);
    failed |= set_per_step(report, r, "dropped_choices", r->dropped);
    return failed | set_per_step(report, r, "fullest_expert", r->fullest);
}

static int set_learning(json_t *report, const Report *r) {
    json_t *loss = json_array(), *evaluations = json_array();
    int failed = 0;
    for (int i = 0; i < r->loss_count; i++)
        failed |= json_array_append_new(loss, json_number(r->loss[i]));
    for (int i = 0; i < r->evaluation_count; i++) {
        const Evaluation *e = &r->evaluations[i];
        json_t *out = json_object();
        failed |= json_object_set_new(out, "epoch", json_integer(e->epoch));
        failed |= json_object_set_new(out, "step", json_integer(e->step));
        failed |= json_object_set_new(out, "samples", json_integer(e->samples));
        failed |= json_object_set_new(out, "loss", json_number(e->loss));
        failed |= json_object_set_new(out, "perplexity",
                                      e->perplexity > 0 ? json_number(e->perplexity) : json_null());
        failed |= json_object_set_new(out, "accuracy", json_number(e->accuracy));
        failed |= json_array_append_new(evaluations, out);
    }
    failed |= json_object_set_new(report, "loss", loss);
    failed |= json_object_set_new(report, "last_loss", json_number(r->last_loss));
    failed |= set_step_ends(report, r);
    failed |= set_gradients(report, r);
    failed |= json_object_set_new(report, "accuracy", json_number(report_accuracy(r)));
    return failed | json_object_set_new(report, "evaluations", evaluations);
}

// 64 bits are more than many readers' numbers hold: a hash is sixteen hexadecimal digits.
static json_t *hash_to_json(uint64_t hash) {
    char digits[17];
    snprintf(digits, sizeof digits, "%016" PRIx64, hash);
    return hash ? json_string(digits) : json_null();
}

static int set_circumstances(json_t *report, const Report *r) {
    json_t *machine = json_object();
    int failed = json_object_set_new(report, "parameters_hash", hash_to_json(r->parameters_hash));
    failed |= json_object_set_new(machine, "cores", json_integer(r->machine.cores));
    failed |= json_object_set_new(machine, "cpu", json_text(r->machine.cpu));
    failed |= json_object_set_new(machine, "load", json_number(r->machine.load));
    failed |= json_object_set_new(report, "tracing_overhead", json_number(r->tracing_overhead));
    failed |=
        json_object_set_new(report, "started", *r->started ? json_string(r->started) : json_null());
    failed |= json_object_set_new(report, "wall_s", json_number(r->wall_s));
    return failed | json_object_set_new(report, "machine", machine);
}

static Status to_json(json_t *out, const Report *r) {
    int failed = json_object_set_new(out, "schema", json_string("tandem.report.v1"));
    TRY(run_info_to_json(out, &r->run));
    failed |= json_object_set_new(out, "steps", json_integer(r->steps));
    failed |= json_object_set_new(out, "unrecorded_steps", json_integer(r->unrecorded_steps));
    failed |= json_object_set_new(out, "epochs", json_integer(r->epochs));
    failed |= json_object_set_new(out, "warm_up_steps", json_integer(r->warm_up_steps));
    failed |= json_object_set_new(out, "samples_per_s", spread_to_json(&r->samples_per_s));
    failed |= json_object_set_new(out, "step_ms", step_to_json(r));
    failed |= json_object_set_new(out, "breakdown_steps", json_integer(r->breakdown_steps));
    failed |= set_breakdown(out, r);
    failed |= json_object_set_new(out, "coverage", json_number(r->coverage));
    failed |= report_set_answers(out, r->answers);
    failed |= report_set_critical(out, r->critical);
    failed |= report_set_failures(out, r->failures);
    failed |= set_operations(out, r);
    failed |= set_bytes(out, r);
    failed |= set_learning(out, r);
    failed |= set_circumstances(out, r);
    if (failed) FAIL(ERR_MEMORY, "no memory to write the report");
    return OK;
}

Status report_write_json(const Report *r, FILE *out) {
    json_t *report = json_object();
    Status s = to_json(report, r);
    if (s == OK) json_write(out, report);
    json_decref(report);
    return s;
}
