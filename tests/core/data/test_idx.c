// SPDX-License-Identifier: MIT
#include "core/base/file.h"
#include "core/data/dataset.h"
#include "core/data/idx.h"
#include "tests/support/testing.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BIG = 4096 };
static char directory[64];

static const char *in(const char *name) {
    static char path[4][PATH_MAX];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], PATH_MAX, "%s/%s", directory, name);
    return path[next];
}

static void setup(void) { snprintf(directory, sizeof directory, "%s", test_directory()); }

static size_t put_word(uint8_t *p, uint32_t word) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(word >> (24 - 8 * i));
    return 4;
}

// Write the first `length` bytes of a file made of big-endian words and bytes
// counting up from `first`.
static void write_file(const char *name, const uint32_t *words, int word_count, int first,
                       size_t length) {
    uint8_t bytes[BIG];
    size_t used = 0;
    for (int i = 0; i < word_count; i++) used += put_word(bytes + used, words[i]);
    for (size_t i = used; i < BIG; i++) bytes[i] = (uint8_t)(first + (int)(i - used));
    OutputFile f;
    ck_assert_ok(file_create(&f, in(name)));
    ck_assert_uint_eq(fwrite(bytes, 1, length, f.stream), length);
    ck_assert_ok(file_commit(&f));
}

// `count` images of 2 x 3 whose bytes count up from `first`: 16 + 6 count bytes.
static void write_images(const char *name, uint32_t count, int first) {
    write_file(name, (uint32_t[]){IDX_IMAGES, count, 2, 3}, 4, first, 16 + 6 * count);
}

// `count` labels counting up from `first`: 8 + count bytes.
static void write_labels(const char *name, uint32_t count, int first) {
    write_file(name, (uint32_t[]){IDX_LABELS, count}, 2, first, 8 + count);
}

static Status read_i_l(void) {
    Arena a = {0};
    Idx idx;
    Status s = idx_open(&idx, &a, in("i"), in("l"));
    idx_close(&idx);
    arena_finish(&a);
    return s;
}

// What `in` prepends must be in the message, too.
#define ck_assert_rejects(file, part)                              \
    do {                                                           \
        ck_assert_fails(read_i_l(), ERR_FORMAT, part);             \
        ck_assert_ptr_nonnull(strstr(status_message(), in(file))); \
    } while (0)

START_TEST(images_and_labels_are_read_plain_and_packed) {
    setup();
    write_images("i", 3, 100);
    write_labels("l", 3, 7);
    write_images("i.gz", 3, 100);
    write_labels("l.gz", 3, 7);
    for (int packed = 0; packed < 2; packed++) {
        Arena a = {0};
        Idx idx;
        ck_assert_ok(idx_open(&idx, &a, in(packed ? "i.gz" : "i"), in(packed ? "l.gz" : "l")));
        ck_assert_int_eq(idx.count * 100 + idx.height * 10 + idx.width, 323);
        for (int i = 0; i < 18; i++) ck_assert_int_eq(idx.images[i], 100 + i);
        for (int i = 0; i < 3; i++) ck_assert_int_eq(idx.labels[i], 7 + i);
        // A plain file is mapped, not read.
        ck_assert_int_eq(idx.images_file.map.length, packed ? 0 : 16 + 18);
        ck_assert_int_eq(idx.labels_file.map.length, packed ? 0 : 8 + 3);
        idx_close(&idx);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(a_wrong_magic_number_is_told) {
    setup();
    write_labels("i", 3, 0);
    write_labels("l", 3, 0);
    ck_assert_rejects(
        "i", "byte 0: expected magic 0x00000803 (IDX images), found 0x00000801 (IDX labels)");
    write_images("i", 3, 0);
    write_file("l", (uint32_t[]){0x89504e47, 3}, 2, 0, 11);
    ck_assert_rejects("l", "byte 0: expected magic 0x00000801 (IDX labels), found 0x89504e47");
    write_file("l", (uint32_t[]){0x3c21444f, 3}, 2, 0, 11);  // "<!DO"
    ck_assert_rejects("l", "found a web page (it begins with '<'): fetch the file again");
    write_labels("l.gz", 3, 0);
    char out[200];
    ck_assert_int_eq(test_shell(out, sizeof out, "gzip -c %s > %s", in("l.gz"), in("l")), 0);
    ck_assert_rejects("l", "the file is packed twice, unpack it once with gunzip");
}
END_TEST

START_TEST(a_file_that_ends_in_its_header_is_told) {
    setup();
    write_images("i", 3, 0);
    write_labels("l", 3, 0);
    write_file("i", (uint32_t[]){IDX_IMAGES, 3, 2, 3}, 4, 0, 13);
    ck_assert_rejects("i", "byte 13: the file ends in its header: expected 16 bytes, found 13");
    write_file("i", (uint32_t[]){IDX_IMAGES}, 1, 0, 0);
    ck_assert_rejects("i", "byte 0: the file ends in its header: expected 16 bytes, found 0");
    write_images("i", 3, 0);
    write_file("l", (uint32_t[]){IDX_LABELS, 3}, 2, 0, 7);
    ck_assert_rejects("l", "byte 7: the file ends in its header: expected 8 bytes, found 7");
}
END_TEST

START_TEST(a_file_that_ends_in_its_body_is_told) {
    setup();
    write_labels("l", 3, 0);
    write_file("i", (uint32_t[]){IDX_IMAGES, 3, 2, 3}, 4, 0, 33);
    // 16 + 3 * 2 * 3 = 34
    ck_assert_rejects(
        "i", "byte 33: the file ends too early: expected 34 bytes for 3 images of 2 × 3, found 33");
    write_images("i", 3, 0);
    write_file("l", (uint32_t[]){IDX_LABELS, 3}, 2, 0, 9);
    ck_assert_rejects("l",
                      "byte 9: the file ends too early: expected 11 bytes for 3 labels, found 9");
}
END_TEST

START_TEST(bytes_after_the_end_are_told) {
    setup();
    write_labels("l", 3, 0);
    write_file("i", (uint32_t[]){IDX_IMAGES, 3, 2, 3}, 4, 0, 36);
    ck_assert_rejects(
        "i", "byte 34: expected the end of the file after 3 images of 2 × 3, found 2 more bytes");
    write_images("i", 3, 0);
    write_file("l", (uint32_t[]){IDX_LABELS, 3}, 2, 0, 12);
    ck_assert_rejects("l",
                      "byte 11: expected the end of the file after 3 labels, found 1 more bytes");
}
END_TEST

START_TEST(counts_that_differ_are_told_with_both_files) {
    setup();
    write_images("i", 3, 0);
    write_labels("l", 4, 0);
    ck_assert_rejects("i", "byte 4: expected 3 labels, as many as ");
    ck_assert_rejects("l", "has images (its byte 4), found 4");
}
END_TEST

START_TEST(a_label_beyond_the_classes_is_told_with_its_place) {
    setup();
    Arena a = {0};
    Dataset d;
    write_images("train-images-idx3-ubyte", 4, 0);
    write_labels("train-labels-idx1-ubyte", 4, 8);  // 8 9 10 11: the third, at 8 + 2
    ck_assert_ok(dataset_read(&d, &a, directory));
    ck_assert_fails(dataset_check_labels(&d, 10, "model x"), ERR_SHAPE,
                    "train-labels-idx1-ubyte: byte 10: expected a label of 0 to 9 (model x "
                    "tells 10 classes apart), found 10");
    ck_assert_ok(dataset_check_labels(&d, 12, "model x"));
    write_images("t10k-images-idx3-ubyte", 2, 0);
    write_labels("t10k-labels-idx1-ubyte", 2, 254);  // up to 255
    dataset_finish(&d);
    ck_assert_ok(dataset_read(&d, &a, directory));
    ck_assert_fails(dataset_check_labels(&d, 255, "model x"), ERR_SHAPE,
                    "t10k-labels-idx1-ubyte: byte 9: expected a label of 0 to 254");
    ck_assert_ok(dataset_check_labels(&d, 256, "model x"));
    dataset_finish(&d);
    arena_finish(&a);
}
END_TEST

START_TEST(sizes_that_cannot_be_are_told) {
    setup();
    write_labels("l", 3, 0);
    write_file("i", (uint32_t[]){IDX_IMAGES, 0, 2, 3}, 4, 0, 16);
    ck_assert_rejects("i", "byte 4: expected a count of 1 to 2147483647, found 0");
    write_file("i", (uint32_t[]){IDX_IMAGES, 0xffffffff, 2, 3}, 4, 0, 16);
    ck_assert_rejects("i", "byte 4: expected a count of 1 to 2147483647, found 4294967295");
    write_file("i", (uint32_t[]){IDX_IMAGES, 3, 0, 3}, 4, 0, 34);
    ck_assert_rejects("i", "byte 8: expected a height of 1 to 4096 pixels, found 0");
    // 2^30 * 2^17 * 2^17 = 2^64 would be 0 bytes
    write_file("i", (uint32_t[]){IDX_IMAGES, 1u << 30, 1u << 17, 1u << 17}, 4, 0, 16);
    ck_assert_rejects("i", "byte 8: expected a height of 1 to 4096 pixels, found 131072");
    write_file("i", (uint32_t[]){IDX_IMAGES, 3, 2, 0x80000000}, 4, 0, 34);
    ck_assert_rejects("i", "byte 12: expected a width of 1 to 4096 pixels, found 2147483648");
    // The most that is believed, 16 + 2147483647 * 4096 * 4096, does not overflow.
    write_file("i", (uint32_t[]){IDX_IMAGES, 0x7fffffff, 4096, 4096}, 4, 0, 16);
    ck_assert_rejects("i", "byte 16: the file ends too early: expected 36028797002186768 bytes");
}
END_TEST

START_TEST(a_directory_with_both_sets_is_split_data) {
    setup();
    write_images("train-images-idx3-ubyte.gz", 3, 10);
    write_labels("train-labels-idx1-ubyte", 3, 0);
    write_images("t10k-images.idx3-ubyte", 2, 200);
    write_labels("t10k-labels-idx1-ubyte.gz", 2, 5);
    Arena a = {0};
    Dataset d;
    ck_assert_ok(dataset_read(&d, &a, directory));
    ck_assert_int_eq(d.count, 5);
    ck_assert_int_eq(d.train_count, 3);
    ck_assert_ok(dataset_check_labels(&d, 7, "seven classes"));
    ck_assert_str_eq(d.source, directory);
    ck_assert_int_eq(d.part_count, 2);
    ck_assert_mem_eq(d.parts[0].labels, ((uint8_t[]){0, 1, 2}), 3);
    ck_assert_mem_eq(d.parts[1].labels, ((uint8_t[]){5, 6}), 2);
    for (int i = 0; i < 18; i++) ck_assert_int_eq(d.parts[0].images[i], 10 + i);
    for (int i = 0; i < 12; i++) ck_assert_int_eq(d.parts[1].images[i], 200 + i);
    Split split;
    ck_assert_ok(dataset_split(&split, &a, &d, 0.15, 1));  // as the data come, whatever is asked
    ck_assert_int_eq(split.train_count * 10 + split.test_count, 32);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(split.train[i], i);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(split.test[i], 3 + i);
    dataset_finish(&d);
    arena_finish(&a);
}
END_TEST

START_TEST(a_directory_with_one_set_is_not_split) {
    static const char *const sets[] = {"train", "t10k"};
    for (int i = 0; i < 2; i++) {
        setup();
        char images[64], labels[64];
        snprintf(images, sizeof images, "%s-images.idx3-ubyte.gz", sets[i]);
        snprintf(labels, sizeof labels, "%s-labels.idx1-ubyte", sets[i]);
        write_images(images, 4, 0);
        write_labels(labels, 4, 0);
        Arena a = {0};
        Dataset d;
        ck_assert_ok(dataset_read(&d, &a, directory));
        ck_assert_int_eq(d.count, 4);
        ck_assert_int_eq(d.train_count, 0);
        dataset_finish(&d);
        arena_finish(&a);
    }
}
END_TEST

static void write_set(const char *prefix, const char *set, uint32_t count) {
    char images[80], labels[80];
    snprintf(images, sizeof images, "%s%s-images-idx3-ubyte", prefix, set);
    snprintf(labels, sizeof labels, "%s%s-labels-idx1-ubyte.gz", prefix, set);
    write_images(images, count, 0);
    write_labels(labels, count, 1);
}

// EMNIST: one directory with six sets, whose second half is called test.
START_TEST(a_set_with_a_name_before_train_is_found) {
    setup();
    Arena a = {0};
    Dataset d;
    write_set("emnist-letters-", "train", 4);
    write_set("emnist-letters-", "test", 2);
    ck_assert_ok(dataset_read(&d, &a, directory));
    ck_assert_int_eq(d.count * 10 + d.train_count, 64);
    write_set("emnist-digits-", "train", 3);
    ck_assert_fails(dataset_read(&d, &a, directory), ERR_INPUT,
                    "found 2 data sets in it; give one of them, as in --data ");
    ck_assert_fails(dataset_read(&d, &a, directory), ERR_INPUT,
                    "/emnist-digits: emnist-digits, emnist-letters");
    dataset_finish(&d);
    ck_assert_ok(dataset_read(&d, &a, in("emnist-letters")));
    ck_assert_int_eq(d.count * 10 + d.train_count, 64);
    ck_assert_str_eq(d.source, in("emnist-letters"));
    dataset_finish(&d);
    ck_assert_ok(dataset_read(&d, &a, in("emnist-digits")));
    ck_assert_int_eq(d.count * 10 + d.train_count, 30);
    write_set("", "t10k", 5);  // MNIST's own names come first
    dataset_finish(&d);
    ck_assert_ok(dataset_read(&d, &a, directory));
    ck_assert_int_eq(d.count, 5);
    dataset_finish(&d);
    arena_finish(&a);
}
END_TEST

START_TEST(an_images_file_brings_the_labels_beside_it) {
    static const char *const pairs[][2] = {{"a-images-idx3-ubyte", "a-labels-idx1-ubyte"},
                                           {"b-images-idx3-ubyte", "b-labels-idx1-ubyte.gz"},
                                           {"c-images-idx3-ubyte.gz", "c-labels-idx1-ubyte"},
                                           {"images", "labels"}};
    setup();
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        write_images(pairs[i][0], 2, 0);
        write_labels(pairs[i][1], 2, 3);
        Arena a = {0};
        Dataset d;
        ck_assert_ok(dataset_read(&d, &a, in(pairs[i][0])));
        ck_assert_int_eq(d.count * 10 + d.parts[0].labels[1], 24);
        dataset_finish(&d);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(what_is_missing_is_told_with_what_to_do) {
    setup();
    Arena a = {0};
    Dataset d;
    ck_assert_fails(dataset_read(&d, &a, in("nowhere")), ERR_INPUT,
                    "nowhere: No such file or directory; use --data digits");
    ck_assert_fails(dataset_read(&d, &a, in("nowhere")), ERR_INPUT, "tools/get-mnist");
    ck_assert_fails(dataset_read(&d, &a, directory), ERR_INPUT,
                    "expected train-images-idx3-ubyte[.gz] or t10k-images-idx3-ubyte[.gz] in it, "
                    "found neither");
    ck_assert_fails(dataset_read(&d, &a, directory), ERR_INPUT, "tools/get-mnist");
    write_labels("train-labels-idx1-ubyte", 2, 0);
    ck_assert_fails(dataset_read(&d, &a, directory), ERR_INPUT,
                    "train-images-idx3-ubyte[.gz]: expected it beside ");
    write_images("x-images-idx3-ubyte", 2, 0);
    ck_assert_fails(dataset_read(&d, &a, in("x-images-idx3-ubyte")), ERR_INPUT,
                    "x-labels-idx1-ubyte, found no such file");
    ck_assert_fails(dataset_read(&d, &a, in("train-labels-idx1-ubyte")), ERR_INPUT,
                    "expected a directory, or a file named like train-images-idx3-ubyte");
    dataset_finish(&d);
    arena_finish(&a);
}
END_TEST

START_TEST(sets_of_different_sizes_are_told_with_both_files) {
    setup();
    write_images("train-images-idx3-ubyte", 2, 0);
    write_labels("train-labels-idx1-ubyte", 2, 0);
    write_file("t10k-images-idx3-ubyte", (uint32_t[]){IDX_IMAGES, 1, 3, 3}, 4, 0, 25);
    write_labels("t10k-labels-idx1-ubyte", 1, 0);
    Arena a = {0};
    Dataset d;
    ck_assert_fails(dataset_read(&d, &a, directory), ERR_FORMAT,
                    "t10k-images-idx3-ubyte: byte 8: expected images of 2 × 3 as in ");
    ck_assert_fails(dataset_read(&d, &a, directory), ERR_FORMAT,
                    "train-images-idx3-ubyte, found 3 × 3");
    dataset_finish(&d);
    arena_finish(&a);
}
END_TEST

// Labels and checksums (of all pixels, of all labels) were taken with Python's gzip and zlib.
START_TEST(the_test_set_of_mnist_is_read) {
    const char *path = test_shared("data/mnist");
    if (!path) SKIP("no data/mnist below TANDEM_SHARED");
    Arena a = {0};
    Dataset d;
    ck_assert_ok(dataset_read(&d, &a, path));
    ck_assert_int_eq(d.count, 10000);
    ck_assert_int_eq(d.train_count, 0);
    ck_assert_mem_eq(d.parts[0].labels, ((uint8_t[]){7, 2, 1, 0, 4}), 5);
    ck_assert_uint_eq(crc32(0, d.parts[0].images, 10000 * 28 * 28), 0xe4ca5f57);
    ck_assert_uint_eq(crc32(0, d.parts[0].labels, 10000), 0xee8604d9);
    dataset_finish(&d);
    arena_finish(&a);
}
END_TEST

// --- tools/get-mnist. There is no network in a test: mirrors are directories.

START_TEST(get_mnist_keeps_only_what_has_the_right_checksum) {
    setup();
    char out[8192];
    ck_assert_int_eq(test_shell(out, sizeof out,
                                "mkdir %s/mirror && for f in train t10k; do"
                                " echo wrong > %s/mirror/$f-images-idx3-ubyte.gz; done;"
                                " tools/get-mnist %s/got --mirror file://%s/mirror",
                                directory, directory, directory, directory),
                     1);
    // SHA-256 of "wrong\n", by sha256sum
    ck_assert_ptr_nonnull(strstr(
        out, "expected SHA-256 440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609, "
             "found 543df89fec85b1c280e5be7bc6a33e31203503cd6edb3084312de4db5a9b436c"));
    ck_assert_ptr_nonnull(strstr(out, "train-labels-idx1-ubyte.gz: [Errno 2] No such file"));
    ck_assert_ptr_nonnull(strstr(out, "train with --data digits"));
    test_shell(out, sizeof out, "ls -A %s/got", directory);
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(get_mnist_removes_a_damaged_file_and_takes_the_next_mirror) {
    setup();
    const char *mnist = test_shared("data/mnist");
    if (!mnist) SKIP("no data/mnist below TANDEM_SHARED");
    char out[8192];
    ck_assert_int_eq(test_shell(out, sizeof out,
                                "echo damaged > %s/t10k-labels-idx1-ubyte.gz; tools/get-mnist %s"
                                " --mirror file:///nowhere --mirror 'file://%s'",
                                directory, directory, mnist),
                     1);
    ck_assert_ptr_nonnull(strstr(out, "t10k-labels-idx1-ubyte.gz: its SHA-256 is wrong; removed"));
    ck_assert_ptr_nonnull(
        strstr(out, "not fetched: train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz"));
    test_shell(out, sizeof out, "ls -A %s", directory);
    ck_assert_str_eq(out, "t10k-images-idx3-ubyte.gz\nt10k-labels-idx1-ubyte.gz\n");
    Arena a = {0};
    Dataset d;
    ck_assert_ok(dataset_read(&d, &a, directory));
    ck_assert_int_eq(d.count, 10000);
    dataset_finish(&d);
    arena_finish(&a);
}
END_TEST

// The script with other checksums in it, so that all files can be right.
START_TEST(get_mnist_ends_with_zero_when_all_is_there) {
    setup();
    char out[8192];
    const char *script =
        "mkdir %s/mirror; for f in train-images-idx3 train-labels-idx1 t10k-images-idx3 "
        "t10k-labels-idx1;"
        " do echo $f > %s/mirror/$f-ubyte.gz; s=$(sha256sum < %s/mirror/$f-ubyte.gz | cut -c 1-64);"
        " printf '%%s\\n' \"s/\\('$f-ubyte.gz': '\\)[0-9a-f]*/\\1$s/\"; done > %s/edit;"
        " sed -f %s/edit tools/get-mnist > %s/get; for i in 1 2; do"
        " python3 %s/get %s/new/got --mirror file://%s/mirror || exit; done; ls -A %s/new/got";
    const char *d = directory;
    ck_assert_int_eq(test_shell(out, sizeof out, script, d, d, d, d, d, d, d, d, d, d), 0);
    ck_assert_ptr_nonnull(strstr(out, "t10k-labels-idx1-ubyte.gz: already there"));
    ck_assert_ptr_nonnull(strstr(out, "\nt10k-images-idx3-ubyte.gz\nt10k-labels-idx1-ubyte.gz\n"
                                      "train-images-idx3-ubyte.gz\ntrain-labels-idx1-ubyte.gz\n"));
}
END_TEST

SUITE("idx", images_and_labels_are_read_plain_and_packed, a_wrong_magic_number_is_told,
      a_file_that_ends_in_its_header_is_told, a_file_that_ends_in_its_body_is_told,
      bytes_after_the_end_are_told, counts_that_differ_are_told_with_both_files,
      a_label_beyond_the_classes_is_told_with_its_place, sizes_that_cannot_be_are_told,
      a_directory_with_both_sets_is_split_data, a_directory_with_one_set_is_not_split,
      a_set_with_a_name_before_train_is_found, an_images_file_brings_the_labels_beside_it,
      what_is_missing_is_told_with_what_to_do, sets_of_different_sizes_are_told_with_both_files,
      the_test_set_of_mnist_is_read, get_mnist_keeps_only_what_has_the_right_checksum,
      get_mnist_removes_a_damaged_file_and_takes_the_next_mirror,
      get_mnist_ends_with_zero_when_all_is_there)
