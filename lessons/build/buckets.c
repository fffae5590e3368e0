// SPDX-License-Identifier: MIT
// Exercise 5: gradients into buckets. Ours are those of a program that the trainer would run: a
// network of drawn widths, transformed as for data-parallel ranks.
#include "core/nn/model.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"
#include "parallel/strategy/strategy.h"

#include <stdio.h>
#include <string.h>

enum { MOST_GRADIENTS = 32 };

typedef int PlanBuckets(int *bucket_of, const long *bytes, int count, long first_cap, long cap);

// What is sent, bucket after bucket, as gradients become ready.
typedef struct {
    int64_t bytes[MOST_GRADIENTS];
    int bucket[MOST_GRADIENTS];
    int count, buckets;
} Sent;

static void read_buckets(Sent *out, const Program *p) {
    for (int i = 0; i < p->plan_count; i++) {
        const Plan *plan = &p->plans[i];
        for (int k = 0; k < plan->op_count; k++) {
            const Op *op = &plan->ops[k];
            const int32_t *inputs = op_inputs(plan, op);
            if (op_kind(p, op) != KIND_ALL_REDUCE) continue;
            if (p->tensors[inputs[0]].role != ROLE_GRADIENT) continue;
            for (int g = 0; g < op->inputs && out->count < MOST_GRADIENTS; g++) {
                out->bytes[out->count] = p->tensors[inputs[g]].bytes;
                out->bucket[out->count++] = out->buckets;
            }
            out->buckets++;
        }
    }
}

static Status solve(Sent *out, BuildCheck *c, int layers, int64_t first_cap, int64_t cap) {
    const StrategyOptions options = {.local_shards = 1, .bucket_bytes = {first_cap, cap}};
    const StepSpec spec = {.dtype = DTYPE_F32,
                           .batch = 4,
                           .shards = 2,
                           .local_shards = 1,
                           .micro_batches = 1,
                           .evaluation_rows = 4,
                           .mesh.data = 2};
    char text[1024];
    int at = snprintf(text, sizeof text, "model exercise\ninput %d\nclasses 10\n",
                      exercise_draw(c, 8, 64));
    for (int i = 0; i < layers; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "linear fc%d out=%d\nrelu\n", i,
                       exercise_draw(c, 4, 96));
    snprintf(text + at, sizeof text - (size_t)at, "linear logits out=10\n");
    Model model;
    Program program = {0};
    *out = (Sent){0};
    TRY(model_parse(&model, c->arena, text, "exercise", NULL));
    Status s = model_emit(&program, &model, &spec);
    if (s == OK) s = ddp_apply(&program, &options);
    if (s == OK) read_buckets(out, &program);
    program_finish(&program);
    return s;
}

static Status one_case(BuildCheck *c, int layers, long first_cap, long cap, bool last) {
    Sent ours;
    long sizes[MOST_GRADIENTS];
    TRY(solve(&ours, c, layers, first_cap, cap));
    exercise_case(c, _("gradients: %d, first cap %ld bytes, cap %ld bytes"), ours.count, first_cap,
                  cap);
    for (int i = 0; i < ours.count; i++) sizes[ours.count - 1 - i] = (long)ours.bytes[i];
    const long *bytes = exercise_input(c, "bytes", sizes, ours.count, sizeof *bytes);
    int *bucket_of = exercise_output(c, "bucket_of", ours.count, sizeof *bucket_of);
    int buckets = ((PlanBuckets *)c->function)(bucket_of, bytes, ours.count, first_cap, cap);
    TRY(exercise_intact(c));
    for (int i = 0; i < ours.count; i++) {
        int g = ours.count - 1 - i;  // in the order in which they become ready
        if (bucket_of[g] != ours.bucket[i])
            return exercise_fail(
                c, _("bucket_of[%d] is %d; it should be %d (that gradient has %ld bytes)"), g,
                bucket_of[g], ours.bucket[i], bytes[g]);
    }
    if (buckets != ours.buckets)
        return exercise_fail(c, _("%d buckets are returned; there are %d"), buckets, ours.buckets);
    if (last) exercise_score(c, N_("messages"), "buckets", buckets, ours.buckets);
    return OK;
}

static Status check_buckets(BuildCheck *c) {
    TRY(one_case(c, exercise_draw(c, 1, 3), 1 << 20, 1 << 20, false));  // one bucket
    TRY(one_case(c, exercise_draw(c, 2, 5), 1, 1, false));              // one for each
    for (int i = 0; i < 5; i++) {
        long first = 256L * exercise_draw(c, 1, 16);
        TRY(one_case(c, exercise_draw(c, 4, 12), first, first * exercise_draw(c, 2, 4), i == 4));
    }
    return OK;
}

const Exercise exercise_buckets = {
    .number = 5,
    .name = "buckets",
    .title = N_("Gradients into buckets"),
    .function = "plan_buckets",
    .task = N_("Which gradient is sent in which bucket, as data-parallel training does it.\n"
               "\n"
               "bytes[i] is the size of the gradient of parameter i, in the order of the\n"
               "forward pass; the backward makes that of the last parameter ready first\n"
               "and that of parameter 0 last. Buckets are filled in that order: a bucket\n"
               "is closed by the gradient with which it reaches its cap, so it may exceed\n"
               "it. The first bucket has the cap first_cap, the others have cap; what is\n"
               "left at the end is the last bucket. Write each gradient's bucket, counted\n"
               "from 0, and return how many buckets there are.\n"),
    .hints = {N_("Go through the parameters from the last one to the first, with the bytes of the "
                 "bucket that is open."),
              N_("A gradient is added first, then the bucket is compared with its cap: at least "
                 "the cap closes it."),
              N_("An open bucket with something in it counts; one that was just closed by the last "
                 "gradient is not followed by another.")},
    .check = check_buckets,
};
