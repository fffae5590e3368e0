// SPDX-License-Identifier: MIT
// Roofline times in whole picoseconds, rounded up; kernel_model.c has what of the roof kernels of
// which shapes reach.
#include "core/platform/device_model.h"

#include "core/base/units.h"
#include "core/plan/moved.h"

static int64_t sum(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

// At a share of what is reached with so many bytes; 0: all of it.
static int64_t moving_ps(const DeviceModel *d, int64_t bytes, int32_t share_permille) {
    int64_t ps =
        kernel_model_memory_ps(&d->kernels, bytes, d->memory_bytes_per_s, d->memory_permille);
    __int128 all = share_permille ? (__int128)ps * 1000 / share_permille : ps;
    return all > INT64_MAX ? INT64_MAX : (int64_t)all;
}

static int64_t longer_ps(const DeviceModel *d, const Work *w, int64_t bytes,
                         int64_t arithmetic_ps) {
    int64_t memory_ps = moving_ps(d, bytes, d->kernels.kind_permille[work_kind(w)]);
    return sum(arithmetic_ps > memory_ps ? arithmetic_ps : memory_ps, device_gap_ps(d));
}

static int64_t roofline_ps(const DeviceModel *d, const Work *w, int64_t bytes) {
    return longer_ps(d, w, bytes,
                     units_ps_at(w->flops, d->flops_per_s[w->dtype], d->flops_permille));
}

int64_t device_model_work_ps(const DeviceModel *d, const Work *w) {
    return roofline_ps(d, w, w->read_bytes + w->write_bytes);
}

int64_t device_model_ps(const DeviceModel *d, const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    int64_t ps;
    int32_t share;
    if (!kernel_model_arithmetic_ps(&ps, &d->kernels, p, plan, op, d->flops_per_s[w->dtype]))
        return roofline_ps(d, w, moved_bytes(p, plan, op));
    ps = longer_ps(d, w, moved_bytes(p, plan, op), ps);
    int64_t bytes = kernel_model_bias_bytes(&share, &d->kernels, p, plan, op);
    return bytes ? sum(ps, sum(moving_ps(d, bytes, share), device_gap_ps(d))) : ps;
}

bool device_model_knows(const DeviceModel *d, const Work *w) {
    bool computes = w->flops == 0 || (d->flops_per_s[w->dtype] > 0 && d->flops_permille > 0);
    bool moves = w->read_bytes + w->write_bytes == 0 ||
                 (d->memory_bytes_per_s > 0 && d->memory_permille > 0);
    return computes && moves;
}

static Status check_plan(const DeviceModel *d, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        if (work_communicates(w) || device_model_knows(d, w)) continue;
        FAIL(ERR_USAGE,
             "the machine's device %s has no rate for %s, which is %s: describe one that computes "
             "in %s (docs/formats.md, \"Machine files\"), or give another --dtype",
             d->name ? d->name : "", op_name(p, &plan->ops[i]), dtype_name((Dtype)w->dtype),
             dtype_name((Dtype)w->dtype));
    }
    return OK;
}

Status device_model_check(const DeviceModel *d, const Program *p) {
    for (int k = 0; k < p->plan_count; k++) TRY(check_plan(d, p, &p->plans[k]));
    return OK;
}

int64_t device_model_slowed_ns(int64_t ps, int64_t slowdown_permille) {
    return units_divide_up((__int128)ps * slowdown_permille, PS_PER_NS * 1000);
}
