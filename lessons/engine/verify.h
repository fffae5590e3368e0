// SPDX-License-Identifier: MIT
// Proves that lessons work: with every right answer they pass, and for every misconception there is
// a reply that fires. And the rules that texts keep.
#ifndef LESSONS_ENGINE_VERIFY_H
#define LESSONS_ENGINE_VERIFY_H

#include "lessons/engine/lesson.h"

#include <stdbool.h>

// Go through a lesson with each seed of a few: all answers right, then for every question every
// misconception. ERR_FAILED names the lesson, the question and what did not come out.
Status verify_lesson(const Lesson *lesson, uint64_t seed, bool virtual_time) MUST_USE;

// The rules: numbers of steps, ids that are unique, two misconceptions a question at least, hints,
// every prediction compared, pages of at most PAGE_LINES lines of PAGE_COLUMNS columns in the
// language that is set. ERR_FAILED names what breaks one.
Status verify_rules(const Lesson *lesson, uint64_t seed) MUST_USE;

#endif
