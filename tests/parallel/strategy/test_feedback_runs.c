// SPDX-License-Identifier: MIT
// Runs that compress gradients with error feedback: ranks equal shards, errors included; a run that
// is resumed, on other ranks or with other shards; and a step that does not count.
#include "tests/support/saved_run.h"

#define MATRIX "fc1.weight.grad"

static JobOptions options(Compress form, double number, int ranks, int shards) {
    JobOptions o = training_options();
    o.spec.ranks = ranks;
    o.spec.shards = shards;
    o.spec.strategy.compress = (OptionForm){(int)form, number};
    o.spec.strategy.bucket_bytes[0] = 1000;
    return o;
}

// --- ranks and shards; a file has the errors of all shards

static const OptionForm forms[] = {{COMPRESS_POWERSGD, 2}, {COMPRESS_TOPK, 0.05}};

static void vary(JobOptions *o, int k) {
    static const int64_t caps[][2] = {{4096, 32768}, {0, 0}, {1 << 30, 1 << 30}};
    memcpy(o->spec.strategy.bucket_bytes, caps[k % 3], sizeof caps[0]);
    o->comm = (CommKind)(k % COMM_KINDS);
    o->spec.strategy.no_overlap = k % 5 == 1;
}

START_TEST(ranks_equal_shards_with_their_errors) {
    name_files();
    for (int k = 0; k < 8; k++) {
        int ranks = 2 + k % 3, shards = k == 3 ? 4 : ranks;
        JobOptions o = options(forms[k % 2].word, forms[k % 2].number, 1, shards);
        o.steps = 5;
        o.spec.device = k / 2 % 2 ? "reference" : "cpu";
        o.spec.dtype = k / 4 ? DTYPE_F64 : DTYPE_F32;
        o.spec.micro_batches = 1 + (k == 2 || k == 7) * 2;
        o.spec.optimizer.momentum = 0.9;
        o.spec.optimizer.clip = k % 4 == 1 ? 0.5 : 0;
        o.spec.on_nan = k % 4 == 2 ? ON_NAN_SKIP : ON_NAN_STOP;
        o.save = whole;
        run(&o);
        for (int i = 0; i < 2; i++) {
            char what[64];
            o.spec.ranks = i && shards == 4 ? 2 : ranks;
            o.save = part;
            vary(&o, k + i);
            run(&o);
            snprintf(what, sizeof what, "case %d, run %d", k, i);
            assert_same_bytes(whole, part, what);
        }
    }
}
END_TEST

// Eighteen shards on a rank: their lists are more than an operation takes.
START_TEST(many_shards_may_lie_on_a_rank) {
    name_files();
    for (int k = 0; k < 2; k++) {
        JobOptions o = options(forms[k].word, forms[k].number, 1, 18);
        o.steps = 2;
        o.save = whole;
        run(&o);
        o.spec.ranks = 2;
        o.save = part;
        run(&o);
        assert_same_bytes(whole, part, "18 shards");
    }
}
END_TEST

START_TEST(a_resumed_run_equals_one_that_was_not_stopped) {
    static const int ranks[][2] = {{4, 4}, {4, 2}, {1, 4}};
    name_files();
    for (int k = 0; k < 6; k++) {
        JobOptions o = options(forms[k % 2].word, forms[k % 2].number, 4, 4);
        o.spec.optimizer.momentum = 0.9;
        o.steps = 8;
        o.save = whole;
        run(&o);
        o.spec.ranks = ranks[k / 2][0];
        o.save = part;
        o.steps = 5;
        run(&o);
        o.spec.ranks = ranks[k / 2][1];
        o.resume = part;
        o.save = resumed;
        o.steps = 8;
        run(&o);
        assert_same_bytes(whole, resumed, "resumed");
    }
}
END_TEST

static void check_first(void *context, Executor *e) {
    static float got[MOST];
    const SafetensorsEntry *want = context;
    const float *of_all = want->data;
    ck_assert_ok(executor_read(e, program_find_tensor(e->program, MATRIX ".error"), got));
    int64_t row = safetensors_bytes(want) / 4 / want->shape[0];
    for (int64_t i = 0; i < row; i++) {
        float sum = 0;
        for (int64_t s = 0; s < want->shape[0]; s++) sum += of_all[s * row + i];
        ck_assert(got[i] == sum && got[row + i] == 0);
    }
}

// With another number of shards none of what was not sent is lost.
START_TEST(other_shards_go_on_with_the_sum_of_the_errors) {
    Arena a = {0};
    Safetensors s;
    Outcome out;
    name_files();
    JobOptions o = options(COMPRESS_TOPK, 0.05, 4, 4);
    o.steps = 3;
    o.save = part;
    run(&o);
    ck_assert_ok(safetensors_read(&s, &a, part));
    SafetensorsEntry e = *safetensors_find(&s, MATRIX ".error");
    ck_assert_int_eq(e.shape[0], 4);
    o.spec.ranks = 1;
    o.spec.shards = 2;
    o.steps = 4;
    o.save = NULL;
    o.resume = part;
    ck_assert_ok(training_run(&out, &o, &(TrainingProbe){.context = &e, .ready = check_first}));
    bool said = false;
    for (int i = 0; i < out.job.restore.note_count; i++)
        said = said || strstr(out.job.restore.notes[i], "of 4 shards is added up and goes to the "
                                                        "first of 2");
    ck_assert(said);
    outcome_finish(&out);
    arena_finish(&a);
}
END_TEST

// --- a step that does not count leaves no trace

enum { BAD_STEP = 3 };
static void spoil(void *context, Executor *e, int plan, int op) {
    const char *name = op_name(e->program, &e->program->plans[plan].ops[op]);
    if (e->rank || e->step != BAD_STEP || strcmp(name, "feed_error." MATRIX)) return;
    *(float *)executor_data(e, program_find_tensor(e->program, MATRIX)) = (float)NAN;
}

START_TEST(a_skipped_step_keeps_errors_and_factors) {
    name_files();
    for (int k = 0; k < 4; k++) {
        Outcome got;
        Arena a = {0};
        Safetensors before, after;
        JobOptions o = options(forms[k % 2].word, forms[k % 2].number, k < 2 ? 1 : 3, 3);
        o.spec.on_nan = ON_NAN_SKIP;
        o.test_fraction = 0;
        o.steps = BAD_STEP;
        o.save = whole;
        run(&o);
        o.steps = BAD_STEP + 1;
        o.save = part;
        ck_assert_ok(training_run(&got, &o, &(TrainingProbe){.before = spoil}));
        const Timeline *t = &got.training.shared->results[0].timeline;
        ck_assert(t->steps[t->step_count - 1].skipped && !t->steps[t->step_count - 2].skipped);
        ck_assert_ok(safetensors_read(&before, &a, whole));
        ck_assert_ok(safetensors_read(&after, &a, part));
        ck_assert_int_eq(before.count, after.count);
        for (int i = 0; i < before.count; i++) {
            const SafetensorsEntry *e = &before.entries[i], *f = safetensors_find(&after, e->name);
            ck_assert_msg(!memcmp(e->data, f->data, (size_t)safetensors_bytes(e)), "%s", e->name);
        }
        arena_finish(&a);
        outcome_finish(&got);
    }
}
END_TEST

SUITE_SECONDS("feedback_runs", 60, ranks_equal_shards_with_their_errors,
              many_shards_may_lie_on_a_rank, a_resumed_run_equals_one_that_was_not_stopped,
              other_shards_go_on_with_the_sum_of_the_errors,
              a_skipped_step_keeps_errors_and_factors)
