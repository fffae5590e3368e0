// SPDX-License-Identifier: MIT
// Finds a model by its name or path, and counts its parameters and operations. model_parse.c reads
// the text, model_shape.c infers shapes, emit.c makes the program.
#include "core/nn/model.h"

#include "core/base/file.h"
#include "core/base/nearest.h"
#include "core/base/printable.h"
#include "core/base/text.h"
#include "core/nn/builtin.h"
#include "core/nn/model_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const EmbeddedFile *builtin_find(const char *name, size_t length) {
    for (int i = 0; i < builtin_models_count; i++) {
        const char *s = builtin_models[i].name;
        if (strlen(s) == length && !memcmp(s, name, length)) return &builtin_models[i];
    }
    return NULL;
}

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
    if (near.best) snprintf(did_you_mean, sizeof did_you_mean, " (did you mean %s?)", near.best);
    FAIL(ERR_USAGE, "no model \"%.60s\"%s; give the path of a model file, or one of %s", name,
         did_you_mean, list);
}

Status model_read(Model *out, Arena *a, const char *spec) {
    if (!printable(spec))  // it stands in summaries, reports and traces
        FAIL(ERR_USAGE, "%s: the name of a model must be printable UTF-8: rename the file", spec);
    if (access(spec, R_OK) == 0 && !builtin_find(spec, strlen(spec)))
        return read_file(out, a, spec, "");
    size_t length = strcspn(spec, ":");
    const char *parameters = spec[length] ? spec + length + 1 : "";
    const EmbeddedFile *b = builtin_find(spec, length);
    if (b) {
        char source[128];
        snprintf(source, sizeof source, "built-in %s.model", b->name);
        TRY(model_parse(out, a, b->text, source, parameters));
        out->source = "built-in";
        return OK;
    }
    char *name = arena_string_n(a, spec, length);
    if (!name) FAIL(ERR_MEMORY, "%s: out of memory", spec);
    if (!strpbrk(name, "./") && access(name, F_OK) != 0) return unknown_model(name);
    return read_file(out, a, name, parameters);
}

const char *layer_kind_name(LayerKind k) {
    static const char *const names[] = {
#define X(kind, name, ...) name,
        LAYER_LIST(X)
#undef X
    };
    return names[k];
}

const char *layer_kind_stem(LayerKind k) {
    static const char *const stems[] = {
#define X(kind, name, stem, ...) stem,
        LAYER_LIST(X)
#undef X
    };
    return stems[k];
}

int64_t model_shape_elements(const int64_t *shape, int dims) {
    int64_t n = 1;
    for (int i = 0; i < dims; i++) n *= shape[i];
    return n;
}

int64_t layer_fan_in(const Layer *l) {
    return l->kind == LAYER_CONV2D ? l->in[0] * l->kernel * l->kernel : l->in[0];
}

int64_t layer_flops(const Layer *l) {
    if (!layer_has_parameters(l)) return 0;
    return 2 * model_shape_elements(l->out, l->out_dims) * layer_fan_in(l);
}

int model_first_trained(const Model *m) {
    int i = 0;
    while (!layer_has_parameters(&m->layers[i])) i++;
    return i;
}

int64_t model_parameters(const Model *m) {
    int64_t sum = 0;
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        if (layer_has_parameters(l)) sum += l->out[0] * (layer_fan_in(l) + l->bias);
    }
    return sum;
}

int64_t model_flops(const Model *m) {
    int64_t sum = 0;
    int first = model_first_trained(m);
    for (int i = 0; i < m->layer_count; i++)
        sum += layer_flops(&m->layers[i]) * (i == first ? 2 : 3);
    return sum;
}
