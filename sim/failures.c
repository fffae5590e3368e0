// SPDX-License-Identifier: MIT
// Runs with failures, from one failure to the next (sim/failures.h).
#include "sim/failures.h"

#include "core/base/rng.h"
#include "sim/noise.h"

#include <math.h>

// Seconds until the next failure, the i-th of the stream.
static double next_failure(const FailureModel *m, const Rng *rng, int i) {
    uint64_t high = rng_at(rng, 2 * (uint64_t)i), low = rng_at(rng, 2 * (uint64_t)i + 1);
    return m->mtbf_s * 1e-9 * (double)noise_exponential(high << 32 | low | 1);
}

// What a run did with the time between two failures, which it begins with a restart.
typedef struct {
    double all, useful, saving, restarting;
} Stretch;

static Stretch stretch_of(const FailureModel *m, double all_s, double interval_s) {
    if (all_s < m->restart_s) return (Stretch){.all = all_s, .restarting = all_s};
    double saved = floor((all_s - m->restart_s) / (interval_s + m->checkpoint_s));
    return (Stretch){all_s, saved * interval_s, saved * m->checkpoint_s, m->restart_s};
}

// The share is a ratio of sums over stretches, which are independent: its variance is that of
// useful - share * all over the mean of all (Cochran, "Sampling Techniques", 1977, section 2.11).
FailureRun failures_simulate(const FailureModel *m, int64_t steps) {
    const double interval_s = (double)steps * m->step_s, n = m->failures;
    Stretch sum = {0};
    double useful2 = 0, all2 = 0, both = 0;
    Rng rng;
    rng_init(&rng, m->seed, RNG_FAILURE, 0, 0);
    for (int i = 0; i < m->failures; i++) {
        Stretch s = stretch_of(m, next_failure(m, &rng, i), interval_s);
        sum.all += s.all;
        sum.useful += s.useful;
        sum.saving += s.saving;
        sum.restarting += s.restarting;
        useful2 += s.useful * s.useful;
        all2 += s.all * s.all;
        both += s.useful * s.all;
    }
    double share = sum.useful / sum.all;
    double squares = useful2 - 2 * share * both + share * share * all2;
    double lost = sum.all - sum.useful - sum.saving - sum.restarting;
    return (FailureRun){.steps = steps,
                        .goodput = share,
                        .checkpoint = sum.saving / sum.all,
                        .redo = lost > 0 ? lost / sum.all : 0,
                        .restart = sum.restarting / sum.all,
                        .goodput_error = sqrt((squares > 0 ? squares : 0) * n / (n - 1)) / sum.all};
}

double failures_expected(const FailureModel *m, double interval_s) {
    double cycle = expm1((interval_s + m->checkpoint_s) / m->mtbf_s);
    return interval_s / m->mtbf_s * exp(-m->restart_s / m->mtbf_s) / cycle;
}

double failures_young_s(const FailureModel *m) { return sqrt(2 * m->checkpoint_s * m->mtbf_s); }

double failures_daly_s(const FailureModel *m) {
    double half = m->checkpoint_s / (2 * m->mtbf_s);
    if (half >= 1) return m->mtbf_s;
    return failures_young_s(m) * (1 + sqrt(half) / 3 + half / 9) - m->checkpoint_s;
}

int64_t failures_steps(const FailureModel *m, double interval_s) {
    double steps = floor(interval_s / m->step_s + 0.5);
    return steps < 1 ? 1 : steps > 1e15 ? (int64_t)1e15 : (int64_t)steps;
}

static void take_better(FailureRun *best, const FailureModel *m, double interval_s) {
    int64_t steps = failures_steps(m, interval_s);
    if (steps == best->steps) return;
    FailureRun run = failures_simulate(m, steps);
    if (!best->steps || run.goodput > best->goodput) *best = run;
}

FailureRun failures_best(const FailureModel *m) {
    const double ratio = 1.05, most_s = 4 * failures_young_s(m);
    FailureRun best = {0};
    for (double s = most_s / 16; s < most_s; s *= ratio) take_better(&best, m, s);
    take_better(&best, m, failures_young_s(m));
    take_better(&best, m, failures_daly_s(m));
    return best;
}
