// SPDX-License-Identifier: MIT
// The state of one lesson. Steps are numbered from 0 here, from 1 where people see them.
#include "lessons/engine/session.h"

#include "core/base/text.h"
#include "lessons/engine/translate.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

Rng lesson_rng(const LessonRun *run, uint32_t use) {
    Rng r;
    rng_init(&r, run->seed, RNG_LESSON, use, (uint32_t)run->attempt);
    return r;
}

// --- beginning

// The first misconception that cannot be told apart, with its question; NULL: all can.
static const char *muddled(const Lesson *lesson, const void *state, const Question **in) {
    for (int i = 0; i < lesson->step_count; i++) {
        const LessonStep *step = &lesson->steps[i];
        if (step->kind != STEP_PREDICT) continue;
        const char *id = question_muddled(step->question, state);
        *in = step->question;
        if (id) return id;
    }
    return NULL;
}

static bool has_places(const Question *q) {
    return q->shape.form == ANSWER_CHOICE || q->shape.form == ANSWER_ORDER;
}

static void shuffle_options(Session *s) {
    for (int i = 0; i < s->lesson->step_count; i++) {
        const Question *q = s->lesson->steps[i].question;
        int32_t order[ANSWER_MOST];
        if (!q || !has_places(q)) continue;
        for (int k = 0; k < q->shape.count; k++) order[k] = k;
        Rng r = lesson_rng(&s->run, (uint32_t)(LESSON_STEPS + session_asked(s, i)));
        rng_shuffle(&r, order, q->shape.count);
        for (int k = 0; k < q->shape.count; k++) s->shown[i][k] = (int8_t)order[k];
    }
}

Status session_init(Session *s, const Lesson *lesson, const LessonRun *how) {
    const Question *question = NULL;
    const char *id = NULL;
    *s = (Session){.lesson = lesson, .run = *how};
    for (s->run.attempt = 0; s->run.attempt < LESSON_DRAWS; s->run.attempt++) {
        arena_finish(&s->arena);
        s->run.arena = &s->arena;
        s->state = arena_push(&s->arena, lesson->state_size);
        if (!s->state) FAIL(ERR_MEMORY, "out of memory for lesson %d", lesson->number);
        TRY(lesson->draw(&s->run, s->state));
        id = muddled(lesson, s->state, &question);
        if (id) continue;
        shuffle_options(s);
        return OK;
    }
    FAIL(ERR_FAILED, "lesson %d, question %s: no draw of seed %llu tells %s apart", lesson->number,
         question->id, (unsigned long long)how->seed, id);
}

void session_finish(Session *s) {
    arena_finish(&s->arena);
    *s = (Session){0};
}

// --- moving

const LessonStep *session_step(const Session *s) {
    return s->at < s->lesson->step_count ? &s->lesson->steps[s->at] : NULL;
}

int session_asked(const Session *s, int step) {
    const Question *question = s->lesson->steps[step].question;
    for (int i = step; i >= 0 && question; i--)
        if (s->lesson->steps[i].kind == STEP_PREDICT && s->lesson->steps[i].question == question)
            return i;
    return -1;
}

Status session_read_answer(Answer *out, const Session *s, int step, const char *text) {
    const Question *q = s->lesson->steps[step].question;
    TRY(answer_parse(out, &q->shape, text));
    for (int i = 0; i < out->count && has_places(q); i++)
        out->values[i] = s->shown[step][(int)out->values[i]];
    return OK;
}

char *session_print_answer(char out[ANSWER_TEXT], const Session *s, int step, const Answer *a) {
    const Question *q = s->lesson->steps[step].question;
    Answer placed = *a;
    for (int i = 0; i < a->count && has_places(q); i++)
        for (int k = 0; k < q->shape.count; k++)
            if (s->shown[step][k] == (int)a->values[i]) placed.values[i] = k;
    return answer_print(out, &q->shape, &placed);
}

bool session_right_answer(Answer *out, const Session *s, int step) {
    const Question *q = s->lesson->steps[step].question;
    Truth truth = {0};
    q->truth(&truth, s->state);
    int i = 0;
    while (i < FROM_COUNT && !truth.known[i]) i++;
    if (i == FROM_COUNT) return false;
    *out = truth.from[i];
    if (q->shape.form != ANSWER_INTERVAL) return true;
    double value = out->values[0], wide = truth.relative * fabs(value) + truth.absolute;
    *out = (Answer){{value - wide, value + wide}, 2};
    return true;
}

void session_answer(Session *s, GivenKind kind, const Answer *answer) {
    s->given[s->at].kind = kind;
    if (answer) s->given[s->at].answer = *answer;
}

Status session_compute(Session *s) {
    const LessonStep *step = session_step(s);
    if (s->at < s->computed) return OK;
    TRY(step->run(&s->run, s->state));
    s->computed = s->at + 1;
    return OK;
}

void session_next(Session *s) {
    if (s->at < s->lesson->step_count) s->at++;
}

void session_back(Session *s) {
    if (s->at > 0) s->at--;
}

// A step that must happen before later ones: a prediction that is open, a computation not done.
static bool holds(const Session *s, int i) {
    const LessonStep *step = &s->lesson->steps[i];
    if (step->kind == STEP_PREDICT) return s->given[i].kind == GIVEN_NOTHING;
    return step->kind == STEP_RUN && i >= s->computed;
}

void session_go(Session *s, int step) {
    int i = 0;
    while (i < step && i < s->lesson->step_count && !holds(s, i)) i++;
    s->at = i;
}

int session_questions(const Lesson *lesson) {
    int count = 0;
    for (int i = 0; i < lesson->step_count; i++) count += lesson->steps[i].kind == STEP_PREDICT;
    return count;
}

// --- comparing

// Significant digits of a quantity: four, or so many that a difference of one tolerance shows.
static int digits_of(const Truth *t, double value) {
    enum { FEWEST = 4, MOST = 9 };
    double tolerance = t->relative * fabs(value) + t->absolute;
    if (value == 0) return FEWEST;
    if (tolerance == 0) return MOST;
    return (int)fmin(fmax(1 + ceil(log10(fabs(value) / tolerance)), FEWEST), MOST);
}

static const char *answer_text(Page *p, const Session *s, int step, const Truth *t,
                               const Answer *a) {
    const Question *q = s->lesson->steps[step].question;
    char text[ANSWER_TEXT];
    const char *values = "";
    if (q->shape.form == ANSWER_CHOICE)
        return page_text(p, "%s) %s", session_print_answer(text, s, step, a),
                         question_option(p, q, s->state, (int)a->values[0]));
    if (has_places(q)) return page_text(p, "%s", session_print_answer(text, s, step, a));
    for (int i = 0; i < a->count; i++)
        values = page_text(p, "%s%s%s", values, i ? ", " : "",
                           page_digits(p, q->shape.unit, digits_of(t, a->values[i]), a->values[i]));
    return values;
}

static const char *source_name(AnswerSource from) {
    switch (from) {
    case FROM_THEORY: return _("theory");
    case FROM_SIMULATION: return _("simulated");
    case FROM_MEASUREMENT: return _("measured");
    case FROM_COUNT: break;
    }
    return "";
}

static const char *agreement(AnswerSource with) {
    switch (with) {
    case FROM_THEORY: return _("Your answer agrees with theory.");
    case FROM_SIMULATION: return _("Your answer agrees with the simulation.");
    case FROM_MEASUREMENT: return _("Your answer agrees with the measurement.");
    case FROM_COUNT: break;
    }
    return "";
}

// A value behind its name, names as wide as the widest of them.
static void write_value(Page *p, const char *name, const char *value) {
    enum { NAMES = 12 };
    page_line(p, "%s%*s %s", name, text_width(name) < NAMES ? NAMES - text_width(name) : 0, "",
              value);
}

void session_compare(Page *p, const Session *s, int step) {
    const Question *q = s->lesson->steps[step].question;
    const Given *given = &s->given[session_asked(s, step)];
    Truth truth = {0};
    Verdict verdict = {0};
    q->truth(&truth, s->state);
    if (given->kind == GIVEN_ANSWER) {
        question_judge(&verdict, q, s->state, &given->answer);
        write_value(p, _("your answer"), answer_text(p, s, step, &truth, &given->answer));
    }
    for (int i = 0; i < FROM_COUNT; i++)
        if (truth.known[i])
            write_value(p, source_name((AnswerSource)i),
                        answer_text(p, s, step, &truth, &truth.from[i]));
    if (given->kind == GIVEN_ANSWER && verdict.right) page_say(p, "%s", agreement(verdict.matched));
    if (given->kind == GIVEN_ANSWER && !verdict.right && verdict.misconception)
        saying_write(p, &verdict.misconception->reply, s->state);
    if (given->kind == GIVEN_ANSWER && !verdict.right && !verdict.misconception)
        page_say(
            p,
            _("Your answer agrees with none of these, nor with a mistake that this lesson knows."));
    saying_write(p, &q->explain, s->state);
}
