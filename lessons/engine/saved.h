// SPDX-License-Identifier: MIT
// Where a learner stands, as a text file that people can read and change:
//
//     tandem-lessons 2
//     current 8
//     lesson 8 seed 17 at 4
//     answer 8.3 hints 1 149 MB
//     shown 8.5 hints 3
//     done 2 seed 5
//     build 3 done
//     end
//
// Lines that are not known, of a later version or of a person, stay as they are. The last line
// tells a whole file from one that was cut off; files of version 1 have none.
#ifndef LESSONS_ENGINE_SAVED_H
#define LESSONS_ENGINE_SAVED_H

#include "core/base/arena.h"
#include "lessons/engine/session.h"

enum { SAVED_VERSION = 2 };

typedef struct SavedLine SavedLine;
typedef struct {
    Arena *arena;             // borrowed
    const char *path;         // borrowed; NULL: nothing is kept
    SavedLine *first, *last;  // between header and end
    char *found;              // what the file held, in the arena; NULL: there was none
    size_t found_bytes;
    bool cut;  // it was cut off, or is empty: what is there counts
} Saved;

// The file's place: `given`, or $XDG_STATE_HOME/tandem/lessons, ~/.local/state/tandem/lessons where
// that is not set. ERR_USAGE when there is no home.
Status saved_path(const char **out, Arena *a, const char *given) MUST_USE;

// A file that is missing is empty. ERR_INPUT; ERR_FORMAT for another header: one of a later version
// is neither read nor written over, and the message says what to do.
Status saved_read(Saved *out, Arena *a, const char *path) MUST_USE;

// Where it was cut off: write whole what is there, after a copy of what was found was made beside
// it. `kept`: its path, in the arena; NULL: there was nothing to copy. ERR_IO, ERR_MEMORY.
Status saved_mend(Saved *s, const char **kept) MUST_USE;

// What it says of a lesson.
typedef enum { SAVED_NEW, SAVED_BEGUN, SAVED_DONE } SavedKind;
typedef struct {
    SavedKind kind;
    uint64_t seed;
    int at;  // step, from 0
    int answered, shown, hints;
} SavedLesson;
void saved_find(SavedLesson *out, const Saved *s, int number);
int saved_current(const Saved *s);  // the lesson that was gone through last; -1: none

// What it says of an exercise of `lesson build`: nothing, its file was made, its solution was asked
// for, all cases passed.
typedef enum { SAVED_BUILD_NEW, SAVED_BUILD_BEGUN, SAVED_BUILD_ASKED, SAVED_BUILD_DONE } SavedBuild;
SavedBuild saved_build(const Saved *s, int number);

// Say another thing of it; written at once. ERR_IO, ERR_MEMORY.
Status saved_keep_build(Saved *s, int number, SavedBuild state) MUST_USE;

// Put a session's answers and place back; ERR_FORMAT for an answer that does not read.
Status saved_restore(const Saved *s, Session *session) MUST_USE;

// Keep a session as it stands, and write the file whole or not at all. ERR_IO, ERR_MEMORY.
Status saved_keep(Saved *s, const Session *session) MUST_USE;

// Forget one lesson, or with -1 all of them; written at once.
Status saved_forget(Saved *s, int number) MUST_USE;

#endif
