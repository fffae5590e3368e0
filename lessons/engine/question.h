// SPDX-License-Identifier: MIT
// A question, whose answers are computed and never written down: the right one by theory, by the
// simulator and by measurement, and the wrong ones by what somebody would have to believe to give
// them. After Crouch and Mazur's peer instruction: predict first, then see.
#ifndef LESSONS_ENGINE_QUESTION_H
#define LESSONS_ENGINE_QUESTION_H

#include "lessons/engine/page.h"

// Where a value comes from. Every value that is shown says which.
typedef enum { FROM_THEORY, FROM_SIMULATION, FROM_MEASUREMENT, FROM_COUNT } AnswerSource;

// What is right. A value that can only be known after the run is absent before it.
typedef struct {
    Answer from[FROM_COUNT];
    bool known[FROM_COUNT];
    double relative, absolute;  // an answer is right within relative |value| + absolute; an
                                // interval when a known value lies in it
} Truth;

// Something to say: a function of the state, or a text that is always the same, marked by N_(). One
// that begins with a blank is a formula, whose line is never broken.
typedef struct {
    void (*write)(Page *p, const void *state);
    const char *text;  // where write is NULL
} Saying;

// A wrong belief: the answer that follows from it, and what to say to somebody who gave that one.
typedef struct {
    const char *id;                                  // "whole_buffer_to_everyone"
    void (*answer)(Answer *out, const void *state);  // NULL: `option` of a choice
    Saying reply;
    int option;
} Misconception;

enum { QUESTION_HINTS = 3, QUESTION_MISCONCEPTIONS = 6 };

// All functions are pure: they depend on the lesson's state alone, which run() of a step changes.
typedef struct {
    const char *id;  // unique in its lesson: "bytes_sent"
    AnswerShape shape;
    void (*ask)(Page *p, const void *state);
    const char *(*option)(Page *p, const void *state, int which);  // of a choice or an order; text
                                                                   // in the page's arena
    const char *const *options;  // where option is NULL: texts marked by N_()
    void (*truth)(Truth *out, const void *state);
    Misconception wrong[QUESTION_MISCONCEPTIONS];  // at least two; the first without id ends them
    Saying hint[QUESTION_HINTS];  // which quantity; the formula; the formula with its numbers
    Saying explain;               // how the right answer comes about
} Question;

// What an answer is.
typedef struct {
    bool right;
    AnswerSource matched;                // of a right one: which value it agrees with
    const Misconception *misconception;  // of a wrong one: NULL, it follows from none that is known
} Verdict;

// Compare an answer with all values that are known, and then with those of all misconceptions.
void question_judge(Verdict *out, const Question *q, const void *state, const Answer *given);

// Can right and wrong beliefs be told apart? Each pair of misconceptions and each of them and the
// truth must differ by more than four tolerances. The id of one that cannot, or NULL.
const char *question_muddled(const Question *q, const void *state);

int question_misconceptions(const Question *q);  // how many it has
void question_believed(Answer *out, const Misconception *m, const void *state);
const char *question_option(Page *p, const Question *q, const void *state, int which);
void saying_write(Page *p, const Saying *saying, const void *state);
bool saying_is_empty(const Saying *saying);

// For the functions above: an answer of one value; and a value of the truth that is known.
void answer_one(Answer *out, double value);
void truth_one(Truth *out, AnswerSource source, double value);

#endif
