// SPDX-License-Identifier: MIT
// To JSON and back. Text from a file is copied, and checked like everything that others wrote.
#include "core/record/run_info.h"

#include "core/base/printable.h"
#include "core/base/text.h"
#include "core/base/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *run_info_factor(const RunInfo *run, const char *key) {
    for (int i = 0; i < run->strategy_count; i++)
        if (!strcmp(run->strategy[i].key, key) && strcmp(run->strategy[i].value, "1") != 0)
            return run->strategy[i].value;
    return NULL;
}

const char *run_info_degrees(char out[RUN_DEGREES], const RunInfo *run, bool data) {
    static const char *const keys[] = {"pp", "dp", "cp", "tp", "ep"};
    int model = 0;
    *out = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = run_info_factor(run, keys[i]);
        bool is_data = !strcmp(keys[i], "dp");
        if (!value || (is_data && !data)) continue;
        model += !is_data;
        text_append(out, RUN_DEGREES, "%s%s %.11s", *out ? ", " : "", keys[i], value);
    }
    if (!model) *out = '\0';
    printable_make(out);  // a report that was read may hold anything
    return out;
}

// Digits that a file may hold as a number: no leading zeros, no overflow.
static bool is_whole_number(const char *text) {
    const char *digits = text + (*text == '-');
    size_t length = strspn(digits, "0123456789");
    return length && length <= 18 && !digits[length] && (*digits != '0' || !strcmp(text, "0"));
}

// A number that is printed as it stands here.
static bool is_number(const char *text) {
    char *end, again[UNITS_TEXT];
    double value = strtod(text, &end);
    return end > text && !*end && isfinite(value) && !strcmp(units_print_real(again, value), text);
}

static json_t *setting_to_json(const char *value) {
    if (is_whole_number(value)) return json_integer(strtoll(value, NULL, 10));
    if (is_number(value)) return json_real(strtod(value, NULL));
    if (!strcmp(value, "true")) return json_true();
    if (!strcmp(value, "false")) return json_false();
    return json_text(value);
}

static json_t *use_to_json(const HostUse *u) {
    if (u->seconds <= 0) return json_null();
    json_t *out = json_object();
    int failed = json_object_set_new(out, "others_cores", json_number(u->others_cores));
    failed |= json_object_set_new(out, "steal_cores", json_number(u->steal_cores));
    failed |= json_object_set_new(out, "cores", json_integer(u->cores));
    failed |= json_object_set_new(out, "threads", json_integer(u->threads));
    failed |= json_object_set_new(out, "seconds", json_number(u->seconds));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

static json_t *resumed_to_json(const RunInfo *run) {
    if (!run->resumed_from) return json_null();
    json_t *out = json_object();
    int failed = json_object_set_new(out, "from", json_text(run->resumed_from));
    failed |= json_object_set_new(out, "step", json_integer(run->resumed_step));
    if (!failed) return out;
    json_decref(out);
    return NULL;
}

static int settings_to_json(json_t *object, const char *name, const RunSetting *list, int count) {
    json_t *settings = json_object();
    int failed = 0;
    for (int i = 0; i < count; i++)
        failed |= json_object_set_new(settings, list[i].key, setting_to_json(list[i].value));
    return failed | json_object_set_new(object, name, settings);
}

Status run_info_to_json(json_t *object, const RunInfo *run) {
    json_t *argv = json_array();
    int failed = 0;
    for (int i = 0; i < run->argc; i++)
        failed |= json_array_append_new(argv, json_text(run->argv[i]));
    failed |= json_object_set_new(object, "kind", json_text(run->kind));
    failed |= json_object_set_new(object, "model", json_text(run->model));
    failed |= settings_to_json(object, "strategy", run->strategy, run->strategy_count);
    if (run->optimizer_count)
        failed |= settings_to_json(object, "optimizer", run->optimizer, run->optimizer_count);
    failed |= json_object_set_new(object, "ranks", json_integer(run->ranks));
    failed |= json_object_set_new(object, "device", json_text(run->device));
    failed |= json_object_set_new(object, "comm", json_text(run->comm));
    failed |= json_object_set_new(object, "dtype", json_text(run->dtype));
    failed |= json_object_set_new(object, "shards", json_integer(run->shards));
    failed |= json_object_set_new(object, "batch", json_integer(run->batch));
    failed |= json_object_set_new(object, "seed", json_integer(run->seed));
    failed |= json_object_set_new(object, "argv", argv);
    failed |= json_object_set_new(object, "resumed", resumed_to_json(run));
    failed |= json_object_set_new(object, "disturbed", use_to_json(&run->disturbed));
    if (failed) FAIL(ERR_MEMORY, "no memory to describe the run");
    return OK;
}

static Status copy_text(const char **out, Arena *a, const char *text, const char *source) {
    *out = arena_string(a, text);
    if (!*out) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    return OK;
}

static Status get_text(const char **out, Arena *a, const json_t *object, const char *source,
                       const char *key) {
    TRY(json_get_string(out, object, source, "%s", key));
    return copy_text(out, a, *out, source);
}

static Status setting_from_json(RunSetting *out, Arena *a, const char *key, const json_t *value,
                                const char *source, const char *section) {
    char number[UNITS_TEXT];
    const char *text = NULL;
    if (json_is_string(value)) text = json_string_value(value);
    if (json_is_boolean(value)) text = json_is_true(value) ? "true" : "false";
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (json_is_real(value)) text = units_print_real(number, json_real_value(value));
    if (!text)
        FAIL(ERR_FORMAT, "%s: %s.%.60s: expected a string, a number, true or false", source,
             section, key);
    TRY(copy_text(&out->key, a, key, source));
    return copy_text(&out->value, a, text, source);
}

static Status settings_from_json(const RunSetting **out, int32_t *count, Arena *a,
                                 const json_t *object, const char *source, const char *section) {
    json_t *list, *value;
    const char *key;
    TRY(json_get_object(&list, object, source, "%s", section));
    RunSetting *settings = ARENA_NEW(a, RunSetting, json_object_size(list));
    if (!settings) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    *out = settings;
    json_object_foreach(list, key, value)
        TRY(setting_from_json(&settings[(*count)++], a, key, value, source, section));
    return OK;
}

static Status lists_from_json(RunInfo *out, Arena *a, const json_t *object, const char *source) {
    json_t *list;
    TRY(settings_from_json(&out->strategy, &out->strategy_count, a, object, source, "strategy"));
    if (json_object_get(object, "optimizer"))
        TRY(settings_from_json(&out->optimizer, &out->optimizer_count, a, object, source,
                               "optimizer"));
    TRY(json_get_array(&list, object, source, "argv"));
    const char **argv = ARENA_NEW(a, const char *, json_array_size(list));
    if (!argv) FAIL(ERR_MEMORY, "%s: no memory to read it", source);
    out->argv = argv;
    for (; out->argc < (int)json_array_size(list); out->argc++) {
        const char *word;
        TRY(json_get_string(&word, object, source, "argv[%d]", out->argc));
        TRY(copy_text(&argv[out->argc], a, word, source));
    }
    return OK;
}

// What others write is believed no further than it can be true.
static Status get_cores(double *out, const json_t *object, int cores, const char *source,
                        const char *at) {
    TRY(json_get_real(out, object, source, "%s", at));
    if (*out >= 0 && *out <= cores) return OK;
    FAIL(ERR_FORMAT, "%s: %s: expected 0 to %d cores, found %g", source, at, cores, *out);
}

// Older files do not have it.
static Status use_from_json(HostUse *out, const json_t *object, const char *source) {
    const json_t *use = json_find(object, "disturbed");
    int64_t cores, threads;
    if (!use || json_is_null(use)) return OK;
    TRY(json_get_int_in(&cores, object, 1, INT32_MAX, source, "disturbed.cores"));
    TRY(json_get_int_in(&threads, object, 1, INT32_MAX, source, "disturbed.threads"));
    TRY(json_get_real(&out->seconds, object, source, "disturbed.seconds"));
    if (!(out->seconds > 0))
        FAIL(ERR_FORMAT, "%s: disturbed.seconds: expected more than 0, found %g", source,
             out->seconds);
    out->cores = (int32_t)cores;
    out->threads = (int32_t)threads;
    TRY(get_cores(&out->others_cores, object, out->cores, source, "disturbed.others_cores"));
    return get_cores(&out->steal_cores, object, out->cores, source, "disturbed.steal_cores");
}

// Older files do not have it.
static Status resumed_from_json(RunInfo *out, Arena *a, const json_t *object, const char *source) {
    const json_t *resumed = json_find(object, "resumed");
    if (!resumed || json_is_null(resumed)) return OK;
    TRY(get_text(&out->resumed_from, a, object, source, "resumed.from"));
    return json_get_int_in(&out->resumed_step, object, 0, INT32_MAX, source, "resumed.step");
}

Status run_info_from_json(RunInfo *out, Arena *a, const json_t *object, const char *source) {
    *out = (RunInfo){0};
    int64_t ranks, shards;
    TRY(get_text(&out->kind, a, object, source, "kind"));
    TRY(get_text(&out->model, a, object, source, "model"));
    TRY(get_text(&out->device, a, object, source, "device"));
    TRY(get_text(&out->comm, a, object, source, "comm"));
    TRY(get_text(&out->dtype, a, object, source, "dtype"));
    TRY(json_get_int_in(&ranks, object, 1, INT32_MAX, source, "ranks"));
    TRY(json_get_int_in(&shards, object, 0, INT32_MAX, source, "shards"));
    TRY(json_get_int(&out->batch, object, source, "batch"));
    TRY(json_get_int(&out->seed, object, source, "seed"));
    out->ranks = (int32_t)ranks;
    out->shards = (int32_t)shards;
    TRY(resumed_from_json(out, a, object, source));
    TRY(use_from_json(&out->disturbed, object, source));
    return lists_from_json(out, a, object, source);
}
