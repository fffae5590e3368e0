// SPDX-License-Identifier: MIT
// The numbers of lesson 4: descent on a quadratic as it runs, and on a network of the trainer.
#include "lessons/04_descent/descent.h"

#include "lessons/engine/probe.h"

#include <math.h>
#include <string.h>

enum { LONG = 4000, HALVINGS = 40, POWERS = 150 };
static const double SMALL = 1e-3;

// --- the quadratic

static double uniform(Rng *r, double low, double high) {
    return low + (high - low) * (double)rng_float(r);
}

// Turn the directions in one plane after the other.
static void draw_directions(Descent *d, Rng *r) {
    for (int k = 0; k < DIRECTIONS; k++) d->direction[k][k] = 1;
    for (int i = 0; i < DIRECTIONS; i++)
        for (int j = i + 1; j < DIRECTIONS; j++) {
            double angle = uniform(r, 0.3, 1.2), c = cos(angle), s = sin(angle);
            for (int k = 0; k < DIRECTIONS; k++) {
                double x = d->direction[k][i], y = d->direction[k][j];
                d->direction[k][i] = c * x - s * y;
                d->direction[k][j] = s * x + c * y;
            }
        }
    for (int i = 0; i < DIRECTIONS; i++)
        for (int j = 0; j < DIRECTIONS; j++)
            for (int k = 0; k < DIRECTIONS; k++)
                d->a[i][j] += d->curvature[k] * d->direction[k][i] * d->direction[k][j];
}

Status descent_draw(const LessonRun *run, void *state) {
    Descent *d = state;
    Rng r = lesson_rng(run, 0);
    const double condition[] = {20, 30, 50, 80}, momentum[] = {0.5, 0.7, 0.8, 0.9};
    double most = round(10 * uniform(&r, 4, 12)) / 10, spread = condition[rng_below(&r, 4)];
    for (int k = 0; k < DIRECTIONS; k++)
        d->curvature[k] = round(1000 * most * pow(spread, -k / (DIRECTIONS - 1.0))) / 1000;
    d->momentum = momentum[rng_below(&r, 4)];
    draw_directions(d, &r);
    return OK;
}

double descent_condition(const Descent *d) {
    return d->curvature[0] / d->curvature[DIRECTIONS - 1];
}

double descent_best_rate(const Descent *d) {
    double sum = sqrt(d->curvature[0]) + sqrt(d->curvature[DIRECTIONS - 1]);
    return 4 / (sum * sum);
}

double descent_best_momentum(const Descent *d) {
    double root = sqrt(descent_condition(d));
    return pow((root - 1) / (root + 1), 2);
}

typedef struct {
    double w[DIRECTIONS], before[DIRECTIONS];
} Place;

static void begin(Place *p, const Descent *d) {
    *p = (Place){{0}, {0}};
    for (int i = 0; i < DIRECTIONS; i++)
        for (int k = 0; k < DIRECTIONS; k++) p->w[i] += d->direction[k][i];
    memcpy(p->before, p->w, sizeof p->w);
}

static void multiply(double out[DIRECTIONS], const Descent *d, const double w[DIRECTIONS]) {
    for (int i = 0; i < DIRECTIONS; i++) {
        out[i] = 0;
        for (int j = 0; j < DIRECTIONS; j++) out[i] += d->a[i][j] * w[j];
    }
}

// w' = w - rate A w + momentum (w - w before).
static void step(Place *p, const Descent *d, double rate, double momentum) {
    double gradient[DIRECTIONS];
    multiply(gradient, d, p->w);
    for (int i = 0; i < DIRECTIONS; i++) {
        double now = p->w[i];
        p->w[i] += momentum * (now - p->before[i]) - rate * gradient[i];
        p->before[i] = now;
    }
}

static double part(const Place *p, const Descent *d, int k) {
    double sum = 0;
    for (int i = 0; i < DIRECTIONS; i++) sum += d->direction[k][i] * p->w[i];
    return sum;
}

static double farthest(const Place *p, const Descent *d) {
    double most = 0;
    for (int k = 0; k < DIRECTIONS; k++) most = fmax(most, fabs(part(p, d, k)));
    return most;
}

static double loss_at(const Place *p, const Descent *d) {
    double gradient[DIRECTIONS], sum = 0;
    multiply(gradient, d, p->w);
    for (int i = 0; i < DIRECTIONS; i++) sum += p->w[i] * gradient[i] / 2;
    return sum;
}

int descent_count(const Descent *d, double rate, double momentum, double *loss) {
    Place p;
    begin(&p, d);
    for (int i = 0;; i++) {
        if (loss) loss[i] = loss_at(&p, d);
        if (i == DESCENT_STEPS || farthest(&p, d) < SMALL) return i;
        step(&p, d, rate, momentum);
    }
}

static bool converges(const Descent *d, double rate, double momentum) {
    Place p;
    begin(&p, d);
    for (int i = 0; i < LONG; i++) {
        step(&p, d, rate, momentum);
        if (!(farthest(&p, d) < 1e9)) return false;
    }
    return farthest(&p, d) < 1;
}

static double bisect(const Descent *d, double momentum) {
    double low = 0, high = 1;
    while (converges(d, high, momentum)) high *= 2;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        if (converges(d, middle, momentum))
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

// Multiply a vector by A again and again, and it turns to the direction of the largest curvature.
static double iterate_powers(const Descent *d) {
    double v[DIRECTIONS] = {1}, next[DIRECTIONS], size = 0;
    for (int n = 0; n < POWERS; n++) {
        multiply(next, d, v);
        size = 0;
        for (int i = 0; i < DIRECTIONS; i++) size += next[i] * next[i];
        size = sqrt(size);
        for (int i = 0; i < DIRECTIONS; i++) v[i] = next[i] / size;
    }
    return size;
}

Status descent_run_limit(const LessonRun *run, void *state) {
    Descent *d = state;
    d->limit = bisect(d, 0);
    d->momentum_limit = bisect(d, d->momentum);
    d->found_curvature = iterate_powers(d);
    return OK;
}

Status descent_run_steps(const LessonRun *run, void *state) {
    Descent *d = state;
    Place p;
    d->loss = ARENA_NEW(run->arena, double, DESCENT_STEPS + 1);
    d->momentum_loss = ARENA_NEW(run->arena, double, DESCENT_STEPS + 1);
    if (!d->loss || !d->momentum_loss) FAIL(ERR_MEMORY, "out of memory for losses");
    d->steps = descent_count(d, 1 / d->curvature[0], 0, d->loss);
    d->momentum_steps =
        descent_count(d, descent_best_rate(d), descent_best_momentum(d), d->momentum_loss);
    begin(&p, d);
    for (int i = 0; i < LOOK_STEPS; i++) step(&p, d, 1 / d->curvature[0], 0);
    for (int k = 0; k < DIRECTIONS; k++) d->left[k] = part(&p, d, k);
    return OK;
}

// --- a network

enum { SAMPLES = 40, MOST_WEIGHTS = 64, TRAINING = 400 };

// A point of the network's weights, and a direction.
typedef struct {
    Probe probe;
    int32_t rows[SAMPLES];
    double w[MOST_WEIGHTS], v[MOST_WEIGHTS];
} Point;

static Status gradient_at(double out[MOST_WEIGHTS], Point *p, double along) {
    double w[MOST_WEIGHTS];
    for (int64_t i = 0; i < p->probe.weight_count; i++) w[i] = p->w[i] + along * p->v[i];
    probe_set_weights(&p->probe, w);
    TRY(probe_step(&p->probe, p->rows, SAMPLES, 0));
    memcpy(out, p->probe.gradient, (size_t)p->probe.weight_count * sizeof *out);
    return OK;
}

// How the gradient changes along v: the Hessian times v, by a central difference of gradients.
static Status hessian_times(double out[MOST_WEIGHTS], Point *p) {
    const double h = 1e-4;
    double less[MOST_WEIGHTS];
    TRY(gradient_at(out, p, h));
    TRY(gradient_at(less, p, -h));
    for (int64_t i = 0; i < p->probe.weight_count; i++) out[i] = (out[i] - less[i]) / (2 * h);
    return OK;
}

static Status largest_curvature(double *out, Point *p) {
    int64_t n = p->probe.weight_count;
    for (int64_t i = 0; i < n; i++) p->v[i] = 1 / sqrt((double)n);
    for (int k = 0; k < POWERS; k++) {
        double next[MOST_WEIGHTS], size = 0;
        TRY(hessian_times(next, p));
        for (int64_t i = 0; i < n; i++) size += next[i] * next[i];
        *out = sqrt(size);
        for (int64_t i = 0; i < n; i++) p->v[i] = next[i] / *out;
    }
    return OK;
}

// By which factor a step of the trainer at this rate changes a small distance along v.
static Status growth(double *out, Point *p, double rate) {
    const double apart = 1e-4;
    double end[2][MOST_WEIGHTS], start[MOST_WEIGHTS];
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < p->probe.weight_count; i++)
            start[i] = p->w[i] + side * apart * p->v[i];
        probe_set_weights(&p->probe, start);
        TRY(probe_step(&p->probe, p->rows, SAMPLES, rate));
        probe_get_weights(&p->probe, end[side]);
    }
    *out = 0;
    for (int64_t i = 0; i < p->probe.weight_count; i++)
        *out += (end[1][i] - end[0][i]) * p->v[i] / apart;
    *out = fabs(*out);
    return OK;
}

static Status bisect_network(double *out, Point *p, double high) {
    double low = high / 8, factor;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        TRY(growth(&factor, p, middle));
        if (factor < 1)
            low = middle;
        else
            high = middle;
    }
    *out = (low + high) / 2;
    return OK;
}

static Status look_at_network(Descent *d, Point *p) {
    for (int i = 0; i < TRAINING; i++) TRY(probe_step(&p->probe, p->rows, SAMPLES, 0.3));
    probe_get_weights(&p->probe, p->w);
    TRY(largest_curvature(&d->network_curvature, p));
    TRY(bisect_network(&d->network_limit, p, 4 / d->network_curvature));
    d->network_known = true;
    return OK;
}

Status descent_run_network(const LessonRun *run, void *state) {
    Descent *d = state;
    Rng r = lesson_rng(run, 1);
    Point p = {.rows = {0}};
    double x[SAMPLES * 2];
    int32_t labels[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        x[2 * i] = uniform(&r, -1.5, 1.5);
        x[2 * i + 1] = uniform(&r, -1.5, 1.5);
        labels[i] = x[2 * i] * x[2 * i + 1] > 0;
        p.rows[i] = i;
    }
    Status s = probe_create(&p.probe, run->arena,
                            &(ProbeOptions){.model = "model bent\ninput 2\nclasses 2\n"
                                                     "linear fc1 out=8\ngelu\nlinear fc2 out=2\n",
                                            .text = true,
                                            .dtype = DTYPE_F64,
                                            .rows = SAMPLES,
                                            .x = x,
                                            .labels = labels});
    if (s == OK) s = look_at_network(d, &p);
    probe_destroy(&p.probe);
    return s;
}
