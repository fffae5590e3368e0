// SPDX-License-Identifier: MIT
// lesson: parse the command line, find the lesson, go through it. Read act() first.
#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/nearest.h"
#include "core/cli/log.h"
#include "core/cli/terminal.h"
#include "lessons/engine/player.h"
#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "programs/ending.h"
#include "programs/lesson_build.h"
#include "programs/lesson_course.h"
#include "programs/lesson_options.h"
#include "programs/version.h"
#include "viz/backend/ansi.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const LessonOptions *o;
    const OptionLine *line;
    Arena *arena;
    Log *log;
    const char *called;  // the last part of argv[0]
    Saved saved;
    Course course;
} Program;

static volatile sig_atomic_t interrupted;
static void interrupt(int signal) { interrupted = 1; }

// A read that waits for the learner ends with the signal, so that the place is kept first.
static void watch_signals(void) {
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

// --- one lesson

static uint64_t seed_of(const Program *p, const SavedLesson *known) {
    if (p->o->seed_from)
        return hash_bytes(HASH_START, p->o->seed_from, strlen(p->o->seed_from)) % 1000000;
    if (p->o->seed >= 0) return (uint64_t)p->o->seed;
    if (known->kind != SAVED_NEW) return known->seed;
    return p->o->virtual_time ? 1 : (uint64_t)clock_utc_ns() / 1000 % 1000000;
}

static Status draw(const DrawList *d, bool plain, bool color,
                   void (*row)(void *context, const char *text), void *context) {
    return ansi_draw(d, &(AnsiStyle){plain, color}, row, context);
}

static Status player_of(Player *out, Program *p) {
    *out = (Player){
        .in = stdin,
        .out = stdout,
        .style = {.draw = draw,
                  .columns = terminal_width(stdout) - 1,
                  .plain = p->o->plain || terminal_ascii(),
                  .color = !p->o->plain && terminal_color(stdout, (TerminalColor)p->o->color)},
        .json = p->o->json,
        .no_skip = p->o->no_skip,
        .saved = &p->saved,
        .lessons = p->course.lessons,
        .lesson_count = p->course.lesson_count,
        .interrupted = &interrupted};
    out->parts = lessons_parts(&out->part_count);
    if (p->o->no_input) out->mode = PLAYER_SHOWS;
    if (p->o->automatic && strcmp(p->o->automatic, "right") == 0) out->mode = PLAYER_RIGHT;
    if (p->o->automatic && strncmp(p->o->automatic, "wrong:", 6) == 0) {
        out->mode = PLAYER_WRONG;
        out->wrong = p->o->automatic + 6;
    }
    if (p->o->automatic && out->mode == PLAYER_ASKS)
        FAIL(ERR_USAGE, "--auto %s: right, or wrong:ID with a misconception's name",
             p->o->automatic);
    if (p->o->answers && strcmp(p->o->answers, "-") != 0 && !(out->in = fopen(p->o->answers, "r")))
        FAIL(ERR_INPUT, "%s: this file of answers cannot be read", p->o->answers);
    out->repeats = !isatty(fileno(out->in));
    if (out->mode != PLAYER_ASKS || p->o->inject) out->saved = NULL;
    return OK;
}

static Status say_end(const Program *p, const Session *s, PlayerEnd end) {
    if (p->o->json || end == PLAYER_ENDED) return OK;
    if (end == PLAYER_NO_INPUT)
        log_say(p->log, LOG_NOTE, _("the input ended at step %d of %d; your place is kept"),
                s->at + 1, s->lesson->step_count);
    if (end == PLAYER_INTERRUPTED)
        FAIL(ERR_INTERRUPTED, _("interrupted at step %d of %d; your place is kept"), s->at + 1,
             s->lesson->step_count);
    return OK;
}

// A misconception's name that nobody has would answer rightly, and prove nothing.
static Status check_wrong(const Player *player, const Lesson *lesson) {
    Nearest near = {.word = player->wrong};
    if (player->mode != PLAYER_WRONG) return OK;
    for (int i = 0; i < lesson->step_count; i++) {
        const Question *q = lesson->steps[i].question;
        for (int k = 0; q && k < question_misconceptions(q); k++) {
            if (strcmp(q->wrong[k].id, player->wrong) == 0) return OK;
            nearest_offer(&near, q->wrong[k].id);
        }
    }
    if (near.best)
        FAIL(ERR_USAGE, "--auto wrong:%s: lesson %d has no such misconception; do you mean %s?",
             player->wrong, lesson->number, near.best);
    FAIL(ERR_USAGE, "--auto wrong:%s: no misconception of this lesson is called %s", player->wrong,
         player->wrong);
}

static Status play(Program *p, const Lesson *lesson) {
    Player player;
    Session session = {0};
    SavedLesson known;
    PlayerEnd end = PLAYER_ENDED;
    saved_find(&known, &p->saved, lesson->number);
    TRY(player_of(&player, p));
    TRY(check_wrong(&player, lesson));
    LessonRun how = {
        .seed = seed_of(p, &known), .inject = p->o->inject, .virtual_time = p->o->virtual_time};
    if (how.inject && !lesson->injects)
        FAIL(ERR_USAGE, "--inject: lesson %d has no faults; lesson 18 does", lesson->number);
    Status s = session_init(&session, lesson, &how);
    bool resumes = player.saved && known.kind == SAVED_BEGUN && known.seed == how.seed;
    if (s == OK && resumes) s = saved_restore(&p->saved, &session);
    for (int i = 0; s == OK && resumes && i < known.at; i++) {
        session.at = i;  // what was computed is computed again: it is not kept
        if (session_step(&session) && session_step(&session)->kind == STEP_RUN)
            s = session_compute(&session);
    }
    if (s == OK && resumes) session_go(&session, known.at);
    watch_signals();
    if (s == OK) s = player_run(&player, &session, &end);
    if (s == OK) s = say_end(p, &session, end);
    session_finish(&session);
    if (player.in != stdin) fclose(player.in);
    return s;
}

// --- lists, resetting

static const Lesson *after(const Program *p) {
    int current = saved_current(&p->saved);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < p->course.lesson_count; i++) {
            SavedLesson known;
            saved_find(&known, &p->saved, p->course.lessons[i]->number);
            if (known.kind != SAVED_DONE && (pass || p->course.lessons[i]->number > current))
                return p->course.lessons[i];
        }
    return NULL;
}

static Status list_json(const Program *p) {
    printf("[");
    for (int i = 0; i < p->course.lesson_count; i++) {
        static const char *const KINDS[] = {"new", "begun", "done"};
        const Lesson *l = p->course.lessons[i];
        SavedLesson known;
        saved_find(&known, &p->saved, l->number);
        printf("%s\n  {\"lesson\": %d, \"name\": \"%s\", \"title\": \"%s\", \"minutes\": %d, "
               "\"steps\": %d, \"questions\": %d, \"state\": \"%s\"}",
               i ? "," : "", l->number, l->name, _(l->title), l->minutes, l->step_count,
               session_questions(l), KINDS[known.kind]);
    }
    printf("\n]\n");
    return OK;
}

static Status list(Program *p) {
    Player player;
    if (p->o->json) return list_json(p);
    TRY(player_of(&player, p));
    player.saved = &p->saved;
    player_list(&player, p->o->todo);
    return OK;
}

static bool sure(const Program *p, const char *what) {
    char line[64];
    if (p->o->force) return true;
    printf(_("Forget what was done of %s? Type yes: "), what);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) && strcmp(line, "yes\n") == 0;
}

static Status reset(Program *p, const char *word) {
    const Lesson *lesson = NULL;
    if (!word && !p->o->all)
        FAIL(ERR_USAGE, "reset which lesson? lesson reset 8, or lesson reset --all");
    if (word) TRY(course_find(&p->course, &lesson, word));
    if (!sure(p, lesson ? _(lesson->title) : _("all lessons and exercises"))) {
        log_say(p->log, LOG_NOTE, "%s", _("nothing was changed"));
        return OK;
    }
    TRY(saved_forget(&p->saved, lesson ? lesson->number : -1));
    return lesson ? OK : lesson_build_forget(&(LessonBuild){p->o, p->log, &p->saved, &interrupted});
}

// What was found is said, and where it is kept.
static Status read_saved(Program *p) {
    const char *path, *kept;
    TRY(saved_path(&path, p->arena, p->o->state));
    TRY(saved_read(&p->saved, p->arena, path));
    bool cut = p->saved.cut;
    TRY(saved_mend(&p->saved, &kept));
    if (kept)
        log_say(
            p->log, LOG_NOTE,
            _("%s, where your place is kept, is cut off: what it still says counts; the file as "
              "it was found is kept as %s"),
            path, kept);
    else if (cut)
        log_say(p->log, LOG_NOTE, _("%s, where your place is kept, is empty: lessons begin anew"),
                path);
    return OK;
}

// "dev check", and which lesson.
static Status develop(const Program *p, const char *what) {
    if (!what || strcmp(what, "check") != 0)
        FAIL(ERR_USAGE, "dev what? lesson dev check tries what authors of lessons must keep");
    return course_check(&p->course, p->line->argument_count > 2 ? p->line->arguments[2] : NULL);
}

// "build", an exercise, and what to do with it.
static Status build(Program *p, const char *word) {
    if (p->o->watch) watch_signals();
    return lesson_build(&(LessonBuild){p->o, p->log, &p->saved, &interrupted}, word,
                        p->line->argument_count > 2 ? p->line->arguments[2] : NULL);
}

static Status act(Program *p) {
    bool by_name = *p->called >= '0' && *p->called <= '9';  // as lessons/08_all_reduce
    const char *word = p->line->argument_count > 0 ? p->line->arguments[0]
                       : by_name                   ? p->called
                                                   : NULL;
    const char *more = p->line->argument_count > 1 ? p->line->arguments[1] : NULL;
    const Lesson *lesson = NULL;
    if (word && strcmp(word, "verify") == 0) return course_verify(&p->course, more);
    if (word && strcmp(word, "bench") == 0) return course_bench(&p->course);
    if (word && strcmp(word, "dev") == 0) return develop(p, more);
    TRY(read_saved(p));
    if (word && strcmp(word, "list") == 0) return list(p);
    if (word && strcmp(word, "reset") == 0) return reset(p, more);
    if (word && strcmp(word, "build") == 0) return build(p, more);
    if (word && strcmp(word, "report") == 0 && p->o->json)
        FAIL(ERR_USAGE, "lesson report is Markdown; lesson list --json has what was done");
    if (word && strcmp(word, "report") == 0) return course_report(&p->course, &p->saved);
    if (more) FAIL(ERR_USAGE, "%s: one lesson at a time", more);
    if (word && strcmp(word, "next") == 0) {
        lesson = after(p);
        if (!lesson) {
            log_say(p->log, LOG_NOTE, "%s", _("all lessons are done"));
            return OK;
        }
    } else if (word) {
        TRY(course_find(&p->course, &lesson, word));
    } else {
        for (int i = 0; i < p->course.lesson_count; i++)
            if (p->course.lessons[i]->number == saved_current(&p->saved))
                lesson = p->course.lessons[i];
        SavedLesson known = {0};
        if (lesson) saved_find(&known, &p->saved, lesson->number);
        if (!lesson || known.kind == SAVED_DONE) lesson = after(p);
        if (!lesson) lesson = p->course.lessons[0];
    }
    return play(p, lesson);
}

static Status start(Program *p, LessonOptions *o, OptionLine *line, int argc, char *argv[]) {
    Status s = option_parse(line, o, p->arena, &lesson_options, argc, argv);
    log_init(p->log, "lesson", stderr, o->quiet, o->verbose,
             terminal_color(stderr, (TerminalColor)o->color));
    if (s != OK) return s;
    if (line->help) return option_show_help(line, stdout);
    if (o->version) {
        version_print("lesson", stdout);
        return OK;
    }
    translate_begin(NULL);
    if (translate_missing())
        log_say(p->log, LOG_NOTE,
                "texts in %s are not built: install gettext, whose msgfmt a build needs, and build "
                "again",
                translate_missing());
    p->course.o = o;
    TRY(course_choose(&p->course, p->arena));
    return act(p);
}

int main(int argc, char *argv[]) {
    ending_begin();
    Arena arena = {0};
    Log log = {0};
    LessonOptions o = {0};
    OptionLine line;
    const char *slash = strrchr(argv[0], '/');
    Program p = {.o = &o,
                 .line = &line,
                 .arena = &arena,
                 .log = &log,
                 .called = slash ? slash + 1 : argv[0]};
    int status = ending_status(&log, start(&p, &o, &line, argc, argv));
    arena_finish(&arena);
    return status;
}
