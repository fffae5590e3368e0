// SPDX-License-Identifier: MIT
// Finds a model by its name or path, and counts its parameters and operations. model_parse.c reads
// the text, model_shape.c infers shapes, graph.c says what a pass computes, and emit.c makes the
// program of one rank.
#include "core/nn/model.h"

#include "core/base/file.h"
#include "core/base/nearest.h"
#include "core/base/printable.h"
#include "core/base/text.h"
#include "core/nn/builtin.h"
#include "core/nn/freeze.h"
#include "core/nn/layers/layer_internal.h"
#include "core/nn/model_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static Status read_file(Model *out, Arena *a, const char *path, const char *parameters) {
    char *text;
    size_t length;
    TRY(file_read(&text, &length, a, path));
    if (strlen(text) != length)
        FAIL(ERR_FORMAT, "%s: byte %zu is zero: this is not a model file", path, strlen(text));
    return model_parse(out, a, text, path, parameters);
}

static Status unknown_model(const char *name) {
    char list[256] = "", did_you_mean[64] = "";
    Nearest near = {.word = name};
    for (int i = 0; i < builtin_models_count; i++) {
        text_append(list, sizeof list, "%s%s", i ? ", " : "", builtin_models[i].name);
        nearest_offer(&near, builtin_models[i].name);
    }
    for (int i = 0; i < builtin_sizes_count; i++) {
        text_append(list, sizeof list, ", %s", builtin_sizes[i].name);
        nearest_offer(&near, builtin_sizes[i].name);
    }
    if (near.best) snprintf(did_you_mean, sizeof did_you_mean, " (did you mean %s?)", near.best);
    FAIL(ERR_USAGE, "no model \"%.60s\"%s; give the path of a model file, or one of %s", name,
         did_you_mean, list);
}

Status model_read(Model *out, Arena *a, const char *spec) {
    if (!printable(spec))  // it stands in summaries, reports and traces
        FAIL(ERR_USAGE, "%s: the name of a model must be printable UTF-8: rename the file", spec);
    const BuiltinSize *size;
    if (access(spec, R_OK) == 0 && !builtin_find(&size, spec, strlen(spec)))
        return read_file(out, a, spec, "");
    size_t length = strcspn(spec, ":");
    const char *parameters = spec[length] ? spec + length + 1 : "";
    const EmbeddedFile *b = builtin_find(&size, spec, length);
    if (b) {
        char source[128];
        snprintf(source, sizeof source, "built-in %s.model", b->name);
        if (size) parameters = builtin_size_parameters(size, a, parameters);
        if (!parameters) FAIL(ERR_MEMORY, "%s: out of memory", spec);
        TRY(model_parse(out, a, b->text, source, parameters));
        out->source = "built-in";
        return OK;
    }
    char *name = arena_string_n(a, spec, length);
    if (!name) FAIL(ERR_MEMORY, "%s: out of memory", spec);
    if (!strpbrk(name, "./") && access(name, F_OK) != 0) return unknown_model(name);
    return read_file(out, a, name, parameters);
}

static int64_t count_parameters(const Model *m, bool trained) {
    int64_t sum = 0;
    for (int i = 0; i < m->layer_count; i++)
        for (int k = 0; k < m->layers[i].parameter_count; k++) {
            const LayerParameter *p = &m->layers[i].parameters[k];
            if (p->owner == i && !p->state && (!trained || model_updates(m, i, k)))
                sum += layer_elements(p->shape, p->dims);
        }
    return sum;
}

int64_t model_parameters(const Model *m) { return count_parameters(m, false); }
int64_t model_trained_parameters(const Model *m) { return count_parameters(m, true); }

int64_t model_experts(const Model *m) {
    for (int i = 0; i < m->layer_count; i++)
        if (m->layers[i].row == &layer_experts) return m->layers[i].attribute[ATTRIBUTE_COUNT_OF];
    return 0;
}

static int64_t add_or_most(int64_t a, int64_t b) {
    return __builtin_add_overflow(a, b, &a) ? INT64_MAX : a;
}

// Of the backward pass of a layer whose forward is `forward`: gradients of its weights, where they
// are trained, and of its inputs.
static int64_t backward_flops(const Model *m, int layer, int64_t forward) {
    const Layer *l = &m->layers[layer];
    int gradients = l->parameter_count > 0 && model_has_gradient(m, layer, 0);
    for (int k = 0; k < l->input_count; k++) gradients += layer_input_trained(m, l, k);
    bool attention = l->row->flops_backward != NULL;  // however many of its inputs want a gradient
    if (attention && gradients) gradients = 2;
    int64_t sum = 0;
    for (int k = 0; k < gradients; k++) sum = add_or_most(sum, forward);
    return sum;
}

static int64_t forward_flops(const Layer *l) {
    return l->used && l->row->flops ? l->row->flops(l) : 0;
}

int64_t model_forward_flops(const Model *m) {
    int64_t sum = 0;
    for (int i = 0; i < m->layer_count; i++) sum = add_or_most(sum, forward_flops(&m->layers[i]));
    return sum;
}

int64_t model_needed_flops(const Model *m) {
    int64_t sum = model_forward_flops(m);
    for (int i = 0; i < m->layer_count; i++)
        sum = add_or_most(sum, backward_flops(m, i, forward_flops(&m->layers[i])));
    return sum;
}

int64_t model_flops(const Model *m) {
    int64_t sum = model_forward_flops(m);
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        int64_t forward = forward_flops(l), backward = backward_flops(m, i, forward);
        if (forward && backward && l->row->flops_backward) backward = l->row->flops_backward(l);
        sum = add_or_most(sum, backward);
    }
    return sum;
}
