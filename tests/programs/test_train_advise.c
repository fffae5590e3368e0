// SPDX-License-Identifier: MIT
// train --advise: the line that it advises runs, options of the line stay, and what is of described
// devices, or of one division, is refused.
#include "tests/support/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Command it;

#define JOB "--model linear --data digits:count=200 --batch 16"

START_TEST(the_advised_line_runs) {
    char line[1024] = "";
    ck_assert_int_eq(command_run(&it, "train --advise --seed 3 " JOB " --steps 2 -q"), 0);
    const char *best = strstr(it.out, "\nbest: "), *ends = best ? strchr(best + 1, '\n') : NULL;
    ck_assert(best && ends);
    ck_assert_int_le(command_columns(ends), 80);
    snprintf(line, sizeof line, "%.*s", (int)(ends - best - 7), best + 7);
    ck_assert_ptr_nonnull(strstr(line, "train --seed 3 " JOB " --steps 2 --ranks "));
    ck_assert_ptr_null(strstr(line, "advise"));
    ck_assert_ptr_nonnull(strstr(it.out, "\naround the best, with one option changed\n"));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "%s -q", strstr(line, "train ")), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "2 steps"));
    command_finish(&it);
}
END_TEST

// As many ranks as are asked for, divided as the line says; each choice has a command of its own.
START_TEST(options_of_the_line_stay) {
    const char *line = "train --advise " JOB " --ranks=2 --zero 1 --json -q";
    int count = 0;
    ck_assert_int_eq(command_run(&it, "%s", line), 0);
    ck_assert_ptr_nonnull(strstr(it.out, "\"schema\": \"tandem.advice.v1\""));
    for (const char *at = it.out; (at = strstr(at, "\"line\": ")); at++, count++) {
        const char *ends = strchr(at, '\n'), *zero = strstr(at, "--zero 1");
        const char *ranks = strstr(at, " --ranks 2");
        ck_assert(zero && zero < ends && ranks && ranks < ends);
        ck_assert(!strstr(at, "--json") || strstr(at, "--json") > ends);
    }
    ck_assert_int_gt(count, 0);
    command_finish(&it);
}
END_TEST

static void refuses(const char *line, const char *why) {
    ck_assert_int_eq(command_run(&it, "train --advise %s", line), 2);
    ck_assert_msg(strstr(it.err, why) != NULL, "\"%s\" lacks \"%s\"", it.err, why);
    ck_assert_str_eq(it.out, "");
    command_finish(&it);
}

START_TEST(what_it_cannot_be_asked_with_is_refused) {
    refuses("--dp 2", "leave out --dp");
    refuses("--csv", "leave out --csv");
    refuses("--device timed:dgx-a100", "sim --advise --platform dgx-a100");
    refuses("--ranks 2 --comm serial", "leave out --comm serial");
    refuses("--ranks 3 --tp 2", "give --ranks 2");
}
END_TEST

SUITE("train_advise", the_advised_line_runs, options_of_the_line_stay,
      what_it_cannot_be_asked_with_is_refused)
