// SPDX-License-Identifier: MIT
// Computing beside collectives: NCCL's channels take multiprocessors (and memory), so that what a
// device computes goes on slower while one of its collectives is under way. Remaining work is kept
// in picoseconds at full speed, and timed anew whenever the first begins or the last ends.
#include "core/platform/kernel_model.h"
#include "sim/device_internal.h"

int64_t device_cost(const DeviceSimulation *s, int rank, int op) {
    const DeviceRank *r = &s->ranks[rank];
    int64_t ps = costs_op_ps(r->costs, s->o->plan, op, r->step);
    if (!s->o->noise || kind_class(work_kind(device_work(s, rank, op))) != CLASS_COMPUTE) return ps;
    return noise_ps(s->o->noise, r->number, op, r->step, ps);
}

// Times so much longer in thousandths, now.
static int32_t slowdown(const DeviceSimulation *s, int rank, int lane) {
    const DeviceRank *r = &s->ranks[rank];
    const int32_t *factors = r->costs->slowed_permille;
    const Work *w = device_work(s, rank, r->progress.at[lane]);
    if (!r->communicating || kind_class(work_kind(w)) != CLASS_COMPUTE) return 1000;
    int32_t factor =
        factors[kernel_model_multiplies(work_kind(w)) ? SLOWED_PRODUCTS : SLOWED_OTHER];
    return factor ? factor : 1000;
}

static int64_t stretched(int64_t ps, int32_t permille) {
    __int128 longer = ((__int128)ps * permille + 999) / 1000;
    return longer > INT64_MAX ? INT64_MAX : (int64_t)longer;
}

Status device_begin_work(DeviceSimulation *s, int rank, int op, int lane) {
    DeviceActivity *a = &s->ranks[rank].lanes[lane];
    a->left_ps = device_cost(s, rank, op);
    a->since_ps = s->engine.now_ps;
    return engine_push(&s->engine, &a->ends, stretched(a->left_ps, slowdown(s, rank, lane)),
                       (Event){s->actor, DEVICE_WORK_ENDS, rank, lane});
}

Status device_communicates(DeviceSimulation *s, int rank, int collectives) {
    DeviceRank *r = &s->ranks[rank];
    int64_t now = s->engine.now_ps;
    bool before = r->communicating > 0, after = r->communicating + collectives > 0;
    for (int lane = 0; lane < s->lanes && before != after; lane++) {
        DeviceActivity *a = &r->lanes[lane];
        if (!a->ends) continue;
        a->left_ps -= (int64_t)((__int128)(now - a->since_ps) * 1000 / slowdown(s, rank, lane));
        if (a->left_ps < 0) a->left_ps = 0;
        a->since_ps = now;
    }
    r->communicating += collectives;
    for (int lane = 0; lane < s->lanes && before != after; lane++) {
        DeviceActivity *a = &r->lanes[lane];
        if (a->ends)
            TRY(engine_move(&s->engine, a->ends, stretched(a->left_ps, slowdown(s, rank, lane))));
    }
    return OK;
}
