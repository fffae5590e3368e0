// SPDX-License-Identifier: MIT
// Layers between two divided products, under tensor parallelism: masks of dropout, which are one
// mask where ranks hold the same and pieces of one where channels are divided, and batch
// normalisation. The training is that of one rank.

#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Arena arena;

enum { STEPS = 10, BLOCKS = 2 };

// Behind attention all ranks have the sum; inside the feed-forward each has some channels, of which
// 4 ranks have 5 or 6.
static const char masked[] = "model masked\n"
                             "input tokens 8\n"
                             "classes 65\n"
                             "embedding tokens out=16 std=0.02\n"
                             "positions places std=0.02\n"
                             "dropout first p=0.1\n"
                             "block layers.0 repeat=2\n"
                             "    layer_norm before\n"
                             "    block attention\n"
                             "        linear qkv out=48 std=0.1\n"
                             "        attention heads=4 causal=true\n"
                             "        linear out out=16 std=0.1\n"
                             "    end\n"
                             "    dropout behind p=0.3\n"
                             "    add middle from=behind,layers.in\n"
                             "    block feed\n"
                             "        linear up out=22 std=0.1\n"
                             "        gelu\n"
                             "        dropout inside p=0.4\n"
                             "        linear down out=16 std=0.1\n"
                             "    end\n"
                             "    add end from=feed.down,middle\n"
                             "end\n"
                             "layer_norm last\n"
                             "linear head out=65 bias=false std=0.1\n";

// Masks and norms of the step that are of pieces, and all of them.
static void count_pieces(void *context, Job *job) {
    const Program *p = &job->set.programs[0];
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    int *count = context, axis = mesh_find_axis(p, MESH_TENSOR);
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Kind k = op_kind(p, op);
        const Tensor *x = &p->tensors[op_inputs(plan, op)[0]];
        if (k == KIND_BATCH_NORM) count[0] += axis != NONE && x->placement[axis].dim == 1;
        if (k == KIND_BATCH_NORM) count[1]++;
        if (k != KIND_DROPOUT && k != KIND_DROPOUT_BACKWARD) continue;
        count[0] += op->inputs > 4;
        count[1]++;
    }
}

static Ending train(const char *model, const char *data, int degree, int parts, const char *device,
                    int count[2]) {
    JobOptions o = training_options();
    Ending ending;
    o.data = data;
    o.steps = STEPS;
    o.comm = (CommKind)(degree % COMM_KINDS);
    o.spec.model = model;
    o.spec.device = device;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 6;
    o.spec.mesh.tensor = degree;
    o.spec.ranks = degree * parts;
    o.spec.shards = parts == 1 ? 2 : 0;
    ending_run_probed(&ending, &arena, &o,
                      &(TrainingProbe){.context = count, .edit = count_pieces});
    return ending;
}

START_TEST(masks_over_ranks_are_those_of_one_rank) {
    static const char *const devices[] = {"reference", "cpu"};
    const char *model = ending_write_file(&arena, "masked.model", masked);
    for (int d = 0; d < 2; d++) {
        const Device *found;
        int whole[2] = {0};
        if (device_find(&found, devices[d]) == ERR_UNAVAILABLE) continue;
        Ending one = train(model, "text:count=2000", 1, 1, devices[d], whole);
        ck_assert_int_eq(whole[0], 0);
        for (int degree = 2; degree <= 4; degree += 2) {
            int count[2] = {0};
            Ending cut = train(model, "text:count=2000", degree, 1, devices[d], count);
            ending_check(&cut, &one, 1e-12);
            ending_finish(&cut);
            ck_assert_int_eq(count[1], whole[1]);
            ck_assert_int_eq(count[0], 2 * 2 * BLOCKS);
        }
        ending_finish(&one);
    }
    arena_finish(&arena);
}
END_TEST

// Seven channels over 2 to 4 ranks are uneven; the projection beside the second block stays whole,
// because it is added to what all ranks have.
static const char normed[] = "model normed\n"
                             "input 1 28 28\n"
                             "classes 10\n"
                             "conv2d first out=4 kernel=5 stride=3\n"
                             "batch_norm whole\n"
                             "relu\n"
                             "block one\n"
                             "    conv2d a out=7 kernel=3 pad=1 bias=false\n"
                             "    batch_norm an\n"
                             "    relu\n"
                             "    conv2d b out=4 kernel=3 pad=1 bias=false\n"
                             "    batch_norm bn\n"
                             "    add from=bn,one.in\n"
                             "end\n"
                             "block two\n"
                             "    conv2d a out=7 kernel=3 pad=1 bias=false\n"
                             "    batch_norm an\n"
                             "    relu\n"
                             "    conv2d b out=5 kernel=3 pad=1 bias=false\n"
                             "    conv2d p from=two.in out=5 kernel=1 bias=false\n"
                             "    add from=b,p\n"
                             "end\n"
                             "flatten\n"
                             "linear last out=10\n";

START_TEST(channels_over_ranks_are_normalised_as_on_one_rank) {
    const char *model = ending_write_file(&arena, "normed.model", normed);
    static const int meshes[][2] = {{2, 1}, {3, 1}, {4, 1}, {2, 2}};
    int whole[2] = {0};
    Ending one = train(model, "digits:count=100", 1, 1, "reference", whole);
    for (size_t i = 0; i < sizeof meshes / sizeof *meshes; i++) {
        int degree = meshes[i][0], parts = meshes[i][1], count[2] = {0};
        Ending cut = train(model, "digits:count=100", degree, parts, "reference", count);
        ending_check(&cut, &one, 1e-12);
        ending_finish(&cut);
        ck_assert_int_eq(2 * count[0], count[1]);  // two of four
    }
    ending_finish(&one);
    arena_finish(&arena);
}
END_TEST

SUITE("split layers", masks_over_ranks_are_those_of_one_rank,
      channels_over_ranks_are_normalised_as_on_one_rank)
