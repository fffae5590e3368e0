// SPDX-License-Identifier: MIT
// Tensors in several files: what others write is read, and what cannot be put together is refused.
#include "core/data/safetensors_index.h"
#include "tests/support/testing.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static char folder[PATH_MAX / 4], index_path[PATH_MAX / 2];

static void write_text(const char *text) {
    FILE *f = fopen(index_path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

// A file with a tensor "w" of `count` f32, first, first + 1, …; what it says of them, or NULL.
static void write_piece(const char *name, int count, float first, const char *runs) {
    char path[PATH_MAX / 2];
    float data[8];
    for (int i = 0; i < count; i++) data[i] = first + (float)i;
    const SafetensorsEntry e = {
        .name = "w", .dtype = DTYPE_F32, .dims = 1, .shape = {count}, .data = data};
    const SafetensorsText t[] = {{SAFETENSORS_PART_OF, name}, {"w", runs}};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_ok(safetensors_write(path, &e, 1, t, runs ? 2 : 0));
}

static void setup(void) {
    snprintf(folder, sizeof folder, "%s", test_directory());
    snprintf(index_path, sizeof index_path, "%s/m.safetensors.index.json", folder);
}

#define TWO "\"weight_map\":{\"w\":[\"a\",\"b\"]}"
#define ABOUT "\"tensors\":{\"w\":{\"dtype\":\"F32\",\"shape\":[2,4]}},"

// The columns of a 2x4 matrix, two in each file: rows are 4 apart.
START_TEST(pieces_are_put_together) {
    Arena a = {0};
    Safetensors s;
    static const float want[] = {0, 1, 4, 5, 2, 3, 6, 7};
    setup();
    write_piece("a", 4, 0, "0:2:2:4");
    write_piece("b", 4, 4, "2:2 6:2");
    write_text("{\"metadata\":{\"total_size\":32,\"steps\":\"5\"}," ABOUT TWO "}");
    ck_assert_ok(safetensors_read_index(&s, &a, index_path));
    ck_assert_int_eq(s.count, 1);
    ck_assert_int_eq(s.entries[0].dims, 2);
    ck_assert_mem_eq(s.entries[0].data, want, sizeof want);
    ck_assert_str_eq(safetensors_text(&s, "steps"), "5");
    ck_assert_int_eq(s.text_count, 1);
    arena_finish(&a);
}
END_TEST

// As Hugging Face writes it: each tensor whole in one of the files, and no shapes in the index.
START_TEST(whole_tensors_of_others_are_read) {
    Arena a = {0};
    Safetensors s;
    setup();
    write_piece("a", 3, 1, NULL);
    write_text("{\"metadata\":{\"total_size\":12},\"weight_map\":{\"w\":\"a\"}}");
    ck_assert_ok(safetensors_read_index(&s, &a, index_path));
    ck_assert(s.entries[0].dims == 1 && s.entries[0].shape[0] == 3);
    ck_assert(((const float *)s.entries[0].data)[2] == 3);
    arena_finish(&a);
}
END_TEST

START_TEST(what_cannot_be_put_together_is_refused) {
    static const struct {
        const char *a, *b, *index, *message;
    } cases[] = {
        {"0:4", "3:4", "{" ABOUT TWO "}", "tensor 'w': element 3 is there twice"},
        {"0:4", "5:4", "{" ABOUT TWO "}", "tensor 'w': elements 5 to 9 are not within it"},
        {"0:4", "4:3", "{" ABOUT TWO "}", "tensor 'w': 3 elements are placed, and it has 4"},
        {"0:4", "4:5", "{" ABOUT TWO "}", "are not within it"},
        {"0:4", "4:x", "{" ABOUT TWO "}", "expected FIRST:COUNT, found '4:x'"},
        {"0:4", "4:0", "{" ABOUT TWO "}", "expected FIRST:COUNT, found '4:0'"},
        {"0:4", "-4:4", "{" ABOUT TWO "}", "expected FIRST:COUNT, found '-4:4'"},
        {"0:4", "4:1:9223372036854775807:1", "{" ABOUT TWO "}", "expected FIRST:COUNT"},
        {"0:4", "4:1:1000:0", "{" ABOUT TWO "}", "element 4 is there twice"},
        {"0:4", "4:4", "{" ABOUT "\"weight_map\":{\"w\":\"a\"}}",
         "tensor 'w': of 8 elements 4 are in the files"},
        {"0:4", "4:4", "{" TWO "}", "elements 4 to 8 are not within it"},
        {"0:4", "4:4", "{\"weight_map\":{\"w\":\"../a\"}}",
         "expected the name of a file beside it, found '../a'"},
        {"0:4", "4:4", "{\"weight_map\":{\"w\":7}}", "'w': expected names of files"},
        {"0:4", "4:4", "{\"weight_map\":{\"w\":\"none\"}}", "none: No such file"},
        {"0:4", "4:4", "{\"weight_map\":[]}", "weight_map: expected a map"},
        {"0:4", "4:4", "[]", "weight_map: expected a map"},
        {"0:4", "4:4", "{\"weight_map\":{\"v\":\"a\"}}", "tensor 'v' is in none of the files"},
        {"0:4", "4:4", "{\"tensors\":{\"w\":{\"dtype\":\"F64\",\"shape\":[8]}}," TWO "}",
         "its dtype is not that of its pieces"},
        {"0:4", "4:4", "{\"tensors\":{\"w\":{\"dtype\":\"F32\",\"shape\":[-8]}}," TWO "}",
         "tensor 'w': size 0 of its shape"},
    };
    setup();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = {0};
        Safetensors s;
        write_piece("a", 4, 0, cases[i].a);
        write_piece("b", 4, 4, cases[i].b);
        write_text(cases[i].index);
        Status done = safetensors_read_index(&s, &a, index_path);
        ck_assert_msg(done == ERR_FORMAT || done == ERR_INPUT, "%zu: %s", i, status_name(done));
        ck_assert_msg(strstr(status_message(), cases[i].message) &&
                          strstr(status_message(), folder),
                      "%zu: %s", i, status_message());
        arena_finish(&a);
    }
}
END_TEST

// A file of another checkpoint, or of one that does not say, under the name of one of this.
START_TEST(files_of_another_checkpoint_are_refused) {
    Arena a = {0};
    Safetensors s;
    setup();
    write_piece("a", 4, 0, "0:4");
    write_text("{\"metadata\":{\"part_of\":\"a\"},\"weight_map\":{\"w\":\"a\"}}");
    ck_assert_ok(safetensors_read_index(&s, &a, index_path));
    ck_assert_int_eq(s.text_count, 0);
    write_text("{\"metadata\":{\"part_of\":\"b\"},\"weight_map\":{\"w\":\"a\"}}");
    ck_assert_fails(safetensors_read_index(&s, &a, index_path), ERR_FORMAT,
                    "/a: it is part of another checkpoint than its index");
    write_piece("a", 4, 0, NULL);
    ck_assert_fails(safetensors_read_index(&s, &a, index_path), ERR_FORMAT,
                    "/a: it is part of another checkpoint than its index");
    arena_finish(&a);
}
END_TEST

SUITE("safetensors_index", files_of_another_checkpoint_are_refused, pieces_are_put_together,
      whole_tensors_of_others_are_read, what_cannot_be_put_together_is_refused)
