// SPDX-License-Identifier: MIT
// Every device does what the reference does, over swept sizes: within the bound of device_case.h
// for random and extreme numbers, exactly for small integers; and twice the same whatever was in
// its scratch, its outputs and its address before (docs/contract.md, 5).
#include "tests/support/device_agree.h"

// A gradient of parameters holds something to add to, or junk.
static Fill gradient(const Sizes *s) { return s->accumulate ? s->fill : FILL_OUTPUT; }
static void at_least(Case *c, int64_t terms) {
    if (c->terms < terms) c->terms = terms;
}

// --- convolution

static const int64_t *conv_attrs(const Sizes *s) { return &s->kernel; }  // kernel stride pad

static void conv_operands(Case *c, const Sizes *s, Fill x, Fill y, const char *y_name) {
    case_tensor(c, "x", s->dtype, x, SHAPE(ROWS, s->C, s->H, s->W));
    case_tensor(c, y_name, s->dtype, y, SHAPE(ROWS, s->K, conv_height(s), conv_width(s)));
}

static void add_weight(Case *c, const Sizes *s, const char *name, const char *bias, Fill fill) {
    case_tensor(c, name, s->dtype, fill, SHAPE(s->K, s->C, s->kernel, s->kernel));
    if (s->bias) case_tensor(c, bias, s->dtype, fill, SHAPE(s->K));
}

static void build_conv2d(Case *c, const Sizes *s) {
    conv_operands(c, s, s->fill, FILL_OUTPUT, "y");
    add_weight(c, s, "weight", "bias", s->fill == FILL_NAN ? FILL_INTEGER : s->fill);
    case_op(c, KIND_CONV2D, false, conv_attrs(s), "y", s->bias ? "x weight bias" : "x weight");
    at_least(c, s->C * s->kernel * s->kernel + 1);
}

static void build_conv2d_backward_input(Case *c, const Sizes *s) {
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_tensor(c, "dy", s->dtype, s->fill, SHAPE(ROWS, s->K, conv_height(s), conv_width(s)));
    case_tensor(c, "weight", s->dtype, s->fill, SHAPE(s->K, s->C, s->kernel, s->kernel));
    case_op(c, KIND_CONV2D_BACKWARD_INPUT, false, conv_attrs(s), "dx", "dy weight");
    at_least(c, s->K * s->kernel * s->kernel);
}

static void backward_weight_op(Case *c, const Sizes *s, const char *x_dy) {
    case_op(c, KIND_CONV2D_BACKWARD_WEIGHT, s->accumulate, conv_attrs(s),
            s->bias ? "dweight dbias" : "dweight", x_dy);
    at_least(c, s->rows * conv_height(s) * conv_width(s) + 1);
}

static void build_conv2d_backward_weight(Case *c, const Sizes *s) {
    conv_operands(c, s, s->fill, s->fill, "dy");
    add_weight(c, s, "dweight", "dbias", gradient(s));
    backward_weight_op(c, s, "x dy");
}

START_TEST(convolutions_agree) {
    sweep_windows(build_conv2d, NONE, 1, 1);
    sweep_net(build_conv2d, NONE);
    sweep_residual(build_conv2d, NONE);
}
END_TEST

START_TEST(gradients_of_a_convolutions_input_agree) {
    sweep_windows(build_conv2d_backward_input, NONE, 1, 1);
    sweep_net(build_conv2d_backward_input, NONE);
    sweep_residual(build_conv2d_backward_input, NONE);
}
END_TEST

START_TEST(gradients_of_a_convolutions_weights_agree) {
    sweep_windows(build_conv2d_backward_weight, NONE, 1, 1);
    sweep_net(build_conv2d_backward_weight, NONE);
    sweep_residual(build_conv2d_backward_weight, NONE);
}
END_TEST

// --- chains that may be fused

static void build_conv2d_relu(Case *c, const Sizes *s) {
    build_conv2d(c, s);
    case_tensor(c, "relu", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->K, conv_height(s), conv_width(s)));
    case_op(c, KIND_RELU, false, NULL, "relu", "y");
}

static void build_conv2d_relu_max_pool(Case *c, const Sizes *s) {
    build_conv2d_relu(c, s);
    case_tensor(c, "pooled", s->dtype, FILL_OUTPUT,
                SHAPE(ROWS, s->K, pool_height(s), pool_width(s)));
    if (s->index)
        case_tensor(c, "index", DTYPE_U8, FILL_OUTPUT,
                    SHAPE(ROWS, s->K, pool_height(s), pool_width(s)));
    case_op(c, KIND_MAX_POOL, false, &s->pool, s->index ? "pooled index" : "pooled", "relu");
}

START_TEST(convolution_and_relu_agree) {
    sweep_windows(build_conv2d_relu, FUSION_CONV2D_RELU, 1, 1);
    sweep_net(build_conv2d_relu, FUSION_CONV2D_RELU);
}
END_TEST

START_TEST(convolution_relu_and_pooling_agree) {
    sweep_windows(build_conv2d_relu_max_pool, FUSION_CONV2D_RELU_MAX_POOL, 2, 2);
    sweep_windows(build_conv2d_relu_max_pool, FUSION_CONV2D_RELU_MAX_POOL, 3, 2);
    sweep_windows(build_conv2d_relu_max_pool, FUSION_CONV2D_RELU_MAX_POOL, 3, 1);
    sweep_net(build_conv2d_relu_max_pool, FUSION_CONV2D_RELU_MAX_POOL);
}
END_TEST

static void build_conv2d_backward(Case *c, const Sizes *s) {
    build_conv2d_backward_weight(c, s);
    case_tensor(c, "weight", s->dtype, s->fill, SHAPE(s->K, s->C, s->kernel, s->kernel));
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_op(c, KIND_CONV2D_BACKWARD_INPUT, false, conv_attrs(s), "dx", "dy weight");
    at_least(c, s->K * s->kernel * s->kernel);
}

START_TEST(both_gradients_of_a_convolution_agree) {
    sweep_windows(build_conv2d_backward, FUSION_CONV2D_BACKWARD, 1, 1);
    sweep_net(build_conv2d_backward, FUSION_CONV2D_BACKWARD);
    sweep_residual(build_conv2d_backward, FUSION_CONV2D_BACKWARD);
}
END_TEST

// The backward of conv2d, relu and max_pool: relu on the pooled values, as models emit it.
static void build_pooled_backward_weight(Case *c, const Sizes *s) {
    const int64_t pooled[] = {ROWS, s->K, pool_height(s), pool_width(s)};
    case_tensor(c, "dpooled", s->dtype, s->fill, 4, pooled);
    c->magnitude[case_tensor(c, "pooled", s->dtype, s->fill, 4, pooled)] = MAGNITUDE_SAME;
    case_tensor(c, "kept", s->dtype, FILL_OUTPUT, 4, pooled);
    device_agree_index(c, &s->pool, conv_height(s), conv_width(s), pooled);
    conv_operands(c, s, s->fill, FILL_OUTPUT, "dy");
    add_weight(c, s, "dweight", "dbias", gradient(s));
    case_op(c, KIND_RELU_BACKWARD, false, NULL, "kept", "dpooled pooled");
    case_op(c, KIND_MAX_POOL_BACKWARD, false, &s->pool, "dy", "kept index");
    backward_weight_op(c, s, "x dy");
    c->terms += s->pool * s->pool;  // a place may be the maximum of that many windows
}

static void build_pooled_backward(Case *c, const Sizes *s) {
    build_pooled_backward_weight(c, s);
    case_tensor(c, "weight", s->dtype, s->fill, SHAPE(s->K, s->C, s->kernel, s->kernel));
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C, s->H, s->W));
    case_op(c, KIND_CONV2D_BACKWARD_INPUT, false, conv_attrs(s), "dx", "dy weight");
    at_least(c, s->K * s->kernel * s->kernel + s->pool * s->pool);
}

START_TEST(gradients_of_a_pooled_convolution_agree) {
    sweep_windows(build_pooled_backward_weight, FUSION_POOLED_CONV2D_BACKWARD, 2, 2);
    sweep_windows(build_pooled_backward, FUSION_POOLED_CONV2D_BACKWARD, 2, 2);
    sweep_windows(build_pooled_backward, FUSION_POOLED_CONV2D_BACKWARD, 3, 2);
    sweep_windows(build_pooled_backward, FUSION_POOLED_CONV2D_BACKWARD, 3, 1);
    sweep_net(build_pooled_backward, FUSION_POOLED_CONV2D_BACKWARD);
}
END_TEST

// --- linear

static void build_linear(Case *c, const Sizes *s) {
    case_tensor(c, "x", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "weight", s->dtype, s->fill, SHAPE(s->K, s->C));
    if (s->bias) case_tensor(c, "bias", s->dtype, s->fill, SHAPE(s->K));
    case_tensor(c, "y", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->K));
    case_op(c, KIND_LINEAR, false, NULL, "y", s->bias ? "x weight bias" : "x weight");
    at_least(c, s->C + 1);
}

static void build_linear_relu(Case *c, const Sizes *s) {
    build_linear(c, s);
    case_tensor(c, "relu", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->K));
    case_op(c, KIND_RELU, false, NULL, "relu", "y");
}

static void build_linear_backward(Case *c, const Sizes *s) {
    case_tensor(c, "x", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "dy", s->dtype, s->fill, SHAPE(ROWS, s->K));
    case_tensor(c, "weight", s->dtype, s->fill, SHAPE(s->K, s->C));
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_tensor(c, "dweight", s->dtype, gradient(s), SHAPE(s->K, s->C));
    if (s->bias) case_tensor(c, "dbias", s->dtype, gradient(s), SHAPE(s->K));
    case_op(c, KIND_LINEAR_BACKWARD_WEIGHT, s->accumulate, NULL,
            s->bias ? "dweight dbias" : "dweight", "x dy");
    case_op(c, KIND_LINEAR_BACKWARD_INPUT, false, NULL, "dx", "dy weight");
    at_least(c, s->rows + 1);
    at_least(c, s->K);
}

START_TEST(linear_layers_agree) {
    sweep_vectors(build_linear, NONE);
    sweep_vectors(build_linear_relu, FUSION_LINEAR_RELU);
    sweep_vectors(build_linear_backward, NONE);
}
END_TEST

// --- element by element

static void build_relu(Case *c, const Sizes *s) {
    case_tensor(c, "x", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "y", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_tensor(c, "dy", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "dx", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(c, KIND_RELU, false, NULL, "y", "x");
    case_op(c, KIND_RELU_BACKWARD, false, NULL, "dx", "dy y");
}

static void build_fold(Case *c, const Sizes *s) {
    case_tensor(c, "x", s->dtype, s->fill, SHAPE(s->C, s->K));
    case_tensor(c, "sum", s->dtype, gradient(s), SHAPE(s->C, s->K));
    case_op(c, KIND_FOLD, s->accumulate, NULL, "sum", "x");
}

static void build_sgd(Case *c, const Sizes *s) {
    const int64_t attrs[] = {build_attr_real(s->accumulate ? 0.9 : 0.5),
                             build_attr_real(s->K % 2 ? 0.25 : 0), s->C % 2};
    case_tensor(c, "weight", s->dtype, s->fill, SHAPE(s->C, s->K));
    if (s->bias) case_tensor(c, "velocity", s->dtype, s->fill, SHAPE(s->C, s->K));
    case_tensor(c, "gradient", s->dtype, s->fill, SHAPE(s->C, s->K));
    int rate = case_tensor(c, "rate", DTYPE_F64, FILL_OUTPUT, SHAPE(1));
    case_set(c, rate, (const double[]){0.1});
    c->magnitude[rate] = MAGNITUDE_NEGATED;  // what is subtracted has to be added
    case_op(c, KIND_SGD, false, attrs, s->bias ? "weight velocity" : "weight", "gradient rate");
    at_least(c, 8);  // roundings on the way from any input to the weight, constants included
}

// The same operations in the same order: not one bit differs.
static void build_adam(Case *c, const Sizes *s) {
    const int64_t attrs[] = {build_attr_real(0.9), build_attr_real(0.99), build_attr_real(1e-8),
                             build_attr_real(s->accumulate ? 0.25 : 0), s->bias};
    case_tensor(c, "weight", s->dtype, s->fill, SHAPE(s->C, s->K));
    case_tensor(c, "exp_avg", s->dtype, s->fill, SHAPE(s->C, s->K));
    int squares = case_tensor(c, "exp_avg_sq", s->dtype, s->fill, SHAPE(s->C, s->K));
    for (int64_t i = 0; i < case_elements(c, squares); i++)
        c->before[squares][i] = fabs(c->before[squares][i]);
    case_tensor(c, "gradient", s->dtype, s->fill, SHAPE(s->C, s->K));
    case_set(c, case_tensor(c, "rate", DTYPE_F64, FILL_OUTPUT, SHAPE(1)), (const double[]){0.1});
    case_set(c, case_tensor(c, "step", DTYPE_I64, FILL_OUTPUT, SHAPE(1)), (const double[]){3});
    case_op(c, KIND_ADAM, false, attrs, "weight exp_avg exp_avg_sq", "gradient rate step");
}

// Squares of small integers: sums are exact in any order.
static void build_square_sums(Case *c, const Sizes *s) {
    case_tensor(c, "gradient", s->dtype, s->fill, SHAPE(s->C, 3 * s->K));
    case_tensor(c, "partial", DTYPE_F64, FILL_OUTPUT, SHAPE((s->C * 3 * s->K + 4095) / 4096));
    case_op(c, KIND_SQUARE_SUMS, false, NULL, "partial", "gradient");
}

static void build_add(Case *c, const Sizes *s) {
    case_tensor(c, "a", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "b", s->dtype, s->fill, SHAPE(ROWS, s->C));
    case_tensor(c, "y", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(c, KIND_ADD, false, NULL, "y", "a b");
}

START_TEST(element_by_element_operations_agree) {
    sweep_vectors(build_relu, NONE);
    sweep_vectors(build_add, NONE);
    sweep_vectors(build_fold, NONE);
}
END_TEST

// Decimal fractions are not exact: no sweep of integers without a bound.
START_TEST(updates_agree) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 128 * count; i++) {
        static const int64_t widths[] = {1, 3, 64, 1001};
        Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                   .fill = i & 2 ? FILL_EDGE : FILL_RANDOM,
                   .capacity = 1,
                   .rows = 1,
                   .bias = i & 4,
                   .accumulate = i & 8,
                   .C = 2 + (i >> 4 & 1),
                   .K = widths[i >> 5 & 3]};
        device_agree(devices[i / 128], build_sgd, &s, NONE);
        device_agree(devices[i / 128], build_adam, &s, NONE);
        s.fill = FILL_INTEGER;
        device_agree(devices[i / 128], build_square_sums, &s, NONE);
    }
}
END_TEST

// A NaN in the data is a NaN in the results, in vectors and in what is left over of them.
START_TEST(nans_and_infinities_pass) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 2 * 20 * count; i++) {
        Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                   .fill = FILL_NAN,
                   .capacity = 3,
                   .rows = 2,
                   .C = 2,
                   .H = 12,
                   .W = 9 + i / 2 % 20,
                   .K = 3,
                   .kernel = 2,
                   .stride = 2,
                   .pool = 2,
                   .pool_stride = 2,
                   .index = true};
        const Device *d = devices[i / 40];
        s.C = s.W;
        device_agree(d, build_relu, &s, NONE);
        device_agree(d, build_add, &s, NONE);
        s.C = 1;
        s.kernel = s.stride = 1;
        device_agree(d, build_conv2d_relu_max_pool, &s, FUSION_CONV2D_RELU_MAX_POOL);
    }
}
END_TEST

// --- the loss

// exp() differs by at most 4 u between two libraries (each within 2 units in the last place), a sum
// of C of them by C u more on each side, a quotient by u: `relative` of a probability. The
// logarithm makes the sum's relative error an absolute one; the other part of a row's loss is one
// rounded difference of logits; the f64 sum over rows rounds by less than 2^-50 of the whole.
static void compare_loss(const Case *c, const Values *got, const Values *want,
                         double inverse_count) {
    double u = c->dtype == DTYPE_F32 ? 0x1p-24 : 0x1p-53,
           least = c->dtype == DTYPE_F32 ? 0x1p-149 : 0x1p-1074;
    int p = program_find_tensor(&c->p, "probability"), loss = program_find_tensor(&c->p, "loss");
    int64_t C = c->p.tensors[p].shape[1];
    double relative = 2 * (double)(C + 6) * u, most = 0;
    for (int64_t i = 0; i < case_elements(c, p); i++) {
        double a = got->of[p][i], b = want->of[p][i];
        if (!(fabs(a - b) <= relative * b + 2 * least))
            ck_abort_msg("%s: probability[%lld] is %.9g, not %.9g", c->text, (long long)i, a, b);
    }
    const double *z = c->before[program_find_tensor(&c->p, "logits")];
    const double *labels = c->before[program_find_tensor(&c->p, "labels")];
    for (int64_t b = 0; b < c->rows; b++) {
        double max = z[b * C], label = z[b * C + (int64_t)labels[b]];
        for (int64_t k = 1; k < C; k++) max = fmax(max, z[b * C + k]);
        most += relative + 2 * u * (max - label) + 0x1p-50 * (max - label + log((double)C));
    }
    if (!(fabs(got->of[loss][0] - want->of[loss][0]) <= most * inverse_count + 0x1p-50))
        ck_abort_msg("%s: loss %.17g, not %.17g", c->text, got->of[loss][0], want->of[loss][0]);
    if (got->of[loss][1] != want->of[loss][1])
        ck_abort_msg("%s: %g rows right", c->text, got->of[loss][1]);
}

static int add_labels(Case *c, int64_t classes) {
    int t = case_tensor(c, "labels", DTYPE_I32, FILL_INTEGER, SHAPE(ROWS));
    for (int64_t i = 0; i < c->rows; i++) c->before[t][i] = rng_below(&c->rng, (uint32_t)classes);
    return t;
}

static void add_inverse_count(Case *c, double value) {
    int t = case_tensor(c, "inverse_count", DTYPE_F64, FILL_OUTPUT, SHAPE(1));
    case_set(c, t, &value);
    c->magnitude[t] = MAGNITUDE_NEGATED;
}

static void agree_on_loss(const Device *d, const Sizes *s, double scale) {
    Case c;
    case_init(&c, s->dtype, s->capacity, s->rows);
    snprintf(c.text, sizeof c.text, "%s %s: cross_entropy, %lld of %lld rows, C %lld, logits to %g",
             d->name, dtype_name(s->dtype), (long long)s->rows, (long long)s->capacity,
             (long long)s->C, scale);
    int logits = case_tensor(&c, "logits", s->dtype, FILL_RANDOM, SHAPE(ROWS, s->C));
    for (int64_t i = 0; i < case_elements(&c, logits); i++)
        c.before[logits][i] = (double)(float)(c.before[logits][i] * scale);
    add_labels(&c, s->C);
    add_inverse_count(&c, 1.0 / 64);
    int loss = case_tensor(&c, "loss", DTYPE_F64, FILL_OUTPUT, SHAPE(2));
    if (s->accumulate) case_set(&c, loss, (const double[]){0.5, 3});
    int p = case_tensor(&c, "probability", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(&c, KIND_CROSS_ENTROPY, s->accumulate, NULL, "loss probability",
            "logits labels inverse_count");
    Values want = case_run(&c, &device_reference, (CaseRun){.junk = JUNK_NAN});
    ck_assert_ok(program_lower(&c.p, d->traits));
    Values got = case_run(&c, d, (CaseRun){.junk = JUNK_NAN}),
           again = case_run(&c, d, (CaseRun){.junk = JUNK_NUMBER});
    compare_loss(&c, &got, &want, 1.0 / 64);
    case_compare_bits(&c, loss, &again, &got);
    case_compare_bits(&c, p, &again, &got);
    case_finish(&c);
}

// dlogits = (p - onehot) / count; its terms add up with p and 1/count negated: (-p
// - onehot) (-1/count).
static void build_cross_entropy_backward(Case *c, const Sizes *s) {
    int p = case_tensor(c, "probability", s->dtype, FILL_RANDOM, SHAPE(ROWS, s->C));
    for (int64_t i = 0; i < case_elements(c, p); i++) c->before[p][i] = fabs(c->before[p][i]);
    c->magnitude[p] = MAGNITUDE_NEGATED;
    add_labels(c, s->C);
    add_inverse_count(c, 1.0 / 3);
    case_tensor(c, "dlogits", s->dtype, FILL_OUTPUT, SHAPE(ROWS, s->C));
    case_op(c, KIND_CROSS_ENTROPY_BACKWARD, false, NULL, "dlogits",
            "probability labels inverse_count");
    at_least(c, 4);
}

START_TEST(losses_agree) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    static const int64_t classes[] = {1, 2, 3, 10, 101};
    for (int i = 0; i < SWEPT_ROWS * 5 * 2 * 2 * count; i++) {
        Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                   .fill = FILL_RANDOM,
                   .accumulate = i & 2,
                   .rows = swept_rows[i / 4 % SWEPT_ROWS][0],
                   .capacity = swept_rows[i / 4 % SWEPT_ROWS][1],
                   .C = classes[i / 4 / SWEPT_ROWS % 5]};
        const Device *d = devices[i / (20 * SWEPT_ROWS)];
        agree_on_loss(d, &s, 4);
        agree_on_loss(d, &s, 1000);
        device_agree(d, build_cross_entropy_backward, &s, NONE);
    }
}
END_TEST

// --- history

// Equal bits from the first call and from one after calls of other shapes.
START_TEST(what_ran_before_changes_nothing) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++) {
        Sizes s = {.dtype = DTYPE_F32,
                   .fill = FILL_RANDOM,
                   .capacity = 4,
                   .rows = 3,
                   .C = 5,
                   .H = 12,
                   .W = 11,
                   .K = 7,
                   .kernel = 3,
                   .stride = 1,
                   .pad = 1,
                   .pool = 2,
                   .pool_stride = 2,
                   .bias = true};
        Case c;
        case_init(&c, s.dtype, s.capacity, s.rows);
        build_pooled_backward(&c, &s);
        ck_assert_ok(program_lower(&c.p, devices[d]->traits));
        Values first = case_run(&c, devices[d], (CaseRun){.junk = JUNK_NUMBER});
        Sizes other = {
            .dtype = DTYPE_F64, .fill = FILL_EDGE, .capacity = 61, .rows = 61, .C = 33, .K = 17};
        device_agree(devices[d], build_linear, &other, NONE);
        Values then = case_run(&c, devices[d], (CaseRun){.junk = JUNK_NUMBER});
        for (int t = 0; t < c.p.tensor_count; t++)
            if (case_is_output(&c, t)) case_compare_bits(&c, t, &then, &first);
        case_finish(&c);
    }
}
END_TEST

SUITE_SECONDS("device agreement", 240, convolutions_agree, gradients_of_a_convolutions_input_agree,
              gradients_of_a_convolutions_weights_agree, convolution_and_relu_agree,
              convolution_relu_and_pooling_agree, both_gradients_of_a_convolution_agree,
              gradients_of_a_pooled_convolution_agree, linear_layers_agree,
              element_by_element_operations_agree, updates_agree, nans_and_infinities_pass,
              losses_agree, what_ran_before_changes_nothing)
