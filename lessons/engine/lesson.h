// SPDX-License-Identifier: MIT
// A lesson: steps in a fixed order, over a state that is drawn from a seed. Steps are functions of
// that state and change nothing else, so going back, repeating and resuming cost nothing.
//
//     hook, idea       say: a few lines
//     prediction       predict: the answer is locked before anything is computed
//     computation      run: the real trainer, the simulator, counters
//     comparison       compare: given, theory, simulated, measured side by side; what a wrong
//                      answer would follow from; how the right one comes about
//     takeaway         box: one relation with this machine's numbers in it
#ifndef LESSONS_ENGINE_LESSON_H
#define LESSONS_ENGINE_LESSON_H

#include "core/base/rng.h"
#include "lessons/engine/question.h"

#include <stddef.h>
#include <stdint.h>

// What a step may use besides its lesson's state.
typedef struct {
    Arena *arena;        // lives as long as the session
    uint64_t seed;       // that was printed
    int attempt;         // the same seed is drawn again until misconceptions can be told apart
    const char *inject;  // a fault and its seed, "slow_rank:3", instead of a drawn one; or NULL
    bool virtual_time;   // times come from a described machine's clock, not from this one's
    void (*progress)(void *context, double share);  // of a run that takes long; NULL: nobody looks
    void *context;
} LessonRun;

// Random numbers of a session: `use` keeps those of different questions apart.
Rng lesson_rng(const LessonRun *run, uint32_t use);

typedef enum { STEP_SAY, STEP_PREDICT, STEP_RUN, STEP_COMPARE, STEP_BOX } LessonStepKind;

typedef struct {
    LessonStepKind kind;
    Saying write;                                      // say, box; of a run what is shown after it
    Status (*run)(const LessonRun *run, void *state);  // run
    Saying before;                                     // run: what is about to be computed
    int seconds;               // run: so long on two cores; 0: nobody notices
    const Question *question;  // predict, compare
} LessonStep;

// Free play: a number that a learner may change, a double in the lesson's state.
typedef struct {
    const char *name;  // as typed: "ranks"
    AnswerUnit unit;
    size_t at;         // its offset in the state
    double low, high;  // what it may be
} LessonKnob;

typedef struct {
    int number;         // 0 ...
    const char *name;   // "all_reduce": lessons/08_all_reduce
    const char *title;  // translated where it is shown, as the objective
    const char *objective;
    int minutes;   // of a reader's time
    bool injects;  // it has faults that LessonRun.inject can name
    size_t state_size;
    Status (*draw)(const LessonRun *run, void *state);  // fills a zeroed state
    const LessonStep *steps;
    int step_count;
    const LessonKnob *knobs;  // NULL: nothing to play with
    int knob_count;
    // Compute with the numbers as they stand, on a copy of the state, and show what comes out.
    Status (*play)(const LessonRun *run, void *state, Page *p);
} Lesson;

// A part of a course: the lessons from a number on, up to the next part.
typedef struct {
    int first;
    const char *title;  // translated where it is shown
} LessonPart;

enum { LESSON_STEPS = 32, LESSON_DRAWS = 64 };

#define LESSON_COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

#endif
