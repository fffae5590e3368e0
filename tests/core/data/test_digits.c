// SPDX-License-Identifier: MIT
#include "core/data/digits.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PIXELS = DIGITS_SIDE * DIGITS_SIDE };

// The number was computed by Python's zlib from images made by gcc -O0, gcc -O3
// and clang -ffast-math.
START_TEST(the_first_thousand_images_of_seed_one_are_the_same_bytes_everywhere) {
    Arena a = {0};
    Dataset d;
    ck_assert_ok(digits_make(&d, &a, 1000, 1, NULL));
    ck_assert_uint_eq(crc32(0, d.parts[0].images, 1000 * PIXELS), 0xbab4f2e6);
    arena_finish(&a);
}
END_TEST

START_TEST(a_sample_depends_on_seed_and_index_alone) {
    Arena a = {0};
    Dataset few, many, other;
    ck_assert_ok(digits_make(&few, &a, 30, 7, NULL));
    ck_assert_ok(digits_make(&many, &a, 50, 7, NULL));
    ck_assert_ok(digits_make(&other, &a, 50, 8, NULL));
    ck_assert_mem_eq(few.parts[0].images, many.parts[0].images, 30 * PIXELS);
    uint8_t alone[PIXELS];
    digits_draw(alone, 7, 49);
    ck_assert_mem_eq(alone, many.parts[0].images + 49 * PIXELS, PIXELS);
    for (int i = 0; i < 50; i++)
        ck_assert_mem_ne(many.parts[0].images + i * PIXELS, other.parts[0].images + i * PIXELS,
                         PIXELS);
    for (int i = 0; i < 40; i++)  // the same digit, ten further on
        ck_assert_mem_ne(many.parts[0].images + i * PIXELS,
                         many.parts[0].images + (i + 10) * PIXELS, PIXELS);
    digits_draw(alone, (UINT64_C(1) << 32) + 7, 49);  // the seed's high half counts
    ck_assert_mem_ne(alone, many.parts[0].images + 49 * PIXELS, PIXELS);
    arena_finish(&a);
}
END_TEST

START_TEST(every_class_is_equally_frequent) {
    Arena a = {0};
    Dataset d;
    ck_assert_ok(digits_make(&d, &a, 1000, 3, NULL));
    int count[DIGITS_CLASSES] = {0};
    for (int i = 0; i < 1000; i++) count[d.parts[0].labels[i]]++;
    for (int c = 0; c < DIGITS_CLASSES; c++) ck_assert_int_eq(count[c], 100);
    ck_assert_int_eq(d.count, 1000);
    ck_assert_int_eq(d.height * 100 + d.width, 2828);
    ck_assert_ok(dataset_check_labels(&d, 10, "ten classes"));
    ck_assert_int_eq(d.train_count, 0);
    arena_finish(&a);
}
END_TEST

// Ink is a stroke one to three pixels wide: neither nothing nor a blot. The background stays dark.
START_TEST(every_image_shows_a_stroke_on_a_dark_ground) {
    uint8_t image[PIXELS];
    for (uint32_t i = 0; i < 1000; i++) {
        int ink = 0, ground = 0;
        digits_draw(image, 5, i);
        for (int p = 0; p < PIXELS; p++) {
            ink += image[p] > 100;
            ground += image[p] < 16;
        }
        ck_assert_msg(ink >= 12 && ink <= 250, "image %u has %d pixels of ink", i, ink);
        ck_assert_msg(ground >= 450, "image %u has %d pixels of ground", i, ground);
    }
}
END_TEST

static int nearest_class(const double mean[DIGITS_CLASSES][PIXELS], const uint8_t *image) {
    double best = 1e30;
    int nearest = -1;
    for (int c = 0; c < DIGITS_CLASSES; c++) {
        double d = 0;
        for (int p = 0; p < PIXELS; p++) d += (image[p] - mean[c][p]) * (image[p] - mean[c][p]);
        if (d < best) best = d, nearest = c;
    }
    return nearest;
}

// The class with the nearest mean of samples 0 … 999 is right for 65.7 % of samples 1,000 … 1,999
// (computed with numpy); labels that did not belong to their images would give 10 %.
START_TEST(labels_belong_to_their_images) {
    static double mean[DIGITS_CLASSES][PIXELS];
    uint8_t image[PIXELS];
    for (uint32_t i = 0; i < 1000; i++) {
        digits_draw(image, 1, i);
        for (int p = 0; p < PIXELS; p++) mean[digits_label(i)][p] += image[p] / 100.0;
    }
    int right = 0;
    for (uint32_t i = 1000; i < 2000; i++) {
        digits_draw(image, 1, i);
        right += nearest_class((const double(*)[PIXELS])mean, image) == digits_label(i);
    }
    ck_assert_int_eq(right, 657);
}
END_TEST

START_TEST(a_specification_names_count_and_seed) {
    Arena a = {0};
    Dataset d, same;
    ck_assert_ok(dataset_read(&d, &a, "digits"));
    ck_assert_int_eq(d.count, 12000);
    ck_assert_str_eq(d.source, "digits:count=12000,seed=1");
    ck_assert_ok(dataset_read(&d, &a, "digits:seed=9,count=1k"));
    ck_assert_str_eq(d.source, "digits:count=1000,seed=9");
    ck_assert_ok(digits_make(&same, &a, 1000, 9, NULL));
    ck_assert_mem_eq(d.parts[0].images, same.parts[0].images, 1000 * PIXELS);
    arena_finish(&a);
}
END_TEST

// A billion images would not fit; described, they take no time and no memory.
START_TEST(described_digits_have_a_size_and_no_pixels) {
    Arena a = {0};
    Dataset d, made;
    ck_assert_ok(dataset_describe(&d, &a, "digits:count=2G"));
    ck_assert_int_eq(d.count, 2000000000);
    ck_assert_ok(dataset_describe(&d, &a, "digits:count=20,seed=3"));
    ck_assert_ok(dataset_read(&made, &a, "digits:count=20,seed=3"));
    ck_assert_ptr_null(d.parts[0].images);
    ck_assert_ptr_null(d.parts[0].labels);
    ck_assert_int_eq(d.count, made.count);
    ck_assert_int_eq(d.height, made.height);
    ck_assert_int_eq(d.width, made.width);
    for (int described = 0; described < 2; described++) {
        const Dataset *either = described ? &d : &made;
        ck_assert_ok(dataset_check_labels(either, 10, "model x"));
        ck_assert_fails(dataset_check_labels(either, 7, "model x"), ERR_SHAPE,
                        "model x tells 7 classes apart, sample 7 of digits:count=20,seed=3 has "
                        "the label 7");
    }
    ck_assert_str_eq(d.source, made.source);
    ck_assert_fails(dataset_describe(&d, &a, "digits:count=0"), ERR_USAGE, "count must be 1");
    arena_finish(&a);
}
END_TEST

START_TEST(a_wrong_specification_is_told) {
    Arena a = {0};
    Dataset d;
    ck_assert_fails(dataset_read(&d, &a, "digits:cuont=5"), ERR_USAGE,
                    "unknown parameter 'cuont', did you mean count");
    ck_assert_fails(dataset_read(&d, &a, "digits:count=0"), ERR_USAGE,
                    "count must be 1 to 2147483647, not 0");
    ck_assert_fails(dataset_read(&d, &a, "digits:count=3G"), ERR_USAGE,
                    "count must be 1 to 2147483647, not 3G");
    ck_assert_fails(dataset_read(&d, &a, "digits:count=many"), ERR_USAGE, "--data digits: count: ");
    ck_assert_fails(dataset_read(&d, &a, "digits:seed"), ERR_USAGE, "--data digits: seed: ");
    arena_finish(&a);
}
END_TEST

static void note(void *context, int64_t done, int64_t count) {
    int64_t *last = context;
    ck_assert_int_eq(count, 10000);
    ck_assert_int_gt(done, *last);
    *last = done;
}

START_TEST(who_waits_for_digits_is_told_how_many_are_drawn) {
    Arena a = {0};
    Dataset d, same;
    int64_t last = 0;
    ck_assert_ok(dataset_read_watched(&d, &a, "digits:count=10000",
                                      &(DatasetProgress){.context = &last, .call = note}));
    ck_assert_int_gt(last, 5000);
    ck_assert_ok(dataset_read(&same, &a, "digits:count=10000"));
    ck_assert_mem_eq(d.parts[0].images, same.parts[0].images, 10000 * 784);
    arena_finish(&a);
}
END_TEST

SUITE("digits", who_waits_for_digits_is_told_how_many_are_drawn,
      the_first_thousand_images_of_seed_one_are_the_same_bytes_everywhere,
      a_sample_depends_on_seed_and_index_alone, every_class_is_equally_frequent,
      every_image_shows_a_stroke_on_a_dark_ground, labels_belong_to_their_images,
      a_specification_names_count_and_seed, described_digits_have_a_size_and_no_pixels,
      a_wrong_specification_is_told)
