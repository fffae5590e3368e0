// SPDX-License-Identifier: MIT
// Sharded training from plan files: what ranks that hold pieces compute is what one rank does, bit
// for bit where the contract says so (docs/contract.md, 7), else within its bounds.
#include "core/data/safetensors.h"
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
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

typedef struct {
    Safetensors file;
    Outcome run;
} Ending;

// A run in `dtype` on one rank, or with the pair cut over `ranks` tensor-parallel ones.
static void run_pair(Ending *out, Arena *a, Dtype dtype, const char *device, int ranks,
                     CommKind comm) {
    static char model[256], saved[300];
    JobOptions o = training_options();
    snprintf(model, sizeof model, "%s/pair.model", test_directory());
    FILE *f = fopen(model, "w");
    ck_assert_ptr_nonnull(f);
    fputs(pair_model, f);
    ck_assert_int_eq(fclose(f), 0);
    snprintf(saved, sizeof saved, "%s/%d.safetensors", test_directory(), ranks);
    o.spec.model = model;
    o.spec.device = device;
    o.spec.dtype = dtype;
    o.steps = 10;
    o.save = saved;
    if (ranks > 1) {
        const TensorPair pair = {.column = "fc2", .between = "relu2", .row = "fc3", .ranks = ranks};
        const StepSpec step = step_of(&o, 1);
        Model m;
        Program p;
        ck_assert_ok(model_read(&m, a, model));
        ck_assert_ok(tensor_parallel_program(&p, &m, &step, &pair));
        o.spec.plan_file = write_plan(&p);
        o.spec.ranks = ranks;
        o.spec.mesh.data = 1;
        o.spec.shards = 1;
        o.comm = comm;
    }
    ck_assert_ok(training_run(&out->run, &o, NULL));
    ck_assert_ok(safetensors_read(&out->file, a, saved));
}

static double element(const SafetensorsEntry *e, int64_t i) {
    return e->dtype == DTYPE_F64 ? ((const double *)e->data)[i]
                                 : (double)((const float *)e->data)[i];
}

// In units of the bound that the contract gives for f64: 1e-12 max(1, |w|).
static double largest_difference(const Safetensors *a, const Safetensors *b) {
    double most = 0;
    ck_assert_int_eq(a->count, b->count);
    for (int k = 0; k < a->count; k++) {
        const SafetensorsEntry *x = &a->entries[k], *y = safetensors_find(b, x->name);
        ck_assert_msg(y && safetensors_bytes(x) == safetensors_bytes(y), "%s", x->name);
        for (int64_t i = 0; i < safetensors_bytes(x) / dtype_bytes(x->dtype); i++) {
            double w = element(x, i), d = fabs(w - element(y, i)) / (1e-12 * fmax(1, fabs(w)));
            if (!(d <= most)) most = d;
        }
    }
    return most;
}

static double loss_of(const Outcome *o, int rank, int step) {
    const Timeline *t = &o->training.shared->results[rank].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && step-- == 0) return t->steps[i].loss;
    ck_abort_msg("a step is missing");
}

static void check_pair(Dtype dtype, const char *device, int ranks, CommKind comm) {
    Arena a = {0};
    Ending one, pair;
    run_pair(&one, &a, dtype, device, 1, comm);
    run_pair(&pair, &a, dtype, device, ranks, comm);
    double bound = dtype == DTYPE_F64 ? 1e-12 : 1e-6;
    for (int r = 0; r < ranks; r++)
        for (int step = 0; step < 10; step++) {
            double want = loss_of(&one.run, 0, step), got = loss_of(&pair.run, r, step);
            ck_assert_msg(fabs(want - got) <= bound * want,
                          "%s, rank %d of %d, step %d: %.17g, not %.17g", device, r, ranks, step,
                          got, want);
        }
    if (dtype == DTYPE_F64) {
        double d = largest_difference(&one.file, &pair.file);
        ck_assert_msg(d <= 1, "%s, %d ranks: parameters differ by %g bounds", device, ranks, d);
    }
    outcome_finish(&one.run);
    outcome_finish(&pair.run);
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
