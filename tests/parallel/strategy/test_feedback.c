// SPDX-License-Identifier: MIT
// Gradients as factors of low rank and as their largest elements: what arrives against plain
// arithmetic, with mistakes that must be seen; what it costs; and that it trains.
#include "core/report/report.h"
#include "parallel/strategy/footprint.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static JobOptions options(Compress form, double number, int ranks, int shards) {
    JobOptions o = training_options();
    o.spec.ranks = ranks;
    o.spec.shards = shards;
    o.spec.strategy.compress = (OptionForm){(int)form, number};
    o.spec.strategy.bucket_bytes[0] = 1000;
    return o;
}

// --- against plain arithmetic: one matrix, all of whose shards are watched

#define MATRIX "fc1.weight.grad"
enum { SHARDS = 3, ELEMENTS = 8192, COLUMNS = 2 };

typedef struct {
    const char *without;  // operations of this name's beginning are left out; NULL: none
    bool forgets, divides;
    Compress form;
    int64_t N, M, K;
    double gradient[SHARDS][ELEMENTS], error[SHARDS][ELEMENTS], sum[ELEMENTS];
    double q[ELEMENTS];
    double worst;  // of what arrived, beside the largest element
    int sums;
} Watch;

static void read_f64(Executor *e, const char *name, double *out) {
    int t = program_find_tensor(e->program, name);
    ck_assert_msg(t != NONE, "no tensor %s", name);
    ck_assert_int_le(tensor_elements(&e->program->tensors[t]), ELEMENTS);
    ck_assert_ok(executor_read(e, t, out));
}

// Columns of y (n, COLUMNS) become orthonormal.
static void orthonormal(double *y, int64_t n) {
    for (int c = 0; c < COLUMNS; c++) {
        double square = 0;
        for (int b = 0; b < c; b++) {
            double part = 0;
            for (int64_t i = 0; i < n; i++) part += y[i * COLUMNS + b] * y[i * COLUMNS + c];
            for (int64_t i = 0; i < n; i++) y[i * COLUMNS + c] -= part * y[i * COLUMNS + b];
        }
        for (int64_t i = 0; i < n; i++) square += y[i * COLUMNS + c] * y[i * COLUMNS + c];
        for (int64_t i = 0; i < n; i++) y[i * COLUMNS + c] /= sqrt(square);
    }
}

// Algorithm 1 of the paper, of a sum: the right factor stays as it is from step to step.
static void factors_by_hand(Watch *w) {
    static double p[ELEMENTS], q[SHARDS][ELEMENTS];
    int64_t N = w->N, M = w->M;
    memset(p, 0, sizeof p);
    memset(q, 0, sizeof q);
    for (int s = 0; s < SHARDS; s++)
        for (int64_t i = 0; i < N * M; i++)
            for (int c = 0; c < COLUMNS; c++)
                p[i / M * COLUMNS + c] += w->error[s][i] * w->q[i % M * COLUMNS + c];
    orthonormal(p, N);
    memset(w->q, 0, sizeof w->q);
    for (int s = 0; s < SHARDS; s++) {
        for (int64_t i = 0; i < N * M; i++)
            for (int c = 0; c < COLUMNS; c++)
                q[s][i % M * COLUMNS + c] += w->error[s][i] * p[i / M * COLUMNS + c];
        for (int64_t i = 0; i < M * COLUMNS; i++) w->q[i] += q[s][i];
        for (int64_t i = 0; i < N * M; i++)
            for (int c = 0; c < COLUMNS; c++) {
                double part = p[i / M * COLUMNS + c] * q[s][i % M * COLUMNS + c];
                w->error[s][i] -= part;
                w->sum[i] += part;
            }
    }
}

static const double *sorted;
static int by_size(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    double x = fabs(sorted[a]), y = fabs(sorted[b]);
    return x != y ? (x < y) - (x > y) : (a > b) - (a < b);
}

static void largest_by_hand(Watch *w) {
    static int64_t order[ELEMENTS];
    for (int s = 0; s < SHARDS; s++) {
        for (int64_t i = 0; i < w->N * w->M; i++) order[i] = i;
        sorted = w->error[s];
        qsort(order, (size_t)(w->N * w->M), sizeof *order, by_size);
        for (int64_t k = 0; k < w->K; k++) {
            w->sum[order[k]] += w->error[s][order[k]];
            w->error[s][order[k]] = 0;
        }
    }
}

// All shards have brought theirs: what must come out, and what is left.
static void expect_sum(Watch *w) {
    memset(w->sum, 0, sizeof w->sum);
    for (int s = 0; s < SHARDS; s++)
        for (int64_t i = 0; i < w->N * w->M; i++) w->error[s][i] += w->gradient[s][i];
    if (w->form == COMPRESS_TOPK)
        largest_by_hand(w);
    else
        factors_by_hand(w);
}

static void check_sum(Watch *w, Executor *e, int t) {
    static double got[ELEMENTS];
    double most = 0, apart = 0;
    if (w->sums % SHARDS == 0) expect_sum(w);  // the first rank that comes
    ck_assert_ok(executor_read(e, t, got));
    for (int64_t i = 0; i < w->N * w->M; i++) {
        most = fmax(most, fabs(w->sum[i]));
        apart = fmax(apart, fabs((w->divides ? got[i] / SHARDS : got[i]) - w->sum[i]));
    }
    ck_assert(most > 0);
    w->worst = fmax(w->worst, apart / most);
    w->sums++;
}

static void forget(Executor *e) {
    static const double zero[SHARDS * ELEMENTS];
    ck_assert_ok(executor_write(e, program_find_tensor(e->program, MATRIX ".error"), zero));
}

static void watch(void *context, Executor *e, int plan, int op) {
    Watch *w = context;
    const Plan *p = &e->program->plans[plan];
    const Op *o = &p->ops[op];
    const char *name = op_name(e->program, o);
    bool feeds = !w->without || strcmp(w->without, "feed_error") != 0;
    if (!strcmp(name, feeds ? "feed_error." MATRIX : "top_k." MATRIX)) {
        if (w->forgets) forget(e);
        if (!e->step && w->form == COMPRESS_POWERSGD) read_f64(e, MATRIX ".factor", w->q);
        read_f64(e, MATRIX, w->gradient[e->rank]);
    }
    if (!strcmp(name, "sgd.fc1.weight")) check_sum(w, e, op_inputs(p, o)[0]);
}

static void leave_out(void *context, Job *job) {
    const Watch *w = context;
    Plan *step = &job->set.programs[0].plans[job->plan_step];
    uint8_t keep[512];
    int left = 0;
    if (!w->without) return;
    for (int i = 0; i < step->op_count; i++) {
        const char *name = op_name(&job->set.programs[0], &step->ops[i]);
        keep[i] = strncmp(name, w->without, strlen(w->without)) != 0;
        left += !keep[i];
    }
    ck_assert_int_gt(left, 0);
    ck_assert_ok(plan_select(step, NULL, keep));
}

// How far what arrives is from arithmetic, or 1 where ranks end with different weights.
static double apart(Watch *w, const JobOptions *like, const char *device) {
    Outcome out;
    JobOptions o = *like;
    o.spec.dtype = DTYPE_F64;
    o.spec.device = device;
    o.steps = 6;
    o.test_fraction = 0;
    w->form = (Compress)o.spec.strategy.compress.word;
    w->N = 20;
    w->M = 48;
    Status s =
        training_run(&out, &o, &(TrainingProbe){.context = w, .edit = leave_out, .before = watch});
    if (s == ERR_FAILED && strstr(status_message(), "end with different values of")) return 1;
    ck_assert_ok(s);
    ck_assert_int_eq(w->sums, 6 * SHARDS);
    outcome_finish(&out);
    return w->worst;
}

START_TEST(what_arrives_is_what_the_paper_says) {
    static const char *const devices[] = {"reference", "cpu"};
    for (int d = 0; d < 2; d++) {
        static Watch factors, largest;
        factors = (Watch){0};
        largest = (Watch){.K = 19};  // of 960, two hundredths
        JobOptions o = options(COMPRESS_POWERSGD, COLUMNS, SHARDS, SHARDS);
        ck_assert_double_lt(apart(&factors, &o, devices[d]), 1e-9);
        o = options(COMPRESS_TOPK, 0.02, SHARDS, SHARDS);
        ck_assert_double_lt(apart(&largest, &o, devices[d]), 1e-12);
    }
}
END_TEST

static void check_seen(Watch w, Compress form, double number) {
    static Watch at;
    at = w;
    at.K = 19;
    JobOptions o = options(form, number, SHARDS, SHARDS);
    ck_assert_double_gt(apart(&at, &o, "cpu"), 1e-3);
}

START_TEST(an_error_that_is_not_fed_back_is_seen) {
    check_seen((Watch){.without = "feed_error"}, COMPRESS_TOPK, 0.02);
}
END_TEST
START_TEST(an_error_that_is_not_kept_is_seen) {
    check_seen((Watch){.without = "keep_error"}, COMPRESS_POWERSGD, COLUMNS);
    check_seen((Watch){.without = "keep_error"}, COMPRESS_TOPK, 0.02);
}
END_TEST
START_TEST(an_error_that_does_not_reach_the_next_step_is_seen) {
    check_seen((Watch){.forgets = true}, COMPRESS_POWERSGD, COLUMNS);
    check_seen((Watch){.forgets = true}, COMPRESS_TOPK, 0.02);
}
END_TEST
START_TEST(a_factor_that_begins_anew_in_every_step_is_seen) {
    check_seen((Watch){.without = "orthogonalise." MATRIX ".factor"}, COMPRESS_POWERSGD, COLUMNS);
}
END_TEST
START_TEST(a_right_factor_of_each_rank_alone_is_seen) {
    check_seen((Watch){.without = "bucket0.right"}, COMPRESS_POWERSGD, COLUMNS);
}
END_TEST
START_TEST(a_sum_that_is_divided_is_seen) {
    check_seen((Watch){.divides = true}, COMPRESS_POWERSGD, COLUMNS);
    check_seen((Watch){.divides = true}, COMPRESS_TOPK, 0.02);
}
END_TEST
START_TEST(one_element_more_or_less_is_seen) {
    check_seen((Watch){0}, COMPRESS_TOPK, 20 / 960.0);
    check_seen((Watch){0}, COMPRESS_TOPK, 18 / 960.0);
}
END_TEST

// --- everything is sent

static const OptionForm forms[] = {{COMPRESS_POWERSGD, 2}, {COMPRESS_TOPK, 0.05}};

START_TEST(all_elements_and_factors_that_would_be_no_smaller_change_no_bit) {
    Outcome none, all;
    JobOptions o = options(COMPRESS_NONE, 0, 3, 3);
    o.steps = 6;
    ck_assert_ok(training_run(&none, &o, NULL));
    for (int k = 0; k < 2; k++) {
        o.spec.strategy.compress = (OptionForm){k ? COMPRESS_TOPK : COMPRESS_POWERSGD, k ? 1 : 500};
        ck_assert_ok(training_run(&all, &o, NULL));
        const char *d = outcome_result_difference(&none, &all);
        ck_assert_msg(!d, "%s: %s", k ? "topk" : "powersgd", d ? d : "");
        outcome_finish(&all);
    }
    outcome_finish(&none);
}
END_TEST

// --- what it costs

// What is reduced and gathered, by hand: vectors, factors of N + M rows, and pairs.
static int64_t reduced_by_hand(const Model *m, const OptionForm *form, int64_t *pairs) {
    int64_t sum = *pairs = 0;
    for (int i = 0; i < m->layer_count; i++)
        for (int k = 0; k < m->layers[i].parameter_count; k++) {
            const LayerParameter *p = &m->layers[i].parameters[k];
            int64_t elements = 1, rank = (int64_t)form->number;
            for (int d = 0; d < p->dims; d++) elements *= p->shape[d];
            int64_t rows = p->shape[0] + elements / p->shape[0];
            if (p->dims == 1)
                sum += elements;
            else if (form->word == COMPRESS_TOPK)
                *pairs += (int64_t)(form->number * (double)elements + 0.5);
            else
                sum += rank * rows < elements ? rank * rows : elements;
        }
    return sum;
}

// What a report says that each rank brings to the communication of a step.
static void check_report(const Outcome *o, int64_t want) {
    Arena a = {0};
    Report r = {0};
    const Program *programs[4];
    const Timeline *timelines[4];
    int ranks = o->job.options.spec.ranks;
    for (int i = 0; i < ranks; i++) {
        programs[i] = &o->job.set.programs[0];
        timelines[i] = &o->training.shared->results[i].timeline;
    }
    ck_assert_ok(report_from_timelines(&r, &a, programs, timelines, ranks));
    for (int i = 0; i < ranks; i++) ck_assert_int_eq(r.comm_bytes[i], want);
    arena_finish(&a);
}

START_TEST(bytes_are_those_of_factors_and_of_pairs) {
    for (int k = 0; k < 2; k++)
        for (int ranks = 2; ranks <= 4; ranks++) {
            Outcome out;
            JobOptions o = options(forms[k].word, forms[k].number, ranks, ranks);
            int64_t pairs, reduced = 0, gathered = 0;
            o.steps = 3;
            o.test_fraction = 0;
            ck_assert_ok(training_run(&out, &o, NULL));
            const Program *p = &out.job.set.programs[0];
            const Plan *step = &p->plans[out.job.plan_step];
            int64_t want = reduced_by_hand(&out.job.model, &forms[k], &pairs);
            for (int i = 0; i < step->op_count; i++) {
                const Work *w = op_work(p, &step->ops[i]);
                if (w->kind == KIND_ALL_REDUCE && w->dtype == DTYPE_F32)
                    reduced += w->payload_bytes;
                if (w->kind == KIND_ALL_GATHER) gathered += w->payload_bytes;
            }
            ck_assert_int_eq(reduced, 4 * want);
            ck_assert_int_eq(gathered, 8 * pairs);
            double share = (ranks - 1.0) / ranks;
            double sent = (2 * 4.0 * (double)want + 8.0 * (double)pairs * ranks) * share;
            ck_assert_close(footprint_planned(p, NONE).sent, sent, 1e-9 * sent);
            check_report(&out, 4 * want + 8 * pairs + 16);  // and the loss
            outcome_finish(&out);
        }
}
END_TEST

// The norm that clips is that of the sums that arrived.
START_TEST(what_arrived_is_clipped) {
    for (int k = 0; k < 2; k++) {
        Outcome out;
        int squares = 0;
        JobOptions o = options(forms[k].word, forms[k].number, 2, 2);
        o.spec.optimizer.clip = 1;
        o.steps = 1;
        ck_assert_ok(training_run(&out, &o, NULL));
        const Program *p = &out.job.set.programs[0];
        const Plan *step = &p->plans[out.job.plan_step];
        for (int i = 0; i < step->op_count; i++) {
            if (op_kind(p, &step->ops[i]) != KIND_SQUARE_SUMS) continue;
            const char *name = tensor_name(p, op_inputs(step, &step->ops[i])[0]);
            if (!strncmp(name, MATRIX, strlen(MATRIX))) {
                ck_assert_str_eq(name, MATRIX ".reduced");
                squares++;
            }
        }
        ck_assert_int_eq(squares, 1);
        outcome_finish(&out);
    }
}
END_TEST

// --- it trains

static double last_loss(const JobOptions *o, const char *without) {
    static Watch w;
    Outcome out;
    w = (Watch){.without = without};
    ck_assert_ok(training_run(&out, o, &(TrainingProbe){.context = &w, .edit = leave_out}));
    const RankResult *r = &out.training.shared->results[0];
    double loss = r->evaluations[r->evaluation_count - 1].loss;
    outcome_finish(&out);
    return loss;
}

START_TEST(with_feedback_it_trains_nearly_as_well_and_without_it_does_not) {
    JobOptions o = options(COMPRESS_NONE, 0, 1, 2);
    o.spec.model = "net";
    o.data = "digits:count=1000";
    o.spec.batch = 16;
    o.steps = 200;
    o.spec.optimizer.momentum = 0;
    double none = last_loss(&o, NULL);
    for (int k = 0; k < 2; k++) {
        o.spec.strategy.compress =
            (OptionForm){k ? COMPRESS_TOPK : COMPRESS_POWERSGD, k ? 0.01 : 2};
        double with = last_loss(&o, NULL), without = last_loss(&o, "feed_error");
        ck_assert_msg(with < 1.25 * none && without > 2 * none,
                      "%s: %g without compression, %g with feedback, %g without it",
                      k ? "topk" : "powersgd", none, with, without);
    }
}
END_TEST

START_TEST(numbers_that_mean_nothing_and_zero_are_refused) {
    JobSpec s = job_spec_default();
    s.ranks = 2;
    s.strategy.compress = (OptionForm){COMPRESS_POWERSGD, 1.5};
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "powersgd:1.5: a rank is a whole number of 1");
    s.strategy.compress.number = 1025;
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "of 1 to 1024");
    s.strategy.compress = (OptionForm){COMPRESS_TOPK, 1.01};
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "topk:1.01: a fraction of the elements is 1");
    s.strategy.compress.number = 1;
    ck_assert_ok(job_spec_check(&s));
    s.strategy.zero = 2;
    ck_assert_fails(job_spec_check(&s), ERR_USAGE, "--compress topk compresses the all-reduces");
}
END_TEST

SUITE_SECONDS("feedback", 60, what_arrives_is_what_the_paper_says,
              an_error_that_is_not_fed_back_is_seen, an_error_that_is_not_kept_is_seen,
              an_error_that_does_not_reach_the_next_step_is_seen,
              a_factor_that_begins_anew_in_every_step_is_seen,
              a_right_factor_of_each_rank_alone_is_seen, a_sum_that_is_divided_is_seen,
              one_element_more_or_less_is_seen,
              all_elements_and_factors_that_would_be_no_smaller_change_no_bit,
              bytes_are_those_of_factors_and_of_pairs, what_arrived_is_clipped,
              with_feedback_it_trains_nearly_as_well_and_without_it_does_not,
              numbers_that_mean_nothing_and_zero_are_refused)
