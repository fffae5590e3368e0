// SPDX-License-Identifier: MIT
// What the tests of the program `train` share.
#ifndef TESTS_SUPPORT_TRAIN_COMMAND_H
#define TESTS_SUPPORT_TRAIN_COMMAND_H

#include "core/report/report.h"
#include "programs/train_options.h"
#include "tests/support/command.h"

#include <stdio.h>
#include <string.h>

// A run of well under a second: 255 training samples, so that an epoch has 4 batches of
// 64, 64, 64 and 63.
#define SMALL "--model linear --data digits:count=300 --steps 6"

static Command it;

static inline void ck_success(int status) {
    ck_assert_msg(status == 0, "exit status %d: %s", status, it.err);
}

static inline int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

// Every line of a text has at most 80 columns; how many lines it has.
static inline int check_width(const char *text) {
    int lines = 0, columns = 0;
    for (const char *at = text; *at; at++) {
        if (*at == '\n') {
            ck_assert_msg(columns <= 80, "line %d has %d columns in\n%s", lines + 1, columns, text);
            lines++;
            columns = 0;
        } else
            columns += (*at & 0xC0) != 0x80;  // bytes that continue a character take none
    }
    return lines;
}

static inline Report read_report(Arena *a, const char *name) {
    Report r;
    ck_assert_ok(report_read(&r, a, command_path(&it, name)));
    return r;
}

#endif
