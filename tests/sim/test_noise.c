// SPDX-License-Identifier: MIT
// Jitter and stragglers: the distribution against its closed forms, and what they do to a step.
#include "sim/predict.h"
#include "tests/support/simulate_case.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 100000, TENTH = NOISE_UNIT / 10, BARRIERS = 4000 };

static const int64_t unit_ps = 1000000;

START_TEST(logarithms_are_those_of_the_library) {
    for (int halvings = 0; halvings < 63; halvings++)
        for (uint64_t i = 0; i < 1000; i++) {
            uint64_t u = (UINT64_MAX - i * 9007199254740993u) >> halvings;
            double want = -log((double)u / 18446744073709551616.0);
            ck_assert_close((double)noise_exponential(u) * 1e-9, want, 4e-5);
        }
    ck_assert_int_eq(noise_exponential(UINT64_C(1) << 63), 693147181);  // ln 2
    ck_assert(noise_exponential(UINT64_MAX) <= 1 && noise_exponential(1) < INT64_C(45000000000));
}
END_TEST

// Least, mean, standard deviation, and the shares above the mean's 1 and 3 times the deviation,
// exp(-1) and exp(-4): within four standard errors.
START_TEST(durations_have_the_mean_and_the_variation_that_are_asked_for) {
    const Noise n = {.variation = TENTH, .seed = 7};
    double sum = 0, squares = 0;
    int above = 0, far = 0;
    int64_t least = INT64_MAX;
    for (int i = 0; i < DRAWS; i++) {
        int64_t ps = noise_ps(&n, i % 10, i / 10 % 100, i / 1000, unit_ps);
        double x = (double)ps / (double)unit_ps - 1;
        sum += x;
        squares += x * x;
        above += x > 0;
        far += x > 0.3;
        if (ps < least) least = ps;
    }
    ck_assert(least >= 900000 && least < 900010);
    ck_assert_close(sum / DRAWS, 0, 4 * 0.1 / sqrt(DRAWS));
    ck_assert_close(sqrt(squares / DRAWS), 0.1, 0.002);
    ck_assert_close((double)above / DRAWS, exp(-1), 4 * sqrt(0.2325 / DRAWS));
    ck_assert_close((double)far / DRAWS, exp(-4), 4 * sqrt(0.018 / DRAWS));
}
END_TEST

// Philox of key 1 and counter (0, 13, 2, 3): u = 0.0352, -ln(u) = 3.34792.
START_TEST(a_draw_is_of_its_seed_rank_operation_and_step) {
    const Noise n = {.variation = TENTH, .seed = 1}, other = {.variation = TENTH, .seed = 2};
    int64_t ps = noise_ps(&n, 2, 3, 0, unit_ps);
    ck_assert_int_eq(ps, 1234792);
    ck_assert_int_eq(noise_ps(&n, 2, 3, 0, unit_ps), ps);
    ck_assert_int_ne(noise_ps(&other, 2, 3, 0, unit_ps), ps);
    ck_assert_int_ne(noise_ps(&n, 3, 3, 0, unit_ps), ps);
    ck_assert_int_ne(noise_ps(&n, 2, 2, 0, unit_ps), ps);
    ck_assert_int_ne(noise_ps(&n, 2, 3, 1, unit_ps), ps);
}
END_TEST

START_TEST(stragglers_take_their_factor_and_others_none) {
    Arena a = {0};
    Noise n = {0};
    ck_assert(noise_is_none(&n));
    ck_assert_ok(noise_parse_stragglers(&n, &a, "3=1.3,0=2"));
    ck_assert(!noise_is_none(&n) && n.straggler_count == 2);
    ck_assert_int_eq(noise_ps(&n, 3, 0, 0, 1000), 1300);
    ck_assert_int_eq(noise_ps(&n, 0, 5, 9, 1000), 2000);
    ck_assert_int_eq(noise_ps(&n, 1, 0, 0, 1000), 1000);
    static const char *const wrong[] = {"",      "3",    "3=",      "=2",   "3=0.9",
                                        "3=nan", "-1=2", "3=2,3=2", "3=2x", "a=2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_fails(noise_parse_stragglers(&n, &a, wrong[i]), ERR_USAGE, "--straggler");
    arena_finish(&a);
}
END_TEST

// A computation on each of four ranks, then an all-reduce of no time: it waits for the slowest, of
// which the mean is 1 - c + c (1 + 1/2 + 1/3 + 1/4), its standard deviation c times 1.193.
START_TEST(a_step_waits_for_the_slowest_of_its_ranks) {
    Setup s;
    double sum = 0;
    for (int i = 0; i < BARRIERS; i++) {
        memset(&s, 0, sizeof s);
        s.ranks = 4;
        s.plan = make_program(&s.p, s.ranks);
        make_tensor(&s.p, "g", ROLE_GRADIENT, PLACEMENT_SUM, SHAPE(16), DTYPE_F32);
        make_tensor(&s.p, "w", ROLE_PARAMETER, PLACEMENT_REPLICATED, SHAPE(16), DTYPE_F32);
        make_op(&s.p, s.plan, (OpSpec){.name = "work", .kind = KIND_FOLD, .phase = PHASE_BACKWARD},
                "g", "w");
        make_op(&s.p, s.plan, (OpSpec){.name = "bucket", .kind = KIND_ALL_REDUCE, .lane = 2}, "g",
                "g");
        prepare(&s);
        for (int r = 0; r < s.ranks; r++) {
            cost(&s, r, 0, unit_ps);
            cost(&s, r, 1, 0);
        }
        const Noise n = {.variation = TENTH, .seed = (uint64_t)i};
        const SimulateOptions o = {.costs = s.cost_of, .ranks = s.ranks, .steps = 1, .noise = &n};
        ck_assert_ok(simulate_devices(s.line_of, &o, NULL));
        int64_t most = 0;
        for (int r = 0; r < s.ranks; r++) {
            int64_t ps = noise_ps(&n, r, 0, 0, unit_ps);
            if (ps > most) most = ps;
        }
        ck_assert_int_eq(end_of(&s, 0), most);
        sum += (double)most / (double)unit_ps;
        finish(&s);
    }
    ck_assert_close(sum / BARRIERS, 0.9 + 0.1 * (1 + 1 / 2.0 + 1 / 3.0 + 1 / 4.0),
                    4 * 0.1193 / sqrt(BARRIERS));
}
END_TEST

#define MACHINE                                                                                   \
    "tandem: machine 1\nname: m\nnodes: 1\ndevices: 8\nlink: {bandwidth: 900TB/s, latency: 0s}\n" \
    "device: {name: d, flops: {f32: 1T}, memory: 16GB, memory_bandwidth: 900GB/s}\n"

static Prediction predicted(Arena *a, int ranks, Noise noise) {
    static const char text[] = MACHINE;
    Machine m;
    Prediction p;
    SimJob job = {.spec = job_spec_default()};
    job.spec.device = "timed:dgx-a100";
    job.spec.ranks = ranks;
    job.spec.batch = 64 * ranks;
    ck_assert_ok(machine_parse(&m, a, text, strlen(text), "m.yaml"));
    ck_assert_ok(
        predict_job(&p, a, &job, &(SimSetting){.machine = &m, .devices = true, .noise = noise}));
    return p;
}

// Alone twice the time, but for fetching the batch; with others all wait for the one.
START_TEST(a_step_takes_a_stragglers_time_and_is_not_folded) {
    Arena a = {0};
    const Straggler slow = {1, 2000}, alone = {0, 2000};
    const Noise none = {0};
    Prediction one = predicted(&a, 1, none);
    Prediction twice = predicted(&a, 1, (Noise){.stragglers = &alone, .straggler_count = 1});
    ck_assert_close(twice.step_ms, 2 * one.step_ms, 1e-3 * one.step_ms);
    Prediction all = predicted(&a, 4, (Noise){.stragglers = &slow, .straggler_count = 1});
    ck_assert_close(all.step_ms, 2 * one.step_ms, 0.02 * one.step_ms);
    ck_assert_close(all.report.breakdown_ms[TIME_COMPUTE], one.step_ms * 5 / 4, 0.02 * one.step_ms);
    ck_assert_int_eq(all.simulated, 4);
    arena_finish(&a);
}
END_TEST

// Steps differ, the row is their mean, of which the parts are the sum; the same twice.
START_TEST(a_jittered_step_is_a_mean_with_quantiles) {
    Arena a = {0};
    const Noise n = {.variation = 2 * TENTH, .seed = 1},
                other = {.variation = 2 * TENTH, .seed = 2};
    Prediction p = predicted(&a, 4, n), again = predicted(&a, 4, n), seed = predicted(&a, 4, other);
    Prediction calm = predicted(&a, 4, (Noise){0});
    const Spread *s = &p.report.step_ms;
    double sum = 0;
    for (int i = 0; i < TIME_COUNT; i++) sum += p.report.breakdown_ms[i];
    ck_assert_int_eq(p.report.steps - p.report.warm_up_steps, 64);
    ck_assert(s->p10 < s->median && s->median < s->p90);
    ck_assert_close(p.step_ms, s->mean, 0);
    ck_assert_close(sum, p.step_ms, 1e-9);
    ck_assert(p.step_ms > calm.step_ms && p.step_ms < 1.2 * calm.step_ms);
    ck_assert(again.step_ms == p.step_ms && again.inputs == p.inputs);
    ck_assert(seed.step_ms != p.step_ms && seed.inputs != p.inputs);
    ck_assert(calm.inputs != p.inputs);
    arena_finish(&a);
}
END_TEST

// Where prices are known ranks would be folded; NULL as the reason: they need not be.
START_TEST(noise_is_a_reason_to_simulate_all_ranks) {
    const NcclConstants constants = {.group_sizes = 1};
    const TopologyOptions network = {.nodes = 1, .pricing = {.constants = &constants}};
    const Straggler slow = {0, 2000};
    const Noise noises[] = {{.variation = 1}, {.stragglers = &slow, .straggler_count = 1}};
    const char *const reasons[] = {"computations jitter, each by itself",
                                   "some of them are slower"};
    Arena a = {0};
    for (int i = 0; i < 2; i++) {
        const Fold *f;
        const char *why;
        ck_assert_ok(
            fold_choose(&f, &why, &a, &(FoldInput){.ranks = 2, .noise = &noises[i]}, &network));
        ck_assert_ptr_null(f);
        ck_assert_str_eq(why, reasons[i]);
    }
    arena_finish(&a);
}
END_TEST

SUITE("noise", logarithms_are_those_of_the_library,
      durations_have_the_mean_and_the_variation_that_are_asked_for,
      a_draw_is_of_its_seed_rank_operation_and_step, stragglers_take_their_factor_and_others_none,
      a_step_waits_for_the_slowest_of_its_ranks, a_step_takes_a_stragglers_time_and_is_not_folded,
      a_jittered_step_is_a_mean_with_quantiles, noise_is_a_reason_to_simulate_all_ranks)
