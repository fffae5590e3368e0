// SPDX-License-Identifier: MIT
// Networks that are no chain: layers that name their inputs, blocks, tied weights, and the
// operations that these become.
#include "core/nn/model.h"
#include "core/plan/check.h"
#include "tests/support/plan_samples.h"

#include <stdio.h>
#include <string.h>

static Arena arena;
static Model model;

static Status parse_model(const char *text, const char *parameters) {
    return model_parse(&model, &arena, text, "x.model", parameters);
}

#define HEAD "model x\ninput 2 4 4\nclasses 3\n"  // layers begin in line 4
#define TAIL "flatten\nlinear logits out=3\n"

static void assert_names(const char *names) {
    char text[1024] = "";
    for (int i = 0; i < model.layer_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
                 model.layers[i].name);
    ck_assert_str_eq(text, names);
}

static const Layer *layer(const char *name) {
    for (int i = 0; i < model.layer_count; i++)
        if (!strcmp(model.layers[i].name, name)) return &model.layers[i];
    ck_abort_msg("no layer %s", name);
}

static void assert_inputs(const char *name, const char *inputs) {
    char text[256] = "";
    const Layer *l = layer(name);
    for (int k = 0; k < l->input_count; k++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", k ? " " : "",
                 l->inputs[k] == NONE ? "input" : model.layers[l->inputs[k]].name);
    ck_assert_msg(!strcmp(text, inputs), "%s takes %s, not %s", name, text, inputs);
}

// --- names

START_TEST(repeats_and_blocks_nest_and_their_turns_are_in_the_names) {
    ck_assert_ok(
        parse_model(HEAD "repeat 2\nrelu a\nrepeat 2\nrelu b\nrelu c1\nend\nend\n" TAIL, ""));
    assert_names("a1 b1_1 c1_1_1 b1_2 c1_1_2 a2 b2_1 c1_2_1 b2_2 c1_2_2 flatten1 logits");
    ck_assert_ok(parse_model(HEAD "block s repeat=2\nrelu a\nblock t\nrelu a\nrelu\nend\n"
                                  "repeat 2\nrelu b\nrelu\nend\nend\nrelu\n" TAIL,
                             ""));
    assert_names("s1.a s1.t.a s1.t.relu1 s1.b1 s1.relu1 s1.b2 s1.relu2 "
                 "s2.a s2.t.a s2.t.relu1 s2.b1 s2.relu1 s2.b2 s2.relu2 relu1 flatten1 logits");
    ck_assert_ok(parse_model("model x\nparameter n 1\ninput 2 4 4\nclasses 3\n"
                             "repeat 2\nblock s repeat=$n\nrelu a\nend\nend\n" TAIL,
                             "n=2"));
    assert_names("s1_1.a s1_2.a s2_1.a s2_2.a flatten1 logits");
}
END_TEST

START_TEST(a_name_means_the_nearest_layer_around) {
    ck_assert_ok(parse_model(HEAD "relu a\n"
                                  "block s repeat=2\n"
                                  "  relu a\n"
                                  "  add from=a,s.in\n"
                                  "  block t\n"
                                  "    relu b from=a\n"
                                  "    add sum from=t.in,s.in\n"
                                  "    add from=b,sum\n"
                                  "  end\n"
                                  "end\n"
                                  "add last from=s1.a,s2.t.add1\n"
                                  "add from=last,input\n"
                                  "add from=add1,a\n" TAIL,
                             ""));
    assert_inputs("a", "input");
    assert_inputs("s1.a", "a");
    assert_inputs("s1.add1", "s1.a a");
    assert_inputs("s1.t.b", "s1.a");
    assert_inputs("s1.t.sum", "s1.add1 a");
    assert_inputs("s1.t.add1", "s1.t.b s1.t.sum");
    assert_inputs("s2.a", "s1.t.add1");
    assert_inputs("s2.t.b", "s2.a");
    assert_inputs("s2.t.sum", "s2.add1 s1.t.add1");
    assert_inputs("last", "s1.a s2.t.add1");
    assert_inputs("add1", "last input");
    assert_inputs("add2", "add1 a");
    // NAME.NUMBER, as PyTorch has it, of layers and blocks; a block that repeats counts from there.
    ck_assert_ok(parse_model(HEAD "block s.0\nrelu a.1\nend\nblock s.1 repeat=2\nrelu a\n"
                                  "add from=a,s.in\nend\nrelu z.10 from=s.0.a.1\n"
                                  "add from=s.2.add1,z.10\n" TAIL,
                             ""));
    assert_names("s.0.a.1 s.1.a s.1.add1 s.2.a s.2.add1 z.10 add1 flatten1 logits");
    assert_inputs("s.1.add1", "s.1.a s.0.a.1");
    assert_inputs("s.2.add1", "s.2.a s.1.add1");
    assert_inputs("z.10", "s.0.a.1");
    // What enters the first block of a file is the network's input.
    ck_assert_ok(parse_model(HEAD "block s\nrelu a\nadd from=a,s.in\nend\n" TAIL, ""));
    assert_inputs("s.add1", "s.a input");
}
END_TEST

// --- errors

START_TEST(what_cannot_be_connected_is_an_error_with_its_line) {
    static const struct {
        const char *layers, *message;
    } cases[] = {
        {"relu first\nrelu from=frist\n",
         "x.model:5: relu relu1: from=frist: no layer of that name "
         "comes before it (did you mean first?)"},
        {"relu a\nrelu from=inputs\n", "from=inputs: no layer of that name comes before it (did "
                                       "you mean input?)"},
        {"block s\nrelu conv_a\nrelu from=conv_b\nend\n",
         "x.model:6: relu s.relu1: from=conv_b: no layer of that name comes before it (did you "
         "mean conv_a?)"},
        {"relu from=b\nrelu b\n",
         "x.model:4: relu relu1: from=b: that layer does not come before this one"},
        {"relu a from=a\n", "relu a: from=a: that layer does not come before this one"},
        {"relu a\nrelu from=s.in\n", "from=s.in: no layer of that name comes before it"},
        {"block s\nrelu a\nend\nrelu from=s.in\n", "from=s.in: no layer of that name"},
        {"block s\nrelu a\nend\nrelu from=a\n", "x.model:7: relu relu1: from=a: no layer of that "
                                                "name comes before it (did you mean s.a?)"},
        {"relu a\nadd\n", "x.model:5: add: from= is missing"},
        {"relu a\nadd from=a\n", "x.model:5: add: from names 1 layer, it takes 2"},
        {"relu a\nrelu from=a,input\n", "x.model:5: relu: from names 2 layers, it takes 1"},
        {"relu a\nadd from=a,\n",
         "x.model:5: add: from: expected the name of a layer, found \"a,\""},
        {"relu a\nrelu from=\n", "relu: from: expected the name of a layer, found \"\""},
        {"relu a\nrelu b from=input\n",
         "x.model:4: relu a: nothing takes its output: name it in the from= of a later layer, or "
         "leave line 4 out"},
        {"linear input out=3\n", "the name input is taken by the program itself"},
        {"block evaluate\n", "x.model:4: block: the name evaluate is taken by the program itself"},
        {"block s\nrelu in\n", "the name in is taken by the program itself"},
        {"block\n", "x.model:4: expected \"block NAME [repeat=TIMES]\", found 1 words"},
        {"block s twice\n", "expected \"block NAME [repeat=TIMES]\", found 3 words"},
        {"block s.01\n", "x.model:4: block: expected a name of letters"},
        {"block s.-1\n", "block: expected a name of letters, digits, _ and - (at most 31), found "},
        {"relu a.\n", "relu: expected a name of letters"},
        {"relu a.1234567\n", "relu: expected a name of letters"},
        {"relu in.0\n", "the name in is taken by the program itself"},
        {"block s.0 repeat=2\nrelu a\nend\nblock s.1\nrelu a\nend\n",
         "x.model:8: relu s.1.a: the name is taken by the relu of line 5"},
        {"block s repeat=0\n", "repeat: expected a whole number from 1"},
        {"block s\nrelu\n", "x.model:4: block without an end"},
        {"block s\nend\n", "x.model:5: no layer in the block of line 4"},
        {"block s\ninput 3\n", "x.model:5: input may not stand between block and end"},
        {"block s\nrelu a\nend\nblock s\nrelu a\nend\n",
         "x.model:8: relu s.a: the name is taken by the relu of line 5"},
        {"block a234567890123456789012345678901\nblock b234567890123456789012345678901\nrelu c\n",
         "x.model:6: relu: a234567890123456789012345678901.b234567890123456789012345678901.c: a "
         "name has at most 63 characters, those of its blocks included"},
        {"relu a\nlinear out=3 tie=b\n", "tie=b: no layer of that name comes before it"},
        {"relu a\nflatten\nlinear out=3 tie=a\n",
         "x.model:6: linear fc1: tie=a: relu has no weight"},
        {"avg_pool\n", "x.model:4: avg_pool mean1: needs either kernel=, out= or global=true"},
        {"avg_pool kernel=2 global=true\n", "needs either kernel=, out= or global=true"},
        {"avg_pool out=2 stride=2\n", "needs either kernel=, out= or global=true"},
        {"avg_pool out=2 kernel=2\n", "needs either kernel=, out= or global=true"},
        {"avg_pool stride=2\n", "needs either kernel=, out= or global=true"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, HEAD "%s" TAIL, cases[i].layers);
        ck_assert_fails(parse_model(text, ""), ERR_FORMAT, cases[i].message);
    }
    char deep[1024] = HEAD;
    for (int i = 0; i < 17; i++) strcat(deep, "repeat 1\n");
    ck_assert_fails(parse_model(deep, ""), ERR_FORMAT,
                    "x.model:20: more than 16 repeats and blocks in each other");
}
END_TEST

START_TEST(shapes_that_are_not_one_are_both_told) {
    static const struct {
        const char *layers, *message;
    } cases[] = {
        {"conv2d c out=2 kernel=3\nadd from=c,input\n",
         "x.model:5: add add1: needs two inputs of one shape, but c gives 2×2×2 and the input is "
         "2×4×4"},
        {"flatten f\nadd from=input,f\n",
         "x.model:5: add add1: needs two inputs of one shape, but the input is 2×4×4 and f gives "
         "32"},
        {"flatten\nlinear a out=8\nlinear b out=7 tie=a\n",
         "x.model:6: linear b: tie=a: its weight is 7×8, but that of a is 8×32"},
        {"conv2d a out=2 kernel=1\nflatten\nlinear b out=2 tie=a\n",
         "x.model:6: linear b: tie=a: its weight is 2×32, but that of a is 2×2×1×1"},
        {"avg_pool kernel=5\n", "x.model:4: avg_pool mean1: the kernel of 5×5 is larger than its "
                                "input: the input is 2×4×4"},
        {"flatten\navg_pool global=true\n", "x.model:5: avg_pool mean1: needs "
                                            "channels×height×width, but flatten1 gives 32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, HEAD "%s" TAIL, cases[i].layers);
        ck_assert_fails(parse_model(text, ""), ERR_SHAPE, cases[i].message);
    }
}
END_TEST

// --- sizes

// A global mean covers planes of any height and width.
START_TEST(an_average_has_the_windows_of_its_kernel_or_the_whole_plane) {
    ck_assert_ok(parse_model("model x\ninput 2 5 8\nclasses 3\navg_pool a kernel=3 stride=2\n"
                             "avg_pool b global=true from=input\nflatten c from=a\nlinear d out=3\n"
                             "flatten e from=b\nlinear f out=3\nadd from=d,f\n",
                             ""));
    const Layer *a = layer("a"), *b = layer("b");
    ck_assert(a->out[0] == 2 && a->out[1] == 2 && a->out[2] == 3);
    ck_assert(b->out[0] == 2 && b->out[1] == 1 && b->out[2] == 1);
    ck_assert_int_eq(layer("e")->out[0], 2);
    ck_assert_ok(parse_model(HEAD "avg_pool a kernel=2\n" TAIL, ""));
    ck_assert_int_eq(layer("a")->out[1], 2);  // stride=kernel
}
END_TEST

// As many as out= says, side by side.
START_TEST(an_average_divides_a_square_into_windows) {
    int64_t kernel, stride;
    ck_assert_ok(parse_model("model x\ninput 2 6 6\nclasses 3\navg_pool a out=3\nflatten\n"
                             "linear d out=3\n",
                             ""));
    const Layer *a = layer("a");
    ck_assert(a->out[0] == 2 && a->out[1] == 3 && a->out[2] == 3);
    kernel = a->attribute[ATTRIBUTE_KERNEL];
    stride = a->attribute[ATTRIBUTE_STRIDE];
    ck_assert(kernel == 2 && stride == 2);
    ck_assert_fails(parse_model("model x\ninput 2 6 6\nclasses 3\navg_pool out=4\n", ""), ERR_SHAPE,
                    "out=4 must divide a square image, and this is 6×6");
    ck_assert_fails(parse_model("model x\ninput 2 6 3\nclasses 3\navg_pool out=3\n", ""), ERR_SHAPE,
                    "out=3 must divide a square image, and this is 6×3");
    ck_assert_fails(parse_model("model x\ninput 9\nclasses 3\navg_pool out=3\n", ""), ERR_SHAPE,
                    "avg_pool mean1: needs");
}
END_TEST

// A tied weight is there once; its layers have biases of their own. 4·4 + 4, 4, 4·3 + 3. Each layer
// does its products all the same: 2·(16·2 + 16·3 + 12·3) flops.
START_TEST(a_tied_weight_is_counted_once) {
    ck_assert_ok(parse_model("model x\ninput 4\nclasses 3\nlinear a out=4\nlinear b out=4 tie=a\n"
                             "linear logits out=3\n",
                             ""));
    ck_assert_int_eq(model_parameters(&model), 20 + 4 + 15);
    ck_assert_int_eq(model_flops(&model), 2 * (32 + 48 + 36));
}
END_TEST

// --- what it becomes

static const Plan *emit_model(const char *text, int shards) {
    StepSpec step = {.dtype = DTYPE_F32,
                     .batch = 8,
                     .shards = shards,
                     .local_shards = shards,
                     .micro_batches = 1,
                     .evaluation_rows = 4,
                     .mesh.data = 1};
    ck_assert_ok(parse_model(text, ""));
    program_finish(&program);
    ck_assert_ok(model_emit(&program, &model, &step));
    return &program.plans[program_find_plan(&program, "step")];
}

// The operations from the one named `first` on: "a.forward a.y <- x a.weight a.bias".
static void assert_operations(const Plan *plan, const char *first, const char *expected) {
    char text[4096] = "";
    bool begun = false;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        begun = begun || !strcmp(op_name(&program, op), first);
        if (!begun) continue;
        size_t at = strlen(text);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", op_name(&program, op));
        for (int k = 0; k < op->outputs + op->inputs; k++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s %s",
                                   k == op->outputs ? " <-" : "",
                                   tensor_name(&program, op_outputs(plan, op)[k]));
        snprintf(text + at, sizeof text - at, "%s\n", op->flags & OP_ACCUMULATE ? " +" : "");
    }
    ck_assert_str_eq(text, expected);
}

static void assert_sound(void) {
    const ProgramSet set = program_set_of_one(&program);
    ck_assert_ok(plan_check(&set));
    char *text = print(&program), *second;
    Program again;
    ck_assert_ok(plan_text_parse_class(&again, NULL, text, strlen(text), "x.plan"));
    second = print(&again);
    ck_assert_str_eq(text, second);
    free(text);
    free(second);
    program_finish(&again);
}

// b goes into c, d and e. What they give of its gradient is added in this order, and add hands on
// the gradient of its own output.
START_TEST(the_gradients_of_an_output_are_added_in_the_order_of_its_users) {
    const Plan *plan = emit_model("model x\ninput 4\nclasses 3\nlinear a out=4 bias=false\n"
                                  "gelu b\nlinear c out=4 bias=false\nadd d from=c,b\n"
                                  "add e from=d,b\nlinear f out=3 bias=false\n",
                                  1);
    assert_operations(plan, "d.forward",
                      "d.forward d.y <- c.y b.y\n"
                      "e.forward e.y <- d.y b.y\n"
                      "f.forward f.y <- e.y f.weight\n"
                      "cross_entropy.forward loss cross_entropy.probability <- f.y labels "
                      "inverse_count\n"
                      "cross_entropy.backward f.dy <- cross_entropy.probability labels "
                      "inverse_count\n"
                      "f.backward_weight f.weight.grad <- e.y f.dy\n"
                      "f.backward_input e.dy <- f.dy f.weight\n"
                      "c.backward_weight c.weight.grad <- b.y e.dy\n"
                      "c.backward_input b.dy:c <- e.dy c.weight\n"
                      "b.backward_sum b.dy <- b.dy:c e.dy\n"
                      "b.backward_sum b.dy <- e.dy +\n"
                      "b.backward_input a.dy <- b.dy a.y\n"
                      "a.backward_weight a.weight.grad <- x a.dy\n"
                      "sgd.f.weight f.weight <- f.weight.grad learning_rate\n"
                      "sgd.c.weight c.weight <- c.weight.grad learning_rate\n"
                      "sgd.a.weight a.weight <- a.weight.grad learning_rate\n");
    assert_sound();
}
END_TEST

// A gradient flows only to what has parameters, or comes from such.
START_TEST(what_needs_no_gradient_gets_none) {
    const Plan *plan = emit_model("model x\ninput 3\nclasses 3\nrelu a\n"
                                  "linear b from=input out=3 bias=false\nadd from=a,b\n",
                                  1);
    assert_operations(plan, "cross_entropy.backward",
                      "cross_entropy.backward add1.dy <- cross_entropy.probability labels "
                      "inverse_count\n"
                      "b.backward_weight b.weight.grad <- x add1.dy\n"
                      "sgd.b.weight b.weight <- b.weight.grad learning_rate\n");
    assert_sound();
}
END_TEST

// Each use has its accumulator, in each shard; they are added last, in the order of the layers.
START_TEST(uses_of_a_tied_weight_are_added_last) {
    const Plan *plan = emit_model("model x\ninput 3\nclasses 3\nlinear a out=3 bias=false\n"
                                  "linear b out=3 bias=false tie=a\nlinear c out=3 tie=b\n",
                                  2);
    assert_operations(plan, "sgd.c.bias",
                      "sgd.c.bias c.bias <- c.bias.grad learning_rate\n"
                      "sum.a.weight a.weight.grad.sum <- a.weight.grad b.weight.grad\n"
                      "sum.a.weight a.weight.grad.sum <- c.weight.grad +\n"
                      "sgd.a.weight a.weight <- a.weight.grad.sum learning_rate\n");
    ck_assert(program_find_tensor(&program, "b.weight.grad/1") != NONE);
    ck_assert_int_eq(program_find_tensor(&program, "b.weight"), NONE);
    assert_sound();
}
END_TEST

// Where ReLU's output goes elsewhere too, its backward cannot change places with the pool's.
START_TEST(relu_and_pool_change_places_only_where_nothing_else_uses_relu) {
    const char *text = "model x\ninput 1 4 4\nclasses 3\nconv2d a out=1 kernel=1 bias=false\n"
                       "relu b\nmax_pool p kernel=2\nflatten q\nlinear c out=3 bias=false\n%s";
    char model_text[512];
    snprintf(model_text, sizeof model_text, text, "");
    emit_model(model_text, 1);
    ck_assert(program_find_tensor(&program, "b.pooled_dx") != NONE);
    snprintf(model_text, sizeof model_text, text,
             "flatten r from=b\nlinear d out=3 bias=false\nadd from=c,d\n");
    emit_model(model_text, 1);
    ck_assert_int_eq(program_find_tensor(&program, "b.pooled_dx"), NONE);
    const Tensor *part = &program.tensors[program_find_tensor(&program, "b.dy:p")];
    ck_assert_int_eq(part->shape[2], 4);
    assert_sound();
}
END_TEST

SUITE("graph", repeats_and_blocks_nest_and_their_turns_are_in_the_names,
      a_name_means_the_nearest_layer_around, what_cannot_be_connected_is_an_error_with_its_line,
      shapes_that_are_not_one_are_both_told, an_average_divides_a_square_into_windows,
      an_average_has_the_windows_of_its_kernel_or_the_whole_plane, a_tied_weight_is_counted_once,
      the_gradients_of_an_output_are_added_in_the_order_of_its_users,
      what_needs_no_gradient_gets_none, uses_of_a_tied_weight_are_added_last,
      relu_and_pool_change_places_only_where_nothing_else_uses_relu)
