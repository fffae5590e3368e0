// SPDX-License-Identifier: MIT
#include "core/base/file.h"
#include "core/base/yaml.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

static Arena arena;  // given up with the process of the test

static Status parse(const YamlNode **out, const char *text) {
    return yaml_parse(out, &arena, text, strlen(text), "m.yaml");
}

static const YamlNode *tree(const char *text) {
    const YamlNode *root = NULL;
    ck_assert_ok(parse(&root, text));
    return root;
}

static const char MACHINE[] = "# a machine\n"
                              "name: two nodes\n"
                              "cores: 8\n"
                              "links:\n"
                              "  - {kind: ring, bandwidth: 25 GB/s, latency: 1.5us}\n"
                              "  - {kind: tree, bandwidth: 100Gbit/s}\n"
                              "memory: 80GiB\n"
                              "factor: 0.75\n"
                              "pinned: true\n"
                              "serial: \"007\"\n"
                              "nothing:\n"
                              "text: |\n"
                              "  one\n"
                              "  two\n";

START_TEST(a_document_becomes_a_tree_in_the_order_of_the_file) {
    const YamlNode *root = tree(MACHINE);
    ck_assert_int_eq(root->kind, YAML_MAPPING);
    ck_assert_int_eq(root->count, 9);
    ck_assert_str_eq(root->first->key, "name");
    ck_assert_str_eq(root->first->text, "two nodes");
    ck_assert_str_eq(root->first->next->key, "cores");
    const YamlNode *links = yaml_find(root, "links");
    ck_assert_int_eq(links->kind, YAML_SEQUENCE);
    ck_assert_int_eq(links->count, 2);
    ck_assert_str_eq(yaml_find(links->first->next, "kind")->text, "tree");
    ck_assert_ptr_null(links->first->key);
    ck_assert_str_eq(yaml_find(root, "text")->text, "one\ntwo\n");
    ck_assert(yaml_find(root, "serial")->quoted && yaml_find(root, "text")->quoted);
    ck_assert(!yaml_find(root, "cores")->quoted);
    ck_assert_ptr_null(yaml_find(root, "gpus"));
    ck_assert_ptr_null(yaml_find(links, "gpus"));
}
END_TEST

START_TEST(windows_line_ends_and_a_byte_order_mark_are_read) {
    const YamlNode *root = tree("\xEF\xBB\xBFname: x\r\ncores: 8\r\n");
    ck_assert_str_eq(root->first->key, "name");
    ck_assert_str_eq(yaml_find(root, "cores")->text, "8");
}
END_TEST

START_TEST(nodes_know_where_they_and_their_keys_stand) {
    const YamlNode *root = tree(MACHINE);
    const YamlNode *bandwidth = yaml_find(yaml_find(root, "links")->first, "bandwidth");
    ck_assert_int_eq(bandwidth->line, 5);
    ck_assert_int_eq(bandwidth->key_column, 18);
    ck_assert_int_eq(bandwidth->column, 29);
    ck_assert_str_eq(bandwidth->source, "m.yaml");
    ck_assert_int_eq(yaml_find(root, "links")->key_line, 4);
    ck_assert_int_eq(yaml_find(root, "links")->line, 5);
}
END_TEST

START_TEST(values_are_read_with_their_types_and_units) {
    const YamlNode *root = tree(MACHINE), *link = yaml_find(root, "links")->first;
    int64_t x = 0;
    double real = 0;
    bool yes = false;
    const char *text = NULL;
    int choice = -1;
    ck_assert_ok(yaml_get_int(&x, yaml_find(root, "cores"), 1, 8));
    ck_assert_int_eq(x, 8);
    ck_assert_ok(yaml_get_size(&x, yaml_find(root, "memory")));
    ck_assert_int_eq(x, INT64_C(80) << 30);
    ck_assert_ok(yaml_get_bandwidth(&x, yaml_find(link, "bandwidth")));
    ck_assert_int_eq(x, INT64_C(25000000000));
    ck_assert_ok(yaml_get_bandwidth(&x, yaml_find(link->next, "bandwidth")));
    ck_assert_int_eq(x, INT64_C(12500000000));
    ck_assert_ok(yaml_get_duration(&x, yaml_find(link, "latency")));
    ck_assert_int_eq(x, 1500000);
    ck_assert_ok(yaml_get_real(&real, yaml_find(root, "factor"), 0, 1));
    ck_assert_double_eq(real, 0.75);
    ck_assert_ok(yaml_get_real(&real, yaml_find(root, "cores"), -HUGE_VAL, HUGE_VAL));
    ck_assert_double_eq(real, 8);
    ck_assert_ok(yaml_get_bool(&yes, yaml_find(root, "pinned")));
    ck_assert(yes);
    ck_assert_ok(yaml_get_string(&text, yaml_find(root, "serial")));
    ck_assert_str_eq(text, "007");
    ck_assert_ok(yaml_get_choice(&choice, yaml_find(link->next, "kind"), "ring|tree|direct"));
    ck_assert_int_eq(choice, 1);
}
END_TEST

START_TEST(a_member_that_is_not_there_leaves_the_default) {
    const YamlNode *root = tree(MACHINE);
    int64_t x = 3;
    double real = 0.5;
    bool yes = true;
    const char *text = "as before";
    int choice = 1;
    ck_assert_ok(yaml_get_int(&x, yaml_find(root, "none"), 1, 8));
    ck_assert_ok(yaml_get_size(&x, yaml_find(root, "none")));
    ck_assert_ok(yaml_get_real(&real, yaml_find(root, "none"), 0, 1));
    ck_assert_ok(yaml_get_bool(&yes, yaml_find(root, "none")));
    ck_assert_ok(yaml_get_string(&text, yaml_find(root, "none")));
    ck_assert_ok(yaml_get_choice(&choice, yaml_find(root, "none"), "a|b"));
    ck_assert(x == 3 && real == 0.5 && yes && choice == 1);
    ck_assert_str_eq(text, "as before");
}
END_TEST

START_TEST(wrong_values_are_named_with_place_expected_and_found) {
    const YamlNode *root = tree(MACHINE);
    int64_t x = 3;
    double real;
    bool yes;
    const char *text;
    int choice;
#define AT(key) yaml_find(root, key)
    ck_assert_fails(yaml_get_int(&x, AT("cores"), 1, 4), ERR_FORMAT,
                    "m.yaml:3:8: \"cores\": expected a whole number from 1 to 4, found \"8\"");
    ck_assert_fails(yaml_get_int(&x, AT("cores"), 9, INT64_MAX), ERR_FORMAT,
                    "expected a whole number of at least 9, found \"8\"");
    ck_assert_fails(yaml_get_int(&x, AT("factor"), INT64_MIN, INT64_MAX), ERR_FORMAT,
                    "expected a whole number, found \"0.75\"");
    ck_assert_fails(
        yaml_get_int(&x, AT("serial"), 0, 9), ERR_FORMAT,
        "m.yaml:10:9: \"serial\": expected a whole number from 0 to 9, found the text \"007\"");
    ck_assert_fails(yaml_get_int(&x, AT("nothing"), 0, 9), ERR_FORMAT,
                    "\"nothing\": expected a whole number from 0 to 9, found nothing");
    ck_assert_fails(yaml_get_int(&x, AT("links"), 0, 9), ERR_FORMAT,
                    "m.yaml:5:3: \"links\": expected a whole number from 0 to 9, found a list");
    ck_assert_fails(yaml_get_int(&x, AT("links")->first, 0, 9), ERR_FORMAT,
                    "m.yaml:5:5: value: expected a whole number from 0 to 9, found a mapping");
    ck_assert_fails(yaml_get_real(&real, AT("name"), 0, 1), ERR_FORMAT,
                    "expected a number from 0 to 1, found \"two nodes\"");
    ck_assert_fails(yaml_get_real(&real, AT("factor"), 1, HUGE_VAL), ERR_FORMAT,
                    "expected a number of at least 1, found \"0.75\"");
    ck_assert_fails(yaml_get_bool(&yes, AT("cores")), ERR_FORMAT,
                    "expected true or false, found \"8\"");
    ck_assert_fails(yaml_get_string(&text, AT("nothing")), ERR_FORMAT,
                    "expected text, found nothing");
    ck_assert_fails(
        yaml_get_choice(&choice, AT("links")->first->first, "rings|tree"), ERR_FORMAT,
        "m.yaml:5:12: \"kind\": expected one of rings|tree, found \"ring\" (did you mean rings?)");
    ck_assert_fails(yaml_get_choice(&choice, AT("name"), "ring|tree"), ERR_FORMAT,
                    "expected one of ring|tree, found \"two nodes\"");
    ck_assert_fails(yaml_get_size(&x, AT("name")), ERR_FORMAT,
                    "m.yaml:2:7: name: \"two nodes\" is not a size: give bytes");
    ck_assert_fails(yaml_get_duration(&x, AT("cores")), ERR_FORMAT,
                    "m.yaml:3:8: cores: \"8\" is not a duration");
    ck_assert_fails(yaml_get_bandwidth(&x, AT("links")), ERR_FORMAT,
                    "expected a single value, found a list");
    ck_assert_fails(yaml_expect(AT("cores"), YAML_MAPPING), ERR_FORMAT,
                    "expected a mapping, found \"8\"");
    ck_assert_fails(yaml_expect(root, YAML_SEQUENCE), ERR_FORMAT,
                    "m.yaml:2:1: value: expected a list, found a mapping");
    ck_assert_int_eq(x, 3);
}
END_TEST

START_TEST(unknown_and_missing_keys_are_named) {
    const YamlNode *root = tree("name: x\ncroes: 4\n");
    ck_assert_fails(yaml_check_keys(root, "name", "cores memory"), ERR_FORMAT,
                    "m.yaml:2:1: unknown key \"croes\" (did you mean cores?)");
    ck_assert_fails(yaml_check_keys(root, "name", "memory"), ERR_FORMAT,
                    "m.yaml:2:1: unknown key \"croes\": expected one of name memory");
    ck_assert_fails(yaml_check_keys(root, "name croes gpus", ""), ERR_FORMAT,
                    "m.yaml:1:1: the key \"gpus\" is missing here");
    ck_assert_ok(yaml_check_keys(root, "name", "croes"));
    ck_assert_ok(yaml_check_keys(root, "", "name croes"));
    ck_assert_fails(yaml_check_keys(tree("\"\": 1"), "", "name"), ERR_FORMAT, "unknown key \"\"");
    ck_assert_fails(yaml_check_keys(tree("- 1"), "", "name"), ERR_FORMAT,
                    "m.yaml:1:1: value: expected a mapping, found a list");
}
END_TEST

START_TEST(what_is_not_yaml_is_refused_with_line_and_column) {
    const YamlNode *root;
    ck_assert_fails(parse(&root, "a: 1\nb: [1, 2\n"), ERR_FORMAT,
                    "m.yaml:3:1: did not find expected ',' or ']'");
    ck_assert_fails(parse(&root, "a: 1\n\tb: 2\n"), ERR_FORMAT, "m.yaml:2:1: ");
    ck_assert_fails(parse(&root, "a: 'open"), ERR_FORMAT,
                    "m.yaml:1:9: found unexpected end of stream");
    ck_assert_fails(parse(&root, "a: \xff"), ERR_FORMAT,
                    "m.yaml: byte 3: invalid leading UTF-8 octet; the file must be UTF-8");
    ck_assert_fails(parse(&root, ""), ERR_FORMAT, "m.yaml: the file is empty");
    ck_assert_fails(parse(&root, "# only a comment\n"), ERR_FORMAT, "m.yaml: the file is empty");
    ck_assert_fails(parse(&root, "a: 1\n---\nb: 2\n"), ERR_FORMAT,
                    "m.yaml:2:1: a second document begins here");
}
END_TEST

START_TEST(what_people_do_not_write_by_hand_is_refused) {
    const YamlNode *root;
    ck_assert_fails(parse(&root, "a: &x 1\n"), ERR_FORMAT,
                    "m.yaml:1:4: anchors and tags are not used here");
    ck_assert_fails(parse(&root, "a: &x [1]\n"), ERR_FORMAT, "m.yaml:1:4: anchors and tags");
    ck_assert_fails(parse(&root, "a: !!str 1\n"), ERR_FORMAT, "m.yaml:1:4: anchors and tags");
    ck_assert_fails(parse(&root, "a: *x\n"), ERR_FORMAT, "m.yaml:1:4: aliases are not used here");
    ck_assert_fails(parse(&root, "[a, b]: 1\n"), ERR_FORMAT,
                    "m.yaml:1:1: expected a key, a single word");
    ck_assert_fails(parse(&root, "a: \"x\\0y\"\n"), ERR_FORMAT,
                    "m.yaml:1:4: the text contains a zero byte");
    char deep[200];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = '\0';
    ck_assert_fails(parse(&root, deep), ERR_FORMAT, "m.yaml:1:65: more than 64 collections");
    deep[129] = '\0';
    ck_assert_ok(parse(&root, deep + 1));
}
END_TEST

START_TEST(a_key_given_twice_is_refused) {
    const YamlNode *root;
    ck_assert_fails(parse(&root, "b: 1\na: 1\nc: 2\nb: 3\n"), ERR_FORMAT,
                    "m.yaml:4:1: \"b\" was given in line 1 already: keep one");
    ck_assert_fails(parse(&root, "{a: 1, a: 2}"), ERR_FORMAT,
                    "m.yaml:1:8: \"a\" was given in line 1 already");
    ck_assert_ok(parse(&root, "{a: {a: 1}, b: {a: 1}}"));
}
END_TEST

START_TEST(a_file_is_read_and_named_in_errors) {
    char path[256];
    snprintf(path, sizeof path, "%s/x.yaml", test_directory());
    const YamlNode *root;
    ck_assert_fails(yaml_read_file(&root, &arena, path), ERR_INPUT, "x.yaml: No such file");
    OutputFile f;
    ck_assert_ok(file_create(&f, path));
    fputs("a: 1\nb: ]\n", f.stream);
    ck_assert_ok(file_commit(&f));
    ck_assert_fails(yaml_read_file(&root, &arena, path), ERR_FORMAT, "x.yaml:2:4: ");
}
END_TEST

START_TEST(every_cut_of_a_document_is_read_or_refused) {
    const YamlNode *root;
    for (size_t n = 0; n < sizeof MACHINE - 1; n++) {
        Arena a = {0};
        Status s = yaml_parse(&root, &a, MACHINE, n, "m.yaml");
        ck_assert(s == OK || s == ERR_FORMAT);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(text_is_written_so_that_it_reads_back_as_the_same_text) {
    // clang-format off
    static const char *const texts[] = {
        "plain", "with space", "true", "No", "12", "1e5", "", "a: b", "- x", "#", "~", "null", "n",
        "/path/to_it.json", "it's", "say \"x\"", "back\\slash", "line\nbreak\ttab", "µ 你", "{x}",
        "x:", "\x7f\x01", ".inf"};
    // clang-format on
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *text;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        fputs("key: ", f);
        yaml_write_string(f, texts[i]);
        fputs("\n", f);
        fclose(f);
        const YamlNode *n = yaml_find(tree(text), "key");
        ck_assert_str_eq(n->text, texts[i]);
        bool plain = strcmp(texts[i], "plain") == 0 || texts[i][0] == '/';
        ck_assert_int_eq(n->quoted, !plain);
        free(text);
    }
}
END_TEST

SUITE("yaml", a_document_becomes_a_tree_in_the_order_of_the_file,
      nodes_know_where_they_and_their_keys_stand, windows_line_ends_and_a_byte_order_mark_are_read,
      values_are_read_with_their_types_and_units, a_member_that_is_not_there_leaves_the_default,
      wrong_values_are_named_with_place_expected_and_found, unknown_and_missing_keys_are_named,
      what_is_not_yaml_is_refused_with_line_and_column, what_people_do_not_write_by_hand_is_refused,
      a_key_given_twice_is_refused, a_file_is_read_and_named_in_errors,
      every_cut_of_a_document_is_read_or_refused,
      text_is_written_so_that_it_reads_back_as_the_same_text)
