// SPDX-License-Identifier: MIT
// The cost of recording a span per operation: the same training with and without, in turn.
// usage: tracing [ROUNDS [STEPS [RANKS]]]
#include "core/report/report.h"
#include "parallel/run/launch.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS_MOST = 100 };

// Median duration of a step, in microseconds; 0 when the run failed.
static double median_step(bool spans, int64_t steps, int ranks) {
    JobSpec spec = job_spec_default();
    spec.ranks = ranks;
    spec.batch = 64 * ranks;
    const JobOptions options = {.spec = spec,
                                .data = "digits:count=4000",
                                .steps = steps,
                                .epochs = 1,
                                .test_fraction = 0.15,
                                .tail = TAIL_DROP,
                                .comm = COMM_SHM,
                                .spans = spans};
    Job job;
    Training t = {0};
    double median = 0;
    Status s = job_create(&job, &options);
    if (s == OK) s = launch_run(&t, &job, NULL);
    double *us = calloc((size_t)steps, sizeof *us);
    if (s == OK && us) {
        const Timeline *line = &t.shared->results[0].timeline;
        int count = 0;
        for (int i = 0; i < line->step_count; i++)
            if (line->steps[i].rows && line->steps[i].step)
                us[count++] = (double)(line->steps[i].end_ps - line->steps[i].start_ps) * 1e-6;
        median = statistics_spread(us, count).median;
    } else
        fprintf(stderr, "tracing: %s\n", status_message());
    free(us);
    launch_finish(&t);
    job_destroy(&job);
    return median;
}

int main(int argc, char *argv[]) {
    int rounds = argc > 1 ? atoi(argv[1]) : 15, ranks = argc > 3 ? atoi(argv[3]) : 1;
    int64_t steps = argc > 2 ? atoll(argv[2]) : 100;
    if (rounds < 1 || rounds > ROUNDS_MOST || steps < 2 || ranks < 1) {
        fprintf(stderr, "usage: tracing [ROUNDS [STEPS [RANKS]]]\n");
        return 2;
    }
    double with[ROUNDS_MOST], without[ROUNDS_MOST], cost[ROUNDS_MOST];
    for (int i = 0; i < rounds; i++) {
        // Which one comes first changes, so that a drift of the machine's speed favours neither.
        if (i % 2) with[i] = median_step(true, steps, ranks);
        without[i] = median_step(false, steps, ranks);
        if (i % 2 == 0) with[i] = median_step(true, steps, ranks);
        if (with[i] <= 0 || without[i] <= 0) return 1;
        cost[i] = 100 * (with[i] / without[i] - 1);
    }
    Spread a = statistics_spread(with, rounds), b = statistics_spread(without, rounds),
           c = statistics_spread(cost, rounds);
    printf("%d ranks, %d rounds of %lld steps, median step per run\n", ranks, rounds,
           (long long)steps);
    printf("spans recorded      %9.1f us  (%.1f to %.1f in 8 of 10 rounds)\n", a.median, a.p10,
           a.p90);
    printf("no spans            %9.1f us  (%.1f to %.1f)\n", b.median, b.p10, b.p90);
    printf("recording costs     %+8.2f %%   (%+.2f to %+.2f)\n", c.median, c.p10, c.p90);
    return 0;
}
