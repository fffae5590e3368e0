// SPDX-License-Identifier: MIT
#include "core/nn/model.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Arena arena;
static Model model;

static const Model *read_model(const char *spec) {
    ck_assert_ok(model_read(&model, &arena, spec));
    return &model;
}

static Status parse(const char *text, const char *parameters) {
    return model_parse(&model, &arena, text, "x.model", parameters);
}

#define HEAD "model x\ninput 1 28 28\nclasses 10\n"  // layers begin in line 4
#define SEQUENCE "model x\ninput 6 20\nclasses 10\n"

static void assert_layer(int i, const char *name, int dims, int64_t c, int64_t h, int64_t w) {
    const Layer *l = &model.layers[i];
    ck_assert_str_eq(l->name, name);
    ck_assert_int_eq(l->out_dims, dims);
    ck_assert_int_eq(l->out[0], c);
    if (dims == 3) {
        ck_assert_int_eq(l->out[1], h);
        ck_assert_int_eq(l->out[2], w);
    }
}

// --- shapes, parameters, flops

START_TEST(the_net_has_the_shapes_of_its_layers) {
    const Model *m = read_model("net");
    ck_assert_str_eq(m->name, "net");
    ck_assert_str_eq(m->source, "built-in");
    ck_assert_int_eq(m->layer_count, 10);
    assert_layer(0, "conv1", 3, 20, 24, 24);  // 28 - 5 + 1
    assert_layer(1, "relu1", 3, 20, 24, 24);
    assert_layer(2, "pool1", 3, 20, 12, 12);
    assert_layer(3, "conv2", 3, 20, 8, 8);  // 12 - 5 + 1
    assert_layer(4, "relu2", 3, 20, 8, 8);
    assert_layer(5, "pool2", 3, 20, 4, 4);
    assert_layer(6, "flatten1", 1, 320, 0, 0);
    assert_layer(7, "fc1", 1, 50, 0, 0);
    assert_layer(8, "relu3", 1, 50, 0, 0);
    assert_layer(9, "fc2", 1, 10, 0, 0);
    ck_assert_int_eq(m->layers[3].in[1], 12);
    ck_assert_int_eq(m->layers[2].attribute[ATTRIBUTE_STRIDE], 2);
}
END_TEST

// conv1 20·25 + 20 = 520, conv2 20·500 + 20 = 10,020, fc1 50·320 + 50 = 16,050, fc2
// 10·50 + 10 = 510.
START_TEST(the_net_has_27100_parameters) {
    ck_assert_int_eq(model_parameters(read_model("net")), 520 + 10020 + 16050 + 510);
    ck_assert_int_eq(model_parameters(&model), 27100);
}
END_TEST

// Multiply-adds of the forward pass: conv1 20·24·24·25 = 288,000, conv2 20·8·8·500 = 640,000, fc1
// 16,000, fc2 500. Each is done three times (forward, weights' gradients, input's gradients), but
// conv1 twice: 2·288,000 + 3·656,500 = 2,545,500; 2 flops each.
START_TEST(a_step_of_the_net_takes_5_09_megaflops_per_sample) {
    ck_assert_int_eq(model_flops(read_model("net")), 5091000);
}
END_TEST

// linear: 784·10 + 10, forward and weights' gradients. mlp: 784·2048 + 2048, 2048·2048 + 2048,
// 2048·10 + 10; 2·(2·784·2048 + 3·2048·2048 + 3·20,480) flops. With hidden=256, layers=3: 784·256 +
// 256 + 2·(256·256 + 256) + 2,570.
START_TEST(the_other_built_in_models_have_the_expected_sizes) {
    ck_assert_int_eq(model_parameters(read_model("linear")), 7850);
    ck_assert_int_eq(model_flops(&model), 2 * 2 * 7840);
    ck_assert_int_eq(model_parameters(read_model("mlp")), 1607680 + 4196352 + 20490);
    ck_assert_int_eq(model_flops(&model), 31711232);
    ck_assert_int_eq(model_parameters(read_model("mlp:hidden=256,layers=3")), 335114);
    assert_layer(0, "flatten1", 1, 784, 0, 0);
    assert_layer(1, "fc1", 1, 256, 0, 0);
    assert_layer(3, "fc2", 1, 256, 0, 0);
    assert_layer(5, "fc3", 1, 256, 0, 0);
    assert_layer(6, "relu3", 1, 256, 0, 0);
    assert_layer(7, "logits", 1, 10, 0, 0);
    // ResNet-8: the first layer, a block, two that halve the image, with shortcuts, and the last.
    ck_assert_int_eq(model_parameters(read_model("resnet")), 176 + 4672 + 14528 + 57728 + 650);
    ck_assert_int_eq(model_parameters(read_model("resnet:depth=20,image=32,colours=3")), 272474);
    assert_layer(model.layer_count - 3, "mean1", 3, 64, 1, 1);
    // wte 65·64, wpe 32·64, two blocks of 12·64² + 13·64, ln_f 128; the head is tied.
    ck_assert_int_eq(model_parameters(read_model("gpt")), 4160 + 2048 + 2 * (49152 + 832) + 128);
    ck_assert_str_eq(model.layers[2].name, "h.0.ln_1");
    ck_assert_str_eq(model.layers[3].name, "h.0.attn.c_attn");
    ck_assert_int_eq(model.layers[model.layer_count - 1].parameters[0].owner, 0);
    ck_assert(model.layers[5].parameters[0].normal == 0.02 / sqrt(4));
    ck_assert_fails(model_read(&model, &arena, "gpt:heads=5"), ERR_SHAPE,
                    "heads=5 does not divide the channels of the query: 64 = 5 × 12 + 4");
    read_model("net:classes=27");
    ck_assert_int_eq(model.classes, 27);
    assert_layer(9, "fc2", 1, 27, 0, 0);
    ck_assert_int_eq(read_model("linear:classes=3")->classes, 3);
    ck_assert_int_eq(read_model("mlp:classes=200")->classes, 200);
}
END_TEST

// (28 + 2·1 - 3)/2 + 1 = 14 rounded down; (14 - 3)/2 + 1 = 6.
START_TEST(strides_and_padding_count_whole_windows) {
    ck_assert_ok(
        parse(HEAD "conv2d out=3 kernel=3 stride=2 pad=1 bias=false\nmax_pool kernel=3 stride=2\n"
                   "flatten\nlinear out=10 bias=false\n",
              ""));
    assert_layer(0, "conv1", 3, 3, 14, 14);
    assert_layer(1, "pool1", 3, 3, 6, 6);
    assert_layer(3, "fc1", 1, 10, 0, 0);
    ck_assert_int_eq(model_parameters(&model), 3 * 9 + 10 * 108);
}
END_TEST

START_TEST(unnamed_layers_are_numbered_past_the_names_that_are_taken) {
    ck_assert_ok(parse(
        HEAD "flatten\nrelu\nlinear relu2 out=10\nrelu\nrepeat 2\nlinear a1 out=10\nend\n", ""));
    assert_layer(1, "relu1", 1, 784, 0, 0);
    assert_layer(2, "relu2", 1, 10, 0, 0);
    assert_layer(3, "relu3", 1, 10, 0, 0);
    assert_layer(4, "a1_1", 1, 10, 0, 0);  // a number after a digit is set apart
    assert_layer(5, "a1_2", 1, 10, 0, 0);
}
END_TEST

START_TEST(comments_blank_lines_and_windows_line_ends_are_read) {
    ck_assert_ok(parse(
        "# a model\n\nmodel x # its name\r\ninput 784\r\nclasses 10\r\n\tlinear out=10\r\n", ""));
    assert_layer(0, "fc1", 1, 10, 0, 0);
    ck_assert_int_eq(model.layers[0].line, 6);
    ck_assert_ok(  // a byte-order mark, as editors on Windows write it
        parse("\xEF\xBB\xBFmodel x\r\ninput 784\r\nclasses 10\r\nlinear out=10\r\n", ""));
    ck_assert_str_eq(model.name, "x");
}
END_TEST

#define TOKENS "model x\ninput tokens 4\nclasses 7\n"

START_TEST(tokens_are_embedded_and_give_logits_each) {
    ck_assert_ok(parse(TOKENS "embedding wte out=6 std=0.5\npositions\nlayer_norm eps=1e-3\n"
                              "linear out=12\ngelu tanh=true\nlinear out=6\n"
                              "linear out=7 tie=wte bias=false\n",
                       ""));
    ck_assert(model.tokens);
    ck_assert_int_eq(model.layers[0].out_dims, 2);
    ck_assert(model.layers[0].out[0] == 4 && model.layers[0].out[1] == 6);
    ck_assert(model.layers[0].parameters[0].normal == 0.5);
    ck_assert(model.layers[1].parameters[0].normal == 1);
    ck_assert(model.layers[2].real[ATTRIBUTE_EPS] == 1e-3);
    ck_assert(model.layers[2].parameters[0].constant == 1);
    ck_assert(model.layers[2].parameters[1].constant == 0);
    ck_assert_int_eq(model_parameters(&model), 7 * 6 + 4 * 6 + 12 + 12 * 7 + 6 * 13);
    // Per token; the embedding's products are none, and the head's weight counts as its own.
    ck_assert_int_eq(model_flops(&model), 3 * 4 * 2 * (6 * 12 + 12 * 6 + 6 * 7));
    static const char *const cases[][2] = {
        {TOKENS "linear out=7\n", "x.model:4: linear fc1: needs numbers, but the input is 4 tokens "
                                  "(add embedding before it)"},
        {TOKENS "embedding out=3\nembedding out=7\n",
         "x.model:5: embedding emb2: needs tokens (a line \"input tokens LENGTH\"), but emb1 gives "
         "4×3"},
        {HEAD "embedding out=3\n",
         "needs tokens (a line \"input tokens LENGTH\"), but the input is "},
        {TOKENS "embedding out=3\n", "x.model:4: embedding emb1: the last layer gives 4×3, but "
                                     "there are 4 tokens and classes is "
                                     "7: it must give one logit per token and class"},
        {TOKENS "embedding out=2\nflatten\nlinear out=7\n",
         "the last layer gives 7, but there are"},
        {HEAD "layer_norm\n", "x.model:4: layer_norm ln1: needs positions×channels, but the input"},
        {HEAD "positions\n", "x.model:4: positions pos1: needs positions×channels, but the input"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(parse(cases[i][0], ""), ERR_SHAPE, cases[i][1]);
    ck_assert_fails(parse("model x\ninput tokens 0\n", ""), ERR_FORMAT,
                    "x.model:2: input: expected a whole number from 1");
}
END_TEST

START_TEST(numbers_are_products_and_reals_are_divided_by_roots) {
    ck_assert_ok(parse("model x\nparameter n 3\ninput 4\nclasses 24\n"
                       "linear out=2*$n std=0.5/sqrt(4*$n*$n)\nlinear out=$n*16/6*3 std=1e-3\n",
                       ""));
    ck_assert_int_eq(model.layers[0].out[0], 6);
    ck_assert_int_eq(model.layers[1].out[0], 24);
    ck_assert(model.layers[0].parameters[0].normal == 0.5 / 6);
    ck_assert(model.layers[1].parameters[0].normal == 1e-3);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(model.layers[0].parameters[k].fan_in, 0);
    ck_assert(model.layers[0].parameters[1].normal == 0);
    ck_assert_int_eq(model_flops(&model), 2 * (2 * 4 * 6) + 3 * (2 * 6 * 24));
}
END_TEST

// --- errors

START_TEST(shapes_that_do_not_fit_are_errors_with_both_shapes) {
    static const struct {
        const char *layers, *message;
    } cases[] = {
        {"conv2d conv2 out=20 kernel=9\nmax_pool kernel=5\nlinear fc1 out=10\n",
         "x.model:6: linear fc1: needs a vector, but pool1 gives 20×4×4 (add flatten before it)"},
        {"linear fc1 out=10\n",
         "x.model:4: linear fc1: needs a vector, but the input is 1×28×28 (add flatten before it)"},
        {"flatten\nlinear fc1 out=50\nconv2d out=3 kernel=3\n",
         "x.model:6: conv2d conv1: needs channels×height×width, but fc1 gives 50"},
        {"max_pool kernel=14\nconv2d c out=3 kernel=5\n",
         "x.model:5: conv2d c: the kernel of 5×5 is larger than its input: pool1 gives 1×2×2"},
        {"conv2d c out=3 kernel=31 pad=1\n",
         "x.model:4: conv2d c: the kernel of 31×31 is larger than its input: the input is 1×28×28, "
         "padded to 30×30"},
        {"flatten\nlinear fc2 out=11\n", "x.model:5: linear fc2: the last layer gives 11, but "
                                         "classes is 10: it must give one logit per class"},
        {"conv2d out=10 kernel=5\n", "x.model:4: conv2d conv1: the last layer gives 10×24×24, but "
                                     "classes is 10: it must give one logit per class"},
        {"max_pool kernel=2 stride=1000000000\nflatten\nlinear out=10\n",
         "x.model:4: max_pool pool1: stride is 1000000000, it can be at most 1048576"},
        {"conv2d out=2 kernel=1 pad=1048577\nflatten\nlinear out=10\n",
         "x.model:4: conv2d conv1: pad is 1048577, it can be at most 1048576"},
        {"max_pool kernel=3 pad=2\nflatten\nlinear out=10\n",
         "x.model:4: max_pool pool1: pad is 2, it can be at most half of the kernel, 1"},
        {"conv2d out=2 kernel=1\nmax_pool kernel=17\nflatten\nlinear out=10\n",
         "x.model:5: max_pool pool1: kernel is 17: behind a layer with parameters it can be at "
         "most 16"},
        {"conv2d out=1000000000 kernel=1 pad=1000000\n",
         "x.model:4: conv2d conv1: too large: its output is 1000000000×2000028×2000028"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, HEAD "%s", cases[i].layers);
        ck_assert_fails(parse(text, ""), ERR_SHAPE, cases[i].message);
    }
}
END_TEST

// No gradient passes the first pool, so that its windows may be of any size.
START_TEST(a_pool_before_the_first_trained_layer_has_any_kernel) {
    ck_assert_ok(parse(HEAD "max_pool kernel=17\nflatten\nlinear out=10\n", ""));
    assert_layer(0, "pool1", 3, 1, 1, 1);
    ck_assert_ok(parse(HEAD "conv2d out=2 kernel=1\nmax_pool kernel=16\nflatten\n"
                            "linear out=10\n",
                       ""));
}
END_TEST

// Embedding and head 65·64 each; in each of two layers two norms of 64, query and output 64·64, key
// and value 32·64, three matrices of 192·64; the last norm.
START_TEST(llama_has_the_parameters_of_its_parts) {
    const int64_t layer = 2 * 64 + 2 * 4096 + 2 * 2048 + 3 * 192 * 64;
    ck_assert_int_eq(model_parameters(read_model("llama")), 2 * 65 * 64 + 2 * layer + 64);
    ck_assert_int_eq(model_parameters(read_model("llama:kv_heads=4,layers=1")),
                     2 * 65 * 64 + layer + 2 * 2048 + 64);
    ck_assert_str_eq(model.layers[2].name, "model.layers.0.self_attn.q_proj");
    ck_assert_fails(model_read(&model, &arena, "llama:heads=5"), ERR_FORMAT,
                    "head: $hidden/$heads is no whole number: 64 = 5 × 12 + 4");
    ck_assert_fails(model_read(&model, &arena, "llama:kv_heads=3"), ERR_SHAPE,
                    "kv_heads=3 does not divide the heads: 4 = 3 × 1 + 1");
    ck_assert_fails(model_read(&model, &arena, "llama:hidden=20"), ERR_SHAPE,
                    "heads=4 of pairs do not divide 20 channels");
}
END_TEST

START_TEST(heads_that_do_not_divide_are_errors_with_the_arithmetic) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {HEAD "attention heads=2\n", "x.model:4: attention att1: needs positions×channels, but"},
        {HEAD "rms_norm\n", "x.model:4: rms_norm norm1: needs positions×channels, but"},
        {HEAD "rotary heads=2\n", "x.model:4: rotary rotary1: needs positions×channels, but"},
        {HEAD "batch_norm momentum=1.5\n",
         "x.model:4: batch_norm bn1: momentum=1.5: it is the share of the new statistics"},
        {HEAD "dropout p=1\n", "x.model:4: dropout drop1: p=1 would drop everything"},
        {SEQUENCE "attention heads=3\n",
         "x.model:4: attention att1: 20 channels are not 3 heads of queries and 2 × 3 of keys and "
         "values: 20 = 9 × 2 + 2"},
        {SEQUENCE "linear out=12\nattention heads=3\n",
         "x.model:5: attention att1: heads=3 does not divide the channels of the query: "
         "4 = 3 × 1 + 1"},
        {SEQUENCE "attention heads=4 kv_heads=3\n",
         "kv_heads=3 does not divide the heads: 4 = 3 × 1 + 1"},
        {SEQUENCE "attention from=input,input,input heads=3\n",
         "heads=3 does not divide the channels of the query: 20 = 3 × 6 + 2"},
        {SEQUENCE "attention from=input,input,input heads=4 kv_heads=2\n",
         "the input is 6×20, but the input is 6×20: with heads=4, kv_heads=2 it must be 6×10"},
        {SEQUENCE "linear out=12\nattention heads=2 p=0.1\n",
         "p is of probabilities in memory, and attention as one kernel keeps none: add unfused"},
        {SEQUENCE "linear out=12\nattention heads=2 mask=true\n", "mask is of probabilities"},
        {SEQUENCE "linear out=12\nattention heads=2 unfused=true p=1\n", "drop everything"},
        {SEQUENCE "attention from=input,input,input heads=2 unfused=true\n",
         "unfused=true takes query, key and value side by side in one input, and there are 3"},
        {SEQUENCE "rotary heads=4\n", "heads=4 of pairs do not divide 20 channels: "
                                      "20 = 2 × 4 × 2 + 4"},
        {SEQUENCE "flatten f\nswiglu from=f,input\n",
         "swiglu glu1: needs two inputs of one shape, but f gives 120 and the input is 6×20"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(parse(cases[i].text, ""), ERR_SHAPE, cases[i].message);
}
END_TEST

// A pair of a query and a key that it sees is two products of a head, in the backward five.
START_TEST(attention_counts_its_pairs) {
    ck_assert_ok(parse(SEQUENCE "rms_norm n\nattention from=n,n,n heads=2 causal=true\n"
                                "flatten\nlinear out=10\n",
                       ""));
    ck_assert_int_eq(model_flops(&model), 2 * 21 * 20 * (2 + 5) + 3 * 2 * 1200);
    // 2^27 positions of 2^9 channels: 2^65 flops in the forward alone.
    ck_assert_ok(parse("model x\ninput tokens 134217728\nclasses 4\nembedding out=512\n"
                       "attention from=emb1,emb1,emb1 heads=8\nlinear out=4\n",
                       ""));
    ck_assert(model_flops(&model) == INT64_MAX);
}
END_TEST

START_TEST(what_a_model_file_cannot_say_is_an_error_with_its_line) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "x.model: expected \"model NAME\", found nothing"},
        {"input 784\n", "x.model:1: expected \"model NAME\", found \"input\""},
        {"model\n", "x.model:1: expected \"model NAME\", found 1 words"},
        {"model a.b\n", "x.model:1: model: expected a name of letters"},
        {HEAD, "x.model: no layers"},
        {HEAD "flatten\n", "x.model: no layer has parameters"},
        {"model x\nclasses 10\nlinear out=10\n", "x.model: no line \"input SIZE ...\""},
        {"model x\ninput 784\nlinear out=10\n", "x.model: no line \"classes NUMBER\""},
        {HEAD "input 3\n", "x.model:4: input is there twice"},
        {HEAD "classes 3\n", "x.model:4: classes is there twice"},
        {"model x\ninput 1 2 3 4\n",
         "x.model:2: expected \"input SIZE ...\" with 1 to 3 sizes, found 4"},
        {"model x\ninput 1 0 3\n",
         "x.model:2: input: expected a whole number from 1 to 1000000000, found \"0\""},
        {"model x\ninput 1000000 100000\n",
         "x.model:2: the input is larger than 1000000000 elements"},
        {HEAD "conv2 out=3\n", "x.model:4: no layer \"conv2\" (did you mean conv2d?)"},
        {HEAD "softmax\n",
         "x.model:4: no layer \"softmax\" (softmax is in the loss: leave the "
         "line out); there are conv2d, linear, relu, gelu, max_pool, avg_pool, flatten, add, "
         "attention, rms_norm, rotary, swiglu, dropout"},
        {HEAD "group_norm\n", "x.model:4: no layer \"group_norm\""},
        {HEAD "MultiheadAttention heads=2\n", "(did you mean attention?)"},
        {HEAD "attention num_heads=2\n", "no attribute num_heads (did you mean heads?)"},
        {HEAD "attention from=input,input heads=2\n",
         "x.model:4: attention: from names 2 layers, it takes one or 3"},
        {HEAD "parameter h 64\nlinear out=$h/5\n",
         "x.model:5: out: $h/5 is no whole number: 64 = 5 × 12 + 4"},
        {HEAD "linear out=8/0\n",
         "x.model:4: out: expected a whole number from 1 to 1000000000, found \"0\""},
        {HEAD "linear out=8/\n", "out: expected a whole number from 1 to 1000000000, found \"\""},
        {HEAD "rotary\n", "x.model:4: rotary: heads= is missing"},
        {HEAD "dropout p=0\n", "x.model:4: p: expected a number above 0"},
        {HEAD "Dense units=5\n", "x.model:4: no layer \"Dense\" (did you mean linear?); there"},
        {HEAD "MaxPool2d 2\n", "x.model:4: no layer \"MaxPool2d\" (did you mean max_pool?)"},
        {HEAD "conv2d out=3 kernel=5 padding=1\n",
         "x.model:4: conv2d: no attribute padding (did you mean pad?); it has out, kernel, stride, "
         "pad, bias, std, trainable, place, tie, from"},
        {HEAD "conv2d out=3 kernel_size=5\n",
         "x.model:4: conv2d: no attribute kernel_size (did you mean kernel?); it has out, kernel, "
         "stride, pad, bias"},
        {HEAD "linear out=3 std=0\n",
         "x.model:4: std: expected a number above 0, or one divided as in 0.02/sqrt(2*$layers), "
         "found \"0\""},
        {HEAD "linear out=3 std=-1\n", "x.model:4: std: expected a number above 0"},
        {HEAD "linear out=3 std=0x1p4\n", "x.model:4: std: expected a number above 0"},
        {HEAD "linear out=3 std=inf\n", "x.model:4: std: expected a number above 0"},
        {HEAD "linear out=3 std=1e-400\n", "x.model:4: std: expected a number above 0"},
        {HEAD "linear out=3 std=1/sqrt(2\n", "x.model:4: std: expected a number above 0"},
        {HEAD "linear out=3 std=1/sqrt()\n", "x.model:4: std: expected a number above 0"},
        {HEAD "linear out=3 std=1/sqrt(2*)\n", "x.model:4: std: expected a whole number"},
        {HEAD "linear out=3 std=1/sqrt(n)\n", "x.model:4: std: expected a whole number"},
        {HEAD "linear out=3**3\n", "x.model:4: out: expected a whole number from 1"},
        {HEAD "linear out=3*$n\n", "x.model:4: out: no parameter n"},
        {HEAD "linear out=100000*100000\n", "x.model:4: out: 100000*100000 is more than"},
        {HEAD "linear out=3 place=column\n",
         "x.model:4: place: expected R (whole on each rank), S0 (cut by outputs) or S1 (cut by "
         "inputs), found \"column\""},
        {HEAD "linear out=3 place=S2\n", "x.model:4: place: expected R (whole"},
        {HEAD "linear out=3 place=P+\n", "x.model:4: place: expected R (whole"},
        {HEAD "relu place=R\n", "x.model:4: relu: no attribute place; it has from"},
        {HEAD "linear in_features=4 out=3\n",
         "x.model:4: linear: no attribute in_features (what comes in follows from the layer "
         "before: leave it out); it has out, bias, std, trainable, place, tie, from"},
        {HEAD "max_pool kernel=2 padding=1\n",
         "x.model:4: max_pool: no attribute padding (did you mean pad?)"},
        {HEAD "avg_pool kernel=2 padding=1\n",  // it has no pad
         "x.model:4: avg_pool: no attribute padding; it has out, kernel, stride, global, from"},
        {HEAD "conv2d out=3 kernal=5\n",
         "x.model:4: conv2d: no attribute kernal (did you mean kernel?)"},
        {HEAD "relu kernel=2\n", "x.model:4: relu: no attribute kernel; it has from"},
        {HEAD "conv2d out=3\n", "x.model:4: conv2d: kernel= is missing"},
        {HEAD "linear\n", "x.model:4: linear: out= is missing"},
        {HEAD "linear out=5x\n",
         "x.model:4: out: expected a whole number from 1 to 1000000000, found \"5x\""},
        {HEAD "linear out=-5\n", "x.model:4: out: expected a whole number"},
        {HEAD "linear out=\n", "x.model:4: out: expected a whole number"},
        {HEAD "linear out=99999999999999999999\n", "x.model:4: out: expected a whole number"},
        {HEAD "linear out=5 out=6\n", "x.model:4: linear: out is given twice"},
        {HEAD "linear out=5 bias=maybe\n",
         "x.model:4: bias: expected true or false, found \"maybe\""},
        {HEAD "linear fc1 out\n", "x.model:4: linear: expected attribute=value, found \"out\""},
        {HEAD "linear 1fc out=3\n", "x.model:4: linear: expected a name of letters, digits, _ and "
                                    "- (at most 31), found \"1fc\""},
        {HEAD "linear evaluate out=3\n",
         "x.model:4: linear: the name evaluate is taken by the program itself"},
        {HEAD "flatten f\nrelu f\n",
         "x.model:5: relu f: the name is taken by the flatten of line 4"},
        {HEAD "linear out=$hidden\n", "x.model:4: out: no parameter hidden"},
        {"model x\nparameter hidden 5\nlinear out=$hiden\n",
         "x.model:3: out: no parameter hiden (did you mean hidden?)"},
        {"model x\nparameter n 0\nlinear out=$n\n", "x.model:3: out: $n is 0, not at least 1"},
        {"model x\nparameter n 1\nparameter n 1\n", "x.model:3: parameter n is there twice"},
        {"model x\nparameter n\n", "x.model:2: expected \"parameter NAME VALUE\", found 2 words"},
        {HEAD "repeat 2\nflatten\n", "x.model:4: repeat without an end"},
        {HEAD "end\n", "x.model:4: end without a repeat or a block before it"},
        {HEAD "repeat 1000000000\n# nothing\nend\n", "x.model:6: no layer in the repeat of line 4"},
        {HEAD "repeat 70000\nrelu\nend\n", "x.model:5: more than 65536 layers"},
        {HEAD "repeat 2\nclasses 2\n", "x.model:5: classes may not stand between repeat and end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(parse(cases[i].text, ""), ERR_FORMAT, cases[i].message);
}
END_TEST

START_TEST(parameters_that_the_file_does_not_know_are_refused) {
    ck_assert_fails(model_read(&model, &arena, "mlp:hiden=3"), ERR_USAGE,
                    "built-in mlp.model: no parameter hiden (did you mean hidden?); it has hidden, "
                    "layers, classes");
    ck_assert_fails(model_read(&model, &arena, "net:hidden=3"), ERR_USAGE,
                    "no parameter hidden; it has classes");
    ck_assert_fails(parse(HEAD "flatten\nlinear out=10\n", "n=3"), ERR_USAGE,
                    "x.model: no parameter n; it has none");
    ck_assert_fails(model_read(&model, &arena, "mlp:hidden"), ERR_USAGE,
                    "expected NAME=NUMBER, found \"hidden\"");
    ck_assert_fails(model_read(&model, &arena, "mlp:hidden=x,layers=2"), ERR_USAGE,
                    "expected NAME=NUMBER, found \"hidden=x\"");
    ck_assert_fails(model_read(&model, &arena, "mlp:layers=1,layers=2"), ERR_USAGE,
                    "layers is given twice");
    ck_assert_fails(model_read(&model, &arena, "mlp:layers=0"), ERR_FORMAT,
                    "built-in mlp.model:10: repeat: $layers is 0, not at least 1");
    ck_assert_fails(model_read(&model, &arena, "resnet:depth=10"), ERR_FORMAT,
                    "$depth is 10; it may be 8, 14, 20 and so on");
    ck_assert_fails(parse(HEAD "flatten\nrepeat (2-2)/1\nrepeat 2\nend\n", ""), ERR_FORMAT,
                    "x.model:5: repeat without an end");
    ck_assert_fails(parse(HEAD "flatten\nlinear out=(9-2\n", ""), ERR_FORMAT,
                    "expected a number, or one as in ($depth-2)/6");
}
END_TEST

START_TEST(a_model_is_a_built_in_name_or_a_file) {
    char path[512];
    snprintf(path, sizeof path, "%s/mine.model", test_directory());
    FILE *f = fopen(path, "wb");
    fputs("model mine\nparameter n 5\ninput 3\nclasses 2\nlinear a out=$n\nlinear b out=2\n", f);
    fclose(f);
    ck_assert_int_eq(model_parameters(read_model(path)), 4 * 5 + 6 * 2);
    ck_assert_str_eq(model.source, path);
    ck_assert_fails(model_read(&model, &arena, "x\x1b[2J.model"), ERR_USAGE,
                    "x?[2J.model: the name of a model must be printable UTF-8");
    strcat(path, ":n=7");
    ck_assert_int_eq(model_parameters(read_model(path)), 4 * 7 + 8 * 2);
    ck_assert_fails(model_read(&model, &arena, "nett"), ERR_USAGE,
                    "no model \"nett\" (did you mean net?); give the path of a model file, or one "
                    "of net, mlp, linear, resnet, resnet18, resnet50, vgg16, gpt, llama, bert, "
                    "mixtral, megatron, article, gpt2, gpt2-medium, gpt2-large, gpt2-xl, "
                    "gpt3-175b, llama-3-8b, llama-3-70b, llama-3-405b, bert-large, mixtral-8x7b");
    ck_assert_fails(model_read(&model, &arena, "nowhere/none.model"), ERR_INPUT,
                    "nowhere/none.model: No such file");
    path[strlen(path) - 4] = 0;
    f = fopen(path, "wb");
    fwrite("model x\0\n", 1, 9, f);
    fclose(f);
    ck_assert_fails(model_read(&model, &arena, path), ERR_FORMAT, "byte 7 is zero");
}
END_TEST

SUITE("model", the_net_has_the_shapes_of_its_layers, the_net_has_27100_parameters,
      a_step_of_the_net_takes_5_09_megaflops_per_sample,
      the_other_built_in_models_have_the_expected_sizes, strides_and_padding_count_whole_windows,
      unnamed_layers_are_numbered_past_the_names_that_are_taken,
      tokens_are_embedded_and_give_logits_each, numbers_are_products_and_reals_are_divided_by_roots,
      comments_blank_lines_and_windows_line_ends_are_read,
      shapes_that_do_not_fit_are_errors_with_both_shapes,
      a_pool_before_the_first_trained_layer_has_any_kernel, llama_has_the_parameters_of_its_parts,
      heads_that_do_not_divide_are_errors_with_the_arithmetic, attention_counts_its_pairs,
      what_a_model_file_cannot_say_is_an_error_with_its_line,
      parameters_that_the_file_does_not_know_are_refused, a_model_is_a_built_in_name_or_a_file)
