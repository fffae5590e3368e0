// SPDX-License-Identifier: MIT
// Everything between the gradients and the weights: what a step does once the gradients of all its
// shards are joined. Read emit_updates() at the end first.
#include "core/base/units.h"
#include "core/nn/emit_internal.h"
#include "core/nn/freeze.h"

#include <stdio.h>

static bool is_updated(const Emitter *e, int i, int k) { return model_updates(e->m, i, k); }

Status emit_update_op(Emitter *e, int i, int k, const char *what, const OpSpec *partial,
                      const int32_t *outputs, const int32_t *inputs) {
    const Layer *l = &e->m->layers[i];
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s.%s", what, l->name, l->parameters[k].name);
    OpSpec s = *partial;
    s.name = name;
    s.layer = l->name;
    s.phase = PHASE_UPDATE;
    s.dtype = dtype_wide(e->spec->dtype);
    s.lane = e->compute;
    s.outputs = outputs;
    s.inputs = inputs;
    return plan_add_op(e->p, e->plan, &s, NULL);
}

// The gradient of parameter k of layer i; of one that several layers use the sum of what each has
// accumulated, in the order of the layers and after all ranks' (docs/contract.md, 3).
static Status emit_gradient_sum(Emitter *e, int i, int k, int32_t *out) {
    const Layer *l = &e->m->layers[i];
    int32_t uses[2] = {NONE, NONE};
    for (int user = i; user != NONE; user = e->m->layers[user].parameters[k].next_use) {
        OpSpec s = {.kind = KIND_FOLD, .flags = OP_ACCUMULATE, .output_count = 1, .input_count = 1};
        int32_t use = e->layers[user].gradient_of_0[k];
        if (!model_has_gradient(e->m, user, k)) continue;
        if (uses[0] == NONE) {
            *out = uses[0] = use;
            continue;
        }
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

// An update of parameter k of layer i from its gradient: inputs are gradient, learning rate, what
// the rule needs besides, and the factor of clipping.
static Status emit_rule(Emitter *e, int i, int k, const char *what, Kind kind, const int64_t *attrs,
                        const int32_t *outputs, int output_count) {
    int32_t inputs[4] = {e->layers[i].joined[k], e->learning_rate};
    int count = 2;
    if (kind == KIND_ADAM) inputs[count++] = e->updates;
    if (e->factor != NONE) inputs[count++] = e->factor;
    OpSpec s = {.kind = kind,
                .attrs = attrs,
                .output_count = output_count,
                .input_count = count,
                .guard = e->finite == NONE ? 0 : TENSOR_REF(e->finite)};
    return emit_update_op(e, i, k, what, &s, outputs, inputs);
}

static Status emit_sgd(Emitter *e, int i, int k) {
    const Optimizer *sgd = &e->spec->optimizer;
    const LayerTensors *t = &e->layers[i];
    const int64_t attrs[] = {build_attr_real(sgd->momentum), build_attr_real(sgd->weight_decay),
                             sgd->nesterov};
    const int32_t outputs[] = {t->parameter[k], t->state[k][0]};
    return emit_rule(e, i, k, "sgd", KIND_SGD, attrs, outputs, sgd->momentum != 0 ? 2 : 1);
}

static Status emit_adam(Emitter *e, int i, int k) {
    const Optimizer *adam = &e->spec->optimizer;
    const LayerTensors *t = &e->layers[i];
    bool decoupled = adam->kind == OPTIMIZER_ADAMW;
    bool decays = !decoupled || adam->decay_all || e->m->layers[i].parameters[k].dims > 1;
    const int64_t attrs[] = {build_attr_real(adam->beta1), build_attr_real(adam->beta2),
                             build_attr_real(adam->eps),
                             build_attr_real(decays ? adam->weight_decay : 0), decoupled};
    const int32_t outputs[] = {t->parameter[k], t->state[k][0], t->state[k][1]};
    return emit_rule(e, i, k, decoupled ? "adamw" : "adam", KIND_ADAM, attrs, outputs, 3);
}

// Tensors "PARAMETER WHAT" in the shape of every parameter, zero at first.
static Status add_state(Emitter *e, const char *what, int which) {
    for (int i = 0; i < e->m->layer_count; i++) {
        const Layer *l = &e->m->layers[i];
        for (int k = 0; k < l->parameter_count; k++) {
            char name[NAME];
            LogicalSpec whole = emit_parameter_spec(e, &l->parameters[k], ROLE_OPTIMISER);
            if (!is_updated(e, i, k)) continue;
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
    LogicalSpec count = {.shape = {1}, .dims = 1, .dtype = DTYPE_I64, .role = ROLE_STATE};
    return emit_tensor(e, "optimizer.step", "", &count, &(TensorSpec){0}, &e->updates);
}

static Status emit_count(Emitter *e) {
    return plan_add_op(e->p, e->plan,
                       &(OpSpec){.name = "optimizer.step",
                                 .kind = KIND_INCREMENT,
                                 .phase = PHASE_UPDATE,
                                 .dtype = dtype_wide(e->spec->dtype),
                                 .lane = e->compute,
                                 .outputs = &e->updates,
                                 .output_count = 1,
                                 .guard = e->finite == NONE ? 0 : TENSOR_REF(e->finite)},
                       NULL);
}

// The squares of a gradient, a sum for each block.
static Status emit_squares(Emitter *e, int i, int k) {
    const LayerParameter *parameter = &e->m->layers[i].parameters[k];
    int32_t gradient = e->layers[i].joined[k], *partial = &e->layers[i].squares[k];
    int64_t blocks = units_divide_up(tensor_elements(&e->p->tensors[gradient]), KIND_SUM_BLOCK);
    char name[NAME];
    LogicalSpec whole = {.shape = {blocks}, .dims = 1, .dtype = DTYPE_F64, .role = ROLE_ACTIVATION};
    snprintf(name, sizeof name, "%s.%s.grad.squares", e->m->layers[i].name, parameter->name);
    TRY(emit_tensor(e, name, "", &whole, &(TensorSpec){0}, partial));
    const OpSpec squares = {.kind = KIND_SQUARE_SUMS, .output_count = 1, .input_count = 1};
    return emit_update_op(e, i, k, "squares", &squares, partial, &gradient);
}

// They are added to those of all gradients.
static Status emit_square_sum(Emitter *e, int i, int k, int32_t sum, bool first) {
    const OpSpec add = {.kind = KIND_ADD_BLOCKS,
                        .flags = first ? 0 : OP_ACCUMULATE,
                        .output_count = 1,
                        .input_count = 1};
    return emit_update_op(e, i, k, "add_squares", &add, &sum, &e->layers[i].squares[k]);
}

// What is made of the squares of all gradients; the loss is that of all ranks by then.
static Status emit_clip(Emitter *e, int32_t sum) {
    const Optimizer *o = &e->spec->optimizer;
    int norm, factor, finite;
    int64_t by = o->scale_every ? 0 : build_attr_real(o->loss_scale);
    int32_t loss = program_find_tensor(e->p, "loss");
    TRY(program_add_scalar(e->p, "gradients.norm", DTYPE_F64, 1, &norm));
    TRY(program_add_scalar(e->p, "gradients.factor", DTYPE_F64, 1, &factor));
    TRY(program_add_scalar(e->p, "gradients.finite", DTYPE_F64, 1, &finite));
    e->p->tensors[norm].result = RESULT_GRADIENT_NORM;
    if (o->clip > 0 || o->loss_scale > 0) e->factor = factor;
    if (o->skip_nan) {
        e->finite = finite;
        e->p->tensors[finite].result = RESULT_FINITE;
    }
    return plan_add_op(e->p, e->plan,
                       &(OpSpec){.name = "gradients.clip",
                                 .kind = KIND_CLIP,
                                 .phase = PHASE_UPDATE,
                                 .dtype = dtype_wide(e->spec->dtype),
                                 .lane = e->compute,
                                 .attrs = (int64_t[]){build_attr_real(o->clip), by},
                                 .outputs = (int32_t[]){norm, factor, finite},
                                 .inputs = (int32_t[]){sum, loss, e->scale[0]},
                                 .output_count = 3,
                                 .input_count = o->scale_every ? 3 : 2},
                       NULL);
}

// The norm of all gradients, in front of the updates that need it: the squares of all, so that a
// strategy can join them at once, and then their sum.
static Status emit_norm(Emitter *e) {
    int sum;
    bool first = true;
    TRY(program_add_scalar(e->p, "gradients.square_sum", DTYPE_F64, 1, &sum));
    for (int i = e->m->layer_count - 1; i >= 0; i--)
        for (int k = 0; k < e->m->layers[i].parameter_count; k++) {
            if (!is_updated(e, i, k)) continue;
            TRY(emit_gradient_sum(e, i, k, &e->layers[i].joined[k]));
            TRY(emit_squares(e, i, k));
        }
    for (int i = e->m->layer_count - 1; i >= 0; i--)
        for (int k = 0; k < e->m->layers[i].parameter_count; k++) {
            if (!is_updated(e, i, k)) continue;
            TRY(emit_square_sum(e, i, k, sum, first));
            first = false;
        }
    return first ? OK : emit_clip(e, sum);
}

static Status emit_update(Emitter *e, int i, int k, bool joined) {
    if (!joined) TRY(emit_gradient_sum(e, i, k, &e->layers[i].joined[k]));
    return e->spec->optimizer.kind == OPTIMIZER_SGD ? emit_sgd(e, i, k) : emit_adam(e, i, k);
}

// Last layer first: the order in which gradients become ready.
Status emit_updates(Emitter *e) {
    const Optimizer *o = &e->spec->optimizer;
    bool measures = o->clip > 0 || o->skip_nan || o->loss_scale > 0;
    e->shard = e->micro_batch = 0;
    e->factor = e->finite = NONE;
    if (measures) TRY(emit_norm(e));
    TRY(emit_kept_state(e));
    if (o->kind != OPTIMIZER_SGD) TRY(emit_count(e));
    for (int i = e->m->layer_count - 1; i >= 0; i--)
        for (int k = 0; k < e->m->layers[i].parameter_count; k++)
            if (is_updated(e, i, k)) TRY(emit_update(e, i, k, measures));
    return emit_rescale(e);
}
