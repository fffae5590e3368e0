// SPDX-License-Identifier: MIT
// Context parallelism: models of text whose sequences are cut over ranks train as on one rank,
// within the contract (docs/contract.md, 7), and send what ring attention's closed form says.
#include "core/platform/device_traits.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Arena arena;

enum { STEPS = 10 };

// 24 positions are 4, 6 and 8 chunks; four heads of queries share two of keys and values.
static const char gpt[] = "gpt:layers=2,hidden=16,heads=4,seq=24",
                  llama[] = "llama:layers=1,hidden=16,heads=4,kv_heads=2,seq=24,mlp=20";

static JobOptions options_of(const char *model, int ranks, int context) {
    JobOptions o = ending_text_options(model, STEPS);
    o.spec.ranks = ranks;
    o.spec.mesh.context = context;
    o.comm = COMM_THREAD;
    return o;
}

static void check_rings(const char *model) {
    JobOptions o = options_of(model, 1, 0);
    Ending one;
    ending_run(&one, &arena, &o);
    for (int P = 2; P <= 4; P++) {
        o.spec.ranks = o.spec.mesh.context = P;
        o.comm = (CommKind)((P - 2) % COMM_KINDS);
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    o.spec.ranks = 4;
    o.spec.mesh.context = 2;
    ending_check_run(&o, &arena, &one, 1e-12);
    ending_finish(&one);
    arena_finish(&arena);
}

START_TEST(a_gpt_whose_sequences_are_cut_trains_as_on_one_rank) { check_rings(gpt); }
END_TEST

START_TEST(so_does_a_llama_with_groups_of_queries) { check_rings(llama); }
END_TEST

// Attention to all positions, dropout, segments, and labels that do not count.
static const char sentences[] = "model s\ninput tokens 24\nclasses 66\nembedding e out=12\n"
                                "positions p\nsegments g types=2\ndropout d p=0.2\n"
                                "linear q out=12\nlinear k from=d out=6\nlinear v from=d out=6\n"
                                "attention a from=q,k,v heads=4 kv_heads=2\ndropout f p=0.3\n"
                                "linear out out=66\n";

START_TEST(masks_of_dropout_are_those_of_one_rank) {
    JobOptions o = options_of(ending_write_file(&arena, "s.model", sentences), 1, 0);
    Ending one;
    ending_run(&one, &arena, &o);
    for (int P = 2; P <= 4; P += 2) {
        o.spec.ranks = 4;
        o.spec.mesh.context = P;
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

START_TEST(single_precision_and_the_reference_device_stay_within_the_contract) {
    static const char *const devices[] = {"reference", device_traits_default};
    for (int d = 0; d < 2; d++) {
        JobOptions o = options_of(gpt, 1, 0);
        Ending one;
        o.spec.device = devices[d];
        o.spec.dtype = d ? DTYPE_F32 : DTYPE_F64;
        ending_run(&one, &arena, &o);
        o.spec.ranks = o.spec.mesh.context = 3;
        ending_check_run(&o, &arena, &one, d ? 1e-5 : 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// --- heads are exchanged for positions

START_TEST(heads_of_all_positions_train_as_on_one_rank) {
    static const char *const models[] = {gpt, llama};
    for (int m = 0; m < 2; m++) {
        JobOptions o = options_of(models[m], 1, 0);
        Ending one;
        ending_run(&one, &arena, &o);
        o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
        for (int P = 2; P <= 4 - 2 * m; P += 2) {
            o.spec.ranks = 4;
            o.spec.mesh.context = P;
            o.spec.micro_batches = P / 2;
            o.comm = (CommKind)(P / 2 % COMM_KINDS);
            if (P == 4) o.spec.shards = 1;
            ending_check_run(&o, &arena, &one, 1e-12);
        }
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// Query, key, value and output of a rank's positions, and their gradients: all but the P-th part
// comes from others.
START_TEST(heads_are_exchanged_four_times_each_way) {
    enum { ROWS = 8, T = 24, C = 16, G = 8, P = 2 };
    JobOptions o = options_of(llama, P, P);
    Outcome got;
    o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
    o.steps = 1;
    ck_assert_ok(training_run(&got, &o, NULL));
    CommCount count = outcome_count(&got, 0, "step", "context", COLLECTIVE_ALL_TO_ALL);
    ck_assert_int_eq(count.calls, 8);
    ck_assert_int_eq(count.bytes, (int64_t)2 * ROWS * (T / P) * (2 * C + 2 * G) * 8 / P * (P - 1));
    outcome_finish(&got);
}
END_TEST

// A rank exchanges the heads that --tp leaves to it: half of them, and so half the bytes.
START_TEST(heads_that_are_divided_before_are_exchanged) {
    enum { LAYERS = 2, ROWS = 8, T = 24, C = 16, P = 2, TENSOR = 2 };
    JobOptions o = options_of(gpt, 1, 0);
    Ending one, got;
    ending_run(&one, &arena, &o);
    o.spec.ranks = P * TENSOR;
    o.spec.mesh.context = P;
    o.spec.mesh.tensor = TENSOR;
    o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
    ending_run(&got, &arena, &o);
    ending_check(&got, &one, 1e-12);
    CommCount count = outcome_count(&got.run, 3, "step", "context", COLLECTIVE_ALL_TO_ALL);
    ck_assert_int_eq(count.calls, o.steps * LAYERS * 8);
    ck_assert_int_eq(count.bytes,
                     (int64_t)o.steps * LAYERS * 8 * ROWS * (T / P) * C / TENSOR * 8 / P);
    ending_finish(&got);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// --- with the data, and what is done to gradients

START_TEST(data_are_divided_beside_the_sequences) {
    static const struct {
        int zero, micro_batches, shards;
        double clip;
        const char *order;
    } cases[] = {{0, 2, 2, 0.1, NULL}, {0, 1, 4, 0, "pipe,context,data,tensor"},
                 {1, 1, 2, 0.1, NULL}, {2, 2, 2, 0, NULL},
                 {3, 1, 2, 0.1, NULL}, {1, 1, 2, 0, NULL},
                 {1, 1, 2, 0, NULL}};  // by exchanges
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = options_of(i % 2 ? llama : gpt, 4, 2), alone = o;
        Ending one;
        o.spec.strategy.zero = cases[i].zero;
        o.spec.strategy.no_overlap = i >= 5;
        if (i == 6) o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
        o.spec.micro_batches = cases[i].micro_batches;
        o.spec.shards = cases[i].shards;
        o.spec.mesh_order = cases[i].order;
        o.spec.optimizer.clip = alone.spec.optimizer.clip = cases[i].clip;
        alone.spec.ranks = 1;
        alone.spec.mesh.context = 0;
        ending_run(&one, &arena, &alone);
        ending_check_run(&o, &arena, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// --- what is sent

// A layer's keys and values, of this rank's positions, go P - 1 hops in the forward and in the
// backward, and as many their gradients: B T / P (G + G) elements each.
START_TEST(keys_values_and_gradients_go_around_once) {
    enum { ROWS = 8, T = 24, G = 8 };
    for (int P = 2; P <= 4; P++) {
        JobOptions o = options_of(llama, P, P);
        Outcome got;
        o.steps = 1;
        ck_assert_ok(training_run(&got, &o, NULL));
        CommCount count = outcome_count(&got, P - 1, "step", "context", COMM_SEND);
        ck_assert_int_eq(count.calls, 3 * (P - 1));
        ck_assert_int_eq(count.bytes, (int64_t)3 * (P - 1) * 2 * ROWS * (T / P) * G * 8);
        outcome_finish(&got);
    }
}
END_TEST

// --- what is refused

static void refuse(JobOptions o, const char *why) {
    Job job;
    ck_assert_fails(job_create(&job, &o), ERR_USAGE, why);
}

START_TEST(what_cannot_be_cut_is_refused_with_what_can) {
    JobOptions o = options_of("gpt:layers=1,hidden=16,heads=4,seq=20", 3, 3);
    refuse(o, "--cp 3 cuts a sequence into 2 × 3 chunks of equal length, but 20 tokens are 6 × 3 + "
              "2; --cp 2 divides it; or give the model a length of 18");
    o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
    refuse(o, "--cp 3 cuts a sequence into 3 chunks of equal length, but 20 tokens are 3 × 6 + 2");
    o.spec.model = "llama:layers=1,hidden=16,heads=4,kv_heads=2,seq=24,mlp=20";
    o.spec.ranks = o.spec.mesh.context = 4;
    refuse(o, "has kv_heads=2 = 4 × 0 + 2; give --cp 2, which divides them, or --cp-kind ring");
    o.spec.model = "gpt:layers=1,hidden=16,heads=4,seq=20";
    o.spec.ranks = o.spec.mesh.context = 2;
    o.spec.strategy.sync_batch_norm = true;
    refuse(o, "--cp 2 cuts sequences of tokens, in which there is no batch_norm layer; leave "
              "--sync-batchnorm out");
    o.spec.strategy.sync_batch_norm = false;
    o.spec.model = "megatron:layers=1,hidden=16,heads=4,seq=20";
    refuse(o, "--cp 2: h.0.attn.att1 scores all positions at once, of which a rank has some");
    o.spec.model = "mlp";
    o.data = "digits:count=100";
    refuse(o, "--cp 2 cuts sequences of tokens, and this model has none");
    o = options_of("gpt:layers=1,hidden=24,heads=12,seq=24", 8, 4);
    o.spec.mesh.tensor = 2;
    o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
    refuse(o, "has heads=6 = 4 × 1 + 2 on each of --tp 2 ranks; give --cp 2 or 3 or 6, which "
              "divides them");
    o = options_of(gpt, 8, 2);
    o.spec.mesh.tensor = 4;
    o.spec.strategy.context = CONTEXT_ALL_TO_ALL;
    refuse(o, "has heads=1 = 2 × 0 + 1 on each of --tp 4 ranks; give --cp-kind ring");
}
END_TEST

SUITE("context", a_gpt_whose_sequences_are_cut_trains_as_on_one_rank,
      so_does_a_llama_with_groups_of_queries, masks_of_dropout_are_those_of_one_rank,
      single_precision_and_the_reference_device_stay_within_the_contract,
      heads_of_all_positions_train_as_on_one_rank, heads_are_exchanged_four_times_each_way,
      heads_that_are_divided_before_are_exchanged, data_are_divided_beside_the_sequences,
      keys_values_and_gradients_go_around_once, what_cannot_be_cut_is_refused_with_what_can)
