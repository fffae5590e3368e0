// SPDX-License-Identifier: MIT
#include "core/base/file.h"
#include "core/data/safetensors.h"
#include "tests/support/testing.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *path;
static char path_text[PATH_MAX];

static void setup(void) {
    snprintf(path_text, sizeof path_text, "%s/w.safetensors", test_directory());
    path = path_text;
}

static const float weights[] = {1, -2, 3.5f, 0, 5, 6};
static const double scale = 0.1;
static const int64_t steps[] = {INT64_MIN, INT64_MAX};
static const int32_t labels[] = {-1, 7, 9};
static const uint8_t bytes[] = {1, 2, 255};
static const uint16_t halves[] = {0x3f80, 0xc000};  // 1 and -2 in bf16
static const SafetensorsEntry all[] = {
    {.name = "bytes", .dtype = DTYPE_U8, .dims = 3, .shape = {1, 3, 1}, .data = bytes},
    {.name = "fc1.weight", .dtype = DTYPE_F32, .dims = 2, .shape = {2, 3}, .data = weights},
    {.name = "halves", .dtype = DTYPE_BF16, .dims = 1, .shape = {2}, .data = halves},
    {.name = "scale", .dtype = DTYPE_F64, .dims = 0, .data = &scale},
    {.name = "none", .dtype = DTYPE_F32, .dims = 2, .shape = {0, 4}, .data = NULL},
    {.name = "labels \"x\" \xc3\xa9", .dtype = DTYPE_I32, .dims = 1, .shape = {3}, .data = labels},
    {.name = "steps", .dtype = DTYPE_I64, .dims = 1, .shape = {2}, .data = steps},
};
enum { ALL = sizeof all / sizeof *all };

START_TEST(what_was_written_is_read) {
    setup();
    const SafetensorsText texts[] = {{"format", "tandem"}, {"epoch", "5 \"x\"\n"}};
    ck_assert_ok(safetensors_write(path, all, ALL, texts, 2));
    Arena a = {0};
    Safetensors s;
    ck_assert_ok(safetensors_read(&s, &a, path));
    ck_assert_int_eq(s.count, ALL);
    for (int i = 0; i < ALL; i++) {
        const SafetensorsEntry *e = safetensors_find(&s, all[i].name);
        ck_assert_msg(e != NULL, "%s is missing", all[i].name);
        ck_assert_int_eq(e->dtype, all[i].dtype);
        ck_assert_int_eq(e->dims, all[i].dims);
        ck_assert_mem_eq(e->shape, all[i].shape, sizeof e->shape);
        ck_assert_uint_eq((uintptr_t)e->data % 64, 0);
        if (all[i].data) ck_assert_mem_eq(e->data, all[i].data, (size_t)safetensors_bytes(e));
    }
    ck_assert_ptr_null(safetensors_find(&s, "fc1"));
    ck_assert_int_eq(s.text_count, 2);
    ck_assert_str_eq(safetensors_text(&s, "epoch"), "5 \"x\"\n");
    ck_assert_ptr_null(safetensors_text(&s, "step"));
    arena_finish(&a);
}
END_TEST

// 8-byte types first, then 4, then 1; the header of 106 bytes is filled up to 112.
START_TEST(the_file_is_laid_out_as_the_format_says) {
    setup();
    const SafetensorsEntry two[] = {
        {.name = "b", .dtype = DTYPE_U8, .dims = 1, .shape = {3}, .data = bytes},
        {.name = "a", .dtype = DTYPE_F64, .dims = 0, .data = &scale}};
    ck_assert_ok(safetensors_write(path, two, 2, NULL, 0));
    Arena a = {0};
    char *text;
    size_t length;
    ck_assert_ok(file_read(&text, &length, &a, path));
    const char *header = "{\"a\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"
                         "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}";
    uint64_t stored;
    memcpy(&stored, text, 8);
    size_t written = strlen(header), padded = (written + 7) / 8 * 8;
    ck_assert_uint_eq(written, 106);
    ck_assert_uint_eq(stored, padded);
    ck_assert_mem_eq(text + 8, header, written);
    for (size_t i = written; i < padded; i++) ck_assert_int_eq(text[8 + i], ' ');
    ck_assert_mem_eq(text + 8 + padded, &scale, 8);
    ck_assert_mem_eq(text + 16 + padded, bytes, 3);
    ck_assert_uint_eq(length, 8 + padded + 11);
    arena_finish(&a);
}
END_TEST

START_TEST(a_file_without_tensors_is_read) {
    setup();
    ck_assert_ok(safetensors_write(path, NULL, 0, NULL, 0));
    Arena a = {0};
    Safetensors s;
    ck_assert_ok(safetensors_read(&s, &a, path));
    ck_assert_int_eq(s.count + s.text_count, 0);
    arena_finish(&a);
}
END_TEST

START_TEST(what_cannot_be_written_is_told_and_leaves_no_file) {
    setup();
    const SafetensorsEntry twice[] = {all[1], all[1]};
    const SafetensorsEntry reserved = {.name = "__metadata__", .dtype = DTYPE_F64, .data = &scale};
    const SafetensorsEntry broken = {.name = "a\xff", .dtype = DTYPE_F64, .data = &scale};
    const SafetensorsText same[] = {{"a", "1"}, {"a", "2"}};
    ck_assert_fails(safetensors_write(path, twice, 2, NULL, 0), ERR_FORMAT,
                    "the name 'fc1.weight' is given twice");
    ck_assert_fails(safetensors_write(path, &reserved, 1, same, 1), ERR_FORMAT,
                    "'__metadata__' is given twice or reserved");
    ck_assert_fails(safetensors_write(path, &reserved, 1, NULL, 0), ERR_FORMAT,
                    "'__metadata__' is given twice or reserved");
    ck_assert_fails(safetensors_write(path, &broken, 1, NULL, 0), ERR_FORMAT,
                    "expected a name in UTF-8");
    ck_assert_fails(safetensors_write(path, NULL, 0, same, 2), ERR_FORMAT,
                    "the key 'a' is given twice");
    char out[256], nowhere[PATH_MAX + 8];
    snprintf(nowhere, sizeof nowhere, "%s/x", path);  // below a file that is not there
    ck_assert_fails(safetensors_write(nowhere, all, ALL, NULL, 0), ERR_IO, nowhere);
    test_shell(out, sizeof out, "ls -A $(dirname %s)", path);
    ck_assert_str_eq(out, "");
    ck_assert_fails(safetensors_write("/dev/full", all, ALL, NULL, 0), ERR_IO, "/dev/full");
}
END_TEST

// A file of a header's length (the header's own when -1), a header and `data` bytes of zeros.
static void write_raw(int64_t length, const char *header, int data) {
    OutputFile f;
    ck_assert_ok(file_create(&f, path));
    if (length < 0) length = (int64_t)strlen(header);
    fwrite(&length, sizeof length, 1, f.stream);
    fputs(header, f.stream);
    for (int i = 0; i < data; i++) fputc(0, f.stream);
    ck_assert_ok(file_commit(&f));
}

#define ck_assert_rejects(part)                                                   \
    do {                                                                          \
        Arena arena = {0};                                                        \
        Safetensors read;                                                         \
        ck_assert_fails(safetensors_read(&read, &arena, path), ERR_FORMAT, part); \
        ck_assert_ptr_nonnull(strstr(status_message(), path));                    \
        arena_finish(&arena);                                                     \
    } while (0)

START_TEST(a_missing_file_is_told) {
    Arena a = {0};
    Safetensors s;
    ck_assert_fails(safetensors_read(&s, &a, "/nowhere/w"), ERR_INPUT, "/nowhere/w: No such file");
    arena_finish(&a);
}
END_TEST

START_TEST(a_header_that_is_cut_or_no_json_is_told) {
    setup();
    OutputFile f;
    ck_assert_ok(file_create(&f, path));
    fputs("abcde", f.stream);
    ck_assert_ok(file_commit(&f));
    ck_assert_rejects(
        "byte 5: the file ends too early: expected 8 bytes for the header's length, found 5");
    write_raw(100, "{}", 0);
    ck_assert_rejects("byte 0: expected a header's length of 2 to 2, found 100");
    write_raw(INT64_MAX, "{}", 0);
    ck_assert_rejects("byte 0: expected a header's length of 2 to 2, found 9223372036854775807");
    write_raw(0, "{}", 0);
    ck_assert_rejects("byte 0: expected a header's length of 2 to 2, found 0");
    write_raw(-1, "[]", 0);
    ck_assert_rejects("byte 8: expected '{', found 0x5b");
    write_raw(-1, "{\"a\":}", 0);
    ck_assert_rejects("byte 14: expected JSON: ");  // 8 + 6: jansson stands behind the '}'
    write_raw(-1, "{\"a\":{},\"a\":{}}", 0);
    ck_assert_rejects("duplicate");
}
END_TEST

START_TEST(metadata_must_be_text) {
    setup();
    write_raw(-1, "{\"__metadata__\":5}", 0);
    ck_assert_rejects("__metadata__: expected a map of strings");
    write_raw(-1, "{\"__metadata__\":{\"epoch\":5}}", 0);
    ck_assert_rejects("__metadata__: 'epoch': expected a string");
}
END_TEST

START_TEST(a_tensor_that_cannot_be_is_told_by_name) {
    static const struct {
        const char *entry, *message;
    } cases[] = {
        {"5", "tensor 'w': expected an object with dtype, shape and data_offsets"},
        {"{}", "tensor 'w': expected dtype F32, F64, F16, BF16, I32, I64 or U8, found none"},
        {"{\"dtype\":\"F8_E4M3\"}",
         "tensor 'w': expected dtype F32, F64, F16, BF16, I32, I64 or U8, found F8_E4M3"},
        {"{\"dtype\":\"F32\"}", "tensor 'w': expected a shape of at most 8 sizes, found none"},
        {"{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1]}",
         "tensor 'w': expected a shape of at most 8 sizes, found more"},
        {"{\"dtype\":\"F32\",\"shape\":[2,-1]}",
         "tensor 'w': size 1 of its shape is not a whole number, negative or too large"},
        {"{\"dtype\":\"F32\",\"shape\":[2.5]}", "tensor 'w': size 0 of its shape is not"},
        // 4 * 2^32 * 2^32 = 2^66
        {"{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296]}",
         "tensor 'w': size 1 of its shape is not"},
        {"{\"dtype\":\"F32\",\"shape\":[2]}",
         "tensor 'w': expected data_offsets [begin, end], two whole numbers"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}",
         "tensor 'w': expected data_offsets [begin, end]"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}",
         "tensor 'w': expected data_offsets [begin, end]"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,7]}",
         "tensor 'w': expected 8 bytes for its shape and dtype, found data_offsets [0, 7]"},
        {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}", "found data_offsets [8, 0]"},
    };
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[256];
        snprintf(header, sizeof header, "{\"w\":%s}", cases[i].entry);
        write_raw(-1, header, 8);
        ck_assert_rejects(cases[i].message);
    }
}
END_TEST

// Two tensors of 4 bytes, the first at 0, the second at `begin`.
static void write_two(int begin, int data) {
    char header[256];
    snprintf(header, sizeof header,
             "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]},"
             "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}",
             begin, begin + 4);
    write_raw(-1, header, data);
}

START_TEST(tensors_must_fill_the_file_without_overlap_or_hole) {
    setup();
    write_two(4, 8);
    Arena a = {0};
    Safetensors s;
    ck_assert_ok(safetensors_read(&s, &a, path));
    ck_assert_str_eq(s.entries[0].name, "a");  // by offset, whatever the header's order
    arena_finish(&a);
    write_two(3, 7);
    ck_assert_rejects(
        "tensor 'b': expected its data at offset 4, where 'a' ends, found 3: they overlap");
    write_two(5, 9);
    ck_assert_rejects(
        "tensor 'b': expected its data at offset 4, where 'a' ends, found 5: there is a hole");
    write_raw(-1, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2);
    ck_assert_rejects("tensor 'a': expected its data at offset 0, where the data begin, found 1: "
                      "there is a hole");
    // The header has 54 + 52 = 106 bytes, so the data begin at 114.
    write_two(4, 7);
    ck_assert_rejects("byte 121: expected 8 bytes of data, found 7; the file is cut short");
    write_two(4, 10);
    ck_assert_rejects(
        "byte 122: expected 8 bytes of data, found 10; the header does not describe the rest");
}
END_TEST

START_TEST(every_beginning_of_a_file_is_refused) {
    setup();
    ck_assert_ok(safetensors_write(path, &all[1], 1, NULL, 0));
    Arena a = {0};
    char *whole;
    size_t length;
    ck_assert_ok(file_read(&whole, &length, &a, path));
    for (size_t cut = 0; cut < length; cut++) {
        OutputFile f;
        ck_assert_ok(file_create(&f, path));
        fwrite(whole, 1, cut, f.stream);
        ck_assert_ok(file_commit(&f));
        ck_assert_rejects("found");
    }
    arena_finish(&a);
}
END_TEST

// A header of 54 bytes, as other writers make: the tensor begins at byte 62 of the file.
START_TEST(data_at_an_odd_place_are_aligned_in_memory) {
    setup();
    write_raw(-1, "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8);
    Arena a = {0};
    Safetensors s;
    ck_assert_ok(safetensors_read(&s, &a, path));
    ck_assert_uint_eq((uintptr_t)s.entries[0].data % 64, 0);
    ck_assert_double_eq(*(const double *)s.entries[0].data, 0);
    arena_finish(&a);
}
END_TEST

// Every type has a name in files.
START_TEST(tensors_of_every_type_are_written) {
    static const uint64_t data[1] = {0x0123456789abcdef};
    setup();
    for (int d = 0; d < DTYPE_COUNT; d++) {
        const SafetensorsEntry e = {.name = "w", .dtype = (Dtype)d, .data = data};
        Arena a = {0};
        Safetensors s;
        ck_assert_ok(safetensors_write(path, &e, 1, NULL, 0));
        ck_assert_ok(safetensors_read(&s, &a, path));
        ck_assert_int_eq(s.entries[0].dtype, d);
        ck_assert_mem_eq(s.entries[0].data, data, (size_t)dtype_bytes((Dtype)d));
        arena_finish(&a);
    }
}
END_TEST

// What somebody may have made to harm a reader: each is refused, with its place.
START_TEST(a_hostile_header_is_refused) {
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}",
         "expected JSON: "},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1e30],\"data_offsets\":[0,4]}}",
         "tensor 'w': size 0 of its shape is not a whole number"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807,9223372036854775807],"
         "\"data_offsets\":[0,8]}}",
         "tensor 'w': expected 0 bytes"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[9223372036854775800,9223372036854775808]}}",
         "expected JSON: "},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[9223372036854775799,9223372036854775807]}}",
         "tensor 'w': expected its data at offset 0"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
         "expected 16 bytes of data, found 8; the file is cut short"},
        {"{\"w\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}",
         "tensor 'w': expected dtype"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,8]}}",
         "tensor 'w': expected a shape"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}",
         "tensor 'w': size 0"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,true]}}",
         "tensor 'w': expected data_offsets"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
         "they overlap"},
        {"{\"w\":1,\"\\u0077\":1}", "duplicate"},
        {"{\"a\\u0000b\":1}", "expected JSON: "},
        {"{\"\xff\":1}", "expected JSON: "},
        {"{\"__metadata__\":{\"a\":\"\xc3\"}}", "expected JSON: "},
        {"{\"__metadata__\":[]}", "__metadata__: expected a map of strings"},
    };
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_raw(-1, cases[i].header, 8);
        ck_assert_rejects(cases[i].message);
    }
    write_raw((int64_t)100 * 1000 * 1000 + 1, "{}", 8);  // longer than the format allows
    ck_assert_rejects("byte 0: expected a header's length of 2 to 10");
}
END_TEST

SUITE("safetensors", tensors_of_every_type_are_written, a_hostile_header_is_refused,
      what_was_written_is_read, the_file_is_laid_out_as_the_format_says,
      a_file_without_tensors_is_read, what_cannot_be_written_is_told_and_leaves_no_file,
      a_missing_file_is_told, a_header_that_is_cut_or_no_json_is_told, metadata_must_be_text,
      a_tensor_that_cannot_be_is_told_by_name, tensors_must_fill_the_file_without_overlap_or_hole,
      every_beginning_of_a_file_is_refused, data_at_an_odd_place_are_aligned_in_memory)
