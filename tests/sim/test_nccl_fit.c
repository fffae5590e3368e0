// SPDX-License-Identifier: MIT
// Constants found again from tables that the model itself made, and measured ones (below
// TANDEM_SHARED) met as well as is asked.
#include "sim/nccl_fit.h"

#include "core/base/units.h"

#include <math.h>
#include <stdio.h>

#include "tests/support/testing.h"

static Arena arena;

static Machine machine_of(const char *name) {
    Machine m;
    ck_assert_ok(machine_read(&m, &arena, name));
    return m;
}

// What the constants say of powers of two, and of three times these.
static NcclFitTable table_by(const NcclConstants *c, int ranks, int nodes) {
    enum { ROWS = 48 };
    NcclFitTable t = {COLLECTIVE_ALL_REDUCE, ranks, nodes, {.count = ROWS}};
    t.table.rows = ARENA_NEW(&arena, NcclTableRow, ROWS);
    ck_assert_ptr_nonnull(t.table.rows);
    for (int i = 0; i < ROWS; i++) {
        NcclPrice p;
        int64_t bytes = INT64_C(8) << (i / 2) << (i % 2);
        if (i % 2) bytes = bytes / 2 * 3;
        ck_assert_ok(nccl_price(&p, c, &(NcclCall){t.kind, bytes, ranks, nodes, 0, 0}));
        t.table.rows[i] = (NcclTableRow){bytes, p.time_ps};
    }
    return t;
}

START_TEST(constants_are_found_again) {
    const Machine m = machine_of("dgx-a100");
    NcclConstants c = m.collectives;
    c.base_latency_ps = 11 * PS_PER_US;
    c.hop_within = 1400000;
    c.bandwidth_within = 900000;
    c.ramp_ps = 200 * PS_PER_US;
    const NcclFitTable within = table_by(&c, 8, 1);
    NcclFit fit;
    ck_assert_ok(nccl_fit(&fit, &m, &within, 1));
    ck_assert_int_eq(fit.free, 4);
    ck_assert_int_eq(fit.fitted.rows, 24);
    ck_assert_int_eq(fit.others.rows, 24);
    ck_assert(fit.fitted.mean < 0.005 && fit.others.mean < 0.005);
    // A slower bus with a shorter ramp says nearly the same.
    ck_assert_close(fit.constants.bandwidth_within, 900000, 36000);
    ck_assert_close(fit.constants.ramp_ps, 200 * PS_PER_US, 150 * PS_PER_US);
    ck_assert_int_eq(fit.constants.hop_across, NCCL_UNIT);  // nothing was measured across
    c.ramp_ps = 0;
    const NcclFitTable level = table_by(&c, 8, 1);
    ck_assert_ok(nccl_fit(&fit, &m, &level, 1));
    ck_assert(fit.fitted.mean < 0.005 && fit.others.mean < 0.005);
    ck_assert_close(fit.constants.bandwidth_within, 900000, 27000);
    ck_assert_close(fit.constants.ramp_ps, 0, 20 * PS_PER_US);
    c.hop_across = 1500000;
    c.bandwidth_across = 700000;
    const NcclFitTable both[] = {table_by(&c, 8, 1), table_by(&c, 16, 2)};
    ck_assert_ok(nccl_fit(&fit, &m, both, 2));
    ck_assert_int_eq(fit.free, 5);
    ck_assert(fit.fitted.mean < 0.02 && fit.others.mean < 0.02);
}
END_TEST

// A table of twice the bandwidth that the links have is fitted by what they have.
START_TEST(no_bus_becomes_faster_than_its_links) {
    Machine m = machine_of("dgx-a100");
    NcclConstants c = m.collectives;
    c.channel_bytes_per_s *= 2;
    const NcclFitTable t = table_by(&c, 8, 1);
    NcclFit fit;
    ck_assert_ok(nccl_fit(&fit, &m, &t, 1));
    ck_assert_int_eq(fit.constants.bandwidth_within, 1250000);  // 300 / 240 GB/s
}
END_TEST

START_TEST(powers_of_two_are_fitted_or_every_second_row) {
    NcclTableRow mixed[] = {{1, 1}, {2, 1}, {3, 1}}, powers[] = {{1, 1}, {2, 1}, {4, 1}};
    const NcclTable a = {.rows = mixed, .count = 3}, b = {.rows = powers, .count = 3};
    ck_assert(nccl_fit_takes(&a, 0) && nccl_fit_takes(&a, 1) && !nccl_fit_takes(&a, 2));
    ck_assert(nccl_fit_takes(&b, 0) && !nccl_fit_takes(&b, 1) && nccl_fit_takes(&b, 2));
    Machine m = machine_of("laptop");
    NcclFit fit;
    const NcclFitTable one = {COLLECTIVE_ALL_REDUCE, 1, 1, b},
                       two = {COLLECTIVE_ALL_REDUCE, 2, 1, b};
    ck_assert_fails(nccl_fit(&fit, &m, &two, 1), ERR_USAGE, "laptop has no section");
    m = machine_of("dgx-a100");
    ck_assert_fails(nccl_fit(&fit, &m, &one, 1), ERR_USAGE, "a table of one device");
}
END_TEST

static bool read_measured(NcclFitTable *t, const char *generation, int ranks) {
    char name[80];
    snprintf(name, sizeof name, "traces/nccl/allreduce_%s_%dgpu.csv", generation, ranks);
    const char *path = test_shared(name);
    if (!path) return false;
    *t = (NcclFitTable){.kind = COLLECTIVE_ALL_REDUCE, .ranks = ranks, .nodes = 1};
    ck_assert_ok(nccl_table_read(&t->table, &arena, path));
    return true;
}

START_TEST(measured_tables_are_fitted_and_a_group_size_follows_from_the_others) {
    NcclFitTable t[3];
    for (int i = 0; i < 3; i++)
        if (!read_measured(&t[i], "a100", 2 << i)) SKIP("no traces/nccl below TANDEM_SHARED");
    const Machine m = machine_of("dgx-a100");
    NcclFit fit;
    NcclFitError e;
    ck_assert_ok(nccl_fit(&fit, &m, t, 3));
    ck_assert_msg(fit.others.mean < 0.025, "others %.4f", fit.others.mean);
    for (int left_out = 0; left_out < 3; left_out++) {
        const NcclFitTable others[] = {t[(left_out + 1) % 3], t[(left_out + 2) % 3]};
        ck_assert_ok(nccl_fit(&fit, &m, others, 2));
        ck_assert_ok(nccl_fit_error(&e, &fit.constants, &t[left_out], false));
        ck_assert_msg(e.mean < 0.06, "%d devices from the others: %.4f", 2 << left_out, e.mean);
    }
}
END_TEST

SUITE("nccl_fit", constants_are_found_again, no_bus_becomes_faster_than_its_links,
      powers_of_two_are_fitted_or_every_second_row,
      measured_tables_are_fitted_and_a_group_size_follows_from_the_others)
