// SPDX-License-Identifier: MIT
#include "core/base/bf16.h"
#include "core/data/sampler.h"
#include "tests/support/allocations.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ROWS = 1000 };

// Training rows that are not 0 1 2 …: 3000, 3001 …
static const int32_t *training_rows(void) {
    static int32_t rows[ROWS];
    for (int i = 0; i < ROWS; i++) rows[i] = 3000 + i;
    return rows;
}

static void init(Sampler *s, Arena *a, int64_t count, int64_t batch, uint64_t seed, Tail tail) {
    ck_assert_ok(sampler_init(s, a, training_rows(), count, batch, seed, tail));
}

START_TEST(every_epoch_shows_each_sample_once) {
    Arena a = {0};
    Sampler s;
    init(&s, &a, 130, 64, 5, TAIL_KEEP);
    ck_assert_int_eq(s.epoch, -1);
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[130] = {0}, total = 0;
        sampler_epoch(&s, epoch);
        ck_assert_int_eq(s.epoch, epoch);
        for (int64_t b = 0; b < sampler_batches(&s); b++)
            for (int64_t i = 0; i < sampler_batch_rows(&s, b); i++, total++)
                seen[sampler_row(&s, b, i) - 3000]++;
        ck_assert_int_eq(total, 130);
        for (int i = 0; i < 130; i++) ck_assert_int_eq(seen[i], 1);
    }
    arena_finish(&a);
}
END_TEST

// Of a shuffle of 1000, one sample is expected in its old place, and as many between two shuffles;
// more than 10 has probability 1e-8.
START_TEST(epochs_and_seeds_have_orders_of_their_own) {
    static int32_t orders[4][ROWS];
    static const struct {
        uint64_t seed;
        int64_t epoch;
    } named[4] = {{1, 0}, {1, 1}, {2, 0}, {1, INT64_C(1) << 32}};
    for (int i = 0; i < 4; i++) {
        Arena a = {0};
        Sampler s;
        init(&s, &a, ROWS, 64, named[i].seed, TAIL_KEEP);
        sampler_epoch(&s, named[i].epoch);
        memcpy(orders[i], s.order, sizeof orders[i]);
        arena_finish(&a);
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j <= i; j++) {
            int same = 0;
            for (int k = 0; k < ROWS; k++)
                same += orders[i][k] == (j < i ? orders[j][k] : 3000 + k);
            ck_assert_int_le(same, 10);
        }
}
END_TEST

START_TEST(an_order_depends_on_seed_and_epoch_alone) {
    Arena a = {0};
    Sampler s, t;
    init(&s, &a, ROWS, 64, 9, TAIL_KEEP);
    init(&t, &a, ROWS, 7, 9, TAIL_PAD);
    for (int epoch = 0; epoch < 5; epoch++) sampler_epoch(&s, epoch);
    sampler_epoch(&s, 2);  // back, as a resumed run
    sampler_epoch(&t, 2);  // at once, with other batches
    ck_assert_mem_eq(s.order, t.order, ROWS * sizeof *s.order);
    arena_finish(&a);
}
END_TEST

START_TEST(a_new_epoch_allocates_nothing) {
    Arena a = {0};
    Sampler s;
    init(&s, &a, ROWS, 64, 9, TAIL_KEEP);
    int before = allocations();
    sampler_epoch(&s, 1);
    ck_assert_int_eq(allocations(), before);
    arena_finish(&a);
}
END_TEST

// 130 samples in batches of 64: 64 64 2.
START_TEST(the_tail_is_kept_dropped_or_padded) {
    Arena a = {0};
    Sampler keep, drop, pad;
    init(&keep, &a, 130, 64, 1, TAIL_KEEP);
    init(&drop, &a, 130, 64, 1, TAIL_DROP);
    init(&pad, &a, 130, 64, 1, TAIL_PAD);
    ck_assert_int_eq(
        sampler_batches(&keep) * 100 + sampler_batches(&drop) * 10 + sampler_batches(&pad), 323);
    ck_assert_int_eq(sampler_batch_rows(&keep, 1) * 1000 + sampler_batch_rows(&keep, 2), 64002);
    ck_assert_int_eq(sampler_batch_rows(&drop, 1), 64);
    ck_assert_int_eq(sampler_batch_rows(&pad, 2), 64);
    sampler_epoch(&pad, 0);
    ck_assert_int_eq(sampler_row(&pad, 2, 1), pad.order[129]);
    for (int i = 2; i < 64; i++)
        ck_assert_int_eq(sampler_row(&pad, 2, i), sampler_row(&pad, 0, i - 2));
    // No tail: all the same.
    for (Tail t = TAIL_KEEP; t <= TAIL_PAD; t++) {
        init(&keep, &a, 128, 64, 1, t);
        ck_assert_int_eq(sampler_batches(&keep), 2);
        ck_assert_int_eq(sampler_batch_rows(&keep, 1), 64);
    }
    // Fewer samples than a batch: padding goes round more than once.
    init(&pad, &a, 3, 8, 1, TAIL_PAD);
    sampler_epoch(&pad, 0);
    ck_assert_int_eq(sampler_batches(&pad), 1);
    for (int i = 0; i < 8; i++) ck_assert_int_eq(sampler_row(&pad, 0, i), pad.order[i % 3]);
    arena_finish(&a);
}
END_TEST

START_TEST(a_sampler_that_cannot_be_is_refused) {
    Arena a = {0};
    Sampler s;
    ck_assert_fails(sampler_init(&s, &a, NULL, 0, 4, 1, TAIL_KEEP), ERR_USAGE, "no samples");
    ck_assert_fails(sampler_init(&s, &a, training_rows(), 5, 0, 1, TAIL_KEEP), ERR_USAGE,
                    "--batch must be at least 1, not 0");
    ck_assert_fails(sampler_init(&s, &a, training_rows(), 5, 6, 1, TAIL_DROP), ERR_USAGE,
                    "--tail drop with --batch 6 leaves none of the 5 training samples");
    arena_finish(&a);
}
END_TEST

// Exhaustive where a rank may get none (rows < parts) and where sizes differ by one.
START_TEST(parts_cover_a_batch_once_and_in_order) {
    for (int64_t parts = 1; parts <= 64; parts++)
        for (int64_t rows = 0; rows <= 200; rows++) {
            int64_t at = 0;
            for (int64_t part = 0; part < parts; part++) {
                int64_t begin, end;
                sampler_part(rows, part, parts, &begin, &end);
                ck_assert_int_eq(begin, at);
                ck_assert(end - begin == rows / parts || end - begin == (rows + parts - 1) / parts);
                at = end;
            }
            ck_assert_int_eq(at, rows);
        }
    int64_t begin, end;
    sampler_part(10, 1, 4, &begin, &end);  // floor(10/4) = 2, floor(20/4) = 5
    ck_assert_int_eq(begin * 10 + end, 25);
}
END_TEST

static Dataset numbered_images(Arena *a, int64_t count) {
    uint8_t *images = ARENA_NEW(a, uint8_t, count * 256), *labels = ARENA_NEW(a, uint8_t, count);
    for (int64_t i = 0; i < count; i++) {
        labels[i] = (uint8_t)i;
        for (int j = 0; j < 256; j++) images[i * 256 + j] = (uint8_t)(i + j);
    }
    const DatasetPart part = {
        .images = images, .labels = labels, .count = count, .image_step = 256, .label_step = 1};
    Dataset d = {.channels = 1, .height = 8, .width = 32, .source = "test"};
    dataset_add(&d, &part);
    return d;
}

// Checksums of struct.pack('<256d', …) and ('<256f', …) of [(i/255-0.1307)/0.3081 for i in
// range(256)] by Python; its hexadecimal ends: -0x1.b264df03681cap-2, 0x1.6926787af91a8p+1.
START_TEST(every_pixel_is_normalised_and_rounded_once) {
    Arena a = {0};
    Dataset d = numbered_images(&a, 1);
    double wide[256];
    float narrow[256];
    int32_t y, row = 0;
    dataset_gather(&d, &row, 1, DTYPE_F64, (DatasetTime){0}, wide, &y);
    dataset_gather(&d, &row, 1, DTYPE_F32, (DatasetTime){0}, narrow, &y);
    ck_assert(wide[0] == -0x1.b264df03681cap-2 && wide[255] == 0x1.6926787af91a8p+1);
    ck_assert_uint_eq(crc32(0, (const void *)wide, sizeof wide), 0x5e04e2ea);
    ck_assert_uint_eq(crc32(0, (const void *)narrow, sizeof narrow), 0x556a9e02);
    Bf16 half[256];
    dataset_gather(&d, &row, 1, DTYPE_BF16, (DatasetTime){0}, half, &y);
    for (int i = 0; i < 256; i++) ck_assert_uint_eq(half[i], bf16_from_f32(narrow[i]));
    ck_assert_uint_eq(half[255], 0x4035);  // 2.821... = 0x1.69p+1 to 8 digits
    arena_finish(&a);
}
END_TEST

START_TEST(rows_are_gathered_in_the_order_asked) {
    Arena a = {0};
    Dataset d = numbered_images(&a, 5);
    const int32_t rows[] = {4, 0, 4};
    float x[3 * 256 + 1], first[256];
    int32_t y[4] = {0, 0, 0, 77}, one;
    x[3 * 256] = 77;
    dataset_gather(&d, rows, 3, DTYPE_F32, (DatasetTime){0}, x, y);
    ck_assert_mem_eq(y, ((int32_t[]){4, 0, 4, 77}), sizeof y);
    for (int i = 0; i < 3; i++) {
        dataset_gather(&d, &rows[i], 1, DTYPE_F32, (DatasetTime){0}, first, &one);
        ck_assert_mem_eq(first, x + 256 * i, sizeof first);
    }
    ck_assert(x[0] != x[256]);
    ck_assert(x[3 * 256] == 77);  // nothing beyond
    arena_finish(&a);
}
END_TEST

START_TEST(a_split_takes_each_row_once_and_depends_on_the_seed) {
    Arena a = {0};
    Dataset d = {.count = 1003, .source = "test"};
    Split s, again, other;
    ck_assert_ok(dataset_split(&s, &a, &d, 0.15, 3));
    ck_assert_int_eq(s.test_count, 150);  // 0.15 * 1003 = 150.45
    ck_assert_int_eq(s.train_count, 853);
    int seen[1003] = {0}, ordered = 0;
    for (int i = 0; i < 853; i++) seen[s.train[i]]++;
    for (int i = 0; i < 150; i++) seen[s.test[i]]++, ordered += s.test[i] >= 853;
    for (int i = 0; i < 1003; i++) ck_assert_int_eq(seen[i], 1);
    ck_assert_int_lt(ordered, 60);  // 150 * 150 / 1003 = 22 expected, not the last 150
    ck_assert_ok(dataset_split(&again, &a, &d, 0.15, 3));
    ck_assert_ok(dataset_split(&other, &a, &d, 0.15, 4));
    ck_assert_mem_eq(s.train, again.train, 853 * sizeof *s.train);
    ck_assert_mem_ne(s.train, other.train, 853 * sizeof *s.train);
    ck_assert_ok(dataset_split(&s, &a, &d, 0, 3));
    ck_assert_int_eq(s.test_count, 0);
    arena_finish(&a);
}
END_TEST

START_TEST(a_split_that_cannot_be_is_refused) {
    Arena a = {0};
    Dataset d = {.count = 3, .source = "test"};
    Split s;
    ck_assert_fails(dataset_split(&s, &a, &d, 1, 1), ERR_USAGE,
                    "--test-fraction must be at least 0 and below 1, not 1");
    ck_assert_fails(dataset_split(&s, &a, &d, -0.1, 1), ERR_USAGE, "not -0.1");
    ck_assert_fails(dataset_split(&s, &a, &d, nan(""), 1), ERR_USAGE, "not nan");
    ck_assert_fails(dataset_split(&s, &a, &d, 0.9, 1), ERR_USAGE,
                    "--test-fraction 0.9 of 3 samples leaves none");
    arena_finish(&a);
}
END_TEST

SUITE("sampler", every_epoch_shows_each_sample_once, epochs_and_seeds_have_orders_of_their_own,
      an_order_depends_on_seed_and_epoch_alone, a_new_epoch_allocates_nothing,
      the_tail_is_kept_dropped_or_padded, a_sampler_that_cannot_be_is_refused,
      parts_cover_a_batch_once_and_in_order, every_pixel_is_normalised_and_rounded_once,
      rows_are_gathered_in_the_order_asked, a_split_takes_each_row_once_and_depends_on_the_seed,
      a_split_that_cannot_be_is_refused)
