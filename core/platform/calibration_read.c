// SPDX-License-Identifier: MIT
// The section `calibration` of a machine file (docs/formats.md, Machine files).
#include "core/platform/calibration.h"
#include "core/platform/calibration_internal.h"

#include "core/base/units.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KEY_OF(field, key, text) " " key

typedef Status (*GetQuantity)(int64_t *out, const YamlNode *n);

static Status get_measured(Measured *out, const YamlNode *n, GetQuantity get, int64_t least) {
    if (!n) return OK;
    TRY(yaml_expect(n, YAML_MAPPING));
    TRY(yaml_check_keys(n, "median low high", ""));
    TRY(get(&out->median, yaml_find(n, "median")));
    TRY(get(&out->low, yaml_find(n, "low")));
    TRY(get(&out->high, yaml_find(n, "high")));
    if (out->low < least)
        YAML_FAIL(yaml_find(n, "low"), "\"%s\": expected more than 0, found %s", n->key,
                  yaml_find(n, "low")->text);
    if (out->low > out->median || out->median > out->high)
        YAML_FAIL(n, "\"%s\": expected low <= median <= high, found %s, %s, %s", n->key,
                  yaml_find(n, "low")->text, yaml_find(n, "median")->text,
                  yaml_find(n, "high")->text);
    out->known = true;
    return OK;
}

static Status get_time(Measured *out, const YamlNode *n) {
    return get_measured(out, n, yaml_get_duration, 0);
}

static Status get_rate(Measured *out, const YamlNode *n) {
    return get_measured(out, n, yaml_get_bandwidth, 1);
}

static Status get_rates(MemoryRate **out, int *count, Arena *a, const YamlNode *n) {
    if (!n) return OK;
    TRY(yaml_expect(n, YAML_SEQUENCE));
    *out = ARENA_NEW(a, MemoryRate, n->count + 1);
    if (!*out) FAIL(ERR_MEMORY, "%s: no memory to read it", n->source);
    for (const YamlNode *item = n->first; item; item = item->next) {
        MemoryRate *r = &(*out)[(*count)++];
        TRY(yaml_check_keys(item, "bytes own", "peer"));
        const YamlNode *bytes = yaml_find(item, "bytes");
        TRY(yaml_get_size(&r->bytes, bytes));
        if (r->bytes < 1)
            YAML_FAIL(bytes, "\"bytes\": expected more than 0, found %s", bytes->text);
        if (*count > 1 && r->bytes <= r[-1].bytes)
            YAML_FAIL(bytes, "\"bytes\": expected a larger size than the one before, found %s",
                      bytes->text);
        TRY(get_rate(&r->own, yaml_find(item, "own")));
        TRY(get_rate(&r->peer, yaml_find(item, "peer")));
    }
    return OK;
}

// 16 hexadecimal digits.
static Status get_key(uint64_t *out, const YamlNode *n) {
    const char *text;
    TRY(yaml_get_string(&text, n));
    size_t digits = 0;
    while (isxdigit((unsigned char)text[digits])) digits++;
    if (digits != 16 || text[digits])
        YAML_FAIL(n, "\"key\": expected 16 hexadecimal digits, found \"%.60s\"", text);
    *out = strtoull(text, NULL, 16);
    return OK;
}

static Status get_operation(OperationTime *o, const YamlNode *n) {
    TRY(yaml_check_keys(n, "key name rows flops bytes solo", "co_run oversubscribed"));
    TRY(get_key(&o->cost_key, yaml_find(n, "key")));
    TRY(yaml_get_string(&o->name, yaml_find(n, "name")));
    TRY(yaml_get_int(&o->rows, yaml_find(n, "rows"), 1, INT64_MAX));
    TRY(yaml_get_int(&o->flops, yaml_find(n, "flops"), 0, INT64_MAX));
    TRY(yaml_get_size(&o->bytes, yaml_find(n, "bytes")));
    TRY(get_time(&o->solo_ps, yaml_find(n, "solo")));
    TRY(get_time(&o->co_run_ps, yaml_find(n, "co_run")));
    return get_time(&o->oversubscribed_ps, yaml_find(n, "oversubscribed"));
}

static Status get_operations(Calibration *c, Arena *a, const YamlNode *n) {
    if (!n) return OK;
    TRY(yaml_expect(n, YAML_SEQUENCE));
    c->operations = ARENA_NEW(a, OperationTime, n->count + 1);
    if (!c->operations) FAIL(ERR_MEMORY, "%s: no memory to read it", n->source);
    for (const YamlNode *item = n->first; item; item = item->next) {
        OperationTime *o = &c->operations[c->operation_count];
        TRY(get_operation(o, item));
        if (calibration_find(c, o->cost_key))
            YAML_FAIL(yaml_find(item, "key"), "\"key\": %s occurs twice",
                      yaml_find(item, "key")->text);
        c->operation_count++;
    }
    return OK;
}

static Status get_times(Calibration *c, const YamlNode *n) {
#define GET(field, key, text) TRY(get_time(&c->field, yaml_find(n, key)));
    CALIBRATION_TIMES(GET)
#undef GET
    return OK;
}

Status calibration_read(Calibration *out, Arena *a, const YamlNode *n) {
    *out = (Calibration){0};
    TRY(yaml_expect(n, YAML_MAPPING));
    TRY(yaml_check_keys(n, "model device dtype rows when",
                        "cpu quick copy reduce operations" CALIBRATION_TIMES(KEY_OF)));
    TRY(yaml_get_string(&out->model, yaml_find(n, "model")));
    TRY(yaml_get_string(&out->device, yaml_find(n, "device")));
    TRY(yaml_get_string(&out->dtype, yaml_find(n, "dtype")));
    TRY(yaml_get_string(&out->cpu, yaml_find(n, "cpu")));
    TRY(yaml_get_string(&out->when, yaml_find(n, "when")));
    TRY(yaml_get_bool(&out->quick, yaml_find(n, "quick")));
    TRY(yaml_get_int(&out->rows, yaml_find(n, "rows"), 1, INT64_MAX));
    TRY(get_times(out, n));
    TRY(get_rates(&out->copy, &out->copy_count, a, yaml_find(n, "copy")));
    TRY(get_rates(&out->reduce, &out->reduce_count, a, yaml_find(n, "reduce")));
    return get_operations(out, a, yaml_find(n, "operations"));
}

const OperationTime *calibration_find(const Calibration *c, uint64_t cost_key) {
    for (int i = 0; i < c->operation_count; i++)
        if (c->operations[i].cost_key == cost_key) return &c->operations[i];
    return NULL;
}

// --- operations that were measured in another size

int64_t calibration_work_permille(const OperationTime *t, int64_t flops, int64_t bytes) {
    bool by_flops = flops > 0 && t->flops > 0;
    int64_t own = by_flops ? t->flops : t->bytes, asked = by_flops ? flops : bytes;
    __int128 permille = own > 0 ? (__int128)asked * 1000 / own : 1000;
    return permille > INT32_MAX ? INT32_MAX : (int64_t)permille;
}

// Layers before the last point, joined by '+' where they are fused, then the direction.
static bool is_like(const char *a, const char *b) {
    const char *of_a = strrchr(a, '.'), *of_b = strrchr(b, '.');
    if (!of_a || !of_b || strcmp(of_a, of_b)) return !strcmp(a, b);
    size_t first_a = strcspn(a, "+"), first_b = strcspn(b, "+");
    if (first_a > (size_t)(of_a - a)) first_a = (size_t)(of_a - a);
    if (first_b > (size_t)(of_b - b)) first_b = (size_t)(of_b - b);
    return first_a == first_b && !strncmp(a, b, first_a);
}

// As a factor, whichever way.
static int64_t distance(int64_t permille) {
    return permille > 1000 ? permille : permille > 0 ? 1000000 / permille : INT64_MAX;
}

const OperationTime *calibration_find_like(const Calibration *c, const char *name, int64_t flops,
                                           int64_t bytes) {
    const OperationTime *best = NULL;
    int64_t nearest = INT64_MAX;
    for (int i = 0; i < c->operation_count; i++) {
        const OperationTime *t = &c->operations[i];
        if (!is_like(t->name, name) || !t->solo_ps.known) continue;
        int64_t away = distance(calibration_work_permille(t, flops, bytes));
        if (best && away >= nearest) continue;
        best = t;
        nearest = away;
    }
    return best;
}
