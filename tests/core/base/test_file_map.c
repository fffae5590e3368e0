// SPDX-License-Identifier: MIT
#include "core/base/file_map.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *write_file(const char *text) {
    static char path[2048];
    snprintf(path, sizeof path, "%s/x", test_directory());
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

START_TEST(a_file_is_seen_whole) {
    FileMap f;
    ck_assert_ok(file_map(&f, write_file("one two")));
    ck_assert_uint_eq(f.length, 7);
    ck_assert_mem_eq(f.bytes, "one two", 7);
    file_unmap(&f);
    ck_assert_ptr_null(f.bytes);
}
END_TEST

START_TEST(an_empty_file_has_no_bytes) {
    FileMap f;
    ck_assert_ok(file_map(&f, write_file("")));
    ck_assert_uint_eq(f.length, 0);
    file_unmap(&f);
}
END_TEST

START_TEST(what_is_no_file_is_refused) {
    FileMap f;
    char pipe[2048];
    ck_assert_fails(file_map(&f, "/nowhere/x"), ERR_INPUT, "/nowhere/x: No such file");
    ck_assert_fails(file_map(&f, "/"), ERR_INPUT, "/: expected a regular file, found a directory");
    snprintf(pipe, sizeof pipe, "%s/pipe", test_directory());
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    ck_assert_fails(file_map(&f, pipe), ERR_INPUT,
                    "expected a regular file, found a pipe or device");
    ck_assert_ptr_null(f.bytes);
}
END_TEST

SUITE("file_map", a_file_is_seen_whole, an_empty_file_has_no_bytes, what_is_no_file_is_refused)
