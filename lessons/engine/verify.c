// SPDX-License-Identifier: MIT
// Going through lessons as every learner could; read verify_lesson() and verify_rules() last.
#include "lessons/engine/verify.h"

#include "lessons/engine/session.h"
#include "lessons/engine/translate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// --- answers

typedef struct {
    const Lesson *lesson;
    Session *session;
} Check;

#define BROKEN(c, q, ...) return broken((c)->lesson, (q), __LINE__, __VA_ARGS__)

static Status broken(const Lesson *lesson, const Question *q, int line, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static Status broken(const Lesson *lesson, const Question *q, int line, const char *fmt, ...) {
    char text[STATUS_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return status_fail(ERR_FAILED, __FILE__, line, "lesson %d (%s)%s%s: %s", lesson->number,
                       lesson->name, q ? ", question " : "", q ? q->id : "", text);
}

// The answers as they would be typed are read back, and judged.
static Status judge_typed(Verdict *out, const Check *c, int step, const Answer *a) {
    char text[ANSWER_TEXT];
    Answer read;
    const Question *q = c->lesson->steps[step].question;
    session_print_answer(text, c->session, step, a);
    TRY(session_read_answer(&read, c->session, step, text));
    question_judge(out, q, c->session->state, &read);
    return OK;
}

static Status check_right(const Check *c, int step) {
    const Question *q = c->lesson->steps[step].question;
    Answer right;
    Verdict v;
    if (!session_right_answer(&right, c->session, step))
        BROKEN(c, q, "nothing is known to compare with");
    TRY(judge_typed(&v, c, step, &right));
    if (!v.right) BROKEN(c, q, "the right answer is judged wrong");
    return OK;
}

static Status check_wrong(const Check *c, int step, const Misconception *m) {
    const Question *q = c->lesson->steps[step].question;
    Arena arena = {0};
    Page page = {.arena = &arena};
    Answer believed = {0};
    Verdict v;
    question_believed(&believed, m, c->session->state);
    if (q->shape.form == ANSWER_INTERVAL) return OK;  // an interval around it may hold the truth
    TRY(judge_typed(&v, c, step, &believed));
    if (v.right) BROKEN(c, q, "the answer of %s is judged right", m->id);
    if (v.misconception != m)
        BROKEN(c, q, "the answer of %s is taken for %s", m->id,
               v.misconception ? v.misconception->id : "none");
    saying_write(&page, &m->reply, c->session->state);
    bool empty = !page.first;
    arena_finish(&arena);
    if (empty) BROKEN(c, q, "%s has no reply", m->id);
    return OK;
}

static Status check_step(const Check *c, int step) {
    const Question *q = c->lesson->steps[step].question;
    TRY(check_right(c, step));
    for (int i = 0; i < question_misconceptions(q); i++) TRY(check_wrong(c, step, &q->wrong[i]));
    return OK;
}

// With the answers right, and at every comparison all that could have been answered.
static Status go_through(const Check *c) {
    Session *s = c->session;
    for (; session_step(s); session_next(s)) {
        const LessonStep *step = session_step(s);
        Answer right;
        if (step->kind == STEP_RUN) TRY(session_compute(s));
        if (step->kind == STEP_COMPARE) TRY(check_step(c, s->at));
        if (step->kind != STEP_PREDICT) continue;
        bool known = session_right_answer(&right, s, s->at);
        session_answer(s, known ? GIVEN_ANSWER : GIVEN_SHOWN, known ? &right : NULL);
    }
    return OK;
}

Status verify_lesson(const Lesson *lesson, uint64_t seed, bool virtual_time) {
    Session session;
    Status s =
        session_init(&session, lesson, &(LessonRun){.seed = seed, .virtual_time = virtual_time});
    if (s == OK) s = go_through(&(Check){lesson, &session});
    session_finish(&session);
    return s;
}

// --- rules

bool verify_is_translating(void) {
    static const char PROBE[] = N_("measured");
    return _(PROBE) != PROBE;
}

// gettext returns the text itself where it has none in the language. Formulas need none.
static Status check_translated(const Check *c, const Question *q, const char *text) {
    if (!text || *text == ' ' || !verify_is_translating() || _(text) != text) return OK;
    BROKEN(c, q, "no translation of \"%.60s\"", text);
    return OK;
}

static Status check_translations(const Check *c, const Question *q) {
    bool fixed = !q->option && q->options;
    for (int i = 0; fixed && i < q->shape.count; i++) TRY(check_translated(c, q, q->options[i]));
    for (int i = 0; i < QUESTION_HINTS; i++) TRY(check_translated(c, q, q->hint[i].text));
    for (int i = 0; i < question_misconceptions(q); i++)
        TRY(check_translated(c, q, q->wrong[i].reply.text));
    return check_translated(c, q, q->explain.text);
}

static Status check_question(const Check *c, int step) {
    const Question *q = c->lesson->steps[step].question;
    bool places = q->shape.form == ANSWER_CHOICE || q->shape.form == ANSWER_ORDER;
    if (!q->id || !q->ask || !q->truth || saying_is_empty(&q->explain))
        BROKEN(c, q, "something of it is missing");
    if (question_misconceptions(q) < 2) BROKEN(c, q, "fewer than two misconceptions");
    if (places != (q->option || q->options)) BROKEN(c, q, "options and form do not agree");
    if (q->shape.count > ANSWER_MOST) BROKEN(c, q, "more than %d values", ANSWER_MOST);
    for (int i = 0; i < QUESTION_HINTS; i++)
        if (saying_is_empty(&q->hint[i])) BROKEN(c, q, "hint %d is missing", i + 1);
    for (int i = 0; i < question_misconceptions(q); i++) {
        if (saying_is_empty(&q->wrong[i].reply)) BROKEN(c, q, "%s has no reply", q->wrong[i].id);
        for (int j = 0; j < i; j++)
            if (strcmp(q->wrong[i].id, q->wrong[j].id) == 0)
                BROKEN(c, q, "two misconceptions are called %s", q->wrong[i].id);
    }
    for (int i = 0; i < step; i++) {
        const LessonStep *other = &c->lesson->steps[i];
        if (other->kind == STEP_PREDICT && strcmp(other->question->id, q->id) == 0)
            BROKEN(c, q, "asked twice, or another one has its name");
    }
    int i = step;
    while (i < c->lesson->step_count &&
           !(c->lesson->steps[i].kind == STEP_COMPARE && c->lesson->steps[i].question == q))
        i++;
    if (i == c->lesson->step_count) BROKEN(c, q, "no later step compares it");
    return OK;
}

static Status check_page(const Check *c, const Question *q, const Page *p, const char *what) {
    const PageStyle style = {0};
    if (page_text_lines(p, &style) > PAGE_LINES)
        BROKEN(c, q, "step %d, %s: %d lines of text, %d at most", c->session->at + 1, what,
               page_text_lines(p, &style), PAGE_LINES);
    if (page_widest(p, &style) > PAGE_COLUMNS)
        BROKEN(c, q, "step %d, %s: a line of %d columns, %d at most", c->session->at + 1, what,
               page_widest(p, &style), PAGE_COLUMNS);
    return OK;
}

// One text of the step that is next.
static Status check_text(const Check *c, const Question *q, const Saying *saying,
                         const char *what) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    saying_write(&page, saying, c->session->state);
    Status s = check_translated(c, q, saying->write ? NULL : saying->text);
    if (s == OK) s = check_page(c, q, &page, what);
    arena_finish(&arena);
    return s;
}

static Status check_asked(const Check *c, const Question *q) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    q->ask(&page, c->session->state);
    for (int k = 0; (q->option || q->options) && k < q->shape.count; k++)
        page_line(&page, "  %d) %s", k + 1, question_option(&page, q, c->session->state, k));
    Status s = check_page(c, q, &page, "the question");
    arena_finish(&arena);
    return s;
}

static Status check_compared(const Check *c, const Question *q) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    session_compare(&page, c->session, c->session->at);
    Status s = check_page(c, q, &page, "the comparison");
    arena_finish(&arena);
    for (int i = 0; i < question_misconceptions(q) && s == OK; i++)
        s = check_text(c, q, &q->wrong[i].reply, q->wrong[i].id);
    return s;
}

static Status check_texts(const Check *c) {
    Session *s = c->session;
    for (; session_step(s); session_next(s)) {
        const LessonStep *step = session_step(s);
        TRY(check_text(c, NULL, &step->before, "before the run"));
        if (step->kind == STEP_RUN) TRY(session_compute(s));
        TRY(check_text(c, NULL, &step->write, "the text"));
        if (step->kind == STEP_COMPARE) TRY(check_compared(c, step->question));
        if (step->kind != STEP_PREDICT) continue;
        TRY(check_question(c, s->at));
        TRY(check_translations(c, step->question));
        TRY(check_asked(c, step->question));
        for (int i = 0; i < QUESTION_HINTS; i++)
            TRY(check_text(c, step->question, &step->question->hint[i], "a hint"));
        session_answer(s, GIVEN_SHOWN, NULL);
    }
    return OK;
}

Status verify_rules(const Lesson *lesson, uint64_t seed) {
    Session session = {0};
    Check c = {lesson, &session};
    if (lesson->step_count > LESSON_STEPS)
        BROKEN(&c, NULL, "%d steps, %d at most", lesson->step_count, LESSON_STEPS);
    if (lesson->step_count < 3 || lesson->steps[lesson->step_count - 1].kind != STEP_BOX)
        BROKEN(&c, NULL, "it does not end with its takeaway");
    if (session_questions(lesson) == 0) BROKEN(&c, NULL, "it asks nothing");
    TRY(check_translated(&c, NULL, lesson->title));
    TRY(check_translated(&c, NULL, lesson->objective));
    Status s = session_init(&session, lesson, &(LessonRun){.seed = seed, .virtual_time = true});
    if (s == OK) s = check_texts(&c);
    session_finish(&session);
    return s;
}
