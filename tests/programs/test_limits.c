// SPDX-License-Identifier: MIT
// train where the system gives less than usual: address space, sizes of files, outputs that are
// pipes, a terminal that goes away. It ends at once, says why, and keeps what was done.
#include "core/base/clock.h"
#include "tests/support/train_command.h"

#include <signal.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };  // a sanitizer needs more address space than any limit here
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

// Longer than anything here takes, and shorter than for ever.
static const double HANG_S = 30;

// --- address space

static void start_limited(int kib, const char *words) {
    command_start(&it, "sh -c 'ulimit -v %d; exec train %s'", kib, words);
    command_wait(&it, HANG_S);
}

START_TEST(a_limit_of_the_address_space_ends_nothing_late) {
    if (SANITIZED) SKIP("a sanitizer needs more address space");
    static const int kib[] = {100000, 150000, 200000, 300000};
    for (int i = 0; i < 4; i++) {
        start_limited(kib[i], "--version");
        ck_assert_msg(it.status == 0, "%d KiB: %d: %s", kib[i], it.status, it.err);
        ck_assert_ptr_nonnull(strstr(it.out, "train (Tandem)"));
        command_finish(&it);
        start_limited(kib[i], "--nosuch");
        command_refused(&it, "train", PARTS("--nosuch"));
    }
}
END_TEST

// 0, or 1 with one line that says what is missing.
static void ends_or_says(int kib, const char *words) {
    start_limited(kib, words);
    if (it.status != 0) {
        ck_assert_msg(it.status == 1, "%d KiB, %s: %d: %s", kib, words, it.status, it.err);
        command_one_line(it.err, "train");
        command_said(it.err, PARTS("memory"));  // a pool says what needs less, kernels what limits
        ck_assert_msg(strstr(it.err, "ulimit") || strstr(it.err, "--batch"), "%s", it.err);
    }
    command_finish(&it);
}

START_TEST(ranks_that_get_no_memory_for_their_products_say_so) {
    if (SANITIZED) SKIP("a sanitizer needs more address space");
    static const int kib[] = {100000, 150000, 200000, 300000, 500000};
    for (int i = 0; i < 5; i++) {
        ends_or_says(kib[i], "-q --data digits:count=300 --steps 2");
        ends_or_says(kib[i], "-q --data digits:count=300 --steps 2 --ranks 2 --timeout 2");
        ends_or_says(kib[i], "-q --data digits:count=300 --steps 2 --ranks 4 --comm thread "
                             "--timeout 2");
    }
}
END_TEST

// --- outputs

START_TEST(a_pipe_is_written_to_once_and_read_to_its_end) {
    command_run(&it, "mkfifo r.json w; cat r.json >report.json & cat w >weights & "
                     "train -q " SMALL
                     " --report r.json --save w && wait && printf '\\n%%d' $(wc -c <weights)");
    ck_success(it.status);
    Arena a = {0};
    Report r = read_report(&a, "report.json");
    ck_assert_int_eq(r.steps, 6);
    ck_assert_int_gt(atoi(strrchr(it.out, '\n')), 2 * 7850 * 4);  // and as much momentum
    arena_finish(&a);
    command_finish(&it);
}
END_TEST

START_TEST(a_limit_of_file_sizes_is_an_error_of_the_file) {
    command_run(&it, "(ulimit -f 1; exec train -q " SMALL " --save w 2>&1 >/dev/null) | cat");
    command_one_line(it.out, "train");
    command_said(it.out, PARTS("w: could not be written: File too large"));
    ck_assert(!command_wrote(&it, "w"));
    command_finish(&it);
}
END_TEST

START_TEST(a_closed_stream_is_no_place_for_a_file) {
    command_run(&it,
                "train -q " SMALL " --log l >&-; s=$?; grep -q 'linear on 1 rank' l && exit 9; "
                "test -s l || exit 8; exit $s");
    ck_assert_int_eq(it.status, 1);
    command_said(it.err, PARTS("standard output could not be written"));
    command_finish(&it);
    command_run(&it, "train " SMALL " --log l 2>&- >out; test $(grep -c 'loss 2.4163' l) = 1");
    ck_success(it.status);
    command_finish(&it);
}
END_TEST

// --- a terminal that goes away

START_TEST(a_hang_up_keeps_what_was_done) {
    static const char *const ranks[] = {"", "--ranks 3", "--ranks 2 --comm thread"};
    for (int i = 0; i < 3; i++) {
        Arena a = {0};
        command_start(&it,
                      "train -q --model linear --data digits:count=300 --steps 20000000 %s "
                      "--report run.json --save w",
                      ranks[i]);
        sleep_seconds(0.7);
        kill(-it.pid, SIGHUP);  // a session that ends tells all of its processes
        command_wait(&it, HANG_S);
        ck_assert_msg(it.status == 130, "%s: %d: %s", ranks[i], it.status, it.err);
        command_said(it.err, PARTS("interrupted after step ", "what was done is kept"));
        ck_assert(command_wrote(&it, "w"));
        ck_assert_int_gt(read_report(&a, "run.json").steps, 0);
        arena_finish(&a);
        command_finish(&it);
    }
}
END_TEST

START_TEST(before_training_the_first_signal_ends_the_run) {
    command_start(&it, "train --data digits:count=3000000");
    sleep_seconds(0.3);
    kill(it.pid, SIGTERM);
    command_wait(&it, HANG_S);
    ck_assert_msg(it.status == 130, "%d: %s", it.status, it.err);
    command_said(it.err, PARTS("train: interrupted before training began"));
    ck_assert(it.seconds < 3);
    command_finish(&it);
}
END_TEST

SUITE_SECONDS("train: limits", 110, a_limit_of_the_address_space_ends_nothing_late,
              ranks_that_get_no_memory_for_their_products_say_so,
              a_pipe_is_written_to_once_and_read_to_its_end,
              a_limit_of_file_sizes_is_an_error_of_the_file, a_closed_stream_is_no_place_for_a_file,
              a_hang_up_keeps_what_was_done, before_training_the_first_signal_ends_the_run)
