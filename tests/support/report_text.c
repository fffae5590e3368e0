// SPDX-License-Identifier: MIT
#include "tests/support/report_text.h"

#include "core/base/file.h"
#include "tests/support/testing.h"

#include <stdio.h>

char *report_text(Arena *a, const Report *r, const char *name) {
    return reports_text(a, &r, 1, name);
}

char *reports_text(Arena *a, const Report *const reports[], int count, const char *name) {
    char path[128], *text;
    size_t length;
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    ck_assert_ok(report_write_all(reports, count, path));
    ck_assert_ok(file_read(&text, &length, a, path));
    return text;
}
