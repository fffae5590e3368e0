// SPDX-License-Identifier: MIT
// Judging answers; telling misconceptions apart; drawing again until that can be done.
#include "lessons/engine/question.h"
#include "lessons/engine/session.h"
#include "lessons/engine/verify.h"
#include "tests/support/testing.h"

#include <string.h>

// A state of its own for these tests: what theory, measurement and two beliefs say.
typedef struct {
    double theory, measured, twice, half;
    bool ran;
    int draws;
} State;

static void ask(Page *p, const void *state) { page_say(p, "How many?"); }
static void hint(Page *p, const void *state) { page_say(p, "A hint."); }
static void twice(Answer *out, const void *s) { *out = (Answer){{((const State *)s)->twice}, 1}; }
static void half(Answer *out, const void *s) { *out = (Answer){{((const State *)s)->half}, 1}; }
static void reply_twice(Page *p, const void *state) { page_say(p, "That is twice as much."); }
static void reply_half(Page *p, const void *state) { page_say(p, "That is half as much."); }
static void truth(Truth *out, const void *state) {
    const State *s = state;
    out->from[FROM_THEORY] = (Answer){{s->theory}, 1};
    out->known[FROM_THEORY] = true;
    out->from[FROM_MEASUREMENT] = (Answer){{s->measured}, 1};
    out->known[FROM_MEASUREMENT] = s->ran;
    out->relative = 0.05;
}

#define QUESTION_OF(unit_form)                                                              \
    {                                                                                       \
        .id = "how_many", .shape = {unit_form, UNIT_NUMBER, 0}, .ask = ask, .truth = truth, \
        .wrong = {{"twice", twice, {reply_twice}}, {"half", half, {reply_half}}},           \
        .hint = {{hint}, {hint}, {hint}}, .explain = {                                      \
            hint                                                                            \
        }                                                                                   \
    }
static const Question VALUE = QUESTION_OF(ANSWER_VALUE);
static const Question INTERVAL = QUESTION_OF(ANSWER_INTERVAL);

static const State USUAL = {.theory = 100, .measured = 108, .twice = 200, .half = 50};

static Verdict judged(const Question *q, const State *s, Answer a) {
    Verdict v;
    question_judge(&v, q, s, &a);
    return v;
}

START_TEST(an_answer_is_right_within_the_tolerance_of_a_value_that_is_known) {
    State s = USUAL;
    ck_assert(judged(&VALUE, &s, (Answer){{104.9}, 1}).right);
    ck_assert(!judged(&VALUE, &s, (Answer){{105.1}, 1}).right);
    s.ran = true;  // 108 is known then, and 105.1 within 5 % of it
    Verdict v = judged(&VALUE, &s, (Answer){{105.1}, 1});
    ck_assert(v.right);
    ck_assert_int_eq(v.matched, FROM_MEASUREMENT);
    v = judged(&VALUE, &s, (Answer){{101}, 1});
    ck_assert_int_eq(v.matched, FROM_THEORY);
}
END_TEST

START_TEST(a_wrong_answer_is_taken_for_the_belief_it_follows_from) {
    State s = USUAL;
    ck_assert_str_eq(judged(&VALUE, &s, (Answer){{205}, 1}).misconception->id, "twice");
    ck_assert_str_eq(judged(&VALUE, &s, (Answer){{51}, 1}).misconception->id, "half");
    Verdict v = judged(&VALUE, &s, (Answer){{150}, 1});
    ck_assert(!v.right);
    ck_assert_ptr_null(v.misconception);
}
END_TEST

START_TEST(an_interval_is_right_when_the_value_lies_in_it) {
    State s = USUAL;
    ck_assert(judged(&INTERVAL, &s, (Answer){{90, 110}, 2}).right);
    Verdict v = judged(&INTERVAL, &s, (Answer){{180, 220}, 2});
    ck_assert(!v.right);
    ck_assert_str_eq(v.misconception->id, "twice");
}
END_TEST

// Four tolerances of 5 % of 100: a belief in 115 is too near to the truth, one in 130 is not.
START_TEST(beliefs_must_be_four_tolerances_apart) {
    State s = USUAL;
    ck_assert_ptr_null(question_muddled(&VALUE, &s));
    s.twice = 115;
    ck_assert_str_eq(question_muddled(&VALUE, &s), "twice");
    s.twice = 130;
    ck_assert_ptr_null(question_muddled(&VALUE, &s));
    s.half = 129;
    ck_assert_str_eq(question_muddled(&VALUE, &s), "half");
}
END_TEST

// --- a lesson of that question

static Status draw_third(const LessonRun *run, void *state) {
    State *s = state;
    *s = USUAL;
    if (run->attempt < 2) s->twice = s->theory;  // cannot be told from the truth
    s->draws = run->attempt + 1;
    return OK;
}
static Status draw_never(const LessonRun *run, void *state) {
    State *s = state;
    *s = USUAL;
    s->half = s->twice;
    return OK;
}
static Status compute(const LessonRun *run, void *state) {
    ((State *)state)->ran = true;
    return OK;
}
static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hint}},
    {.kind = STEP_PREDICT, .question = &VALUE},
    {.kind = STEP_RUN, .run = compute, .write = {hint}},
    {.kind = STEP_COMPARE, .question = &VALUE},
    {.kind = STEP_BOX, .write = {hint}},
};

static Lesson lesson_of(Status (*draw)(const LessonRun *, void *)) {
    return (Lesson){.number = 1,
                    .name = "test",
                    .title = "Test",
                    .objective = "None",
                    .state_size = sizeof(State),
                    .draw = draw,
                    .steps = STEPS,
                    .step_count = LESSON_COUNT(STEPS)};
}

START_TEST(a_lesson_is_drawn_again_until_beliefs_can_be_told_apart) {
    Lesson lesson = lesson_of(draw_third);
    Session s;
    ck_assert_ok(session_init(&s, &lesson, &(LessonRun){.seed = 5}));
    ck_assert_int_eq(((State *)s.state)->draws, 3);
    session_finish(&s);
}
END_TEST

START_TEST(a_lesson_that_never_can_says_which_belief) {
    Lesson lesson = lesson_of(draw_never);
    Session s;
    ck_assert_fails(session_init(&s, &lesson, &(LessonRun){.seed = 5}), ERR_FAILED,
                    "question how_many: no draw of seed 5 tells half apart");
    session_finish(&s);
}
END_TEST

START_TEST(a_prediction_is_not_passed_and_a_computation_happens_once) {
    Lesson lesson = lesson_of(draw_third);
    Session s;
    ck_assert_ok(session_init(&s, &lesson, &(LessonRun){.seed = 5}));
    session_go(&s, 4);
    ck_assert_int_eq(s.at, 1);  // the prediction is open
    session_answer(&s, GIVEN_ANSWER, &(Answer){{100}, 1});
    session_go(&s, 4);
    ck_assert_int_eq(s.at, 2);  // nothing has been computed
    ck_assert_ok(session_compute(&s));
    ((State *)s.state)->ran = false;
    ck_assert_ok(session_compute(&s));
    ck_assert(!((State *)s.state)->ran);
    session_go(&s, 4);
    ck_assert_int_eq(s.at, 4);
    session_finish(&s);
}
END_TEST

// --- proofs of lessons find what is wrong with them

static void truth_of_twice(Truth *out, const void *state) {
    out->from[FROM_THEORY] = (Answer){{100}, 1};
    out->known[FROM_THEORY] = true;
    out->from[FROM_MEASUREMENT] = (Answer){{200}, 1};  // a measurement that believes it, too
    out->known[FROM_MEASUREMENT] = ((const State *)state)->ran;
    out->relative = 0.05;
}
static void say_nothing(Page *p, const void *state) {}
static void say_too_much(Page *p, const void *state) {
    for (int i = 0; i <= PAGE_LINES; i++) page_line(p, "line");
}
static void say_too_wide(Page *p, const void *state) { page_line(p, "%*s", PAGE_COLUMNS + 1, "x"); }

static Status proved(const Question *q, void (*write)(Page *, const void *)) {
    const LessonStep steps[] = {{.kind = STEP_SAY, .write = {write}},
                                {.kind = STEP_PREDICT, .question = q},
                                {.kind = STEP_RUN, .run = compute},
                                {.kind = STEP_COMPARE, .question = q},
                                {.kind = STEP_BOX, .write = {hint}}};
    Lesson lesson = lesson_of(draw_third);
    lesson.steps = steps;
    TRY(verify_rules(&lesson, 1));
    return verify_lesson(&lesson, 1, true);
}

START_TEST(a_lesson_that_is_whole_is_proved) { ck_assert_ok(proved(&VALUE, hint)); }
END_TEST

START_TEST(proofs_name_what_is_wrong) {
    Question q = VALUE;
    q.truth = truth_of_twice;
    ck_assert_fails(proved(&q, hint), ERR_FAILED, "the answer of twice is judged right");
    q = VALUE;
    q.wrong[1].reply.write = say_nothing;
    ck_assert_fails(proved(&q, hint), ERR_FAILED, "half has no reply");
    q = VALUE;
    q.hint[2].write = NULL;
    ck_assert_fails(proved(&q, hint), ERR_FAILED, "hint 3 is missing");
    q = VALUE;
    q.wrong[1].id = NULL;
    ck_assert_fails(proved(&q, hint), ERR_FAILED, "fewer than two misconceptions");
    q = VALUE;
    q.wrong[1].id = "twice";
    ck_assert_fails(proved(&q, hint), ERR_FAILED, "two misconceptions are called twice");
    ck_assert_fails(proved(&VALUE, say_too_much), ERR_FAILED, "13 lines of text, 12 at most");
    ck_assert_fails(proved(&VALUE, say_too_wide), ERR_FAILED, "a line of 77 columns, 76 at most");
}
END_TEST

SUITE("question", an_answer_is_right_within_the_tolerance_of_a_value_that_is_known,
      a_wrong_answer_is_taken_for_the_belief_it_follows_from,
      an_interval_is_right_when_the_value_lies_in_it, beliefs_must_be_four_tolerances_apart,
      a_lesson_is_drawn_again_until_beliefs_can_be_told_apart,
      a_lesson_that_never_can_says_which_belief,
      a_prediction_is_not_passed_and_a_computation_happens_once, a_lesson_that_is_whole_is_proved,
      proofs_name_what_is_wrong)
