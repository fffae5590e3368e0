// SPDX-License-Identifier: MIT
// Building programs: everything that is added is checked against what is there already, so that
// later code need not ask whether an index exists or a product of sizes overflows.
#include "core/plan/build.h"

#include "core/base/array.h"
#include "core/base/hash.h"
#include "core/plan/build_internal.h"
#include "core/plan/flops.h"
#include "core/plan/moved.h"
#include "core/plan/piece.h"

#include <stdlib.h>
#include <string.h>

enum { ALIASES_MAX = 16 };  // one after the other

// Of one operation, so that what is computed from its bytes cannot overflow.
static const int64_t OPERAND_BYTES_MAX = (int64_t)1 << 56;

Status program_add_axis(Program *p, const char *name, int size, int *out) {
    if (p->axis_count == AXES)
        FAIL(ERR_PLAN, "mesh axis %s: a mesh has at most %d axes", name, AXES);
    if (size < 1) FAIL(ERR_PLAN, "mesh axis %s: size %d is not positive", name, size);
    for (int a = 0; a < p->axis_count; a++)
        if (!strcmp(p->axes[a].name, name)) FAIL(ERR_PLAN, "mesh axis %s is there twice", name);
    Axis *a = &p->axes[p->axis_count];
    if (strlen(name) >= sizeof a->name)
        FAIL(ERR_PLAN, "mesh axis %s: the name is longer than %zu", name, sizeof a->name - 1);
    *a = (Axis){.size = size, .stride = program_ranks(p)};
    strcpy(a->name, name);
    if (out) *out = p->axis_count;
    p->axis_count++;
    return OK;
}

static Status add_group(Program *p, const char *name, Group group, int *out) {
    if (program_find_group(p, name) != NONE) FAIL(ERR_PLAN, "group %s is there twice", name);
    TRY(program_add_name(p, name, &group.name));
    TRY(ARRAY_RESERVE(p->groups, p->group_capacity, p->group_count + 1));
    if (out) *out = p->group_count;
    p->groups[p->group_count++] = group;
    return OK;
}

// Members of a group along axes, of which `at_axis` (or NONE) has only `at_count` positions.
static Status count_members(const Program *p, const char *name, Group *g) {
    g->size = 1;
    for (int a = 0; a < AXES; a++) {
        if (!(g->axes >> a & 1)) continue;
        if (a >= p->axis_count) FAIL(ERR_PLAN, "group %s: the mesh has no axis %d", name, a);
        g->size *= a == g->at_axis ? g->at_count : p->axes[a].size;
    }
    if (!g->axes) FAIL(ERR_PLAN, "group %s varies along no axis", name);
    return OK;
}

Status program_add_group(Program *p, const char *name, uint16_t axes, int *out) {
    Group group = {.axes = axes, .at_axis = NONE};
    TRY(count_members(p, name, &group));
    return add_group(p, name, group, out);
}

Status program_add_group_at(Program *p, const char *name, uint16_t axes, int at_axis,
                            const int *positions, int count, int *out) {
    Group group = {
        .axes = axes, .at_axis = (int8_t)at_axis, .at_count = count, .first = p->member_count};
    if (at_axis < 0 || at_axis >= p->axis_count)
        FAIL(ERR_PLAN, "group %s: the mesh has no axis %d", name, at_axis);
    const Axis *axis = &p->axes[at_axis];
    if (count < 1) FAIL(ERR_PLAN, "group %s lies at no position of %s", name, axis->name);
    TRY(ARRAY_RESERVE(p->members, p->member_capacity, p->member_count + count));
    for (int i = 0; i < count; i++) {
        if (positions[i] < 0 || positions[i] >= axis->size)
            FAIL(ERR_PLAN, "group %s: %s has %d positions, none %d", name, axis->name, axis->size,
                 positions[i]);
        if (i && positions[i] <= positions[i - 1])
            FAIL(ERR_PLAN, "group %s: the positions along %s do not ascend: %d, %d", name,
                 axis->name, positions[i - 1], positions[i]);
        p->members[p->member_count + i] = positions[i];
    }
    TRY(count_members(p, name, &group));
    TRY(add_group(p, name, group, out));
    p->member_count += count;
    return OK;
}

static int by_value(const void *left, const void *right) {
    int a = *(const int *)left, b = *(const int *)right;
    return (a > b) - (a < b);
}

// No member twice: a group must fit into as many places as there are ranks.
static Status check_distinct(const char *name, const int *ranks, int count) {
    int *sorted = malloc((size_t)count * sizeof *sorted), twice = NONE;
    if (!sorted) FAIL(ERR_MEMORY, "out of memory for group %s", name);
    memcpy(sorted, ranks, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
    for (int i = 1; i < count; i++)
        if (sorted[i] == sorted[i - 1]) twice = sorted[i];
    free(sorted);
    if (twice != NONE) FAIL(ERR_PLAN, "group %s has rank %d twice", name, twice);
    return OK;
}

Status program_add_rank_list(Program *p, const char *name, const int *ranks, int count, int *out) {
    if (count < 1) FAIL(ERR_PLAN, "group %s has no member", name);
    TRY(check_distinct(name, ranks, count));
    TRY(ARRAY_RESERVE(p->members, p->member_capacity, p->member_count + count));
    for (int i = 0; i < count; i++) {
        if (ranks[i] < 0 || ranks[i] >= program_ranks(p))
            FAIL(ERR_PLAN, "group %s: rank %d is not in a mesh of %d", name, ranks[i],
                 program_ranks(p));
        p->members[p->member_count + i] = ranks[i];
    }
    Group group = {.size = count, .first = p->member_count, .at_axis = NONE};
    TRY(add_group(p, name, group, out));
    p->member_count += count;
    return OK;
}

Status program_add_lane(Program *p, const char *name, LaneKind kind, int group, int *out) {
    if (program_find_lane(p, name) != NONE) FAIL(ERR_PLAN, "lane %s is there twice", name);
    if (p->lane_count > UINT8_MAX) FAIL(ERR_PLAN, "lane %s: too many lanes", name);
    Lane lane = {.kind = (uint8_t)kind, .group = group, .scratch = NONE};
    TRY(program_add_name(p, name, &lane.name));
    TRY(ARRAY_RESERVE(p->lanes, p->lane_capacity, p->lane_count + 1));
    if (out) *out = p->lane_count;
    p->lanes[p->lane_count++] = lane;
    return OK;
}

Status program_add_plan(Program *p, const char *name, Plan **out) {
    if (p->plan_count == PLANS)
        FAIL(ERR_PLAN, "plan %s: a program has at most %d plans", name, PLANS);
    if (program_find_plan(p, name) != NONE) FAIL(ERR_PLAN, "plan %s is there twice", name);
    Plan *plan = &p->plans[p->plan_count];
    *plan = (Plan){0};
    TRY(program_add_name(p, name, &plan->name));
    p->plan_count++;
    if (out) *out = plan;
    return OK;
}

Status program_add_logical(Program *p, const LogicalSpec *spec, int *out) {
    if (spec->dims < 1 || spec->dims > DIMS)
        FAIL(ERR_PLAN, "tensor %s: %d dimensions, not 1 to %d", spec->name, spec->dims, DIMS);
    if ((spec->fan_in != 0) + (spec->normal != 0) + (spec->constant != 0) > 1)
        FAIL(ERR_PLAN,
             "tensor %s: initial values are uniform (fan_in), normal or constant: one of them",
             spec->name);
    Logical l = {.tied_to = NONE,
                 .fan_in = spec->fan_in,
                 .normal = spec->normal,
                 .constant = spec->constant,
                 .init = p->parameter_count,
                 .dims = (uint8_t)spec->dims,
                 .dtype = (uint8_t)spec->dtype,
                 .role = (uint8_t)spec->role,
                 .trainable = spec->trainable};
    memcpy(l.shape, spec->shape, sizeof l.shape);
    TRY(program_add_name(p, spec->name, &l.name));
    TRY(ARRAY_RESERVE(p->logicals, p->logical_capacity, p->logical_count + 1));
    if (program_named(p, l.name)->logical == NONE)
        program_named(p, l.name)->logical = p->logical_count;
    if (out) *out = p->logical_count;
    p->logicals[p->logical_count++] = l;
    p->parameter_count += l.role == ROLE_PARAMETER;
    return OK;
}

Status program_add_tensor(Program *p, const TensorSpec *spec, int *out) {
    if (spec->logical < 0 || spec->logical >= p->logical_count)
        FAIL(ERR_PLAN, "tensor %s: no logical tensor %d", spec->name, spec->logical);
    const Logical *l = &p->logicals[spec->logical];
    Tensor t = {.offset = NONE,
                .logical = spec->logical,
                .extent = spec->extent - 1,
                .extent_times = spec->extent_times ? spec->extent_times : 1,
                .alias = spec->alias - 1,
                .shard = spec->shard,
                .micro_batch = spec->micro_batch,
                .dtype = (uint8_t)spec->dtype,
                .role = (uint8_t)spec->role,
                .dims = placements_are_flat(spec->placement, p->axis_count) ? 1 : l->dims,
                .source = (uint8_t)spec->source,
                .source_axes = spec->source_axes,
                .result = (uint8_t)spec->result};
    memcpy(t.shape, spec->shape[0] ? spec->shape : l->shape, sizeof t.shape);
    memcpy(t.placement, spec->placement, sizeof t.placement);
    if (t.extent >= p->tensor_count || t.alias >= p->tensor_count)
        FAIL(ERR_PLAN, "tensor %s: its extent or alias does not exist", spec->name);
    if (t.extent_times < 1 || (t.extent == NONE && t.extent_times != 1) ||
        t.shape[0] % t.extent_times || l->shape[0] % t.extent_times)
        FAIL(ERR_PLAN, "tensor %s: %lld rows are no multiple of the %lld that its extent counts",
             spec->name, (long long)t.shape[0], (long long)t.extent_times);
    int depth = 0;
    for (int32_t at = t.alias; at != NONE; at = p->tensors[at].alias)
        if (++depth > ALIASES_MAX)
            FAIL(ERR_PLAN, "tensor %s: more than %d aliases of aliases", spec->name, ALIASES_MAX);
    t.bytes = dtype_bytes((Dtype)t.dtype);
    for (int i = 0; i < t.dims; i++) {
        if (t.shape[i] < 1 || t.bytes > INT64_MAX / 4 / t.shape[i])
            FAIL(ERR_SHAPE, "tensor %s: dimension %d has size %lld", spec->name, i,
                 (long long)t.shape[i]);
        t.bytes *= t.shape[i];
    }
    if (t.bytes > BUILD_BYTES_MAX - p->tensor_bytes)
        FAIL(ERR_SHAPE, "tensor %s: the tensors of a program have more than %lld bytes", spec->name,
             (long long)BUILD_BYTES_MAX);
    TRY(program_add_name(p, spec->name, &t.name));
    if (program_named(p, t.name)->tensor != NONE)
        FAIL(ERR_PLAN, "tensor %s is there twice", spec->name);
    p->tensor_bytes += t.bytes;
    TRY(ARRAY_RESERVE(p->tensors, p->tensor_capacity, p->tensor_count + 1));
    program_named(p, t.name)->tensor = p->tensor_count;
    if (out) *out = p->tensor_count;
    p->tensors[p->tensor_count++] = t;
    return OK;
}

Status program_place_tensor(Program *p, int tensor, int axis, Placement how) {
    Tensor t = p->tensors[tensor];
    int dims;
    t.placement[axis] = how;
    TRY(piece_capacity(p, &t, t.shape, &dims));
    t.dims = (uint8_t)dims;
    t.bytes = dtype_bytes((Dtype)t.dtype) * tensor_elements(&t);
    p->tensor_bytes += t.bytes - p->tensors[tensor].bytes;
    p->tensors[tensor] = t;
    return OK;
}

Status program_add_scalar(Program *p, const char *name, Dtype dtype, int count, int *out) {
    int logical;
    TRY(program_add_logical(
        p,
        &(LogicalSpec){
            .name = name, .shape = {count}, .dims = 1, .dtype = dtype, .role = ROLE_SCALAR},
        &logical));
    return program_add_tensor(
        p, &(TensorSpec){.name = name, .logical = logical, .dtype = dtype, .role = ROLE_SCALAR},
        out);
}

Status program_add_source(Program *p, const char *name, ScalarSource source, uint16_t axes,
                          int shard, int micro_batch, int *out) {
    int logical;
    Dtype dtype = scalar_source_dtype(source);
    TensorSpec t = {.name = name,
                    .shard = shard,
                    .micro_batch = micro_batch,
                    .dtype = dtype,
                    .role = ROLE_SCALAR,
                    .source = source,
                    .source_axes = axes};
    TRY(program_add_logical(
        p,
        &(LogicalSpec){.name = name, .shape = {1}, .dims = 1, .dtype = dtype, .role = ROLE_SCALAR},
        &logical));
    t.logical = logical;
    for (int a = 0; a < AXES; a++)
        if (axes >> a & 1) t.placement[a] = PLACEMENT_DIFFERS;
    return program_add_tensor(p, &t, out);
}

int64_t build_attr_real(double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// What an operation costs depends on its kind, type, attributes and the shapes of its operands.
static uint64_t cost_key(const Program *p, const Work *w, const OpSpec *spec) {
    uint64_t hash = hash_u64(hash_u64(HASH_START, w->kind), w->dtype);
    if (kind_communicates(spec->kind))
        hash = hash_u64(hash_u64(hash_u64(hash, w->algorithm), w->parts), w->group);
    if (w->unit) hash = hash_u64(hash, (uint64_t)w->unit);
    for (int i = 0; i < w->attr_count; i++)
        if (spec->attrs[i] || !kind_attribute_is_optional(spec->kind, i))
            hash = hash_u64(hash, (uint64_t)spec->attrs[i]);
    for (int i = 0; i < spec->output_count + spec->input_count; i++) {
        const Tensor *t =
            &p->tensors[i < spec->output_count ? spec->outputs[i]
                                               : spec->inputs[i - spec->output_count]];
        hash = hash_u64(hash_u64(hash, t->dtype), t->dims);
        for (int d = 0; d < t->dims; d++) hash = hash_u64(hash, (uint64_t)t->shape[d]);
    }
    return hash;
}

static bool same_attrs(const Program *p, const Work *a, const OpSpec *spec) {
    for (int i = 0; i < a->attr_count; i++)
        if (p->attrs[a->attr_first + i] != spec->attrs[i]) return false;
    return true;
}

static bool same_work(const Program *p, const Work *known, const Work *w, const OpSpec *spec) {
    if (known->name != w->name) return false;
    Work other = *known;
    other.attr_first = w->attr_first;
    return !memcmp(&other, w, sizeof other) && same_attrs(p, known, spec);
}

// Work of equal name and content is shared. A hash table with open addressing finds it, as in
// names.c; at most half of the slots, a power of two, are taken.
static int work_slot(const Program *p, const Work *w) {
    uint64_t hash = hash_u64(hash_u64(HASH_START, (uint64_t)w->name), w->cost_key);
    return (int)((hash ^ hash >> 32) & (uint64_t)(p->work_slot_count - 1));
}

static int next_slot(const Program *p, int slot) { return (slot + 1) & (p->work_slot_count - 1); }

Status build_index_works(Program *p) {
    int slots = p->work_slot_count ? p->work_slot_count : 64;
    while (2 * (p->work_count + 1) > slots) slots *= 2;
    TRY(ARRAY_RESERVE(p->work_slots, p->work_slot_capacity, slots));
    p->work_slot_count = slots;
    for (int i = 0; i < slots; i++) p->work_slots[i] = NONE;
    for (int i = 0; i < p->work_count; i++) {
        int slot = work_slot(p, &p->works[i]);
        while (p->work_slots[slot] != NONE) slot = next_slot(p, slot);
        p->work_slots[slot] = i;
    }
    return OK;
}

static Status make_room_for_work(Program *p) {
    return 2 * (p->work_count + 1) <= p->work_slot_count ? OK : build_index_works(p);
}

// The index of this work, which is added where the program has no such work yet.
static Status share_work(Program *p, Work *w, const OpSpec *spec, int *out) {
    TRY(make_room_for_work(p));
    int slot = work_slot(p, w);
    while (p->work_slots[slot] != NONE && !same_work(p, &p->works[p->work_slots[slot]], w, spec))
        slot = next_slot(p, slot);
    if (p->work_slots[slot] == NONE) {
        TRY(ARRAY_RESERVE(p->attrs, p->attr_capacity, p->attr_count + w->attr_count));
        TRY(ARRAY_RESERVE(p->works, p->work_capacity, p->work_count + 1));
        w->attr_first = p->attr_count;
        for (int i = 0; i < w->attr_count; i++) p->attrs[p->attr_count++] = spec->attrs[i];
        p->works[p->work_count] = *w;
        p->work_slots[slot] = p->work_count++;
    }
    *out = p->work_slots[slot];
    return OK;
}

// Does it cut, or put together, several tensors at once, each by itself?
static bool is_of_several(const OpSpec *spec) {
    int parts = spec->parts ? spec->parts : 1;
    return kind_cuts(spec->kind) && spec->output_count > 1 &&
           spec->input_count == parts * spec->output_count;
}

// Its attributes are the elements of each whole tensor. They are left behind the attributes of the
// program, where share_work() wants them, and are of nobody until it counts them.
static Status take_sizes(Program *p, OpSpec *spec) {
    const int32_t *whole = spec->kind == KIND_ALL_GATHER ? spec->outputs : spec->inputs;
    TRY(ARRAY_RESERVE(p->attrs, p->attr_capacity, p->attr_count + spec->output_count));
    spec->attrs = &p->attrs[p->attr_count];
    for (int i = 0; i < spec->output_count; i++)
        p->attrs[p->attr_count + i] = tensor_elements(&p->tensors[whole[i]]);
    return OK;
}

static Status fill_work(Program *p, const OpSpec *spec, Work *w) {
    memset(w, 0, sizeof *w);  // padding too: works are compared as bytes
    w->layer = NONE;
    TRY(program_add_name(p, spec->name, &w->name));
    if (spec->layer && *spec->layer) TRY(program_add_name(p, spec->layer, &w->layer));
    bool communication = kind_communicates(spec->kind);
    w->kind = (uint16_t)spec->kind;
    w->phase = (uint8_t)spec->phase;
    w->dtype = (uint8_t)spec->dtype;
    w->group = communication ? spec->group : NONE;
    w->peer = spec->peer;
    w->unit = spec->unit > 1 ? spec->unit : 0;
    w->algorithm = (uint8_t)spec->algorithm;
    w->order = (uint8_t)spec->order;
    w->reduce = (uint8_t)spec->reduce;
    w->parts = (uint16_t)(spec->parts ? spec->parts : 1);
    w->attr_count = is_of_several(spec) ? spec->output_count : kind_attribute_count(spec->kind);
    TRY(flops_of_spec(p, spec, &w->flops));
    if (spec->flops) w->flops = spec->flops;
    moved_count(p, spec, &w->read_bytes, &w->write_bytes);
    // What one member contributes; an all-gather's contribution is its input, a receive has none.
    if (communication)
        w->payload_bytes = (spec->input_count ? w->read_bytes : w->write_bytes) / w->parts;
    if (spec->kind == KIND_SCATTER) w->payload_bytes = w->write_bytes;  // the root alone has inputs
    if (spec->kind == KIND_ALL_TO_ALL_V && spec->input_count)           // without the counts
        w->payload_bytes = p->tensors[spec->inputs[0]].bytes;
    w->cost_key = spec->cost_key ? spec->cost_key : cost_key(p, w, spec);
    return OK;
}

static Status check_spec(const Program *p, const OpSpec *spec) {
    if (spec->lane < 0 || spec->lane >= p->lane_count)
        FAIL(ERR_PLAN, "operation %s: no lane %d", spec->name, spec->lane);
    if (kind_communicates(spec->kind) && (spec->group < 0 || spec->group >= p->group_count))
        FAIL(ERR_PLAN, "operation %s: no group %d", spec->name, spec->group);
    if (spec->parts < 0 || spec->parts > UINT16_MAX)
        FAIL(ERR_PLAN, "operation %s: %d parts, at most %d", spec->name, spec->parts, UINT16_MAX);
    int64_t bytes = 0;
    for (int i = 0; i < spec->output_count + spec->input_count; i++) {
        int t = i < spec->output_count ? spec->outputs[i] : spec->inputs[i - spec->output_count];
        if (t < 0 || t >= p->tensor_count)
            FAIL(ERR_PLAN, "operation %s: operand %d does not exist", spec->name, i);
        if (p->tensors[t].bytes > OPERAND_BYTES_MAX - bytes)
            FAIL(ERR_PLAN, "operation %s: its operands have more than %lld bytes", spec->name,
                 (long long)OPERAND_BYTES_MAX);
        bytes += p->tensors[t].bytes;
    }
    return OK;
}

static Status append_op(Plan *plan, int work, const OpSpec *spec) {
    int operands = spec->output_count + spec->input_count;
    // One more, so that there is an array for operations without any too.
    TRY(ARRAY_RESERVE(plan->operands, plan->operand_capacity, plan->operand_count + operands + 1));
    TRY(ARRAY_RESERVE(plan->ops, plan->op_capacity, plan->op_count + 1));
    plan->ops[plan->op_count++] = (Op){.work = work,
                                       .operand_first = plan->operand_count,
                                       .dep_first = plan->dep_count,
                                       .guard = spec->guard - 1,
                                       .shard = spec->shard,
                                       .micro_batch = spec->micro_batch,
                                       .outputs = spec->output_count,
                                       .inputs = spec->input_count,
                                       .lane = (uint8_t)spec->lane,
                                       .flags = (uint8_t)spec->flags};
    for (int i = 0; i < operands; i++)
        plan->operands[plan->operand_count++] =
            i < spec->output_count ? spec->outputs[i] : spec->inputs[i - spec->output_count];
    return OK;
}

Status plan_add_op_of(const Program *p, Plan *plan, int work, const OpSpec *spec) {
    TRY(check_spec(p, spec));
    return append_op(plan, work, spec);
}

Status plan_add_op(Program *p, Plan *plan, const OpSpec *spec, int *out) {
    static const int64_t zeros[ATTRIBUTES];
    OpSpec given = *spec;
    if (!spec->attrs) given.attrs = zeros;
    TRY(check_spec(p, spec));
    if (is_of_several(spec)) TRY(take_sizes(p, &given));
    Work w;
    TRY(fill_work(p, &given, &w));
    int work;
    TRY(share_work(p, &w, &given, &work));
    if (out) *out = plan->op_count;
    return append_op(plan, work, spec);
}
