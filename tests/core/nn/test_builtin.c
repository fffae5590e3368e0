// SPDX-License-Identifier: MIT
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

SUITE("builtin", gpt2_has_the_sizes_that_were_published, a_size_takes_parameters_too)
