// SPDX-License-Identifier: MIT
// The linter of lessons finds what it is for; and lists keep to a screen.
#include "lessons/engine/player.h"
#include "lessons/engine/verify.h"
#include "lessons/lessons.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

// --- a small lesson that keeps all rules, and what a test changes of it

typedef struct {
    double number;
} State;

static Status draw(const LessonRun *run, void *state) {
    *(State *)state = (State){8};
    return OK;
}
static void ask(Page *p, const void *state) { page_say(p, "What is twice four?"); }
static void ask_wide(Page *p, const void *state) { page_line(p, "%77s", "wide"); }
static void truth(Truth *out, const void *state) {
    truth_one(out, FROM_THEORY, ((const State *)state)->number);
}
static void four(Answer *out, const void *state) { answer_one(out, 4); }
static void sixteen(Answer *out, const void *state) { answer_one(out, 16); }
static void eight(Answer *out, const void *state) { answer_one(out, 8); }

static const Question GOOD = {
    .id = "twice",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask,
    .truth = truth,
    .wrong = {{"once", four, {.text = "That is once."}},
              {"square", sixteen, {.text = "That is the square."}}},
    .hint = {{.text = "Which factor?"}, {.text = " 2 n"}, {.text = " 2 * 4"}},
    .explain = {.text = "Four and four."},
};

// The rules' word on a lesson that asks this question, and compares it in the step of that number.
static Status rules(const Question *q, int compared) {
    LessonStep steps[] = {{.kind = STEP_PREDICT, .question = q},
                          {.kind = STEP_SAY, .write = {.text = "So it is."}},
                          {.kind = STEP_BOX, .write = {.text = "2 n"}}};
    const Lesson lesson = {.number = 50,
                           .name = "small",
                           .title = "Small",
                           .objective = "Twice.",
                           .minutes = 1,
                           .state_size = sizeof(State),
                           .draw = draw,
                           .steps = steps,
                           .step_count = 3};
    if (compared) steps[compared] = (LessonStep){.kind = STEP_COMPARE, .question = q};
    Status s = verify_rules(&lesson, 1);
    return s == OK ? verify_lesson(&lesson, 1, true) : s;
}

START_TEST(a_lesson_that_keeps_the_rules_passes) { ck_assert_ok(rules(&GOOD, 1)); }
END_TEST

START_TEST(what_breaks_a_rule_is_named) {
    Question q = GOOD;
    ck_assert_fails(rules(&q, 0), ERR_FAILED, "no later step compares it");
    q.wrong[1] = (Misconception){0};
    ck_assert_fails(rules(&q, 1), ERR_FAILED, "question twice: fewer than two misconceptions");
    q = GOOD;
    q.wrong[1].id = "once";
    ck_assert_fails(rules(&q, 1), ERR_FAILED, "two misconceptions are called once");
    q = GOOD;
    q.wrong[1].answer = eight;
    ck_assert_fails(rules(&q, 1), ERR_FAILED, "tells square apart");
    q = GOOD;
    q.hint[2].text = NULL;
    ck_assert_fails(rules(&q, 1), ERR_FAILED, "hint 3 is missing");
    q = GOOD;
    q.wrong[0].reply.text = NULL;
    ck_assert_fails(rules(&q, 1), ERR_FAILED, "once has no reply");
    q = GOOD;
    q.ask = ask_wide;
    ck_assert_fails(rules(&q, 1), ERR_FAILED, "a line of 77 columns, 76 at most");
}
END_TEST

START_TEST(a_course_has_lessons_in_order_of_a_stated_time) {
    Lesson first = all_reduce_lesson, second = softmax_lesson;
    const Lesson *const backwards[] = {&first, &second}, *const twice[] = {&first, &first};
    ck_assert_fails(verify_course(backwards, 2), ERR_FAILED, "numbers rise");
    ck_assert_fails(verify_course(twice, 2), ERR_FAILED, "names are unique");
    first.minutes = 90;
    ck_assert_fails(verify_course(backwards, 1), ERR_FAILED, "90 minutes");
    ck_assert_ok(verify_glossary());
}
END_TEST

// --- lists

static char *list_of(int count, bool plain) {
    enum { MOST = 40 };
    Lesson lessons[MOST];
    const Lesson *pointers[MOST];
    char *text = NULL;
    size_t size;
    Player p = {.out = open_memstream(&text, &size),
                .style = {.columns = 79, .plain = plain},
                .lessons = pointers,
                .lesson_count = count};
    ck_assert_ptr_nonnull(p.out);
    p.parts = lessons_parts(&p.part_count);
    for (int i = 0; i < count; i++) {
        lessons[i] = all_reduce_lesson;
        lessons[i].number = i;
        pointers[i] = &lessons[i];
    }
    player_list(&p, false);
    fclose(p.out);
    return text;
}

static int lines_of(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

START_TEST(a_long_list_fits_on_a_screen) {
    char *text = list_of(27, false), *rest, *plain = list_of(27, true), *few = list_of(9, false);
    ck_assert_int_le(lines_of(text), 22);
    ck_assert_int_eq(lines_of(plain), 27 + 5);
    ck_assert_int_eq(lines_of(few), 9 + 2);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        ck_assert_msg(strlen(line) < 80, "%s", line);
    free(text);
    free(plain);
    free(few);
}
END_TEST

SUITE("verify", a_course_has_lessons_in_order_of_a_stated_time,
      a_lesson_that_keeps_the_rules_passes, a_long_list_fits_on_a_screen,
      what_breaks_a_rule_is_named)
