// SPDX-License-Identifier: MIT
// Pairs the operations of two reports by name, shard and micro-batch, and sorts them by how far
// apart they are. Read compare_reports() first.
#include "sim/compare.h"

#include "core/base/text.h"
#include "core/platform/device_traits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The platform's name, or its file's without folders: "timed:runs/laptop.yaml" is laptop.yaml.
static const char *platform_of(const char *device) {
    const char *platform = device_traits_platform(device), *slash;
    if (platform && (slash = strrchr(platform, '/'))) return slash + 1;
    return platform;
}

static Status check_device(const RunInfo *m, const RunInfo *s) {
    const char *measured = platform_of(m->device), *simulated = platform_of(s->device);
    if (!measured && !simulated && !strcmp(m->device, s->device)) return OK;
    if (measured && simulated && !strcmp(measured, simulated)) return OK;
    if (measured)
        FAIL(ERR_USAGE, "the report is of device %s, simulated is %s; give --gpus %d --platform %s",
             m->device, s->device, m->ranks, device_traits_platform(m->device));
    if (simulated)
        FAIL(ERR_USAGE,
             "the report is of device %s, simulated is %s; give --ranks %d, or a report of train "
             "--device %s",
             m->device, s->device, m->ranks, s->device);
    FAIL(ERR_USAGE,
         "the report is of device %s, simulated is %s; give a report or a trace of the "
         "same device",
         m->device, s->device);
}

// Advice in the words of the option that was given.
static Status check_size(const RunInfo *m, const RunInfo *s) {
    if (m->ranks == s->ranks && m->batch == s->batch) return OK;
    FAIL(ERR_USAGE,
         "the report is of %d rank%s with batch %lld, simulated are %d with %lld; give --%s %d "
         "--batch %lld",
         m->ranks, m->ranks == 1 ? "" : "s", (long long)m->batch, s->ranks, (long long)s->batch,
         device_traits_platform(s->device) ? "gpus" : "ranks", m->ranks, (long long)m->batch);
}

static Status check_jobs(const Report *measured, const Report *simulated) {
    const RunInfo *m = &measured->run, *s = &simulated->run;
    if (strcmp(m->kind, "train"))
        FAIL(ERR_USAGE, "the report is of kind \"%s\"; give one of train --report", m->kind);
    if (strcmp(m->model, s->model) || strcmp(m->dtype, s->dtype))
        FAIL(ERR_USAGE, "the report is of model %s in %s, simulated is %s in %s", m->model,
             m->dtype, s->model, s->dtype);
    TRY(check_device(m, s));
    return check_size(m, s);
}

static const char *setting_of(const RunInfo *run, const char *key) {
    for (int i = 0; i < run->strategy_count; i++)
        if (!strcmp(run->strategy[i].key, key)) return run->strategy[i].value;
    return NULL;
}

// "all_reduce ring instead of direct": a setting of one run that the other has not, or otherwise.
static void differ(char text[COMPARE_TEXT], const char *key, const char *m, const char *s) {
    if (m && s && !strcmp(m, s)) return;
    text_append(text, COMPARE_TEXT, "%s%s %s instead of %s", *text ? ", " : "", key, m ? m : "none",
                s ? s : "none");
}

// What is asked of a simulation, and happens to a measured run by itself.
static bool is_disturbance(const char *key) {
    return !strcmp(key, "jitter") || !strcmp(key, "straggler");
}

static void compare_settings(Comparison *c) {
    const RunInfo *m = &c->measured->run, *s = &c->simulated->run;
    for (int i = 0; i < m->strategy_count; i++)
        differ(c->settings, m->strategy[i].key, m->strategy[i].value,
               setting_of(s, m->strategy[i].key));
    for (int i = 0; i < s->strategy_count; i++) {
        const RunSetting *own = &s->strategy[i];
        if (is_disturbance(own->key))
            text_append(c->disturbances, COMPARE_TEXT, "%s%s %s", *c->disturbances ? ", " : "",
                        own->key, own->value);
        else if (!setting_of(m, own->key))
            differ(c->settings, own->key, NULL, own->value);
    }
    if (m->shards != s->shards)
        text_append(c->settings, COMPARE_TEXT, "%s%d shards instead of %d",
                    *c->settings ? ", " : "", m->shards, s->shards);
}

// How far apart two times are; one that is missing counts as nothing.
static double distance(const ComparedTime *t) {
    double m = isnan(t->measured_ms) ? 0 : t->measured_ms;
    double s = isnan(t->simulated_ms) ? 0 : t->simulated_ms;
    return fabs(s - m);
}

static int by_distance(const void *left, const void *right) {
    double a = distance(left), b = distance(right);
    return (a < b) - (a > b);
}

static const OperationTimes *find_operation(const Report *r, const OperationTimes *like) {
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        if (!strcmp(o->name, like->name) && o->shard == like->shard &&
            o->micro_batch == like->micro_batch)
            return o;
    }
    return NULL;
}

static ComparedTime pair(const OperationTimes *measured, const OperationTimes *simulated) {
    const OperationTimes *known = measured ? measured : simulated;
    return (ComparedTime){known->name,
                          known->phase,
                          known->shard,
                          known->micro_batch,
                          measured ? measured->duration_ms.median : (double)NAN,
                          simulated ? simulated->duration_ms.median : (double)NAN};
}

static Status compare_operations(Comparison *c, Arena *a) {
    const Report *m = c->measured, *s = c->simulated;
    c->operations = ARENA_NEW(a, ComparedTime, m->operation_count + s->operation_count + 1);
    if (!c->operations) FAIL(ERR_MEMORY, "out of memory for comparing operations");
    for (int i = 0; i < m->operation_count; i++)
        c->operations[c->operation_count++] =
            pair(&m->operations[i], find_operation(s, &m->operations[i]));
    for (int i = 0; i < s->operation_count; i++)
        if (!find_operation(m, &s->operations[i]))
            c->operations[c->operation_count++] = pair(NULL, &s->operations[i]);
    qsort(c->operations, (size_t)c->operation_count, sizeof *c->operations, by_distance);
    return OK;
}

static Status compare_phases(Comparison *c, Arena *a) {
    c->phases = ARENA_NEW(a, ComparedTime, PHASE_COUNT);
    if (!c->phases) FAIL(ERR_MEMORY, "out of memory for comparing phases");
    for (int p = 0; p < PHASE_COUNT; p++) {
        const char *name = phase_name((Phase)p);
        double m = report_phase_ms(c->measured, name), s = report_phase_ms(c->simulated, name);
        if (isnan(m) && isnan(s)) continue;
        c->phases[c->phase_count++] =
            (ComparedTime){.name = name, .phase = name, .measured_ms = m, .simulated_ms = s};
    }
    return OK;
}

Status compare_reports(Comparison *out, Arena *a, const Report *measured, const Report *simulated) {
    TRY(check_jobs(measured, simulated));
    *out = (Comparison){.measured = measured, .simulated = simulated};
    compare_settings(out);
    out->error = report_error(simulated->step_ms.median, measured->step_ms.median);
    out->difference_ms = simulated->step_ms.median - measured->step_ms.median;
    out->noise_ms = measured->step_ms.mean - measured->step_ms.median;
    for (int b = 0; b < TIME_COUNT; b++)
        out->breakdown[b] = (ComparedTime){.name = time_category_name((TimeCategory)b),
                                           .measured_ms = measured->breakdown_ms[b],
                                           .simulated_ms = simulated->breakdown_ms[b]};
    TRY(compare_phases(out, a));
    return compare_operations(out, a);
}
