// SPDX-License-Identifier: MIT
// What a program and the run that executes it write for each other: scalars that the run fills in
// before each turn, results that it reads afterwards, and when it executes which plan.
#include "core/base/arena.h"
#include "core/base/team.h"
#include "core/plan/check_internal.h"

// --- what each tensor states

// Each rank has the numbers of its piece, or all of them.
static Status check_index(const Program *p, const Tensor *t) {
    const char *name = program_name(p, t->name);
    if (t->role != ROLE_SCALAR || t->dtype != DTYPE_I64 || t->dims != 1 || t->alias != NONE ||
        t->extent != NONE || t->source_axes)
        FAIL(ERR_PLAN,
             "tensor %s: source=index fills a scalar of i64 of one dimension, with memory of its "
             "own and without extent= and axes=",
             name);
    for (int a = 0; a < p->axis_count; a++) {
        Placement how = t->placement[a];
        bool dimension = how.place == PLACE_SHARD && how.cut != CUT_FLAT;
        if (p->axes[a].size > 1 && how.place != PLACE_REPLICATE && !dimension)
            FAIL(ERR_PLAN, "tensor %s: source=index is R or S0, and not so along %s", name,
                 p->axes[a].name);
    }
    return OK;
}

static Status check_source(const Program *p, const Tensor *t) {
    ScalarSource source = (ScalarSource)t->source;
    const char *name = program_name(p, t->name);
    if (source == SCALAR_NONE) {
        if (t->source_axes)
            FAIL(ERR_PLAN, "tensor %s: axes= belongs to a source=, and it has none", name);
        return OK;
    }
    if (source == SCALAR_INDEX) return check_index(p, t);
    if (t->role != ROLE_SCALAR || t->dtype != scalar_source_dtype(source) ||
        tensor_elements(t) != 1 || t->alias != NONE)
        FAIL(ERR_PLAN, "tensor %s: source=%s fills a scalar of one %s with memory of its own", name,
             scalar_source_name(source), dtype_name(scalar_source_dtype(source)));
    if (t->source_axes && !scalar_source_is_cut(source))
        FAIL(ERR_PLAN, "tensor %s: source=%s is the same on all ranks and takes no axes=", name,
             scalar_source_name(source));
    if (source == SCALAR_COORDINATE && !t->source_axes)
        FAIL(ERR_PLAN, "tensor %s: source=coordinate needs axes=, along which it is", name);
    for (int a = 0; a < p->axis_count; a++) {
        bool differs = t->placement[a].place == PLACE_DIFFERS, cut = t->source_axes >> a & 1;
        if (differs != cut && p->axes[a].size > 1)
            FAIL(ERR_PLAN, "tensor %s: its value %s along %s; declare it %s there", name,
                 cut ? "differs" : "is the same", p->axes[a].name, cut ? "D" : "R");
    }
    return OK;
}

static Status check_result(const Program *p, const Tensor *t) {
    if (t->result == RESULT_NONE) return OK;
    const char *name = program_name(p, t->name), *result = result_name((Result)t->result);
    bool scalar = t->role == ROLE_SCALAR && !t->source && t->dtype == DTYPE_F64;
    if (t->result == RESULT_LOSS && (!scalar || tensor_elements(t) % 2))
        FAIL(ERR_PLAN,
             "tensor %s: result=%s is a scalar of f64 pairs (sum of losses, correct answers) that "
             "an operation writes",
             name, result);
    if (t->result == RESULT_CHOICES && (!scalar || t->dims != 2))
        FAIL(ERR_PLAN,
             "tensor %s: result=%s is a scalar of f64, a row for each layer of experts, that an "
             "operation writes",
             name, result);
    bool one = t->result != RESULT_LOSS && t->result != RESULT_CHOICES;
    if (one && (!scalar || tensor_elements(t) != 1))
        FAIL(ERR_PLAN, "tensor %s: result=%s is a scalar of one f64 that an operation writes", name,
             result);
    return OK;
}

static Status check_outputs(const Program *p, const Plan *plan, const Op *op) {
    for (int o = 0; o < op->outputs; o++) {
        int tensor = op_outputs(plan, op)[o];
        if (p->tensors[tensor].source)
            FAIL(ERR_PLAN, "plan %s: %s writes %s, but the run does (source=%s)",
                 program_name(p, plan->name), op_name(p, op), tensor_name(p, tensor),
                 scalar_source_name((ScalarSource)p->tensors[tensor].source));
    }
    return OK;
}

// A run reads one tensor for each kind of result, whichever operation wrote it last.
static Status check_one_result(const Program *p, int k) {
    const Plan *plan = &p->plans[k];
    int found[RESULT_COUNT];
    for (int r = 0; r < RESULT_COUNT; r++) found[r] = program_find_result(p, k, (Result)r);
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        TRY(check_outputs(p, plan, op));
        for (int o = 0; o < op->outputs; o++) {
            int tensor = op_outputs(plan, op)[o], result = p->tensors[tensor].result;
            if (result && tensor != found[result])
                FAIL(ERR_PLAN, "plan %s writes two tensors with result=%s, %s and %s",
                     program_name(p, plan->name), result_name((Result)result),
                     tensor_name(p, found[result]), tensor_name(p, tensor));
        }
    }
    return OK;
}

Status check_scalars(const Program *p) {
    for (int t = 0; t < p->tensor_count; t++) {
        TRY(check_source(p, &p->tensors[t]));
        TRY(check_result(p, &p->tensors[t]));
    }
    for (int k = 0; k < p->plan_count; k++) TRY(check_one_result(p, k));
    return OK;
}

// --- whether a run can execute it

static Status check_when(const Program *p) {
    for (int k = 0; k < p->plan_count; k++) {
        const Plan *plan = &p->plans[k];
        if (plan->when == WHEN_NONE)
            FAIL(ERR_PLAN,
                 "plan %s does not say when it runs; add when=each_step, each_epoch, "
                 "once or at_end to its line",
                 program_name(p, plan->name));
        int first = program_find_when(p, (When)plan->when, 0);
        bool one = plan->when == WHEN_EACH_STEP || plan->when == WHEN_EACH_EPOCH;
        if (one && first != k)
            FAIL(ERR_PLAN, "plans %s and %s have both when=%s; a run has one such plan",
                 program_name(p, p->plans[first].name), program_name(p, plan->name),
                 when_name((When)plan->when));
    }
    if (program_find_when(p, WHEN_EACH_STEP, 0) == NONE)
        FAIL(ERR_PLAN, "%s", "no plan has when=each_step: a run would do nothing");
    return OK;
}

static bool has_results(const ProgramSet *set) {
    for (int c = 0; c < set->count; c++)
        for (int t = 0; t < set->programs[c].tensor_count; t++)
            if (set->programs[c].tensors[t].result) return true;
    return false;
}

// A result that no plan writes is never known. Where there is one, every rank knows it of each
// training step and of each evaluation.
static Status check_results_written(const Program *p) {
    for (int t = 0; t < p->tensor_count; t++) {
        bool written = !p->tensors[t].result;
        for (int k = 0; k < p->plan_count && !written; k++)
            written = program_find_result(p, k, (Result)p->tensors[t].result) == t;
        if (!written)
            FAIL(ERR_PLAN, "no operation writes %s, which the run reports (result=%s)",
                 tensor_name(p, t), result_name((Result)p->tensors[t].result));
    }
    for (int k = 0; k < p->plan_count; k++) {
        const Plan *plan = &p->plans[k];
        bool wants = plan->when == WHEN_EACH_STEP || plan->when == WHEN_EACH_EPOCH;
        if (wants && program_find_result(p, k, RESULT_LOSS) == NONE)
            FAIL(ERR_PLAN, "plan %s (when=%s) writes no tensor with result=loss",
                 program_name(p, plan->name), when_name((When)plan->when));
    }
    return OK;
}

static Status check_from(const Program *p, const Plan *plan, const Op *op, int from,
                         ScalarSource source) {
    if (p->tensors[from].source == source) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: %s does not have source=%s", program_name(p, plan->name),
         op_name(p, op), tensor_name(p, from), scalar_source_name(source));
}

static Status check_slice(const Program *p, const Plan *plan, const Op *op, int from) {
    const Tensor *first = &p->tensors[from];
    if (op->shard == first->shard && op->micro_batch == first->micro_batch) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: slice=%d.%d, but %s, where its rows begin, has slice %d.%d",
         program_name(p, plan->name), op_name(p, op), op->shard, op->micro_batch,
         tensor_name(p, from), first->shard, first->micro_batch);
}

// A mask follows from seed and step of the run, and from where the operation's own rows begin.
static Status check_mask(const Program *p, const Plan *plan, const Op *op) {
    static const ScalarSource sources[] = {SCALAR_SEED, SCALAR_STEP, SCALAR_FIRST_ROW};
    const int32_t *input = op_inputs(plan, op);
    for (int i = 0; i < 3; i++) TRY(check_from(p, plan, op, input[i + 1], sources[i]));
    return check_slice(p, plan, op, input[3]);
}

// Operands that are the index of a dimension of another.
enum { LAST_DIM = DIMS, SLICED_DIM };  // SLICED_DIM: the attribute dim
typedef struct {
    uint8_t kind, input, of;  // which inputs
    uint8_t dim;              // of the second
    bool output;              // it is of output 0
} IndexOperand;
static const IndexOperand index_operands[] = {
    {KIND_EMBEDDING, 2, 1, 0, false},
    {KIND_EMBEDDING_BACKWARD, 2, 0, 0, true},
    {KIND_LOAD, 1, 0, 1, true},
    {KIND_LOAD_X, 1, 0, 1, true},
    {KIND_LOAD_LABELS, 1, 0, 1, true},
    {KIND_POSITIONS, 2, 0, 1, false},
    {KIND_POSITIONS, 2, 1, 0, false},
    {KIND_POSITIONS_BACKWARD, 1, 0, 1, false},
    {KIND_POSITIONS_BACKWARD, 1, 0, 0, true},
    {KIND_ATTENTION_BLOCK, 3, 0, 1, false},
    {KIND_ATTENTION_BLOCK, 4, 1, 1, false},
    {KIND_ATTENTION_BLOCK_BACKWARD, 6, 3, 1, false},
    {KIND_ATTENTION_BLOCK_BACKWARD, 7, 4, 1, false},
    {KIND_ROTARY, 1, 0, 1, false},
    {KIND_ROTARY_BACKWARD, 1, 0, 1, false},
    {KIND_SLICE, 1, 0, SLICED_DIM, false},
    {KIND_DROPOUT, 4, 0, 1, false},
    {KIND_DROPOUT, 5, 0, 2, false},
    {KIND_DROPOUT_BACKWARD, 4, 0, 1, false},
    {KIND_DROPOUT_BACKWARD, 5, 0, 2, false},
    {KIND_VOCABULARY_MAX, 1, 0, LAST_DIM, false},
    {KIND_VOCABULARY_SUMS, 3, 0, LAST_DIM, false},
    {KIND_VOCABULARY_LOSS_BACKWARD, 4, 0, LAST_DIM, false},
};

// An index tells the numbers of that dimension, whole or the rank's part; of what is sliced, those
// in the part that this rank has.
static Status check_index_operand(const Program *p, const Plan *plan, const Op *op,
                                  const IndexOperand *i) {
    const int32_t *operands = i->output ? op_outputs(plan, op) : op_inputs(plan, op);
    if (i->input >= op->inputs) return OK;
    int index = op_inputs(plan, op)[i->input], of = operands[i->of];
    TRY(check_from(p, plan, op, index, SCALAR_INDEX));
    const Logical *whole = &p->logicals[p->tensors[of].logical];
    int dim = i->dim == LAST_DIM     ? whole->dims - 1
              : i->dim == SLICED_DIM ? (int)work_attr(p, op_work(p, op), 0)
                                     : i->dim;
    int64_t has = p->logicals[p->tensors[index].logical].shape[0],
            want = dim < whole->dims ? whole->shape[dim] : 0;
    if (i->dim == SLICED_DIM && dim < whole->dims) want = p->tensors[of].shape[dim];
    if (has == want) return OK;
    FAIL(ERR_PLAN, "plan %s: %s: %s numbers %lld elements, but dimension %d of %s has %lld",
         program_name(p, plan->name), op_name(p, op), tensor_name(p, index), (long long)has, dim,
         tensor_name(p, of), (long long)want);
}

static Status check_index_operands(const Program *p, const Plan *plan, const Op *op) {
    for (size_t i = 0; i < sizeof index_operands / sizeof *index_operands; i++)
        if (op_kind(p, op) == index_operands[i].kind)
            TRY(check_index_operand(p, plan, op, &index_operands[i]));
    return OK;
}

// The rows that a load writes begin at one number of the run's, and another says how many they are:
// both of the same shard and micro-batch, cut over the same ranks.
static Status check_load(const Program *p, const Plan *plan, const Op *op) {
    const char *in = program_name(p, plan->name), *name = op_name(p, op);
    if (plan->when != WHEN_EACH_STEP && plan->when != WHEN_EACH_EPOCH)
        FAIL(ERR_PLAN, "plan %s: %s: there are no rows to load in a plan with when=%s", in, name,
             when_name((When)plan->when));
    int from = op_inputs(plan, op)[0];
    const Tensor *first = &p->tensors[from];
    TRY(check_from(p, plan, op, from, SCALAR_FIRST_ROW));
    TRY(check_slice(p, plan, op, from));
    for (int o = 0; o < op->outputs; o++) {
        const Tensor *t = &p->tensors[op_outputs(plan, op)[o]];
        if (t->extent == NONE)
            FAIL(ERR_PLAN, "plan %s: %s: %s has no extent for the rows of a batch", in, name,
                 program_name(p, t->name));
        if (t->extent_times != 1)
            FAIL(ERR_PLAN, "plan %s: %s: %s has %lld rows for each of %s, but a load brings one",
                 in, name, program_name(p, t->name), (long long)t->extent_times,
                 tensor_name(p, t->extent));
        const Tensor *rows = &p->tensors[t->extent];
        if (rows->source != SCALAR_ROWS || rows->shard != first->shard ||
            rows->micro_batch != first->micro_batch || rows->source_axes != first->source_axes)
            FAIL(ERR_PLAN,
                 "plan %s: %s: %s has the extent %s, which is not source=rows with the slice and "
                 "axes of %s",
                 in, name, program_name(p, t->name), tensor_name(p, t->extent),
                 tensor_name(p, from));
    }
    return OK;
}

static void mark_written(const Program *p, uint8_t *written) {
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++) {
            const Op *op = &p->plans[k].ops[i];
            for (int o = 0; o < op->outputs; o++) written[op_outputs(&p->plans[k], op)[o]] = 1;
        }
    for (int t = 0; t < p->tensor_count; t++)
        if (p->tensors[t].source || p->tensors[t].role != ROLE_SCALAR) written[t] = 1;
}

static Status check_value(const Program *p, const Plan *plan, const Op *op, int scalar,
                          const uint8_t *written) {
    if (scalar == NONE || written[scalar]) return OK;
    FAIL(ERR_PLAN, "plan %s: %s reads %s, which no operation writes and which has no source=",
         program_name(p, plan->name), op_name(p, op), tensor_name(p, scalar));
}

// Every scalar that is read gets a value, from an operation or from the run.
static Status check_values(const Program *p, const Plan *plan, const uint8_t *written) {
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Kind kind = op_kind(p, op);
        if (kind_loads(kind)) TRY(check_load(p, plan, op));
        if (kind == KIND_DROPOUT || kind == KIND_DROPOUT_BACKWARD) TRY(check_mask(p, plan, op));
        TRY(check_index_operands(p, plan, op));
        TRY(check_value(p, plan, op, op->guard, written));
        for (int o = 0; o < op->outputs + op->inputs; o++) {
            int tensor = op_outputs(plan, op)[o];
            if (o >= op->outputs) TRY(check_value(p, plan, op, tensor, written));
            TRY(check_value(p, plan, op, p->tensors[tensor].extent, written));
        }
    }
    return OK;
}

// The axes that cut the batch, as scalars say; 0 where there are none.
static uint16_t cut_axes(const ProgramSet *set) {
    for (int c = 0; c < set->count; c++)
        for (int t = 0; t < set->programs[c].tensor_count; t++)
            if (set->programs[c].tensors[t].source == SCALAR_ROWS &&
                set->programs[c].tensors[t].source_axes)
                return set->programs[c].tensors[t].source_axes;
    return 0;
}

// All parts of a batch are parts of one cut. A number without axes is of a shard of the whole
// batch: of what one rank loads for others.
static Status check_cut(const Program *p, uint16_t axes) {
    for (int t = 0; t < p->tensor_count; t++) {
        ScalarSource source = (ScalarSource)p->tensors[t].source;
        if ((source == SCALAR_ROWS || source == SCALAR_FIRST_ROW) && p->tensors[t].source_axes &&
            p->tensors[t].source_axes != axes)
            FAIL(ERR_PLAN, "tensor %s: source=%s cuts the batch along other axes than the rest",
                 tensor_name(p, t), scalar_source_name(source));
    }
    return OK;
}

static Status check_program(const Program *p, bool results, uint16_t axes) {
    Arena scratch = {0};
    TRY(check_when(p));
    if (results) TRY(check_results_written(p));
    TRY(check_cut(p, axes));
    uint8_t *written = ARENA_NEW(&scratch, uint8_t, p->tensor_count + 1);
    if (!written) FAIL(ERR_MEMORY, "out of memory for checking a program");
    mark_written(p, written);
    Status s = OK;
    for (int k = 0; k < p->plan_count && s == OK; k++) s = check_values(p, &p->plans[k], written);
    arena_finish(&scratch);
    return s;
}

typedef struct {
    const ProgramSet *set;
    bool results;
    uint16_t axes;
} Running;

static Status check_class(void *context, int c) {
    const Running *r = context;
    Status s = check_program(&r->set->programs[c], r->results, r->axes);
    if (s != OK && r->set->count > 1)
        FAIL(s, "class %s: %s", program_set_name(r->set, c), status_message());
    return s;
}

Status plan_check_run(const ProgramSet *set) {
    Running r = {set, has_results(set), cut_axes(set)};
    return team_each(set->count, check_class, &r);
}
