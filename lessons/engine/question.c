// SPDX-License-Identifier: MIT
// Judging an answer: right within a tolerance of any known value, else what it would follow from.
#include "lessons/engine/question.h"

#include "lessons/engine/translate.h"

#include <math.h>
#include <stddef.h>

int question_misconceptions(const Question *q) {
    int count = 0;
    while (count < QUESTION_MISCONCEPTIONS && q->wrong[count].id) count++;
    return count;
}

void question_believed(Answer *out, const Misconception *m, const void *state) {
    if (m->answer)
        m->answer(out, state);
    else
        answer_one(out, m->option);
}

const char *question_option(Page *p, const Question *q, const void *state, int which) {
    return q->option ? q->option(p, state, which) : _(q->options[which]);
}

void saying_write(Page *p, const Saying *saying, const void *state) {
    if (saying->write)
        saying->write(p, state);
    else if (saying->text && saying->text[0] == ' ')
        page_line(p, "%s", _(saying->text));
    else if (saying->text)
        page_say(p, "%s", _(saying->text));
}

bool saying_is_empty(const Saying *saying) { return !saying->write && !saying->text; }

void answer_one(Answer *out, double value) { *out = (Answer){{value}, 1}; }

void truth_one(Truth *out, AnswerSource source, double value) {
    answer_one(&out->from[source], value);
    out->known[source] = true;
}

// Letters are compared, quantities measured.
static bool is_discrete(const Question *q) {
    return q->shape.form == ANSWER_CHOICE || q->shape.form == ANSWER_ORDER;
}

// How far a quantity is from a value, in tolerances; a tolerance of 0 takes the value alone.
static double distance_of(double given, double value, const Truth *t) {
    double tolerance = t->relative * fabs(value) + t->absolute;
    double apart = fabs(given - value);
    if (apart == 0) return 0;
    return tolerance > 0 ? apart / tolerance : HUGE_VAL;
}

// How far an answer is from another, in tolerances: of the point that is farthest.
static double apart(const Question *q, const Truth *t, const Answer *given, const Answer *value) {
    double most = 0;
    if (q->shape.form == ANSWER_INTERVAL && given->count == 2)
        return given->values[0] <= value->values[0] && value->values[0] <= given->values[1]
                   ? 0
                   : HUGE_VAL;
    for (int i = 0; i < value->count; i++) {
        double d = is_discrete(q) ? (given->values[i] == value->values[i] ? 0 : HUGE_VAL)
                                  : distance_of(given->values[i], value->values[i], t);
        if (!(d <= most)) most = d;
    }
    return most;
}

void question_judge(Verdict *out, const Question *q, const void *state, const Answer *given) {
    Truth truth = {0};
    double nearest = 1;
    *out = (Verdict){0};
    q->truth(&truth, state);
    for (int i = 0; i < FROM_COUNT; i++) {
        double d = truth.known[i] ? apart(q, &truth, given, &truth.from[i]) : HUGE_VAL;
        if (d > nearest || (out->right && d == nearest)) continue;
        out->right = true;
        out->matched = (AnswerSource)i;
        nearest = d;
    }
    for (int i = 0; !out->right && i < question_misconceptions(q); i++) {
        Answer believed = {0};
        question_believed(&believed, &q->wrong[i], state);
        double d = apart(q, &truth, given, &believed);
        if (d > nearest || (out->misconception && d == nearest)) continue;
        out->misconception = &q->wrong[i];
        nearest = d;
    }
}

// What a question's answers must keep between them, in tolerances.
enum { APART = 4 };

static bool too_near(const Question *q, const Truth *t, const Answer *a, const Answer *b) {
    return !(apart(q, t, a, b) > APART && apart(q, t, b, a) > APART);
}

const char *question_muddled(const Question *q, const void *state) {
    Answer believed[QUESTION_MISCONCEPTIONS] = {{{0}, 0}};
    Truth truth = {0};
    q->truth(&truth, state);
    for (int i = 0; i < question_misconceptions(q); i++) {
        question_believed(&believed[i], &q->wrong[i], state);
        for (int k = 0; k < FROM_COUNT; k++)
            if (truth.known[k] && too_near(q, &truth, &believed[i], &truth.from[k]))
                return q->wrong[i].id;
        for (int j = 0; j < i; j++)
            if (too_near(q, &truth, &believed[i], &believed[j])) return q->wrong[i].id;
    }
    return NULL;
}
