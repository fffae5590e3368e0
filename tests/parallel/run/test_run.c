// SPDX-License-Identifier: MIT
// Whole runs: the memory they take, the plans that a person edited, the spans they record.
#include "core/plan_text/plan_text.h"
#include "core/platform/device_traits.h"
#include "parallel/comm/world_internal.h"
#include "tests/support/allocations.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// --- memory

static int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Where the tensors of a role lie in a pool: [*begin, *end).
static bool role_region(const Program *p, Pool pool, Role role, int64_t *begin, int64_t *end) {
    *begin = INT64_MAX;
    *end = 0;
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *t = &p->tensors[i];
        if (t->alias != NONE || t->offset == NONE || t->pool != pool || t->role != role) continue;
        ck_assert_int_eq(t->offset % 64, 0);
        if (t->offset < *begin) *begin = t->offset;
        if (t->offset + aligned(t->bytes) > *end) *end = t->offset + aligned(t->bytes);
    }
    return *end > 0;
}

static void check_regions(const Program *p) {
    int64_t classes[MEMORY_COUNT] = {0}, total = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        int64_t sum = 0, begin, end;
        for (int role = 0; role < ROLE_COUNT; role++) {
            int64_t bytes = p->role_bytes[pool][role];
            if (role_region(p, (Pool)pool, (Role)role, &begin, &end)) {
                ck_assert_int_eq(begin, sum);  // regions follow each other
                ck_assert_int_eq(end - begin, bytes);
            } else
                ck_assert_int_eq(bytes, 0);
            classes[role_memory((Role)role)] += bytes;
            sum += bytes;
        }
        ck_assert_int_eq(sum, p->pool_bytes[pool]);
        total += sum;
    }
    for (int c = 0; c < MEMORY_COUNT; c++) {
        ck_assert_int_eq(program_memory(p, (Memory)c), classes[c]);
        total -= classes[c];
    }
    ck_assert_int_eq(total, 0);
}

static void check_allocated(void *context, Executor *e) {
    const Program *p = e->program;
    int64_t local = p->pool_bytes[POOL_LOCAL], shared = p->pool_bytes[POOL_SHARED];
    check_regions(p);
    if (!e->comm) {
        ck_assert_int_eq((int64_t)allocation_bytes(e->local), local + shared);
        return;
    }
    ck_assert_int_gt(shared, 0);
    ck_assert_int_eq((int64_t)allocation_bytes(e->local), local);
    ck_assert_int_eq(e->comm->world->of[e->rank].room.pool_bytes, shared);
    ck_assert_ptr_eq(e->pools[POOL_SHARED], e->comm->pool);
    for (int r = 1; r < e->comm->ranks; r++)  // and no more than the pages that this is
        ck_assert_int_eq(e->comm->world->of[r].pool - e->comm->world->of[r - 1].pool,
                         (shared + 4095) / 4096 * 4096);
    ++*(int *)context;
}

START_TEST(planned_bytes_are_allocated_bytes) {
    static const char *const devices[] = {"reference", device_traits_default};
    int checked = 0;
    for (int k = 0; k < 32; k++) {
        Outcome run;
        JobOptions o = training_options();
        o.spec.model = k & 1 ? "net" : o.spec.model;
        o.spec.device = devices[k >> 1 & 1];
        o.spec.dtype = k & 4 ? DTYPE_F64 : DTYPE_F32;
        o.spec.ranks = k & 8 ? 2 : 1;
        o.spec.shards = 2;
        o.spec.micro_batches = k & 16 ? 3 : 1;
        o.comm = k & 1 ? COMM_SERIAL : COMM_THREAD;
        o.steps = 1;
        ck_assert_ok(training_run(
            &run, &o, &(TrainingProbe){.context = &checked, .finished = check_allocated}));
        outcome_finish(&run);
    }
    ck_assert_int_eq(checked, 32);  // two ranks in 16 of them
}
END_TEST

// fc1 1000, conv 150, fc2 210 of 4 bytes, in pieces of 64: weight and bias apart.
START_TEST(the_planned_bytes_of_a_small_network_are_those_of_its_tensors) {
    Job job;
    JobOptions o = training_options();
    o.spec.batch = 64;
    ck_assert_ok(job_create(&job, &o));
    int64_t parameters = aligned(147 * 4) + aligned(3 * 4) + aligned(960 * 4) + aligned(20 * 4) +
                         aligned(200 * 4) + aligned(10 * 4);
    ck_assert_int_eq(program_memory(&job.set.programs[0], MEMORY_PARAMETERS), parameters);
    ck_assert_int_eq(program_memory(&job.set.programs[0], MEMORY_GRADIENTS), parameters);
    ck_assert_int_eq(program_memory(&job.set.programs[0], MEMORY_OPTIMISER), parameters);
    job_destroy(&job);
}
END_TEST

// Per rank; in memory that processes share.
typedef struct {
    struct {
        int baseline, most, steps;
    } ranks[4];
} Counts;

static void count_allocations(void *context, Executor *e, int plan, int op) {
    Counts *c = context;
    if (e->step < 2) return;
    if (!c->ranks[e->rank].baseline) c->ranks[e->rank].baseline = allocations();
    int more = allocations() - c->ranks[e->rank].baseline;
    if (more > c->ranks[e->rank].most) c->ranks[e->rank].most = more;
    c->ranks[e->rank].steps = (int)e->step - 1;
}

START_TEST(nothing_is_allocated_after_the_first_step) {
    static const char *const devices[] = {"reference", device_traits_default};
    Counts *counts =
        mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(counts != MAP_FAILED);
    for (int k = 0; k < 24; k++) {
        static const Algorithm algorithms[] = {ALGORITHM_DIRECT, ALGORITHM_CHAIN, ALGORITHM_RING};
        Outcome run;
        JobOptions o = training_options();
        o.spec.device = devices[k & 1];
        o.spec.ranks = k < 4 ? 1 : 2 + k % 3;
        o.comm = (CommKind)(k / 2 % 3);
        o.spec.strategy.algorithm = algorithms[k / 4 % 3];
        o.spec.micro_batches = k & 1 ? 3 : 1;
        o.spans = k != 23;
        memset(counts, 0, sizeof *counts);
        ck_assert_ok(training_run(
            &run, &o, &(TrainingProbe){.context = counts, .before = count_allocations}));
        for (int r = 0; r < o.spec.ranks; r++) {
            ck_assert_int_gt(counts->ranks[r].baseline, 0);
            ck_assert_int_eq(counts->ranks[r].steps, 19);  // and the evaluation after step 20
            ck_assert_msg(counts->ranks[r].most == 0, "%d ranks, %s: rank %d allocated %d times",
                          o.spec.ranks, comm_kind_name(o.comm), r, counts->ranks[r].most);
        }
        outcome_finish(&run);
    }
}
END_TEST

START_TEST(a_run_in_this_process_leaves_its_cores_as_they_were) {
    cpu_set_t before, after;
    Outcome run;
    JobOptions o = training_options();
    o.steps = 1;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    ck_assert_ok(training_run(&run, &o, NULL));
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&before, &after));
    outcome_finish(&run);
}
END_TEST

// --- edited plans

enum { TEXT = 1 << 16 };

// The plan that `train --print-plan file` shows.
static void print_plan(const JobOptions *o, char out[TEXT]) {
    Job job;
    ProgramSet set;
    ck_assert_ok(job_create(&job, o));
    ck_assert_ok(job_spec_programs(&set, &o->spec, &job.model));
    FILE *f = fmemopen(out, TEXT, "w");
    ck_assert_ok(plan_text_print(&set, NONE, f));
    fclose(f);
    ck_assert_uint_lt(strlen(out), TEXT - 1);
    program_set_finish(&set);
    job_destroy(&job);
}

// Where the line of an operation begins, and where the next one does.
static char *line_of(char *text, const char *op, char **end) {
    char start[80];
    snprintf(start, sizeof start, "\n  %s ", op);
    char *at = strstr(text, start);
    ck_assert_msg(at != NULL, "no line of %s", op);
    *end = strchr(at + 1, '\n') + 1;
    return at + 1;
}

static void replace_line(char text[TEXT], const char *op, const char *lines) {
    static char rest[TEXT];
    char *end, *at = line_of(text, op, &end);
    snprintf(rest, sizeof rest, "%s", end);
    snprintf(at, (size_t)(text + TEXT - at), "%s%s", lines, rest);
}

static void swap_lines(char text[TEXT], const char *one, const char *other) {
    char first[512], second[512], *end, *at = line_of(text, one, &end);
    snprintf(first, sizeof first, "%.*s", (int)(end - at), at);
    at = line_of(text, other, &end);
    snprintf(second, sizeof second, "%.*s", (int)(end - at), at);
    replace_line(text, one, "\n  SWAPPED \n");
    replace_line(text, other, first);
    replace_line(text, "SWAPPED", second);
}

static Status run_plan(Outcome *out, const JobOptions *options, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/edited.plan", test_directory());
    FILE *f = fopen(path, "w");
    ck_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    JobOptions o = *options;
    o.spec.plan_file = path;
    return training_run(out, &o, NULL);
}

static JobOptions two_ranks(void) {
    JobOptions o = training_options();
    o.spec.ranks = 2;
    o.comm = COMM_SHM;
    o.spans = true;
    return o;
}

// What rank `rank` did in its k-th training step, in the order of the starts: the i-th operation.
static const StepRecord *step_of(const Outcome *o, int rank, int k) {
    const Timeline *t = &o->training.shared->results[rank].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == o->job.plan_step && k-- == 0) return &t->steps[i];
    ck_abort_msg("no such step");
}
static const Span *span_of(const Outcome *o, int rank, const StepRecord *s, const char *op) {
    const Timeline *t = &o->training.shared->results[rank].timeline;
    const Plan *plan = &o->job.set.programs[0].plans[s->plan];
    for (int i = 0; i < s->span_count; i++) {
        const Span *span = &t->spans[s->span_first + i];
        if (!strcmp(op_name(&o->job.set.programs[0], &plan->ops[span->op]), op)) return span;
    }
    return NULL;
}

// The plan as printed, unless `edit` changes it, with bits and spans of the strategy's.
static void check_same_bits(void (*edit)(char text[TEXT]), int more_spans) {
    static char text[TEXT];
    Outcome original, edited;
    JobOptions o = two_ranks();
    print_plan(&o, text);
    if (edit) edit(text);
    ck_assert_ok(training_run(&original, &o, NULL));
    ck_assert_ok(run_plan(&edited, &o, text));
    const char *d = outcome_difference(&original, &edited);
    ck_assert_msg(!d, "%s", d ? d : "");
    for (int r = 0; r < 2; r++)
        for (int k = 0; k < 20; k++)
            ck_assert_int_eq(step_of(&edited, r, k)->span_count,
                             step_of(&original, r, k)->span_count + more_spans);
    outcome_finish(&original);
    outcome_finish(&edited);
}

START_TEST(a_printed_plan_runs_as_it_did) { check_same_bits(NULL, 0); }
END_TEST

static void split_bucket(char text[TEXT]) {
    replace_line(text, "bucket0",
                 "  bucket0a all_reduce @data fc2.bias.grad <- fc2.bias.grad group=data "
                 "algorithm=direct order=rank phase=sync\n"
                 "  bucket0b all_reduce @data fc2.weight.grad fc1.bias.grad fc1.weight.grad <- "
                 "fc2.weight.grad fc1.bias.grad fc1.weight.grad group=data algorithm=chain "
                 "order=rank phase=sync\n");
}
START_TEST(a_bucket_split_in_two_gives_the_same_bits_and_one_more_span) {
    check_same_bits(split_bucket, 1);
}
END_TEST

static void swap_updates(char text[TEXT]) { swap_lines(text, "sgd.fc2.weight", "sgd.conv.bias"); }
START_TEST(swapped_operations_run_in_their_new_order) {
    static char text[TEXT];
    Outcome run;
    JobOptions o = two_ranks();
    check_same_bits(swap_updates, 0);
    print_plan(&o, text);
    for (int swapped = 0; swapped < 2; swapped++) {
        if (swapped) swap_updates(text);
        ck_assert_ok(run_plan(&run, &o, text));
        for (int k = 0; k < 20; k++) {
            const StepRecord *s = step_of(&run, 1, k);
            bool first = span_of(&run, 1, s, "sgd.conv.bias")->end_ps <=
                         span_of(&run, 1, s, "sgd.fc2.weight")->start_ps;
            ck_assert_int_eq(first, swapped);
        }
        outcome_finish(&run);
    }
}
END_TEST

START_TEST(a_parameter_whose_update_was_removed_keeps_its_initial_value) {
    static char text[TEXT];
    Outcome run;
    JobOptions o = two_ranks();
    print_plan(&o, text);
    replace_line(text, "sgd.fc1.weight", "");
    ck_assert_ok(run_plan(&run, &o, text));
    const char *const names[] = {"fc1.weight", "fc2.weight", "conv.bias"};
    const Program *p = &run.job.set.programs[0];
    for (int i = 0; i < 3; i++) {
        static float initial[960];
        int tensor = program_find_tensor(p, names[i]);
        model_initialise(p, p->tensors[tensor].logical, o.spec.seed, DTYPE_F32, initial);
        for (int r = 0; r < 2; r++)
            ck_assert_int_eq(memcmp(outcome_tensor(&run, r, names[i]), initial,
                                    (size_t)p->tensors[tensor].bytes) == 0,
                             i == 0);
    }
    ck_assert_ptr_null(span_of(&run, 0, step_of(&run, 0, 3), "sgd.fc1.weight"));
    outcome_finish(&run);
}
END_TEST

START_TEST(an_edit_that_cannot_run_is_refused_with_the_operation_at_fault) {
    static char text[TEXT];
    Outcome run;
    JobOptions o = two_ranks();
    print_plan(&o, text);
    replace_line(text, "bucket1", "");
    ck_assert_fails(run_plan(&run, &o, text), ERR_PLAN,
                    "sgd.conv.weight: conv.weight.grad is P+ along data");
    print_plan(&o, text);
    swap_lines(text, "fc1.forward", "relu2.forward");
    ck_assert_fails(run_plan(&run, &o, text), ERR_PLAN,
                    "relu2.forward: reads fc1.y before any operation wrote it");
    print_plan(&o, text);
    replace_line(text, "relu1.forward", "");
    ck_assert_fails(run_plan(&run, &o, text), ERR_PLAN, "pool1.forward: reads relu1.y");
}
END_TEST

// --- spans

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_coverage(const Outcome *run, int rank) {
    enum { MOST = 64 };
    double coverage[MOST];
    const Timeline *t = &run->training.shared->results[rank].timeline;
    int count = 0;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == run->job.plan_step && t->steps[i].step > 0)
            coverage[count++] = timeline_coverage(t, &t->steps[i]);
    qsort(coverage, (size_t)count, sizeof *coverage, by_value);
    ck_assert_int_eq(count, 19);
    ck_assert_msg(coverage[count / 2] >= 0.97,
                  "%d ranks: spans cover %.2f %% of rank %d's step (median; %.2f to %.2f)",
                  run->job.options.spec.ranks, 100 * coverage[count / 2], rank, 100 * coverage[0],
                  100 * coverage[count - 1]);
}

START_TEST(spans_cover_97_percent_of_a_step_of_the_net) {
    for (int ranks = 1; ranks <= 2; ranks++) {
        Outcome run;
        JobOptions o = training_options();
        o.spec.model = "net";
        o.data = "digits:count=1000";
        o.spec.batch = 64;
        o.spec.ranks = ranks;
        o.comm = COMM_SHM;
        o.spans = true;
        ck_assert_ok(training_run(&run, &o, NULL));
        for (int r = 0; r < ranks; r++) check_coverage(&run, r);
        outcome_finish(&run);
    }
}
END_TEST

// Each operation once, inside its step, after what it depends on, and after the one before it on
// its lane; a collective ends nowhere before it has begun everywhere.
static void check_step_spans(const Outcome *run, int rank, const StepRecord *s) {
    enum { OPS = 256 };
    const Span *of[OPS] = {0}, *last[16] = {0};
    const RankResult *results = run->training.shared->results;
    const Timeline *t = &results[rank].timeline;
    const Program *p = &run->job.set.programs[0];
    const Plan *plan = &p->plans[s->plan];
    ck_assert(s->complete);
    ck_assert_int_eq(s->span_count, plan->op_count);
    for (int i = 0; i < s->span_count; i++) {
        const Span *span = &t->spans[s->span_first + i];
        ck_assert_ptr_null(of[span->op]);
        of[span->op] = span;
        ck_assert_int_ge(span->start_ps, s->start_ps);
        ck_assert_int_ge(span->end_ps, span->start_ps);
        ck_assert_int_le(span->end_ps, s->end_ps);
        ck_assert_int_le(span->wait_ns * 1000, span->end_ps - span->start_ps);
        ck_assert_int_eq(span->lane, plan->ops[span->op].lane);
    }
    for (int op = 0; op < plan->op_count; op++) {
        const Op *o = &plan->ops[op];
        for (int d = 0; d < o->dep_count; d++) {
            const Dep *dep = &plan->deps[o->dep_first + d];
            if (dep->distance == 0) ck_assert_int_ge(of[op]->start_ps, of[dep->op]->end_ps);
        }
        if (last[o->lane]) ck_assert_int_ge(of[op]->start_ps, last[o->lane]->end_ps);
        last[o->lane] = of[op];
        if (p->lanes[o->lane].kind != LANE_COMMUNICATION) continue;
        for (int r = 0; r < run->job.options.spec.ranks; r++) {
            const Timeline *peer = &results[r].timeline;
            const StepRecord *theirs = &peer->steps[s - t->steps];
            for (int i = 0; i < theirs->span_count; i++)
                if (peer->spans[theirs->span_first + i].op == op)
                    ck_assert_int_ge(of[op]->end_ps, peer->spans[theirs->span_first + i].start_ps);
        }
    }
}

static void check_breakdowns(const Outcome *run, const Timeline *t, const StepRecord *s) {
    int64_t times[TIME_COUNT], duration = s->end_ps - s->start_ps, sum = 0;
    timeline_breakdown(&run->job.set.programs[0], t, s, times);
    for (int b = 0; b < TIME_COUNT; b++) {
        ck_assert_int_ge(times[b], 0);
        sum += times[b];
    }
    ck_assert_int_eq(sum, duration);
    ck_assert_close(times[TIME_IDLE], (1 - timeline_coverage(t, s)) * (double)duration,
                    1 + 1e-12 * (double)duration);
    ck_assert_int_eq(times[TIME_BUBBLE], 0);  // nothing is received
}

START_TEST(spans_obey_lanes_and_dependencies_and_categories_sum_to_the_step) {
    for (int k = 0; k < 8; k++) {
        Outcome run;
        uint64_t seed = (uint64_t)k;
        JobOptions o = training_options();
        o.spec.ranks = 1 + k % 4;
        o.comm = k < 4 ? COMM_SHM : COMM_THREAD;
        o.spec.micro_batches = 1 + k % 2;
        o.spec.strategy.bucket_bytes[0] = 900;
        o.spec.strategy.no_overlap = k == 5;
        o.spans = true;
        ck_assert_ok(
            training_run(&run, &o, &(TrainingProbe){.context = &seed, .before = training_delay}));
        for (int r = 0; r < o.spec.ranks; r++) {
            const Timeline *t = &run.training.shared->results[r].timeline;
            ck_assert_int_eq(t->dropped, 0);
            for (int i = 0; i < t->step_count; i++) {
                if (i) ck_assert_int_eq(t->steps[i].start_ps, t->steps[i - 1].end_ps);
                check_step_spans(&run, r, &t->steps[i]);
                check_breakdowns(&run, t, &t->steps[i]);
            }
        }
        outcome_finish(&run);
    }
}
END_TEST

START_TEST(recording_changes_no_bit) {
    for (int comm = COMM_THREAD; comm <= COMM_SHM; comm++) {
        Outcome bare, traced;
        JobOptions o = training_options();
        o.spec.ranks = 2;
        o.comm = (CommKind)comm;
        ck_assert_ok(training_run(&bare, &o, NULL));
        char directory[256];
        snprintf(directory, sizeof directory, "%s", test_directory());
        o.spans = true;
        o.trace = o.record = directory;
        o.record_first = 2;
        o.record_last = 4;
        ck_assert_ok(training_run(&traced, &o, NULL));
        const char *d = outcome_difference(&bare, &traced);
        ck_assert_msg(!d, "%s", d ? d : "");
        outcome_finish(&bare);
        outcome_finish(&traced);
    }
}
END_TEST

SUITE("run", planned_bytes_are_allocated_bytes,
      the_planned_bytes_of_a_small_network_are_those_of_its_tensors,
      nothing_is_allocated_after_the_first_step,
      a_run_in_this_process_leaves_its_cores_as_they_were, a_printed_plan_runs_as_it_did,
      a_bucket_split_in_two_gives_the_same_bits_and_one_more_span,
      swapped_operations_run_in_their_new_order,
      a_parameter_whose_update_was_removed_keeps_its_initial_value,
      an_edit_that_cannot_run_is_refused_with_the_operation_at_fault,
      spans_cover_97_percent_of_a_step_of_the_net,
      spans_obey_lanes_and_dependencies_and_categories_sum_to_the_step, recording_changes_no_bit)
