// SPDX-License-Identifier: MIT
// Everything between the gradients and the weights: what a step does once the gradients of all its
// shards are joined. Read emit_updates() at the end first.
#include "core/nn/emit_internal.h"

#include <stdio.h>

// One operation of the update of parameter k of layer i.
static Status emit_update_op(Emitter *e, int i, int k, const char *what, const OpSpec *partial,
                             const int32_t *outputs, const int32_t *inputs) {
    const Layer *l = &e->m->layers[i];
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s.%s", what, l->name, l->parameters[k].name);
    OpSpec s = *partial;
    s.name = name;
    s.layer = l->name;
    s.phase = PHASE_UPDATE;
    s.dtype = e->spec->dtype;
    s.lane = e->compute;
    s.outputs = outputs;
    s.inputs = inputs;
    return plan_add_op(e->p, e->plan, &s, NULL);
}

// The gradient of parameter k of layer i; of one that several layers use the sum of what each has
// accumulated, in the order of the layers and after all ranks' (docs/contract.md, 3).
static Status emit_gradient_sum(Emitter *e, int i, int k, int32_t *out) {
    const Layer *l = &e->m->layers[i];
    int32_t uses[2] = {e->layers[i].gradient_of_0[k], NONE};
    *out = uses[0];
    for (int user = l->parameters[k].next_use; user != NONE;
         user = e->m->layers[user].parameters[k].next_use) {
        OpSpec s = {.kind = KIND_FOLD, .flags = OP_ACCUMULATE, .output_count = 1, .input_count = 1};
        int32_t use = e->layers[user].gradient_of_0[k];
        if (uses[1] == NONE) {
            char name[NAME];
            LogicalSpec whole = emit_parameter_spec(e, &l->parameters[k], ROLE_GRADIENT);
            snprintf(name, sizeof name, "%s.%s.grad.sum", l->name, l->parameters[k].name);
            TRY(emit_tensor(e, name, "", &whole, &(TensorSpec){0}, out));
            s = (OpSpec){.kind = KIND_ADD, .output_count = 1, .input_count = 2};
        }
        uses[1] = use;
        TRY(emit_update_op(e, i, k, "sum", &s, out, s.kind == KIND_ADD ? uses : &use));
    }
    return OK;
}

static Status emit_sgd(Emitter *e, int i, int k) {
    const Optimizer *sgd = &e->spec->optimizer;
    const LayerTensors *t = &e->layers[i];
    const int64_t attrs[] = {build_attr_real(sgd->momentum), build_attr_real(sgd->weight_decay),
                             sgd->nesterov};
    int32_t outputs[] = {t->parameter[k], t->velocity[k]}, inputs[] = {NONE, e->learning_rate};
    TRY(emit_gradient_sum(e, i, k, &inputs[0]));
    OpSpec s = {.kind = KIND_SGD,
                .attrs = attrs,
                .output_count = t->velocity[k] == NONE ? 1 : 2,
                .input_count = 2};
    return emit_update_op(e, i, k, "sgd", &s, outputs, inputs);
}

Status emit_optimiser_state(Emitter *e) {
    if (e->spec->optimizer.momentum == 0) return OK;
    return emit_parameters(e, ".velocity", ROLE_OPTIMISER);
}

// Last layer first: the order in which gradients become ready.
Status emit_updates(Emitter *e) {
    e->shard = e->micro_batch = 0;
    for (int i = e->m->layer_count - 1; i >= 0; i--)
        for (int k = 0; k < e->m->layers[i].parameter_count; k++)
            if (e->m->layers[i].parameters[k].owner == i) TRY(emit_sgd(e, i, k));
    return OK;
}
