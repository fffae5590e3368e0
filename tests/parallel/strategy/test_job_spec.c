// SPDX-License-Identifier: MIT
// A job through its options, a description and back.
#include "core/base/arena.h"
#include "core/cli/option_value.h"
#include "parallel/strategy/job_rows.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    JobSpec job;
} Values;

static const Option rows[] = {JOB_ROWS(Values)};
enum { ROWS = sizeof rows / sizeof *rows };
static const OptionTable table = {.program = "job", .options = rows, .option_count = ROWS};

static Arena arena;  // finished by each test

// Another value than the default, as it would be typed.
static const char *other_value(const Option *o) {
    static char text[64];
    switch (o->kind) {
    case OPTION_FLAG: return "yes";
    case OPTION_CHOICE: return strrchr(o->value, '|') ? strrchr(o->value, '|') + 1 : o->value;
    case OPTION_STRING: return "another.name";
    case OPTION_PAIR: return "7,9";
    case OPTION_FORM:
        return !strcmp(o->name, "compress")   ? "topk:0.25"
               : !strcmp(o->name, "schedule") ? "interleaved:4"
                                              : "constant:4";
    case OPTION_REAL: return "0.3";
    default: snprintf(text, sizeof text, "%d", 6); return text;
    }
}

static JobSpec changed(const Option *o) {
    Values v = {.job = job_spec_default()};
    ck_assert_ok(option_set(o, &v, other_value(o)));
    v.job.ranks = 2 * job_spec_model_ranks(&v.job);  // so that what goes on between ranks is said
    return v.job;
}

static void check_equal(const JobSpec *a, const JobSpec *b, const char *changed_option) {
    for (int i = 0; i < ROWS; i++) {
        char x[OPTION_VALUE], y[OPTION_VALUE];
        ck_assert_msg(
            !strcmp(option_print_value(x, &rows[i], a), option_print_value(y, &rows[i], b)),
            "with another --%s, --%s comes back as \"%s\", not \"%s\"", changed_option,
            rows[i].name, y, x);
    }
    ck_assert_int_eq(a->ranks, b->ranks);
}

// Whatever row is added: a job with another value of it is the same job after a trace.
START_TEST(every_option_comes_back_from_a_description) {
    for (int i = 0; i < ROWS; i++) {
        RunInfo run;
        JobSpec before = changed(&rows[i]), after;
        before.mesh.data = 0;  // a trace says the ranks, from which it follows
        if (rows[i].marks & (JOB_OF_ADAM | JOB_OF_ADAMW)) before.optimizer.kind = OPTIMIZER_ADAMW;
        if (rows[i].marks & JOB_OF_STEP) before.schedule = RATE_STEP;
        if (rows[i].marks & JOB_OF_COSINE) before.schedule = RATE_COSINE;
        if (rows[i].marks & JOB_OF_PIPELINE) before.mesh.pipe = 2;
        ck_assert_ok(job_spec_describe(&run, &arena, &before, NULL, 0));
        ck_assert_ok(job_spec_recorded(&after, &run));
        check_equal(&before, &after, rows[i].name);
    }
    arena_finish(&arena);
}
END_TEST

START_TEST(every_option_that_is_given_changes_another_job_and_nothing_else) {
    for (int i = 0; i < ROWS; i++) {
        char name[64], value[64];
        snprintf(name, sizeof name, "--%s", rows[i].name);
        snprintf(value, sizeof value, "%s", other_value(&rows[i]));
        char *argv[] = {"job", name, value};
        OptionLine line;
        Values v;
        ck_assert_ok(
            option_parse(&line, &v, &arena, &table, rows[i].kind == OPTION_FLAG ? 2 : 3, argv));
        ck_assert_ptr_eq(option_given_marked(&line, JOB_OPTION), &rows[i]);
        JobSpec got = job_spec_default(), want = changed(&rows[i]);
        got.ranks = want.ranks;
        job_spec_take_given(&got, &v.job, &line);
        check_equal(&want, &got, rows[i].name);
    }
    arena_finish(&arena);
}
END_TEST

// A word with a number is printed as it was typed, and one rank says what it does.
START_TEST(a_form_of_compression_is_a_word_and_perhaps_a_number) {
    const struct {
        const char *typed, *printed, *refused;
    } cases[] = {
        {"none", "none", NULL},
        {"powersgd", "powersgd", NULL},
        {"powersgd:4", "powersgd:4", NULL},
        {"topk:1%", "topk:0.01", NULL},
        {"topk:0", NULL, "\"topk:0\": the number is above 0"},
        {"topk:-1", NULL, "the number is above 0"},
        {"topk:", NULL, "\"\" is not a number"},
        {"topk:x", NULL, "\"x\" is not a number"},
        {"bf16:2", NULL, "\"bf16:2\": bf16 takes no number"},
        {"powersdg:2", NULL, "did you mean powersgd?"},
        {"signsgd", NULL, "signsgd is not built: there are none, bf16, fp16, powersgd[:RANK], top"},
    };
    const Option *o = rows;
    while (strcmp(o->name, "compress") != 0) o++;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Values v = {.job = job_spec_default()};
        char text[OPTION_VALUE];
        if (cases[i].refused) {
            ck_assert_fails(option_set(o, &v, cases[i].typed), ERR_USAGE, cases[i].refused);
            continue;
        }
        RunInfo run;
        ck_assert_ok(option_set(o, &v, cases[i].typed));
        ck_assert_str_eq(option_print_value(text, o, &v), cases[i].printed);
        ck_assert_ok(job_spec_describe(&run, &arena, &v.job, NULL, 0));
        const char *said = job_spec_setting(&run, "compress");
        ck_assert_str_eq(said ? said : "none", cases[i].printed);
    }
    arena_finish(&arena);
}
END_TEST

// --- options between gradients and weights

static JobSpec with(const char *name) {
    for (int i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, name)) return changed(&rows[i]);
    ck_abort_msg("no option --%s", name);
}

START_TEST(each_option_of_an_update_is_its_field) {
    static const struct {
        const char *name;
        size_t at;
    } reals[] = {{"lr", offsetof(JobSpec, learning_rate)},
                 {"lr-gamma", offsetof(JobSpec, lr_gamma)},
                 {"lr-min", offsetof(JobSpec, lr_min)},
                 {"clip", offsetof(JobSpec, optimizer.clip)},
                 {"momentum", offsetof(JobSpec, optimizer.momentum)},
                 {"beta1", offsetof(JobSpec, optimizer.beta1)},
                 {"beta2", offsetof(JobSpec, optimizer.beta2)},
                 {"eps", offsetof(JobSpec, optimizer.eps)},
                 {"weight-decay", offsetof(JobSpec, optimizer.weight_decay)},
                 {"label-smoothing", offsetof(JobSpec, label_smoothing)}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        JobSpec s = with(reals[i].name);
        double value;
        memcpy(&value, (const char *)&s + reals[i].at, sizeof value);
        ck_assert_msg(value == 0.3, "--%s 0.3 is kept as %g", reals[i].name, value);
    }
    ck_assert_int_eq(with("warm-up").warm_up_steps, 6);
    ck_assert_int_eq(with("lr-step-size").lr_step_size, 6);
    ck_assert_int_eq(with("lr-decay-steps").lr_decay_steps, 6);
    ck_assert_int_eq(with("lr-schedule").schedule, RATE_COSINE);
    ck_assert_int_eq(with("optimizer").optimizer.kind, OPTIMIZER_ADAMW);
    ck_assert_int_eq(with("on-nan").on_nan, ON_NAN_SKIP);
    ck_assert(with("nesterov").optimizer.nesterov && !with("nesterov").optimizer.decay_all);
    ck_assert(with("decay-all").optimizer.decay_all && !with("decay-all").optimizer.nesterov);
}
END_TEST

// --- the learning rate of a step

#define PI 3.14159265358979323846

// CosineAnnealingLR as PyTorch has it, from one step to the next, behind a warm-up.
START_TEST(a_cosine_falls_as_pytorchs_from_step_to_step) {
    JobSpec s = job_spec_default();
    double rate = s.learning_rate = 0.1;
    s.lr_min = 0.01;
    s.warm_up_steps = 3;
    s.schedule = RATE_COSINE;
    enum { STEPS = 23, T = STEPS - 3 };
    ck_assert_close(job_spec_learning_rate(&s, 0, STEPS), 0.1 / 3, 1e-17);
    for (int t = 0; t < T; t++) {
        ck_assert_close(job_spec_learning_rate(&s, 3 + t, STEPS), rate, 1e-15);
        rate = 0.01 + (rate - 0.01) * (1 + cos(PI * (t + 1) / T)) / (1 + cos(PI * t / T));
    }
    ck_assert_close(job_spec_learning_rate(&s, 3 + T / 2, STEPS), 0.055, 1e-16);  // half way
    ck_assert(job_spec_learning_rate(&s, STEPS, STEPS) == 0.01);
    s.lr_decay_steps = 13;  // of a longer run: the middle comes at 3 + 10 / 2
    ck_assert_close(job_spec_learning_rate(&s, 8, 1000), 0.055, 1e-16);
    ck_assert(job_spec_learning_rate(&s, 13, 1000) == 0.01);
    ck_assert(job_spec_learning_rate(&s, 999, 1000) == 0.01);
}
END_TEST

// StepLR multiplies by gamma when so many steps have gone by.
START_TEST(a_step_schedule_multiplies_as_pytorchs) {
    JobSpec s = job_spec_default();
    double rate = s.learning_rate = 0.5;
    s.warm_up_steps = 2;
    s.schedule = RATE_STEP;
    s.lr_step_size = 4;
    s.lr_gamma = 0.25;
    ck_assert(job_spec_learning_rate(&s, 0, 20) == 0.25);
    for (int t = 0; t < 18; t++) {
        if (t && t % 4 == 0) rate *= 0.25;
        ck_assert(job_spec_learning_rate(&s, 2 + t, 20) == rate);
    }
}
END_TEST

static const char *optimizer_of(const RunInfo *run, const char *key) {
    for (int i = 0; i < run->optimizer_count; i++)
        if (!strcmp(run->optimizer[i].key, key)) return run->optimizer[i].value;
    return "nothing";
}

START_TEST(a_description_says_what_matters_and_no_more) {
    RunInfo run;
    JobSpec job = job_spec_default();
    ck_assert_ok(job_spec_describe(&run, &arena, &job, &(RunSetting){"link", "1GB/s,50us"}, 1));
    ck_assert_str_eq(job_spec_setting(&run, "name"), "single");
    ck_assert_str_eq(job_spec_setting(&run, "accumulate"), "1");
    ck_assert_str_eq(job_spec_setting(&run, "link"), "1GB/s,50us");
    ck_assert_ptr_null(job_spec_setting(&run, "all_reduce"));  // one rank reduces nothing
    ck_assert_str_eq(optimizer_of(&run, "name"), "sgd");
    ck_assert_str_eq(optimizer_of(&run, "lr"), "0.01");
    ck_assert_str_eq(optimizer_of(&run, "nesterov"), "false");
    job.ranks = 4;
    ck_assert_ok(job_spec_describe(&run, &arena, &job, NULL, 0));
    ck_assert_str_eq(job_spec_setting(&run, "name"), "ddp");
    ck_assert_str_eq(job_spec_setting(&run, "bucket_kib"), "4,32");
    ck_assert_str_eq(job_spec_setting(&run, "overlap"), "true");
    job.plan_file = "edited.plan";  // which states the strategy, and momentum, itself
    ck_assert_ok(job_spec_describe(&run, &arena, &job, NULL, 0));
    ck_assert_str_eq(job_spec_setting(&run, "plan"), "edited.plan");
    ck_assert_ptr_null(job_spec_setting(&run, "bucket_kib"));
    ck_assert_str_eq(optimizer_of(&run, "momentum"), "nothing");
    ck_assert_str_eq(optimizer_of(&run, "lr"), "0.01");
    arena_finish(&arena);
}
END_TEST

START_TEST(what_a_description_gets_wrong_is_named) {
    static const RunSetting bad[] = {
        {"bucket_kib", "4"}, {"all_reduce", "tree"}, {"overlap", "perhaps"}, {"accumulate", "0"}};
    static const char *const said[] = {"bucket_kib \"4\"", "all_reduce \"tree\"",
                                       "expected true or false", "accumulate \"0\""};
    for (int i = 0; i < 4; i++) {
        JobSpec job;
        const RunInfo run = {.model = "net",
                             .device = "cpu",
                             .dtype = "f32",
                             .ranks = 2,
                             .batch = 64,
                             .strategy = &bad[i],
                             .strategy_count = 1};
        ck_assert_fails(job_spec_recorded(&job, &run), ERR_FORMAT, said[i]);
    }
}
END_TEST

static JobSpec cut(int ranks, int shards, int micro_batches, int64_t batch) {
    JobSpec s = job_spec_default();
    s.ranks = ranks;
    s.shards = shards;
    s.micro_batches = micro_batches;
    s.batch = batch;
    return s;
}

// Before anything is built: what these ask for would fill the memory.
START_TEST(numbers_that_do_not_fit_are_refused_with_what_to_give) {
    const struct {
        JobSpec job;
        const char *said;
    } cases[] = {
        {cut(4, 6, 1, 64), "try --shards 8"},
        {cut(1, 8192, 1, 10000000), "each of 1 rank 8192 of them; a rank takes at most 4096"},
        {cut(1, 4096, 2, 10000000), "with 4096 shards a rank that is 8192 micro-batches"},
        {cut(64, 4096, 2000, 100000000), "give at most --accumulate 64"},
        {cut(8, 0, 1, 3), "give --batch 8"},
        {cut(2, 4, 16, 63), "give --batch 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(job_spec_check(&cases[i].job), ERR_USAGE, cases[i].said);
    const JobSpec fits[] = {cut(1, 64, 64, 4096), cut(1, 0, 4096, 4096), cut(64, 0, 1, 64),
                            cut(1, 4096, 1, 4096), cut(2, 4096, 2, 8192)};
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) ck_assert_ok(job_spec_check(&fits[i]));
}
END_TEST

static JobSpec divided(int ranks, Mesh mesh) {
    JobSpec s = job_spec_default();
    s.ranks = ranks;
    s.mesh = mesh;
    return s;
}

START_TEST(the_ranks_are_the_product_of_the_degrees) {
    const struct {
        JobSpec job;
        const char *said;
    } cases[] = {
        {divided(6, (Mesh){.tensor = 2, .pipe = 2}),
         "6 ranks are not a multiple of --tp 2 × --pp 2 = 4; give 4 or 8"},
        {divided(5, (Mesh){.tensor = 2}), "not a multiple of --tp 2; give 4 or 6"},
        {divided(3, (Mesh){.tensor = 2, .context = 4}),
         "--tp 2 × --cp 4 need 8 ranks, and there are 3; give 8 or more"},
        {divided(8, (Mesh){.data = 4, .tensor = 4}),
         "--dp 4 × --tp 4 = 16 is not the number of ranks, 8; give 16 ranks, or leave out "
         "--dp"},
    };
    Mesh mesh;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_fails(job_spec_mesh(&mesh, &cases[i].job), ERR_USAGE, cases[i].said);
    const JobSpec fits = divided(12, (Mesh){.tensor = 2, .pipe = 2});
    ck_assert_ok(job_spec_mesh(&mesh, &fits));
    ck_assert_int_eq(mesh.data, 3);
    ck_assert_int_eq(job_spec_shards(&fits), 3);
}
END_TEST

SUITE("job_spec", a_cosine_falls_as_pytorchs_from_step_to_step,
      a_step_schedule_multiplies_as_pytorchs, every_option_comes_back_from_a_description,
      every_option_that_is_given_changes_another_job_and_nothing_else,
      a_form_of_compression_is_a_word_and_perhaps_a_number, each_option_of_an_update_is_its_field,
      a_description_says_what_matters_and_no_more, what_a_description_gets_wrong_is_named,
      numbers_that_do_not_fit_are_refused_with_what_to_give,
      the_ranks_are_the_product_of_the_degrees)
