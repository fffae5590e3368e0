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
// language that is set. Where that is not English, texts that never change have a translation.
// ERR_FAILED names what breaks one.
Status verify_rules(const Lesson *lesson, uint64_t seed) MUST_USE;

// Of a course: numbers rise, names are unique, times are stated. ERR_FAILED.
Status verify_course(const Lesson *const *lessons, int count) MUST_USE;
bool verify_is_translating(void);       // is the language that is set not English?
Status verify_glossary(void) MUST_USE;  // its words are in order, unique, and found by every name

#endif
