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

static Status emit_sgd(Emitter *e, int i, int k, int32_t gradient) {
    const Optimizer *sgd = &e->spec->optimizer;
    const LayerTensors *t = &e->layers[i];
    const int64_t attrs[] = {build_attr_real(sgd->momentum), build_attr_real(sgd->weight_decay),
                             sgd->nesterov};
    const int32_t outputs[] = {t->parameter[k], t->state[k][0]},
                  inputs[] = {gradient, e->learning_rate};
    OpSpec s = {.kind = KIND_SGD,
                .attrs = attrs,
                .output_count = sgd->momentum != 0 ? 2 : 1,
                .input_count = 2};
    return emit_update_op(e, i, k, "sgd", &s, outputs, inputs);
}

static Status emit_adam(Emitter *e, int i, int k, int32_t gradient) {
    const Optimizer *adam = &e->spec->optimizer;
    const LayerTensors *t = &e->layers[i];
    bool decoupled = adam->kind == OPTIMIZER_ADAMW;
    bool decays = !decoupled || adam->decay_all || e->m->layers[i].parameters[k].dims > 1;
    const int64_t attrs[] = {build_attr_real(adam->beta1), build_attr_real(adam->beta2),
                             build_attr_real(adam->eps),
                             build_attr_real(decays ? adam->weight_decay : 0), decoupled};
    const int32_t outputs[] = {t->parameter[k], t->state[k][0], t->state[k][1]},
                  inputs[] = {gradient, e->learning_rate, e->updates};
    OpSpec s = {.kind = KIND_ADAM, .attrs = attrs, .output_count = 3, .input_count = 3};
    return emit_update_op(e, i, k, decoupled ? "adamw" : "adam", &s, outputs, inputs);
}

// Tensors "PARAMETER WHAT" in the shape of every parameter, zero at first.
static Status add_state(Emitter *e, const char *what, int which) {
    for (int i = 0; i < e->m->layer_count; i++) {
        const Layer *l = &e->m->layers[i];
        for (int k = 0; k < l->parameter_count; k++) {
            char name[NAME];
            LogicalSpec whole = emit_parameter_spec(e, &l->parameters[k], ROLE_OPTIMISER);
            if (l->parameters[k].owner != i || l->parameters[k].state) continue;
            snprintf(name, sizeof name, "%s.%s%s", l->name, l->parameters[k].name, what);
            TRY(emit_tensor(e, name, "", &whole, &(TensorSpec){0}, &e->layers[i].state[k][which]));
        }
    }
    return OK;
}

// How many updates there were is a state too, and not the number of the step: steps may be skipped.
Status emit_optimiser_state(Emitter *e) {
    const Optimizer *o = &e->spec->optimizer;
    if (o->kind == OPTIMIZER_SGD) return o->momentum != 0 ? add_state(e, ".velocity", 0) : OK;
    TRY(add_state(e, ".exp_avg", 0));
    TRY(add_state(e, ".exp_avg_sq", 1));
    LogicalSpec count = {.shape = {1}, .dims = 1, .dtype = DTYPE_I64, .role = ROLE_OPTIMISER};
    return emit_tensor(e, "optimizer.step", "", &count, &(TensorSpec){0}, &e->updates);
}

static Status emit_count(Emitter *e) {
    return plan_add_op(e->p, e->plan,
                       &(OpSpec){.name = "optimizer.step",
                                 .kind = KIND_INCREMENT,
                                 .phase = PHASE_UPDATE,
                                 .dtype = e->spec->dtype,
                                 .lane = e->compute,
                                 .outputs = &e->updates,
                                 .output_count = 1},
                       NULL);
}

static Status emit_update(Emitter *e, int i, int k) {
    int32_t gradient;
    TRY(emit_gradient_sum(e, i, k, &gradient));
    return e->spec->optimizer.kind == OPTIMIZER_SGD ? emit_sgd(e, i, k, gradient)
                                                    : emit_adam(e, i, k, gradient);
}

// Last layer first: the order in which gradients become ready.
Status emit_updates(Emitter *e) {
    e->shard = e->micro_batch = 0;
    if (e->spec->optimizer.kind != OPTIMIZER_SGD) TRY(emit_count(e));
    for (int i = e->m->layer_count - 1; i >= 0; i--)
        for (int k = 0; k < e->m->layers[i].parameter_count; k++)
            if (e->m->layers[i].parameters[k].owner == i && !e->m->layers[i].parameters[k].state)
                TRY(emit_update(e, i, k));
    return OK;
}
