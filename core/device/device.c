// SPDX-License-Identifier: MIT
// Devices by name, from the one list of them (DEVICE_LIST), and whether one can run a program.
#include "core/device/device.h"

#include "core/base/nearest.h"
#include "core/platform/device_traits.h"

#include <string.h>

#define X(name, form, traits, missing, help) extern const Device device_##name;
DEVICE_LIST(X)
#undef X

static const struct {
    const char *name, *missing;
    const Device *device;
} all[] = {
#define X(name, form, traits, missing, help) {#name, missing, &device_##name},
    DEVICE_LIST(X)
#undef X
};

Status device_find(const Device **out, const char *name) {
    Nearest nearest = {.word = name};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const Device *d = all[i].device;
        nearest_offer(&nearest, all[i].name);
        if (strcmp(all[i].name, name)) continue;
        if (!d->name) FAIL(ERR_UNAVAILABLE, "--device %s %s", name, all[i].missing);
        *out = d->choose ? d->choose() : d;
        return OK;
    }
    FAIL(ERR_USAGE, "no device \"%s\"%s%s%s; give %s", name, nearest.best ? " (did you mean " : "",
         nearest.best ? nearest.best : "", nearest.best ? "?)" : "", DEVICE_FORMS);
}

// The kernel of an operation, or of a fused one as a whole; NULL: there is none.
static Kernel kernel_of(const Device *d, const Program *p, const Work *w) {
    if (w->kind == KIND_FUSED)
        return dtype_is_real((Dtype)w->dtype) ? d->fused[work_attr(p, w, 0)][w->dtype] : NULL;
    return d->kernel[w->kind][w->dtype];
}

// Another device of this build that has the kernel, of a fused operation that of its first member;
// NULL: none has.
static const char *device_with(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op->member_count ? &plan->members[op->member_first] : op);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].device->name && kernel_of(all[i].device, p, w)) return all[i].name;
    return NULL;
}

static Status check_plan(const Device *d, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = &p->works[plan->ops[i].work];
        if (kind_class((Kind)w->kind) != CLASS_COMPUTE || kernel_of(d, p, w)) continue;
        const char *other = device_with(p, plan, &plan->ops[i]);
        FAIL(ERR_UNAVAILABLE,
             "device %s has no kernel for %s in %s, which operation %s of plan %s needs; give "
             "%s%s",
             d->name,
             w->kind == KIND_FUSED ? fusion_name((Fusion)work_attr(p, w, 0))
                                   : kind_name((Kind)w->kind),
             dtype_name((Dtype)w->dtype), op_name(p, &plan->ops[i]), program_name(p, plan->name),
             other ? "--device " : "another --device", other ? other : "");
    }
    return OK;
}

Status device_check(const Device *d, const Program *p) {
    for (int k = 0; k < p->plan_count; k++) TRY(check_plan(d, p, &p->plans[k]));
    return OK;
}
