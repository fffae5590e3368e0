// SPDX-License-Identifier: MIT
// Which weights are cut, and how, unless the model file says so (split_place.c). In Megatron-LM
// (Shoeybi et al. 2019) each block says so; here it is looked for: products that read one tensor,
// which all ranks have, are cut by their outputs if all that is made of these can be computed from
// pieces, up to products that can be cut by their inputs. Begin with split_choose().
#include "core/plan/placement_rules.h"
#include "parallel/strategy/split_convert.h"
#include "parallel/strategy/split_place.h"

#include <stdio.h>
#include <string.h>

enum { PAIR_OUTPUTS = 0, PAIR_INPUTS = 1 };  // dimensions of a weight, behind those of experts

typedef struct {
    Split *x;
    const Plan *plan;
    int32_t *forward;  // operations of the first forward pass, in order: all passes do the same
    int32_t *touched;  // the tensors that they name, each once
    int forward_count, touched_count;
    SplitState state, trial;  // equal but for touched tensors
    int32_t *uses;            // [logical tensor] operations of a pass that read it
    Placement *tried;         // [logical tensor] parameters as this trial places them,
    int32_t *differ;          // those of them that do not lie as the split has them so far
    int differ_count;
    int rows;          // products of the trial that are cut by their inputs
    int reached;       // the operation at which the trial ended
    const Op *uneven;  // of the trial: its heads cannot be shared, or NULL
} Chooser;

static int logical_of(const Chooser *c, int tensor) { return c->x->from->tensors[tensor].logical; }

static bool is_forward(const Chooser *c, const Op *op) {
    const Work *w = op_work(c->x->from, op);
    return w->phase == PHASE_FORWARD && !op->shard && !op->micro_batch;
}

static Placement channels_of(const Chooser *c, const Op *op, Placement weight) {
    int x = op_inputs(c->plan, op)[0];
    bool vectors = op_kind(c->x->from, op) != KIND_CONV2D;
    weight.dim = (uint8_t)(vectors ? c->x->from->tensors[x].dims - 1 : 1);
    return weight;
}

// Is a weight free to be cut so: a parameter that one operation of a pass uses?
static bool is_free(const Chooser *c, const Op *op, Placement how) {
    int l = logical_of(c, op_inputs(c->plan, op)[1]);
    return c->x->from->logicals[l].role == ROLE_PARAMETER && c->uses[l] == 1 &&
           c->tried[l].place == PLACE_REPLICATE && split_may_place(c->x, l, how);
}

static void place(Chooser *c, SplitState *s, int tensor, Placement how) {
    int l = logical_of(c, tensor);
    bool known = !placement_equal(c->tried[l], c->x->parameter[l]);
    if (!known && !placement_equal(c->tried[l], how)) c->differ[c->differ_count++] = l;
    c->tried[l] = how;
    *split_now(c->x, s, tensor) = how;
}

// A trial is given up, or what it places is so from now on. Few parameters differ: a table of all,
// copied for each operation, would take time with the square of the number of layers.
static void forget_tried(Chooser *c) {
    for (int i = 0; i < c->differ_count; i++)
        c->tried[c->differ[i]] = c->x->parameter[c->differ[i]];
    c->differ_count = 0;
}
static void keep_tried(Chooser *c) {
    for (int i = 0; i < c->differ_count; i++)
        c->x->parameter[c->differ[i]] = c->tried[c->differ[i]];
    c->differ_count = 0;
}

// Outputs that are parts of a sum or maximum are reduced.
static void write_whole(Chooser *c, const Op *op, SplitState *s) {
    for (int o = 0; o < op->outputs; o++) {
        Placement *now = split_now(c->x, s, op_outputs(c->plan, op)[o]);
        if (placement_is_partial(*now)) *now = PLACEMENT_REPLICATED;
    }
}

static Placement of_weight(const Chooser *c, const Op *op, Placement pair) {
    bool of_experts = op_kind(c->x->from, op) == KIND_EXPERT_LINEAR;
    return placement_moved(pair, pair.dim + of_experts);
}

// A product of something that is cut by channels: its weight is cut by its inputs.
static bool cut_by_inputs(Chooser *c, const Op *op, SplitState *s) {
    const int32_t *in = op_inputs(c->plan, op);
    Placement how = *split_now(c->x, s, in[0]);
    if (!placement_is_cut(how, channels_of(c, op, how).dim)) return false;
    how = of_weight(c, op, placement_moved(how, PAIR_INPUTS));
    bool chosen = placement_equal(c->tried[logical_of(c, in[1])], how);
    if (!chosen && !is_free(c, op, how)) return false;
    place(c, s, in[1], how);
    *split_now(c->x, s, op_outputs(c->plan, op)[0]) = PLACEMENT_REPLICATED;  // of a sum
    c->rows++;
    return true;
}

// All that belongs to a channel which is cut lies with it: what batch normalisation has of it,
// parameters and running statistics.
static void cut_with_channels(Chooser *c, const Op *op, SplitState *s) {
    Kind kind = op_kind(c->x->from, op);
    bool norm = kind == KIND_BATCH_NORM, update = kind == KIND_BATCH_NORM_UPDATE;
    if (!norm && !update) return;
    const int32_t *in = op_inputs(c->plan, op);
    Placement how = *split_now(c->x, s, in[norm ? 0 : 2]);
    if (!placement_is_cut(how, norm ? 1 : 2)) return;
    how = placement_moved(how, 0);
    for (int i = norm ? 2 : 0; i < (norm ? 4 : 2); i++) {
        int l = logical_of(c, in[i]);
        bool chosen = placement_equal(c->tried[l], how),
             is_free = c->uses[l] == 1 && c->tried[l].place == PLACE_REPLICATE;
        if (chosen || is_free) place(c, s, in[i], how);
    }
}

static bool reads_cut(const Chooser *c, const Op *op, const SplitState *s) {
    for (int i = 0; i < op->inputs; i++)
        if (split_now(c->x, s, op_inputs(c->plan, op)[i])->place != PLACE_REPLICATE) return true;
    return false;
}

// One operation of a trial; ERR_PLAN: it cannot be done with pieces.
static Status follow(Chooser *c, const Op *op, SplitState *s) {
    TRY(split_read_names(c->x, c->plan, op, s));
    if (!reads_cut(c, op, s)) return OK;
    bool product = split_multiplies(op_kind(c->x->from, op));
    if (product && cut_by_inputs(c, op, s)) return OK;
    cut_with_channels(c, op, s);
    TRY(split_infer(c->x, c->plan, op, s));
    write_whole(c, op, s);
    if (!c->uneven && split_check_heads(c->x, c->plan, op, s) != OK) c->uneven = op;
    return OK;
}

static const Op *forward_op(const Chooser *c, int f) { return &c->plan->ops[c->forward[f]]; }

static void begin_trial(Chooser *c) {
    for (int i = 0; i < c->touched_count; i++) {
        int32_t t = c->touched[i];
        memcpy(&c->trial.now[t * AXES], &c->state.now[t * AXES], AXES * sizeof *c->trial.now);
        c->trial.holder[t] = c->state.holder[t];
    }
}

// Cut forward operation `first` by its outputs and, unless it shall be alone, all others that
// multiply its input as well.
static Status try_cut(Chooser *c, int first, bool alone, Placement how) {
    Split *x = c->x;
    begin_trial(c);
    forget_tried(c);
    c->rows = 0;
    c->uneven = NULL;
    int input = op_inputs(c->plan, forward_op(c, first))[0];
    for (int f = first; f < c->forward_count; f++) {
        const Op *op = forward_op(c, f);
        const int32_t *in = op_inputs(c->plan, op);
        Kind kind = op_kind(x->from, op);
        Placement own = of_weight(c, op, how);
        c->reached = f;
        bool asked = f == first ||
                     (!alone && split_multiplies(kind) && in[0] == input && is_free(c, op, own));
        int last = split_has_bias(x, op) ? op->inputs : 2;
        for (int k = 1; k < last && asked; k++) place(c, &c->trial, in[k], own);
        TRY(follow(c, op, &c->trial));
        split_state_write(x, c->plan, op, &c->trial);
    }
    c->reached = c->forward_count;
    if (!c->rows) FAIL(ERR_PLAN, "nothing takes the pieces");
    return OK;
}

static const Placement cuts[] = {
    {.place = PLACE_SHARD, .dim = PAIR_OUTPUTS},
    {.place = PLACE_SHARD, .dim = PAIR_OUTPUTS, .cut = CUT_INTERLEAVED, .block = 3},
};

static void place_all(Chooser *c, const Op *op, Placement how) {
    const int32_t *in = op_inputs(c->plan, op);
    bool bias = split_has_bias(c->x, op) && how.dim == PAIR_OUTPUTS;
    for (int k = 1; k < (bias ? 3 : 2); k++) {
        c->tried[logical_of(c, in[k])] = c->x->parameter[logical_of(c, in[k])] = how;
        *split_now(c->x, &c->state, in[k]) = how;
    }
}

// Queries, keys and values are cut together; beside a branch a projection of its input may not be.
// Where a layer asks for pieces that no other layer takes, they are cut so that they go farthest.
static Status choose_at(Chooser *c, int f) {
    Split *x = c->x;
    int count = (int)(sizeof cuts / sizeof *cuts), farthest = NONE, best = 0;
    for (int k = 0; k < 2 * count; k++) {
        Status tried = try_cut(c, f, k >= count, cuts[k % count]);
        if (tried != OK && c->reached > farthest) {
            farthest = c->reached;
            best = k % count;
        }
        if (tried != OK) continue;
        if (c->uneven) return split_check_heads(x, c->plan, c->uneven, &c->trial);
        keep_tried(c);
        for (int i = 0; i < c->touched_count; i++) {
            int32_t t = c->touched[i];
            if (x->parameter[logical_of(c, t)].place != PLACE_REPLICATE)
                *split_now(x, &c->state, t) = *split_now(x, &c->trial, t);
        }
        return OK;
    }
    const Op *op = forward_op(c, f);
    int weight = logical_of(c, op_inputs(c->plan, op)[1]);
    if (split_asks_for(x, weight, cuts[0])) place_all(c, op, cuts[best]);
    return OK;
}

// What a layer asks for, whatever its input is: that will be put together or sliced.
static void choose_asked(Chooser *c, const Op *op, bool read) {
    int32_t input = op_inputs(c->plan, op)[0], weight = logical_of(c, op_inputs(c->plan, op)[1]);
    Placement is = *split_now(c->x, &c->state, input), rows = PLACEMENT_SHARD(PAIR_INPUTS);
    Placement placed = c->x->parameter[weight];
    if (c->x->placed && placement_is_cut(placed, PAIR_OUTPUTS)) place_all(c, op, placed);
    if (placed.place != PLACE_REPLICATE) return;
    if (read && placement_is_cut(is, channels_of(c, op, is).dim))
        rows = placement_moved(is, PAIR_INPUTS);
    if (split_asks_for(c->x, weight, cuts[0])) place_all(c, op, cuts[0]);
    if (split_asks_for(c->x, weight, rows)) place_all(c, op, rows);
}

// The next operation with the parameters as they are placed now.
static Status follow_on(Chooser *c, const Op *op) {
    Split *x = c->x;
    if (follow(c, op, &c->state) == OK) {
        keep_tried(c);
        return OK;
    }
    forget_tried(c);
    bool sum = split_has_bias(x, op) &&
               placement_is_cut(*split_now(x, &c->state, op_inputs(c->plan, op)[1]), PAIR_INPUTS);
    if (sum)  // its bias, which the rule would refuse, will be added after it
        *split_now(x, &c->state, op_outputs(c->plan, op)[0]) = PLACEMENT_REPLICATED;
    else
        TRY(split_infer_converted(x, c->plan, op, &c->state));
    write_whole(c, op, &c->state);
    return OK;
}

static Status choose(Chooser *c) {
    Split *x = c->x;
    for (int f = 0; f < c->forward_count; f++) {
        const Op *op = forward_op(c, f);
        bool product = split_multiplies(op_kind(x->from, op)),
             read = split_read_names(x, c->plan, op, &c->state) == OK;
        if (product && read && !reads_cut(c, op, &c->state) &&
            is_free(c, op, of_weight(c, op, cuts[0])))
            TRY(choose_at(c, f));
        forget_tried(c);
        if (product) choose_asked(c, op, read);
        TRY(follow_on(c, op));
        split_state_write(x, c->plan, op, &c->state);
    }
    return OK;
}

// How often a pass reads each parameter, or its copy in another type.
static void count_uses(Chooser *c) {
    for (int f = 0; f < c->forward_count; f++) {
        const Op *op = forward_op(c, f);
        if (op_kind(c->x->from, op) == KIND_TO_BF16) continue;
        for (int k = 0; k < op->inputs; k++) c->uses[logical_of(c, op_inputs(c->plan, op)[k])]++;
    }
}

static Status find_forward(Chooser *c, Arena *a) {
    int tensors = c->x->from->tensor_count + 1;
    bool *seen = ARENA_NEW(a, bool, tensors);
    c->forward = ARENA_NEW(a, int32_t, c->plan->op_count + 1);
    c->touched = ARENA_NEW(a, int32_t, tensors);
    if (!seen || !c->forward || !c->touched)
        FAIL(ERR_MEMORY, "out of memory to place %d tensors", tensors);
    for (int i = 0; i < c->plan->op_count; i++) {
        const Op *op = &c->plan->ops[i];
        if (!is_forward(c, op)) continue;
        c->forward[c->forward_count++] = i;
        for (int k = 0; k < op->outputs + op->inputs; k++) {
            int32_t t = op_outputs(c->plan, op)[k], root = program_root(c->x->from, t);
            if (!seen[t]) c->touched[c->touched_count++] = t;
            seen[t] = true;
            if (!seen[root]) c->touched[c->touched_count++] = root;
            seen[root] = true;
        }
    }
    return OK;
}

static Status init(Chooser *c, Split *x, Arena *a) {
    int logicals = x->from->logical_count + 1, step = program_find_when(x->from, WHEN_EACH_STEP, 0);
    if (step == NONE) FAIL(ERR_PLAN, "the program has no plan for each step");
    *c = (Chooser){.x = x, .plan = &x->from->plans[step]};
    c->uses = ARENA_NEW(a, int32_t, logicals);
    c->tried = ARENA_NEW(a, Placement, logicals);
    c->differ = ARENA_NEW(a, int32_t, logicals);
    if (!c->uses || !c->tried || !c->differ)
        FAIL(ERR_MEMORY, "out of memory to place %d tensors", logicals);
    TRY(find_forward(c, a));
    TRY(split_state_init(x, &c->state, a));
    TRY(split_state_init(x, &c->trial, a));
    split_place_vocabulary(x);
    split_state_begin(x, &c->state);
    for (int t = 0; t < x->from->tensor_count; t++)
        if (role_persists((Role)x->from->tensors[t].role))
            *split_now(x, &c->state, t) = x->parameter[logical_of(c, t)];
    split_state_copy(x, &c->trial, &c->state);
    memcpy(c->tried, x->parameter, (size_t)x->from->logical_count * sizeof *c->tried);
    count_uses(c);
    return OK;
}

static bool is_any_cut(const Split *x) {
    for (int l = 0; l < x->from->logical_count; l++)
        if (x->parameter[l].place != PLACE_REPLICATE) return true;
    return false;
}

Status split_choose(Split *x) {
    Arena scratch = {0};
    Chooser c;
    Status s = init(&c, x, &scratch);
    if (s == OK) s = choose(&c);
    arena_finish(&scratch);
    if (s == OK) s = split_check_places(x);
    if (s == OK && !x->placed && !is_any_cut(x))
        FAIL(ERR_USAGE,
             "--tp %d: no two products of this model follow one another so that pieces of the "
             "first one's outputs are all that the second one needs; leave --tp out: --dp divides "
             "the batch",
             split_ranks(x));
    return s;
}

// Sequences (B,T,C) are what norms of positions and sums of these read.
static int64_t find_sequence(const Split *x) {
    int k = program_find_when(x->from, WHEN_EACH_STEP, 0);
    const Plan *plan = &x->from->plans[k];
    for (int i = 0; i < plan->op_count; i++) {
        Kind kind = op_kind(x->from, &plan->ops[i]);
        int y = op_outputs(plan, &plan->ops[i])[0];
        if (kind == KIND_LAYER_NORM || kind == KIND_RMS_NORM) return x->from->tensors[y].shape[1];
    }
    return 0;
}

// Ranks divide what --cp leaves to each; a length that both kinds of attention can have is given.
static Status refuse_length(int64_t T, int64_t ranks, int64_t pieces) {
    int64_t all = ranks * pieces, unit = pieces > 1 && ranks % 2 ? 2 * all : all,
            below = T / unit * unit;
    char fits[48] = "", of[64] = "", by[48] = "";
    if (below) snprintf(fits, sizeof fits, "%lld or ", (long long)below);
    if (pieces > 1)
        snprintf(of, sizeof of, "the positions of each of --cp %lld", (long long)pieces);
    if (pieces > 1) snprintf(by, sizeof by, "%lld × ", (long long)pieces);
    FAIL(ERR_USAGE,
         "--sequence-parallel divides %s among --tp %lld, but %lld are %s%lld × %lld + %lld; give "
         "the model a length of %s%lld",
         *of ? of : "positions", (long long)ranks, (long long)T, by, (long long)ranks,
         (long long)(T / all), (long long)(T % all), fits, (long long)(below + unit));
}

Status split_place_positions(Split *x) {
    const Plan *plan = &x->from->plans[program_find_when(x->from, WHEN_EACH_STEP, 0)];
    int64_t T = find_sequence(x), ranks = split_ranks(x),
            pieces = mesh_axis_size(x->from, MESH_CONTEXT);
    if (!T)
        FAIL(ERR_USAGE, "--sequence-parallel divides positions among ranks, and this model has "
                        "no norm of positions; leave it out");
    if (T % (ranks * pieces)) return refuse_length(T, ranks, pieces);
    for (int i = 0; i < plan->op_count && !x->numbers; i++) {
        const Op *op = &plan->ops[i];
        if (op_kind(x->from, op) == KIND_POSITIONS)
            x->parameter[x->from->tensors[op_inputs(plan, op)[1]].logical] = PLACEMENT_SHARD(0);
    }
    return OK;
}
