// SPDX-License-Identifier: MIT
// Reads a .json report back. Code that compares or draws reports relies on what is refused here:
// medians that are no times, and names that a terminal would obey. Read from_json() first.
#include "core/base/printable.h"
#include "core/report/report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- values

static const double MS_MOST = 4.32e9,      // 50 days, the longest that a record holds
    RATE_MOST = 1e15, SECONDS_MOST = 1e9;  // samples/s; 30 years

// A number of 0 to `most`; NaN for null.
static Status get_quantity(double *out, const json_t *root, double most, const char *source,
                           const char *at) {
    TRY(json_get_real_or_nan(out, root, source, at));
    if (isnan(*out) || (*out >= 0 && *out <= most)) return OK;
    FAIL(ERR_FORMAT, "%s: %s: expected 0 to %g, or null, found %g", source, at, most, *out);
}

// A name that will be printed, in the arena.
static Status get_name(const char **out, Arena *a, const json_t *item, const char *source,
                       const char *at) {
    const char *text;
    TRY(json_get_string(&text, item, source, "%s", at));
    if (!printable(text))
        FAIL(ERR_FORMAT, "%s: %s: expected a name, found control characters in \"%.60s\"", source,
             at, text);
    *out = arena_string(a, text);
    if (!*out) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    return OK;
}

// --- what was run

static Status check_name(const char *name, const char *source, const char *at) {
    if (printable(name)) return OK;
    FAIL(ERR_FORMAT, "%s: %s: expected a name, found control characters in \"%.60s\"", source, at,
         name);
}

static Status check_settings(const RunSetting *list, int count, const char *source,
                             const char *section) {
    for (int i = 0; i < count; i++) {
        TRY(check_name(list[i].key, source, section));
        TRY(check_name(list[i].value, source, list[i].key));
    }
    return OK;
}

// Words of the command line may be anything; names are shown wherever the report is.
static Status get_run(RunInfo *run, Arena *a, const json_t *root, const char *source) {
    TRY(run_info_from_json(run, a, root, source));
    TRY(check_name(run->kind, source, "kind"));
    TRY(check_name(run->model, source, "model"));
    TRY(check_name(run->device, source, "device"));
    TRY(check_name(run->comm, source, "comm"));
    TRY(check_name(run->dtype, source, "dtype"));
    if (run->resumed_from) TRY(check_name(run->resumed_from, source, "resumed.from"));
    TRY(check_settings(run->strategy, run->strategy_count, source, "strategy"));
    TRY(check_settings(run->optimizer, run->optimizer_count, source, "optimizer"));
    for (int i = 0; i < run->argc; i++) printable_make((char *)run->argv[i]);  // of the arena
    return OK;
}

// --- speed

static Status get_spread(Spread *out, const json_t *root, double most, const char *source,
                         const char *key) {
    json_t *spread;
    char place[STATUS_TEXT];
    TRY(json_get_object(&spread, root, source, "%s", key));
    snprintf(place, sizeof place, "%s: %s", source, key);
    TRY(get_quantity(&out->median, spread, most, place, "median"));
    TRY(get_quantity(&out->p10, spread, most, place, "p10"));
    TRY(get_quantity(&out->p90, spread, most, place, "p90"));
    return get_quantity(&out->mean, spread, most, place, "mean");
}

// Medians are divided by: 0 would become an error of infinity.
static Status check_median(const Spread *s, const char *source, const char *key) {
    if (s->median > 0) return OK;
    if (isnan(s->median))
        FAIL(ERR_FORMAT,
             "%s: %s.median: expected a number above 0, found null; the run ended before it was "
             "measured",
             source, key);
    FAIL(ERR_FORMAT, "%s: %s.median: expected a number above 0, found %g", source, key, s->median);
}

// Older reports do not have them.
static Status get_tails(Tails *out, const json_t *root, const char *source) {
    static const char *const keys[] = {"p5", "p95", "p99"};
    double *const fields[] = {&out->p5, &out->p95, &out->p99};
    const json_t *step = json_object_get(root, "step_ms");
    char at[64];
    for (int i = 0; i < 3; i++) {
        *fields[i] = (double)NAN;
        snprintf(at, sizeof at, "step_ms.%s", keys[i]);
        if (json_object_get(step, keys[i])) TRY(get_quantity(fields[i], root, MS_MOST, source, at));
    }
    return OK;
}

static Status get_speed(Report *r, const json_t *root, const char *source) {
    char at[64];
    TRY(get_spread(&r->samples_per_s, root, RATE_MOST, source, "samples_per_s"));
    TRY(get_spread(&r->step_ms, root, MS_MOST, source, "step_ms"));
    TRY(get_tails(&r->step_tails_ms, root, source));
    TRY(check_median(&r->samples_per_s, source, "samples_per_s"));
    TRY(check_median(&r->step_ms, source, "step_ms"));
    for (int b = 0; b < TIME_COUNT; b++) {
        snprintf(at, sizeof at, "breakdown_ms.%s", time_category_name((TimeCategory)b));
        TRY(get_quantity(&r->breakdown_ms[b], root, MS_MOST, source, at));
    }
    return get_quantity(&r->coverage, root, 1, source, "coverage");
}

// --- operations

static Status get_operation(OperationTimes *out, Arena *a, const json_t *item, const char *source) {
    static const char *const counts[] = {"shard", "micro_batch", "ranks"};
    int32_t *const fields[] = {&out->shard, &out->micro_batch, &out->ranks};
    TRY(get_name(&out->name, a, item, source, "name"));
    TRY(get_name(&out->kind, a, item, source, "kind"));
    TRY(get_name(&out->phase, a, item, source, "phase"));
    TRY(get_name(&out->lane, a, item, source, "lane"));
    for (int i = 0; i < 3; i++) {
        int64_t count;
        TRY(json_get_int_in(&count, item, 0, INT32_MAX, source, counts[i]));
        *fields[i] = (int32_t)count;
    }
    TRY(get_quantity(&out->executions, item, INT32_MAX, source, "executions"));
    TRY(get_spread(&out->duration_ms, item, MS_MOST, source, "duration_ms"));
    TRY(get_quantity(&out->wait_ms, item, MS_MOST, source, "wait_ms"));
    TRY(get_quantity(&out->cpu_ms, item, MS_MOST, source, "cpu_ms"));
    return get_quantity(&out->start_ms, item, MS_MOST, source, "start_ms");
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

// --- memory and communication

static Status get_memory(MemoryUse *out, const json_t *root, const char *source, int item) {
    char at[64];
    for (int m = 0; m < MEMORY_COUNT; m++) {
        snprintf(at, sizeof at, "memory_bytes[%d].%s", item, memory_name((Memory)m));
        TRY(json_get_int_in(&out->planned[m], root, 0, INT64_MAX, source, at));
    }
    out->unplanned = NONE;
    snprintf(at, sizeof at, "memory_bytes[%d].unplanned", item);
    if (json_is_null(json_find(root, "%s", at))) return OK;
    return json_get_int_in(&out->unplanned, root, 0, INT64_MAX, source, at);
}

enum { RANKS_READ = 1 << 20 };  // a short file may stand for so many

// How many ranks an item of a list is of: one where it does not say.
static Status get_item_ranks(int *out, const json_t *root, const char *source, const char *list,
                             int item) {
    char at[64];
    int64_t ranks = 1;
    snprintf(at, sizeof at, "%s[%d].ranks", list, item);
    if (json_find(root, "%s", at)) TRY(json_get_int_in(&ranks, root, 1, INT32_MAX, source, at));
    *out = (int)ranks;
    return OK;
}

static Status get_list(int *items, const Report *r, const json_t *root, const char *source,
                       const char *name) {
    json_t *list;
    int64_t all = 0;
    TRY(json_get_array(&list, root, source, "%s", name));
    *items = (int)json_array_size(list);
    for (int i = 0; i < *items; i++) {
        int ranks;
        TRY(get_item_ranks(&ranks, root, source, name, i));
        all += ranks;
    }
    if (all == r->run.ranks) return OK;
    FAIL(ERR_FORMAT, "%s: %s: expected one item for each of %d ranks, found %lld", source, name,
         r->run.ranks, (long long)all);
}

static Status get_comm(int64_t *out, const json_t *root, const char *source, int item) {
    char at[64];
    snprintf(at, sizeof at, "comm_bytes[%d].bytes", item);
    if (!json_find(root, "%s", at)) snprintf(at, sizeof at, "comm_bytes[%d]", item);
    return json_get_int_in(out, root, 0, INT64_MAX, source, at);
}

static Status get_bytes(Report *r, Arena *a, const json_t *root, const char *source) {
    if (r->run.ranks > RANKS_READ)
        FAIL(ERR_FORMAT, "%s: ranks: expected at most %d, found %d", source, RANKS_READ,
             r->run.ranks);
    MemoryUse *memory = ARENA_NEW(a, MemoryUse, r->run.ranks), use;
    int64_t *comm = ARENA_NEW(a, int64_t, r->run.ranks), bytes;
    int items, ranks;
    if (!memory || !comm) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    TRY(get_list(&items, r, root, source, "memory_bytes"));
    for (int i = 0, rank = 0; i < items; i++) {
        TRY(get_memory(&use, root, source, i));
        TRY(get_item_ranks(&ranks, root, source, "memory_bytes", i));
        while (ranks--) memory[rank++] = use;
    }
    TRY(get_list(&items, r, root, source, "comm_bytes"));
    for (int i = 0, rank = 0; i < items; i++) {
        TRY(get_comm(&bytes, root, source, i));
        TRY(get_item_ranks(&ranks, root, source, "comm_bytes", i));
        while (ranks--) comm[rank++] = bytes;
    }
    r->memory = memory;
    r->comm_bytes = comm;
    return OK;
}

// --- learning

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
    r->last_loss = r->loss_count ? loss[r->loss_count - 1] : (double)NAN;
    if (!json_find(root, "last_loss")) return OK;  // older reports lost no step
    return json_get_real_or_nan(&r->last_loss, root, source, "last_loss");
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
        if (times) TRY(get_quantity(&end_s[i], root, SECONDS_MOST, source, at));
        snprintf(at, sizeof at, "step_samples[%d]", i);
        if (counts) TRY(json_get_int_in(&samples[i], root, 0, INT64_MAX, source, at));
    }
    r->step_end_s = end_s;
    r->step_samples = samples;
    return OK;
}

// A number per step of loss. Missing in reports of before it was kept.
static Status get_per_step(const double **out, const Report *r, Arena *a, const json_t *root,
                           const char *source, const char *key) {
    bool there;
    TRY(find_per_step(&there, r, root, source, key));
    if (!there) return OK;
    double *values = ARENA_NEW(a, double, r->loss_count);
    if (!values) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    for (int i = 0; i < r->loss_count; i++) {
        char at[48];
        snprintf(at, sizeof at, "%s[%d]", key, i);
        TRY(json_get_real_or_nan(&values[i], root, source, at));
    }
    *out = values;
    return OK;
}

static Status get_gradients(Report *r, Arena *a, const json_t *root, const char *source) {
    if (json_find(root, "skipped_steps"))
        TRY(json_get_int_in(&r->skipped_steps, root, 0, INT32_MAX, source, "skipped_steps"));
    TRY(get_per_step(&r->gradient_norm, r, a, root, source, "gradient_norm"));
    TRY(get_per_step(&r->dropped, r, a, root, source, "dropped_choices"));
    return get_per_step(&r->fullest, r, a, root, source, "fullest_expert");
}

static Status get_evaluation(Evaluation *out, const json_t *item, const char *source) {
    int64_t epoch, step;
    TRY(json_get_int_in(&epoch, item, 0, INT32_MAX, source, "epoch"));
    TRY(json_get_int_in(&step, item, 0, INT32_MAX, source, "step"));
    out->epoch = (int32_t)epoch;
    out->step = (int32_t)step;
    TRY(json_get_int_in(&out->samples, item, 0, INT64_MAX, source, "samples"));
    TRY(json_get_real_or_nan(&out->loss, item, source, "loss"));
    double perplexity = (double)NAN;  // missing in reports of before it was kept
    if (json_find(item, "perplexity"))
        TRY(json_get_real_or_nan(&perplexity, item, source, "perplexity"));
    out->perplexity = perplexity > 0 ? perplexity : 0;
    return get_quantity(&out->accuracy, item, 1, source, "accuracy");
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

// --- circumstances

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

static Status get_started(Report *r, Arena *a, const json_t *root, const char *source) {
    const char *started;
    const json_t *member = json_find(root, "started");
    if (!member || json_is_null(member)) return OK;
    TRY(get_name(&started, a, root, source, "started"));
    snprintf(r->started, sizeof r->started, "%s", started);
    return OK;
}

static Status get_circumstances(Report *r, Arena *a, const json_t *root, const char *source) {
    const char *cpu;
    int64_t cores;
    TRY(get_hash(&r->parameters_hash, root, source));
    TRY(json_get_real_or_nan(&r->tracing_overhead, root, source, "tracing_overhead"));
    TRY(get_started(r, a, root, source));
    TRY(get_quantity(&r->wall_s, root, SECONDS_MOST, source, "wall_s"));
    TRY(json_get_int_in(&cores, root, 0, INT32_MAX, source, "machine.cores"));
    TRY(get_name(&cpu, a, root, source, "machine.cpu"));
    snprintf(r->machine.cpu, sizeof r->machine.cpu, "%s", cpu);
    r->machine.cores = (int32_t)cores;
    return get_quantity(&r->machine.load, root, 1e6, source, "machine.load");
}

static Status get_counts(Report *r, const json_t *root, const char *source) {
    static const char *const names[] = {"steps", "epochs", "warm_up_steps", "breakdown_steps"};
    int32_t *const counts[] = {&r->steps, &r->epochs, &r->warm_up_steps, &r->breakdown_steps};
    for (int i = 0; i < 4; i++) {
        int64_t count;
        TRY(json_get_int_in(&count, root, 0, INT32_MAX, source, names[i]));
        *counts[i] = (int32_t)count;
    }
    int64_t unrecorded = 0;
    if (json_find(root, "unrecorded_steps"))
        TRY(json_get_int_in(&unrecorded, root, 0, r->steps, source, "unrecorded_steps"));
    r->unrecorded_steps = (int32_t)unrecorded;
    return OK;
}

static Status from_json(Report *r, Arena *a, const json_t *root, const char *source) {
    const char *schema;
    if (json_is_array(root))
        FAIL(ERR_FORMAT,
             "%s: a list of %zu reports, as a sweep of `sim` writes it; give one report", source,
             json_array_size(root));
    TRY(json_get_string(&schema, root, source, "schema"));
    if (strcmp(schema, "tandem.report.v1"))
        FAIL(ERR_FORMAT, "%s: schema \"%s\" is not known here, only \"tandem.report.v1\"", source,
             schema);
    TRY(get_run(&r->run, a, root, source));
    TRY(get_counts(r, root, source));
    TRY(get_speed(r, root, source));
    TRY(get_operations(r, a, root, source));
    TRY(get_bytes(r, a, root, source));
    TRY(get_losses(r, a, root, source));
    TRY(get_step_ends(r, a, root, source));
    TRY(get_gradients(r, a, root, source));
    TRY(get_evaluations(r, a, root, source));
    return get_circumstances(r, a, root, source);
}

Status report_read(Report *r, Arena *a, const char *path) {
    json_t *root;
    *r = (Report){0};
    TRY(json_read_file(&root, path));
    Status s = from_json(r, a, root, path);
    json_decref(root);
    return s;
}
