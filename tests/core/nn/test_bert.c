// SPDX-License-Identifier: MIT
// The built-in model bert: its parameters, how many and what they are called.
#include "core/nn/model.h"
#include "tests/support/testing.h"

#include <stdio.h>

static Arena arena;
static Model model;

static const Model *read_model(const char *spec) {
    ck_assert_ok(model_read(&model, &arena, spec));
    return &model;
}

// Embeddings V H + T H + 2 H and a norm 2 H; in each layer four H×H with biases, two norms, and
// H×M and M×H with biases; the head H×H and its bias, a norm, and the bias of V. Names as in
// Hugging Face's BertForMaskedLM, whose decoder has the weight of the words.
static int64_t parameters_of_bert(int64_t L, int64_t H, int64_t M, int64_t T, int64_t V) {
    int64_t layer = 4 * (H * H + H) + 4 * H + H * M + M + M * H + H;
    return V * H + T * H + 2 * H + 2 * H + L * layer + H * H + H + 2 * H + V;
}

START_TEST(bert_has_the_parameters_of_its_parts) {
    ck_assert_int_eq(model_parameters(read_model("bert")), parameters_of_bert(2, 64, 256, 32, 66));
    ck_assert_int_eq(model_parameters(read_model("bert:layers=3,hidden=20,heads=5,seq=9,"
                                                 "vocabulary=31,mlp=50")),
                     parameters_of_bert(3, 20, 50, 9, 31));
    // google-bert/bert-base-uncased: 109,514,298 without pooler and next-sentence head.
    ck_assert_int_eq(model_parameters(read_model("bert:layers=12,hidden=768,heads=12,seq=512,"
                                                 "vocabulary=30522")),
                     109514298);
    ck_assert(model.tokens && model.masked);
    ck_assert(!read_model("gpt")->masked);
    static const char *const names[] = {
        "bert.embeddings.word_embeddings.weight",
        "bert.embeddings.position_embeddings.weight",
        "bert.embeddings.token_type_embeddings.weight",
        "bert.embeddings.LayerNorm.weight",
        "bert.embeddings.LayerNorm.bias",
        "bert.encoder.layer.0.attention.self.query.weight",
        "bert.encoder.layer.0.attention.self.query.bias",
        "bert.encoder.layer.0.attention.self.key.weight",
        "bert.encoder.layer.0.attention.self.key.bias",
        "bert.encoder.layer.0.attention.self.value.weight",
        "bert.encoder.layer.0.attention.self.value.bias",
        "bert.encoder.layer.0.attention.output.dense.weight",
        "bert.encoder.layer.0.attention.output.dense.bias",
        "bert.encoder.layer.0.attention.output.LayerNorm.weight",
        "bert.encoder.layer.0.attention.output.LayerNorm.bias",
        "bert.encoder.layer.0.intermediate.dense.weight",
        "bert.encoder.layer.0.intermediate.dense.bias",
        "bert.encoder.layer.0.output.dense.weight",
        "bert.encoder.layer.0.output.dense.bias",
        "bert.encoder.layer.0.output.LayerNorm.weight",
        "bert.encoder.layer.0.output.LayerNorm.bias",
        "cls.predictions.transform.dense.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
        "cls.predictions.bias",
    };
    size_t k = 0;
    read_model("bert:layers=1");
    for (int i = 0; i < model.layer_count; i++)
        for (int p = 0; p < model.layers[i].parameter_count; p++) {
            char name[128];
            if (model.layers[i].parameters[p].owner != i) continue;
            snprintf(name, sizeof name, "%s.%s", model.layers[i].name,
                     model.layers[i].parameters[p].name);
            ck_assert_uint_lt(k, sizeof names / sizeof *names);
            ck_assert_str_eq(name, names[k++]);
        }
    ck_assert_uint_eq(k, sizeof names / sizeof *names);
    arena_finish(&arena);
}
END_TEST

SUITE("bert", bert_has_the_parameters_of_its_parts)
