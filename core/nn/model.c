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

static int64_t add_or_most(int64_t a, int64_t b) {
    return __builtin_add_overflow(a, b, &a) ? INT64_MAX : a;
}

int64_t model_flops(const Model *m) {
    int64_t sum = 0;
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        if (!l->used) continue;
        int passes = 1 + (l->parameter_count > 0 && model_has_gradient(m, i, 0));
        for (int k = 0; k < l->input_count; k++) passes += layer_input_trained(m, l, k);
        if (!l->row->flops) continue;
        sum = add_or_most(sum, l->row->flops(l));
        for (int k = 1; k < passes && !l->row->flops_backward; k++)
            sum = add_or_most(sum, l->row->flops(l));
        if (l->row->flops_backward && passes > 1) sum = add_or_most(sum, l->row->flops_backward(l));
    }
    return sum;
}
