// SPDX-License-Identifier: MIT
// State that the forward of a step writes, such as running statistics, where a step may be skipped
// (--on-nan skip): whether it counts is known after the backward only. So the first micro-batch
// reads the state and writes a tensor beside it, the later ones go on with that, and the update
// copies it into the state under its guard.
#include "core/nn/emit_internal.h"

#include <stdio.h>

// The place in `layers` of what comes next after the state that a value is, or NULL: it is none.
static int32_t *next_of(Emitter *e, const Value *v) {
    if (v->source != VALUE_PARAMETER || !e->m->layers[v->layer].parameters[v->index].state)
        return NULL;
    int owner = e->m->layers[v->layer].parameters[v->index].owner;
    return &e->layers[owner].next[v->index];
}

// It is of what this rank's rows say, until a strategy gives all ranks that of shard 0.
static Status add_next(Emitter *e, const Value *v, int32_t *out) {
    int owner = e->m->layers[v->layer].parameters[v->index].owner;
    const Layer *l = &e->m->layers[owner];
    char name[NAME];
    LogicalSpec whole = emit_parameter_spec(e, &l->parameters[v->index], ROLE_ACTIVATION);
    snprintf(name, sizeof name, "%s.%s.next", l->name, l->parameters[v->index].name);
    TensorSpec piece = {0};
    piece.placement[e->data] = PLACEMENT_DIFFERS;
    return emit_tensor(e, name, "", &whole, &piece, out);
}

Status emit_next_state(Emitter *e, const Graph *g, const GraphOp *op, int32_t *outputs,
                       int32_t *inputs) {
    if (!e->training || !e->spec->optimizer.skip_nan) return OK;
    for (int n = 0; op->inputs.of[n] != NONE; n++) {
        const int32_t *next = next_of(e, &g->values[op->inputs.of[n]]);
        if (next && *next != NONE) inputs[n] = *next;
    }
    for (int n = 0; op->outputs.of[n] != NONE; n++) {
        const Value *v = &g->values[op->outputs.of[n]];
        int32_t *next = next_of(e, v);
        if (!next) continue;
        if (*next == NONE) TRY(add_next(e, v, next));
        outputs[n] = *next;
    }
    return OK;
}

Status emit_kept_state(Emitter *e) {
    for (int i = 0; i < e->m->layer_count; i++)
        for (int k = 0; k < e->m->layers[i].parameter_count; k++) {
            const LayerTensors *t = &e->layers[i];
            const OpSpec copy = {.kind = KIND_COPY,
                                 .output_count = 1,
                                 .input_count = 1,
                                 .guard = e->finite == NONE ? 0 : TENSOR_REF(e->finite)};
            if (t->next[k] == NONE) continue;
            TRY(emit_update_op(e, i, k, "keep", &copy, &t->parameter[k], &t->next[k]));
        }
    return OK;
}
