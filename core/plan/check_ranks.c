// SPDX-License-Identifier: MIT
// Executes one plan on every rank without cost, lane by lane: an operation is done when what it
// depends on is done and it leads its lane; a communication when all its members stand at it. What
// cannot go on is a deadlock, and who waits for whom is the message.
#include "core/base/arena.h"
#include "core/base/text.h"
#include "core/plan/check_internal.h"
#include "core/plan/group.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const Program *p;
    const Plan *plan;
    uint8_t *done;  // per operation
    int32_t *at;    // per lane: the operation that leads it, op_count when it is through
} Walker;

typedef struct {
    Walker *walkers;
    int ranks;
} Walk;

static int next_on_lane(const Walker *w, int lane, int from) {
    while (from < w->plan->op_count && w->plan->ops[from].lane != lane) from++;
    return from;
}

static const Op *leader(const Walker *w, int lane) {
    return w->at[lane] < w->plan->op_count ? &w->plan->ops[w->at[lane]] : NULL;
}

static int missing_dep(const Walker *w, const Op *op) {
    for (int d = 0; d < op->dep_count; d++) {
        const Dep *dep = &w->plan->deps[op->dep_first + d];
        if (dep->distance == 0 && !w->done[dep->op]) return dep->op;
    }
    return NONE;
}

static void finish_leader(Walker *w, int lane) {
    w->done[w->at[lane]] = 1;
    w->at[lane] = next_on_lane(w, lane, w->at[lane] + 1);
}

// The member across: of a send or receive, `peer` places along the group.
static int partner(const Walk *walk, int rank, const Work *work) {
    return group_peer(walk->walkers[rank].p, work->group, rank, work->peer);
}

// Do two members mean the same collective?
static bool same_collective(const Work *a, const Work *b) {
    return a->kind == b->kind && a->payload_bytes == b->payload_bytes && a->dtype == b->dtype &&
           a->reduce == b->reduce && a->algorithm == b->algorithm && a->order == b->order &&
           (a->kind != KIND_BROADCAST || a->peer == b->peer);
}

// The operation that leads the same lane at another rank, if it can start.
static const Op *arrived(const Walk *walk, int rank, int lane) {
    const Walker *w = &walk->walkers[rank];
    const Op *op = lane < w->p->lane_count ? leader(w, lane) : NULL;
    return op && missing_dep(w, op) == NONE ? op : NULL;
}

static Status try_pair(Walk *walk, int rank, int lane, bool *moved) {
    const Work *mine = op_work(walk->walkers[rank].p, leader(&walk->walkers[rank], lane));
    int other = partner(walk, rank, mine);
    Walker *w = &walk->walkers[other];
    if (mine->kind != KIND_SEND) return OK;
    for (int k = 0; k < w->p->lane_count; k++) {
        const Op *op = arrived(walk, other, k);
        const Work *theirs = op ? op_work(w->p, op) : NULL;
        if (!theirs || theirs->kind != KIND_RECEIVE || partner(walk, other, theirs) != rank)
            continue;
        if (work_attr(w->p, theirs, 0) != work_attr(walk->walkers[rank].p, mine, 0)) continue;
        if (theirs->payload_bytes != mine->payload_bytes)
            FAIL(ERR_PLAN, "rank %d sends %lld bytes in %s, rank %d expects %lld in %s", rank,
                 (long long)mine->payload_bytes, program_name(walk->walkers[rank].p, mine->name),
                 other, (long long)theirs->payload_bytes, program_name(w->p, theirs->name));
        finish_leader(w, k);
        finish_leader(&walk->walkers[rank], lane);
        *moved = true;
        return OK;
    }
    return OK;
}

static Status try_collective(Walk *walk, int rank, int lane, bool *moved) {
    const Walker *w = &walk->walkers[rank];
    const Work *mine = op_work(w->p, leader(w, lane));
    int size = group_size(w->p, mine->group);
    for (int m = 0; m < size; m++) {
        int other = group_member(w->p, mine->group, rank, m);
        const Op *op = arrived(walk, other, lane);
        if (!op) return OK;
        const Work *theirs = op_work(walk->walkers[other].p, op);
        if (!same_collective(mine, theirs))
            FAIL(ERR_PLAN,
                 "plan %s: rank %d issues %s %s (%s, %lld bytes) where rank %d issues %s %s (%s, "
                 "%lld bytes)",
                 program_name(w->p, w->plan->name), rank, kind_name((Kind)mine->kind),
                 program_name(w->p, mine->name), algorithm_name((Algorithm)mine->algorithm),
                 (long long)mine->payload_bytes, other, kind_name((Kind)theirs->kind),
                 program_name(walk->walkers[other].p, theirs->name),
                 algorithm_name((Algorithm)theirs->algorithm), (long long)theirs->payload_bytes);
    }
    for (int m = 0; m < size; m++)
        finish_leader(&walk->walkers[group_member(w->p, mine->group, rank, m)], lane);
    *moved = true;
    return OK;
}

static Status check_member(Walk *walk, int rank, const Op *op) {
    const Walker *w = &walk->walkers[rank];
    int group = op_work(w->p, op)->group;
    if (group_position(w->p, group, rank) != NONE) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: rank %d is not in group %s", program_name(w->p, w->plan->name),
         op_name(w->p, op), rank, program_name(w->p, w->p->groups[group].name));
}

static Status advance(Walk *walk, int rank, bool *moved) {
    Walker *w = &walk->walkers[rank];
    for (int lane = 0; lane < w->p->lane_count; lane++) {
        const Op *op = arrived(walk, rank, lane);
        if (!op) continue;
        Kind kind = op_kind(w->p, op);
        if (kind_communicates(kind)) TRY(check_member(walk, rank, op));
        if (kind == KIND_SEND || kind == KIND_RECEIVE)
            TRY(try_pair(walk, rank, lane, moved));
        else if (kind_communicates(kind))
            TRY(try_collective(walk, rank, lane, moved));
        else {
            finish_leader(w, lane);
            *moved = true;
        }
    }
    return OK;
}

// What a rank that is not through waits for, in words; `out` is empty at first.
static void explain(const Walk *walk, int rank, char *out, size_t size) {
    const Walker *w = &walk->walkers[rank];
    for (int lane = 0; lane < w->p->lane_count; lane++) {
        const Op *op = leader(w, lane);
        if (!op) continue;
        const Work *work = op_work(w->p, op);
        int dep = missing_dep(w, op);
        if (dep != NONE) {
            if (!*out)
                snprintf(out, size, "rank %d: %s waits for %s", rank, op_name(w->p, op),
                         op_name(w->p, &w->plan->ops[dep]));
            continue;  // a peer that does not come explains more
        }
        if (work->kind == KIND_SEND || work->kind == KIND_RECEIVE) {
            snprintf(out, size, "rank %d: %s waits for rank %d", rank, op_name(w->p, op),
                     partner(walk, rank, work));
            return;
        }
        for (int m = 0; m < group_size(w->p, work->group); m++) {
            int other = group_member(w->p, work->group, rank, m);
            if (arrived(walk, other, lane)) continue;
            snprintf(out, size, "rank %d: %s waits for rank %d", rank, op_name(w->p, op), other);
            return;
        }
    }
}

static Status deadlock(const Walk *walk, const Plan *plan, const Program *p) {
    char text[STATUS_TEXT] = "";
    for (int r = 0; r < walk->ranks && strlen(text) < sizeof text - 96; r++) {
        char line[128] = "";
        explain(walk, r, line, sizeof line);
        if (*line) text_append(text, sizeof text, "%s%s", *text ? "; " : "", line);
    }
    FAIL(ERR_PLAN, "plan %s: deadlock: %s", program_name(p, plan->name), text);
}

static Status walk_init(Walk *walk, Arena *a, const Program *const programs[],
                        const uint8_t *program_of, int k) {
    walk->walkers = ARENA_NEW(a, Walker, walk->ranks);
    if (!walk->walkers) FAIL(ERR_MEMORY, "out of memory for checking %d ranks", walk->ranks);
    for (int r = 0; r < walk->ranks; r++) {
        Walker *w = &walk->walkers[r];
        w->p = programs[program_of ? program_of[r] : 0];
        w->plan = &w->p->plans[k];
        w->done = ARENA_NEW(a, uint8_t, w->plan->op_count + 1);
        w->at = ARENA_NEW(a, int32_t, w->p->lane_count + 1);
        if (!w->done || !w->at)
            FAIL(ERR_MEMORY, "out of memory for checking %d ranks", walk->ranks);
        for (int lane = 0; lane < w->p->lane_count; lane++) w->at[lane] = next_on_lane(w, lane, 0);
    }
    return OK;
}

static Status walk_through(Walk *walk) {
    for (bool moved = true; moved;) {
        moved = false;
        for (int r = 0; r < walk->ranks; r++) TRY(advance(walk, r, &moved));
    }
    for (int r = 0; r < walk->ranks; r++)
        for (int lane = 0; lane < walk->walkers[r].p->lane_count; lane++)
            if (leader(&walk->walkers[r], lane))
                return deadlock(walk, walk->walkers[r].plan, walk->walkers[r].p);
    return OK;
}

Status check_ranks(const Program *const programs[], const uint8_t *program_of, int ranks, int k) {
    Arena scratch = {0};
    Walk walk = {.ranks = ranks};
    Status s = walk_init(&walk, &scratch, programs, program_of, k);
    if (s == OK) s = walk_through(&walk);
    arena_finish(&scratch);
    return s;
}
