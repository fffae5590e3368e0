// SPDX-License-Identifier: MIT
// What is frozen in a model file or by patterns, and what the loss does not depend on: the
// operations that are then there.
#include "core/nn/freeze.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static Arena arena;
static Model model;

static Status parse(const char *layers) {
    char text[1024];
    snprintf(text, sizeof text, "model x\ninput 2 4 4\nclasses 3\n%s", layers);
    return model_parse(&model, &arena, text, "x.model", "");
}

// Layers begin in line 4.
#define NET                                                                                      \
    "conv2d conv out=2 kernel=3\nbatch_norm bn\nrelu\nflatten\nblock b\nlinear fc out=5\ngelu\n" \
    "end\nlinear logits out=3\n"

// Names of parameters that a step updates, in the order of the layers.
static void assert_updated(const char *names) {
    char text[512] = "";
    for (int i = 0; i < model.layer_count; i++)
        for (int k = 0; k < model.layers[i].parameter_count; k++)
            if (model_updates(&model, i, k))
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s.%s",
                         *text ? " " : "", model.layers[i].name,
                         model.layers[i].parameters[k].name);
    ck_assert_str_eq(text, names);
}

START_TEST(a_pattern_names_parameters_layers_and_blocks) {
    static const struct {
        const char *patterns, *updated;
    } cases[] = {
        {"conv", "bn.weight bn.bias b.fc.weight b.fc.bias logits.weight logits.bias"},
        {"conv.weight", "conv.bias bn.weight bn.bias b.fc.weight b.fc.bias logits.weight "
                        "logits.bias"},
        {"b", "conv.weight conv.bias bn.weight bn.bias logits.weight logits.bias"},
        {"b*", "conv.weight conv.bias logits.weight logits.bias"},
        {"*.bias", "conv.weight bn.weight b.fc.weight logits.weight"},
        {"b.fc,conv*", "bn.weight bn.bias logits.weight logits.bias"},
        {"?n", "conv.weight conv.bias b.fc.weight b.fc.bias logits.weight logits.bias"},
        {"[a-f]*,logits.weight", "logits.bias"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_ok(parse(NET));
        ck_assert_ok(model_freeze(&model, cases[i].patterns));
        assert_updated(cases[i].updated);
    }
    ck_assert_int_eq(model_parameters(&model), 2 * 2 * 9 + 2 + 4 + 5 * 8 + 5 + 3 * 5 + 3);
    ck_assert_int_eq(model_trained_parameters(&model), 3);
}
END_TEST

START_TEST(a_pattern_that_names_nothing_is_refused_with_the_nearest) {
    ck_assert_ok(parse(NET));
    ck_assert_fails(model_freeze(&model, "logit"), ERR_USAGE,
                    "logit: model x has no parameter, layer or block of that name (did you mean "
                    "logits?); layers with parameters: conv, bn, b.fc, logits");
    ck_assert_fails(model_freeze(&model, "conv,conf*"), ERR_USAGE, "did you mean conv?");
    ck_assert_fails(model_freeze(&model, "relu1"), ERR_USAGE, "relu1: model x has no parameter");
    // Running statistics are state: no step trains them.
    ck_assert_fails(model_freeze(&model, "bn.running_mean"), ERR_USAGE, "has no parameter");
    ck_assert_fails(model_freeze(&model, "conv,,bn"), ERR_USAGE, "found an empty one");
    ck_assert_fails(model_freeze(&model, ""), ERR_USAGE, "found an empty one");
    ck_assert_fails(model_freeze(&model, "*"), ERR_USAGE,
                    "*: that freezes all parameters of model x; leave some to train");
}
END_TEST

START_TEST(a_layer_may_say_that_it_is_not_trained) {
    ck_assert_ok(parse("conv2d a out=2 kernel=3 pad=1 trainable=false\n"
                       "conv2d b out=2 kernel=3 pad=1 tie=a\nflatten\n"
                       "linear logits out=3 trainable=true\n"));
    assert_updated("b.bias logits.weight logits.bias");
    // Whichever of two layers says it of a weight that both use.
    ck_assert_ok(parse("conv2d a out=2 kernel=3 pad=1\n"
                       "conv2d b out=2 kernel=3 pad=1 tie=a trainable=false\nflatten\n"
                       "linear logits out=3\n"));
    assert_updated("a.bias logits.weight logits.bias");
    ck_assert_fails(parse("flatten\nlinear logits out=3 trainable=false\n"), ERR_FORMAT,
                    "x.model: trainable=false freezes all parameters; leave some to train");
    ck_assert_fails(parse("relu trainable=false\nflatten\nlinear logits out=3\n"), ERR_FORMAT,
                    "x.model:4: relu: no attribute trainable");
    ck_assert_fails(parse("flatten\nlinear logits out=3 requires_grad=false\n"), ERR_FORMAT,
                    "no attribute requires_grad (did you mean trainable?)");
}
END_TEST

static const StepSpec spec = {.dtype = DTYPE_F32,
                              .batch = 4,
                              .shards = 1,
                              .local_shards = 1,
                              .micro_batches = 2,
                              .evaluation_rows = 4,
                              .mesh.data = 1};

// Names of the operations of the second micro-batch's backward, and of the updates.
static void assert_backward(const char *names) {
    Program p;
    char text[1024] = "";
    ck_assert_ok(model_emit(&p, &model, &spec));
    const Plan *step = &p.plans[program_find_plan(&p, "step")];
    for (int i = 0; i < step->op_count; i++) {
        Phase phase = (Phase)op_work(&p, &step->ops[i])->phase;
        bool wanted =
            phase == PHASE_UPDATE || (phase == PHASE_BACKWARD && step->ops[i].micro_batch == 1);
        if (wanted)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", *text ? " " : "",
                     op_name(&p, &step->ops[i]));
    }
    ck_assert_str_eq(text, names);
    program_finish(&p);
}

START_TEST(backward_work_that_only_served_it_is_not_there) {
    ck_assert_ok(parse(NET));
    ck_assert_ok(model_freeze(&model, "conv,bn,b"));
    assert_backward("cross_entropy.backward logits.backward_weight sgd.logits.weight "
                    "sgd.logits.bias");
    ck_assert_int_eq(model_flops(&model), 2 * (2 * 4 * 18 + 5 * 8 + 2 * 3 * 5));
    // Between layers that are trained, the gradient passes through.
    ck_assert_ok(parse(NET));
    ck_assert_ok(model_freeze(&model, "b,bn,logits"));
    assert_backward("cross_entropy.backward logits.backward_input b.gelu1.backward_input "
                    "b.fc.backward_input relu1.backward_input bn.backward_reduce bn.backward_input "
                    "conv.backward_weight sgd.conv.weight sgd.conv.bias");
}
END_TEST

// Nor is what the loss does not depend on, forward or backward; its weight may be used elsewhere.
START_TEST(what_the_loss_does_not_depend_on_is_kept_and_not_computed) {
    char line[MODEL_UNUSED];
    ck_assert_ok(parse("flatten f\nlinear a out=32\nlinear aside out=32 tie=a from=f\nrelu end\n"
                       "linear logits out=3 from=a\n"));
    assert_updated("a.weight a.bias logits.weight logits.bias");
    assert_backward("cross_entropy.backward logits.backward_weight logits.backward_input "
                    "a.backward_weight sgd.logits.weight sgd.logits.bias sgd.a.weight sgd.a.bias");
    ck_assert(model_describe_unused(&model, line));
    ck_assert_str_eq(line, "x.model:7: nothing takes the output of relu end: the loss does not "
                           "depend on it and 1 more layer, so these are not trained: aside.bias");
    // The weight's owner is the one that is not computed.
    ck_assert_ok(parse("flatten f\nlinear aside out=32\nlinear a out=32 tie=aside from=f\n"
                       "linear logits out=3 from=a\n"));
    assert_updated("aside.weight a.bias logits.weight logits.bias");
    assert_backward("cross_entropy.backward logits.backward_weight logits.backward_input "
                    "a.backward_weight sgd.logits.weight sgd.logits.bias sgd.a.bias "
                    "sgd.aside.weight");
    // Used by another of the unused: the last of them is named.
    ck_assert_ok(parse("flatten f\nlinear a out=5 from=f\nlinear b out=6 from=f\nrelu\n"
                       "linear logits out=3 from=f\n"));
    ck_assert(model_describe_unused(&model, line));
    ck_assert_str_eq(line, "x.model:5: nothing takes the output of linear a: the loss does not "
                           "depend on it and 2 more layers, so these are not trained: a.weight, "
                           "a.bias, b.weight, b.bias");
    ck_assert_ok(parse(NET));
    ck_assert(!model_describe_unused(&model, line));
}
END_TEST

// Without parameters it is a mistake: nothing of it would be kept.
START_TEST(an_output_that_nobody_takes_of_layers_that_keep_nothing_is_refused) {
    ck_assert_fails(parse("flatten f\nlinear a out=5\nrelu r\nlinear logits out=3 from=a\n"),
                    ERR_FORMAT, "x.model:6: relu r: nothing takes its output");
    ck_assert_fails(parse("relu r\ngelu g\nflatten from=input\nlinear logits out=3\n"), ERR_FORMAT,
                    "x.model:5: gelu g: nothing takes its output");
    ck_assert_fails(parse("flatten\nlinear a out=5\nlinear logits out=3 from=aa\n"), ERR_FORMAT,
                    "from=aa: no layer of that name comes before it (did you mean a?)");
}
END_TEST

SUITE("freeze", a_pattern_names_parameters_layers_and_blocks,
      a_pattern_that_names_nothing_is_refused_with_the_nearest,
      a_layer_may_say_that_it_is_not_trained, backward_work_that_only_served_it_is_not_there,
      what_the_loss_does_not_depend_on_is_kept_and_not_computed,
      an_output_that_nobody_takes_of_layers_that_keep_nothing_is_refused)
