// SPDX-License-Identifier: MIT
// Binding communication: from an operation of the plan to a call on segments of this rank's shared
// pool, which the communicator publishes to the peers.
#include "core/plan/group.h"
#include "core/plan/share.h"
#include "parallel/run/executor_internal.h"
#include "parallel/strategy/collective_work.h"

// Operands one after the other, each where it lies in the pool.
static Status bind_segments(const Executor *e, Arena *a, const int32_t *tensors, int count,
                            CommSegment **out) {
    *out = ARENA_NEW(a, CommSegment, count + 1);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for binding a communication");
    for (int i = 0; i < count; i++) {
        const Tensor *t = &e->program->tensors[tensors[i]];
        (*out)[i] =
            (CommSegment){.offset = executor_offset(e, tensors[i]), .elements = tensor_elements(t)};
    }
    return OK;
}

// Tensors have room for the largest share; of ours so many elements are in use.
static void trim(CommSegment *s, int count, int64_t elements) {
    for (int i = 0; i < count; i++) {
        if (s[i].elements > elements) s[i].elements = elements;
        elements -= s[i].elements;
    }
}

// Whole tensors that are cut each by itself: member by member, what each has of every tensor.
static Status bind_cut(const Executor *e, Arena *a, const Collective *what, int64_t element_bytes,
                       const int32_t *tensors, int count, CommSegment **out) {
    CommSegment *s = *out = ARENA_NEW(a, CommSegment, (int64_t)what->ranks * count + 1);
    if (!s) FAIL(ERR_MEMORY, "out of memory for binding a communication");
    for (int first = 0; first < count; first += what->size_count)  // part after part
        for (int m = 0; m < what->ranks; m++)
            for (int i = 0; i < what->size_count; i++) {
                const Shares cut = {what->sizes[i], what->unit, what->ranks};
                *s++ = (CommSegment){executor_offset(e, tensors[first + i]) +
                                         share_begin(cut, m) * element_bytes,
                                     share_elements(cut, m)};
            }
    return OK;
}

// A collective of several tensors that are cut: both sides.
static Status bind_several(const Executor *e, Arena *a, const Plan *plan, const Op *op,
                           const Collective *what, int position, CommCall *call) {
    const Work *w = op_work(e->program, op);
    bool gathers = w->kind == KIND_ALL_GATHER;
    CommSegment *shares, *wholes;
    TRY(bind_segments(e, a, gathers ? op_inputs(plan, op) : op_outputs(plan, op), op->outputs,
                      &shares));
    TRY(bind_cut(e, a, what, dtype_bytes((Dtype)w->dtype),
                 gathers ? op_outputs(plan, op) : op_inputs(plan, op),
                 gathers ? op->outputs : op->inputs, &wholes));
    for (int i = 0; i < op->outputs; i++)
        shares[i].elements =
            share_elements((Shares){what->sizes[i], what->unit, what->ranks}, position);
    call->sizes = what->sizes;
    call->size_count = what->size_count;
    call->input = gathers ? shares : wholes;
    call->output = gathers ? wholes : shares;
    call->input_count = gathers ? op->outputs : what->ranks * op->outputs;
    call->output_count = gathers ? what->ranks * op->outputs : op->outputs;
    return OK;
}

// What a schedule keeps partial sums in: the first bytes of its lane's scratch.
static Status bind_work(const Executor *e, Arena *a, const Op *op, const CommSegment **out) {
    const Program *p = e->program;
    const Work *w = op_work(p, op);
    if (!w->work_bytes) return OK;
    CommSegment *work = ARENA_NEW(a, CommSegment, 1);
    if (!work) FAIL(ERR_MEMORY, "out of memory for binding %s", op_name(p, op));
    *work = (CommSegment){.offset = p->tensors[p->lanes[op->lane].scratch].offset,
                          .elements = w->work_bytes / dtype_bytes((Dtype)w->dtype)};
    *out = work;
    return OK;
}

// Lanes of communication are numbered apart from the others.
static int comm_lane(const Program *p, int lane) {
    int before = 0;
    for (int l = 0; l < lane; l++) before += p->lanes[l].kind == LANE_COMMUNICATION;
    return before;
}

Status executor_make_groups(Executor *e) {
    const Program *p = e->program;
    int ranks[COMM_RANKS];
    for (int g = 0; g < p->group_count; g++) {
        int size = group_size(p, g);
        if (group_position(p, g, e->rank) == NONE) continue;
        if (size > COMM_RANKS)
            FAIL(ERR_PLAN, "group %s has %d members, a communicator at most %d",
                 program_name(p, p->groups[g].name), size, COMM_RANKS);
        for (int i = 0; i < size; i++) ranks[i] = group_member(p, g, e->rank, i);
        TRY(comm_group(e->comm, g, ranks, size));
    }
    return OK;
}

static void set_message(const Program *p, const Work *w, int size, int position, CommCall *call) {
    call->point_to_point = true;
    call->receive = w->kind == KIND_RECEIVE;
    call->root = (int)(((int64_t)position + w->peer) % size + size) % size;
    call->tag = (int)work_attr(p, w, 0);
}

// Pieces of any size: behind the payload, on either side, are its counts.
static void set_pieces(CommCall *call) {
    call->input_count = call->output_count = 1;
    call->counts = &call->input[1];
    call->received = &call->output[1];
}

Status executor_bind_comm(Executor *e, Arena *a, const Plan *plan, const Op *op, CommCall *call) {
    const Program *p = e->program;
    const Work *w = op_work(p, op);
    int position = group_position(p, w->group, e->rank);
    CommSegment *input, *output;
    if (position == NONE)
        FAIL(ERR_PLAN, "%s: rank %d is not in group %s", op_name(p, op), e->rank,
             program_name(p, p->groups[w->group].name));
    if (op->inputs % w->parts)
        FAIL(ERR_PLAN, "%s: %d inputs are not %d parts", op_name(p, op), op->inputs, w->parts);
    TRY(bind_segments(e, a, op_inputs(plan, op), op->inputs, &input));
    TRY(bind_segments(e, a, op_outputs(plan, op), op->outputs, &output));
    Collective what = collective_work_collective(p, w);
    *call = (CommCall){.kind = what.kind,
                       .algorithm = what.algorithm,
                       .reduce = (Reduce)w->reduce,
                       .dtype = (Dtype)w->dtype,
                       .group = w->group,
                       .lane = comm_lane(p, op->lane),
                       .root = w->peer,
                       .unit = what.unit,
                       .parts = w->parts,
                       .input_count = op->inputs / w->parts,
                       .output_count = op->outputs,
                       .input = input,
                       .output = output,
                       .name = op_name(p, op)};
    if (what.size_count) {
        TRY(bind_several(e, a, plan, op, &what, position, call));
    } else if (w->kind == KIND_ALL_TO_ALL_V) {
        set_pieces(call);
    } else if (work_is_message(w)) {
        set_message(p, w, what.ranks, position, call);
    } else {
        for (int i = 0; i < w->parts; i++)
            trim(input + i * call->input_count, call->input_count,
                 collective_input_elements(&what, position));
        trim(output, op->outputs, collective_result_elements(&what, position));
    }
    TRY(bind_work(e, a, op, &call->work));
    return comm_prepare(e->comm, call);
}

CommRoom executor_room(const Program *p) {
    CommRoom room = {.pool_bytes = p->pool_bytes[POOL_SHARED]};
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++) {
            const Op *op = &p->plans[k].ops[i];
            if (!op_communicates(p, op)) continue;
            room.calls++;
            room.segments += op->outputs + op->inputs + COMM_OWN_SEGMENTS;
            // Whole tensors that are cut each by itself have a segment a member.
            const Work *w = op_work(p, op);
            if (kind_cuts(work_kind(w)) && w->attr_count)
                room.segments += (w->kind == KIND_ALL_GATHER ? op->outputs : op->inputs) *
                                 (group_size(p, w->group) - 1);
        }
    return room;
}
