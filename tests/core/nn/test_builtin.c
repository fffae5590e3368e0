// SPDX-License-Identifier: MIT
// Built-in models by name: the sizes and the arithmetic of their publications.
#include "core/nn/layers/layer_internal.h"
#include "core/nn/model.h"
#include "tests/support/testing.h"

#include <string.h>

static Arena arena;
static Model model;

static const Model *read_model(const char *spec) {
    ck_assert_ok(model_read(&model, &arena, spec));
    return &model;
}

// wte 50257·C, wpe 1024·C, L blocks of 12·C² + 13·C, ln_f 2·C; the head is tied.
START_TEST(gpt2_has_the_sizes_that_were_published) {
    ck_assert_int_eq(model_parameters(read_model("gpt2")), 124439808);
    ck_assert_str_eq(model.source, "built-in");
    ck_assert_int_eq(model_parameters(read_model("gpt2-medium")), 354823168);
    ck_assert_int_eq(model_parameters(read_model("gpt2-large")), 774030080);
    ck_assert_int_eq(model_parameters(read_model("gpt2-xl")), 1557611200);
    ck_assert_int_eq(model.input[0], 1024);
    ck_assert_int_eq(model.classes, 50257);
    int heads = 0;
    for (int i = 0; i < model.layer_count; i++)
        if (!strcmp(model.layers[i].name, "h.47.attn.att1"))
            heads = (int)model.layers[i].attribute[ATTRIBUTE_HEADS];
    ck_assert_int_eq(heads, 25);
}
END_TEST

// The others' parameters. Where a paper rounds, the number is that of the published weights: of
// torchvision's documentation, or of model cards' safetensors.
static const struct {
    const char *name;
    int64_t parameters;
    double paper;  // as the paper rounds it, and how much, as a share, the weights lie from that
    double off;
} published[] = {
    // Brown et al., 2020, table D.1: 174,600 M.
    {"gpt3-175b", 174604259328, 174600e6, 1e-4},
    // Grattafiori et al., 2024, table 3: 8B, 70B, 405B; the weights Meta-Llama-3-8B,
    // Meta-Llama-3-70B and Llama-3.1-405B.
    {"llama-3-8b", 8030261248, 8e9, 0.01},
    {"llama-3-70b", 70553706496, 70e9, 0.01},
    {"llama-3-405b", 405853388800, 405e9, 0.01},
    // Jiang et al., 2024, section 2.2: 47B; mistralai/Mixtral-8x7B-v0.1.
    {"mixtral-8x7b", 46702792704, 47e9, 0.01},
    // Devlin et al., 2019, section 3: 340M, rounded; bert-large-uncased as BertForMaskedLM, that is
    // without the pooler and the head for next sentences.
    {"bert-large", 335174458, 340e6, 0.015},
    // torchvision's tables of weights, VGG16_Weights and ResNet50_Weights; Simonyan & Zisserman,
    // 2015, table 2: 138 million; Xie et al., ResNeXt, 2017, table 1: 25.5 million for ResNet-50.
    {"vgg16", 138357544, 138e6, 0.005},
    {"resnet50", 25557032, 25.5e6, 0.005},
};

START_TEST(other_models_have_the_parameters_that_were_published) {
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        ck_assert_int_eq(model_parameters(read_model(published[i].name)), published[i].parameters);
        double off = (double)published[i].parameters / published[i].paper - 1;
        ck_assert_msg(off <= published[i].off && off >= -published[i].off, "%s: off by %g",
                      published[i].name, off);
        arena_finish(&arena);
    }
}
END_TEST

static int64_t attribute_of(const char *layer, Attribute a) {
    for (int i = 0; i < model.layer_count; i++)
        if (!strcmp(model.layers[i].name, layer)) return model.layers[i].attribute[a];
    ck_abort_msg("no layer %s", layer);
}

// Layers, heads, those of keys and values, and positions, in the papers' tables.
START_TEST(their_shapes_are_those_of_the_papers) {
    read_model("gpt3-175b");
    ck_assert_int_eq(model.input[0], 2048);
    ck_assert_int_eq(attribute_of("h.95.attn.att1", ATTRIBUTE_HEADS), 96);
    read_model("llama-3-405b");
    ck_assert_int_eq(model.input[0], 8192);
    ck_assert_int_eq(attribute_of("model.layers.125.self_attn.att1", ATTRIBUTE_HEADS), 128);
    ck_assert_int_eq(attribute_of("model.layers.125.self_attn.att1", ATTRIBUTE_KV_HEADS), 8);
    for (int i = 0; i < model.layer_count; i++)
        if (!strcmp(model.layers[i].row->word, "rotary"))
            ck_assert_double_eq(model.layers[i].real[ATTRIBUTE_THETA], 500000);
    read_model("mixtral-8x7b");
    ck_assert_int_eq(model.input[0], 32768);
    ck_assert_int_eq(attribute_of("model.layers.31.block_sparse_moe", ATTRIBUTE_COUNT_OF), 8);
    ck_assert_int_eq(attribute_of("model.layers.31.block_sparse_moe", ATTRIBUTE_TOP_K), 2);
    read_model("bert-large");
    ck_assert_int_eq(model.input[0], 512);
    ck_assert_int_eq(attribute_of("bert.encoder.layer.23.attention.self.att1", ATTRIBUTE_HEADS),
                     16);
    arena_finish(&arena);
}
END_TEST

// torchvision's table of weights: 4.09 and 15.47 GFLOPS, which are multiply-adds; He et al., 2016,
// table 1, counts 3.8 billion, with the stride in the 1×1 convolution.
START_TEST(networks_of_images_take_the_published_multiply_adds) {
    ck_assert_int_eq(model_forward_flops(read_model("resnet50")), 2 * 4089184256);
    ck_assert_int_eq(model_forward_flops(read_model("vgg16")), 2 * 15470264320);
    // Four times the pixels for the convolutions, 15346630656 of those, and the same parameters.
    ck_assert_int_eq(model_forward_flops(read_model("vgg16:size=448")),
                     2 * (15470264320 + 3 * 15346630656));
    ck_assert_int_eq(model_parameters(&model), 138357544);
    ck_assert_fails(model_read(&model, &arena, "vgg16:size=64"), ERR_SHAPE,
                    "out=7 must divide a square image, and this is 2×2");
    arena_finish(&arena);
}
END_TEST

// Korthikanti et al., Reducing Activation Recomputation in Large Transformer Models, 2022, equation
// 7: a step of one sequence takes 72 L s h² (1 + s / 6h + v / 12hL), a third of that forward. They
// count all pairs of queries and keys; here a causal query counts the (s + 1) / 2 it sees.
START_TEST(a_gpt_takes_the_flops_of_the_published_formula) {
    static const struct {
        const char *model;
        int64_t L, h, s, v;
    } sizes[] = {{"gpt2", 12, 768, 1024, 50257}, {"gpt3-175b", 96, 12288, 2048, 50257}};
    for (int i = 0; i < 2; i++) {
        int64_t L = sizes[i].L, h = sizes[i].h, s = sizes[i].s, v = sizes[i].v;
        int64_t formula = 24 * L * s * h * h + 4 * L * s * s * h + 2 * s * h * v;
        int64_t unseen = 2 * L * s * (s - 1) * h;
        read_model(sizes[i].model);
        ck_assert_int_eq(model_forward_flops(&model), formula - unseen);
        ck_assert_int_eq(model_needed_flops(&model), 3 * (formula - unseen));
        // The kernel's backward of attention makes the scores once more: a fifth product.
        ck_assert_int_eq(model_flops(&model), 3 * (formula - unseen) + L * s * (s + 1) * h);
        arena_finish(&arena);
    }
}
END_TEST

// All of a training: Brown et al., 2020, table D.1: 3.14e23 for 300 billion tokens; Grattafiori et
// al., 2024, section 1: 3.8e25 for 15.6 trillion. Both are 6 flops a parameter and token, without
// attention, which has 1.3 and 4.2 % here.
START_TEST(trainings_take_the_published_flops) {
    double gpt = (double)model_needed_flops(read_model("gpt3-175b")) / 2048 * 300e9;
    ck_assert_double_eq_tol(gpt, 3.14e23, 0.02 * 3.14e23);
    double llama = (double)model_needed_flops(read_model("llama-3-405b")) / 8192 * 15.6e12;
    ck_assert_double_eq_tol(llama, 3.8e25, 0.05 * 3.8e25);
    arena_finish(&arena);
}
END_TEST

// Values that are given stand before those of the size.
START_TEST(a_size_takes_parameters_too) {
    read_model("gpt2-xl:seq=64,layers=2");
    ck_assert_int_eq(model_parameters(&model),
                     (50257 + 64) * 1600 + 2 * (12 * 1600 * 1600 + 13 * 1600) + 2 * 1600);
    ck_assert_int_eq(model.input[0], 64);
    ck_assert_fails(model_read(&model, &arena, "gpt2:layer=2"), ERR_USAGE, "layer");
    ck_assert_fails(model_read(&model, &arena, "gpt2:seq=64,seq=32"), ERR_USAGE,
                    "parameter seq is given twice");
    ck_assert_fails(model_read(&model, &arena, "gpt2-x"), ERR_USAGE, "did you mean gpt2-xl?");
}
END_TEST

SUITE("builtin", gpt2_has_the_sizes_that_were_published,
      other_models_have_the_parameters_that_were_published, their_shapes_are_those_of_the_papers,
      networks_of_images_take_the_published_multiply_adds,
      a_gpt_takes_the_flops_of_the_published_formula, trainings_take_the_published_flops,
      a_size_takes_parameters_too)
