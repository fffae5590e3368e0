// SPDX-License-Identifier: MIT
// sim --mtbf, as a user types it.
#include "tests/support/command.h"

#include <string.h>

#define TIMES "--checkpoint-seconds 60 --restart-seconds 300 "

// 50,700 h over 1,024 devices: 49.5 h; Young: sqrt(2 60 178242) s = 77.1 minutes.
START_TEST(goodput_stands_below_the_sizes) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 512,1024 --mtbf 50700 " TIMES), 0);
    test_has(c.out,
             "failures: each device once in 50700 h; a checkpoint takes 60 s, a restart 300 s");
    test_has(c.out,
             "\ngpus   mtbf  Young   Daly   best  goodput  formula  saving  redo  restart\n");
    test_has(c.out, "\n 512  99.0h   1.8h   1.8h ");
    test_has(c.out, "\n1024  49.5h  77.1m  76.4m ");
    test_has(c.out, "last row: a checkpoint every ");
    for (const char *line = c.out, *end; (end = strchr(line, '\n')); line = end + 1)
        ck_assert_int_le((int)(end - line), 80);
    command_finish(&c);
}
END_TEST

START_TEST(the_report_has_goodput_and_what_it_is_made_of) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --point --mtbf 1000 --json " TIMES), 0);
    test_has(c.out,
             "\"failures\": {\n    \"device_mtbf_s\": 3600000.0,\n    \"mtbf_s\": 450000.0,");
    test_has(c.out, "\"simulated\": 20000");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --point --json"), 0);
    ck_assert_ptr_null(strstr(c.out, "\"failures\""));
    command_finish(&c);
}
END_TEST

START_TEST(a_run_without_progress_says_so) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --point --mtbf 0.002 " TIMES), 0);
    test_has(c.out, "no progress");
    command_finish(&c);
}
END_TEST

START_TEST(failures_that_are_not_whole_are_refused) {
    static const struct {
        const char *words, *message;
    } lines[] = {
        {"--gpus 8 --mtbf 1000", "give --checkpoint-seconds 60 --restart-seconds 300"},
        {"--gpus 8 --mtbf 1000 --checkpoint-seconds 60", "needs what a checkpoint and a restart"},
        {"--gpus 8 --checkpoint-seconds 60", "--checkpoint-seconds is of failures: give --mtbf"},
        {"--gpus 8 --restart-seconds 60", "--restart-seconds is of failures: give --mtbf"},
        {"--gpus 8 --mtbf 0 " TIMES, "--mtbf"},
        {"--gpus 8 --mtbf nan " TIMES, "--mtbf"},
        {"--gpus 8 --mtbf 10 --checkpoint-seconds 0 --restart-seconds 1", "--checkpoint-seconds"},
        {"--gpus 8 --mtbf 10 --checkpoint-seconds 1 --restart-seconds -1", "--restart-seconds"},
        {"--gpus 8 --mtbf 1000 --csv " TIMES, "leave out --csv"},
        {"--gpus 8 --mtbf 1000 --sweep tp=1,2 " TIMES, "leave out --sweep"},
        {"--gpus 8 --mtbf 1000 --collective all_reduce " TIMES, "leave out --collective"},
        {"--ranks 2 --mtbf 1000 " TIMES, "--mtbf is of simulated devices; give --gpus N"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Command c = {0};
        ck_assert_int_eq(command_run(&c, "sim %s", lines[i].words), 2);
        ck_assert_msg(strstr(c.err, lines[i].message), "%s: %s", lines[i].words, c.err);
        command_refused(&c, "sim", PARTS("--"));
    }
}
END_TEST

SUITE("sim_failures", goodput_stands_below_the_sizes, the_report_has_goodput_and_what_it_is_made_of,
      a_run_without_progress_says_so, failures_that_are_not_whole_are_refused)
