// SPDX-License-Identifier: MIT
// What shards_apply() and ddp_apply() make of a program: which operations, where, after what.
#include "core/nn/model.h"
#include "core/plan/check.h"
#include "parallel/strategy/strategy.h"
#include "tests/support/plan_maker.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

static const StrategyOptions defaults = {.local_shards = 1, .bucket_bytes = {4096, 32768}};

static Program program;
static const Plan *step;

static Plan *plan_of(const char *name) {
    int k = program_find_plan(&program, name);
    ck_assert_msg(k != NONE, "no plan %s", name);
    return &program.plans[k];
}

static void emit(int ranks, int micro_batches, int local_shards) {
    Arena a = {0};
    Model m;
    ck_assert_ok(model_read(&m, &a, "net"));
    program_finish(&program);
    ck_assert_ok(model_emit(&program, &m,
                            &(StepSpec){.dtype = DTYPE_F32,
                                        .batch = 640,
                                        .shards = ranks * local_shards,
                                        .local_shards = local_shards,
                                        .micro_batches = micro_batches,
                                        .evaluation_rows = 256,
                                        .optimizer = {.momentum = 0.9},
                                        .mesh.data = ranks}));
    arena_finish(&a);
}

static void make(int ranks, int micro_batches, const StrategyOptions *o) {
    emit(ranks, micro_batches, o->local_shards);
    ck_assert_ok(ranks == 1 ? shards_apply(&program, o) : ddp_apply(&program, o));
    step = plan_of("step");
}

static const Work *work(const Op *op) { return op_work(&program, op); }
static bool is_communication(const Op *op) { return work_communicates(work(op)); }
static bool is_bucket(const Op *op) {
    return is_communication(op) && program.tensors[op_outputs(step, op)[0]].role == ROLE_GRADIENT;
}

static int find_op(const Plan *plan, const char *name) {
    for (int i = 0; i < plan->op_count; i++)
        if (!strcmp(op_name(&program, &plan->ops[i]), name)) return i;
    ck_abort_msg("no operation %s", name);
}

// The last operation that writes a tensor, communication aside.
static int made_by(int tensor) {
    for (int i = step->op_count - 1; i >= 0; i--)
        for (int o = 0; o < step->ops[i].outputs; o++)
            if (!is_communication(&step->ops[i]) && op_outputs(step, &step->ops[i])[o] == tensor)
                return i;
    ck_abort_msg("nothing makes %s", tensor_name(&program, tensor));
}

// Buckets in plan order, their results by name: "fc2.bias fc2.weight | conv1.bias".
static const char *buckets(void) {
    static char text[1024];
    text[0] = 0;
    for (int i = 0; i < step->op_count; i++) {
        if (!is_bucket(&step->ops[i])) continue;
        if (*text) strcat(text, "| ");
        for (int o = 0; o < step->ops[i].outputs; o++) {
            const char *name = tensor_name(&program, op_outputs(step, &step->ops[i])[o]);
            snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s ",
                     (int)(strlen(name) - strlen(".grad")), name);
        }
    }
    return text;
}

// fc2: 500·4 + 10·4 = 2040 bytes, less than 4096; with fc1.bias (200) still; fc1.weight (64000)
// passes it. conv2: 80 + 40000 pass 32768. conv1 is left over.
START_TEST(the_net_has_three_buckets_at_the_defaults) {
    make(2, 1, &defaults);
    ck_assert_str_eq(buckets(), "fc2.bias fc2.weight fc1.bias fc1.weight | conv2.bias conv2.weight "
                                "| conv1.bias conv1.weight ");
}
END_TEST

START_TEST(a_bucket_closes_once_it_has_passed_its_cap) {
    static const int64_t caps[] = {0, 1, 40, 41, 2040, 2041, 4096, 32768, 40080, 40081, 1 << 30};
    enum { CAPS = sizeof caps / sizeof *caps, GRADIENTS = 8 };
    make(2, 1, &(StrategyOptions){.local_shards = 1});
    ck_assert_str_eq(buckets(), "fc2.bias | fc2.weight | fc1.bias | fc1.weight | conv2.bias | "
                                "conv2.weight | conv1.bias | conv1.weight ");
    int32_t in_order[GRADIENTS];
    for (int i = 0, n = 0; i < step->op_count; i++)
        if (is_bucket(&step->ops[i])) in_order[n++] = op_outputs(step, &step->ops[i])[0];
    for (int c = 0; c < CAPS * CAPS; c++) {
        StrategyOptions o = {1, .bucket_bytes = {caps[c / CAPS], caps[c % CAPS]}};
        make(2, 1, &o);
        int64_t cap = o.bucket_bytes[0];
        int seen = 0;
        for (int i = 0; i < step->op_count; i++) {
            const Op *op = &step->ops[i];
            int64_t bytes = 0, last = 0;
            if (!is_bucket(op)) continue;
            for (int k = 0; k < op->outputs; k++, bytes += last) {
                ck_assert_int_eq(op_outputs(step, op)[k], in_order[seen++]);
                last = program.tensors[op_outputs(step, op)[k]].bytes;
            }
            ck_assert_int_eq(work(op)->payload_bytes, bytes);
            ck_assert(bytes >= cap || seen == GRADIENTS);
            ck_assert(bytes - last < cap || op->outputs == 1);
            cap = o.bucket_bytes[1];
        }
        ck_assert_int_eq(seen, GRADIENTS);
    }
}
END_TEST

START_TEST(a_bucket_follows_the_operation_that_makes_its_last_gradient) {
    static const char *const behind[][2] = {{"bucket0", "fc1.backward_weight"},
                                            {"bucket1", "conv2.backward_weight"},
                                            {"bucket2", "conv1.backward_weight"},
                                            {"all_reduce.loss", "cross_entropy.forward"}};
    make(2, 1, &defaults);
    int lane = program_find_lane(&program, "data");
    ck_assert_int_eq(program.lanes[lane].kind, LANE_COMMUNICATION);
    for (int i = 0; i < 4; i++) {
        int op = find_op(step, behind[i][0]), maker = find_op(step, behind[i][1]);
        ck_assert_int_eq(op, maker + 1);
        ck_assert(depends(step, op, maker, 0));
        ck_assert_int_eq(step->ops[op].lane, lane);
        ck_assert_int_eq(work(&step->ops[op])->group, program_find_group(&program, "data"));
    }
    ck_assert_int_lt(find_op(step, "bucket0"), find_op(step, "bucket1"));
    ck_assert_int_lt(find_op(step, "bucket1"), find_op(step, "bucket2"));
}
END_TEST

START_TEST(an_update_waits_for_the_bucket_of_its_gradient) {
    static const char *const waits[][2] = {
        {"sgd.fc2.bias", "bucket0"},     {"sgd.fc2.weight", "bucket0"},
        {"sgd.fc1.bias", "bucket0"},     {"sgd.fc1.weight", "bucket0"},
        {"sgd.conv2.bias", "bucket1"},   {"sgd.conv2.weight", "bucket1"},
        {"sgd.conv1.weight", "bucket2"}, {"sgd.conv1.bias", "bucket2"}};
    make(3, 1, &defaults);
    for (int i = 0; i < 8; i++)
        for (int b = 0; b < 3; b++) {
            char name[16];
            snprintf(name, sizeof name, "bucket%d", b);
            ck_assert_int_eq(depends(step, find_op(step, waits[i][0]), find_op(step, name), 0),
                             !strcmp(name, waits[i][1]));
        }
}
END_TEST

// The k-th gradient's piece of shard s is input s · count + k; the sum goes to shard 0's piece.
START_TEST(a_bucket_takes_the_parts_of_all_local_shards) {
    for (int parts = 2; parts <= 3; parts++) {
        StrategyOptions o = defaults;
        o.local_shards = parts;
        make(2, 1, &o);
        int seen = 0;
        for (int i = 0; i < step->op_count; i++) {
            const Op *op = &step->ops[i];
            if (!is_communication(op)) continue;
            int ready = NONE;
            ck_assert_int_eq(work(op)->parts, parts);
            ck_assert_int_eq(op->inputs, parts * op->outputs);
            for (int k = 0; k < op->inputs; k++) {
                const Tensor *in = &program.tensors[op_inputs(step, op)[k]],
                             *out = &program.tensors[op_outputs(step, op)[k % op->outputs]];
                ck_assert_int_eq(in->logical, out->logical);
                ck_assert_int_eq(in->shard, k / op->outputs);
                ck_assert_int_eq(out->shard, 0);
                int maker = made_by(op_inputs(step, op)[k]);
                if (maker > ready) ready = maker;
                seen++;
            }
            ck_assert_int_eq(i, ready + 1);
        }
        ck_assert_int_eq(seen, (8 + 1) * parts);  // gradients, and the loss
    }
}
END_TEST

START_TEST(gradients_are_reduced_once_a_step_after_the_last_micro_batch) {
    for (int parts = 1; parts <= 2; parts++) {
        StrategyOptions o = defaults;
        o.local_shards = parts;
        make(2, 3, &o);
        int uses[256] = {0};
        for (int i = 0; i < step->op_count; i++) {
            const Op *op = &step->ops[i];
            if (!is_communication(op)) continue;
            for (int k = 0; k < op->inputs; k++) {
                int tensor = op_inputs(step, op)[k], maker = made_by(tensor);
                uses[tensor]++;
                ck_assert_int_eq(step->ops[maker].micro_batch, 2);
                ck_assert_int_lt(maker, i);
                ck_assert(depends(step, i, maker, 0));
            }
        }
        for (int t = 0; t < program.tensor_count; t++)
            if (program.tensors[t].role == ROLE_GRADIENT) ck_assert_int_eq(uses[t], 1);
    }
}
END_TEST

START_TEST(without_overlap_communication_lies_between_backward_and_update) {
    StrategyOptions o = defaults;
    o.no_overlap = true;
    make(2, 2, &o);
    int backward = NONE, last = NONE, communications = 0, updates = 0;
    for (int i = 0; i < step->op_count; i++) {
        if (work(&step->ops[i])->phase == PHASE_BACKWARD) backward = i;
        if (is_communication(&step->ops[i])) last = i;
    }
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        if (is_communication(op)) {
            ck_assert_int_gt(i, backward);
            ck_assert(depends(step, i, backward, 0));
            communications++;
        }
        if (work(op)->phase != PHASE_UPDATE) continue;
        ck_assert_int_gt(i, last);
        ck_assert(depends(step, i, last, 0));
        updates++;
    }
    ck_assert_int_eq(communications, 4);
    ck_assert_int_eq(updates, 8);
}
END_TEST

START_TEST(the_broadcast_covers_every_parameter) {
    make(4, 1, &defaults);
    const Plan *plan = plan_of("broadcast");
    ck_assert_int_eq(plan->op_count, 1);
    const Op *op = &plan->ops[0];
    ck_assert_int_eq(work(op)->kind, KIND_BROADCAST);
    ck_assert_int_eq(work(op)->peer, 0);
    int parameters = 0;
    for (int t = 0; t < program.tensor_count; t++) {
        if (program.tensors[t].role != ROLE_PARAMETER) continue;
        ck_assert_int_lt(parameters, op->outputs);
        ck_assert_int_eq(op_outputs(plan, op)[parameters], t);
        ck_assert_int_eq(op_inputs(plan, op)[parameters++], t);
    }
    ck_assert_int_eq(parameters, 8);
    ck_assert_int_eq(op->outputs + op->inputs, 16);
}
END_TEST

START_TEST(evaluation_ends_with_the_results_of_all_ranks) {
    make(3, 1, &defaults);
    const Plan *plan = plan_of("evaluate");
    const Op *op = &plan->ops[plan->op_count - 1];
    ck_assert_int_eq(work(op)->kind, KIND_ALL_GATHER);
    ck_assert_str_eq(tensor_name(&program, op_inputs(plan, op)[0]), "evaluate.loss");
    ck_assert_str_eq(tensor_name(&program, op_outputs(plan, op)[0]), "evaluate.gathered");
    ck_assert_int_eq(tensor_elements(&program.tensors[op_outputs(plan, op)[0]]), 3 * 2);
}
END_TEST

// A strategy inserts; what was there stays as it was and where it was.
START_TEST(the_work_of_the_model_stays_in_its_order) {
    for (int ranks = 1; ranks <= 2; ranks++) {
        StrategyOptions o = defaults;
        o.local_shards = 2;
        char before[256][64];
        int count = 0;
        emit(ranks, 2, 2);
        const Plan *plan = plan_of("step");
        for (; count < plan->op_count; count++)
            snprintf(before[count], sizeof before[0], "%s %d.%d",
                     op_name(&program, &plan->ops[count]), plan->ops[count].shard,
                     plan->ops[count].micro_batch);
        make(ranks, 2, &o);
        int at = 0;
        for (int i = 0; i < step->op_count; i++) {
            const Op *op = &step->ops[i];
            char name[64];
            if (is_communication(op) || work(op)->kind == KIND_FOLD) continue;
            snprintf(name, sizeof name, "%s %d.%d", op_name(&program, op), op->shard,
                     op->micro_batch);
            ck_assert_str_eq(name, before[at++]);
        }
        ck_assert_int_eq(at, count);
    }
}
END_TEST

// ((g0 + g1) + g2): shard s is added when it is complete, after those before it.
START_TEST(one_rank_folds_its_shards_in_order) {
    StrategyOptions o = defaults;
    o.local_shards = 3;
    make(1, 2, &o);
    int next[256] = {0}, folds = 0;
    for (int i = 0; i < step->op_count; i++) {
        const Op *op = &step->ops[i];
        if (work(op)->kind != KIND_FOLD) continue;
        int sum = op_outputs(step, op)[0], part = op_inputs(step, op)[0];
        ck_assert(op->flags & OP_ACCUMULATE);
        ck_assert_int_eq(program.tensors[sum].shard, 0);
        ck_assert_int_eq(program.tensors[part].logical, program.tensors[sum].logical);
        ck_assert_int_eq(program.tensors[part].shard, ++next[sum]);
        int maker = made_by(part);
        ck_assert_int_eq(step->ops[maker].micro_batch, 1);
        ck_assert_int_gt(i, maker);
        for (int k = maker + 1; k < i; k++) ck_assert_int_eq(work(&step->ops[k])->kind, KIND_FOLD);
        ck_assert(depends(step, i, maker, 0));
        folds++;
    }
    ck_assert_int_eq(folds, (8 + 1) * 2);
    ck_assert_int_eq(program_find_plan(&program, "broadcast"), NONE);
}
END_TEST

START_TEST(every_result_passes_plan_check) {
    static const int worlds[] = {1, 2, 3, 4, 7, 64};
    for (int w = 0; w < 6; w++)
        for (int k = 0; k < 24; k++) {
            StrategyOptions o = {
                .local_shards = 1 + k % 3,
                .bucket_bytes = {k / 6 % 2 ? 0 : 4096, k / 6 % 2 ? 1 << 30 : 32768},
                .no_overlap = k / 12,
                .algorithm = (Algorithm)(k % ALGORITHM_COUNT)};
            make(worlds[w], k / 3 % 2 ? 3 : 1, &o);
            const ProgramSet set = program_set_of_one(&program);
            ck_assert_ok(plan_check(&set));
        }
}
END_TEST

START_TEST(what_cannot_be_applied_is_refused) {
    emit(1, 1, 1);
    ck_assert_fails(ddp_apply(&program, &defaults), ERR_PLAN, "two ranks or more");
    emit(2, 1, 1);
    StrategyOptions o = defaults;
    o.local_shards = 2;  // the program has one
    ck_assert_fails(ddp_apply(&program, &o), ERR_PLAN, "has no piece of local shard 1");
    Program empty = {0};
    ck_assert_fails(ddp_apply(&empty, &defaults), ERR_PLAN, "no plan for each step");
    ck_assert_fails(shards_apply(&empty, &defaults), ERR_PLAN, "no plan for each step");
}
END_TEST

SUITE("strategy", the_net_has_three_buckets_at_the_defaults,
      a_bucket_closes_once_it_has_passed_its_cap,
      a_bucket_follows_the_operation_that_makes_its_last_gradient,
      an_update_waits_for_the_bucket_of_its_gradient, a_bucket_takes_the_parts_of_all_local_shards,
      gradients_are_reduced_once_a_step_after_the_last_micro_batch,
      without_overlap_communication_lies_between_backward_and_update,
      the_broadcast_covers_every_parameter, evaluation_ends_with_the_results_of_all_ranks,
      the_work_of_the_model_stays_in_its_order, one_rank_folds_its_shards_in_order,
      every_result_passes_plan_check, what_cannot_be_applied_is_refused)
