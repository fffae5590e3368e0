// SPDX-License-Identifier: MIT
// What ranks send, by axis, against closed forms.
#include "core/platform/device_traits.h"
#include "parallel/strategy/collective_work.h"
#include "parallel/strategy/job_spec.h"
#include "parallel/strategy/traffic.h"
#include "tests/support/testing.h"

static Arena arena;  // finished by each test

static void make(ProgramSet *out, int ranks, int zero) {
    Model m;
    JobSpec s = job_spec_default();
    s.model = "mlp:hidden=64,layers=3";
    s.ranks = ranks;
    s.strategy.zero = zero;
    ck_assert_ok(job_spec_model(&m, &arena, &s));
    ck_assert_ok(job_spec_check(&s));
    ck_assert_ok(job_spec_programs(out, &s, &m));
    ck_assert_ok(collective_work_lower(out, device_traits("reference")));
}

static double parameter_bytes(const Program *p) {
    double bytes = 0;
    for (int i = 0; i < p->logical_count; i++)
        if (p->logicals[i].role == ROLE_PARAMETER)
            bytes += 4 * (double)logical_elements(&p->logicals[i]);
    return bytes;
}

static double sent(const Traffic *list, int count, Kind kind, int64_t *of_them) {
    double bytes = 0;
    for (int i = 0; i < count; i++) {
        if (list[i].kind != kind || list[i].axes != 1) continue;
        bytes += list[i].bytes;
        *of_them += list[i].count;
    }
    return bytes;
}

// DDP: 2 T (N-1)/N of gradients, and a loss of two f64 in one all-reduce more.
START_TEST(ddp_sends_twice_its_gradients_but_for_a_share) {
    for (int n = 2; n <= 4; n++) {
        ProgramSet set;
        Traffic *list;
        int count;
        int64_t all_reduces = 0;
        make(&set, n, 0);
        const Program *p = &set.programs[0];
        ck_assert_ok(traffic_of_step(p, NONE, &arena, &list, &count));
        double share = (n - 1.0) / n, want = 2 * (parameter_bytes(p) + 16) * share;
        ck_assert_double_eq_tol(sent(list, count, KIND_ALL_REDUCE, &all_reduces), want, 1e-6);
        ck_assert_int_ge(all_reduces, 2);
        Traffic along = traffic_along(list, count, 1);
        ck_assert_double_eq_tol(along.bytes, want, 1e-6);
        ck_assert_int_eq(along.count, all_reduces);
        ck_assert_int_eq(traffic_along(list, count, 2).count, 0);
        program_set_finish(&set);
        arena_finish(&arena);
    }
}
END_TEST

// Every rank's own bytes add up to those of all.
START_TEST(the_mean_of_all_ranks_is_that_of_each) {
    ProgramSet set;
    Traffic *list;
    int count;
    double sum = 0;
    make(&set, 3, 2);
    const Program *p = &set.programs[0];
    for (int r = 0; r < 3; r++) {
        ck_assert_ok(traffic_of_step(p, r, &arena, &list, &count));
        sum += traffic_along(list, count, 1).bytes;
    }
    ck_assert_ok(traffic_of_step(p, NONE, &arena, &list, &count));
    ck_assert_double_eq_tol(traffic_along(list, count, 1).bytes, sum / 3, 1e-6);
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

START_TEST(one_rank_sends_nothing) {
    ProgramSet set;
    Traffic *list;
    int count;
    make(&set, 1, 0);
    ck_assert_ok(traffic_of_step(&set.programs[0], NONE, &arena, &list, &count));
    ck_assert_int_eq(count, 0);
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

SUITE("traffic", ddp_sends_twice_its_gradients_but_for_a_share,
      the_mean_of_all_ranks_is_that_of_each, one_rank_sends_nothing)
