// SPDX-License-Identifier: MIT
// PyTorch's nn.DataParallel as a transformation of a program: the program of one rank becomes those
// of device 0 and of the other devices. Read add_pass() first: it is DataParallel.forward(), the
// loss on device 0, and the backward. What device 0 has of each shard, such as its rows, its logits
// and its loss, lies in tensors of their own ("batch.x/2.0": shard 2, micro-batch 0): shards may be
// of different sizes, and the loss of each is summed by itself (docs/contract.md, 3).
#include "parallel/strategy/strategy.h"

#include "core/plan/program_copy.h"
#include "parallel/strategy/data_parallel_internal.h"
#include "parallel/strategy/strategy_internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 320 };

// --- operations

typedef struct {
    Devices *devices;
    const DevicesSlot *slot;  // NULL: the device's own
} Place;

static Status take(ProgramCopy *c, int from, int32_t *out) {
    const Place *p = c->context;
    if (!p->slot && devices_counts(p->devices, from))
        return devices_take_table(p->devices, from, out);
    return p->slot ? devices_take_slot(p->devices, from, *p->slot, out)
                   : devices_take(p->devices, from, out);
}

// As it is, on tensors of the device's own, or of a slot of the whole batch.
static Status copy_op(Devices *d, const Op *op, const DevicesSlot *slot) {
    Place place = {d, slot};
    ProgramCopy c = {.from = d->from,
                     .plan = d->plan,
                     .to = d->to,
                     .out = d->out,
                     .compute = d->compute,
                     .host = d->host,
                     .context = &place,
                     .take = take};
    return program_copy_op(&c, op, slot ? slot->shard : op->shard);
}

// The slots of device r's shard, of all devices' where the loss and the loads are.
static DevicesSlot slot_of(const Devices *d, const Op *op, int r) {
    return (DevicesSlot){d->training ? r * d->local_shards + op->shard : r, op->micro_batch};
}

static Status copy_for_all(Devices *d, const Op *op) {
    for (int r = 0; r < d->ranks && d->first; r++) {
        const DevicesSlot s = slot_of(d, op, r);
        TRY(copy_op(d, op, &s));
    }
    return OK;
}

static Status communicate(Devices *d, const OpSpec *partial) {
    OpSpec s = *partial;
    int32_t any = s.output_count ? s.outputs[0] : s.inputs[0];
    s.lane = d->lane;
    s.group = d->group;
    s.peer = DEVICES_FIRST;
    s.dtype = (Dtype)d->to->tensors[any].dtype;
    if (!d->training) s.phase = PHASE_EVALUATE;
    return plan_add_op(d->to, d->out, &s, NULL);
}

// Rows go from slots of device 0 to all devices, or the other way.
static Status move_rows(Devices *d, const Op *op, int root, bool scatter, Phase phase) {
    int t = d->written[root];
    const Tensor *from = &d->from->tensors[t];
    int32_t own, *slots = ARENA_NEW(&d->arena, int32_t, d->ranks);
    char name[NAME];
    if (!slots) FAIL(ERR_MEMORY, "out of memory for %d devices", d->ranks);
    TRY(devices_take(d, t, &own));
    for (int r = 0; r < d->ranks && d->first; r++)
        TRY(devices_take_slot(d, t, slot_of(d, op, r), &slots[r]));
    snprintf(name, sizeof name, "%s.%s", scatter ? "scatter" : "gather",
             devices_plain_name(d, from));
    d->where[root] = ON_DEVICES | ON_FIRST;
    OpSpec s = {.name = name,
                .kind = scatter ? KIND_SCATTER : KIND_GATHER,
                .phase = phase,
                .shard = op->shard,
                .micro_batch = op->micro_batch};
    *(scatter ? &s.outputs : &s.inputs) = &own;
    *(scatter ? &s.output_count : &s.input_count) = 1;
    *(scatter ? &s.inputs : &s.outputs) = slots;
    *(scatter ? &s.input_count : &s.output_count) = d->first ? d->ranks : 0;
    return communicate(d, &s);
}

// What an operation reads of the rows comes to where it is done.
static Status bring_rows(Devices *d, const Op *op, int to) {
    for (int i = 0; i < op->inputs; i++) {
        int t = op_inputs(d->plan, op)[i], root = program_root(d->from, t);
        bool input = d->from->tensors[root].role == ROLE_INPUT;
        Phase phase = input ? PHASE_INPUT : to == ON_FIRST ? PHASE_FORWARD : PHASE_BACKWARD;
        if (!d->where[root] || d->where[root] & to) continue;
        TRY(move_rows(d, op, root, to == ON_DEVICES, phase));
    }
    return OK;
}

static void note_rows(Devices *d, const Op *op, int where) {
    for (int o = 0; o < op->outputs; o++) {
        int t = op_outputs(d->plan, op)[o], root = program_root(d->from, t);
        if (d->from->tensors[root].placement[d->axis].place != PLACE_SHARD) continue;
        d->where[root] = (uint8_t)where;
        d->written[root] = t;
    }
}

// --- parts of a plan

static bool adds_balance(const Devices *d, const Op *op) {
    return op_kind(d->from, op) == KIND_ADD_BALANCE;
}

static bool is_loss(const Devices *d, const Op *op) {
    const Work *w = op_work(d->from, op);
    return w->layer == d->loss_layer && w->phase != PHASE_UPDATE;
}

// Does it make only what is kept, such as running statistics? They are device 0's.
static bool keeps(const Devices *d, const Op *op) {
    bool all = op->outputs > 0;
    for (int o = 0; o < op->outputs; o++) all &= d->kept[op_outputs(d->plan, op)[o]];
    return all;
}

// What lasts beyond the step, and values of a rank's own that an update puts there.
static void find_kept(Devices *d) {
    const Program *p = d->from;
    for (int t = 0; t < p->tensor_count; t++) d->kept[t] = role_persists((Role)p->tensors[t].role);
    for (int i = 0; i < d->plan->op_count; i++) {
        const Op *op = &d->plan->ops[i];
        for (int k = 0; k < op->inputs && op_work(p, op)->phase == PHASE_UPDATE; k++) {
            int t = op_inputs(d->plan, op)[k];
            d->kept[t] |= p->tensors[t].placement[d->axis].place == PLACE_DIFFERS;
        }
    }
}

// Each copy of the network gets what the plan reads of device 0's weights and running statistics:
// one broadcast for each type.
static Status replicate(Devices *d, const Op *at) {
    const Program *p = d->from;
    int32_t *list = ARENA_NEW(&d->arena, int32_t, p->tensor_count + 1);
    uint8_t *read = ARENA_NEW(&d->arena, uint8_t, p->tensor_count + 1);
    if (!list || !read) FAIL(ERR_MEMORY, "out of memory for %d tensors", p->tensor_count);
    for (int i = 0; i < d->plan->op_count; i++) {
        const Op *op = &d->plan->ops[i];
        bool computes = op_work(p, op)->phase != PHASE_UPDATE && !is_loss(d, op) && !keeps(d, op);
        for (int k = 0; k < op->inputs && computes; k++)
            read[program_root(p, op_inputs(d->plan, op)[k])] = 1;
    }
    for (int type = 0; type < DTYPE_COUNT; type++) {
        int count = 0;
        for (int t = 0; t < p->tensor_count; t++)
            if (read[t] && role_persists((Role)p->tensors[t].role) && p->tensors[t].dtype == type)
                TRY(devices_take(d, t, &list[count++]));
        if (!count) continue;
        TRY(communicate(d, &(OpSpec){.name = "replicate",
                                     .kind = KIND_BROADCAST,
                                     .phase = PHASE_FORWARD,
                                     .outputs = list,
                                     .inputs = list,
                                     .output_count = count,
                                     .input_count = count,
                                     .shard = at->shard,
                                     .micro_batch = at->micro_batch}));
    }
    return OK;
}

// One micro-batch of each device: DataParallel.forward() scatters its rows, replicates the network,
// applies the copies in parallel and gathers what they say; device 0 computes the loss, whose
// gradient goes back to the copies.
static Status add_pass(Devices *d, int shard, int micro_batch) {
    bool replicated = false;
    memset(d->where, 0, (size_t)d->from->tensor_count);
    for (int i = 0; i < d->plan->op_count; i++) {
        const Op *op = &d->plan->ops[i];
        const Work *w = op_work(d->from, op);
        bool loads = kind_loads(work_kind(w)), on_first = loads || is_loss(d, op);
        if (op->shard != shard || op->micro_batch != micro_batch || w->phase == PHASE_UPDATE ||
            adds_balance(d, op))
            continue;
        TRY(bring_rows(d, op, on_first ? ON_FIRST : ON_DEVICES));
        if (!on_first && !replicated) TRY(replicate(d, op));
        if (on_first)
            TRY(copy_for_all(d, op));
        else if (d->first || !keeps(d, op))
            TRY(copy_op(d, op, NULL));
        replicated |= !on_first;
        note_rows(d, op, on_first ? ON_FIRST : ON_DEVICES);
    }
    return OK;
}

// Where the backward ends, gradients are added up on device 0, in the order of the shards.
static Status reduce_gradients(Devices *d) {
    Gradient *g;
    int count, parts = d->local_shards;
    TRY(gradients_find(d->from, d->plan, ROLE_GRADIENT, parts, &d->arena, &g, &count));
    int32_t *list = ARENA_NEW(&d->arena, int32_t, count * parts + 1);
    if (!list) FAIL(ERR_MEMORY, "out of memory for %d gradients", count);
    for (int s = 0; s < parts; s++)
        for (int i = 0; i < count; i++) TRY(devices_take(d, g[i].part[s], &list[s * count + i]));
    if (!count) return OK;
    return communicate(d, &(OpSpec){.name = "reduce.gradients",
                                    .kind = KIND_REDUCE,
                                    .phase = PHASE_SYNC,
                                    .parts = parts,
                                    .outputs = list,
                                    .inputs = list,
                                    .output_count = count,
                                    .input_count = count * parts});
}

// Where layers of experts are, their choices come to device 0, the table of each shard by itself,
// and what balances the experts is added to the loss of the shard.
static Status gather_choices(Devices *d) {
    int32_t own, *slots = ARENA_NEW(&d->arena, int32_t, d->ranks);
    if (!slots) FAIL(ERR_MEMORY, "out of memory for %d devices", d->ranks);
    for (int t = 0; t < d->from->tensor_count && d->choices != NONE; t++) {
        int shard = d->from->tensors[t].shard;
        if (!devices_counts(d, t)) continue;
        TRY(devices_take_table(d, t, &own));
        for (int r = 0; r < d->ranks && d->first; r++)
            TRY(devices_take_slot(d, t, (DevicesSlot){r * d->local_shards + shard, 0}, &slots[r]));
        TRY(communicate(d, &(OpSpec){.name = "gather.choices",
                                     .kind = KIND_GATHER,
                                     .phase = PHASE_SYNC,
                                     .outputs = slots,
                                     .output_count = d->first ? d->ranks : 0,
                                     .inputs = &own,
                                     .input_count = 1,
                                     .shard = shard}));
    }
    for (int i = 0; i < d->plan->op_count; i++)
        if (adds_balance(d, &d->plan->ops[i])) TRY(copy_for_all(d, &d->plan->ops[i]));
    return OK;
}

// A result of shard k, on device 0.
static Status result_of(Devices *d, int32_t result, int k, int32_t *out) {
    return devices_take_slot(d, result, (DevicesSlot){k, 0}, out);
}

static Status fold_shards(Devices *d, int32_t result, const char *name) {
    int32_t sum, part;
    TRY(result_of(d, result, 0, &sum));
    for (int k = 1; k < d->ranks * d->local_shards; k++) {
        TRY(result_of(d, result, k, &part));
        TRY(plan_add_op(d->to, d->out,
                        &(OpSpec){.name = name,
                                  .kind = KIND_FOLD,
                                  .phase = PHASE_SYNC,
                                  .dtype = DTYPE_F64,
                                  .lane = d->compute,
                                  .outputs = &sum,
                                  .inputs = &part,
                                  .output_count = 1,
                                  .input_count = 1,
                                  .shard = k,
                                  .flags = OP_ACCUMULATE},
                        NULL));
    }
    return OK;
}

static Status add_updates(Devices *d) {
    d->updates = true;
    for (int i = 0; i < d->plan->op_count && d->first; i++)
        if (op_work(d->from, &d->plan->ops[i])->phase == PHASE_UPDATE)
            TRY(copy_op(d, &d->plan->ops[i], NULL));
    d->updates = false;
    return OK;
}

// Is it what a step has to say: a scalar that the run reads, or that nothing else does?
static bool is_told(const Devices *d, int tensor) {
    const Tensor *t = &d->from->tensors[tensor];
    bool read = t->role != ROLE_SCALAR;
    for (int i = 0; i < d->plan->op_count && !read; i++)
        for (int k = 0; k < d->plan->ops[i].inputs; k++)
            read |= op_inputs(d->plan, &d->plan->ops[i])[k] == tensor;
    return t->result || !read;
}

// All ranks report the same: device 0 says what came of a step.
static Status tell_results(Devices *d) {
    int32_t *list = ARENA_NEW(&d->arena, int32_t, d->from->tensor_count + 1);
    int count = 1;
    if (!list) FAIL(ERR_MEMORY, "out of memory for the results of a step");
    TRY(devices_take(d, d->loss, &list[0]));
    if (d->choices != NONE) TRY(devices_take(d, d->choices, &list[count++]));
    for (int i = 0; i < d->plan->op_count; i++) {
        const Op *op = &d->plan->ops[i];
        for (int o = 0; o < op->outputs && op_work(d->from, op)->phase == PHASE_UPDATE; o++)
            if (is_told(d, op_outputs(d->plan, op)[o]))
                TRY(devices_take(d, op_outputs(d->plan, op)[o], &list[count++]));
    }
    return communicate(d, &(OpSpec){.name = "broadcast.loss",
                                    .kind = KIND_BROADCAST,
                                    .phase = PHASE_SYNC,
                                    .outputs = list,
                                    .inputs = list,
                                    .output_count = count,
                                    .input_count = count});
}

// The results of all blocks, one after the other (docs/contract.md, 6).
static Status tell_evaluation(Devices *d) {
    static const char name[] = "evaluate.gathered";
    int logical = program_find_logical(d->to, name), all;
    int32_t *losses = ARENA_NEW(&d->arena, int32_t, d->ranks), gathered;
    if (!losses) FAIL(ERR_MEMORY, "out of memory for %d devices", d->ranks);
    LogicalSpec whole = {.name = name,
                         .shape = {2 * (int64_t)d->ranks},
                         .dims = 1,
                         .dtype = DTYPE_F64,
                         .role = ROLE_SCALAR};
    if (logical == NONE) TRY(program_add_logical(d->to, &whole, &logical));
    TRY(program_add_tensor(d->to,
                           &(TensorSpec){.name = name,
                                         .logical = logical,
                                         .dtype = DTYPE_F64,
                                         .role = ROLE_SCALAR,
                                         .result = RESULT_LOSS},
                           &all));
    gathered = all;
    for (int r = 0; r < d->ranks && d->first; r++) TRY(result_of(d, d->loss, r, &losses[r]));
    return communicate(d, &(OpSpec){.name = "broadcast.evaluation",
                                    .kind = KIND_BROADCAST,
                                    .outputs = &gathered,
                                    .inputs = d->first ? losses : &gathered,
                                    .output_count = 1,
                                    .input_count = d->first ? d->ranks : 1});
}

// --- programs

static Status begin_plan(Devices *d, int k) {
    d->loss = program_find_result(d->from, k, RESULT_LOSS);
    d->choices = program_find_result(d->from, k, RESULT_CHOICES);
    d->plan = &d->from->plans[k];
    d->training = d->plan->when == WHEN_EACH_STEP;
    d->loss_layer = NONE;
    if (d->loss == NONE)
        FAIL(ERR_PLAN, "the plan %s has no result \"loss\"", program_name(d->from, d->plan->name));
    for (int i = 0; i < d->plan->op_count; i++)
        for (int o = 0; o < d->plan->ops[i].outputs; o++)
            if (op_outputs(d->plan, &d->plan->ops[i])[o] == d->loss &&
                !adds_balance(d, &d->plan->ops[i]))
                d->loss_layer = op_work(d->from, &d->plan->ops[i])->layer;
    find_kept(d);
    TRY(program_add_plan(d->to, program_name(d->from, d->plan->name), &d->out));
    d->out->when = d->plan->when;
    return OK;
}

static Status add_plan(Devices *d, int k) {
    TRY(begin_plan(d, k));
    for (int s = 0; s < (d->training ? d->local_shards : 1); s++)
        for (int m = 0; m < (d->training ? d->micro_batches : 1); m++) TRY(add_pass(d, s, m));
    if (!d->training) {
        TRY(tell_evaluation(d));
    } else {
        TRY(reduce_gradients(d));
        TRY(gather_choices(d));
        if (d->first) TRY(fold_shards(d, d->loss, "fold.loss"));
        if (d->first && d->choices != NONE) TRY(fold_shards(d, d->choices, "fold.choices"));
        TRY(add_updates(d));
        TRY(tell_results(d));
    }
    return plan_derive_deps(d->to, d->out);
}

// Parameters that no operation reads, since the loss does not depend on their layers.
static Status keep_the_rest(Devices *d) {
    int32_t own;
    for (int t = 0; t < d->from->tensor_count; t++)
        if (d->from->tensors[t].role == ROLE_PARAMETER) TRY(devices_take(d, t, &own));
    return OK;
}

static Status make_class(Devices *d, const Program *head) {
    int n = d->from->tensor_count + 1;
    d->where = ARENA_NEW(&d->arena, uint8_t, n);
    d->written = ARENA_NEW(&d->arena, int32_t, n);
    d->kept = ARENA_NEW(&d->arena, uint8_t, n);
    if (!d->where || !d->written || !d->kept) FAIL(ERR_MEMORY, "out of memory for %d tensors", n);
    TRY(program_copy_head(d->to, head));
    if (d->first) {
        TRY(program_add_group(d->to, "data", (uint16_t)(1 << d->axis), &d->group));
        TRY(program_add_lane(d->to, "data", LANE_COMMUNICATION, d->group, &d->lane));
    }
    d->group = program_find_group(d->to, "data");
    d->lane = program_find_lane(d->to, "data");
    d->compute = program_find_lane(d->to, "compute");
    d->host = program_find_lane(d->to, "host");
    for (int k = 0; k < d->from->plan_count; k++) TRY(add_plan(d, k));
    return d->first ? keep_the_rest(d) : OK;
}

static Status add_class(ProgramSet *out, const Program *from, const StrategyOptions *options,
                        int micro_batches, bool first) {
    Program p = {0};
    Devices d = {.from = from,
                 .to = &p,
                 .first = first,
                 .axis = mesh_find_axis(from, MESH_DATA),
                 .ranks = mesh_axis_size(from, MESH_DATA),
                 .local_shards = options->local_shards,
                 .micro_batches = micro_batches};
    RankClass class = {0};
    snprintf(class.name, sizeof class.name, "%s", first ? "device0" : "devices");
    rank_class_confine(&class, d.axis, first ? DEVICES_FIRST : 1,
                       first ? DEVICES_FIRST : d.ranks - 1);
    Status s = make_class(&d, first ? from : &out->programs[0]);
    arena_finish(&d.arena);
    if (s == OK) return program_set_add(out, &class, &p);
    program_finish(&p);
    return s;
}

Status data_parallel_programs(ProgramSet *out, const Program *p, const StrategyOptions *options,
                              int micro_batches) {
    *out = (ProgramSet){0};
    Status s = add_class(out, p, options, micro_batches, true);
    if (s == OK) s = add_class(out, p, options, micro_batches, false);
    if (s != OK) program_set_finish(out);
    return s;
}
