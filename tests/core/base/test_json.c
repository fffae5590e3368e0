// SPDX-License-Identifier: MIT
#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/support/testing.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *in_directory(const char *name) {
    static char directory[256], path[512];
    if (!directory[0]) snprintf(directory, sizeof directory, "%s", test_directory());
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static Status read_text(json_t **out, const char *name, const char *text) {
    FILE *f = fopen(in_directory(name), "wb");
    fputs(text, f);
    fclose(f);
    return json_read_file(out, in_directory(name));
}

static json_t *report(void) {
    json_t *root;
    ck_assert_ok(read_text(
        &root, "report.json",
        "{\"schema\": \"tandem.report.v1\", \"strategy\": {\"ranks\": 2, \"overlap\": true},\n"
        " \"loss\": [2.5, 1, {\"mean\": null}], \"big\": 9007199254740993}"));
    return root;
}

// The text is valid until the next call.
static const char *written(const json_t *value) {
    static char *text;
    size_t size;
    free(text);
    FILE *f = open_memstream(&text, &size);
    json_write(f, value);
    fclose(f);
    return text;
}

START_TEST(values_are_found_at_their_places) {
    json_t *root = report(), *node;
    int64_t whole;
    double real;
    bool yes;
    const char *text;
    ck_assert_ok(json_get_int(&whole, root, "r", "strategy.ranks"));
    ck_assert_int_eq(whole, 2);
    ck_assert_ok(json_get_int(&whole, root, "r", "big"));
    ck_assert_int_eq(whole, INT64_C(9007199254740993));  // 2^53 + 1: not a double
    ck_assert_ok(json_get_bool(&yes, root, "r", "strategy.overlap"));
    ck_assert(yes);
    ck_assert_ok(json_get_real(&real, root, "r", "loss[%d]", 0));
    ck_assert_double_eq(real, 2.5);
    ck_assert_ok(json_get_real(&real, root, "r", "loss[%d]", 1));
    ck_assert_double_eq(real, 1);
    ck_assert_ok(json_get_string(&text, root, "r", "schema"));
    ck_assert_str_eq(text, "tandem.report.v1");
    ck_assert_ok(json_get_array(&node, root, "r", "loss"));
    ck_assert_uint_eq(json_array_size(node), 3);
    ck_assert_ok(json_get_object(&node, root, "r", "%s", ""));
    ck_assert_ptr_eq(node, root);
    ck_assert_ptr_nonnull(json_find(root, "loss[2].mean"));
    ck_assert_ptr_null(json_find(root, "loss[3]"));
    ck_assert_ptr_null(json_find(root, "loss[2].mean.x"));
    json_decref(root);
}
END_TEST

START_TEST(a_tree_far_larger_than_its_text_is_refused_before_it_is_made) {
    json_t *root = NULL;
    enum { OBJECTS = 6000000 };  // 18 MB of text, 1.5 GB as a tree
    char *text = malloc(3 * OBJECTS + 3), *at = text;
    *at++ = '[';
    for (int i = 0; i < OBJECTS; i++, at += 3) memcpy(at, i ? ",{}" : " {}", 3);
    memcpy(at, "]", 2);
    ck_assert_uint_gt(json_tree_bytes(text, strlen(text)), JSON_MOST_TREE);
    ck_assert_fails(read_text(&root, "many.json", text), ERR_FORMAT,
                    "many.json: reading it would take 1.7GiB of memory, for more values than a "
                    "file of this kind has (at most 1GiB)");
    ck_assert_ptr_null(root);
    free(text);
    // Only the first value counts, and what stands in a text does not.
    ck_assert_uint_eq(json_tree_bytes("7, [[[[", 7), 0);
    ck_assert_uint_eq(json_tree_bytes("\"[[{,\\\"{\", [", 13), 8);
    ck_assert_uint_eq(json_tree_bytes(" {\"a\": 1} [", 12), 256 + 80 + 2);
    ck_assert_uint_eq(json_tree_bytes("\"cut", 4), 3);
}
END_TEST

START_TEST(a_file_of_more_than_256_mib_is_no_json) {
    json_t *root = NULL;
    Arena a = {0};
    OutputFile f;
    static char line[1 << 20];
    memset(line, ' ', sizeof line);
    ck_assert_ok(file_create(&f, in_directory("long.json.gz")));
    for (int i = 0; i < 257; i++) fwrite(line, 1, sizeof line, f.stream);
    fputs("{}", f.stream);
    ck_assert_ok(file_commit(&f));
    ck_assert_fails(json_read_file(&root, in_directory("long.json.gz")), ERR_INPUT,
                    "more than 256MiB when unpacked");
    arena_finish(&a);
}
END_TEST

START_TEST(what_jansson_says_is_put_in_words_for_others) {
    json_t *root;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"a\": \"x\\u0000y\"}", "z.json:1:16: a text with the character \\u0000, which no"},
        {"{\"a\\u0000\": 1}", "a text with the character \\u0000"},
        {"{\"a\": [1, 2", "z.json:1:11: the file ends within a value: it was cut off"},
        {"{} {}", "something follows the end of the value"},
        {"{\"a\": \"\xff\"}", "text that is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_fails(read_text(&root, "z.json", cases[i].text), ERR_FORMAT, cases[i].message);
        ck_assert_ptr_null(strstr(status_message(), "JSON_"));
    }
}
END_TEST

START_TEST(a_byte_order_mark_is_passed_over) {
    json_t *root;
    ck_assert_ok(read_text(&root, "m.json", "\xEF\xBB\xBF{\"a\": 1}"));
    ck_assert_ptr_nonnull(json_find(root, "a"));
    json_decref(root);
}
END_TEST

START_TEST(control_characters_are_written_as_escapes) {
    json_t *text = json_string("a\033[2J\x7f\xc2\x9b\xc2\xa0\t");
    ck_assert_str_eq(written(text), "\"a\\u001b[2J\\u007f\\u009b\xc2\xa0\\u0009\"\n");
    json_decref(text);
}
END_TEST

START_TEST(what_is_missing_or_of_another_type_is_named_with_its_place) {
    json_t *root = report();
    int64_t whole = 7;
    double real;
    bool yes;
    const char *text;
    json_t *node;
    ck_assert_fails(json_get_int(&whole, root, "run.json", "strategy.dp"), ERR_FORMAT,
                    "run.json: strategy.dp is missing: expected a whole number");
    ck_assert_fails(json_get_real(&real, root, "run.json", "loss[%d]", 9), ERR_FORMAT,
                    "run.json: loss[9] is missing: expected a number");
    ck_assert_fails(json_get_int(&whole, root, "run.json", "schema"), ERR_FORMAT,
                    "run.json: schema: expected a whole number, found a string");
    ck_assert_fails(json_get_int(&whole, root, "run.json", "loss[0]"), ERR_FORMAT,
                    "loss[0]: expected a whole number, found a number with a fraction");
    ck_assert_fails(json_get_real(&real, root, "run.json", "loss[2].mean"), ERR_FORMAT,
                    "expected a number, found null");
    ck_assert_fails(json_get_bool(&yes, root, "run.json", "loss"), ERR_FORMAT,
                    "expected true or false, found an array");
    ck_assert_fails(json_get_string(&text, root, "run.json", "strategy"), ERR_FORMAT,
                    "expected a string, found an object");
    ck_assert_fails(json_get_object(&node, root, "run.json", "big"), ERR_FORMAT,
                    "expected an object, found a whole number");
    ck_assert_fails(json_get_array(&node, root, "run.json", "strategy.overlap"), ERR_FORMAT,
                    "expected an array, found true or false");
    ck_assert_fails(json_get_array(&node, root, "run.json", "%s", ""), ERR_FORMAT,
                    "run.json: the whole file: expected an array, found an object");
    ck_assert_int_eq(whole, 7);
    json_decref(root);
}
END_TEST

START_TEST(what_is_not_json_is_refused_with_line_and_column) {
    json_t *root;
    ck_assert_fails(read_text(&root, "a.json", "{\n  \"x\": 1,\n  \"y\": oops\n}"), ERR_FORMAT,
                    "a.json:3:11: invalid token near 'oops'");
    ck_assert_fails(read_text(&root, "a.json", "[1, 2"), ERR_FORMAT,
                    "a.json:1:5: the file ends within a value: it was cut off");
    ck_assert_fails(read_text(&root, "a.json", "[1] x"), ERR_FORMAT,
                    "a.json:1:5: something follows the end of the value");
    ck_assert_fails(read_text(&root, "a.json", ""), ERR_FORMAT, "a.json:1:0: ");
    ck_assert_fails(read_text(&root, "a.json", "{\"x\": 1, \"x\": 2}"), ERR_FORMAT,
                    "duplicate object key");
    ck_assert_fails(read_text(&root, "a.json", "[99999999999999999999]"), ERR_FORMAT,
                    "too big integer");
    ck_assert_fails(json_read_file(&root, in_directory("none")), ERR_INPUT, "none: No such file");
}
END_TEST

// All doubles of a sweep over exponents and fractions, and those that need 15, 16 and 17 digits.
START_TEST(numbers_read_back_equal_and_are_short) {
    static const double some[] = {
        0.1, 1.0 / 3, 5e-324, DBL_MAX, DBL_MIN, 1e22, 0.30000000000000004, 123456789.0, -0.0, 100};
    json_t *list = json_array(), *again;
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        json_array_append_new(list, json_real(some[i]));
    for (double x = 1e-300; x < 1e300; x *= 7.3e5) json_array_append_new(list, json_real(x));
    ck_assert_ok(json_write_file(list, in_directory("n.json")));
    ck_assert_ok(json_read_file(&again, in_directory("n.json")));
    ck_assert(json_equal(list, again));
    ck_assert_uint_gt(json_array_size(again), 100);
    json_decref(list);
    json_decref(again);
    list = json_pack("[f, f, f, f, I]", 0.1, 100.0, 1e22, 1.0 / 3, (json_int_t)INT64_MIN);
    ck_assert_str_eq(written(list),
                     "[0.1, 100.0, 1e+22, 0.3333333333333333, -9223372036854775808]\n");
    json_decref(list);
}
END_TEST

START_TEST(objects_are_indented_and_plain_arrays_stay_on_one_line) {
    json_t *root = json_pack("{s:i, s:[i,i], s:[{s:b}], s:{}, s:[], s:n}", "z", 1, "a", 1, 2,
                             "list", "yes", 1, "none", "empty", "null");
    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(written(root), "{\n"
                                    "  \"z\": 1,\n"
                                    "  \"a\": [1, 2],\n"
                                    "  \"list\": [\n"
                                    "    {\n"
                                    "      \"yes\": true\n"
                                    "    }\n"
                                    "  ],\n"
                                    "  \"none\": {},\n"
                                    "  \"empty\": [],\n"
                                    "  \"null\": null\n"
                                    "}\n");
    json_decref(root);
}
END_TEST

START_TEST(strings_are_escaped_and_read_back_equal) {
    json_t *root = json_array(), *again;
    json_array_append_new(root, json_string("a \"b\" \\ \n \t \x01 µ 你"));
    json_array_append_new(root, json_stringn("nul\0inside", 10));
    ck_assert_str_eq(written(root),
                     "[\"a \\\"b\\\" \\\\ \\n \\u0009 \\u0001 µ 你\", \"nul\\u0000inside\"]\n");
    ck_assert_ok(json_write_file(root, in_directory("s.json.gz")));
    json_error_t error;
    again = json_loads(written(root), JSON_ALLOW_NUL, &error);
    ck_assert(json_equal(root, again));
    json_decref(root);
    json_decref(again);
}
END_TEST

START_TEST(a_file_is_written_whole_or_not_at_all) {
    json_t *root = json_pack("{s:f}", "x", 0.5), *again;
    ck_assert_ok(json_write_file(root, in_directory("x.json.gz")));
    ck_assert_ok(json_read_file(&again, in_directory("x.json.gz")));
    ck_assert(json_equal(root, again));
    ck_assert_fails(json_write_file(root, in_directory("none/x.json")), ERR_IO,
                    "none/x.json: No such file or directory");
    json_decref(root);
    json_decref(again);
}
END_TEST

START_TEST(numbers_that_json_does_not_have_become_null) {
    json_t *list =
        json_pack("[o, o, o]", json_number((double)NAN), json_number(-HUGE_VAL), json_number(1.5));
    ck_assert_str_eq(written(list), "[null, null, 1.5]\n");
    json_decref(list);
}
END_TEST

SUITE("json", a_tree_far_larger_than_its_text_is_refused_before_it_is_made,
      a_file_of_more_than_256_mib_is_no_json, what_jansson_says_is_put_in_words_for_others,
      a_byte_order_mark_is_passed_over, control_characters_are_written_as_escapes,
      values_are_found_at_their_places, what_is_missing_or_of_another_type_is_named_with_its_place,
      what_is_not_json_is_refused_with_line_and_column, numbers_read_back_equal_and_are_short,
      objects_are_indented_and_plain_arrays_stay_on_one_line,
      strings_are_escaped_and_read_back_equal, a_file_is_written_whole_or_not_at_all,
      numbers_that_json_does_not_have_become_null)
