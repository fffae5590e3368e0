// SPDX-License-Identifier: MIT
// Layers of experts whose sequences are cut over ranks: they train as on one rank, within the
// contract (docs/contract.md, 7), if nothing is dropped, with the balance of the whole micro-batch;
// what is dropped follows from the positions of each rank.
#include "core/platform/device_traits.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;

enum { STEPS = 10, EXPERTS = 4, LAYERS = 2 };

// 24 positions are 4, 6 and 8 chunks, 8 are 4. Of 4 experts each has room for all tokens.
#define SIZES "mixtral:layers=2,hidden=16,heads=4,kv_heads=2,mlp=8,"
static const char model[] = SIZES "seq=24,experts=4,capacity=200";
static const char shorter[] = SIZES "seq=8,experts=4,capacity=200";

static JobOptions options_of(int ranks, int context) {
    JobOptions o = ending_text_options(model, STEPS);
    o.spec.ranks = ranks;
    o.spec.mesh.context = context;
    o.comm = COMM_SERIAL;
    return o;
}

// Choices are whole numbers, the same on any ranks.
static void check_choices(const Ending *one, const Ending *got) {
    for (int r = 0; r < got->run.job.options.spec.ranks; r++)
        for (int k = 0; k < STEPS; k++) {
            const StepRecord *x = ending_step(one, 0, k), *y = ending_step(got, r, k);
            ck_assert(x->routed && y->routed);
            ck_assert_double_eq(y->fullest, x->fullest);
            ck_assert_double_eq(y->dropped, 0);
        }
}

static void check(const JobOptions *o, const Ending *one, double bound) {
    Ending got;
    ending_run(&got, &arena, o);
    ending_check(&got, one, bound);
    check_choices(one, &got);
    ending_finish(&got);
}

START_TEST(tokens_that_are_cut_train_as_on_one_rank) {
    JobOptions o = options_of(1, 0);
    Ending one;
    ending_run(&one, &arena, &o);
    for (int P = 2; P <= 4; P++) {
        o.spec.ranks = o.spec.mesh.context = P;
        o.comm = (CommKind)((P - 2) % COMM_KINDS);
        check(&o, &one, 1e-12);
    }
    o.spec.ranks = o.spec.mesh.context = 2;
    o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
    check(&o, &one, 1e-12);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

START_TEST(single_precision_and_the_fast_device_stay_within_the_contract) {
    JobOptions o = options_of(1, 0);
    Ending one;
    o.spec.device = device_traits_default;
    o.spec.dtype = DTYPE_F32;
    ending_run(&one, &arena, &o);
    o.spec.ranks = o.spec.mesh.context = 3;
    check(&o, &one, 1e-5);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// Beside each other degree and what is done to gradients; each shard and micro-batch balances its
// own tokens, on whichever ranks.
START_TEST(other_degrees_go_with_it) {
    static const struct {
        int data, tensor, pipe, zero, micro_batches;
        Recompute recompute;
        double clip;
        const char *order;
    } cases[] = {{2, 1, 1, 0, 2, RECOMPUTE_NONE, 0.1, "pipe,context,data,tensor"},
                 {2, 1, 1, 2, 1, RECOMPUTE_FULL, 0.1, NULL},
                 {2, 1, 1, 3, 1, RECOMPUTE_NONE, 0, NULL},
                 {1, 2, 1, 0, 1, RECOMPUTE_SELECTIVE, 0, NULL},
                 {1, 1, 2, 0, 3, RECOMPUTE_NONE, 0.1, NULL},
                 {2, 1, 2, 1, 2, RECOMPUTE_FULL, 0, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = options_of(1, 0);
        Ending one;
        o.spec.model = shorter;
        o.spec.micro_batches = cases[i].micro_batches;
        o.spec.optimizer.clip = cases[i].clip;
        o.spec.shards = cases[i].data;
        ending_run(&one, &arena, &o);
        o.spec.mesh = (Mesh){.context = 2, .tensor = cases[i].tensor, .pipe = cases[i].pipe};
        o.spec.ranks = 2 * cases[i].data * cases[i].tensor * cases[i].pipe;
        o.spec.strategy.zero = cases[i].zero;
        o.spec.strategy.recompute = cases[i].recompute;
        o.spec.mesh_order = cases[i].order;
        check(&o, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// Data parallel ranks with the same positions share the experts, all or in groups; gradients of an
// expert are added up over the positions, and over groups.
START_TEST(ranks_with_the_same_positions_share_experts) {
    static const struct {
        int data, expert, tensor, pipe, zero;
        double clip;
        ContextKind kind;
        const char *order;
    } cases[] = {{2, 2, 1, 1, 0, 0.1, CONTEXT_RING, NULL},
                 {2, 2, 1, 1, 3, 0.1, CONTEXT_RING, "tensor,context,data,pipe"},
                 {2, 2, 2, 1, 0, 0, CONTEXT_RING, NULL},
                 {2, 2, 1, 2, 1, 0.1, CONTEXT_RING, NULL},
                 {4, 2, 1, 1, 0, 0.1, CONTEXT_RING, "pipe,context,data,tensor"},
                 {4, 2, 1, 1, 2, 0, CONTEXT_ALL_TO_ALL, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = options_of(1, 0);
        Ending one;
        o.spec.model = shorter;
        o.spec.optimizer.clip = cases[i].clip;
        o.spec.shards = cases[i].data;
        o.spec.micro_batches = 2;
        ending_run(&one, &arena, &o);
        o.spec.mesh = (Mesh){.context = 2, .tensor = cases[i].tensor, .pipe = cases[i].pipe};
        o.spec.ranks = 2 * cases[i].data * cases[i].tensor * cases[i].pipe;
        o.spec.strategy.experts = cases[i].expert;
        o.spec.strategy.zero = cases[i].zero;
        o.spec.strategy.context = cases[i].kind;
        o.spec.mesh_order = cases[i].order;
        check(&o, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// A degree that divides no number of data parallel ranks takes those along context, too: all ranks,
// those of one row, or groups of which others hold the same experts.
START_TEST(ranks_with_other_positions_share_them_too) {
    static const struct {
        int data, context, expert, tensor, pipe, micro_batches, shards;
        double clip;
        ContextKind kind;
        const char *order;
    } cases[] = {{1, 2, 2, 1, 1, 2, 1, 0.1, CONTEXT_RING, NULL},
                 {1, 2, 2, 1, 1, 1, 2, 0, CONTEXT_ALL_TO_ALL, NULL},
                 {2, 2, 4, 1, 1, 2, 2, 0.1, CONTEXT_RING, "pipe,context,data,tensor"},
                 {3, 2, 2, 1, 1, 1, 3, 0.1, CONTEXT_RING, NULL},
                 {2, 4, 4, 1, 1, 1, 2, 0.1, CONTEXT_RING, "tensor,context,data,pipe"},
                 {1, 2, 2, 2, 1, 2, 1, 0, CONTEXT_RING, NULL},
                 {1, 2, 2, 1, 2, 2, 1, 0.1, CONTEXT_RING, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = options_of(1, 0);
        Ending one;
        o.spec.model = shorter;
        o.spec.batch = 12;
        o.spec.optimizer.clip = cases[i].clip;
        o.spec.shards = cases[i].shards;
        o.spec.micro_batches = cases[i].micro_batches;
        ending_run(&one, &arena, &o);
        o.spec.mesh =
            (Mesh){.context = cases[i].context, .tensor = cases[i].tensor, .pipe = cases[i].pipe};
        o.spec.ranks = cases[i].context * cases[i].data * cases[i].tensor * cases[i].pipe;
        o.spec.strategy.experts = cases[i].expert;
        o.spec.strategy.context = cases[i].kind;
        o.spec.strategy.sequence_parallel = cases[i].tensor > 1;
        o.spec.mesh_order = cases[i].order;
        check(&o, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// With ZeRO what a rank holds alone is not cut again, what holders of the same experts have is cut
// among these, and all else among the data parallel ranks of the same positions.
START_TEST(ranks_with_other_positions_shard_states) {
    static const struct {
        int data, context, expert, tensor, pipe, micro_batches, shards, zero;
        double clip;
        ContextKind kind;
        const char *order;
    } cases[] = {{2, 2, 4, 1, 1, 2, 2, 1, 0.1, CONTEXT_RING, NULL},
                 {2, 2, 4, 1, 1, 1, 2, 2, 0, CONTEXT_ALL_TO_ALL, "pipe,context,data,tensor"},
                 {2, 2, 4, 1, 1, 1, 4, 3, 0.1, CONTEXT_RING, NULL},
                 {2, 2, 4, 2, 1, 1, 2, 1, 0.1, CONTEXT_RING, "tensor,context,data,pipe"},
                 {2, 2, 4, 2, 1, 1, 2, 2, 0.1, CONTEXT_RING, NULL},
                 {2, 2, 4, 2, 1, 2, 2, 3, 0.1, CONTEXT_RING, NULL},
                 {2, 4, 4, 1, 1, 1, 2, 1, 0.1, CONTEXT_RING, NULL},
                 {2, 4, 4, 1, 1, 1, 2, 3, 0.1, CONTEXT_RING, "context,data,tensor,pipe"},
                 {2, 2, 4, 1, 2, 2, 2, 2, 0.1, CONTEXT_RING, NULL},
                 {3, 2, 2, 1, 1, 1, 3, 2, 0.1, CONTEXT_RING, NULL},
                 {6, 2, 4, 1, 1, 1, 6, 3, 0.1, CONTEXT_RING, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = options_of(1, 0);
        Ending one;
        o.spec.model = shorter;
        o.spec.batch = 12;
        o.spec.optimizer.clip = cases[i].clip;
        o.spec.shards = cases[i].shards;
        o.spec.micro_batches = cases[i].micro_batches;
        ending_run(&one, &arena, &o);
        o.spec.mesh =
            (Mesh){.context = cases[i].context, .tensor = cases[i].tensor, .pipe = cases[i].pipe};
        o.spec.ranks = cases[i].context * cases[i].data * cases[i].tensor * cases[i].pipe;
        o.spec.strategy.experts = cases[i].expert;
        o.spec.strategy.context = cases[i].kind;
        o.spec.strategy.zero = cases[i].zero;
        o.spec.mesh_order = cases[i].order;
        check(&o, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// Each layer sends loads, tokens and results, and the gradients of both: five exchanges, of E
// queues with the rank's share of their room each time; all but those of a rank's own experts go.
START_TEST(tokens_go_to_ranks_of_other_positions) {
    enum { B = 8, T = 24, C = 16, P = 2, REAL = 8, ROOM = B * T / P };
    JobOptions o = options_of(P, P);
    Outcome got;
    o.spec.strategy.experts = P;
    o.steps = 1;
    ck_assert_ok(training_run(&got, &o, NULL));
    const Program *p = job_program(&got.job, 0);
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_PARAMETER && p->tensors[t].dims == 3)
            ck_assert_int_eq(p->tensors[t].shape[0], EXPERTS / P);
    CommCount count = outcome_count(&got, 1, "step", "experts", COLLECTIVE_ALL_TO_ALL);
    ck_assert_int_eq(count.calls, 5 * LAYERS);
    ck_assert_int_eq(count.bytes,
                     (int64_t)LAYERS * (4 * EXPERTS * ROOM * C * REAL + EXPERTS * 8) / P);
    outcome_finish(&got);
}
END_TEST

// Elements of parameters by the program of a rank, which holds W / 4 of experts' W.
static int64_t dense_elements(const Program *p) {
    int64_t sum = 0;
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_PARAMETER && p->tensors[t].dims < 3 &&
            p->tensors[t].alias == NONE)
            sum += logical_elements(&p->logicals[p->tensors[t].logical]);
    return sum;
}

static CommCount total(const Outcome *o, const char *group, int operation) {
    CommCount sum = {0};
    for (int r = 0; r < o->job.options.spec.ranks; r++) {
        CommCount c = outcome_count(o, r, "step", group, operation);
        sum.calls += c.calls;
        sum.bytes += c.bytes;
    }
    return sum;
}

// ZeRO's closed forms: of each gradient that P ranks have, every rank gets its part of the sum from
// P - 1 others, and as many bytes of its parameter afterwards; in all P - 1 times the whole. Dense
// ones are of the 2 ranks of the same positions, experts of those that hold the same: the others
// send nothing of them. One sum of squares goes among all that share experts, or have shards.
START_TEST(experts_of_several_positions_are_sharded_among_their_holders) {
    enum { E = EXPERTS, C = 16, M = 8, WEIGHTS = 3, REAL = 8, ALL = LAYERS * E * WEIGHTS * M * C };
    static const int ranks[] = {4, 8};
    for (int i = 0; i < 2; i++) {
        JobOptions o = options_of(ranks[i], ranks[i] / 2);
        bool held = ranks[i] > E;
        Outcome got;
        o.spec.model = shorter;
        o.spec.strategy.experts = E;
        o.spec.strategy.zero = 1 + i;
        o.spec.strategy.bucket_bytes[0] = o.spec.strategy.bucket_bytes[1] = 0;  // a call each
        o.spec.optimizer.clip = 0.1;
        o.steps = 1;
        ck_assert_ok(training_run(&got, &o, NULL));
        const Program *p = job_program(&got.job, 0);
        int64_t dense = dense_elements(p);
        const CommCount reduced = total(&got, "data", COLLECTIVE_REDUCE_SCATTER),
                        gathered = total(&got, "data", COLLECTIVE_ALL_GATHER),
                        squares = total(&got, held ? "replicas" : "experts", COLLECTIVE_ALL_REDUCE);
        ck_assert_int_eq(reduced.bytes, ranks[i] / 2 * dense * REAL);
        ck_assert_int_eq(gathered.bytes, ranks[i] / 2 * dense * REAL);
        ck_assert_int_eq(squares.calls, ranks[i]);
        ck_assert(held == (program_find_group(p, "holders") != NONE));
        if (held) {
            const CommCount of_experts = total(&got, "holders", COLLECTIVE_REDUCE_SCATTER);
            ck_assert_int_eq(of_experts.calls, ranks[i] * LAYERS * WEIGHTS);
            ck_assert_int_eq(of_experts.bytes, ALL * REAL);
            ck_assert_int_eq(total(&got, "holders", COLLECTIVE_ALL_GATHER).bytes, ALL * REAL);
        }
        outcome_finish(&got);
    }
}
END_TEST

START_TEST(what_cannot_be_shared_is_refused) {
    JobOptions o = options_of(2, 2);
    Job job;
    o.spec.strategy.experts = 3;
    ck_assert_fails(job_create(&job, &o), ERR_USAGE,
                    "--ep 3: data parallel ranks share the experts, and there is 1");
}
END_TEST

// Two of two experts: each gets all tokens, 64 on one rank. At 90 % of a fair share there is room
// for ceil(57.6) = 58 of them; of 16 on each of four ranks for ceil(14.4) = 15. All ranks say so.
START_TEST(each_rank_drops_of_its_own_tokens) {
    for (int P = 1; P <= 4; P += 3) {
        JobOptions o = options_of(P, P);
        Ending got;
        o.spec.model = SIZES "seq=8,experts=2,capacity=90";
        ending_run(&got, &arena, &o);
        for (int r = 0; r < P; r++) {
            ck_assert_double_eq(ending_step(&got, r, 1)->dropped, P == 1 ? 6.0 / 64 : 1.0 / 16);
            ck_assert_double_eq(ending_step(&got, r, 1)->fullest, 1);
            ck_assert(ending_step(&got, r, 1)->loss == ending_step(&got, 0, 1)->loss);
        }
        ending_finish(&got);
    }
    arena_finish(&arena);
}
END_TEST

// For each layer and micro-batch how many choices of the others fell on each expert.
START_TEST(choices_are_gathered_where_experts_are_balanced) {
    for (int P = 2; P <= 4; P += 2)
        for (int balanced = 0; balanced < 2; balanced++) {
            JobOptions o = options_of(P, P);
            Outcome got;
            o.spec.micro_batches = 2;
            o.steps = 1;
            if (!balanced) o.spec.model = test_source("tests/data/unbalanced.model");
            ck_assert_ok(training_run(&got, &o, NULL));
            CommCount count = outcome_count(&got, P - 1, "step", "context", COLLECTIVE_ALL_GATHER);
            ck_assert_int_eq(count.calls, balanced ? 2 * LAYERS : 0);
            ck_assert_int_eq(count.bytes, balanced ? 2 * LAYERS * (P - 1) * EXPERTS * 8 : 0);
            outcome_finish(&got);
        }
}
END_TEST

// A rank that takes its own choices for those of the other, too, balances its tokens alone.
static void forget_others(void *context, Executor *e, int plan, int op) {
    const Program *p = e->program;
    const Op *o = &p->plans[plan].ops[op];
    (void)context;
    if (op_kind(p, o) != KIND_BALANCE && op_kind(p, o) != KIND_ROUTE_BACKWARD) return;
    int which = op_kind(p, o) == KIND_BALANCE ? 1 : 3;
    int64_t *chosen = executor_data(e, op_inputs(&p->plans[plan], o)[which]);
    memcpy(&chosen[(1 - e->rank) * EXPERTS], &chosen[e->rank * EXPERTS], EXPERTS * sizeof *chosen);
}

START_TEST(a_balance_of_a_ranks_own_tokens_is_seen) {
    JobOptions o = options_of(1, 0);
    Ending one, got;
    ending_run(&one, &arena, &o);
    o.spec.ranks = o.spec.mesh.context = 2;
    ending_run_probed(&got, &arena, &o, &(TrainingProbe){.before = forget_others});
    ck_assert_double_gt(ending_distance(&one, &got, 1e-12), 1000);
    ending_finish(&got);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

SUITE("context experts", tokens_that_are_cut_train_as_on_one_rank,
      single_precision_and_the_fast_device_stay_within_the_contract, other_degrees_go_with_it,
      ranks_with_the_same_positions_share_experts, ranks_with_other_positions_share_them_too,
      ranks_with_other_positions_shard_states,
      experts_of_several_positions_are_sharded_among_their_holders,
      tokens_go_to_ranks_of_other_positions, what_cannot_be_shared_is_refused,
      each_rank_drops_of_its_own_tokens, choices_are_gathered_where_experts_are_balanced,
      a_balance_of_a_ranks_own_tokens_is_seen)
