// SPDX-License-Identifier: MIT
// lesson build: the list, and what can be done with one exercise. Read lesson_build() first.
#include "programs/lesson_build.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "lessons/build/build.h"
#include "lessons/engine/translate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static Status list(const LessonBuild *b) {
    static const char *const STATES[] = {"", N_("begun"), N_("begun"), N_("done")};
    int count;
    const Exercise *const *all = exercises_all(&count);
    if (b->o->json) printf("[");
    for (int i = 0; i < count; i++) {
        const char *state = STATES[saved_build(b->saved, all[i]->number)];
        if (b->o->json)
            printf("%s\n  {\"exercise\": %d, \"name\": \"%s\", \"title\": \"%s\", \"state\": "
                   "\"%s\"}",
                   i ? "," : "", all[i]->number, all[i]->name, _(all[i]->title),
                   *state ? state : "new");
        else
            printf("%2d  %s%s%s\n", all[i]->number, _(all[i]->title), *state ? ": " : "",
                   *state ? _(state) : "");
    }
    if (b->o->json)
        printf("\n]\n");
    else
        printf("\n%s\n", _("lesson build N makes a file to fill, then compiles and tests it."));
    return OK;
}

// The file is kept under another name.
static Status reset(const LessonBuild *b, const Exercise *e, const char *path) {
    char kept[BUILD_PATH + 16];
    int number = 1;
    do {
        snprintf(kept, sizeof kept, "%s.%d", path, number++);
    } while (exercise_exists(kept));
    if (exercise_exists(path)) {
        if (rename(path, kept) != 0) FAIL(ERR_IO, "%s: %s", path, strerror(errno));
        log_say(b->log, LOG_NOTE, _("%s is kept as %s"), path, kept);
    }
    return saved_keep_build(b->saved, e->number, SAVED_BUILD_NEW);
}

Status lesson_build_forget(const LessonBuild *b) {
    int count;
    const Exercise *const *all = exercises_all(&count);
    for (int i = 0; i < count; i++) {
        char path[BUILD_PATH];
        exercise_path(path, b->o->work, all[i]);
        if (exercise_exists(path) || saved_build(b->saved, all[i]->number) != SAVED_BUILD_NEW)
            TRY(reset(b, all[i], path));
    }
    return OK;
}

static Status show_solution(const LessonBuild *b, const Exercise *e) {
    SavedBuild state = saved_build(b->saved, e->number);
    if (state < SAVED_BUILD_ASKED) {
        TRY(saved_keep_build(b->saved, e->number, SAVED_BUILD_ASKED));
        FAIL(ERR_FAILED,
             _("exercise %d has not passed yet; its solution is shown when you ask once more "
               "(lesson build %d --hint 3 shows three hints)"),
             e->number, e->number);
    }
    exercise_show_solution(e, stdout);
    return OK;
}

static Status run(const LessonBuild *b, const Exercise *e, const char *path) {
    Arena arena = {0};
    uint64_t seed =
        b->o->seed >= 0 ? (uint64_t)b->o->seed : (uint64_t)clock_utc_ns() / 1000 % 1000000;
    Status s = exercise_run(e, &arena, path, seed, stdout);
    arena_finish(&arena);
    TRY(s);
    if (saved_build(b->saved, e->number) != SAVED_BUILD_DONE)
        TRY(saved_keep_build(b->saved, e->number, SAVED_BUILD_DONE));
    printf(_("lesson build %d --solution shows ours.\n"), e->number);
    return OK;
}

static Status watch(const LessonBuild *b, const Exercise *e, const char *path) {
    BuildWatch w;
    exercise_watch_open(&w, path);
    do {
        Status s = run(b, e, path);
        if (s == ERR_FAILED) {
            log_say(b->log, LOG_NOTE, "%s", status_message());
        } else if (s != OK) {
            exercise_watch_close(&w);
            return s;
        }
        printf(_("-- waiting for %s to change; Ctrl-C ends\n"), path);
        fflush(stdout);
    } while (exercise_watch_wait(&w, b->interrupted));
    exercise_watch_close(&w);
    return OK;
}

Status lesson_build(const LessonBuild *b, const char *word, const char *more) {
    const Exercise *e;
    char path[BUILD_PATH];
    if (!word) return list(b);
    TRY(exercise_find(&e, word));
    exercise_path(path, b->o->work, e);
    if (more && strcmp(more, "reset") != 0)
        FAIL(ERR_USAGE, "build %s %s: only reset may follow", word, more);
    if (more) return reset(b, e, path);
    if (b->o->solution) return show_solution(b, e);
    for (int k = 0; k < b->o->hint; k++) printf(_("Hint %d: %s\n"), k + 1, _(e->hints[k]));
    if (b->o->hint) return OK;
    if (exercise_exists(path)) {
        log_say(b->log, LOG_NOTE, _("%s is there and stays as it is"), path);
    } else {
        TRY(exercise_begin(e, path));
        log_say(b->log, LOG_NOTE, _("%s is new: fill it, and call this again"), path);
    }
    if (saved_build(b->saved, e->number) == SAVED_BUILD_NEW)
        TRY(saved_keep_build(b->saved, e->number, SAVED_BUILD_BEGUN));
    return b->o->watch ? watch(b, e, path) : run(b, e, path);
}
