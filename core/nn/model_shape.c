// SPDX-License-Identifier: MIT
// Names and shapes of a network's layers, once all of its lines are read.
#include "core/nn/model_internal.h"

#include <stdio.h>
#include <string.h>

// Larger tensors are mistakes, and would overflow when they are multiplied by a batch.
static const int64_t ELEMENTS_MAX = (int64_t)1 << 40, MULTIPLY_ADDS_MAX = (int64_t)1 << 46;

// --- names

static Status check_unique(const Model *m) {
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        for (int k = 0; l->name && k < i; k++)
            if (m->layers[k].name && !strcmp(m->layers[k].name, l->name))
                LAYER_FAIL(ERR_FORMAT, m, l, "the name is taken by the %s of line %d",
                           m->layers[k].row->word, m->layers[k].line);
    }
    return OK;
}

static bool is_taken(const Model *m, const char *name) {
    for (int i = 0; i < m->layer_count; i++)
        if (m->layers[i].name && !strcmp(m->layers[i].name, name)) return true;
    return false;
}

#define ROW(name) +1
enum { ROWS = LAYER_LIST(ROW) };
#undef ROW

static int row_of(const Layer *l) {
    int i = 0;
    while (layer_rows[i] != l->row) i++;
    return i;
}

// relu1, relu2 ... in the order of the file, past names that the file gives itself.
static Status name_layers(Model *m, Arena *a) {
    int used[ROWS] = {0};
    for (int i = 0; i < m->layer_count; i++) {
        Layer *l = &m->layers[i];
        if (l->name) continue;
        char name[32];
        do snprintf(name, sizeof name, "%s%d", l->row->stem, ++used[row_of(l)]);
        while (is_taken(m, name));
        if (!(l->name = arena_string(a, name))) FAIL(ERR_MEMORY, "%s: out of memory", m->source);
    }
    return OK;
}

// --- shapes

// Sizes that the rest of the program may multiply without looking.
static Status check_sizes(const Model *m, const Layer *l) {
    int64_t out = layer_elements(l->out, l->out_dims);
    bool fits = out <= ELEMENTS_MAX;
    for (int k = 0; k < l->parameter_count; k++)
        fits = fits &&
               layer_elements(l->parameters[k].shape, l->parameters[k].dims) <= ELEMENTS_MAX &&
               out <= MULTIPLY_ADDS_MAX / l->parameters[k].fan_in;
    char shape[LAYER_SHAPE];
    if (!fits)
        LAYER_FAIL(ERR_SHAPE, m, l, "too large: its output is %s",
                   layer_describe_shape(l->out, l->out_dims, shape));
    return OK;
}

static Status infer_layer(const Model *m, Layer *l) {
    memcpy(l->in, layer_input_shape(m, l, 0, &l->in_dims), sizeof l->in);
    TRY(l->row->infer(m, l));
    TRY(check_sizes(m, l));
    l->trained = l->parameter_count > 0;
    for (int k = 0; k < l->input_count; k++) l->trained |= layer_input_trained(m, l, k);
    return OK;
}

static Status check_logits(const Model *m) {
    const Layer *l = &m->layers[m->layer_count - 1];
    if (!l->trained)
        FAIL(ERR_FORMAT, "%s: no layer has parameters to train; add a linear or conv2d", m->source);
    if (l->out_dims == 1 && l->out[0] == m->classes) return OK;
    char shape[LAYER_SHAPE];
    LAYER_FAIL(ERR_SHAPE, m, l,
               "the last layer gives %s, but classes is %lld: it must give one logit per class",
               layer_describe_shape(l->out, l->out_dims, shape), (long long)m->classes);
}

Status model_infer(Model *m, Arena *a) {
    TRY(check_unique(m));
    TRY(name_layers(m, a));
    for (int i = 0; i < m->layer_count; i++) TRY(infer_layer(m, &m->layers[i]));
    return check_logits(m);
}
