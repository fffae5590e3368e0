// SPDX-License-Identifier: MIT
// A device that works beside the host gives the bits of one that does not, in whatever order it
// does what it was given; and every wait that the executor asks for is needed.
#include "core/base/rng.h"
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "parallel/run/executor_internal.h"
#include "tests/support/lockstep.h"
#include "tests/support/plan_maker.h"
#include "tests/support/queued.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdlib.h>
#include <string.h>

enum { ORDERS = 10 };  // EAGER, LATE, and 8 shuffled

static QueuedOptions order_of(int i) {
    return (QueuedOptions){.order = i == 0   ? QUEUED_EAGER
                                    : i == 1 ? QUEUED_LATE
                                             : QUEUED_SHUFFLED,
                           .seed = (uint32_t)i,
                           .dropped_wait = NONE};
}

// --- whole trainings

static void use_device(void *context, Job *job) { job->device = context; }

static void train(Outcome *out, const JobOptions *o, const Device *d) {
    const TrainingProbe probe = {.context = (void *)(uintptr_t)d, .edit = use_device};
    ck_assert_ok(training_run(out, o, d ? &probe : NULL));
}

static void check_training(const JobOptions *o) {
    Outcome plain, queued;
    train(&plain, o, NULL);
    for (int i = 0; i < ORDERS; i++) {
        QueuedOptions how = order_of(i);
        train(&queued, o, queued_device(&how));
        bool classes = plain.job.set.count > 1;
        const char *d = classes ? outcome_result_difference(&plain, &queued)
                                : outcome_difference(&plain, &queued);
        QueuedReport r = queued_report();
        ck_assert_msg(!d, "order %d: %s", i, d ? d : "");
        ck_assert_msg(!r.unordered, "order %d: %s", i, r.first);
        ck_assert_msg(r.runs > 0 && r.pools == 0, "order %d: %lld pools are left", i,
                      (long long)r.pools);
        outcome_finish(&queued);
    }
    outcome_finish(&plain);
}

static JobOptions on_reference(int ranks, CommKind comm) {
    JobOptions o = training_options();
    o.spec.device = "reference";
    o.spec.ranks = ranks;
    o.comm = comm;
    return o;
}

START_TEST(one_rank_trains_to_the_same_bits) {
    JobOptions o = on_reference(1, COMM_SERIAL);
    check_training(&o);
    o.spec.micro_batches = 3;
    o.spec.shards = 2;
    check_training(&o);
}
END_TEST

START_TEST(ranks_of_one_thread_train_to_the_same_bits) {
    for (int ranks = 2; ranks <= 3; ranks++) {
        JobOptions o = on_reference(ranks, COMM_SERIAL);
        check_training(&o);
    }
}
END_TEST

START_TEST(ranks_in_threads_train_to_the_same_bits) {
    for (int ranks = 2; ranks <= 3; ranks++) {
        JobOptions o = on_reference(ranks, COMM_THREAD);
        o.spec.micro_batches = 2;
        check_training(&o);
    }
}
END_TEST

// Of a batch the first stage of a pipeline loads the samples, the last one the labels.
START_TEST(stages_load_what_they_need) {
    char path[4096];
    JobOptions o = on_reference(2, COMM_SERIAL);
    const char *plan = test_source("docs/pipeline.plan");
    ck_assert_ptr_nonnull(plan);
    snprintf(path, sizeof path, "%s", plan);
    o.spec.model = "mlp:hidden=32,layers=2";
    o.spec.plan_file = path;
    o.spec.batch = 64;
    o.spec.micro_batches = 4;
    o.spec.shards = o.spec.mesh.data = 1;
    check_training(&o);
}
END_TEST

START_TEST(ranks_in_processes_are_refused) {
    Outcome run;
    JobOptions o = on_reference(2, COMM_SHM);
    QueuedOptions how = order_of(0);
    const TrainingProbe probe = {.context = (void *)(uintptr_t)queued_device(&how),
                                 .edit = use_device};
    ck_assert_fails(training_run(&run, &o, &probe), ERR_USAGE, "give --comm serial or thread");
    ck_assert_int_eq(queued_report().pools, 0);
}
END_TEST

// A traced run has the spans of every operation, in the order of each lane.
START_TEST(a_traced_run_has_every_span) {
    Outcome run;
    JobOptions o = on_reference(2, COMM_SERIAL);
    QueuedOptions how = order_of(2);
    o.spans = true;
    train(&run, &o, queued_device(&how));
    for (int r = 0; r < 2; r++) {
        const Timeline *t = &run.training.shared->results[r].timeline;
        int64_t ended[16] = {0};  // by lane: when its last span did
        for (int i = 0; i < t->step_count; i++) {
            const StepRecord *s = &t->steps[i];
            ck_assert_int_eq(s->span_count, job_program(&run.job, r)->plans[s->plan].op_count);
            for (int k = 0; k < s->span_count; k++) {
                const Span *span = &t->spans[s->span_first + k];
                ck_assert(span->start_ps <= span->end_ps);
                ck_assert(span->start_ps >= ended[span->lane]);
                ended[span->lane] = span->end_ps;
            }
        }
    }
    outcome_finish(&run);
}
END_TEST

// --- hand-made programs of two ranks

static int make_pair(Program *p, const char *name) {
    return make_tensor(p, name, ROLE_OPTIMISER, PLACEMENT_REPLICATED, SHAPE(2), DTYPE_F32);
}

static void write_pair(Lockstep *l, int rank, const char *name, float x, float y) {
    const float values[] = {x, y};
    ck_assert_ok(
        executor_write(&l->executors[rank], program_find_tensor(&l->program, name), values));
}

static void check_pair(Lockstep *l, int rank, const char *name, double x, double y) {
    float got[2];
    ck_assert_ok(executor_read(&l->executors[rank], program_find_tensor(&l->program, name), got));
    ck_assert_msg((double)got[0] == x && (double)got[1] == y, "rank %d: %s is %g %g, not %g %g",
                  rank, name, (double)got[0], (double)got[1], x, y);
}

// Rank 0 gives x to rank 1, then each adds its own y. A guard that the turn computes, and that the
// ranks agree on, skips both in the last turn.
//   turn 0: x = 0 + y, on both; 1: x = 1 + y, 10 + y; 2: x = 2 + y, 20 + y; 3: nothing, if guarded
static void run_broadcasts(const Device *device, bool guarded) {
    Lockstep m = {.logged = 0};
    Program *p = &m.program;
    Plan *plan = make_program(p, 2);
    int source, go;
    make_pair(p, "x");
    make_pair(p, "y");
    ck_assert_ok(program_add_scalar(p, "source", DTYPE_F64, 1, &source));
    ck_assert_ok(program_add_scalar(p, "go", DTYPE_F64, 1, &go));
    OpSpec decide = {.name = "decide", .kind = KIND_FOLD, .dtype = DTYPE_F64},
           agree = {.name = "agree", .kind = KIND_BROADCAST, .dtype = DTYPE_F64, .lane = 2},
           give = {.name = "give", .kind = KIND_BROADCAST, .lane = 2},
           add = {.name = "add", .kind = KIND_FOLD, .flags = OP_ACCUMULATE};
    if (guarded) {
        give.guard = add.guard = TENSOR_REF(go);
        make_op(p, plan, decide, "go", "source");
        make_op(p, plan, agree, "go", "go");
    }
    make_op(p, plan, give, "x", "x");
    make_op(p, plan, add, "x", "y");
    ck_assert_ok(plan_derive_deps(p, plan));
    lockstep_start(&m, device, device->traits, NULL);
    for (int r = 0; r < 2; r++) write_pair(&m, r, "y", r ? 5 : 1, r ? 50 : 10);
    for (int turn = 0; turn < 3 + guarded; turn++) {
        for (int r = 0; r < 2; r++) executor_set_f64(&m.executors[r], source, turn != 3);
        lockstep_step(&m, turn);
    }
    check_pair(&m, 0, "x", 3, 30);
    check_pair(&m, 1, "x", 2 + 5, 20 + 50);
    lockstep_stop(&m);
}

static void check_broadcasts(bool guarded) {
    run_broadcasts(&device_reference, guarded);
    for (int i = 0; i < ORDERS; i++) {
        QueuedOptions how = order_of(i);
        run_broadcasts(queued_device(&how), guarded);
        ck_assert_msg(!queued_report().unordered, "order %d: %s", i, queued_report().first);
    }
}

START_TEST(a_communication_waits_for_the_turn_before) { check_broadcasts(false); }
END_TEST

START_TEST(a_communication_may_be_skipped_by_what_a_turn_computes) { check_broadcasts(true); }
END_TEST

// --- two lanes that compute, and turns without a look of the host in between

typedef struct {
    Arena arena;
    Job job;
    ProgramSet set;
    Executor executor;
    int plan;
} Driver;

static void load(void *context, const LoadCall *call) {
    Rng rng;
    int64_t n = call->rows;
    rng_init(&rng, 5, RNG_TEST, (uint32_t)call->first_row, 0);
    for (int i = 1; i < call->x.dims; i++) n *= call->x.shape[i];
    for (int64_t i = 0; i < n; i++) ((float *)call->x.data)[i] = rng_float(&rng) * 2 - 1;
    for (int64_t i = 0; i < call->rows; i++)
        ((int32_t *)call->labels.data)[i] = (int32_t)rng_below(&rng, 10);
}

// Weight gradients go to a lane of their own.
static void move_to_side(Program *p) {
    int side;
    ck_assert_ok(program_add_lane(p, "side", LANE_COMPUTE, NONE, &side));
    for (int k = 0; k < p->plan_count; k++) {
        for (int i = 0; i < p->plans[k].op_count; i++) {
            Op *op = &p->plans[k].ops[i];
            Kind kind = op_kind(p, op);
            if (kind == KIND_CONV2D_BACKWARD_WEIGHT || kind == KIND_LINEAR_BACKWARD_WEIGHT)
                op->lane = (uint8_t)side;
        }
        ck_assert_ok(plan_derive_deps(p, &p->plans[k]));
    }
}

static void start(Driver *d, const Device *device, bool side) {
    const ExecutorHooks hooks = {.load = load};
    JobOptions o = on_reference(1, COMM_SERIAL);
    *d = (Driver){0};
    ck_assert_ok(job_create(&d->job, &o));
    ck_assert_ok(job_spec_programs(&d->set, &o.spec, &d->job.model));
    Program *p = &d->set.programs[0];
    if (side) move_to_side(p);
    ck_assert_ok(plan_check(&d->set));
    ck_assert_ok(program_set_lower(&d->set, device_reference.traits));
    d->plan = program_find_plan(p, "step");
    ck_assert_ok(executor_create(&d->executor, &d->arena, p, 0, device, NULL, &hooks));
    for (int t = 0; t < p->tensor_count; t++) {
        if (p->tensors[t].role != ROLE_PARAMETER || p->tensors[t].alias != NONE) continue;
        void *values = calloc(1, (size_t)p->tensors[t].bytes);
        model_initialise(p, p->tensors[t].logical, 3, DTYPE_F32, values);
        ck_assert_ok(executor_write(&d->executor, t, values));
        free(values);
    }
}

// Everything that a turn of a training sets, and different in every turn.
static void set_scalars(Driver *d, int64_t turn) {
    const Program *p = &d->set.programs[0];
    for (int t = 0; t < p->tensor_count; t++) {
        const char *name = tensor_name(p, t);
        if (!strncmp(name, "rows.", 5)) executor_set_i64(&d->executor, t, 61 - 13 * (turn % 3));
        if (!strncmp(name, "first_row.", 10)) executor_set_i64(&d->executor, t, turn);
        if (!strcmp(name, "inverse_count"))
            executor_set_f64(&d->executor, t, 1.0 / (double)(61 - 13 * (turn % 3)));
        if (!strcmp(name, "learning_rate"))
            executor_set_f64(&d->executor, t, 0.1 / (double)(turn + 1));
    }
}

static void run_turns(Driver *d, int64_t from, int64_t to) {
    for (int64_t turn = from; turn < to; turn++) {
        set_scalars(d, turn);
        ck_assert_ok(executor_run(&d->executor, d->plan, turn));
    }
}

// All parameters and velocities, one after the other, for the caller to free.
static unsigned char *stop(Driver *d, int64_t *bytes) {
    const Program *p = &d->set.programs[0];
    unsigned char *state = malloc((size_t)p->tensor_bytes);
    *bytes = 0;
    for (int t = 0; t < p->tensor_count; t++) {
        Role role = (Role)p->tensors[t].role;
        if ((role != ROLE_PARAMETER && role != ROLE_OPTIMISER) || p->tensors[t].alias != NONE)
            continue;
        ck_assert_ok(executor_read(&d->executor, t, state + *bytes));
        *bytes += p->tensors[t].bytes;
    }
    executor_destroy(&d->executor);
    program_set_finish(&d->set);
    job_destroy(&d->job);
    arena_finish(&d->arena);
    return state;
}

enum { TURNS = 5 };

static unsigned char *run_all(const Device *device, bool side, int64_t *bytes) {
    Driver d;
    start(&d, device, side);
    run_turns(&d, 0, TURNS);
    return stop(&d, bytes);
}

START_TEST(lanes_that_compute_side_by_side_give_the_same_bits) {
    for (int side = 0; side < 2; side++) {
        int64_t bytes, same;
        unsigned char *want = run_all(&device_reference, side, &bytes);
        for (int i = 0; i < ORDERS; i++) {
            QueuedOptions how = order_of(i);
            unsigned char *got = run_all(queued_device(&how), side, &same);
            QueuedReport r = queued_report();
            ck_assert_int_eq(same, bytes);
            ck_assert_msg(!memcmp(got, want, (size_t)bytes), "order %d: other bits", i);
            ck_assert_msg(!r.unordered, "order %d: %s", i, r.first);
            free(got);
        }
        free(want);
    }
}
END_TEST

// Leave out one wait after the other. In the first turn some are not needed yet.
START_TEST(every_wait_is_needed) {
    for (int side = 0; side < 2; side++) {
        int64_t bytes, first, all;
        Driver d;
        QueuedOptions how = order_of(0);
        start(&d, queued_device(&how), side);
        run_turns(&d, 0, 1);
        first = queued_report().waits;
        run_turns(&d, 1, TURNS - 1);
        all = queued_report().waits;
        free(stop(&d, &bytes));
        ck_assert_int_ge(all - first, (side ? 6 : 2) * (TURNS - 2));
        for (int64_t wait = first; wait < all; wait++) {
            how.dropped_wait = (int)wait;
            free(run_all(queued_device(&how), side, &bytes));
            ck_assert_msg(queued_report().unordered > 0, "side %d: wait %lld is not needed", side,
                          (long long)(wait - first));
        }
    }
}
END_TEST

SUITE_SECONDS("stream", 120, one_rank_trains_to_the_same_bits,
              ranks_of_one_thread_train_to_the_same_bits, ranks_in_threads_train_to_the_same_bits,
              stages_load_what_they_need, ranks_in_processes_are_refused,
              a_traced_run_has_every_span, a_communication_waits_for_the_turn_before,
              a_communication_may_be_skipped_by_what_a_turn_computes,
              lanes_that_compute_side_by_side_give_the_same_bits, every_wait_is_needed)
