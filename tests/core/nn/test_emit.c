// SPDX-License-Identifier: MIT
#include "core/base/bf16.h"
#include "core/base/rng.h"
#include "core/nn/model.h"
#include "core/plan/check.h"
#include "core/plan/lower.h"
#include "tests/support/plan_samples.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static Arena arena;
static Model model;

static const Model *read_model(const char *spec) {
    ck_assert_ok(model_read(&model, &arena, spec));
    return &model;
}

// --- operations and tensors

static StepSpec one_step(void) {
    return (StepSpec){.dtype = DTYPE_F32,
                      .batch = 64,
                      .shards = 1,
                      .local_shards = 1,
                      .micro_batches = 1,
                      .evaluation_rows = 100,
                      .optimizer = {.momentum = 0.9},
                      .mesh.data = 1};
}

static const Plan *emit(const char *spec, const StepSpec *step) {
    program_finish(&program);
    ck_assert_ok(model_emit(&program, read_model(spec), step));
    return &program.plans[program_find_plan(&program, "step")];
}

// "conv1.forward conv1.y <- x conv1.weight conv1.bias", as one line per operation from `first` on.
static void describe(const Plan *plan, int first, int count, char *out, size_t size) {
    out[0] = 0;
    for (int i = first; i < first + count && i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        size_t at = strlen(out);
        at += (size_t)snprintf(out + at, size - at, "%s", op_name(&program, op));
        for (int k = 0; k < op->outputs + op->inputs; k++)
            at += (size_t)snprintf(out + at, size - at, "%s %s", k == op->outputs ? " <-" : "",
                                   tensor_name(&program, op_outputs(plan, op)[k]));
        snprintf(out + at, size - at, "%s\n", op->flags & OP_ACCUMULATE ? " +" : "");
    }
}

static const char *const net_step =
    "load x labels <- first_row.0.0\n"
    "conv1.forward conv1.y <- x conv1.weight conv1.bias\n"
    "relu1.forward relu1.y <- conv1.y\n"
    "pool1.forward pool1.y pool1.index <- relu1.y\n"
    "conv2.forward conv2.y <- pool1.y conv2.weight conv2.bias\n"
    "relu2.forward relu2.y <- conv2.y\n"
    "pool2.forward pool2.y pool2.index <- relu2.y\n"
    "fc1.forward fc1.y <- flatten1.y fc1.weight fc1.bias\n"
    "relu3.forward relu3.y <- fc1.y\n"
    "fc2.forward fc2.y <- relu3.y fc2.weight fc2.bias\n"
    "cross_entropy.forward loss cross_entropy.probability <- fc2.y labels inverse_count\n"
    "cross_entropy.backward fc2.dy <- cross_entropy.probability labels inverse_count\n"
    "fc2.backward_weight fc2.weight.grad fc2.bias.grad <- relu3.y fc2.dy\n"
    "fc2.backward_input relu3.dy <- fc2.dy fc2.weight\n"
    "relu3.backward_input fc1.dy <- relu3.dy relu3.y\n"
    "fc1.backward_weight fc1.weight.grad fc1.bias.grad <- flatten1.y fc1.dy\n"
    "fc1.backward_input flatten1.dy <- fc1.dy fc1.weight\n"
    "relu2.backward_input relu2.pooled_dx <- pool2.dy pool2.y\n"
    "pool2.backward_input conv2.dy <- relu2.pooled_dx pool2.index\n"
    "conv2.backward_weight conv2.weight.grad conv2.bias.grad <- pool1.y conv2.dy\n"
    "conv2.backward_input pool1.dy <- conv2.dy conv2.weight\n"
    "relu1.backward_input relu1.pooled_dx <- pool1.dy pool1.y\n"
    "pool1.backward_input conv1.dy <- relu1.pooled_dx pool1.index\n"
    "conv1.backward_weight conv1.weight.grad conv1.bias.grad <- x conv1.dy\n"
    "sgd.fc2.weight fc2.weight fc2.weight.velocity <- fc2.weight.grad learning_rate\n"
    "sgd.fc2.bias fc2.bias fc2.bias.velocity <- fc2.bias.grad learning_rate\n"
    "sgd.fc1.weight fc1.weight fc1.weight.velocity <- fc1.weight.grad learning_rate\n"
    "sgd.fc1.bias fc1.bias fc1.bias.velocity <- fc1.bias.grad learning_rate\n"
    "sgd.conv2.weight conv2.weight conv2.weight.velocity <- conv2.weight.grad learning_rate\n"
    "sgd.conv2.bias conv2.bias conv2.bias.velocity <- conv2.bias.grad learning_rate\n"
    "sgd.conv1.weight conv1.weight conv1.weight.velocity <- conv1.weight.grad learning_rate\n"
    "sgd.conv1.bias conv1.bias conv1.bias.velocity <- conv1.bias.grad learning_rate\n";

START_TEST(a_step_of_the_net_is_forward_backward_update) {
    StepSpec step = one_step();
    const Plan *plan = emit("net", &step);
    char text[8192];
    describe(plan, 0, plan->op_count, text, sizeof text);
    ck_assert_str_eq(text, net_step);
    const ProgramSet set = program_set_of_one(&program);
    ck_assert_ok(plan_check(&set));
}
END_TEST

static int64_t plan_flops(const Plan *plan) {
    int64_t sum = 0;
    for (int i = 0; i < plan->op_count; i++) sum += op_work(&program, &plan->ops[i])->flops;
    return sum;
}

// A global batch of 64 in one piece, and in 2 shards of 2 micro-batches of 16 rows.
START_TEST(the_flops_of_the_operations_sum_to_those_of_the_model) {
    StepSpec step = one_step();
    ck_assert_int_eq(plan_flops(emit("net", &step)), 64 * 5091000);
    step.shards = step.local_shards = step.micro_batches = 2;
    ck_assert_int_eq(plan_flops(emit("net", &step)), 64 * 5091000);
    // the forward pass alone: 2 · (288,000 + 656,500) per row
    ck_assert_int_eq(plan_flops(&program.plans[program_find_plan(&program, "evaluate")]),
                     100 * 1889000);
}
END_TEST

static const Tensor *tensor(const char *name) {
    int t = program_find_tensor(&program, name);
    ck_assert_msg(t != NONE, "no tensor %s", name);
    return &program.tensors[t];
}

static void assert_tensor(const char *name, const char *extent, Role role, Placement place,
                          int64_t rows, int64_t whole) {
    const Tensor *t = tensor(name);
    ck_assert_str_eq(tensor_name(&program, t->extent), extent);
    ck_assert_int_eq(t->role, role);
    ck_assert(placement_equal(t->placement[0], place));
    ck_assert_int_eq(t->shape[0], rows);
    ck_assert_int_eq(program.logicals[t->logical].shape[0], whole);
}

START_TEST(activations_are_cut_by_rows_and_parameters_are_replicated) {
    StepSpec step = one_step();
    emit("net", &step);
    assert_tensor("x", "rows.0.0", ROLE_INPUT, PLACEMENT_SHARD(0), 64, 64);
    assert_tensor("labels", "rows.0.0", ROLE_INPUT, PLACEMENT_SHARD(0), 64, 64);
    assert_tensor("conv1.y", "rows.0.0", ROLE_ACTIVATION, PLACEMENT_SHARD(0), 64, 64);
    assert_tensor("conv1.dy", "rows.0.0", ROLE_ACTIVATION, PLACEMENT_SHARD(0), 64, 64);
    assert_tensor("conv1.weight", "", ROLE_PARAMETER, PLACEMENT_REPLICATED, 20, 20);
    assert_tensor("conv1.weight.velocity", "", ROLE_OPTIMISER, PLACEMENT_REPLICATED, 20, 20);
    assert_tensor("conv1.weight.grad", "", ROLE_GRADIENT, PLACEMENT_SUM, 20, 20);
    assert_tensor("loss", "", ROLE_SCALAR, PLACEMENT_SUM, 2, 2);
    assert_tensor("evaluate.x", "evaluate.rows", ROLE_INPUT, PLACEMENT_SHARD(0), 100, 100);
    ck_assert_int_eq(tensor("pool1.index")->dtype, DTYPE_U8);
    ck_assert_int_eq(tensor("loss")->dtype, DTYPE_F64);
    ck_assert_int_eq(tensor("flatten1.y")->alias, program_find_tensor(&program, "pool2.y"));
    ck_assert_int_eq(tensor("pool2.dy")->alias, program_find_tensor(&program, "flatten1.dy"));
    const Logical *w = &program.logicals[tensor("conv2.weight")->logical];
    ck_assert_int_eq(w->fan_in, 500);
    ck_assert(w->trainable);
    ck_assert_int_eq(program.logicals[tensor("fc1.bias")->logical].fan_in, 320);
}
END_TEST

// 65 rows in 3 shards of 2 micro-batches: ceil(65/3) = 22 rows a shard, 11 a micro-batch.
START_TEST(shards_and_micro_batches_have_tensors_of_their_own) {
    StepSpec step = one_step();
    step.batch = 65;
    step.shards = step.local_shards = 3;
    step.micro_batches = 2;
    const Plan *plan = emit("linear", &step);
    assert_tensor("fc.y/2.1", "rows.2.1", ROLE_ACTIVATION, PLACEMENT_SHARD(0), 11, 65);
    ck_assert_int_eq(tensor("fc.y/2.1")->shard, 2);
    ck_assert_int_eq(tensor("fc.y/2.1")->micro_batch, 1);
    ck_assert_int_eq(tensor("fc.weight.grad/2")->shard, 2);
    ck_assert_int_eq(tensor("fc.weight.grad/2")->logical, tensor("fc.weight.grad")->logical);
    ck_assert_int_eq(program_find_tensor(&program, "fc.y"), NONE);
    char text[4096];
    describe(plan, 20, 11, text, sizeof text);
    ck_assert_str_eq(
        text, "load x/2.0 labels/2.0 <- first_row.2.0\n"
              "fc.forward fc.y/2.0 <- flatten1.y/2.0 fc.weight fc.bias\n"
              "cross_entropy.forward loss/2 cross_entropy.probability/2.0 <- fc.y/2.0 labels/2.0 "
              "inverse_count\n"
              "cross_entropy.backward fc.dy/2.0 <- cross_entropy.probability/2.0 labels/2.0 "
              "inverse_count\n"
              "fc.backward_weight fc.weight.grad/2 fc.bias.grad/2 <- flatten1.y/2.0 fc.dy/2.0\n"
              "load x/2.1 labels/2.1 <- first_row.2.1\n"
              "fc.forward fc.y/2.1 <- flatten1.y/2.1 fc.weight fc.bias\n"
              "cross_entropy.forward loss/2 cross_entropy.probability/2.1 <- fc.y/2.1 labels/2.1 "
              "inverse_count +\n"
              "cross_entropy.backward fc.dy/2.1 <- cross_entropy.probability/2.1 labels/2.1 "
              "inverse_count\n"
              "fc.backward_weight fc.weight.grad/2 fc.bias.grad/2 <- flatten1.y/2.1 fc.dy/2.1 +\n"
              "sgd.fc.weight fc.weight fc.weight.velocity <- fc.weight.grad learning_rate\n");
}
END_TEST

START_TEST(micro_batches_share_their_work) {
    StepSpec step = one_step();
    emit("net", &step);
    int works = program.work_count;
    step.shards = step.local_shards = 2;
    step.micro_batches = 4;
    const Plan *plan = emit("net", &step);
    ck_assert_int_eq(program.work_count, works);
    const Op *load = &plan->ops[24 * 7];  // a pass has 24 operations
    const Work *w = op_work(&program, load);
    ck_assert_int_eq(w->kind, KIND_LOAD);
    ck_assert_int_eq(load->shard, 1);
    ck_assert_int_eq(load->micro_batch, 3);
    ck_assert_str_eq(program_name(&program, program.lanes[load->lane].name), "host");
}
END_TEST

START_TEST(without_momentum_there_is_no_velocity) {
    StepSpec step = one_step();
    step.optimizer = (Optimizer){.weight_decay = 0.25};
    const Plan *plan = emit("linear", &step);
    ck_assert_int_eq(program_find_tensor(&program, "fc.weight.velocity"), NONE);
    const Op *update = &plan->ops[plan->op_count - 1];
    const Work *w = op_work(&program, update);
    ck_assert_int_eq(update->outputs, 1);
    ck_assert(work_real(&program, w, 0) == 0 && work_real(&program, w, 1) == 0.25 &&
              work_attr(&program, w, 2) == 0);
}
END_TEST

// 4 ranks, 2 shards each: 64 / 8 = 8 rows a shard; every rank evaluates 100 rows of its own.
START_TEST(a_rank_of_several_holds_its_part_of_the_batch) {
    StepSpec step = one_step();
    step.mesh.data = 4;
    step.shards = 8;
    step.local_shards = 2;
    emit("net", &step);
    ck_assert_int_eq(program_ranks(&program), 4);
    assert_tensor("x/1.0", "rows.1.0", ROLE_INPUT, PLACEMENT_SHARD(0), 8, 64);
    assert_tensor("evaluate.x", "evaluate.rows", ROLE_INPUT, PLACEMENT_SHARD(0), 100, 400);
}
END_TEST

// Nothing before the first layer with parameters has a backward, nor an index.
START_TEST(gradients_stop_at_the_first_layer_with_parameters) {
    const char *text = "model x\ninput 1 28 28\nclasses 10\n"
                       "max_pool kernel=2\nrelu\nmax_pool kernel=2\n"
                       "conv2d out=2 kernel=2 bias=false\nmax_pool kernel=2\nrelu\n"
                       "flatten\nlinear out=10\n";
    ck_assert_ok(model_parse(&model, &arena, text, "x.model", ""));
    StepSpec step = one_step();
    program_finish(&program);
    ck_assert_ok(model_emit(&program, &model, &step));
    const Plan *plan = &program.plans[0];
    char ops[4096];
    describe(plan, 0, plan->op_count, ops, sizeof ops);
    ck_assert_str_eq(
        ops,
        "load x labels <- first_row.0.0\n"
        "pool1.forward pool1.y <- x\n"
        "relu1.forward relu1.y <- pool1.y\n"
        "pool2.forward pool2.y <- relu1.y\n"
        "conv1.forward conv1.y <- pool2.y conv1.weight\n"
        "pool3.forward pool3.y pool3.index <- conv1.y\n"
        "relu2.forward relu2.y <- pool3.y\n"
        "fc1.forward fc1.y <- flatten1.y fc1.weight fc1.bias\n"
        "cross_entropy.forward loss cross_entropy.probability <- fc1.y labels inverse_count\n"
        "cross_entropy.backward fc1.dy <- cross_entropy.probability labels inverse_count\n"
        "fc1.backward_weight fc1.weight.grad fc1.bias.grad <- flatten1.y fc1.dy\n"
        "fc1.backward_input flatten1.dy <- fc1.dy fc1.weight\n"
        "relu2.backward_input pool3.dy <- relu2.dy relu2.y\n"
        "pool3.backward_input conv1.dy <- pool3.dy pool3.index\n"
        "conv1.backward_weight conv1.weight.grad <- pool2.y conv1.dy\n"
        "sgd.fc1.weight fc1.weight fc1.weight.velocity <- fc1.weight.grad learning_rate\n"
        "sgd.fc1.bias fc1.bias fc1.bias.velocity <- fc1.bias.grad learning_rate\n"
        "sgd.conv1.weight conv1.weight conv1.weight.velocity <- conv1.weight.grad learning_rate\n");
}
END_TEST

START_TEST(steps_that_cannot_be_are_refused) {
    Program p;
    StepSpec step = one_step();
    read_model("net");
    step.batch = 3;
    step.shards = 4;
    ck_assert_fails(model_emit(&p, &model, &step), ERR_USAGE,
                    "a batch of 3 rows is too small for 4 shards");
    step = one_step();
    step.dtype = DTYPE_I32;
    ck_assert_fails(model_emit(&p, &model, &step), ERR_USAGE, "f32, f64 or bf16, not i32");
    step = one_step();
    step.micro_batches = 0;
    ck_assert_fails(model_emit(&p, &model, &step), ERR_USAGE, "0 micro-batches");
    step = one_step();
    step.evaluation_rows = 0;
    ck_assert_fails(model_emit(&p, &model, &step), ERR_USAGE, "0 rows of evaluation");
    step = one_step();
    step.batch = INT64_MAX / 64;
    ck_assert_fails(model_emit(&p, &model, &step), ERR_SHAPE, "");
    ck_assert_int_eq(p.tensor_count, 0);
}
END_TEST

// --- the same program as text

static void assert_survives(const Program *p) {
    char *text = print(p);
    Program again;
    ck_assert_ok(plan_text_parse_class(&again, NULL, text, strlen(text), "net.plan"));
    char *second = print(&again);
    ck_assert_str_eq(text, second);
    ck_assert_int_eq(again.works[0].cost_key == p->works[0].cost_key, 1);
    free(text);
    free(second);
    program_finish(&again);
}

START_TEST(emitted_programs_survive_printing_and_reading) {
    StepSpec step = one_step();
    emit("net", &step);
    assert_survives(&program);
    step.dtype = DTYPE_F64;
    step.shards = step.local_shards = 2;
    step.micro_batches = 3;
    emit("net", &step);
    assert_survives(&program);
    ck_assert_ok(program_lower(&program, &(DeviceTraits){.name = "test", .fusions = 0xff}));
    assert_survives(&program);
}
END_TEST

// --- initial values

// Element i of logical tensor l is (2u - 1)/sqrt(fan_in), u the upper 24 bits of number i of stream
// (seed; RNG_INIT, l) over 2^24.
START_TEST(initial_values_are_keyed_by_seed_tensor_and_element) {
    StepSpec step = one_step();
    emit("net", &step);
    int logical = tensor("fc1.weight")->logical;
    static float f32[16000];
    static double f64[16000];
    static Bf16 bf16[16000];
    model_initialise(&program, logical, 7, DTYPE_F32, f32);
    model_initialise(&program, logical, 7, DTYPE_F64, f64);
    model_initialise(&program, logical, 7, DTYPE_BF16, bf16);
    Rng rng;
    rng_init(&rng, 7, RNG_INIT, (uint32_t)logical, 0);
    double largest = 0, sum = 0;
    for (int i = 0; i < 16000; i++) {
        double u = (rng_at(&rng, (uint64_t)i) >> 8) / 16777216.0;
        float want = (float)((2 * u - 1) / sqrt(320.0));
        ck_assert(f32[i] == want && f64[i] == (double)want && bf16[i] == bf16_from_f32(want));
        largest = fmax(largest, fabs(f64[i]));
        sum += f64[i];
    }
    // 16,000 uniform numbers reach past 0.999 of the bound; their mean has a deviation of 2.6e-4.
    ck_assert(largest <= 1 / sqrt(320.0) && largest > 0.999 / sqrt(320.0));
    ck_assert_close(sum / 16000, 0, 5 * 2.6e-4);
    static float other[16000];
    model_initialise(&program, logical, 8, DTYPE_F32, other);
    ck_assert(memcmp(other, f32, sizeof f32) != 0);
}
END_TEST

// Element i is std sqrt(-2 ln u) cos(2π v), u and v from numbers 2i and 2i + 1.
START_TEST(normal_initial_values_have_their_mean_and_deviation) {
    StepSpec step = one_step();
    ck_assert_ok(model_parse(&model, &arena,
                             "model x\ninput 100\nclasses 160\nlinear a out=3\n"
                             "linear b out=160 std=0.5\nlinear c out=160 std=0.5\n",
                             "x", ""));
    program_finish(&program);
    ck_assert_ok(model_emit(&program, &model, &step));
    static double values[25600], quarter[6400];
    static float f32[25600];
    const Tensor *weight = tensor("c.weight"), *bias = tensor("c.bias");
    model_initialise(&program, weight->logical, 7, DTYPE_F64, values);
    model_initialise(&program, weight->logical, 7, DTYPE_F32, f32);
    Rng rng;
    rng_init(&rng, 7, RNG_INIT, (uint32_t)program.logicals[weight->logical].init, 0);
    double sum = 0, square = 0, fourth = 0;
    for (int i = 0; i < 25600; i++) {
        double u = (rng_at(&rng, 2 * (uint64_t)i) + 0.5) / 4294967296.0;
        double v = (rng_at(&rng, 2 * (uint64_t)i + 1) + 0.5) / 4294967296.0;
        float want = (float)(0.5 * sqrt(-2 * log(u)) * cos(2 * 3.141592653589793 * v));
        ck_assert_close(values[i], want, 1e-7);
        ck_assert((double)f32[i] == values[i]);
        sum += values[i];
        square += pow(values[i], 2);
        fourth += pow(values[i], 4);
    }
    ck_assert_close(sum / 25600, 0, 5 * 0.5 / 160);
    ck_assert_close(square / 25600, 0.25, 5 * 0.25 * sqrt(2.0 / 25600));
    ck_assert_close(fourth / 25600, 3 / 16.0, 5 / 16.0 * sqrt(96.0 / 25600));
    model_initialise(&program, bias->logical, 7, DTYPE_F64, values + 160);
    for (int i = 160; i < 320; i++) ck_assert(values[i] == 0);
    // A rank's quarter of the rows has the values of the whole.
    Tensor piece = *weight;
    program.axes[0].size = 4;
    piece.shape[0] /= 4;
    piece.bytes = (int64_t)sizeof quarter;
    piece.dtype = DTYPE_F64;
    piece.placement[0] = PLACEMENT_SHARD(0);
    model_initialise(&program, weight->logical, 7, DTYPE_F64, values);
    model_initialise_piece(&program, &piece, 2, 7, quarter);
    ck_assert(!memcmp(quarter, values + 2 * 6400, sizeof quarter));
}
END_TEST

// A bias that is declared to be state is read, but has no gradient and no update.
START_TEST(state_is_kept_and_not_trained) {
    StepSpec step = one_step();
    ck_assert_ok(
        model_parse(&model, &arena, "model x\ninput 4\nclasses 2\nlinear a out=2\n", "x", ""));
    LayerParameter *bias = &model.layers[0].parameters[1];
    *bias = (LayerParameter){
        .name = "bias", .shape = {2}, .dims = 1, .state = true, .constant = -3, .next_use = NONE};
    program_finish(&program);
    ck_assert_ok(model_emit(&program, &model, &step));
    ck_assert_int_eq(model_parameters(&model), 8);
    char text[1024];
    describe(&program.plans[0], 0, 9, text, sizeof text);
    ck_assert_str_eq(text, "load x labels <- first_row.0.0\n"
                           "a.forward a.y <- x a.weight a.bias\n"
                           "cross_entropy.forward loss cross_entropy.probability <- a.y labels "
                           "inverse_count\n"
                           "cross_entropy.backward a.dy <- cross_entropy.probability labels "
                           "inverse_count\n"
                           "a.backward_weight a.weight.grad <- x a.dy\n"
                           "sgd.a.weight a.weight a.weight.velocity <- a.weight.grad "
                           "learning_rate\n");
    ck_assert_int_eq(tensor("a.bias")->role, ROLE_STATE);
    ck_assert(!program.logicals[tensor("a.bias")->logical].trainable);
    ck_assert_int_eq(program_find_tensor(&program, "a.bias.velocity"), NONE);
    double values[2];
    model_initialise(&program, tensor("a.bias")->logical, 1, DTYPE_F64, values);
    ck_assert(values[0] == -3 && values[1] == -3);
    assert_survives(&program);
}
END_TEST

START_TEST(initial_values_do_not_depend_on_the_optimiser_or_the_cut) {
    StepSpec step = one_step();
    emit("net", &step);
    int before = tensor("fc2.bias")->logical;
    step.optimizer.momentum = 0;
    step.shards = step.local_shards = 2;
    emit("net", &step);
    ck_assert_int_eq(tensor("fc2.bias")->logical, before);
    float zero[20] = {1, 1};
    model_initialise(&program, tensor("conv1.bias.grad")->logical, 1, DTYPE_F32, zero);
    ck_assert(zero[0] == 0 && zero[1] == 0);
}
END_TEST

// conv1 8·9 + 8, four convolutions of 8·8·9 + 8 in two blocks, fc1 64·(8·14·14) + 64,
// fc2 64·64 + 64, logits 10·64.
START_TEST(the_example_of_the_document_is_read_and_emitted) {
    char *sample = document_sample("model example");
    ck_assert_ok(model_parse(&model, &arena, sample, "formats.md", ""));
    ck_assert_int_eq(model_parameters(&model), 80 + 4 * 584 + 100416 + 4160 + 640);
    program_finish(&program);
    StepSpec step = one_step();
    ck_assert_ok(model_emit(&program, &model, &step));
    free(sample);
}
END_TEST

SUITE("emit", the_example_of_the_document_is_read_and_emitted,
      a_step_of_the_net_is_forward_backward_update,
      the_flops_of_the_operations_sum_to_those_of_the_model,
      activations_are_cut_by_rows_and_parameters_are_replicated,
      shards_and_micro_batches_have_tensors_of_their_own, micro_batches_share_their_work,
      without_momentum_there_is_no_velocity, a_rank_of_several_holds_its_part_of_the_batch,
      gradients_stop_at_the_first_layer_with_parameters, steps_that_cannot_be_are_refused,
      emitted_programs_survive_printing_and_reading,
      initial_values_are_keyed_by_seed_tensor_and_element,
      normal_initial_values_have_their_mean_and_deviation, state_is_kept_and_not_trained,
      initial_values_do_not_depend_on_the_optimiser_or_the_cut)
