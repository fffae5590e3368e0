// SPDX-License-Identifier: MIT
// Failures and checkpoints against their closed forms.
#include "sim/failures.h"

#include "tests/support/testing.h"

#include <math.h>

enum { FAILURES = 20000, SEEDS = 400 };

// A day between failures, five minutes a checkpoint, ten a restart, steps of two seconds.
static const FailureModel day = {.mtbf_s = 86400,
                                 .checkpoint_s = 300,
                                 .restart_s = 600,
                                 .step_s = 2,
                                 .seed = 1,
                                 .failures = FAILURES};

// Checkpoints small and large against the time between failures, and no restart at all.
static const FailureModel models[] = {
    {.mtbf_s = 86400, .checkpoint_s = 300, .restart_s = 600, .step_s = 2, .seed = 1},
    {.mtbf_s = 3600, .checkpoint_s = 60, .restart_s = 0, .step_s = 0.5, .seed = 2},
    {.mtbf_s = 1000, .checkpoint_s = 400, .restart_s = 500, .step_s = 7, .seed = 3},
    {.mtbf_s = 1e8, .checkpoint_s = 1, .restart_s = 1, .step_s = 1e-3, .seed = 4},
};
enum { MODELS = sizeof models / sizeof *models };

// Daly's expected time; what is saved is C / t of what is kept; a failure costs the mean of the
// lesser of R and an exponential time, M (1 - exp(-R / M)). Shares sum to 1.
START_TEST(simulated_shares_are_those_of_the_closed_forms) {
    for (int i = 0; i < MODELS; i++) {
        FailureModel m = models[i];
        m.failures = FAILURES;
        for (double part = 0.25; part <= 4; part *= 2) {
            int64_t steps = failures_steps(&m, part * failures_young_s(&m));
            double interval_s = (double)steps * m.step_s;
            FailureRun run = failures_simulate(&m, steps);
            ck_assert_int_eq(run.steps, steps);
            ck_assert_close(run.goodput, failures_expected(&m, interval_s), 4 * run.goodput_error);
            ck_assert(run.goodput_error > 0 && run.goodput_error < 0.01);
            ck_assert_close(run.checkpoint, run.goodput * m.checkpoint_s / interval_s, 1e-12);
            ck_assert_close(run.restart, 1 - exp(-m.restart_s / m.mtbf_s), 0.01);
            ck_assert_close(run.goodput + run.checkpoint + run.redo + run.restart, 1, 1e-12);
            ck_assert(run.redo > 0);
        }
    }
}
END_TEST

// By hand: M = 100 s, C = R = 10, t = 20: 20 exp(-0.1) / (100 (exp(0.3) - 1)) = 0.517259.
START_TEST(the_closed_form_is_dalys) {
    const FailureModel m = {.mtbf_s = 100, .checkpoint_s = 10, .restart_s = 10, .step_s = 1};
    ck_assert_close(failures_expected(&m, 20), 20 * exp(-0.1) / (100 * (exp(0.3) - 1)), 1e-15);
    ck_assert_close(failures_expected(&m, 20), 0.517259, 5e-7);
    // No failures: what is lost is saving.
    const FailureModel calm = {.mtbf_s = 1e15, .checkpoint_s = 10, .restart_s = 10, .step_s = 1};
    ck_assert_close(failures_expected(&calm, 30), 0.75, 1e-9);
}
END_TEST

// In two runs of three the mean is within a standard error, in 95 of 100 within two.
START_TEST(the_standard_error_is_that_of_many_runs) {
    FailureModel m = day;
    int within = 0, within2 = 0;
    int64_t steps = failures_steps(&m, failures_young_s(&m));
    double want = failures_expected(&m, (double)steps * m.step_s);
    m.failures = 500;
    for (int seed = 0; seed < SEEDS; seed++) {
        m.seed = (uint64_t)seed;
        FailureRun run = failures_simulate(&m, steps);
        within += fabs(run.goodput - want) < run.goodput_error;
        within2 += fabs(run.goodput - want) < 2 * run.goodput_error;
    }
    ck_assert_close(within, 0.683 * SEEDS, 4 * sqrt(SEEDS * 0.683 * 0.317));
    ck_assert_close(within2, 0.954 * SEEDS, 4 * sqrt(SEEDS * 0.954 * 0.046));
}
END_TEST

// sqrt(2 300 86400) = 7200; Daly adds 7200 (sqrt(1 / 576) / 3 + 1 / 576 / 9) - 300.
START_TEST(youngs_and_dalys_intervals_are_those_of_the_papers) {
    ck_assert_close(failures_young_s(&day), 7200, 1e-9);
    ck_assert_close(failures_daly_s(&day), 7200 + 100 + 7200.0 / 576 / 9 - 300, 1e-9);
    const FailureModel slow = {.mtbf_s = 100, .checkpoint_s = 200, .step_s = 1};
    ck_assert_close(failures_daly_s(&slow), 100, 0);  // from C = 2 M on it is M
}
END_TEST

// The best interval of the closed form, by golden section.
static double exact_best_s(const FailureModel *m) {
    double low = 0.01 * failures_young_s(m), high = 4 * failures_young_s(m),
           part = 0.618033988749895;
    for (int i = 0; i < 200; i++) {
        double a = high - part * (high - low), b = low + part * (high - low);
        if (failures_expected(m, a) > failures_expected(m, b))
            high = b;
        else
            low = a;
    }
    return low;
}

// The simulated optimum is flat, so that it is known to a few per cent only; its goodput is not.
// No simulated interval on the way is better, Young's and Daly's among them.
START_TEST(the_best_simulated_interval_is_as_good_as_the_best_there_is) {
    for (int i = 0; i < MODELS; i++) {
        FailureModel m = models[i];
        m.failures = FAILURES;
        double exact_s = exact_best_s(&m), most = failures_expected(&m, exact_s);
        FailureRun best = failures_best(&m);
        ck_assert_close((double)best.steps * m.step_s, exact_s, 0.15 * exact_s);
        double there = failures_expected(&m, (double)best.steps * m.step_s);
        ck_assert(there <= most + 1e-12 && there > most - 0.005 * (1 - most));
        const double others_s[] = {failures_young_s(&m), failures_daly_s(&m), exact_s / 2,
                                   2 * exact_s};
        for (int k = 0; k < 4; k++) {
            FailureRun other = failures_simulate(&m, failures_steps(&m, others_s[k]));
            ck_assert(other.goodput <= best.goodput);
        }
        ck_assert_close(failures_daly_s(&m), exact_s, 0.05 * exact_s);  // and Daly knew
    }
}
END_TEST

START_TEST(runs_are_the_same_from_a_seed_and_others_from_another) {
    FailureModel m = day;
    FailureRun run = failures_simulate(&m, 3600), again = failures_simulate(&m, 3600);
    ck_assert(run.goodput == again.goodput && run.redo == again.redo);
    m.seed = 2;
    ck_assert(failures_simulate(&m, 3600).goodput != run.goodput);
    ck_assert_int_eq(failures_steps(&m, 1e-9), 1);
    ck_assert_int_eq(failures_steps(&m, 7.1), 4);
}
END_TEST

// A step as long as many times between failures: nothing is ever kept.
START_TEST(a_run_that_never_saves_makes_no_progress) {
    FailureModel m = day;
    m.step_s = 1e9;
    FailureRun best = failures_best(&m);
    ck_assert(best.steps == 1 && best.goodput == 0 && best.checkpoint == 0);
    ck_assert_close(best.redo + best.restart, 1, 1e-12);
    ck_assert_close(failures_expected(&m, 1e9), 0, 1e-300);
}
END_TEST

SUITE("failures", simulated_shares_are_those_of_the_closed_forms, the_closed_form_is_dalys,
      the_standard_error_is_that_of_many_runs, youngs_and_dalys_intervals_are_those_of_the_papers,
      the_best_simulated_interval_is_as_good_as_the_best_there_is,
      runs_are_the_same_from_a_seed_and_others_from_another,
      a_run_that_never_saves_makes_no_progress)
