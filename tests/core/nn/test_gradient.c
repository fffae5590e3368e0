// SPDX-License-Identifier: MIT
// Every layer's gradient, and a whole network's, against central differences in f64, on
// every device (tests/support/gradient.h).
#include "core/nn/model.h"
#include "tests/support/gradient.h"

static const double MARGIN = 1e-4;

// --- away from the kinks, where there is no gradient

static bool relu_is_smooth(const Case *c, int x, const Values *v) {
    for (int64_t i = 0; i < case_elements(c, x); i++)
        if (fabs(v->of[x][i]) < MARGIN) return false;
    return true;
}

// The two largest of each window are apart; or it is all zeros left by a ReLU,
// which has no gradient.
static bool pool_is_smooth(const Case *c, int y, int x, const int64_t *attr, const Values *v) {
    const Tensor *in = &c->p.tensors[x], *out = &c->p.tensors[y];
    int64_t H = in->shape[2], W = in->shape[3], plane = H * W, OW = out->shape[3];
    for (int64_t i = 0; i < case_elements(c, y); i++) {
        int64_t p = i / OW / out->shape[2], row = i / OW % out->shape[2] * attr[1] - attr[2],
                column = i % OW * attr[1] - attr[2];
        int near = 0;
        for (int64_t h = row < 0 ? 0 : row; h < row + attr[0] && h < H; h++)
            for (int64_t w = column < 0 ? 0 : column; w < column + attr[0] && w < W; w++)
                near += v->of[x][p * plane + h * W + w] > v->of[y][i] - MARGIN;
        if (near > 1 && v->of[y][i] != 0) return false;
    }
    return true;
}

static bool is_smooth(Case *c) {
    Values v = case_run(c, &device_reference, (CaseRun){.junk = JUNK_NAN});
    for (int i = 0; i < c->plan->op_count; i++) {
        const Op *op = &c->plan->ops[i];
        const Work *w = op_work(&c->p, op);
        int y = program_root(&c->p, op_outputs(c->plan, op)[0]),
            x = program_root(&c->p, op_inputs(c->plan, op)[0]);
        if (w->kind == KIND_RELU && !relu_is_smooth(c, x, &v)) return false;
        if (w->kind == KIND_MAX_POOL && !pool_is_smooth(c, y, x, &c->p.attrs[w->attr_first], &v))
            return false;
    }
    return true;
}

// --- the check

typedef struct {
    int64_t rows, C, H, W, K, kernel, stride, pad, pool, pool_stride, pool_pad;
} Sizes;
typedef void (*Build)(Case *c, const Sizes *s);
typedef struct {
    const char *x, *dx;
} Pair;

// Each of the pairs, up to one without name; y and dy are what the case calls so.
static void check_layer(Build build, const Sizes *s, const Pair *pairs) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (uint32_t seed = 0;; seed++) {
            ck_assert_uint_lt(seed, 20);
            Case c;
            case_init(&c, DTYPE_F64, s->rows + 1, s->rows);
            rng_init(&c.rng, seed, RNG_TEST, 1, 1);
            build(&c, s);
            snprintf(c.text, sizeof c.text, "%s, kernel %lld, stride %lld, pad %lld",
                     op_name(&c.p, &c.plan->ops[0]), (long long)s->kernel, (long long)s->stride,
                     (long long)s->pad);
            bool smooth = is_smooth(&c);
            ck_assert_ok(program_lower(&c.p, devices[d]->traits));
            for (const Pair *p = pairs; smooth && p->x; p++)
                gradient_check(&c, devices[d], p->x, p->dx, "y",
                               c.before[gradient_tensor(&c, "dy")]);
            case_finish(&c);
            if (smooth) break;
        }
}

// --- layers

static int64_t after_window(int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
    return (size + 2 * pad - kernel) / stride + 1;
}

static const Pair weighted[] = {{"x", "dx"}, {"weight", "dweight"}, {"bias", "dbias"}, {0}};
static const Pair plain[] = {{"x", "dx"}, {0}};

static int64_t conv_height(const Sizes *s) {
    return after_window(s->H, s->kernel, s->stride, s->pad);
}
static int64_t conv_width(const Sizes *s) {
    return after_window(s->W, s->kernel, s->stride, s->pad);
}

static void conv2d_tensors(Case *c, const Sizes *s) {
    case_tensor(c, "x", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C, s->H, s->W));
    case_tensor(c, "weight", DTYPE_F64, FILL_RANDOM, SHAPE(s->K, s->C, s->kernel, s->kernel));
    case_tensor(c, "bias", DTYPE_F64, FILL_RANDOM, SHAPE(s->K));
    case_tensor(c, "dx", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_tensor(c, "dweight", DTYPE_F64, FILL_OUTPUT, SHAPE(s->K, s->C, s->kernel, s->kernel));
    case_tensor(c, "dbias", DTYPE_F64, FILL_OUTPUT, SHAPE(s->K));
}

static void conv2d_backward_ops(Case *c, const Sizes *s, const char *x_dy, const char *dy_weight) {
    case_op(c, KIND_CONV2D_BACKWARD_WEIGHT, false, &s->kernel, "dweight dbias", x_dy);
    case_op(c, KIND_CONV2D_BACKWARD_INPUT, false, &s->kernel, "dx", dy_weight);
}

static void build_conv2d(Case *c, const Sizes *s) {
    const int64_t shape[] = {ROWS, s->K, conv_height(s), conv_width(s)};
    conv2d_tensors(c, s);
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, 4, shape);
    case_tensor(c, "dy", DTYPE_F64, FILL_RANDOM, 4, shape);
    case_op(c, KIND_CONV2D, false, &s->kernel, "y", "x weight bias");
    conv2d_backward_ops(c, s, "x dy", "dy weight");
}

START_TEST(gradients_of_conv2d) {
    for (int64_t kernel = 1; kernel <= 3; kernel++)
        for (int64_t stride = 1; stride <= 2; stride++)
            for (int64_t pad = 0; pad <= 2; pad++) {
                Sizes s = {.rows = 2,
                           .C = 2,
                           .H = 5,
                           .W = 4,
                           .K = 3,
                           .kernel = kernel,
                           .stride = stride,
                           .pad = pad};
                check_layer(build_conv2d, &s, weighted);
            }
}
END_TEST

// ReLU's backward works on the pooled values, as in the plans that models emit.
static void build_pooled_conv2d(Case *c, const Sizes *s) {
    const int64_t wide[] = {ROWS, s->K, conv_height(s), conv_width(s)};
    const int64_t narrow[] = {ROWS, s->K,
                              after_window(wide[2], s->pool, s->pool_stride, s->pool_pad),
                              after_window(wide[3], s->pool, s->pool_stride, s->pool_pad)};
    conv2d_tensors(c, s);
    case_tensor(c, "z", DTYPE_F64, FILL_OUTPUT, 4, wide);
    case_tensor(c, "relu", DTYPE_F64, FILL_OUTPUT, 4, wide);
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, 4, narrow);
    case_tensor(c, "index", DTYPE_U8, FILL_OUTPUT, 4, narrow);
    case_tensor(c, "dy", DTYPE_F64, FILL_RANDOM, 4, narrow);
    case_tensor(c, "kept", DTYPE_F64, FILL_OUTPUT, 4, narrow);
    case_tensor(c, "dz", DTYPE_F64, FILL_OUTPUT, 4, wide);
    case_op(c, KIND_CONV2D, false, &s->kernel, "z", "x weight bias");
    case_op(c, KIND_RELU, false, NULL, "relu", "z");
    case_op(c, KIND_MAX_POOL, false, &s->pool, "y index", "relu");
    case_op(c, KIND_RELU_BACKWARD, false, NULL, "kept", "dy y");
    case_op(c, KIND_MAX_POOL_BACKWARD, false, &s->pool, "dz", "kept index");
    conv2d_backward_ops(c, s, "x dz", "dz weight");
}

START_TEST(gradients_of_conv2d_relu_and_max_pool) {
    Sizes s = {.rows = 2,
               .C = 2,
               .H = 7,
               .W = 6,
               .K = 3,
               .kernel = 3,
               .stride = 1,
               .pad = 1,
               .pool = 2,
               .pool_stride = 2};
    check_layer(build_pooled_conv2d, &s, weighted);
    s.pool = 3;  // windows overlap
    check_layer(build_pooled_conv2d, &s, weighted);
    s.pool_pad = 1;
    check_layer(build_pooled_conv2d, &s, weighted);
    s.pool_pad = 0;
    s.stride = 2;
    s.pool = s.pool_stride = 2;
    check_layer(build_pooled_conv2d, &s, weighted);
}
END_TEST

static void build_linear(Case *c, const Sizes *s) {
    case_tensor(c, "x", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C));
    case_tensor(c, "weight", DTYPE_F64, FILL_RANDOM, SHAPE(s->K, s->C));
    case_tensor(c, "bias", DTYPE_F64, FILL_RANDOM, SHAPE(s->K));
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->K));
    case_tensor(c, "dy", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->K));
    case_tensor(c, "dx", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_tensor(c, "dweight", DTYPE_F64, FILL_OUTPUT, SHAPE(s->K, s->C));
    case_tensor(c, "dbias", DTYPE_F64, FILL_OUTPUT, SHAPE(s->K));
    case_op(c, KIND_LINEAR, false, NULL, "y", "x weight bias");
    case_op(c, KIND_LINEAR_BACKWARD_INPUT, false, NULL, "dx", "dy weight");
    case_op(c, KIND_LINEAR_BACKWARD_WEIGHT, false, NULL, "dweight dbias", "x dy");
}

START_TEST(gradients_of_linear) {
    check_layer(build_linear, &(Sizes){.rows = 3, .C = 5, .K = 4}, weighted);
    check_layer(build_linear, &(Sizes){.rows = 1, .C = 1, .K = 7}, weighted);
}
END_TEST

static void build_relu(Case *c, const Sizes *s) {
    case_tensor(c, "x", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C));
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_tensor(c, "dy", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C));
    case_tensor(c, "dx", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(c, KIND_RELU, false, NULL, "y", "x");
    case_op(c, KIND_RELU_BACKWARD, false, NULL, "dx", "dy y");
}

START_TEST(gradients_of_relu) { check_layer(build_relu, &(Sizes){.rows = 3, .C = 9}, plain); }
END_TEST

static void build_max_pool(Case *c, const Sizes *s) {
    const int64_t narrow[] = {ROWS, s->C, after_window(s->H, s->pool, s->pool_stride, s->pool_pad),
                              after_window(s->W, s->pool, s->pool_stride, s->pool_pad)};
    case_tensor(c, "x", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C, s->H, s->W));
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, 4, narrow);
    case_tensor(c, "index", DTYPE_U8, FILL_OUTPUT, 4, narrow);
    case_tensor(c, "dy", DTYPE_F64, FILL_RANDOM, 4, narrow);
    case_tensor(c, "dx", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_op(c, KIND_MAX_POOL, false, &s->pool, "y index", "x");
    case_op(c, KIND_MAX_POOL_BACKWARD, false, &s->pool, "dx", "dy index");
}

START_TEST(gradients_of_max_pool) {
    static const int64_t windows[][3] = {
        {2, 2, 0}, {3, 2, 0}, {3, 1, 0}, {2, 3, 0},   // apart, overlapping, with gaps
        {2, 2, 1}, {3, 2, 1}, {4, 1, 2}, {2, 3, 1}};  // the same, padded
    for (int i = 0; i < 8; i++) {
        Sizes s = {.rows = 2,
                   .C = 2,
                   .H = 7,
                   .W = 6,
                   .pool = windows[i][0],
                   .pool_stride = windows[i][1],
                   .pool_pad = windows[i][2]};
        check_layer(build_max_pool, &s, plain);
    }
}
END_TEST

static void build_gelu(Case *c, const Sizes *s) {
    case_tensor(c, "x", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C));
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_tensor(c, "dy", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C));
    case_tensor(c, "dx", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(c, KIND_GELU, false, NULL, "y", "x");
    case_op(c, KIND_GELU_BACKWARD, false, NULL, "dx", "dy x");
}

START_TEST(gradients_of_gelu) { check_layer(build_gelu, &(Sizes){.rows = 3, .C = 9}, plain); }
END_TEST

// The window is kernel high and one wider, where there is room.
static void build_avg_pool(Case *c, const Sizes *s) {
    const int64_t attrs[] = {s->pool, s->pool + 1 > s->W ? s->W : s->pool + 1, s->pool_stride};
    const int64_t narrow[] = {ROWS, s->C, after_window(s->H, attrs[0], s->pool_stride, 0),
                              after_window(s->W, attrs[1], s->pool_stride, 0)};
    case_tensor(c, "x", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C, s->H, s->W));
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, 4, narrow);
    case_tensor(c, "dy", DTYPE_F64, FILL_RANDOM, 4, narrow);
    case_tensor(c, "dx", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_op(c, KIND_AVG_POOL, false, attrs, "y", "x");
    case_op(c, KIND_AVG_POOL_BACKWARD, false, attrs, "dx", "dy");
}

START_TEST(gradients_of_avg_pool) {
    static const int64_t windows[][2] = {
        {2, 3}, {3, 2}, {3, 1}, {2, 4}, {7, 1}};  // apart, overlapping, with gaps, global
    for (int i = 0; i < 5; i++) {
        Sizes s = {
            .rows = 2, .C = 2, .H = 7, .W = 6, .pool = windows[i][0], .pool_stride = windows[i][1]};
        check_layer(build_avg_pool, &s, plain);
    }
}
END_TEST

// The loss is the first of its two results: L = 1 loss[0] + 0 loss[1].
static void build_cross_entropy(Case *c, const Sizes *s) {
    case_tensor(c, "x", DTYPE_F64, FILL_RANDOM, SHAPE(ROWS, s->C));
    int labels = case_tensor(c, "labels", DTYPE_I32, FILL_INTEGER, SHAPE(ROWS));
    for (int64_t i = 0; i < s->rows; i++) c->before[labels][i] = rng_below(&c->rng, (uint32_t)s->C);
    case_set(c, case_tensor(c, "inverse_count", DTYPE_F64, FILL_OUTPUT, SHAPE(1)),
             (const double[]){0.2});
    case_tensor(c, "y", DTYPE_F64, FILL_OUTPUT, SHAPE(2));
    case_set(c, case_tensor(c, "dy", DTYPE_F64, FILL_OUTPUT, SHAPE(2)), (const double[]){1, 0});
    case_tensor(c, "probability", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_tensor(c, "dx", DTYPE_F64, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(c, KIND_CROSS_ENTROPY, false, NULL, "y probability", "x labels inverse_count");
    case_op(c, KIND_CROSS_ENTROPY_BACKWARD, false, NULL, "dx", "probability labels inverse_count");
}

START_TEST(gradients_of_cross_entropy) {
    check_layer(build_cross_entropy, &(Sizes){.rows = 5, .C = 10}, plain);
    check_layer(build_cross_entropy, &(Sizes){.rows = 1, .C = 2}, plain);
}
END_TEST

// --- a network

// Layers of a chain with and without their usual neighbours. In either network there are two
// micro-batches, of three rows and of two.
static const char *const chain = "model small\n"
                                 "input 2 9 8\n"
                                 "classes 3\n"
                                 "conv2d c1 out=3 kernel=3 pad=1\n"
                                 "relu\n"
                                 "max_pool kernel=2\n"
                                 "conv2d c2 out=4 kernel=3 pad=1\n"
                                 "max_pool kernel=2\n"
                                 "conv2d c3 out=3 kernel=2\n"
                                 "relu\n"
                                 "flatten\n"
                                 "linear fc1 out=5\n"
                                 "relu\n"
                                 "linear fc2 out=3\n";

// The layers that a chain does not need: outputs that are used twice, by a residual block and by
// two layers of one weight, which a third uses as well.
static const char *const graph = "model small\n"
                                 "input 2 7 6\n"
                                 "classes 3\n"
                                 "conv2d c1 out=3 kernel=3 pad=1\n"
                                 "relu\n"
                                 "block res\n"
                                 "  conv2d a out=3 kernel=3 pad=1\n"
                                 "  gelu\n"
                                 "  conv2d b out=3 kernel=3 pad=1 tie=a\n"
                                 "  add from=b,res.in\n"
                                 "end\n"
                                 "avg_pool kernel=3 stride=2\n"
                                 "avg_pool global=true\n"
                                 "flatten v\n"
                                 "linear fc1 out=3\n"
                                 "gelu g\n"
                                 "linear fc2 out=3 tie=fc1\n"
                                 "linear fc3 from=g out=3 tie=fc2 bias=false\n"
                                 "add from=fc2,fc3\n"
                                 "add from=add1,v\n"
                                 "linear out out=3\n";

// Positions: query, key and value apart, all from one layer, and packed; two heads of queries to
// one of keys.
static const char *const sequence = "model small\n"
                                    "input 5 8\n"
                                    "classes 3\n"
                                    "rms_norm n\n"
                                    "rotary r heads=2\n"
                                    "attention a from=r,r,n heads=2 causal=true\n"
                                    "dropout d p=0.3\n"
                                    "add x from=d,n\n"
                                    "attention b from=x heads=2 kv_heads=1\n"
                                    "swiglu g from=b,b\n"
                                    "rms_norm m eps=0.01\n"
                                    "flatten\n"
                                    "linear logits out=3\n";

static void set_scalar(Case *c, const char *name, double value) {
    case_set(c, gradient_tensor(c, name), &value);
}

static void init_network(Case *c, const char *network, uint32_t seed) {
    Model model;
    *c = (Case){.dtype = DTYPE_F64, .text = "network"};
    rng_init(&c->rng, seed, RNG_TEST, 2, 2);
    if (strchr(network, '\n'))
        ck_assert_ok(model_parse(&model, &c->arena, network, "network", ""));
    else
        ck_assert_ok(model_read(&model, &c->arena, network));
    StepSpec spec = {.dtype = DTYPE_F64,
                     .batch = 5,
                     .shards = 1,
                     .local_shards = 1,
                     .micro_batches = 2,
                     .evaluation_rows = 1,
                     .mesh.data = 1};
    ck_assert_ok(model_emit(&c->p, &model, &spec));
    c->plan = &c->p.plans[program_find_plan(&c->p, "step")];
    set_scalar(c, "inverse_count", 1.0 / 5);
    set_scalar(c, "learning_rate", 0);  // the updates leave the weights alone
    set_scalar(c, "rows.0.0", 3);
    set_scalar(c, "rows.0.1", 2);
    set_scalar(c, "evaluate.rows", 1);
    if (program_find_tensor(&c->p, "seed") != NONE) {
        set_scalar(c, "seed", 5);
        set_scalar(c, "step", 2);
        set_scalar(c, "first_row.0.0", 0);
        set_scalar(c, "first_row.0.1", 3);
    }
    for (int t = 0; t < c->p.tensor_count; t++) {
        const Tensor *e = &c->p.tensors[t];
        if (e->role != ROLE_PARAMETER && e->role != ROLE_INPUT) continue;
        case_fill(c, t, FILL_RANDOM);
        for (int64_t i = 0; e->dtype == DTYPE_I32 && i < case_elements(c, t); i++)
            c->before[t][i] = rng_below(&c->rng, 3);
    }
}

static void check_network(const char *network, const Pair *pairs) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (uint32_t seed = 0;; seed++) {
            ck_assert_uint_lt(seed, 50);
            Case c;
            init_network(&c, network, seed);
            bool smooth = is_smooth(&c);
            ck_assert_ok(program_lower(&c.p, devices[d]->traits));
            for (const Pair *p = pairs; smooth && p->x; p++)
                gradient_check(&c, devices[d], p->x, p->dx, "loss", (const double[]){1, 0});
            case_finish(&c);
            if (smooth) break;
        }
}

START_TEST(gradients_of_a_network) {
    static const Pair pairs[] = {{"c1.weight", "c1.weight.grad"},
                                 {"c1.bias", "c1.bias.grad"},
                                 {"c2.weight", "c2.weight.grad"},
                                 {"c2.bias", "c2.bias.grad"},
                                 {"c3.weight", "c3.weight.grad"},
                                 {"c3.bias", "c3.bias.grad"},
                                 {"fc1.weight", "fc1.weight.grad"},
                                 {"fc1.bias", "fc1.bias.grad"},
                                 {"fc2.weight", "fc2.weight.grad"},
                                 {"fc2.bias", "fc2.bias.grad"},
                                 {0}};
    check_network(chain, pairs);
}
END_TEST

START_TEST(gradients_of_a_network_that_is_no_chain) {
    static const Pair pairs[] = {{"c1.weight", "c1.weight.grad"},
                                 {"c1.bias", "c1.bias.grad"},
                                 {"res.a.weight", "res.a.weight.grad.sum"},
                                 {"res.a.bias", "res.a.bias.grad"},
                                 {"res.b.bias", "res.b.bias.grad"},
                                 {"fc1.weight", "fc1.weight.grad.sum"},
                                 {"fc1.bias", "fc1.bias.grad"},
                                 {"fc2.bias", "fc2.bias.grad"},
                                 {"out.weight", "out.weight.grad"},
                                 {0}};
    check_network(graph, pairs);
}
END_TEST

START_TEST(gradients_of_a_network_of_sequences) {
    static const Pair pairs[] = {{"n.weight", "n.weight.grad"},
                                 {"m.weight", "m.weight.grad"},
                                 {"logits.bias", "logits.bias.grad"},
                                 {0}};
    check_network(sequence, pairs);
}
END_TEST

#define LAYER "model.layers.0."
#define WEIGHT(name) \
    { name ".weight", name ".weight.grad" }
START_TEST(gradients_of_llama) {
    static const Pair pairs[] = {WEIGHT("model.embed_tokens"),
                                 WEIGHT(LAYER "input_layernorm"),
                                 WEIGHT(LAYER "self_attn.k_proj"),
                                 WEIGHT(LAYER "self_attn.o_proj"),
                                 WEIGHT(LAYER "mlp.gate_proj"),
                                 WEIGHT(LAYER "mlp.down_proj"),
                                 WEIGHT("model.norm"),
                                 {0}};
    check_network("llama:layers=1,hidden=4,heads=2,kv_heads=1,mlp=3,seq=3,vocabulary=3", pairs);
}
END_TEST

// Two of three experts, of which each has room for two thirds of a fair share, and their balance.
START_TEST(gradients_of_mixtral) {
    static const Pair pairs[] = {WEIGHT("model.embed_tokens"),
                                 WEIGHT(LAYER "post_attention_layernorm"),
                                 WEIGHT(LAYER "block_sparse_moe.gate"),
                                 WEIGHT(LAYER "block_sparse_moe.experts.w1"),
                                 WEIGHT(LAYER "block_sparse_moe.experts.w2"),
                                 WEIGHT(LAYER "block_sparse_moe.experts.w3"),
                                 {0}};
    check_network("mixtral:layers=1,hidden=4,heads=2,kv_heads=1,mlp=3,experts=3,top_k=2,"
                  "capacity=67,seq=3,vocabulary=3",
                  pairs);
}
END_TEST

// Attention in three operations, and dropout with masks that are kept.
START_TEST(gradients_of_megatron) {
    static const Pair pairs[] = {WEIGHT("h.0.ln_1"), WEIGHT("h.0.attn.c_attn"), WEIGHT("wpe"), {0}};
    check_network("megatron:layers=1,hidden=4,heads=2,seq=3,vocabulary=3", pairs);
}
END_TEST

SUITE_SECONDS("gradient", 120, gradients_of_conv2d, gradients_of_conv2d_relu_and_max_pool,
              gradients_of_linear, gradients_of_relu, gradients_of_max_pool, gradients_of_gelu,
              gradients_of_avg_pool, gradients_of_cross_entropy, gradients_of_a_network,
              gradients_of_a_network_that_is_no_chain, gradients_of_a_network_of_sequences,
              gradients_of_llama, gradients_of_mixtral, gradients_of_megatron)
