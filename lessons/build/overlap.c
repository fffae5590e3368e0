// SPDX-License-Identifier: MIT
// Exercise 6: when each bucket's all-reduce starts, beside the backward. What one takes is what the
// simulator's formula says, and our exposed time is that of lesson 11.
#include "lessons/11_overlap/overlap.h"
#include "lessons/build/exercises.h"
#include "lessons/engine/translate.h"
#include "sim/closed_form.h"

#include <math.h>

enum { MOST_LAYERS = 16 };

// Bucket 0 is ready first, as DDP fills buckets; it is ready last; or any layer is in any bucket.
typedef enum { FIRST_READY_FIRST, LAST_READY_FIRST, MIXED } Numbering;

typedef double OverlapSchedule(double *start_us, const double *backward_us, const int *bucket_of,
                               const long *bytes, int layers, int buckets, int ranks,
                               double alpha_us, double bytes_per_us);

typedef struct {
    int layers, buckets, ranks;
    double backward_us[MOST_LAYERS];
    int bucket_of[MOST_LAYERS];
    long bytes[MOST_LAYERS];
    LinkModel link;
    double ready_us[OVERLAP_BUCKETS], takes_us[OVERLAP_BUCKETS];
    double backward_end_us, exposed_us;  // exposed: as little as can be
} Case;

static void draw(Case *k, BuildCheck *c, Numbering numbering) {
    k->link.latency_ps = INT64_C(1000000) * exercise_draw(c, 1, 20);
    k->link.bytes_per_s = INT64_C(1000000) * 100 * exercise_draw(c, 2, 60);
    for (int i = 0; i < k->layers; i++) {
        k->backward_us[i] = exercise_draw(c, 20, 900);
        k->bytes[i] = 4L * k->ranks * exercise_draw(c, 16, 8000);
        int from_last = (k->layers - 1 - i) * k->buckets / k->layers;
        k->bucket_of[i] = numbering == LAST_READY_FIRST ? k->buckets - 1 - from_last : from_last;
    }
    for (int i = k->layers - 1; numbering == MIXED && i > 0; i--) {
        int other = exercise_draw(c, 0, i), bucket = k->bucket_of[i];
        k->bucket_of[i] = k->bucket_of[other];
        k->bucket_of[other] = bucket;
    }
}

static Status solve(Case *k) {
    const ClosedForm f = {.model = CLOSED_ALPHA_BETA, .within = k->link, .across = k->link};
    Overlap x = {.bucket_count = k->buckets};
    int64_t sum[OVERLAP_BUCKETS] = {0}, ps;
    for (int i = k->layers - 1; i >= 0; i--) {
        k->backward_end_us += k->backward_us[i];
        k->ready_us[k->bucket_of[i]] = k->backward_end_us;
        sum[k->bucket_of[i]] += k->bytes[i];
    }
    for (int b = 0; b < k->buckets; b++) {
        const Collective ring = {.kind = COLLECTIVE_ALL_REDUCE,
                                 .algorithm = ALGORITHM_RING,
                                 .ranks = k->ranks,
                                 .elements = sum[b] / 4};
        TRY(closed_form_collective(&ps, &f, &ring, 4, &(GroupSpread){1, k->ranks, k->ranks}));
        k->takes_us[b] = 1e-6 * (double)ps;
    }
    for (int b = 0; b < k->buckets; b++) {  // which is ready first is sent first
        int before = 0;
        for (int other = 0; other < k->buckets; other++)
            before += k->ready_us[other] < k->ready_us[b];
        x.buckets[before].ready_s = 1e-6 * k->ready_us[b];
        x.buckets[before].takes_s = 1e-6 * k->takes_us[b];
    }
    x.backward_end_s = 1e-6 * k->backward_end_us;
    k->exposed_us = 1e6 * overlap_exposed_s(&x);
    return OK;
}

static double slack(double us) { return 1e-3 + 1e-6 * fabs(us); }

// Are gradients there when a bucket starts, and is the link free?
static Status judge(double *exposed_us, const Case *k, BuildCheck *c, const double *start_us) {
    double end = 0;
    for (int b = 0; b < k->buckets; b++) {
        if (isnan(start_us[b])) return exercise_fail(c, _("start_us[%d] is NaN: not written"), b);
        if (!(start_us[b] >= k->ready_us[b] - slack(k->ready_us[b])))
            return exercise_fail(c,
                                 _("bucket %d starts at %.6g us; its last gradient is there at "
                                   "%.6g us"),
                                 b, start_us[b], k->ready_us[b]);
        for (int a = 0; a < k->buckets; a++)
            if (a != b && start_us[a] <= start_us[b] &&
                start_us[a] + k->takes_us[a] > start_us[b] + slack(start_us[b]))
                return exercise_fail(c,
                                     _("bucket %d starts at %.6g us; bucket %d is on the link "
                                       "from %.6g us to %.6g us"),
                                     b, start_us[b], a, start_us[a], start_us[a] + k->takes_us[a]);
        end = fmax(end, start_us[b] + k->takes_us[b]);
    }
    *exposed_us = end - k->backward_end_us;
    return OK;
}

static Status one_case(BuildCheck *c, int layers, int buckets, Numbering numbering, bool last) {
    Case k = {.layers = layers, .buckets = buckets, .ranks = exercise_draw(c, 2, 8)};
    double exposed_us = 0;
    exercise_case(c, _("layers: %d, buckets: %d, ranks: %d"), layers, buckets, k.ranks);
    draw(&k, c, numbering);
    TRY(solve(&k));
    double *start_us = exercise_output(c, "start_us", buckets, sizeof *start_us);
    const double *backward_us =
        exercise_input(c, "backward_us", k.backward_us, layers, sizeof *backward_us);
    const int *bucket_of = exercise_input(c, "bucket_of", k.bucket_of, layers, sizeof *bucket_of);
    const long *bytes = exercise_input(c, "bytes", k.bytes, layers, sizeof *bytes);
    double got = ((OverlapSchedule *)c->function)(
        start_us, backward_us, bucket_of, bytes, layers, buckets, k.ranks,
        1e-6 * (double)k.link.latency_ps, 1e-6 * (double)k.link.bytes_per_s);
    TRY(exercise_intact(c));
    TRY(judge(&exposed_us, &k, c, start_us));
    if (exposed_us > k.exposed_us + slack(k.exposed_us))
        return exercise_fail(c, _("%.6g us are exposed with these starts; the least is %.6g us"),
                             exposed_us, k.exposed_us);
    if (!(fabs(got - exposed_us) <= slack(exposed_us)))
        return exercise_fail(c, _("%.6g us are returned; with these starts %.6g us are exposed"),
                             got, exposed_us);
    if (last) exercise_score(c, N_("exposed"), "us", exposed_us, k.exposed_us);
    return OK;
}

static Status check_overlap(BuildCheck *c) {
    TRY(one_case(c, exercise_draw(c, 1, 4), 1, FIRST_READY_FIRST, false));
    TRY(one_case(c, 4, 4, FIRST_READY_FIRST, false));
    TRY(one_case(c, exercise_draw(c, 4, 8), 4, LAST_READY_FIRST, false));
    for (int i = 0; i < 3; i++) {
        int buckets = exercise_draw(c, 2, 8);
        TRY(one_case(c, exercise_draw(c, buckets, MOST_LAYERS), buckets, FIRST_READY_FIRST, false));
        TRY(one_case(c, exercise_draw(c, buckets, MOST_LAYERS), buckets, MIXED, i == 2));
    }
    return OK;
}

const Exercise exercise_overlap = {
    .number = 6,
    .name = "overlap",
    .title = N_("Buckets sent beside the backward"),
    .function = "overlap_schedule",
    .task = N_("When each bucket's all-reduce starts, beside the backward pass.\n"
               "\n"
               "The backward begins at 0 and goes from the last layer to layer 0, one after\n"
               "the other; layer i takes backward_us[i], at the end of which its gradient\n"
               "of bytes[i] is there. bucket_of[i] is the bucket that it goes into. A\n"
               "bucket can start when all its gradients are there and no other bucket is\n"
               "on the link. For S bytes the all-reduce around a ring takes\n"
               "2 (ranks - 1) (alpha_us + S / ranks / bytes_per_us). Buckets need not\n"
               "become ready in the order of their numbers.\n"
               "\n"
               "Write each bucket's start to start_us so that the last one ends as early as\n"
               "possible, and return the exposed time: from the end of the backward to the\n"
               "end of the last all-reduce, in us.\n"),
    .hints =
        {N_("Two clocks: when the backward has come to the end of a layer, and when the link "
            "is free."),
         N_("A bucket is ready with the gradient of its first layer, the one with the lowest "
            "index. start = max(ready, link free);  link free = start + time."),
         N_("Go from the last layer to layer 0. After each layer look whether any earlier "
            "layer belongs to the same bucket; if none does, the bucket starts now or when the "
            "link is free. In the end: link free - end of the backward.")},
    .check = check_overlap,
};
