// SPDX-License-Identifier: MIT
// Models by name, as a user meets them: small ones train, whole ones are simulated.
#include "core/report/report.h"
#include "tests/support/command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static Command it;

static void train(char weights[17], const char *model, const char *more) {
    int status = command_run(&it,
                             "train --model %s --data text:count=2000 --batch 4 --steps 3 "
                             "--comm serial --shards 2 %s",
                             model, more);
    ck_assert_msg(status == 0, "%s %s: %s", model, more, it.err);
    snprintf(weights, 17, "%s", it.weights);
    command_finish(&it);
}

START_TEST(small_ones_train_to_the_same_bits_on_any_number_of_ranks) {
    static const char *const models[] = {
        "gpt3-175b:layers=2,hidden=16,heads=2,seq=16,vocabulary=65",
        "llama-3-8b:layers=2,hidden=32,heads=16,mlp=24,seq=16,vocabulary=65",
        "llama-3-70b:layers=1,hidden=32,heads=8,kv_heads=2,mlp=24,seq=16,vocabulary=65",
        "llama-3-405b:layers=1,hidden=32,heads=8,kv_heads=4,mlp=24,seq=16,vocabulary=65",
        "bert-large:layers=1,hidden=16,heads=2,seq=16,vocabulary=66",
        "mixtral-8x7b:layers=1,hidden=32,heads=8,kv_heads=2,mlp=16,seq=16,vocabulary=65",
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char one[17], two[17];
        train(one, models[i], "");
        ck_assert_uint_eq(strlen(one), 16);
        train(two, models[i], "--ranks 2");
        ck_assert_str_eq(one, two);
    }
}
END_TEST

// net, mlp, gpt2 and those of images are simulated by other suites.
START_TEST(whole_ones_are_simulated) {
    static const char *const models[] = {"gpt3-175b", "llama-3-8b", "llama-3-405b", "bert-large",
                                         "mixtral-8x7b"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        int status = command_run(&it, "sim --model %s --gpus 8 --point", models[i]);
        ck_assert_msg(status == 0, "%s: %s", models[i], it.err);
        ck_assert_str_eq(it.err, "");
        ck_assert_ptr_nonnull(strstr(it.out, "\n   8    512 "));
        ck_assert_int_le(command_columns(it.out), 80);
        command_finish(&it);
    }
}
END_TEST

// e to the power of the loss, per token; of a network of images there is none.
START_TEST(models_of_language_have_a_perplexity) {
    Arena a = {0};
    Report r;
    char shown[64];
    ck_assert_int_eq(command_run(&it,
                                 "train --model gpt:layers=1,hidden=8,heads=1,seq=8 --epochs 2 "
                                 "--data text:count=2000 --batch 8 --report r.json "
                                 "--save w 2>&1 && train --model gpt:layers=1,hidden=8,"
                                 "heads=1,seq=8 --data text:count=2000 --evaluate --load w"),
                     0);
    ck_assert_ok(report_read(&r, &a, command_path(&it, "r.json")));
    ck_assert_int_eq(r.evaluation_count, 2);
    for (int i = 0; i < 2; i++) {
        const Evaluation *e = &r.evaluations[i];
        ck_assert_double_eq_tol(e->perplexity, exp(e->loss), 1e-9 * e->perplexity);
        snprintf(shown, sizeof shown, "  perplexity %.4g  accuracy ", e->perplexity);
        ck_assert_ptr_nonnull(strstr(it.out, shown));
    }
    ck_assert_double_eq(report_perplexity(&r), r.evaluations[1].perplexity);
    snprintf(shown, sizeof shown, "  perplexity %.4g (held-out loss %.4f)\n",
             r.evaluations[1].perplexity, r.evaluations[1].loss);
    ck_assert_ptr_nonnull(strstr(it.out, shown));
    snprintf(shown, sizeof shown, "held-out loss %.4f, perplexity %.4g, ", r.evaluations[1].loss,
             r.evaluations[1].perplexity);
    ck_assert_ptr_nonnull(strstr(it.out, shown));
    arena_finish(&a);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --model linear --data digits:count=300 --epochs 1 "
                                      "--report r.json 2>&1"),
                     0);
    ck_assert_ptr_null(strstr(it.out, "perplexity"));
    ck_assert_ok(report_read(&r, &a, command_path(&it, "r.json")));
    ck_assert(isnan(report_perplexity(&r)));
    arena_finish(&a);
    command_finish(&it);
}
END_TEST

SUITE("models", small_ones_train_to_the_same_bits_on_any_number_of_ranks, whole_ones_are_simulated,
      models_of_language_have_a_perplexity)
