// SPDX-License-Identifier: MIT
// Advice: the best of few combinations is the best of all when each is simulated, everything that
// is counted has its reason, and threads change nothing.
#include "sim/advise.h"
#include "sim/advise_estimate.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static Arena arena;
static Machine machine;
static SimSetting setting;
static Advice advice;

static SimJob job_of(const char *model, int ranks, int64_t batch) {
    SimJob job = {.spec = job_spec_default()};
    job.spec.model = model;
    job.spec.device = "timed:dgx-a100";
    job.spec.ranks = ranks;
    job.spec.batch = batch;
    return job;
}

static void find(const SimJob *job, const bool fixed[ADVISE_OPTIONS], int threads, int most) {
    const AdviseAsk ask = {.job = job,
                           .setting = &setting,
                           .memory_bytes = machine.device.memory_bytes,
                           .threads = threads,
                           .most = most,
                           .fixed = fixed};
    ck_assert_ok(advise_find(&advice, &arena, &ask));
}

static void set_up(void) {
    ck_assert_ok(machine_read(&machine, &arena, "dgx-a100"));
    setting = (SimSetting){.machine = &machine, .devices = true, .unkept = true};
}

// The step of a candidate, simulated alone; infinite where it cannot be made or does not fit.
static double step_alone(const SimJob *base, int candidate) {
    SimJob job = *base;
    Prediction p;
    advise_job(&job.spec, &advice, candidate);
    if (predict_job(&p, &arena, &job, &setting) != OK || !prediction_fits(&p)) return HUGE_VAL;
    return p.step_ms;
}

// 4 devices, all degrees, micro-batches and buckets: so few that each is simulated here.
START_TEST(the_best_is_the_best_of_all) {
    static const bool fixed[ADVISE_OPTIONS] = {
        [ADVISE_RECOMPUTE] = true, [ADVISE_SCHEDULE] = true, [ADVISE_EXPERT] = true};
    set_up();
    static const char *const models[] = {"mlp", "net"};
    for (int m = 0; m < 2; m++) {
        SimJob job = job_of(models[m], 4, 64);
        double best = HUGE_VAL;
        find(&job, fixed, 2, 40);
        ck_assert_int_ne(advice.best, NONE);
        for (int c = 0; c < advice.count; c++) best = fmin(best, step_alone(&job, c));
        const Point *p = &advice.points[advice.candidates[advice.best].point];
        ck_assert_double_eq(p->step_ms, step_alone(&job, advice.best));
        ck_assert_msg(p->step_ms <= 1.01 * best, "%s: %.9g ms, but there is one of %.9g ms",
                      models[m], p->step_ms, best);
    }
    arena_finish(&arena);
}
END_TEST

static int by_bytes(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

// Memory in which a twelfth of all candidates fit, each of them simulated here; *best: the shortest
// step of those.
static int64_t scarce_memory(const SimJob *base, double *best) {
    enum { ALL = 4096 };
    static int64_t bytes[ALL], sorted[ALL];
    static double steps[ALL];
    int count = 0;
    for (int c = 0; c < advice.count; c++) {
        SimJob job = *base;
        Prediction p;
        Arena a = {0};
        advise_job(&job.spec, &advice, c);
        if (predict_job(&p, &a, &job, &setting) == OK) {
            ck_assert_int_lt(count, ALL);
            bytes[count] = sorted[count] = p.memory_bytes;
            steps[count++] = p.step_ms;
        }
        arena_finish(&a);
    }
    qsort(sorted, (size_t)count, sizeof *sorted, by_bytes);
    int64_t memory = sorted[count / 12];
    *best = HUGE_VAL;
    for (int i = 0; i < count; i++)
        if (bytes[i] <= memory) *best = fmin(*best, steps[i]);
    return memory;
}

// 4 devices, but hundreds of candidates each, of which few fit and few are simulated.
START_TEST(what_fits_scarce_memory_is_found) {
    static const struct {
        const char *model;
        bool fixed[ADVISE_OPTIONS];
    } cases[] = {
        {"gpt:layers=4,hidden=256,heads=4", {[ADVISE_CONTEXT] = true, [ADVISE_BUCKET] = true}},
        {"llama-3-8b:layers=2,hidden=256,heads=8,seq=64",
         {[ADVISE_SCHEDULE] = true, [ADVISE_BUCKET] = true}},
        {"mixtral:layers=2",
         {[ADVISE_CONTEXT] = true, [ADVISE_SCHEDULE] = true, [ADVISE_BUCKET] = true}},
        {"mlp:hidden=2048", {[ADVISE_BUCKET] = true}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double best;
        set_up();
        SimJob job = job_of(cases[i].model, 4, 16);
        job.spec.optimizer.kind = OPTIMIZER_ADAMW;
        find(&job, cases[i].fixed, 1, 1);
        machine.device.memory_bytes = scarce_memory(&job, &best);
        find(&job, cases[i].fixed, 1, 0);
        ck_assert_msg(advice.best != NONE, "%s: none of %d fits", cases[i].model, advice.simulated);
        double step = advice.points[advice.candidates[advice.best].point].step_ms;
        ck_assert_msg(step <= 1.1 * best, "%s: %.9g ms, but one that fits takes %.9g ms",
                      cases[i].model, step, best);
        arena_finish(&arena);
    }
}
END_TEST

// With a byte less than the best needs another is best; in 1 MB not even the weights fit, and most
// combinations need no plan to know that.
START_TEST(what_does_not_fit_is_not_advised) {
    static const bool fixed[ADVISE_OPTIONS] = {[ADVISE_SCHEDULE] = true};
    set_up();
    SimJob job = job_of("mlp", 4, 64);
    find(&job, fixed, 1, 0);
    int64_t needed = advice.points[advice.candidates[advice.best].point].memory_bytes;
    machine.device.memory_bytes = needed - 1;
    find(&job, fixed, 1, 0);
    ck_assert_int_ne(advice.best, NONE);
    ck_assert_int_lt(advice.points[advice.candidates[advice.best].point].memory_bytes, needed);
    ck_assert_int_gt(advice.fates[ADVISE_MEMORY], 0);
    machine.device.memory_bytes = 1000000;
    find(&job, fixed, 1, 0);
    ck_assert_int_eq(advice.best, NONE);
    ck_assert_int_gt(advice.fates[ADVISE_LEAST], 0);
    ck_assert_int_eq(advice.fates[ADVISE_SIMULATED], 0);
    arena_finish(&arena);
}
END_TEST

START_TEST(each_combination_has_one_fate_and_fixed_options_stay) {
    static const bool fixed[ADVISE_OPTIONS] = {[ADVISE_TENSOR] = true, [ADVISE_ZERO] = true};
    set_up();
    SimJob job = job_of("gpt", 12, 60);
    job.spec.mesh.tensor = 2;
    find(&job, fixed, 1, 12);
    int all = 0;
    for (int f = 0; f < ADVISE_FATES; f++) all += advice.fates[f];
    ck_assert_int_eq(all, advice.count);
    ck_assert_int_le(advice.simulated, 12);
    ck_assert_int_gt(advice.fates[ADVISE_DEVICES], 0);  // 2 x 4 does not divide 12
    ck_assert_int_gt(advice.fates[ADVISE_BATCH], 0);    // nor 6 x 4 micro-batches 60
    ck_assert_int_gt(advice.fates[ADVISE_STAGES], 0);
    for (int c = 0; c < advice.count; c++) {
        ck_assert_int_eq(advise_value(&advice, c, ADVISE_TENSOR), 2);
        ck_assert_int_eq(advise_value(&advice, c, ADVISE_ZERO), 0);
    }
    arena_finish(&arena);
}
END_TEST

// Its attention has heads that 8 ranks cannot share, which is found out once for all of them.
START_TEST(what_the_model_cannot_be_divided_by_is_not_simulated) {
    static const bool fixed[ADVISE_OPTIONS] = {[ADVISE_RECOMPUTE] = true, [ADVISE_ZERO] = true};
    set_up();
    SimJob job = job_of("gpt2", 8, 64);
    find(&job, fixed, 2, 4);
    ck_assert_int_gt(advice.fates[ADVISE_MODEL], 0);
    ck_assert_ptr_nonnull(strstr(advice.why[ADVISE_MODEL], "heads"));
    for (int c = 0; c < advice.count; c++)
        if (advise_value(&advice, c, ADVISE_TENSOR) == 8)
            ck_assert_int_ne(advice.candidates[c].fate, ADVISE_OPEN);
    arena_finish(&arena);
}
END_TEST

START_TEST(threads_change_nothing) {
    static const bool fixed[ADVISE_OPTIONS] = {[ADVISE_RECOMPUTE] = true};
    enum { MOST = 24 };
    int before[MOST], best = NONE, simulated = 0;
    set_up();
    SimJob job = job_of("mlp", 8, 64);
    for (int threads = 1; threads <= 4; threads += 3) {
        find(&job, fixed, threads, MOST);
        if (threads > 1) {
            ck_assert_int_eq(advice.best, best);
            ck_assert_int_eq(advice.simulated, simulated);
            ck_assert_mem_eq(advice.of_point, before, (size_t)simulated * sizeof *before);
        }
        best = advice.best;
        simulated = advice.simulated;
        memcpy(before, advice.of_point, (size_t)simulated * sizeof *before);
    }
    arena_finish(&arena);
}
END_TEST

// A candidate that is rejected by the form could not have been planned in that memory.
START_TEST(the_closed_form_is_no_more_than_the_plan) {
    EstimateModel m;
    set_up();
    for (int zero = 0; zero <= 3; zero++)
        for (int tensor = 1; tensor <= 2; tensor++)
            for (int pipe = 1; pipe <= (zero == 3 ? 1 : 2); pipe++) {
                SimJob job = job_of("gpt", 8, 64);
                Prediction p;
                job.spec.mesh = (Mesh){.tensor = tensor, .pipe = pipe};
                job.spec.strategy.zero = zero;
                job.spec.micro_batches = 2 * pipe;
                job.spec.optimizer.kind = OPTIMIZER_ADAMW;
                job.spec.dtype = DTYPE_BF16;
                ck_assert_ok(estimate_model_read(&m, &arena, &job.spec, &setting));
                ck_assert_ok(predict_job(&p, &arena, &job, &setting));
                double least = estimate_model_least_bytes(&m, &job.spec);
                int64_t states = p.answers->memory_bytes[MEMORY_PARAMETERS] +
                                 p.answers->memory_bytes[MEMORY_GRADIENTS] +
                                 p.answers->memory_bytes[MEMORY_OPTIMISER];
                ck_assert_msg(least <= (double)states && least > 0.2 * (double)states,
                              "zero %d, tp %d, pp %d: %.0f bytes, planned %lld", zero, tensor, pipe,
                              least, (long long)states);
            }
    arena_finish(&arena);
}
END_TEST

static double estimate_of(const SimJob *job) {
    EstimateModel m;
    ck_assert_ok(estimate_model_read(&m, &arena, &job->spec, &setting));
    return estimate_model_step_ms(&m, &job->spec);
}

static double step_of(const SimJob *job) {
    Prediction p;
    ck_assert_ok(predict_job(&p, &arena, job, &setting));
    return p.step_ms;
}

// From the fastest on. Gradients of 16 data parallel ranks go over all rails of two nodes, of 8 in
// each stage within one.
START_TEST(plans_over_nodes_are_estimated_in_the_order_of_their_steps) {
    static const struct {
        int pipe, tensor, micro_batches;
    } plans[] = {{1, 1, 1}, {1, 2, 1}, {2, 1, 4}, {4, 1, 8}, {4, 1, 4}};
    double estimate = 0, step = 0;
    set_up();
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        SimJob job = job_of("gpt2", 16, 128);
        double before = estimate, step_before = step;
        job.spec.dtype = DTYPE_BF16;
        job.spec.mesh = (Mesh){.pipe = plans[i].pipe, .tensor = plans[i].tensor};
        job.spec.micro_batches = plans[i].micro_batches;
        estimate = estimate_of(&job);
        step = step_of(&job);
        ck_assert_msg(estimate > before && step > step_before, "plan %zu: %g ms after %g ms", i,
                      estimate, before);
    }
    arena_finish(&arena);
}
END_TEST

// Message by message a ring crosses between nodes by one rail; of NCCL's each has its own.
START_TEST(an_estimate_knows_how_many_rails_a_collective_has) {
    SimJob job = job_of("mlp:hidden=4096", 16, 64);
    set_up();
    job.spec.strategy.algorithm = ALGORITHM_RING;
    double all = estimate_of(&job), all_step = step_of(&job);
    setting.network = SIM_NETWORK_FLOW;
    double one = estimate_of(&job), one_step = step_of(&job);
    ck_assert_msg(one > 2 * all && one_step > 2 * all_step, "%g and %g ms, not %g and %g", one, all,
                  one_step, all_step);
    job.spec.ranks = 8;
    job.spec.batch = 32;
    one = estimate_of(&job);
    setting.network = SIM_NETWORK_AUTO;
    ck_assert_double_eq(estimate_of(&job), one);  // in one node there is no rail
    arena_finish(&arena);
}
END_TEST

// The one that is simulated, though others are estimated to be faster.
START_TEST(the_job_as_it_is_is_simulated_first) {
    static const bool fixed[ADVISE_OPTIONS] = {[ADVISE_RECOMPUTE] = true};
    set_up();
    SimJob job = job_of("mlp", 16, 64);
    find(&job, fixed, 1, 1);
    int plain = advise_plain(&advice), faster = 0;
    ck_assert_int_eq(plain, advice.best);
    ck_assert_double_eq(advice.points[0].step_ms, step_of(&job));
    for (int c = 0; c < advice.count; c++)
        faster += advice.candidates[c].fate == ADVISE_OPEN &&
                  advice.candidates[c].estimate_ms < advice.candidates[plain].estimate_ms;
    ck_assert_int_gt(faster, 0);
    arena_finish(&arena);
}
END_TEST

SUITE("advise", the_best_is_the_best_of_all, what_fits_scarce_memory_is_found,
      what_does_not_fit_is_not_advised, each_combination_has_one_fate_and_fixed_options_stay,
      what_the_model_cannot_be_divided_by_is_not_simulated, threads_change_nothing,
      the_closed_form_is_no_more_than_the_plan,
      plans_over_nodes_are_estimated_in_the_order_of_their_steps,
      an_estimate_knows_how_many_rails_a_collective_has, the_job_as_it_is_is_simulated_first)
