// SPDX-License-Identifier: MIT
// The section `collectives` of machine files: read key by key, and written.
#include "core/platform/nccl_constants.h"

#include "core/base/units.h"
#include "core/base/yaml.h"

#include <stdlib.h>
#include <string.h>

static Status get_rate(int64_t *out, const YamlNode *n) {
    TRY(yaml_get_bandwidth(out, n));
    if (*out >= 1000000 && *out <= INT64_C(100000000000000)) return OK;
    YAML_FAIL(n, "%s: expected 1MB/s to 100TB/s for a channel, found %s", n->key, n->text);
}

// "channels: 24", or "channels: {2: 2, 8: 12}": of groups of 2 devices and more, of 8 and more.
static Status get_channels(NcclConstants *c, const YamlNode *n) {
    int64_t count = 0;
    if (n->kind != YAML_MAPPING) {
        TRY(yaml_get_int(&count, n, 1, NCCL_CHANNELS_MAX));
        c->channels[0] = (NcclChannels){2, (int32_t)count};
        c->group_sizes = 1;
        return OK;
    }
    if (n->count > NCCL_GROUP_SIZES)
        YAML_FAIL(n, "channels: expected at most %d sizes of groups, found %d", NCCL_GROUP_SIZES,
                  n->count);
    for (const YamlNode *row = n->first; row; row = row->next) {
        char *end;
        long ranks = strtol(row->key, &end, 10);
        long before = c->group_sizes ? c->channels[c->group_sizes - 1].ranks : 1;
        if (*end || ranks <= before || ranks > 4096)
            YAML_FAIL(row,
                      "channels: expected sizes of groups from 2 to 4096, the smallest first, "
                      "found \"%.60s\"",
                      row->key);
        TRY(yaml_get_int(&count, row, 1, NCCL_CHANNELS_MAX));
        c->channels[c->group_sizes++] = (NcclChannels){(int32_t)ranks, (int32_t)count};
    }
    if (!c->group_sizes) YAML_FAIL(n, "channels: expected sizes of groups, such as {2: 4}");
    return OK;
}

static Status get_lane(int32_t *channels, int64_t *bytes_per_s, const YamlNode *n) {
    int64_t count = 0;
    if (!n) return OK;
    TRY(yaml_check_keys(n, "channels bandwidth", ""));
    TRY(yaml_get_int(&count, yaml_find(n, "channels"), 1, NCCL_CHANNELS_MAX));
    *channels = (int32_t)count;
    return get_rate(bytes_per_s, yaml_find(n, "bandwidth"));
}

static Status get_factor(int32_t *out, const YamlNode *n) {
    double factor = 1;
    if (!n) return OK;
    TRY(yaml_get_real(&factor, n, 0.001, 1000));
    *out = (int32_t)(factor * NCCL_UNIT + 0.5);
    return OK;
}

static Status get_fitted(NcclConstants *c, const YamlNode *n) {
    c->hop_within = c->hop_across = c->bandwidth_within = c->bandwidth_across = NCCL_UNIT;
    if (!n) return OK;
    TRY(yaml_check_keys(n, "",
                        "base_latency hop_within hop_across bandwidth_within bandwidth_across "
                        "group_loss ramp"));
    const YamlNode *base = yaml_find(n, "base_latency");
    TRY(yaml_get_duration(&c->base_latency_ps, base));
    if (c->base_latency_ps > PS_PER_S)
        YAML_FAIL(base, "base_latency: expected at most 1s, found %s", base->text);
    const YamlNode *ramp = yaml_find(n, "ramp");
    TRY(yaml_get_duration(&c->ramp_ps, ramp));
    if (c->ramp_ps > PS_PER_S) YAML_FAIL(ramp, "ramp: expected at most 1s, found %s", ramp->text);
    TRY(get_factor(&c->hop_within, yaml_find(n, "hop_within")));
    TRY(get_factor(&c->hop_across, yaml_find(n, "hop_across")));
    TRY(get_factor(&c->bandwidth_within, yaml_find(n, "bandwidth_within")));
    TRY(get_factor(&c->bandwidth_across, yaml_find(n, "bandwidth_across")));
    double loss = 0;
    TRY(yaml_get_real(&loss, yaml_find(n, "group_loss"), 0, 1));
    c->group_loss = (int32_t)(loss * NCCL_UNIT + 0.5);
    return OK;
}

Status nccl_constants_read(NcclConstants *out, const YamlNode *n, int32_t devices) {
    NcclConstants c = {.devices = devices};
    int architecture = 0, wire = NCCL_NVLINK, cpu = NCCL_INTEL;
    TRY(yaml_check_keys(n, "architecture within", "wire cpu across nvls collnet fitted"));
    TRY(yaml_get_choice(&architecture, yaml_find(n, "architecture"), NCCL_ARCHITECTURE_WORDS));
    TRY(yaml_get_choice(&wire, yaml_find(n, "wire"), NCCL_WIRE_WORDS));
    TRY(yaml_get_choice(&cpu, yaml_find(n, "cpu"), NCCL_CPU_WORDS));
    c.architecture = (NcclArchitecture)architecture;
    c.wire = (NcclWire)wire;
    c.cpu = (NcclCpu)cpu;
    const YamlNode *within = yaml_find(n, "within"), *nvls = yaml_find(n, "nvls");
    TRY(yaml_check_keys(within, "channels bandwidth", ""));
    TRY(get_channels(&c, yaml_find(within, "channels")));
    TRY(get_rate(&c.channel_bytes_per_s, yaml_find(within, "bandwidth")));
    TRY(get_lane(&c.across_channels, &c.across_bytes_per_s, yaml_find(n, "across")));
    TRY(get_lane(&c.nvls_channels, &c.nvls_bytes_per_s, nvls));
    if (nvls && c.architecture < NCCL_HOPPER)
        YAML_FAIL(nvls, "nvls: switches add up from hopper on, and the architecture is older");
    TRY(yaml_get_bool(&c.collnet, yaml_find(n, "collnet")));
    TRY(get_fitted(&c, yaml_find(n, "fitted")));
    *out = c;
    return OK;
}

// The word of that number in "a|b|c".
static void put_word(FILE *f, const char *key, const char *words, int number) {
    for (; number > 0; number--) words = strchr(words, '|') + 1;
    fprintf(f, "  %s: %.*s\n", key, (int)strcspn(words, "|"), words);
}

static void put_lane(FILE *f, const char *key, int32_t channels, int64_t bytes_per_s) {
    char text[UNITS_TEXT];
    if (channels)
        fprintf(f, "  %s: {channels: %d, bandwidth: %s}\n", key, channels,
                units_exact_bandwidth(text, bytes_per_s));
}

static void put_factor(FILE *f, const char *key, int32_t millionths) {
    fprintf(f, ", %s: %d.%06d", key, millionths / NCCL_UNIT, millionths % NCCL_UNIT);
}

void nccl_constants_write(FILE *f, const NcclConstants *c) {
    char text[UNITS_TEXT];
    fputs("collectives:\n", f);
    put_word(f, "architecture", NCCL_ARCHITECTURE_WORDS, (int)c->architecture);
    put_word(f, "wire", NCCL_WIRE_WORDS, (int)c->wire);
    put_word(f, "cpu", NCCL_CPU_WORDS, (int)c->cpu);
    fputs("  within: {channels: {", f);
    for (int i = 0; i < c->group_sizes; i++)
        fprintf(f, "%s%d: %d", i ? ", " : "", c->channels[i].ranks, c->channels[i].channels);
    fprintf(f, "}, bandwidth: %s}\n", units_exact_bandwidth(text, c->channel_bytes_per_s));
    put_lane(f, "across", c->across_channels, c->across_bytes_per_s);
    put_lane(f, "nvls", c->nvls_channels, c->nvls_bytes_per_s);
    if (c->collnet) fputs("  collnet: true\n", f);
    fprintf(f, "  fitted: {base_latency: %s", units_exact_duration(text, c->base_latency_ps));
    put_factor(f, "hop_within", c->hop_within);
    put_factor(f, "hop_across", c->hop_across);
    put_factor(f, "bandwidth_within", c->bandwidth_within);
    put_factor(f, "bandwidth_across", c->bandwidth_across);
    put_factor(f, "group_loss", c->group_loss);
    if (c->ramp_ps) fprintf(f, ", ramp: %s", units_exact_duration(text, c->ramp_ps));
    fputs("}\n", f);
}

int32_t nccl_constants_channels(const NcclConstants *c, int32_t ranks) {
    int i = 0;
    while (i + 1 < c->group_sizes && c->channels[i + 1].ranks <= ranks) i++;
    return c->channels[i].channels;
}
