// SPDX-License-Identifier: MIT
// What every test program shares. Tests are Check's; main() in testing.c prints
// TAP, one line a test.
#ifndef TESTS_SUPPORT_TESTING_H
#define TESTS_SUPPORT_TESTING_H

#include "core/base/status.h"

#include <check.h>
#include <math.h>

Suite *suite(void);  // each test_*.c defines it with SUITE

// Count this test as skipped, for the reason given, and leave it.
#define SKIP(...)               \
    do {                        \
        test_skip(__VA_ARGS__); \
        return;                 \
    } while (0)
void test_skip(const char *fmt, ...) PRINTF_LIKE(1, 2);

// A file below $TANDEM_SHARED (data and traces of others, which users do not have), or NULL when it
// is not there: SKIP then. The text is valid until the next call.
const char *test_shared(const char *path);

// A file of the source tree, "tests/data/x"; a program of the build tree, "train". As above.
const char *test_source(const char *path);
const char *test_build(const char *path);

// A new empty directory, removed with its contents when the test program ends.
const char *test_directory(void);

// Run a shell command with TANDEM_SOURCE as the current directory; exit status (128 + signal when
// killed); what it printed, both streams, goes to out[size], cut to fit and terminated.
int test_shell(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

// A text contains that part, or does not.
void test_has(const char *text, const char *part);
void test_lacks(const char *text, const char *part);

#define ck_assert_ok(call) ck_assert_msg((call) == OK, "%s: %s", #call, status_message())
#define ck_assert_fails(call, status, part)                                                    \
    do {                                                                                       \
        ck_assert_str_eq(status_name(call), status_name(status));                              \
        ck_assert_msg(strstr(status_message(), (part)) != NULL, "message \"%s\" lacks \"%s\"", \
                      status_message(), (part));                                               \
    } while (0)
// Check's own ck_assert_float_eq_tol is a strict <, so it never passes with tolerance 0.
#define ck_assert_close(got, want, tol)                                                        \
    ck_assert_msg(fabs((double)(got) - (double)(want)) <= (tol), "%s is %.9g, not %.9g", #got, \
                  (double)(got), (double)(want))

// One case a test, so that a result carries the test's name. Seconds: the longest a test may take.
#define SUITE_SECONDS(title, seconds, ...)                          \
    Suite *suite(void) {                                            \
        const TTest *const tests[] = {__VA_ARGS__};                 \
        Suite *s = suite_create(title);                             \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) { \
            TCase *c = tcase_create(tests[i]->name);                \
            tcase_set_timeout(c, (seconds));                        \
            tcase_add_test(c, tests[i]);                            \
            suite_add_tcase(s, c);                                  \
        }                                                           \
        return s;                                                   \
    }
#define SUITE(title, ...) SUITE_SECONDS(title, 60, __VA_ARGS__)

#endif
