// SPDX-License-Identifier: MIT
// What the parts of the player share: commands, free play, JSON.
#ifndef LESSONS_ENGINE_PLAYER_INTERNAL_H
#define LESSONS_ENGINE_PLAYER_INTERNAL_H

#include "lessons/engine/player.h"

typedef enum {
    COMMAND_NEXT,
    COMMAND_BACK,
    COMMAND_GO,  // number: the step, from 1
    COMMAND_HINT,
    COMMAND_SHOW,
    COMMAND_PLAY,
    COMMAND_LIST,
    COMMAND_RERUN,  // number: the seed, if has_number
    COMMAND_WORD,  // text: the word, or empty
    COMMAND_QUIT,
    COMMAND_ANSWER  // text: all of it
} PlayerCommandKind;

typedef struct {
    PlayerCommandKind kind;
    bool has_number;
    long long number;
    const char *text;  // within the line
} PlayerCommand;

// What a line asks for: a key or its word ("b", "back"), else an answer.
PlayerCommand player_command(char *line);
const char *player_keys(void);  // all of them, translated

// Print what a word means, or the nearest that is known.
Status player_explain(const Player *p, const char *word) MUST_USE;

// Free play: numbers are changed and computed with, until an empty line.
Status player_play(Player *p, Session *s) MUST_USE;

// Lock the answer of a mode that asks nobody; returns it, or NULL where it is shown instead.
const Answer *player_answer_itself(const Player *p, Session *s);

// In JSON, one object on a line for each step.
Status player_run_json(Player *p, Session *s, PlayerEnd *end) MUST_USE;

#endif
