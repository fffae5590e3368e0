// SPDX-License-Identifier: MIT
// Binding: from the tables of a lowered program to kernel calls and communication calls on memory.
#include "core/base/units.h"
#include "core/plan/mesh.h"
#include "core/plan/piece.h"
#include "core/platform/device_model.h"
#include "parallel/run/executor_stream.h"

#include <stdlib.h>
#include <string.h>

int64_t executor_offset(const Executor *e, int tensor) {
    const Program *p = e->program;
    const Tensor *t = &p->tensors[tensor];
    int coordinate[AXES];
    if (t->offset == NONE || !piece_share_axes(p, t)) return t->offset;
    program_coordinates(p, e->rank, coordinate);
    return t->offset + piece_share_begin(p, t, coordinate) * dtype_bytes((Dtype)t->dtype);
}

void *executor_data(const Executor *e, int tensor) {
    int64_t offset = executor_offset(e, tensor);
    return offset == NONE ? NULL : e->pools[e->program->tensors[tensor].pool] + offset;
}

Status executor_view(Executor *e, int tensor, const void **out) {
    if (e->stream) return stream_view(e, tensor, out);
    *out = executor_data(e, tensor);
    return OK;
}

Status executor_read(Executor *e, int tensor, void *to) {
    const void *from;
    TRY(executor_view(e, tensor, &from));
    memcpy(to, from, (size_t)e->program->tensors[tensor].bytes);
    return OK;
}

Status executor_write(Executor *e, int tensor, const void *from) {
    if (e->stream) return stream_write(e, tensor, from);
    memcpy(executor_data(e, tensor), from, (size_t)e->program->tensors[tensor].bytes);
    return OK;
}

void *executor_scalar(const Executor *e, int tensor) {
    return e->stream ? stream_scalar(e, tensor) : executor_data(e, tensor);
}

static Operand bind_operand(const Executor *e, int tensor) {
    const Tensor *t = &e->program->tensors[tensor];
    Operand o = {.data = executor_data(e, tensor), .dims = t->dims};
    memcpy(o.shape, t->shape, sizeof o.shape);
    if (t->extent != NONE) {
        o.live = executor_scalar(e, t->extent);
        o.live_times = t->extent_times;
    }
    return o;
}

// A flat share has room for the largest of them: what is behind the last element that it holds is
// not to be added up. Places between elements, of a weight that is cut along another axis, too, are
// zeros. *first_block: the block at which it begins, as the rank would count without flat shares.
static void bind_held(const Executor *e, int tensor, Operand *o, int64_t *first_block) {
    const Program *p = e->program;
    int coordinate[AXES];
    PieceWalk walk;
    PieceRun run;
    if (!placements_are_flat(p->tensors[tensor].placement, p->axis_count)) return;
    program_coordinates(p, e->rank, coordinate);
    piece_walk(&walk, p, &p->tensors[tensor], coordinate);
    o->shape[0] = 0;
    while (piece_next(&walk, &run)) o->shape[0] = run.local + run.count;
    if (o->shape[0])
        *first_block = piece_flat_begin(p, &p->tensors[tensor], coordinate) / KIND_SUM_BLOCK;
}

static bool is_cut_among(const Tensor *t, uint16_t axes) {
    for (int a = 0; a < AXES; a++)
        if (axes >> a & 1 && t->placement[a].place == PLACE_SHARD) return true;
    return false;
}

// A piece of a data parallel rank, as of experts, whose elements follow one another in the whole
// begins at a block of the whole where it can; else its blocks are its own.
static void bind_range(const Executor *e, int tensor, int64_t *first_block) {
    const Program *p = e->program;
    const Tensor *t = &p->tensors[tensor];
    int coordinate[AXES];
    PieceWalk walk;
    PieceRun run;
    bool flat = placements_are_flat(t->placement, p->axis_count);
    if (flat || !is_cut_among(t, mesh_batch_axes(p))) return;
    program_coordinates(p, e->rank, coordinate);
    piece_walk(&walk, p, t, coordinate);
    if (piece_next(&walk, &run) && run.count == tensor_elements(t) &&
        run.whole % KIND_SUM_BLOCK == 0)
        *first_block = run.whole / KIND_SUM_BLOCK;
}

static Status bind_call(Executor *e, Arena *a, const Plan *plan, const Op *op, void *scratch,
                        KernelCall *call) {
    const Work *w = op_work(e->program, op);
    int count = op->outputs + op->inputs;
    int64_t first_block = 0;
    Operand *operands = ARENA_NEW(a, Operand, count + 1);
    if (!operands) FAIL(ERR_MEMORY, "out of memory for binding %s", op_name(e->program, op));
    for (int i = 0; i < count; i++) operands[i] = bind_operand(e, op_outputs(plan, op)[i]);
    if (w->kind == KIND_SQUARE_SUMS) {
        bind_held(e, op_inputs(plan, op)[0], &operands[count - 1], &first_block);
        bind_range(e, op_inputs(plan, op)[0], &first_block);
    }
    *call = (KernelCall){.kind = work_kind(w),
                         .dtype = (Dtype)w->dtype,
                         .accumulate = op->flags & OP_ACCUMULATE,
                         .outputs = op->outputs,
                         .inputs = op->inputs,
                         .operand = operands,
                         .first_block = first_block,
                         .attr = w->attr_count ? &e->program->attrs[w->attr_first] : NULL,
                         .scratch = scratch};
    if (w->kind != KIND_FUSED) return OK;
    KernelCall *members = ARENA_NEW(a, KernelCall, op->member_count);
    if (!members) FAIL(ERR_MEMORY, "out of memory for binding %s", op_name(e->program, op));
    for (int i = 0; i < op->member_count; i++)
        TRY(bind_call(e, a, plan, &plan->members[op->member_first + i], scratch, &members[i]));
    call->members = members;
    call->member_count = op->member_count;
    call->fusion = (Fusion)work_attr(e->program, w, 0);
    return OK;
}

static Status bind_load(const Executor *e, const Plan *plan, const Op *op, LoadCall *call) {
    const Work *w = op_work(e->program, op);
    const int32_t *outputs = op_outputs(plan, op);
    *call = (LoadCall){.dtype = (Dtype)w->dtype, .evaluate = plan->when != WHEN_EACH_STEP};
    if (w->kind != KIND_LOAD_LABELS) call->x = bind_operand(e, outputs[0]);
    if (op->inputs > 1) call->positions = executor_scalar(e, op_inputs(plan, op)[1]);
    if (w->kind != KIND_LOAD_X) call->labels = bind_operand(e, outputs[op->outputs - 1]);
    return OK;
}

// Host work is modelled as computation is.
static int64_t modelled_ns(const Device *d, const Program *p, const Plan *plan, const Op *op) {
    if (!d->model || op_communicates(p, op)) return 0;
    return device_model_slowed_ns(device_model_ps(d->model, p, plan, op), d->slowdown_permille);
}

static Status bind_op(Executor *e, Arena *a, const Plan *plan, const Op *op, BoundOp *b) {
    const Program *p = e->program;
    int scratch = p->lanes[op->lane].scratch;
    b->class = kind_class(op_kind(p, op));
    b->modelled_ns = modelled_ns(e->device, p, plan, op);
    bool computed = op->guard != NONE && !p->tensors[op->guard].source;
    if (op->guard != NONE && !(computed && e->device->model)) {  // a model computes no guard
        b->guard = executor_scalar(e, op->guard);
        b->guard_is_i64 = p->tensors[op->guard].dtype == DTYPE_I64;
    }
    switch (b->class) {
    case CLASS_COMPUTE:
        return bind_call(e, a, plan, op, scratch == NONE ? NULL : executor_data(e, scratch),
                         &b->call);
    case CLASS_HOST:
        b->first_row = executor_scalar(e, op_inputs(plan, op)[0]);
        return bind_load(e, plan, op, &b->load);
    case CLASS_COMMUNICATION: break;
    }
    if (!e->comm)
        FAIL(ERR_PLAN, "%s needs a communicator, and this run has one rank", op_name(p, op));
    return executor_bind_comm(e, a, plan, op, &b->comm);
}

static Status bind_plan(Executor *e, Arena *a, const Plan *plan, BoundPlan *b) {
    int lanes = e->program->lane_count;
    *b = (BoundPlan){.ops = ARENA_NEW(a, BoundOp, plan->op_count + 1),
                     .done = ARENA_NEW(a, uint8_t, plan->op_count + 1),
                     .end_ns = ARENA_NEW(a, int64_t, plan->op_count + 1),
                     .lane_ops = ARENA_NEW(a, int32_t, plan->op_count + 1),
                     .lane_first = ARENA_NEW(a, int32_t, lanes + 1)};
    if (!b->ops || !b->done || !b->end_ns || !b->lane_ops || !b->lane_first)
        FAIL(ERR_MEMORY, "out of memory for binding a plan");
    int count = 0;
    for (int lane = 0; lane < lanes; lane++) {
        b->lane_first[lane] = count;
        for (int i = 0; i < plan->op_count; i++)
            if (plan->ops[i].lane == lane) b->lane_ops[count++] = i;
    }
    b->lane_first[lanes] = count;
    for (int i = 0; i < plan->op_count; i++) TRY(bind_op(e, a, plan, &plan->ops[i], &b->ops[i]));
    return executor_bind_extents(e, a, plan, b);
}

// What takes most of it says what would help.
static Status fail_memory(const Executor *e, int64_t bytes) {
    char need[UNITS_TEXT], part[UNITS_TEXT];
    int64_t weights = program_memory(e->program, MEMORY_PARAMETERS) +
                      program_memory(e->program, MEMORY_GRADIENTS) +
                      program_memory(e->program, MEMORY_OPTIMISER);
    units_print_size(need, bytes);
    units_print_size(part, weights);
    if (weights > bytes / 2)
        FAIL(ERR_MEMORY,
             "rank %d: no memory for %s of tensors, of which parameters, their gradients and the "
             "optimiser take %s whatever the --batch; give a smaller --model",
             e->rank, need, part);
    FAIL(ERR_MEMORY, "rank %d: no memory for %s of tensors; a smaller --batch needs less", e->rank,
         need);
}

static Status allocate(Executor *e) {
    int64_t shared = e->comm ? 0 : e->program->pool_bytes[POOL_SHARED];
    int64_t host = e->program->pool_bytes[POOL_HOST];  // the host's memory is the device's here
    int64_t local = e->program->pool_bytes[POOL_LOCAL], bytes = local + host + shared;
    const QueueMethods *queue = e->device->queue;
    bool untouched = e->device->model;  // nothing is computed: calloc() leaves the pages unused
    if (bytes && queue) {
        if (queue->pool_create(&e->local, QUEUE_POOL_LOCAL, e->rank, bytes) != OK)
            return fail_memory(e, bytes);
    } else if (bytes) {
        e->local = untouched ? calloc(1, (size_t)bytes) : aligned_alloc(64, (size_t)bytes);
        if (!e->local) return fail_memory(e, bytes);
        if (!untouched) memset(e->local, 0, (size_t)bytes);
    }
    e->pools[POOL_LOCAL] = e->local;
    if (e->comm) e->pools[POOL_SHARED] = e->comm->pool;
    if (!e->local) return OK;  // nothing of its own
    e->pools[POOL_HOST] = (unsigned char *)e->local + local;
    if (!e->comm) e->pools[POOL_SHARED] = (unsigned char *)e->local + local + host;
    return OK;
}

Status executor_create(Executor *e, Arena *a, const Program *p, int rank, const Device *device,
                       Comm *comm, const ExecutorHooks *hooks) {
    assert(p->lowered);
    *e = (Executor){.program = p, .device = device, .comm = comm, .rank = rank, .plan = NONE};
    if (hooks) e->hooks = *hooks;
    if (device->model) TRY(device_model_check(device->model, p));
    TRY(allocate(e));
    if (device->queue) TRY(stream_allocate(e, a));
    e->plans = ARENA_NEW(a, BoundPlan, p->plan_count);
    e->lanes = ARENA_NEW(a, LaneState, p->lane_count);
    if (!e->plans || !e->lanes) FAIL(ERR_MEMORY, "out of memory for binding a program");
    if (comm) TRY(executor_make_groups(e));
    for (int k = 0; k < p->plan_count; k++) TRY(bind_plan(e, a, &p->plans[k], &e->plans[k]));
    return e->stream ? stream_bind(e, a) : OK;
}

void executor_destroy(Executor *e) {
    if (e->device && e->device->queue)
        stream_destroy(e);
    else
        free(e->local);
    *e = (Executor){0};
}

void executor_set_f64(Executor *e, int scalar, double value) {
    memcpy(executor_scalar(e, scalar), &value, sizeof value);
}
void executor_set_index(Executor *e, int scalar) {
    int coordinate[AXES];
    program_coordinates(e->program, e->rank, coordinate);
    piece_index(e->program, &e->program->tensors[scalar], coordinate, executor_scalar(e, scalar));
}
void executor_set_i64(Executor *e, int scalar, int64_t value) {
    memcpy(executor_scalar(e, scalar), &value, sizeof value);
}
