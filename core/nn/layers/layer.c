// SPDX-License-Identifier: MIT
// The table of kinds of layers, and what their rows share.
#include "core/nn/layers/layer_internal.h"

#include <stdio.h>
#include <string.h>

const LayerRow *const layer_rows[] = {
#define X(name) &layer_##name,
    LAYER_LIST(X)
#undef X
        NULL};

const LayerRow *layer_find(const char *word) {
    for (int i = 0; layer_rows[i]; i++)
        if (!strcmp(layer_rows[i]->word, word)) return layer_rows[i];
    return NULL;
}

// --- inputs

const int64_t *layer_input_shape(const Model *m, const Layer *l, int k, int *dims) {
    const Layer *from = l->inputs[k] == NONE ? NULL : &m->layers[l->inputs[k]];
    *dims = from ? from->out_dims : m->input_dims;
    return from ? from->out : m->input;
}

bool layer_input_trained(const Model *m, const Layer *l, int k) {
    return l->inputs[k] != NONE && m->layers[l->inputs[k]].trained;
}

const char *layer_describe_shape(const int64_t *shape, int dims, char out[LAYER_SHAPE]) {
    int at = 0;
    for (int i = 0; i < dims; i++)
        at += snprintf(out + at, (size_t)(LAYER_SHAPE - at), "%s%lld", i ? "×" : "",
                       (long long)shape[i]);
    return out;
}

const char *layer_describe_input(const Model *m, const Layer *l, int input, char out[LAYER_SHAPE]) {
    char text[LAYER_SHAPE];
    int dims;
    const int64_t *shape = layer_input_shape(m, l, input, &dims);
    layer_describe_shape(shape, dims, text);
    if (l->inputs[input] == NONE)
        snprintf(out, LAYER_SHAPE, "the input is %.100s%s", text, m->tokens ? " tokens" : "");
    else
        snprintf(out, LAYER_SHAPE, "%.80s gives %.100s", m->layers[l->inputs[input]].name, text);
    return out;
}

Status layer_check_vectors(const Model *m, const Layer *l) {
    char input[LAYER_SHAPE];
    if (l->in_dims <= 2) return OK;
    LAYER_FAIL(ERR_SHAPE, m, l, "needs a vector, but %s (add flatten before it)",
               layer_describe_input(m, l, 0, input));
}

// --- shapes

int64_t layer_elements(const int64_t *shape, int dims) {
    int64_t n = 1;
    for (int i = 0; i < dims; i++)
        if (__builtin_mul_overflow(n, shape[i], &n)) return INT64_MAX;
    return n;
}

void layer_keep_shape(Layer *l) {
    memcpy(l->out, l->in, sizeof l->out);
    l->out_dims = l->in_dims;
}

static Status too_small(const Model *m, const Layer *l, const LayerWindow *w) {
    char input[LAYER_SHAPE], grown[64] = "";
    if (w->pad)
        snprintf(grown, sizeof grown, ", padded to %lld×%lld", (long long)(l->in[1] + 2 * w->pad),
                 (long long)(l->in[2] + 2 * w->pad));
    LAYER_FAIL(ERR_SHAPE, m, l, "the kernel of %lld×%lld is larger than its input: %s%s",
               (long long)w->height, (long long)w->width, layer_describe_input(m, l, 0, input),
               grown);
}

Status layer_needs_positions(const Model *m, const Layer *l) {
    char input[LAYER_SHAPE];
    if (l->in_dims == 2) return OK;
    LAYER_FAIL(ERR_SHAPE, m, l, "needs positions×channels, but %s",
               layer_describe_input(m, l, 0, input));
}

Status layer_slide(const Model *m, Layer *l, int64_t channels, const LayerWindow *w) {
    char input[LAYER_SHAPE];
    if (l->in_dims != 3)
        LAYER_FAIL(ERR_SHAPE, m, l, "needs channels×height×width, but %s",
                   layer_describe_input(m, l, 0, input));
    const int64_t size[] = {w->height, w->width};
    l->out_dims = 3;
    l->out[0] = channels;
    for (int i = 0; i < 2; i++) {
        int64_t room = l->in[i + 1] + 2 * w->pad - size[i];
        if (room < 0) return too_small(m, l, w);
        l->out[i + 1] = room / w->stride + 1;
    }
    const int64_t largest = w->stride > w->pad ? w->stride : w->pad;
    if (largest > KIND_WINDOW_MAX)
        LAYER_FAIL(ERR_SHAPE, m, l, "%s is %lld, it can be at most %d",
                   largest == w->stride ? "stride" : "pad", (long long)largest, KIND_WINDOW_MAX);
    return OK;
}

// --- parameters

void layer_add_parameter(Layer *l, const char *name, int dims, const int64_t *shape,
                         int64_t fan_in) {
    LayerParameter *p = &l->parameters[l->parameter_count++];
    *p = (LayerParameter){.name = name, .dims = dims, .fan_in = fan_in};
    memcpy(p->shape, shape, (size_t)dims * sizeof *shape);
}

void layer_add_normal(Layer *l, const char *name, int dims, const int64_t *shape, double std) {
    layer_add_parameter(l, name, dims, shape, 0);
    l->parameters[l->parameter_count - 1].normal = std;
}

void layer_add_constant(Layer *l, const char *name, int dims, const int64_t *shape, double value) {
    layer_add_parameter(l, name, dims, shape, 0);
    l->parameters[l->parameter_count - 1].constant = value;
}

void layer_add_state(Layer *l, const char *name, int dims, const int64_t *shape, double value) {
    layer_add_constant(l, name, dims, shape, value);
    l->parameters[l->parameter_count - 1].state = true;
}

void layer_add_weight_and_bias(Layer *l, int dims, const int64_t *shape) {
    int64_t fan_in = layer_elements(shape + 1, dims - 1);
    bool normal = layer_gives(l, ATTRIBUTE_STD);
    if (normal)
        layer_add_normal(l, "weight", dims, shape, l->real[ATTRIBUTE_STD]);
    else
        layer_add_parameter(l, "weight", dims, shape, fan_in);
    if (l->attribute[ATTRIBUTE_BIAS]) layer_add_parameter(l, "bias", 1, shape, normal ? 0 : fan_in);
}

int64_t layer_weighted_flops(const Layer *l) {
    const LayerParameter *w = &l->parameters[0];
    int64_t out = layer_elements(l->out, l->out_dims), each, flops;
    each = layer_elements(w->shape + 1, w->dims - 1);
    bool fits =
        !__builtin_mul_overflow(out, each, &flops) && !__builtin_add_overflow(flops, flops, &flops);
    return fits ? flops : INT64_MAX;
}
