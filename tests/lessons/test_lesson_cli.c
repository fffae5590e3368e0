// SPDX-License-Identifier: MIT
// The program lesson, as a learner uses it: through a pipe, on a terminal, left and taken up again.
#include "tests/support/command.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

START_TEST(every_lesson_is_proved_and_keeps_the_rules) {
    Command c;
    ck_assert_int_eq(command_run(&c, "lesson verify --all"), 0);
    test_has(c.out, " 8 all_reduce               ok");
    command_finish(&c);
}
END_TEST

START_TEST(a_wrong_answer_gets_the_reply_to_its_misconception) {
    Command c;
    ck_assert_int_eq(
        command_run(&c, "lesson 8 --seed 5 --auto wrong:whole_buffer_to_everyone --state s"), 0);
    test_has(c.out, "> 17.304 MB\n");
    test_has(c.out, "That is the whole buffer to each of the 6 others.");
    test_has(c.out, "theory       4.944 MB\nmeasured     4.944 MB\n");
    ck_assert(!command_wrote(&c, "s"));  // nobody's place was changed
    command_finish(&c);
}
END_TEST

START_TEST(a_lesson_is_left_and_taken_up_where_it_was) {
    Command c;
    ck_assert_int_eq(command_run(&c,
                                 "printf '\\n\\n4.94MB\\n' | lesson 8 --seed 5 --state s && "
                                 "printf '12\\nq\\n' | lesson --state s && lesson list --state s"),
                     0);
    test_has(c.err, "the input ended at step 4 of 11; your place is kept");
    test_has(c.out, "All-reduce by hand  5/11");
    test_has(c.out, ">. 8 All-reduce by hand");  // 24 rows do not hold all: two columns
    command_finish(&c);
}
END_TEST

START_TEST(keys_work_at_every_prompt) {
    Command c;
    ck_assert_int_eq(command_run(&c, "printf 'b\\nn\\n\\nh\\nh\\nh\\nh\\n? ring\\n? rnig\\nfoo\\n"
                                     "\\np\\nl\\ng\\ng 9\\ns\\nskip\\nback\\nq\\n' | "
                                     "lesson 8 --seed 5 --state s"),
                     0);
    test_has(c.out, "Hint 1 of 3:");
    test_has(c.out, "Hint 3 of 3:\n  2 * 6 * 2.884 MB / 7");
    test_has(c.out, "ring: An order of ranks");
    test_has(c.out, "do you mean ring?");
    test_has(c.out, "\"foo\" is not an amount of data, such as 150 MB");
    test_has(c.out, "An answer comes first");
    test_has(c.out, "g 7 goes to step 7");
    test_has(c.out, "  11 DDP: overlap and buckets");
    test_has(c.out, "Making it fast");
    test_has(c.out, "This lesson has nothing to play with.");
    test_has(c.out, "Step 3 must be done before what follows it.");
    test_has(c.out, "All-reduce by hand  5/11");
    command_finish(&c);
}
END_TEST

START_TEST(a_question_cannot_be_skipped_where_that_is_not_allowed) {
    Command c;
    ck_assert_int_eq(command_run(&c, "printf '\\n\\ns\\n' | lesson 8 --no-skip --state s"), 0);
    test_has(c.out, "Questions cannot be skipped here.");
    test_lacks(c.out, "4/11");
    command_finish(&c);
}
END_TEST

START_TEST(what_authors_must_keep_is_kept_in_both_languages) {
    Command c;
    if (!test_build("po/zh_CN/LC_MESSAGES/tandem-lesson.mo")) SKIP("msgfmt is not installed");
    ck_assert_int_eq(command_run(&c, "lesson dev check"), 0);
    test_has(c.out, "en\n");
    test_has(c.out, "zh_CN\n");
    command_finish(&c);
}
END_TEST

// Two predictions are compared, one is not yet: its answer stays hidden.
START_TEST(a_report_has_predictions_beside_results) {
    Command c;
    ck_assert_int_eq(command_run(&c, "printf '\n\n4.94MB\n6\n\n\n\n1\nq\n' | lesson 8 --seed "
                                     "5 --state s > t && lesson report --state s"),
                     0);
    test_has(c.out, "## 8 All-reduce by hand\n\nSeed 5.");
    test_has(c.out, "| 4.94 MB | 4.944 MB |  | 4.944 MB | right | 0 |");
    test_has(c.out, "| 6 | 12 |  | 12 | one_trip | 0 |");
    test_lacks(c.out, "depends on who is added first");
    test_has(c.out, "1 predictions right, 1 wrong, 0 shown; 0 hints.");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "lesson report --json --state s"), 2);
    test_has(c.err, "lesson report is Markdown");
    command_finish(&c);
}
END_TEST

START_TEST(a_teacher_chooses_lessons) {
    Command c;
    ck_assert_int_eq(command_run(&c, "lesson list --only 8 --state s && lesson verify --only 2,8"),
                     0);
    test_has(c.out, "Talking\n   8  All-reduce by hand\n 2 softmax");
    test_lacks(c.out, "Softmax and cross-entropy");
    command_finish(&c);
}
END_TEST

// Each line is an object; the verdict stands in it.
START_TEST(json_has_an_object_a_step) {
    Command c;
    int lines = 0, wrong = 0;
    char *rest;
    ck_assert_int_eq(command_run(&c, "lesson 8 --seed 5 --json --auto wrong:one_trip --state s"),
                     0);
    for (char *line = strtok_r(c.out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);
        ck_assert_ptr_nonnull(object);
        ck_assert_int_eq(json_integer_value(json_object_get(object, "step")), ++lines);
        const char *id = json_string_value(json_object_get(object, "misconception"));
        wrong += id && strcmp(id, "one_trip") == 0;
        json_decref(object);
    }
    ck_assert_int_eq(lines, 11);
    ck_assert_int_eq(wrong, 2);
    command_finish(&c);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_text) {
    Command c;
    ck_assert_int_eq(
        command_run(&c, "lesson 2 --seed 3 --no-input --virtual-time --state s > a && "
                        "lesson 2 --seed 3 --no-input --virtual-time --state s > b && cmp a b && "
                        "lesson 2 --seed 4 --no-input --virtual-time --state s > c; cmp a c"),
        1);
    command_finish(&c);
}
END_TEST

START_TEST(a_signal_ends_it_and_keeps_the_place) {
    Command c;
    command_start_on_terminal(&c, "lesson 8 --seed 5 --state s");
    sleep_seconds(0.5);
    ck_assert_int_eq((int)write(c.terminal, "\n", 1), 1);
    sleep_seconds(0.5);
    kill(c.pid, SIGINT);
    command_wait(&c, 20);
    ck_assert_int_eq(c.status, 130);
    test_has(c.out, "interrupted at step 2 of 11; your place is kept");
    ck_assert(command_wrote(&c, "s"));
    command_finish(&c);
}
END_TEST

START_TEST(mistakes_on_the_command_line_are_refused) {
    static const struct {
        const char *words, *part;
    } CASES[] = {
        {"lesson 99", "there is no lesson 99"},
        {"lesson all_reduc", "do you mean all_reduce?"},
        {"lesson 8 2", "one lesson at a time"},
        {"lesson verify", "lesson verify --all"},
        {"lesson dev", "lesson dev check"},
        {"lesson list --only 98", "--only 98: there is no such lesson"},
        {"lesson 2 --only 8", "lesson 2 is not among those of --only"},
        {"lesson reset", "lesson reset --all"},
        {"lesson 8 --auto maybe", "right, or wrong:ID"},
        {"lesson 8 --auto wrong:nobody", "no misconception of this lesson is called nobody"},
        {"lesson 8 --inject sum:3", "lesson 8 has no faults"},
        {"lesson 8 --answers none", "none: this file of answers cannot be read"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Command c;
        command_run(&c, "%s --state s </dev/null", CASES[i].words);
        command_refused(&c, "lesson", PARTS(CASES[i].part));
    }
}
END_TEST

START_TEST(a_state_of_a_newer_version_is_left_as_it_is) {
    Command c;
    ck_assert_int_eq(command_run(&c, "echo 'tandem-lessons 9' > s; lesson 8 --state s </dev/null"),
                     2);
    test_has(c.err, "a newer Tandem wrote this (version 9, known here: 2); it stays as it is");
    command_finish(&c);
}
END_TEST

START_TEST(a_state_that_was_cut_off_is_said_and_kept) {
    Command c;
    ck_assert_int_eq(command_run(&c, "echo q | lesson 8 --seed 5 --state s >log && head -n 3 s >t "
                                     "&& cp t s && lesson list --state s && cmp t s.damaged && "
                                     "lesson list --state s >log && ls"),
                     0);
    test_has(c.err, "s, where your place is kept, is cut off: what it still says counts; the file "
                    "as it was found is kept as s.damaged\n");
    ck_assert_ptr_null(strstr(strstr(c.err, "cut off") + 1, "cut off"));  // said once
    test_has(c.out, ">. 8 All-reduce by hand");
    test_lacks(c.out, "s.damaged.1");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c,
                                 "echo tandem-lessons 1 >s; touch e; lesson list --state s >log && "
                                 "lesson list --state e >log && cat s.damaged"),
                     0);
    test_has(c.err, "is kept as s.damaged\n");
    test_has(c.err, "e, where your place is kept, is empty: lessons begin anew\n");
    ck_assert_str_eq(c.out, "tandem-lessons 1\n");
    command_finish(&c);
}
END_TEST

START_TEST(what_was_done_is_forgotten_when_one_is_sure) {
    Command c;
    ck_assert_int_eq(
        command_run(&c,
                    "echo q | lesson 8 --seed 5 --state s && echo no | lesson reset 8 --state s "
                    "&& grep -c 'lesson 8' s && echo yes | lesson reset 8 --state s; "
                    "grep -c 'lesson 8' s"),
        1);
    test_has(c.out, "Forget what was done of All-reduce by hand? Type yes: 1\n");
    test_has(c.err, "nothing was changed");
    command_finish(&c);
}
END_TEST

START_TEST(a_lesson_is_a_program_of_its_own_too) {
    Command c;
    ck_assert_int_eq(command_run(&c, "$(dirname $(command -v lesson))/lessons/02_softmax "
                                     "--no-input --seed 1 --state s"),
                     0);
    test_has(c.out, "Lesson 2, about 10 minutes, seed 1");
    command_finish(&c);
}
END_TEST

// Without any locale set, as in a container. The reader's word for a term finds it, too.
START_TEST(a_lesson_is_in_chinese_where_that_is_asked_for) {
    Command c;
    if (!test_build("po/zh_CN/LC_MESSAGES/tandem-lesson.mo")) SKIP("msgfmt is not installed");
    ck_assert_int_eq(
        command_run(&c, "printf '\\n\\n? 梯度\\n5 个\\n' | env -u LANG -u LC_ALL LANGUAGE=zh_CN "
                        "lesson 8 --seed 5 --state s"),
        0);
    test_has(c.out, "亲手做全归约  3/11");
    test_has(c.out, "梯度：损失随每个权重变化的快慢");
    test_has(c.out, "“5 个”不是数据量");
    test_has(c.err, "进度已保存");
    command_finish(&c);
}
END_TEST

// grep finds bytes beyond ASCII; a board has them elsewhere.
START_TEST(frames_are_ascii_where_the_locale_or_the_terminal_has_nothing_else) {
    static const char *const plain[] = {"LC_ALL=C", "LC_ALL=POSIX LANG=C.UTF-8", "TERM=dumb",
                                        "env -u LC_ALL LANG=C"};
    Command c;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        ck_assert_int_eq(command_run(&c,
                                     "%s lesson 8 --no-input --virtual-time --seed 1 --state s > t;"
                                     " LC_ALL=C grep '[^ -~]' t",
                                     plain[i]),
                         1);
        ck_assert_str_eq(c.out, "");
        command_finish(&c);
    }
    ck_assert_int_eq(command_run(&c, "lesson 8 --no-input --virtual-time --seed 1 --state s"), 0);
    test_has(c.out, "│");
    command_finish(&c);
}
END_TEST

// What the trainer said is a quotation; what it means is said in the reader's language.
START_TEST(a_lesson_says_in_chinese_what_the_trainer_said) {
    Command c;
    if (!test_build("po/zh_CN/LC_MESSAGES/tandem-lesson.mo")) SKIP("msgfmt is not installed");
    ck_assert_int_eq(
        command_run(&c, "LANGUAGE=zh_CN lesson 20 --no-input --virtual-time --seed 1 --state s"),
        0);
    test_has(c.out, "训练程序说：rank 1 was lost: killed by signal 9");
    test_has(c.out, "也就是说，rank 1");
    command_finish(&c);
}
END_TEST

SUITE("lesson_cli", a_lesson_is_a_program_of_its_own_too,
      a_lesson_is_in_chinese_where_that_is_asked_for, a_lesson_is_left_and_taken_up_where_it_was,
      a_question_cannot_be_skipped_where_that_is_not_allowed,
      a_lesson_says_in_chinese_what_the_trainer_said, a_report_has_predictions_beside_results,
      a_signal_ends_it_and_keeps_the_place, a_state_of_a_newer_version_is_left_as_it_is,
      a_state_that_was_cut_off_is_said_and_kept, a_teacher_chooses_lessons,
      a_wrong_answer_gets_the_reply_to_its_misconception,
      every_lesson_is_proved_and_keeps_the_rules,
      frames_are_ascii_where_the_locale_or_the_terminal_has_nothing_else, json_has_an_object_a_step,
      keys_work_at_every_prompt, mistakes_on_the_command_line_are_refused,
      the_same_seed_gives_the_same_text, what_authors_must_keep_is_kept_in_both_languages,
      what_was_done_is_forgotten_when_one_is_sure)
