// SPDX-License-Identifier: MIT
#include "core/base/file.h"
#include "core/cli/log.h"
#include "tests/support/testing.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *text;
static size_t size;

static FILE *memory(void) {
    FILE *f = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(f);
    return f;
}

static const char *log_path(void) {
    static char path[128];
    if (!path[0]) snprintf(path, sizeof path, "%s/x.log", test_directory());
    return path;
}

// The file, after the time of each line was checked and replaced by T.
static char *logged(Arena *a) {
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    char *all, *out;
    size_t length;
    ck_assert_ok(file_read(&all, &length, a, log_path()));
    out = arena_push(a, length + 1);
    for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n")) {
        ck_assert_uint_gt(strlen(line), strlen(form));
        for (size_t i = 0; i < strlen(form); i++)
            ck_assert(form[i] == 'd' ? isdigit((unsigned char)line[i]) : line[i] == form[i]);
        sprintf(out + strlen(out), "T %s\n", line + strlen(form));
    }
    return out;
}

static void say_all(Log *l) {
    log_say(l, LOG_ERROR, "broken %d", 1);
    log_say(l, LOG_NOTE, "epoch %d", 2);
    log_say(l, LOG_DETAIL, "cores %d", 3);
    log_say(l, LOG_MORE, "pool %d", 4);
}

START_TEST(each_level_of_verbosity_shows_more) {
    static const struct {
        bool quiet;
        int verbose;
        const char *shown, *kept;
    } cases[] = {
        {true, 0, "train: broken 1\n", "T error    broken 1\nT note     epoch 2\n"},
        {false, 0, "train: broken 1\nepoch 2\n", "T error    broken 1\nT note     epoch 2\n"},
        {false, 1, "train: broken 1\nepoch 2\ncores 3\n",
         "T error    broken 1\nT note     epoch 2\nT detail   cores 3\n"},
        {false, 2, "train: broken 1\nepoch 2\ncores 3\npool 4\n",
         "T error    broken 1\nT note     epoch 2\nT detail   cores 3\nT detail   pool 4\n"},
        {true, 3, "train: broken 1\n",
         "T error    broken 1\nT note     epoch 2\nT detail   cores 3\nT detail   pool 4\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena a = {0};
        Log l;
        FILE *f = memory();
        log_init(&l, "train", f, cases[i].quiet, cases[i].verbose, false);
        ck_assert_ok(log_open(&l, log_path()));
        say_all(&l);
        ck_assert_ok(log_close(&l));
        fclose(f);
        ck_assert_str_eq(text, cases[i].shown);
        ck_assert_str_eq(logged(&a), cases[i].kept);
        ck_assert_int_eq(unlink(log_path()), 0);
        free(text);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(wanting_is_of_the_stream_or_the_file) {
    Log l;
    log_init(&l, "train", stderr, true, 1, false);
    ck_assert(log_wants(&l, LOG_ERROR) && !log_wants(&l, LOG_NOTE));
    ck_assert_ok(log_open(&l, log_path()));
    ck_assert(log_wants(&l, LOG_DETAIL) && !log_wants(&l, LOG_MORE));
    ck_assert_ok(log_close(&l));
}
END_TEST

START_TEST(only_the_name_of_the_program_is_coloured_and_only_on_the_stream) {
    Arena a = {0};
    Log l;
    FILE *f = memory();
    log_init(&l, "sim", f, false, 0, true);
    ck_assert_ok(log_open(&l, log_path()));
    log_say(&l, LOG_ERROR, "no");
    log_say(&l, LOG_NOTE, "yes");
    ck_assert_ok(log_close(&l));
    fclose(f);
    ck_assert_str_eq(text, "\033[1;31msim:\033[0m no\nyes\n");
    ck_assert_ptr_null(strchr(logged(&a), '\033'));
    arena_finish(&a);
}
END_TEST

START_TEST(a_message_clears_the_line_of_progress) {
    Log l;
    Progress p;
    FILE *f = memory();
    log_init(&l, "train", f, false, 0, false);
    progress_init(&p, f, "train", "steps", 10, false, 0);
    p.terminal = true;
    l.progress = &p;
    progress_update(&p, 5, 1000000000, "");
    log_say(&l, LOG_DETAIL, "not shown");
    log_say(&l, LOG_NOTE, "epoch 1");
    fclose(f);
    ck_assert_str_eq(text, "\rtrain [###---]  50 % · 5/10 steps · 5/s · 0:01 left\033[K"
                           "\r\033[Kepoch 1\n");
}
END_TEST

START_TEST(progress_and_kept_lines_are_in_the_file_alone) {
    Arena a = {0};
    Log l;
    Progress p;
    FILE *f = memory();
    log_init(&l, "train", f, true, 0, false);
    ck_assert_ok(log_open(&l, log_path()));
    log_keep(&l, LOG_NOTE, "train --ranks %d", 2);
    log_keep(&l, LOG_DETAIL, "not asked for");
    progress_init(&p, f, "train", "steps", 2, true, 0);
    p.tenth = log_progress;
    p.context = &l;
    for (int i = 1; i <= 2; i++) progress_update(&p, i, i * (int64_t)1000000000, "");
    ck_assert_ok(log_close(&l));
    fclose(f);
    ck_assert_str_eq(text, "");
    ck_assert_str_eq(logged(&a), "T note     train --ranks 2\n"
                                 "T progress train  50 % · 1/2 steps · 1/s · 0:01 left\n"
                                 "T progress train 100 % · 2/2 steps · 1/s\n");
    arena_finish(&a);
}
END_TEST

// What was there stays; a child's lines stand between those of its parent, each once.
// A file may be called anything.
START_TEST(control_characters_reach_neither_terminal_nor_log) {
    Arena a = {0};
    Log l;
    FILE *f = memory();
    log_init(&l, "train", f, false, 0, false);
    ck_assert_ok(log_open(&l, log_path()));
    log_say(&l, LOG_NOTE, "next: %s", "x\x1b[2J\ny");
    log_keep(&l, LOG_NOTE, "train %s", "--data x\x1b[2J\ny");
    ck_assert_ok(log_close(&l));
    fclose(f);
    ck_assert_str_eq(text, "next: x?[2J?y\n");
    ck_assert_str_eq(logged(&a), "T note     next: x?[2J?y\nT note     train --data x?[2J?y\n");
    free(text);
    arena_finish(&a);
}
END_TEST

// In 20 columns; "train: the batch has" takes them all, and a µ takes one.
START_TEST(lines_are_broken_between_words_on_a_terminal_alone) {
    static const struct {
        LogLevel level;
        const char *said, *shown;
    } cases[] = {
        {LOG_ERROR, "the batch has fewer rows", "train: the batch has\n  fewer rows\n"},
        {LOG_NOTE, "12345678901234567890", "12345678901234567890\n"},
        {LOG_NOTE, "1234567890 234567890", "1234567890 234567890\n"},
        {LOG_NOTE, "1234567890 2345678901", "1234567890\n  2345678901\n"},
        {LOG_NOTE, "/a/path/of/more/than/that is whole", "/a/path/of/more/than/that\n  is whole\n"},
        {LOG_NOTE, "  µ µ  3 µ 4 µ 5 µ6 µ7 µ8", "  µ µ  3 µ 4 µ 5 µ6\n    µ7 µ8\n"},
        {LOG_NOTE, "next: sim --gpus 8 --batch 64", "next: sim --gpus 8 --batch 64\n"},
        {LOG_NOTE, "", "\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Log l;
        FILE *f = memory();
        log_init(&l, "train", f, false, 0, false);
        ck_assert_int_eq(l.columns, 0);  // no terminal
        log_say(&l, LOG_NOTE, "a line of more than twenty columns");
        l.columns = 20;
        log_say(&l, cases[i].level, "%s", cases[i].said);
        fclose(f);
        const char *broken = strchr(text, '\n') + 1;
        ck_assert_int_eq(broken - text, 35);
        ck_assert_str_eq(broken, cases[i].shown);
        free(text);
    }
}
END_TEST

START_TEST(processes_append_whole_lines) {
    Arena a = {0};
    for (int run = 0; run < 2; run++) {
        Log l;
        int status;
        log_init(&l, "train", stderr, true, 0, false);
        ck_assert_ok(log_open(&l, log_path()));
        log_say(&l, LOG_NOTE, "before");
        pid_t child = fork();
        if (child == 0) {
            log_say(&l, LOG_NOTE, "rank 0");
            _exit(0);
        }
        ck_assert(waitpid(child, &status, 0) == child && status == 0);
        log_say(&l, LOG_NOTE, "after");
        ck_assert_ok(log_close(&l));
    }
    ck_assert_str_eq(logged(&a), "T note     before\nT note     rank 0\nT note     after\n"
                                 "T note     before\nT note     rank 0\nT note     after\n");
    arena_finish(&a);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_an_error) {
    Log l;
    log_init(&l, "train", stderr, true, 0, false);
    ck_assert_fails(log_open(&l, "/no/such/place/x.log"), ERR_IO, "/no/such/place/x.log");
    ck_assert_ok(log_close(&l));  // none is open
    ck_assert_ok(log_open(&l, "/dev/full"));
    log_say(&l, LOG_NOTE, "lost");
    ck_assert_fails(log_close(&l), ERR_IO, "log could not be written");
}
END_TEST

SUITE("log", each_level_of_verbosity_shows_more, wanting_is_of_the_stream_or_the_file,
      only_the_name_of_the_program_is_coloured_and_only_on_the_stream,
      a_message_clears_the_line_of_progress, progress_and_kept_lines_are_in_the_file_alone,
      lines_are_broken_between_words_on_a_terminal_alone,
      control_characters_reach_neither_terminal_nor_log, processes_append_whole_lines,
      a_file_that_cannot_be_written_is_an_error)
