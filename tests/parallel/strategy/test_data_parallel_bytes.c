// SPDX-License-Identifier: MIT
// What nn.DataParallel keeps and sends a step, by hand: with Psi bytes of parameters, P devices and
// M micro-batches, (P - 1) Psi M to replicate and (P - 1) Psi to reduce; rows to each other device.
#include "core/plan/check.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/collective_work.h"
#include "parallel/strategy/footprint.h"
#include "parallel/strategy/job_spec.h"
#include "tests/support/testing.h"

#include <string.h>

enum { WIDTH = 64, PIXELS = 784, CLASSES = 10, REAL = 4 };

// 784 -> 64 -> 10, with biases.
enum { PARAMETERS = WIDTH * PIXELS + WIDTH + CLASSES * WIDTH + CLASSES, PSI = PARAMETERS * REAL };

typedef struct {
    Arena arena;
    ProgramSet set;
} Lowered;

static void lower_job(Lowered *l, int ranks, int micro_batches, int64_t batch) {
    Model m;
    JobSpec job = job_spec_default();
    *l = (Lowered){0};
    job.ranks = ranks;
    job.batch = batch;
    job.micro_batches = micro_batches;
    job.strategy.data_parallel = true;
    ck_assert_ok(model_read(&m, &l->arena, "mlp:hidden=64,layers=1"));
    ck_assert_ok(job_spec_check(&job));
    ck_assert_ok(job_spec_programs(&l->set, &job, &m));
    ck_assert_ok(plan_check(&l->set));
    ck_assert_ok(collective_work_lower(&l->set, device_traits("cpu")));
    ck_assert_int_eq(l->set.count, 2);
}

static void finish(Lowered *l) {
    program_set_finish(&l->set);
    arena_finish(&l->arena);
}

// Bytes that all ranks together send in operations whose names begin so.
static int64_t sent(const Program *p, const char *name) {
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    int64_t bytes = 0;
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        if (!work_communicates(w) || strncmp(program_name(p, w->name), name, strlen(name)) != 0)
            continue;
        Collective c = collective_work_collective(p, w);
        bytes += collective_bytes_total(&c, dtype_bytes((Dtype)w->dtype));
    }
    return bytes;
}

START_TEST(bytes_of_a_step_are_those_of_the_closed_form) {
    for (int ranks = 2; ranks <= 4; ranks++)
        for (int micro_batches = 1; micro_batches <= 2; micro_batches++) {
            const int64_t batch = 61, shard = (batch + ranks - 1) / ranks,
                          rows = (shard + micro_batches - 1) / micro_batches,
                          moved = (ranks - 1) * rows * micro_batches;
            Lowered l;
            lower_job(&l, ranks, micro_batches, batch);
            for (int c = 0; c < 2; c++) {
                const Program *p = &l.set.programs[c];
                int64_t weights = (int64_t)(ranks - 1) * PSI;
                ck_assert_int_eq(sent(p, "replicate"), micro_batches * weights);
                ck_assert_int_eq(sent(p, "reduce.gradients"), weights);
                ck_assert_int_eq(sent(p, "scatter.x"), moved * PIXELS * REAL);
                ck_assert_int_eq(sent(p, "gather.logits.y"), moved * CLASSES * REAL);
                ck_assert_int_eq(sent(p, "scatter.logits.dy"), moved * CLASSES * REAL);
                // Device 0 sends weights, samples and gradients of outputs to all others; each of
                // these its gradients and outputs.
                Footprint f = footprint_planned(p, c);
                ck_assert_double_eq_tol(f.sent, (double)(c ? PSI : micro_batches * weights), 1);
                ck_assert_double_eq_tol(f.sent_rows,
                                        (double)rows * micro_batches * REAL *
                                            (c ? CLASSES : (ranks - 1) * (PIXELS + CLASSES)),
                                        1);
                ck_assert_double_eq(f.sent_statistics + f.sent_norm, 0);
            }
            finish(&l);
        }
}
END_TEST

static int64_t all_memory(const Program *p) {
    int64_t bytes = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) bytes += program_memory(p, (Memory)m);
    return bytes;
}

// Places are multiples of 64 bytes: of the last layer's ten biases 24 are lost.
START_TEST(device_0_alone_has_weights_and_state_and_takes_more) {
    enum { PLANNED = PSI + 24 };
    for (int ranks = 2; ranks <= 4; ranks++) {
        Lowered l;
        lower_job(&l, ranks, 1, 64);
        const Program *first = &l.set.programs[0], *other = &l.set.programs[1];
        ck_assert_int_eq(program_memory(first, MEMORY_PARAMETERS), PLANNED);
        ck_assert_int_eq(program_memory(first, MEMORY_OPTIMISER), PLANNED);
        ck_assert_int_eq(program_memory(other, MEMORY_PARAMETERS), 0);
        ck_assert_int_eq(program_memory(other, MEMORY_OPTIMISER), 0);
        ck_assert_int_eq(program_memory(other, MEMORY_COMMUNICATION), PLANNED);  // the replica
        ck_assert_int_gt(all_memory(first), all_memory(other) + PSI);
        finish(&l);
    }
}
END_TEST

SUITE("data_parallel_bytes", bytes_of_a_step_are_those_of_the_closed_form,
      device_0_alone_has_weights_and_state_and_takes_more)
