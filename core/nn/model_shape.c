// SPDX-License-Identifier: MIT
// Names and shapes of a network's layers, once all of its lines are read. Windows count as PyTorch
// counts them: out = floor((in + 2 pad - kernel) / stride) + 1.
#include "core/nn/model_internal.h"

#include <stdio.h>
#include <string.h>

enum { SHAPE_TEXT = 96 };

// Larger tensors are mistakes, and would overflow when they are multiplied by a batch.
enum { POOL_KERNEL_MAX = 16 };  // where gradients pass: a byte says which place was the maximum
static const int64_t ELEMENTS_MAX = (int64_t)1 << 40, MULTIPLY_ADDS_MAX = (int64_t)1 << 46;

static const char *shape_text(char out[SHAPE_TEXT], const int64_t *shape, int dims) {
    int at = 0;
    for (int i = 0; i < dims; i++)
        at += snprintf(out + at, (size_t)(SHAPE_TEXT - at), "%s%lld", i ? "×" : "",
                       (long long)shape[i]);
    return out;
}

#define FAIL_LAYER(s, fmt, ...)                                                            \
    FAIL((s), "%s:%d: %s %s: " fmt, m->source, l->line, layer_kind_name(l->kind), l->name, \
         __VA_ARGS__)

// --- names

static Status check_unique(const Model *m) {
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        for (int k = 0; l->name && k < i; k++)
            if (m->layers[k].name && !strcmp(m->layers[k].name, l->name))
                FAIL_LAYER(ERR_FORMAT, "the name is taken by the %s of line %d",
                           layer_kind_name(m->layers[k].kind), m->layers[k].line);
    }
    return OK;
}

static bool is_taken(const Model *m, const char *name) {
    for (int i = 0; i < m->layer_count; i++)
        if (m->layers[i].name && !strcmp(m->layers[i].name, name)) return true;
    return false;
}

// relu1, relu2 ... in the order of the file, past names that the file gives itself.
static Status name_layers(Model *m, Arena *a) {
    int used[LAYER_COUNT] = {0};
    for (int i = 0; i < m->layer_count; i++) {
        Layer *l = &m->layers[i];
        if (l->name) continue;
        char name[32];
        do snprintf(name, sizeof name, "%s%d", layer_kind_stem(l->kind), ++used[l->kind]);
        while (is_taken(m, name));
        if (!(l->name = arena_string(a, name))) FAIL(ERR_MEMORY, "%s: out of memory", m->source);
    }
    return OK;
}

// --- shapes

// Who made a layer's input, and what it is: "pool2 gives 20×4×4".
static const char *describe_input(const Model *m, const Layer *l, char out[192]) {
    char shape[SHAPE_TEXT];
    shape_text(shape, l->in, l->in_dims);
    if (l == m->layers)
        snprintf(out, 192, "the input is %s", shape);
    else
        snprintf(out, 192, "%.60s gives %s", l[-1].name, shape);
    return out;
}

// Windows of a kernel over rows and columns, as PyTorch counts them: partial ones are left out.
static Status slide(const Model *m, Layer *l, int64_t channels) {
    char input[192];
    if (l->in_dims != 3)
        FAIL_LAYER(ERR_SHAPE, "needs channels×height×width, but %s", describe_input(m, l, input));
    l->out_dims = 3;
    l->out[0] = channels;
    for (int i = 1; i < 3; i++) {
        int64_t padded = l->in[i] + 2 * l->pad;
        if (l->kernel > padded) {
            char grown[64] = "";
            if (l->pad)
                snprintf(grown, sizeof grown, ", padded to %lld×%lld",
                         (long long)(l->in[1] + 2 * l->pad), (long long)(l->in[2] + 2 * l->pad));
            FAIL_LAYER(ERR_SHAPE, "the kernel of %lld×%lld is larger than its input: %s%s",
                       (long long)l->kernel, (long long)l->kernel, describe_input(m, l, input),
                       grown);
        }
        l->out[i] = (padded - l->kernel) / l->stride + 1;
    }
    const int64_t largest = l->stride > l->pad ? l->stride : l->pad;
    if (largest > KIND_WINDOW_MAX)
        FAIL_LAYER(ERR_SHAPE, "%s is %lld, it can be at most %d",
                   largest == l->stride ? "stride" : "pad", (long long)largest, KIND_WINDOW_MAX);
    return OK;
}

// Sizes that the rest of the program may multiply without looking.
static Status check_sizes(const Model *m, const Layer *l) {
    int64_t out = 1, weights = l->out[0];
    bool fits = true;
    for (int i = 0; i < l->out_dims && fits; i++)
        fits = !__builtin_mul_overflow(out, l->out[i], &out) && out <= ELEMENTS_MAX;
    for (int i = 0; i < 3 && fits && layer_has_parameters(l); i++) {
        int64_t factor = i == 0 ? l->in[0] : l->kind == LAYER_CONV2D ? l->kernel : 1;
        fits = !__builtin_mul_overflow(weights, factor, &weights) && weights <= ELEMENTS_MAX;
    }
    fits = fits && (!layer_has_parameters(l) || out <= MULTIPLY_ADDS_MAX / layer_fan_in(l));
    char shape[SHAPE_TEXT];
    if (!fits)
        FAIL_LAYER(ERR_SHAPE, "too large: its output is %s",
                   shape_text(shape, l->out, l->out_dims));
    return OK;
}

static Status infer_layer(const Model *m, Layer *l) {
    switch (l->kind) {
    case LAYER_CONV2D: return slide(m, l, l->out[0]);
    case LAYER_MAX_POOL: return slide(m, l, l->in[0]);
    case LAYER_LINEAR: {
        char input[192];
        if (l->in_dims != 1)
            FAIL_LAYER(ERR_SHAPE, "needs a vector, but %s (add flatten before it)",
                       describe_input(m, l, input));
        l->out_dims = 1;
        return OK;
    }
    case LAYER_FLATTEN:
        l->out[0] = model_shape_elements(l->in, l->in_dims);
        l->out_dims = 1;
        return OK;
    case LAYER_RELU:
    case LAYER_COUNT: break;
    }
    memcpy(l->out, l->in, sizeof l->out);
    l->out_dims = l->in_dims;
    return OK;
}

static Status check_logits(const Model *m) {
    const Layer *l = &m->layers[m->layer_count - 1];
    if (l->out_dims == 1 && l->out[0] == m->classes) return OK;
    char shape[SHAPE_TEXT];
    FAIL_LAYER(ERR_SHAPE,
               "the last layer gives %s, but classes is %lld: it must give one logit per class",
               shape_text(shape, l->out, l->out_dims), (long long)m->classes);
}

Status model_infer(Model *m, Arena *a) {
    TRY(check_unique(m));
    TRY(name_layers(m, a));
    const int64_t *shape = m->input;
    int dims = m->input_dims;
    bool trained = false;
    for (int i = 0; i < m->layer_count; i++) {
        Layer *l = &m->layers[i];
        memcpy(l->in, shape, sizeof l->in);
        l->in_dims = dims;
        TRY(infer_layer(m, l));
        TRY(check_sizes(m, l));
        if (trained && l->kind == LAYER_MAX_POOL && l->kernel > POOL_KERNEL_MAX)
            FAIL_LAYER(ERR_SHAPE,
                       "kernel is %lld: behind a layer with parameters it can be at most %d",
                       (long long)l->kernel, POOL_KERNEL_MAX);
        shape = l->out;
        dims = l->out_dims;
        trained |= layer_has_parameters(l);
    }
    if (!trained)
        FAIL(ERR_FORMAT, "%s: no layer has parameters to train; add a linear or conv2d", m->source);
    return check_logits(m);
}
