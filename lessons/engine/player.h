// SPDX-License-Identifier: MIT
// Goes through a lesson line by line: shows a step, reads what is typed, moves. Needs no terminal:
// it works the same through a pipe, where what was read is repeated so that a transcript is whole.
#ifndef LESSONS_ENGINE_PLAYER_H
#define LESSONS_ENGINE_PLAYER_H

#include "lessons/engine/saved.h"
#include "lessons/engine/session.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

// Where answers come from.
typedef enum {
    PLAYER_ASKS,   // the learner
    PLAYER_SHOWS,  // nobody: each question is shown with what is right
    PLAYER_RIGHT,  // what is right, as if it had been typed
    PLAYER_WRONG   // what a misconception gives, as if it had been typed; else what is right
} PlayerMode;

typedef struct {
    FILE *in, *out;  // borrowed
    PageStyle style;
    PlayerMode mode;
    const char *wrong;             // PLAYER_WRONG: the misconception's id
    bool json;                     // an object a line for each step, instead of pages
    bool no_skip;                  // a question must be answered
    bool repeats;                  // print what was read: nobody saw it being typed
    Saved *saved;                  // NULL: nothing is kept
    const Lesson *const *lessons;  // for lists
    int lesson_count;
    const LessonPart *parts;  // of the course, in order
    int part_count;
    const volatile sig_atomic_t *interrupted;  // set by a signal; NULL: none
} Player;

typedef enum {
    PLAYER_ENDED,       // the lesson is done
    PLAYER_QUIT,        // its place is kept
    PLAYER_NO_INPUT,    // the input ended: as quit
    PLAYER_INTERRUPTED  // as quit
} PlayerEnd;

// Go on from where the session stands. ERR_IO, ERR_FAILED, or what a computation failed with.
Status player_run(Player *p, Session *s, PlayerEnd *end) MUST_USE;

// All lessons with what was done of them, for people; `todo`: those that are not done.
void player_list(const Player *p, bool todo);

#endif
