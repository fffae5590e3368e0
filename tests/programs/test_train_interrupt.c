// SPDX-License-Identifier: MIT
// `train` interrupted, as seen from outside.
#include "tests/support/train_command.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

static bool rank0_lives(void) {
    pid_t ranks[COMMAND_RANKS];
    return command_ranks(&it, ranks) > 0;
}

// Start a run that would take hours, and let it make some steps: it says so.
static void start_long(const char *options, bool terminal) {
    char words[512];
    snprintf(words, sizeof words,
             "train --model linear --data digits:count=300 --steps 20000000 %s", options);
    if (terminal)
        command_start_on_terminal(&it, "%s", words);
    else
        command_start(&it, "%s", words);
    while (strstr(options, "--ranks") && !strstr(options, "--comm") && !rank0_lives())
        sleep_seconds(0.01);
    sleep_seconds(1.5);  // a crowded host is slow to begin
}

static void check_partial_report(void) {
    Arena a = {0};
    Report r = read_report(&a, "run.json");
    ck_assert_int_gt(r.steps, 0);
    ck_assert_int_lt(r.steps, 20000000);
    ck_assert_int_eq(r.loss_count, r.steps);
    arena_finish(&a);
}

START_TEST(an_interrupted_run_keeps_what_was_done) {
    static const char *const ranks[] = {"", "--ranks 3", "--ranks 2 --comm thread",
                                        "--ranks 2 --comm serial"};
    static const int signals[] = {SIGINT, SIGTERM, SIGTERM, SIGINT};
    for (int i = 0; i < 4; i++) {
        char options[128];
        snprintf(options, sizeof options, "%s --report run.json --save w.safetensors", ranks[i]);
        start_long(options, false);
        kill(it.pid, signals[i]);
        command_wait(&it, 20);
        ck_assert_msg(it.status == 130, "%s: %d: %s", ranks[i], it.status, it.err);
        ck_assert(strstr(it.out, "linear on "));
        ck_assert(strstr(it.err, "train: stopping after this step; Ctrl-C again stops at once\n"));
        ck_assert_int_eq(count(it.err, "train: interrupted after step "), 1);
        check_partial_report();
        ck_assert(command_wrote(&it, "w.safetensors"));
        ck_assert_int_eq(command_count_files(&it, ".partial"), 0);
        command_finish(&it);
    }
}
END_TEST

// --- divergence: what was done is kept as after Ctrl-C

// A weight decay of 1000 makes the loss grow from step to step until it is no number: in step 6.
#define DIVERGES "train -q --model linear --data digits:count=300 --weight-decay 1000 --lr 1e6 "

static void diverge(const char *options, const char *says) {
    command_run(&it, DIVERGES "--report run.json %s", options);
    ck_assert_msg(it.status == 1, "%s: %d: %s", options, it.status, it.err);
    command_one_line(it.err, "train");
    command_said(it.err, PARTS(says, "training diverged; a smaller --lr than 1e+06 may help"));
}

START_TEST(a_loss_that_is_no_number_keeps_the_steps_before_it) {
    static const char *const ranks[] = {"", "--ranks 3", "--ranks 2 --comm thread",
                                        "--ranks 2 --comm serial"};
    for (int i = 0; i < 4; i++) {
        Arena a = {0};
        char options[128];
        snprintf(options, sizeof options, "%s --steps 60 --trace run --save w", ranks[i]);
        diverge(options, "the loss is not finite in step 6 of 60");
        // The first evaluation would be after step 4, when the loss is no number there already.
        command_said(it.err, PARTS("w has the weights after step 4, the last good ones"));
        ck_assert(command_wrote(&it, "w"));
        Report r = read_report(&a, "run.json");
        ck_assert_int_eq(r.steps, 6);
        ck_assert(isfinite(r.loss[4]) && !isfinite(r.loss[5]));
        ck_assert(command_wrote(&it, "run/rank0.json"));
        arena_finish(&a);
        command_finish(&it);
    }
}
END_TEST

START_TEST(a_divergence_in_the_last_step_is_no_success) {
    diverge("--steps 5 --save w", "the loss of the evaluation is not finite after step 5 of 5");
    command_finish(&it);
    diverge("--steps 5 --test-fraction 0 --save w", "weights are not finite after step 5 of 5");
    command_finish(&it);
}
END_TEST

START_TEST(weights_that_are_no_numbers_are_not_saved) {
    diverge("--steps 60 --test-fraction 0 --save w", "no weights are saved, as none were good");
    ck_assert(!command_wrote(&it, "w"));
    command_finish(&it);
}
END_TEST

// A terminal sends the signal to every process of the job.
START_TEST(ctrl_c_on_a_terminal_ends_all_ranks_after_a_step) {
    start_long("--ranks 2 --report run.json", true);
    ck_assert_int_eq(write(it.terminal, "\003", 1), 1);
    command_wait(&it, 20);
    ck_assert_msg(it.status == 130, "%d: %s", it.status, it.out);
    check_partial_report();
    command_finish(&it);
}
END_TEST

START_TEST(a_message_does_not_stand_in_the_line_of_progress) {
    pid_t ranks[COMMAND_RANKS];
    start_long("--ranks 2 --color never", true);
    command_ranks(&it, ranks);
    kill(ranks[1], SIGKILL);
    command_wait(&it, 20);
    ck_assert_int_eq(it.status, 4);
    ck_assert_msg(strstr(it.out, "\r\033[Ktrain: rank 1 was lost"), "%s", it.out);
    command_finish(&it);
}
END_TEST

// However a run ends, the terminal echoes, takes whole lines, and shows its cursor.
START_TEST(a_terminal_is_left_as_it_was) {
    for (int interrupts = 0; interrupts <= 2; interrupts++) {
        struct termios before, after;
        pid_t ranks[COMMAND_RANKS];
        if (interrupts)
            start_long("--ranks 2", true);
        else
            command_start_on_terminal(&it, "train --ranks 2 " SMALL);
        ck_assert_int_eq(tcgetattr(it.terminal, &before), 0);
        command_ranks(&it, ranks);
        if (interrupts == 2 && ranks[1]) kill(ranks[1], SIGSTOP);
        for (int i = 0; i < interrupts; i++) {
            ck_assert_int_eq(write(it.terminal, "\003", 1), 1);
            sleep_seconds(0.3);
        }
        command_wait(&it, 20);
        ck_assert_int_eq(it.status, interrupts ? 130 : 0);
        ck_assert_int_eq(tcgetattr(it.terminal, &after), 0);
        ck_assert((after.c_lflag & (ECHO | ICANON | ISIG)) == (ECHO | ICANON | ISIG));
        ck_assert(before.c_lflag == after.c_lflag && before.c_iflag == after.c_iflag);
        ck_assert_msg(!strstr(it.out, "\033[?25l"), "%s", it.out);
        size_t n = strlen(it.out);
        ck_assert_msg(n && it.out[n - 1] == '\n', "it ends in the middle of a line: %s",
                      it.out + (n > 200 ? n - 200 : 0));
        command_finish(&it);
    }
}
END_TEST

START_TEST(a_second_ctrl_c_ends_at_once) {
    static const char *const comms[] = {"shm", "thread"};
    for (int i = 0; i < 2; i++) {
        pid_t ranks[COMMAND_RANKS];
        char options[64];
        snprintf(options, sizeof options, "--ranks 2 --timeout 60%s%s", i ? " --comm " : "",
                 i ? comms[i] : "");
        start_long(options, false);
        command_ranks(&it, ranks);
        if (i == 0) kill(ranks[1], SIGSTOP);  // now it cannot stop after a step
        if (i == 1) kill(it.pid, SIGSTOP);    // both signals arrive at once
        kill(it.pid, SIGINT);
        sleep_seconds(0.2);
        kill(it.pid, i == 0 ? SIGINT : SIGTERM);
        kill(it.pid, SIGCONT);
        command_wait(&it, 10);
        ck_assert_msg(it.status == 130, "%d: %s", it.status, it.err);
        ck_assert(!strstr(it.err, "interrupted after"));
        command_finish(&it);
    }
}
END_TEST

START_TEST(who_was_started_with_interrupts_ignored_goes_on) {
    command_start(&it, "sh -c 'trap \"\" INT; exec train --model linear --steps 2000'");
    sleep_seconds(0.6);
    kill(it.pid, SIGINT);
    command_wait(&it, 60);
    ck_assert_msg(it.status == 0, "%d: %s", it.status, it.err);
    command_finish(&it);
}
END_TEST

SUITE_SECONDS("train_interrupt", 240, an_interrupted_run_keeps_what_was_done,
              a_loss_that_is_no_number_keeps_the_steps_before_it,
              a_divergence_in_the_last_step_is_no_success,
              weights_that_are_no_numbers_are_not_saved,
              ctrl_c_on_a_terminal_ends_all_ranks_after_a_step,
              a_message_does_not_stand_in_the_line_of_progress, a_terminal_is_left_as_it_was,
              a_second_ctrl_c_ends_at_once, who_was_started_with_interrupts_ignored_goes_on)
