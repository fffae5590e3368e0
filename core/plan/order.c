// SPDX-License-Identifier: MIT
// Vector clocks of a plan. An operation waits for the one before it on its lane and for its
// dependencies; what these have waited for has ended too.
//
// Why an edge that plan_order_may_wait() allows blocks nobody: a set of ranks is stuck exactly when
// operations wait for each other in a circle, which may pass from rank to rank through
// communications. An edge that closes such a circle leads from `before` through `op` and on to the
// next communication c of this rank (within a rank there is no circle, because places increase).
// But c waits for `before` without the edge too, so the circle was there before. Several such edges
// are taken out one after the other.
#include "core/plan/order.h"

#include <string.h>

enum { NEW, ENTERED, LEFT };

// What an operation waits for directly in its step, one after the other: k = 0, 1 ... ; NONE for
// what is of another step; `*end` when there is no k-th.
static int waits_for(const PlanOrder *o, const int32_t *lane_before, int op, int k, bool *end) {
    const Op *of = &o->plan->ops[op];
    *end = k > of->dep_count;
    if (*end) return NONE;
    if (k == 0) return lane_before[op];
    const Dep *d = &o->plan->deps[of->dep_first + k - 1];
    return d->distance == 0 ? d->op : NONE;
}

static bool plan_order_is_one(const PlanOrder *o) {
    for (int i = 0; i < o->plan->op_count; i++)
        for (int d = 0; d < o->plan->ops[i].dep_count; d++) {
            const Dep *dep = &o->plan->deps[o->plan->ops[i].dep_first + d];
            if (dep->distance == 0 && dep->op >= i) return false;
        }
    return true;
}

// Depth first: an operation gets its place when all that it waits for has one.
typedef struct {
    int32_t *path, *edge;
    uint8_t *state;
    int depth, placed;
} Search;

static Status search_from(PlanOrder *o, const int32_t *lane_before, Search *s, int root) {
    s->path[s->depth++] = root;
    s->state[root] = ENTERED;
    while (s->depth > 0) {
        int op = s->path[s->depth - 1];
        bool end;
        int target = waits_for(o, lane_before, op, s->edge[op]++, &end);
        if (end) {
            s->state[op] = LEFT;
            s->depth--;
            o->op_at[s->placed++] = op;
        } else if (target != NONE && s->state[target] == ENTERED)
            FAIL(ERR_PLAN, "plan %s: %s is in a cycle", program_name(o->p, o->plan->name),
                 op_name(o->p, &o->plan->ops[target]));
        else if (target != NONE && s->state[target] == NEW) {
            s->path[s->depth++] = target;
            s->state[target] = ENTERED;
        }
    }
    return OK;
}

static Status find_places(PlanOrder *o, Arena *a, const int32_t *lane_before) {
    int n = o->plan->op_count;
    if (plan_order_is_one(o)) {
        for (int i = 0; i < n; i++) o->op_at[i] = i;
    } else {
        Search s = {ARENA_NEW(a, int32_t, n), ARENA_NEW(a, int32_t, n), ARENA_NEW(a, uint8_t, n), 0,
                    0};
        if (!s.path || !s.edge || !s.state)
            FAIL(ERR_MEMORY, "out of memory for the order of %d operations", n);
        for (int i = 0; i < n; i++)
            if (s.state[i] == NEW) TRY(search_from(o, lane_before, &s, i));
    }
    for (int at = 0; at < n; at++) o->place[o->op_at[at]] = at;
    return OK;
}

static void find_lane_places(PlanOrder *o, int32_t *lane_before) {
    int32_t last[UINT8_MAX + 1];
    for (int lane = 0; lane <= UINT8_MAX; lane++) last[lane] = NONE;
    for (int i = 0; i < o->plan->op_count; i++) {
        int lane = o->plan->ops[i].lane;
        lane_before[i] = last[lane];
        o->lane_place[i] = last[lane] == NONE ? 0 : o->lane_place[last[lane]] + 1;
        last[lane] = i;
    }
}

static int32_t *clock_of(const PlanOrder *o, int32_t *clocks, int op) {
    return &clocks[(size_t)op * (size_t)o->lanes];
}

// Forward: what has ended when an operation begins.
static void find_ended(PlanOrder *o, const int32_t *lane_before) {
    int n = o->plan->op_count;
    for (int i = 0; i < n; i++) {
        o->latest[i] = NONE;
        o->earliest[i] = n;
    }
    for (int at = 0; at < n; at++) {
        int op = o->op_at[at], before;
        int32_t *clock = clock_of(o, o->ended, op);
        bool end = false;
        for (int k = 0; before = waits_for(o, lane_before, op, k, &end), !end; k++) {
            if (before == NONE) continue;
            const int32_t *theirs = clock_of(o, o->ended, before);
            for (int lane = 0; lane < o->lanes; lane++)
                if (theirs[lane] > clock[lane]) clock[lane] = theirs[lane];
            int lane = o->plan->ops[before].lane;
            if (o->lane_place[before] + 1 > clock[lane]) clock[lane] = o->lane_place[before] + 1;
            if (o->place[before] > o->latest[op]) o->latest[op] = o->place[before];
            if (at < o->earliest[before]) o->earliest[before] = at;
        }
    }
}

// Backward: what the communications behind an operation have in common.
static void find_behind(PlanOrder *o, const int32_t *lane_before) {
    int n = o->plan->op_count;
    for (size_t i = 0; i < (size_t)n * (size_t)o->lanes; i++) o->behind[i] = INT32_MAX;
    for (int at = n - 1; at >= 0; at--) {
        int op = o->op_at[at], before;
        bool communicates = op_communicates(o->p, &o->plan->ops[op]), end = false;
        const int32_t *mine = clock_of(o, communicates ? o->ended : o->behind, op);
        for (int k = 0; before = waits_for(o, lane_before, op, k, &end), !end; k++) {
            if (before == NONE) continue;
            int32_t *theirs = clock_of(o, o->behind, before);
            for (int lane = 0; lane < o->lanes; lane++)
                if (mine[lane] < theirs[lane]) theirs[lane] = mine[lane];
        }
    }
}

Status plan_order_init(PlanOrder *o, Arena *a, const Program *p, const Plan *plan) {
    int n = plan->op_count;
    *o = (PlanOrder){.p = p,
                     .plan = plan,
                     .lanes = p->lane_count,
                     .place = ARENA_NEW(a, int32_t, n + 1),
                     .op_at = ARENA_NEW(a, int32_t, n + 1),
                     .lane_place = ARENA_NEW(a, int32_t, n + 1),
                     .latest = ARENA_NEW(a, int32_t, n + 1),
                     .earliest = ARENA_NEW(a, int32_t, n + 1)};
    o->ended = ARENA_NEW(a, int32_t, (size_t)n * (size_t)o->lanes + 1);
    o->behind = ARENA_NEW(a, int32_t, (size_t)n * (size_t)o->lanes + 1);
    int32_t *lane_before = ARENA_NEW(a, int32_t, n + 1);
    if (!o->place || !o->op_at || !o->lane_place || !o->latest || !o->earliest || !o->ended ||
        !o->behind || !lane_before)
        FAIL(ERR_MEMORY, "out of memory for the order of %d operations", n);
    find_lane_places(o, lane_before);
    TRY(find_places(o, a, lane_before));
    find_ended(o, lane_before);
    find_behind(o, lane_before);
    return OK;
}

bool plan_order_holds(const PlanOrder *o, int before, int op) {
    size_t at = (size_t)op * (size_t)o->lanes + o->plan->ops[before].lane;
    return o->ended[at] > o->lane_place[before];
}

bool plan_order_may_wait(const PlanOrder *o, int op, int before) {
    if (o->place[before] >= o->place[op] || op_communicates(o->p, &o->plan->ops[op])) return false;
    size_t at = (size_t)op * (size_t)o->lanes + o->plan->ops[before].lane;
    return o->behind[at] > o->lane_place[before];
}
