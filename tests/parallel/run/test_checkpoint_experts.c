// SPDX-License-Identifier: MIT
// Checkpoints of mixtures of experts: each expert has a tensor of its own, under the names of
// Hugging Face's Mixtral, whichever ranks held it; such files of others are read.
#include "core/data/safetensors_experts.h"
#include "core/data/safetensors_index.h"
#include "tests/support/saved_run.h"

#include <string.h>

enum { EXPERTS = 4, HIDDEN = 16, MLP = 8 };

static Arena arena;

static JobOptions options(int steps, const char *save) {
    JobOptions o = options_of(steps, save, 2);
    o.spec.model = "mixtral:hidden=16,mlp=8,seq=8,layers=2,experts=4,capacity=80";
    o.data = "text:count=1000";
    o.spec.batch = 12;
    o.spec.optimizer.kind = OPTIMIZER_ADAMW;
    return o;
}

// Ranks that share the experts, two stages, and one rank go on from each other.
START_TEST(other_ranks_go_on_with_the_same_bytes) {
    name_files();
    for (int staged = 0; staged < 2; staged++)
        for (int back = 0; back < 2; back++) {
            JobOptions one = options(4, whole), other;
            if (staged) one.spec.micro_batches = 2;
            run(&one);
            other = one;
            other.spec.ranks = 2;
            if (staged) other.spec.mesh.pipe = 2;
            if (!staged) other.spec.strategy.experts = 2;
            JobOptions first = back ? other : one, second = back ? one : other;
            first.steps = 2;
            first.save = part;
            run(&first);
            second.resume = part;
            second.save = resumed;
            run(&second);
            assert_same_bytes(whole, resumed, staged ? "stages" : "shared experts");
        }
}
END_TEST

START_TEST(each_expert_has_the_name_that_others_know) {
    static const char *const names[] = {"w1.weight", "w2.weight", "w3.weight",
                                        "w1.weight.exp_avg_sq"};
    Safetensors file;
    JobOptions o = options(1, whole);
    Outcome out;
    name_files();
    ck_assert_ok(training_run(&out, &o, NULL));
    ck_assert_ok(safetensors_read(&file, &arena, whole));
    for (int n = 0; n < 4; n++)
        for (int e = 0; e <= EXPERTS; e++) {
            char name[200];
            snprintf(name, sizeof name, "model.layers.1.block_sparse_moe.experts.%d.%s", e,
                     names[n]);
            const SafetensorsEntry *is = safetensors_find(&file, name);
            ck_assert_msg((is != NULL) == (e < EXPERTS), "%s", name);
            if (!is) continue;
            ck_assert_int_eq(is->dims, 2);
            ck_assert_int_eq(is->shape[0], n == 1 ? HIDDEN : MLP);
            snprintf(name, sizeof name, "model.layers.1.block_sparse_moe.experts.%s", names[n]);
            const char *all = outcome_tensor(&out, 0, name);
            ck_assert_mem_eq(is->data, all + e * MLP * HIDDEN * 4, MLP * HIDDEN * 4);
        }
    outcome_finish(&out);
    arena_finish(&arena);
}
END_TEST

// Pieces of ranks have the tensors of the program; in one file they are those that a run writes.
START_TEST(pieces_of_ranks_become_the_same_file) {
    char index[PATH + 16];
    Safetensors all;
    SafetensorsEntry *each;
    int count;
    JobOptions o = options(2, whole);
    name_files();
    run(&o);
    o.save = part;
    o.save_shards = true;
    o.spec.ranks = o.spec.strategy.experts = 2;
    run(&o);
    snprintf(index, sizeof index, "%s.index.json", part);
    ck_assert_ok(safetensors_read_index(&all, &arena, index));
    ck_assert_ok(safetensors_split_experts(&each, &count, &arena, all.entries, all.count));
    ck_assert_ok(safetensors_write(scratch, each, count, all.texts, all.text_count));
    assert_same_bytes(scratch, whole, "pieces");
    arena_finish(&arena);
    o.save_shards = false;
    o.resume = index;
    o.save = resumed;
    o.steps = 3;
    run(&o);
    o = options(3, whole);
    run(&o);
    assert_same_bytes(whole, resumed, "resumed from pieces");
}
END_TEST

// A file of weights alone, the last first, as others may write it. Returns how many there are.
static int write_backwards(const char *from, const char *to, bool leave_one_out) {
    Safetensors file;
    int count = 0;
    ck_assert_ok(safetensors_read(&file, &arena, from));
    SafetensorsEntry *out = ARENA_NEW(&arena, SafetensorsEntry, file.count);
    for (int i = file.count - 1; i >= 0; i--) {
        const char *name = file.entries[i].name, *end = strstr(name, "weight");
        bool left = leave_one_out && strstr(name, "layers.0.block_sparse_moe.experts.2.w3.");
        if (end && !end[strlen("weight")] && !left) out[count++] = file.entries[i];
    }
    ck_assert_ok(safetensors_write(to, out, count, NULL, 0));
    return count;
}

START_TEST(weights_of_others_are_loaded) {
    JobOptions o = options(3, whole);
    Outcome want, got;
    name_files();
    ck_assert_ok(training_run(&want, &o, NULL));
    ck_assert_int_eq(write_backwards(whole, part, false), 1 + 2 * (7 + 3 * EXPERTS) + 2);
    o.save = NULL;
    o.load = part;
    o.evaluate_only = true;
    for (int ranks = 1; ranks <= 2; ranks++) {
        o.spec.ranks = ranks;
        o.spec.strategy.experts = ranks;
        ck_assert_ok(training_run(&got, &o, NULL));
        ck_assert_uint_eq(got.training.shared->results[0].parameters_hash,
                          want.training.shared->results[0].parameters_hash);
        outcome_finish(&got);
    }
    outcome_finish(&want);
    write_backwards(whole, part, true);
    ck_assert_fails(training_run(&got, &o, NULL), ERR_FORMAT,
                    "model.layers.0.block_sparse_moe.experts.w3.weight: expert 2 of it is not "
                    "there, and expert 3 is");
    o.spec.model = "mixtral:hidden=16,mlp=8,seq=8,layers=2,experts=6,capacity=80";
    o.load = whole;
    ck_assert_fails(training_run(&got, &o, NULL), ERR_SHAPE,
                    "model.layers.0.block_sparse_moe.experts.w1.weight is f32 4x8x16, here f32 "
                    "6x8x16");
    arena_finish(&arena);
}
END_TEST

SUITE("checkpoint experts", other_ranks_go_on_with_the_same_bytes,
      each_expert_has_the_name_that_others_know, pieces_of_ranks_become_the_same_file,
      weights_of_others_are_loaded)
