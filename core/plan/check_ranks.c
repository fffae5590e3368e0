// SPDX-License-Identifier: MIT
// Executes one plan on every rank without cost, lane by lane: an operation is done when what it
// depends on is done and it leads its lane; a communication when all its members stand at it. What
// cannot go on is a deadlock, and who waits for whom is the message. Each rank looks at its lanes
// again when something has ended on it, so that the walk is linear in ranks and operations.
//
// Ranks that all do the same need not all be walked (fold()). Call an axis of the mesh symmetric if
// no class of ranks depends on it, and if every communication over it is a collective of a whole
// line of ranks along it. Take the ranks at coordinate 0 of all symmetric axes, and leave those
// axes out of every group. What these ranks can do one after the other, all can: whenever one of
// them ends an operation, let all ranks that differ from it along symmetric axes end it, too. They
// have the same plan and have ended the same operations; and the members of their collective stand
// at it, because those of the walked ranks do, up to coordinates along symmetric axes. So a folded
// walk that comes to its end proves the whole one. One that does not proves nothing: then all ranks
// are walked, for the verdict and for the message.
#include "core/base/arena.h"
#include "core/base/text.h"
#include "core/plan/check_internal.h"
#include "core/plan/group.h"
#include "core/plan/lane_order.h"
#include "core/plan/placement_rules.h"

#include <stdio.h>
#include <string.h>

// A collective that some members stand at. It is kept, by its lane, at the first of them.
typedef struct {
    int32_t rank, op, group;  // who came first, to which operation
    int32_t arrived;          // members; 0: nobody stands here
} Meeting;

typedef struct {
    const LaneOrder *order;
    int32_t *at;        // per lane: the operation that leads it, or NONE when it is through
    int32_t *seen;      // per lane: as many dependencies of its leader were seen to be done
    uint8_t *stands;    // per lane: its leader can start and waits for other ranks
    Meeting *meetings;  // per lane: of the groups whose first member this is
    bool queued;
} Walker;

typedef struct {
    const LaneOrder *orders;  // per class
    const ClassSends *sends;  // per class
    int plan;
    const Program *whole;  // of the whole mesh: the walked programs lack axes
    Walker *walkers;
    int32_t *queue;  // ranks that may go on, in a circle
    int ranks, queue_first, queue_count;
} Walk;

static const Program *program_at(const Walk *walk, int rank) {
    return walk->walkers[rank].order->program;
}

static const Op *leader(const Walker *w, int lane) {
    return w->at[lane] == NONE ? NULL : &w->order->plan->ops[w->at[lane]];
}

static const Work *leader_work(const Walk *walk, int rank, int lane) {
    return op_work(program_at(walk, rank), leader(&walk->walkers[rank], lane));
}

// The first operation that the lane's leader waits for, or NONE.
static int missing_dep(const Walker *w, int lane) {
    const Op *op = leader(w, lane);
    for (; w->seen[lane] < op->dep_count; w->seen[lane]++) {
        const Dep *dep = &w->order->plan->deps[op->dep_first + w->seen[lane]];
        if (dep->distance == 0 && !lane_order_ended(w->order, w->at, dep->op)) return dep->op;
    }
    return NONE;
}

static void enqueue(Walk *walk, int rank) {
    if (walk->walkers[rank].queued) return;
    walk->walkers[rank].queued = true;
    walk->queue[(walk->queue_first + walk->queue_count++) % walk->ranks] = rank;
}

static void finish_leader(Walk *walk, int rank, int lane) {
    Walker *w = &walk->walkers[rank];
    w->at[lane] = w->order->next[w->at[lane]];
    w->seen[lane] = 0;
    w->stands[lane] = false;
    enqueue(walk, rank);
}

// The member across: of a send or receive, `peer` places along the group.
static int partner(const Walk *walk, int rank, const Work *work) {
    return group_peer(program_at(walk, rank), work->group, rank, work->peer);
}

// Are they of as many tensors that are cut, of equal sizes?
static bool same_sizes(const Program *p, const Work *a, const Program *q, const Work *b) {
    if (a->attr_count != b->attr_count) return false;
    for (int i = 0; i < a->attr_count; i++)
        if (work_attr(p, a, i) != work_attr(q, b, i)) return false;
    return true;
}

// The first fact in which the collectives of two members differ, as plan files name it, or NULL.
static const char *collective_difference(const Program *p, const Work *a, const Program *q,
                                         const Work *b) {
    return a->kind != b->kind                     ? "kind"
           : a->payload_bytes != b->payload_bytes ? "bytes"
           : a->dtype != b->dtype                 ? "dtype="
           : a->unit != b->unit                   ? "unit="
           : a->reduce != b->reduce               ? "reduce="
           : a->algorithm != b->algorithm         ? "algorithm="
           : a->order != b->order                 ? "order="
           : a->peer != b->peer                   ? "peer="
           : a->parts != b->parts                 ? "parts="
           : !same_sizes(p, a, q, b)              ? "the sizes of their tensors"
                                                  : NULL;
}

// Are the leaders of these lanes, which stand, the two ends of one message?
static bool are_ends(const Walk *walk, int rank, int lane, int other, int other_lane) {
    const Work *mine = leader_work(walk, rank, lane);
    const Work *theirs = leader_work(walk, other, other_lane);
    return work_is_message(theirs) && theirs->kind != mine->kind && theirs->group == mine->group &&
           work_attr(program_at(walk, other), theirs, 0) ==
               work_attr(program_at(walk, rank), mine, 0) &&
           partner(walk, other, theirs) == rank;
}

// Along an axis that they are apart on, the receiver has what it has for itself; or, of what is
// replicated, the same; or, in a ring, where it comes `distance` behind the sender, the same piece
// and the same terms of a sum. Along others both lie alike.
static bool lies_alike(Placement sent, Placement received, bool apart, int distance, int size) {
    if (apart && sent.place == PLACE_SHARD) {
        sent.shift = (sent.shift + distance) % size;
        if (sent.terms) sent.from = (int16_t)((sent.from + distance) % size);
    }
    if (placement_equal(sent, received)) return true;
    return apart && (received.place == PLACE_ONLY || received.place == PLACE_DIFFERS);
}

// How many coordinates along an axis one rank comes after another, modulo its size.
static int distance(const Walk *walk, int axis, int from, int to) {
    const Axis *x = &program_at(walk, from)->axes[axis];
    return (axis_coordinate(x, to) - axis_coordinate(x, from) + x->size) % x->size;
}

static Status check_type(const Walk *walk, int sending, int lane, int receiving,
                         int receiver_lane) {
    const Walker *sender = &walk->walkers[sending], *receiver = &walk->walkers[receiving];
    const Program *p = sender->order->program, *q = receiver->order->program;
    const Op *send = leader(sender, lane), *receive = leader(receiver, receiver_lane);
    int class = (int)(sender->order - walk->orders), group = op_work(p, send)->group;
    const Placement *how = walk->sends[class].of[walk->plan][sender->at[lane]];
    char sent[PLACEMENT_TEXT], got[PLACEMENT_TEXT];
    for (int i = 0; i < send->inputs && i < receive->outputs; i++) {
        int x = op_inputs(sender->order->plan, send)[i];
        int y = op_outputs(receiver->order->plan, receive)[i];
        for (int a = 0; a < walk->whole->axis_count; a++) {
            Placement is = how[i * AXES + a], declared = q->tensors[y].placement[a];
            bool apart = placement_group_varies(walk->whole, group, a);
            int size = walk->whole->axes[a].size;
            if (size < 2 ||
                lies_alike(is, declared, apart, distance(walk, a, sending, receiving), size))
                continue;
            FAIL(ERR_PLAN,
                 "plan %s: %s sends %s, which is %s along %s; %s receives it as %s, which is %s",
                 program_name(p, sender->order->plan->name), op_name(p, send), tensor_name(p, x),
                 placement_text(is, sent), walk->whole->axes[a].name, op_name(q, receive),
                 tensor_name(q, y), placement_text(declared, got));
        }
    }
    return OK;
}

static Status end_message(Walk *walk, int sender, int lane, int receiver, int receiver_lane) {
    const Work *send = leader_work(walk, sender, lane);
    const Work *receive = leader_work(walk, receiver, receiver_lane);
    if (send->payload_bytes != receive->payload_bytes)
        FAIL(ERR_PLAN, "rank %d sends %lld bytes in %s, rank %d expects %lld in %s", sender,
             (long long)send->payload_bytes, program_name(program_at(walk, sender), send->name),
             receiver, (long long)receive->payload_bytes,
             program_name(program_at(walk, receiver), receive->name));
    if (send->dtype != receive->dtype)
        FAIL(ERR_PLAN, "rank %d sends %s in %s, rank %d expects %s in %s", sender,
             dtype_name((Dtype)send->dtype), program_name(program_at(walk, sender), send->name),
             receiver, dtype_name((Dtype)receive->dtype),
             program_name(program_at(walk, receiver), receive->name));
    TRY(check_type(walk, sender, lane, receiver, receiver_lane));
    finish_leader(walk, receiver, receiver_lane);
    finish_leader(walk, sender, lane);
    return OK;
}

// One end of a message has come: is the other end there?
static Status arrive_message(Walk *walk, int rank, int lane) {
    const Work *mine = leader_work(walk, rank, lane);
    int other = partner(walk, rank, mine);
    for (int k = 0; k < program_at(walk, other)->lane_count; k++) {
        if (!walk->walkers[other].stands[k] || !are_ends(walk, rank, lane, other, k)) continue;
        return work_is_send(mine) ? end_message(walk, rank, lane, other, k)
                                  : end_message(walk, other, k, rank, lane);
    }
    return OK;
}

// Is the collective that a rank comes to the one that the first member stands at?
static Status check_meeting(const Walk *walk, int rank, const Work *mine, const Meeting *m) {
    const Walker *w = &walk->walkers[m->rank];
    const Program *p = w->order->program;
    const Work *first = op_work(p, &w->order->plan->ops[m->op]);
    const char *difference = collective_difference(p, first, program_at(walk, rank), mine);
    if (!difference) return OK;
    FAIL(ERR_PLAN,
         "plan %s: rank %d issues %s %s (%s, %lld bytes) where rank %d issues %s %s (%s, "
         "%lld bytes); they differ in %s",
         program_name(p, w->order->plan->name), m->rank, kind_name(work_kind(first)),
         program_name(p, first->name), algorithm_name((Algorithm)first->algorithm),
         (long long)first->payload_bytes, rank, kind_name(work_kind(mine)),
         program_name(program_at(walk, rank), mine->name),
         algorithm_name((Algorithm)mine->algorithm), (long long)mine->payload_bytes, difference);
}

static Status arrive_collective(Walk *walk, int rank, int lane) {
    const Program *p = program_at(walk, rank);
    const Work *mine = leader_work(walk, rank, lane);
    Meeting *m = &walk->walkers[group_member(p, mine->group, rank, 0)].meetings[lane];
    if (!m->arrived) *m = (Meeting){rank, walk->walkers[rank].at[lane], mine->group, 0};
    if (m->group != mine->group)
        FAIL(ERR_PLAN, "lane %s carries group %s on rank %d, but group %s on rank %d",
             program_name(p, p->lanes[lane].name), program_name(p, p->groups[m->group].name),
             m->rank, program_name(p, p->groups[mine->group].name), rank);
    TRY(check_meeting(walk, rank, mine, m));
    if (++m->arrived < group_size(p, mine->group)) return OK;
    m->arrived = 0;
    for (int i = 0; i < group_size(p, mine->group); i++)
        finish_leader(walk, group_member(p, mine->group, rank, i), lane);
    return OK;
}

static Status check_member(const Walk *walk, int rank, const Op *op) {
    const Program *p = program_at(walk, rank);
    const Work *w = op_work(p, op);
    int group = w->group, position = group_position(p, group, rank);
    bool whole = w->kind == KIND_SCATTER ? op->inputs : w->kind == KIND_GATHER ? op->outputs : true;
    if (position == w->peer && !whole)
        FAIL(ERR_PLAN, "plan %s: %s: rank %d is its root and %s",
             program_name(p, walk->walkers[rank].order->plan->name), op_name(p, op), rank,
             w->kind == KIND_SCATTER ? "brings nothing to scatter" : "has no place for the whole");
    if (position != NONE) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: rank %d is not in group %s",
         program_name(p, walk->walkers[rank].order->plan->name), op_name(p, op), rank,
         program_name(p, p->groups[group].name));
}

// What the rank can do of each lane now. If it ends something, which may let its other lanes go on,
// it is queued again.
static Status advance(Walk *walk, int rank) {
    Walker *w = &walk->walkers[rank];
    for (int lane = 0; lane < w->order->program->lane_count; lane++) {
        const Op *op;
        while (!w->stands[lane] && (op = leader(w, lane)) && missing_dep(w, lane) == NONE) {
            if (!op_communicates(w->order->program, op)) {
                finish_leader(walk, rank, lane);
                continue;
            }
            TRY(check_member(walk, rank, op));
            w->stands[lane] = true;
            if (work_is_message(op_work(w->order->program, op)))
                TRY(arrive_message(walk, rank, lane));
            else
                TRY(arrive_collective(walk, rank, lane));
        }
    }
    return OK;
}

// The member that a communication waits for. All others may stand at it.
static int awaited(const Walk *walk, int rank, int lane) {
    const Program *p = program_at(walk, rank);
    const Work *work = leader_work(walk, rank, lane);
    if (work_is_message(work)) return partner(walk, rank, work);
    for (int i = 0; i < group_size(p, work->group); i++) {
        int other = group_member(p, work->group, rank, i);
        if (!walk->walkers[other].stands[lane]) return other;
    }
    return rank;
}

// What a rank that is not through waits for, in words; `out` is empty at first.
static void explain(const Walk *walk, int rank, char *out, size_t size) {
    const Walker *w = &walk->walkers[rank];
    const Program *p = w->order->program;
    for (int lane = 0; lane < p->lane_count; lane++) {
        const Op *op = leader(w, lane);
        if (!op) continue;
        int dep = missing_dep(w, lane);
        if (dep == NONE) {
            snprintf(out, size, "rank %d: %s waits for rank %d", rank, op_name(p, op),
                     awaited(walk, rank, lane));
            return;
        }
        if (!*out)  // a peer that does not come explains more
            snprintf(out, size, "rank %d: %s waits for %s", rank, op_name(p, op),
                     op_name(p, &w->order->plan->ops[dep]));
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

static Status walk_through(Walk *walk) {
    for (int r = 0; r < walk->ranks; r++) enqueue(walk, r);
    while (walk->queue_count > 0) {
        int rank = walk->queue[walk->queue_first];
        walk->queue_first = (walk->queue_first + 1) % walk->ranks;
        walk->queue_count--;
        walk->walkers[rank].queued = false;
        TRY(advance(walk, rank));
    }
    for (int r = 0; r < walk->ranks; r++)
        for (int lane = 0; lane < program_at(walk, r)->lane_count; lane++)
            if (leader(&walk->walkers[r], lane))
                return deadlock(walk, walk->walkers[r].order->plan, program_at(walk, r));
    return OK;
}

// --- which ranks are walked

// Programs as the walk sees them: of the whole mesh, or of one without its symmetric axes.
typedef struct {
    Program *programs;  // copies of the tables' addresses, with axes and groups of their own
    LaneOrder *orders;
    int count, lanes;  // lanes: the most that one has
} View;

// Bit a: axis a is not symmetric for this plan of a class: not for its communications, or the ranks
// along it are of several classes.
static uint32_t kept_axes(const ProgramSet *set, int class, int k) {
    const Program *p = &set->programs[class];
    const Plan *plan = &p->plans[k];
    uint32_t kept = set->classes ? set->classes[class].axes : 0;
    for (int i = 0; i < plan->op_count; i++) {
        const Work *w = op_work(p, &plan->ops[i]);
        const Group *g = work_communicates(w) ? &p->groups[w->group] : NULL;
        if (!g) continue;
        if (!g->axes) return UINT32_MAX;
        if (work_is_message(w)) kept |= g->axes;
        if (g->at_axis != NONE) kept |= UINT32_C(1) << g->at_axis;
    }
    return kept;
}

// Leave the axes that are not kept out of the mesh and of its groups.
static Status fold(Program *p, Arena *a, uint32_t kept) {
    Group *groups = ARENA_NEW(a, Group, p->group_count + 1);
    if (!groups) FAIL(ERR_MEMORY, "out of memory for checking a program");
    for (int g = 0; g < p->group_count; g++) {
        groups[g] = p->groups[g];
        for (int x = 0; x < p->axis_count; x++)
            if (groups[g].axes >> x & ~kept >> x & 1) groups[g].size /= p->axes[x].size;
    }
    p->groups = groups;
    for (int x = 0, stride = 1; x < p->axis_count; stride *= p->axes[x++].size) {
        if (!(kept >> x & 1)) p->axes[x].size = 1;
        p->axes[x].stride = stride;
    }
    return OK;
}

// The rank of the whole mesh that a walked one stands for: at coordinate 0 of the axes left out.
static int whole_rank(const Program *walked, const Program *whole, int rank) {
    int r = 0;
    for (int x = 0; x < whole->axis_count; x++)
        r += axis_coordinate(&walked->axes[x], rank) * whole->axes[x].stride;
    return r;
}

static Status view_init(View *v, Arena *a, const ProgramSet *set, int k, uint32_t kept) {
    v->programs = ARENA_NEW(a, Program, v->count);
    v->orders = ARENA_NEW(a, LaneOrder, v->count);
    if (!v->programs || !v->orders) FAIL(ERR_MEMORY, "out of memory for checking programs");
    for (int c = 0; c < v->count; c++) {
        v->programs[c] = set->programs[c];
        TRY(fold(&v->programs[c], a, kept));
        TRY(lane_order_init(&v->orders[c], a, &v->programs[c], k));
        if (v->lanes < v->programs[c].lane_count) v->lanes = v->programs[c].lane_count;
    }
    return OK;
}

static Status walk_init(Walk *walk, Arena *a, const View *v, const ProgramSet *set) {
    size_t lanes = (size_t)v->lanes;
    walk->ranks = program_ranks(&v->programs[0]);
    int64_t all = (int64_t)walk->ranks * v->lanes + 1;
    walk->walkers = ARENA_NEW(a, Walker, walk->ranks);
    walk->queue = ARENA_NEW(a, int32_t, walk->ranks);
    int32_t *at = ARENA_NEW(a, int32_t, all), *seen = ARENA_NEW(a, int32_t, all);
    uint8_t *stands = ARENA_NEW(a, uint8_t, all);
    Meeting *meetings = ARENA_NEW(a, Meeting, all);
    if (!walk->walkers || !walk->queue || !at || !seen || !stands || !meetings)
        FAIL(ERR_MEMORY, "out of memory for checking %d ranks", walk->ranks);
    for (int r = 0; r < walk->ranks; r++) {
        size_t first = (size_t)r * lanes;
        int rank = whole_rank(&v->programs[0], &set->programs[0], r);
        const LaneOrder *o = &v->orders[program_set_class(set, rank)];
        walk->walkers[r] =
            (Walker){o, at + first, seen + first, stands + first, meetings + first, false};
        memcpy(at + first, o->first, (size_t)o->program->lane_count * sizeof *at);
    }
    return OK;
}

static Status walk_view(Arena *a, const ProgramSet *set, int k, const ClassSends *sends,
                        uint32_t kept) {
    View view = {.count = set->count};
    Walk walk = {.whole = &set->programs[0], .sends = sends, .plan = k};
    TRY(view_init(&view, a, set, k, kept));
    walk.orders = view.orders;
    TRY(walk_init(&walk, a, &view, set));
    return walk_through(&walk);
}

Status check_ranks(const ProgramSet *set, int k, const ClassSends *sends) {
    Arena scratch = {0};
    uint32_t kept = 0;
    for (int c = 0; c < set->count; c++) kept |= kept_axes(set, c, k);
    Status s = walk_view(&scratch, set, k, sends, kept);
    if (s == ERR_PLAN && kept != UINT32_MAX) s = walk_view(&scratch, set, k, sends, UINT32_MAX);
    arena_finish(&scratch);
    return s;
}
