// SPDX-License-Identifier: MIT
// What recomputation saves and costs, by hand for a GPT: memory of activations, arithmetic, and
// what ZeRO-3 gathers once more. With u = B T C elements, one output of the width of the network,
// a block keeps for its backward
//
//     its input, ln_1, q k v (3), attention, mid, ln_2, c_fc (4), gelu (4):  16 u, and B T heads
//                                                                            logarithms of sums
//     selective: without ln_1, ln_2 and gelu:                                10 u and these
//     full: its input:                                                           u
//
// At the most there are besides, in the backward of the last block: the gradient of its output (u)
// and of what gelu reads and gives (8 u, while gelu's output is gone: 5 u in all); selective: gelu
// again (4 u) with the two gradients of c_proj (5 u); full: 15 u of the block again, with the
// output of attention's c_proj, which mid is made of, and the same 5 u.
#include "core/plan/check.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/collective_work.h"
#include "parallel/strategy/footprint.h"
#include "parallel/strategy/job_spec.h"
#include "tests/support/testing.h"

#include <stdio.h>

enum { BATCH = 512, TIME = 32, HEADS = 4, WIDTH = 64 };
enum { UNIT = BATCH * TIME * WIDTH * (int)sizeof(float), SUMS = UNIT / WIDTH * HEADS };

typedef struct {
    Arena arena;
    ProgramSet set;
    const Program *p;
    const Plan *step;
} Lowered;

static JobSpec gpt_job(char model[64], int layers, Recompute how) {
    JobSpec job = job_spec_default();
    snprintf(model, 64, "gpt:layers=%d", layers);
    job.model = model;
    job.device = "reference";
    job.batch = BATCH;
    job.strategy.recompute = how;
    return job;
}

static void lower(Lowered *l, const JobSpec *job) {
    Model m;
    *l = (Lowered){0};
    ck_assert_ok(job_spec_model(&m, &l->arena, job));
    ck_assert_ok(job_spec_check(job));
    ck_assert_ok(job_spec_programs(&l->set, job, &m));
    ck_assert_ok(plan_check(&l->set));
    ck_assert_ok(collective_work_lower(&l->set, device_traits(job->device)));
    l->p = &l->set.programs[0];
    l->step = &l->p->plans[program_find_when(l->p, WHEN_EACH_STEP, 0)];
}

static void finish(Lowered *l) {
    program_set_finish(&l->set);
    arena_finish(&l->arena);
}

static int64_t peak(int layers, Recompute how) {
    static const int block[] = {16, 10, 1}, besides[] = {5, 9, 20};
    int logarithms = how == RECOMPUTE_FULL ? 1 : layers;
    return (int64_t)UNIT * (block[how] * layers + besides[how]) + (int64_t)SUMS * logarithms;
}

START_TEST(activations_are_those_of_the_closed_forms) {
    for (int layers = 1; layers <= 8; layers++)
        for (int how = RECOMPUTE_NONE; how <= RECOMPUTE_FULL; how++)
            for (int cut = 0; cut < 3; cut++) {  // the batch; two micro-batches; two ranks
                char model[64];
                Lowered l;
                JobSpec job = gpt_job(model, layers, (Recompute)how);
                if (cut) job.batch = 2 * BATCH;
                if (cut == 1) job.micro_batches = 2;
                if (cut == 2) job.ranks = 2;
                lower(&l, &job);
                int64_t got = l.p->role_bytes[POOL_LOCAL][ROLE_ACTIVATION];
                ck_assert_msg(got == peak(layers, (Recompute)how),
                              "%d layers, recompute %d, cut %d: %lld bytes, not %lld", layers, how,
                              cut, (long long)got, (long long)peak(layers, (Recompute)how));
                finish(&l);
            }
}
END_TEST

static int64_t flops(const Lowered *l) {
    int64_t sum = 0;
    for (int i = 0; i < l->step->op_count; i++) sum += op_work(l->p, &l->step->ops[i])->flops;
    return sum;
}

// Of a block's products q k v (3), attention's c_proj (1) and c_fc (4 of C×C) are computed again,
// and attention; not the last, c_proj (4), which the backward does not read.
START_TEST(full_costs_the_forward_of_the_blocks_but_for_their_last_product) {
    for (int layers = 1; layers <= 3; layers++) {
        int64_t got[3];
        for (int how = RECOMPUTE_NONE; how <= RECOMPUTE_FULL; how++) {
            char model[64];
            Lowered l;
            JobSpec job = gpt_job(model, layers, (Recompute)how);
            lower(&l, &job);
            got[how] = flops(&l);
            finish(&l);
        }
        int64_t token = 2 * 8 * WIDTH * WIDTH + 2 * WIDTH * (TIME + 1);
        ck_assert_int_eq(got[RECOMPUTE_SELECTIVE], got[RECOMPUTE_NONE]);
        ck_assert_int_eq(got[RECOMPUTE_FULL] - got[RECOMPUTE_NONE],
                         (int64_t)layers * BATCH * TIME * token);
    }
}
END_TEST

static int count_gathers(const Lowered *l, Phase phase) {
    int count = 0;
    for (int i = 0; i < l->step->op_count; i++) {
        const Work *w = op_work(l->p, &l->step->ops[i]);
        count += w->kind == KIND_ALL_GATHER && w->phase == phase;
    }
    return count;
}

// Weights and biases of a block: two norms of C, q k v, attention's c_proj, and c_fc. A block is
// gathered at once, and so are wte, wpe, ln_f and lm_head.
START_TEST(zero_3_gathers_once_more_what_it_computes_again_with) {
    enum { OUTSIDE = 4 };
    enum { NORMS = 2 * 2 * WIDTH, AGAIN = NORMS + 8 * WIDTH * WIDTH + (3 + 1 + 4) * WIDTH };
    for (int passes = 1; passes <= 2; passes++)
        for (int how = RECOMPUTE_NONE; how <= RECOMPUTE_FULL; how++) {
            static const int again[] = {0, NORMS, AGAIN};
            static double sent, closed;
            static int64_t buffers;
            char model[64];
            Lowered l;
            JobSpec job = gpt_job(model, 2, (Recompute)how);
            job.ranks = 4;
            job.micro_batches = passes;
            job.strategy.zero = 3;
            lower(&l, &job);
            FootprintModel m = footprint_model(l.p);
            if (how == RECOMPUTE_NONE) {
                sent = footprint_planned(l.p, NONE).sent;
                closed = footprint_closed(&m, 3).sent;
                buffers = program_memory(l.p, MEMORY_COMMUNICATION);
            }
            double more = 2.0 * again[how] * (int)sizeof(float) * passes * 3 / 4;
            ck_assert_int_eq(m.recomputed_bytes, 2 * again[how] * (int)sizeof(float));
            ck_assert_double_eq_tol(footprint_planned(l.p, NONE).sent - sent, more, 1e-6 * sent);
            ck_assert_double_eq_tol(footprint_closed(&m, 3).sent - closed, more, 1e-6 * closed);
            ck_assert_int_eq(count_gathers(&l, PHASE_FORWARD), (2 + OUTSIDE) * passes);
            ck_assert_int_eq(count_gathers(&l, PHASE_RECOMPUTE), how ? 2 * passes : 0);
            ck_assert_int_eq(program_memory(l.p, MEMORY_COMMUNICATION), buffers);
            finish(&l);
        }
}
END_TEST

// Operations computed again, of one step on one rank.
static int count_again(const char *model, Recompute how, Kind kind) {
    char unused[64];
    Lowered l;
    JobSpec job = gpt_job(unused, 1, how);
    int count = 0;
    job.model = model;
    lower(&l, &job);
    for (int i = 0; i < l.step->op_count; i++)
        count += l.step->ops[i].flags & OP_RECOMPUTE && op_kind(l.p, &l.step->ops[i]) == kind;
    finish(&l);
    return count;
}

// Where blocks are in blocks, those of a list are meant. Without any, an MLP of 9 hidden layers, 19
// in all, is cut into four segments that begin with a linear layer; the last is kept.
START_TEST(segments_are_blocks_or_a_root_of_the_layers) {
    ck_assert_int_eq(count_again("bert:layers=3", RECOMPUTE_FULL, KIND_ATTENTION), 3);
    ck_assert_int_eq(count_again("llama:layers=2", RECOMPUTE_SELECTIVE, KIND_SWIGLU), 2);
    ck_assert_int_eq(count_again("mixtral:layers=2", RECOMPUTE_FULL, KIND_EXPERT_LINEAR), 6);
    ck_assert_int_eq(count_again("resnet:depth=14", RECOMPUTE_FULL, KIND_BATCH_NORM_UPDATE), 0);
    ck_assert_int_eq(count_again("resnet:depth=14", RECOMPUTE_FULL, KIND_BATCH_NORM_STATISTICS), 0);
    ck_assert_int_eq(count_again("mlp:layers=1", RECOMPUTE_FULL, KIND_RELU), 0);
    ck_assert_int_eq(count_again("mlp:layers=9", RECOMPUTE_FULL, KIND_RELU), 4);
    ck_assert_int_eq(count_again("mlp:layers=9", RECOMPUTE_SELECTIVE, KIND_RELU), 0);
}
END_TEST

// How many operations that read this tensor are computed again; `overwritten`: another one writes
// the tensor later, as the next message does with a buffer.
static int readers_again(const char *tensor, bool overwritten) {
    const StepSpec spec = {.dtype = DTYPE_F32,
                           .batch = 8,
                           .shards = 1,
                           .local_shards = 1,
                           .micro_batches = 1,
                           .evaluation_rows = 1};
    Arena a = {0};
    Model m;
    Program p;
    int count = 0;
    ck_assert_ok(model_read(&m, &a, "gpt:layers=2"));
    ck_assert_ok(model_emit(&p, &m, &spec));
    Plan *step = &p.plans[program_find_when(&p, WHEN_EACH_STEP, 0)];
    int32_t to = program_find_tensor(&p, tensor), from = program_find_tensor(&p, "wte.y");
    if (overwritten)
        ck_assert_ok(plan_add_op(&p, step,
                                 &(OpSpec){.name = "overwrite",
                                           .kind = KIND_COPY,
                                           .phase = PHASE_FORWARD,
                                           .outputs = &to,
                                           .inputs = &from,
                                           .output_count = 1,
                                           .input_count = 1},
                                 NULL));
    ck_assert_ok(recompute_apply(&p, &m, RECOMPUTE_SELECTIVE));
    for (int i = 0; i < step->op_count; i++)
        count += step->ops[i].flags & OP_RECOMPUTE && op_inputs(step, &step->ops[i])[0] == to;
    program_finish(&p);
    arena_finish(&a);
    return count;
}

START_TEST(what_reads_a_buffer_that_is_filled_again_is_kept) {
    ck_assert_int_eq(readers_again("h.0.mid.y", false), 1);
    ck_assert_int_eq(readers_again("h.0.mid.y", true), 0);
}
END_TEST

SUITE("recompute_bytes", what_reads_a_buffer_that_is_filled_again_is_kept,
      activations_are_those_of_the_closed_forms,
      full_costs_the_forward_of_the_blocks_but_for_their_last_product,
      zero_3_gathers_once_more_what_it_computes_again_with,
      segments_are_blocks_or_a_root_of_the_layers)
