// SPDX-License-Identifier: MIT
#include "core/platform/device_model.h"

#include "core/base/units.h"

#include <stdio.h>
#include <string.h>

// numerator / denominator, rounded up, or INT64_MAX where that is less. Neither is negative.
static int64_t divide_up(__int128 numerator, __int128 denominator) {
    __int128 quotient = (numerator + denominator - 1) / denominator;
    return quotient > INT64_MAX ? INT64_MAX : (int64_t)quotient;
}

int64_t rate_ps(int64_t amount, int64_t per_s, int32_t permille) {
    if (amount == 0) return 0;
    return divide_up((__int128)amount * PS_PER_S * 1000, (__int128)per_s * permille);
}

int64_t device_model_ps(const DeviceModel *d, const Work *w) {
    int64_t compute = rate_ps(w->flops, d->flops_per_s[w->dtype], d->flops_permille);
    int64_t memory =
        rate_ps(w->read_bytes + w->write_bytes, d->memory_bytes_per_s, d->memory_permille);
    int64_t longer = compute > memory ? compute : memory;
    return longer > INT64_MAX - d->launch_ps ? INT64_MAX : longer + d->launch_ps;
}

bool device_model_knows(const DeviceModel *d, const Work *w) {
    bool computes = w->flops == 0 || (d->flops_per_s[w->dtype] > 0 && d->flops_permille > 0);
    bool moves = w->read_bytes + w->write_bytes == 0 ||
                 (d->memory_bytes_per_s > 0 && d->memory_permille > 0);
    return computes && moves;
}

static Status check_plan(const DeviceModel *d, const Program *p, const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = &p->works[plan->ops[i].work];
        if (kind_class((Kind)w->kind) == CLASS_COMMUNICATION || device_model_knows(d, w)) continue;
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

int64_t dilated_ns(int64_t ps, int64_t slowdown_permille) {
    return divide_up((__int128)ps * slowdown_permille, PS_PER_NS * 1000);
}

Status link_parse(LinkModel *out, const char *text) {
    char bandwidth[64];
    const char *comma = strchr(text, ',');
    LinkModel link;
    if (!comma || comma - text >= (int)sizeof bandwidth)
        FAIL(ERR_USAGE, "\"%s\" is not a link: give BANDWIDTH,LATENCY such as 1GB/s,50us", text);
    snprintf(bandwidth, sizeof bandwidth, "%.*s", (int)(comma - text), text);
    TRY(units_parse_bandwidth(&link.bytes_per_s, bandwidth));
    TRY(units_parse_duration(&link.latency_ps, comma + 1, 0));
    if (link.bytes_per_s < 1)
        FAIL(ERR_USAGE, "a link needs a bandwidth above 0, not %s", bandwidth);
    *out = link;
    return OK;
}
