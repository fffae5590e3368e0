// SPDX-License-Identifier: MIT
// Products of all degrees whose ranks are late at random: before they
// execute an operation, before they read what a peer has, after they have written, before they wake
// who waits. Losses, norms and weights are those of ranks in lockstep.
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/comm_delays.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

typedef struct {
    int data, tensor, pipe, context, experts;
    bool sequence;
    ContextKind kind;
    int zero;
    Recompute recompute;
    OptionForm schedule;
    const char *model, *samples;
} Product;

static JobOptions options_of(const Product *d, CommKind kind) {
    JobOptions o = training_options();
    o.spec.model = d->model ? d->model : "mlp:hidden=24,layers=4";
    if (d->samples) o.data = d->samples;
    o.spec.strategy.zero = d->zero;
    o.spec.strategy.recompute = d->recompute;
    if (d->pipe > 1) o.spec.strategy.schedule = d->schedule;
    o.spec.mesh.tensor = d->tensor;
    o.spec.mesh.pipe = d->pipe;
    o.spec.mesh.context = d->context;
    o.spec.strategy.context = d->kind;
    o.spec.strategy.experts = d->experts;
    o.spec.strategy.sequence_parallel = d->sequence;
    o.spec.ranks = d->data * d->tensor * d->pipe * (d->context ? d->context : 1);
    o.spec.batch = 48;
    o.spec.micro_batches = 4;
    o.steps = 6;
    o.comm = kind;
    return o;
}

static void run(Outcome *o, const Product *d, CommKind kind, const TrainingProbe *probe) {
    JobOptions options = options_of(d, kind);
    ck_assert_ok(training_run(o, &options, probe));
    const char *uncounted = outcome_uncounted(o);
    ck_assert_msg(!uncounted, "dp %d tp %d pp %d: %s", d->data, d->tensor, d->pipe, uncounted);
}

static void begin_late(void *context, Executor *e) { comm_delays_set(16, 7 + (uint32_t)e->rank); }

static void end_late(void *context, Executor *e) {
    ck_assert_int_gt(comm_delays_count(), 0);
    comm_delays_set(0, 0);
}

static void check(const Product *d) {
    uint64_t seed = 3;
    const TrainingProbe late = {
        .context = &seed, .ready = begin_late, .before = training_delay, .finished = end_late};
    Outcome want, got;
    run(&want, d, COMM_SERIAL, NULL);
    for (int kind = COMM_THREAD; kind <= COMM_SHM; kind++) {
        run(&got, d, (CommKind)kind, &late);
        const char *difference = outcome_result_difference(&want, &got);
        ck_assert_msg(!difference, "dp %d tp %d pp %d, %s: %s", d->data, d->tensor, d->pipe,
                      comm_kind_name((CommKind)kind), difference);
        outcome_finish(&got);
    }
    outcome_finish(&want);
}

START_TEST(late_ranks_of_a_product_change_nothing) {
    static const Product products[] = {
        {.data = 1, .tensor = 2, .pipe = 1}, {.data = 1, .tensor = 1, .pipe = 2},
        {.data = 2, .tensor = 2, .pipe = 1}, {.data = 2, .tensor = 1, .pipe = 2},
        {.data = 1, .tensor = 2, .pipe = 2}, {.data = 1, .tensor = 1, .pipe = 4},
        {.data = 2, .tensor = 2, .pipe = 2}};
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) check(&products[i]);
}
END_TEST

// With what else ranks do meanwhile: gather and scatter under ZeRO, compute again, interleave.
START_TEST(late_ranks_of_a_gpt_change_nothing) {
    static const Product products[] = {
        {.data = 2, .tensor = 2, .pipe = 1, .zero = 3},
        {.data = 2, .tensor = 1, .pipe = 2, .zero = 1, .schedule = {SCHEDULE_INTERLEAVED, 2}},
        {.data = 1,
         .tensor = 2,
         .pipe = 2,
         .recompute = RECOMPUTE_FULL,
         .schedule = {SCHEDULE_ZERO_BUBBLE, 0}},
        {.data = 2, .tensor = 2, .pipe = 2, .zero = 1, .schedule = {SCHEDULE_1F1B, 0}}};
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        Product d = products[i];
        d.model = "gpt:hidden=16,heads=2,seq=8";
        d.samples = "text:count=2000";
        check(&d);
    }
}
END_TEST

// Keys and values go around, heads and tokens are exchanged, and positions gathered.
START_TEST(late_ranks_of_sequences_and_experts_change_nothing) {
    static const Product products[] = {
        {.data = 1, .tensor = 1, .pipe = 1, .context = 3},
        {.data = 1, .tensor = 2, .pipe = 1, .context = 2, .sequence = true},
        {.data = 1, .tensor = 1, .pipe = 2, .context = 2, .kind = CONTEXT_ALL_TO_ALL},
        {.data = 2, .tensor = 2, .pipe = 1, .experts = 2, .zero = 1},
        {.data = 2, .tensor = 1, .pipe = 1, .context = 2, .experts = 4, .zero = 2},
        {.data = 2, .tensor = 1, .pipe = 2, .context = 2, .experts = 2, .zero = 1}};
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        Product d = products[i];
        d.model = "mixtral:layers=2,hidden=8,heads=2,kv_heads=2,mlp=8,seq=12";
        d.samples = "text:count=2000";
        check(&d);
    }
}
END_TEST

SUITE("handovers", late_ranks_of_a_product_change_nothing, late_ranks_of_a_gpt_change_nothing,
      late_ranks_of_sequences_and_experts_change_nothing)
