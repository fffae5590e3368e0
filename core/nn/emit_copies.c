// SPDX-License-Identifier: MIT
// Mixed precision (Micikevicius et al., "Mixed Precision Training", ICLR 2018): passes in a type of
// two bytes read copies of the parameters, which each plan makes once, before its first pass. The
// parameters themselves, the masters, are f32: an update that is small beside a weight would vanish
// in 8 digits.
#include "core/nn/emit_internal.h"

#include <stdio.h>
#include <string.h>

static Status emit_copy(Emitter *e, int i, int k) {
    const Layer *l = &e->m->layers[i];
    const int32_t *master = &e->layers[i].parameter[k];
    char name[NAME];
    int copy;
    snprintf(name, sizeof name, "%s%s.%s.%s", e->training ? "" : "evaluate.", l->name,
             l->parameters[k].name, dtype_name(e->spec->dtype));
    TensorSpec piece = {.name = name,
                        .logical = e->p->tensors[*master].logical,
                        .dtype = e->spec->dtype,
                        .role = ROLE_COPY};
    TRY(program_add_tensor(e->p, &piece, &copy));
    e->layers[i].copy[k] = copy;
    snprintf(name, sizeof name, "convert.%s.%s", l->name, l->parameters[k].name);
    return plan_add_op(e->p, e->plan,
                       &(OpSpec){.name = name,
                                 .layer = l->name,
                                 .kind = KIND_TO_BF16,
                                 .phase = e->training ? PHASE_FORWARD : PHASE_EVALUATE,
                                 .dtype = (Dtype)e->p->tensors[*master].dtype,
                                 .lane = e->compute,
                                 .outputs = &e->layers[i].copy[k],
                                 .inputs = master,
                                 .output_count = 1,
                                 .input_count = 1},
                       NULL);
}

// State is read as it is: running statistics. A tied parameter has one copy.
Status emit_copies(Emitter *e) {
    for (int i = 0; i < e->m->layer_count; i++)
        for (int k = 0; k < e->m->layers[i].parameter_count; k++) {
            const LayerParameter *p = &e->m->layers[i].parameters[k];
            LayerTensors *t = &e->layers[i];
            t->copy[k] = p->owner == i ? t->parameter[k] : e->layers[p->owner].copy[k];
            if (p->owner == i && !p->state && dtype_is_half(e->spec->dtype))
                TRY(emit_copy(e, i, k));
        }
    return OK;
}
