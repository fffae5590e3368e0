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
    x->placed = true;
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

Status split_check_places(const Split *x) {
    for (int l = 0; l < x->asker_count; l++) {
        const Layer *asker = asker_of(x, l);
        char asked[PLACEMENT_TEXT], lies[PLACEMENT_TEXT];
        if (!asker || is_alike(asker->place, x->parameter[l])) continue;
        FAIL(ERR_USAGE,
             "%s:%d: %s: place=%s with --tp %d: other layers use its weight, which is %s for them; "
             "leave this out",
             x->model->source, asker->line, asker->name, placement_text(asker->place, asked),
             split_ranks(x), placement_text(x->parameter[l], lies));
    }
    return OK;
}
