// SPDX-License-Identifier: MIT
// CIFAR-10's binary files. None is downloaded: the tests write files of that format.
#include "core/base/file.h"
#include "core/data/cifar.h"
#include "core/data/sampler.h"
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

static Arena arena;
static char directory[64];

static const char *in(const char *name) {
    static char path[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", directory, name);
    return path[next];
}

// Record i has the label (first + i) mod 10, and pixel j of channel c is first + i + 3 j + 85 c.
static void write_records(const char *name, int first, int count, size_t length) {
    static uint8_t bytes[16 * CIFAR_RECORD];
    ck_assert_int_le(count, 16);
    uint8_t *at = bytes;
    for (int i = 0; i < count; i++) {
        *at++ = (uint8_t)((first + i) % 10);
        for (int j = 0; j < CIFAR_IMAGE; j++)
            *at++ = (uint8_t)(first + i + 3 * (j % 1024) + 85 * (j / 1024));
    }
    OutputFile f;
    ck_assert_ok(file_create(&f, in(name)));
    ck_assert_uint_eq(fwrite(bytes, 1, length, f.stream), length);
    ck_assert_ok(file_commit(&f));
}

static void write_batch(const char *name, int first, int count) {
    write_records(name, first, count, (size_t)count * CIFAR_RECORD);
}

// Batches 1 to 5 have 1 to 5 records, the test batch 3: records 0 to 14 train, the others test.
static void write_all(void) {
    snprintf(directory, sizeof directory, "%s", test_directory());
    for (int k = 1, first = 0; k <= 5; first += k++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%d.bin", k);
        write_batch(name, first, k);
    }
    write_batch("test_batch.bin", 15, 3);
}

static const char *spec(const char *name) {
    static char text[256];
    snprintf(text, sizeof text, "cifar10:%s", *name ? in(name) : directory);
    return text;
}

#define assert_refused(name, status, part)                                         \
    do {                                                                           \
        Dataset refused;                                                           \
        ck_assert_fails(dataset_read(&refused, &arena, spec(name)), status, part); \
    } while (0)

START_TEST(a_directory_is_split_into_five_batches_and_the_test_batch) {
    write_all();
    Dataset d;
    Split split;
    ck_assert_ok(dataset_read(&d, &arena, spec("")));
    ck_assert_int_eq(d.count, 18);
    ck_assert_int_eq(d.train_count, 15);
    ck_assert_int_eq(d.channels * 10000 + d.height * 100 + d.width, 33232);
    ck_assert_str_eq(d.source, spec(""));
    for (int i = 0; i < 6; i++)  // mapped, not read
        ck_assert_uint_eq(d.parts[i].files[0].map.length, (size_t)d.parts[i].count * CIFAR_RECORD);
    ck_assert_ok(dataset_split(&split, &arena, &d, 0.5, 1));  // as the data come
    ck_assert_int_eq(split.train_count, 15);
    ck_assert_int_eq(split.test[0], 15);
    int32_t rows[18], labels[18];
    for (int i = 0; i < 18; i++) rows[i] = i;
    dataset_gather(&d, rows, 18, DTYPE_F32, (DatasetTime){0}, NULL, labels);
    for (int i = 0; i < 18; i++) ck_assert_int_eq(labels[i], i % 10);
    dataset_finish(&d);
    arena_finish(&arena);
}
END_TEST

// A file alone is split by the seed, and may be packed.
START_TEST(a_file_alone_is_split_by_the_fraction) {
    write_all();
    char out[64];
    ck_assert_int_eq(test_shell(out, sizeof out, "gzip -k %s", in("data_batch_4.bin")), 0);
    for (int packed = 0; packed < 2; packed++) {
        Dataset d;
        Split split;
        const char *name = packed ? "data_batch_4.bin.gz" : "data_batch_4.bin";
        ck_assert_ok(dataset_read(&d, &arena, spec(name)));
        ck_assert_int_eq(d.count * 10 + d.train_count, 40);
        ck_assert_int_eq(d.parts[0].files[0].map.bytes == NULL, packed);
        ck_assert_ok(dataset_split(&split, &arena, &d, 0.25, 1));
        ck_assert_int_eq(split.train_count * 10 + split.test_count, 31);
        int32_t row = 2, label;
        dataset_gather(&d, &row, 1, DTYPE_F32, (DatasetTime){0}, NULL, &label);
        ck_assert_int_eq(label, 8);  // record 6 + 2 of all
        dataset_finish(&d);
    }
    arena_finish(&arena);
}
END_TEST

// Channel by channel, row by row, as the network takes them.
START_TEST(pixels_are_normalised_by_their_channel) {
    static const double mean[] = {0.4914, 0.4822, 0.4465}, deviation[] = {0.2470, 0.2435, 0.2616};
    static double wide[2 * CIFAR_IMAGE];
    static float narrow[2 * CIFAR_IMAGE];
    write_all();
    Dataset d;
    ck_assert_ok(dataset_read(&d, &arena, spec("")));
    const int32_t rows[] = {16, 4};  // of the last file, and of the third
    int32_t labels[2];
    dataset_gather(&d, rows, 2, DTYPE_F64, (DatasetTime){0}, wide, labels);
    dataset_gather(&d, rows, 2, DTYPE_F32, (DatasetTime){0}, narrow, NULL);
    for (int i = 0; i < 2 * CIFAR_IMAGE; i++) {
        int image = i / CIFAR_IMAGE, c = i % CIFAR_IMAGE / 1024, j = i % 1024;
        double x = (uint8_t)(rows[image] + 3 * j + 85 * c);
        ck_assert_double_eq_tol(wide[i], (x / 255 - mean[c]) / deviation[c], 1e-15);
        ck_assert(narrow[i] == (float)wide[i]);
    }
    ck_assert_int_eq(labels[0] * 10 + labels[1], 64);
    dataset_finish(&d);
    arena_finish(&arena);
}
END_TEST

START_TEST(a_missing_batch_is_told) {
    write_all();
    ck_assert_int_eq(remove(in("data_batch_3.bin")), 0);
    assert_refused("", ERR_INPUT, "/data_batch_3.bin: no such file; CIFAR-10's binary version has");
    write_all();
    ck_assert_int_eq(remove(in("test_batch.bin")), 0);
    assert_refused("", ERR_INPUT, "/test_batch.bin: no such file");
    assert_refused("nowhere", ERR_INPUT, "nowhere: No such file or directory");
    arena_finish(&arena);
}
END_TEST

START_TEST(a_file_that_ends_within_a_record_is_told) {
    write_all();
    write_records("data_batch_2.bin", 0, 3, 2 * CIFAR_RECORD + 5);
    assert_refused("", ERR_FORMAT, "data_batch_2.bin: byte 6151: the file ends within record 2");
    assert_refused("data_batch_2.bin", ERR_FORMAT, "expected records of 3073 bytes");
    write_records("data_batch_2.bin", 0, 1, CIFAR_RECORD - 1);
    assert_refused("", ERR_FORMAT, "byte 3072: the file ends within record 0");
    write_records("test_batch.bin", 0, 1, 0);
    assert_refused("test_batch.bin", ERR_FORMAT,
                   "test_batch.bin: expected records of 3073 bytes, "
                   "a label and 3 × 32 × 32 pixels, found an empty");
    arena_finish(&arena);
}
END_TEST

// CIFAR-100 has records of 3,074 bytes, with two labels.
START_TEST(a_label_that_is_none_is_told_with_its_place) {
    write_all();
    static const char patch[] = "printf '\\012' | dd of=%s bs=1 seek=%d conv=notrunc 2>/dev/null";
    char out[64];
    ck_assert_int_eq(test_shell(out, sizeof out, patch, in("data_batch_5.bin"), 2 * CIFAR_RECORD),
                     0);
    assert_refused("", ERR_FORMAT,
                   "data_batch_5.bin: byte 6146: expected a label of 0 to 9, found 10");
    arena_finish(&arena);
}
END_TEST

START_TEST(a_model_of_fewer_classes_is_told_the_first_label_beyond) {
    write_all();
    Dataset d;
    ck_assert_ok(dataset_read(&d, &arena, spec("")));
    ck_assert_ok(dataset_check_labels(&d, 10, "model x"));
    // Label 7 is that of sample 7, the second of the fourth file.
    ck_assert_fails(dataset_check_labels(&d, 7, "model x"), ERR_SHAPE,
                    "data_batch_4.bin: byte 3073: expected a label of 0 to 6 (model x tells 7 "
                    "classes apart), found 7");
    dataset_finish(&d);
    arena_finish(&arena);
}
END_TEST

START_TEST(other_pixels_or_labels_are_another_data_set) {
    write_all();
    Dataset d;
    uint64_t hashes[4];
    for (int i = 0; i < 4; i++) {
        static const char patch[] = "printf '\\%o' | dd of=%s bs=1 seek=%d conv=notrunc 2>&1";
        char out[256];
        // The first pixel of the last record of the test batch, its label, its last pixel.
        int at[] = {0, 1, 0, CIFAR_IMAGE};
        if (i)
            ck_assert_int_eq(test_shell(out, sizeof out, patch, 1, in("test_batch.bin"),
                                        2 * CIFAR_RECORD + at[i]),
                             0);
        ck_assert_ok(dataset_read(&d, &arena, spec("")));
        hashes[i] = dataset_hash(&d);
        for (int k = 0; k < i; k++) ck_assert_uint_ne(hashes[i], hashes[k]);
        dataset_finish(&d);
    }
    arena_finish(&arena);
}
END_TEST

SUITE("cifar", a_directory_is_split_into_five_batches_and_the_test_batch,
      a_file_alone_is_split_by_the_fraction, pixels_are_normalised_by_their_channel,
      a_missing_batch_is_told, a_file_that_ends_within_a_record_is_told,
      a_label_that_is_none_is_told_with_its_place,
      a_model_of_fewer_classes_is_told_the_first_label_beyond,
      other_pixels_or_labels_are_another_data_set)
