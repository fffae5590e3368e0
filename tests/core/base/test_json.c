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
                    "a.json:1:5: ']' expected near end of file");
    ck_assert_fails(read_text(&root, "a.json", "[1] x"), ERR_FORMAT,
                    "a.json:1:5: end of file expected");
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

SUITE("json", values_are_found_at_their_places,
      what_is_missing_or_of_another_type_is_named_with_its_place,
      what_is_not_json_is_refused_with_line_and_column, numbers_read_back_equal_and_are_short,
      objects_are_indented_and_plain_arrays_stay_on_one_line,
      strings_are_escaped_and_read_back_equal, a_file_is_written_whole_or_not_at_all,
      numbers_that_json_does_not_have_become_null)
