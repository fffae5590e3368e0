// SPDX-License-Identifier: MIT
// The f32 weights of passes in bf16 under ZeRO-1 and 2, which ranks divide: whatever else is
// divided, frozen, scaled or skipped, a run has the bits of DDP in bf16; files have whole weights,
// from which any strategy on any ranks goes on; and mistakes are seen.
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "core/plan/mesh.h"
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/saved_run.h"

#include <time.h>

static JobOptions bf16_options(const char *model, const char *data, int64_t batch) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.data = data;
    o.spec.batch = batch;
    o.spec.device = "reference";
    o.spec.dtype = DTYPE_BF16;
    o.spec.optimizer.momentum = 0.9;
    o.steps = 3;
    return o;
}

// Tensors of many blocks of 4,096 elements, of a few, of less than one; one that two layers use.
static JobOptions digits_options(const char *model) {
    static char path[4096];
    snprintf(path, sizeof path, "%s", test_source(model));
    return bf16_options(path, "digits:count=100", 31);
}

static JobOptions text_options(const char *model) {
    JobOptions o = bf16_options(model, "text:count=2000", 16);
    o.spec.optimizer = (Optimizer){
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
    o.spec.optimizer.clip = 0.5;
    o.spec.learning_rate = 3e-3;
    return o;
}

// --- what is divided and sent

static const Plan *plan_of(const Job *job, const char *name) {
    const Program *p = &job->set.programs[0];
    return &p->plans[program_find_plan(p, name)];
}

static int count_ops(const Job *job, const char *plan, Kind kind, Role role) {
    const Program *p = &job->set.programs[0];
    const Plan *q = plan_of(job, plan);
    int count = 0;
    for (int i = 0; i < q->op_count; i++)
        count +=
            op_kind(p, &q->ops[i]) == kind && p->tensors[op_outputs(q, &q->ops[i])[0]].role == role;
    return count;
}

// Of the parameters that begin so: how many are cut over "data", and have memory of their own.
static int count_divided(const Job *job, const char *prefix, bool divided) {
    const Program *p = &job->set.programs[0];
    int count = 0, axis = mesh_find_axis(p, MESH_DATA);
    for (int t = 0; t < p->tensor_count; t++) {
        const Tensor *x = &p->tensors[t];
        if (x->role != ROLE_PARAMETER || x->alias != NONE) continue;
        if (strncmp(tensor_name(p, t), prefix, strlen(prefix)) != 0) continue;
        count += (x->placement[axis].place == PLACE_SHARD) == divided;
    }
    return count;
}

// No rank has whole f32 weights, so that nobody sends them: neither at the beginning nor in a step.
START_TEST(masters_are_divided_and_copies_gathered) {
    for (int stage = 1; stage <= 2; stage++) {
        JobOptions o = digits_options("tests/data/zero.model");
        Job job;
        o.spec.ranks = 3;
        o.spec.strategy.zero = stage;
        ck_assert_ok(job_create(&job, &o));
        ck_assert_int_eq(count_divided(&job, "", false), 0);
        ck_assert_int_gt(count_divided(&job, "", true), 6);
        ck_assert_int_eq(program_find_plan(&job.set.programs[0], "broadcast"), NONE);
        ck_assert_int_eq(count_ops(&job, "step", KIND_ALL_GATHER, ROLE_PARAMETER), 0);
        ck_assert_int_gt(count_ops(&job, "step", KIND_ALL_GATHER, ROLE_COPY), 0);
        ck_assert_int_gt(count_ops(&job, "evaluate", KIND_ALL_GATHER, ROLE_COPY), 0);
        job_destroy(&job);
    }
}
END_TEST

// What is not updated is whole everywhere, comes from rank 0, and is not gathered.
START_TEST(what_is_frozen_is_not_divided) {
    JobOptions o = digits_options("tests/data/zero.model");
    Job job;
    o.spec.ranks = 2;
    o.spec.strategy.zero = 1;
    o.spec.freeze = "a.*";
    ck_assert_ok(job_create(&job, &o));
    ck_assert_int_eq(count_divided(&job, "a.", true), 0);
    ck_assert_int_eq(count_divided(&job, "a.", false), 2);
    ck_assert_int_gt(count_divided(&job, "", true), 4);
    ck_assert_int_eq(count_ops(&job, "broadcast", KIND_BROADCAST, ROLE_PARAMETER), 1);
    job_destroy(&job);
}
END_TEST

// Does the first layer wait for the gather of copies that operation `gather` is?
static bool waits_for(const Job *job, const char *first, int gather) {
    const Program *p = &job->set.programs[0];
    const Plan *step = plan_of(job, "step");
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        if (strcmp(op_name(p, op), first) != 0) continue;
        for (int d = 0; d < op->dep_count; d++) {
            Dep dep = step->deps[op->dep_first + d];
            if (dep.op == gather && !dep.distance) return true;
        }
    }
    return false;
}

// With overlap the first layer waits for the first gather alone, which has all that it reads.
START_TEST(a_layer_waits_for_its_own_bucket) {
    for (int no_overlap = 0; no_overlap < 2; no_overlap++) {
        JobOptions o = digits_options("tests/data/zero.model");
        Job job;
        int gathers = 0, waited = 0;
        o.spec.ranks = 2;
        o.spec.strategy.zero = 1;
        o.spec.strategy.no_overlap = no_overlap;
        o.spec.strategy.bucket_bytes[0] = o.spec.strategy.bucket_bytes[1] = 0;
        ck_assert_ok(job_create(&job, &o));
        const Program *p = &job.set.programs[0];
        const Plan *step = plan_of(&job, "step");
        for (int i = 0; i < step->op_count; i++) {
            if (op_kind(p, &step->ops[i]) != KIND_ALL_GATHER) continue;
            gathers++;
            waited += waits_for(&job, "stem.forward", i);
        }
        ck_assert_int_eq(gathers, 4);  // stem, a and b, c, logits
        ck_assert_int_eq(waited, no_overlap ? gathers : 1);
        job_destroy(&job);
    }
}
END_TEST

// --- the bits of DDP

static void check_stages(JobOptions o, const char *what) {
    Outcome ddp, got;
    o.comm = COMM_THREAD;
    o.spec.strategy.zero = 0;
    ck_assert_ok(training_run(&ddp, &o, NULL));
    for (int stage = 1; stage <= 2; stage++) {
        uint64_t delays = (uint64_t)(7 * o.spec.ranks + stage);
        const TrainingProbe late = {.context = &delays, .before = training_delay};
        o.spec.strategy.zero = stage;
        o.spec.strategy.no_overlap = stage == o.spec.ranks % 2 + 1;
        ck_assert_ok(training_run(&got, &o, &late));
        const char *d = outcome_result_difference(&ddp, &got);
        ck_assert_msg(!d, "%s, ZeRO %d: %s", what, stage, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&ddp);
}

#define GPT "gpt:layers=2,hidden=32,heads=4,seq=8"

// Beside stages, pieces of weights, of sequences, and experts that two of four ranks share.
START_TEST(products_have_the_bits_of_ddp) {
    static const struct {
        const char *model;
        Mesh mesh;
        int ranks, micro_batches, shards, schedule, experts;
    } products[] = {
        {GPT, {.pipe = 2}, 4, 4, 0, SCHEDULE_1F1B, 0},
        {GPT, {.pipe = 2}, 4, 2, 0, SCHEDULE_INTERLEAVED, 0},
        {GPT, {.pipe = 2, .tensor = 2}, 8, 2, 0, SCHEDULE_ZERO_BUBBLE, 0},
        {GPT, {.tensor = 2}, 4, 1, 4, SCHEDULE_1F1B, 0},
        {GPT, {.data = 3}, 3, 2, 6, SCHEDULE_1F1B, 0},
        {"mixtral:layers=2,hidden=32,seq=8", {.data = 4}, 4, 1, 0, SCHEDULE_1F1B, 2},
        {"mixtral:layers=2,hidden=32,seq=8", {.data = 4}, 4, 1, 0, SCHEDULE_1F1B, 4},
    };
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        char what[64];
        JobOptions o = text_options(products[i].model);
        o.spec.mesh.pipe = products[i].mesh.pipe ? products[i].mesh.pipe : 1;
        o.spec.mesh.tensor = products[i].mesh.tensor ? products[i].mesh.tensor : 1;
        o.spec.ranks = products[i].ranks;
        o.spec.micro_batches = products[i].micro_batches;
        o.spec.shards = products[i].shards;
        o.spec.batch = products[i].ranks == 3 ? 13 : 16;
        o.spec.strategy.schedule = (OptionForm){.word = products[i].schedule};
        o.spec.strategy.experts = products[i].experts;
        if (products[i].experts) o.spec.optimizer.clip = 0;  // by a norm within bounds alone
        o.spec.strategy.recompute = i % 2 ? RECOMPUTE_FULL : RECOMPUTE_NONE;
        snprintf(what, sizeof what, "product %zu", i);
        check_stages(o, what);
    }
}
END_TEST

START_TEST(what_is_frozen_scaled_or_unused_changes_no_bit) {
    JobOptions o = digits_options("tests/data/frozen.model");
    o.spec.ranks = 3;
    check_stages(o, "a branch that the loss does not depend on");
    o.spec.freeze = "conv.*,a.weight";
    check_stages(o, "frozen");
    o = digits_options("tests/data/zero.model");
    o.spec.ranks = 2;
    o.spec.loss_scale = (OptionForm){.word = LOSS_SCALE_DYNAMIC, .number = 0x1p127};
    o.spec.loss_scale_every = 2;
    check_stages(o, "steps that overflow are skipped");
}
END_TEST

// --- files

// A weight of 9,408 elements, three blocks, which up to three ranks divide.
static void write_model(char *path, size_t size) {
    snprintf(path, size, "%s/blocks.model", test_directory());
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs("model blocks\ninput 1 28 28\nclasses 10\nflatten\nlinear a out=12\nrelu\n"
          "linear b out=10\n",
          f);
    ck_assert_int_eq(fclose(f), 0);
}

// The file of one rank that was not stopped, byte for byte, though the run changes ranks and
// strategy after two steps; what the first run wrote is that of one rank, too.
START_TEST(a_run_goes_on_on_other_ranks_with_another_strategy) {
    static const struct {
        int ranks, zero;
    } first[] = {{2, 1}, {3, 2}, {1, 0}, {6, 1}, {2, 3}},
      then[] = {{3, 2}, {1, 0}, {6, 1}, {2, 0}, {2, 2}};
    char model[PATH];
    name_files();
    write_model(model, sizeof model);
    JobOptions o = bf16_options(model, "digits:count=100", 31);
    o.spec.shards = 6;
    o.save = scratch;
    o.steps = 2;
    run(&o);
    o.steps = 5;
    o.save = whole;
    run(&o);
    for (int i = 0; i < 5; i++) {
        JobOptions part_of = o;
        part_of.save = part;
        part_of.steps = 2;
        part_of.spec.ranks = first[i].ranks;
        part_of.spec.strategy.zero = first[i].zero;
        part_of.comm = (CommKind)(i % COMM_KINDS);
        run(&part_of);
        assert_same_bytes(scratch, part, "after two steps");
        part_of.resume = part;
        part_of.save = resumed;
        part_of.steps = 5;
        part_of.spec.ranks = then[i].ranks;
        part_of.spec.strategy.zero = then[i].zero;
        run(&part_of);
        assert_same_bytes(whole, resumed, "resumed");
    }
}
END_TEST

// --- mistakes

static Plan *step_of(Job *job) { return &job->set.programs[0].plans[job->plan_step]; }

static int op_of(Job *job, const char *name) {
    const Program *p = &job->set.programs[0];
    const Plan *step = step_of(job);
    for (int i = 0; i < step->op_count; i++)
        if (!strcmp(op_name(p, &step->ops[i]), name)) return i;
    ck_abort_msg("no operation %s", name);
}

static int gather_of(Job *job, const char *tensor) {
    const Program *p = &job->set.programs[0];
    const Plan *step = step_of(job);
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        for (int k = 0; k < op->outputs && op_kind(p, op) == KIND_ALL_GATHER; k++)
            if (!strcmp(tensor_name(p, op_outputs(step, op)[k]), tensor)) return i;
    }
    ck_abort_msg("no gather of %s", tensor);
}

static JobOptions mistaken_options(int stage) {
    JobOptions o = digits_options("tests/data/zero.model");
    o.spec.ranks = 3;
    o.spec.strategy.zero = stage;
    o.spec.strategy.bucket_bytes[0] = o.spec.strategy.bucket_bytes[1] = 0;
    return o;
}

START_TEST(copies_that_are_not_gathered_are_refused) {
    for (int stage = 1; stage <= 2; stage++) {
        JobOptions o = mistaken_options(stage);
        Job job;
        uint8_t keep[512];
        ck_assert_ok(job_create(&job, &o));
        memset(keep, 1, sizeof keep);
        keep[gather_of(&job, "c.weight.bf16")] = 0;
        ck_assert_ok(plan_select(step_of(&job), NULL, keep));
        ck_assert_fails(plan_check(&job.set), ERR_PLAN,
                        "since this rank wrote c.weight.bf16.shard, a share");
        job_destroy(&job);
    }
}
END_TEST

// The last rank is late before each communication.
static void be_late(void *context, Executor *e, int plan, int op) {
    (void)context;
    if (e->rank == e->comm->ranks - 1 &&
        op_communicates(e->program, &e->program->plans[plan].ops[op]))
        nanosleep(&(struct timespec){0, 300 * 1000}, NULL);
}

// The first layer computes with copies that have not arrived.
static void drop_wait(void *context, Job *job) {
    (void)context;
    Plan *step = step_of(job);
    int gather = gather_of(job, "stem.weight.bf16"), kept = 0;
    Op *op = &step->ops[op_of(job, "stem.forward")];
    for (int d = 0; d < op->dep_count; d++) {
        Dep dep = step->deps[op->dep_first + d];
        if (dep.op != gather) step->deps[op->dep_first + kept++] = dep;
    }
    ck_assert_int_lt(kept, op->dep_count);
    op->dep_count = kept;
}

// Rank 1 converts the second block of its share in the place of the first.
static void shift_block(void *context, Executor *e, int plan, int op) {
    enum { BLOCK = 4096 };
    const Plan *step = &e->program->plans[plan];
    (void)context;
    if (e->rank != 1 || plan != program_find_plan(e->program, "step")) return;
    if (strncmp(op_name(e->program, &step->ops[op]), "all_gather.", 11) != 0) return;
    uint16_t *share = executor_data(e, program_find_tensor(e->program, "a.weight.bf16.shard"));
    memmove(share, share + BLOCK, BLOCK * sizeof *share);
}

START_TEST(copies_of_other_elements_or_too_early_are_seen) {
    static const TrainingProbe mistakes[] = {
        {.before = be_late}, {.before = be_late, .edit = drop_wait}, {.before = shift_block}};
    for (int stage = 1; stage <= 2; stage++) {
        JobOptions o = mistaken_options(stage);
        Outcome ddp;
        o.comm = stage == 1 ? COMM_THREAD : COMM_SHM;
        o.spec.strategy.zero = 0;
        ck_assert_ok(training_run(&ddp, &o, NULL));
        o.spec.strategy.zero = stage;
        for (int k = 0; k < 3; k++) {
            Outcome got;
            ck_assert_ok(training_run(&got, &o, &mistakes[k]));
            const char *d = outcome_result_difference(&ddp, &got);
            ck_assert_msg(!d == !k, "ZeRO %d, mistake %d: %s", stage, k, d ? d : "unseen");
            outcome_finish(&got);
        }
        outcome_finish(&ddp);
    }
}
END_TEST

SUITE_SECONDS("zero_masters", 60, masters_are_divided_and_copies_gathered,
              what_is_frozen_is_not_divided, a_layer_waits_for_its_own_bucket,
              products_have_the_bits_of_ddp, what_is_frozen_scaled_or_unused_changes_no_bit,
              a_run_goes_on_on_other_ranks_with_another_strategy,
              copies_that_are_not_gathered_are_refused,
              copies_of_other_elements_or_too_early_are_seen)
