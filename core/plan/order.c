// SPDX-License-Identifier: MIT
// Orders and vector clocks of a plan. An operation waits for the one before it on its lane and for
// its dependencies; what these have waited for has ended too.
//
// Why an edge that plan_order_may_wait() allows blocks nobody: a set of ranks is stuck exactly when
// operations wait for each other in a circle, which may pass from rank to rank through
// communications. An edge that closes such a circle leads from `before` through `op` and on to the
// next communication c of this rank (within a rank there is no circle, because places increase).
// But c waits for `before` without the edge too, so the circle was there before. Several such edges
// are taken out one after the other.
#include "core/plan/order.h"

#include "core/base/text.h"

// What an operation waits for directly in its step, one after the other: k = 0, 1 ... ; NONE for
// what is of another step; `*end` when there is no k-th.
static int waits_for(const Plan *plan, const int32_t *lane_before, int op, int k, bool *end) {
    const Op *of = &plan->ops[op];
    *end = k > of->dep_count;
    if (k == of->dep_count) return lane_before[op];
    if (*end) return NONE;
    const Dep *d = &plan->deps[of->dep_first + k];
    return d->distance == 0 ? d->op : NONE;
}

static void find_lane_before(const Plan *plan, int32_t *lane_before) {
    int32_t last[UINT8_MAX + 1];
    for (int lane = 0; lane <= UINT8_MAX; lane++) last[lane] = NONE;
    for (int i = 0; i < plan->op_count; i++) {
        lane_before[i] = last[plan->ops[i].lane];
        last[plan->ops[i].lane] = i;
    }
}

// --- an order

// Depth first: an operation gets its place when all that it waits for has one. The search meets an
// operation that it has not left yet exactly when there is a cycle (Tarjan 1972).
enum { NEW, ENTERED, LEFT };
enum { SHOWN = 4 };  // operations of a cycle that a message names

typedef struct {
    const Plan *plan;
    int32_t *lane_before, *op_at;
    int32_t *edge;  // [operation] how many of those that it waits for were looked at
    int32_t *path;  // operations that were entered and not left
    uint8_t *state;
    int depth, placed;
} Search;

static void enter(Search *s, int op) {
    s->state[op] = ENTERED;
    s->path[s->depth++] = op;
}

static Status explain(const Program *p, const Search *s, int target) {
    char text[STATUS_TEXT] = "";
    int from = 0;
    while (s->path[from] != target) from++;
    int length = s->depth - from, shown = length < SHOWN ? length : SHOWN;
    for (int i = 0; i <= shown; i++) {
        bool last = i == shown && length > shown;
        int op = s->path[from + i % length];
        text_append(text, sizeof text, "%s%.60s", i ? " waits for " : "",
                    last ? "..." : op_name(p, &s->plan->ops[op]));
    }
    FAIL(ERR_PLAN, "plan %s: a cycle of %d operation%s: %s; see their order on lanes and after=",
         program_name(p, s->plan->name), length, length == 1 ? "" : "s", text);
}

static Status search_from(Search *s, const Program *p, int root) {
    for (enter(s, root); s->depth > 0;) {
        int op = s->path[s->depth - 1];
        bool end;
        int target = waits_for(s->plan, s->lane_before, op, s->edge[op]++, &end);
        if (end) {
            s->state[op] = LEFT;
            s->depth--;
            s->op_at[s->placed++] = op;
        } else if (target != NONE && s->state[target] == ENTERED)
            return explain(p, s, target);
        else if (target != NONE && s->state[target] == NEW)
            enter(s, target);
    }
    return OK;
}

// Is plan order such an order?
static bool is_in_order(const Plan *plan) {
    for (int i = 0; i < plan->op_count; i++)
        for (int d = 0; d < plan->ops[i].dep_count; d++) {
            const Dep *dep = &plan->deps[plan->ops[i].dep_first + d];
            if (dep->distance == 0 && dep->op >= i) return false;
        }
    return true;
}

Status plan_order_find(int32_t *op_at, Arena *scratch, const Program *p, const Plan *plan) {
    int n = plan->op_count;
    for (int i = 0; i < n; i++) op_at[i] = i;
    if (is_in_order(plan)) return OK;
    Search s = {.plan = plan,
                .lane_before = ARENA_NEW(scratch, int32_t, n),
                .op_at = op_at,
                .edge = ARENA_NEW(scratch, int32_t, n),
                .path = ARENA_NEW(scratch, int32_t, n),
                .state = ARENA_NEW(scratch, uint8_t, n)};
    if (!s.lane_before || !s.edge || !s.path || !s.state)
        FAIL(ERR_MEMORY, "out of memory for the order of %d operations", n);
    find_lane_before(plan, s.lane_before);
    for (int i = 0; i < n; i++)
        if (s.state[i] == NEW) TRY(search_from(&s, p, i));
    return OK;
}

// --- clocks

static void find_lane_places(PlanOrder *o, const int32_t *lane_before) {
    for (int i = 0; i < o->plan->op_count; i++)
        o->lane_place[i] = lane_before[i] == NONE ? 0 : o->lane_place[lane_before[i]] + 1;
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
        for (int k = 0; before = waits_for(o->plan, lane_before, op, k, &end), !end; k++) {
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
        for (int k = 0; before = waits_for(o->plan, lane_before, op, k, &end), !end; k++) {
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
    find_lane_before(plan, lane_before);
    find_lane_places(o, lane_before);
    TRY(plan_order_find(o->op_at, a, p, plan));
    for (int at = 0; at < n; at++) o->place[o->op_at[at]] = at;
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
