// SPDX-License-Identifier: MIT
// Can the operations of one plan be put in an order at all? An operation comes after those it
// depends on and after the one before it on its lane. A depth-first search over these edges meets
// an operation that it has not left yet exactly when there is a cycle (Tarjan 1972).
#include "core/base/arena.h"
#include "core/base/text.h"
#include "core/plan/check_internal.h"

#include <stdio.h>
#include <string.h>

enum { NEW, ENTERED, LEFT };
enum { SHOWN = 4 };  // operations of a cycle that a message names

typedef struct {
    const Plan *plan;
    int32_t *lane_before;  // per operation: the one before it on its lane, or NONE
    int32_t *edge;         // per operation: how many of its edges were followed
    int32_t *path;         // operations that were entered and not left
    uint8_t *state;
    int depth;
} Search;

// The operation that the k-th edge of `op` leads to: its dependencies in this step, then its lane.
// NONE: there is nothing to follow; *end: nor is there behind it.
static int edge_target(const Search *s, int op, int k, bool *end) {
    const Op *o = &s->plan->ops[op];
    *end = k > o->dep_count;
    if (k == o->dep_count) return s->lane_before[op];
    if (*end) return NONE;
    const Dep *d = &s->plan->deps[o->dep_first + k];
    return d->distance == 0 ? d->op : NONE;
}

static void enter(Search *s, int op) {
    s->state[op] = ENTERED;
    s->path[s->depth++] = op;
}

// Search from `root`; the cycle, when there is one, is what lies on the path from *from on.
static bool find_cycle(Search *s, int root, int *from) {
    for (enter(s, root); s->depth > 0;) {
        int op = s->path[s->depth - 1];
        bool end;
        int target = edge_target(s, op, s->edge[op]++, &end);
        if (end) {
            s->state[op] = LEFT;
            s->depth--;
        } else if (target != NONE && s->state[target] == ENTERED) {
            for (*from = 0; s->path[*from] != target;) ++*from;
            return true;
        } else if (target != NONE && s->state[target] == NEW)
            enter(s, target);
    }
    return false;
}

static Status explain(const Program *p, const Search *s, int from) {
    char text[STATUS_TEXT] = "";
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

Status check_order(const Program *p, const Plan *plan, Arena *scratch) {
    int n = plan->op_count, last[UINT8_MAX + 1], from;
    Search s = {plan,
                ARENA_NEW(scratch, int32_t, n),
                ARENA_NEW(scratch, int32_t, n),
                ARENA_NEW(scratch, int32_t, n),
                ARENA_NEW(scratch, uint8_t, n),
                0};
    if (!s.lane_before || !s.edge || !s.path || !s.state)
        FAIL(ERR_MEMORY, "out of memory for checking a plan");
    for (int lane = 0; lane <= UINT8_MAX; lane++) last[lane] = NONE;
    for (int i = 0; i < n; i++) {
        s.lane_before[i] = last[plan->ops[i].lane];
        last[plan->ops[i].lane] = i;
    }
    for (int i = 0; i < n; i++)
        if (s.state[i] == NEW && find_cycle(&s, i, &from)) return explain(p, &s, from);
    return OK;
}
