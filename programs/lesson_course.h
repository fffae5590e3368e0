// SPDX-License-Identifier: MIT
// What `lesson` does with many lessons: proving them, timing them, checking what authors must keep,
// and reporting what a learner predicted.
#ifndef PROGRAMS_LESSON_COURSE_H
#define PROGRAMS_LESSON_COURSE_H

#include "lessons/engine/saved.h"
#include "programs/lesson_options.h"

typedef struct {
    const LessonOptions *o;
    const Lesson *const *lessons;  // those of --only, or all
    int lesson_count;
} Course;

// Leave the lessons that --only names. ERR_USAGE for a number that no lesson has.
Status course_choose(Course *c, Arena *a) MUST_USE;

// The lesson that a word names, among those chosen.
Status course_find(const Course *c, const Lesson **out, const char *word) MUST_USE;

// `word` names one lesson; NULL: all. ERR_FAILED names what does not hold.
Status course_verify(const Course *c, const char *word) MUST_USE;  // answers and rules
Status course_check(const Course *c, const char *word) MUST_USE;   // rules, in all languages
Status course_bench(const Course *c) MUST_USE;                     // seconds of each and of all

// Predictions beside results, as Markdown on standard output.
Status course_report(const Course *c, const Saved *saved) MUST_USE;

#endif
