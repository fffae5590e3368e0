// SPDX-License-Identifier: MIT
// Pattern search (Hooke, Jeeves, "Direct search", 1961) from several starts: a step up or down in
// one constant after the other; where none helps, half the steps. The error is not smooth, because
// the model chooses, so that derivatives would mislead. Read nccl_fit().
#include "sim/nccl_fit.h"

#include "core/base/units.h"

#include <math.h>

enum {
    BASE,
    HOP_WITHIN,
    HOP_ACROSS,
    BANDWIDTH_WITHIN,
    BANDWIDTH_ACROSS,
    GROUP_LOSS,
    RAMP,
    CONSTANTS
};

typedef struct {
    const NcclFitTable *tables;
    int count;
    bool is_free[CONSTANTS];
    int64_t most[CONSTANTS];
    NcclConstants constants;
    double error;
} Search;

// Base latency and ramp in ps, the others in 1/NCCL_UNIT.
static const int64_t least[CONSTANTS] = {0, 50000, 50000, 50000, 50000, 0, 0};
static const int64_t steps[CONSTANTS] = {8000000, 400000, 400000,  100000,
                                         100000,  100000, 80000000};
enum { HALVINGS = 12 };

static int64_t get(const NcclConstants *c, int which) {
    const int64_t values[] = {c->base_latency_ps,  c->hop_within, c->hop_across,
                              c->bandwidth_within, c->bandwidth_across, c->group_loss, c->ramp_ps};
    return values[which];
}

static void set(NcclConstants *c, int which, int64_t value) {
    int32_t *const factors[] = {
        NULL,          &c->hop_within, &c->hop_across, &c->bandwidth_within, &c->bandwidth_across,
        &c->group_loss};
    if (which == BASE)
        c->base_latency_ps = value;
    else if (which == RAMP)
        c->ramp_ps = value;
    else
        *factors[which] = (int32_t)value;
}

static bool is_power_of_two(int64_t x) { return (x & (x - 1)) == 0; }

bool nccl_fit_takes(const NcclTable *t, int i) {
    for (int k = 0; k < t->count; k++)
        if (!is_power_of_two(t->rows[k].bytes)) return is_power_of_two(t->rows[i].bytes);
    return i % 2 == 0;
}

static Status add_errors(NcclFitError *sum, const NcclConstants *c, const NcclFitTable *t,
                         bool fitted) {
    bool mixed = false;  // as nccl_fit_takes(), once a table
    for (int i = 0; i < t->table.count && !mixed; i++)
        mixed = !is_power_of_two(t->table.rows[i].bytes);
    for (int i = 0; i < t->table.count; i++) {
        const NcclTableRow *row = &t->table.rows[i];
        if ((mixed ? is_power_of_two(row->bytes) : i % 2 == 0) != fitted) continue;
        NcclPrice p;
        TRY(nccl_price(&p, c, &(NcclCall){t->kind, row->bytes, t->ranks, t->nodes, 0, 0}));
        sum->mean += fabs((double)p.time_ps / (double)row->time_ps - 1);
        sum->rows++;
    }
    return OK;
}

static void divide(NcclFitError *e) { e->mean = e->rows ? e->mean / e->rows : (double)NAN; }

Status nccl_fit_error(NcclFitError *out, const NcclConstants *c, const NcclFitTable *t,
                      bool fitted) {
    *out = (NcclFitError){0};
    TRY(add_errors(out, c, t, fitted));
    divide(out);
    return OK;
}

static Status error_of_all(NcclFitError *out, const Search *s, const NcclConstants *c,
                           bool fitted) {
    *out = (NcclFitError){0};
    for (int i = 0; i < s->count; i++) TRY(add_errors(out, c, &s->tables[i], fitted));
    divide(out);
    return OK;
}

// Try one constant at another value; keep it if that is better.
static Status try_value(Search *s, int which, int64_t value, bool *better) {
    NcclConstants c = s->constants;
    NcclFitError e;
    if (value < least[which]) value = least[which];
    if (value > s->most[which]) value = s->most[which];
    set(&c, which, value);
    TRY(error_of_all(&e, s, &c, true));
    if (!(e.mean < s->error)) return OK;
    s->constants = c;
    s->error = e.mean;
    *better = true;
    return OK;
}

static Status descend(Search *s) {
    NcclFitError e;
    TRY(error_of_all(&e, s, &s->constants, true));
    s->error = e.mean;
    for (int halving = 0; halving < HALVINGS;) {
        bool better = false;
        for (int k = 0; k < CONSTANTS; k++) {
            if (!s->is_free[k]) continue;
            int64_t now = get(&s->constants, k), step = steps[k] >> halving;
            TRY(try_value(s, k, now + step, &better));
            if (get(&s->constants, k) == now) TRY(try_value(s, k, now - step, &better));
        }
        if (!better) halving++;
    }
    return OK;
}

static void choose_free(Search *s) {
    int32_t sizes[2] = {0, 0};  // two different groups within a node
    for (int i = 0; i < s->count; i++) {
        const NcclFitTable *t = &s->tables[i];
        bool across = t->nodes > 1;
        s->is_free[BASE] = true;
        if (t->ranks > t->nodes) s->is_free[HOP_WITHIN] = true;
        s->is_free[across ? BANDWIDTH_ACROSS : BANDWIDTH_WITHIN] = true;
        if (across) s->is_free[HOP_ACROSS] = true;
        if (across) continue;
        if (!sizes[0]) sizes[0] = t->ranks;
        if (t->ranks != sizes[0]) sizes[1] = t->ranks;
    }
    s->is_free[GROUP_LOSS] = sizes[1] != 0;
    s->is_free[RAMP] = !s->is_free[HOP_ACROSS];  // six constants at most
}

static int64_t ratio(__int128 numerator, __int128 denominator) {
    __int128 r = denominator ? numerator * NCCL_UNIT / denominator : 1000 * (__int128)NCCL_UNIT;
    return r > 1000 * NCCL_UNIT ? 1000 * NCCL_UNIT : (int64_t)r;
}

// No bus may be faster than what it runs over, as machine files are checked.
static void choose_bounds(Search *s, const Machine *m) {
    const NcclConstants *c = &m->collectives;
    __int128 within = (__int128)c->nvls_channels * c->nvls_bytes_per_s;
    for (int i = 0; i < c->group_sizes; i++) {
        __int128 bus = (__int128)c->channels[i].channels * c->channel_bytes_per_s;
        if (bus > within) within = bus;
    }
    s->most[BASE] = s->most[RAMP] = PS_PER_S;
    s->most[HOP_WITHIN] = s->most[HOP_ACROSS] = 100 * NCCL_UNIT;
    s->most[GROUP_LOSS] = NCCL_UNIT;
    s->most[BANDWIDTH_WITHIN] = ratio(m->link.bytes_per_s, within);
    s->most[BANDWIDTH_ACROSS] = ratio((__int128)m->rail.bytes_per_s * m->devices_per_node,
                                      (__int128)c->across_channels * c->across_bytes_per_s);
}

// From the machine's constants, and with longer and shorter latencies.
static Status search(Search *best, const Machine *m) {
    static const int64_t bases[] = {-1, 0, 20000000, 40000000};
    static const int64_t hops[] = {NCCL_UNIT / 2, NCCL_UNIT, 2 * NCCL_UNIT};
    best->error = (double)INFINITY;
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++)
        for (size_t h = 0; h < sizeof hops / sizeof *hops; h++) {
            Search s = *best;
            s.constants = m->collectives;
            if (bases[b] >= 0) s.constants.base_latency_ps = bases[b];
            if (s.is_free[HOP_WITHIN]) s.constants.hop_within = (int32_t)hops[h];
            TRY(descend(&s));
            if (s.error < best->error) *best = s;
        }
    return OK;
}

Status nccl_fit(NcclFit *out, const Machine *m, const NcclFitTable *tables, int count) {
    Search s = {.tables = tables, .count = count};
    if (!m->has_collectives)
        FAIL(ERR_USAGE,
             "the machine %s has no section `collectives` whose constants could be "
             "fitted",
             m->name);
    for (int i = 0; i < count; i++)
        if (tables[i].ranks < 2)
            FAIL(ERR_USAGE, "a table of one device says nothing of communication");
    *out = (NcclFit){0};
    choose_free(&s);
    choose_bounds(&s, m);
    TRY(search(&s, m));
    out->constants = s.constants;
    for (int k = 0; k < CONSTANTS; k++) out->free += s.is_free[k];
    TRY(error_of_all(&out->fitted, &s, &s.constants, true));
    return error_of_all(&out->others, &s, &s.constants, false);
}
