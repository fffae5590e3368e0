// SPDX-License-Identifier: MIT
#include "core/report/report_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- writing

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

static int set_breakdown(json_t *report, const Report *r) {
    json_t *out = json_object();
    int failed = 0;
    for (int b = 0; b < BILL_COUNT; b++)
        failed |= json_object_set_new(out, bill_name((Bill)b), json_number(r->breakdown_ms[b]));
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

static int set_bytes(json_t *report, const Report *r) {
    json_t *memory = json_array(), *comm = json_array();
    int failed = 0;
    for (int rank = 0; rank < r->run.ranks; rank++) {
        const MemoryUse *use = &r->memory[rank];
        json_t *out = json_object();
        for (int m = 0; m < MEMORY_COUNT; m++)
            failed |=
                json_object_set_new(out, memory_name((Memory)m), json_integer(use->planned[m]));
        failed |= json_object_set_new(
            out, "unplanned", use->unplanned == NONE ? json_null() : json_integer(use->unplanned));
        failed |= json_array_append_new(memory, out);
        failed |= json_array_append_new(comm, json_integer(r->comm_bytes[rank]));
    }
    failed |= json_object_set_new(report, "memory_bytes", memory);
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
        failed |= json_object_set_new(out, "accuracy", json_number(e->accuracy));
        failed |= json_array_append_new(evaluations, out);
    }
    failed |= json_object_set_new(report, "loss", loss);
    failed |= set_step_ends(report, r);
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
    failed |= json_object_set_new(out, "epochs", json_integer(r->epochs));
    failed |= json_object_set_new(out, "warm_up_steps", json_integer(r->warm_up_steps));
    failed |= json_object_set_new(out, "samples_per_s", spread_to_json(&r->samples_per_s));
    failed |= json_object_set_new(out, "step_ms", spread_to_json(&r->step_ms));
    failed |= json_object_set_new(out, "breakdown_steps", json_integer(r->breakdown_steps));
    failed |= set_breakdown(out, r);
    failed |= json_object_set_new(out, "coverage", json_number(r->coverage));
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

// --- reading

static Status get_spread(Spread *out, const json_t *root, const char *source, const char *key) {
    json_t *spread;
    char place[STATUS_TEXT];
    TRY(json_get_object(&spread, root, source, "%s", key));
    snprintf(place, sizeof place, "%s: %s", source, key);
    TRY(json_get_real_or_nan(&out->median, spread, place, "median"));
    TRY(json_get_real_or_nan(&out->p10, spread, place, "p10"));
    TRY(json_get_real_or_nan(&out->p90, spread, place, "p90"));
    return json_get_real_or_nan(&out->mean, spread, place, "mean");
}

static Status get_speed(Report *r, const json_t *root, const char *source) {
    char at[64];
    TRY(get_spread(&r->samples_per_s, root, source, "samples_per_s"));
    TRY(get_spread(&r->step_ms, root, source, "step_ms"));
    for (int b = 0; b < BILL_COUNT; b++) {
        snprintf(at, sizeof at, "breakdown_ms.%s", bill_name((Bill)b));
        TRY(json_get_real_or_nan(&r->breakdown_ms[b], root, source, at));
    }
    return json_get_real_or_nan(&r->coverage, root, source, "coverage");
}

static Status get_text(const char **out, Arena *a, const json_t *item, const char *source,
                       const char *at) {
    const char *text;
    TRY(json_get_string(&text, item, source, "%s", at));
    *out = arena_string(a, text);
    if (!*out) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    return OK;
}

static Status get_operation(OperationTimes *out, Arena *a, const json_t *item, const char *source) {
    static const char *const counts[] = {"shard", "micro_batch", "ranks"};
    int32_t *const fields[] = {&out->shard, &out->micro_batch, &out->ranks};
    TRY(get_text(&out->name, a, item, source, "name"));
    TRY(get_text(&out->kind, a, item, source, "kind"));
    TRY(get_text(&out->phase, a, item, source, "phase"));
    TRY(get_text(&out->lane, a, item, source, "lane"));
    for (int i = 0; i < 3; i++) {
        int64_t count;
        TRY(json_get_int_in(&count, item, 0, INT32_MAX, source, counts[i]));
        *fields[i] = (int32_t)count;
    }
    TRY(json_get_real_or_nan(&out->executions, item, source, "executions"));
    TRY(get_spread(&out->duration_ms, item, source, "duration_ms"));
    TRY(json_get_real_or_nan(&out->wait_ms, item, source, "wait_ms"));
    TRY(json_get_real_or_nan(&out->cpu_ms, item, source, "cpu_ms"));
    return json_get_real_or_nan(&out->start_ms, item, source, "start_ms");
}

// Older reports have no operations.
static Status get_operations(Report *r, Arena *a, const json_t *root, const char *source) {
    json_t *list;
    if (!json_find(root, "operations")) return OK;
    TRY(json_get_array(&list, root, source, "operations"));
    OperationTimes *operations = ARENA_NEW(a, OperationTimes, json_array_size(list));
    if (!operations) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    r->operations = operations;
    for (; r->operation_count < (int)json_array_size(list); r->operation_count++) {
        char place[STATUS_TEXT];
        snprintf(place, sizeof place, "%s: operations[%d]", source, r->operation_count);
        TRY(get_operation(&operations[r->operation_count], a,
                          json_array_get(list, (size_t)r->operation_count), place));
    }
    return OK;
}

static Status get_memory(MemoryUse *out, const json_t *root, const char *source, int rank) {
    for (int m = 0; m < MEMORY_COUNT; m++)
        TRY(json_get_int(&out->planned[m], root, source, "memory_bytes[%d].%s", rank,
                         memory_name((Memory)m)));
    out->unplanned = NONE;
    if (json_is_null(json_find(root, "memory_bytes[%d].unplanned", rank))) return OK;
    return json_get_int(&out->unplanned, root, source, "memory_bytes[%d].unplanned", rank);
}

static Status get_bytes(Report *r, Arena *a, const json_t *root, const char *source) {
    json_t *list;
    TRY(json_get_array(&list, root, source, "memory_bytes"));
    if (json_array_size(list) != (size_t)r->run.ranks)
        FAIL(ERR_FORMAT, "%s: memory_bytes: expected one item for each of %d ranks, found %zu",
             source, r->run.ranks, json_array_size(list));
    MemoryUse *memory = ARENA_NEW(a, MemoryUse, r->run.ranks);
    int64_t *comm = ARENA_NEW(a, int64_t, r->run.ranks);
    if (!memory || !comm) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    for (int rank = 0; rank < r->run.ranks; rank++) {
        TRY(get_memory(&memory[rank], root, source, rank));
        TRY(json_get_int(&comm[rank], root, source, "comm_bytes[%d]", rank));
    }
    r->memory = memory;
    r->comm_bytes = comm;
    return OK;
}

static Status get_losses(Report *r, Arena *a, const json_t *root, const char *source) {
    json_t *list;
    TRY(json_get_array(&list, root, source, "loss"));
    double *loss = ARENA_NEW(a, double, json_array_size(list));
    if (!loss) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    r->loss = loss;
    for (; r->loss_count < (int)json_array_size(list); r->loss_count++) {
        char at[32];
        snprintf(at, sizeof at, "loss[%d]", r->loss_count);
        TRY(json_get_real_or_nan(&loss[r->loss_count], root, source, at));
    }
    return OK;
}

// An optional list of as many items as there are losses: whether it is there.
static Status find_per_step(bool *found, const Report *r, const json_t *root, const char *source,
                            const char *key) {
    json_t *list = json_find(root, "%s", key);
    *found = list && !json_is_null(list);
    if (!*found) return OK;
    TRY(json_get_array(&list, root, source, "%s", key));
    if (json_array_size(list) != (size_t)r->loss_count)
        FAIL(ERR_FORMAT, "%s: %s: expected one item for each of %d losses, found %zu", source, key,
             r->loss_count, json_array_size(list));
    return OK;
}

static Status get_step_ends(Report *r, Arena *a, const json_t *root, const char *source) {
    bool times, counts;
    TRY(find_per_step(&times, r, root, source, "step_end_s"));
    TRY(find_per_step(&counts, r, root, source, "step_samples"));
    double *end_s = times ? ARENA_NEW(a, double, r->loss_count) : NULL;
    int64_t *samples = counts ? ARENA_NEW(a, int64_t, r->loss_count) : NULL;
    if ((times && !end_s) || (counts && !samples))
        FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    for (int i = 0; i < r->loss_count; i++) {
        char at[32];
        snprintf(at, sizeof at, "step_end_s[%d]", i);
        if (times) TRY(json_get_real_or_nan(&end_s[i], root, source, at));
        if (counts) TRY(json_get_int(&samples[i], root, source, "step_samples[%d]", i));
    }
    r->step_end_s = end_s;
    r->step_samples = samples;
    return OK;
}

static Status get_evaluation(Evaluation *out, const json_t *item, const char *source) {
    int64_t epoch, step;
    TRY(json_get_int_in(&epoch, item, INT32_MIN, INT32_MAX, source, "epoch"));
    TRY(json_get_int_in(&step, item, INT32_MIN, INT32_MAX, source, "step"));
    out->epoch = (int32_t)epoch;
    out->step = (int32_t)step;
    TRY(json_get_int(&out->samples, item, source, "samples"));
    TRY(json_get_real_or_nan(&out->loss, item, source, "loss"));
    return json_get_real_or_nan(&out->accuracy, item, source, "accuracy");
}

static Status get_evaluations(Report *r, Arena *a, const json_t *root, const char *source) {
    json_t *list;
    TRY(json_get_array(&list, root, source, "evaluations"));
    Evaluation *evaluations = ARENA_NEW(a, Evaluation, json_array_size(list));
    if (!evaluations) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    r->evaluations = evaluations;
    for (; r->evaluation_count < (int)json_array_size(list); r->evaluation_count++) {
        char place[STATUS_TEXT];
        snprintf(place, sizeof place, "%s: evaluations[%d]", source, r->evaluation_count);
        TRY(get_evaluation(&evaluations[r->evaluation_count],
                           json_array_get(list, (size_t)r->evaluation_count), place));
    }
    return OK;
}

static Status get_hash(uint64_t *out, const json_t *root, const char *source) {
    const char *digits;
    if (json_is_null(json_find(root, "parameters_hash"))) return OK;
    TRY(json_get_string(&digits, root, source, "parameters_hash"));
    if (strlen(digits) != 16 || strspn(digits, "0123456789abcdef") != 16)
        FAIL(ERR_FORMAT, "%s: parameters_hash: expected 16 hexadecimal digits, found \"%s\"",
             source, digits);
    *out = strtoull(digits, NULL, 16);
    return OK;
}

static Status get_started(Report *r, const json_t *root, const char *source) {
    const char *started;
    const json_t *member = json_find(root, "started");
    if (!member || json_is_null(member)) return OK;
    TRY(json_get_string(&started, root, source, "started"));
    snprintf(r->started, sizeof r->started, "%s", started);
    return OK;
}

static Status get_circumstances(Report *r, const json_t *root, const char *source) {
    const char *cpu;
    int64_t cores;
    TRY(get_hash(&r->parameters_hash, root, source));
    TRY(json_get_real_or_nan(&r->tracing_overhead, root, source, "tracing_overhead"));
    TRY(get_started(r, root, source));
    TRY(json_get_real_or_nan(&r->wall_s, root, source, "wall_s"));
    TRY(json_get_int_in(&cores, root, 0, INT32_MAX, source, "machine.cores"));
    TRY(json_get_string(&cpu, root, source, "machine.cpu"));
    snprintf(r->machine.cpu, sizeof r->machine.cpu, "%s", cpu);
    r->machine.cores = (int32_t)cores;
    return json_get_real_or_nan(&r->machine.load, root, source, "machine.load");
}

static Status get_counts(Report *r, const json_t *root, const char *source) {
    static const char *const names[] = {"steps", "epochs", "warm_up_steps", "breakdown_steps"};
    int32_t *const counts[] = {&r->steps, &r->epochs, &r->warm_up_steps, &r->breakdown_steps};
    for (int i = 0; i < 4; i++) {
        int64_t count;
        TRY(json_get_int_in(&count, root, 0, INT32_MAX, source, names[i]));
        *counts[i] = (int32_t)count;
    }
    return OK;
}

static Status from_json(Report *r, Arena *a, const json_t *root, const char *source) {
    const char *schema;
    TRY(json_get_string(&schema, root, source, "schema"));
    if (strcmp(schema, "tandem.report.v1"))
        FAIL(ERR_FORMAT, "%s: schema \"%s\" is not known here, only \"tandem.report.v1\"", source,
             schema);
    TRY(run_info_from_json(&r->run, a, root, source));
    TRY(get_counts(r, root, source));
    TRY(get_speed(r, root, source));
    TRY(get_operations(r, a, root, source));
    TRY(get_bytes(r, a, root, source));
    TRY(get_losses(r, a, root, source));
    TRY(get_step_ends(r, a, root, source));
    TRY(get_evaluations(r, a, root, source));
    return get_circumstances(r, root, source);
}

Status report_read(Report *r, Arena *a, const char *path) {
    json_t *root;
    *r = (Report){0};
    TRY(json_read_file(&root, path));
    Status s = from_json(r, a, root, path);
    json_decref(root);
    return s;
}
