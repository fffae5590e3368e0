// SPDX-License-Identifier: MIT
// Text from a trained model: it goes on with what the model learned, and draws tokens as often as
// the model says.
#include "parallel/run/generate.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH = 2048, TOKENS = 40 };

static char text[PATH], data[PATH + 8], weights[PATH];

// "abcabc...": a text that a model learns by heart in a few steps.
static void write_text(void) {
    snprintf(text, PATH, "%s/text", test_directory());
    snprintf(data, sizeof data, "text:%s", text);
    snprintf(weights, PATH, "%s/weights.safetensors", test_directory());
    FILE *f = fopen(text, "wb");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 400; i++) fputs("abc", f);
    ck_assert_int_eq(fclose(f), 0);
}

static JobOptions options_of(const char *model) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.spec.batch = 8;
    o.data = data;
    return o;
}

static const char MODEL[] = "gpt:layers=1,hidden=16,heads=2,seq=8,vocabulary=5";

static void train(int steps) {
    JobOptions o = options_of(MODEL);
    Outcome out;
    write_text();
    o.steps = steps;
    o.save = weights;
    o.spec.optimizer.kind = OPTIMIZER_ADAMW;
    o.spec.learning_rate = 0.02;
    ck_assert_ok(training_run(&out, &o, NULL));
    outcome_finish(&out);
}

static Status begin(Generator *g, Job *job, JobOptions o) {
    *g = (Generator){0};
    o.load = weights;
    o.evaluate_only = o.generates = true;
    ck_assert_ok(job_create(job, &o));
    return generator_create(g, job);
}

static void end(Generator *g, Job *job) {
    generator_destroy(g);
    job_destroy(job);
}

static void write(Generator *g, double temperature, int n, char *out) {
    for (int i = 0, token; i < n; i++) {
        ck_assert_ok(generator_next(g, temperature, &token));
        out += corpus_text(&g->job->data.text, token, out);
    }
}

// Longer than the window of 8, from a prompt that is shorter, and from one that is longer.
START_TEST(it_goes_on_with_what_the_model_learned) {
    static const char *const devices[] = {"cpu", "reference"};
    static const char *const prompts[] = {"a", "bc", "abcabcabcabcab"};
    static const char *const wants[] = {"bcabcabcabcabcabcabc", "abcabcabcabcabcabcab",
                                        "cabcabcabcabcabcabca"};
    train(60);
    for (int d = 0; d < 2; d++) {
        Generator g;
        Job job;
        JobOptions o = options_of(MODEL);
        o.spec.device = devices[d];
        ck_assert_ok(begin(&g, &job, o));
        for (int i = 0; i < 3; i++) {
            char out[5 * TOKENS] = "";
            ck_assert_ok(generator_prompt(&g, prompts[i]));
            write(&g, 0, 20, out);
            ck_assert_str_eq(out, wants[i]);
        }
        end(&g, &job);
    }
}
END_TEST

// After three steps the model is unsure. 3,000 tokens after the same text, each with another random
// number: how often each comes is within five standard deviations of its probability. The model
// knows five tokens, and the text has three.
START_TEST(tokens_come_as_often_as_the_model_says) {
    enum { DRAWS = 3000 };
    static const double temperatures[] = {1, 0.25};
    double p[2][3];
    train(3);
    Generator g;
    Job job;
    ck_assert_ok(begin(&g, &job, options_of(MODEL)));
    for (int k = 0; k < 2; k++) {
        int times[3] = {0};
        double sum = 0;
        for (int i = 0; i < DRAWS; i++) {
            int token;
            ck_assert_ok(generator_prompt(&g, "ab"));
            ck_assert_ok(generator_next(&g, temperatures[k], &token));
            ck_assert_int_lt(token, 3);
            times[token]++;
        }
        for (int t = 0; t < 3; t++) sum += g.logits[t];  // draw() left exp() of them there
        for (int t = 0; t < 3; t++) {
            p[k][t] = g.logits[t] / sum;
            double deviation = sqrt(p[k][t] * (1 - p[k][t]) / DRAWS);
            ck_assert_double_gt(p[k][t], 0.001);
            ck_assert_double_le(fabs((double)times[t] / DRAWS - p[k][t]), 5 * deviation);
        }
    }
    // softmax(z / T): odds at 1/4 are the fourth power of those at 1.
    for (int t = 1; t < 3; t++) {
        double odds = pow(p[0][t] / p[0][0], 4);
        ck_assert_double_le(fabs(p[1][t] / p[1][0] - odds), 1e-6 * odds);
    }
    end(&g, &job);
}
END_TEST

START_TEST(the_seed_and_the_place_say_what_is_drawn) {
    char out[3][5 * TOKENS] = {"", "", ""};
    static const int seeds[] = {1, 1, 2};
    train(3);
    for (int i = 0; i < 3; i++) {
        Generator g;
        Job job;
        JobOptions o = options_of(MODEL);
        o.spec.seed = seeds[i];
        ck_assert_ok(begin(&g, &job, o));
        ck_assert_ok(generator_prompt(&g, "a"));
        write(&g, 1, TOKENS, out[i]);
        end(&g, &job);
    }
    ck_assert_str_eq(out[0], out[1]);
    ck_assert_str_ne(out[0], out[2]);
    ck_assert_int_lt(strspn(out[0], (char[]){out[0][0], 0}), TOKENS);  // not one number for all
}
END_TEST

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refuses(Status s, Status want, const char *const *parts) {
    ck_assert_int_eq(s, want);
    for (; *parts; parts++)
        ck_assert_msg(strstr(status_message(), *parts) != NULL, "no '%s' in: %s", *parts,
                      status_message());
}

START_TEST(what_cannot_be_continued_is_refused) {
    Generator g;
    Job job;
    train(1);
    ck_assert_ok(begin(&g, &job, options_of(MODEL)));
    refuses(generator_prompt(&g, "abx"), ERR_INPUT, PARTS("--prompt", "at byte 2, 'x'"));
    refuses(generator_prompt(&g, ""), ERR_USAGE, PARTS("at least one character"));
    end(&g, &job);
}
END_TEST

// A model as it is saved after one step.
static JobOptions save_one_step(JobOptions o) {
    Outcome out;
    o.steps = 1;
    o.save = weights;
    ck_assert_ok(training_run(&out, &o, NULL));
    outcome_finish(&out);
    o.save = NULL;
    return o;
}

static void refused_model(const char *lines, const char *const *parts) {
    Generator g;
    Job job;
    char model[PATH];
    write_text();
    snprintf(model, sizeof model, "%s/x.model", test_directory());
    FILE *f = fopen(model, "w");
    ck_assert_ptr_nonnull(f);
    fputs(lines, f);
    ck_assert_int_eq(fclose(f), 0);
    refuses(begin(&g, &job, save_one_step(options_of(model))), ERR_USAGE, parts);
    end(&g, &job);
}

// A model file in which tokens attend to all others.
START_TEST(a_model_that_looks_ahead_is_refused) {
    refused_model("model ahead\ninput tokens 8\nclasses 5\nembedding e out=6\nlinear qkv out=18\n"
                  "attention a heads=2\nlinear out out=5\n",
                  PARTS("--generate: a.forward", "come later"));
}
END_TEST

// One that fills in masked tokens, though each sees those before it alone.
START_TEST(a_model_of_masked_tokens_is_refused) {
    refused_model("model blanks\ninput tokens 8 masked\nclasses 6\nembedding e out=6\n"
                  "linear out out=6\n",
                  PARTS("model blanks", "fills in masked tokens"));
}
END_TEST

START_TEST(a_model_of_images_is_refused) {
    Generator g;
    Job job;
    write_text();
    refuses(begin(&g, &job, save_one_step(training_options())), ERR_USAGE,
            PARTS("--generate writes text", "reads images"));
    end(&g, &job);
}
END_TEST

SUITE("generate", it_goes_on_with_what_the_model_learned, tokens_come_as_often_as_the_model_says,
      the_seed_and_the_place_say_what_is_drawn, what_cannot_be_continued_is_refused,
      a_model_that_looks_ahead_is_refused, a_model_of_masked_tokens_is_refused,
      a_model_of_images_is_refused)
