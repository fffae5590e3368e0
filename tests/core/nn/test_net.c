// SPDX-License-Identifier: MIT
// models/net.model as the executor runs it, fused and with memory that is used again: its gradient
// against central differences in f64, on every device.
//
// How far may (L(w + h d) - L(w - h d)) / 2h be from the derivative along d? As long as no ReLU
// and no maximum changes sides, which is looked at, the logits z are linear in h when d moves
// one tensor only. The third derivative of a row's loss is then the third cumulant of v = dz/dh
// under the softmax, at most R³ / (6 √3) with R the range of v (reached by two values with p =
// 1/2 ± 1/(2 √3)). So truncation is at most h²/6 · 0.0963 R³, and R is seen in the logits.
// Rounding: L is near log 10 = 2.3, where numbers are 2^-51 apart, and comes from logits below 1
// with errors of some 2^-53: both values together are allowed four such distances to either side
// (measured: at most 2^-50).
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "tests/support/step_driver.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_OF_NET = 4, CLASSES = 10, PIXELS = 28 * 28, TRIES = 40, ELEMENTS = 5, DIRECTIONS = 3 };

static const double H = 0x1p-19, ROUNDING = 0x1p-48;

static const char *const parameters[] = {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias",
                                         "fc1.weight",   "fc1.bias",   "fc2.weight",   "fc2.bias"};
static const char *const kinks[] = {"pool1.y", "pool1.index", "pool2.y", "pool2.index", "relu3.y"};
enum { PARAMETERS = sizeof parameters / sizeof *parameters, KINKS = sizeof kinks / sizeof *kinks };

typedef struct {
    StepDriver driver;
    Rng rng;
    float x[ROWS_OF_NET * PIXELS];
    int32_t labels[ROWS_OF_NET];
    int64_t count;
    double *w, *at;  // parameters: the place, and where the network was last evaluated
    const double *gradient[PARAMETERS], *logits;
} Net;

// What the network does at a place w + t d.
typedef struct {
    double loss, logits[ROWS_OF_NET * CLASSES];
    uint64_t side;  // hash of what every ReLU and every maximum decided
} Point;

static double uniform(Rng *rng) { return 2 * (double)rng_float(rng) - 1; }

static void init_net(Net *n, const char *device) {
    *n = (Net){0};
    rng_init(&n->rng, 3, RNG_TEST, 0, 0);
    for (int i = 0; i < ROWS_OF_NET * PIXELS; i++) n->x[i] = (float)uniform(&n->rng);
    for (int i = 0; i < ROWS_OF_NET; i++) n->labels[i] = (int32_t)rng_below(&n->rng, CLASSES);
    step_driver_init(&n->driver, &(StepOptions){.model = "net",
                                                .device = device,
                                                .dtype = DTYPE_F64,
                                                .batch = ROWS_OF_NET,
                                                .x = n->x,
                                                .labels = n->labels,
                                                .samples = ROWS_OF_NET});  // learning rate 0
    StepDriver *d = &n->driver;
    for (int k = 0; k < PARAMETERS; k++) {
        char name[64];
        snprintf(name, sizeof name, "%s.grad", parameters[k]);
        n->gradient[k] = step_driver_watch(d, name);
    }
    for (int k = 0; k < KINKS; k++) step_driver_watch(d, kinks[k]);
    n->logits = step_driver_watch(d, "fc2.y");
    n->count = step_driver_parameter_count(d);
    n->w = ARENA_NEW(&d->arena, double, n->count);
    n->at = ARENA_NEW(&d->arena, double, n->count);
    int64_t i = 0;
    for (int t = 0; t < d->program.tensor_count; t++) {
        const Tensor *tensor = &d->program.tensors[t];
        double fan_in = (double)d->program.logicals[tensor->logical].fan_in;
        for (int64_t e = 0; tensor->role == ROLE_PARAMETER && e < tensor_elements(tensor); e++)
            n->w[i++] = uniform(&n->rng) / sqrt(fan_in);
    }
    ck_assert_int_eq(i, n->count);
}

// A hash of the places of the maxima, and of which values are positive.
static uint64_t side_of(const StepDriver *d) {
    uint64_t hash = HASH_START;
    for (int k = PARAMETERS; k < PARAMETERS + KINKS; k++) {
        const Watched *w = &d->watched[k];
        bool index = d->program.tensors[w->tensor].dtype == DTYPE_U8;
        for (int64_t i = 0; i < w->elements; i++) {
            hash = hash_u64(hash, index ? (uint64_t)w->values[i] : w->values[i] > 0);
        }
    }
    return hash;
}

static void evaluate(Net *n, const double *direction, int64_t first, int64_t count, double t,
                     Point *p) {
    memcpy(n->at, n->w, (size_t)n->count * sizeof *n->w);
    for (int64_t i = 0; i < count; i++) n->at[first + i] += t * direction[i];
    step_driver_set_parameters(&n->driver, n->at);
    p->loss = step_driver_run(&n->driver);
    memcpy(p->logits, n->logits, sizeof p->logits);
    p->side = side_of(&n->driver);
}

// 0.0963 R³ of the worst row.
static double third_derivative(const Point *left, const Point *right) {
    double range = 0;
    for (int b = 0; b < ROWS_OF_NET; b++) {
        double low = HUGE_VAL, high = -HUGE_VAL;
        for (int c = b * CLASSES; c < (b + 1) * CLASSES; c++) {
            double v = (right->logits[c] - left->logits[c]) / (2 * H);
            low = fmin(low, v);
            high = fmax(high, v);
        }
        range = fmax(range, high - low);
    }
    return 0.0963 * range * range * range;
}

// The derivative along d of the tensor that begins at `first`. False when a kink lies in the way.
static bool check_direction(Net *n, const char *name, const double *d, int64_t first, int64_t count,
                            double analytic, uint64_t side) {
    Point left, right;
    evaluate(n, d, first, count, -H, &left);
    evaluate(n, d, first, count, H, &right);
    if (left.side != side || right.side != side) return false;
    double numeric = (right.loss - left.loss) / (2 * H);
    double most = H * H / 6 * third_derivative(&left, &right) + ROUNDING / (2 * H);
    ck_assert_msg(fabs(numeric - analytic) <= most,
                  "%s on %s: the gradient gives %.12g, the difference %.12g, off by %.3g > %.3g",
                  name, n->driver.options.device, analytic, numeric, fabs(numeric - analytic),
                  most);
    return true;
}

// `wanted` directions of one tensor: single elements, or all elements up or down at random, where
// no element can hide.
static void check_tensor(Net *n, int k, int64_t first, int64_t count, const double *gradient,
                         uint64_t side, bool single, int wanted) {
    double *d = ARENA_NEW(&n->driver.arena, double, count);
    int checked = 0;
    for (int try = 0; try < TRIES && checked < wanted; try++) {
        double analytic = 0;
        int64_t chosen = rng_below(&n->rng, (uint32_t)count);
        for (int64_t i = 0; i < count; i++) {
            d[i] = single ? i == chosen : rng_below(&n->rng, 2) ? 1 : -1;
            analytic += d[i] * gradient[i];
        }
        checked += check_direction(n, parameters[k], d, first, count, analytic, side);
    }
    ck_assert_msg(checked == wanted, "%s: kinks wherever one looks", parameters[k]);
}

static void check_net(const char *device) {
    Net *n = malloc(sizeof *n);
    Point here;
    init_net(n, device);
    evaluate(n, n->w, 0, 0, 0, &here);
    int64_t first = 0;
    for (int k = 0; k < PARAMETERS; k++) {
        int64_t count = n->driver.watched[k].elements;
        double *gradient = ARENA_NEW(&n->driver.arena, double, count);
        evaluate(n, n->w, 0, 0, 0, &here);
        memcpy(gradient, n->gradient[k], (size_t)count * sizeof *gradient);
        check_tensor(n, k, first, count, gradient, here.side, true, ELEMENTS);
        check_tensor(n, k, first, count, gradient, here.side, false, DIRECTIONS);
        first += count;
    }
    step_driver_finish(&n->driver);
    free(n);
}

START_TEST(the_networks_gradient_on_reference) { check_net("reference"); }
END_TEST

START_TEST(the_networks_gradient_on_cpu) {
    const Device *device;
    if (device_find(&device, "cpu") != OK) SKIP("no cpu device");
    check_net("cpu");
}
END_TEST

SUITE("net", the_networks_gradient_on_reference, the_networks_gradient_on_cpu)
