// SPDX-License-Identifier: MIT
// One table says where each number lies: in the machine, or in the link that is given instead.
#include "sim/platform_numbers.h"

#include "core/base/units.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef enum { WIDE, NARROW, SLOWDOWN, GIVEN_LINK } Storage;  // int64_t, int32_t, permille, int64_t

#define OF_DEVICE(name, unit, field) \
    { name, unit, WIDE, offsetof(Machine, device.field), 1 }
#define OF_LINK(name, unit, link, field) \
    { name, unit, WIDE, offsetof(Machine, link.field), 1 }
#define OF_NCCL(name, unit, storage, field) \
    { name, unit, storage, offsetof(Machine, collectives.field), 1 }

static const struct {
    const char *name;
    PlatformUnit unit;
    Storage storage;
    size_t at;
    int count;  // of values in a row, which change together
} rows[] = {
    {"flops", PLATFORM_FLOPS, WIDE, offsetof(Machine, device.flops_per_s), DTYPE_COUNT},
    OF_DEVICE("memory bandwidth", PLATFORM_BANDWIDTH, memory_bytes_per_s),
    OF_DEVICE("gap between kernels", PLATFORM_LATENCY, launch_ps),
    OF_DEVICE("gap in a graph", PLATFORM_LATENCY, graph_gap_ps),
    OF_DEVICE("issue of a launch", PLATFORM_LATENCY, issue_ps),
    {"slowed: products", PLATFORM_FACTOR, SLOWDOWN,
     offsetof(Machine, device.slowed_permille[SLOWED_PRODUCTS]), 1},
    {"slowed: other work", PLATFORM_FACTOR, SLOWDOWN,
     offsetof(Machine, device.slowed_permille[SLOWED_OTHER]), 1},
    OF_LINK("link bandwidth", PLATFORM_BANDWIDTH, link, bytes_per_s),
    OF_LINK("link latency", PLATFORM_LATENCY, link, latency_ps),
    OF_LINK("rail bandwidth", PLATFORM_BANDWIDTH, rail, bytes_per_s),
    OF_LINK("rail latency", PLATFORM_LATENCY, rail, latency_ps),
    {"--link bandwidth", PLATFORM_BANDWIDTH, GIVEN_LINK, offsetof(LinkModel, bytes_per_s), 1},
    {"--link latency", PLATFORM_LATENCY, GIVEN_LINK, offsetof(LinkModel, latency_ps), 1},
    OF_NCCL("NCCL channel within", PLATFORM_BANDWIDTH, WIDE, channel_bytes_per_s),
    OF_NCCL("NCCL channel across", PLATFORM_BANDWIDTH, WIDE, across_bytes_per_s),
    OF_NCCL("NCCL channel of NVLS", PLATFORM_BANDWIDTH, WIDE, nvls_bytes_per_s),
    OF_NCCL("NCCL base latency", PLATFORM_LATENCY, WIDE, base_latency_ps),
    OF_NCCL("NCCL hop within", PLATFORM_FACTOR, NARROW, hop_within),
    OF_NCCL("NCCL hop across", PLATFORM_FACTOR, NARROW, hop_across),
    OF_NCCL("NCCL busbw within", PLATFORM_FACTOR, NARROW, bandwidth_within),
    OF_NCCL("NCCL busbw across", PLATFORM_FACTOR, NARROW, bandwidth_across),
    OF_NCCL("NCCL loss of groups", PLATFORM_FACTOR, NARROW, group_loss),
    OF_NCCL("NCCL ramp", PLATFORM_LATENCY, WIDE, ramp_ps),
};
enum { ROWS = sizeof rows / sizeof *rows };
_Static_assert((int)ROWS <= (int)PLATFORM_NUMBERS, "PLATFORM_NUMBERS has room for all rows");

// --- one value

static int64_t read_value(const void *at, Storage storage) {
    int64_t wide;
    int32_t narrow;
    if (storage == WIDE || storage == GIVEN_LINK) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    if (storage == SLOWDOWN) return narrow > 1000 ? (int64_t)(narrow - 1000) * 1000 : 0;
    return narrow;
}

static void write_value(void *at, Storage storage, int64_t value) {
    int32_t narrow = value > INT32_MAX ? INT32_MAX : (int32_t)value;
    if (storage == SLOWDOWN) narrow = 1000 + (narrow + 500) / 1000;
    if (storage == WIDE || storage == GIVEN_LINK)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}

static int64_t scaled(int64_t value, int permille) {
    __int128 out = ((__int128)value * permille + 500) / 1000;
    if (value > 0 && out < 1) return 1;
    return out > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)out;
}

// --- all

// Is it one that a prediction with this link would use?
static bool counts(int id, const LinkModel *link) {
    size_t at = rows[id].at;
    bool own =
        at == offsetof(Machine, link.bytes_per_s) || at == offsetof(Machine, link.latency_ps) ||
        at == offsetof(Machine, rail.bytes_per_s) || at == offsetof(Machine, rail.latency_ps);
    if (rows[id].storage == GIVEN_LINK) return link->bytes_per_s > 0;
    return !own || !link->bytes_per_s;
}

int platform_numbers_list(PlatformNumber out[PLATFORM_NUMBERS], const Machine *m,
                          const LinkModel *link, Dtype dtype) {
    int count = 0;
    for (int id = 0; id < ROWS; id++) {
        const char *base = rows[id].storage == GIVEN_LINK ? (const char *)link : (const char *)m;
        size_t skip = rows[id].unit == PLATFORM_FLOPS ? (size_t)dtype * sizeof(int64_t) : 0;
        int64_t value = read_value(base + rows[id].at + skip, rows[id].storage);
        if (value > 0 && counts(id, link))
            out[count++] = (PlatformNumber){id, rows[id].name, rows[id].unit, value};
    }
    return count;
}

void platform_number_scale(Machine *m, LinkModel *link, int id, int permille) {
    char *base = rows[id].storage == GIVEN_LINK ? (char *)link : (char *)m;
    for (int k = 0; k < rows[id].count; k++) {
        char *at = base + rows[id].at + (size_t)k * sizeof(int64_t);
        write_value(at, rows[id].storage, scaled(read_value(at, rows[id].storage), permille));
    }
}

char *platform_number_print(char out[UNITS_TEXT], const PlatformNumber *n) {
    char text[UNITS_TEXT];
    switch (n->unit) {
    case PLATFORM_FLOPS:
        snprintf(out, UNITS_TEXT, "%.20s/s", units_print_count(text, n->value));
        return out;
    case PLATFORM_BANDWIDTH: return units_print_bandwidth(out, n->value);
    case PLATFORM_LATENCY: return units_print_duration(out, n->value);
    case PLATFORM_FACTOR: break;
    }
    double factor = (double)n->value / NCCL_UNIT;
    snprintf(out, UNITS_TEXT, "x%.4g", rows[n->id].storage == SLOWDOWN ? 1 + factor : factor);
    return out;
}

const char *platform_unit_name(PlatformUnit unit) {
    static const char *const names[] = {"1/s", "B/s", "ps", "1e-6"};
    return names[unit];
}
