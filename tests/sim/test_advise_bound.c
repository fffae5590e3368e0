// SPDX-License-Identifier: MIT
// Why --advise need not simulate all: of combinations drawn at random none is faster, or smaller,
// than its bound, nor than its short plans say by more than their error. Few are drawn, since each
// is planned whole; of 320 one was 0.57 % smaller than its short plans say.
#include "sim/advise.h"
#include "sim/advise_estimate.h"
#include "sim/advise_short.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdlib.h>

static Arena arena;
static Machine machine;
static SimSetting setting;
static Advice advice;

// Few layers of small width, but enough of both that plans can be shortened.
static const struct {
    const char *model, *platform;
    int ranks;
    int64_t batch;
    Dtype dtype;
} jobs[] = {
    {"llama-3-8b:layers=8,hidden=1024,heads=16,mlp=4096,seq=512", "dgx-h100", 8, 128, DTYPE_BF16},
    {"gpt:layers=8,hidden=512,heads=8,seq=256", "dgx-a100", 8, 128, DTYPE_F32},
    {"mixtral:layers=8,hidden=512,heads=8,kv_heads=8,experts=8,seq=128", "dgx-h100", 8, 128,
     DTYPE_BF16},
    {"net", "dgx-a100", 4, 256, DTYPE_F32},
};
enum { LLAMA, GPT, MIXTRAL, NET, DRAWN = 5 };

static SimJob set_up(int i) {
    SimJob job = {.spec = job_spec_default()};
    job.spec.model = jobs[i].model;
    job.spec.device = "timed:dgx-a100";
    job.spec.ranks = jobs[i].ranks;
    job.spec.batch = jobs[i].batch;
    job.spec.dtype = jobs[i].dtype;
    job.spec.optimizer.kind = OPTIMIZER_ADAMW;
    ck_assert_ok(machine_read(&machine, &arena, jobs[i].platform));
    setting = (SimSetting){.machine = &machine, .devices = true, .unkept = true, .brief = true};
    return job;
}

// So many plans are simulated as they are that the list is there, with bounds; memory is scarce
// enough that some are rejected, which are drawn, too.
static void find(const SimJob *job, int64_t memory) {
    static const bool fixed[ADVISE_OPTIONS] = {false};
    const AdviseAsk ask = {.job = job,
                           .setting = &setting,
                           .memory_bytes = memory,
                           .threads = 2,
                           .most = 1,
                           .fixed = fixed};
    ck_assert_ok(advise_find(&advice, &arena, &ask));
}

static bool has_bound(const AdviseCandidate *c) {
    return c->fate == ADVISE_OPEN || c->fate == ADVISE_SHORT || c->fate == ADVISE_SIMULATED ||
           c->fate == ADVISE_PASSED_BY || c->fate == ADVISE_LEAST;
}

typedef struct {
    int drawn, shortened;
    double worst_step, worst_memory, tightest;
} Seen;

static void compare_short(Seen *seen, const SimJob *job, int candidate, const Prediction *p) {
    ShortBlocks blocks;
    ShortPlan plan;
    Point point;
    ck_assert_ok(short_blocks_read(&blocks, &arena, &job->spec));
    ck_assert_ok(short_plan_init(&plan, &arena, job, &setting, &blocks));
    if (short_plan_is_whole(&plan)) return;
    ck_assert_ok(short_plan_point(&point, &plan, 0));
    double step = point.step_ms / p->step_ms - 1,
           memory = (double)point.memory_bytes / (double)p->memory_bytes - 1;
    const JobSpec s = job->spec;
    double error = mesh_size(&s.mesh, MESH_CONTEXT) > 1 ? ADVISE_RING_ERROR : ADVISE_SHORT_ERROR;
    ck_assert_msg(step < error && memory < ADVISE_SHORT_ERROR,
                  "%s, candidate %d (pp %d, tp %d, cp %d, zero %d, %d micro-batches, schedule %d, "
                  "recompute %d): short plans say %+.3f %% of %g ms, %+.3f %% of %lld bytes",
                  s.model, candidate, mesh_size(&s.mesh, MESH_PIPE),
                  mesh_size(&s.mesh, MESH_TENSOR), mesh_size(&s.mesh, MESH_CONTEXT),
                  s.strategy.zero, s.micro_batches, s.strategy.schedule.word, s.strategy.recompute,
                  100 * step, p->step_ms, 100 * memory, (long long)p->memory_bytes);
    seen->shortened++;
    seen->worst_step = fmax(seen->worst_step, fabs(step));
    seen->worst_memory = fmax(seen->worst_memory, fabs(memory));
}

static void compare_one(Seen *seen, const SimJob *base, int candidate) {
    const AdviseCandidate *c = &advice.candidates[candidate];
    SimJob job = *base;
    Prediction p;
    advise_job(&job.spec, &advice, candidate);
    if (predict_job(&p, &arena, &job, &setting) != OK) return;
    JobSpec s = job.spec;
    ck_assert_msg(c->bound_ms <= p.step_ms && c->least_bytes <= p.memory_bytes,
                  "%s, candidate %d (pp %d, tp %d, cp %d, zero %d, %d micro-batches, schedule %d, "
                  "recompute %d): %g ms, not %g at least; %lld bytes, not %lld",
                  s.model, candidate, mesh_size(&s.mesh, MESH_PIPE),
                  mesh_size(&s.mesh, MESH_TENSOR), mesh_size(&s.mesh, MESH_CONTEXT),
                  s.strategy.zero, s.micro_batches, s.strategy.schedule.word, s.strategy.recompute,
                  p.step_ms, c->bound_ms, (long long)p.memory_bytes, (long long)c->least_bytes);
    seen->drawn++;
    seen->tightest = fmax(seen->tightest, c->bound_ms / p.step_ms);
    compare_short(seen, &job, candidate, &p);
}

static void compare_drawn(int i) {
    Seen seen = {0};
    const SimJob job = set_up(i);
    find(&job, 0);
    uint64_t state = 88172645463325252u + (uint64_t)i;
    for (int k = 0; k < DRAWN;) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int c = (int)((state >> 33) % (uint64_t)advice.count);
        if (!has_bound(&advice.candidates[c])) continue;
        compare_one(&seen, &job, c);
        k++;
    }
    arena_finish(&arena);
    ck_assert_int_ge(seen.drawn, DRAWN - 1);
    ck_assert(i == NET || seen.shortened > 1);
    ck_assert_msg(seen.tightest > 0.5, "the tightest bound is %g of its step", seen.tightest);
}

START_TEST(no_llama_is_below_its_bounds) { compare_drawn(LLAMA); }
END_TEST

START_TEST(no_gpt_is) { compare_drawn(GPT); }
END_TEST

START_TEST(no_mixture_of_experts_is) { compare_drawn(MIXTRAL); }
END_TEST

START_TEST(nor_a_network_without_blocks) { compare_drawn(NET); }
END_TEST

SUITE("advise_bound", no_llama_is_below_its_bounds, no_gpt_is, no_mixture_of_experts_is,
      nor_a_network_without_blocks)
