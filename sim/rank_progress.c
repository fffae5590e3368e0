// SPDX-License-Identifier: MIT
// The rules of the executor about what may start, without the executor: see sim/rank_progress.h.
#include "sim/rank_progress.h"

#include "core/base/text.h"

#include <string.h>

Status rank_progress_init(RankProgress *r, Arena *a, const LaneOrder *o) {
    *r = (RankProgress){.order = o};
    r->at = ARENA_NEW(a, int32_t, o->program->lane_count + 1);
    r->waits = ARENA_NEW(a, RankWait, o->program->lane_count + 1);
    if (!r->at || !r->waits) FAIL(ERR_MEMORY, "out of memory for simulating a rank");
    rank_progress_begin(r);
    return OK;
}

void rank_progress_begin(RankProgress *r) {
    r->left = r->order->plan->op_count;
    memcpy(r->at, r->order->first, (size_t)r->order->program->lane_count * sizeof *r->at);
    for (int lane = 0; lane < r->order->program->lane_count; lane++)
        r->waits[lane] = (RankWait){.behind = NONE};
}

// The operation that the lane's leader waits for, or NONE: of its dependencies the first that has
// not ended. What has ended stays so.
static int first_missing(const RankProgress *r, int lane) {
    const Plan *plan = r->order->plan;
    RankWait *w = &r->waits[lane];
    if (w->behind != NONE) {
        int32_t leader = r->at[w->behind_lane];
        if (leader != NONE && w->behind >= leader) return w->behind;
        w->seen++;
    }
    const Op *op = &plan->ops[r->at[lane]];
    for (w->behind = NONE; w->seen < op->dep_count; w->seen++) {
        const Dep *dep = &plan->deps[op->dep_first + w->seen];
        if (dep->distance || lane_order_ended(r->order, r->at, dep->op)) continue;
        w->behind = dep->op;
        w->behind_lane = plan->ops[dep->op].lane;
        return dep->op;
    }
    return NONE;
}

bool rank_progress_may_start(const RankProgress *r, int lane) {
    return first_missing(r, lane) == NONE;
}

void rank_progress_finish(RankProgress *r, int op) {
    int lane = r->order->plan->ops[op].lane;
    r->at[lane] = r->order->next[op];
    r->waits[lane] = (RankWait){.behind = NONE};
    r->left--;
}

int rank_progress_ready_work(const RankProgress *r) {
    int best = NONE;
    const Program *p = r->order->program;
    for (int lane = 0; lane < p->lane_count; lane++) {
        int op = p->lanes[lane].kind == LANE_COMMUNICATION ? NONE : r->at[lane];
        if (op != NONE && (best == NONE || op < best) && rank_progress_may_start(r, lane))
            best = op;
    }
    return best;
}

Status class_order_of(const LaneOrder **of_rank, ClassOrder **orders, Arena *a,
                      const SimulateOptions *o, int rank) {
    const Program *p = o->costs[rank]->program;
    ClassOrder *order = *orders;
    while (order && order->lanes.program != p) order = order->next;
    if (!order) {
        order = ARENA_NEW(a, ClassOrder, 1);
        if (!order) FAIL(ERR_MEMORY, "out of memory for simulating a plan");
        TRY(lane_order_init(&order->lanes, a, p, o->plan));
        order->next = *orders;
        *orders = order;
    }
    *of_rank = &order->lanes;
    return OK;
}

int64_t simulate_executions(const SimulateOptions *o) {
    int64_t all = 0;
    for (int i = 0; i < fold_count(o->fold, o->ranks); i++)
        all += o->costs[fold_rank(o->fold, i)]->program->plans[o->plan].op_count;
    return all * (o->steps ? o->steps : 1);
}

Status simulate_watch(const SimulateOptions *o, int64_t ended, int64_t all) {
    if (!o->watch || o->watch->go_on(o->watch->context, (double)ended / (double)(all ? all : 1)))
        return OK;
    FAIL(ERR_INTERRUPTED, "interrupted after %lld of %lld operations of %d ranks", (long long)ended,
         (long long)all, o->ranks);
}

enum { EXPLANATION = STATUS_TEXT - 32 };

// `missing`: room for all ranks.
static void explain_lane(char text[EXPLANATION], const DeadlockReport *s, int rank, int lane,
                         int *missing) {
    const RankProgress *r = s->progress(s->context, rank);
    const Program *p = r->order->program;
    const Op *ops = r->order->plan->ops;
    int op = r->at[lane];
    if (op == NONE) return;
    text_append(text, EXPLANATION, "%srank %d ", *text ? "; " : "", rank);
    if (s->started(s->context, rank, lane)) {
        text_append(text, EXPLANATION, "waits at %s for", op_name(p, &ops[op]));
        int count = s->missing(s->context, rank, lane, missing);
        for (int i = 0; i < count; i++) text_append(text, EXPLANATION, " rank %d", missing[i]);
        return;
    }
    int behind = first_missing(r, lane);
    text_append(text, EXPLANATION, "cannot begin %s", op_name(p, &ops[op]));
    if (behind != NONE) text_append(text, EXPLANATION, " before %s", op_name(p, &ops[behind]));
}

Status rank_progress_deadlock(const DeadlockReport *s, Arena *a) {
    char text[EXPLANATION] = "";
    int *missing = ARENA_NEW(a, int, s->ranks);
    if (!missing) FAIL(ERR_MEMORY, "out of memory");
    for (int rank = 0; rank < s->ranks; rank++)
        for (int lane = 0; lane < s->progress(s->context, rank)->order->program->lane_count; lane++)
            explain_lane(text, s, rank, lane, missing);
    FAIL(ERR_FAILED, "deadlock: %s", text);
}
