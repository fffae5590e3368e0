// SPDX-License-Identifier: MIT
// One lesson being gone through: its state, where the learner is, what was answered. Knows nothing
// of terminals; lessons/engine/player.h shows it.
#ifndef LESSONS_ENGINE_SESSION_H
#define LESSONS_ENGINE_SESSION_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>
#include <stdint.h>

// What became of a question.
typedef enum { GIVEN_NOTHING, GIVEN_ANSWER, GIVEN_SHOWN } GivenKind;  // shown: it was skipped
typedef struct {
    GivenKind kind;
    Answer answer;  // the last that was locked
    int hints;      // how many were asked for
} Given;

typedef struct {
    const Lesson *lesson;
    LessonRun run;
    Arena arena;                // owned
    void *state;                // in the arena
    int at;                     // the step that is shown next; lesson->step_count: the end
    int computed;               // run steps before this one have been done
    Given given[LESSON_STEPS];  // of predict steps
    int8_t shown[LESSON_STEPS][ANSWER_MOST];  // of a choice or an order: which option or thing is
                                              // shown at each place, in an order from the seed
} Session;

// Draw the state from a seed, again until all questions' misconceptions can be told apart.
// ERR_FAILED, with the question and the misconception, when LESSON_DRAWS draws do not do it.
// Finish it also when this fails.
Status session_init(Session *s, const Lesson *lesson, const LessonRun *how) MUST_USE;
void session_finish(Session *s);  // safe on a zeroed session

// The step that is next; NULL at the end.
const LessonStep *session_step(const Session *s);

// The predict step that a compare step, or a step itself, is about; -1: none asked that before.
int session_asked(const Session *s, int step);

// Answers as they are typed and shown, where options have the places of this session.
Status session_read_answer(Answer *out, const Session *s, int step, const char *text) MUST_USE;
char *session_print_answer(char out[ANSWER_TEXT], const Session *s, int step, const Answer *a);

// What is right at a predict or compare step, by the first value that is known: theory, then the
// simulator, then a measurement; an interval around it. False: nothing is known yet.
bool session_right_answer(Answer *out, const Session *s, int step);

// Lock an answer for the predict step that is next.
void session_answer(Session *s, GivenKind kind, const Answer *answer);

// Do the computation of the run step that is next, unless it is done: going back repeats none.
Status session_compute(Session *s) MUST_USE;

// Forwards; backwards to the step before; to step k (from 0), but not past a prediction that is not
// locked: there it stops.
void session_next(Session *s);
void session_back(Session *s);
void session_go(Session *s, int step);

// Steps done and questions answered or skipped, for lists.
int session_questions(const Lesson *lesson);

// A comparison in words: what was given, each value that is known with where it comes from, what a
// wrong answer follows from, how the right one comes about.
void session_compare(Page *p, const Session *s, int step);

#endif
