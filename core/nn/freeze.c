// SPDX-License-Identifier: MIT
// Which parameters a step trains: not those that are frozen (PyTorch's requires_grad = False), and
// not those of layers that the loss does not depend on, which get no gradient (and stay as they
// are under PyTorch's DDP with find_unused_parameters, too). Read model_find_trained() first.
#include "core/nn/freeze.h"

#include "core/base/nearest.h"
#include "core/base/text.h"
#include "core/nn/model_internal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { NAME = SCOPE_NAME + 32, PATTERN = 2 * SCOPE_NAME, LIST = 160 };

bool model_has_gradient(const Model *m, int layer, int k) {
    const LayerParameter *p = &m->layers[layer].parameters[k];
    return m->layers[layer].used && !p->state && !p->frozen;
}

bool model_updates(const Model *m, int layer, int k) {
    if (m->layers[layer].parameters[k].owner != layer) return false;
    for (int user = layer; user != NONE; user = m->layers[user].parameters[k].next_use)
        if (model_has_gradient(m, user, k)) return true;
    return false;
}

// --- what the loss depends on, and what of that is trained

static void find_used(Model *m) {
    m->layers[m->layer_count - 1].used = true;
    for (int i = m->layer_count - 1; i >= 0; i--)
        for (int k = 0; k < m->layers[i].input_count; k++)
            if (m->layers[i].used && m->layers[i].inputs[k] != NONE)
                m->layers[m->layers[i].inputs[k]].used = true;
}

// A tied parameter is one, whichever of the layers that use it freezes it.
static void spread_frozen(Model *m, int layer, int k) {
    int owner = m->layers[layer].parameters[k].owner;
    for (int user = owner; user != NONE; user = m->layers[user].parameters[k].next_use)
        m->layers[user].parameters[k].frozen = true;
}

static void read_attribute(Model *m, int layer) {
    const Layer *l = &m->layers[layer];
    if (!layer_gives(l, ATTRIBUTE_TRAINABLE) || l->attribute[ATTRIBUTE_TRAINABLE]) return;
    for (int k = 0; k < l->parameter_count; k++)
        if (!l->parameters[k].state) spread_frozen(m, layer, k);
}

// Returns how many parameters are trained.
static int find_trained(Model *m) {
    int count = 0;
    for (int i = 0; i < m->layer_count; i++) {
        Layer *l = &m->layers[i];
        l->trained = false;
        for (int k = 0; k < l->parameter_count; k++) l->trained |= model_has_gradient(m, i, k);
        count += l->trained;
        for (int k = 0; k < l->input_count; k++) l->trained |= layer_input_trained(m, l, k);
    }
    return count;
}

static bool is_taken(const Model *m, int layer) {
    for (int i = layer + 1; i < m->layer_count; i++)
        for (int k = 0; k < m->layers[i].input_count; k++)
            if (m->layers[i].inputs[k] == layer) return true;
    return layer == m->layer_count - 1;
}

static bool has_parameters(const Layer *l) {
    for (int k = 0; k < l->parameter_count; k++)
        if (!l->parameters[k].state) return true;
    return false;
}

// An output that nobody takes, of layers that keep nothing either, can only be a mistake. One with
// parameters may be meant: a checkpoint has them, and train says that they are not trained.
static Status check_unused(Model *m) {
    for (int i = 0; i < m->layer_count; i++) {
        Layer *l = &m->layers[i];
        bool keeps = has_parameters(l);
        for (int k = 0; k < l->input_count; k++) keeps |= layer_input_trained(m, l, k);
        l->trained = !l->used && keeps;  // until find_trained() says what it is
        if (l->used || keeps || is_taken(m, i)) continue;
        LAYER_FAIL(ERR_FORMAT, m, l,
                   "nothing takes its output: name it in the from= of a later layer, or leave line "
                   "%d out",
                   l->line);
    }
    return OK;
}

static bool has_frozen(const Model *m) {
    for (int i = 0; i < m->layer_count; i++)
        for (int k = 0; k < m->layers[i].parameter_count; k++)
            if (m->layers[i].parameters[k].frozen && m->layers[i].used) return true;
    return false;
}

Status model_find_trained(Model *m) {
    find_used(m);
    TRY(check_unused(m));
    for (int i = 0; i < m->layer_count; i++) read_attribute(m, i);
    if (find_trained(m)) return OK;
    if (has_frozen(m))
        FAIL(ERR_FORMAT, "%s: trainable=false freezes all parameters; leave some to train",
             m->source);
    FAIL(ERR_FORMAT, "%s: no layer has parameters to train; add a linear or conv2d", m->source);
}

// --- patterns

// The name of parameter k, which is a layer's own or what it calls another's that it uses.
static void name_of(const Layer *l, int k, char out[NAME]) {
    snprintf(out, NAME, "%s.%s", l->name, l->parameters[k].name);
}

// Whether the pattern is the name, or that of a layer or block which the name begins with.
static bool matches(const char *pattern, const char *name) {
    char part[NAME];
    snprintf(part, sizeof part, "%s", name);
    for (;;) {
        if (!fnmatch(pattern, part, FNM_NOESCAPE)) return true;
        char *dot = strrchr(part, '.');
        if (!dot) return false;
        *dot = '\0';
    }
}

// "conv*" names no layer: what it would without its last letters and signs, and what there is.
static Status no_match(const Model *m, const char *pattern) {
    char word[PATTERN], list[LIST] = "", did_you_mean[NAME + 32] = "";
    snprintf(word, sizeof word, "%.*s", (int)strcspn(pattern, "*?["), pattern);
    Nearest near = {.word = word};
    int left_out = 0;
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        if (!has_parameters(l)) continue;
        nearest_offer(&near, l->name);
        bool fits = strlen(list) + strlen(l->name) + 16 < sizeof list;
        if (fits) text_append(list, sizeof list, "%s%s", *list ? ", " : "", l->name);
        left_out += !fits;
    }
    if (left_out) text_append(list, sizeof list, " and %d more", left_out);
    if (near.best) snprintf(did_you_mean, sizeof did_you_mean, " (did you mean %s?)", near.best);
    FAIL(ERR_USAGE,
         "%.60s: model %s has no parameter, layer or block of that name%s; layers with parameters: "
         "%s",
         pattern, m->name, did_you_mean, list);
}

static Status freeze(Model *m, const char *pattern) {
    bool found = false;
    for (int i = 0; i < m->layer_count; i++)
        for (int k = 0; k < m->layers[i].parameter_count; k++) {
            char name[NAME];
            name_of(&m->layers[i], k, name);
            if (m->layers[i].parameters[k].state || !matches(pattern, name)) continue;
            spread_frozen(m, i, k);
            found = true;
        }
    return found ? OK : no_match(m, pattern);
}

Status model_freeze(Model *m, const char *patterns) {
    for (const char *at = patterns;; at++) {
        char pattern[PATTERN];
        size_t length = strcspn(at, ",");
        if (!length || length >= sizeof pattern)
            FAIL(ERR_USAGE, "%.60s: expected names between commas, found %s", patterns,
                 length ? "a longer one than there is" : "an empty one");
        snprintf(pattern, sizeof pattern, "%.*s", (int)length, at);
        TRY(freeze(m, pattern));
        at += length;
        if (!*at) break;
    }
    if (find_trained(m)) return OK;
    FAIL(ERR_USAGE, "%.60s: that freezes all parameters of model %s; leave some to train", patterns,
         m->name);
}

// --- for people

bool model_describe_unused(const Model *m, char out[MODEL_UNUSED]) {
    char names[LIST] = "";
    const Layer *end = NULL;
    int layers = 0, left_out = 0;
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        if (l->used) continue;
        layers++;
        if (!is_taken(m, i) && !end) end = l;
        for (int k = 0; k < l->parameter_count; k++) {
            char name[NAME];
            if (l->parameters[k].state || l->parameters[k].owner != i || model_updates(m, i, k))
                continue;
            name_of(l, k, name);
            bool fits = strlen(names) + strlen(name) + 20 < sizeof names;
            if (fits) text_append(names, sizeof names, "%s%s", *names ? ", " : "", name);
            left_out += !fits;
        }
    }
    if (!layers) return false;
    if (left_out) text_append(names, sizeof names, " and %d more", left_out);
    snprintf(out, MODEL_UNUSED,
             "%.80s:%d: nothing takes the output of %s %s: the loss does not "
             "depend on it",
             m->source, end->line, end->row->word, end->name);
    if (layers > 1)
        text_append(out, MODEL_UNUSED, " and %d more layer%s", layers - 1, layers > 2 ? "s" : "");
    if (*names) text_append(out, MODEL_UNUSED, ", so these are not trained: %s", names);
    return true;
}
