// SPDX-License-Identifier: MIT
// Masked tokens: how many, what the model sees in their place, and what it depends on.
#include "core/base/rng.h"
#include "core/data/dataset.h"
#include "core/data/masking.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW = 40, ROW = 3 };

static Arena arena;

// 200,000 characters in windows of 40; a tenth of them tests.
static const Corpus *text(void) {
    static Dataset d;
    if (d.source) return &d.text;
    ck_assert_ok(dataset_read(&d, &arena, "text:count=200000"));
    ck_assert_ok(dataset_cut(&d, WINDOW, 0.1));
    return &d.text;
}

static void finish(void) { arena_finish(&arena); }

typedef struct {
    int32_t x[WINDOW], y[WINDOW], token[WINDOW];
} Window;

static Window window(uint64_t seed, int64_t epoch, int64_t row) {
    Window w;
    corpus_window(text(), seed, epoch, row, w.token, NULL);
    masking_window(text(), seed, epoch, row, w.x, w.y);
    return w;
}

START_TEST(a_chosen_token_is_the_label_and_others_are_ignored) {
    for (int row = 0; row < 50; row++) {
        Window w = window(7, 2, row);
        for (int i = 0; i < WINDOW; i++) {
            ck_assert(w.y[i] == LABEL_IGNORED || w.y[i] == w.token[i]);
            if (w.y[i] == LABEL_IGNORED) ck_assert_int_eq(w.x[i], w.token[i]);
            ck_assert_int_le(w.x[i], masking_token(text()));
        }
    }
}
END_TEST

static void check_share(const char *what, int64_t count, int64_t of, double share) {
    double off = 5 * sqrt(share * (1 - share) * (double)of);  // five standard deviations
    ck_assert_msg(fabs((double)count - share * (double)of) < off, "%s: %lld of %lld", what,
                  (long long)count, (long long)of);
}

START_TEST(fifteen_in_a_hundred_are_chosen_and_eight_in_ten_masked) {
    int64_t all = 0, chosen = 0, masked = 0, kept = 0, V = text()->vocabulary;
    for (int64_t row = 0; row < text()->train_windows; row++) {
        Window w = window(1, 0, row);
        for (int i = 0; i < WINDOW; i++) {
            all++;
            if (w.y[i] == LABEL_IGNORED) continue;
            chosen++;
            masked += w.x[i] == masking_token(text());
            kept += w.x[i] == w.token[i];
        }
    }
    check_share("chosen", chosen, all, 0.15);
    check_share("masked", masked, chosen, 0.8);
    check_share("kept", kept, chosen, 0.1 + 0.1 / (double)V);  // a random one may be the same
}
END_TEST

START_TEST(random_tokens_are_tokens_of_the_text_each_as_often) {
    int64_t count[256] = {0}, all = 0, V = text()->vocabulary;
    for (int64_t epoch = 0; epoch < 20; epoch++)
        for (int64_t row = 0; row < text()->train_windows; row++) {
            Window w = window(1, epoch, row);
            for (int i = 0; i < WINDOW; i++) {
                if (w.x[i] == w.token[i] || w.x[i] == masking_token(text())) continue;
                count[w.x[i]]++;
                all++;
            }
        }
    ck_assert_int_gt(all, 20000);
    for (int64_t t = 0; t < V; t++)
        ck_assert_msg(count[t] * V > all / 4 && count[t] * V < all * 2, "token %lld: %lld of %lld",
                      (long long)t, (long long)count[t], (long long)all);
}
END_TEST

static bool same(const Window *a, const Window *b) {
    return !memcmp(a->y, b->y, sizeof a->y) && !memcmp(a->x, b->x, sizeof a->x);
}

START_TEST(training_depends_on_seed_epoch_and_row_and_testing_on_the_row) {
    Window a = window(1, 0, ROW), b = window(1, 0, ROW);
    ck_assert(same(&a, &b));
    for (int i = 0; i < 3; i++) {
        b = window(i == 0 ? 2 : 1, i == 1, i == 2 ? ROW + 1 : ROW);
        int differ = 0;
        for (int k = 0; k < WINDOW; k++)
            differ += (a.y[k] == LABEL_IGNORED) != (b.y[k] == LABEL_IGNORED);
        ck_assert_int_gt(differ, 0);
    }
    int64_t row = text()->train_windows + ROW;
    a = window(1, 0, row);
    b = window(2, 5, row);
    ck_assert(same(&a, &b));
}
END_TEST

// Number i of Philox stream (seed; use, epoch, row) decides on position i.
START_TEST(positions_are_those_of_the_stream) {
    Rng r;
    Window w = window(9, 4, ROW);
    rng_init(&r, 9, RNG_MASK, 4, ROW);
    for (int i = 0; i < WINDOW; i++)
        ck_assert_int_eq(rng_at(&r, (uint64_t)i) / 4294967296.0 < 0.15, w.y[i] != LABEL_IGNORED);
}
END_TEST

START_TEST(inputs_labels_and_their_number_may_be_asked_for_alone) {
    for (int row = 0; row < 20; row++) {
        Window w = window(3, 1, row);
        int32_t x[WINDOW], y[WINDOW];
        masking_window(text(), 3, 1, row, x, NULL);
        masking_window(text(), 3, 1, row, NULL, y);
        ck_assert_mem_eq(x, w.x, sizeof x);
        ck_assert_mem_eq(y, w.y, sizeof y);
        int64_t count = 0;
        for (int i = 0; i < WINDOW; i++) count += y[i] != LABEL_IGNORED;
        ck_assert_int_eq(masking_count(text(), 3, 1, row), count);
    }
}
END_TEST

// --- as a data set

START_TEST(a_masked_text_counts_the_labels_that_it_gives) {
    Dataset d = {.text = *text(), .source = "text", .masked = true};
    const int32_t rows[] = {5, 0, 17};
    const DatasetTime time = {1, 3};
    int32_t y[3 * WINDOW];
    int64_t count = 0;
    dataset_gather(&d, rows, 3, DTYPE_I32, time, NULL, y);
    for (int i = 0; i < 3 * WINDOW; i++) count += y[i] != LABEL_IGNORED;
    ck_assert_int_eq(dataset_counted(&d, rows, 3, time), count);
    d.masked = false;
    ck_assert_int_eq(dataset_counted(&d, rows, 3, time), 3 * WINDOW);
}
END_TEST

START_TEST(the_vocabulary_has_room_for_the_mask) {
    Dataset d = {.text = *text(), .source = "text", .masked = true};
    char message[160];
    int V = text()->vocabulary;
    ck_assert_ok(dataset_check_labels(&d, V + 1, "model m"));
    snprintf(message, sizeof message,
             "text: its %d tokens and [MASK] need a vocabulary of %d or more, and model m has one "
             "of %d; give vocabulary=%d",
             V, V + 1, V, V + 1);
    ck_assert_fails(dataset_check_labels(&d, V, "model m"), ERR_SHAPE, message);
    d.masked = false;
    ck_assert_ok(dataset_check_labels(&d, V, "model m"));
}
END_TEST

START_TEST(the_hash_tells_masked_data_from_plain_ones) {
    Dataset d = {.text = *text(), .source = "text", .masked = true};
    uint64_t masked = dataset_hash(&d);
    d.masked = false;
    ck_assert(dataset_hash(&d) != masked);
    finish();
}
END_TEST

SUITE("masking", a_chosen_token_is_the_label_and_others_are_ignored,
      fifteen_in_a_hundred_are_chosen_and_eight_in_ten_masked,
      random_tokens_are_tokens_of_the_text_each_as_often,
      training_depends_on_seed_epoch_and_row_and_testing_on_the_row,
      positions_are_those_of_the_stream, inputs_labels_and_their_number_may_be_asked_for_alone,
      a_masked_text_counts_the_labels_that_it_gives, the_vocabulary_has_room_for_the_mask,
      the_hash_tells_masked_data_from_plain_ones)
