// SPDX-License-Identifier: MIT
// Exercise 7: a step of Adam whose state is sharded, ZeRO-1. The learner's function is one rank
// after another; the others of its all-gather are ours, which send what the reference device
// computes without shards.
#include "core/base/clock.h"
#include "core/plan/build.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"

#include <string.h>

enum { STEPS = 3 };

// As in the stub.
typedef struct {
    double learning_rate, beta1, beta2, eps;
} Adam;
typedef struct {
    int rank, ranks;
    void *network;
    void (*all_gather)(void *network, float *weight, int first, int shard);
} Ranks;
typedef void ZeroStep(float *weight, float *exp_avg, float *exp_avg_sq, const float *gradient,
                      int count, int step, const Adam *adam, const Ranks *group);

typedef struct {
    int ranks, count, part;  // part: elements of a whole shard
    Adam adam;
    float *start, *gradient[STEPS];
    float *weight[STEPS], *exp_avg[STEPS], *exp_avg_sq[STEPS];  // after each step
    int64_t yours_ns, ours_ns;
} Case;

// What an all-gather needs to know of the rank that calls it.
typedef struct {
    BuildCheck *check;
    const float *expected;   // of all weights, after this step
    float *weight, *sent;    // the rank's; its shard as it was sent
    int rank, first, shard;  // shard: how many elements
    int ranks, count, calls;
} Network;

static void adam(const Case *k, int step, const float *weight, const float *exp_avg,
                 const float *exp_avg_sq) {
    int64_t number = step + 1;
    const int64_t attr[] = {build_attr_real(k->adam.beta1), build_attr_real(k->adam.beta2),
                            build_attr_real(k->adam.eps), build_attr_real(0), false};
    const Operand operands[] = {
        exercise_operand(weight, k->count, 0),
        exercise_operand(exp_avg, k->count, 0),
        exercise_operand(exp_avg_sq, k->count, 0),
        exercise_operand(k->gradient[step], k->count, 0),
        exercise_operand(&k->adam.learning_rate, 1, 0),
        exercise_operand(&number, 1, 0),
    };
    device_run(&device_reference, &(KernelCall){.kind = KIND_ADAM,
                                                .dtype = DTYPE_F32,
                                                .outputs = 3,
                                                .inputs = 3,
                                                .operand = operands,
                                                .attr = attr});
}

static void solve(Case *k, BuildCheck *c) {
    const size_t bytes = (size_t)k->count * sizeof(float);
    k->adam = (Adam){.learning_rate = 0.01 * exercise_draw(c, 1, 5),
                     .beta1 = 0.8 + 0.05 * exercise_draw(c, 0, 3),
                     .beta2 = 0.9 + 0.03 * exercise_draw(c, 0, 3),
                     .eps = 1e-8};
    k->start = exercise_draw_floats(c, k->count, 1);
    for (int t = 0; t < STEPS; t++) {
        k->gradient[t] = exercise_draw_floats(c, k->count, 1);
        k->weight[t] = exercise_draw_floats(c, k->count, 0);
        k->exp_avg[t] = exercise_draw_floats(c, k->count, 0);
        k->exp_avg_sq[t] = exercise_draw_floats(c, k->count, 0);
        memcpy(k->weight[t], t ? k->weight[t - 1] : k->start, bytes);
        if (t) memcpy(k->exp_avg[t], k->exp_avg[t - 1], bytes);
        if (t) memcpy(k->exp_avg_sq[t], k->exp_avg_sq[t - 1], bytes);
        int64_t begin = clock_ns();
        adam(k, t, k->weight[t], k->exp_avg[t], k->exp_avg_sq[t]);
        k->ours_ns += clock_ns() - begin;
    }
}

static void all_gather(void *network, float *weight, int first, int shard) {
    Network *n = network;
    int at = (int)(weight - n->weight) + first;
    if ((shard != n->shard || (shard && at != n->first)) &&
        exercise_fail(n->check,
                      _("rank %d of %d gathers %d elements from weight[%d]; its shard has %d, "
                        "from weight[%d]"),
                      n->rank, n->ranks, shard, at, n->shard, n->first))
        exercise_end();
    n->calls++;
    memcpy(n->sent, n->weight + n->first, (size_t)n->shard * sizeof *weight);
    for (int e = 0; e < n->count; e++)
        if (e < n->first || e >= n->first + n->shard) n->weight[e] = n->expected[e];
}

static Status one_rank(Case *k, BuildCheck *c, int rank) {
    const size_t size = sizeof(float);
    int first = rank * k->part < k->count ? rank * k->part : k->count;
    int shard = k->count - first < k->part ? k->count - first : k->part;
    float *zeros = exercise_draw_floats(c, k->part, 0);
    Network network = {.check = c,
                       .sent = exercise_draw_floats(c, k->part, 0),
                       .rank = rank,
                       .first = first,
                       .shard = shard,
                       .ranks = k->ranks,
                       .count = k->count};
    const Ranks group = {rank, k->ranks, &network, all_gather};
    float *weight = exercise_inout(c, "weight", k->start, k->count, size);
    float *exp_avg = exercise_inout(c, "exp_avg", zeros, shard, size);
    float *exp_avg_sq = exercise_inout(c, "exp_avg_sq", zeros, shard, size);
    network.weight = weight;
    for (int t = 0; t < STEPS; t++) {
        network.expected = k->weight[t];
        network.calls = 0;
        const float *gradient = exercise_input(c, "gradient", k->gradient[t] + first, shard, size);
        int64_t begin = clock_ns();
        ((ZeroStep *)c->function)(weight, exp_avg, exp_avg_sq, gradient, k->count, t + 1, &k->adam,
                                  &group);
        k->yours_ns += clock_ns() - begin;
        if (network.calls != 1)
            return exercise_fail(c,
                                 _("rank %d calls all_gather %d times in a step; it should be "
                                   "once"),
                                 rank, network.calls);
        TRY(exercise_near(c, "exp_avg", exp_avg, k->exp_avg[t] + first, shard, 1e-5));
        TRY(exercise_near(c, "exp_avg_sq", exp_avg_sq, k->exp_avg_sq[t] + first, shard, 1e-5));
        TRY(exercise_near(c, _("what all_gather sends"), network.sent, k->weight[t] + first, shard,
                          1e-5));
        TRY(exercise_near(c, "weight", weight, k->weight[t], k->count, 1e-5));
    }
    return OK;
}

static Status one_case(BuildCheck *c, int ranks, int count, bool timed) {
    Case k = {.ranks = ranks, .count = count, .part = (count + ranks - 1) / ranks};
    exercise_case(c, _("ranks: %d, parameters: %d, steps: %d"), ranks, count, STEPS);
    solve(&k, c);
    for (int r = 0; r < ranks; r++) TRY(one_rank(&k, c, r));
    if (timed)
        exercise_score(c, N_("time of all ranks"), "us", (double)k.yours_ns / 1e3,
                       (double)k.ours_ns / 1e3);
    return OK;
}

static Status check_zero_step(BuildCheck *c) {
    int ranks = exercise_draw(c, 2, 5), part = exercise_draw(c, 2, 6);
    TRY(one_case(c, 1, exercise_draw(c, 1, 9), false));
    TRY(one_case(c, ranks, ranks * part, false));
    TRY(one_case(c, ranks, ranks * part - exercise_draw(c, 1, ranks - 1), false));
    TRY(one_case(c, 4, 5, false));  // none for the last rank
    TRY(one_case(c, 5, exercise_draw(c, 1, 4), false));
    return one_case(c, 4, 4099, true);
}

const Exercise exercise_zero_step = {
    .number = 7,
    .name = "zero_step",
    .title = N_("A sharded optimizer, ZeRO-1"),
    .function = "zero_step",
    .task = N_("A step of Adam on one rank, where each rank keeps a shard of the moments.\n"
               "\n"
               "There are `count` parameters. With part = count / ranks, rounded up, rank r\n"
               "has those from r * part on: `part` of them, or what is left, maybe none.\n"
               "gradient is the rank's shard of the mean gradient, as a reduce-scatter\n"
               "leaves it; exp_avg and exp_avg_sq are its shards of the moments (0 before\n"
               "step 1) and have no more elements than it. weight is whole. Update the\n"
               "moments and the rank's weights, then call all_gather once, also for an\n"
               "empty shard: it sends the `shard` weights from weight[first] on to all\n"
               "ranks, and writes what the others send to its place in weight.\n"
               "\n"
               "Adam without weight decay, g being the gradient and t the step, from 1:\n"
               "m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,\n"
               "w -= learning_rate m' / (sqrt(v') + eps),\n"
               "with m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t).\n"),
    .hints = {N_("Find the shard first: where it begins in weight and how many elements it has. "
                 "Element i of gradient and of the moments belongs to weight[first + i]."),
              N_("part = (count + ranks - 1) / ranks;  first is rank * part, at most count;  the "
                 "shard has part elements, at most count - first."),
              N_("With 5 parameters on 4 ranks a part has 2: the ranks have 2, 2, 1 and 0. Only "
                 "after its own weights are updated a rank calls all_gather.")},
    .check = check_zero_step,
};
