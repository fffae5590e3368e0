// SPDX-License-Identifier: MIT
#include "core/base/xml.h"

#include "tests/support/testing.h"

#include <string.h>

static const char sample[] = "<?xml version=\"1.0\"?>\n"
                             "<!-- a <comment> -->\n"
                             "<system version='1'>\n"
                             "  <cpu name=\"a &amp; b &lt;&gt;&quot;&apos;\">\n"
                             "    <pci busid=\"0000:07:00.0\"\n"
                             "         width = \"16\"/>\n"
                             "  </cpu >\n"
                             "  <!-- --><cpu/>\n"
                             "</system>\n";

START_TEST(elements_and_attributes_are_where_the_text_has_them) {
    Arena a = {0};
    const XmlNode *root;
    int64_t number = 0;
    ck_assert_ok(xml_parse(&root, &a, sample, strlen(sample), "s.xml"));
    ck_assert_str_eq(root->name, "system");
    ck_assert_str_eq(xml_find(root, "version"), "1");
    ck_assert_ptr_null(xml_find(root, "name"));
    const XmlNode *cpu = root->first, *pci = cpu->first;
    ck_assert_str_eq(xml_find(cpu, "name"), "a & b <>\"'");
    ck_assert_str_eq(xml_find(pci, "busid"), "0000:07:00.0");
    ck_assert_ok(xml_get_int(&number, pci, "width", 1, 16));
    ck_assert_int_eq(number, 16);
    ck_assert_int_eq(pci->line, 5);
    ck_assert_int_eq(pci->attributes->next->line, 6);
    ck_assert_ptr_eq(pci->parent, cpu);
    ck_assert_ptr_null(root->parent);
    ck_assert_ptr_null(pci->next);
    ck_assert_str_eq(cpu->next->name, "cpu");
    ck_assert_int_eq(cpu->next->line, 8);
    ck_assert_ptr_null(cpu->next->next);
    ck_assert_ptr_null(cpu->next->first);
    arena_finish(&a);
}
END_TEST

static void refused(const char *text, const char *message) {
    Arena a = {0};
    const XmlNode *root;
    ck_assert_fails(xml_parse(&root, &a, text, strlen(text), "s.xml"), ERR_FORMAT, message);
    arena_finish(&a);
}

START_TEST(what_is_wrong_is_named_with_its_line) {
    refused("", "s.xml:1: the file ends before an element does: it was cut off");
    refused("<a>\n<b>\n</a>", "s.xml:3: </a> ends <b> of line 2: expected </b>");
    refused("<a>\n<b/>\n", "s.xml:3: the file ends within <a> of line 1: it was cut off");
    refused("<a/>\n<b/>", "s.xml:2: <b> follows the end of the document");
    refused("</a>", "s.xml:1: </a> ends what has not begun");
    refused("<a>text</a>", "s.xml:1: expected an element, found \"t\"");
    refused("<a b/>", "s.xml:1: <a>: attribute b has no value: expected b=\"...\"");
    refused("<a b=1/>", "expected a value in quotes");
    refused("<a b=\"1/>\n<c/></a>", "a value without its closing quote");
    refused("<a b=\"1\" b=\"2\"/>", "attribute b is there twice");
    refused("<a b=\"1\"c=\"2\"/>", "<a>: expected a space, \">\" or \"/>\"");
    refused("<a b=\"&nbsp;\"/>", "\"&\" stands for itself");
    refused("<!DOCTYPE a>\n<a/>", "document types and CDATA are not read");
    refused("<a ='1'/>", "expected the name of an attribute");
    refused("< a/>", "expected the name of an element");
    Arena a = {0};
    const XmlNode *root;
    ck_assert_fails(xml_parse(&root, &a, "<a/>\0<b/>", 9, "s.xml"), ERR_FORMAT, "a zero byte");
    arena_finish(&a);
    char deep[400] = "";
    for (int i = 0; i < 70; i++) strcat(deep, "<a>\n");
    refused(deep, "s.xml:65: elements within each other more than 64 deep");
}
END_TEST

// Only behind the last '>' is a part of a document a document.
START_TEST(a_document_that_is_cut_off_anywhere_is_refused) {
    size_t whole = strlen(sample) - 1;
    for (size_t length = 0; length < whole; length++) {
        Arena a = {0};
        const XmlNode *root;
        ck_assert_fails(xml_parse(&root, &a, sample, length, "s.xml"), ERR_FORMAT,
                        "it was cut off");
        arena_finish(&a);
    }
}
END_TEST

START_TEST(numbers_are_whole_and_in_their_range) {
    Arena a = {0};
    const XmlNode *n;
    int64_t x;
    const char *text = "<a b='12' c='1.5' d='' e='99999999999999999999' f='7\n'/>";
    ck_assert_ok(xml_parse(&n, &a, text, strlen(text), "s.xml"));
    ck_assert_ok(xml_get_int(&x, n, "b", 0, 12));
    ck_assert_fails(xml_get_int(&x, n, "b", 0, 11), ERR_FORMAT,
                    "s.xml:1: <a>: b: expected a whole number from 0 to 11, found \"12\"");
    ck_assert_fails(xml_get_int(&x, n, "c", 0, 12), ERR_FORMAT, "found \"1.5\"");
    ck_assert_fails(xml_get_int(&x, n, "d", 0, 12), ERR_FORMAT, "found \"\"");
    ck_assert_fails(xml_get_int(&x, n, "e", 0, 12), ERR_FORMAT, "found \"9999");
    ck_assert_fails(xml_get_int(&x, n, "f", 0, 12), ERR_FORMAT, "found \"7?\"");
    ck_assert_fails(xml_get_int(&x, n, "g", 0, 12), ERR_FORMAT, "expected an attribute g");
    arena_finish(&a);
}
END_TEST

SUITE("xml", elements_and_attributes_are_where_the_text_has_them,
      what_is_wrong_is_named_with_its_line, a_document_that_is_cut_off_anywhere_is_refused,
      numbers_are_whole_and_in_their_range)
