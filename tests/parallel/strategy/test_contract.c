// SPDX-License-Identifier: MIT
// Data parallelism by docs/contract.md, 7: P ranks compute, bit for bit, what one rank computes
// with P shards, however they communicate and whoever is late.
#include "core/base/rng.h"
#include "core/platform/device_traits.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const devices[] = {"reference", device_traits_default};

static void assert_same(const Outcome *a, const Outcome *b, const char *what) {
    const char *d = outcome_difference(a, b);
    ck_assert_msg(!d, "%s: %s", what, d ? d : "");
}

// Run with delays at random operations and compare.
static void assert_equals(const Outcome *oracle, const JobOptions *o, uint64_t delays) {
    Outcome got;
    char what[160];
    snprintf(what, sizeof what, "%d ranks, %s, algorithm %d, buckets %lld,%lld, delays %llu",
             o->spec.ranks, comm_kind_name(o->comm), (int)o->spec.strategy.algorithm,
             (long long)o->spec.strategy.bucket_bytes[0],
             (long long)o->spec.strategy.bucket_bytes[1], (unsigned long long)delays);
    ck_assert_ok(
        training_run(&got, o, &(TrainingProbe){.context = &delays, .before = training_delay}));
    assert_same(oracle, &got, what);
    outcome_finish(&got);
}

// --- every three settings together

// What may not matter; and, from DTYPE on, what may: each combination has an oracle of its own.
enum { COMM, ALGORITHM, OVERLAP, CAPS, DTYPE, DEVICE, ACCUMULATE, BATCH, SETTINGS };
enum { CHOICES = 4, ORACLES = 16 };
static const int choices[SETTINGS] = {3, 2, 2, 4, 2, 2, 2, 2};
static const int64_t caps[][2] = {{4096, 32768}, {0, 0}, {900, 2000}, {1 << 30, 1 << 30}};

typedef struct {
    int value[SETTINGS];
} Setting;

// Bit a + 4b + 16c of seen[i][j][k]: setting i was a where j was b and k was c.
typedef struct {
    uint64_t seen[SETTINGS][SETTINGS][SETTINGS];
    int left;
} Cover;

static Cover cover_new(void) {
    Cover c = {.left = 0};
    for (int i = 0; i < SETTINGS; i++)
        for (int j = i + 1; j < SETTINGS; j++)
            for (int k = j + 1; k < SETTINGS; k++) c.left += choices[i] * choices[j] * choices[k];
    return c;
}

// How many triples a setting would add; with `keep` they are noted.
static int cover_add(Cover *c, const Setting *s, bool keep) {
    int added = 0;
    for (int i = 0; i < SETTINGS; i++)
        for (int j = i + 1; j < SETTINGS; j++)
            for (int k = j + 1; k < SETTINGS; k++) {
                uint64_t bit = UINT64_C(1) << (s->value[i] + CHOICES * s->value[j] +
                                               CHOICES * CHOICES * s->value[k]);
                added += !(c->seen[i][j][k] & bit);
                if (keep) c->seen[i][j][k] |= bit;
            }
    if (keep) c->left -= added;
    return added;
}

// The best of some random settings; in the end every three values have met.
static Setting cover_next(Cover *c, Rng *r) {
    Setting best = {{0}};
    for (int n = 0, most = 0; n < 64 || most == 0; n++) {
        Setting s;
        for (int i = 0; i < SETTINGS; i++) s.value[i] = (int)rng_below(r, (uint32_t)choices[i]);
        int added = cover_add(c, &s, false);
        if (added <= most) continue;
        most = added;
        best = s;
    }
    cover_add(c, &best, true);
    return best;
}

static JobOptions options_of(const Setting *s, int ranks) {
    JobOptions o = training_options();
    o.spec.ranks = ranks;
    o.comm = (CommKind)s->value[COMM];
    o.spec.strategy.algorithm = s->value[ALGORITHM] ? ALGORITHM_CHAIN : ALGORITHM_DIRECT;
    o.spec.strategy.no_overlap = s->value[OVERLAP];
    o.spec.strategy.bucket_bytes[0] = caps[s->value[CAPS]][0];
    o.spec.strategy.bucket_bytes[1] = caps[s->value[CAPS]][1];
    o.spec.dtype = s->value[DTYPE] ? DTYPE_F64 : DTYPE_F32;
    o.spec.device = devices[s->value[DEVICE]];
    o.spec.micro_batches = s->value[ACCUMULATE] ? 3 : 1;
    o.spec.batch = s->value[BATCH] ? 64 : 61;
    return o;
}

static const Outcome *oracle_of(Outcome oracles[ORACLES], const Setting *s, int shards) {
    const int *v = s->value;
    Outcome *o = &oracles[v[DTYPE] + 2 * v[DEVICE] + 4 * v[ACCUMULATE] + 8 * v[BATCH]];
    if (o->state) return o;
    JobOptions options = options_of(s, 1);
    options.spec.shards = shards;
    ck_assert_ok(training_run(o, &options, NULL));
    return o;
}

static void check_ranks(int ranks) {
    static Outcome oracles[ORACLES];
    Cover cover = cover_new();
    Rng r;
    rng_init(&r, 1, RNG_TEST, (uint32_t)ranks, 0);
    for (uint64_t turn = 0; cover.left > 0; turn++) {
        Setting s = cover_next(&cover, &r);
        JobOptions o = options_of(&s, ranks);
        assert_equals(oracle_of(oracles, &s, ranks), &o, turn);
    }
    for (int i = 0; i < ORACLES; i++) outcome_finish(&oracles[i]);
}

START_TEST(delays_change_nothing_on_one_rank) { check_ranks(1); }
END_TEST
START_TEST(two_ranks_equal_one_rank_with_two_shards) { check_ranks(2); }
END_TEST
START_TEST(three_ranks_equal_one_rank_with_three_shards) { check_ranks(3); }
END_TEST
START_TEST(four_ranks_equal_one_rank_with_four_shards) { check_ranks(4); }
END_TEST

// Without this the others could compare nothing: ranks and shards do change the bits.
START_TEST(another_number_of_shards_gives_other_bits) {
    JobOptions o = training_options();
    Outcome one, two;
    ck_assert_ok(training_run(&one, &o, NULL));
    o.spec.shards = 2;
    ck_assert_ok(training_run(&two, &o, NULL));
    ck_assert_ptr_nonnull(outcome_difference(&one, &two));
    outcome_finish(&one);
    outcome_finish(&two);
}
END_TEST

START_TEST(the_net_ends_with_the_same_bits_on_any_number_of_ranks) {
    static const struct {
        int ranks, device, steps;
        Dtype dtype;
        CommKind comm;
        Algorithm algorithm;
        bool no_overlap;
    } runs[] = {
        {2, 1, 20, DTYPE_F32, COMM_SHM, ALGORITHM_DIRECT, false},
        {2, 1, 20, DTYPE_F64, COMM_THREAD, ALGORITHM_CHAIN, true},
        {3, 1, 20, DTYPE_F32, COMM_THREAD, ALGORITHM_DIRECT, false},
        {4, 1, 20, DTYPE_F32, COMM_SERIAL, ALGORITHM_CHAIN, false},
        {4, 1, 20, DTYPE_F64, COMM_SHM, ALGORITHM_DIRECT, true},
        {3, 0, 4, DTYPE_F32, COMM_SHM, ALGORITHM_DIRECT, false},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        Outcome oracle;
        JobOptions o = training_options();
        o.spec.model = "net";
        o.spec.device = devices[runs[i].device];
        o.spec.dtype = runs[i].dtype;
        o.steps = runs[i].steps;
        o.comm = runs[i].comm;
        o.spec.strategy.algorithm = runs[i].algorithm;
        o.spec.strategy.no_overlap = runs[i].no_overlap;
        o.spec.shards = runs[i].ranks;
        ck_assert_ok(training_run(&oracle, &o, NULL));
        o.spec.ranks = runs[i].ranks;
        assert_equals(&oracle, &o, i);
        outcome_finish(&oracle);
    }
}
END_TEST

START_TEST(shards_may_lie_on_any_number_of_ranks) {
    static const int layouts[][2] = {{4, 2}, {4, 4}, {6, 2}, {6, 3}, {6, 6}};  // shards, ranks
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        for (int k = 0; k < 12; k++) {
            Outcome oracle;
            JobOptions o = training_options();
            o.spec.shards = layouts[i][0];
            o.spec.micro_batches = k % 2 ? 3 : 1;
            o.spec.device = devices[k / 2 % 2];
            o.steps = 8;
            ck_assert_ok(training_run(&oracle, &o, NULL));
            o.spec.ranks = layouts[i][1];
            o.comm = (CommKind)(k % 3);
            o.spec.strategy.algorithm = k / 3 % 2 ? ALGORITHM_CHAIN : ALGORITHM_DIRECT;
            assert_equals(&oracle, &o, (uint64_t)k);
            outcome_finish(&oracle);
        }
}
END_TEST

static const StepRecord *trained_step(const Outcome *o, int k) {
    const Timeline *t = &o->training.shared->results[0].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && k-- == 0) return &t->steps[i];
    ck_abort_msg("too few steps");
}

// 170 samples in batches of 56 leave a last one of 2 rows for 3 and 4 shards, of 2 micro-batches. A
// shard without rows adds zero, and the loss is divided by the rows that there are: by one shard
// it is the same but for rounding.
START_TEST(a_shard_with_no_rows_left_takes_part) {
    enum { LAST = 3 };
    Outcome one, oracle;
    JobOptions o = training_options();
    o.spec.batch = 56;
    o.steps = 2 * (LAST + 1);
    ck_assert_ok(training_run(&one, &o, NULL));
    for (int ranks = 3; ranks <= 4; ranks++)
        for (int k = 0; k < 4; k++) {
            o.spec.ranks = 1;
            o.spec.shards = ranks;
            o.spec.micro_batches = 1 + k % 2;
            o.spec.device = devices[k / 2];
            ck_assert_ok(training_run(&oracle, &o, NULL));
            for (int step = 0; step < o.steps; step++) {
                const StepRecord *x = trained_step(&one, step), *y = trained_step(&oracle, step);
                ck_assert_int_eq(y->rows, step % (LAST + 1) == LAST ? 2 : 56);
                ck_assert_close(x->loss, y->loss, 1e-4 * x->loss);
            }
            o.spec.ranks = ranks;
            for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
                o.comm = (CommKind)comm;
                o.spec.strategy.algorithm = comm % 2 ? ALGORITHM_CHAIN : ALGORITHM_DIRECT;
                assert_equals(&oracle, &o, (uint64_t)(k + comm));
            }
            o.comm = COMM_SERIAL;
            outcome_finish(&oracle);
        }
    outcome_finish(&one);
}
END_TEST

// 700 samples in chunks of 256, 256 and 188: of four ranks one has none, of two each
// has a second turn.
START_TEST(an_evaluation_counts_every_sample_once_on_any_number_of_ranks) {
    Outcome oracle;
    JobOptions o = training_options();
    o.data = "digits:count=1000";
    o.test_fraction = 0.7;
    o.spec.shards = 12;
    o.steps = 7;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    const RankResult *result = &oracle.training.shared->results[0];
    ck_assert_int_eq(result->evaluation_count, 2);  // after 5 steps of 300 samples, and after 7
    for (int i = 0; i < 2; i++) {
        double right = result->evaluations[i].accuracy * 700;
        ck_assert_int_eq(result->evaluations[i].samples, 700);
        ck_assert_close(right, round(right), 1e-9);
        ck_assert(right > 0 && result->evaluations[i].loss > 0.1);
    }
    for (int ranks = 2; ranks <= 4; ranks++)
        for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
            o.spec.ranks = ranks;
            o.comm = (CommKind)comm;
            assert_equals(&oracle, &o, (uint64_t)comm);
        }
    outcome_finish(&oracle);
}
END_TEST

// --- ring

START_TEST(a_ring_gives_the_same_bits_through_every_communicator) {
    for (int ranks = 2; ranks <= 4; ranks++)
        for (int dtype = 0; dtype < 2; dtype++) {
            Outcome serial;
            JobOptions o = training_options();
            o.spec.ranks = ranks;
            o.spec.dtype = dtype ? DTYPE_F64 : DTYPE_F32;
            o.spec.strategy.algorithm = ALGORITHM_RING;
            ck_assert_ok(training_run(&serial, &o, NULL));
            for (int comm = COMM_SERIAL; comm < COMM_KINDS; comm++) {
                o.comm = (CommKind)comm;
                assert_equals(&serial, &o, (uint64_t)comm);
            }
            outcome_finish(&serial);
        }
}
END_TEST

// The gradients of one step, over the elements of all parameters: joined, as the update reads them,
// and, where one rank has all shards, the sum of the shards' absolute values.
enum { ELEMENTS = 2048 };
typedef struct {
    double joined[ELEMENTS], absolute[ELEMENTS];
    int count;
} Gradients;

static const Op *update_of(const Plan *plan, const Program *p, int gradient) {
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(p, &plan->ops[i]) == KIND_SGD && op_inputs(plan, &plan->ops[i])[0] == gradient)
            return &plan->ops[i];
    return NULL;
}

// Where the elements of a gradient begin: parameters are the first tensors of every program.
static int element_of(const Program *p, const Plan *plan, int gradient) {
    const Op *update = update_of(plan, p, gradient);
    ck_assert_ptr_nonnull(update);
    int64_t first = 0;
    for (int t = 0; t < op_outputs(plan, update)[0]; t++) {
        ck_assert_int_eq(p->tensors[t].role, ROLE_PARAMETER);
        first += tensor_elements(&p->tensors[t]);
    }
    ck_assert_int_le(first + tensor_elements(&p->tensors[gradient]), ELEMENTS);
    return (int)first;
}

static void add_absolute(Gradients *g, const Executor *e, int tensor, int at) {
    const float *x = executor_data(e, tensor);
    for (int64_t i = 0; i < tensor_elements(&e->program->tensors[tensor]); i++)
        g->absolute[at + i] += fabs((double)x[i]);
}

static void collect_gradients(void *context, Executor *e, int k, int op) {
    Gradients *g = context;
    const Program *p = e->program;
    const Plan *plan = &p->plans[k];
    const Op *o = &plan->ops[op];
    Kind kind = op_kind(p, o);
    if (e->rank > 0 || (kind != KIND_SGD && kind != KIND_FOLD)) return;
    int gradient = kind == KIND_SGD ? op_inputs(plan, o)[0] : op_outputs(plan, o)[0];
    if (p->tensors[gradient].role != ROLE_GRADIENT) return;  // a fold of losses
    int at = element_of(p, plan, gradient);
    if (kind == KIND_FOLD) {
        if (o->shard == 1) add_absolute(g, e, gradient, at);  // still that of shard 0 alone
        add_absolute(g, e, op_inputs(plan, o)[0], at);
        return;
    }
    const float *x = executor_data(e, gradient);
    for (int64_t i = 0; i < tensor_elements(&p->tensors[gradient]); i++, g->count++)
        g->joined[at + i] = (double)x[i];
}

static Gradients gradients_of(int ranks, int shards, Algorithm algorithm) {
    Gradients g = {.count = 0};
    Outcome run;
    JobOptions o = training_options();
    o.spec.ranks = ranks;
    o.spec.shards = shards;
    o.steps = 1;
    o.spec.strategy.algorithm = algorithm;
    ck_assert_ok(
        training_run(&run, &o, &(TrainingProbe){.context = &g, .before = collect_gradients}));
    outcome_finish(&run);
    return g;
}

START_TEST(a_ring_lies_within_rounding_of_the_fold) {
    for (int ranks = 2; ranks <= 4; ranks++) {
        Gradients fold = gradients_of(1, ranks, ALGORITHM_DIRECT),
                  direct = gradients_of(ranks, ranks, ALGORITHM_DIRECT),
                  ring = gradients_of(ranks, ranks, ALGORITHM_RING);
        int differ = 0;
        ck_assert_int_eq(fold.count, 1340);  // 3·49+3 + 20·48+20 + 10·20+10
        ck_assert_int_eq(ring.count, fold.count);
        ck_assert_int_eq(memcmp(fold.joined, direct.joined, sizeof fold.joined), 0);
        for (int i = 0; i < fold.count; i++) {
            double bound = 2 * (ranks - 1) * ldexp(1, -24) * fold.absolute[i];
            ck_assert_msg(fabs(ring.joined[i] - fold.joined[i]) <= bound,
                          "%d ranks: element %d is %.9g, the fold %.9g, the bound %g", ranks, i,
                          ring.joined[i], fold.joined[i], bound);
            differ += ring.joined[i] != fold.joined[i];
        }
        // Two members add the same two numbers; from three on the order of a ring is another.
        ck_assert_msg(ranks == 2 ? differ == 0 : differ > fold.count / 20,
                      "%d ranks: %d of %d elements differ", ranks, differ, fold.count);
    }
}
END_TEST

// --- files and messages

static size_t read_whole(const char *path, char *out, size_t size) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "no file %s", path);
    size_t n = fread(out, 1, size, f);
    ck_assert_uint_lt(n, size);
    fclose(f);
    return n;
}

// The checkpoint of one rank with two shards, too: nothing in it tells how many ranks there were.
START_TEST(two_runs_of_one_command_write_the_same_bytes) {
    enum { RUNS = 3, MOST = 1 << 16 };
    static char files[RUNS][MOST];
    const char *directory = test_directory();
    size_t sizes[RUNS];
    Outcome runs[RUNS];
    for (int i = 0; i < RUNS; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%d.safetensors", directory, i);
        JobOptions o = training_options();
        o.spec.ranks = i < 2 ? 2 : 1;
        o.spec.shards = 2;
        o.comm = COMM_SHM;
        o.save = path;
        o.spans = i == 1;  // recording changes nothing
        ck_assert_ok(training_run(&runs[i], &o, NULL));
        sizes[i] = read_whole(path, files[i], MOST);
        assert_same(&runs[0], &runs[i], path);
        ck_assert_uint_eq(sizes[i], sizes[0]);
        ck_assert_int_eq(memcmp(files[i], files[0], sizes[0]), 0);
        ck_assert_uint_eq(runs[i].training.shared->results[0].parameters_hash,
                          runs[0].training.shared->results[0].parameters_hash);
    }
    ck_assert_uint_gt(sizes[0], 2 * 1340 * sizeof(float));  // parameters and momentum
    for (int i = 0; i < RUNS; i++) outcome_finish(&runs[i]);
}
END_TEST

static void other_program(void *context, Executor *e) {
    if (e->rank != 1) return;
    Program *p = (Program *)e->program;  // this process's own copy
    Plan *step = &p->plans[program_find_plan(p, "step")];
    for (int i = 0; i < step->op_count; i++)
        if (!strcmp(op_name(p, &step->ops[i]), "bucket0"))
            p->works[step->ops[i].work].payload_bytes += 4;
}

START_TEST(ranks_with_another_program_are_refused_before_the_first_step) {
    Outcome run;
    JobOptions o = training_options();
    o.spec.ranks = 3;
    o.comm = COMM_SHM;
    ck_assert_fails(training_run(&run, &o, &(TrainingProbe){.ready = other_program}), ERR_PLAN,
                    "rank 1 would communicate otherwise than rank 0");
}
END_TEST

static void take_slower(void *context, Job *job) {
    bool *slower = context;
    *slower = job->device->slower != NULL;
    if (*slower) job->device = job->device->slower;
}

// Sizes that are no multiple of a vector, too: tails take part.
START_TEST(every_instruction_set_gives_the_same_bits) {
    static const char *const models[] = {"net", "mlp:hidden=45,layers=2"};
    for (int k = 0; k < 4; k++) {
        Outcome fast, plain;
        bool slower = false;
        JobOptions o = training_options();
        o.steps = 4;
        o.spec.dtype = k & 1 ? DTYPE_F64 : DTYPE_F32;
        o.spec.model = models[k / 2];
        o.spec.micro_batches = 2;
        ck_assert_ok(training_run(&fast, &o, NULL));
        ck_assert_ok(
            training_run(&plain, &o, &(TrainingProbe){.context = &slower, .edit = take_slower}));
        assert_same(&fast, &plain, o.spec.model);
        outcome_finish(&fast);
        outcome_finish(&plain);
        if (!slower) SKIP("one instruction set only");
    }
}
END_TEST

SUITE_SECONDS("contract", 120, delays_change_nothing_on_one_rank,
              two_ranks_equal_one_rank_with_two_shards,
              three_ranks_equal_one_rank_with_three_shards,
              four_ranks_equal_one_rank_with_four_shards, another_number_of_shards_gives_other_bits,
              the_net_ends_with_the_same_bits_on_any_number_of_ranks,
              shards_may_lie_on_any_number_of_ranks, a_shard_with_no_rows_left_takes_part,
              an_evaluation_counts_every_sample_once_on_any_number_of_ranks,
              a_ring_gives_the_same_bits_through_every_communicator,
              a_ring_lies_within_rounding_of_the_fold, two_runs_of_one_command_write_the_same_bytes,
              ranks_with_another_program_are_refused_before_the_first_step,
              every_instruction_set_gives_the_same_bits)
