// SPDX-License-Identifier: MIT
// Dropout under tensor parallelism: one mask where ranks hold the same, pieces of one mask where
// channels are divided among them, and so the training of one rank.
#include "core/data/safetensors.h"

#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Arena arena;

enum { STEPS = 10, BLOCKS = 2 };

// Behind attention all ranks have the sum; inside the feed-forward each has some channels, of which
// 4 ranks have 5 or 6.
static const char text[] = "model masked\n"
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

static const char *model_path(void) {
    char path[300];
    snprintf(path, sizeof path, "%s/masked.model", test_directory());
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    const char *kept = arena_string(&arena, path);
    ck_assert_ptr_nonnull(kept);
    return kept;
}

// Masks of the step that are drawn for pieces, and all of them.
static void count_masks(void *context, Job *job) {
    const Program *p = &job->set.programs[0];
    const Plan *plan = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    int *count = context;
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        Kind k = op_kind(p, op);
        if (k != KIND_DROPOUT && k != KIND_DROPOUT_BACKWARD) continue;
        count[0] += op->inputs > 4;
        count[1]++;
    }
}

static Safetensors train(const char *model, int degree, const char *device, int count[2]) {
    static int saves;
    JobOptions o = training_options();
    Outcome run;
    Safetensors file;
    char saved[300];
    snprintf(saved, sizeof saved, "%s/%d.safetensors", test_directory(), saves++);
    o.save = arena_string(&arena, saved);
    o.data = "text:count=2000";
    o.steps = STEPS;
    o.comm = (CommKind)(degree % COMM_KINDS);
    o.spec.model = model;
    o.spec.device = device;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 6;
    o.spec.ranks = o.spec.mesh.tensor = degree;
    ck_assert_ok(training_run(&run, &o, &(TrainingProbe){.context = count, .edit = count_masks}));
    outcome_finish(&run);
    ck_assert_ok(safetensors_read(&file, &arena, o.save));
    return file;
}

static double largest_difference(const Safetensors *a, const Safetensors *b) {
    double most = 0;
    for (int k = 0; k < a->count; k++) {
        const SafetensorsEntry *x = &a->entries[k], *y = safetensors_find(b, x->name);
        ck_assert_msg(y && safetensors_bytes(x) == safetensors_bytes(y), "%s", x->name);
        const double *v = (const double *)x->data, *w = (const double *)y->data;
        for (int64_t i = 0; x->dtype == DTYPE_F64 && i < safetensors_bytes(x) / 8; i++) {
            double d = fabs(v[i] - w[i]) / fmax(1, fabs(v[i]));
            if (!(d <= most)) most = d;
        }
    }
    return most;
}

START_TEST(masks_over_ranks_are_those_of_one_rank) {
    static const char *const devices[] = {"reference", "cpu"};
    const char *model = model_path();
    for (int d = 0; d < 2; d++) {
        const Device *found;
        int whole[2] = {0};
        if (device_find(&found, devices[d]) == ERR_UNAVAILABLE) continue;
        Safetensors one = train(model, 1, devices[d], whole);
        ck_assert_int_eq(whole[0], 0);
        for (int degree = 2; degree <= 4; degree += 2) {
            int count[2] = {0};
            Safetensors cut = train(model, degree, devices[d], count);
            double difference = largest_difference(&one, &cut);
            ck_assert_msg(difference <= 1e-12, "%s, %d ranks: %g apart", devices[d], degree,
                          difference);
            ck_assert_int_eq(count[1], whole[1]);
            ck_assert_int_eq(count[0], 2 * BLOCKS);
        }
    }
    arena_finish(&arena);
}
END_TEST

SUITE("split masks", masks_over_ranks_are_those_of_one_rank)
