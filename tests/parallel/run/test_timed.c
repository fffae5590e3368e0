// SPDX-License-Identifier: MIT
// The timed device. Whole runs through the executor and the communicators are held against the
// rules applied here, operation by operation: what the model says about times must hold to the
// nanosecond, however late this machine's threads are. Of the clock only one thing is asked: that
// nothing is said to have ended before it has.
#include "core/platform/device_model.h"
#include "tests/support/command.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

// --- the model

static const DeviceModel core = {.name = "core",
                                 .flops_per_s = {[DTYPE_F32] = 60000000000},
                                 .memory_bytes_per_s = 10000000000,
                                 .launch_ps = 2000000,
                                 .flops_permille = 700,
                                 .memory_permille = 800};

START_TEST(a_device_takes_the_longer_of_flops_and_bytes_and_its_launch) {
    // 501,760 flops at 60 G * 0.7: 11,946,666.67 ps. 1,024 bytes at 10 GB/s * 0.8: 128,000 ps.
    Work w = {.flops = 501760, .read_bytes = 1000, .write_bytes = 24};
    ck_assert_int_eq(device_model_work_ps(&core, &w), 11946667 + 2000000);
    // 8 MB at 8 GB/s: a millisecond; a byte: 125 ps exactly.
    w = (Work){.flops = 501760, .read_bytes = 7000000, .write_bytes = 1000000};
    ck_assert_int_eq(device_model_work_ps(&core, &w), 1000000000 + 2000000);
    w = (Work){.write_bytes = 1};
    ck_assert_int_eq(device_model_work_ps(&core, &w), 125 + 2000000);
    // A flop at 42 GFLOP/s: 23.8 ps. Nothing at all, and in a type without a rate: the launch.
    w = (Work){.flops = 1};
    ck_assert_int_eq(device_model_work_ps(&core, &w), 24 + 2000000);
    w = (Work){.dtype = DTYPE_F64};
    ck_assert_int_eq(device_model_work_ps(&core, &w), 2000000);
    ck_assert(device_model_knows(&core, &w));
    w = (Work){.dtype = DTYPE_F64, .flops = 1};
    ck_assert(!device_model_knows(&core, &w));
    w = (Work){.flops = INT64_MAX};
    ck_assert_int_eq(device_model_work_ps(&core, &w), INT64_MAX);
}
END_TEST

START_TEST(dilated_times_are_rounded_up_to_nanoseconds) {
    ck_assert_int_eq(device_model_slowed_ns(0, 1000), 0);
    ck_assert_int_eq(device_model_slowed_ns(13946667, 1000), 13947);
    ck_assert_int_eq(device_model_slowed_ns(13946667, 20000), 278934);  // 278,933.34
    ck_assert_int_eq(device_model_slowed_ns(13946667, 1), 14);
    ck_assert_int_eq(device_model_slowed_ns(2000, 2500), 5);
}
END_TEST

START_TEST(a_link_is_a_bandwidth_and_a_latency) {
    LinkModel l;
    ck_assert_ok(link_model_parse(&l, "1GB/s,50us"));
    ck_assert_int_eq(l.bytes_per_s, 1000000000);
    ck_assert_int_eq(l.latency_ps, 50000000);
    ck_assert_ok(link_model_parse(&l, "200Gbit/s,0"));
    ck_assert_int_eq(l.bytes_per_s, 25000000000);
    ck_assert_fails(link_model_parse(&l, "1GB/s"), ERR_USAGE, "BANDWIDTH,LATENCY");
    ck_assert_fails(link_model_parse(&l, "1GB,50us"), ERR_USAGE, "\"1GB\" is not a bandwidth");
    ck_assert_fails(link_model_parse(&l, "1GB/s,50"), ERR_USAGE, "50");
    ck_assert_fails(link_model_parse(&l, "0B/s,50us"), ERR_USAGE, "above 0");
}
END_TEST

// --- runs

// `core` as a file, and a link of 0.7 GB/s and 30 us, all slower by 2.5.
static JobOptions timed_options(int ranks, CommKind comm, Algorithm algorithm) {
    static char device[256];
    const char *directory = test_directory();
    snprintf(device, sizeof device, "timed:%s/core.yaml", directory);
    FILE *f = fopen(device + strlen("timed:"), "w");
    ck_assert_ptr_nonnull(f);
    fputs("tandem: machine 1\nname: cores\ndevices: 1\n"
          "device: {name: core, flops: {f32: 60G}, memory: 1GB, memory_bandwidth: 10GB/s,\n"
          "         launch: 2us, reached: {flops: 0.7, memory: 0.8}}\n",
          f);
    ck_assert_int_eq(fclose(f), 0);
    JobOptions o = training_options();
    o.spec.device = device;
    o.slowdown_permille = 2500;
    o.spec.ranks = ranks;
    o.comm = comm;
    o.steps = 6;
    o.spans = true;
    o.spec.strategy.algorithm = algorithm;
    if (ranks > 1) o.link = (LinkModel){700000000, 30000000};
    return o;
}

static int64_t up(__int128 numerator, int64_t denominator) {
    return (int64_t)((numerator + denominator - 1) / denominator);
}

static int64_t expected_work_ns(const Work *w) {
    int64_t flops_ps = up((__int128)w->flops * 1000, 42);
    int64_t bytes_ps = (w->read_bytes + w->write_bytes) * 125;
    int64_t ps = (flops_ps > bytes_ps ? flops_ps : bytes_ps) + 2000000;
    return up((__int128)ps * 25, 10000);
}

// 30 us * 2.5, and bytes at 0.28 GB/s.
static int64_t expected_message_ns(int64_t bytes) {
    return 75000 + up((__int128)bytes * 1000, 280);
}

static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

// One step of all ranks, by operation.
enum { OPS = 64, RANKS = 4 };
typedef struct {
    const Program *program;
    const Plan *plan;
    int ranks;
    const StepRecord *record[RANKS];
    const Span *spans[RANKS][OPS];
} Step;

static void find_step(Step *s, const Outcome *o, int index) {
    *s = (Step){.program = &o->job.set.programs[0], .ranks = o->job.options.spec.ranks};
    s->plan = &s->program->plans[o->job.plan_step];
    ck_assert_int_le(s->plan->op_count, OPS);
    for (int r = 0; r < s->ranks; r++) {
        const Timeline *t = &o->training.shared->results[r].timeline;
        int seen = 0;
        for (int i = 0; i < t->step_count; i++)
            if (t->steps[i].plan == o->job.plan_step && seen++ == index)
                s->record[r] = &t->steps[i];
        ck_assert_int_eq(s->record[r]->span_count, s->plan->op_count);
        for (int i = 0; i < s->record[r]->span_count; i++) {
            const Span *span = &t->spans[s->record[r]->span_first + i];
            s->spans[r][span->op] = span;
        }
    }
}

// An operation starts when its dependencies and the one before it on its lane have ended, the first
// when the plan began: that of the host does, as it waits for nothing.
static void check_starts(const Step *s, int rank) {
    int64_t begin_ps = s->spans[rank][0]->start_ps, lane_ps[8] = {0};
    ck_assert_int_ge(begin_ps, s->record[rank]->start_ps);
    for (int i = 0; i < s->plan->op_count; i++) {
        const Op *op = &s->plan->ops[i];
        const Span *span = s->spans[rank][i];
        int64_t start_ps = max(begin_ps, lane_ps[op->lane]);
        for (int d = 0; d < op->dep_count; d++) {
            const Dep *dep = &s->plan->deps[op->dep_first + d];
            if (dep->distance == 0) start_ps = max(start_ps, s->spans[rank][dep->op]->end_ps);
        }
        ck_assert_msg(span->start_ps == start_ps, "rank %d: %s starts at %lld, not %lld", rank,
                      op_name(s->program, op), (long long)span->start_ps, (long long)start_ps);
        ck_assert_int_le(span->end_ps, s->record[rank]->end_ps);
        ck_assert_int_eq(span->source, SOURCE_MEASURED);
        lane_ps[op->lane] = span->end_ps;
    }
}

static void check_work(const Step *s, int rank, int op) {
    const Work *w = op_work(s->program, &s->plan->ops[op]);
    const Span *span = s->spans[rank][op];
    int64_t ns = expected_work_ns(w);
    ck_assert_int_eq(span->end_ps - span->start_ps, ns * 1000);
    ck_assert_int_eq(span->cpu_ns, ns);
    ck_assert_int_eq(span->wait_ns, 0);
}

static int64_t elements_of(const Step *s, int op) {
    int64_t sum = 0;
    for (int i = 0; i < s->plan->ops[op].outputs; i++)
        sum += tensor_elements(&s->program->tensors[op_outputs(s->plan, &s->plan->ops[op])[i]]);
    return sum;
}

// Chunk k of n elements in P.
static int64_t chunk(int64_t n, int P, int k) {
    k = (k % P + P) % P;
    return (k + 1) * n / P - k * n / P;
}

// Round 0: everyone fetches its chunk of all others, who each send all but their own. Round 1:
// everyone sends its chunk to all others, and fetches theirs.
static void expect_direct(int64_t *end_ns, int64_t last_ns, int64_t n, int64_t bytes, int P) {
    int64_t middle_ns = 0;
    for (int m = 0; m < P; m++) {
        int64_t sent = 0;
        for (int k = 0; k < P; k++)
            if (k != m) sent = max(sent, n - chunk(n, P, k));
        int64_t in = (P - 1) * chunk(n, P, m);
        middle_ns = max(middle_ns, last_ns + expected_message_ns(bytes * max(in, sent)));
    }
    for (int m = 0; m < P; m++) {
        int64_t sent = 0;
        for (int k = 0; k < P; k++)
            if (k != m) sent = max(sent, (P - 1) * chunk(n, P, k));
        end_ns[m] = middle_ns + expected_message_ns(bytes * max(n - chunk(n, P, m), sent));
    }
}

// In round t member m takes chunk m - 2 - t, then m - 1 - (t - (P - 1)), from the one before it,
// who sends nothing else.
static void expect_ring(int64_t *end_ns, const int64_t *start_ns, int64_t n, int64_t bytes, int P) {
    int64_t before[RANKS];
    memcpy(end_ns, start_ns, (size_t)P * sizeof *end_ns);
    for (int t = 0; t < 2 * (P - 1); t++) {
        memcpy(before, end_ns, (size_t)P * sizeof *end_ns);
        for (int m = 0; m < P; m++) {
            int k = t < P - 1 ? m - 2 - t : m - 1 - (t - (P - 1));
            end_ns[m] = max(before[m], before[(m + P - 1) % P]) +
                        expected_message_ns(bytes * chunk(n, P, k + 2 * P));
        }
    }
}

static void check_all_reduce(const Step *s, int op) {
    const Work *w = op_work(s->program, &s->plan->ops[op]);
    int64_t start_ns[RANKS], end_ns[RANKS], last_ns = 0, n = elements_of(s, op);
    for (int r = 0; r < s->ranks; r++) {
        start_ns[r] = s->spans[r][op]->start_ps / 1000;
        last_ns = max(last_ns, start_ns[r]);
    }
    if (w->algorithm == ALGORITHM_RING)
        expect_ring(end_ns, start_ns, n, dtype_bytes((Dtype)w->dtype), s->ranks);
    else
        expect_direct(end_ns, last_ns, n, dtype_bytes((Dtype)w->dtype), s->ranks);
    for (int r = 0; r < s->ranks; r++) {
        const Span *span = s->spans[r][op];
        ck_assert_msg(span->end_ps == end_ns[r] * 1000,
                      "%s of %lld: rank %d ends %lld ns after the last arrival, not %lld",
                      w->algorithm == ALGORITHM_RING ? "ring" : "direct", (long long)n, r,
                      (long long)(span->end_ps / 1000 - last_ns), (long long)(end_ns[r] - last_ns));
        ck_assert_int_eq(span->wait_ns, last_ns - start_ns[r]);
        ck_assert_int_eq(span->cpu_ns, 0);
    }
}

static void check_run(int ranks, CommKind comm, Algorithm algorithm) {
    JobOptions o = timed_options(ranks, comm, algorithm);
    Outcome out;
    ck_assert_ok(training_run(&out, &o, NULL));
    for (int i = 0; i < o.steps; i++) {
        Step s;
        find_step(&s, &out, i);
        for (int r = 0; r < ranks; r++) check_starts(&s, r);
        for (int op = 0; op < s.plan->op_count; op++) {
            const Work *w = op_work(s.program, &s.plan->ops[op]);
            if (work_communicates(w)) {
                ck_assert_int_eq(w->kind, KIND_ALL_REDUCE);
                check_all_reduce(&s, op);
            } else
                for (int r = 0; r < ranks; r++) check_work(&s, r, op);
        }
    }
    outcome_finish(&out);
}

START_TEST(a_step_of_one_rank_is_the_sum_of_its_operations) {
    JobOptions o = timed_options(1, COMM_SERIAL, ALGORITHM_DIRECT);
    Outcome out;
    ck_assert_ok(training_run(&out, &o, NULL));
    for (int i = 0; i < o.steps; i++) {
        Step s;
        int64_t sum_ns = 0;
        find_step(&s, &out, i);
        for (int op = 0; op < s.plan->op_count; op++)
            sum_ns += expected_work_ns(op_work(s.program, &s.plan->ops[op]));
        const Span *last = s.spans[0][s.plan->op_count - 1];
        ck_assert_int_eq(last->end_ps - s.spans[0][0]->start_ps, sum_ns * 1000);
        ck_assert_int_ge(s.record[0]->end_ps - s.record[0]->start_ps, sum_ns * 1000);
    }
    outcome_finish(&out);
}
END_TEST

START_TEST(every_span_follows_from_the_model_in_one_rank) {
    check_run(1, COMM_SERIAL, ALGORITHM_DIRECT);
}
END_TEST

START_TEST(every_span_follows_from_the_model_with_direct_all_reduces) {
    check_run(2, COMM_SHM, ALGORITHM_DIRECT);
    check_run(3, COMM_THREAD, ALGORITHM_DIRECT);
    check_run(4, COMM_SHM, ALGORITHM_DIRECT);
}
END_TEST

START_TEST(every_span_follows_from_the_model_with_rings) {
    check_run(2, COMM_THREAD, ALGORITHM_RING);
    check_run(3, COMM_SHM, ALGORITHM_RING);
    check_run(4, COMM_THREAD, ALGORITHM_RING);
}
END_TEST

START_TEST(nothing_is_learned_and_nothing_is_said_of_it) {
    JobOptions o = timed_options(2, COMM_SHM, ALGORITHM_DIRECT);
    Outcome out;
    ck_assert_ok(training_run(&out, &o, NULL));
    for (int r = 0; r < 2; r++) {
        const RankResult *result = &out.training.shared->results[r];
        ck_assert_int_eq(result->evaluation_count, 0);
        ck_assert_uint_eq(result->parameters_hash, 0);
        ck_assert_int_eq(result->timeline.step_count, o.steps + 1);  // and the broadcast
        for (int i = 0; i < result->timeline.step_count; i++)
            ck_assert(isnan(result->timeline.steps[i].loss));
    }
    outcome_finish(&out);
}
END_TEST

START_TEST(a_type_without_a_rate_is_refused) {
    JobOptions o = timed_options(1, COMM_SERIAL, ALGORITHM_DIRECT);
    Outcome out;
    o.spec.dtype = DTYPE_F64;
    ck_assert_fails(training_run(&out, &o, NULL), ERR_USAGE, "core has no rate for conv");
}
END_TEST

// --- an ordinary device between emulated links

START_TEST(an_emulated_link_changes_no_bit_of_a_training) {
    JobOptions o = training_options();
    Outcome alone, linked;
    o.spec.device = "reference";
    o.spec.shards = 3;
    ck_assert_ok(training_run(&alone, &o, NULL));
    o.spec.ranks = 3;
    o.link = (LinkModel){1000000000, 20000000};
    for (CommKind comm = COMM_THREAD; comm <= COMM_SHM; comm++)
        for (int chain = 0; chain < 2; chain++) {
            o.comm = comm;
            o.spec.strategy.algorithm = chain ? ALGORITHM_CHAIN : ALGORITHM_DIRECT;
            ck_assert_ok(training_run(&linked, &o, NULL));
            const char *difference = outcome_difference(&alone, &linked);
            ck_assert_msg(!difference, "%s", difference);
            outcome_finish(&linked);
        }
    outcome_finish(&alone);
}
END_TEST

// --- the program

static Command it;

START_TEST(sixty_four_ranks_run) {
    ck_assert_int_eq(command_run(&it, "train -q --json --model linear --data digits:count=300 "
                                      "--ranks 64 --device timed:laptop --link 10GB/s,5us "
                                      "--dilate 3 --steps 4 --tail drop"),
                     0);
    ck_assert_ptr_nonnull(strstr(it.out, "\"device\": \"timed:laptop\""));
    ck_assert_ptr_nonnull(strstr(it.out, "\"link\": \"10GB/s,5us\",\n    \"dilate\": 3\n"));
    ck_assert_ptr_nonnull(strstr(it.out, "\"loss\": [null, null, null, null]"));
    ck_assert_ptr_nonnull(strstr(it.out, "\"parameters_hash\": null"));
    command_finish(&it);
}
END_TEST

// An operation of an hour: all sleep until the clock has reached its end, and the launcher's word
// ends that sleep. Thirty seconds are a hang.
START_TEST(a_rank_that_is_killed_while_all_wait_for_the_clock_ends_the_run) {
    pid_t pids[COMMAND_RANKS];
    command_start(&it, "train -q --model linear --data digits:count=300 --ranks 3 "
                       "--device timed:laptop --link 10GB/s,5us --dilate 1000000 --steps 100");
    double until = seconds_now() + 30;
    while (command_ranks(&it, pids) < 3) {
        ck_assert(seconds_now() < until);
        sleep_seconds(0.01);
    }
    sleep_seconds(0.2);
    kill(pids[1], SIGKILL);
    command_wait(&it, 30);
    ck_assert_msg(it.status == 4, "status %d: %s", it.status, it.err);
    ck_assert_ptr_nonnull(strstr(it.err, "rank 1 was lost: killed by signal 9"));
    command_finish(&it);
}
END_TEST

// Deliveries of 0.3 s, four a step, and a time-out of 0.1 s: who waits for data on a link waits for
// nobody who is lost.
START_TEST(a_link_slower_than_the_time_out_is_waited_for) {
    for (int comm = COMM_THREAD; comm <= COMM_SHM; comm++) {
        Outcome run;
        JobOptions o = training_options();
        o.spec.ranks = 3;
        o.steps = 2;
        o.comm = (CommKind)comm;
        o.comm_options.timeout_ns = 100000000;
        o.link = (LinkModel){1000000000, 300000000000};
        ck_assert_ok(training_run(&run, &o, NULL));
        ck_assert_int_gt(run.training.wall_ns, 2 * 300000000);
        outcome_finish(&run);
    }
}
END_TEST

START_TEST(no_digit_is_drawn_for_a_plan_or_a_timed_run) {
    Job job;
    JobOptions o = training_options();
    const char *device = o.spec.device;
    for (int k = 0; k < 3; k++) {
        o.plan_only = k == 1;
        o.spec.device = k == 2 ? "timed:laptop" : device;
        ck_assert_ok(job_create(&job, &o));
        ck_assert(!job.data.parts[0].images == (k > 0));
        ck_assert_int_eq(job.data.count, 200);
        ck_assert_int_eq(job.split.train_count, 170);
        job_destroy(&job);
    }
}
END_TEST

SUITE_SECONDS("timed", 120, a_device_takes_the_longer_of_flops_and_bytes_and_its_launch,
              dilated_times_are_rounded_up_to_nanoseconds, a_link_is_a_bandwidth_and_a_latency,
              a_step_of_one_rank_is_the_sum_of_its_operations,
              every_span_follows_from_the_model_in_one_rank,
              every_span_follows_from_the_model_with_direct_all_reduces,
              every_span_follows_from_the_model_with_rings,
              nothing_is_learned_and_nothing_is_said_of_it, a_type_without_a_rate_is_refused,
              an_emulated_link_changes_no_bit_of_a_training, sixty_four_ranks_run,
              a_rank_that_is_killed_while_all_wait_for_the_clock_ends_the_run,
              a_link_slower_than_the_time_out_is_waited_for,
              no_digit_is_drawn_for_a_plan_or_a_timed_run)
