// SPDX-License-Identifier: MIT
#include "tests/support/choices.h"

#include "tests/support/testing.h"

#include <math.h>

// The first element of the window of y[k]: planes are rows, one below the other.
static const double *window_of(const ChoiceLayer *l, int64_t k) {
    return &l->x[k / l->OW * l->stride * l->W + k % l->OW * l->stride];
}

// f64's own best, ReLU's 0 being one of the candidates.
static double best_of(const ChoiceLayer *l, const double *window) {
    double most = 0;
    for (int64_t i = 0; i < l->stride; i++)
        for (int64_t j = 0; j < l->stride; j++) most = fmax(most, window[i * l->W + j]);
    return most;
}

static double chosen_of(const ChoiceLayer *l, const double *window, int64_t k) {
    int64_t i = l->index ? (int64_t)l->index[k] : 0;
    return l->y[k] > 0 ? window[i / l->stride * l->W + i % l->stride] : 0;
}

static void choose_values(void *context, double *y) {
    const ChoiceLayer *l = context;
    for (int64_t k = 0; k < l->count; k++) {
        const double *window = window_of(l, k);
        double chosen = chosen_of(l, window, k), best = best_of(l, window), gap = best - chosen;
        if (!(gap <= l->all->tie))
            ck_abort_msg("%s[%d]: f32 chose %.17g, of which f64 has %.17g, and %.17g is its best",
                         l->name, (int)k, l->y[k], chosen, best);
        l->all->different += gap > 0;
        l->all->widest = fmax(l->all->widest, gap);
        y[k] = l->y[k] > 0 && chosen <= 0 ? l->y[k] : chosen;  // above 0: its gradient passes
    }
}

static void choose_elements(void *context, double *index) {
    const ChoiceLayer *l = context;
    for (int64_t k = 0; k < l->count; k++)
        if (l->y[k] > 0) index[k] = l->index[k];
}

static const Tensor *tensor_of(const StepDriver *d, const char *name) {
    int t = program_find_tensor(&d->program, name);
    ck_assert_msg(t != NONE, "no tensor %s", name);
    return &d->program.tensors[t];
}

void choices_follow(Choices *c, StepDriver *f64, StepDriver *f32, const char *x, const char *y,
                    const char *index) {
    const Tensor *from = tensor_of(f64, x), *to = tensor_of(f64, y);
    ck_assert_int_lt(c->layer_count, CHOICES_LAYERS);
    ChoiceLayer *l = &c->layers[c->layer_count++];
    *l = (ChoiceLayer){.all = c,
                       .name = y,
                       .x = step_driver_watch(f64, x),
                       .y = step_driver_watch(f32, y),
                       .index = index ? step_driver_watch(f32, index) : NULL,
                       .count = tensor_elements(to),
                       .W = from->shape[from->dims - 1],
                       .OW = to->shape[to->dims - 1]};
    l->stride = l->W / l->OW;
    step_driver_correct(f64, y, choose_values, l);
    if (index) step_driver_correct(f64, index, choose_elements, l);
}
