// SPDX-License-Identifier: MIT
// Commands over many lessons: verify, dev check, bench, report.
#include "programs/lesson_course.h"

#include "core/base/clock.h"
#include "lessons/engine/summary.h"
#include "lessons/engine/translate.h"
#include "lessons/engine/verify.h"
#include "lessons/lessons.h"

#include <stdio.h>
#include <string.h>

enum { MOST_SECONDS = 60 };  // that a lesson may compute

static const char *const LANGUAGES[] = {"en", "zh_CN"};
enum { LANGUAGE_COUNT = sizeof LANGUAGES / sizeof *LANGUAGES };

Status course_choose(Course *c, Arena *a) {
    int all;
    const Lesson *const *lessons = lessons_all(&all);
    const IntList *only = &c->o->only;
    const Lesson **chosen = ARENA_NEW(a, const Lesson *, all);
    if (!chosen) FAIL(ERR_MEMORY, "out of memory for a list of lessons");
    for (int k = 0; k < only->count; k++) {
        int i = 0;
        while (i < all && lessons[i]->number != only->items[k]) i++;
        if (i == all)
            FAIL(ERR_USAGE, "--only %lld: there is no such lesson; lesson list shows all",
                 (long long)only->items[k]);
    }
    c->lesson_count = 0;
    for (int i = 0; i < all; i++) {
        bool wanted = only->count == 0;
        for (int k = 0; k < only->count; k++)
            wanted = wanted || only->items[k] == lessons[i]->number;
        if (wanted) chosen[c->lesson_count++] = lessons[i];
    }
    c->lessons = chosen;
    return OK;
}

Status course_find(const Course *c, const Lesson **out, const char *word) {
    TRY(lessons_find(out, word));
    for (int i = 0; i < c->lesson_count; i++)
        if (c->lessons[i] == *out) return OK;
    FAIL(ERR_USAGE, "lesson %d is not among those of --only", (*out)->number);
}

// --- one after the other

typedef Status CourseCall(const Course *c, const Lesson *lesson);

static Status each(const Course *c, const char *word, CourseCall *call) {
    const Lesson *lesson;
    if (word) {
        TRY(course_find(c, &lesson, word));
        return call(c, lesson);
    }
    for (int i = 0; i < c->lesson_count; i++) TRY(call(c, c->lessons[i]));
    return OK;
}

static uint64_t first_seed(const Course *c) { return c->o->seed >= 0 ? (uint64_t)c->o->seed : 1; }

static Status verify_one(const Course *c, const Lesson *lesson) {
    enum { SEEDS = 3 };
    uint64_t first = first_seed(c);
    TRY(verify_rules(lesson, first));
    for (uint64_t seed = first; seed < first + SEEDS; seed++)
        TRY(verify_lesson(lesson, seed, !c->o->measured));
    if (!c->o->quiet) printf("%2d %-24s ok\n", lesson->number, lesson->name);
    return OK;
}

Status course_verify(const Course *c, const char *word) {
    if (!word && !c->o->all && !c->o->only.count)
        FAIL(ERR_USAGE, "verify which lesson? lesson verify 8, or lesson verify --all");
    return each(c, word, verify_one);
}

static Status check_one(const Course *c, const Lesson *lesson) {
    int64_t began = clock_ns();
    TRY(verify_rules(lesson, first_seed(c)));
    double s = (double)(clock_ns() - began) * 1e-9;
    if (s > MOST_SECONDS)
        FAIL(ERR_FAILED, "lesson %d computes for %.0f s; %d at most", lesson->number, s,
             MOST_SECONDS);
    if (!c->o->quiet) printf("%2d %-24s %6.2f s ok\n", lesson->number, lesson->name, s);
    return OK;
}

Status course_check(const Course *c, const char *word) {
    TRY(verify_course(c->lessons, c->lesson_count));
    for (int k = 0; k < LANGUAGE_COUNT; k++) {
        if (!translate_to(LANGUAGES[k]))
            FAIL(ERR_FAILED,
                 "no texts in %s are built: install gettext, whose msgfmt a build needs, and build "
                 "again",
                 LANGUAGES[k]);
        if (!c->o->quiet) printf("%s\n", LANGUAGES[k]);
        TRY(verify_glossary());
        TRY(each(c, word, check_one));
    }
    return OK;
}

Status course_bench(const Course *c) {
    double sum = 0;
    for (int i = 0; i < c->lesson_count; i++) {
        int64_t began = clock_ns();
        TRY(verify_lesson(c->lessons[i], first_seed(c), false));
        double s = (double)(clock_ns() - began) * 1e-9;
        sum += s;
        printf("%2d %-24s %8.3f s%s\n", c->lessons[i]->number, c->lessons[i]->name, s,
               s > MOST_SECONDS ? "  too long" : "");
        fflush(stdout);
    }
    printf("   %-24s %8.3f s\n", "all", sum);
    return OK;
}

Status course_report(const Course *c, const Saved *saved) {
    Summary sum = {0};
    summary_begin(stdout);
    for (int i = 0; i < c->lesson_count; i++)
        TRY(summary_lesson(stdout, &sum, saved, c->lessons[i], c->o->virtual_time));
    summary_end(stdout, &sum);
    return OK;
}
