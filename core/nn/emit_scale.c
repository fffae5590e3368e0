// SPDX-License-Identifier: MIT
// Loss scaling (core/device/reference/loss_scale.c): the gradient of the loss begins with the
// inverse count times a power of two, and the factor of the update takes that out. A constant scale
// is an attribute of these operations; a dynamic one is state, which each step changes at its end.
#include "core/nn/emit_internal.h"

Status emit_scale_state(Emitter *e) {
    const Optimizer *o = &e->spec->optimizer;
    e->scale[0] = e->scale[1] = NONE;
    if (!o->scale_every) return OK;
    LogicalSpec scale = {
        .shape = {1}, .dims = 1, .dtype = DTYPE_F64, .role = ROLE_STATE, .constant = o->loss_scale};
    LogicalSpec good = {.shape = {1}, .dims = 1, .dtype = DTYPE_I64, .role = ROLE_STATE};
    TRY(emit_tensor(e, "loss_scale", "", &scale, &(TensorSpec){0}, &e->scale[0]));
    return emit_tensor(e, "loss_scale.good", "", &good, &(TensorSpec){0}, &e->scale[1]);
}

Status emit_scaled_count(Emitter *e) {
    const Optimizer *o = &e->spec->optimizer;
    int scaled;
    e->scaled_count = e->inverse_count;
    if (o->loss_scale == 0) return OK;
    TRY(program_add_scalar(e->p, "inverse_count.scaled", DTYPE_F64, 1, &scaled));
    e->scaled_count = scaled;
    return plan_add_op(
        e->p, e->plan,
        &(OpSpec){.name = "loss.scale",
                  .layer = "cross_entropy",
                  .kind = KIND_SCALE,
                  .phase = PHASE_FORWARD,
                  .dtype = dtype_wide(e->spec->dtype),
                  .lane = e->compute,
                  .attrs = (int64_t[]){o->scale_every ? 0 : build_attr_real(o->loss_scale)},
                  .outputs = &e->scaled_count,
                  .inputs = (int32_t[]){e->inverse_count, e->scale[0]},
                  .output_count = 1,
                  .input_count = o->scale_every ? 2 : 1},
        NULL);
}

Status emit_rescale(Emitter *e) {
    const Optimizer *o = &e->spec->optimizer;
    if (!o->scale_every || e->finite == NONE) return OK;
    return plan_add_op(e->p, e->plan,
                       &(OpSpec){.name = "loss.rescale",
                                 .kind = KIND_RESCALE,
                                 .phase = PHASE_UPDATE,
                                 .dtype = dtype_wide(e->spec->dtype),
                                 .lane = e->compute,
                                 .attrs = &o->scale_every,
                                 .outputs = e->scale,
                                 .inputs = &e->finite,
                                 .output_count = 2,
                                 .input_count = 1},
                       NULL);
}
