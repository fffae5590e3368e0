// SPDX-License-Identifier: MIT
// The loop of a lesson in lines of text. Read player_run() first.
#include "lessons/engine/player.h"

#include "lessons/engine/glossary.h"
#include "lessons/engine/player_internal.h"
#include "lessons/engine/translate.h"

#include <string.h>
#include <strings.h>

// --- showing

// Write a page and forget it; nothing where there is nothing to write.
static Status write_page(const Player *p, const Saying *saying, const void *state) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    saying_write(&page, saying, state);
    Status s = page.first ? page_write(p->out, &page, &p->style) : OK;
    arena_finish(&arena);
    return s;
}

static void write_head(const Player *p, const Session *s) {
    const Lesson *lesson = s->lesson;
    const char *bold = p->style.color ? "\033[1m" : "", *plain = p->style.color ? "\033[0m" : "";
    fprintf(p->out, "\n%s%s%s  %d/%d\n\n", bold, _(lesson->title), plain, s->at + 1,
            lesson->step_count);
}

static void write_begin(const Player *p, const Session *s) {
    const Lesson *lesson = s->lesson;
    fprintf(p->out, _("Lesson %d, about %d minutes, seed %llu\n"), lesson->number, lesson->minutes,
            (unsigned long long)s->run.seed);
    Arena arena = {0};
    Page page = {.arena = &arena};
    page_say(&page, "%s", _(lesson->objective));
    if (p->mode == PLAYER_ASKS) page_say(&page, _("Enter goes on. Other keys: %s"), player_keys());
    // Text that could not be kept is not worth a failure: the steps follow.
    if (page_write(p->out, &page, &p->style) != OK) fprintf(p->out, "%s\n", _(lesson->objective));
    arena_finish(&arena);
}

static Status write_question(const Player *p, const Session *s) {
    const Question *q = session_step(s)->question;
    Arena arena = {0};
    Page page = {.arena = &arena};
    bool places = q->shape.form == ANSWER_CHOICE || q->shape.form == ANSWER_ORDER;
    q->ask(&page, s->state);
    for (int k = 0; places && k < q->shape.count; k++)
        page_line(&page, "  %d) %s", k + 1,
                  question_option(&page, q, s->state, s->shown[s->at][k]));
    Status status = page_write(p->out, &page, &p->style);
    arena_finish(&arena);
    return status;
}

static Status write_hint(const Player *p, Session *s) {
    Given *given = &s->given[s->at];
    const Question *q = session_step(s)->question;
    if (given->hints < QUESTION_HINTS) given->hints++;
    fprintf(p->out, _("Hint %d of %d:\n"), given->hints, QUESTION_HINTS);
    return write_page(p, &q->hint[given->hints - 1], s->state);
}

static Status write_comparison(const Player *p, const Session *s) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    session_compare(&page, s, s->at);
    Status status = page_write(p->out, &page, &p->style);
    arena_finish(&arena);
    return status;
}

// --- answering

// The answer of a mode that answers by itself; false: there is none (nobody is asked).
static bool own_answer(Answer *out, const Player *p, const Session *s) {
    const Question *q = session_step(s)->question;
    if (p->mode == PLAYER_WRONG)
        for (int i = 0; i < question_misconceptions(q); i++)
            if (strcmp(q->wrong[i].id, p->wrong) == 0) {
                question_believed(out, &q->wrong[i], s->state);
                return true;
            }
    return session_right_answer(out, s, s->at);
}

const Answer *player_answer_itself(const Player *p, Session *s) {
    Answer a = {0};
    bool known = p->mode != PLAYER_SHOWS && own_answer(&a, p, s);
    session_answer(s, known ? GIVEN_ANSWER : GIVEN_SHOWN, known ? &a : NULL);
    return known ? &s->given[s->at].answer : NULL;
}

static void answer_itself(const Player *p, Session *s) {
    char text[ANSWER_TEXT];
    const Answer *a = player_answer_itself(p, s);
    if (a) fprintf(p->out, "\n> %s\n", session_print_answer(text, s, s->at, a));
    session_next(s);
}

static Status keep(Player *p, const Session *s) { return p->saved ? saved_keep(p->saved, s) : OK; }

// --- commands

// What a command needs and changes: what is next may be another step then, or the learner leaves.
typedef struct {
    Player *player;
    Session *session;
    bool moved, quit;
} Turn;

static bool is_open(const Session *s) {
    return session_step(s)->kind == STEP_PREDICT && s->given[s->at].kind == GIVEN_NOTHING;
}

static Status say(const Turn *t, const char *text) {
    fprintf(t->player->out, "%s\n", text);
    return OK;
}

static Status move(Turn *t, void (*how)(Session *)) {
    how(t->session);
    t->moved = true;
    return keep(t->player, t->session);
}

static Status next(Turn *t) {
    if (is_open(t->session)) return say(t, _("An answer comes first; s shows it, h gives a hint."));
    return move(t, session_next);
}

static Status show(Turn *t) {
    bool open = is_open(t->session);
    if (t->player->no_skip && open) return say(t, _("Questions cannot be skipped here."));
    if (open) session_answer(t->session, GIVEN_SHOWN, NULL);
    return move(t, session_next);
}

static Status go(Turn *t, int step) {
    session_go(t->session, step - 1);
    t->moved = true;
    if (t->session->at != step - 1)
        fprintf(t->player->out, _("Step %d must be done before what follows it.\n"),
                t->session->at + 1);
    return keep(t->player, t->session);
}

static Status rerun(Turn *t, const PlayerCommand *c) {
    Session *s = t->session;
    LessonRun how = s->run;
    const Lesson *lesson = s->lesson;
    how.seed = c->has_number ? (uint64_t)c->number : s->run.seed + 1;
    session_finish(s);
    TRY(session_init(s, lesson, &how));
    write_begin(t->player, s);
    t->moved = true;
    return keep(t->player, s);
}

static Status answer(Turn *t, const char *text) {
    Answer a;
    Session *s = t->session;
    if (session_step(s)->kind != STEP_PREDICT) {
        fprintf(t->player->out, _("\"%s\" is no key here; ? keys lists them.\n"), text);
        return OK;
    }
    Status read = session_read_answer(&a, s, s->at, text);
    if (read == ERR_USAGE) return say(t, status_message());
    TRY(read);
    session_answer(s, GIVEN_ANSWER, &a);
    return move(t, session_next);
}

static Status obey(Turn *t, const PlayerCommand *c) {
    switch (c->kind) {
    case COMMAND_NEXT: return next(t);
    case COMMAND_BACK: return move(t, session_back);
    case COMMAND_GO:
        if (!c->has_number) return say(t, _("Which step? g 7 goes to step 7."));
        return go(t, (int)c->number);
    case COMMAND_HINT:
        if (session_step(t->session)->kind == STEP_PREDICT)
            return write_hint(t->player, t->session);
        return say(t, _("There is no question at this step."));
    case COMMAND_SHOW: return show(t);
    case COMMAND_PLAY: return player_play(t->player, t->session);
    case COMMAND_LIST: player_list(t->player, false); return OK;
    case COMMAND_RERUN: return rerun(t, c);
    case COMMAND_WORD: return player_explain(t->player, c->text);
    case COMMAND_QUIT: t->quit = true; return keep(t->player, t->session);
    case COMMAND_ANSWER: return answer(t, c->text);
    }
    return OK;
}

// --- the loop

// Show the step that is next, up to where something is read.
static Status show_step(Player *p, Session *s) {
    const LessonStep *step = session_step(s);
    write_head(p, s);
    switch (step->kind) {
    case STEP_SAY:
    case STEP_BOX: return write_page(p, &step->write, s->state);
    case STEP_PREDICT: return write_question(p, s);
    case STEP_COMPARE: return write_comparison(p, s);
    case STEP_RUN:
        TRY(write_page(p, &step->before, s->state));
        if (step->seconds && s->at >= s->computed && !s->run.virtual_time)
            fprintf(p->out, _("This takes about %d s.\n"), step->seconds);
        if (!saying_is_empty(&step->before)) fprintf(p->out, "\n");
        fflush(p->out);
        TRY(session_compute(s));
        return write_page(p, &step->write, s->state);
    }
    return OK;
}

static bool interrupted(const Player *p) { return p->interrupted && *p->interrupted; }

// Read and obey until the step that is next is another one, or the learner leaves.
static Status ask(Player *p, Session *s, PlayerEnd *end, bool *over) {
    Turn turn = {.player = p, .session = s};
    while (!turn.moved && !turn.quit) {
        char line[512];
        fprintf(p->out, "\n> ");
        fflush(p->out);
        if (!fgets(line, sizeof line, p->in)) {
            *end = interrupted(p) ? PLAYER_INTERRUPTED : PLAYER_NO_INPUT;
            *over = true;
            fprintf(p->out, "\n");
            return keep(p, s);
        }
        line[strcspn(line, "\n")] = '\0';
        if (p->repeats) fprintf(p->out, "%s\n", line);
        PlayerCommand c = player_command(line);
        TRY(obey(&turn, &c));
    }
    *over = turn.quit;
    if (turn.quit) *end = PLAYER_QUIT;
    return OK;
}

Status player_run(Player *p, Session *s, PlayerEnd *end) {
    bool over = false;
    *end = PLAYER_ENDED;
    if (p->json) return player_run_json(p, s, end);
    write_begin(p, s);
    while (!over && session_step(s)) {
        if (interrupted(p)) {
            *end = PLAYER_INTERRUPTED;
            return keep(p, s);
        }
        TRY(show_step(p, s));
        if (p->mode == PLAYER_ASKS)
            TRY(ask(p, s, end, &over));
        else if (session_step(s)->kind == STEP_PREDICT)
            answer_itself(p, s);
        else
            session_next(s);
        if (ferror(p->out)) FAIL(ERR_IO, "standard output could not be written");
    }
    return OK;
}

// --- words

Status player_explain(const Player *p, const char *word) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    Status s = OK;
    if (strcasecmp(word, "keys") == 0)
        page_say(&page, "%s", player_keys());
    else
        s = glossary_explain(&page, word);
    if (s == OK) s = page_write(p->out, &page, &p->style);
    if (s == ERR_USAGE) fprintf(p->out, "%s\n", status_message());
    arena_finish(&arena);
    return s == ERR_USAGE ? OK : s;
}
