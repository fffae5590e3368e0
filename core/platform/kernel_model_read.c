// SPDX-License-Identifier: MIT
// What a machine file says about kernels (docs/formats.md, Machine files): read, checked, printed.
#include "core/base/units.h"
#include "core/platform/kernel_model_internal.h"

#include <string.h>

// Without n it stays as it is.
static Status get_share(int32_t *out, const YamlNode *n) {
    double share = 1;
    if (!n) return OK;
    TRY(yaml_get_real(&share, n, 1e-3, 1));
    *out = (int32_t)(share * 1000 + 0.5);
    return OK;
}

static Status get_extent(int32_t *out, const YamlNode *n) {
    int64_t value = 1;
    TRY(yaml_get_int(&value, n, 1, 65536));
    *out = (int32_t)value;
    return OK;
}

static Status get_fill(int64_t *out, const YamlNode *n) {
    TRY(yaml_get_duration(out, n));
    if (*out < 0 || *out > PS_PER_S) YAML_FAIL(n, "fill: expected at most 1s, found %s", n->text);
    return OK;
}

static Status get_tiles(KernelModel *k, const YamlNode *n) {
    TRY(yaml_expect(n, YAML_SEQUENCE));
    if (n->count < 1 || n->count > KERNEL_TILES)
        YAML_FAIL(n, "tiles: expected 1 to %d of them, found %d", KERNEL_TILES, n->count);
    for (const YamlNode *i = n->first; i; i = i->next) {
        KernelTile *t = &k->tiles[k->tile_count++];
        TRY(yaml_check_keys(i, "rows columns reached fill", ""));
        TRY(get_extent(&t->rows, yaml_find(i, "rows")));
        TRY(get_extent(&t->columns, yaml_find(i, "columns")));
        TRY(get_share(&t->reached_permille, yaml_find(i, "reached")));
        TRY(get_fill(&t->fill_ps, yaml_find(i, "fill")));
    }
    return OK;
}

static Status get_products(KernelModel *k, const YamlNode *n) {
    TRY(yaml_check_keys(n, "most tiles", "odd even bias"));
    TRY(get_share(&k->most_permille, yaml_find(n, "most")));
    TRY(get_share(&k->odd_permille, yaml_find(n, "odd")));
    TRY(get_share(&k->even_permille, yaml_find(n, "even")));
    TRY(get_share(&k->bias_permille, yaml_find(n, "bias")));
    return get_tiles(k, yaml_find(n, "tiles"));
}

static Status get_attention(KernelModel *k, const YamlNode *n) {
    const YamlNode *backward_fill = yaml_find(n, "backward_fill");
    TRY(yaml_check_keys(n, "rows reached backward fill", "backward_fill"));
    k->attention.columns = 1;
    TRY(get_extent(&k->attention.rows, yaml_find(n, "rows")));
    TRY(get_share(&k->attention.reached_permille, yaml_find(n, "reached")));
    TRY(get_share(&k->attention_backward_permille, yaml_find(n, "backward")));
    TRY(get_fill(&k->attention.fill_ps, yaml_find(n, "fill")));
    k->attention_backward_fill_ps = k->attention.fill_ps;
    return backward_fill ? get_fill(&k->attention_backward_fill_ps, backward_fill) : OK;
}

static Status get_kinds(KernelModel *k, const YamlNode *n) {
    TRY(yaml_expect(n, YAML_MAPPING));
    for (const YamlNode *i = n->first; i; i = i->next) {
        int kind = kind_find(i->key, (int)strlen(i->key));
        if (kind < 0)
            YAML_FAIL(i, "kinds: expected kinds of work, such as layer_norm, found %.60s", i->key);
        TRY(get_share(&k->kind_permille[kind], i));
    }
    return OK;
}

// Sizes rise, and so does the time that they take.
static Status get_curve(KernelModel *k, const YamlNode *n) {
    if (n->count < 1 || n->count > KERNEL_POINTS)
        YAML_FAIL(n, "memory: expected 1 to %d sizes, found %d", KERNEL_POINTS, n->count);
    for (const YamlNode *i = n->first; i; i = i->next) {
        int at = k->point_count++;
        if (units_parse_size(&k->bytes[at], i->key) != OK || k->bytes[at] < 1)
            YAML_FAIL(i, "memory: expected sizes, such as 1MiB: 0.5, found %.60s", i->key);
        TRY(get_share(&k->bytes_permille[at], i));
        if (at == 0) continue;
        if (k->bytes[at] <= k->bytes[at - 1])
            YAML_FAIL(i, "memory: expected sizes that rise, found %s", i->key);
        if ((__int128)k->bytes[at] * k->bytes_permille[at - 1] <
            (__int128)k->bytes[at - 1] * k->bytes_permille[at])
            YAML_FAIL(i, "memory: %s would take less time than the size before", i->key);
    }
    return OK;
}

Status kernel_model_read(KernelModel *out, const YamlNode *device) {
    const YamlNode *units = yaml_find(device, "units"), *products = yaml_find(device, "products");
    const YamlNode *attention = yaml_find(device, "attention");
    const YamlNode *reached = yaml_find(device, "reached");
    const YamlNode *memory = reached ? yaml_find(reached, "memory") : NULL;
    const YamlNode *kinds = reached ? yaml_find(reached, "kinds") : NULL;
    *out = (KernelModel){0};
    if (kinds) TRY(get_kinds(out, kinds));
    if (memory && memory->kind == YAML_MAPPING) TRY(get_curve(out, memory));
    if (!units && (products || attention))
        YAML_FAIL(products ? products : attention,
                  "%s: in waves of how many? Add the device's multiprocessors, \"units: 108\"",
                  products ? "products" : "attention");
    if (units) TRY(get_extent(&out->units, units));
    if (products) TRY(get_products(out, products));
    return attention ? get_attention(out, attention) : OK;
}

// --- printing

static void put_share(FILE *f, const char *before, int32_t permille) {
    fprintf(f, "%s%d.%03d", before, permille / 1000, permille % 1000);
}

void kernel_model_print_curve(const KernelModel *k, FILE *f) {
    char text[UNITS_TEXT];
    for (int i = 0; i < k->point_count; i++) {
        fprintf(f, "%s%s", i ? ", " : "{", units_exact_size(text, k->bytes[i]));
        put_share(f, ": ", k->bytes_permille[i]);
    }
    fputc('}', f);
}

void kernel_model_print_kinds(const KernelModel *k, FILE *f) {
    int any = 0;
    for (int i = 0; i < KIND_COUNT; i++) {
        if (!k->kind_permille[i]) continue;
        fprintf(f, "%s%s", any++ ? ", " : ", kinds: {", kind_name((Kind)i));
        put_share(f, ": ", k->kind_permille[i]);
    }
    if (any) fputc('}', f);
}

void kernel_model_print(const KernelModel *k, FILE *f) {
    char text[UNITS_TEXT];
    if (k->units) fprintf(f, "  units: %d\n", k->units);
    if (k->tile_count) {
        put_share(f, "  products:\n    most: ", k->most_permille);
        if (k->odd_permille) put_share(f, "\n    odd: ", k->odd_permille);
        if (k->even_permille) put_share(f, "\n    even: ", k->even_permille);
        if (k->bias_permille) put_share(f, "\n    bias: ", k->bias_permille);
        fputs("\n    tiles:\n", f);
    }
    for (int i = 0; i < k->tile_count; i++) {
        const KernelTile *t = &k->tiles[i];
        fprintf(f, "      - {rows: %d, columns: %d", t->rows, t->columns);
        put_share(f, ", reached: ", t->reached_permille);
        fprintf(f, ", fill: %s}\n", units_exact_duration(text, t->fill_ps));
    }
    if (!k->attention.rows) return;
    fprintf(f, "  attention: {rows: %d", k->attention.rows);
    put_share(f, ", reached: ", k->attention.reached_permille);
    put_share(f, ", backward: ", k->attention_backward_permille);
    fprintf(f, ", fill: %s", units_exact_duration(text, k->attention.fill_ps));
    fprintf(f, ", backward_fill: %s}\n", units_exact_duration(text, k->attention_backward_fill_ps));
}
