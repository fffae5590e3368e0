// SPDX-License-Identifier: MIT
// The program of a model with its sequences cut over the axis "context"; read context_apply()
// first. Rows keep their rank's positions, and whatever is summed over positions becomes a partial
// sum; operations that depend on where a position is are told by an index. context_ring.c does the
// same for attention, whose positions need each other.
#include "parallel/strategy/context_internal.h"

#include "core/plan/mesh.h"
#include "core/plan/piece.h"
#include "core/plan/placement_rules.h"
#include "core/plan/set.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <string.h>

Placement context_piece(const Context *c, int hop) {
    int cut = c->kind == CONTEXT_RING ? CUT_ZIGZAG : CUT_CONTIGUOUS;
    return (Placement){.place = PLACE_SHARD, .dim = 1, .cut = (uint8_t)cut, .shift = hop};
}

Status context_index(Context *c, int hop, int32_t *out) {
    Placement placement[AXES] = {0};
    char name[32];
    int tensor;
    if (c->index[hop] == NONE) {
        snprintf(name, sizeof name, "positions.hop%d", hop);
        placement[c->axis] = context_piece(c, hop);
        placement[c->axis].dim = 0;
        TRY(piece_add_index(c->copy.to, name, c->positions, placement, &tensor));
        c->index[hop] = tensor;
    }
    *out = c->index[hop];
    return OK;
}

// --- positions that are cut again, along "tensor"

static bool is_divided(const Context *c, const Tensor *t) {
    return c->tensor != NONE && placement_is_cut(t->placement[c->tensor], 1);
}

static Placement part(int dim) {
    Placement how = PLACEMENT_SHARD((uint8_t)dim);
    how.inner = 1;
    return how;
}

// The numbers of a part's positions, in the whole sequence or in the piece that is divided.
static Status part_index(Context *c, bool in_piece, int32_t *out) {
    int32_t *index = in_piece ? &c->slice : &c->divided;
    Placement placement[AXES] = {0};
    placement[c->tensor] = part(0);
    if (!in_piece) placement[c->axis] = placement_moved(context_piece(c, 0), 0);
    if (*index == NONE)
        TRY(piece_add_index(c->copy.to, in_piece ? "positions.slice" : "positions.part",
                            in_piece ? c->positions / c->ranks : c->positions, placement, index));
    *out = *index;
    return OK;
}

// --- tensors

static bool has_positions(const Context *c, const Tensor *t) {
    const Logical *l = &c->copy.from->logicals[t->logical];
    return t->extent != NONE && l->dims >= 2 && l->shape[1] == c->positions;
}

// A gradient of experts that data parallel ranks share is whole among these.
static bool is_of_experts(const Tensor *t, int data) {
    return t->role == ROLE_GRADIENT && t->placement[data].place == PLACE_SHARD;
}

static void place(const ProgramCopy *copy, TensorSpec *spec, const Tensor *t) {
    const Context *c = copy->context;
    int data = mesh_find_axis(copy->from, MESH_DATA);
    Placement *how = &spec->placement[c->axis];
    if (context_place_queues(c, spec, t)) return;
    if (how->place == PLACE_SHARD) return;  // experts that ranks of other positions share
    if (c->chunks[t->logical]) {
        *how = PLACEMENT_DIFFERS;
        spec->shape[1] /= c->ranks;
        return;
    }
    if (has_positions(c, t)) {
        *how = context_piece(c, 0);
        spec->shape[1] /= c->ranks;
        if (is_divided(c, t)) spec->placement[c->tensor] = part(1);
    } else if (t->placement[data].place == PLACE_PARTIAL_SUM || is_of_experts(t, data) ||
               c->partial[t - copy->from->tensors]) {
        *how = PLACEMENT_SUM;
    } else if (t->role == ROLE_ACTIVATION && t->placement[data].place == PLACE_DIFFERS) {
        *how = PLACEMENT_DIFFERS;
    }
}

// Channels that --tp puts together are sent in chunks, which hold this rank's positions alone.
static Status find_chunks(Context *c, Arena *a) {
    const Program *p = c->copy.from;
    c->chunks = ARENA_NEW(a, uint8_t, p->logical_count + 1);
    if (!c->chunks) FAIL(ERR_MEMORY, "out of memory for %d tensors", p->logical_count);
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++) {
            const Op *op = &p->plans[k].ops[i];
            bool to = op_kind(p, op) == KIND_TO_CHUNKS, from = op_kind(p, op) == KIND_FROM_CHUNKS;
            if (!to && !from) continue;
            int chunks = to ? op_outputs(&p->plans[k], op)[0] : op_inputs(&p->plans[k], op)[0];
            c->chunks[p->tensors[chunks].logical] = 1;
        }
    for (int l = 0; l < p->logical_count; l++)
        if (c->chunks[l]) c->copy.to->logicals[l].shape[1] /= c->ranks;
    return OK;
}

static bool is_loss(Kind k) { return k == KIND_CROSS_ENTROPY || k == KIND_VOCABULARY_LOSS; }

static Status mark_partial(Context *c, Arena *a) {
    const Program *p = c->copy.from;
    c->arena = a;
    c->partial = ARENA_NEW(a, uint8_t, p->tensor_count + 1);
    if (!c->partial) FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++)
            if (is_loss(op_kind(p, &p->plans[k].ops[i])))
                c->partial[op_outputs(&p->plans[k], &p->plans[k].ops[i])[0]] = 1;
    return OK;
}

// --- operations

// The input that is the index of dimension 1 where it depends on where in the sequence a position
// is, or NONE. A slice of another dimension does not.
static int index_input(const Program *p, const Op *op) {
    switch (op_kind(p, op)) {
    case KIND_LOAD:
    case KIND_POSITIONS_BACKWARD:
    case KIND_ROTARY:
    case KIND_ROTARY_BACKWARD: return 1;
    case KIND_POSITIONS: return 2;
    case KIND_DROPOUT:
    case KIND_DROPOUT_BACKWARD: return 4;
    case KIND_SLICE: return work_attr(p, op_work(p, op), 0) == 1 ? 1 : NONE;
    default: return NONE;
    }
}

// Of the rank's positions: those of the piece, or of a part of it.
static Status add_index(Context *c, const Op *op, int32_t *out) {
    const Program *p = c->copy.from;
    Kind kind = op_kind(p, op);
    const int32_t *operands = op_outputs(c->copy.plan, op);
    int of = kind == KIND_POSITIONS_BACKWARD ? operands[op->outputs] : operands[0];
    if (is_divided(c, &p->tensors[of])) return part_index(c, kind == KIND_SLICE, out);
    return context_index(c, 0, out);
}

// The elements of a row of the whole, and of one position of it: places of dropout's mask.
static void whole_rows(const Context *c, const Op *op, int64_t out[2]) {
    const Program *p = c->copy.from;
    const Logical *l = &p->logicals[p->tensors[op_inputs(c->copy.plan, op)[0]].logical];
    out[1] = 1;
    for (int d = 2; d < l->dims; d++) out[1] *= l->shape[d];
    out[0] = out[1] * l->shape[1];
}

static Status copy_with_index(Context *c, const Op *op) {
    ProgramCopy *copy = &c->copy;
    const Work *w = op_work(copy->from, op);
    Kind kind = work_kind(w);
    int32_t operands[OPERANDS];
    int at = op->outputs + index_input(copy->from, op);
    bool indexed = at < op->outputs + op->inputs;  // by positions of which none was cut
    for (int i = 0; i < op->outputs + op->inputs; i++)
        if (i != at) TRY(program_copy_tensor(copy, op_outputs(copy->plan, op)[i], &operands[i]));
    int64_t attrs[ATTRIBUTES] = {0};
    memcpy(attrs, &copy->from->attrs[w->attr_first], (size_t)w->attr_count * sizeof *attrs);
    if (kind == KIND_DROPOUT || kind == KIND_DROPOUT_BACKWARD) whole_rows(c, op, &attrs[2]);
    TRY(add_index(c, op, &operands[at]));
    return plan_add_op(
        copy->to, copy->out,
        &(OpSpec){.name = program_name(copy->from, w->name),
                  .layer = w->layer == NONE ? NULL : program_name(copy->from, w->layer),
                  .kind = kind,
                  .phase = (Phase)w->phase,
                  .dtype = (Dtype)w->dtype,
                  .lane = kind_loads(kind) ? copy->host : copy->compute,
                  .attrs = attrs,
                  .outputs = operands,
                  .inputs = operands + op->outputs,
                  .output_count = op->outputs,
                  .input_count = op->inputs + !indexed,
                  .shard = op->shard,
                  .micro_batch = op->micro_batch,
                  .flags = op->flags},
        NULL);
}

static Status copy_communication(Context *c, const Op *op) {
    int n = op->outputs + op->inputs;
    int32_t *operands = ARENA_NEW(c->arena, int32_t, n + 1);
    if (!operands) FAIL(ERR_MEMORY, "out of memory for %s", op_name(c->copy.from, op));
    for (int i = 0; i < n; i++)
        TRY(program_copy_tensor(&c->copy, op_outputs(c->copy.plan, op)[i], &operands[i]));
    return program_copy_communication(&c->copy, op, operands, op->outputs, operands + op->outputs,
                                      op->inputs);
}

static Status copy_op(Context *c, const Op *op) {
    if (op_communicates(c->copy.from, op)) return copy_communication(c, op);
    Kind kind = op_kind(c->copy.from, op);
    if (context_is_attention(kind))
        return c->kind == CONTEXT_RING ? context_add_ring(c, op) : context_add_exchange(c, op);
    if (kind == KIND_ROUTE || kind == KIND_ROUTE_BACKWARD || kind == KIND_BALANCE)
        return context_add_experts(c, op);
    if (index_input(c->copy.from, op) != NONE) return copy_with_index(c, op);
    return program_copy_op(&c->copy, op, op->shard);
}

static Status add_sum(Program *p, Plan *plan, int lane, int group, const char *name, Phase phase,
                      int32_t *sum) {
    return plan_add_op(p, plan,
                       &(OpSpec){.name = name,
                                 .kind = KIND_ALL_REDUCE,
                                 .phase = phase,
                                 .dtype = (Dtype)p->tensors[*sum].dtype,
                                 .lane = lane,
                                 .group = group,
                                 .outputs = sum,
                                 .inputs = sum,
                                 .output_count = 1,
                                 .input_count = 1},
                       NULL);
}

// An evaluation ends in what all positions of a rank's rows have come to.
static Status sum_evaluation(Context *c, int k) {
    int32_t loss = program_find_result(c->copy.to, k, RESULT_LOSS);
    if (c->copy.out->when == WHEN_EACH_STEP || loss == NONE) return OK;
    return add_sum(c->copy.to, c->copy.out, c->reduce, c->group, "all_reduce.evaluation.context",
                   PHASE_EVALUATE, &loss);
}

static Status copy_plan(Context *c, int k) {
    TRY(program_copy_plan(&c->copy, k));
    for (int i = 0; i < c->copy.plan->op_count; i++) TRY(copy_op(c, &c->copy.plan->ops[i]));
    TRY(sum_evaluation(c, k));
    return plan_derive_deps(c->copy.to, c->copy.out);
}

// --- what can be cut

// A ring has two chunks for each rank, an all-to-all one.
static int64_t chunks_of(const Context *c, int ranks) {
    return c->kind == CONTEXT_RING ? 2 * ranks : ranks;
}

static Status refuse_length(const Context *c) {
    int64_t chunks = chunks_of(c, c->ranks), T = c->positions, below = T / chunks * chunks;
    int fits = 0;
    for (int P = 2; P < c->ranks; P++)
        if (T % chunks_of(c, P) == 0) fits = P;
    char other[48] = "";
    if (fits) snprintf(other, sizeof other, "--cp %d divides it; or ", fits);
    FAIL(ERR_USAGE,
         "--cp %d cuts a sequence into %s%d chunks of equal length, but %lld tokens are %lld × "
         "%lld + %lld; %sgive the model a length of %lld",
         c->ranks, c->kind == CONTEXT_RING ? "2 × " : "", c->ranks, (long long)T, (long long)chunks,
         (long long)(T / chunks), (long long)(T % chunks), other,
         (long long)(below ? below : chunks));
}

static Status check_scores(const Context *c, const Plan *plan) {
    const Program *p = c->copy.from;
    for (int i = 0; i < plan->op_count; i++)
        if (op_kind(p, &plan->ops[i]) == KIND_ATTENTION_SCORES)
            FAIL(ERR_USAGE,
                 "--cp %d: %s scores all positions at once, of which a rank has some: leave out "
                 "unfused=true, for attention that goes block by block, or use --tp",
                 c->ranks, program_name(p, op_work(p, &plan->ops[i])->layer));
    return OK;
}

static Status find_positions(Context *c) {
    const Program *p = c->copy.from;
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    TRY(check_scores(c, plan));
    for (int i = 0; i < plan->op_count && !c->positions; i++) {
        if (!kind_loads(op_kind(p, &plan->ops[i]))) continue;
        const Tensor *x = &p->tensors[op_outputs(plan, &plan->ops[i])[0]];
        if (x->dtype != DTYPE_I32)
            FAIL(ERR_USAGE, "--cp %d cuts sequences of tokens, and this model has none; use --dp",
                 c->ranks);
        c->positions = p->logicals[x->logical].shape[1];
    }
    if (c->positions % chunks_of(c, c->ranks)) return refuse_length(c);
    if (c->kind == CONTEXT_ALL_TO_ALL) TRY(context_check_heads(c));
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].extent != NONE && !has_positions(c, &p->tensors[t]))
            FAIL(ERR_USAGE,
                 "--cp %d cuts positions, and %s has none: every layer must keep those of the text",
                 c->ranks, tensor_name(p, t));
    return OK;
}

static Status begin(Context *c, const Program *p) {
    c->axis = mesh_find_axis(p, MESH_CONTEXT);
    if (c->axis == NONE) FAIL(ERR_PLAN, "the program has no mesh axis \"context\"");
    c->ranks = p->axes[c->axis].size;
    if (c->ranks > CONTEXT_MOST)
        FAIL(ERR_USAGE, "--cp %d: a ring has %d ranks at most", c->ranks, CONTEXT_MOST);
    c->tensor = mesh_find_axis(p, MESH_TENSOR);
    c->divided = c->slice = NONE;
    for (int i = 0; i < CONTEXT_MOST; i++) c->index[i] = NONE;
    TRY(find_positions(c));
    TRY(program_copy_head(c->copy.to, p));
    c->copy.compute = program_find_lane(p, "compute");
    c->copy.host = program_find_lane(p, "host");
    TRY(program_add_group(c->copy.to, "context", (uint16_t)(1 << c->axis), &c->group));
    const struct {
        const char *name;
        int *lane;
    } lanes[] = {{"ring.send", &c->send},
                 {"ring.receive", &c->receive},
                 {"ring.send_gradients", &c->send_gradients},
                 {"ring.receive_gradients", &c->receive_gradients},
                 {"context", &c->reduce}};
    for (size_t i = c->kind == CONTEXT_RING ? 0 : 4; i < sizeof lanes / sizeof *lanes; i++)
        TRY(program_add_lane(c->copy.to, lanes[i].name, LANE_COMMUNICATION, c->group,
                             lanes[i].lane));
    return OK;
}

// Parameters that nothing reads are there, too.
static Status copy_all(Context *c, Arena *a) {
    const Program *p = c->copy.from;
    int32_t own;
    TRY(begin(c, p));
    TRY(find_chunks(c, a));
    TRY(mark_partial(c, a));
    TRY(context_find_experts(c));
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].role == ROLE_PARAMETER) TRY(program_copy_tensor(&c->copy, t, &own));
    for (int k = 0; k < p->plan_count; k++) TRY(copy_plan(c, k));
    return OK;
}

Status context_apply(Program *p, ContextKind kind) {
    Arena scratch = {0};
    Program cut = {0};
    Context c = {.copy = {.from = p, .to = &cut, .place = place, .take = context_take},
                 .kind = kind};
    c.copy.context = &c;
    Status s = copy_all(&c, &scratch);
    arena_finish(&scratch);
    program_finish(p);
    if (s != OK) program_finish(&cut);
    *p = cut;
    return s;
}

// --- sums over the axis alone

static Status add_buckets(Join *j, Plan *plan, const Gradient *g, int count) {
    for (int first = 0, end; first < count; first = end) {
        int after;
        end = gradients_bucket(j->p, j->options, g, count, first, &after);
        for (int shard = 0; shard < j->options->local_shards; shard++) {
            int32_t *sums = ARENA_NEW(&j->arena, int32_t, end - first);
            if (!sums) FAIL(ERR_MEMORY, "out of memory for %d gradients", end - first);
            for (int i = first; i < end; i++) sums[i - first] = g[i].part[shard];
            TRY(join_add(j, plan,
                         &(OpSpec){.name = "all_reduce.context",
                                   .kind = KIND_ALL_REDUCE,
                                   .phase = PHASE_SYNC,
                                   .dtype = (Dtype)j->p->tensors[sums[0]].dtype,
                                   .lane = j->lane,
                                   .group = j->group,
                                   .outputs = sums,
                                   .inputs = sums,
                                   .output_count = end - first,
                                   .input_count = end - first,
                                   .shard = shard},
                         after));
        }
    }
    return OK;
}

// Sums that no strategy takes along data, of experts that no other rank has: over all shards, too.
static Status add_last_sums(Join *j, Plan *plan, const Gradient *g, int count) {
    for (int first = 0, end; first < count; first = end) {
        int after;
        end = gradients_bucket(j->p, j->options, g, count, first, &after);
        TRY(join_all_reduce(j, plan, "all_reduce.context", &g[first], end - first, ALGORITHM_DIRECT,
                            after));
    }
    return OK;
}

static Status add_sums(Join *j, Plan *plan, const Gradient *g, int count) {
    Gradient *some = ARENA_NEW(&j->arena, Gradient, 2 * count + 1), *others = some + count;
    int last = 0, before = 0;
    if (!some) FAIL(ERR_MEMORY, "out of memory for %d gradients", count);
    for (int i = 0; i < count; i++) {
        Placement data = j->p->tensors[g[i].part[0]].placement[j->axis];
        *(placement_is_partial(data) ? &others[before++] : &some[last++]) = g[i];
    }
    TRY(add_buckets(j, plan, others, before));
    return add_last_sums(j, plan, some, last);
}

static Status join_all(Join *j, Plan *plan) {
    static const Role roles[] = {ROLE_GRADIENT, ROLE_SCALAR};
    uint16_t axes = (uint16_t)(1 << mesh_find_axis(j->p, MESH_CONTEXT));
    for (int r = 0; r < 2; r++) {
        Gradient *g;
        int count;
        TRY(gradients_find_along(j->p, plan, roles[r], axes, j->options->local_shards, &j->arena,
                                 &g, &count));
        gradients_sort(g, count);
        TRY(add_sums(j, plan, g, count));
    }
    TRY(join_place(j, plan));
    return plan_derive_deps(j->p, plan);
}

Status context_join(Program *p, const StrategyOptions *options) {
    Join j;
    int step = program_find_when(p, WHEN_EACH_STEP, 0);
    Status s = join_init_alone(&j, p, options);
    j.group = program_find_group(p, "context");
    // A lane of their own: exchanges of the backward would wait for sums that wait for its end.
    if (s == OK) s = program_add_lane(p, "sums", LANE_COMMUNICATION, j.group, &j.lane);
    j.holders_group = j.group;
    j.holders_lane = j.lane;
    if (s == OK) s = join_all(&j, &p->plans[step]);
    join_finish(&j);
    return s;
}
