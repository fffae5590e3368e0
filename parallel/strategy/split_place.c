// SPDX-License-Identifier: MIT
// The layers of a model file that say place=, and the weights that shall lie so: split_choose.c
// leaves these alone or cuts them in that way. Begin with split_read_places().
#include "parallel/strategy/split_place.h"
#include "core/nn/model.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/split_internal.h"

#include <stdio.h>

enum { NAME = 320 };

static bool gives_place(const Layer *l) { return l->given >> ATTRIBUTE_PLACE & 1; }

static const Layer *asker_of(const Split *x, int logical) {
    if (logical >= x->asker_count || x->asker[logical] == NONE) return NULL;
    return &x->model->layers[x->asker[logical]];
}

// Whole, or cut along the same dimension: in which sections follows from what reads the outputs.
static bool is_alike(Placement a, Placement b) { return a.place == b.place && a.dim == b.dim; }

// The first parameter of a layer with place= is its weight, which may be another layer's.
static Status read_place(Split *x, int layer) {
    const Model *m = x->model;
    const Layer *l = &m->layers[layer];
    const LayerParameter *weight = &l->parameters[0];
    char name[NAME], one[PLACEMENT_TEXT], other[PLACEMENT_TEXT];
    if (x->sequence)
        FAIL(ERR_USAGE,
             "%s:%d: %s: place= does not go with --sequence-parallel; leave one of them out",
             m->source, l->line, l->name);
    snprintf(name, sizeof name, "%s.%s", m->layers[weight->owner].name, weight->name);
    int logical = program_find_logical(x->from, name);
    if (logical == NONE) FAIL(ERR_PLAN, "the program has no parameter %s", name);
    const Layer *before = asker_of(x, logical);
    if (before && !is_alike(before->place, l->place))
        FAIL(ERR_USAGE,
             "%s:%d: %s: place=%s, but %s in line %d, which has the same weight, says %s",
             m->source, l->line, l->name, placement_text(l->place, one), before->name, before->line,
             placement_text(before->place, other));
    x->asker[logical] = layer;
    return OK;
}

Status split_read_places(Split *x) {
    int count = x->from->logical_count;
    x->asker = ARENA_NEW(&x->arena, int32_t, count + 1);
    if (!x->asker) FAIL(ERR_MEMORY, "out of memory to place %d tensors", count);
    for (int l = 0; l < count; l++) x->asker[l] = NONE;
    x->asker_count = count;
    for (int i = 0; i < x->model->layer_count; i++)
        if (gives_place(&x->model->layers[i])) TRY(read_place(x, i));
    return OK;
}

bool split_may_place(const Split *x, int logical, Placement how) {
    const Layer *l = asker_of(x, logical);
    return !l || is_alike(l->place, how);
}

bool split_asks_for(const Split *x, int logical, Placement how) {
    const Layer *l = asker_of(x, logical);
    return l && is_alike(l->place, how);
}

Status split_refuse_place(const Split *x, int logical, const char *why) {
    const Layer *l = asker_of(x, logical);
    char text[PLACEMENT_TEXT];
    FAIL(ERR_USAGE, "%s:%d: %s: place=%s with --tp %d: %s", x->model->source, l->line, l->name,
         placement_text(l->place, text), split_ranks(x), why);
}

// What is whole may always be; what is cut depends on what comes in, and on other uses.
static const char *explain(Placement asked) {
    if (asked.dim == 0)
        return "its input is cut, or several layers use its weight; give the layer that makes its "
               "input place=R, or leave this out";
    return "its input is whole on each rank, or several layers use its weight; give the layer that "
           "makes its input place=S0, or leave this out";
}

Status split_check_places(const Split *x) {
    for (int l = 0; l < x->asker_count; l++) {
        const Layer *asker = asker_of(x, l);
        if (asker && !is_alike(asker->place, x->parameter[l]))
            return split_refuse_place(x, l, explain(asker->place));
    }
    return OK;
}
