// SPDX-License-Identifier: MIT
// The layer of experts in model files, and the model mixtral.
#include "core/nn/model.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static Arena arena;
static Model model;

static const Model *read_model(const char *spec) {
    ck_assert_ok(model_read(&model, &arena, spec));
    return &model;
}

static Status parse(const char *text) { return model_parse(&model, &arena, text, "x.model", ""); }

// As llama's, with a router of 4·64 and four experts of three matrices of 128·64 in each layer.
START_TEST(mixtral_has_the_parameters_of_its_parts) {
    const int64_t layer = 2 * 64 + 2 * 4096 + 2 * 2048 + 4 * 64 + 4 * 3 * 128 * 64;
    ck_assert_int_eq(model_parameters(read_model("mixtral")), 2 * 65 * 64 + 2 * layer + 64);
    const Layer *l = &model.layers[11];
    ck_assert_str_eq(l->name, "model.layers.0.block_sparse_moe");
    ck_assert_str_eq(l->parameters[0].name, "gate.weight");
    ck_assert_str_eq(l->parameters[1].name, "experts.w1.weight");
    ck_assert_int_eq(l->parameters[1].shape[0], 4);
    ck_assert_int_eq(l->parameters[1].shape[1], 128);
    ck_assert_int_eq(l->parameters[1].shape[2], 64);
    ck_assert_double_eq(l->real[ATTRIBUTE_CAPACITY], 1.25);
    ck_assert(l->attribute[ATTRIBUTE_NORMALISE]);
    ck_assert_fails(model_read(&model, &arena, "mixtral:experts=3,top_k=4"), ERR_SHAPE,
                    "top_k=4 of 3 experts: a token goes to each of them once at most");
}
END_TEST

// Without capacity= a queue has room for all tokens; one expert's probability is its gate (Switch).
START_TEST(experts_need_vectors_and_are_as_many_in_all_layers) {
    ck_assert_ok(parse("model x\ninput 6\nclasses 6\nexperts count=4 top_k=1 hidden=5\n"));
    const Layer *l = &model.layers[0];
    ck_assert_str_eq(l->name, "moe1");
    ck_assert_double_eq(l->real[ATTRIBUTE_CAPACITY], 4);
    ck_assert(!l->attribute[ATTRIBUTE_NORMALISE]);
    // The router 6 · 4 and three products of 6 · 5; the backward of the first layer's weights.
    ck_assert_int_eq(model_flops(&model), 2 * 2 * (6 * 4 + 3 * 6 * 5));
    static const struct {
        const char *input, *layers, *message;
    } cases[] = {
        {"1 2 3", "experts count=4 top_k=1 hidden=5\n", "needs a vector, but the input is 1×2×3"},
        {"6", "experts count=4 top_k=1 hidden=5\nexperts count=2 top_k=1 hidden=5\n",
         "count=2, but moe1 has 4: all have as many experts"},
        {"tokens 5 masked",
         "embedding out=6\nexperts count=4 top_k=1 hidden=5 balance=0.1\nlinear out=6\n",
         "balance=0.1: there is none of tokens that are masked; leave it out"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, "model x\ninput %s\nclasses 6\n%s", cases[i].input,
                 cases[i].layers);
        ck_assert_fails(parse(text), ERR_SHAPE, cases[i].message);
    }
    ck_assert_fails(parse("model x\ninput 6\nclasses 6\nmoe count=4\n"), ERR_FORMAT,
                    "no layer \"moe\" (did you mean experts?)");
}
END_TEST

SUITE("experts", mixtral_has_the_parameters_of_its_parts,
      experts_need_vectors_and_are_as_many_in_all_layers)
