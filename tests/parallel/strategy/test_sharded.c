// SPDX-License-Identifier: MIT
// Sharded training from plan files: what ranks that hold pieces compute is what one rank does, bit
// for bit where the contract says so (docs/contract.md, 7), else within its bounds.
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "tests/support/ending.h"
#include "tests/support/sharded.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>

static StepSpec step_of(const JobOptions *o, int data_ranks) {
    return (StepSpec){.dtype = o->spec.dtype,
                      .batch = o->spec.batch,
                      .shards = data_ranks,
                      .local_shards = 1,
                      .micro_batches = o->spec.micro_batches,
                      .evaluation_rows = EVALUATION_ROWS,
                      .optimizer = o->spec.optimizer,
                      .mesh.data = data_ranks};
}

// Writes a program, which it finishes, as a plan file. The path is valid until the next call.
static const char *write_plan(Program *p) {
    static char path[256];
    snprintf(path, sizeof path, "%s/sharded.plan", test_directory());
    const ProgramSet set = program_set_of_one(p);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_ok(plan_text_print(&set, NONE, f));
    ck_assert_int_eq(fclose(f), 0);
    program_finish(p);
    return path;
}

// --- ZeRO-3

static void check_zero3(int ranks, int block, const char *device, CommKind comm) {
    JobOptions o = training_options();
    Outcome one, sharded;
    Arena a = {0};
    Model m;
    Program p;
    o.steps = 6;
    o.tail = TAIL_DROP;
    o.spec.device = device;
    o.spec.shards = ranks;
    ck_assert_ok(training_run(&one, &o, NULL));
    const StepSpec step = step_of(&o, ranks);
    ck_assert_ok(model_read(&m, &a, o.spec.model));
    ck_assert_ok(zero3_program(&p, &m, &step, block));
    o.spec.plan_file = write_plan(&p);
    o.spec.ranks = ranks;
    o.comm = comm;
    ck_assert_ok(training_run(&sharded, &o, NULL));
    const char *d = outcome_result_difference(&one, &sharded);
    ck_assert_msg(!d, "%d ranks, blocks of %d, %s, %s: %s", ranks, block, device,
                  comm_kind_name(comm), d);
    outcome_finish(&one);
    outcome_finish(&sharded);
    arena_finish(&a);
}

// Blocks of 2 elements cut most tensors of the small network evenly over two ranks, those of 64
// leave some ranks without a share of the smaller ones.
START_TEST(zero3_on_two_and_four_ranks_equals_one_rank) {
    static const char *const devices[] = {"reference", device_traits_default};
    for (int device = 0; device < 2; device++)
        for (int comm = 0; comm < COMM_KINDS; comm++)
            for (int ranks = 2; ranks <= 4; ranks += 2)
                check_zero3(ranks, 2, devices[device], (CommKind)comm);
}
END_TEST

START_TEST(zero3_on_uneven_shards_equals_one_rank) {
    for (int comm = 0; comm < COMM_KINDS; comm++)
        for (int ranks = 2; ranks <= 3; ranks++) {
            check_zero3(ranks, 64, device_traits_default, (CommKind)comm);
            check_zero3(ranks, 4096, device_traits_default, (CommKind)comm);
        }
}
END_TEST

// --- tensor-parallel pairs

static const char pair_model[] =
    "model pair\ninput 1 28 28\nclasses 10\nflatten\nlinear fc1 out=24\nrelu\nlinear fc2 out=16\n"
    "relu\nlinear fc3 out=24 bias=false\nrelu\nlinear fc4 out=10\n";

// A run in `dtype` on one rank, or with the pair cut over `ranks` tensor-parallel ones.
static void run_pair(Ending *out, Arena *a, Dtype dtype, const char *device, int ranks,
                     CommKind comm) {
    JobOptions o = training_options();
    o.spec.model = ending_write_file(a, "pair.model", pair_model);
    o.spec.device = device;
    o.spec.dtype = dtype;
    o.steps = 10;
    if (ranks > 1) {
        const TensorPair pair = {.column = "fc2", .between = "relu2", .row = "fc3", .ranks = ranks};
        const StepSpec step = step_of(&o, 1);
        Model m;
        Program p;
        ck_assert_ok(model_read(&m, a, o.spec.model));
        ck_assert_ok(tensor_parallel_program(&p, &m, &step, &pair));
        o.spec.plan_file = write_plan(&p);
        o.spec.ranks = ranks;
        o.spec.mesh.data = 1;
        o.spec.shards = 1;
        o.comm = comm;
    }
    ending_run(out, a, &o);
}

static void check_pair(Dtype dtype, const char *device, int ranks, CommKind comm) {
    Arena a = {0};
    Ending one, pair;
    run_pair(&one, &a, dtype, device, 1, comm);
    run_pair(&pair, &a, dtype, device, ranks, comm);
    double bound = dtype == DTYPE_F64 ? 1e-12 : 1e-6;
    for (int r = 0; r < ranks; r++)
        for (int step = 0; step < 10; step++) {
            double want = ending_step(&one, 0, step)->loss, got = ending_step(&pair, r, step)->loss;
            ck_assert_msg(fabs(want - got) <= bound * want,
                          "%s, rank %d of %d, step %d: %.17g, not %.17g", device, r, ranks, step,
                          got, want);
        }
    if (dtype == DTYPE_F64) {
        double d = ending_distance(&one, &pair, 1e-12);
        ck_assert_msg(d <= 1, "%s, %d ranks: parameters differ by %g bounds", device, ranks, d);
    }
    ending_finish(&one);
    ending_finish(&pair);
    arena_finish(&a);
}

START_TEST(a_pair_of_linear_layers_over_ranks_stays_within_the_contract) {
    static const char *const devices[] = {"reference", device_traits_default};
    for (int device = 0; device < 2; device++)
        for (int comm = 0; comm < COMM_KINDS; comm++)
            for (int ranks = 2; ranks <= 4; ranks *= 2) {
                check_pair(DTYPE_F64, devices[device], ranks, (CommKind)comm);
                check_pair(DTYPE_F32, devices[device], ranks, (CommKind)comm);
            }
}
END_TEST

SUITE("sharded", zero3_on_two_and_four_ranks_equals_one_rank,
      zero3_on_uneven_shards_equals_one_rank,
      a_pair_of_linear_layers_over_ranks_stays_within_the_contract)
