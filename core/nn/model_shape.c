// SPDX-License-Identifier: MIT
// Shapes of a network's layers, in their order, and parameters that layers share.
#include "core/nn/model_internal.h"

#include <string.h>

// Larger tensors are mistakes, and would overflow when they are multiplied by a batch.
static const int64_t ELEMENTS_MAX = (int64_t)1 << 40, MULTIPLY_ADDS_MAX = (int64_t)1 << 46;

// Sizes that the rest of the program may multiply without looking.
static Status check_sizes(const Model *m, const Layer *l) {
    bool fits = layer_elements(l->out, l->out_dims) <= ELEMENTS_MAX;
    for (int k = 0; k < l->parameter_count; k++)
        fits =
            fits && layer_elements(l->parameters[k].shape, l->parameters[k].dims) <= ELEMENTS_MAX;
    if (fits && l->parameter_count && l->row->flops)
        fits = l->row->flops(l) / 2 <= MULTIPLY_ADDS_MAX;
    char shape[LAYER_SHAPE];
    if (!fits)
        LAYER_FAIL(ERR_SHAPE, m, l, "too large: its output is %s",
                   layer_describe_shape(l->out, l->out_dims, shape));
    return OK;
}

// The parameters are the layer's own, but for a weight that is tied: that is another layer's, and
// must have this one's shape.
static Status find_owners(const Model *m, Layer *l) {
    int self = (int)(l - m->layers);
    for (int k = 0; k < l->parameter_count; k++) {
        l->parameters[k].owner = self;
        l->parameters[k].next_use = NONE;
    }
    if (l->tie == NONE) return OK;
    const Layer *other = &m->layers[l->tie];
    LayerParameter *own = &l->parameters[0];
    if (!other->parameter_count)
        LAYER_FAIL(ERR_FORMAT, m, l, "tie=%s: %s has no weight", other->name, other->row->word);
    const LayerParameter *tied = &other->parameters[0];
    char ours[LAYER_SHAPE], theirs[LAYER_SHAPE];
    if (own->dims != tied->dims || memcmp(own->shape, tied->shape, sizeof own->shape))
        LAYER_FAIL(ERR_SHAPE, m, l, "tie=%s: its weight is %s, but that of %s is %s", other->name,
                   layer_describe_shape(own->shape, own->dims, ours), other->name,
                   layer_describe_shape(tied->shape, tied->dims, theirs));
    own->owner = tied->owner;
    LayerParameter *last = &m->layers[own->owner].parameters[0];
    while (last->next_use != NONE) last = &m->layers[last->next_use].parameters[0];
    last->next_use = self;
    return OK;
}

static Status check_tokens(const Model *m, const Layer *l) {
    char input[LAYER_SHAPE];
    for (int k = 0; k < l->input_count; k++) {
        bool tokens = m->tokens && l->inputs[k] == NONE;
        if (tokens && !l->row->takes_tokens)
            LAYER_FAIL(ERR_SHAPE, m, l, "needs numbers, but %s (add embedding before it)",
                       layer_describe_input(m, l, k, input));
        if (!tokens && l->row->takes_tokens)
            LAYER_FAIL(ERR_SHAPE, m, l, "needs tokens (a line \"input tokens LENGTH\"), but %s",
                       layer_describe_input(m, l, k, input));
    }
    return OK;
}

static Status infer_layer(const Model *m, Layer *l) {
    TRY(check_tokens(m, l));
    memcpy(l->in, layer_input_shape(m, l, 0, &l->in_dims), sizeof l->in);
    TRY(l->row->infer(m, l));
    TRY(check_sizes(m, l));
    TRY(find_owners(m, l));
    // As if nothing were frozen: layers that follow ask for it.
    for (int k = 0; k < l->parameter_count; k++) l->trained |= !l->parameters[k].state;
    for (int k = 0; k < l->input_count; k++) l->trained |= layer_input_trained(m, l, k);
    return OK;
}

static Status check_logits(const Model *m) {
    const Layer *l = &m->layers[m->layer_count - 1];
    char shape[LAYER_SHAPE];
    int last = l->out_dims - 1;
    bool positions = m->tokens ? last == 1 && l->out[0] == m->input[0] : last == 0;
    if (positions && l->out[last] == m->classes) return OK;
    if (m->tokens)
        LAYER_FAIL(ERR_SHAPE, m, l,
                   "the last layer gives %s, but there are %lld tokens and classes is %lld: it "
                   "must give one logit per token and class",
                   layer_describe_shape(l->out, l->out_dims, shape), (long long)m->input[0],
                   (long long)m->classes);
    LAYER_FAIL(ERR_SHAPE, m, l,
               "the last layer gives %s, but classes is %lld: it must give one logit per class",
               layer_describe_shape(l->out, l->out_dims, shape), (long long)m->classes);
}

Status model_infer(Model *m) {
    for (int i = 0; i < m->layer_count; i++) TRY(infer_layer(m, &m->layers[i]));
    TRY(model_find_trained(m));
    return check_logits(m);
}
