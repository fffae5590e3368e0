// SPDX-License-Identifier: MIT
// The programs of tensor parallelism: what they send is Megatron-LM's closed form, mistakes in them
// are refused, and so is what cannot be divided.
#include "core/plan/check.h"
#include "core/plan/group.h"
#include "core/platform/device_traits.h"
#include "parallel/strategy/job_spec.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static Arena arena;

static const char gpt[] = "gpt:layers=1,hidden=16,heads=4,seq=8";

// --- what is sent

static Status make_as(ProgramSet *out, const char *model, int tensor, int64_t batch,
                      bool sequence) {
    JobSpec s = job_spec_default();
    Model m;
    s.strategy.sequence_parallel = sequence;
    s.model = model;
    s.ranks = s.mesh.tensor = tensor;
    s.batch = batch;
    TRY(job_spec_check(&s));
    TRY(job_spec_model(&m, &arena, &s));
    return job_spec_programs(out, &s, &m);
}

static Status make(ProgramSet *out, const char *model, int tensor, int64_t batch) {
    return make_as(out, model, tensor, batch, false);
}

// Megatron-LM, 3: two all-reduces of B T C elements in the forward of a layer, two in its backward;
// one behind the table of tokens, one before the head in the backward; and of the loss, the maximum
// of each of B T rows and three sums.
START_TEST(a_step_sends_what_the_closed_form_says) {
    enum { LAYERS = 3, B = 4, T = 8, C = 16, REAL = 4 };
    for (int i = 0; i < 2; i++) {
        ProgramSet set;
        int forward = 0, backward = 0, loss = 0;
        ck_assert_ok(make(&set,
                          i ? "llama:layers=3,hidden=16,heads=4,kv_heads=4,seq=8"
                            : "gpt:layers=3,hidden=16,heads=4,seq=8",
                          4, B));
        ck_assert_ok(plan_check(&set));
        const Program *p = &set.programs[0];
        const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
        for (int k = 0; k < step->op_count; k++) {
            const Work *w = op_work(p, &step->ops[k]);
            if (!work_communicates(w)) continue;
            bool layer = w->payload_bytes == B * T * C * REAL;
            ck_assert_int_eq(w->kind, KIND_ALL_REDUCE);
            ck_assert_int_eq(group_size(p, w->group), 4);
            forward += layer && w->phase == PHASE_FORWARD;
            backward += layer && w->phase == PHASE_BACKWARD;
            if (layer) continue;
            ck_assert_int_eq(w->reduce, loss ? REDUCE_SUM : REDUCE_MAX);
            ck_assert_int_eq(w->payload_bytes, B * T * REAL * (loss ? 3 : 1));
            loss++;
        }
        ck_assert_int_eq(forward, 2 * LAYERS + 1);
        ck_assert_int_eq(backward, 2 * LAYERS + 1);
        ck_assert_int_eq(loss, 2);
        program_set_finish(&set);
    }
    arena_finish(&arena);
}
END_TEST

// Korthikanti et al. (2022): the same bytes, as reduce-scatters and all-gathers of B T C elements.
// Both halves of a layer gather what they read and scatter what they give, forward and backward;
// so do the table, whose backward gathers, and the head, whose backward scatters. The gradients of
// a norm are a part of a sum: 2 C elements for each of 2 norms a layer and the last one.
START_TEST(positions_cost_as_many_gathers_and_scatters) {
    enum { LAYERS = 3, B = 4, T = 8, C = 16, REAL = 4 };
    ProgramSet set;
    int gathers[2] = {0}, scatters[2] = {0}, norms = 0;
    ck_assert_ok(make_as(&set, "gpt:layers=3,hidden=16,heads=4,seq=8", 4, B, true));
    ck_assert_ok(plan_check(&set));
    const Program *p = &set.programs[0];
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int k = 0; k < step->op_count; k++) {
        const Work *w = op_work(p, &step->ops[k]);
        bool backward = w->phase == PHASE_BACKWARD;
        if (!work_communicates(w)) continue;
        gathers[backward] += w->kind == KIND_ALL_GATHER;
        scatters[backward] += w->kind == KIND_REDUCE_SCATTER;
        if (w->kind != KIND_ALL_REDUCE)
            ck_assert_int_eq(w->read_bytes + w->write_bytes, B * T * C * REAL * 5 / 4);
        else if (backward)
            norms += w->payload_bytes == 2 * C * REAL;
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(gathers[i], 2 * LAYERS + 1);
        ck_assert_int_eq(scatters[i], 2 * LAYERS + 1);
    }
    ck_assert_int_eq(norms, 2 * LAYERS + 1);
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

// Of all conversions, in the step and in the evaluation, one is at work at a time: the memory of
// buffers is that of the largest, a piece and all pieces.
START_TEST(buffers_of_conversions_share_memory) {
    ProgramSet set;
    int64_t most = 0, conversions = 0;
    ck_assert_ok(make_as(&set, "gpt:layers=3,hidden=16,heads=4,seq=8", 4, 4, true));
    ck_assert_ok(program_set_lower(&set, &device_traits_cpu));
    const Program *p = &set.programs[0];
    for (int k = 0; k < p->plan_count; k++)
        for (int i = 0; i < p->plans[k].op_count; i++) {
            const Work *w = op_work(p, &p->plans[k].ops[i]);
            if (w->kind != KIND_ALL_GATHER && w->kind != KIND_REDUCE_SCATTER) continue;
            int64_t bytes = w->read_bytes + w->write_bytes;
            if (bytes > most) most = bytes;
            conversions++;
        }
    ck_assert_int_gt(conversions, 40);
    ck_assert_int_eq(p->role_bytes[POOL_SHARED][ROLE_BUFFER], most);
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

// While the gradient of an input is reduced, those of weights are computed.
START_TEST(gradients_of_weights_come_behind_a_reduction) {
    ProgramSet set;
    int overlapped = 0;
    ck_assert_ok(make(&set, gpt, 2, 8));
    const Program *p = &set.programs[0];
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    for (int k = 0; k + 1 < step->op_count; k++) {
        const Work *w = op_work(p, &step->ops[k]);
        if (w->kind != KIND_ALL_REDUCE || w->phase != PHASE_BACKWARD) continue;
        ck_assert_int_eq(op_kind(p, &step->ops[k + 1]), KIND_LINEAR_BACKWARD_WEIGHT);
        overlapped++;
    }
    ck_assert_int_eq(overlapped, 3);
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

// --- mutations

static int find_op(const Program *p, const Plan *plan, const char *name) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(p, &plan->ops[i]), name)) return i;
    ck_abort_msg("no operation %s", name);
}

static void remove_op(Plan *plan, int op) {
    uint8_t *keep = ARENA_NEW(&arena, uint8_t, plan->op_count);
    ck_assert_ptr_nonnull(keep);
    memset(keep, 1, (size_t)plan->op_count);
    keep[op] = 0;
    ck_assert_ok(plan_select(plan, NULL, keep));
}

static void exchange(Plan *plan, int i) {
    const Op op = plan->ops[i];
    plan->ops[i] = plan->ops[i + 1];
    plan->ops[i + 1] = op;
}

typedef enum { FORGET_SUM, BIAS_FIRST, ACTIVATION_FIRST, FORGET_NORM, MUTATIONS } Mutation;

static void mutate(ProgramSet *set, Mutation m) {
    Program *p = &set->programs[0];
    Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    switch (m) {
    case FORGET_SUM: remove_op(step, find_op(p, step, "all_reduce.fc2.y")); break;
    case BIAS_FIRST: exchange(step, find_op(p, step, "all_reduce.fc2.y")); break;
    case ACTIVATION_FIRST:
        remove_op(step, find_op(p, step, "fc2.bias"));
        exchange(step, find_op(p, step, "all_reduce.fc2.y"));
        break;
    case FORGET_NORM: remove_op(step, find_op(p, step, "all_reduce.ln_f.weight.grad")); break;
    default: break;
    }
    ck_assert_ok(plan_derive_deps(p, step));
}

START_TEST(a_reduction_that_is_forgotten_or_late_is_refused) {
    static const char *const said[] = {
        [FORGET_SUM] = "fc2.y is P+ along tensor: a bias is added once, to the sum",
        [BIAS_FIRST] = "fc2.y is P+ along tensor: a bias is added once, to the sum",
        [FORGET_NORM] = "ln_f.weight.grad is P+ along tensor: each rank holds a part of the sum",
        [ACTIVATION_FIRST] = "fc2.y is P+ along tensor: not a linear operation; reduce it first",
    };
    for (int m = 0; m < MUTATIONS; m++) {
        ProgramSet set;
        bool sequence = m == FORGET_NORM;
        ck_assert_ok(make_as(&set, sequence ? gpt : "mlp:hidden=16", 2, 8, sequence));
        ck_assert_ok(plan_check(&set));
        mutate(&set, (Mutation)m);
        ck_assert_int_eq(plan_check(&set), ERR_PLAN);
        ck_assert_msg(strstr(status_message(), said[m]), "%d: %s", m, status_message());
        program_set_finish(&set);
    }
    arena_finish(&arena);
}
END_TEST

// --- what cannot be

START_TEST(what_cannot_be_divided_is_refused_with_what_can) {
    static const struct {
        const char *model;
        int tensor;
        const char *said;
        bool sequence;
    } cases[] = {
        {"gpt:seq=30", 4,
         "--sequence-parallel divides positions among --tp 4, but 30 are 4 × 7 + 2; give the model "
         "a length of 28 or 32",
         true},
        {"gpt:seq=3", 4, "but 3 are 4 × 0 + 3; give the model a length of 4", true},
        {"mlp", 2, "--sequence-parallel divides positions among ranks, and this model has", true},
        {gpt, 1, "--sequence-parallel divides positions among the ranks of --tp, and", true},
        {"gpt:heads=4", 3, "--tp 3: h.0.attn.att1 has 4 heads = 3 × 1 + 1; 2 or 4 can share them"},
        {"llama:heads=4,kv_heads=2", 4,
         "--tp 4: model.layers.0.self_attn.k has 2 heads = 4 × 0 + 2; 2 can share them"},
        {"gpt:heads=1", 2, "--tp 2: h.0.attn.att1 has 1 head = 2 × 0 + 1; leave --tp out"},
        {"linear", 2, "--tp 2: no two products of this model follow one another"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ProgramSet set;
        ck_assert_int_eq(make_as(&set, cases[i].model, cases[i].tensor, 8, cases[i].sequence),
                         ERR_USAGE);
        ck_assert_msg(strstr(status_message(), cases[i].said), "%s: %s", cases[i].model,
                      status_message());
    }
    arena_finish(&arena);
}
END_TEST

// --- what a model file says

// A model of four products, whose lines say `says`, in a file; `out` is its name.
static void write_products(char out[300], const char *const says[4]) {
    snprintf(out, 300, "%s/products.model", test_directory());
    FILE *f = fopen(out, "w");
    ck_assert_ptr_nonnull(f);
    fputs("model products\ninput 12\nclasses 10\n", f);
    for (int i = 0; i < 4; i++)
        fprintf(f, "linear %c out=%d %s\n%s", "abcd"[i], i == 3 ? 10 : 8, says[i],
                i == 3 ? "" : "relu\n");
    ck_assert_int_eq(fclose(f), 0);
}

// "S0 S1 R R": how the weights lie along the axis of tensor parallelism.
static void describe_weights(const Program *p, char out[64]) {
    int axis = mesh_find_axis(p, MESH_TENSOR), at = 0;
    char name[] = "a.weight", text[PLACEMENT_TEXT];
    for (*name = 'a'; *name <= 'd'; (*name)++) {
        int t = program_find_tensor(p, name);
        ck_assert_int_ne(t, NONE);
        at += snprintf(out + at, 64 - (size_t)at, "%s%s", at ? " " : "",
                       placement_text(p->tensors[t].placement[axis], text));
    }
}

// A pair costs an all-reduce forward, and one backward unless it is the first.
START_TEST(a_layer_may_say_how_its_weight_lies) {
    static const struct {
        const char *says[4], *weights;
        int reductions;
    } cases[] = {
        {{"", "", "", ""}, "S0 S1 S0 S1", 3},
        {{"place=R", "", "", ""}, "R S0 S1 R", 2},
        {{"", "", "place=R", ""}, "S0 S1 R R", 1},
        {{"", "place=S0", "", ""}, "R S0 S1 R", 2},
        {{"place=R", "place=R", "", "place=S1"}, "R R S0 S1", 2},
        {{"place=S0", "place=S1", "place=S0", "place=S1"}, "S0 S1 S0 S1", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ProgramSet set;
        char model[300], weights[64];
        int reductions = 0;
        write_products(model, cases[i].says);
        ck_assert_ok(make(&set, model, 2, 8));
        ck_assert_ok(plan_check(&set));
        const Program *p = &set.programs[0];
        const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
        for (int k = 0; k < step->op_count; k++)
            reductions += op_kind(p, &step->ops[k]) == KIND_ALL_REDUCE;
        describe_weights(p, weights);
        ck_assert_msg(!strcmp(weights, cases[i].weights) && reductions == cases[i].reductions,
                      "case %zu: %s, %d reductions", i, weights, reductions);
        program_set_finish(&set);
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(layers_of_one_weight_may_not_say_different_things) {
    ProgramSet set;
    char model[300];
    write_products(model, (const char *const[4]){"", "place=S0", "place=R tie=b", ""});
    ck_assert_fails(make(&set, model, 2, 8), ERR_USAGE,
                    "products.model:8: c: place=R, but b in line 6, which has the same weight, "
                    "says S0");
    write_products(model, (const char *const[4]){"", "place=S0", "tie=b", ""});
    ck_assert_ok(make(&set, model, 2, 8));
    program_set_finish(&set);
    arena_finish(&arena);
}
END_TEST

SUITE("split_plan", a_step_sends_what_the_closed_form_says,
      positions_cost_as_many_gathers_and_scatters, buffers_of_conversions_share_memory,
      gradients_of_weights_come_behind_a_reduction,
      a_reduction_that_is_forgotten_or_late_is_refused,
      what_cannot_be_divided_is_refused_with_what_can, a_layer_may_say_how_its_weight_lies,
      layers_of_one_weight_may_not_say_different_things)
