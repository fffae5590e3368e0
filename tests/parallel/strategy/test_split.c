// SPDX-License-Identifier: MIT
// Tensor parallelism: networks whose weights are divided among ranks train as one rank does, within
// the contract (docs/contract.md, 7).
#include "core/platform/device_traits.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Arena arena;

enum { STEPS = 10 };

static const char gpt[] = "gpt:layers=1,hidden=16,heads=4,seq=8",
                  llama[] = "llama:layers=1,hidden=16,heads=4,kv_heads=4,seq=8,mlp=20";

static JobOptions options_of(const char *model) {
    JobOptions o = ending_text_options(model, STEPS);
    bool tokens = !strncmp(model, "gpt", 3) || !strncmp(model, "llama", 5);
    if (!tokens) o.data = "digits:count=100";
    return o;
}

static void check_degrees(const char *model, const int *degrees, int count) {
    JobOptions o = options_of(model);
    Ending one;
    ending_run(&one, &arena, &o);
    for (int i = 0; i < count; i++) {
        o.spec.ranks = o.spec.mesh.tensor = degrees[i];
        o.comm = (CommKind)(i % COMM_KINDS);
        ending_check_run(&o, &arena, &one, 1e-12);
    }
    ending_finish(&one);
    arena_finish(&arena);
}

// 17 hidden units over 2, 3 and 4 ranks, and 20 and 50 channels over 3, are uneven.
START_TEST(weights_over_ranks_train_as_those_of_one_rank) {
    check_degrees("mlp:hidden=17", (int[]){2, 3, 4}, 3);
    check_degrees("net", (int[]){2, 3}, 2);
    check_degrees(gpt, (int[]){2, 4}, 2);
    check_degrees(llama, (int[]){2, 4}, 2);
}
END_TEST

START_TEST(single_precision_and_the_reference_device_stay_within_the_contract) {
    static const char *const devices[] = {"reference", device_traits_default};
    for (int d = 0; d < 2; d++) {
        JobOptions o = options_of(gpt);
        Ending one;
        o.spec.device = devices[d];
        o.spec.dtype = d ? DTYPE_F32 : DTYPE_F64;
        ending_run(&one, &arena, &o);
        o.spec.ranks = o.spec.mesh.tensor = 2;
        ending_check_run(&o, &arena, &one, d ? 1e-5 : 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// Queries share keys and values: two groups over two ranks.
START_TEST(query_groups_are_cut_with_their_keys_and_values) {
    check_degrees("llama:layers=1,hidden=16,heads=4,kv_heads=2,seq=8,mlp=20", (int[]){2}, 1);
}
END_TEST

// 65 tokens over 2 and 4 ranks are 33 and 17 rows at most. Labels that do not count, and
// shares of a label that all classes get, are the loss's.
START_TEST(a_vocabulary_over_ranks_gives_the_loss_of_one_rank) {
    static const struct {
        const char *model;
        int degrees[3];
    } cases[] = {{llama, {2, 4}}, {"bert:layers=1,hidden=24,heads=6,seq=8", {2, 3, 6}}};
    for (int i = 0; i < 2; i++) {
        JobOptions o = options_of(cases[i].model);
        Ending one;
        o.data = "text:count=2000";
        o.spec.label_smoothing = 0.1;
        ending_run(&one, &arena, &o);
        for (int k = 0; k < 3 && cases[i].degrees[k]; k++) {
            o.spec.ranks = o.spec.mesh.tensor = cases[i].degrees[k];
            ending_check_run(&o, &arena, &one, 1e-12);
        }
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// --- with the data

static JobOptions product(const char *model, int data, int tensor) {
    JobOptions o = options_of(model);
    o.spec.ranks = data * tensor;
    o.spec.mesh.tensor = tensor;
    o.comm = COMM_THREAD;
    return o;
}

START_TEST(the_data_are_divided_beside_the_weights) {
    static const struct {
        int zero, micro_batches;
        double clip;
        const char *order;
    } cases[] = {{0, 1, 0, NULL},
                 {0, 2, 0.1, "pipe,tensor,data,context"},
                 {1, 1, 0.1, NULL},
                 {2, 2, 0, NULL},
                 {3, 1, 0.1, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = product(i % 2 ? llama : gpt, 2, 2), alone = o;
        Ending one;
        o.spec.strategy.zero = cases[i].zero;
        o.spec.micro_batches = cases[i].micro_batches;
        o.spec.mesh_order = cases[i].order;
        o.spec.optimizer.clip = alone.spec.optimizer.clip = cases[i].clip;
        alone.spec.ranks = 1;
        alone.spec.mesh.tensor = 0;
        ending_run(&one, &arena, &alone);
        ending_check_run(&o, &arena, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// The gradient that leaves the head is read whole by a product and in pieces by a sum, as there is
// no norm between them. Masks are of the places of the whole.
static const char dropped[] =
    "model tokens\ninput tokens 8\nclasses 65\nembedding wte out=16\npositions wpe\n"
    "layer_norm ln\nlinear c_attn out=48\nattention heads=4 causal=true\nlinear c_proj out=16\n"
    "dropout drop p=0.2\nadd mid from=drop,wpe\nlayer_norm ln2\nlinear up out=32\ngelu\n"
    "dropout p=0.1\nlinear down out=16\nadd end from=down,mid\nlinear head out=65\n";

START_TEST(a_sum_that_is_wanted_whole_and_in_pieces_is_both) {
    const char *path = ending_write_file(&arena, "dropped.model", dropped);
    for (int data = 1; data <= 2; data++) {
        JobOptions o = product(path, data, 2), alone;
        Ending one;
        o.data = "text:count=2000";
        alone = o;
        alone.spec.ranks = 1;
        alone.spec.mesh.tensor = 0;
        o.spec.strategy.sequence_parallel = true;
        o.spec.strategy.zero = data - 1;
        ending_run(&one, &arena, &alone);
        ending_check_run(&o, &arena, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// Four products, of which the first would be cut; and a head that would be cut by its classes.
static const char first_whole[] =
    "model whole\ninput 1 28 28\nclasses 10\nflatten\nlinear a out=17 place=R\nrelu\n"
    "linear b out=18\nrelu\nlinear c out=19\nrelu\nlinear d out=10\n";
static const char head_whole[] =
    "model head\ninput tokens 8\nclasses 65\nembedding wte out=16\npositions wpe\n"
    "layer_norm ln\nlinear up out=32\ngelu\nlinear down out=16\nlinear head out=65 place=R\n";

START_TEST(weights_that_lie_as_their_layers_say_train_alike) {
    static const char *const texts[] = {first_whole, head_whole};
    for (int i = 0; i < 2; i++) {
        JobOptions o = options_of(ending_write_file(&arena, "placed.model", texts[i]));
        Ending one;
        o.data = i ? "text:count=2000" : o.data;
        ending_run(&one, &arena, &o);
        for (int tensor = 2; tensor <= 3; tensor++) {
            o.spec.ranks = o.spec.mesh.tensor = tensor;
            ending_check_run(&o, &arena, &one, 1e-12);
        }
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// The same, with norms of a part of the positions on each rank.
START_TEST(positions_are_divided_outside_of_products) {
    static const struct {
        const char *model;
        int data, tensor, zero, micro_batches, shards;
        double clip;
    } cases[] = {{gpt, 1, 4, 0, 1, 1, 0},   {llama, 1, 2, 0, 2, 1, 0.1}, {gpt, 2, 2, 1, 1, 2, 0},
                 {llama, 2, 2, 2, 2, 2, 0}, {gpt, 2, 2, 3, 1, 2, 0.1},   {gpt, 2, 2, 0, 1, 4, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        JobOptions o = product(cases[i].model, cases[i].data, cases[i].tensor), alone = o;
        Ending one;
        o.spec.strategy.sequence_parallel = true;
        o.spec.strategy.zero = cases[i].zero;
        o.spec.micro_batches = cases[i].micro_batches;
        o.spec.shards = cases[i].shards;
        o.spec.batch = alone.spec.batch = 7;
        o.spec.optimizer.clip = alone.spec.optimizer.clip = cases[i].clip;
        alone.spec.ranks = 1;
        alone.spec.mesh.tensor = 0;
        ending_run(&one, &arena, &alone);
        ending_check_run(&o, &arena, &one, 1e-12);
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// A norm that counts what all ranks hold once for each would be larger, and clip more.
START_TEST(the_norm_counts_every_gradient_once) {
    JobOptions o = options_of("mlp:hidden=16");
    Ending one, cut;
    o.spec.optimizer.clip = 1e9;  // nothing is clipped, but the norm is computed
    ending_run(&one, &arena, &o);
    o.spec.ranks = o.spec.mesh.tensor = 4;
    ending_run(&cut, &arena, &o);
    for (int step = 0; step < STEPS; step++) {
        double want = ending_step(&one, 0, step)->gradient_norm,
               got = ending_step(&cut, 3, step)->gradient_norm;
        ck_assert_double_gt(want, 0);
        ck_assert_double_le(fabs(want - got), 1e-13 * want);
    }
    ending_finish(&one);
    ending_finish(&cut);
    arena_finish(&arena);
}
END_TEST

// In f64 Adam's square roots enlarge the last bits of small gradients: a larger bound.
START_TEST(adam_keeps_moments_where_the_weights_are) {
    JobOptions o = options_of(gpt);
    Ending one;
    o.spec.optimizer = (Optimizer){
        .kind = OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1};
    o.spec.learning_rate = 1e-3;
    ending_run(&one, &arena, &o);
    o.spec.ranks = 4;
    o.spec.mesh.tensor = 2;
    ending_check_run(&o, &arena, &one, 1e-11);
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

// --- checkpoints

// Four steps on two ranks, the rest on four, or on one, are ten on one.
START_TEST(a_run_goes_on_with_another_degree) {
    JobOptions o = options_of(gpt);
    Ending one, rest;
    Outcome part;
    char middle[300];
    ending_run(&one, &arena, &o);
    snprintf(middle, sizeof middle, "%s/middle.safetensors", test_directory());
    for (int tensor = 1; tensor <= 4; tensor += 3) {
        JobOptions first = options_of(gpt), second = first;
        first.steps = 4;
        first.save = middle;
        first.spec.ranks = first.spec.mesh.tensor = 2;
        ck_assert_ok(training_run(&part, &first, NULL));
        second.resume = middle;
        second.spec.ranks = second.spec.mesh.tensor = tensor;
        ending_run(&rest, &arena, &second);
        double d = ending_distance(&one, &rest, 1e-12);
        ck_assert_msg(d <= 1, "tp 2, then %d: %g bounds apart", tensor, d);
        outcome_finish(&part);
        ending_finish(&rest);
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

SUITE("split", weights_over_ranks_train_as_those_of_one_rank,
      single_precision_and_the_reference_device_stay_within_the_contract,
      query_groups_are_cut_with_their_keys_and_values,
      a_vocabulary_over_ranks_gives_the_loss_of_one_rank, the_data_are_divided_beside_the_weights,
      positions_are_divided_outside_of_products, a_sum_that_is_wanted_whole_and_in_pieces_is_both,
      weights_that_lie_as_their_layers_say_train_alike, the_norm_counts_every_gradient_once,
      adam_keeps_moments_where_the_weights_are, a_run_goes_on_with_another_degree)
