// SPDX-License-Identifier: MIT
#include "programs/job_options.h"

#include <stdarg.h>
#include <stdio.h>

// The words of --dtype, in the order of its row.
static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64};

// What a plan states cannot be asked for besides it.
static Status check_plan(const JobValues *v, const OptionLine *line) {
    static const char *const stated[] = {"optimizer",  "momentum",   "nesterov",  "weight-decay",
                                         "all-reduce", "bucket-kib", "no-overlap"};
    for (size_t i = 0; i < sizeof stated / sizeof *stated; i++)
        if (option_given(line, stated[i]))
            FAIL(ERR_USAGE,
                 "--%s is stated in the plan %s; change it there, or print another with "
                 "--print-plan step",
                 stated[i], v->plan);
    return OK;
}

Status job_values_check(const JobValues *v, const OptionLine *line) {
    if (v->buckets.count != 2)
        FAIL(ERR_USAGE, "--bucket-kib takes two numbers, FIRST,CAP, such as 4,32");
    if (v->nesterov && v->momentum == 0) FAIL(ERR_USAGE, "--nesterov needs a --momentum above 0");
    return v->plan ? check_plan(v, line) : OK;
}

Dtype job_dtype(const JobValues *v) { return dtypes[v->dtype]; }

Sgd job_sgd(const JobValues *v) { return (Sgd){v->momentum, v->weight_decay, v->nesterov}; }

StrategyOptions job_strategy(const JobValues *v) {
    return (StrategyOptions){.first_bucket_bytes = v->buckets.items[0] * 1024,
                             .bucket_bytes = v->buckets.items[1] * 1024,
                             .no_overlap = v->no_overlap,
                             .algorithm = (Algorithm)v->all_reduce};
}

static Status print_setting(const char **out, Arena *a, const char *fmt, ...) PRINTF_LIKE(3, 4);
static Status print_setting(const char **out, Arena *a, const char *fmt, ...) {
    char text[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    *out = arena_string(a, text);
    if (!*out) FAIL(ERR_MEMORY, "out of memory");
    return OK;
}

Status job_settings(RunSetting out[JOB_SETTINGS], int *count, Arena *a, const JobSettings *s) {
    const char *buckets, *dp, *accumulate;
    TRY(print_setting(&buckets, a, "%lld,%lld", (long long)s->strategy->first_bucket_bytes / 1024,
                      (long long)s->strategy->bucket_bytes / 1024));
    TRY(print_setting(&dp, a, "%d", s->ranks));
    TRY(print_setting(&accumulate, a, "%lld", (long long)s->micro_batches));
    int n = 0;
    out[n++] = (RunSetting){"name", s->plan ? "plan" : s->ranks > 1 ? "ddp" : "single"};
    out[n++] = (RunSetting){"dp", dp};
    out[n++] = (RunSetting){"accumulate", accumulate};
    if (s->plan) out[n++] = (RunSetting){"plan", s->plan};
    if (s->ranks > 1 && !s->plan) {
        out[n++] = (RunSetting){"all_reduce", algorithm_name(s->strategy->algorithm)};
        out[n++] = (RunSetting){"bucket_kib", buckets};
        out[n++] = (RunSetting){"overlap", s->strategy->no_overlap ? "false" : "true"};
    }
    *count = n;
    return OK;
}
